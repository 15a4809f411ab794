"""A town of a few streets, published from a registry of its own, with hand-made answers to every question."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import shapely
from frames import X, Y

from gisservice.catalog import Catalog, load_registry
from gisservice.ingest import ingest_layer
from gisservice.model import Registry

REGISTRY = """
[city]
name = "Town"
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

[layers.addresses.address]
number = "number"
suffix = "suffix"
direction = "dir"
street = "street"
type = "type"
unit = "unit"
zip = "zip"
parcel = "pid"

[layers.addresses.columns]
key = { type = "string" }
number = { type = "integer" }
suffix = { type = "string" }
dir = { type = "string" }
street = { type = "string" }
type = { type = "string" }
unit = { type = "string" }
zip = { type = "string" }
pid = { type = "string" }

[layers.streets]
title = "Streets"
sources = [{ path = "streets.geojson" }]
storage_crs = "EPSG:2283"
geometry = "line"
zoom = [14, 14]
street = { direction = "dir", street = "street", type = "type" }

[layers.streets.columns]
dir = { type = "string" }
street = { type = "string" }
type = { type = "string" }

[layers.parcels]
title = "Parcels"
sources = [{ path = "parcels.geojson" }]
storage_crs = "EPSG:2283"
geometry = "polygon"
id_column = "key"
zoom = [14, 14]
parcel = { ids = ["pid"] }

[layers.parcels.columns]
key = { type = "string" }
pid = { type = "string" }
use = { type = "string", codes = { R = "Residence", S = "Shop" } }
area = { type = "integer", unit = "square foot" }
built = { type = "integer" }
owner = { type = "string", visibility = "internal" }

[layers.zones]
title = "Zones"
sources = [{ path = "zones.geojson" }]
storage_crs = "EPSG:2283"
geometry = "polygon"
zoom = [14, 14]

[layers.zones.columns]
zone = { type = "string" }
day = { type = "string" }
since = { type = "date" }

[layers.parks]
title = "Parks"
sources = [{ path = "parks.geojson" }]
storage_crs = "EPSG:2283"
geometry = "point"
id_column = "name"
zoom = [14, 14]
columns = { name = { type = "string" }, kind = { type = "string", codes = { PARK = "Park", GRAVES = "Cemetery" } } }

[layers.floods]
title = "Floods"
sources = [{ path = "never_published.geojson" }]
geometry = "polygon"
columns = { name = { type = "string" } }

[[report]]
id = "parcel"
title = "Parcel"
layer = "parcels"
kind = "within"
sentence = "Parcel {pid}, {use_meaning}, of {area} square feet, built in {built}."
absent = "On no parcel."

[[report]]
id = "zone"
title = "Zone"
layer = "zones"
kind = "within"
everywhere = true
sentence = "Zone {zone} since {since}."

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
only = { column = "kind", values = ["PARK"] }
sentence = "{name} is {distance_ft} feet away {way}."

[[report]]
id = "flood"
title = "Flood"
layer = "floods"
kind = "within"
sentence = "In {name}."

[[holidays]]
name = "Thanksgiving Day"
month = 11
weekday = "thursday"
nth = 4
"""

ADDRESSES = [
    ("a1", 100, None, "N", "Saint Asaph", "St", None, "22314", "P-1", (100, 500)),
    ("a2", 100, None, "S", "Saint Asaph", "St", None, "22314", None, (100, -500)),
    ("a3", 102, None, "N", "Saint Asaph", "St", None, "22314", None, (120, 500)),
    ("a4", 102, "1/2", "N", "Saint Asaph", "St", None, "22314", None, (130, 500)),
    ("a5", 104, "A", "N", "Saint Asaph", "St", None, "22314", None, (140, 500)),
    ("b1", 301, None, None, "King", "St", None, "22314", "P-2", (300, 100)),
    ("b2", 301, None, None, "King", "St", "1", "22314", "P-2", (300, 100)),
    ("b3", 301, None, None, "King", "St", "2", "22314", "P-3", (300, 100)),
    ("b4", 305, None, None, "King", "Ct", None, "22301", None, (2000, 2000)),
    ("c1", 7, None, "E", "28th", "Ave", None, "22302", None, (-400, 900)),
    ("d1", 12, None, None, "O'Brien", "Pkwy", None, "22302", None, (-900, 900)),
]
LINES = [
    ((None, "King", "St"), [(0, 0), (500, 0)]),
    ((None, "King", "St"), [(500, 0), (900, 0)]),
    (("N", "Saint Asaph", "St"), [(500, 0), (500, 800)]),
    (("S", "Saint Asaph", "St"), [(500, 0), (500, -800)]),
    (("E", "28th", "Ave"), [(-500, 900), (-300, 900)]),
]


def build(folder: Path) -> tuple[Catalog, Registry]:
    """Write the sources, publish the layers and return the catalog and the registry."""
    (folder / "layers.toml").write_text(REGISTRY)
    names = ["key", "number", "suffix", "dir", "street", "type", "unit", "zip", "pid"]
    write(folder, "addresses", [dict(zip(names, row[:9], strict=True)) for row in ADDRESSES], [
        shapely.Point(row[9]) for row in ADDRESSES
    ])  # fmt: skip
    streets = [dict(zip(["dir", "street", "type"], name, strict=True)) for name, _ in LINES]
    write(folder, "streets", streets, [shapely.LineString(line) for _, line in LINES])
    stack, other = shapely.box(250, 50, 350, 150), shapely.box(80, 450, 120, 550)
    parcels = [("k1", "P-1", "R", 4000, 1900, "V", other)]
    parcels += [("k2", "P-2", "S", 0, 1920, "W", stack), ("k3", "P-3", None, None, None, "X", stack)]
    columns = ["key", "pid", "use", "area", "built", "owner"]
    write(folder, "parcels", [dict(zip(columns, row[:6], strict=True)) for row in parcels], [row[6] for row in parcels])
    zones = [{"zone": "R-8", "day": "FRIDAY", "since": "1992-06-24"}, {"zone": None, "day": None, "since": None}]
    write(folder, "zones", zones, [shapely.box(-1000, -1000, 1000, 1000), shapely.box(1000, 1000, 3000, 3000)])
    write(
        folder,
        "parks",
        [{"name": "Graves", "kind": "GRAVES"}, {"name": "North", "kind": "PARK"}, {"name": "South", "kind": "PARK"}],
        [shapely.Point(300, 110), shapely.Point(300, 1100), shapely.Point(300, -1100)],
    )
    write(folder, "boundary", [{"name": "Town"}], [shapely.box(-3000, -3000, 3000, 3000)])
    registry, catalog = load_registry(folder / "layers.toml"), Catalog(folder / "published")
    for layer in registry.layers:
        if layer.id != "floods":
            ingest_layer(layer, folder=folder, catalog=catalog, build_workers=1)
    return catalog, registry


def write(folder: Path, name: str, rows: list[dict[str, object]], shapes: list[object]) -> None:
    """Write a GeoJSON source; shapes are in feet from the corner."""
    moved = [shapely.transform(shape, lambda xy: xy + np.array([X, Y])) for shape in shapes]
    frame = geopandas.GeoDataFrame(rows, geometry=moved, crs=2283)
    frame.to_crs("OGC:CRS84").to_file(folder / f"{name}.geojson", driver="GeoJSON", COORDINATE_PRECISION=9)
