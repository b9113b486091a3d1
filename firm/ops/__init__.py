"""The firm in operation: its health, its metrics, and what named people want of it."""
