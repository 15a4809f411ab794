"""The layers that annex A of CQL2 is evaluated over: its own test dataset, and every type of column in pairs."""

from __future__ import annotations

import csv
import json
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

DATA = Path(__file__).with_name("cql2")

LANGUAGES = ("cql2-text", "cql2-json")

ESCAPED = (
    "a'b", "'", "''", "bell \x07", "back \b", "tab \t", "line \n", "vertical \v", "form \f", "return \r", "back\\slash",
    "\\t", 'double "',
)  # fmt: skip

COUNTRIES = (
    Column("ADM0_A3", ColumnType.STRING),
    Column("NAME", ColumnType.STRING),
    Column("POP_EST", ColumnType.NUMBER),
)
RIVERS = (Column("name", ColumnType.STRING), Column("name_en", ColumnType.STRING))
PLACES = (
    Column("name", ColumnType.STRING),
    Column("nameascii", ColumnType.STRING),
    *(Column(name, ColumnType.INTEGER) for name in ("pop_max", "pop_min", "pop_other")),
    Column("date", ColumnType.DATE),
    Column("start", ColumnType.DATETIME),
    Column("end", ColumnType.DATETIME),
    Column("boolean", ColumnType.BOOLEAN),
)
EVENTS = (
    Column("text", ColumnType.STRING),
    *(Column(name, ColumnType.DATE) for name in ("first", "last")),
    *(Column(name, ColumnType.DATETIME) for name in ("begun", "ended")),
)
REGISTRY = """
[city]
name = "World"

[layers.places]
title = "Places"
sources = [{path = "places.geojson"}]
geometry = "point"
id_column = "fid"
columns.fid = {type = "integer"}
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


def predicates() -> dict[str, list[tuple[str, int, str]]]:
    """Return the predicates of the standard's test dataset: layer, expected number of items, text; by class."""
    found: dict[str, list[tuple[str, int, str]]] = {}
    for row in _table("predicates.tsv"):
        found.setdefault(row["class"], []).append((row["layer"], int(row["expected"]), row["predicate"]))
    return found


def combinations() -> list[tuple[int, tuple[str, ...]]]:
    """Return the combinations of four predicates over places, with the expected number of items."""
    return [
        (int(row["expected"]), tuple(row[f"p{place}"] for place in range(1, 5))) for row in _table("combinations.tsv")
    ]


def _table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def build_world(folder: Path) -> World:
    """Publish the layers: the test dataset in CRS84 as it is, and the others in the systems of a city."""
    (folder / "layers.toml").write_text(REGISTRY)
    settings = Settings.load(
        {}, registry=folder / "layers.toml", home=folder / "published", static=write_static(folder)
    )
    catalog = Catalog(settings.home)
    kinds = {"countries": GeometryKind.POLYGON, "places": GeometryKind.POINT, "rivers": GeometryKind.LINE}
    for name, columns in (("countries", COUNTRIES), ("places", PLACES), ("rivers", RIVERS)):
        frame = geopandas.read_parquet(DATA / f"{name}.parquet").set_crs(CRS84, allow_override=True)
        publish(catalog, frame, name, kinds[name], columns, "fid", "OGC:CRS84")
    publish(catalog, events_frame(), "events", GeometryKind.POINT, EVENTS, "number", "OGC:CRS84")
    publish(catalog, permits_frame(), "permits", GeometryKind.POINT, PERMIT_COLUMNS, "number")
    publish(catalog, streets_frame(), "streets", GeometryKind.LINE, STREET_COLUMNS, "name", "EPSG:26918")
    layers = ("countries", "places", "rivers", "events", "permits", "streets")
    return World(Client(wsgi_app(settings)), layers)
