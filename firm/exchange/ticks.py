"""Price grids: an increment that depends on the price, as market rules give it."""

from decimal import Decimal

from msgspec import Struct


class TickRule(Struct, frozen=True, array_like=True):
    """A market rule: `bands` are (lowest price, increment), lowest first; `number` is its name on the wire.

    >>> penny = TickRule(1, ((Decimal(0), Decimal("0.0001")), (Decimal(1), Decimal("0.01"))))
    >>> penny.conforms(Decimal("0.5001")), penny.conforms(Decimal("2.005"))
    (True, False)
    """

    number: int
    bands: tuple[tuple[Decimal, Decimal], ...]

    def increment(self, price: Decimal) -> Decimal:
        """The increment at `price`."""
        return next((step for low, step in reversed(self.bands) if price >= low), self.bands[0][1])

    def conforms(self, price: Decimal) -> bool:
        """Whether `price` lies on the grid."""
        return not price % self.increment(price)


def cents(tick: Decimal, number: int = 26) -> TickRule:
    """One increment at every price."""
    return TickRule(number, ((Decimal(0), tick),))
