"""What trading costs: commissions by share with a minimum and a cap, counted over the whole order."""

from decimal import Decimal

from msgspec import Struct


class TieredFees(Struct, frozen=True, array_like=True):
    """Commission per share with a minimum per order and a maximum as a fraction of trade value.

    The defaults are shaped like Interactive Brokers' tiered US stock schedule, lowest volume tier, without
    exchange and regulatory fees. Assumption: the figures were not checked against a statement.

    >>> TieredFees().total(Decimal(10), Decimal(1000)), TieredFees().total(Decimal(1000), Decimal(50_000))
    (Decimal('0.35'), Decimal('3.5000'))
    """

    per_share: Decimal = Decimal("0.0035")
    minimum: Decimal = Decimal("0.35")
    maximum_fraction: Decimal = Decimal("0.01")

    def total(self, quantity: Decimal, value: Decimal) -> Decimal:
        """Commission of an order of which `quantity` shares worth `value` have been filled so far."""
        return min(max(self.per_share * quantity, self.minimum), self.maximum_fraction * value)
