"""A checked table of contracts, worked out as far as no scenario is needed: what the lane loops read.

Source of the formulas: Hull, Options, Futures, and Other Derivatives, chapter 17 (Merton 1973; Black 1976 is
the case carry = rate).
"""

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from firm.risk_kernels.contracts import CONTRACT, Contracts, Ladders, Matrix, Payoff, Vector

Precision = Literal["double", "single"]
"""Double for figures of record; single has half the time and a relative error of some 1e-6."""

LINEAR, EUROPEAN, PAYOFF, LADDER = 0, 1, 2, 3
"""Which loop revalues a contract. PAYOFF is an option whose value is certain but for the spot."""

DEVIATION_MIN = 1e-12
"""Below this volatility * sqrt(years) the value of an option is the discounted payoff of its forward."""

DEVIATION_MAX = 10.0
"""Above this volatility * sqrt(years) the exponentials leave the range of a double; 1,000 % for a year is an
error of the data anyway."""

DEGREE = 5
"""Of the polynomials of a ladder."""

_NUMBERS = 6


class Terms(NamedTuple):
    """One row a contract, in the order of the table. `numbers` are the constants of its loop.

    `factors` are the factors that any contract needs; `four` tells whether this contract and the next
    three are linear. All arrays are contiguous and of their own memory.
    """

    kind: npt.NDArray[np.int64]
    factor: npt.NDArray[np.int64]
    quantities: npt.NDArray[np.floating]
    numbers: npt.NDArray[np.floating]
    ladder: npt.NDArray[np.int64]
    coefficients: npt.NDArray[np.float64]
    factors: npt.NDArray[np.int64]
    four: npt.NDArray[np.bool_]


def real_of(precision: Precision) -> Any:
    """The type numpy computes with.

    Raises
    ------
    ValueError
        If the precision is neither "double" nor "single".
    """
    if precision not in {"double", "single"}:
        raise ValueError(f"the precision needs to be double or single, found {precision!r}")
    return np.float64 if precision == "double" else np.float32


def terms_of(
    contracts: Contracts,
    quantities: Vector,
    factors: int,
    ladders: Ladders | None,
    precision: Precision,
) -> Terms:
    """Check the contracts against `factors` factors and work out what no scenario changes.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite or out of its bounds, or an American option that has not
        expired has no ladder.
    """
    _check_shapes(contracts, quantities)
    _check_values(contracts, factors)
    ladders = _checked_ladders(len(contracts), ladders)
    kind = _kinds(contracts)
    _check_options(contracts, kind, ladders.row)
    real = real_of(precision)
    return Terms(
        kind,
        contracts["factor"].astype(np.int64),
        quantities.astype(real),
        _numbers(contracts, kind, ladders).astype(real),
        ladders.row.astype(np.int64),
        ladders.coefficients,
        np.unique(contracts["factor"]).astype(np.int64),
        _starts_four(kind == LINEAR),
    )


def _deviations(options: Contracts) -> Vector:
    return np.asarray(options["volatility"] * np.sqrt(np.maximum(options["years"], 0.0)))


def _kinds(contracts: Contracts) -> npt.NDArray[np.int64]:
    kind = np.full(len(contracts), LINEAR)
    is_option = contracts["payoff"] != Payoff.LINEAR
    options = contracts[is_option]
    kind[is_option] = np.where(_deviations(options) >= DEVIATION_MIN, EUROPEAN, PAYOFF)
    kind[(contracts["payoff"] == Payoff.AMERICAN) & (contracts["years"] > 0.0)] = LADDER
    return kind


def _starts_four(linear: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    four = np.zeros(len(linear), np.bool_)
    if len(four) > 3:
        four[:-3] = linear[:-3] & linear[1:-2] & linear[2:-1] & linear[3:]
    return four


def _numbers(contracts: Contracts, kind: npt.NDArray[np.int64], ladders: Ladders) -> Matrix:
    numbers = np.zeros((len(contracts), _NUMBERS))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, formula in (
            (kind == LINEAR, _linear_numbers),
            (kind == PAYOFF, _payoff_numbers),
            (kind == EUROPEAN, _european_numbers),
        ):
            columns = formula(contracts[rows])
            numbers[rows, : len(columns)] = np.transpose(columns)
        rows = kind == LADDER
        columns = _ladder_numbers(contracts[rows], ladders, ladders.row[rows])
        numbers[rows, : len(columns)] = np.transpose(columns)
    overflows = ~np.isfinite(numbers).all(axis=1)
    _refuse(overflows, "terms whose values a double can hold", np.abs(numbers).max(axis=1))
    return numbers


def _linear_numbers(c: Contracts) -> list[Vector]:
    return [c["unit"] * c["price"]]


def _payoff_numbers(c: Contracts) -> list[Vector]:
    years = np.maximum(c["years"], 0.0)
    return [
        c["sign"] * c["spot"] * np.exp(-c["carry"] * years),
        c["sign"] * c["strike"] * np.exp(-c["rate"] * years),
        c["unit"],
        c["unit"] * c["price"],
    ]


def _european_numbers(c: Contracts) -> list[Vector]:
    sign, deviation = c["sign"], _deviations(c)
    forward_over_strike = np.log(c["spot"] / c["strike"]) + (c["rate"] - c["carry"]) * c["years"]
    return [
        sign / deviation,
        sign * (forward_over_strike / deviation + 0.5 * deviation),
        sign * deviation,
        np.exp(forward_over_strike),
        sign * c["unit"] * c["strike"] * np.exp(-c["rate"] * c["years"]),
        c["unit"] * c["price"],
    ]


def _ladder_numbers(c: Contracts, ladders: Ladders, row: npt.NDArray[np.int32]) -> list[Vector]:
    return [ladders.low[row], 1.0 / ladders.step[row], c["unit"], c["unit"] * c["price"]]


def _check_shapes(contracts: Contracts, quantities: Vector) -> None:
    if contracts.dtype != CONTRACT or contracts.ndim != 1:
        raise ValueError(
            f"contracts need one row of CONTRACT each, found {contracts.dtype} of shape {contracts.shape}"
        )
    n = len(contracts)
    if n == 0:
        raise ValueError("revaluation needs at least 1 contract, found none: an empty book has no scenarios")
    if quantities.shape != (n,):
        raise ValueError(
            f"quantities need one value for each of {n} contracts, found shape {quantities.shape}"
        )
    _check_finite("quantities", quantities)


def _check_finite(name: str, values: npt.NDArray[np.floating]) -> None:
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise ValueError(f"{name}: finite values are needed, found {bad} NaN or infinite of {values.size}")


def _check_values(contracts: Contracts, factors: int) -> None:
    factor, payoff = contracts["factor"], contracts["payoff"]
    if factor.min() < 0 or factor.max() >= factors:
        raise ValueError(
            f"contracts need factors in 0..{factors - 1}, found {factor.min()} to {factor.max()}"
        )
    if payoff.min() < min(Payoff) or payoff.max() > max(Payoff):
        raise ValueError(
            f"contracts need a payoff of {min(Payoff)} to {max(Payoff)}, "
            f"found {payoff.min()} to {payoff.max()}"
        )
    _check_finite("unit", contracts["unit"])
    _check_finite("price", contracts["price"])
    options = contracts[payoff != Payoff.LINEAR]
    for name in ("spot", "strike", "years", "volatility", "rate", "carry", "sign"):
        _check_finite(f"{name} of the options", options[name])


def _check_options(contracts: Contracts, kind: npt.NDArray[np.int64], row: npt.NDArray[np.int32]) -> None:
    is_option = kind != LINEAR
    deviation = np.zeros(len(contracts))
    deviation[kind == EUROPEAN] = _deviations(contracts[kind == EUROPEAN])
    for name in ("spot", "strike"):
        _refuse(is_option & (contracts[name] <= 0.0), f"a positive {name}", contracts[name])
    _refuse(is_option & (contracts["volatility"] < 0.0), "a volatility of 0 or more", contracts["volatility"])
    _refuse(is_option & (np.abs(contracts["sign"]) != 1.0), "a sign of +1 or -1", contracts["sign"])
    _refuse(
        deviation > DEVIATION_MAX,
        f"volatility * sqrt(years) of at most {DEVIATION_MAX}",
        deviation,
    )
    _refuse((kind == LADDER) & (row < 0), "a row of the ladders if it is American and has not expired", row)


def _refuse(wrong: Any, needed: str, found: npt.NDArray[Any]) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"a contract needs {needed}, found {found[first]} in contract {first} "
            f"({int(wrong.sum())} such contracts)"
        )


def _checked_ladders(n: int, ladders: Ladders | None) -> Ladders:
    if ladders is None:
        nothing = np.zeros((0,))
        return Ladders(np.full(n, -1, np.int32), nothing, nothing, np.zeros((0, 1, DEGREE + 1)))
    row, low, step, coefficients = ladders
    rows = len(low)
    if coefficients.ndim != 3 or coefficients.shape[::2] != (rows, DEGREE + 1) or coefficients.shape[1] < 1:
        raise ValueError(
            f"ladders need coefficients of the shape ({rows}, cells, {DEGREE + 1}), "
            f"found {coefficients.shape}"
        )
    if row.shape != (n,) or step.shape != (rows,):
        raise ValueError(
            f"ladders need one row for each of {n} contracts and {rows} steps, "
            f"found {row.shape} and {step.shape}"
        )
    if row.min() < -1 or row.max() >= rows:
        raise ValueError(f"a contract's ladder needs to be -1..{rows - 1}, found {row.min()} to {row.max()}")
    for name, values in (("low", low), ("step", step), ("coefficients", coefficients)):
        _check_finite(f"{name} of the ladders", values)
    if rows and step.min() <= 0.0:
        raise ValueError(f"ladders need positive steps, found {step.min()}")
    return Ladders(row, low, step, np.array(coefficients, np.float64, order="C"))
