"""An estimate of portfolio margin: the worst loss of a scan of prices and volatilities, class by class.

A class is everything with the same underlying; within it gains and losses of one scenario offset in full,
because they cannot come apart. Classes of a group offset only in part, and only while their correlation
holds. The broker's own figures are the authority (`firm.risk.margin_view`); this one tells what would change
them. Money is in account currency; a charge is what the positions need, never negative.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from firm.domain.summing import plain_sum
from firm.errors import DataError
from firm.risk.factor_model import require_finite

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

Revaluation = Callable[[Matrix, Vector], Matrix]
"""P&L float64[n, s] of the positions held, in account currency, gains positive, for price moves
float64[n, s] of their underlyings and relative moves float64[s] of all volatilities (0.15: 0.20 to 0.23)."""


class ScanRange(NamedTuple):
    """How far the scan moves an underlying down (negative) and up, as fractions of its price."""

    down: float
    up: float


# Source: FINRA Rule 4210(g), read in secondary sources, not in the rulebook itself.
EQUITY: Final = ScanRange(-0.15, 0.15)
SMALL_CAP_INDEX: Final = ScanRange(-0.10, 0.10)
BROAD_INDEX: Final = ScanRange(-0.08, 0.06)

STEPS: Final = 5
"""Equal steps on each side of the present price: ten points and the price itself."""

VOLATILITY_MOVES: Final = (-0.15, 0.0, 0.15)
"""Relative moves of implied volatility at every price. Source: IB's description of its portfolio margin."""

OPTION_MINIMUM: Final = 0.375
"""Least charge of a short or long option, times its multiplier. Source: as the ranges."""


@dataclass(frozen=True, slots=True)
class OffsetGroup:
    """Classes (by number) that may offset each other in part.

    Of what the sum of their charges exceeds their loss in the worst joint scenario, at most `cap` (0 to below
    1) is forgiven, and never more than the smallest correlation between two of them; nothing when that is
    below `correlation_min` (above 0): a hedge whose correlation is broken is two positions.
    """

    name: str
    classes: tuple[int, ...]
    cap: float
    correlation_min: float


@dataclass(frozen=True, slots=True, eq=False)
class ScanBook:
    """What the scan needs to know of the positions, besides how to revalue them.

    `class_of` int64[n] is each position's class, a number into `classes` (names) and `ranges`; `minimum`
    float64[n] the least charge of each position (0 for what has none).
    """

    classes: tuple[str, ...]
    ranges: tuple[ScanRange, ...]
    class_of: npt.NDArray[np.int64]
    minimum: Vector
    groups: tuple[OffsetGroup, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a book that could be charged wrongly: ValueError."""
        known = ((self.class_of >= 0) & (self.class_of < len(self.classes))).all()
        if len(self.ranges) != len(self.classes) or not known or self.minimum.shape != self.class_of.shape:
            raise ValueError(
                f"a scan needs one range a class, classes 0..{len(self.classes) - 1} and one minimum a "
                f"position, found {len(self.ranges)} ranges, classes {sorted(set(self.class_of.tolist()))}, "
                f"{self.minimum.shape} minimums of {self.class_of.shape} positions"
            )
        for name, (down, up) in zip(self.classes, self.ranges, strict=True):
            if not -1.0 < down < 0.0 < up < float("inf"):
                raise ValueError(f"a scan range needs -1 < down < 0 < up, found {down} and {up} for {name}")
        if not bool((self.minimum >= 0.0).all()) or not bool(np.isfinite(self.minimum).all()):
            raise ValueError(f"minimum charges need to be at least 0, found {self.minimum.min()}")
        _require_groups(self.groups, len(self.classes))


class ClassCharge(NamedTuple):
    """A class's worst loss in the scan, its minimum, the larger of both, and the scenario of the loss."""

    name: str
    loss: float
    minimum: float
    charge: float
    scenario: int


class GroupCharge(NamedTuple):
    """A group is charged the `charges` of its classes less `offset` times their excess over `joint_loss`."""

    name: str
    charges: float
    joint_loss: float
    offset: float
    charge: float


@dataclass(frozen=True, slots=True)
class MarginEstimate:
    """The scan's requirement in account currency: an estimate, whatever the broker says is right."""

    label: ClassVar[str] = "estimate"
    total: float
    classes: tuple[ClassCharge, ...]
    groups: tuple[GroupCharge, ...]


def scan_moves(book: ScanBook, volatility: tuple[float, ...] = VOLATILITY_MOVES) -> tuple[Matrix, Vector]:
    """The scenarios: price moves float64[n, s] and volatility moves float64[s], s = 11 * len(volatility).

    Scenario i of every class is the same part of its own range, so that scenarios can be joined.

    >>> book = ScanBook(("XYZ",), (EQUITY,), np.array([0]), np.zeros(1))
    >>> prices, _ = scan_moves(book, volatility=(0.0,))
    >>> prices[0].round(2).tolist()
    [-0.15, -0.12, -0.09, -0.06, -0.03, 0.0, 0.03, 0.06, 0.09, 0.12, 0.15]
    """
    if not volatility or not all(-1.0 < move < float("inf") for move in volatility):
        raise ValueError(f"volatility moves need to be finite and above -1, found {volatility}")
    parts = np.arange(-STEPS, STEPS + 1) / STEPS
    ranges = np.array(book.ranges, dtype=np.float64).reshape(-1, 2)[book.class_of]
    moves = np.where(parts < 0.0, -ranges[:, :1] * parts, ranges[:, 1:] * parts)
    return np.repeat(moves, len(volatility), axis=1), np.tile(np.array(volatility), len(parts))


def scan_pnl(
    book: ScanBook, revalue: Revaluation, volatility: tuple[float, ...] = VOLATILITY_MOVES
) -> Matrix:
    """P&L float64[n, s] of every position in every scenario of `scan_moves`, checked.

    Raises
    ------
    DataError
        If a P&L is NaN or infinite, or a position gains or loses where nothing moves.
    ValueError
        If the revaluation returns another shape.
    """
    prices, volatilities = scan_moves(book, volatility)
    pnl = revalue(prices, volatilities)
    if pnl.shape != prices.shape:
        raise ValueError(f"a revaluation needs to return shape {prices.shape}, found {pnl.shape}")
    require_finite("the P&L of the margin scan", pnl)
    still = (prices == 0.0) & (volatilities == 0.0)
    loss = np.abs(np.where(still, pnl, 0.0)).max(initial=0.0)
    if loss > 1e-9 * np.abs(pnl).max(initial=1.0):
        raise DataError(
            f"a margin scan needs a P&L of 0 where nothing moves, found up to {loss:.6g}; revalue against "
            "the model's own present value"
        )
    return pnl


def linear_revaluation(exposures: Vector) -> Revaluation:
    """The revaluation of stocks, futures and currencies with these signed market values float64[n]."""

    def revalue(prices: Matrix, volatilities: Vector) -> Matrix:
        del volatilities
        return np.asarray(exposures[:, None] * prices)

    return revalue


def scan_margin(book: ScanBook, pnl: Matrix, correlation: Matrix) -> MarginEstimate:
    """What the positions need, by the worst loss of the scan.

    A class is charged its worst loss over all scenarios or the sum of its minimums, if that is more; a group
    as `OffsetGroup` says; the total is the sum. So it is at least 0, it doubles with the book, and no group
    is charged less than it loses when all its classes move together.

    Parameters
    ----------
    book : ScanBook
    pnl : float64[n, s]
        Of `scan_pnl`.
    correlation : float64[classes, classes]
        Between the underlyings now; NaN where it is not known, which allows no offset. See
        `firm.risk.correlation_manager`; a stressed matrix gives the margin of a crisis.

    Raises
    ------
    DataError
        If a P&L is NaN or infinite, or a correlation is beyond -1..1.
    ValueError
        If shapes disagree.

    >>> book = ScanBook(("XYZ",), (EQUITY,), np.array([0, 0]), np.zeros(2))
    >>> hedged = scan_pnl(book, linear_revaluation(np.array([1000.0, -400.0])))
    >>> round(scan_margin(book, hedged, np.eye(1)).total, 6)
    90.0
    """
    n_classes = len(book.classes)
    if pnl.ndim != 2 or len(pnl) != len(book.class_of) or correlation.shape != (n_classes, n_classes):
        raise ValueError(
            f"a margin scan needs P&L ({len(book.class_of)}, scenarios) and correlations ({n_classes}, "
            f"{n_classes}), found {pnl.shape} and {correlation.shape}"
        )
    require_finite("the P&L of the margin scan", pnl)
    if bool((np.abs(correlation) > 1.0 + 1e-9).any()):
        raise DataError(f"correlations need to be in -1..1, found up to {np.nanmax(np.abs(correlation)):.6g}")
    by_class = np.zeros((n_classes, pnl.shape[1]))
    np.add.at(by_class, book.class_of, pnl)  # in the order of the positions
    minimums = np.bincount(book.class_of, weights=book.minimum, minlength=n_classes)
    charges = tuple(
        _class_charge(name, by_class[number], float(minimums[number]))
        for number, name in enumerate(book.classes)
    )
    groups = tuple(_group_charge(group, charges, by_class, correlation) for group in book.groups)
    grouped = {number for group in book.groups for number in group.classes}
    alone = [charge.charge for number, charge in enumerate(charges) if number not in grouped]
    return MarginEstimate(plain_sum([*alone, *(group.charge for group in groups)]), charges, groups)


def _class_charge(name: str, pnl: Vector, minimum: float) -> ClassCharge:
    scenario = int(pnl.argmin())
    loss = max(0.0, -float(pnl[scenario]))
    return ClassCharge(name, loss, minimum, max(loss, minimum), scenario)


def _group_charge(
    group: OffsetGroup, charges: tuple[ClassCharge, ...], by_class: Matrix, correlation: Matrix
) -> GroupCharge:
    held = [number for number in group.classes if charges[number].charge > 0.0]
    together = plain_sum(charges[number].charge for number in held)
    joint = max(0.0, -float(by_class[held].sum(axis=0).min())) if held else 0.0
    offset = 0.0
    if len(held) > 1:
        pairs = correlation[np.ix_(held, held)][~np.eye(len(held), dtype=bool)]
        smallest = float(pairs.min())  # NaN if one is unknown, which is not above anything
        offset = min(group.cap, smallest) if smallest >= group.correlation_min else 0.0
    charge = max(joint, together - offset * (together - joint))
    return GroupCharge(group.name, together, joint, offset, charge)


def _require_groups(groups: tuple[OffsetGroup, ...], n_classes: int) -> None:
    members = [number for group in groups for number in group.classes]
    if len(set(members)) < len(members) or not all(0 <= number < n_classes for number in members):
        raise ValueError(f"offset groups need classes in 0..{n_classes - 1}, each in one; found {members}")
    for group in groups:
        if not (0.0 <= group.cap < 1.0 and 0.0 < group.correlation_min <= 1.0):
            raise ValueError(
                f"offset group {group.name} needs a cap in 0 to below 1 and a correlation_min above 0 to 1, "
                f"found {group.cap} and {group.correlation_min}"
            )
