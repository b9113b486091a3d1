"""How much room the account has: the broker's margin figures, which decide, beside the firm's estimate.

A figure that never came, is old or is no number is unknown, and says why; it is never replaced by a guess.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from firm.risk.margin import MarginEstimate


@dataclass(frozen=True, slots=True)
class BrokerMargin:
    """The account as the broker reports it, or as its what-if says it would be; account currency.

    `excess_liquidity` is what is left above maintenance before the broker liquidates; `at` is ns UTC.
    """

    net_liquidation: float
    initial: float
    maintenance: float
    excess_liquidity: float
    at: int


@dataclass(frozen=True, slots=True)
class Headroom:
    """Excess liquidity over equity (negative: the broker may liquidate), and whose figure it is."""

    value: float
    source: Literal["broker", "broker and estimate"]


@dataclass(frozen=True, slots=True)
class MarginView:
    """The broker's figures at `now` (ns UTC), and the estimate for the same positions.

    Figures older than `age_max_ns`, or from the future, are unknown. `broker` None: none came yet.
    """

    broker: BrokerMargin | None
    estimate: MarginEstimate
    now: int
    age_max_ns: int

    def headroom(self) -> Headroom | str:
        """Excess liquidity over equity by the broker, or why it is unknown."""
        figures = self._usable(self.broker)
        if isinstance(figures, str):
            return figures
        return Headroom(figures.excess_liquidity / figures.net_liquidation, "broker")

    def headroom_after(self, estimate: MarginEstimate, what_if: BrokerMargin | None) -> Headroom | str:
        """Headroom if an order filled, or why it is unknown.

        The broker's `what_if` decides if there is a usable one. Without it the broker's present excess is
        reduced by what `estimate` (with the order) exceeds the present one, times the broker's requirement
        over the estimate if that is above 1; what the order would free counts only once the broker says so.
        """
        asked = self._usable(what_if)
        if isinstance(asked, BrokerMargin):
            return Headroom(asked.excess_liquidity / asked.net_liquidation, "broker")
        figures = self._usable(self.broker)
        if isinstance(figures, str):
            return figures
        more = max(0.0, estimate.total - self.estimate.total) * max(1.0, self.ratio())
        return Headroom((figures.excess_liquidity - more) / figures.net_liquidation, "broker and estimate")

    def ratio(self) -> float:
        """The broker's maintenance requirement over the estimate: 1 where the estimate is 0 or unknown."""
        figures = self._usable(self.broker)
        if isinstance(figures, str) or self.estimate.total <= 0.0:
            return 1.0
        return figures.maintenance / self.estimate.total

    def _usable(self, figures: BrokerMargin | None) -> BrokerMargin | str:
        if figures is None:
            return "margin: the broker has not reported its figures yet"
        numbers = (figures.net_liquidation, figures.initial, figures.maintenance, figures.excess_liquidity)
        if not all(isfinite(number) for number in numbers) or min(figures.initial, figures.maintenance) < 0.0:
            return (
                f"margin: the broker's figures need to be numbers, requirements at least 0, found {figures}"
            )
        if not figures.net_liquidation > 0.0:
            return f"margin: equity needs to be positive, the broker reports {figures.net_liquidation:.2f}"
        age = self.now - figures.at
        if not 0 <= age <= self.age_max_ns:
            return (
                f"margin: the broker's figures are {age / 1e9:.3f} s old, allowed are 0 to "
                f"{self.age_max_ns / 1e9:.3f} s"
            )
        return figures
