"""A city of one street with zones and collection days, and a sentence or two in Spanish."""

from __future__ import annotations

from pathlib import Path

import geopandas
import shapely

from gisservice.catalog import Catalog, load_registry
from gisservice.crs import CRS84
from gisservice.ingest import ingest_layer
from gisservice.settings import Settings

WEST, SOUTH, EAST, NORTH = -77.06, 38.80, -77.04, 38.82
MIDDLE = (WEST + EAST) / 2
HEAD = 'sources = [{{ path = "{0}.geojson" }}]\nstorage_crs = "EPSG:2283"\nid_column = "key"\nzoom = [14, 14]\n'

REGISTRY = f"""
maps = "maps.toml"

[city]
name = "Testville"
notice = "Invented data."
contact = "gis@example.org"
boundary = "boundary"

[layers.boundary]
title = "Boundary"
geometry = "polygon"
{HEAD.format("boundary")}
columns = {{ key = {{ type = "string" }} }}

[layers.addresses]
title = "Addresses"
geometry = "point"
{HEAD.format("addresses")}
address = {{ number = "number", street = "street", type = "type" }}

[layers.addresses.columns]
key = {{ type = "string" }}
number = {{ type = "integer" }}
street = {{ type = "string" }}
type = {{ type = "string" }}

[layers.zones]
title = "Zones"
geometry = "polygon"
{HEAD.format("zones")}
columns = {{ key = {{ type = "string" }}, zone = {{ type = "string" }} }}

[layers.refuse]
title = "Refuse days"
geometry = "polygon"
{HEAD.format("refuse")}
columns = {{ key = {{ type = "string" }}, day = {{ type = "string" }} }}

[layers.flood]
title = "Flood zones"
geometry = "polygon"
{HEAD.format("flood")}
columns = {{ key = {{ type = "string" }}, flood = {{ type = "string" }} }}

[layers.schools]
title = "School zones"
geometry = "polygon"
{HEAD.format("schools")}
columns = {{ key = {{ type = "string" }}, school = {{ type = "string" }} }}

[[report]]
id = "zone"
title = "Zoning"
layer = "zones"
kind = "within"
everywhere = true
sentence = "The zone is {{zone}}."

[[report]]
id = "refuse"
title = "Refuse"
layer = "refuse"
kind = "schedule"
weekday = "day"
sentence = "Refuse is collected on {{weekday}}, next on {{next}}."
absent = "The city does not collect refuse here."

[[report]]
id = "flood"
title = "Flooding"
layer = "flood"
kind = "within"
sentence = "This place lies in flood zone {{flood}}."
absent = "This place lies in no mapped flood zone."

[[report]]
id = "school"
title = "School"
layer = "schools"
kind = "within"
sentence = "Children go to {{school}}."
absent = "No school zone is mapped here."
"""

MAPS = """
[maps.city]
title = "The city"
layers = ["zones", "boundary", "addresses"]
center = [-77.05, 38.81]
zoom = 15
"""

SPANISH = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"

msgid "The zone is {zone}."
msgstr "La zona es {zone}."

msgid "Refuse is collected on {weekday}, next on {next}."
msgstr "La basura se recoge cada {weekday}; la próxima vez, el {next}."
"""


def build_address_city(folder: Path, static: Path, **changes) -> Settings:
    """Publish the city; the east of it has no zone and no collection."""
    (folder / "layers.toml").write_text(REGISTRY)
    (folder / "maps.toml").write_text(MAPS)
    (folder / "locale").mkdir()
    (folder / "locale/es.po").write_text(SPANISH)
    settings = Settings.load({}, registry=folder / "layers.toml", home=folder / "published", static=static, **changes)
    west = shapely.box(WEST, SOUTH, MIDDLE, NORTH)
    quarter, y = (EAST - WEST) / 4, (SOUTH + NORTH) / 2
    points = [shapely.Point(WEST + quarter, y), shapely.Point(EAST - quarter, y)]
    frames = {
        "boundary": ({"key": ["1"]}, [shapely.box(WEST, SOUTH, EAST, NORTH)]),
        "addresses": (
            {"key": ["a", "b"], "number": [10, 20], "street": ["Main", "Main"], "type": ["St", "St"]},
            points,
        ),
        "zones": ({"key": ["1"], "zone": ["R-8"]}, [west]),
        "refuse": ({"key": ["1"], "day": ["MONDAY"]}, [west]),
        "flood": ({"key": ["1"], "flood": ["AE"]}, [west]),
        "schools": ({"key": ["1"], "school": ["River School"]}, [west]),
    }
    registry, catalog = load_registry(settings.registry), Catalog(settings.home)
    for layer in registry.layers:
        columns, shapes = frames[layer.id]
        geopandas.GeoDataFrame(columns, geometry=shapes, crs=CRS84).to_file(folder / f"{layer.id}.geojson")
        ingest_layer(layer, folder=folder, catalog=catalog, build_workers=1)
    return settings
