"""Risk: the pure floor that measures and limits what the book can lose."""
