"""A log as a year of trading would leave it, from a seed: prices, signals, orders, refusals, fills, risk."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

from risk_figures import measured

from firm.config import load_settings
from firm.domain.instrument import Instrument
from firm.domain.order import OrderType, Side, TimeInForce
from firm.domain.position import ZERO, Position
from firm.events import INPUT_AUTHORS, Event, Origin, Record, encode
from firm.events import orders as o
from firm.events.risk import BookMarked, PositionChanged, RiskRunCompleted, RiskRunFailed
from firm.events.scheduled import Occasion, ScheduledTick
from firm.events.signals import BarrierClosed, Signal, View
from firm.events.system import (
    BrokerConnected,
    CycleKind,
    CycleOpened,
    InstrumentsResolved,
    OperatorHaltRequested,
    Reconciled,
    RunStarted,
    ShutdownRequested,
    TradingHalted,
    TradingRearmed,
)

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400 * 10**9
FIRST_CLOSE = 1_704_229_200 * 10**9  # 2024-01-02 21:00 UTC, a Tuesday
SYMBOLS = [
    *("AAPL", "AMD", "AMZN", "BAC", "CVX", "DIS", "GOOG", "IBM", "JNJ", "JPM"),
    *("KO", "LLY", "META", "MRK", "MSFT", "NVDA", "PEP", "PFE", "WMT", "XOM"),
]
CASH = Decimal(1_000_000)


def instruments(symbols: list[str]) -> tuple[Instrument, ...]:
    cent, one = Decimal("0.01"), Decimal(1)
    return tuple(
        Instrument(i, symbol, 1000 + i, "STK", "SMART", "USD", one, cent, one)
        for i, symbol in enumerate(symbols)
    )


class Logbook:
    """Numbers and stamps what is said, as the bus does."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.at = 0
        self.cycles = 0

    def say(self, event: Event, author: str | None = None, cause: int = 0) -> int:
        by = INPUT_AUTHORS.get(type(event))
        origin = Origin.DERIVED if by is None else Origin.INPUT
        seq = len(self.records) + 1
        self.records.append(
            Record(seq, self.at, origin, author or by or "agent", cause, 0, event.KIND, encode(event))
        )
        return seq

    def cycle(self, at: int, kind: CycleKind = CycleKind.REACTION) -> int:
        self.at, self.cycles = at, self.cycles + 1
        return self.say(CycleOpened(self.cycles, kind, 1))

    def open(self, symbols: list[str] | None = None, label: str = "synthetic daily bars, seed 7") -> None:
        """Start a run and connect, as of one hour before the first close."""
        config = load_settings(ROOT / "config" / "paper.yaml").logged()
        self.say(RunStarted(1, "0.1.0", config, "f" * 64, label))
        self.cycle(FIRST_CLOSE - 3600 * 10**9)
        self.say(InstrumentsResolved(instruments(SYMBOLS if symbols is None else symbols)))
        self.say(BrokerConnected("DU0000001", CASH))
        self.say(Reconciled((), CASH, ()))


@dataclass
class Trader:
    """Trades every day towards random targets, with the controls of the firm refusing some of it."""

    random: Random
    log: Logbook
    orders_a_day: int = 3

    def __post_init__(self) -> None:
        n = len(SYMBOLS)
        self.prices = [Decimal(str(round(self.random.uniform(40, 320), 2))) for _ in range(n)]
        self.positions = [Position() for _ in range(n)]
        self.cash, self.fees, self.execs = CASH, ZERO, 0

    def move_prices(self) -> None:
        common = self.random.gauss(0.0004, 0.008)
        for i, price in enumerate(self.prices):
            tail = self.random.gauss(0, 0.012) * (2.5 if self.random.random() < 0.03 else 1)
            moved = float(price) * (1 + common * (0.6 + i / 20) + tail)
            self.prices[i] = Decimal(str(round(max(moved, 5), 2)))

    def mark(self) -> BookMarked:
        values = [p.quantity * price for p, price in zip(self.positions, self.prices, strict=True)]
        gains = [(x - p.average_price) * p.quantity for p, x in zip(self.positions, self.prices, strict=True)]
        net = sum(values, start=ZERO)
        return BookMarked(
            self.cash,
            self.cash + net,
            sum((abs(v) for v in values), start=ZERO),
            net,
            sum((p.realized_pnl for p in self.positions), start=ZERO),
            sum(gains, start=ZERO),
            self.fees,
            tuple(p.quantity for p in self.positions),
            tuple(self.prices),
        )

    def decide(self, at: int) -> list[tuple[int, o.Child]]:
        """One decision cycle; the children to be filled the next day."""
        log, chance = self.log, self.random
        log.cycle(at, CycleKind.DECISION)
        tick = log.say(ScheduledTick(Occasion.DECIDE))
        mark = self.mark()
        log.say(mark, "bookkeeper", tick)
        for i in range(len(SYMBOLS)):
            view = View(i, chance.choice((-1, 1)), round(chance.random(), 3))
            log.say(Signal("momentum", SYMBOLS[i], (view,), 21, ""), "momentum", tick)
        log.say(Signal("stat_arb", "KO/PEP", (), 10, "not cointegrated"), "stat_arb", tick)
        var = float(mark.gross_exposure) * 0.0082 + 200
        if chance.random() < 0.01:
            log.say(RiskRunFailed(tick, "no answer within 5000 ms"))
        else:
            log.say(RiskRunCompleted(tick, 98_304, var, var * 1.31, var * 2.4, (("crash 1987", var * 6),)))
        missing = (("momentum", SYMBOLS[chance.randrange(20)]),) if chance.random() < 0.04 else ()
        log.say(BarrierClosed(21, 21 - len(missing), missing))
        noise = chance.uniform(0.94, 1.06)
        figures = (var * noise, var * 1.25 * noise, var * 0.9, var * 1.03, var, var * 1.31)
        log.say(measured(*figures), "risk", tick)
        return [child for _ in range(self.orders_a_day) if (child := self.propose(mark)) is not None]

    def propose(self, mark: BookMarked) -> tuple[int, o.Child] | None:
        log, chance = self.log, self.random
        i = chance.randrange(len(SYMBOLS))
        held = mark.quantities[i] * mark.prices[i]
        target = Decimal(chance.choice((-1, 1, 1))) * mark.equity * Decimal("0.08")
        quantity = Decimal(int(abs(target - held) / self.prices[i] / (1 + self.orders_a_day // 10))) + 1
        side = Side.BUY if target > held else Side.SELL
        seq = log.say(o.OrderProposed(o.Proposed(i, side, quantity, self.prices[i]), "towards target"), "cio")
        if chance.random() < 0.07:
            reason = "leverage would be 1.53, the limit is 1.5"
            log.say(o.RiskRefused(seq, "max_leverage", reason), "risk", seq)
            return None
        log.say(o.OrderApproved(seq, o.Approved(i, side, quantity, self.prices[i])), "risk", seq)
        if SYMBOLS[i] == "XOM":
            refused = o.ComplianceRefused(seq, "restricted_list", "XOM: insider list <2022-03>")
            log.say(refused, "compliance", seq)
            return None
        low, high = self.prices[i] * Decimal("0.97"), self.prices[i] * Decimal("1.03")
        cleared = o.Cleared(i, side, quantity, self.prices[i], low, high, log.at + 5 * DAY)
        log.say(o.OrderCleared(seq, cleared), "compliance", seq)
        limit = self.prices[i]
        child = o.Child(i, 1000 + i, side, quantity, OrderType.LIMIT, limit, TimeInForce.DAY)
        return log.say(o.OrderSubmitted(seq, "twap", child), "execution", seq), child

    def fill(self, at: int, child_seq: int, parent: int, child: o.Child) -> None:
        log, chance, i = self.log, self.random, child.instrument
        log.cycle(at)
        log.say(o.OrderAccepted(child_seq, 70_000 + child_seq))
        if chance.random() < 0.02:
            log.say(o.BrokerRejected(child_seq, 201, "Order rejected - reason: margin"))
            log.say(o.OrderDone(parent, ZERO, "rejected by the broker"), "execution")
            return
        price = (self.prices[i] * Decimal(str(1 + child.side.sign * chance.gauss(0.0003, 0.002)))).quantize(
            Decimal("0.01")
        )
        self.execs += 1
        exec_id = f"0000e1a7.{self.execs:08d}.01"
        log.say(o.OrderFilled(child_seq, exec_id, 1, i, child.side, child.quantity, price, "NASDAQ"))
        fee = max(Decimal("0.35"), child.quantity * Decimal("0.0035"))
        log.say(o.CommissionReported(exec_id, fee))
        signed = child.quantity * child.side.sign
        self.positions[i] = p = self.positions[i].filled(signed, price, Decimal(1))
        self.cash -= signed * price + fee
        self.fees += fee
        log.say(PositionChanged(i, p.quantity, p.average_price, p.realized_pnl, self.cash), "bookkeeper")
        log.say(o.OrderDone(parent, child.quantity, "filled"), "execution")


def year(seed: int = 7, days: int = 250, orders_a_day: int = 3, halt: bool = False) -> list[Record]:
    """`days` weekdays of trading; with `halt` the operator halts once and re-arms, and halts at the end."""
    log = Logbook()
    log.open()
    trader = Trader(Random(seed), log, orders_a_day)
    close, done, working = FIRST_CLOSE, 0, []
    while done < days:
        if (close // DAY + 3) % 7 < 5:
            trader.move_prices()
            for n, (child_seq, child, parent) in enumerate(working):
                trader.fill(close - 6 * 3600 * 10**9 + n * 10**9, child_seq, parent, child)
            children = trader.decide(close)
            working = [(seq, child, log.records[seq - 1].cause) for seq, child in children]
            done += 1
            if halt and done == days // 2:
                _halt(log, close + 10**9, "operator: drill")
                log.cycle(close + 2 * 10**9)
                log.say(TradingRearmed("Ann Lee", "drill over"), "bus")
        close += DAY
    log.cycle(log.at + 60 * 10**9)
    held = tuple((i, p.quantity) for i, p in enumerate(trader.positions) if p.quantity)
    log.say(Reconciled(held, trader.cash, ()))
    if halt:
        _halt(log, log.at + 10**9, "risk: drawdown 0.2013 is beyond 0.20 <limit>")
    log.say(ShutdownRequested("end of data"))
    return log.records


def _halt(log: Logbook, at: int, reason: str) -> None:
    log.cycle(at)
    cause = log.say(OperatorHaltRequested(reason))
    log.say(TradingHalted(reason), "bus", cause)
