"""Recorded market data as the firm plays it: one frame a timestamp, sessions, and the history before."""
