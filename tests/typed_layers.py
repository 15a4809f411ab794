"""Layers of every kind with every type of column, nulls and hostile texts, written as a version's files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pyarrow as pa
import shapely

from gisservice.catalog import Catalog, Features, Manifest, Records, write_features
from gisservice.model import Column, ColumnType, Extent, GeometryKind, Layer, Quality, Style, Version

HOSTILE = (
    "=1+1",
    "+1 703 555 0100",
    "-2",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\nx",
    "＝1+1",
    '=HYPERLINK("http://example.org","x")',
    'say "hi"',
    "a,b",
    "line\r\nbreak",
    " outer ",
    "",
    "plain",
    "Zürich № 1 🗺️",
    "</Placemark><script>alert(1)</script>",
    "]]> &amp; <b>",
    "{{7*7}}",
    "'",
)
"""Texts that begin as formulas, that need quotes, that end elements; the first nine are to be neutralised in CSV."""

FORMULAS = 9


def attributes(count: int) -> dict[str, Any]:
    """Columns of every type; each has nulls, times are between 1970 and 2100."""
    rows = range(count)
    return {
        "pid": [f"p{row}" for row in rows],
        "text": pandas.array([None if row % 11 == 10 else HOSTILE[row % len(HOSTILE)] for row in rows], dtype="str"),
        "whole": pandas.array([None if row % 7 == 3 else row * 1_000_003 - 5 for row in rows], dtype="Int64"),
        "number": [None if row % 5 == 4 else row / 3 - 1 for row in rows],
        "truth": pandas.array([(True, False, None)[row % 3] for row in rows], dtype="boolean"),
        "day": pandas.Series(
            [None if row % 6 == 5 else date(2020, 1 + row % 12, 1 + row % 28) for row in rows],
            dtype=pandas.ArrowDtype(pa.date32()),
        ),
        "moment": pandas.Series(
            [None if row % 6 == 4 else datetime(2021, 3, 4, row % 24, 5, 6, tzinfo=UTC) for row in rows],
            dtype=pandas.ArrowDtype(pa.timestamp("ms", "UTC")),
        ),
    }


def shapes(kind: GeometryKind, count: int, *, multi: bool = True) -> list[Any]:
    """Geometries around Alexandria; every seventh has two parts (with ``multi``), polygons have holes."""
    random = np.random.default_rng(3)
    found: list[Any] = []
    for row, (x, y) in enumerate(random.uniform((-77.1, 38.75), (-77.0, 38.85), (count, 2)).tolist()):
        if kind is GeometryKind.POINT:
            pieces = [shapely.Point(x, y), shapely.Point(x + 0.001, y)]
        elif kind is GeometryKind.LINE:
            pieces = [shapely.LineString([(x, y), (x + 0.001, y), (x, y + 0.0007)]) for x in (x, x + 0.002)]
        else:
            hole = shapely.box(x + 0.0003, y + 0.0003, x + 0.0005, y + 0.0005)
            pieces = [shapely.box(x, y, x + 0.001, y + 0.001) - hole, shapely.box(x + 0.002, y, x + 0.003, y + 0.001)]
        found.append(shapely.union_all(pieces) if multi and row % 7 == 2 else pieces[0])
    return found


def written(folder: Path, kind: GeometryKind, count: int = 60, *, multi: bool = True) -> Features:
    """Write a layer of ``count`` records into a folder and open it."""
    frame = geopandas.GeoDataFrame(attributes(count), geometry=shapes(kind, count, multi=multi), crs="OGC:CRS84")
    lonlat = np.asarray(frame.geometry.array)
    write_features(folder, Records(frame, list(frame["pid"]), np.arange(count), lonlat, None, kind))
    return Features.open(folder)


TYPES = {
    "pid": ColumnType.STRING,
    "text": ColumnType.STRING,
    "whole": ColumnType.INTEGER,
    "number": ColumnType.NUMBER,
    "truth": ColumnType.BOOLEAN,
    "day": ColumnType.DATE,
    "moment": ColumnType.DATETIME,
}


def published(
    catalog: Catalog,
    kind: GeometryKind,
    count: int = 60,
    *,
    collection_id: str = "lots",
    storage: str = "EPSG:2283",
    columns: dict[str, Any] | None = None,
    style: Style = Style(),  # noqa: B008
    title: str = "Lots",
    multi: bool = True,
) -> Version:
    """Publish a layer of ``count`` records, without tiles; ``columns`` take the place of some attributes."""
    values = {**attributes(count), **(columns or {})}
    plain = geopandas.GeoDataFrame(values, geometry=shapes(kind, count, multi=multi), crs="OGC:CRS84")
    stored = plain if storage == "OGC:CRS84" else plain.to_crs(storage)
    declared = tuple(Column(name, TYPES.get(name, ColumnType.STRING), f"About {name}") for name in values)
    layer = Layer(collection_id, title, kind, "What <it> is.", id_column="pid", columns=declared, style=style)
    with catalog.stage(collection_id) as staging:
        lonlat = np.asarray(plain.geometry.array)
        write_features(staging.path, Records(stored, list(plain["pid"]), np.arange(count), lonlat, None, kind))
        return staging.publish(
            Manifest(
                collection=collection_id,
                layer=layer,
                kind=kind,
                count=count,
                storage_crs=storage,
                storage_crs_definition=stored.crs.to_wkt(),
                extent=Extent(tuple(float(value) for value in plain.total_bounds)) if count else None,
                columns=declared,
                id_column="pid",
                quality=Quality(count, count),
            )
        )
