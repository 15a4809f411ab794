"""One tile of any grid, drawn when it is asked for, from the arrays that the pyramid was cut from.

What a zoom shows is decided as for the pyramid: by the same ranks and thresholds, on the same generalised shapes,
only among fewer records when there is a filter. What the stored tile at the same place shows of a geometry is taken
from there; only what it does not have, such as groups of fewer small polygons, is cut anew. In another grid than the
pyramid's the shapes are those of the pyramid's zoom that is just finer; their vertices are moved one by one, so
borders that are shared stay shared. Past the pyramid every record is drawn from its exact positions. Nothing that is
decided here depends on the tile, so neighbouring tiles agree.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gisservice.crs import square_lonlat, square_positions
from gisservice.model import BBox, Geometries, GeometryKind
from gisservice.tiles import selection
from gisservice.tiles.attributes import ABSENT
from gisservice.tiles.clip import cut, place_in
from gisservice.tiles.encode import Encoded, TileFeatures, encode_tiles
from gisservice.tiles.grid import BUFFER, EXTENT, TileCoord
from gisservice.tiles.levels import Levels
from gisservice.tiles.matrix import TileMatrixSet
from gisservice.tiles.shapes import Flags, Ints, Shapes, enlarged, offsets, ranges, replace, tidy, with_positions
from gisservice.tiles.validity import invalid, repair

_REACH = 2
"""Level units that generalising and rounding may move a border beyond the box of the exact geometry."""

_FAR = float(1 << 48)
"""Level units: positions farther away are moved here, where whole numbers still have room for all arithmetic."""

_NOWHERE = 1 << 50
"""Level units: stands for positions that a grid's CRS does not reach."""

_WIDE = 8 * EXTENT
"""Level units: a shape wider than this is cut before it is checked. A tile needs a small part of it, and to repair the
whole of a zone of 400,000 vertices takes half a second; and areas of narrower ones fit 64 bits."""


@dataclass(frozen=True)
class Candidates:
    """The records that a tile may show, and their geometries.

    ``rows`` (ascending) are the records and ``ids`` their feature ids, -1 for none; record ``i`` has geometry
    ``which[owner[i]]``, where ``which`` (ascending) are numbers of the layer's distinct geometries. ``exact`` has
    the exact positions (CRS84) of the geometries ``which[exactly]``: of all past the pyramid, else of those that
    the pyramid's square has no room for. ``stored`` is what the pyramid's tile at the same place shows, if it has one.
    """

    rows: Ints
    ids: npt.NDArray[np.int64]
    which: Ints
    owner: Ints
    exact: Geometries
    exactly: Ints
    stored: Stored | None


@dataclass(frozen=True)
class Stored:
    """What a tile of the pyramid shows of the geometries drawn one by one: ``geometry[i]`` as piece ``piece[i]``.

    A geometry of sufficient rank that is not among them does not show in that tile. One may come more than once.
    """

    pieces: Encoded
    piece: Ints
    geometry: Ints


@dataclass(frozen=True)
class Window:
    """Where to look for the records of a tile: a box in level units of a zoom of the pyramid."""

    z: int
    low: Ints
    """West and north, shape (2,)."""
    high: Ints

    @property
    def bbox(self) -> BBox:
        """The box in CRS84. What lies beyond the pyramid's square is drawn on its rim, and belongs to it."""
        shares = np.array([self.low, self.high]) / float(EXTENT << self.z)
        (west, north), (east, south) = square_lonlat(shares).tolist()
        top, bottom = (90.0 if shares[0, 1] <= 0 else north), (-90.0 if shares[1, 1] >= 1 else south)
        return max(west, -180.0), bottom, min(east, 180.0), top


@dataclass(frozen=True)
class View:
    """A tile of a grid over the shapes of a layer."""

    levels: Levels
    grid: TileMatrixSet
    tile: TileCoord

    @cached_property
    def z(self) -> int:
        """The zoom of the pyramid whose shapes are drawn."""
        return self.grid.pyramid_zoom(self.tile.z)

    @property
    def is_past(self) -> bool:
        """Whether the tile is drawn from exact positions, because the pyramid has no shapes so fine."""
        return self.z > self.levels.maxzoom

    @property
    def in_pyramid(self) -> bool:
        """Whether the tile is one of the pyramid's own."""
        return self.grid.pyramid_shift == 0 and self.levels.minzoom <= self.z <= self.levels.maxzoom

    @property
    def search_box(self) -> BBox:
        """The box (CRS84) in which the records lie that the tile may show, its buffer included."""
        return self.grid.lonlat_bounds(self.tile, BUFFER + 1) if self.is_past else self._window.bbox

    def wider_box(self, which: Ints) -> BBox | None:
        """Return a larger box to search, or None when :attr:`search_box` has found all that matters.

        ``which`` are the geometries that were found. A small polygon of a coverage is drawn with the others of its
        cell; one that is long and thin may reach into the tile from a cell outside the searched box.
        """
        levels, z = self.levels, self.z
        if z >= levels.maxzoom or not levels.coverage:
            return None
        window = self._window
        small = which[levels.ranks[which] >= levels.limit(z)]
        centres = levels.centres[small] >> (levels.maxzoom - z)
        outside = ((centres < window.low) | (centres >= window.high)).any(axis=1)
        small, centres = small[outside], centres[outside]
        if not len(small):
            return None
        touching = _touching(levels.shapes(z, small), *self.box)
        if not touching.any():
            return None
        cells = centres[touching] >> selection.CELL_BITS
        low = np.minimum(window.low, cells.min(axis=0) << selection.CELL_BITS)
        high = np.maximum(window.high, (cells.max(axis=0) + 1) << selection.CELL_BITS)
        return Window(z, low, high).bbox

    @cached_property
    def box(self) -> tuple[Ints, Ints]:
        """The corners of the tile with its buffer in level units of a zoom of the pyramid, and a little more."""
        if self.grid.pyramid_shift == 0:
            corner = np.array([self.tile.x, self.tile.y], dtype=np.int64) * EXTENT
            return corner - (BUFFER + _REACH), corner + (EXTENT + BUFFER + _REACH)
        west, south, east, north = self.grid.lonlat_bounds(self.tile, BUFFER)
        units = square_positions(np.array([[west, north], [east, south]])) * (EXTENT << self.z)
        return np.floor(units[0]).astype(np.int64) - _REACH, np.ceil(units[1]).astype(np.int64) + _REACH

    @cached_property
    def _window(self) -> Window:
        levels, z = self.levels, self.z
        low, high = self.box
        if levels.kind == GeometryKind.POLYGON and z < levels.maxzoom:
            side = 0 if levels.coverage else levels.dust_side(z)
            low, high = (low - side) >> selection.CELL_BITS, ((high + side) >> selection.CELL_BITS) + 1
            low, high = low << selection.CELL_BITS, high << selection.CELL_BITS
        return Window(z, low, high)

    def draw(self, name: str, found: Candidates, columns: Ints | None) -> bytes:
        """Return an uncompressed tile with one layer, called ``name``; nothing where nothing is to be seen.

        ``columns`` are the properties, as places in ``levels.keys``, that every feature gets if it has them; None:
        all, but for those features that have only their classes in the pyramid's tiles.
        """
        if not len(found.rows):
            return b""
        levels, drawn = self.levels, _Scene(self, found).features(plain=columns is None)
        if not len(drawn):
            return b""
        if columns is None:
            return encode_tiles(name, drawn, levels.keys, levels.values)[0]
        chosen = dataclasses.replace(drawn, codes=drawn.codes.take(columns, axis=1))
        return encode_tiles(name, chosen, [levels.keys[column] for column in columns.tolist()], levels.values)[0]


def _touching(shapes: Shapes, low: Ints, high: Ints) -> Flags:
    box = shapes.bounds()
    full = np.diff(shapes.vertices) > 0
    meets: Flags = (box[:, 0] <= high[0]) & (box[:, 1] <= high[1]) & (box[:, 2] >= low[0]) & (box[:, 3] >= low[1])
    return meets & full


@dataclass(frozen=True)
class _Seen:
    """What a tile shows of geometries or groups: of ``origin[i]`` it shows ``pieces[piece[i]]``."""

    origin: Ints
    piece: Ints
    pieces: Encoded

    def and_those(self, other: _Seen) -> _Seen:
        """Return both, with those of the other behind these; origins are kept as they are."""
        if not len(other.origin):
            return self
        return _Seen(
            np.concatenate([self.origin, other.origin]),
            np.concatenate([self.piece, len(self.pieces) + other.piece]),
            Encoded.joined([self.pieces, other.pieces]),
        )


@dataclass(frozen=True)
class _Scene:
    """A tile to be drawn, and all it may show."""

    view: View
    found: Candidates

    @property
    def levels(self) -> Levels:
        """The layer's shapes."""
        return self.view.levels

    @property
    def z(self) -> int:
        """The zoom of the pyramid whose shapes are drawn."""
        return self.view.z

    def features(self, *, plain: bool) -> TileFeatures:
        """Return the features; with ``plain``, those that have only their classes in the pyramid have here, too."""
        return self._every_record() if self.z >= self.levels.maxzoom else self._summary(plain)

    def _every_record(self) -> TileFeatures:
        """Draw each record of each geometry: the records of a stack have equal shapes."""
        found = self.found
        every = np.arange(len(found.which))
        seen = self._cut(self._exact(), every) if self.view.is_past else self._alone(every)
        piece_of = np.full(len(every), -1, dtype=np.int64)
        piece_of[seen.origin] = seen.piece
        piece = piece_of[found.owner]
        shown = np.flatnonzero(piece >= 0)
        codes = self._codes(shown, np.ones(len(shown), dtype=np.int64))
        return _features(seen.pieces, piece[shown], found.ids[shown], codes)

    def _summary(self, plain: bool) -> TileFeatures:
        """Draw each geometry of sufficient rank once for each record it is drawn for, and groups of small ones.

        A group has no id, and the properties in which all its members agree.
        """
        found, levels = self.found, self.levels
        named, cuts = selection.representatives(found.owner, levels.always[found.rows], len(found.which))
        first, stack = named[cuts[:-1]], np.diff(offsets(np.bincount(found.owner)))
        large = levels.ranks[found.which] < levels.limit(self.z)
        seen, small = self._alone(np.flatnonzero(large)), np.flatnonzero(~large)
        if not len(small) or levels.kind != GeometryKind.POLYGON:
            return self._lone(seen, named, cuts, stack, plain)
        if not levels.coverage:
            return self._lone(seen.and_those(self._dust(small)), named, cuts, stack, plain)
        groups, merged = self._merged(small, first)
        return _joined(self._grouped(groups, merged, first, stack), self._lone(seen, named, cuts, stack, plain))

    def _alone(self, geometries: Ints) -> _Seen:
        """Return what the tile shows of some geometries, each by itself; these are positions in ``found.which``."""
        found, view = self.found, self.view
        if found.stored is None:
            shapes = self.levels.shapes(self.z, found.which[geometries])
            near = np.flatnonzero(_touching(shapes, *view.box))
            geometries = geometries[near]
            return self._cut(self._with_exact(self._in_grid(shapes.take(near)), geometries), geometries)
        held = found.stored
        piece_of = np.full(len(found.which), -1, dtype=np.int64)
        place = np.minimum(found.which.searchsorted(held.geometry), len(found.which) - 1)
        there = found.which[place] == held.geometry
        piece_of[place[there]] = held.piece[there]
        piece = piece_of[geometries]
        shown = np.flatnonzero(piece >= 0)
        return _Seen(geometries[shown], piece[shown], held.pieces)

    def _dust(self, small: Ints) -> _Seen:
        """Return the squares that stand for small polygons that share no borders."""
        levels, which = self.levels, self.found.which[small]
        standing, squares = selection.dust(
            levels.ranks[which],
            levels.areas[which],
            levels.centres.take(which, axis=0),
            levels.maxzoom - self.z,
            levels.dust_side(self.z),
        )
        drawn = small[standing]
        return self._cut(self._with_exact(self._in_grid(squares), drawn), drawn)

    def _merged(self, small: Ints, first: Ints) -> tuple[_Seen, selection.Groups]:
        """Return the groups of the small polygons of a coverage that may show, and what does show of each group.

        The members of groups are positions in ``found.which``.
        """
        levels, z, which = self.levels, self.z, self.found.which[small]
        seen = _touching(levels.shapes(z, which), *self.view.box)
        cells = levels.centres.take(which, axis=0) >> (levels.maxzoom - z + selection.CELL_BITS)
        near = np.flatnonzero(_in_their_cells(seen, cells))
        merged = levels.regrouped(z, which[near], self.found.rows[first[small[near]]])
        merged = dataclasses.replace(merged, members=small[near[merged.members]])
        return self._cut(self._in_grid(merged.shapes), np.arange(len(merged.shapes))), merged

    def _lone(self, seen: _Seen, named: Ints, cuts: Ints, stack: Ints, plain: bool) -> TileFeatures:
        """Return the features of geometries drawn one by one, for each record that they are drawn for, in their order.

        ``stack`` says how many records each geometry has.
        """
        geometry = seen.origin
        times = np.diff(cuts)[geometry]
        record = named[ranges(cuts[geometry], times)]
        count = np.ones(len(record), dtype=np.int64)
        count[offsets(times)[:-1]] += stack[geometry] - times
        order = np.argsort(record, kind="stable")
        record, piece, geometry = record[order], np.repeat(seen.piece, times)[order], np.repeat(geometry, times)[order]
        codes = self._codes(record, count[order])
        if plain:
            codes = self._reduced(codes, geometry)
        return _features(seen.pieces, piece, self.found.ids[record], codes)

    def _grouped(self, seen: _Seen, merged: selection.Groups, first: Ints, stack: Ints) -> TileFeatures:
        """Return the features of groups: what their members agree in, and how many records they are."""
        levels, groups = self.levels, seen.origin
        codes = np.full((len(groups), len(levels.keys)), ABSENT, dtype=np.int32)
        if len(groups):
            members, cuts = selection.part_of_groups(merged.members, merged.cuts, groups)
            theirs = levels.codes.take(self.found.rows[first[members]], axis=0)
            lowest, highest = (f.reduceat(theirs, cuts[:-1], axis=0) for f in (np.minimum, np.maximum))
            codes[:, :-2] = np.where(lowest == highest, lowest, ABSENT)
            codes[:, -1] = len(levels.values) + np.diff(offsets(stack[members])[cuts])
        return _features(seen.pieces, seen.piece, np.full(len(groups), -1, dtype=np.int64), codes)

    def _codes(self, record: Ints, count: Ints) -> npt.NDArray[np.int32]:
        """Return the codes of records, each of which stands for ``count`` of them."""
        levels = self.levels
        out = np.full((len(record), len(levels.keys)), ABSENT, dtype=np.int32)
        out[:, :-2] = levels.codes.take(self.found.rows[record], axis=0)
        out[:, -2] = np.where(count > 1, len(levels.values) + count, ABSENT)
        return out

    def _reduced(self, codes: npt.NDArray[np.int32], geometry: Ints) -> npt.NDArray[np.int32]:
        """Leave the geometries their classes alone whose rank gives them no more at this zoom."""
        levels = self.levels
        plain = levels.ranks[self.found.which[geometry]] >= levels.detail(self.z)
        if not plain.any():
            return codes
        kept = {*levels.class_columns, *levels.keys[-2:]}
        lost = np.array([key not in kept for key in levels.keys])
        return np.where(plain[:, None] & lost, np.int32(ABSENT), codes)

    def _in_grid(self, shapes: Shapes) -> Shapes:
        """Return shapes of the pyramid's zoom in the level units of the tile's zoom in its own grid."""
        if self.view.grid.pyramid_shift == 0:
            return shapes
        lonlat = square_lonlat(shapes.xy / float(EXTENT << self.z))
        xy = _whole(self.view.grid.positions(lonlat, self.view.tile.z))
        return _finished(Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior))

    def _exact(self) -> Shapes:
        """Return the geometries whose exact positions are known in the level units of the tile's zoom."""
        geometries = self.found.exact
        xy = _whole(self.view.grid.positions(geometries.coordinates, self.view.tile.z))
        return _finished(with_positions(geometries, xy))

    def _with_exact(self, shapes: Shapes, drawn: Ints) -> Shapes:
        """Replace the shapes of geometries ``drawn`` (positions in ``found.which``) whose exact positions are known."""
        found = self.found
        if not len(found.exactly) or self.view.grid.pyramid_shift == 0:
            return shapes
        place = np.full(len(found.which), -1, dtype=np.int64)
        place[found.exactly] = np.arange(len(found.exactly))
        rows = np.flatnonzero(place[drawn] >= 0)
        return replace(shapes, rows, self._exact().take(place[drawn[rows]]))

    def _cut(self, shapes: Shapes, origin: Ints) -> _Seen:
        """Return what the tile shows of shapes, each of which is that of an ``origin``."""
        pieces = cut(place_in(shapes, self.view.tile.x, self.view.tile.y))
        return _Seen(origin[pieces.origin], pieces.which, Encoded.of(pieces.shapes))


def _features(pieces: Encoded, piece: Ints, ids: Ints, codes: npt.NDArray[np.int32]) -> TileFeatures:
    return TileFeatures(pieces, np.zeros(len(piece), dtype=np.int64), piece, ids, codes)


def _joined(first: TileFeatures, second: TileFeatures) -> TileFeatures:
    """Return the features of the same tile end to end."""
    pieces = Encoded.joined([first.pieces, second.pieces])
    piece = np.concatenate([first.piece, len(first.pieces) + second.piece])
    ids, codes = (np.concatenate([getattr(part, name) for part in (first, second)]) for name in ("ids", "codes"))
    return _features(pieces, piece, ids, codes)


def _in_their_cells(seen: Flags, cells: Ints) -> Flags:
    """Mark all that may be merged with something that is seen."""
    key = (cells[:, 0] << 32) | cells[:, 1]
    marked: Flags = np.isin(key, np.unique(key[seen]))
    return marked


def _whole(positions: npt.NDArray[np.float64]) -> Ints:
    """Return positions rounded half up to whole units; those that the grid does not reach are ``_NOWHERE``."""
    reached = np.isfinite(positions).all(axis=1)
    if reached.all():
        return np.floor(np.clip(positions, -_FAR, _FAR) + 0.5).astype(np.int64)
    xy = np.full(positions.shape, _NOWHERE)
    xy[reached] = _whole(positions[reached])
    return xy


def _finished(shapes: Shapes) -> Shapes:
    """Return shapes tidy and valid, without the vertices that the grid does not reach.

    Wide ones are left as they are: what tiles show of them is made tidy and valid when they are cut.
    """
    nowhere = shapes.xy[:, 0] == _NOWHERE
    if nowhere.any():
        shapes = shapes.keep_vertices(~nowhere)
    box = shapes.bounds()
    wide = np.flatnonzero((box[:, 2:] - box[:, :2] >= _WIDE).any(axis=1))
    narrow = np.setdiff1d(np.arange(len(shapes)), wide) if len(wide) else None
    some = shapes if narrow is None else shapes.take(narrow)
    some = enlarged(tidy(some), some)
    if some.kind == GeometryKind.POLYGON:
        bad = np.flatnonzero(invalid(some))
        some = repair(some, bad) if len(bad) else some
    return some if narrow is None else replace(shapes, narrow, some)
