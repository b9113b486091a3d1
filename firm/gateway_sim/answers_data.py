"""Answers to requests for contracts and market data, and the ticks and bars that follow each frame. Pure."""

import math
from decimal import Decimal
from typing import Any

from firm.domain.instrument import Instrument
from firm.domain.order import Side
from firm.domain.session import NS_PER_MS, NS_PER_SECOND
from firm.gateway_sim.answers_options import option_data, option_details
from firm.gateway_sim.bar_requests import Window, bar_values, bars_for
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.catalogue import NO_DEFINITION, fill_venue
from firm.gateway_sim.codec.kinds import plain, shares
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.contracts import LETTERS
from firm.gateway_sim.history import Bar, intraday_bars
from firm.gateway_sim.lines import EVERY_TICK, HISTORY, MARKET_DATA, beyond
from firm.gateway_sim.rights import DELAYED_TICK, SHOWING_DELAYED, is_delayed, is_mute, refusal
from firm.gateway_sim.session import BarRequest, Session, TickByTick, TickRequest
from firm.gateway_sim.times import execution_time, local_date
from firm.tape.tape import Frame

BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE = range(6)
HIGH, LOW, VOLUME, CLOSE, OPEN = 6, 7, 8, 9, 14
LAST_TIMESTAMP, RT_VOLUME = 45, 48
HALTED, BID_EXCHANGE, ASK_EXCHANGE = 49, 32, 33
REALTIME_BAR_NS = 5 * NS_PER_SECOND
BARS_MAX = 100_000  # a message has at most 16 MiB, a bar at most 150 bytes
BBO_EXCHANGE, SNAPSHOT_PERMISSIONS = "9c0001", 3


def contract_details(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """The one contract that fits, or error 200."""
    instrument = brokerage.catalogue.find(asked)
    if instrument is None:
        return option_details(brokerage, session, asked)
    details = brokerage.catalogue.details(instrument, brokerage.at)
    session.say("contractDetails", reqId=asked["reqId"], **details)
    if not asked["conId"] and session.faults.on("ambiguous", session.client_id, instrument.symbol):
        other = {"conId": instrument.con_id + 1, "primaryExchange": "ARCA", "tradingClass": instrument.symbol}
        session.say("contractDetails", reqId=asked["reqId"], **{**details, **other})
    return session.say("contractDetailsEnd", reqId=asked["reqId"])


def matching_symbols(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Contracts whose symbol begins with the pattern."""
    samples = [
        {
            "conId": i.con_id,
            "symbol": i.symbol,
            "secType": i.sec_type,
            "primaryExchange": i.venue,
            "currency": i.currency,
            "derivativeSecTypes": [],
            "description": i.symbol,
        }
        for i in brokerage.catalogue.matching(asked["pattern"])
    ]
    session.say("symbolSamples", reqId=asked["reqId"], samples=samples)


def market_rule(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """A price grid: an increment for each band of prices."""
    rules = {rule.number: rule for rule in brokerage.catalogue.rules}
    rule = rules.get(asked["ruleId"])
    if rule is None:
        return session.error(-1, 321, f"Error validating request: unknown market rule {asked['ruleId']}")
    increments = [{"lowEdge": float(low), "increment": float(step)} for low, step in rule.bands]
    return session.say("marketRule", ruleId=rule.number, increments=increments)


def market_data(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Subscribe, and say what is known now; a snapshot ends there."""
    req_id = asked["reqId"]
    traded = brokerage.catalogue.find(asked)
    if traded is None:
        found = brokerage.chains.find(asked, local_date(brokerage.at))
        if len(found) == 1:
            return option_data(brokerage, session, asked, found[0])
        return session.error(req_id, 200, NO_DEFINITION)
    instrument = brokerage.catalogue.shown_at(traded, asked["exchange"])
    if (refused := refusal(session, instrument)) is not None:
        return session.error(req_id, *refused)
    if not asked["snapshot"] and (refused := beyond(MARKET_DATA, session.lines, req_id)) is not None:
        return session.error(req_id, *refused)
    delayed = is_delayed(session, instrument)
    session.forget(req_id)
    session.say(
        "tickReqParams",
        reqId=req_id,
        minTick=float(instrument.tick_size),
        bboExchange=BBO_EXCHANGE,
        snapshotPermissions=SNAPSHOT_PERMISSIONS,
    )
    if delayed:
        session.error(req_id, 10167, SHOWING_DELAYED)
    session.say("marketDataType", reqId=req_id, type=3 if delayed else 1)
    generic = {part.strip() for part in asked["genericTicks"].split(",")}
    request = TickRequest(
        req_id,
        traded,
        instrument,
        rt_volume=bool(generic & {"233", "375"}),
        delayed=delayed,
        news="292" in generic,
        auction="225" in generic,
    )
    _say_known(brokerage, session, request)
    _say_venues(brokerage, session, request)
    if traded.index in brokerage.exchange.book.halted:
        session.say("tickGeneric", reqId=req_id, tickType=HALTED, value=1.0)
    if asked["snapshot"]:
        session.forget(req_id)
        return session.say("tickSnapshotEnd", reqId=req_id)
    session.ticks[req_id] = request
    return None


def _say_known(brokerage: Brokerage, session: Session, request: TickRequest) -> None:
    board, i = brokerage.board, request.instrument.index
    for tick, prices, sizes in (
        (BID, board.bid, board.bid_size),
        (ASK, board.ask, board.ask_size),
        (LAST, board.last, board.last_size),
    ):
        if math.isfinite(prices[i]):
            say_price(session, request, tick, float(prices[i]), float(sizes[i]))
    if math.isfinite(board.last[i]):
        say_size(session, request, VOLUME, shares(float(board.volume[i]), session.version))
    for tick, prices in ((HIGH, board.high), (LOW, board.low), (CLOSE, board.close), (OPEN, board.open)):
        if math.isfinite(prices[i]):
            say_price(session, request, tick, float(prices[i]), 0.0)


def say_price(session: Session, request: TickRequest, tick: int, price: float, size: float) -> None:
    """A price with its size; delayed data has tick types of its own."""
    kind = DELAYED_TICK[tick] if request.delayed else tick
    volume = shares(size, session.version)
    session.say("tickPrice", reqId=request.req_id, tickType=kind, price=price, size=volume)


def say_size(session: Session, request: TickRequest, tick: int, size: Decimal) -> None:
    """A size alone."""
    kind = DELAYED_TICK[tick] if request.delayed else tick
    session.say("tickSize", reqId=request.req_id, tickType=kind, size=size)


def tick_by_tick(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Subscribe to every quote or every print."""
    traded = brokerage.catalogue.find(asked)
    if traded is None:
        return session.error(asked["reqId"], 200, NO_DEFINITION)
    if asked["tickType"] not in {"Last", "AllLast", "BidAsk", "MidPoint"}:
        return session.error(asked["reqId"], 321, f"Error validating request: tick type {asked['tickType']}")
    if (refused := beyond(EVERY_TICK, session.tick_by_tick, asked["reqId"])) is not None:
        return session.error(asked["reqId"], *refused)
    instrument = brokerage.catalogue.shown_at(traded, asked["exchange"])
    session.tick_by_tick[asked["reqId"]] = TickByTick(asked["reqId"], instrument, asked["tickType"])
    return None


def historical(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Bars up to now, and later ones if they are to be kept up to date; 162 for what cannot be served."""
    req_id = asked["reqId"]
    instrument = brokerage.catalogue.find(asked)
    if instrument is None:
        return session.error(req_id, 200, NO_DEFINITION)
    if (refused := beyond(HISTORY, session.growing_bars, req_id)) is not None:
        return session.error(req_id, *refused)
    try:
        bars, window = _history(brokerage, session, instrument, asked)
    except ValueError as reason:
        return session.error(req_id, 162, f"Historical Market Data Service error message:{reason}")
    session.say(
        "historicalData",
        reqId=req_id,
        start=execution_time(window.start, session.version),
        end=execution_time(window.end, session.version),
        bars=[bar_values(bar, asked) for bar in bars],
    )
    if asked["keepUpToDate"]:
        session.growing_bars[req_id] = BarRequest(req_id, instrument, asked)
    return None


def _history(
    brokerage: Brokerage, session: Session, instrument: Instrument, asked: Values
) -> tuple[list[Bar], Window]:
    """The bars and their window; ValueError says why there are none."""
    if session.faults.on("history farm", session.client_id):
        raise ValueError("HMDS server disconnect occurred.")
    if session.faults.on("pace", session.client_id):
        request = tuple(str(value) for name, value in asked.items() if name != "reqId")
        if broken := session.pace.violation(session.heard_at, instrument.index, request):
            raise ValueError(f"Historical data request pacing violation: {broken}")
    bars, window = bars_for(brokerage, instrument, asked)
    if len(bars) > BARS_MAX:
        raise ValueError(f"{len(bars)} bars are more than fit into an answer ({BARS_MAX}); ask for fewer.")
    if not bars:
        raise ValueError(
            f"HMDS query returned no data: {instrument.symbol}@SMART {asked['whatToShow'].title()}"
        )
    return bars, window


def head_timestamp(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """When the oldest known price is from."""
    instrument = brokerage.catalogue.find(asked)
    if instrument is None:
        return session.error(asked["reqId"], 200, NO_DEFINITION)
    seen = brokerage.memory.observed(instrument.index, "TRADES", brokerage.tape.bar_ns)
    if not len(seen.times):
        return session.error(
            asked["reqId"], 162, "Historical Market Data Service error message:No head time stamp"
        )
    first = int(seen.times[0]) + 1
    text = str(first // NS_PER_SECOND) if asked["formatDate"] == 2 else execution_time(first, 157)
    return session.say("headTimestamp", reqId=asked["reqId"], time=text)


def realtime_bars(brokerage: Brokerage, session: Session, asked: Values) -> None:
    """Subscribe to five-second bars."""
    instrument = brokerage.catalogue.find(asked)
    if instrument is None:
        return session.error(asked["reqId"], 200, NO_DEFINITION)
    if asked["whatToShow"] not in {"TRADES", "MIDPOINT", "BID", "ASK"}:
        return session.error(asked["reqId"], 321, f"Error validating request: no {asked['whatToShow']} bars")
    if (refused := beyond(MARKET_DATA, session.lines, asked["reqId"])) is not None:
        return session.error(asked["reqId"], *refused)
    session.live_bars[asked["reqId"]] = BarRequest(asked["reqId"], instrument, asked)
    return None


def say_frame(brokerage: Brokerage, session: Session, frame: Frame) -> None:
    """Ticks of one frame, and the bars it made grow."""
    if is_mute(session):
        return
    for request in session.ticks.values():
        _say_ticks(brokerage, session, request, frame)
    for subscription in session.tick_by_tick.values():
        _say_every_tick(session, subscription, frame)
    if session.growing_bars:
        touched = {*frame.quotes["instrument"].tolist(), *frame.prints["instrument"].tolist()}
        for growing in session.growing_bars.values():
            if growing.instrument.index in touched:
                _say_growing(brokerage, session, growing)


def say_halt(session: Session, instrument: int, *, on: bool) -> None:
    """Tick 49: trading has stopped (1), or goes on (0)."""
    for request in session.ticks.values():
        if request.traded.index == instrument:
            session.say("tickGeneric", reqId=request.req_id, tickType=HALTED, value=float(on))


def _say_venues(brokerage: Brokerage, session: Session, request: TickRequest) -> None:
    """Ticks 32 and 33: the letters of the venues at the best bid and offer, when they have changed."""
    i, book = request.instrument.index, brokerage.exchange.book
    venues = brokerage.catalogue.venues.get(i)
    if venues is None:
        return
    letters = []
    for tick, side in ((BID_EXCHANGE, Side.SELL), (ASK_EXCHANGE, Side.BUY)):
        best = book.touch(i, side)
        there = [best is not None and book.at_venue(i, side, v.name)[0] == best for v in venues]
        letters.append((tick, "".join(LETTERS[n] for n, is_there in enumerate(there) if is_there)))
    for tick, text in session.news("venues", request.req_id, letters):
        session.say("tickString", reqId=request.req_id, tickType=tick, value=text)


def _say_ticks(brokerage: Brokerage, session: Session, request: TickRequest, frame: Frame) -> None:
    i, req_id = request.instrument.index, request.req_id
    for _, bid, ask, bid_size, ask_size in frame.quotes[frame.quotes["instrument"] == i].tolist():
        say_price(session, request, BID, bid, bid_size)
        say_price(session, request, ASK, ask, ask_size)
        _say_venues(brokerage, session, request)
    for _, price, size in frame.prints[frame.prints["instrument"] == i].tolist():
        board = brokerage.board
        volume, traded = (shares(float(n), session.version) for n in (board.volume[i], size))
        stamp = DELAYED_TICK[LAST_TIMESTAMP] if request.delayed else LAST_TIMESTAMP
        session.say("tickString", reqId=req_id, tickType=stamp, value=str(frame.at // NS_PER_SECOND))
        say_price(session, request, LAST, price, size)
        say_size(session, request, VOLUME, volume)
        if request.rt_volume:
            average = board.value[i] / board.volume[i] if board.volume[i] else price
            text = f"{price};{plain(traded)};{frame.at // NS_PER_MS};{plain(volume)};{average:.6f};true"
            session.say("tickString", reqId=req_id, tickType=RT_VOLUME, value=text)


def _say_every_tick(session: Session, request: TickByTick, frame: Frame) -> None:
    i, version = request.instrument.index, session.version
    common: dict[str, Any] = {"reqId": request.req_id, "time": frame.at // NS_PER_SECOND}
    if request.kind in {"Last", "AllLast"}:
        for _, price, size in frame.prints[frame.prints["instrument"] == i].tolist():
            kind = 1 if request.kind == "Last" else 2
            traded = shares(size, version)
            session.say(
                "tickByTickLast",
                **common,
                type=kind,
                price=price,
                size=traded,
                exchange=fill_venue(request.instrument, ""),
            )
        return
    for _, bid, ask, bid_size, ask_size in frame.quotes[frame.quotes["instrument"] == i].tolist():
        if request.kind == "BidAsk":
            sizes = {"bidSize": shares(bid_size, version), "askSize": shares(ask_size, version)}
            session.say("tickByTickBidAsk", **common, bid=bid, ask=ask, **sizes)
        else:
            session.say("tickByTickMidPoint", **common, mid=round((bid + ask) / 2, 6))


def _say_growing(brokerage: Brokerage, session: Session, growing: BarRequest) -> None:
    bars, _ = bars_for(brokerage, growing.instrument, {**growing.asked, "endDateTime": "", "duration": "1 D"})
    if bars:
        session.say("historicalDataUpdate", reqId=growing.req_id, **bar_values(bars[-1], growing.asked))


def say_realtime_bars(brokerage: Brokerage, session: Session, window: int) -> None:
    """The five-second bar that began at `window` (ns UTC) and is over now."""
    for request in session.live_bars.values():
        what = request.asked["whatToShow"]
        seen = brokerage.memory.observed(request.instrument.index, what, REALTIME_BAR_NS)
        for bar in intraday_bars(seen, window, window + REALTIME_BAR_NS, REALTIME_BAR_NS):
            session.say(
                "realtimeBar",
                reqId=request.req_id,
                time=bar.start // NS_PER_SECOND,
                open=bar.open,
                high=bar.high,
                low=bar.low,
                close=bar.close,
                volume=shares(bar.volume, session.version),
                wap=bar.average,
                count=bar.trades,
            )
