"""One tile of any grid, drawn when it is asked for, from the arrays that the pyramid was cut from.

What a zoom shows is decided as for the pyramid: by the same ranks and thresholds, on the same generalised shapes,
only among fewer records when there is a filter. In another grid than the pyramid's the shapes are those of the
pyramid's zoom that is just finer; their vertices are moved one by one, so borders that are shared stay shared. Past
the pyramid every record is drawn from its exact positions. Nothing that is decided here depends on the tile, so
neighbouring tiles agree.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from gisservice.crs import square_lonlat, square_positions
from gisservice.model import BBox, Geometries, GeometryKind
from gisservice.tiles import selection
from gisservice.tiles.attributes import ABSENT
from gisservice.tiles.clip import Pieces, cut, place_in
from gisservice.tiles.encode import TileFeatures, encode_tiles
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
    the pyramid's square has no room for.
    """

    rows: Ints
    ids: npt.NDArray[np.int64]
    which: Ints
    owner: Ints
    exact: Geometries
    exactly: Ints


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


def is_past(levels: Levels, grid: TileMatrixSet, tile: TileCoord) -> bool:
    """Return whether a tile is drawn from exact positions, because the pyramid has no shapes so fine."""
    return grid.pyramid_zoom(tile.z) > levels.maxzoom


def search_box(levels: Levels, grid: TileMatrixSet, tile: TileCoord) -> BBox:
    """Return the box (CRS84) in which the records lie that a tile may show, its buffer included."""
    if is_past(levels, grid, tile):
        return grid.lonlat_bounds(tile, BUFFER + 1)
    return _window(levels, grid, tile).bbox


def wider_box(levels: Levels, grid: TileMatrixSet, tile: TileCoord, which: Ints) -> BBox | None:
    """Return a larger box to search, or None when :func:`search_box` has found all that matters.

    ``which`` are the geometries that were found. A small polygon of a coverage is drawn with the others of its
    cell; one that is long and thin may reach into the tile from a cell outside the searched box.
    """
    z = grid.pyramid_zoom(tile.z)
    if z >= levels.maxzoom or not levels.coverage:
        return None
    window = _window(levels, grid, tile)
    small = which[levels.ranks[which] >= levels.limit(z)]
    centres = levels.centres[small] >> (levels.maxzoom - z)
    outside = ((centres < window.low) | (centres >= window.high)).any(axis=1)
    small, centres = small[outside], centres[outside]
    touching = _touching(levels.shapes(z, small), *_tile_box(grid, tile, z))
    if not touching.any():
        return None
    cells = centres[touching] >> selection.CELL_BITS
    low = np.minimum(window.low, cells.min(axis=0) << selection.CELL_BITS)
    high = np.maximum(window.high, (cells.max(axis=0) + 1) << selection.CELL_BITS)
    return Window(z, low, high).bbox


def draw(
    name: str, levels: Levels, grid: TileMatrixSet, tile: TileCoord, found: Candidates, columns: Ints | None
) -> bytes:
    """Return an uncompressed tile with one layer, called ``name``; nothing where nothing is to be seen.

    ``columns`` are the properties, as places in ``levels.keys``, that every feature gets if it has them; None: all,
    but for those features that have only their classes in the pyramid's tiles.
    """
    if not len(found.rows):
        return b""
    drawn = _Scene(levels, grid, tile, found).features(plain=columns is None)
    if not len(drawn):
        return b""
    if columns is None:
        return encode_tiles(name, drawn, levels.keys, levels.values)[0]
    chosen = dataclasses.replace(drawn, codes=drawn.codes.take(columns, axis=1))
    return encode_tiles(name, chosen, [levels.keys[column] for column in columns.tolist()], levels.values)[0]


def _window(levels: Levels, grid: TileMatrixSet, tile: TileCoord) -> Window:
    z = grid.pyramid_zoom(tile.z)
    low, high = _tile_box(grid, tile, z)
    if levels.kind == GeometryKind.POLYGON and z < levels.maxzoom:
        side = 0 if levels.coverage else levels.dust_side(z)
        low, high = (low - side) >> selection.CELL_BITS, ((high + side) >> selection.CELL_BITS) + 1
        low, high = low << selection.CELL_BITS, high << selection.CELL_BITS
    return Window(z, low, high)


def _tile_box(grid: TileMatrixSet, tile: TileCoord, z: int) -> tuple[Ints, Ints]:
    """Return the corners of a tile with its buffer in level units of a zoom of the pyramid, and a little more."""
    west, south, east, north = grid.lonlat_bounds(tile, BUFFER)
    units = square_positions(np.array([[west, north], [east, south]])) * (EXTENT << z)
    return np.floor(units[0]).astype(np.int64) - _REACH, np.ceil(units[1]).astype(np.int64) + _REACH


def _touching(shapes: Shapes, low: Ints, high: Ints) -> Flags:
    box = shapes.bounds()
    full = np.diff(shapes.vertices) > 0
    meets: Flags = (box[:, 0] <= high[0]) & (box[:, 1] <= high[1]) & (box[:, 2] >= low[0]) & (box[:, 3] >= low[1])
    return meets & full


@dataclass(frozen=True)
class _Scene:
    """A tile to be drawn, and all it may show."""

    levels: Levels
    grid: TileMatrixSet
    tile: TileCoord
    found: Candidates

    @property
    def z(self) -> int:
        """The zoom of the pyramid whose shapes are drawn."""
        return self.grid.pyramid_zoom(self.tile.z)

    def features(self, *, plain: bool) -> TileFeatures:
        """Return the features; with ``plain``, those that have only their classes in the pyramid have here, too."""
        return self._every_record() if self.z >= self.levels.maxzoom else self._summary(plain)

    def _every_record(self) -> TileFeatures:
        """Draw each record of each geometry: the records of a stack have equal shapes."""
        found = self.found
        if self.z > self.levels.maxzoom:
            shapes = self._exact()
        else:
            shapes = self._in_grid(self.levels.shapes(self.z, found.which))
            shapes = self._with_exact(shapes, np.arange(len(found.which)))
        pieces = self._cut(shapes)
        piece_of = np.full(len(found.which), -1, dtype=np.int64)
        piece_of[pieces.origin] = pieces.which
        piece = piece_of[found.owner]
        shown = np.flatnonzero(piece >= 0)
        codes = self._codes(shown, np.ones(len(shown), dtype=np.int64))
        return _features(pieces, piece[shown], found.ids[shown], codes)

    def _summary(self, plain: bool) -> TileFeatures:
        """Draw each geometry of sufficient rank once for each record it is drawn for, and groups of small ones.

        A group has no id, and the properties in which all its members agree.
        """
        found, levels = self.found, self.levels
        named, cuts = selection.representatives(found.owner, levels.always[found.rows], len(found.which))
        first, stack = named[cuts[:-1]], np.diff(offsets(np.bincount(found.owner)))
        chosen = self._select(first)
        pieces = self._cut(self._with_exact(self._in_grid(chosen.shapes), chosen.drawn))
        lone = np.flatnonzero(pieces.origin < len(chosen.drawn))
        grouped = np.flatnonzero(pieces.origin >= len(chosen.drawn))
        geometry = chosen.drawn[pieces.origin[lone]]
        times = np.diff(cuts)[geometry]
        record = named[ranges(cuts[geometry], times)]
        count = np.ones(len(record), dtype=np.int64)
        count[offsets(times)[:-1]] += stack[geometry] - times
        order = np.argsort(record, kind="stable")
        record, lone, geometry = record[order], np.repeat(lone, times)[order], np.repeat(geometry, times)[order]
        codes = self._codes(record, count[order])
        if plain:
            codes = self._reduced(codes, geometry)
        groups = self._group_codes(chosen, pieces.origin[grouped] - len(chosen.drawn), first, stack)
        return _features(
            pieces,
            pieces.which[np.concatenate([grouped, lone])],
            np.concatenate([np.full(len(grouped), -1, dtype=np.int64), found.ids[record]]),
            np.concatenate([groups, codes]),
        )

    def _select(self, first: Ints) -> selection.Selection:
        """Choose among the geometries found as the pyramid does; what cannot be seen in the tile may be left out.

        The answer's numbers are positions in ``found.which``.
        """
        levels, z, which = self.levels, self.z, self.found.which
        limit, ranks = levels.limit(z), levels.ranks[which]
        near = np.arange(len(which)) if levels.kind == GeometryKind.POLYGON else np.flatnonzero(ranks < limit)
        shapes = levels.shapes(z, which[near])
        seen = _touching(shapes, *_tile_box(self.grid, self.tile, z))
        if levels.kind != GeometryKind.POLYGON:
            keep = np.flatnonzero(seen)
            chosen = selection.select(shapes.take(keep), ranks[near[keep]], limit)
        elif levels.coverage:
            keep, chosen = self._merged(shapes, seen, ranks >= limit, first)
        else:
            keep, chosen = self._with_dust(shapes, seen, ranks >= limit)
        keep = near[keep]
        return selection.Selection(chosen.shapes, keep[chosen.drawn], keep[chosen.members], chosen.cuts)

    def _merged(self, shapes: Shapes, seen: Flags, small: Flags, first: Ints) -> tuple[Ints, selection.Selection]:
        """Choose among the polygons of a coverage; return which were looked at, and what is drawn of them."""
        levels, z, which = self.levels, self.z, self.found.which
        centres = levels.centres.take(which, axis=0) >> (levels.maxzoom - z)
        keep = np.flatnonzero(_with_their_cells(seen, small, centres >> selection.CELL_BITS))
        classes = np.zeros(len(keep), dtype=np.int64)
        if levels.merge_by is not None:
            column = levels.keys.index(levels.merge_by)
            classes = levels.codes[self.found.rows[first[keep]], column].astype(np.int64)
        ranks = levels.ranks[which[keep]]
        chosen = selection.select_with_merged(
            shapes.take(keep), ranks, levels.limit(z), classes, centres.take(keep, axis=0), partial(self._groups, keep)
        )
        return keep, chosen

    def _groups(self, keep: Ints, shapes: Shapes, members: Ints, cuts: Ints) -> Shapes:
        """Return the shapes of groups: those with all members that they have in the pyramid are as they are there."""
        levels, z = self.levels, self.z
        place = selection.same_groups(self.found.which[keep[members]], cuts, *levels.group_members(z))
        return selection.dissolved(shapes, members, cuts, place, partial(levels.group_shapes, z))

    def _with_dust(self, shapes: Shapes, seen: Flags, small: Flags) -> tuple[Ints, selection.Selection]:
        """Choose among polygons that share no borders; return which were looked at, and what is drawn of them."""
        levels, z = self.levels, self.z
        keep = np.flatnonzero(seen | small)
        which = self.found.which[keep]
        chosen = selection.select_with_dust(
            shapes.take(keep),
            levels.ranks[which],
            levels.limit(z),
            levels.areas[which],
            levels.centres.take(which, axis=0),
            levels.maxzoom - z,
            levels.dust_side(z),
        )
        return keep, chosen

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

    def _group_codes(
        self, chosen: selection.Selection, groups: Ints, first: Ints, stack: Ints
    ) -> npt.NDArray[np.int32]:
        """Return the codes of some groups: what their members agree in, and how many records they are."""
        levels = self.levels
        out = np.full((len(groups), len(levels.keys)), ABSENT, dtype=np.int32)
        if len(groups):
            theirs = levels.codes.take(self.found.rows[first[chosen.members]], axis=0)
            lowest, highest = (f.reduceat(theirs, chosen.cuts[:-1], axis=0)[groups] for f in (np.minimum, np.maximum))
            out[:, :-2] = np.where(lowest == highest, lowest, ABSENT)
            out[:, -1] = len(levels.values) + np.diff(offsets(stack[chosen.members])[chosen.cuts])[groups]
        return out

    def _in_grid(self, shapes: Shapes) -> Shapes:
        """Return shapes of the pyramid's zoom in the level units of the tile's zoom in its own grid."""
        if self.grid.pyramid_shift == 0:
            return shapes
        lonlat = square_lonlat(shapes.xy / float(EXTENT << self.z))
        xy = _whole(self.grid.positions(lonlat, self.tile.z))
        return _finished(Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior))

    def _exact(self) -> Shapes:
        """Return the geometries whose exact positions are known in the level units of the tile's zoom."""
        geometries = self.found.exact
        return _finished(with_positions(geometries, _whole(self.grid.positions(geometries.coordinates, self.tile.z))))

    def _with_exact(self, shapes: Shapes, drawn: Ints) -> Shapes:
        """Replace the shapes of geometries ``drawn`` (positions in ``found.which``) whose exact positions are known."""
        found = self.found
        if not len(found.exactly) or self.grid.pyramid_shift == 0:
            return shapes
        place = np.full(len(found.which), -1, dtype=np.int64)
        place[found.exactly] = np.arange(len(found.exactly))
        rows = np.flatnonzero(place[drawn] >= 0)
        return replace(shapes, rows, self._exact().take(place[drawn[rows]]))

    def _cut(self, shapes: Shapes) -> Pieces:
        return cut(place_in(shapes, self.tile.x, self.tile.y))


def _features(pieces: Pieces, piece: Ints, ids: Ints, codes: npt.NDArray[np.int32]) -> TileFeatures:
    return TileFeatures(pieces.shapes, np.zeros(len(piece), dtype=np.int64), piece, ids, codes)


def _with_their_cells(seen: Flags, small: Flags, cells: Ints) -> Flags:
    """Mark what is seen, and of what is small also all that may be merged with something seen."""
    key = (cells[:, 0] << 32) | cells[:, 1]
    wanted = np.unique(key[seen & small])
    marked: Flags = seen | (small & np.isin(key, wanted))
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
