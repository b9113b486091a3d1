"""Where the log is kept: encrypted SQLite on disk or a list in memory, and the proof of what is on disk."""
