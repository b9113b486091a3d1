"""Benchmarks: each file with a main() is a script of its own; `python -m benchmarks` runs them all."""
