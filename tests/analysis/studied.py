"""A log with one measured book of shares and options, as Risk would leave it."""

from decimal import Decimal

import numpy as np
import whole_firm

from firm.agents.risk import Risk
from firm.config import Settings
from firm.domain.instrument import Instrument
from firm.events import CODEC, INPUT_AUTHORS, Event, Origin, Record, encode
from firm.events.broker import AccountReported
from firm.events.market import QUOTE, HistoryLoaded, market_data
from firm.events.risk import BookMarked
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.system import InstrumentsResolved, RunStarted
from firm.risk.cube import KeptCubes
from firm.store.memory import MemoryStore

DAY = 86_400 * 10**9
NOW = 1_671_224_400 * 10**9  # 2022-12-16 21:00 UTC
D = Decimal


def settings(*overrides: str) -> Settings:
    """The paper configuration, quick."""
    few = ("risk.var.history_bars=300", "risk.var.min_history_bars=250", *overrides)
    return whole_firm.settings(*whole_firm.QUICK, *few)


def shares(*symbols: str) -> tuple[Instrument, ...]:
    """US shares on the cent grid."""
    return tuple(
        Instrument(i, symbol, 1000 + i, "STK", "SMART", "USD", D(1), D("0.01"), D(1))
        for i, symbol in enumerate(symbols)
    )


def put(index: int, underlying: int, strike: str) -> Instrument:
    """A put for 100 shares, half a year to go."""
    terms = ("OPT", "CBOE", "USD", D(100), D("0.01"), D(1), "20230616", underlying, D(strike), "P")
    return Instrument(index, f"PUT{strike}", 1000 + index, *terms)


class Log:
    """Writes what is said, and lets Risk answer."""

    def __init__(self, config: Settings, instruments: tuple[Instrument, ...]) -> None:
        self.store = MemoryStore()
        self.instruments = instruments
        self._risk = Risk(config.risk, config.universe.reference, KeptCubes())
        self.say(0, RunStarted(1, "test", config.logged(), "no fingerprint", "made up"))
        self.say(NOW - DAY, InstrumentsResolved(instruments))

    def say(self, at: int, event: Event) -> None:
        """One entry, and what Risk says to it."""
        author = INPUT_AUTHORS.get(type(event), "bookkeeper")
        origin = Origin.INPUT if type(event) in INPUT_AUTHORS else Origin.DERIVED
        seq = self.store.last_seq + 1
        record = Record(seq, at, origin, author, 0, 0, event.KIND, encode(event))
        self.store.commit([record])
        if not isinstance(event, RunStarted):
            for answer in self._risk.handle(CODEC.entry(record)):
                self._answer(at, seq, answer)

    def _answer(self, at: int, cause: int, answer: Event) -> None:
        seq = self.store.last_seq + 1
        record = Record(seq, at, Origin.DERIVED, "risk", cause, 0, answer.KIND, encode(answer))
        self.store.commit([record])

    def history(self, last: list[float], bars: int = 300, seed: int = 7) -> None:
        """Closes that move by about 1 % a bar together and end at `last`; NaN: none."""
        steps = np.random.default_rng(seed).standard_t(5, (bars, len(last))) * 0.008
        steps[:, 1:] += 0.5 * steps[:, :1]
        paths = np.cumsum(steps, axis=0)
        closes = np.array(last) * np.exp(paths - paths[-1])
        times = tuple(NOW - (bars - i) * DAY for i in range(bars))
        self.say(NOW - DAY, HistoryLoaded(times, len(last), closes.tobytes()))

    def decide(self, prices: list[float], quantities: list[int], at: int = NOW, margin: bool = True) -> None:
        """One decision: quotes 2 cents apart, a tick, the account, and the marked book."""
        rows = [(i, price - 0.01, price + 0.01, 100, 100) for i, price in enumerate(prices)]
        self.say(at, market_data(np.array(rows, QUOTE)))
        if margin:
            figures = (D(0), D(1_000_000), D(250_000), D(200_000), D(800_000))
            self.say(at, AccountReported("DU1", *figures))
        self.say(at, ScheduledTick(Occasion.DECIDE))
        self.say(at, mark(self.instruments, prices, quantities))


def mark(instruments: tuple[Instrument, ...], prices: list[float], quantities: list[int]) -> BookMarked:
    """The book at these prices, a million of equity."""
    exact = [D(str(price)) for price in prices]
    values = [q * p * i.multiplier for q, p, i in zip(quantities, exact, instruments, strict=True)]
    net, gross = sum(values, D(0)), sum(map(abs, values), D(0))
    zero, equity = D(0), D(1_000_000)
    held = tuple(D(quantity) for quantity in quantities)
    return BookMarked(equity - net, equity, gross, net, zero, zero, zero, held, tuple(exact))


def log_with_options(*overrides: str) -> Log:
    """Long AAPL, short JPM, and puts sold on AAPL."""
    log = Log(settings(*overrides), (*shares("AAPL", "JPM", "XOM"), put(3, 0, "120")))
    log.history([130.0, 90.0, 60.0, float("nan")])
    log.decide([130.0, 90.0, 60.0, 7.5], [500, -400, 0, -10])
    return log
