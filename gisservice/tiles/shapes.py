"""Geometries of one zoom as flat integer arrays, and the array work that every step shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.model import Geometries, GeometryKind, Starts
from gisservice.tiles.grid import quantise

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shapes:
    """Geometries in level or tile units; any of them may be empty.

    ``xy`` has shape (c, 2), x east and y south; ``rings`` cuts it into rings (lines; for points: all points of one
    geometry), ``starts`` cuts rings into geometries. Rings are open: the last vertex is not the first again.
    ``exterior`` tells outer rings from holes, which follow their outer ring; it is all true for lines and points.
    """

    kind: GeometryKind
    xy: Ints
    rings: Starts
    starts: Starts
    exterior: Flags

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def ring_lengths(self) -> Ints:
        """Vertices of each ring."""
        lengths: Ints = self.rings[1:] - self.rings[:-1]
        return lengths

    @cached_property
    def vertices(self) -> Starts:
        """Offsets of vertices by geometry."""
        return self.rings[self.starts]

    @cached_property
    def vertex_counts(self) -> Ints:
        """Vertices of each geometry."""
        counts: Ints = self.vertices[1:] - self.vertices[:-1]
        return counts

    @property
    def owners(self) -> Ints:
        """The geometry of each ring."""
        return np.arange(len(self)).repeat(self.starts[1:] - self.starts[:-1])

    def take(self, rows: Ints) -> Shapes:
        """Return these geometries in this order; a row may come more than once."""
        if len(rows) == len(self) and (rows == np.arange(len(self))).all():
            return self
        first = self.starts[rows]
        ring_counts = self.starts[rows + 1] - first
        rings = ranges(first, ring_counts)
        taken = self._pick(rings, offsets(ring_counts))
        return taken._with_bounds(self._bounds[rows]) if self._has_bounds else taken

    def keep_rings(self, keep: Flags) -> Shapes:
        """Return all geometries, with only the rings marked."""
        counts = offsets(keep)[self.starts]
        return self._pick(keep.nonzero()[0], counts)

    def _pick(self, rings: Ints, starts: Starts) -> Shapes:
        lengths = self.ring_lengths[rings]
        xy = self.xy.take(ranges(self.rings[rings], lengths), axis=0)  # ten times faster than an index
        return Shapes(self.kind, xy, offsets(lengths), starts, self.exterior[rings])

    def keep_vertices(self, keep: Flags) -> Shapes:
        """Return all rings, with only the vertices marked."""
        xy = self.xy.take(keep.nonzero()[0], axis=0)
        return Shapes(self.kind, xy, offsets(keep)[self.rings], self.starts, self.exterior)

    def bounds(self) -> Ints:
        """Return minx, miny, maxx, maxy of each geometry, shape (n, 4); an empty one has minimum above maximum.

        They are worked out once, and read-only.
        """
        return self._bounds

    @cached_property
    def _bounds(self) -> Ints:
        out = np.empty((len(self), 4), dtype=np.int64)
        out[:, :2], out[:, 2:] = 1, 0
        full = (self.vertices[1:] > self.vertices[:-1]).nonzero()[0]
        if len(full):
            firsts = self.vertices[full]
            out[full, :2] = np.minimum.reduceat(self.xy, firsts, axis=0)
            out[full, 2:] = np.maximum.reduceat(self.xy, firsts, axis=0)
        out.flags.writeable = False
        return out

    @property
    def _has_bounds(self) -> bool:
        return "_bounds" in self.__dict__

    def _with_bounds(self, bounds: Ints) -> Shapes:
        bounds.flags.writeable = False
        self.__dict__["_bounds"] = bounds
        return self

    def areas(self) -> Ints:
        """Return twice the signed area of each ring: positive where x, y (down) turn clockwise on the screen."""
        origin = self.xy.take(self.rings[:-1].repeat(self.ring_lengths), axis=0)
        x, y = np.ascontiguousarray((self.xy - origin).T)
        after = following(self.rings)
        return sums(x * y[after] - x[after] * y, self.rings)


def offsets(lengths: npt.NDArray[Any]) -> Starts:
    """Return where each of these lengths begins, with a closing entry."""
    out = np.zeros(len(lengths) + 1, dtype=np.int64)
    lengths.cumsum(out=out[1:])
    return out


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Return ``starts[i], starts[i] + 1, …`` (``lengths[i]`` of them) for each i, end to end."""
    ends = lengths.cumsum()
    out: Ints = (starts - ends + lengths).repeat(lengths)
    out += np.arange(len(out))
    return out


def distinct(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the distinct ones of some numbers, ascending; several times faster than numpy's, which hashes first."""
    ordered = np.sort(numbers)
    opens = np.ones(len(ordered), dtype=bool)
    opens[1:] = ordered[1:] != ordered[:-1]
    found: npt.NDArray[Any] = ordered[opens]
    return found


def sums(values: npt.NDArray[Any], cuts: Starts) -> npt.NDArray[Any]:
    """Return the sum of each slice of ``values`` between consecutive cuts; 0 for an empty one."""
    before = offsets(values)[cuts]
    result: npt.NDArray[Any] = before[1:] - before[:-1]
    return result


def positions(xy: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return positions, shape (n, 2), as a row in which each is one number, to be moved several times faster."""
    found: npt.NDArray[Any] = np.ascontiguousarray(xy).view(np.dtype((np.void, 2 * xy.itemsize))).ravel()
    return found


def alike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> Flags:
    """Mark the equal ones of two rows of pairs, shape (n, 2); many times faster than ``all`` along the second axis."""
    equal: Flags = (one[:, 0] == other[:, 0]) & (one[:, 1] == other[:, 1])
    return equal


def following(rings: Starts) -> Ints:
    """Return, for each vertex, the index of the next one around its ring."""
    after = np.arange(1, rings[-1] + 1, dtype=np.int64)
    first, last = rings[:-1], rings[1:]
    full = last > first
    if not full.all():
        first, last = first[full], last[full]
    after[last - 1] = first
    return after


def from_geometries(geometries: Geometries, z: int) -> Shapes:
    """Quantise geometries on the world grid to the level units of zoom ``z``; nothing is dropped yet."""
    return with_positions(geometries, quantise(geometries.coordinates, z))


def with_positions(geometries: Geometries, xy: Ints) -> Shapes:
    """Return geometries as shapes with ``xy`` for their coordinates; nothing is dropped but closing vertices."""
    if geometries.kind == GeometryKind.POINT:
        starts = geometries.rings[geometries.parts[geometries.starts]]
        rows = np.arange(len(geometries) + 1, dtype=np.int64)
        return Shapes(geometries.kind, xy, starts, rows, np.ones(len(geometries), dtype=bool))
    rings, starts = geometries.rings, geometries.parts[geometries.starts]
    exterior = np.ones(len(rings) - 1, dtype=bool)
    if geometries.kind == GeometryKind.POLYGON:
        exterior[:] = False
        exterior[geometries.parts[:-1][np.diff(geometries.parts) > 0]] = True
        last = np.zeros(len(xy), dtype=bool)
        last[rings[1:][np.diff(rings) > 0] - 1] = True
        return Shapes(geometries.kind, xy, rings, starts, exterior).keep_vertices(~last)
    return Shapes(geometries.kind, xy, rings, starts, exterior)


def to_polygons(shapes: Shapes) -> npt.NDArray[Any]:
    """Return polygon shapes as shapely multipolygons."""
    lengths = shapes.ring_lengths
    closed = ranges(shapes.rings[:-1], lengths + 1)
    rings = offsets(lengths + 1)
    closed[rings[1:] - 1] = shapes.rings[:-1]
    parts = np.append(np.flatnonzero(shapes.exterior), len(lengths))
    starts = offsets(shapes.exterior)[shapes.starts]
    polygons: npt.NDArray[Any] = shapely.from_ragged_array(
        shapely.GeometryType.MULTIPOLYGON, shapes.xy.take(closed, axis=0).astype(np.float64), (rings, parts, starts)
    )
    return polygons


def from_polygons(polygons: npt.NDArray[Any]) -> Shapes:
    """Return shapely polygons, multipolygons or None (empty) as shapes, rounded half up to whole units."""
    owners = np.arange(len(polygons))
    parts, part_owners = shapely.get_parts(polygons, return_index=True)
    whole = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    parts, part_owners = parts[whole], part_owners[whole]
    rings, ring_parts = shapely.get_rings(parts, return_index=True)
    xy, vertex_rings = shapely.get_coordinates(rings, return_index=True)
    cuts = offsets(np.bincount(vertex_rings, minlength=len(rings)))
    exterior = np.ones(len(rings), dtype=bool)
    exterior[1:] = ring_parts[1:] != ring_parts[:-1]
    starts = np.searchsorted(part_owners[ring_parts], np.append(owners, len(polygons)))
    last = np.zeros(len(xy), dtype=bool)
    last[cuts[1:] - 1] = True
    whole_units = np.floor(xy + 0.5).astype(np.int64)
    return Shapes(GeometryKind.POLYGON, whole_units, cuts, starts.astype(np.int64), exterior).keep_vertices(~last)


def concatenate(shapes: Sequence[Shapes]) -> Shapes:
    """Join shapes of one kind end to end."""
    rings, starts = [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
    vertices = count = 0
    for part in shapes:
        rings.append(part.rings[1:] + vertices)
        starts.append(part.starts[1:] + count)
        vertices, count = vertices + len(part.xy), count + len(part.exterior)
    xy = np.concatenate([part.xy for part in shapes])
    exterior = np.concatenate([part.exterior for part in shapes])
    joined = Shapes(shapes[0].kind, xy, np.concatenate(rings), np.concatenate(starts), exterior)
    if not any(part._has_bounds for part in shapes):
        return joined
    return joined._with_bounds(np.concatenate([part.bounds() for part in shapes]))


def replace(shapes: Shapes, rows: Ints, others: Shapes) -> Shapes:
    """Return ``shapes`` with geometry ``rows[i]`` replaced by ``others[i]``."""
    order = np.arange(len(shapes))
    order[rows] = np.arange(len(others)) + len(shapes)
    return concatenate([shapes, others]).take(order)


def tidy(shapes: Shapes) -> Shapes:
    """Drop repeated vertices, and the rings and lines that have no extent left; turn rings the way tiles want them.

    Exterior rings get a positive area in tile coordinates (y down), holes a negative one, by integer arithmetic
    (Mapbox Vector Tile 2.1, 4.3.3.3). A hole goes with its exterior ring.
    """
    if shapes.kind == GeometryKind.POINT:
        return _tidy_points(shapes)
    same = _repeated(shapes)
    if same.any():
        shapes = shapes.keep_vertices(~same)
    lengths = shapes.ring_lengths
    if shapes.kind == GeometryKind.LINE:
        return shapes if (lengths > 1).all() else shapes.keep_rings(lengths > 1)
    areas = shapes.areas()
    keep = (lengths > 2) & (areas != 0)
    keep &= _keeps_exterior(shapes, keep)
    turn = (areas > 0) != shapes.exterior
    return _turned(shapes, turn & keep).keep_rings(keep) if not keep.all() else _turned(shapes, turn)


def _repeated(shapes: Shapes) -> Flags:
    """Mark each vertex that equals the one before it; around the ring for polygons."""
    xy, rings = shapes.xy, shapes.rings
    same = np.zeros(len(xy), dtype=bool)
    same[1:] = alike(xy[1:], xy[:-1])
    full = shapes.ring_lengths.nonzero()[0]
    firsts = rings[full]
    if shapes.kind == GeometryKind.POLYGON:
        same[firsts] = alike(xy.take(firsts, axis=0), xy.take(rings[full + 1] - 1, axis=0))
    else:
        same[firsts] = False
    return same


def _keeps_exterior(shapes: Shapes, keep: Flags) -> Flags:
    """Mark the rings whose exterior ring is kept (exterior rings ask themselves)."""
    if keep.all():
        return keep
    part = shapes.exterior.cumsum() - 1
    kept: Flags = keep[shapes.exterior][part]
    return kept


def _turned(shapes: Shapes, turn: Flags) -> Shapes:
    if not turn.any():
        return shapes
    order = np.arange(len(shapes.xy))
    flip = np.repeat(turn, shapes.ring_lengths)
    ends = np.repeat(shapes.rings[:-1] + shapes.rings[1:] - 1, shapes.ring_lengths)
    order[flip] = ends[flip] - order[flip]
    return Shapes(shapes.kind, shapes.xy.take(order, axis=0), shapes.rings, shapes.starts, shapes.exterior)


def _tidy_points(shapes: Shapes) -> Shapes:
    """Merge equal points of one geometry, keeping the first of them."""
    owner = np.repeat(np.arange(len(shapes)), np.diff(shapes.vertices))
    rows = np.column_stack([owner, shapes.xy])
    order = np.lexsort(rows.T[::-1])
    same = np.zeros(len(rows), dtype=bool)
    same[order[1:]] = (rows[order[1:]] == rows[order[:-1]]).all(axis=1)
    return shapes.keep_vertices(~same) if same.any() else shapes


def enlarged(shapes: Shapes, whole: Shapes) -> Shapes:
    """Give polygons and lines that became too small for their unit one unit of extent, where they begin.

    ``whole`` are the same geometries in the same unit before anything was dropped.
    """
    gone = ((shapes.starts[1:] == shapes.starts[:-1]) & (whole.vertex_counts > 0)).nonzero()[0]
    if shapes.kind == GeometryKind.POINT or not len(gone):
        return shapes
    around = np.array([[0, 0], [1, 0], [1, 1], [0, 1]] if shapes.kind == GeometryKind.POLYGON else [[0, 0], [1, 0]])
    rows = np.arange(len(gone) + 1, dtype=np.int64)
    xy = (whole.xy[whole.vertices[gone]][:, None, :] + around).reshape(-1, 2)
    return replace(shapes, gone, Shapes(shapes.kind, xy, len(around) * rows, rows, np.ones(len(gone), dtype=bool)))
