"""Who may see which market data: entitlements, competing sessions, broken farms. Pure."""

from firm.domain.instrument import Instrument
from firm.gateway_sim.session import Session

DELAYED_TYPES = frozenset({3, 4})
DELAYED_TICK = {1: 66, 2: 67, 4: 68, 0: 69, 3: 70, 5: 71, 6: 72, 7: 73, 8: 74, 9: 75, 14: 76, 45: 88}
NOT_SUBSCRIBED = "Requested market data is not subscribed."
ONLY_DELAYED = (
    "Requested market data requires additional subscription for API. Delayed market data is available."
)
SHOWING_DELAYED = "Requested market data is not subscribed. Displaying delayed market data."
COMPETING = "No market data during competing live session"


def refusal(session: Session, instrument: Instrument) -> tuple[int, str] | None:
    """Why this session may not see the instrument's ticks; None if it may (perhaps delayed)."""
    level = session.faults.entitlements.get(instrument.symbol, "live")
    if session.faults.on("compete", session.client_id):
        return 10197, COMPETING
    if level == "none":
        return 354, NOT_SUBSCRIBED
    if level == "delayed" and session.market_data_type not in DELAYED_TYPES:
        return 10089, ONLY_DELAYED
    return None


def is_delayed(session: Session, instrument: Instrument) -> bool:
    """Whether it sees the instrument as delayed data only."""
    return session.faults.entitlements.get(instrument.symbol, "live") == "delayed"


def is_mute(session: Session) -> bool:
    """Whether no ticks reach the session at all: its farm is away, or another session has them."""
    faults, who = session.faults, session.client_id
    return faults.on("market farm", who) or faults.on("compete", who)


def entitle(session: Session, symbol: str) -> None:
    """Tell a session what a changed entitlement does to its subscriptions; those it may not see end."""
    for req_id, request in list(session.ticks.items()):
        if request.instrument.symbol != symbol:
            continue
        refused = refusal(session, request.instrument)
        if refused is not None:
            session.error(req_id, *refused)
            del session.ticks[req_id]
            continue
        delayed = is_delayed(session, request.instrument)
        if delayed:
            session.error(req_id, 10167, SHOWING_DELAYED)
        session.say("marketDataType", reqId=req_id, type=3 if delayed else 1)
        session.ticks[req_id] = request._replace(delayed=delayed)
