"""Tiles on demand: which records of a version a tile of any grid may show, and the tile drawn from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from gisservice.catalog import Features
from gisservice.catalog.features import take
from gisservice.errors import InvalidParameter, TileOutsideMatrix
from gisservice.model import BBox, Condition
from gisservice.tiles.archive import Archive, decompress
from gisservice.tiles.dynamic import Candidates, Stored, View
from gisservice.tiles.grid import TileCoord
from gisservice.tiles.levels import Levels
from gisservice.tiles.matrix import TileMatrixSet
from gisservice.tiles.shapes import Ints
from gisservice.tiles.stored import StoredTile

_SQUARE_LATITUDE = 85.05
"""Degrees; a little inside of where the pyramid's square ends."""


@dataclass(frozen=True)
class TileQuery:
    """What a request for a drawn tile asks, parsed and checked.

    ``filter`` None draws all records. ``properties`` None draws what the pyramid's tiles have; a tuple
    (:func:`choose_properties`) draws these on every feature and no others, an empty one none. What the pyramid adds
    to the columns, the counts of stacks and of merged groups, can be chosen like them. ``with_ids`` False leaves the
    ids of the features out: numbers without order, a fifth of the bytes of a tile of parcels.
    """

    matrix_set: TileMatrixSet
    tile: TileCoord
    filter: Condition | None = None
    properties: tuple[str, ...] | None = None
    with_ids: bool = True


def zoom_range(levels: Levels, matrix_set: TileMatrixSet) -> tuple[int, int]:
    """Return the first and the last zoom of a grid at which a layer has tiles.

    The first is the one that matches the first of the pyramid; the last lies past the pyramid, where a cell is about
    a centimetre.
    """
    return max(levels.minzoom - matrix_set.pyramid_shift, 0), matrix_set.maxzoom


def choose_properties(names: Iterable[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Return the properties of a layer that are named, in the layer's order, each once.

    Raises :class:`InvalidParameter` for a name that is none of ``columns``; it tells the nearest.
    """
    chosen = set()
    for name in names:
        if name not in columns:
            near = get_close_matches(name[:80], columns, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else ", ".join(columns) or "the layer has none"
            raise InvalidParameter("properties", name, f"properties of the layer; {hint}")
        chosen.add(name)
    return tuple(column for column in columns if column in chosen)


def draw_tile(name: str, features: Features, levels: Levels, query: TileQuery, archive: Archive | None = None) -> bytes:
    """Return an uncompressed vector tile with one layer, called ``name``; nothing where there is nothing to see.

    Tiles of several layers are these bytes end to end. ``levels`` are those of the version of ``features``, and so is
    ``archive``, from which geometries are taken as they are stored, where it has the tile; None: all are cut anew.
    Raises :class:`TileOutsideMatrix` for a tile outside the grid or the layer's zooms, and :class:`InvalidParameter`
    for a property that the layer does not have, both before anything is read.
    """
    grid, tile = query.matrix_set, query.tile
    grid.check(tile)
    first, last = zoom_range(levels, grid)
    if not first <= tile.z <= last:
        raise TileOutsideMatrix(f"The tiles of {name!r} in {grid.id} have zooms {first} to {last}, and not {tile.z}.")
    columns = _columns(levels, query.properties)
    view = View(levels, grid, tile)
    near = _near(features, view.search_box)
    rows, which, owner = _matching(features, near, query)
    wider = view.wider_box(which)
    if wider is not None:
        near = _near(features, wider)
        rows, which, owner = _matching(features, near, query)
    stored = None if archive is None or not view.in_pyramid else _stored(features, near, archive, tile)
    return view.draw(name, _candidates(features, view, query, (rows, which, owner), stored), columns)


def _columns(levels: Levels, properties: tuple[str, ...] | None) -> Ints | None:
    if properties is None:
        return None
    chosen = choose_properties(properties, levels.keys)
    return np.array([levels.keys.index(name) for name in chosen], dtype=np.int64)


def _near(features: Features, bbox: BBox) -> Ints:
    """Return the rows whose box meets ``bbox``, ascending."""
    rows = np.concatenate(features.search(bbox))
    rows.sort()
    return rows


def _matching(features: Features, rows: Ints, query: TileQuery) -> tuple[Ints, Ints, Ints]:
    """Return those rows that pass the filter, their distinct geometries, ascending, and which of these each has."""
    if query.filter is not None:
        rows = query.filter.among(features, rows)
    which, owner = np.unique(features.record_geometry[rows].astype(np.int64), return_inverse=True)
    return rows, which, owner


def _stored(features: Features, near: Ints, archive: Archive, tile: TileCoord) -> Stored:
    """Return what the stored tile shows of the geometries of the rows near it."""
    data = archive.get(tile)
    held = StoredTile.read(b"" if data is None else decompress(data), features.kind)
    place = held.rows(features.tile_ids[near])
    known = np.flatnonzero(place >= 0)
    return Stored(held.pieces, held.piece[known], features.record_geometry[near[place[known]]].astype(np.int64))


def _candidates(
    features: Features, view: View, query: TileQuery, found: tuple[Ints, Ints, Ints], stored: Stored | None
) -> Candidates:
    rows, which, owner = found
    if view.is_past:
        exactly = np.arange(len(which))
    elif view.grid.pyramid_shift == 0:
        exactly = np.zeros(0, dtype=np.int64)
    else:
        boxes = features.boxes[rows]
        beyond = (boxes[:, 1] < -_SQUARE_LATITUDE) | (boxes[:, 3] > _SQUARE_LATITUDE)
        exactly = np.unique(owner[beyond])
    exact = take(features.geometries, which[exactly])
    ids = features.tile_ids[rows] if query.with_ids else np.full(len(rows), -1, dtype=np.int64)
    return Candidates(rows, ids, which, owner, exact, exactly, stored)
