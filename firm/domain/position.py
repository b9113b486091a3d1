"""What we hold of one instrument, and what it cost: average-cost accounting, exact."""

from decimal import Decimal

from msgspec import Struct

ZERO = Decimal(0)


class Position(Struct, frozen=True, array_like=True):
    """Signed quantity, average price of the open part (per unit, without fees), realised P&L without fees.

    >>> long = Position().filled(Decimal(10), Decimal(100), multiplier=Decimal(1))
    >>> long.filled(Decimal(-4), Decimal(110), multiplier=Decimal(1)).realized_pnl
    Decimal('40')
    """

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    realized_pnl: Decimal = ZERO

    def filled(self, quantity: Decimal, price: Decimal, multiplier: Decimal) -> "Position":
        """The position after a fill of signed `quantity` at `price`; closing parts realise P&L."""
        after = self.quantity + quantity
        if self.quantity == 0 or (self.quantity > 0) == (quantity > 0):
            cost = self.average_price * abs(self.quantity) + price * abs(quantity)
            return Position(after, cost / abs(after) if after else ZERO, self.realized_pnl)
        closed = min(abs(quantity), abs(self.quantity))
        direction = 1 if self.quantity > 0 else -1
        realized = self.realized_pnl + (price - self.average_price) * closed * direction * multiplier
        if abs(quantity) > abs(self.quantity):
            return Position(after, price, realized)
        return Position(after, self.average_price if after else ZERO, realized)
