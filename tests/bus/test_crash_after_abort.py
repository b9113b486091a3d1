"""Kill the firm between any two steps while an agent is ill, halted, skipped and well again: the same log."""
