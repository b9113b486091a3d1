"""Products of a matrix with the factors of a block of scenarios, summed in registers.

A lane never sees another lane, and its sum runs over the columns in order: the bits depend neither on the
vector width of the CPU nor on the shape of the tile.

Source of the register tile: Goto and van de Geijn, Anatomy of high-performance matrix multiplication (2008).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from firm.risk_kernels.normals import BLOCK

PANEL = 8
"""Rows of a panel: their sums for `TILE_BYTES` of lanes fill 24 vector registers of 64 bytes."""

_VECTOR_BYTES = 64
_VECTORS = 3
TILE_BYTES = _VECTORS * _VECTOR_BYTES

_LANE = ir.IntType(64)


@intrinsic
def add_product_tile(
    _context: Any, out: Any, _row: Any, panels: Any, _panel: Any, _columns: Any, factors: Any, _lane: Any
) -> Any:
    """out[row + r, l] += sum over k < columns of panels[panel, k, r] factors[k, l], one fma after another.

    For r in 0..PANEL-1 and the TILE_BYTES of lanes from `lane`; `out`, `panels` and `factors` have one real
    type, and the rows of `out` and `factors` are BLOCK long.
    """
    real = out.dtype
    arguments_of_one_type = real == panels.dtype == factors.dtype
    if not arguments_of_one_type or real not in {types.float64, types.float32}:
        raise TypeError(f"a tile needs one real type, found {real}, {panels.dtype}, {factors.dtype}")
    signature = types.void(out, types.int64, panels, types.int64, types.int64, factors, types.int64)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _Tile(context, builder, signature, arguments).emit()
        return context.get_dummy_value()

    return signature, build


class _Tile:
    """Writes the instructions of one tile."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        out, self.row, panels, self.panel, self.columns, factors, self.lane = arguments
        out_type, panels_type, factors_type = signature.args[0], signature.args[2], signature.args[5]
        self.builder = builder
        self.out = context.make_array(out_type)(context, builder, out).data
        panels = context.make_array(panels_type)(context, builder, panels)
        self.panels, self.depth = panels.data, builder.extract_value(panels.shape, 1)
        self.factors = context.make_array(factors_type)(context, builder, factors).data
        self.bytes = out_type.dtype.bitwidth // 8
        self.width = _VECTOR_BYTES // self.bytes
        self.real = ir.DoubleType() if self.bytes == 8 else ir.FloatType()
        self.vector = ir.VectorType(self.real, self.width)

    def emit(self) -> None:
        """Load the sums, add column after column, store the sums."""
        builder = self.builder
        first = [
            [self._place(self.out, builder.add(self.row, _LANE(r)), v) for v in range(_VECTORS)]
            for r in range(PANEL)
        ]
        sums = [[cgutils.alloca_once_value(builder, self._load(place)) for place in row] for row in first]
        panel = builder.mul(self.panel, self.depth)
        with cgutils.for_range(builder, self.columns, intp=_LANE) as loop:
            drawn = [self._load(self._place(self.factors, loop.index, v)) for v in range(_VECTORS)]
            at = builder.mul(builder.add(panel, loop.index), _LANE(PANEL))
            for r in range(PANEL):
                loading = self._splat(builder.gep(self.panels, [builder.add(at, _LANE(r))]))
                for v in range(_VECTORS):
                    new = self._fma(loading, drawn[v], builder.load(sums[r][v]))
                    builder.store(new, sums[r][v])
        for places, row in zip(first, sums, strict=True):
            for place, total in zip(places, row, strict=True):
                builder.store(builder.load(total), place).align = self.bytes

    def _place(self, base: Any, row: Any, v: int) -> Any:
        """The address of vector `v` of this tile in a row of BLOCK lanes."""
        start = self.builder.add(self.builder.mul(row, _LANE(BLOCK)), self.lane)
        lane = self.builder.add(start, _LANE(v * self.width))
        return self.builder.bitcast(self.builder.gep(base, [lane]), self.vector.as_pointer())

    def _load(self, place: Any) -> Any:
        loaded = self.builder.load(place)
        loaded.align = self.bytes
        return loaded

    def _splat(self, place: Any) -> Any:
        """The real at `place` in every lane of a vector."""
        undefined, index = ir.Constant(self.vector, ir.Undefined), ir.IntType(32)
        one = self.builder.insert_element(undefined, self.builder.load(place), index(0))
        return self.builder.shuffle_vector(
            one, undefined, ir.Constant(ir.VectorType(index, self.width), [0] * self.width)
        )

    def _fma(self, a: Any, b: Any, c: Any) -> Any:
        name = f"llvm.fma.v{self.width}f{8 * self.bytes}"
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name
        )
        return self.builder.call(function, [a, b, c])


def packed_panels(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The rows of a matrix in panels of PANEL, column after column: what a tile reads in sequence.

    [m, k] becomes [ceil(m / PANEL), k, PANEL], filled with zeros.
    """
    rows, columns = matrix.shape
    padded = np.zeros((rows + -rows % PANEL, columns), matrix.dtype)
    padded[:rows] = matrix
    return np.ascontiguousarray(padded.reshape(-1, PANEL, columns).transpose(0, 2, 1))


def panel_columns(panels: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The number of leading columns of each panel up to its last that is not zero.

    The others add nothing: of a triangular matrix half the work is left.
    """
    used = np.any(panels != 0.0, axis=2)
    depth = panels.shape[1]
    last = depth - np.argmax(used[:, ::-1], axis=1)
    return np.where(used.any(axis=1), last, 0).astype(np.int64)
