"""A small town on a grid of streets, with all that analysis asks for: addresses, lots, parks, a network, heights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from web_city import write_static
from werkzeug.test import Client

from gisservice import crs
from gisservice.catalog import Catalog, Manifest, load_registry
from gisservice.crs import CRS84
from gisservice.ingest import ingest_layer
from gisservice.model import Extent, GeometryKind, Layer, Quality, RasterClass, RasterStyle, Registry
from gisservice.settings import Settings
from gisservice.web import wsgi_app

X, Y = 11_890_000.0, 6_980_000.0
"""The south-western corner, in feet of EPSG:2283."""

BLOCK, LOTS = 400.0, 8
"""Feet between streets; lots along a block."""

CELL = 40
"""Feet; of the rasters."""

STREETS = ("Alder", "Birch", "Cedar", "Dogwood", "Elm")

REGISTRY = """
[city]
name = "Gridville"
boundary = "boundary"

[layers.boundary]
title = "Boundary"
sources = [{ path = "boundary.geojson" }]
storage_crs = "EPSG:2283"
geometry = "polygon"
zoom = [14, 14]
columns = { name = { type = "string" } }

[layers.addresses]
title = "Addresses"
sources = [{ path = "addresses.geojson" }]
storage_crs = "EPSG:2283"
geometry = "point"
id_column = "key"
zoom = [14, 14]
address = { number = "number", street = "street", type = "type" }

[layers.addresses.columns]
key = { type = "string" }
number = { type = "integer" }
street = { type = "string" }
type = { type = "string" }

[layers.streets]
title = "Streets"
sources = [{ path = "streets.geojson" }]
storage_crs = "EPSG:2283"
geometry = "line"
id_column = "key"
zoom = [14, 14]
street = { street = "street", type = "type" }
network = { name = "street" }
columns = { key = { type = "string" }, street = { type = "string" }, type = { type = "string" } }

[layers.lots]
title = "Lots"
sources = [{ path = "lots.geojson" }]
storage_crs = "EPSG:2283"
geometry = "polygon"
id_column = "pid"
zoom = [14, 14]
parcel = { ids = ["pid"] }

[layers.lots.columns]
pid = { type = "string" }
zone = { type = "string" }
value = { type = "integer", unit = "US dollar" }
owner = { type = "string", visibility = "internal" }

[layers.zones]
title = "Refuse zones"
sources = [{ path = "zones.geojson" }]
storage_crs = "EPSG:2283"
geometry = "polygon"
id_column = "name"
zoom = [14, 14]
columns = { name = { type = "string" }, day = { type = "string" } }

[layers.parks]
title = "Parks"
sources = [{ path = "parks.geojson" }]
storage_crs = "EPSG:2283"
geometry = "polygon"
id_column = "name"
zoom = [14, 14]
columns = { name = { type = "string" } }

[[report]]
id = "lot"
title = "Lot"
layer = "lots"
kind = "within"
sentence = "Lot {pid} in zone {zone}."
absent = "On no lot."

[[report]]
id = "refuse"
title = "Refuse"
layer = "zones"
kind = "schedule"
weekday = "day"
shift = "rest_of_week"
sentence = "Refuse on {weekday}, next on {next}."
absent = "No refuse is collected here."

[[report]]
id = "park"
title = "Park"
layer = "parks"
kind = "nearest"
sentence = "{name} is {distance_ft} feet away {way}."

[[holidays]]
name = "Thanksgiving Day"
month = 11
weekday = "thursday"
nth = 4
"""


@dataclass(frozen=True)
class AskedCity:
    """The published town and a client of the service over it."""

    settings: Settings
    catalog: Catalog
    registry: Registry
    client: Client

    def get(self, url: str, **query: Any) -> Any:
        """Ask by GET, with query parameters."""
        return self.client.get(url, query_string=query)

    def execute(self, process: str, *, prefer: str = "", response: str = "raw", **inputs: Any) -> Any:
        """Execute a process."""
        headers = {"Prefer": prefer} if prefer else {}
        body = {"inputs": inputs} | ({"response": response} if response != "raw" else {})
        return self.client.post(f"/api/processes/{process}/execution", json=body, headers=headers)


def lonlat(x: float, y: float) -> tuple[float, float]:
    """Return a place in feet from the corner as longitude and latitude."""
    west, south, _, _ = crs.transform_bbox((X + x, Y + y, X + x, Y + y), crs.parse("EPSG:2283"), CRS84)
    return west, south


def build_asked_city(folder: Path) -> AskedCity:
    (folder / "layers.toml").write_text(REGISTRY)
    _write_sources(folder)
    settings = Settings.load(
        {}, registry=folder / "layers.toml", home=folder / "published", static=write_static(folder)
    )
    registry, catalog = load_registry(settings.registry), Catalog(settings.home)
    for layer in registry.layers:
        ingest_layer(layer, folder=folder, catalog=catalog, build_workers=1)
    publish_rasters(catalog)
    return AskedCity(settings, catalog, registry, Client(wsgi_app(settings)))


def _write_sources(folder: Path) -> None:
    size = BLOCK * (len(STREETS) - 1)
    rows = [(name, place * BLOCK) for place, name in enumerate(STREETS)]
    lines = [{"key": f"s{n}", "street": name, "type": "St"} for n, (name, _) in enumerate(rows)]
    shapes: list[Any] = [shapely.LineString([(place * BLOCK, y) for place in range(len(STREETS))]) for _, y in rows]
    for place in range(len(STREETS)):
        lines.append({"key": f"a{place}", "street": f"Avenue {place}", "type": "Ave"})
        shapes.append(shapely.LineString([(place * BLOCK, y) for _, y in rows]))
    _write(folder, "streets", lines, shapes)
    lots, areas, addresses, points = [], [], [], []
    width = BLOCK / LOTS
    for street, (name, y) in enumerate(rows[:-1]):
        for n in range(LOTS * (len(STREETS) - 1)):
            key = f"{street}-{n:02d}"
            zone = "RB" if n % 2 else "RM"
            lots.append({"pid": key, "zone": zone, "value": 1000 * n + street, "owner": f"Owner {key}"})
            areas.append(shapely.box(n * width, y + 20, (n + 1) * width, y + 180))
            addresses.append({"key": f"A{key}", "number": 100 + 2 * n, "street": name, "type": "St"})
            points.append(shapely.Point((n + 0.5) * width, y + 60))
    _write(folder, "lots", lots, areas)
    _write(folder, "addresses", addresses, points)
    half = size / 2
    zones = [{"name": "West", "day": "THURSDAY"}, {"name": "East", "day": "MONDAY"}]
    _write(
        folder, "zones", zones, [shapely.box(-100, -100, half, size + 100), shapely.box(half, -100, size + 100, 1700)]
    )
    parks = [{"name": "North Park"}, {"name": "South Park"}]
    _write(folder, "parks", parks, [shapely.box(600, 1450, 900, 1590), shapely.box(1250, 200, 1400, 390)])
    _write(folder, "boundary", [{"name": "Gridville"}], [shapely.box(-500, -500, size + 500, size + 500)])


def _write(folder: Path, name: str, rows: list[dict[str, Any]], shapes: list[Any]) -> None:
    moved = [shapely.transform(shape, lambda xy: xy + np.array([X, Y])) for shape in shapes]
    frame = geopandas.GeoDataFrame(rows, geometry=moved, crs=2283)
    frame.to_crs("OGC:CRS84").to_file(folder / f"{name}.geojson", driver="GeoJSON", COORDINATE_PRECISION=9)


def publish_rasters(catalog: Catalog) -> None:
    """Publish a slope, 10 metres in the west and a metre more every 100 feet eastwards, and codes 1 to 3 in squares."""
    columns = rows = 60
    heights = 10 + (np.arange(columns) * CELL / 100)[None, :].repeat(rows, axis=0)
    _publish_raster(catalog, "elevation", heights.astype("float32"), RasterStyle(unit="metre"))
    codes = 1 + (np.add.outer(np.arange(rows) // 7, np.arange(columns) // 5) % 3)
    classes = tuple(RasterClass(code, label, "#808080") for code, label in ((1, "Trees"), (2, "Grass"), (3, "Roofs")))
    _publish_raster(catalog, "land_cover", codes.astype("uint8"), RasterStyle(classes=classes))


def _publish_raster(catalog: Catalog, name: str, values: Any, style: RasterStyle) -> None:
    """Publish cells of 40 feet that begin 300 feet outside the town."""
    rows, columns = values.shape
    reach = (X - 300, Y + 2100 - rows * CELL, X - 300 + columns * CELL, Y + 2100)
    with catalog.stage(name) as staging:
        with rasterio.open(
            staging.path / "raster.tif", "w", driver="GTiff", width=columns, height=rows, count=1, dtype=values.dtype,
            crs="EPSG:2283", transform=rasterio.Affine(CELL, 0, reach[0], 0, -CELL, reach[3]),
        ) as file:  # fmt: skip
            file.write(values, 1)
        band = {"type": str(values.dtype), "min": float(values.min()), "max": float(values.max())}
        staging.publish(
            Manifest(
                collection=name,
                layer=Layer(name, name, GeometryKind.RASTER, raster=style),
                kind=GeometryKind.RASTER,
                count=0,
                storage_crs="EPSG:2283",
                storage_crs_definition=crs.parse("EPSG:2283").to_wkt(),
                extent=Extent(crs.transform_bbox(reach, crs.parse("EPSG:2283"), CRS84)),
                quality=Quality(0, 0),
                raster={"width": columns, "height": rows, "bands": [band]},
            )
        )
