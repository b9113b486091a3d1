"""How cleared orders become orders at the broker: algos, the state of work in progress, the last gate."""
