"""A simulated IB Gateway: the TWS wire protocol around the simulated exchange, in its own process."""
