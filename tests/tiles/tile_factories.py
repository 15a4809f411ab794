"""Layers for the tests of tiles, made of shapely geometries in level units of a zoom or of real files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from strict_mvt import Layer, read

from gisservice.crs import world_positions
from gisservice.model import Geometries, GeometryKind
from gisservice.tiles import TILES_FILE, Archive, TileCoord, TileSource, build_pyramid
from gisservice.tiles.archive import decompress
from gisservice.tiles.grid import tile_of_id

MULTI = {
    GeometryKind.POINT: (shapely.MultiPoint, shapely.GeometryType.MULTIPOINT),
    GeometryKind.LINE: (shapely.MultiLineString, shapely.GeometryType.MULTILINESTRING),
    GeometryKind.POLYGON: (shapely.MultiPolygon, shapely.GeometryType.MULTIPOLYGON),
}


def kind_of(geometry: Any) -> GeometryKind:
    return {0: GeometryKind.POINT, 1: GeometryKind.LINE, 2: GeometryKind.POLYGON}[shapely.get_dimensions(geometry)]


def as_geometries(shapes: Sequence[Any], kind: GeometryKind, positions: Callable[[Any], Any]) -> Geometries:
    """Flatten shapely geometries; ``positions`` turns their coordinates into world-grid steps."""
    multi = [g if g.geom_type.startswith("Multi") else MULTI[kind][0]([g]) for g in shapes]
    _, xy, cuts = shapely.to_ragged_array(np.array(multi or [MULTI[kind][0]()], dtype=object)[: len(multi) or 1])
    levels = [np.asarray(level, dtype=np.int64) for level in cuts]
    if not multi:
        levels[-1] = levels[-1][:1]
    while len(levels) < 3:
        levels.insert(-1, np.arange(levels[-1][-1] + 1, dtype=np.int64))
    return Geometries(kind, positions(xy), *levels)


def make_source(
    shapes: Sequence[Any],
    *,
    z: int = 14,
    minzoom: int | None = None,
    kind: GeometryKind | None = None,
    attributes: pa.Table | None = None,
    ids: Sequence[int] | None = None,
    record_geometry: Sequence[int] | None = None,
    coverage: bool = False,
    merge_by: str | None = None,
    always: Any = None,
    positions: Callable[[Any], Any] | None = None,
    name: str = "layer",
) -> TileSource:
    """Return a layer whose coordinates are level units of zoom ``z``, the deepest, unless ``positions`` says else."""
    unit = 1 << (20 - z)
    place = positions or (lambda xy: (np.asarray(xy) * unit).astype(np.uint32))
    kind = kind or kind_of(shapes[0])
    owners = np.arange(len(shapes)) if record_geometry is None else np.asarray(record_geometry)
    return TileSource(
        name,
        kind,
        as_geometries(shapes, kind, place),
        owners.astype(np.uint32),
        np.arange(len(owners), dtype=np.int64) if ids is None else np.asarray(ids, dtype=np.int64),
        attributes if attributes is not None else pa.table({"n": pa.array(range(len(owners)), pa.int64())}),
        coverage,
        z if minzoom is None else minzoom,
        z,
        merge_by,
        always,
    )


class Pyramid:
    """The tiles of a folder as an independent reader sees them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.archive = folder, folder / TILES_FILE, Archive(folder / TILES_FILE)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def addresses(self, z: int | None = None) -> list[TileCoord]:
        return [tile for tile in map(tile_of_id, self.archive.tiles()) if z in (None, tile.z)]

    def layer(self, tile: TileCoord) -> Layer:
        data = self.archive.get(tile)
        assert data is not None
        (layer,) = read(decompress(data)).values()
        return layer

    def features(self, z: int) -> dict[int | None, list[tuple[TileCoord, Any]]]:
        """All features of a zoom by id, with the tiles they are in."""
        found: dict[int | None, list[tuple[TileCoord, Any]]] = {}
        for tile in self.addresses(z):
            for feature in self.layer(tile).features:
                found.setdefault(feature.id, []).append((tile, feature))
        return found


class Built(Pyramid):
    """A pyramid that was built, and its report."""

    def __init__(self, source: TileSource, folder: Path, workers: int = 1) -> None:
        folder.mkdir()
        self.report = build_pyramid(source, folder, workers=workers)
        super().__init__(folder)


def lonlat_source(frame: Any, name: str, **options: Any) -> TileSource:
    """Return a layer of a frame in CRS84, equal geometries shared, invalid polygons repaired."""
    shapes = np.asarray(frame.geometry.values)
    bad = ~shapely.is_valid(shapes)
    shapes[bad] = shapely.make_valid(shapes[bad], method="structure", keep_collapsed=False)
    _, first, owners = np.unique(shapely.to_wkb(shapes), return_index=True, return_inverse=True)
    order = np.argsort(first)
    owners = np.argsort(order)[owners]
    table = pa.Table.from_pandas(frame.drop(columns="geometry"), preserve_index=False)
    for column, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            table = table.set_column(column, field.name, table[field.name].cast(pa.string()))
    return make_source(
        list(shapes[np.sort(first)]), record_geometry=owners, attributes=table, name=name,
        positions=world_positions, **options,
    )  # fmt: skip
