"""A small city published without ingest: every id, colour and word in it is chosen to try the pages."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from hostile_texts import HOSTILE_TEXTS

from gisservice import crs
from gisservice.catalog import Catalog, Features, Manifest, Records, write_features
from gisservice.crs import CRS84
from gisservice.model import Column, ColumnType, Extent, GeometryKind, Layer, Quality, Streets, Style, StyleClass
from gisservice.tiles import TileSource, build_pyramid

WEST, SOUTH, STEP, SIDE = -77.06, 38.80, 0.001, 20
CENTRE = (WEST + SIDE * STEP / 2 + STEP / 2, SOUTH + SIDE * STEP / 2 + STEP / 2)
HUGE_IDS = (2**31, 2**32 + 1, 2**53 - 1)
"""Feature ids that 32 bits cannot hold; the last is the largest a browser reads exactly."""

RED, GREEN = "#d7263d", "#1b998b"

ATTACKS = HOSTILE_TEXTS

REGISTRY = """
maps = "maps.toml"
[city]
name = "Testville"
notice = "Invented data."
contact = "gis@example.org"
""" + "".join(
    f"""
[layers.{name}]
title = "{name}"
geometry = "{kind}"
id_column = "pid"
sources = [{{path = "{name}.geojson"}}]
columns.pid = {{type = "string"}}
{'network = {crossings = "ends"}' if name == "streets" else ""}
"""
    for name, kind in (
        ("boundary", "polygon"),
        ("lots", "polygon"),
        ("streets", "line"),
        ("places", "point"),
        ("numbers", "polygon"),
        ("hostile", "polygon"),
    )
)

ZOOM = 15
"""Where the declared maps begin, on a window of a desktop; on a phone one less."""

NUMBERS_CENTRE = (WEST + 1.5 * STEP, SOUTH + 10.5 * STEP)

MAPS = f"""
[maps.city]
title = "The city"
description = "Lots, streets and places."
layers = ["lots", "streets", "places", "boundary"]
center = {list(CENTRE)}
zoom = {ZOOM}
reach = "streets"

[maps.numbers]
title = "Large numbers"
description = "Ids beyond 32 bits."
layers = ["numbers"]
center = {list(NUMBERS_CENTRE)}
zoom = {ZOOM}

[maps.attacks]
title = {json.dumps(" ".join(ATTACKS), ensure_ascii=False)}
description = {json.dumps(" ".join(ATTACKS), ensure_ascii=False)}
layers = ["hostile"]
center = {list(NUMBERS_CENTRE)}
zoom = {ZOOM}
"""


def frame(columns: dict, shapes: list) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=CRS84)


def square(column: int, row: int) -> shapely.Polygon:
    return shapely.box(WEST + column * STEP, SOUTH + row * STEP, WEST + (column + 1) * STEP, SOUTH + (row + 1) * STEP)


def lots() -> geopandas.GeoDataFrame:
    """Lots that share borders, red on even columns and green on odd ones; the lot at the centre is a stack of three."""
    places = [(column, row) for column in range(SIDE) for row in range(SIDE)]
    ids = [f"lot {column}/{row}" for column, row in places] + ["unit 2 of 10/10", "unit 3 of 10/10"]
    places += [(10, 10), (10, 10)]
    return frame(
        {
            "pid": ids,
            "zoning": ["RED" if column % 2 == 0 else "GREEN" for column, _ in places],
            "area": [1234.5] * len(ids),
            "built": [date(1999, 12, 31)] * len(ids),
            "note": [None] * len(ids),
        },
        [square(*place) for place in places],
    )


def streets() -> geopandas.GeoDataFrame:
    lines = [shapely.LineString([(WEST, y), (WEST + SIDE * STEP, y)]) for y in SOUTH + STEP * np.arange(SIDE + 1)]
    return frame(
        {"pid": [f"s{n}" for n in range(len(lines))], "name": [f"{n} STREET" for n in range(len(lines))]}, lines
    )


def places() -> geopandas.GeoDataFrame:
    points = [shapely.Point(WEST + STEP * (n + 0.5), SOUTH + STEP * 5.5) for n in range(5)]
    return frame({"pid": [f"p{n}" for n in range(5)], "name": [f"Place {n}" for n in range(5)]}, points)


def numbers() -> geopandas.GeoDataFrame:
    """Three squares known by number only; their tiles carry no id column."""
    return frame({"pid": list(HUGE_IDS)}, [square(column, 10) for column in range(3)])


def place_of_attack(number: int) -> tuple[int, int]:
    """Column and row of the square whose words are an attack: ten in a row, around where the map begins."""
    return number % 10, 9 + number // 10


def attacks() -> geopandas.GeoDataFrame:
    return frame(
        {"pid": list(ATTACKS), "zoning": list(reversed(ATTACKS))},
        [square(*place_of_attack(number)) for number in range(len(ATTACKS))],
    )


LOT_COLUMNS = (
    Column("pid", ColumnType.STRING, "Identifier"),
    Column("zoning", ColumnType.STRING, "Zone", codes=(("RED", "Red zone"), ("GREEN", "Green zone"))),
    Column("area", ColumnType.NUMBER, "Lot area", unit="square foot"),
    Column("built", ColumnType.DATE, "Day it was finished"),
    Column("note", ColumnType.STRING, "Note"),
)
NAMED = (Column("pid", ColumnType.STRING, "Identifier"), Column("name", ColumnType.STRING, "Name"))
LOT_STYLE = Style(
    opacity=1.0,
    by="zoning",
    label="pid",
    classes=(StyleClass("RED", "Red zone", RED), StyleClass("GREEN", "Green zone", GREEN)),
)


def layer(layer_id: str, kind: GeometryKind, columns: tuple[Column, ...], style: Style, **words: Any) -> Layer:
    words = {"title": layer_id.title(), "attribution": "City of Testville", **words}
    return Layer(
        layer_id, geometry=kind, id_column="pid", columns=columns, minzoom=11, maxzoom=15, style=style, **words
    )


def build(folder: Path) -> None:
    """Write the registry, the maps and the published versions into a folder."""
    (folder / "layers.toml").write_text(REGISTRY)
    (folder / "maps.toml").write_text(MAPS)
    catalog = Catalog(folder / "published")
    outline = frame({"pid": ["b"]}, [shapely.box(WEST, SOUTH, WEST + SIDE * STEP, SOUTH + SIDE * STEP)])
    only_id = (Column("pid", ColumnType.STRING, "Identifier"),)
    polygon, line, point = GeometryKind.POLYGON, GeometryKind.LINE, GeometryKind.POINT
    publish(catalog, outline, layer("boundary", polygon, only_id, Style(opacity=0.0, width=2)))
    publish(catalog, lots(), layer("lots", polygon, LOT_COLUMNS, LOT_STYLE))
    travelled = layer("streets", line, NAMED, Style(opacity=1.0, width=2, label="name"), network=Streets())
    publish(catalog, streets(), travelled)
    shown = layer("places", point, NAMED, Style(opacity=1.0, radius=5, label="name"))
    for records in (places().iloc[:4], places()):  # so that the last update added one
        publish(catalog, records, shown)
    number = (Column("pid", ColumnType.INTEGER, "Number"),)
    publish(catalog, numbers(), layer("numbers", polygon, number, Style()), tile_ids=HUGE_IDS, tile_columns=[])
    text = " ".join(ATTACKS)
    hostile = Style(by="zoning", label="pid", classes=tuple(StyleClass(a, a, GREEN) for a in ATTACKS))
    columns = (Column("pid", ColumnType.STRING, text), Column("zoning", ColumnType.STRING, text, unit="{{7*7}}"))
    words = dict.fromkeys(("title", "description", "licence", "attribution", "steward", "cadence"), text)
    publish(catalog, attacks(), layer("hostile", polygon, columns, hostile, **words))


def publish(
    catalog: Catalog, records: geopandas.GeoDataFrame, declared: Layer, tile_ids=None, tile_columns=None
) -> None:
    """Publish records with tiles; ``tile_columns`` are those in the tiles (all by default)."""
    ids = [str(value) for value in records["pid"]]
    numbers = np.array(tile_ids if tile_ids else range(1, len(ids) + 1), dtype=np.int64)
    lonlat = np.asarray(records.geometry.array)
    stored = records.to_crs(crs.parse("EPSG:2283"))
    with catalog.stage(declared.id) as staging:
        write_features(staging.path, Records(stored, ids, numbers, lonlat, None, declared.geometry))
        manifest = Manifest(
            collection=declared.id,
            layer=declared,
            kind=declared.geometry,
            count=len(ids),
            storage_crs="EPSG:2283",
            storage_crs_definition=crs.parse("EPSG:2283").to_wkt(),
            extent=Extent(tuple(float(value) for value in records.total_bounds)),
            columns=declared.columns,
            id_column="pid",
            quality=Quality(len(ids), len(ids)),
            tiles=write_tiles(staging.path, declared, tile_columns),
        )
        staging.publish(manifest)


def write_tiles(folder: Path, declared: Layer, columns: list[str] | None) -> dict:
    features = Features.open(folder)
    flat = features.geometries
    world = type(flat)(features.kind, features.world, flat.rings, flat.parts, flat.starts)
    attributes = features.attributes if columns is None else features.attributes.select(columns)
    source = TileSource(
        declared.id,
        features.kind,
        world,
        features.record_geometry,
        features.tile_ids,
        attributes,
        False,
        declared.minzoom,
        declared.maxzoom,
    )
    build_pyramid(source, folder, workers=1)
    return {"minzoom": declared.minzoom, "maxzoom": declared.maxzoom, "tiles": 1, "bytes": 1}
