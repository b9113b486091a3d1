"""One client's session: who it is, what it has subscribed to, what is still to be written to it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from firm.domain.instrument import Instrument
from firm.gateway_sim.codec.framing import frame
from firm.gateway_sim.codec.replies import REPLIES
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.faults import Faults
from firm.gateway_sim.options import Option
from firm.gateway_sim.pacing import HistoryPace
from firm.gateway_sim.times import execution_time

LINK_DOWN = "Connectivity between IB and Trader Workstation has been lost."
LINK_LOST = "Connectivity between IB and Trader Workstation has been restored - data lost."
LINK_KEPT = "Connectivity between IB and Trader Workstation has been restored - data maintained."


class TickRequest(NamedTuple):
    """A market data subscription; `rt_volume` and `auction` if it asked for ticks 233 and 225.

    `instrument` is the one whose quotes are shown: of `traded`, or of a venue's feed of it.
    """

    req_id: int
    traded: Instrument
    instrument: Instrument
    rt_volume: bool
    delayed: bool = False
    news: bool = False
    auction: bool = False


class OptionRequest(NamedTuple):
    """A subscription to the model values of an option."""

    req_id: int
    option: Option


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


class Cut(NamedTuple):
    """How a connection is to break: `rst`, `fin` or `silent` (half-open), once `after` more bytes are out."""

    how: str
    after: int


class Session:
    """State of one connection after the version was agreed; `client_id` is None before startApi.

    `down` means that the link behind the gateway is: only notices and the gateway's own clock are told.
    `silent` is a half-open connection. `kept` and `delayed` hold what faults keep back. `heard_at` is when
    the request at hand came (real seconds), for the pacing of history.
    """

    def __init__(self, version: int, faults: Faults) -> None:
        self.version = version
        self.faults = faults
        self.market_data_type = 1
        self.paced = 0
        self.pace, self.heard_at = HistoryPace(), 0.0
        self.client_id: int | None = None
        self.out = bytearray()
        self.closing = self.down = self.silent = False
        self.cut: Cut | None = None
        self.kept: list[tuple[str, bytes]] = []
        self.delayed: list[tuple[int, bytes]] = []
        self.ticks: dict[int, TickRequest] = {}
        self.tick_by_tick: dict[int, TickByTick] = {}
        self.options: dict[int, OptionRequest] = {}
        self.depth: dict[int, tuple[int, bool]] = {}
        self.bulletins = False
        self.live_bars: dict[int, BarRequest] = {}
        self.growing_bars: dict[int, BarRequest] = {}
        self.positions = False
        self.position_requests: set[int] = set()
        self.account_updates = False
        self.account_requests: set[int] = set()
        self.summaries: dict[int, frozenset[str]] = {}
        self.pnl: dict[int, int | None] = {}
        self.told: dict[int, dict[str, Mapping[Any, Any]]] = {}

    def say(self, message: str, **values: Any) -> None:
        """Queue a message for the client."""
        if message == "execDetails":
            values["time"] = execution_time(values["at"], self.version)
        if self.down and not (message == "currentTime" or (message == "error" and values["reqId"] == -1)):
            return
        fate = self.faults.fate(self.client_id, message)
        if not fate.times:
            return
        said = self.faults.rewritten(self.client_id, message, values)
        data = frame(REPLIES[message].encode(self.version, said)) * fate.times
        if fate.kept_until is not None:
            self.kept.append((fate.kept_until, data))
        elif fate.delay_ms:
            self.delayed.append((fate.delay_ms, data))
        else:
            self.out += data
        if self.kept:
            self.release(message)

    def release(self, after: str, order: str = "same") -> None:
        """Say what was kept back until `after` (the name of a message, or empty: by command)."""
        due = [data for until, data in self.kept if until == after]
        self.kept = [(until, data) for until, data in self.kept if until != after]
        self.out += b"".join(reversed(due) if order == "reverse" else due)

    def error(self, req_id: int, code: int, text: str) -> None:
        """Queue an error about a request or order, or (-1) about the session."""
        self.say("error", reqId=req_id, code=code, text=text)

    def news(self, topic: str, req_id: int, items: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Those of `items` (key, value) that differ from what this subscription was told last."""
        current = dict(items)
        before = self.before(topic, req_id)
        self.told.setdefault(req_id, {})[topic] = current
        return [(key, value) for key, value in current.items() if before.get(key) != value]

    def before(self, topic: str, req_id: int) -> Mapping[Any, Any]:
        """What this subscription was told last."""
        return self.told.get(req_id, {}).get(topic, {})

    def drop(self, topic: str, req_id: int) -> None:
        """A subscription begins anew: it is told everything again."""
        self.told.get(req_id, {}).pop(topic, None)

    def forget(self, req_id: int) -> None:
        """A subscription has ended: what it was told is of no use any more."""
        self.told.pop(req_id, None)

    @property
    def lines(self) -> set[int]:
        """The requests that count as lines of market data."""
        return {*self.ticks, *self.options, *self.live_bars}


def set_link(session: Session, *, up: bool, lost: bool) -> None:
    """The gateway's link to the broker goes (1100) or comes back, with the subscriptions (1102) or not."""
    session.down = not up
    if not up:
        return session.error(-1, 1100, LINK_DOWN)
    if lost:
        for requests in (session.ticks, session.tick_by_tick, session.live_bars, session.growing_bars):
            requests.clear()
        session.depth.clear()
        session.options.clear()
    return session.error(-1, 1101 if lost else 1102, LINK_LOST if lost else LINK_KEPT)
