"""Small layers of every kind, and a door to publish them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pytest
import shapely

from gisservice.catalog import Catalog, Features, Manifest, Records, write_features
from gisservice.model import Column, ColumnType, Extent, GeometryKind, Layer, Provenance, Quality, Source, Version

LON, LAT = -77.05, 38.80


def shapes(kind: GeometryKind, count: int, seed: int = 0) -> list[Any]:
    """Geometries around Alexandria: single and multi, polygons with holes and with either winding."""
    made: list[Any] = []
    for number in range(count):
        random = np.random.default_rng((seed, number))  # the first shapes are the same however many follow
        x, y = random.uniform((LON - 0.05, LAT - 0.05), (LON + 0.05, LAT + 0.05)).tolist()
        size = random.uniform(0.0001, 0.004)
        if kind is GeometryKind.POINT:
            piece = shapely.Point(x, y)
            made.append(shapely.MultiPoint([(x, y), (x + size, y)]) if number % 7 == 3 else piece)
        elif kind is GeometryKind.LINE:
            piece = shapely.LineString([(x, y), (x + size, y + size / 2), (x + size, y - size)])
            made.append(shapely.MultiLineString([piece, [(x, y), (x, y + size)]]) if number % 7 == 3 else piece)
        else:
            piece = shapely.Point(x, y).buffer(size, quad_segs=3)
            if number % 3 == 1:
                piece = piece.difference(shapely.Point(x, y).buffer(size / 3, quad_segs=2))
            if number % 7 == 3:
                piece = shapely.MultiPolygon([piece, shapely.box(x + 2 * size, y, x + 3 * size, y + size)])
            made.append(piece.reverse() if number % 2 else piece)
    return made


def records(
    geometries: Sequence[Any],
    kind: GeometryKind,
    columns: dict[str, Any] | None = None,
    ids: Sequence[str] | None = None,
    internal: pandas.DataFrame | None = None,
) -> Records:
    names = list(ids) if ids is not None else [str(number) for number in range(len(geometries))]
    data = {"pid": names, **(columns or {})}
    frame = geopandas.GeoDataFrame(data, geometry=list(geometries), crs="OGC:CRS84")
    lonlat = np.array(geometries, dtype=object)
    return Records(frame, names, np.arange(len(names), dtype=np.int64), lonlat, internal, kind)


def layer(collection: str, kind: GeometryKind = GeometryKind.POLYGON) -> Layer:
    columns = (Column("pid", ColumnType.STRING, "Identifier"),)
    sources = (Source("/srv/office/incoming/parcels.shp.zip"),)
    return Layer(collection, "Parcels", kind, sources=sources, id_column="pid", columns=columns)


def manifest(collection: str, content: Records, **more: Any) -> Manifest:
    count = len(content.ids)
    return Manifest(
        collection=collection,
        layer=layer(collection, content.kind),
        kind=content.kind,
        count=count,
        storage_crs="OGC:CRS84",
        storage_crs_definition=content.frame.crs.to_wkt(),
        extent=Extent(tuple(content.frame.total_bounds)) if count else None,
        columns=(Column("pid", ColumnType.STRING, "Identifier"),),
        id_column="pid",
        provenance=(Provenance("/srv/office/incoming/parcels.shp.zip", "Shapefile", "ab" * 32, 5, None, "OGC:CRS84"),),
        quality=Quality(count, count),
        **more,
    )


class Publisher:
    """Publishes small layers; the same arguments give the same content."""

    def __init__(self, home: Path, versions_kept: int = 10) -> None:
        self.home = home
        self.catalog = Catalog(home, versions_kept)

    def __call__(self, generation: int = 0, collection: str = "parcels", count: int = 12) -> Version:
        return self.publish(self.content(generation, count), collection)

    def content(self, generation: int, count: int = 12) -> Records:
        geometries = shapes(GeometryKind.POLYGON, count)
        return records(geometries, GeometryKind.POLYGON, {"generation": [generation] * count})

    def publish(self, content: Records, collection: str = "parcels") -> Version:
        with self.catalog.stage(collection) as staging:
            write_features(staging.path, content)
            return staging.publish(manifest(collection, content))


@pytest.fixture(scope="session")
def make_shapes() -> Callable[..., list[Any]]:
    return shapes


@pytest.fixture(scope="session")
def make_records() -> Callable[..., Records]:
    return records


@pytest.fixture(scope="session")
def make_manifest() -> Callable[..., Manifest]:
    return manifest


@pytest.fixture(scope="session")
def make_publisher() -> Callable[..., Publisher]:
    return Publisher


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "home")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Records], Features]:
    """Write records as a version's files and open them."""

    def written(content: Records) -> Features:
        write_features(tmp_path, content)
        return Features.open(tmp_path)

    return written
