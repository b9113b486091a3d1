"""Numerical kernels of the risk floor: arrays in, numbers out; they know nothing of the firm."""
