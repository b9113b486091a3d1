"""The broker's side: an IB Gateway, real or simulated, as the bus sees it."""
