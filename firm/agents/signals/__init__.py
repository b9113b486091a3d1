"""Signal agents: stateless opinions on a window of the market."""
