"""What every risk method answers with: VaR and ES in money, at a confidence that is a probability."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from firm.errors import DataError, FirmError, InsufficientHistory
from firm.risk.factor_model import horizon_factor

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]


class OutsideDomain(FirmError):
    """A method was asked for where its formula does not hold; use one that does."""


@dataclass(frozen=True, slots=True)
class VarEs:
    """Value-at-Risk and expected shortfall in account currency, positive = loss.

    >>> VarEs(var=100.0, es=130.0).scaled(4)
    VarEs(var=200.0, es=260.0)
    """

    var: float
    es: float

    def scaled(self, days: int, autocorrelation: float = 0.0) -> "VarEs":
        """The one-day figures at a horizon of `days`, for P&L of zero mean: see `horizon_factor`."""
        factor = horizon_factor(days, autocorrelation)
        return VarEs(self.var * factor, self.es * factor)


def require_confidence(confidence: float) -> None:
    """Refuse what is no probability strictly between 0 and 1 (99 for 0.99, NaN): ValueError."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence needs to be strictly between 0 and 1, found {confidence}")


def require_tail(scenarios: int, confidence: float) -> None:
    """Refuse a tail of less than one scenario: InsufficientHistory below 1 / (1 - confidence) of them."""
    needed = ceil(round(1.0 / (1.0 - confidence), 6))
    if scenarios < needed:
        raise InsufficientHistory(
            f"VaR at {confidence:.4%} needs {needed} scenarios to see its tail, found {scenarios}; "
            "load more history or lower the confidence"
        )


def require_numbers(what: str, /, lowest: float | None = None, **values: float) -> None:
    """Refuse NaN, infinity and (with `lowest`) what is below it: DataError with the names and numbers."""
    for name, value in values.items():
        if not np.isfinite(value) or (lowest is not None and value < lowest):
            bound = "" if lowest is None else f" of at least {lowest:g}"
            raise DataError(f"{what} needs a finite {name.replace('_', ' ')}{bound}, found {value}")
