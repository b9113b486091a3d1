"""Faults, drawn from a seed, that happen to a firm while it trades, and what each of them cost."""
