"""One tile of any grid, drawn when it is asked for, from the arrays that the pyramid was cut from.

What a zoom shows is decided as for the pyramid: by the same ranks and thresholds, on the same generalised shapes,
only among fewer records when there is a filter. In another grid than the pyramid's the shapes are those of the
pyramid's zoom that is just finer; their vertices are moved one by one, so borders that are shared stay shared. Past
the pyramid every record is drawn from its exact positions. Nothing that is decided here depends on the tile, so
neighbouring tiles agree.
"""

from __future__ import annotations

from dataclasses import dataclass

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

_WIDE = 1 << 26
"""Level units: a shape wider than this is cut before it is looked at whole; areas of others fit 64 bits."""


@dataclass(frozen=True)
class Candidates:
    """The records that a tile may show, and their geometries.

    ``rows`` (ascending) are the records and ``ids`` their feature ids; record ``i`` has geometry
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

    ``columns`` are the properties that every feature gets; None: all, but for those features that have only their
    classes in the pyramid's tiles.
    """
    if not len(found.rows):
        return b""
    every = grid.pyramid_zoom(tile.z) >= levels.maxzoom
    features = _every_record if every else _summary
    drawn = features(levels, grid, tile, found, columns)
    if not len(drawn):
        return b""
    keys = levels.keys if columns is None else [*(levels.keys[k] for k in columns.tolist()), *levels.keys[-2:]]
    return encode_tiles(name, drawn, keys, levels.values)[0]


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


def _every_record(
    levels: Levels, grid: TileMatrixSet, tile: TileCoord, found: Candidates, columns: Ints | None
) -> TileFeatures:
    """Draw each record of each geometry: the records of a stack have equal shapes."""
    z = grid.pyramid_zoom(tile.z)
    if z > levels.maxzoom:
        shapes = _exact(found.exact, grid, tile)
    else:
        shapes = _in_grid(levels.shapes(z, found.which), z, grid, tile)
        shapes = _with_exact(shapes, np.arange(len(found.which)), found, grid, tile)
    pieces = _cut(shapes, tile)
    piece_of = np.full(len(found.which), -1, dtype=np.int64)
    piece_of[pieces.origin] = np.arange(len(pieces))
    piece = piece_of[found.owner]
    shown = np.flatnonzero(piece >= 0)
    codes = _columns(levels.codes.take(found.rows[shown], axis=0), columns)
    return TileFeatures(pieces.shapes, np.zeros(len(shown), dtype=np.int64), piece[shown], found.ids[shown], codes)


def _summary(
    levels: Levels, grid: TileMatrixSet, tile: TileCoord, found: Candidates, columns: Ints | None
) -> TileFeatures:
    """Draw each geometry of sufficient rank once for each record it is drawn for, and groups of small ones.

    A group has no id, and the properties in which all its members agree.
    """
    z = grid.pyramid_zoom(tile.z)
    named, cuts = selection.representatives(found.owner, levels.always[found.rows], len(found.which))
    first = named[cuts[:-1]]
    chosen = _select(levels, z, found, first, *_tile_box(grid, tile, z))
    shapes = _with_exact(_in_grid(chosen.shapes, z, grid, tile), chosen.drawn, found, grid, tile)
    pieces = _cut(shapes, tile)
    single = pieces.origin < len(chosen.drawn)
    lone, groups = np.flatnonzero(single), pieces.origin[~single] - len(chosen.drawn)
    stack = np.bincount(found.owner, minlength=len(found.which))
    geometry = chosen.drawn[pieces.origin[lone]]
    times = np.diff(cuts)[geometry]
    record = named[ranges(cuts[geometry], times)]
    count = np.ones(len(record), dtype=np.int64)
    count[offsets(times)[:-1]] += stack[geometry] - times
    order = np.argsort(record, kind="stable")
    lone, geometry = np.repeat(lone, times)[order], np.repeat(geometry, times)[order]
    record, count = record[order], count[order]
    codes = np.concatenate(
        [
            _group_codes(levels, found, first, stack, chosen, groups, columns),
            _lone_codes(levels, z, found, record, count, geometry, columns),
        ]
    )
    ids = np.concatenate([np.full(len(groups), -1, dtype=np.int64), found.ids[record]])
    piece = np.concatenate([np.flatnonzero(~single), lone])
    return TileFeatures(pieces.shapes, np.zeros(len(piece), dtype=np.int64), piece, ids, codes)


def _select(levels: Levels, z: int, found: Candidates, first: Ints, low: Ints, high: Ints) -> selection.Selection:
    """Choose among the geometries found as the pyramid does; what cannot be seen in the tile may be left out.

    The answer's numbers are positions in ``found.which``.
    """
    limit, shift = levels.limit(z), levels.maxzoom - z
    ranks = levels.ranks[found.which]
    summed = levels.kind == GeometryKind.POLYGON
    near = np.arange(len(ranks)) if summed else np.flatnonzero(ranks < limit)
    shapes = levels.shapes(z, found.which[near])
    seen = _touching(shapes, low, high)
    if summed and levels.coverage:
        classes = _classes(levels, found, first)
        centres = levels.centres[found.which] >> shift
        keep = np.flatnonzero(_with_their_groups(seen, ranks >= limit, centres >> selection.CELL_BITS, classes))
        chosen = selection.select_with_merged(shapes.take(keep), ranks[keep], limit, classes[keep], centres[keep])
    elif summed:
        keep = np.flatnonzero(seen | (ranks >= limit))
        which = found.which[keep]
        chosen = selection.select_with_dust(
            shapes.take(keep), ranks[keep], limit, levels.areas[which], levels.centres[which], shift,
            levels.dust_side(z),
        )  # fmt: skip
    else:
        keep = np.flatnonzero(seen)
        chosen = selection.select(shapes.take(keep), ranks[near][keep], limit)
    keep = near[keep]
    return selection.Selection(chosen.shapes, keep[chosen.drawn], keep[chosen.members], chosen.cuts)


def _classes(levels: Levels, found: Candidates, first: Ints) -> Ints:
    """Return for each geometry what those that are merged must have in common."""
    if levels.merge_by is None:
        return np.zeros(len(first), dtype=np.int64)
    column = levels.keys.index(levels.merge_by)
    classes: Ints = levels.codes[found.rows[first], column].astype(np.int64)
    return classes


def _with_their_groups(seen: Flags, small: Flags, cells: Ints, classes: Ints) -> Flags:
    """Mark what is seen, and of what is small also whatever is merged with something seen."""
    key = (cells[:, 0] << 32) | cells[:, 1]
    wanted = np.unique(key[seen & small])
    marked: Flags = seen | (small & np.isin(key, wanted))
    return marked


def _lone_codes(
    levels: Levels, z: int, found: Candidates, record: Ints, count: Ints, geometry: Ints, columns: Ints | None
) -> npt.NDArray[np.int32]:
    """Return the codes of records that geometries are drawn for, and how many records each stands for."""
    theirs = _columns(levels.codes.take(found.rows[record], axis=0), columns)
    if columns is None:
        plain = levels.ranks[found.which[geometry]] >= levels.detail(z)
        if plain.any():
            classes = np.array([key in levels.class_columns for key in levels.keys[:-2]])
            theirs = np.where(plain[:, None] > classes, ABSENT, theirs)  # plain, and no class
    counted = np.full((len(theirs), 2), ABSENT, dtype=np.int32)
    counted[:, 0] = np.where(count > 1, len(levels.values) + count, ABSENT)
    return np.concatenate([theirs, counted], axis=1)


def _group_codes(
    levels: Levels,
    found: Candidates,
    first: Ints,
    stack: Ints,
    chosen: selection.Selection,
    groups: Ints,
    columns: Ints | None,
) -> npt.NDArray[np.int32]:
    """Return the codes of groups: what their members agree in, and how many records they are."""
    width = len(levels.keys) - 2 if columns is None else len(columns)
    if not len(groups):
        return np.empty((0, width + 2), dtype=np.int32)
    theirs = _columns(levels.codes.take(found.rows[first[chosen.members]], axis=0), columns)
    lowest, highest = (f.reduceat(theirs, chosen.cuts[:-1], axis=0)[groups] for f in (np.minimum, np.maximum))
    out = np.full((len(groups), width + 2), ABSENT, dtype=np.int32)
    out[:, :-2] = np.where(lowest == highest, lowest, ABSENT)
    out[:, -1] = len(levels.values) + np.diff(offsets(stack[chosen.members])[chosen.cuts])[groups]
    return out


def _columns(codes: npt.NDArray[np.int32], columns: Ints | None) -> npt.NDArray[np.int32]:
    return codes if columns is None else codes[:, columns]


def _in_grid(shapes: Shapes, z: int, grid: TileMatrixSet, tile: TileCoord) -> Shapes:
    """Return shapes of a zoom of the pyramid in the level units of the tile's zoom in its own grid."""
    if grid.pyramid_shift == 0:
        return shapes
    lonlat = square_lonlat(shapes.xy / float(EXTENT << z))
    xy = _whole(grid.positions(lonlat, tile.z))
    return _finished(Shapes(shapes.kind, xy, shapes.rings, shapes.starts, shapes.exterior))


def _exact(geometries: Geometries, grid: TileMatrixSet, tile: TileCoord) -> Shapes:
    """Return geometries (CRS84) in the level units of the tile's zoom."""
    return _finished(with_positions(geometries, _whole(grid.positions(geometries.coordinates, tile.z))))


def _with_exact(shapes: Shapes, drawn: Ints, found: Candidates, grid: TileMatrixSet, tile: TileCoord) -> Shapes:
    """Replace the shapes ``drawn`` (positions in ``found.which``) whose exact positions are known."""
    if not len(found.exactly) or grid.pyramid_shift == 0:
        return shapes
    place = np.full(len(found.which), -1, dtype=np.int64)
    place[found.exactly] = np.arange(len(found.exactly))
    rows = np.flatnonzero(place[drawn] >= 0)
    return replace(shapes, rows, _exact(found.exact, grid, tile).take(place[drawn[rows]]))


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


def _cut(shapes: Shapes, tile: TileCoord) -> Pieces:
    return cut(place_in(shapes, tile.x, tile.y))
