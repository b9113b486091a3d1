"""What the firm may not do, whatever it wants: pre-trade controls."""
