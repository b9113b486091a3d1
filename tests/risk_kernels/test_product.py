"""The register tile against a sum written out, and the packing of matrices for it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from firm.risk_kernels.elementary import fma, lane_loop
from firm.risk_kernels.normals import BLOCK, lanes
from firm.risk_kernels.product import PANEL, TILE_BYTES, add_product_tile, packed_panels, panel_columns


@lane_loop
def add_product(out: Any, panels: Any, columns: Any, factors: Any, tile: int) -> None:
    for panel in range(panels.shape[0]):
        for lane in range(0, BLOCK, tile):
            add_product_tile(out, panel * PANEL, panels, panel, columns[panel], factors, lane)


@lane_loop
def fused(a: Any, b: Any, c: Any) -> Any:
    return fma(a, b, c)


def product(matrix: npt.NDArray[Any], factors: npt.NDArray[Any], start: npt.NDArray[Any]) -> npt.NDArray[Any]:
    panels = packed_panels(matrix)
    out, drawn = lanes((PANEL * len(panels),), matrix.dtype), lanes((matrix.shape[1],), matrix.dtype)
    out[: len(matrix)], drawn[:] = start, factors
    add_product(out, panels, panel_columns(panels), drawn, TILE_BYTES // matrix.itemsize)
    assert not out[len(matrix) :].any()
    return np.asarray(out[: len(matrix)])


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (8, 8), (17, 20)])
def test_the_tile_adds_one_column_after_the_other_with_one_rounding_each(rows: int, columns: int, kind: Any):
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(rows, columns)).astype(kind)
    factors, start = (rng.normal(size=(n, BLOCK)).astype(kind) for n in (columns, rows))

    found = product(matrix, factors, start)

    for row, lane in ((0, 0), (rows - 1, 1), (rows // 2, 101), (rows - 1, BLOCK - 1)):
        total = start[row, lane]
        for k in range(columns):
            total = kind(fused(matrix[row, k], factors[k, lane], total))
        assert found[row, lane] == total


def test_the_zero_triangle_is_left_out_and_changes_no_bit():
    rng = np.random.default_rng(4)
    triangle = np.tril(rng.normal(size=(20, 20)))
    factors, start = rng.normal(size=(20, BLOCK)), rng.normal(size=(20, BLOCK))

    found = product(triangle, factors, start)

    np.testing.assert_allclose(found, start + triangle @ factors, rtol=1e-12, atol=1e-12)
    assert panel_columns(packed_panels(triangle)).tolist() == [8, 16, 20]


def test_a_panel_of_zeros_has_no_columns():
    assert panel_columns(packed_panels(np.zeros((9, 4)))).tolist() == [0, 0]


def test_panels_hold_the_rows_side_by_side():
    panels = packed_panels(np.arange(18.0).reshape(9, 2))

    assert panels.shape == (2, 2, PANEL)
    assert panels[0, 1].tolist() == [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0]
    assert panels[1, 0].tolist() == [16.0] + [0.0] * 7


def test_arrays_of_two_precisions_are_refused():
    panels = packed_panels(np.ones((1, 1)))

    with pytest.raises(TypeError, match="a tile needs one real type, found float32, float64, float64"):
        add_product(lanes((8,), np.float32), panels, panel_columns(panels), lanes((1,), np.float64), 24)
