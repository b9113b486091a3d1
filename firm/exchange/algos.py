"""Execution algorithms: how much of an order Twap, Vwap and Adaptive let trade at a time.

Assumptions, since Interactive Brokers publishes no formulas: Twap releases evenly over its window; Vwap
releases along a U-shaped day (a quarter of the way through, 34 % of the volume is done) and never more
than its share of the printed volume; Adaptive waits at the near touch for its patience, then takes the far.
"""

from decimal import Decimal

from firm.domain.order import Side
from firm.domain.position import ZERO
from firm.exchange.book import DisplayedBook
from firm.exchange.orders import WorkingOrder

TWAP, VWAP, ADAPTIVE = "Twap", "Vwap", "Adaptive"
PATIENCE_NS = {"Urgent": 0, "Normal": 10_000_000_000, "Patient": 60_000_000_000}
U_DEPTH = Decimal(1)  # volume density 1 + U_DEPTH (3 (2x-1)^2 - 1) / 2: twice at the edges, half inside
MILLION = 1_000_000
EARLY = 20  # one part in twenty of the window is left for what the last slices could not get


def may_take(order: WorkingOrder, at: int, *, at_far_touch: bool) -> Decimal:
    """The quantity that may trade at `at`: all that is left, unless an algorithm holds some back."""
    algo = order.ticket.special.algo
    if algo is None:
        return order.leaves
    if algo.name == ADAPTIVE:
        return order.leaves if not at_far_touch or at >= order.enters + algo.patience_ns else ZERO
    start, end = algo_window(order)
    if at < start:
        return ZERO
    part = Decimal(MILLION) if at >= end else Decimal((at - start) * MILLION // (end - start))
    share = part / MILLION
    released = order.ticket.quantity * (share if algo.name == TWAP else _day_volume(share))
    if algo.volume_max is not None:
        released = min(released, order.seen * algo.volume_max)
    whole = (released - order.cumulative) // 1
    return max(ZERO, min(order.leaves, Decimal(whole)))


def algo_window(order: WorkingOrder) -> tuple[int, int]:
    """Start and end of the algorithm's work, ns UTC."""
    algo = order.ticket.special.algo
    assert algo is not None, "only algorithms have a window"
    start = max(order.enters, algo.start or 0)
    end = algo.end or order.expires or start + 1
    end -= (end - start) // EARLY
    return start, max(end, start + 1)


def resting_limit(order: WorkingOrder, book: DisplayedBook, at: int) -> Decimal | None:
    """The price at which the order rests: its limit, or the near touch while Adaptive is patient."""
    algo, ticket = order.ticket.special.algo, order.ticket
    if algo is None or algo.name != ADAPTIVE or at >= order.enters + algo.patience_ns:
        return ticket.limit_price
    near = book.touch(ticket.instrument, Side.SELL if ticket.side is Side.BUY else Side.BUY)
    if near is None or ticket.limit_price is None:
        return near
    return min(near, ticket.limit_price) if ticket.side is Side.BUY else max(near, ticket.limit_price)


def _day_volume(x: Decimal) -> Decimal:
    """Fraction of the day's volume that is done after the fraction `x` of the window."""
    u = 2 * x - 1
    return x + U_DEPTH * (u * u * u - u) / 4
