"""An institutional-grade trading firm as a distributed cluster of agents on Ray."""

from firm.numeric_env import pin_numeric_environment

pin_numeric_environment()

__version__ = "0.1.0"
