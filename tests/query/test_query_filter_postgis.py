"""Filters over the city's own layers and a small table, against SQL of PostGIS written from the same random trees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import geopandas
import numpy as np
import pandas
import psycopg
import pyogrio
import pytest
import shapely
from filter_cases import Filters, as_json_text, as_sql, as_text, quoted
from filter_table import BY_KIND, COLUMNS, DAYS, SHAPES, TIMES, build
from psycopg import sql

from gisservice.catalog import Features, Records, write_features
from gisservice.model import Column, ColumnType, GeometryKind
from gisservice.query import filter_relations
from gisservice.query.filter import parse_filter

pytestmark = pytest.mark.slow

SQL_TYPES = {
    ColumnType.STRING: 'text COLLATE "C"',
    ColumnType.INTEGER: "bigint",
    ColumnType.NUMBER: "float8",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.DATE: "date",
    ColumnType.DATETIME: "timestamptz",
}
TEXTS = ["", "a", "A", "B", "ab", "Ab", "a%b", "a_b", "it's", "x y", "50%", "%", "_", '"', "1 OR 1=1", "') or 1=1 --"]
PATTERNS = ["", "%", "_%", "__", "a%", "%b", "%a%b%", r"a\%b", r"a\_b", "%.%", "(a+)+$", "[a]", "%'%", "%s%"]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole layers are compared, on whatever machine; the limit itself is tested with the filters."""
    monkeypatch.setattr(filter_relations, "GEOMETRY_SECONDS_MAX", 60.0)


@dataclass(frozen=True)
class Layer:
    """One layer on both sides: published, and as a table of PostGIS whose column ``row`` is our row number."""

    name: str
    features: Features
    columns: tuple[Column, ...]
    connection: psycopg.Connection[Any]

    def __repr__(self) -> str:
        return self.name

    def check(self, node: Any) -> int:
        """Compare the rows that both sides find; return how many."""
        found = parse_filter(as_text(node), "cql2-text", self.columns)
        assert found == parse_filter(as_json_text(node), "cql2-json", self.columns)
        query = sql.SQL(f"SELECT row FROM {self.name} WHERE {as_sql(node)} ORDER BY row")
        expected = np.array([row for (row,) in self.connection.execute(query)], dtype=np.int64)
        mine = found.rows(self.features)
        assert mine.tolist() == expected.tolist(), f"{found.text}: {len(mine)} here, {len(expected)} in PostGIS"
        some = np.arange(0, self.features.count, 3)
        assert found.among(self.features, some).tolist() == np.intersect1d(some, expected).tolist()
        return len(expected)


def load(
    connection: psycopg.Connection[Any],
    name: str,
    features: Features,
    columns: Iterable[Column],
    values: pandas.DataFrame,
) -> Layer:
    """Copy the values (in our row order, as the source has them) and the geometries into a table with an index."""
    columns = tuple(columns)
    declared = "".join(f", {quoted(column.name)} {SQL_TYPES[column.type]}" for column in columns)
    connection.execute(f"DROP TABLE IF EXISTS {name}")
    connection.execute(f"CREATE TABLE {name} (row bigint PRIMARY KEY, geometry geometry(Geometry, 4326){declared})")
    wkb = shapely.to_wkb(
        shapely.set_srid(features.shapes(np.arange(features.count)), 4326), hex=True, include_srid=True
    )
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row, (shape, record) in enumerate(
            zip(wkb, values[[c.name for c in columns]].to_numpy(object), strict=True)
        ):
            copy.write_row([row, shape, *(None if pandas.isna(value) else value for value in record)])
    connection.execute(f"CREATE INDEX ON {name} USING gist (geometry)")
    connection.execute(f"ANALYZE {name}")
    return Layer(name, features, columns, connection)


def publish(folder: Path, frame: geopandas.GeoDataFrame, kind: GeometryKind) -> tuple[Features, pandas.DataFrame]:
    """Publish a frame (CRS84); return it with the frame's values in row order."""
    ids = [str(number) for number in range(len(frame))]
    shapes = frame.geometry.to_numpy()
    write_features(folder, Records(frame, ids, np.arange(len(frame)), shapes, None, kind))
    features = Features.open(folder)
    order = [int(features.item_id(row)) for row in range(features.count)]
    return features, pandas.DataFrame(frame.drop(columns="geometry")).iloc[order].reset_index(drop=True)


def literals(values: pandas.DataFrame, columns: Iterable[Column]) -> dict[str, list[Any]]:
    """Values worth comparing with: some that occur, and some beside them."""
    found: dict[str, list[Any]] = {"text": ["", "RM", "%", "O'NEIL"], "number": [0, 1, -1, 2.5, 5000, 1e7]}
    for column in columns:
        present = values[column.name].dropna()
        chosen = present.iloc[:: max(1, len(present) // 12)].tolist()
        found["text" if column.type is ColumnType.STRING else "number"] += chosen
    return {**found, "boolean": [True, False], "date": [], "time": []}


def regions(features: Features) -> list[Any]:
    """Shapes that meet the layer in all ways: boxes, lines, points, and geometries of the layer itself."""
    own = features.shapes(np.arange(0, features.count, max(1, features.count // 12)))
    small = [shape for shape in own if shapely.get_num_coordinates(shape) < 200]
    west, south, east, north = shapely.total_bounds(own)
    chance = np.random.default_rng(3)
    found: list[Any] = [("shape", shape) for shape in small]
    found += [("shape", shapely.box(*shape.bounds).buffer(0.0005, quad_segs=2)) for shape in small]
    for _ in range(8):
        x, y = chance.uniform((west, south), (east, north)).round(6).tolist()
        wide, high = chance.uniform(0.0005, 0.02, 2).round(6).tolist()
        found += [
            ("bbox", (x, y, round(x + wide, 6), round(y + high, 6))),
            ("shape", shapely.LineString([(x, y), (x + wide, y + high), (x + wide, y - high)])),
            ("shape", shapely.Polygon([(x, y), (x + wide, y), (x + wide / 2, y + high)])),
            ("shape", shapely.MultiPoint([(x, y), *own[0].centroid.coords])),
        ]
    return found


@pytest.fixture(scope="module")
def parcels(postgis, read_parcels, tmp_path_factory) -> tuple[Layer, Filters]:
    texts = ["ZONING", "ADDRESS_GIS", "ST_NAME", "LANDDESC", "PRP_NAME"]
    columns = (
        *(Column(name, ColumnType.STRING) for name in texts),
        Column("OBJECTID", ColumnType.INTEGER),
        Column("LAND_SF", ColumnType.INTEGER),
        Column("SHAPE__Area", ColumnType.NUMBER),
    )
    frame = read_parcels()[[*(column.name for column in columns), "geometry"]].set_crs("OGC:CRS84", allow_override=True)
    frame["LAND_SF"] = frame["LAND_SF"].astype("Int64")  # with gaps, read as floats
    frame.geometry = shapely.make_valid(frame.geometry.to_numpy(), method="structure", keep_collapsed=False)
    features, values = publish(tmp_path_factory.mktemp("parcels"), frame, GeometryKind.POLYGON)
    kinds = {"text": texts, "number": ["OBJECTID", "LAND_SF", "SHAPE__Area"], "boolean": [], "date": [], "time": []}
    patterns = ["R%", "%KING%", "_0_", "%ST%", "", "%", "1%ST", "%(%)%", "con_o%"]
    random = Filters(kinds, literals(values, columns), regions(features), patterns, whole=["OBJECTID", "LAND_SF"])
    return load(postgis, "parcels", features, columns, values), random


@pytest.fixture(scope="module")
def zoning(postgis, shared_data, tmp_path_factory) -> tuple[Layer, Filters]:
    columns = (
        Column("ZONING", ColumnType.STRING),
        Column("LOTS", ColumnType.INTEGER),
        Column("AREA_SQFT", ColumnType.NUMBER),
    )
    frame = pyogrio.read_dataframe(f"/vsizip/{shared_data}/alexandria/zoning_lots_2283.shp.zip").to_crs("OGC:CRS84")
    frame.geometry = shapely.make_valid(frame.geometry.to_numpy(), method="structure", keep_collapsed=False)
    features, values = publish(tmp_path_factory.mktemp("zoning"), frame, GeometryKind.POLYGON)
    kinds = {"text": ["ZONING"], "number": ["LOTS", "AREA_SQFT"], "boolean": [], "date": [], "time": []}
    patterns = ["R%", "%M", "C_", "%-%", "", "%"]
    random = Filters(kinds, literals(values, columns), regions(features), patterns, whole=["LOTS"])
    return load(postgis, "zoning", features, columns, values), random


@pytest.fixture(scope="module")
def addresses(postgis, shared_data, tmp_path_factory) -> tuple[Layer, Filters]:
    texts = ["FULL_ADDS", "STNAME", "STTYPE", "STPFX", "ADD_TYPE", "ZIP"]
    columns = (*(Column(name, ColumnType.STRING) for name in texts), Column("OBJECTID", ColumnType.INTEGER))
    plain = pandas.read_csv(
        shared_data / "alexandria" / "address_points_2019.csv", dtype=dict.fromkeys(texts, "object")
    )
    frame = geopandas.GeoDataFrame(
        plain[[column.name for column in columns]], geometry=shapely.points(plain["X"], plain["Y"]), crs="OGC:CRS84"
    )
    features, values = publish(tmp_path_factory.mktemp("addresses"), frame, GeometryKind.POINT)
    kinds = {"text": texts, "number": ["OBJECTID"], "boolean": [], "date": [], "time": []}
    patterns = ["1%", "%KING%", "S_", "%", "", "%ST"]
    random = Filters(kinds, literals(values, columns), regions(features), patterns, whole=["OBJECTID"])
    return load(postgis, "addresses", features, columns, values), random


@pytest.fixture(scope="module")
def table(postgis, tmp_path_factory) -> tuple[Layer, Filters]:
    made = build(tmp_path_factory.mktemp("table"), texts=TEXTS)
    values = pandas.DataFrame(
        {column.name: [row[column.name] for row in made.rows] for column in COLUMNS}, dtype="object"
    )
    columns = [column for column in COLUMNS if column.name != "size"]  # PostgreSQL keeps NaN as a number
    random = Filters(
        {**BY_KIND, "number": ["count"]},  # PostgreSQL compares a bigint with a float as two floats
        {"text": TEXTS, "number": [-2, 0, 1, 3, 0.5], "boolean": [True, False], "date": DAYS, "time": TIMES},
        SHAPES,
        PATTERNS,
        whole=["count"],
        arithmetic=("+", "-", "*", "/", "%", "div"),
    )
    return load(postgis, "small", made.features, columns, values), random


@pytest.mark.parametrize(("name", "filters"), [("parcels", 100), ("zoning", 300), ("addresses", 150), ("table", 300)])
def test_random_filters_find_what_postgis_finds(name, filters, request):
    layer, random = request.getfixturevalue(name)
    found = [layer.check(random.predicate(Random(seed))) for seed in range(filters)]
    some = [count for count in found if 0 < count < layer.features.count]
    assert len(some) > len(found) / 5  # enough of them tell items apart


SQUARE = ("bbox", (-77.06, 38.80, -77.04, 38.82))
TRIANGLE = ("shape", shapely.Polygon([(-77.06, 38.80), (-77.04, 38.80), (-77.05, 38.82)]))
ZONES = ("property", "ZONING")


@pytest.mark.parametrize(
    "node",
    [
        ("compare", "=", ZONES, ("text", "RM")),
        ("not", ("compare", "=", ZONES, ("text", "RM"))),
        ("null", ZONES),
        ("in", ZONES, [("text", "RM"), ("text", "RB"), ("text", "none of them")]),
        ("compare", ">", ("property", "LAND_SF"), ("number", 43_560)),
        ("compare", "<", ("property", "SHAPE__Area"), ("arithmetic", "*", ("property", "LAND_SF"), ("number", 0.1))),
        ("like", ("casei", ("property", "ADDRESS_GIS")), ("casei",), "%King ST%"),
        *(
            ("spatial", op, ("geometry",), shape)
            for op in ("intersects", "within", "disjoint", "overlaps", "crosses", "touches")
            for shape in (SQUARE, TRIANGLE)
        ),
        ("spatial", "contains", ("geometry",), ("shape", shapely.Point(-77.05, 38.81))),
        ("and", [("spatial", "intersects", SQUARE, ("geometry",)), ("compare", "<>", ZONES, ("text", "RM"))]),
    ],
    ids=as_text,
)
def test_questions_of_planners(parcels, node):
    layer, _ = parcels
    layer.check(node)


def test_each_parcel_equals_itself_and_all_of_its_stack(parcels):
    layer, _ = parcels
    for row in range(0, layer.features.count, 4_001):
        shape = layer.features.shapes(np.array([row]))[0]
        assert layer.check(("spatial", "equals", ("geometry",), ("shape", shape))) >= 1
        layer.check(("spatial", "touches", ("geometry",), ("shape", shape)))
        layer.check(("spatial", "contains", ("geometry",), ("shape", shape)))
