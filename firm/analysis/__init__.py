"""The risk of a run's last measured book, by every method the firm has, from its log alone."""
