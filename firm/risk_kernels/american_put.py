"""One American put on strike 1 through its life: the European put and what early exercise earns on top.

The integrals of `american` over the exercise boundary, at any number of spots in one pass.
"""

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from firm.risk_kernels.black_scholes import Array
from firm.risk_kernels.elementary import lane_loop, square_root
from firm.risk_kernels.exercise_boundary import Exercise, exercise_boundary, rule, weights_at
from firm.risk_kernels.normal_law import density, exp, exp_of, lower

ERROR_MAX = 1e-8
"""Of the strike: how far a value may be from the payoff on the exercise boundary before it is refused."""

_NODES, _NODES_SHAPE = 65, 321
_KEPT = 512  # courses, 16 kB each: a table of options asks for each several times


class Course(NamedTuple):
    """A put on strike 1 through its life: its terms, and its boundary at the nodes of the integral.

    `nodes` float64[5, k], not writeable: log-boundary, drift and deviation until then, and what exercise
    earns on the strike and on the spot then; at and below the spot of log `exercised_below` it is
    exercised today. `shape_nodes` are more of them, because next to the boundary gamma is the integral of
    a thin layer.
    """

    years: float
    volatility: float
    rate: float
    carry: float
    exercised_below: float
    nodes: Array
    shape_nodes: Array


@lru_cache(maxsize=_KEPT)
def course(years: float, volatility: float, rate: float, carry: float) -> Course:
    """The life of a put on strike 1 that is exercised early; the terms are taken as checked.

    Raises
    ------
    ValueError
        If the value on the boundary found is further than `ERROR_MAX` from the payoff.
    """
    exercise = exercise_boundary(years, volatility, rate, carry)
    terms = (years, volatility, rate, carry)
    tables = (_nodes(exercise, *terms, nodes) for nodes in (_NODES, _NODES_SHAPE))
    one = Course(*terms, float(exercise.log_boundary[0]), *tables)
    edge = np.array([one.exercised_below])
    error = float(np.abs(put_values(one, edge + 1e-9 * volatility) - (1.0 - exp_of(edge)))[0])
    if not error <= ERROR_MAX:
        raise ValueError(
            f"an American option with {years} years, volatility {volatility}, rate {rate}, carry {carry} "
            f"needs an exercise boundary where the value is the payoff within {ERROR_MAX}, found {error:.1e} "
            "of the strike off; check the terms, they are extreme"
        )
    return one


def _nodes(
    exercise: Exercise, years: float, volatility: float, rate: float, carry: float, count: int
) -> Array:
    nodes = rule(count)
    until, squares = years * nodes.end, np.zeros(count)
    heights = (exercise.log_boundary - exercise.log_limit) ** 2
    for row, height in zip(weights_at(1.0, count), heights, strict=True):  # in order
        squares += row * height
    deviation = volatility * np.sqrt(until)
    earned = years * nodes.weight * exp_of(np.array([[-rate], [-carry]]) * until)
    log_boundary = exercise.log_limit - np.sqrt(np.maximum(squares, 0.0))
    drift = (rate - carry) * until
    table = np.stack([log_boundary, drift, deviation, rate * earned[0], carry * earned[1]])
    table.flags.writeable = False
    return table


def put_values(one: Course, log_moneyness: Array) -> Array:
    """Value of the put over its strike at each ln(spot / strike); float64[n], contiguous."""
    spot = exp_of(log_moneyness)
    values = 1.0 - spot
    at = np.flatnonzero(log_moneyness > one.exercised_below)
    out = np.empty(at.size)
    _compiled_values()(out, log_moneyness[at], spot[at], one.nodes, *one[:4])
    values[at] = out
    return values


def put_shapes(one: Course, log_moneyness: Array) -> Array:
    """float64[3, n]: value over strike, first and second derivative by spot over strike."""
    out = np.empty((3, log_moneyness.size))
    _compiled_shapes()(out, log_moneyness, one.shape_nodes, *one[:5])
    return out


@lane_loop
def _european_put(out: Array, z: Array, y: Array, spread: float, drift: float, b: float, a: float) -> None:
    for i in range(out.shape[0]):
        d2 = (z[i] + drift) / spread - 0.5 * spread
        d1 = d2 + spread
        out[i] = b * lower(-d2, density(d2)) - a * y[i] * lower(-d1, density(d1))


@lane_loop
def _add_earned(
    out: Array,
    z: Array,
    y: Array,
    boundary: float,
    drift: float,
    spread: float,
    on_strike: float,
    on_spot: float,
) -> None:
    """Add one node of the integral: what is earned on the strike, less on the spot, where it is exercised."""
    for i in range(out.shape[0]):
        d2 = (z[i] - boundary + drift) / spread - 0.5 * spread
        d1 = d2 + spread
        out[i] += on_strike * lower(-d2, density(d2)) - on_spot * y[i] * lower(-d1, density(d1))


def _fill_values(
    out: Array,
    z: Array,
    y: Array,
    nodes: Array,
    years: float,
    volatility: float,
    rate: float,
    carry: float,
) -> None:
    """out[i] <- the value at log-moneyness z[i], y[i] = exp(z[i]); nothing is below the payoff."""
    spread, drift = volatility * square_root(years), (rate - carry) * years
    _european_put(out, z, y, spread, drift, exp(-rate * years), exp(-carry * years))
    for k in range(nodes.shape[1]):
        _add_earned(out, z, y, nodes[0, k], nodes[1, k], nodes[2, k], nodes[3, k], nodes[4, k])
    for i in range(z.shape[0]):
        now = 1.0 - y[i]
        out[i] = now if out[i] < now else out[i]  # noqa: FURB136  # this order keeps NaN


def _fill_shapes(
    out: Array,
    z: Array,
    nodes: Array,
    years: float,
    volatility: float,
    rate: float,
    carry: float,
    exercised_below: float,
) -> None:
    """out[0:3, i] <- value, first and second derivative by spot / strike at log-moneyness z[i].

    A node's bell on the strike, b density(d2), and that on the spot, spot a density(d1), are in the ratio of
    1 to the boundary; their derivatives keep both.
    """
    b, a = exp(-rate * years), exp(-carry * years)
    spread0, drift0 = volatility * square_root(years), (rate - carry) * years
    for i in range(z.shape[0]):
        y = exp(z[i])
        if z[i] <= exercised_below:
            out[0, i], out[1, i], out[2, i] = 1.0 - y, -1.0, 0.0
        else:
            d1 = (z[i] + drift0) / spread0 + 0.5 * spread0
            d2 = d1 - spread0
            bell1 = density(d1)
            value = b * lower(-d2, density(d2)) - a * y * lower(-d1, bell1)
            slope = -a * lower(-d1, bell1)
            curve = a * bell1 / (y * spread0)
            for k in range(nodes.shape[1]):
                spread, on_strike, on_spot = nodes[2, k], nodes[3, k], nodes[4, k]
                d2 = (z[i] - nodes[0, k] + nodes[1, k]) / spread - 0.5 * spread
                d1 = d2 + spread
                bell1, bell2 = on_spot * density(d1) / spread, on_strike * density(d2) / spread
                beyond = on_spot * lower(-d1, density(d1))
                value += on_strike * lower(-d2, density(d2)) - y * beyond
                slope += bell1 - bell2 / y - beyond
                curve += bell1 * (1.0 - d1 / spread) / y + bell2 * (1.0 + d2 / spread) / (y * y)
            out[0, i], out[1, i], out[2, i] = value, slope, curve


@cache
def _compiled_values() -> Any:
    return njit(nogil=True, error_model="numpy")(_fill_values)


@cache
def _compiled_shapes() -> Any:
    return njit(nogil=True, error_model="numpy")(_fill_shapes)
