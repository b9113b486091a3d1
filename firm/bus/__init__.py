"""Pure: cycles, the signal barrier, the hash chain."""
