"""A small city ingested as an office would: every kind of geometry, of id and of value that tiles can carry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import rasterio
import shapely

from gisservice import crs
from gisservice.catalog import Catalog, load_registry
from gisservice.ingest import ingest_layer

WEST, SOUTH = 11_880_000.0, 6_980_000.0
"""South-west corner in EPSG:2283, US survey feet."""

STEP, SIDE = 300.0, 20
ZOOMS = range(12, 17)
HUGE_IDS = (1, 2**31, 2**32 + 1, 2**53 - 1)
"""Keys that are ids of tiles as they are; the last is the largest that a browser reads exactly."""

REGISTRY = """
maps = "maps.toml"
[city]
name = "Testville"
notice = "Invented data."
contact = "gis@example.org"

[layers.lots]
title = "Lots"
sources = [{path = "lots.gpkg"}]
geometry = "polygon"
id_column = "pid"
coverage = true
zoom = [12, 16]
storage_crs = "EPSG:2283"
[layers.lots.columns]
pid = {source = "PID", type = "string"}
zoning = {source = "ZONING", type = "string", codes = {RED = "Red zone", GREEN = "Green zone"}}
area = {source = "AREA", type = "number", unit = "square foot"}
units = {source = "UNITS", type = "integer"}
vacant = {source = "VACANT", type = "boolean"}
built = {source = "BUILT", type = "date"}
note = {source = "NOTE", type = "string"}
[layers.lots.style]
by = "zoning"
label = "pid"
opacity = 1.0
[[layers.lots.style.classes]]
value = "RED"
label = "Red zone"
color = "#d7263d"
[[layers.lots.style.classes]]
value = "GREEN"
label = "Green zone"
color = "#1b998b"

[layers.districts]
title = "Districts"
sources = [{path = "districts.gpkg"}]
geometry = "polygon"
id_column = "number"
zoom = [12, 16]
columns.number = {source = "NUMBER", type = "integer"}
style = {color = "#334e68", opacity = 0.1, outline = "#334e68", width = 2}

[layers.streets]
title = "Streets"
sources = [{path = "streets.gpkg"}]
geometry = "line"
id_column = "number"
zoom = [12, 16]
columns.number = {source = "NUMBER", type = "integer"}
columns.name = {source = "NAME", type = "string"}
style = {color = "#222222", width = 2, label = "name"}

[layers.places]
title = "Places"
sources = [{path = "places.gpkg"}]
geometry = "point"
id_column = "pid"
zoom = [12, 16]
columns.pid = {source = "PID", type = "string"}
columns.name = {source = "NAME", type = "string"}
style = {color = "#f0a202", radius = 8, opacity = 1.0, label = "name"}

[layers.relief]
title = "Relief"
sources = [{path = "relief.tif"}]
geometry = "raster"
zoom = [12, 15]
raster = {unit = "US survey foot"}
"""

MAPS = """
[maps.city]
title = "The city"
description = "All layers."
layers = ["districts", "lots", "streets", "places"]
"""


def square(column: float, row: float, side: float = 1.0) -> shapely.Polygon:
    west, south = WEST + column * STEP, SOUTH + row * STEP
    return shapely.box(west, south, west + side * STEP, south + side * STEP)


def lots() -> geopandas.GeoDataFrame:
    """Lots that share borders, one of them with three records; text keys, and a column of each type with gaps."""
    places = [(column, row) for column in range(SIDE) for row in range(SIDE)] + [(10, 10), (10, 10)]
    count = len(places)
    ids = [f"{column:02}.{row:02}-Ä" for column, row in places[:-2]] + ["10.10 unit 2", "10.10 unit 3"]
    return frame(
        {
            "PID": ids,
            "ZONING": [("RED", "GREEN", None)[column % 3] for column, _ in places],
            "AREA": 0.1 + np.arange(count) * 90_000.0,
            "UNITS": np.arange(count) - 200,
            "VACANT": np.arange(count) % 2 == 0,
            "BUILT": np.datetime64("1850-01-01") + np.arange(count).astype("timedelta64[D]"),
            "NOTE": [None if n % 5 else f"Straße {n} “№”" for n in range(count)],
        },
        [square(*place) for place in places],
    )


def districts() -> geopandas.GeoDataFrame:
    """Polygons in several parts and with holes, and an island in a hole."""
    ring = square(0, 0, 8).difference(square(2, 2, 4))
    shapes = [
        shapely.MultiPolygon([ring, square(3, 3, 2)]),
        shapely.MultiPolygon([square(9, 0, 3), square(13, 0, 3)]),
        square(0, 9, 6).difference(square(1, 10)).difference(square(3, 12)),
        square(9, 9, 10),
    ]
    return frame({"NUMBER": np.array(HUGE_IDS)}, shapes)


def streets() -> geopandas.GeoDataFrame:
    """Lines that run through many tiles, some in two parts."""
    length = SIDE * STEP
    shapes = []
    for n in range(SIDE + 1):
        y = SOUTH + n * STEP
        halves = [[(WEST, y), (WEST + 0.4 * length, y)], [(WEST + 0.6 * length, y + 30.0), (WEST + length, y)]]
        shapes.append(shapely.MultiLineString(halves) if n % 2 else shapely.LineString(halves[0] + halves[1]))
    return frame({"NUMBER": np.arange(len(shapes)), "NAME": [f"{n} Street" for n in range(len(shapes))]}, shapes)


def places() -> geopandas.GeoDataFrame:
    """Points, some of several."""
    spot = [shapely.Point(WEST + STEP * (n + 0.5), SOUTH + STEP * 9.5) for n in range(SIDE - 1)]
    shapes = [shapely.MultiPoint([point, spot[0]]) if n == 7 else point for n, point in enumerate(spot)]
    return frame(
        {"PID": [f"p{n}" for n in range(len(shapes))], "NAME": [f"Place {n}" for n in range(len(shapes))]}, shapes
    )


def height_ft(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the height of the ground at positions in EPSG:2283: hills of 600 feet, half a mile apart."""
    return 600.0 + 300.0 * np.sin((x - WEST) / 500.0) * np.cos((y - SOUTH) / 650.0)


def write_relief(path: Path) -> None:
    """Write the ground under the lots and around them, in cells of 20 feet."""
    cell, margin = 20.0, 3000.0
    side = int((SIDE * STEP + 2 * margin) / cell)
    place = rasterio.Affine(cell, 0, WEST - margin, 0, -cell, SOUTH + SIDE * STEP + margin)
    x = place.c + (np.arange(side) + 0.5) * cell
    y = place.f - (np.arange(side) + 0.5) * cell
    shape = {"width": side, "height": side, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:2283", transform=place, **shape) as file:
        file.write(height_ft(*np.meshgrid(x, y)).astype("float32"), 1)


def frame(columns: dict, shapes: list) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:2283")


def centre() -> tuple[float, float]:
    """Longitude and latitude of the middle of the lot that is a stack."""
    return lonlat(10.5, 10.5)


def lonlat(column: float, row: float) -> tuple[float, float]:
    """Longitude and latitude of a place in the grid of lots."""
    place = geopandas.GeoSeries([shapely.Point(WEST + column * STEP, SOUTH + row * STEP)], crs="EPSG:2283")
    moved = place.to_crs(crs.CRS84)
    return float(moved.x.iloc[0]), float(moved.y.iloc[0])


def addresses(bounds: Sequence[float], z: int) -> list[tuple[int, int]]:
    """Columns and rows of all tiles that a box in degrees touches, by the formulas of OGC 17-083r4, annex D."""
    west, south, east, north = bounds
    first, last = column(west, z), column(east, z)
    top, bottom = row(north, z), row(south, z)
    return [(x, y) for x in range(first, last + 1) for y in range(top, bottom + 1)]


def column(longitude: float, z: int) -> int:
    return math.floor((longitude + 180.0) / 360.0 * 2**z)


def row(latitude: float, z: int) -> int:
    return math.floor((1.0 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2.0 * 2**z)


def build(folder: Path) -> Catalog:
    """Write sources, registry and maps into ``folder`` and publish every layer into ``folder/published``."""
    for make in (lots, districts, streets, places):
        pyogrio.write_dataframe(make(), folder / f"{make.__name__}.gpkg", driver="GPKG")
    write_relief(folder / "relief.tif")
    (folder / "layers.toml").write_text(REGISTRY)
    (folder / "maps.toml").write_text(MAPS)
    catalog = Catalog(folder / "published")
    registry = load_registry(folder / "layers.toml")
    for layer in registry.layers:
        ingest_layer(layer, folder=folder, catalog=catalog, build_workers=1)
    return catalog
