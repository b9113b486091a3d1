"""A book and a law made ready for the loops of the sampler, and what they are steered by.

Drivers are standardised: in plain scenarios a driver is standard normal, or Student of the law's degrees.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from firm.risk_kernels.contracts import Contracts, FactorLaw, Ladders, Matrix, Vector
from firm.risk_kernels.factors import Draws, DrawScratch, draws_of
from firm.risk_kernels.montecarlo import pnl_from_returns
from firm.risk_kernels.normals import BLOCK
from firm.risk_kernels.philox import key_words
from firm.risk_kernels.revalue import Scratch
from firm.risk_kernels.sampler_loops import stratified_run, stratum_targets, tilted_run
from firm.risk_kernels.terms import Terms, terms_of

_BISECTIONS = 60
_DOUBLINGS = 60
_BELOW_POLE = 1.0 - 1e-6


class Line(NamedTuple):
    """The linear driver direction . (x - drift) of the loss; moving it by 1 moves x by `response`.

    float64[m] each; zero where the book has no delta at all.
    """

    direction: Vector
    response: Vector


class Strata(NamedTuple):
    """How many scenarios take a stratum each of the whole law, and of its upper tail of this probability."""

    plain: int
    steered: int
    region: float


class Tilt(NamedTuple):
    """A normal law of the k common factors: f becomes matrix f + offset; with its inverse and determinant.

    The loss is linear . f + f' square f, but for a constant and what other draws add.
    """

    matrix: Matrix
    offset: Vector
    inverse: Matrix
    inverse_offset: Vector
    log_determinant: float
    linear: Vector
    square: Matrix


class Sensitivities(NamedTuple):
    """Of a book's P&L to the log-returns: float64[m] each, over moves of one standard deviation."""

    delta: Vector
    gamma: Vector


@dataclass(slots=True)
class Run:
    """One process's part of a run: the book packed for the loops, and its scratch."""

    law: FactorLaw
    contracts: Contracts
    quantities: Vector
    seed: int
    ladders: Ladders | None
    _draws: Draws = field(init=False)
    _terms: Terms = field(init=False)
    _keys: tuple[Any, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._keys = key_words(self.seed)
        self._terms = terms_of(self.contracts, self.quantities, len(self.law.drift), self.ladders, "double")
        self._draws = draws_of(self.law, self._terms.factors, "double")

    def targets(self, first_block: int, blocks: int, strata: Strata, origin: int) -> tuple[Matrix, Vector]:
        """The drivers float64[blocks, BLOCK] of a shard's scenarios, and their weights float64[scenarios].

        Scenario s of the strata has the random words of scenario origin * BLOCK + s.
        """
        targets, weights = np.empty(blocks * BLOCK), np.empty(blocks * BLOCK)
        number = first_block * BLOCK
        first = np.uint64(origin * BLOCK + number)
        half_nu = self.law.degrees_of_freedom // 2
        stratum_targets()(targets, weights, first, number, *strata, half_nu, *self._keys)
        return targets.reshape(blocks, BLOCK), weights

    def driven(
        self, first_block: int, blocks: int, line: Line, targets: Matrix | None = None
    ) -> tuple[Vector, Vector]:
        """P&L float64[scenarios] and the drivers drawn; with targets, moved so that they have these."""
        total, drivers = np.empty((blocks, BLOCK)), np.empty((blocks, BLOCK))
        targets = np.empty((0, BLOCK)) if targets is None else targets
        stratified_run()(
            total,
            drivers,
            targets,
            self._no_columns(),
            first_block,
            *line,
            self._draws,
            self._terms,
            *self._scratch(),
            *self._keys,
        )
        return total.reshape(-1), drivers.reshape(-1)

    def tilted(
        self, first_block: int, blocks: int, tilt: Tilt, plain_blocks: int
    ) -> tuple[Vector, Vector, Vector]:
        """P&L, density of the tilted law over the plain one, and the quadratic form: float64[scenarios] each.

        The first `plain_blocks` blocks of these follow the plain law, the others the tilted one.
        """
        total, ratios, forms = (np.empty((blocks, BLOCK)) for _ in range(3))
        tilted_run()(
            total,
            ratios,
            forms,
            self._no_columns(),
            first_block,
            plain_blocks,
            tilt,
            self._draws,
            self._terms,
            *self._scratch(),
            *self._keys,
        )
        return total.reshape(-1), ratios.reshape(-1), forms.reshape(-1)

    def _no_columns(self) -> Any:
        return np.empty((len(self.contracts), 0, BLOCK))

    def _scratch(self) -> tuple[Matrix, DrawScratch, Scratch]:
        k = self._draws.panels.shape[1]
        returns = np.zeros((len(self._draws.drift), BLOCK))
        common = np.empty((k + -k % 4, BLOCK))
        drawn = DrawScratch(np.empty((4, BLOCK), np.uint64), common, np.empty(BLOCK), np.empty(BLOCK))
        return returns, drawn, Scratch(np.empty(BLOCK), np.empty(BLOCK), np.empty_like(returns))


def sensitivities(
    law: FactorLaw, contracts: Contracts, quantities: Vector, ladders: Ladders | None = None
) -> Sensitivities:
    """Slope and curvature of the P&L along each factor, by full revaluation a deviation up and down."""
    used = np.unique(contracts["factor"])
    spread = np.sqrt((law.loadings**2).sum(axis=1) + law.idiosyncratic**2)
    moving = used[spread[used] > 0.0]
    steps = spread[moving]
    delta, gamma = np.zeros(len(spread)), np.zeros(len(spread))
    if not len(moving):
        return Sensitivities(delta, gamma)
    k = len(moving)
    returns = np.repeat(law.drift[:, None], 2 * k + 1, axis=1)
    returns[moving, np.arange(k)] += steps
    returns[moving, np.arange(k, 2 * k)] -= steps
    pnl = pnl_from_returns(returns, contracts, quantities, ladders=ladders)
    up, down, centre = pnl[:k], pnl[k : 2 * k], pnl[2 * k]
    delta[moving] = (up - down) / (2.0 * steps)
    gamma[moving] = (up - 2.0 * centre + down) / steps**2
    return Sensitivities(delta, gamma)


def loss_line(law: FactorLaw, delta: Vector) -> Line:
    """The direction in which a book of these deltas loses."""
    common = law.loadings.T @ delta
    covariances = law.loadings @ common + law.idiosyncratic**2 * delta
    deviation = float(np.sqrt(delta @ covariances))
    if not deviation > 0.0:
        return Line(np.zeros(len(delta)), np.zeros(len(delta)))
    return Line(-delta / deviation, -covariances / deviation)


def plain_tilt(law: FactorLaw, book: Sensitivities) -> Tilt:
    """The law as it is, with the quadratic loss of the book in the common factors."""
    k = law.loadings.shape[1]
    return Tilt(
        matrix=np.eye(k),
        offset=np.zeros(k),
        inverse=np.eye(k),
        inverse_offset=np.zeros(k),
        log_determinant=0.0,
        linear=np.ascontiguousarray(-law.loadings.T @ book.delta),
        square=np.ascontiguousarray(-0.5 * (law.loadings.T * book.gamma) @ law.loadings),
    )


def tilt_towards(plain: Tilt, loss: float) -> Tilt | None:
    """The law under which the quadratic loss is `loss` on average; None if it is already as large.

    Exponential tilting by theta: in the eigenvectors of the square, with eigenvalues l and linear part b,
    variances become v = 1 / (1 - 2 theta l) and means theta b v. The mean loss increases with theta up to the
    pole at 1 / (2 max l), so theta is found by bisection.
    """
    values, vectors = np.linalg.eigh(plain.square)
    linear = vectors.T @ plain.linear

    def mean_loss(theta: float) -> float:
        variance = 1.0 / (1.0 - 2.0 * theta * values)
        mean = theta * linear * variance
        return float(linear @ mean + (values * (variance + mean**2)).sum())

    high = _theta_bound(float(values[-1]), float(np.linalg.norm(linear)), mean_loss, loss)
    if loss <= mean_loss(0.0) or mean_loss(high) < loss:
        return None
    low = 0.0
    for _ in range(_BISECTIONS):
        theta = 0.5 * (low + high)
        low, high = (theta, high) if mean_loss(theta) < loss else (low, theta)
    deviation = 1.0 / np.sqrt(1.0 - 2.0 * low * values)
    offset = vectors @ (low * linear * deviation**2)
    inverse = np.ascontiguousarray((vectors / deviation) @ vectors.T)
    return plain._replace(
        matrix=np.ascontiguousarray((vectors * deviation) @ vectors.T),
        offset=offset,
        inverse=inverse,
        inverse_offset=-inverse @ offset,
        log_determinant=float(np.log(deviation).sum()),
    )


def _theta_bound(largest: float, slope: float, mean_loss: Callable[[float], float], loss: float) -> float:
    """A theta above the one wanted, if there is one: just below the pole, or found by doubling."""
    if largest > 0.0:
        return _BELOW_POLE / (2.0 * largest)
    theta = 1.0 / slope if slope > 0.0 else 0.0
    for _ in range(_DOUBLINGS):
        if mean_loss(theta) >= loss:
            break
        theta *= 2.0
    return theta
