"""Build the whole pyramid of a layer into one archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gisservice.model import BBox
from gisservice.tiles.archive import ArchiveWriter, compress
from gisservice.tiles.attributes import Attributes, encode_attributes
from gisservice.tiles.clip import cut, place
from gisservice.tiles.encode import TileFeatures, encode_tiles
from gisservice.tiles.generalise import generalise
from gisservice.tiles.grid import tile_ids
from gisservice.tiles.shapes import Ints, Shapes, offsets, ranges
from gisservice.tiles.source import TileSource
from gisservice.tiles.validity import invalid

Progress = Callable[[int, int], None]


def build_pyramid(source: TileSource, path: Path, *, workers: int, progress: Progress | None = None) -> dict[str, Any]:
    """Write the tiles of all zooms of ``source`` to ``path`` (PMTiles 3) and return an account of them.

    The same source gives the same bytes, whatever ``workers`` is. ``progress`` is called with zooms done and all.
    """
    attributes = encode_attributes(source.attributes)
    members = _Members.of(source)
    report: dict[str, Any] = {"format": 1, "zooms": {}}
    zooms = range(source.minzoom, source.maxzoom + 1)
    metadata = _metadata(source, attributes)
    with ArchiveWriter(
        path, metadata=metadata, bounds=_bounds(source), minzoom=source.minzoom, maxzoom=source.maxzoom
    ) as archive:
        for done, z in enumerate(zooms, 1):
            report["zooms"][str(z)] = _build_level(source, attributes, members, z, archive)
            if progress is not None:
                progress(done, len(zooms))
    return report


class _Members:
    """Which records share which geometry."""

    def __init__(self, order: Ints, cuts: Ints) -> None:
        self.order, self.cuts = order, cuts
        self.counts = np.diff(cuts)

    @classmethod
    def of(cls, source: TileSource) -> _Members:
        owners = source.record_geometry.astype(np.int64)
        counts = np.bincount(owners, minlength=len(source.geometries))
        return cls(np.argsort(owners, kind="stable"), offsets(counts))


def _build_level(
    source: TileSource, attributes: Attributes, members: _Members, z: int, archive: ArchiveWriter
) -> dict[str, Any]:
    shapes, broken = generalise(source.geometries, z)
    placement = place(shapes, z)
    places = tile_ids(z, placement.x, placement.y)
    first_record = np.append(members.order, 0)[members.cuts[:-1]]
    order = np.lexsort([first_record[placement.rows], places])
    placement, places = placement.select(order), places[order]
    pieces = cut(shapes, placement)
    places = tile_ids(z, pieces.x, pieces.y)
    stacked = z < source.maxzoom
    counts = np.minimum(members.counts[pieces.rows], 1) if stacked else members.counts[pieces.rows]
    piece = np.repeat(np.arange(len(pieces)), counts)
    record = members.order[ranges(members.cuts[pieces.rows], counts)]
    distinct, tile = np.unique(places[piece], return_inverse=True)
    order = np.lexsort([record, tile])
    piece, record, tile = piece[order], record[order], tile[order]
    stack = members.counts[pieces.rows[piece]] if stacked else np.zeros(len(piece), dtype=np.int64)
    features = TileFeatures(pieces.shapes, tile, piece, record, source.ids, stack)
    tiles = [compress(tile) for tile in encode_tiles(source.name, features, attributes, stack_key(attributes))]
    for where, tile_bytes in zip(distinct.tolist(), tiles, strict=True):
        archive.add(where, tile_bytes)
    return _account(source, members, shapes, pieces.rows, broken, tiles, stacked)


def stack_key(attributes: Attributes) -> str:
    """Return the name of the property that counts the records of a stack: ``stack``, unless a column has it."""
    name = "stack"
    while name in attributes.keys:
        name += "_"
    return name


def _account(
    source: TileSource, members: _Members, shapes: Shapes, rows: Ints, broken: int, tiles: list[bytes], stacked: bool
) -> dict[str, Any]:
    shown = np.unique(rows)
    kept = len(shown) if stacked else int(members.counts[shown].sum())
    merged = int(members.counts[shown].sum()) - kept
    dropped = len(source) - kept - merged
    return {
        "tiles": len(tiles),
        "bytes": sum(map(len, tiles)),
        "largest": max(map(len, tiles), default=0),
        "features": len(source),
        "kept": kept,
        "merged": {"stack": merged} if merged else {},
        "dropped": {"no-extent": dropped} if dropped else {},
        "invalid_before": broken,
        "invalid": int(invalid(shapes).sum()) if shapes.kind == "polygon" else 0,
    }


def _metadata(source: TileSource, attributes: Attributes) -> dict[str, Any]:
    fields = dict(zip(attributes.keys, attributes.fields, strict=True))
    if source.minzoom < source.maxzoom and len(source.geometries) < len(source):
        fields[stack_key(attributes)] = "Number"
    layer = {"id": source.name, "fields": fields, "minzoom": source.minzoom, "maxzoom": source.maxzoom}
    return {"name": source.name, "type": "overlay", "vector_layers": [layer]}


def _bounds(source: TileSource) -> BBox:
    xy = source.geometries.coordinates
    if not len(xy):
        return (-180.0, -85.0511287, 180.0, 85.0511287)
    west, north = _lonlat(*xy.min(axis=0).tolist())
    east, south = _lonlat(*xy.max(axis=0).tolist())
    return west, south, east, north


def _lonlat(x: float, y: float) -> tuple[float, float]:
    size = 2.0**32
    return x / size * 360.0 - 180.0, float(np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * y / size)))))
