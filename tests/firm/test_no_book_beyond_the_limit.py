"""Whatever the CIO proposes, no sequence of approvals makes a book beyond its VaR and ES limits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor

import msgspec
import numpy as np
import pytest
import stage
from figure_controls import CALL
from numpy.typing import NDArray
from stage import Change, StageBroker, twisted

from firm.config import Settings
from firm.domain.order import Side
from firm.events import CODEC, Event
from firm.events.orders import (
    ComplianceRefused,
    ExecutionRefused,
    OrderApproved,
    OrderDone,
    OrderFilled,
    OrderProposed,
    OrderSubmitted,
    RiskRefused,
)
from firm.events.risk import PositionChanged, RiskRunRequested
from firm.local_broker import LocalBroker
from firm.risk.cube import Scenarios, Shard
from firm.risk_kernels.montecarlo import BLOCK

Matrix = NDArray[np.float64]
VAR_MAX, ES_MAX = 18_000.0, 19_000.0
WIDE = (
    f"risk.max_portfolio_var={VAR_MAX}",
    f"risk.max_portfolio_es={ES_MAX}",
    "risk.max_position_var=1000000",
    "risk.max_position_weight=9",
    "risk.max_leverage=9",
    "risk.max_net_leverage=9",
    "risk.max_sector_weight=9",
    "risk.max_factor_loss=9",
    "risk.greeks={max_delta: 1e9, max_gamma: 1e9, max_vega: 1e9, interest_rate: 0.03}",
    "risk.stress={max_loss: 1, file: null}",
    "risk.liquidity={max_days_to_liquidate: 100, participation: 0.1}",
    "risk.margin={min_headroom: 0.01, max_age_ms: 432000000}",
    "compliance.max_order_value_usd=100000000",
    "compliance.max_order_quantity=1000000",
)
"""Nothing but VaR and ES of the book stands in the way."""
SEEDS = (1, 2, 3)


def erratic(seed: int) -> Change:
    """A CIO who turns and sizes every order by chance; the dice are the same for the same seed."""
    dice = np.random.default_rng(seed)

    def twist(event: Event) -> Event:
        if not isinstance(event, OrderProposed):
            return event
        side = Side.BUY if dice.random() < 0.5 else Side.SELL
        quantity = Decimal(max(1, round(float(event.order.quantity) * float(dice.lognormal(0.0, 1.0)))))
        return msgspec.structs.replace(
            event, order=msgspec.structs.replace(event.order, side=side, quantity=quantity)
        )

    return twisted(twist)


@dataclass
class Ledger:
    """Positions and open approvals, told from the log alone and in another way than Risk does."""

    held: dict[int, Decimal] = field(default_factory=dict)
    open: dict[int, tuple[int, Decimal]] = field(default_factory=dict)
    """By order: the instrument and the signed quantity that may still be filled."""
    parents: dict[int, int] = field(default_factory=dict)

    def note(self, seq: int, event: Event) -> None:
        match event:
            case PositionChanged(instrument=instrument, quantity=quantity):
                self.held[instrument] = quantity
            case OrderApproved(order_seq=order_seq, order=order):
                self.open[order_seq] = order.instrument, order.side.sign * order.quantity
            case OrderSubmitted(order_seq=order_seq):
                self.parents[seq] = order_seq
            case OrderFilled(child_seq=child_seq, side=side, quantity=quantity):
                self._less(self.parents[child_seq], side.sign * quantity)
            case ExecutionRefused(order_seq=order_seq, quantity=quantity) if order_seq in self.open:
                sign = 1 if self.open[order_seq][1] > 0 else -1
                self._less(order_seq, sign * quantity)
            case OrderDone(order_seq=order_seq) | ComplianceRefused(order_seq=order_seq):
                self.open.pop(order_seq, None)

    def _less(self, order_seq: int, signed: Decimal) -> None:
        if order_seq in self.open:
            instrument, left = self.open[order_seq]
            self.open[order_seq] = instrument, left - signed

    def book(self, n: int, *more: tuple[int, Decimal], approved: bool = True) -> Matrix:
        """Signed units float64[n] if everything approved (or nothing of it) and `more` fills."""
        total = [Decimal(0)] * n
        waiting = self.open.values() if approved else ()
        for instrument, quantity in [*self.held.items(), *waiting, *more]:
            total[instrument] += quantity
        return np.array([float(quantity) for quantity in total])


def measured(cube: Matrix, book: Matrix) -> tuple[float, float]:
    """VaR at 99 % and ES at 97.5 % of a full sort: L_(m+1), and the mean of the worst a (m and a part)."""
    losses = np.sort(-(book @ cube))[::-1]
    found = []
    for level in ("0.99", "0.975"):
        a = len(losses) * (1 - Fraction(level))
        m = floor(a)
        found.append((losses[m], (losses[:m].sum() + float(a - m) * losses[m]) / float(a)))
    return float(found[0][0]), float(found[1][1])


def worse(cube: Matrix, book: Matrix) -> bool:
    """Whether a book is beyond a limit, by more than rounding."""
    var, es = measured(cube, book)
    return var > VAR_MAX * (1 + 1e-9) or es > ES_MAX * (1 + 1e-9)


def number(refusal: RiskRefused) -> float:
    """The figure in `simulated VaR would be 18123.45, limit is ...`."""
    return float(refusal.reason.split(" would be ")[1].split(",")[0])


@pytest.mark.parametrize("universe", [StageBroker, CALL], ids=["shares", "shares and an option"])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_sequence_of_approvals_makes_a_book_beyond_its_limits(
    seed: int, universe: Callable[[Settings], LocalBroker]
):
    print(f"seed {seed}")
    log = stage.play(*WIDE, changes={"cio": erratic(seed)}, story=universe)
    ledger, orders = Ledger(), {}
    cube = np.zeros((0, 0))
    passed = stopped = 0
    for record in log.read():
        event = CODEC.event(record)
        match event:
            case RiskRunRequested():
                cube = Scenarios(event).columns(Shard(0, event.scenarios // BLOCK))
            case OrderProposed(order=order):
                orders[record.seq] = order.instrument, order.side.sign * order.quantity
            case OrderApproved(order_seq=order_seq):
                before, after = ledger.book(20), ledger.book(20, orders[order_seq])
                i = orders[order_seq][0]
                reduces = abs(after[i]) < abs(before[i]) and after[i] * before[i] >= 0
                assert not worse(cube, after) or (worse(cube, before) and reduces)
                alone = ledger.book(20, orders[order_seq], approved=False)
                assert not worse(cube, alone) or reduces
                passed += 1
            case RiskRefused(order_seq=order_seq, reason=reason) if "simulated" in reason:
                books = [ledger.book(20, orders[order_seq], approved=approved) for approved in (True, False)]
                which = 0 if event.limit == "portfolio_var" else 1
                figures = [measured(cube, book)[which] for book in books]
                assert any(number(event) == pytest.approx(figure, abs=0.011) for figure in figures)
                assert max(figures) > (VAR_MAX, ES_MAX)[which]
                stopped += 1
        ledger.note(record.seq, event)

    assert passed > 5, "the firm passed next to nothing, so this has shown nothing"
    assert stopped > 2, "the limits never bound, so this has shown nothing"
