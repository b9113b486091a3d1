"""The gateway without its sockets: sessions, requests in, bytes out, and steps of the clock.

Order of things in every turn: the brokerage changes, the journal commits, and only then may what was queued
in `Session.out` be written. The server keeps to that by calling `commit` before it flushes.
"""

from typing import NamedTuple

from firm.errors import GatewayProtocol
from firm.gateway_sim import (
    answers_account,
    answers_auction,
    answers_data,
    answers_options,
    answers_orders,
    answers_reference,
)
from firm.gateway_sim.answers import ANSWERS, EMPTY_ANSWERS
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.codec.framing import fields_of
from firm.gateway_sim.codec.requests import NOT_SERVED, REQUESTS
from firm.gateway_sim.codec.table import Message, Values
from firm.gateway_sim.commands import Cancel, CancelAll, Command, Place, Step
from firm.gateway_sim.faults import Faults
from firm.gateway_sim.journal import Journal
from firm.gateway_sim.orders import Outgoing
from firm.gateway_sim.rights import is_mute
from firm.gateway_sim.schedule import Interruptions
from firm.gateway_sim.session import Cut, Session, set_link

NOT_SERVED_IDS = frozenset(message.id for message in NOT_SERVED)
START_API = 71
UNKNOWN_MAX = 200
ACCOUNT_EVERY_NS = 180 * 1_000_000_000
FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)
SILENT = ("cancel", "setServerLogLevel", "unsubscribe", "updateDisplayGroup")


class Stepped(NamedTuple):
    """What one step did; `frames_left` are still to come, `done` if none."""

    at: int
    advanced: str
    done: bool
    frames_left: int


class Gateway:
    """All sessions of one brokerage.

    `unknown` counts what no handler answered, by name, and `over_pace` the messages beyond 50 a second; tests
    look at both.
    """

    def __init__(self, brokerage: Brokerage, journal: Journal | None) -> None:
        """Continue from `journal` if there is one: its commands are applied before anyone connects."""
        self.brokerage = brokerage
        self.sessions: list[Session] = []
        self.unknown: dict[str, int] = {}
        self.over_pace = 0
        self.faults = Faults()
        self.bulletins = 0
        self.interruptions = Interruptions([])
        self._journal = journal
        self._written = self._ordered = False
        self._window: int | None = None
        self._account_told_at = 0
        for command in journal.commands if journal else ():
            brokerage.apply(command)

    # sessions

    def connect(self, version: int) -> Session:
        """A client has agreed on a version; it must say startApi before anything else."""
        session = Session(version, self.faults)
        self.sessions.append(session)
        return session

    def disconnect(self, session: Session) -> None:
        """The connection is gone; the client's orders stay."""
        self.sessions.remove(session)

    def receive(self, session: Session, payload: bytes) -> None:
        """One request. Whatever is wrong with it is answered to this client, and disturbs no other."""
        fields = fields_of(payload)
        message = _message(fields[0])
        if message is None:
            self._note_unknown(f"message {fields[0][:20]}")
            return session.error(-1, 321, f"Error validating request: unknown message {fields[0][:20]!r}")
        try:
            values = _decoded(message, fields, session.version)
        except GatewayProtocol as reason:
            self._note_unknown(f"malformed {message.name}")
            return session.error(-1, 320, f"Server error when reading an API client request: {reason}")
        if session.client_id is None and message.id != START_API:
            return session.error(-1, 321, f"Error validating request: {message.name} before startApi")
        if self.faults.on("ignore", session.client_id, message.name):
            return None
        return self._answer(session, message, values, fields)

    def _answer(self, session: Session, message: Message, values: Values, fields: list[str]) -> None:
        client_id = -1 if session.client_id is None else session.client_id
        answer = ANSWERS.get(message.name)
        match message.name:
            case _ if answer is not None:
                answer(self.brokerage, session, values)
            case "startApi":
                self._start(session, values["clientId"])
            case "placeOrder":
                self._place(session, values["orderId"] or 0, values, fields[1:])
            case "cancelOrder":
                self._cancel(session, values["orderId"] or 0)
            case "reqGlobalCancel":
                self.route(CancelAll(client_id))
            case "reqIds":
                session.say("nextValidId", orderId=self.brokerage.ledger.next_order_id(client_id))
            case "reqManagedAccts":
                session.say("managedAccounts", accounts=self.brokerage.account)
            case "reqCurrentTime":
                session.say("currentTime", time=self.brokerage.at // 1_000_000_000)
            case "reqMarketDataType":
                session.market_data_type = values["type"] or 1
            case "reqAutoOpenOrders":
                pass
            case _:
                self._cancel_or_refuse(session, message, values)

    def _place(self, session: Session, order_id: int, values: Values, fields: list[str]) -> None:
        who = session.client_id
        assert who is not None, "a client that has started"
        if self.faults.on("lose", who, "placeOrder"):
            if self.faults.switch("lose").find(who, "placeOrder") is None:
                session.cut = Cut("rst", 0)
            return
        known = self.brokerage.ledger.named(who, order_id)
        changes = not values["whatIf"] and known is not None and known.live
        twin = changes and self.faults.on("twin", who)
        self.route(Place(who, session.version, fields, twin))

    def _cancel(self, session: Session, order_id: int) -> None:
        who = session.client_id
        assert who is not None, "a client that has started"
        if self.faults.on("refuse cancel", who):
            text = f"Cancel attempted when order is not in a cancellable state. Order permId = {order_id}"
            return session.error(order_id, 161, text)
        return self.route(Cancel(who, order_id))

    def _start(self, session: Session, client_id: int | None) -> None:
        if session.client_id is not None or client_id is None or client_id < 0:
            return session.error(-1, 321, f"Error validating request: startApi with client id {client_id}")
        if any(other.client_id == client_id for other in self.sessions):
            session.error(
                -1,
                326,
                "Unable to connect as the client id is already in use. Retry with a unique client id.",
            )
            session.closing = True
            return None
        session.client_id = client_id
        session.say("managedAccounts", accounts=self.brokerage.account)
        session.say("nextValidId", orderId=self.brokerage.ledger.next_order_id(client_id))
        for code, text in FARMS:
            session.error(-1, code, text)
        return answers_orders.say_open_orders(self.brokerage, session, everyone=False)

    def _cancel_or_refuse(self, session: Session, message: Message, values: Values) -> None:
        asked = values.get("reqId")
        req_id = asked if isinstance(asked, int) else -1
        if message.name.startswith("cancel") and asked is not None:
            session.forget(req_id)
        match message.name:
            case "cancelMktData":
                session.ticks.pop(req_id, None)
                session.options.pop(req_id, None)
            case "cancelMktDepth":
                session.depth.pop(req_id, None)
            case "cancelNewsBulletins":
                session.bulletins = False
            case "cancelTickByTickData":
                session.tick_by_tick.pop(req_id, None)
            case "cancelHistoricalData":
                session.growing_bars.pop(req_id, None)
            case "cancelRealTimeBars":
                session.live_bars.pop(req_id, None)
            case "cancelPositions":
                session.positions = False
            case "cancelPositionsMulti":
                session.position_requests.discard(req_id)
            case "cancelAccountUpdatesMulti":
                session.account_requests.discard(req_id)
            case "cancelAccountSummary":
                session.summaries.pop(req_id, None)
            case "cancelPnL" | "cancelPnLSingle":
                session.pnl.pop(req_id, None)
            case (
                "cancelHeadTimeStamp"
                | "cancelScannerSubscription"
                | "cancelFundamentalData"
                | "cancelCalculateImpliedVolatility"
                | "cancelCalculateOptionPrice"
            ):
                pass
            case _:
                self._refuse(session, message, asked)

    def _refuse(self, session: Session, message: Message, req_id: int | None) -> None:
        self._note_unknown(message.name)
        if message.name in EMPTY_ANSWERS:
            reply, values = EMPTY_ANSWERS[message.name]
            session.say(reply, **({} if req_id is None else {"reqId": req_id}), **values)
        elif not message.name.startswith(SILENT):
            number = -1 if req_id is None else req_id
            session.error(number, 321, f"Error validating request: {message.name} is not simulated")

    def _note_unknown(self, name: str) -> None:
        known = name if name in self.unknown or len(self.unknown) < UNKNOWN_MAX else "others"
        self.unknown[known] = self.unknown.get(known, 0) + 1

    # the clock

    def step(self, until: int | None) -> Stepped:
        """To the next frame or to `until`, whichever comes first; ValueError if `until` is in the past."""
        frame, before = self.brokerage.next_frame(), self.brokerage.at
        if until is not None and until < before:
            raise ValueError(f"time cannot go back: until {until}, the clock is at {self.brokerage.at}")
        if frame is not None and (until is None or frame.at <= until):
            advanced = "frame"
            messages = self._apply(Step(frame.at, frame=True))
        else:
            frame, advanced = None, "until"
            messages = self._apply(Step(self.brokerage.at if until is None else until, frame=False))
        self._interrupt(before, self.brokerage.at)
        window = self._finished_window(self.brokerage.at)
        if frame is not None:
            self._window = frame.at // answers_data.REALTIME_BAR_NS * answers_data.REALTIME_BAR_NS
        for session in self.sessions:
            if window is not None:
                answers_data.say_realtime_bars(self.brokerage, session, window)
            if frame is not None:
                answers_data.say_frame(self.brokerage, session, frame)
                if not is_mute(session):
                    answers_options.say_options(self.brokerage, session, frame)
                    answers_reference.say_depths(self.brokerage, session)
                    answers_auction.say_auctions(self.brokerage, session)
        self._deliver(messages, account_due=self._account_due(self.brokerage.at))
        left = len(self.brokerage.tape.frames) - self.brokerage.cursor
        return Stepped(self.brokerage.at, advanced, left == 0, left)

    def _interrupt(self, before: int, at: int) -> None:
        """What the schedule has for the time that has just passed."""
        for scenario in self.interruptions.scenarios:
            when = scenario.last(before, at)
            if when is None:
                continue
            self.interruptions.begin(scenario, when)
            for session in self.sessions:
                if scenario.what == "reset":
                    set_link(session, up=False, lost=False)
                else:
                    session.cut = Cut("fin", 0)
        if self.interruptions.over(at):
            for session in self.sessions:
                set_link(session, up=True, lost=False)

    def _account_due(self, at: int) -> bool:
        """Whether account values are due by the clock: every three minutes, as the documentation says."""
        due = at - self._account_told_at >= ACCOUNT_EVERY_NS
        if due:
            self._account_told_at = at
        return due

    def _finished_window(self, at: int) -> int | None:
        """The start of the five-second window that the clock, now at `at`, has left since it had data."""
        window = self._window
        if window is None or at < window + answers_data.REALTIME_BAR_NS:
            return None
        self._window = None
        return window

    # durability and delivery

    def commit(self) -> None:
        """Everything that changed is durable when this returns; see `Journal`."""
        if self._written and self._journal is not None:
            self._journal.commit(disk=self._ordered)
        self._written = self._ordered = False

    def _apply(self, command: Command) -> list[Outgoing]:
        messages = self.brokerage.apply(command)
        if self._journal is not None:
            self._journal.append(command)  # after it is known to work: a bug must not poison the next start
        self._written = True
        self._ordered = self._ordered or bool(messages) or not isinstance(command, Step)
        return messages

    def route(self, command: Command) -> None:
        """Carry out a command and tell everyone concerned."""
        self._deliver(self._apply(command), account_due=False)

    def _deliver(self, messages: list[Outgoing], *, account_due: bool) -> None:
        """Queue each message for its owner, if connected, and tell subscribers what else has changed."""
        owners = {session.client_id: session for session in self.sessions}
        for message in messages:
            owner = owners.get(message.client_id)
            if owner is not None:
                owner.say(message.message, **message.values)
        traded = any(message.message == "execDetails" for message in messages)
        for session in self.sessions:
            answers_account.say_changes(self.brokerage, session, whole=traded or account_due)


def _message(number: str) -> Message | None:
    return REQUESTS.get(int(number)) if number.isascii() and number.isdecimal() and len(number) < 6 else None


def _decoded(message: Message, fields: list[str], version: int) -> Values:
    values = message.decode(fields[1:], version)
    if values.get("reqId", 0) is None:
        raise GatewayProtocol(f"{message.name} without a request id")
    return values
