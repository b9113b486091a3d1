"""When losses stop the firm: drawdown from the highest equity, and the loss of one day."""

from decimal import Decimal
from typing import Final

from firm import config

NS_PER_DAY: Final = 86_400 * 1_000_000_000


class LossWatch:
    """Follows equity from decision to decision, exactly.

    A day is a UTC date (US sessions do not cross midnight UTC); its loss counts from the equity at the last
    decision of the day before, or at the first decision of the run. When a person re-arms trading after a
    halt for losses, both start again from the last equity: otherwise the same loss would halt again at once.
    """

    def __init__(self, settings: config.Risk) -> None:
        self._max_drawdown = Decimal(repr(settings.max_drawdown))
        self._max_daily_loss = Decimal(repr(settings.max_daily_loss))
        self._day: int | None = None
        self._peak: Decimal | None = None
        self._day_start: Decimal | None = None
        self._last: Decimal | None = None

    def breach(self, at: int, equity: Decimal) -> str | None:
        """Take in the equity at a decision (ns UTC); say which loss is beyond its limit, if any."""
        if at // NS_PER_DAY != self._day:
            self._day = at // NS_PER_DAY
            self._day_start = equity if self._last is None else self._last
        self._peak = equity if self._peak is None else max(self._peak, equity)
        self._last = equity
        for what, start, limit in (
            ("drawdown", self._peak, self._max_drawdown),
            ("daily loss", self._day_start, self._max_daily_loss),
        ):
            if start is not None and start > 0 and (start - equity) > limit * start:
                loss = (start - equity) / start
                return f"{what}: equity {equity} is {loss:.4f} below {start}, limit is {limit}"
        return None

    def start_again(self) -> None:
        """A person has accepted the losses so far."""
        self._peak = self._day_start = self._last
