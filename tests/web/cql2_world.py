"""The layers that the abstract tests of CQL2 are asked over: every kind of geometry and every type of column, in pairs.

Beside them stand predicates of each class with what decides them in Python: pandas, shapely and unicodedata.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import cql2
import geopandas
import pandas
import pyarrow as pa
import shapely
from feature_city import PERMIT_COLUMNS, STREET_COLUMNS, permits_frame, publish, related, streets_frame
from web_city import write_static
from werkzeug.test import Client

from gisservice.catalog import Catalog
from gisservice.crs import CRS84
from gisservice.model import Column, ColumnType, GeometryKind
from gisservice.settings import Settings
from gisservice.web import wsgi_app

Frame = geopandas.GeoDataFrame

LANGUAGES = ("cql2-text", "cql2-json")

ESCAPED = (
    "a'b", "'", "''", "bell \x07", "back \b", "tab \t", "line \n", "vertical \v", "form \f", "return \r", "back\\slash",
    "\\t", 'double "',
)  # fmt: skip

ZONES = (
    Column("code", ColumnType.INTEGER),
    Column("name", ColumnType.STRING),
    Column("people", ColumnType.INTEGER),
    Column("homes", ColumnType.INTEGER),
    Column("share", ColumnType.NUMBER),
)
EVENTS = (
    Column("text", ColumnType.STRING),
    *(Column(name, ColumnType.DATE) for name in ("first", "last")),
    *(Column(name, ColumnType.DATETIME) for name in ("begun", "ended")),
)
REGISTRY = """
[city]
name = "World"

[layers.zones]
title = "Zones"
sources = [{path = "zones.geojson"}]
geometry = "polygon"
id_column = "code"
columns.code = {type = "integer"}
"""


def events_frame() -> geopandas.GeoDataFrame:
    """Days and times in pairs around the year that the abstract tests ask for; some have no end."""
    days = [(date(2020, 6, 1), date(2021, 1, 1)), (date(2021, 1, 1), date(2021, 12, 31)), (date(2021, 3, 1), None)]
    days += [(date(2021, 1, 1), date(2021, 5, 5)), (date(2022, 4, 14), date(2022, 4, 24)), (date(2021, 6, 1), None)]
    count = len(ESCAPED)
    pairs = [days[number % len(days)] for number in range(count)]
    times = [[day and datetime(day.year, day.month, day.day, 7, 59, 57, tzinfo=UTC) for day in pair] for pair in pairs]
    day_type, time_type = pandas.ArrowDtype(pa.date32()), pandas.ArrowDtype(pa.timestamp("ms", "UTC"))
    return geopandas.GeoDataFrame(
        {
            "number": range(count),
            "text": pandas.array(ESCAPED, dtype="str"),
            "first": pandas.Series([pair[0] for pair in pairs], dtype=day_type),
            "last": pandas.Series([pair[1] for pair in pairs], dtype=day_type),
            "begun": pandas.Series([pair[0] for pair in times], dtype=time_type),
            "ended": pandas.Series([pair[1] for pair in times], dtype=time_type),
        },
        geometry=[shapely.Point(7 + number / 10, 50) for number in range(count)],
        crs=CRS84,
    )


@dataclass(frozen=True)
class World:
    """The published layers and a client of the service over them."""

    client: Client
    layers: tuple[str, ...]
    frames: dict[str, Frame]

    def true(self, layer: str, decide: Callable[[Frame], Any]) -> set[str]:
        """Return the ids of the rows of a frame of which something is true."""
        said = pandas.Series(decide(self.frames[layer]), index=self.frames[layer].index).astype("boolean")
        return {str(row) for row in said.index[said.fillna(False)]}

    def queryables(self, layer: str, *types: str) -> list[str]:
        """Return the queryables of a layer that have one of the types, as :func:`type_of` calls them."""
        described = self.client.get(f"/api/collections/{layer}/queryables").get_json()["properties"]
        return [name for name, schema in described.items() if not types or type_of(schema) in types]

    def ask(self, layer: str, text: str, language: str) -> Any:
        """Ask for all items that pass a filter, given as text, in either language; return the answer."""
        query = {"filter": spelled(text, language), "filter-lang": language, "limit": "1000", "skipGeometry": "true"}
        return self.client.get(f"/api/collections/{layer}/items", query_string=query)

    def found(self, layer: str, text: str, language: str) -> set[str]:
        """Return the ids of all items that pass a filter, which is to be evaluated."""
        answer = self.ask(layer, text, language)
        assert answer.status_code == 200, (text, answer.text)
        document = answer.get_json()
        assert document["numberMatched"] == document["numberReturned"] == len(document["features"])
        assert related(document, "next") is None
        return {item["id"] for item in document["features"]}


def type_of(schema: dict[str, Any]) -> str:
    """Return what CQL2 calls the data type of a queryable."""
    form = schema.get("format", "")
    if form.startswith("geometry-"):
        return "Geometry"
    return {"date": "Date", "date-time": "Timestamp"}.get(form) or str(schema["type"]).capitalize()


def spelled(text: str, language: str) -> str:
    """Return a filter in either language; the JSON is what the library cql2 makes of the text."""
    return text if language == "cql2-text" else json.dumps(_named(cql2.parse_text(text).to_json()))


def _named(tree: Any) -> Any:
    """Spell operations as the schema of CQL2 JSON does, where the library leaves all letters small."""
    if isinstance(tree, list):
        return [_named(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    found = {key: _named(value) for key, value in tree.items()}
    if "op" in found:
        small = found["op"].lower()
        found["op"] = {f"t_{verb}by": f"t_{verb}By" for verb in ("finished", "met", "overlapped", "started")}.get(
            small, found["op"]
        )
    return found


NAMES = (
    "Älvsjö", "alvsjo", "Ålesund", "Chișinău", "CHICAGO", "Chengdu", "København", "Luxembourg", "luxembourg", None,
    "Malmö", "Łódź",
)  # fmt: skip


def zones_frame() -> geopandas.GeoDataFrame:
    """Twelve squares of a degree, four across and three up from 6 east and 49 north."""
    rows = range(len(NAMES))
    return geopandas.GeoDataFrame(
        {
            "code": rows,
            "name": pandas.array(NAMES, dtype="str"),
            "people": [1000 * (number + 1) for number in rows],
            "homes": [4000 if number % 2 else 2500 + 500 * number for number in rows],
            "share": pandas.array([None if number == 4 else number / 8 for number in rows], dtype="Float64"),
        },
        geometry=[shapely.box(6 + n % 4, 49 + n // 4, 7 + n % 4, 50 + n // 4) for n in rows],
        crs=CRS84,
    )


def plain(text: str) -> str:
    """Text without accents (Unicode, canonical decomposition)."""
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))


def texts(test: Callable[[str], bool]) -> Callable[[Frame], Any]:
    """What is true of a zone's name, if it has one."""
    return lambda frame: [isinstance(name, str) and test(name) for name in frame["name"]]


def shapes(test: Callable[[Any, Any], Any], wkt: str) -> Callable[[Frame], Any]:
    """What is true of a geometry and another."""
    return lambda frame: test(frame.geometry.values, shapely.from_wkt(wkt))


DAY, MOMENT = date(2024, 3, 1), datetime(2024, 6, 5, tzinfo=UTC)
SQUARE, WIDE = "POLYGON((7 50,8 50,8 51,7 51,7 50))", "POLYGON((6.5 49,8.5 49,8.5 51.5,6.5 51.5,6.5 49))"
TOWN = "POLYGON((-77.08 38.8,-77.05 38.8,-77.05 38.83,-77.08 38.83,-77.08 38.8))"
ACROSS = "LINESTRING(6.25 49.25,9.5 51.75)"

CASES: dict[str, tuple[tuple[str, str, Callable[[Frame], Any]], ...]] = {
    "basic-cql2": (
        ("zones", "name = 'Luxembourg'", texts(lambda name: name == "Luxembourg")),
        ("zones", "name < 'Luxembourg'", texts(lambda name: name < "Luxembourg")),
        ("zones", "people >= 5000", lambda f: f.people >= 5000),
        ("zones", "share <> 0.25", lambda f: f.share != 0.25),
        ("zones", "name IS NULL", lambda f: f.name.isna()),
        ("zones", "share IS NOT NULL", lambda f: f.share.notna()),
        ("permits", "paid = true", lambda f: f.paid),
        ("permits", "filed < DATE('2024-03-01')", lambda f: [day is not None and day < DAY for day in f.filed]),
        ("permits", "seen >= TIMESTAMP('2024-06-05T00:00:00Z')", lambda f: f.seen >= MOMENT),
        ("permits", "fee <= 100.5", lambda f: f.fee <= 100.5),
    ),
    "advanced-comparison-operators": (
        ("zones", "name LIKE '%u%b_urg'", texts(lambda name: name[1:] == "uxembourg")),
        ("zones", "name NOT LIKE 'Ch%'", texts(lambda name: not name.startswith("Ch"))),
        ("zones", "people BETWEEN 2000 AND 6000", lambda f: f.people.between(2000, 6000)),
        ("zones", "people NOT IN (1000, 3000, 99)", lambda f: ~f.people.isin([1000, 3000])),
        ("permits", "note IN ('plain', 'O''Hara')", lambda f: f.note.isin(["plain", "O'Hara"])),
    ),
    "case-insensitive-comparison": (
        ("zones", "CASEI(name) = casei('LUXEMBOURG')", texts(lambda name: name.casefold() == "luxembourg")),
        ("zones", "CASEI(name) LIKE casei('cHI%')", texts(lambda name: name.casefold().startswith("chi"))),
        ("zones", "CASEI(name) IN (casei('ÅLESUND'), casei('x'))", texts(lambda name: name == "Ålesund")),
        ("zones", "CASEI(name) <> casei('chicago')", texts(lambda name: name != "CHICAGO")),
    ),
    "accent-insensitive-comparison": (
        ("zones", "ACCENTI(name) LIKE accenti('Chis%')", texts(lambda name: plain(name).startswith("Chis"))),
        ("zones", "ACCENTI(name) = accenti('Malmo')", texts(lambda name: plain(name) == "Malmo")),
        (
            "zones",
            "ACCENTI(CASEI(name)) = accenti(casei('ÁLVSJO'))",
            texts(lambda name: plain(name.casefold()) == "alvsjo"),
        ),
        ("zones", "ACCENTI(name) <> accenti('Łodz')", texts(lambda name: plain(name) != "Łodz")),
    ),
    "basic-spatial-functions": (
        ("zones", "S_INTERSECTS(geometry,POINT(8 50.5))", shapes(shapely.intersects, "POINT(8 50.5)")),
        ("zones", "S_INTERSECTS(geometry,BBOX(6.5,49,8.5,51.5))", shapes(shapely.intersects, WIDE)),
        ("permits", "S_INTERSECTS(geometry,BBOX(-77.08,38.8,-77.05,38.83))", shapes(shapely.intersects, TOWN)),
        ("streets", "S_INTERSECTS(geometry,BBOX(-77.08,38.8,-77.05,38.83))", shapes(shapely.intersects, TOWN)),
    ),
    "basic-spatial-functions-plus": (
        ("zones", f"S_INTERSECTS(geometry,{ACROSS})", shapes(shapely.intersects, ACROSS)),
        ("zones", f"S_INTERSECTS(geometry,{WIDE})", shapes(shapely.intersects, WIDE)),
        ("permits", f"S_INTERSECTS(geometry,{TOWN})", shapes(shapely.intersects, TOWN)),
        ("streets", f"S_INTERSECTS(geometry,{TOWN})", shapes(shapely.intersects, TOWN)),
    ),
    "spatial-functions": (
        ("zones", f"S_DISJOINT(geometry,{WIDE})", shapes(shapely.disjoint, WIDE)),
        ("zones", f"S_EQUALS(geometry,{SQUARE})", shapes(shapely.equals, SQUARE)),
        ("zones", f"S_TOUCHES(geometry,{SQUARE})", shapes(shapely.touches, SQUARE)),
        ("zones", f"S_OVERLAPS(geometry,{WIDE})", shapes(shapely.overlaps, WIDE)),
        ("zones", f"S_WITHIN(geometry,{WIDE})", shapes(shapely.within, WIDE)),
        ("zones", "S_CONTAINS(geometry,POINT(8.5 49.5))", shapes(shapely.contains, "POINT(8.5 49.5)")),
        ("streets", f"S_CROSSES(geometry,{TOWN})", shapes(shapely.crosses, TOWN)),
        ("permits", f"S_WITHIN(geometry,{TOWN})", shapes(shapely.within, TOWN)),
        ("permits", f"S_DISJOINT(geometry,{TOWN})", shapes(shapely.disjoint, TOWN)),
    ),
    "temporal-functions": (
        ("permits", "T_AFTER(filed,DATE('2024-03-01'))", lambda f: [d is not None and d > DAY for d in f.filed]),
        ("permits", "T_BEFORE(seen,TIMESTAMP('2024-06-05T00:00:00Z'))", lambda f: f.seen < MOMENT),
        ("permits", "T_EQUALS(filed,DATE('2024-03-01'))", lambda f: [d == DAY for d in f.filed]),
        (
            "permits",
            "T_INTERSECTS(filed,INTERVAL('2024-02-10','2024-03-01'))",
            lambda f: [d is not None and date(2024, 2, 10) <= d <= DAY for d in f.filed],
        ),
        (
            "permits",
            "T_DISJOINT(seen,INTERVAL('2024-06-05T00:00:00Z','..'))",
            lambda f: f.seen < MOMENT,
        ),
    ),
    "property-property": (
        ("zones", "people > homes", lambda f: f.people > f.homes),
        ("zones", "homes = people", lambda f: f.homes == f.people),
        ("permits", "fee > height", lambda f: f.fee > f.height),
        ("permits", "height <> fee", lambda f: f.height != f.fee),
        ("zones", "name = name", lambda f: f.name.notna()),
    ),
    "arithmetic": (
        ("zones", "people - homes * 2 > 0", lambda f: f.people - 2 * f.homes > 0),
        ("zones", "people % 3000 = 1000", lambda f: f.people % 3000 == 1000),
        ("zones", "people div 2500 = 2", lambda f: f.people // 2500 == 2),
        ("zones", "(share + 1) * 8 >= 12", lambda f: (f.share + 1) * 8 >= 12),
        ("permits", "height ^ 2 = 4", lambda f: f.height == 2),
        ("permits", "fee / 2 < height * 10", lambda f: f.fee / 2 < f.height * 10),
    ),
}
"""Predicates of each class: the layer, the text, and what they say of its rows; what is null is not true."""


def build_world(folder: Path) -> World:
    """Publish the layers, some in CRS84 and others in the systems of a city."""
    (folder / "layers.toml").write_text(REGISTRY)
    settings = Settings.load(
        {}, registry=folder / "layers.toml", home=folder / "published", static=write_static(folder)
    )
    catalog = Catalog(settings.home)
    frames = {
        "zones": zones_frame().set_index("code", drop=False),
        "permits": permits_frame().set_index("number", drop=False),
        "streets": streets_frame().set_index("name", drop=False),
    }
    publish(catalog, frames["zones"], "zones", GeometryKind.POLYGON, ZONES, "code", "OGC:CRS84")
    publish(catalog, events_frame(), "events", GeometryKind.POINT, EVENTS, "number", "OGC:CRS84")
    publish(catalog, frames["permits"], "permits", GeometryKind.POINT, PERMIT_COLUMNS, "number")
    publish(catalog, frames["streets"], "streets", GeometryKind.LINE, STREET_COLUMNS, "name", "EPSG:26918")
    return World(Client(wsgi_app(settings)), (*frames, "events"), frames)
