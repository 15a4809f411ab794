"""A small city to publish and serve: lots that share borders, places, a raster."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from gisservice import crs
from gisservice.catalog import Catalog, Features, Manifest, Records, write_features
from gisservice.crs import CRS84
from gisservice.maps.assets import LETTERS
from gisservice.model import Column, ColumnType, Extent, GeometryKind, Layer, Quality, RasterStyle, Version
from gisservice.settings import Settings
from gisservice.tiles import TileSource, build_pyramid

WEST, SOUTH, EAST, NORTH = -77.06, 38.80, -77.04, 38.82
STEP = 0.001
COLUMNS = (
    Column("pid", ColumnType.STRING, "Identifier"),
    Column("zoning", ColumnType.STRING, "Zone"),
    Column("area", ColumnType.NUMBER, "Area", "m²"),
)

REGISTRY = """
maps = "maps.toml"

[city]
name = "Testville"
notice = "Invented data."
contact = "gis@example.org"

[layers.lots]
title = "Lots"
sources = [{path = "lots.geojson"}]
geometry = "polygon"
id_column = "pid"
zoom = [12, 14]
columns.pid = {type = "string"}

[layers.places]
title = "Places"
sources = [{path = "places.geojson"}]
geometry = "point"
id_column = "pid"
zoom = [12, 14]
columns.pid = {type = "string"}

[layers.unpublished]
title = "Nothing yet"
sources = [{path = "nothing.geojson"}]
geometry = "point"
id_column = "pid"
columns.pid = {type = "string"}
"""

MAPS = """
[maps.city]
title = "The city"
description = "Everything."
layers = ["lots", "places", "unpublished"]
"""


def squares(columns: int = 20, rows: int = 20) -> list[shapely.Polygon]:
    return [
        shapely.box(WEST + i * STEP, SOUTH + j * STEP, WEST + (i + 1) * STEP, SOUTH + (j + 1) * STEP)
        for j in range(rows)
        for i in range(columns)
    ]


def lots_frame(count: int = 400) -> geopandas.GeoDataFrame:
    """Square lots that share borders; the ids hold what ids of cities hold: blanks, dots, slashes, letters beyond."""
    shapes = squares()[:count]
    ids = [f"{number:03d}.01-{number % 7}" for number in range(len(shapes))]
    ids[:3] = ["a b/c", "Zürich №1", "100%"][: len(ids)]
    return geopandas.GeoDataFrame(
        {"pid": ids, "zoning": [("RB", "RM", None)[n % 3] for n in range(len(ids))], "area": np.arange(len(ids)) + 0.5},
        geometry=shapes,
        crs=CRS84,
    )


def publish(
    catalog: Catalog,
    frame: geopandas.GeoDataFrame,
    collection_id: str,
    kind: GeometryKind = GeometryKind.POLYGON,
    *,
    zooms: tuple[int, int] = (12, 14),
    storage: str = "EPSG:2283",
    title_column: str | None = None,
) -> Version:
    """Publish a frame in CRS84 with tiles, as ingest does."""
    layer = Layer(
        collection_id,
        collection_id.title(),
        kind,
        "What it is.",
        id_column="pid",
        title_column=title_column,
        columns=COLUMNS,
        attribution="The city",
        licence="https://example.org/licence",
        minzoom=zooms[0],
        maxzoom=zooms[1],
    )
    stored = frame.to_crs(crs.parse(storage))
    lonlat = np.asarray(frame.geometry.array)
    with catalog.stage(collection_id) as staging:
        ids = list(frame["pid"])
        tile_ids = np.arange(1, len(ids) + 1, dtype=np.int64)
        write_features(staging.path, Records(stored, ids, tile_ids, lonlat, None, kind))
        tiles = write_tiles(staging.path, layer)
        manifest = Manifest(
            collection=collection_id,
            layer=layer,
            kind=kind,
            count=len(frame),
            storage_crs=storage,
            storage_crs_definition=crs.parse(storage).to_wkt(),
            extent=Extent(tuple(float(value) for value in frame.total_bounds)),
            columns=COLUMNS,
            id_column="pid",
            quality=Quality(len(frame), len(frame)),
            tiles=tiles,
        )
        return staging.publish(manifest)


def write_tiles(folder: Path, layer: Layer) -> dict[str, Any]:
    features = Features.open(folder)
    geometries = features.geometries
    world = type(geometries)(features.kind, features.world, geometries.rings, geometries.parts, geometries.starts)
    source = TileSource(
        layer.id, features.kind, world, features.record_geometry, features.tile_ids, features.attributes,
        False, layer.minzoom, layer.maxzoom,
    )  # fmt: skip
    build_pyramid(source, folder, workers=1)
    size = (folder / "tiles.pmtiles").stat().st_size
    return {"minzoom": layer.minzoom, "maxzoom": layer.maxzoom, "tiles": 0, "bytes": size}


def publish_raster(catalog: Catalog) -> Version:
    """Publish a hill of 0 to 90 metres, on cells of thirty feet."""
    west, south, east, north = crs.transform_bbox((WEST, SOUTH, EAST, NORTH), CRS84, crs.parse("EPSG:2283"))
    columns, rows = int((east - west) / 30), int((north - south) / 30)
    y, x = np.mgrid[0:rows, 0:columns]
    heights = (45 - 45 * np.cos(x / columns * 2 * np.pi) * np.cos(y / rows * 2 * np.pi)).astype("float32")
    with catalog.stage("relief") as staging:
        with rasterio.open(
            staging.path / "raster.tif", "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float32",
            crs="EPSG:2283", transform=rasterio.Affine(30, 0, west, 0, -30, north), nodata=-9999, tiled=True,
        ) as file:  # fmt: skip
            file.write(heights, 1)
            file.build_overviews([2])
        return staging.publish(
            Manifest(
                collection="relief",
                layer=Layer(
                    "relief", "Relief", GeometryKind.RASTER, minzoom=12, maxzoom=14, raster=RasterStyle(unit="metre")
                ),
                kind=GeometryKind.RASTER,
                count=0,
                storage_crs="EPSG:2283",
                storage_crs_definition=crs.parse("EPSG:2283").to_wkt(),
                extent=Extent((WEST, SOUTH, EAST, NORTH)),
                quality=Quality(0, 0),
                raster={"width": columns, "height": rows, "bands": [{"type": "float32", "min": 0.0, "max": 90.0}]},
            )
        )


@dataclass(frozen=True)
class City:
    """A published city and its settings."""

    settings: Settings
    catalog: Catalog


def build_city(folder: Path) -> City:
    (folder / "layers.toml").write_text(REGISTRY)
    (folder / "maps.toml").write_text(MAPS)
    settings = Settings.load(
        {},
        registry=folder / "layers.toml",
        home=folder / "published",
        static=write_static(folder),
        items_limit_max=1000,
    )
    catalog = Catalog(settings.home)
    publish(catalog, lots_frame(), "lots")
    places = lots_frame(50)
    places["geometry"] = places.geometry.representative_point()
    publish(catalog, places, "places", GeometryKind.POINT)
    publish_raster(catalog)
    return City(settings, catalog)


@cache
def box_font() -> bytes:
    """A font whose letters are boxes, for what is not in ASCII too: for tests that read no text."""
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for point in ((50, 500), (450, 500), (450, 0)):
        pen.lineTo(point)
    pen.closePath()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", "box"])
    font.setupCharacterMap(dict.fromkeys(range(0x21, 0x7F), "box"))
    box = pen.glyph()
    font.setupGlyf({".notdef": box, "box": box})
    font.setupHorizontalMetrics({".notdef": (500, 50), "box": (500, 50)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupOS2()
    font.setupPost()
    out = io.BytesIO()
    font.font.recalcTimestamp = False
    font.save(out)
    return out.getvalue()


def write_static(folder: Path) -> Path:
    """A static folder with our own files and, in place of the browser libraries, empty files of their names."""
    static = folder / "static"
    (static / "vendor").mkdir(parents=True)
    repository = Path(__file__).resolve().parents[2] / "static"
    for pattern in ("css/*.css", "*.js", "js/*.js", "*.svg"):
        for file in repository.glob(pattern):
            (static / file.relative_to(repository)).parent.mkdir(exist_ok=True)
            (static / file.relative_to(repository)).write_bytes(file.read_bytes())
    names = ("leaflet.js", "leaflet.css", "protomaps-leaflet.js", "swagger-ui.js", "swagger-ui.css")
    for name in LETTERS:
        (static / "vendor" / name).write_bytes(box_font())
    manifest = {name: {"file": name, "sri": "sha256-"} for name in (*names, *LETTERS)}
    (static / "vendor" / "manifest.json").write_text(json.dumps(manifest))
    (static / "vendor" / "big.js").write_text("// library\n" * 500)
    return static
