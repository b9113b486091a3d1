"""How much an account may hold: one cap on gross exposure, and whether it may sell short."""

from decimal import Decimal

from msgspec import Struct

from firm.domain.order import Side
from firm.domain.position import ZERO


class MarginRules(Struct, frozen=True, array_like=True):
    """Gross exposure, working orders included, may not exceed `gross_leverage_max` times equity.

    Assumption: one number stands for the initial and the maintenance margin of every instrument; real
    margin depends on instrument, account type and time of day.
    """

    gross_leverage_max: Decimal
    shorts_allowed: bool

    def requirement(self, gross: Decimal) -> Decimal:
        """Equity needed to carry `gross` exposure."""
        return gross / self.gross_leverage_max


class MarginEffect(Struct, frozen=True, array_like=True):
    """What an order would do to the account, in account currency."""

    requirement_before: Decimal
    requirement_after: Decimal
    equity_before: Decimal
    equity_after: Decimal
    commission: Decimal
    objection: str | None


class Exposure(Struct, array_like=True):
    """Signed position of one instrument and what its working orders could still add on each side."""

    position: Decimal = ZERO
    buying: Decimal = ZERO
    selling: Decimal = ZERO

    def with_order(self, side: Side, quantity: Decimal) -> "Exposure":
        """The exposure if `quantity` more were working on `side`."""
        if side is Side.BUY:
            return Exposure(self.position, self.buying + quantity, self.selling)
        return Exposure(self.position, self.buying, self.selling + quantity)

    @property
    def worst(self) -> Decimal:
        """The largest size the position can reach if all orders of one side fill."""
        return max(abs(self.position + self.buying), abs(self.position - self.selling))
