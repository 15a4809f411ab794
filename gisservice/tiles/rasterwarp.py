"""Cells of a raster on the pixels of a tile grid: where each pixel's middle lies among the cells, and what is there.

Pixels are counted over a whole zoom, from the grid's upper left corner, so a pixel has one value whichever tile or
larger window it is drawn in. Positions are exact at the nodes of a lattice that belongs to the zoom, not to the tile,
and linear between them (a hundredth of a pixel off at most). The overview is chosen, and the kernel widened for what
it is finer than the pixels, as GDAL's warper does, once for a zoom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from gisservice.crs import CRS, CRS84, Reprojection, reprojection, square_lonlat
from gisservice.model import BBox
from gisservice.tiles.grid import EXTENT
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD, TileMatrixSet

Reals = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

LATTICE, FINE_LATTICE = 16, 2
"""Pixels between the nodes where positions are exact; the second where a pixel is large."""

_LARGE_PIXEL_M = 1_500.0
"""On a sphere a line of s pixels of r metres bends away by s²·r / (8·6.4e6) pixels: 0.008 with 16 of these."""

_PLAIN = 1 / 0.95
"""Up to so many cells a pixel the kernel is not widened (GDAL's limit)."""

_NUDGE = 1e-6
"""Of a cell: a position on the line between two cells is in the right and lower one, whatever its last digit."""


class Resampling(StrEnum):
    """How a pixel's value comes of the cells around its middle."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    CUBIC = "cubic"


class Rect(NamedTuple):
    """A box of pixels of a zoom: column and row of its upper left pixel, and how many there are."""

    column: int
    row: int
    width: int
    height: int

    def grown(self, margin: int) -> Rect:
        """Return the box with so many pixels more on every side."""
        return Rect(self.column - margin, self.row - margin, self.width + 2 * margin, self.height + 2 * margin)

    def within(self, other: Rect) -> Rect:
        """Return what both boxes share; its width or height is not positive where that is nothing."""
        left, top = max(self.column, other.column), max(self.row, other.row)
        right = min(self.column + self.width, other.column + other.width)
        bottom = min(self.row + self.height, other.row + other.height)
        return Rect(left, top, right - left, bottom - top)


class Window(NamedTuple):
    """A box of cells of a level, as :meth:`Source.read` takes it."""

    column: int
    row: int
    width: int
    height: int


class SourceLevel(Protocol):
    """One resolution of a source."""

    @property
    def width(self) -> int:
        """Cells in a row."""

    @property
    def height(self) -> int:
        """Rows."""


class SourceCells(Protocol):
    """What a source reads: values (bands, height, width), and opacity (height, width) or None where all is opaque."""

    @property
    def values(self) -> npt.NDArray[Any]:
        """The values."""

    @property
    def opacity(self) -> npt.NDArray[Any] | None:
        """Truth values, or alpha from 0 to 255."""


class Source(Protocol):
    """A raster to draw from: :class:`gisservice.catalog.rasters.Raster` is one."""

    width: int
    height: int
    transform: tuple[float, ...]
    crs: CRS

    @property
    def levels(self) -> Sequence[SourceLevel]:
        """The resolutions, the finest first."""

    def read(self, bands: Sequence[int], window: Any, level: int = 0) -> SourceCells:
        """Read a window that lies inside a level."""

    def cells_at(self, xy: Reals) -> Reals:
        """Return positions, shape (n, 2) in the source's CRS, as columns and rows of the finest level."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """Values on pixels: ``values`` has shape (bands, height, width).

    ``opacity``, shape (height, width), is None where all pixels are opaque; truth values where each shows something or
    nothing; or alpha from 0 to 255. What is not opaque at all has the value 0.
    """

    values: npt.NDArray[Any]
    opacity: npt.NDArray[Any] | None

    @property
    def is_empty(self) -> bool:
        """Whether no pixel shows anything."""
        return self.opacity is not None and not self.opacity.any()


@dataclass(frozen=True, slots=True)
class _Scale:
    """How a zoom is drawn: from which level, and how many cells of it a pixel is wide and high."""

    level: int
    across: float
    down: float
    reach: Rect
    """The pixels that the source can show on, one more on every side."""
    step: int
    """Pixels between nodes."""


class Warp:
    """A source on the pixels of a grid. Safe for threads."""

    def __init__(self, source: Source, grid: TileMatrixSet, extent: BBox | None = None) -> None:
        self.source, self.grid = source, grid
        self._to_lonlat: Reprojection = reprojection(source.crs, CRS84, extent)
        self._grid_to_lonlat: Reprojection = _grid_operation(grid)
        self._outline = self._to_lonlat.apply(_outline(source))
        self._scale = lru_cache(maxsize=128)(self._find_scale)

    def reach(self, z: int, size: int) -> Rect:
        """Return the pixels of a zoom on which the source can show."""
        return self._scale(z, size).reach

    def ratio(self, z: int, size: int) -> float:
        """Return how many cells of the finest level a pixel is wide."""
        scale = self._scale(z, size)
        return scale.across * self.source.width / self.source.levels[scale.level].width

    def pixels(self, z: int, size: int, rect: Rect, bands: Sequence[int], how: Resampling) -> Pixels:
        """Return bands (from 1) on the pixels of a box of zoom ``z`` whose tiles have ``size`` pixels a side.

        Nearest keeps the source's type, the others give 32-bit reals. As GDAL does, a pixel shows something where the
        cell that its middle lies in is valid, and its value is the mean of the valid cells under the kernel.
        """
        scale = self._scale(z, size)
        inner = rect.within(scale.reach)
        if inner.width <= 0 or inner.height <= 0:
            return _nothing(rect, len(bands))
        found = self._inside(scale, z, size, inner, bands, how)
        return found if inner == rect else _placed(found, inner, rect)

    def _inside(self, scale: _Scale, z: int, size: int, rect: Rect, bands: Sequence[int], how: Resampling) -> Pixels:
        level = self.source.levels[scale.level]
        nodes = self._nodes(scale, z, size, rect)
        margin = _margin(scale, how)
        left, top, right, bottom = _span(nodes, margin, level)
        if left >= right or top >= bottom:
            return _nothing(rect, len(bands))
        part = Window(max(left, 0), max(top, 0), 0, 0)
        part = part._replace(width=min(right, level.width) - part.column, height=min(bottom, level.height) - part.row)
        if part.width <= 0 or part.height <= 0:
            return _nothing(rect, len(bands))
        cells = self.source.read(bands, part, scale.level)
        values, opacity = cells.values, cells.opacity
        if (left, top, right, bottom) != (part.column, part.row, part.column + part.width, part.row + part.height):
            values, opacity = _padded(values, opacity, part, (left, top, right, bottom))
        x, y = _between(nodes, rect, scale.step)
        x -= left
        y -= top
        return _gathered(values, opacity, x, y, scale, how)

    def _nodes(self, scale: _Scale, z: int, size: int, rect: Rect) -> Reals:
        """Return column and row of the level, shape (rows, columns, 2), at the lattice's nodes in and around a box."""
        step = scale.step
        columns = np.arange(rect.column // step, -(-(rect.column + rect.width) // step) + 1) * float(step)
        rows = np.arange(rect.row // step, -(-(rect.row + rect.height) // step) + 1) * float(step)
        places = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
        return self._positions(places, z, size, scale.level).reshape(len(rows), len(columns), 2)

    def _positions(self, places: Reals, z: int, size: int, level: int) -> Reals:
        """Return pixel positions of a zoom, shape (n, 2), as columns and rows of a level."""
        matrix = self.grid.matrices[z]
        if self.grid is WEB_MERCATOR_QUAD:
            lonlat = square_lonlat(places / (matrix.width * size))
        else:
            cell = matrix.unit * EXTENT / size
            lonlat = self._grid_to_lonlat.apply(places * (cell, -cell) + matrix.origin)
        found = self.source.cells_at(self._to_lonlat.invert(lonlat))
        chosen = self.source.levels[level]
        found *= (chosen.width / self.source.width, chosen.height / self.source.height)
        return found

    def _find_scale(self, z: int, size: int) -> _Scale:
        reach = self._reach(z, size)
        pixel_m = self.grid.matrices[z].scale_denominator * 0.00028 * 256 / size
        step = FINE_LATTICE if pixel_m > _LARGE_PIXEL_M else LATTICE
        ratio = math.hypot(self.source.width, self.source.height) / max(math.hypot(reach.width, reach.height), 1e-9)
        level = _level(self.source, ratio)
        middle = np.array([reach.column + reach.width / 2, reach.row + reach.height / 2])
        around = middle + np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
        west, east, north, south = self._positions(around, z, size, level)
        across, down = np.hypot(east - west, south - north).tolist()
        if not (math.isfinite(across) and math.isfinite(down)):
            across = down = ratio * self.source.levels[level].width / self.source.width
        return _Scale(level, across, down, reach.grown(1), step)

    def _reach(self, z: int, size: int) -> Rect:
        places = self.grid.positions(self._outline, z) * (size / EXTENT)
        matrix = self.grid.matrices[z]
        if not np.isfinite(places).all():
            return Rect(0, 0, matrix.width * size, matrix.height * size)
        left, top = np.floor(places.min(axis=0)).astype(int).tolist()
        right, bottom = np.ceil(places.max(axis=0)).astype(int).tolist()
        return Rect(left, top, max(right - left, 1), max(bottom - top, 1))


@lru_cache(maxsize=16)
def _grid_operation(grid: TileMatrixSet) -> Reprojection:
    area = grid.crs.area_of_use
    return reprojection(grid.crs, CRS84, area.bounds if area is not None else None)


def _outline(source: Source) -> Reals:
    """Return positions along the border of a source, in its CRS."""
    share = np.linspace(0.0, 1.0, 65)
    sides = [
        np.column_stack([share, np.zeros_like(share)]),
        np.column_stack([share, np.ones_like(share)]),
        np.column_stack([np.zeros_like(share), share]),
        np.column_stack([np.ones_like(share), share]),
    ]
    a, b, c, d, e, f = source.transform
    at = np.concatenate(sides) * (source.width, source.height)
    return np.column_stack([a * at[:, 0] + b * at[:, 1] + c, d * at[:, 0] + e * at[:, 1] + f])


def _level(source: Source, ratio: float) -> int:
    """Return the coarsest level that is not coarser than the pixels, as gdalwarp chooses (-ovr AUTO)."""
    factors = [source.width / level.width for level in source.levels]
    chosen = 0
    for number, factor in enumerate(factors):
        if factor < ratio or abs(factor - ratio) < 0.1:
            chosen = number
    return chosen


def _margin(scale: _Scale, how: Resampling) -> int:
    """Return how many cells beyond the one that it lies in the kernel of a pixel can reach."""
    if how is Resampling.NEAREST:
        return 1
    return max(_radius(scale.across, how), _radius(scale.down, how)) + 1


def _radius(ratio: float, how: Resampling) -> int:
    plain = 1 if how is Resampling.BILINEAR else 2
    return plain if ratio <= _PLAIN else math.ceil(plain * ratio)


def _span(nodes: Reals, margin: int, level: SourceLevel) -> tuple[int, int, int, int]:
    """Return the cells from the first to behind the last that nodes and margin need, kept near the level."""
    finite = nodes[np.isfinite(nodes).all(axis=-1)]
    if not len(finite):
        return 0, 0, 0, 0
    low, high = np.floor(finite.min(axis=0)), np.floor(finite.max(axis=0))
    left, top = (max(int(value) - margin, -margin - 1) for value in np.maximum(low, -1e9))
    right, bottom = (int(value) + margin + 1 for value in np.minimum(high, 1e9))
    return left, top, min(right, level.width + margin + 1), min(bottom, level.height + margin + 1)


def _padded(
    values: npt.NDArray[Any], opacity: npt.NDArray[Any] | None, part: Window, span: tuple[int, int, int, int]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return cells with empty ones around them, so that a kernel never leaves the array."""
    left, top, right, bottom = span
    shape = bottom - top, right - left
    rows = slice(part.row - top, part.row - top + part.height)
    columns = slice(part.column - left, part.column - left + part.width)
    around = np.zeros((len(values), *shape), dtype=values.dtype)
    around[:, rows, columns] = values
    kind: Any = np.bool_ if opacity is None else opacity.dtype
    shown = np.zeros(shape, dtype=kind)
    shown[rows, columns] = True if opacity is None else opacity
    return around, shown


def _between(nodes: Reals, rect: Rect, step: int) -> tuple[Reals, Reals]:
    """Return columns and rows at the middles of a box's pixels, linear between nodes.

    Every pixel is worked out from its own nodes with the same steps, so it comes out alike in every box.
    """
    across = np.arange(rect.column, rect.column + rect.width)
    j, s = across // step - rect.column // step, ((across % step) + 0.5) / step
    t = ((np.arange(step) + 0.5) / step)[:, None]
    skipped = rect.row % step
    found = []
    for axis in (0, 1):
        part = np.ascontiguousarray(nodes[..., axis])
        rows = part[:, j] * (1.0 - s) + part[:, j + 1] * s
        whole = np.diff(rows, axis=0)[:, None] * t
        whole += rows[:-1, None]
        found.append(whole.reshape(-1, rect.width)[skipped : skipped + rect.height])
    return found[0], found[1]


def _gathered(
    values: npt.NDArray[Any], opacity: npt.NDArray[Any] | None, x: Reals, y: Reals, scale: _Scale, how: Resampling
) -> Pixels:
    """Return the pixels of positions in an array of cells that holds all that kernels need."""
    height, width = values.shape[1:]
    outside = _outside(x, y, width, height, _margin(scale, how))
    shown = None
    if opacity is not None or how is Resampling.NEAREST:
        here = (y + _NUDGE).astype(np.int32) * np.int32(width) + (x + _NUDGE).astype(np.int32)
        shown = None if opacity is None else opacity.ravel().take(here)
    if outside is not None:
        shown = ~outside if shown is None else np.where(outside, shown.dtype.type(0), shown)
    if how is Resampling.NEAREST:
        taken = values.reshape(len(values), -1).take(here, axis=1)
        return _veiled(taken, shown)
    kernel = _Kernel.at(x, y, width, scale, how)
    if opacity is None:
        return _veiled(np.stack([kernel.mean(band) for band in values]), shown)
    values = np.where(opacity > 0, values, values.dtype.type(0))  # what is not shown may be no number
    found = np.stack([kernel.mean(band) for band in values])
    full = True if opacity.dtype == np.bool_ else 255
    mixed = kernel.touches(opacity < full)
    if not mixed.any():
        return _veiled(found, shown)
    few = kernel.among(mixed)
    if how is Resampling.CUBIC and max(scale.across, scale.down) <= _PLAIN:
        # As in GDAL: the negative weights of a cubic kernel that lacks cells would overshoot.
        few = _Kernel.at(x[mixed], y[mixed], width, scale, Resampling.BILINEAR)
    return _among_valid(found, mixed, few, values, opacity, shown)


def _outside(x: Reals, y: Reals, width: int, height: int, margin: int) -> npt.NDArray[np.bool_] | None:
    """Find positions whose kernel leaves the array, and move them, in place, to where it does not; None for none.

    They are far beyond the source, or have no position at all.
    """
    low, high = margin - 1.0, -margin + 1.0
    with np.errstate(invalid="ignore"):
        if x.min() >= low and y.min() >= low and x.max() <= width + high and y.max() <= height + high:
            return None
        found = ~((x >= low) & (x <= width + high) & (y >= low) & (y <= height + high))
    x[found] = y[found] = margin
    return found


@dataclass(frozen=True)
class _Kernel:
    """Where the kernels of pixels begin in a flat array of cells, and their weights along both axes."""

    first: npt.NDArray[np.int32]
    width: int
    across: list[Singles]
    down: list[Singles]
    share: Singles | None
    """One over the sum of the weights; None where they sum to 1."""

    @classmethod
    def at(cls, x: Reals, y: Reals, width: int, scale: _Scale, how: Resampling) -> _Kernel:
        """Work out the kernels of positions, all inside an array of rows of ``width`` cells."""
        column, across = _taps(x, scale.across, how)
        row, down = _taps(y, scale.down, how)
        row *= np.int32(width)
        row += column
        if max(scale.across, scale.down) <= _PLAIN:
            return cls(row, width, across, down, None)
        share = _total(across)
        share *= _total(down)
        return cls(row, width, across, down, np.reciprocal(share, out=share))

    def mean(self, cells: npt.NDArray[Any]) -> Singles:
        """Return the weighted mean of valid cells, shape (rows, columns), under each kernel."""
        flat = cells.ravel() if cells.dtype == np.float32 else cells.astype(np.float32).ravel()
        total = np.zeros(self.first.shape, dtype=np.float32)
        part, taken = np.empty_like(total), np.empty_like(total)
        for i, weight_down in enumerate(self.down):
            for j, weight_across in enumerate(self.across):
                flat[i * self.width + j :].take(self.first, out=taken if j else part, mode="clip")
                if j:
                    np.multiply(taken, weight_across, out=taken)
                    part += taken
                else:
                    part *= weight_across
            part *= weight_down
            total += part
        if self.share is not None:
            total *= self.share
        return total

    def touches(self, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Tell of each kernel whether it reaches a marked cell."""
        rows, columns = len(self.down), len(self.across)
        spread = flags.copy()
        for shift in range(1, rows):
            spread[:-shift] |= flags[shift:]
        flags = spread.copy()
        for shift in range(1, columns):
            spread[:, :-shift] |= flags[:, shift:]
        return spread.ravel().take(self.first)

    def among(self, chosen: npt.NDArray[np.bool_]) -> _Kernel:
        """Return the kernels of some pixels, as one row."""
        across, down = ([weight[chosen] for weight in weights] for weights in (self.across, self.down))
        share = None if self.share is None else self.share[chosen]
        return _Kernel(self.first[chosen], self.width, across, down, share)


def _among_valid(
    found: Singles,
    mixed: npt.NDArray[np.bool_],
    few: _Kernel,
    values: npt.NDArray[Any],
    opacity: npt.NDArray[Any],
    shown: npt.NDArray[Any] | None,
) -> Pixels:
    """Return pixels of which some, ``mixed``, have a kernel (in ``few``) that reaches cells that are not opaque.

    Those are means of the cells that show something, weighed by alpha too; their own alpha is the mean of those cells.
    """
    full = np.float32(1 if opacity.dtype == np.bool_ else 255)
    weigh = opacity.astype(np.float32) / full
    total = few.mean(weigh)
    usable = np.abs(total) > 1e-5
    for band, cells in zip(found, values, strict=True):
        sums = few.mean(cells.astype(np.float32) * weigh)
        band[mixed] = np.divide(sums, total, out=np.zeros_like(sums), where=usable)
    if opacity.dtype == np.bool_:
        visible = np.ones(mixed.shape, dtype=np.bool_) if shown is None else shown.copy()
        visible[mixed] &= usable
        return _veiled(found, visible)
    shade = np.full(mixed.shape, 255, dtype=np.uint8)
    there = few.mean((opacity > 0).astype(np.float32))
    alpha = np.divide(total, there, out=np.zeros_like(total), where=usable & (np.abs(there) > 1e-5))
    shade[mixed] = np.clip(np.floor(alpha * np.float32(255) + np.float32(0.5)), 0, 255)
    if shown is not None:
        shade[shown == 0] = 0
    return _veiled(found, shade)


def _veiled(values: npt.NDArray[Any], shown: npt.NDArray[Any] | None) -> Pixels:
    """Return pixels whose values are 0 where nothing is shown, and without opacity where all is."""
    if shown is None or (shown.min() == (1 if shown.dtype == np.bool_ else 255)):
        return Pixels(values, None)
    values[:, shown == 0] = 0
    return Pixels(values, shown)


def _taps(at: Reals, ratio: float, how: Resampling) -> tuple[npt.NDArray[np.int32], list[Singles]]:
    """Return the first cell of the kernels along one axis, and the weight of each cell from there on."""
    at = at - 0.5
    if ratio <= _PLAIN:
        return _plain_taps(at, how)
    reach = ratio if how is Resampling.BILINEAR else 2 * ratio
    weigh = _triangle if how is Resampling.BILINEAR else _catmull_rom
    first = np.ceil(at - reach).astype(np.int32)
    offset = np.subtract(first, at, out=at).astype(np.float32)
    narrow = np.float32(1.0 / ratio)
    weights = []
    for step in range(math.floor(2 * reach) + 1):  # no more cells can have their middles under the kernel
        distance = offset + np.float32(step)
        np.abs(distance, out=distance)
        distance *= narrow
        weights.append(weigh(distance))
    return first, weights


def _total(weights: list[Singles]) -> Singles:
    total = weights[0].copy()
    for weight in weights[1:]:
        total += weight
    return total


def _plain_taps(at: Reals, how: Resampling) -> tuple[npt.NDArray[np.int32], list[Singles]]:
    base = at.astype(np.int32)  # positions are positive: this is the floor
    offset = np.subtract(at, base, dtype=np.float64).astype(np.float32)
    if how is Resampling.BILINEAR:
        return base, [np.float32(1) - offset, offset]
    return base - np.int32(1), [_catmull_rom(np.abs(np.float32(step) - offset)) for step in range(-1, 3)]


def _triangle(distance: Singles) -> Singles:
    """Return weights in place of distances."""
    np.subtract(np.float32(1), distance, out=distance)
    return np.maximum(distance, np.float32(0), out=distance)


def _catmull_rom(d: Singles) -> Singles:
    """Keys (1981) with a = -1/2, which GDAL calls cubic."""
    near = (np.float32(1.5) * d - np.float32(2.5)) * d * d + np.float32(1)
    far = ((np.float32(-0.5) * d + np.float32(2.5)) * d - np.float32(4)) * d + np.float32(2)
    found: Singles = np.where(d <= 1, near, np.where(d < 2, far, np.float32(0)))
    return found


def _nothing(rect: Rect, bands: int) -> Pixels:
    shape = rect.height, rect.width
    return Pixels(np.zeros((bands, *shape), dtype=np.float32), np.zeros(shape, dtype=np.bool_))


def _placed(found: Pixels, inner: Rect, rect: Rect) -> Pixels:
    """Return the pixels of a smaller box as those of a larger one, empty around them."""
    rows = slice(inner.row - rect.row, inner.row - rect.row + inner.height)
    columns = slice(inner.column - rect.column, inner.column - rect.column + inner.width)
    values = np.zeros((len(found.values), rect.height, rect.width), dtype=found.values.dtype)
    values[:, rows, columns] = found.values
    opacity = np.zeros((rect.height, rect.width), dtype=np.bool_ if found.opacity is None else found.opacity.dtype)
    opacity[rows, columns] = True if found.opacity is None else found.opacity
    return Pixels(values, opacity)
