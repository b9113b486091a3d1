"""What can go wrong, as a tree. Each message says what was needed, what was found, and what to do.

FirmError
├── ConfigError            the configuration is wrong; the firm does not start
├── DataError              market data is not usable: corrupt file, NaN, crossed or negative quotes
├── UnknownInstrument      a symbol nobody can resolve
├── StoreError             the event store cannot be trusted or used
│   ├── WrongKey           the key does not open it
│   ├── StoreTampered      the chain, the rows or the signed heads disagree
│   ├── StoreLocked        another process holds it
│   └── StaleEpoch         a newer bus has taken over
├── ReplayDiverged         an agent said something else than the log
├── GatewayError           the broker side
│   ├── GatewayUnavailable nobody answers at the address, or the port is taken
│   ├── GatewayClosed      the connection ended
│   └── GatewayProtocol    the peer broke the wire protocol
├── AgentFault             an agent failed on an entry; trading halts if it fails again
├── AgentStale             an agent has lost its state and must recover before it hears
└── InsufficientHistory    a number was asked for that the data cannot support
"""


class FirmError(Exception):
    """Everything the firm raises on purpose."""


class ConfigError(FirmError):
    """The configuration is wrong; the firm does not start."""


class DataError(FirmError):
    """Market data is not usable."""


class UnknownInstrument(FirmError):
    """A symbol nobody can resolve."""


class StoreError(FirmError):
    """The event store cannot be trusted or used."""


class WrongKey(StoreError):
    """The key does not open the store."""


class StoreTampered(StoreError):
    """Rows, hash chain or signed heads disagree."""


class StoreLocked(StoreError):
    """Another process holds the store."""


class StaleEpoch(StoreError):
    """A newer bus has taken over; this one may not write any more."""


class ReplayDiverged(FirmError):
    """An agent said something else than what the log holds."""

    def __init__(self, seq: int, recorded: str, recomputed: str) -> None:
        super().__init__(f"first difference at seq {seq}: recorded {recorded}, recomputed {recomputed}")
        self.seq, self.recorded, self.recomputed = seq, recorded, recomputed

    def __reduce__(self) -> tuple[type["ReplayDiverged"], tuple[int, str, str]]:
        return (type(self), (self.seq, self.recorded, self.recomputed))


class GatewayError(FirmError):
    """The broker side."""


class GatewayUnavailable(GatewayError):
    """Nobody answers at the address, or the port is taken."""


class GatewayClosed(GatewayError):
    """The connection ended."""


class GatewayProtocol(GatewayError):
    """The peer broke the wire protocol."""


class AgentFault(FirmError):
    """An agent failed on an entry."""

    def __init__(self, agent: str, seq: int, reason: str) -> None:
        super().__init__(f"agent {agent} failed on entry {seq}: {reason}")
        self.agent, self.seq, self.reason = agent, seq, reason

    def __reduce__(self) -> tuple[type["AgentFault"], tuple[str, int, str]]:
        return (type(self), (self.agent, self.seq, self.reason))


class AgentStale(FirmError):
    """An agent has lost its state (a restart, a fault) and must recover before it hears."""


class InsufficientHistory(FirmError):
    """A number was asked for that the data cannot support."""
