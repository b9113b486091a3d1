"""What can be traded, and how its prices and quantities are counted."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from msgspec import Struct


class Instrument(Struct, frozen=True, array_like=True):
    """A tradable contract, known by the broker's contract id.

    `tick_size` and `lot_size` are the smallest steps of price and quantity; `multiplier` is the money value
    of one price point of one unit; `index` is its column in every price array of the run. `sec_type` is IB's:
    STK, FUT, CASH, OPT. A future has an `expiry` (YYYYMMDD); an option also `strike`, `right` (C or P) and
    `underlying`, the index of the instrument it is written on.
    """

    index: int
    symbol: str
    con_id: int
    sec_type: str
    venue: str
    currency: str
    multiplier: Decimal
    tick_size: Decimal
    lot_size: Decimal
    expiry: str = ""
    underlying: int = -1
    strike: Decimal = Decimal(0)
    right: str = ""

    def round_price(self, price: float | Decimal) -> Decimal:
        """The nearest price on the tick grid (half to even)."""
        return _to_grid(price, self.tick_size, ROUND_HALF_EVEN)

    def round_quantity(self, quantity: float | Decimal) -> Decimal:
        """The largest quantity on the lot grid that is not larger in size (towards zero)."""
        return _to_grid(quantity, self.lot_size, ROUND_DOWN)


def _to_grid(value: float | Decimal, step: Decimal, rounding: str) -> Decimal:
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    return (exact / step).quantize(Decimal(1), rounding=rounding) * step
