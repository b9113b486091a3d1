"""From convictions to quantities: share of equity, lots, and the cut of what would add risk. Pure."""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal, localcontext

from firm.domain.instrument import Instrument
from firm.domain.position import ZERO
from firm.domain.summing import plain_sum


def exposure_scale(
    decided: Sequence[float], left_alone: Sequence[float], taken: float, gross_target: float
) -> float:
    """What turns convictions (-1..1) into weights (fractions of equity): between 0 and 1.

    `decided` are the convictions on the instruments decided now, `left_alone` those on all others, which take
    part in the division of `gross_target` but are not traded; `taken` is what these others hold, gross, over
    equity. So leaving one alone neither hands its share to the rest nor lets the whole exceed the target.
    Never above 1: little conviction makes little exposure, not leverage on noise.
    """
    wanted = plain_sum(abs(conviction) for conviction in decided)
    if wanted == 0:
        return 0.0
    fair = gross_target / (wanted + plain_sum(abs(conviction) for conviction in left_alone))
    room = max(0.0, gross_target - taken) / wanted
    return min(1.0, fair, room)


def capped(weight: float, max_weight: float) -> float:
    """The weight, its size limited to `max_weight`; what is cut is not given to others."""
    return max(-max_weight, min(max_weight, weight))


def target_quantity(weight: float, equity: Decimal, price: Decimal, instrument: Instrument) -> Decimal:
    """Signed lots worth at most `|weight| * equity` at `price`: every rounding is towards zero.

    `equity` and `price` are positive, in the account's currency.
    """
    assert equity > 0, f"sizing needs positive equity, found {equity}"
    assert price > 0, f"sizing needs a positive price, found {price}"
    with localcontext() as context:
        context.rounding = ROUND_DOWN
        value = Decimal(repr(weight)) * equity
        return instrument.round_quantity(value / (price * instrument.multiplier)) + ZERO  # -0 becomes 0


def reduced_only(held: Decimal, wanted: Decimal) -> Decimal:
    """The quantity nearest to `wanted` that is neither larger than `held` nor on its other side.

    >>> reduced_only(Decimal(10), Decimal(4)), reduced_only(Decimal(10), Decimal(-4))
    (Decimal('4'), Decimal('0'))
    """
    low, high = min(held, ZERO), max(held, ZERO)
    return min(high, max(low, wanted))


def change_of_position(held: Decimal, wanted: Decimal, instrument: Instrument) -> Decimal:
    """What to trade, signed, on the lot grid; a remainder below one lot stays."""
    return instrument.round_quantity(wanted - held)
