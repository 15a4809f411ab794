"""A small table with every type of column, gaps in each, and polygons that meet in every way, as rows and published."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import shapely

from gisservice.catalog import Features, Records, write_features
from gisservice.model import Column, ColumnType, GeometryKind

COLUMNS = (
    Column("name", ColumnType.STRING, "Name"),
    Column("other", ColumnType.STRING),
    Column("count", ColumnType.INTEGER, "Things counted"),
    Column("big", ColumnType.INTEGER),
    Column("size", ColumnType.NUMBER, "Size", unit="ft"),
    Column("open", ColumnType.BOOLEAN),
    Column("built", ColumnType.DATE),
    Column("begun", ColumnType.DATETIME),
    Column("ended", ColumnType.DATETIME),
    Column("empty", ColumnType.STRING),
    Column('a "b]; --', ColumnType.STRING),
)
BY_KIND = {
    "text": ["name", "other", "empty", 'a "b]; --'],
    "number": ["count", "big", "size"],
    "boolean": ["open"],
    "date": ["built"],
    "time": ["begun", "ended"],
}
TEXTS = [
    "", "a", "A", "B", "ab", "Ab", "a%b", "a_b", "a\\b", "it's", "Élan", "elan", "E\u0301lan", "Straße", "STRASSE",
    "x y", "line\nbreak", "tab\t", "50%", "%", "_", '"', "ØÅ", "日本", "はじめ", "1", "1 OR 1=1", "') or 1=1 --", "😀",
    "\0", "a.b*c+(d)[e]{2}^$|?",
]  # fmt: skip
WHOLE = [-(2**53) - 1, -2, -1, 0, 1, 2, 3, 7, 2**53, 2**53 + 1, 2**53 + 2, 2**62, 2**63 - 1, -(2**63)]
REAL = [-1.5, -0.0, 0.0, 0.1, 0.5, 1.0, 2.0, 2.5, 1e16, 1e300, -1e300, 9007199254740993.0]
DAYS = [date(2, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(2024, 3, 1), date(9999, 12, 31)]
TIMES = [
    datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC),
    datetime(2024, 3, 1, tzinfo=UTC),
    datetime(2024, 3, 1, 0, 0, 0, 1000, tzinfo=UTC),
    datetime(2024, 3, 1, 12, 30, 15, 250000, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
]
PATTERNS = [
    "", "%", "%%", "_", "_%", "%_", "__", "a%", "%b", "%a%b%", "a\\%b", "a\\_b", "a\\\\b", "\\a", "É%", "E_an", "%ß%",
    "%s%s%", "%\n%", "日_", "%.%", "(a+)+$", "[a]", "%'%", "😀", "_lan", "str%", "e\u0301lan",
]  # fmt: skip
SQUARE = shapely.box(-77.08, 38.80, -77.06, 38.82)
SHAPES = [
    ("shape", SQUARE),
    ("shape", shapely.box(-77.09, 38.79, -77.05, 38.83)),
    ("shape", shapely.Point(-77.08, 38.80)),
    ("shape", shapely.Point(-77.075, 38.805)),
    ("shape", shapely.LineString([(-77.10, 38.78), (-77.05, 38.83)])),
    ("shape", shapely.LineString([(-77.08, 38.80), (-77.07, 38.80)])),
    ("shape", shapely.MultiPoint([(-77.08, 38.80), (-77.06, 38.82)])),
    ("shape", shapely.MultiLineString([[(-77.1, 38.8), (-77.0, 38.8)], [(-77.07, 38.7), (-77.07, 38.9)]])),
    ("shape", shapely.MultiPolygon([shapely.box(-77.1, 38.78, -77.09, 38.79), SQUARE])),
    ("shape", SQUARE.difference(shapely.box(-77.075, 38.805, -77.07, 38.81))),
    ("shape", shapely.Polygon([(-77.08, 38.80), (-77.04, 38.80), (-77.06, 38.84)])),
    ("bbox", (-77.08, 38.80, -77.06, 38.82)),
    ("bbox", (-77.075, 38.805, -77.065, 38.815)),
    ("bbox", (-180, -90, 180, 90)),
    ("bbox", (10, 10, 11, 11)),
]


class Table:
    """The published records, and the same as dictionaries in the same order."""

    def __init__(self, features: Features, rows: list[dict[str, Any]]) -> None:
        self.features, self.rows = features, rows


def build(
    folder: Path, kind: GeometryKind = GeometryKind.POLYGON, count: int = 150, texts: Sequence[str] = TEXTS
) -> Table:
    """Publish a table of random rows; the same rows every time."""
    chance = random.Random(5)
    rows = [_row(number, kind, chance, texts) for number in range(count)]
    frame = geopandas.GeoDataFrame(_frame(rows), geometry=[row["geometry"] for row in rows], crs="OGC:CRS84")
    ids = [str(row["id"]) for row in rows]
    shapes = np.array([row["geometry"] for row in rows], dtype=object)
    write_features(folder, Records(frame, ids, np.arange(count), shapes, None, kind))
    features = Features.open(folder)
    return Table(features, [rows[int(features.item_id(row))] for row in range(count)])


def _row(number: int, kind: GeometryKind, chance: random.Random, texts: Sequence[str]) -> dict[str, Any]:
    def some(values: Sequence[Any], missing: float = 0.2) -> Any:
        return None if chance.random() < missing else chance.choice(values)

    return {
        "id": number,
        "name": some(texts, 0.1),
        "other": some(texts),
        "count": some([-2, -1, 0, 1, 2, 3, 7]),
        "big": chance.choice(WHOLE),
        "size": some([*REAL, float("nan")]),
        "open": some([True, False]),
        "built": some(DAYS),
        "begun": some(TIMES),
        "ended": some(TIMES),
        "empty": None,
        'a "b]; --': some(texts),
        # Filters compare positions as items are written with them; the oracles compare these.
        "geometry": shapely.transform(_shape(kind, chance), lambda positions: positions.round(8)),
    }


def _shape(kind: GeometryKind, chance: random.Random) -> Any:
    x, y = -77.10 + 0.01 * chance.randrange(6), 38.78 + 0.01 * chance.randrange(6)
    wide, high = 0.01 * chance.randint(1, 3), 0.01 * chance.randint(1, 3)
    if kind is GeometryKind.POINT:
        return shapely.Point(x, y)
    if kind is GeometryKind.LINE:
        return shapely.LineString([(x, y), (x + wide, y + high * chance.randrange(2))])
    if chance.random() < 0.2:
        return shapely.MultiPolygon(
            [shapely.box(x, y, x + 0.005, y + 0.005), shapely.box(x + 0.02, y, x + 0.03, y + high)]
        )
    if chance.random() < 0.3:
        # Not a diagonal of the grid: whether its corners lie on one is decided by a digit that no double has.
        return shapely.Polygon([(x, y), (x + wide, y), (x, y + high + 0.0007)])
    return shapely.box(x, y, x + wide, y + high)


def _frame(rows: list[dict[str, Any]]) -> pandas.DataFrame:
    """The columns as ingest makes them."""
    types = {"count": "Int64", "big": "Int64", "open": "boolean"}
    data = {}
    for column in COLUMNS:
        values = [row[column.name] for row in rows]
        if column.type is ColumnType.DATETIME:
            data[column.name] = pandas.Series(pandas.DatetimeIndex(values, dtype="datetime64[ms, UTC]"))
        elif column.type is ColumnType.NUMBER:
            data[column.name] = pandas.Series(values, dtype="float64")
        else:
            data[column.name] = pandas.Series(values, dtype=types.get(column.name, "object"))
    return pandas.DataFrame(data)
