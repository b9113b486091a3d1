"""Proof that a process computes the same bits as another: a hash of known-answer results.

It goes into the head of every log, and a node whose fingerprint differs may not join a run. It covers our
kernels (which should agree on every CPU), numpy's ufuncs and the BLAS and LAPACK behind numpy (which agree
only with the same version, CPU kernels and thread count; `firm.numeric_env` pins them).
"""

from collections.abc import Iterator
from hashlib import sha256

import numpy as np
import numpy.typing as npt

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
    digest = sha256()
    for result in _results():
        digest.update(np.ascontiguousarray(result, dtype="<f8").tobytes())
    return digest.hexdigest()


def _results() -> Iterator[npt.NDArray[np.floating]]:
    yield from _kernel_results()
    values = _lattice(1003)
    yield np.exp(30.0 * values)
    yield np.log(values + 0.75)
    yield np.sqrt(values + 0.5)
    yield values.sum(keepdims=True)
    for size in _SIZES:
        yield from _linear_algebra_results(size)


def _kernel_results() -> Iterator[Array]:
    loadings = 0.02 * _lattice(35).reshape(7, 5)
    idiosyncratic, drift, exposures = 0.01 + 0.01 * _lattice(7), 0.001 * _lattice(7), 1e6 * _lattice(7)
    yield scenario_pnl(0, 2, loadings, idiosyncratic, drift, exposures, seed=2011)
    columns = scenario_columns(
        2**33, 1, loadings, idiosyncratic, drift, exposures, 2011, degrees_of_freedom=6
    )
    yield columns
    yield pairwise_sum(columns)


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
