"""Draws the log-returns of the factors, block by block, from the law, the seed and the scenario alone.

Scenario s has its random words from the counter (s, dimension, stream), and every sum runs inside its own
lane in the order of the loadings. So any shard of whole blocks, on any worker and any x86 level, has the same
bits, and factors that no contract needs are not drawn at all.

Source: McNeil, Frey and Embrechts, Quantitative Risk Management (2015), chapter 6 (normal variance mixtures,
factor models).
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from firm.risk_kernels.contracts import FactorLaw
from firm.risk_kernels.elementary import fma, lane_loop
from firm.risk_kernels.normals import (
    BLOCK,
    fill_normals,
    fill_normals_single,
    fill_student_scale,
    fill_words,
    lanes,
)
from firm.risk_kernels.philox import FACTORS, IDIOSYNCRATIC
from firm.risk_kernels.product import PANEL, TILE_BYTES, add_product_tile, packed_panels, panel_columns
from firm.risk_kernels.terms import Precision, real_of

DEGREES_MAX = 200
_QUAD = 4


class Draws(NamedTuple):
    """A law as the kernel reads it: `panels` of PANEL factors, and which of them are `wanted`.

    `own` tells whether any factor moves on its own, `moved` whether returns are more than loadings and own
    moves: a law without need not pay for them. `ones` are the deviations of the common factors.
    """

    panels: npt.NDArray[np.floating]
    columns: npt.NDArray[np.int64]
    idiosyncratic: npt.NDArray[np.floating]
    drift: npt.NDArray[np.floating]
    wanted: npt.NDArray[np.int64]
    degrees_of_freedom: int
    ones: npt.NDArray[np.floating]
    own: bool
    moved: bool


def draws_of(law: FactorLaw, factors: npt.NDArray[np.int64], precision: Precision) -> Draws:
    """Check the law and pack what the `factors` need of it.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or a number is out of its bounds.
    """
    _check(law)
    real = real_of(precision)
    panels = packed_panels(law.loadings.astype(real))
    return Draws(
        panels,
        panel_columns(panels),
        _padded(law.idiosyncratic, real),
        _padded(law.drift, real),
        np.unique(factors // PANEL),
        int(law.degrees_of_freedom),
        np.ones(panels.shape[1] + -panels.shape[1] % _QUAD, real),
        bool(law.idiosyncratic.any()),
        bool(law.degrees_of_freedom > 0 or law.drift.any()),
    )


def _padded(values: npt.NDArray[np.float64], real: Any) -> npt.NDArray[np.floating]:
    padded = np.zeros(len(values) + -len(values) % PANEL, real)
    padded[: len(values)] = values
    return padded


def _check(law: FactorLaw) -> None:
    loadings, degrees = law.loadings, law.degrees_of_freedom
    if loadings.ndim != 2 or 0 in loadings.shape:
        raise ValueError(f"loadings need the shape (factors, common factors), found {loadings.shape}")
    m = len(loadings)
    vectors = {"idiosyncratic": law.idiosyncratic, "drift": law.drift}
    for name, values in {"loadings": loadings, **vectors}.items():
        if name in vectors and values.shape != (m,):
            raise ValueError(f"{name} needs one value for each of {m} factors, found shape {values.shape}")
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise ValueError(f"{name} needs finite values, found {bad} NaN or infinite of {values.size}")
    if (lowest := float(law.idiosyncratic.min())) < 0.0:
        raise ValueError(f"idiosyncratic needs standard deviations of at least 0, found {lowest}")
    if degrees % 2 or not 0 <= degrees <= DEGREES_MAX:
        raise ValueError(
            f"degrees of freedom need to be 0 (normal) or even and at most {DEGREES_MAX}, found {degrees}"
        )


@lane_loop
def _clear(x: Any, f: int, nothing: Any) -> None:
    for lane in range(BLOCK):
        x[f, lane] = nothing


@lane_loop
def _scale_and_shift(x: Any, f: int, scale: Any, shift: Any) -> None:
    for lane in range(BLOCK):
        x[f, lane] = fma(scale[lane], x[f, lane], shift)


class DrawScratch(NamedTuple):
    """What a block is drawn in; one a thread. `common` has a row for each common factor, in fours."""

    words: Any
    common: Any
    chi: Any
    scale: Any


def draw_scratch(draws: Draws, precision: Precision) -> tuple[Any, DrawScratch]:
    """Memory for the returns, real[factors, BLOCK], and for what they are made of."""
    real, word = (np.float32, np.uint32) if precision == "single" else (np.float64, np.uint64)
    common = lanes(draws.ones.shape, real)
    scratch = DrawScratch(lanes((4,), word), common, lanes((), np.float64), lanes((), real))
    return lanes(draws.drift.shape, real), scratch


@cache
def block_draws(precision: Precision) -> Any:
    """The compiled function (returns, first scenario, draws, scratch, k0, k1) that draws one block.

    returns[factor, lane] is set for every factor of the wanted panels, scratch.scale to the Student scale.
    """
    normals = fill_normals_single if precision == "single" else fill_normals
    real = real_of(precision)
    nothing, tile = real(0.0), TILE_BYTES // np.dtype(real).itemsize

    @njit(nogil=True, error_model="numpy")
    def draw(returns: Any, first: Any, draws: Any, scratch: Any, k0: Any, k1: Any) -> None:
        words, common, scale = scratch.words, scratch.common, scratch.scale
        deviations, drift, panels, columns = draws.idiosyncratic, draws.drift, draws.panels, draws.columns
        for k in range(0, common.shape[0], _QUAD):
            fill_words(words, first, np.uint64(k // _QUAD), FACTORS, k0, k1)
            normals(common, k, words, draws.ones)
        fill_student_scale(scratch.chi, words, first, draws.degrees_of_freedom // 2, k0, k1)
        for lane in range(BLOCK):
            scale[lane] = scratch.chi[lane]
        for panel in draws.wanted:
            start = panel * PANEL
            for row in range(start, start + PANEL, _QUAD):
                if draws.own:
                    fill_words(words, first, np.uint64(row // _QUAD), IDIOSYNCRATIC, k0, k1)
                    normals(returns, row, words, deviations)
                else:
                    for own in range(row, row + _QUAD):
                        _clear(returns, own, nothing)
            for lane in range(0, BLOCK, tile):
                add_product_tile(returns, start, panels, panel, columns[panel], common, lane)
            if draws.moved:
                for row in range(start, start + PANEL):
                    _scale_and_shift(returns, row, scale, drift[row])

    return draw
