"""One client's session: who it is, what it has subscribed to, what is still to be written to it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from firm.domain.instrument import Instrument
from firm.gateway_sim.codec.framing import frame
from firm.gateway_sim.codec.replies import REPLIES
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.faults import Faults
from firm.gateway_sim.times import execution_time


class TickRequest(NamedTuple):
    """A market data subscription; `rt_volume` if it asked for generic tick 233."""

    req_id: int
    instrument: Instrument
    rt_volume: bool


class TickByTick(NamedTuple):
    """A tick-by-tick subscription of type Last, AllLast, BidAsk or MidPoint."""

    req_id: int
    instrument: Instrument
    kind: str


class BarRequest(NamedTuple):
    """A subscription to bars that are still growing: five-second bars, or history kept up to date."""

    req_id: int
    instrument: Instrument
    asked: Values


class Session:
    """State of one connection after the version was agreed; `client_id` is None before startApi."""

    def __init__(self, version: int, faults: Faults) -> None:
        self.version = version
        self._faults = faults
        self.client_id: int | None = None
        self.out = bytearray()
        self.closing = self.cut = False
        self.ticks: dict[int, TickRequest] = {}
        self.tick_by_tick: dict[int, TickByTick] = {}
        self.live_bars: dict[int, BarRequest] = {}
        self.growing_bars: dict[int, BarRequest] = {}
        self.positions = False
        self.position_requests: set[int] = set()
        self.account_updates = False
        self.account_requests: set[int] = set()
        self.summaries: dict[int, frozenset[str]] = {}
        self.pnl: dict[int, int | None] = {}
        self.told: dict[tuple[str, int], Mapping[Any, Any]] = {}

    def say(self, message: str, **values: Any) -> None:
        """Queue a message for the client."""
        if message == "execDetails":
            values["time"] = execution_time(values["at"], self.version)
        times = self._faults.times(self.client_id, message)
        if times:
            self.out += frame(REPLIES[message].encode(self.version, values)) * times

    def error(self, req_id: int, code: int, text: str) -> None:
        """Queue an error about a request or order, or (-1) about the session."""
        self.say("error", reqId=req_id, code=code, text=text)

    def news(self, topic: str, req_id: int, items: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Those of `items` (key, value) that differ from what this subscription was told last."""
        current = dict(items)
        before = self.told.get((topic, req_id), {})
        self.told[topic, req_id] = current
        return [(key, value) for key, value in current.items() if before.get(key) != value]

    def drop(self, topic: str, req_id: int) -> None:
        """Forget what a cancelled subscription was told."""
        self.told.pop((topic, req_id), None)
