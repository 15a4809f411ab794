"""The records of a version as its readers see them: arrays and finished bytes over one memory-mapped file.

Opening costs a mapping, not a read; nothing is parsed per request, and every process that opens the same version
shares the same pages of memory. What the sections hold is said in :mod:`gisservice.catalog.layout`.
"""

from __future__ import annotations

import struct
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from itertools import compress, count, pairwise
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from gisservice.catalog.index import (
    NO_RUNS,
    Boxes,
    Index,
    Rows,
    as_rows,
    as_runs,
    level_sizes,
    merged,
    pairs,
    search,
)
from gisservice.catalog.layout import ITEM_SEPARATOR, SERVE_FILE, id_hash
from gisservice.model import BBox, Geometries, GeometryKind, Starts
from gisservice.pack import Pack

_MULTI = {
    GeometryKind.POINT: shapely.GeometryType.MULTIPOINT,
    GeometryKind.LINE: shapely.GeometryType.MULTILINESTRING,
    GeometryKind.POLYGON: shapely.GeometryType.MULTIPOLYGON,
}

_WKB = {GeometryKind.POINT: 1, GeometryKind.LINE: 2, GeometryKind.POLYGON: 3}
_HEAD, _BYTE_ORDER_AND_TYPE, _COUNT = struct.Struct("<BII"), struct.Struct("<BI"), struct.Struct("<I")
_FEW = 64

LARGE = 256
"""Positions from which on a geometry is prepared when it has to be looked at, and kept so."""

_KEPT_POSITIONS_MAX, _KEPT_POSITIONS = 1 << 19, 22
"""Of all geometries that a process keeps, some seventy bytes each where prepared; what one costs besides."""

_NUMBERS = count()
_ZERO = np.zeros(1, dtype=np.int64)


class Features:
    """Read access to the records of one version, by row number from 0 to ``count - 1``.

    All arrays are read-only views of the mapped file. Methods are safe to call from several threads.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self.number = next(_NUMBERS)
        """Tells this version, as opened now, from all others that the process has opened."""
        self.count: int = pack.about["count"]
        self.kind = GeometryKind(pack.about["kind"])
        self._map = pack.map
        self._view = memoryview(pack.map)
        self._items_at, _ = pack.span("items")
        self._ids = pack.array("ids").data
        self._item_starts: Starts = pack.array("item_starts")
        self._item_starts_view = self._item_starts.data
        self._id_starts: Starts = pack.array("id_starts")
        # As plain views: one by one they are read ten times faster than numpy's scalars.
        self._id_hashes = pack.array("id_hashes").data
        self._id_rows = pack.array("id_rows").data
        self.boxes: Boxes = pack.array("boxes")
        """Box of each record, shape (n, 4), CRS84."""
        self.record_geometry: npt.NDArray[np.uint32] = pack.array("record_geometry")
        """The distinct geometry of each record: a position in :attr:`geometries`."""
        self.tile_ids: npt.NDArray[np.int64] = pack.array("tile_ids")
        """The feature id of each record inside tiles."""
        self._levels = [pack.array(f"tree_{height + 1}") for height in range(len(level_sizes(self.count)))]

    @classmethod
    def open(cls, version_folder: Path) -> Features:
        """Map the records of a version. Raises :class:`CatalogError` when the file is missing or damaged."""
        return cls(Pack(version_folder / SERVE_FILE))

    def __len__(self) -> int:
        return self.count

    @cached_property
    def geometries(self) -> Geometries:
        """The distinct geometries in CRS84 (float64); exterior rings run counter-clockwise."""
        return self._geometries("coordinates")

    @cached_property
    def world(self) -> npt.NDArray[np.uint32]:
        """The positions of :attr:`geometries` on the world grid, shape (c, 2); see ``crs.world_positions``."""
        return self._pack.array("world")

    @cached_property
    def attributes(self) -> pa.Table:
        """The public columns, one row a record; strings are dictionary-encoded. Nothing is copied from the map."""
        with pa.ipc.open_file(pa.BufferReader(pa.py_buffer(self._pack.array("attributes")))) as file:
            return file.read_all()

    def row(self, item_id: str) -> int | None:
        """Return the row of the item with exactly this id, or None."""
        try:
            encoded = item_id.encode()
        except UnicodeEncodeError:  # half of a surrogate pair: no stored id holds one
            return None
        wanted = id_hash(encoded)
        at = bisect_left(self._id_hashes, wanted)
        while at < self.count and self._id_hashes[at] == wanted:
            row: int = self._id_rows[at]
            if self._id_bytes(row) == encoded:
                return row
            at += 1
        return None

    def item_id(self, row: int) -> str:
        """Return the id of the item in a row."""
        return self._id_bytes(row).decode()

    def item(self, row: int) -> bytes:
        """Return the finished GeoJSON feature in a row."""
        return self._items(row, row + 1)

    def items(self, rows: Rows) -> bytes:
        """Return finished GeoJSON features joined by ``,\\n``; consecutive rows are one slice of the file."""
        runs = as_runs(np.asarray(rows, dtype=np.int64)).tolist()
        return ITEM_SEPARATOR.join([self._items(first, last) for first, last in runs])

    def item_spans(self) -> Iterator[tuple[bytes, slice]]:
        """Yield the id (UTF-8) of every row and where its finished item lies in :attr:`file`, in row order."""
        id_starts, item_starts = self._id_starts.tolist(), (self._item_starts + self._items_at).tolist()
        gap = len(ITEM_SEPARATOR)
        for (first_id, last_id), (first, last) in zip(pairwise(id_starts), pairwise(item_starts), strict=True):
            yield bytes(self._ids[first_id:last_id]), slice(first, last - gap)

    @property
    def file(self) -> mmap:
        """The mapped file; a slice of it is a copy of its bytes."""
        return self._map

    def item_views(self, rows: Rows) -> list[memoryview]:
        """Return what :meth:`items` returns as views of the file, to be put one behind the other."""
        if not len(rows):
            return []
        file, base, starts = self._view, self._items_at, self._item_starts_view
        runs = as_runs(rows).tolist()
        cuts = [(base + starts[first], base + starts[last]) for first, last in runs]
        cuts[-1] = (cuts[-1][0], cuts[-1][1] - len(ITEM_SEPARATOR))
        return [file[first:last] for first, last in cuts]

    def item_pieces(self, rows: Rows, bytes_max: int) -> Iterator[bytes]:
        """Yield what :meth:`items` returns in pieces of whole items, to be joined by the separator.

        A piece has at most so many bytes and those of one item. Nothing is read before it is asked for.
        """
        if not len(rows):
            return
        numbers = (self.item_sizes(rows).cumsum() - 1) // bytes_max
        begins = np.ones(len(rows), dtype=np.bool_)
        begins[1:] = (rows[1:] - rows[:-1] != 1) | (numbers[1:] != numbers[:-1])
        firsts = begins.nonzero()[0]
        lasts = np.append(firsts[1:], len(rows)) - 1
        cuts = pairs(self._item_starts[rows[firsts]], self._item_starts[rows[lasts] + 1]) + self._items_at
        cuts[:, 1] -= len(ITEM_SEPARATOR)
        spans, ends = cuts.tolist(), (numbers[firsts][1:] != numbers[firsts][:-1]).nonzero()[0] + 1
        for first, last in pairwise([0, *ends.tolist(), len(spans)]):
            yield ITEM_SEPARATOR.join([self._map[start:stop] for start, stop in spans[first:last]])

    def item_sizes(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return how many bytes each of these items takes in what :meth:`items` returns, its separator counted."""
        sizes: npt.NDArray[np.int64] = self._item_starts[rows + 1] - self._item_starts[rows]
        return sizes

    @property
    def items_stretch(self) -> tuple[int, int]:
        """Where all finished items, joined by ``,\\n``, lie in the file ``SERVE_FILE``: first byte, and how many."""
        return self._items_at, max(0, int(self._item_starts[-1]) - len(ITEM_SEPARATOR))

    @cached_property
    def _index(self) -> Index:
        return Index(self.boxes, self._levels)

    def search(self, bbox: BBox) -> tuple[Rows, Rows]:
        """Return the rows that surely intersect ``bbox`` (CRS84) and those whose geometry has to be looked at.

        Both ascend. The first are decided by boxes alone; :meth:`shapes` of the second decides the rest.
        """
        runs, maybe = self.search_runs(bbox)
        return as_rows(runs), maybe

    def search_runs(self, bbox: BBox) -> tuple[Rows, Rows]:
        """Like :meth:`search`, the sure rows as runs of shape (k, 2): first, one past the last."""
        return search(self.boxes, self._index, bbox)

    def intersecting(self, bbox: BBox) -> Rows:
        """Return the rows whose geometry intersects ``bbox`` (CRS84, closed), as runs in row order.

        Exact: the geometry at full precision decides where its box does not. A box whose minx is greater than its
        maxx runs across the 180th meridian (RFC 7946, section 5.2).
        """
        return merged(*self.intersecting_parts(bbox))

    def intersecting_parts(self, bbox: BBox) -> tuple[Rows, Rows]:
        """Return what :meth:`intersecting` returns in two parts: runs, and single rows, ascending."""
        minx, miny, maxx, maxy = bbox
        if minx > maxx:
            halves = [(minx, miny, 180.0, maxy), (-180.0, miny, maxx, maxy)]
            return NO_RUNS, np.union1d(*(as_rows(self.intersecting(half)) for half in halves))
        whole, rows, sure = self._index.search(bbox)
        maybe = (~sure).nonzero()[0]
        if len(maybe):
            sure[maybe] = self.meeting_box(self.record_geometry.take(rows.take(maybe)), bbox)
            rows = rows[sure]
        return whole, rows

    def shapes(self, rows: Rows) -> npt.NDArray[Any]:
        """Return the geometries of rows as shapely multi-geometries in CRS84, at full precision."""
        return self.distinct_shapes(self.record_geometry[rows])

    def distinct_shapes(self, which: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
        """Return distinct geometries, by their positions in :attr:`geometries`, as :meth:`shapes` does."""
        return shapes_of(take(self.geometries, which.astype(np.int64)))

    def meeting(self, which: npt.NDArray[np.uint32], area: shapely.Geometry) -> npt.NDArray[np.bool_]:
        """Return which of the distinct geometries, some perhaps more than once, intersect an area."""
        uses = which.tolist()
        distinct = list(dict.fromkeys(uses))  # a stack is tested once
        if len(distinct) <= _FEW:
            hits = _LOOKED_AT.intersect(self, distinct, area)
        else:
            hits = self._meeting_many(distinct, area)
        if len(distinct) == len(uses):
            return hits
        hit = set(compress(distinct, hits.tolist()))
        return np.array([geometry in hit for geometry in uses], dtype=np.bool_)

    def meeting_box(self, which: npt.NDArray[np.uint32], bbox: BBox) -> npt.ArrayLike:
        """Return what :meth:`meeting` returns for a box."""
        uses = which.tolist()
        distinct = list(dict.fromkeys(uses))
        if len(distinct) > _FEW:
            return self.meeting(which, shapely.box(*bbox))
        hits = _LOOKED_AT.meet_box(self, distinct, bbox)
        if len(distinct) == len(uses):
            return hits
        met = dict(zip(distinct, hits, strict=True))
        return [met[geometry] for geometry in uses]

    def _meeting_many(self, distinct: list[int], area: shapely.Geometry) -> npt.NDArray[np.bool_]:
        which = np.array(distinct, dtype=np.uint32)
        large = self.position_counts(which) > LARGE
        found = np.empty(len(which), dtype=np.bool_)
        found[large] = _LOOKED_AT.intersect(self, which[large].tolist(), area)
        found[~large] = shapely.intersects(self.distinct_shapes(which[~large]), area)
        return found

    def position_counts(self, which: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return how many positions distinct geometries have."""
        rings, parts, starts = self.geometries.rings, self.geometries.parts, self.geometries.starts
        counts: npt.NDArray[np.int64] = rings[parts[starts[which + 1]]] - rings[parts[starts[which]]]
        return counts

    def few_shapes(self, which: list[int]) -> list[shapely.Geometry]:
        """Return distinct geometries as shapely ones; of few, written as WKB, several times faster than as arrays."""
        shapes: npt.NDArray[Any] = shapely.from_wkb([self._binary.write(geometry) for geometry in which])
        return list(shapes)

    @cached_property
    def _binary(self) -> _Binary:
        return _Binary(self.geometries)

    def _geometries(self, coordinates: str) -> Geometries:
        rings, parts, starts = (self._pack.array(name) for name in ("rings", "parts", "starts"))
        return Geometries(self.kind, self._pack.array(coordinates), rings, parts, starts)

    def _items(self, first: int, last: int) -> bytes:
        starts, base = self._item_starts, self._items_at
        return self._map[base + int(starts[first]) : base + int(starts[last]) - len(ITEM_SEPARATOR)]

    def _id_bytes(self, row: int) -> bytes:
        return bytes(self._ids[self._id_starts[row] : self._id_starts[row + 1]])


def shapes_of(geometries: Geometries) -> npt.NDArray[Any]:
    """Return flat geometries as shapely multi-geometries."""
    offsets: tuple[Starts, ...] = (geometries.rings, geometries.parts, geometries.starts)
    if geometries.kind is GeometryKind.LINE:
        offsets = (geometries.rings, geometries.parts[geometries.starts])
    elif geometries.kind is GeometryKind.POINT:
        offsets = (geometries.rings[geometries.parts[geometries.starts]],)
    shapes: npt.NDArray[Any] = shapely.from_ragged_array(_MULTI[geometries.kind], geometries.coordinates, offsets)
    return shapes


_TIPS = struct.Struct("8d")
"""The outermost positions of a geometry to the northeast, southwest, southeast and northwest."""

_DOUBT = 1e-9
"""Degrees: far more than sums of two degrees are rounded by."""


class _Look(NamedTuple):
    """A geometry that was looked at: itself, its tips, and what it takes to keep."""

    shape: shapely.Geometry
    tips: bytes
    cost: int

    def meets(self, bbox: BBox) -> bool | None:
        """Tell whether the geometry meets a box, None where its tips do not tell.

        A tip inside decides that it does; a corner of the box that lies beyond the tip opposite, that it does not.
        """
        if not self.tips:
            return None
        minx, miny, maxx, maxy = bbox
        x1, y1, x2, y2, x3, y3, x4, y4 = _TIPS.unpack(self.tips)
        if (
            (minx <= x1 <= maxx and miny <= y1 <= maxy)
            or (minx <= x2 <= maxx and miny <= y2 <= maxy)
            or (minx <= x3 <= maxx and miny <= y3 <= maxy)
            or (minx <= x4 <= maxx and miny <= y4 <= maxy)
        ):
            return True
        beyond = (
            x1 + y1 < minx + miny - _DOUBT
            or x2 + y2 > maxx + maxy + _DOUBT
            or x3 - y3 < minx - maxy - _DOUBT
            or x4 - y4 > maxx - miny + _DOUBT
        )
        return False if beyond else None


class _LookedAt:
    """Geometries that boxes lay over, kept for the next box: those used last, of all versions of a process together.

    A large one is prepared when it is first looked at; a test then costs some microseconds whatever its size. What
    GEOS prepares it completes while it is used, so geometries are used by one thread at a time.
    """

    def __init__(self, positions_max: int) -> None:
        self._positions_max = positions_max
        self._kept: OrderedDict[tuple[int, int], _Look] = OrderedDict()
        self._positions = 0
        self._lock = threading.Lock()

    def intersect(self, features: Features, distinct: list[int], area: shapely.Geometry) -> npt.NDArray[np.bool_]:
        """Return which of a version's distinct geometries intersect an area."""
        with self._lock:
            return _intersect([look.shape for look in self._looks(features, distinct)], area)

    def meet_box(self, features: Features, distinct: list[int], bbox: BBox) -> list[bool]:
        """Return which of a version's distinct geometries meet a box; most are told by their tips."""
        with self._lock:
            looks = self._looks(features, distinct)
            hits = [look.meets(bbox) for look in looks]
            if None in hits:
                unsure = [look.shape for look, hit in zip(looks, hits, strict=True) if hit is None]
                found = iter(_intersect(unsure, shapely.box(*bbox)).tolist())
                return [next(found) if hit is None else hit for hit in hits]
            return [hit is True for hit in hits]

    def _looks(self, features: Features, distinct: list[int]) -> list[_Look]:
        looks: list[_Look] = []
        for geometry in distinct:
            key = (features.number, geometry)
            kept = self._kept.get(key)
            if kept is None:
                return self._looks_anew(features, distinct)
            self._kept.move_to_end(key)
            looks.append(kept)
        return looks

    def _looks_anew(self, features: Features, distinct: list[int]) -> list[_Look]:
        """Return geometries of which some are not kept, and keep those."""
        number = features.number
        found = {geometry: self._kept.get((number, geometry)) for geometry in distinct}
        missing = [geometry for geometry, kept in found.items() if kept is None]
        for geometry, shape in zip(missing, features.few_shapes(missing), strict=True):
            positions = shapely.get_coordinates(shape)
            look = _Look(shape, _tips(positions), len(positions) + _KEPT_POSITIONS)
            self._keep((number, geometry), look)
            found[geometry] = look
        return [look for look in found.values() if look is not None]

    def _keep(self, key: tuple[int, int], look: _Look) -> None:
        if look.cost > self._positions_max:
            return
        if look.cost - _KEPT_POSITIONS > LARGE:
            shapely.prepare(look.shape)
        self._kept[key] = look
        self._positions += look.cost
        while self._positions > self._positions_max:
            self._positions -= self._kept.popitem(last=False)[1].cost


def _intersect(shapes: list[shapely.Geometry], area: shapely.Geometry) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = shapely.intersects(np.array(shapes, dtype=object), area)
    return found


def _tips(positions: npt.NDArray[np.float64]) -> bytes:
    """Return the tips of a geometry as :data:`_TIPS` packs them, nothing where it has no position."""
    if not len(positions):
        return b""
    up, down = positions[:, 0] + positions[:, 1], positions[:, 0] - positions[:, 1]
    return positions[[up.argmax(), up.argmin(), down.argmax(), down.argmin()]].tobytes()


_LOOKED_AT = _LookedAt(_KEPT_POSITIONS_MAX)


class _Binary:
    """Geometries written one by one as well-known binary (OGC 06-103r4, 8.2), from views that cost nothing to cut."""

    def __init__(self, geometries: Geometries) -> None:
        self._type = _WKB[geometries.kind]
        self._positions = np.ascontiguousarray(geometries.coordinates).data.cast("B")
        offsets = (geometries.rings, geometries.parts, geometries.starts)
        self._rings, self._parts, self._starts = (np.ascontiguousarray(found).data for found in offsets)

    def write(self, which: int) -> bytes:
        """Return one geometry; one part alone is no multi-geometry."""
        first, last = self._starts[which], self._starts[which + 1]
        found: list[bytes | memoryview] = []
        if last - first != 1:
            found.append(_HEAD.pack(1, self._type + 3, last - first))
        for part in range(first, last):
            self._write_part(self._rings[self._parts[part] : self._parts[part + 1] + 1].tolist(), found)
        return b"".join(found)

    def _write_part(self, edges: list[int], found: list[bytes | memoryview]) -> None:
        if self._type == 3:
            found.append(_HEAD.pack(1, 3, len(edges) - 1))
        else:
            found.append(_BYTE_ORDER_AND_TYPE.pack(1, self._type))
        for start, stop in pairwise(edges):
            if self._type > 1:
                found.append(_COUNT.pack(stop - start))
            found.append(self._positions[16 * start : 16 * stop])


def take(geometries: Geometries, which: npt.NDArray[np.int64]) -> Geometries:
    """Return the geometries at these positions, in this order, as arrays of their own."""
    parts_at = geometries.starts[pairs(which, which + 1)]
    rings_at = geometries.parts[parts_at]
    positions_at = geometries.rings[rings_at]
    spans = positions_at.tolist()
    slices = [geometries.coordinates[first:last] for first, last in spans]
    coordinates = np.concatenate(slices) if slices else geometries.coordinates[:0]
    return Geometries(
        geometries.kind,
        coordinates,
        _moved(geometries.rings, rings_at, positions_at),
        _moved(geometries.parts, parts_at, rings_at),
        _offsets(parts_at),
    )


def _moved(offsets: Starts, taken: Rows, members: Rows) -> Starts:
    """Return the offsets of the taken spans, shape (k, 2), put one behind the other and counted from zero.

    ``members`` are the spans, shape (k, 2), of what these offsets cut: where each taken span began and ends now.
    """
    shifts = _offsets(members)[:-1] - members[:, 0]
    if len(taken) <= _FEW:  # a slice each is quicker than five calls over all of them
        spans = [
            offsets[first + 1 : last + 1] + shift
            for (first, last), shift in zip(taken.tolist(), shifts.tolist(), strict=True)
        ]
        return np.concatenate([_ZERO, *spans])
    rows = as_rows(taken)
    found = np.zeros(len(rows) + 1, dtype=np.int64)
    found[1:] = offsets[rows + 1] + np.repeat(shifts, taken[:, 1] - taken[:, 0])
    return found


def _offsets(spans: Rows) -> Starts:
    """Return where each of the spans, shape (k, 2), begins when they are put one behind the other, and the end."""
    found = np.zeros(len(spans) + 1, dtype=np.int64)
    (spans[:, 1] - spans[:, 0]).cumsum(out=found[1:])
    return found
