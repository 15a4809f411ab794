"""Layers published whole in a folder of their own, and their tiles as an independent reader sees them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import shapely
import strict_mvt
from shapely.affinity import translate

from gisservice.catalog import Features, Records, write_features
from gisservice.model import Geometries, GeometryKind
from gisservice.query import TileQuery, draw_tile, zoom_range
from gisservice.tiles import (
    EXTENT,
    LEVELS_FILE,
    TILES_FILE,
    Archive,
    Levels,
    TileCoord,
    TileMatrixSet,
    TileSource,
    build_pyramid,
    matrix_set,
)
from gisservice.tiles.grid import tile_of_id

BUFFER = 64
WEB, DEGREES, FEET = (matrix_set(name) for name in ("WebMercatorQuad", "WorldCRS84Quad", "VirginiaNorthFeet"))
GRIDS = (WEB, DEGREES, FEET)
KINDS = {0: GeometryKind.POINT, 1: GeometryKind.LINE, 2: GeometryKind.POLYGON}


@dataclass(frozen=True)
class Where:
    """A filter that keeps the rows that a function of the attribute table marks."""

    test: Callable[[Any], Any]
    text: str = "a test"

    def among(self, features: Features, rows: Any) -> Any:
        return rows[np.asarray(self.test(features.attributes.to_pandas()))[rows]]


class Drawn:
    """A published layer."""

    def __init__(self, folder: Path, name: str = "layer") -> None:
        self.folder, self.name = folder, name
        self.features, self.levels = Features.open(folder), Levels(folder / LEVELS_FILE)
        self.archive = Archive(folder / TILES_FILE)

    @property
    def shapes(self) -> Any:
        """The geometries of all rows in CRS84."""
        return self.features.shapes(np.arange(len(self.features)))

    def bytes(
        self, grid: TileMatrixSet, tile: tuple[int, int, int], *, with_stored: bool = False, **asked: Any
    ) -> bytes:
        """A tile that is cut anew, or for which geometries are taken from the archive."""
        archive = self.archive if with_stored else None
        return draw_tile(self.name, self.features, self.levels, TileQuery(grid, TileCoord(*tile), **asked), archive)

    def draw(self, grid: TileMatrixSet, tile: tuple[int, int, int], **asked: Any) -> list[strict_mvt.Feature]:
        """The features of a tile, read strictly: rings, winding, tables, ids; polygons must be valid."""
        data = self.bytes(grid, tile, **asked)
        if not data:
            return []
        (layer,) = strict_mvt.read(data).values()
        assert (layer.name, layer.extent) == (self.name, EXTENT)
        assert strict_mvt.invalid(layer) == 0
        bounds = shapely.bounds(np.array([feature.geometry for feature in layer.features]))
        assert bounds.min() >= -BUFFER and bounds.max() <= EXTENT + BUFFER
        return layer.features

    def stored(self) -> Iterator[tuple[TileCoord, bytes]]:
        """Every tile of the pyramid, decompressed."""
        for place in self.archive.tiles():
            tile = tile_of_id(place)
            data = self.archive.get(tile)
            assert data is not None
            yield tile, zlib.decompress(data, 31)

    def tiles(self, grid: TileMatrixSet, z: int) -> list[TileCoord]:
        """The tiles of a zoom that the layer's box touches, at most 36 in its middle."""
        boxes = self.features.boxes
        (limit,) = grid.limits((*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)), [z])
        columns, rows = (middle(range(limit[f"minTile{axis}"], limit[f"maxTile{axis}"] + 1)) for axis in ("Col", "Row"))
        return [TileCoord(z, x, y) for y in rows for x in columns]

    def zooms(self, grid: TileMatrixSet) -> range:
        first, last = zoom_range(self.levels, grid)
        return range(first, last + 1)


def middle(numbers: range, most: int = 6) -> range:
    extra = max(len(numbers) - most, 0)
    return range(numbers.start + extra // 2, numbers.stop - (extra - extra // 2))


def publish(
    folder: Path,
    shapes: Sequence[Any],
    columns: dict[str, Any] | None = None,
    *,
    kind: GeometryKind | None = None,
    zooms: tuple[int, int] = (8, 14),
    coverage: bool = False,
    merge_by: str | None = None,
    name: str = "layer",
) -> Drawn:
    """Publish shapes in CRS84; the id of record ``i`` inside tiles is ``i + 1``."""
    lonlat = np.array(list(shapes), dtype=object)
    ids = [f"r{i + 1}" for i in range(len(lonlat))]
    kind = kind or KINDS[int(shapely.get_dimensions(lonlat[0]))]
    frame = geopandas.GeoDataFrame(pandas.DataFrame({"key": ids, **(columns or {})}), geometry=lonlat, crs="OGC:CRS84")
    folder.mkdir(exist_ok=True)
    write_features(folder, Records(frame, ids, np.arange(1, len(ids) + 1), lonlat, None, kind))
    features = Features.open(folder)
    plain = features.geometries
    source = TileSource(
        name,
        kind,
        Geometries(kind, features.world, plain.rings, plain.parts, plain.starts),
        features.record_geometry,
        features.tile_ids,
        features.attributes,
        coverage,
        *zooms,
        merge_by,
    )
    build_pyramid(source, folder, workers=1)
    return Drawn(folder, name)


def placed(feature: strict_mvt.Feature, tile: TileCoord) -> Any:
    """A feature's geometry in level units."""
    return translate(feature.geometry, tile.x * EXTENT, tile.y * EXTENT)


def reach(tile: TileCoord, margin: float = BUFFER) -> Any:
    """What a tile shows, in level units."""
    x, y = tile.x * EXTENT, tile.y * EXTENT
    return shapely.box(x - margin, y - margin, x + EXTENT + margin, y + EXTENT + margin)


def by_name(features: list[strict_mvt.Feature], tile: TileCoord) -> dict[Any, Any]:
    """What is drawn of each id, in level units; what has none is put together by its properties."""
    shift = np.array([tile.x * EXTENT, tile.y * EXTENT])
    shapes = shapely.transform(
        np.array([feature.geometry for feature in features], dtype=object), lambda xy: xy + shift
    )
    found: dict[Any, list[Any]] = {}
    for feature, shape in zip(features, shapes, strict=True):
        key = feature.id if feature.id is not None else tuple(sorted(feature.properties.items()))
        found.setdefault(key, []).append(shape)
    return {key: parts[0] if len(parts) == 1 else shapely.union_all(parts) for key, parts in found.items()}


def disagreement(
    one: list[strict_mvt.Feature], first: TileCoord, other: list[strict_mvt.Feature], second: TileCoord
) -> list[Any]:
    """Names of the features that two neighbours draw differently where both reach.

    A border that is cut at the rim of a tile's buffer ends there in a whole unit, up to half a unit beside where it
    runs. So two that are cut at different rims may lie up to a unit apart; what is left beyond that must be nothing.
    """
    zone = reach(first).intersection(reach(second))
    ours, theirs = by_name(one, first), by_name(other, second)
    names = list(ours.keys() | theirs.keys())
    empty = shapely.GeometryCollection()
    a, b = (
        shapely.intersection(np.array([side.get(key, empty) for key in names], dtype=object), zone)
        for side in (ours, theirs)
    )
    unlike = np.flatnonzero(~shapely.equals_exact(a, b))
    flat = np.maximum(shapely.get_dimensions(a), shapely.get_dimensions(b))[unlike] == 2
    return [names[at] for at in (*_off_by_area(a, b, unlike[flat]), *_off_by_place(a, b, unlike[~flat], zone))]


def _off_by_area(a: Any, b: Any, rows: Any) -> Any:
    return rows[~shapely.is_empty(shapely.buffer(shapely.symmetric_difference(a[rows], b[rows]), -0.51))]


def _off_by_place(a: Any, b: Any, rows: Any, zone: Any) -> Any:
    inner = zone.buffer(-1.0)
    off = [
        shapely.difference(shapely.intersection(p[rows], inner), shapely.buffer(q[rows], 1.01))
        for p, q in ((a, b), (b, a))
    ]
    return rows[~(shapely.is_empty(off[0]) & shapely.is_empty(off[1]))]
