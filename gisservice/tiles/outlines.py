"""The geometries of a layer as they came, and which of them lie beside which.

What becomes of a border depends on the geometries beside it and on nothing else. So a layer can be generalised piece
by piece, in several processes or after a change, as long as each piece is looked at together with what lies beside
it: the result is the same to the byte.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.model import Geometries
from gisservice.tiles.grid import PYRAMID_ZOOM_MAX
from gisservice.tiles.shapes import Flags, Ints, Shapes, distinct, from_geometries, offsets, ranges

Boxes = npt.NDArray[np.float64]
"""minx, miny, maxx, maxy on the world grid, shape (n, 4); NaN where a geometry has no positions."""


class Outlines:
    """Geometries on the world grid.

    ``maxzoom`` is the zoom that they are drawn at in full; ``always`` marks those that have an extent at every zoom,
    if only of one unit (None: no geometry).
    """

    def __init__(
        self, geometries: Geometries, maxzoom: int, *, coverage: bool = False, always: Flags | None = None
    ) -> None:
        self.geometries, self.maxzoom, self.coverage = geometries, maxzoom, coverage
        self.always = np.zeros(len(geometries), dtype=bool) if always is None else always
        self.cuts: Ints = geometries.rings[geometries.parts[geometries.starts]]
        """Offsets of positions by geometry."""
        self.boxes = _boxes(geometries, self.cuts)
        self._full = np.flatnonzero(~np.isnan(self.boxes[:, 0]))

    def __len__(self) -> int:
        return len(self.cuts) - 1

    @cached_property
    def tree(self) -> shapely.STRtree:
        """An index of the boxes of the geometries that are not empty."""
        return shapely.STRtree(_diagonals(self.boxes[self._full]))

    def shapes(self, rows: Ints, z: int) -> Shapes:
        """Return some geometries in level units of a zoom, as :func:`~gisservice.tiles.shapes.from_geometries`."""
        return from_geometries(part_of(self.geometries, rows), z)

    def beside(self, boxes: Boxes, shift: int) -> Ints:
        """Return the geometries, ascending, that can have to do with something in these boxes.

        That is: whose borders, rounded ``shift`` zooms above the deepest, could meet. Borders move by less than three
        units of the deepest zoom when they are drawn there in full, and by one of the other zoom when they are
        rounded to it.
        """
        if not len(boxes):
            return np.zeros(0, dtype=np.int64)
        margin = float((1 << shift) + 3 << PYRAMID_ZOOM_MAX - self.maxzoom)
        wide = np.array(boxes, dtype=np.float64)
        wide[:, :2] -= margin
        wide[:, 2:] += margin
        found = self.tree.query(_diagonals(wide[~np.isnan(wide[:, 0])]))[1]
        rows: Ints = self._full[distinct(found)]
        return rows

    def around(self, rows: Ints, shift: int = 0) -> Ints:
        """Return these geometries and those beside them, ascending."""
        if len(rows) == len(self):
            return np.arange(len(self), dtype=np.int64)
        return np.union1d(rows, self.beside(self.boxes[rows], shift))

    def blocks(self, positions: int) -> list[Ints]:
        """Cut the geometries into runs of about so many positions, at least one run."""
        load = self.cuts[1:] // positions
        begins = np.flatnonzero(np.diff(load, prepend=-1)).tolist() or [0]
        return [np.arange(first, last, dtype=np.int64) for first, last in pairwise([*begins, len(self)])]


def _diagonals(boxes: Boxes) -> npt.NDArray[Any]:
    """Return lines with these boxes as envelopes: the smallest things that have one."""
    lines: npt.NDArray[Any] = shapely.linestrings(boxes.reshape(-1, 2, 2))
    return lines


def _boxes(geometries: Geometries, cuts: Ints) -> Boxes:
    boxes = np.full((len(cuts) - 1, 4), np.nan)
    full = np.flatnonzero(np.diff(cuts) > 0)
    if len(full):
        boxes[full, :2] = np.minimum.reduceat(geometries.coordinates, cuts[full], axis=0)
        boxes[full, 2:] = np.maximum.reduceat(geometries.coordinates, cuts[full], axis=0)
    return boxes


def part_of(geometries: Geometries, rows: Ints) -> Geometries:
    """Return some geometries, in this order."""
    if len(rows) == len(geometries):
        return geometries
    part_counts = np.diff(geometries.starts)[rows]
    parts = ranges(geometries.starts[rows], part_counts)
    ring_counts = np.diff(geometries.parts)[parts]
    rings = ranges(geometries.parts[parts], ring_counts)
    lengths = np.diff(geometries.rings)[rings]
    coordinates = geometries.coordinates[ranges(geometries.rings[rings], lengths)]
    return Geometries(geometries.kind, coordinates, offsets(lengths), offsets(ring_counts), offsets(part_counts))
