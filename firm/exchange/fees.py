"""What trading costs: commissions by unit with a minimum and a cap, counted over the whole order."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from firm.domain.position import ZERO


class TieredFees(Struct, frozen=True, array_like=True):
    """Commission per share with a minimum per order and a maximum as a fraction of trade value.

    `fraction` of the trade value comes on top, within the minimum and the maximum. The defaults are shaped
    like Interactive Brokers' tiered US stock schedule, lowest volume tier, without exchange and regulatory
    fees. Assumption: the figures were not checked against a statement.

    >>> TieredFees().total(Decimal(10), Decimal(1000)), TieredFees().total(Decimal(1000), Decimal(50_000))
    (Decimal('0.35'), Decimal('3.5000'))
    """

    per_share: Decimal = Decimal("0.0035")
    minimum: Decimal = Decimal("0.35")
    maximum_fraction: Decimal = Decimal("0.01")
    fraction: Decimal = ZERO

    def total(self, quantity: Decimal, value: Decimal) -> Decimal:
        """Commission of an order of which `quantity` shares worth `value` have been filled so far."""
        asked = self.per_share * quantity
        if self.fraction:
            asked += self.fraction * value
        return min(max(asked, self.minimum), self.maximum_fraction * value)


class FeeSchedule:
    """The fees of each instrument: its own, or those of all. Each is in the instrument's currency."""

    def __init__(self, fees: TieredFees, own: Mapping[int, TieredFees]) -> None:
        self._fees, self._own = fees, dict(own)

    def of(self, instrument: int) -> TieredFees:
        """What an order in it costs."""
        return self._own.get(instrument, self._fees)
