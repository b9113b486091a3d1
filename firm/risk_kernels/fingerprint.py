"""Proof that a process computes the same bits as another: a hash of known-answer results.

It goes into the head of every log, and a node whose fingerprint differs may not join a run. It covers our
kernels (which should agree on every CPU), numpy's ufuncs and the BLAS and LAPACK behind numpy (which agree
only with the same version, CPU kernels and thread count; `firm.numeric_env` pins them).
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain

import numpy as np
import numpy.typing as npt

from firm.risk_kernels.contracts import Contracts, FactorLaw, Payoff, linear_contracts
from firm.risk_kernels.montecarlo import scenario_columns, scenario_pnl
from firm.risk_kernels.tail import pairwise_sum

Array = npt.NDArray[np.float64]

_SIZES = (20, 64)
"""Assets: below and above the sizes where BLAS changes its path."""


def numeric_fingerprint() -> str:
    """Hex SHA-256 of the results, 64 characters; the same in every process of a uniform machine.

    Takes a few milliseconds after the kernels are compiled. The inputs come from integer arithmetic, so
    nothing but the arithmetic under test can differ.

    >>> numeric_fingerprint() == numeric_fingerprint()
    True
    """
    return _digest(chain(_kernel_results(), _array_results()))


def array_fingerprint() -> str:
    """The same of numpy alone, in a millisecond: for processes that use none of our kernels.

    >>> array_fingerprint() == array_fingerprint()
    True
    """
    return _digest(_array_results())


def _digest(results: Iterable[npt.NDArray[np.floating]]) -> str:
    digest = sha256()
    for result in results:
        digest.update(np.ascontiguousarray(result, dtype="<f8").tobytes())
    return digest.hexdigest()


def _array_results() -> Iterator[npt.NDArray[np.floating]]:
    values = _lattice(1003)
    yield np.exp(30.0 * values)
    yield np.log(values + 0.75)
    yield np.sqrt(values + 0.5)
    yield values.sum(keepdims=True)
    for size in _SIZES:
        yield from _linear_algebra_results(size)


def _kernel_results() -> Iterator[Array]:
    law = FactorLaw(0.02 * _lattice(35).reshape(7, 5), 0.01 + 0.01 * _lattice(7), 0.001 * _lattice(7), 0)
    contracts, quantities = _book(7), 1e4 * _lattice(14)
    yield scenario_pnl(0, 2, law, contracts, quantities, seed=2011)
    columns = scenario_columns(2**33, 1, law._replace(degrees_of_freedom=6), contracts, seed=2011)
    yield columns
    yield pairwise_sum(columns)


def _book(factors: int) -> Contracts:
    """A share and a put or call on each factor, some of them expired."""
    shares, options = linear_contracts(factors), linear_contracts(factors)
    options["payoff"] = Payoff.EUROPEAN
    options["spot"], options["strike"] = 100.0, 100.0 + 20.0 * _lattice(factors)
    options["years"], options["volatility"] = _lattice(factors) + 0.25, 0.3
    options["rate"], options["carry"] = 0.03, 0.01
    options["sign"] = np.where(np.arange(factors) % 2, 1.0, -1.0)
    return np.concatenate([shares, options])


def _linear_algebra_results(size: int) -> Iterator[npt.NDArray[np.floating]]:
    days = _lattice(3 * size * size).reshape(3 * size, size)
    gram = days.T @ days
    covariance = gram / len(days) + np.eye(size)
    yield gram
    yield np.linalg.cholesky(covariance)
    yield from np.linalg.eigh(covariance)
    yield np.linalg.solve(covariance, days[0])


def _lattice(count: int) -> Array:
    """`count` distinct-looking values in (-1/2, 1/2), exact quotients of integers."""
    steps = np.arange(1, count + 1, dtype=np.int64)
    return (steps * steps * 7919 + steps * 104729) % 10007 / 10007 - 0.5
