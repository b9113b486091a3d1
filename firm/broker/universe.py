"""Which contracts the firm trades, as the broker knows them, and the closes before the run began."""

import asyncio
import math
from collections.abc import Awaitable, Sequence
from datetime import UTC, date, datetime
from datetime import time as clock_time
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from ib_async import Contract
from ib_async.wrapper import RequestError

from firm.broker.connection import Connection, contract_of
from firm.broker.contracts import ContractFacts
from firm.broker.messages import exact
from firm.broker.pacer import Priority
from firm.broker.recorder import RecordingIB
from firm.domain.instrument import Instrument
from firm.domain.session import NS_PER_SECOND
from firm.errors import ConfigError, DataError, GatewayError, UnknownInstrument
from firm.events.market import HistoryLoaded
from firm.tape.calendar import NEW_YORK, NS_PER_DAY, nyse_schedule

AT_ONCE = 20
NO_HISTORY = 162
WHOLE_SHARE = Decimal(1)
DAY_BAR = "1 day"
BAR_S = {
    "1 min": 60,
    "2 mins": 120,
    "3 mins": 180,
    "5 mins": 300,
    "10 mins": 600,
    "15 mins": 900,
    "20 mins": 1200,
    "30 mins": 1800,
    "1 hour": 3600,
}
SESSION_S = 23_400
REGULAR_CLOSE = clock_time(16)
DAYS_A_YEAR, SESSIONS_A_YEAR = 365, 250


async def resolve(connection: Connection, symbols: Sequence[str]) -> tuple[Instrument, ...]:
    """Look up US stocks by symbol; UnknownInstrument if there is none, or more than one, of that name.

    The tick is the coarsest of the contract's price bands, so that it is valid at every price; the lot is the
    size increment, but at least one share, since the API takes no fractions.
    """
    found = [await _one(connection, symbol) for symbol in symbols]
    ticks: dict[int, Decimal] = {}
    instruments = []
    for index, details in enumerate(found):
        contract = details.contract
        rule = _rule_of(details)
        if rule is not None and rule not in ticks:
            ticks[rule] = await _coarsest(connection, rule)
        tick = exact(details.minTick) if rule is None else ticks[rule]
        instruments.append(
            Instrument(
                index=index,
                symbol=contract.symbol,
                con_id=contract.conId,
                sec_type=contract.secType,
                venue=contract.primaryExchange or contract.exchange,
                currency=contract.currency,
                multiplier=Decimal(contract.multiplier or 1),
                tick_size=tick,
                lot_size=max(exact(float(details.sizeIncrement)), WHOLE_SHARE),
            )
        )
    return tuple(instruments)


async def described(
    connection: Connection, instruments: Sequence[Instrument]
) -> Sequence[Sequence[ContractFacts]]:
    """What the broker says today of each instrument's conId; empty where it knows nothing."""
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def facts(instrument: Instrument) -> Sequence[ContractFacts]:
        async with turnstile:
            return await _facts(connection, instrument)

    return await asyncio.gather(*(facts(instrument) for instrument in instruments))


async def history(
    connection: Connection, instruments: Sequence[Instrument], bars: int, bar_size: str
) -> HistoryLoaded:
    """The last `bars` complete closes of all instruments, at the times that all of them have.

    `bar_size` in the broker's spelling ("1 day", "5 mins"). DataError if an instrument has none while others
    have some, or a close is not a positive number.
    """
    if bar_size not in {DAY_BAR, *BAR_S}:
        raise DataError(f"history needs a bar size of {', '.join((DAY_BAR, *BAR_S))}; found {bar_size!r}")
    now = await connection.time()
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def closes(instrument: Instrument) -> dict[int, float]:
        async with turnstile:
            return await _closes(connection, instrument, bars, bar_size, now)

    columns = await asyncio.gather(*(closes(instrument) for instrument in instruments))
    if not any(columns):
        return HistoryLoaded((), len(instruments), b"")
    common = sorted(set.intersection(*(set(column) for column in columns)))[-bars:]
    if not common:
        without = [i.symbol for i, column in zip(instruments, columns, strict=True) if not column]
        raise DataError(
            f"history needs bars that all instruments have in common, found none; without any history: "
            f"{', '.join(without) or 'nobody'}. Leave such symbols out of universe.symbols."
        )
    matrix = np.array([[column[at] for column in columns] for at in common], dtype="<f8")
    return HistoryLoaded(tuple(common), len(instruments), matrix.tobytes())


async def _facts(connection: Connection, instrument: Instrument) -> Sequence[ContractFacts]:
    by_id = Contract(conId=instrument.con_id, exchange=contract_of(instrument).exchange)
    details = await _details(connection, by_id, f"conId {instrument.con_id}")
    contracts = {d.contract.conId: d.contract for d in details}
    return [
        ContractFacts(
            con_id=c.conId,
            symbol=c.symbol,
            sec_type=c.secType,
            currency=c.currency,
            multiplier=Decimal(c.multiplier or 1),
            expiry=c.lastTradeDateOrContractMonth[:8],
        )
        for c in contracts.values()
    ]


async def _details(connection: Connection, contract: Contract, name: str) -> list[Any]:
    """All contracts that answer to this description; none if the broker knows none."""
    try:
        found: list[Any] = await connection.ask(lambda ib: ib.reqContractDetailsAsync(contract), name)
    except GatewayError as error:
        if not isinstance(error.__cause__, RequestError):
            raise
        return []
    return found


async def _one(connection: Connection, symbol: str) -> Any:
    contract = Contract(symbol=symbol, secType="STK", exchange="SMART", currency="USD")
    answers = await _details(connection, contract, f"contracts named {symbol}")
    by_con_id = {details.contract.conId: details for details in answers}
    if len(by_con_id) == 1:
        return next(iter(by_con_id.values()))
    found = ", ".join(f"conId {c} on {d.contract.primaryExchange}" for c, d in sorted(by_con_id.items()))
    raise UnknownInstrument(
        f"symbol {symbol!r} must name exactly one US stock at the broker, found {found or 'none'}. Correct "
        "or remove it in universe.symbols."
    )


def _rule_of(details: Any) -> int | None:
    """The market rule that holds for smart-routed orders."""
    rules = dict(zip(details.validExchanges.split(","), details.marketRuleIds.split(","), strict=False))
    rule = rules.get("SMART", "")
    return int(rule) if rule.isdecimal() else None


async def _coarsest(connection: Connection, rule: int) -> Decimal:
    bands = await connection.market_rule(rule)
    steps = sorted({exact(band.increment) for band in bands})
    if not steps or any(coarse % fine for fine, coarse in pairwise(steps)):
        raise DataError(
            f"market rule {rule} must have price steps of which the coarser are multiples of the finer, "
            f"found {', '.join(map(str, steps)) or 'none'}. Leave instruments with this rule out."
        )
    return steps[-1]


async def _closes(
    connection: Connection, instrument: Instrument, bars: int, bar_size: str, now: int
) -> dict[int, float]:
    """Close by the time it became known (ns UTC), without the bar that is still growing."""

    def bars_of(ib: RecordingIB) -> Awaitable[list[Any]]:
        asked: Awaitable[list[Any]] = ib.reqHistoricalDataAsync(
            contract_of(instrument),
            endDateTime="",
            durationStr=duration(bars, bar_size),
            barSizeSetting=bar_size,
            whatToShow="TRADES",
            useRTH=True,
            formatDate=2,
            timeout=0,
        )
        return asked

    if connection.paced:
        await connection.history_turn(instrument.con_id, "TRADES", f"{bars} {bar_size}")
    try:
        received = await connection.ask(bars_of, f"history of {instrument.symbol}", None, Priority.HISTORY)
    except GatewayError as error:
        if isinstance(error.__cause__, RequestError) and error.__cause__.code == NO_HISTORY:
            return {}
        raise
    known = _known_at([bar.date for bar in received], bar_size)
    closes = {at: bar.close for at, bar in zip(known, received, strict=True) if at <= now}
    for at, close in closes.items():
        if not (math.isfinite(close) and close > 0):
            raise DataError(
                f"history needs positive closes, found {close} of {instrument.symbol} at {at}. Leave it out."
            )
    return closes


def _known_at(stamps: Sequence[date | datetime], bar_size: str) -> list[int]:
    """When each bar was complete: the close of its session, or its start plus its length."""
    if not stamps:
        return []
    if bar_size != DAY_BAR:
        return [round(_utc(stamp).timestamp() + BAR_S[bar_size]) * NS_PER_SECOND for stamp in stamps]
    days = [_utc(stamp).date() for stamp in stamps]
    first, last = (round(_utc(day).timestamp()) * NS_PER_SECOND for day in (days[0], days[-1]))
    schedule = nyse_schedule(first, last + NS_PER_DAY)
    closes = {str(day): int(close) for day, close in zip(schedule.days, schedule.closes, strict=True)}
    return [closes.get(str(day), _regular_close(day)) for day in days]


def _regular_close(day: date) -> int:
    """For days that were none at the NYSE: a simulated gateway may have moved its data to other dates."""
    close = datetime.combine(day, REGULAR_CLOSE, NEW_YORK)
    return round(close.timestamp()) * NS_PER_SECOND


def _utc(stamp: date | datetime) -> datetime:
    if isinstance(stamp, datetime):
        return stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return datetime(stamp.year, stamp.month, stamp.day, tzinfo=UTC)


def bar_size_of(decide: Literal["session_close"] | int) -> str:
    """The bars of a schedule: one a day if it decides at the close, else one every `decide` milliseconds.

    >>> bar_size_of("session_close"), bar_size_of(1_800_000)
    ('1 day', '30 mins')
    """
    if decide == "session_close":
        return DAY_BAR
    sizes = {seconds * 1000: size for size, seconds in BAR_S.items()}
    if decide not in sizes:
        raise ConfigError(
            f"schedule.decide must be session_close or a length the broker has bars of, found {decide} ms. "
            f"Choose one of {', '.join(map(str, sizes))}."
        )
    return sizes[decide]


def duration(bars: int, bar_size: str) -> str:
    """The span to ask for, in the broker's spelling, with room for the bar that is still growing.

    >>> duration(20, "1 day"), duration(504, "1 day"), duration(100, "5 mins")
    ('21 D', '3 Y', '3 D')
    """
    if bar_size != DAY_BAR:
        sessions = math.ceil((bars + 1) * BAR_S[bar_size] / SESSION_S) + 1
        return f"{sessions} D" if sessions <= DAYS_A_YEAR else f"{math.ceil(sessions / SESSIONS_A_YEAR)} Y"
    return f"{bars + 1} D" if bars < DAYS_A_YEAR else f"{math.ceil((bars + 1) / SESSIONS_A_YEAR)} Y"
