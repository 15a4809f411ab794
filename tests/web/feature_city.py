"""A city whose layers have what the standards talk about: every type, dates, codes, empty values, points, lines."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import shapely
from web_city import lots_frame, squares, write_static
from web_city import publish as publish_lots
from werkzeug.test import Client

from gisservice import crs
from gisservice.catalog import Catalog, Manifest, Records, write_features
from gisservice.crs import CRS84
from gisservice.model import Column, ColumnType, Extent, GeometryKind, Layer, Quality, Version
from gisservice.settings import Settings
from gisservice.web import wsgi_app

STATES = (("open", "Under review"), ("done", "Issued"), ("void", "Withdrawn"))

PERMIT_COLUMNS = (
    Column("number", ColumnType.INTEGER, "Number of the permit"),
    Column("state", ColumnType.STRING, "State", codes=STATES),
    Column("fee", ColumnType.NUMBER, "Fee", "US dollar"),
    Column("height", ColumnType.NUMBER, "Height", "foot"),
    Column("paid", ColumnType.BOOLEAN, "Whether the fee is paid"),
    Column("filed", ColumnType.DATE, "Day of filing"),
    Column("seen", ColumnType.DATETIME, "Last look at it"),
    Column("note", ColumnType.STRING, "Remark"),
)

STREET_COLUMNS = (Column("name", ColumnType.STRING, "Name"), Column("class", ColumnType.STRING))

NOTES = (
    "plain", "Zürich №1", '"quoted" \\ back', "<b>&amp;</b>", "=1+1", "a,\nb", "%_%", "", None, "O'Hara", "{{7*7}}",
    "日本",
)  # fmt: skip

REGISTRY = """
[city]
name = "Featureville"

[layers.permits]
title = "Permits"
sources = [{path = "permits.geojson"}]
geometry = "point"
id_column = "number"
columns.number = {type = "integer"}
"""


def permits_frame(count: int = 240) -> geopandas.GeoDataFrame:
    """Points, ten of which share one spot; each column has empty values but the number."""
    random = np.random.default_rng(5)
    where = random.uniform((-77.1, 38.79), (-77.03, 38.85), (count, 2))
    where[:10] = where[0]
    numbers = np.arange(count)

    def some(values: list[Any], every: int) -> list[Any]:
        return [None if number % every == 3 else value for number, value in enumerate(values)]

    start = date(2024, 1, 1)
    look = datetime(2024, 6, 1, 12, tzinfo=UTC)
    return geopandas.GeoDataFrame(
        {
            "number": numbers * 7 + 3,
            "state": pandas.array(some([STATES[number % 3][0] for number in numbers], 11), dtype="str"),
            "fee": pandas.array(some(np.round(random.uniform(0, 900, count), 2).tolist(), 7), dtype="Float64"),
            "height": pandas.array(some([float(number % 5) for number in numbers], 13), dtype="Float64"),
            "paid": pandas.array(some([bool(number % 2) for number in numbers], 5), dtype="boolean"),
            "filed": some([start + timedelta(days=int(number)) for number in numbers], 6),
            "seen": pandas.Series(
                some([look + timedelta(hours=int(number)) for number in numbers], 8), dtype="datetime64[ms, UTC]"
            ),
            "note": pandas.array([NOTES[number % len(NOTES)] for number in numbers], dtype="str"),
        },
        geometry=shapely.points(where),
        crs=CRS84,
    )


def streets_frame(count: int = 30) -> geopandas.GeoDataFrame:
    """Crooked lines, each third of two parts."""
    random = np.random.default_rng(6)
    lines = [shapely.linestrings(random.uniform((-77.1, 38.79), (-77.03, 38.85), (9, 2))) for _ in range(count)]
    shapes = [
        shapely.multilinestrings([line, shapely.affinity.translate(line, 0.01)]) if number % 3 == 0 else line
        for number, line in enumerate(lines)
    ]
    return geopandas.GeoDataFrame(
        {"name": [f"Street {number}" for number in range(count)], "class": ["a", "b"] * (count // 2)},
        geometry=shapes,
        crs=CRS84,
    )


def publish(
    catalog: Catalog,
    frame: geopandas.GeoDataFrame,
    collection_id: str,
    kind: GeometryKind,
    columns: tuple[Column, ...],
    id_column: str,
    storage: str = "EPSG:2283",
) -> Version:
    """Publish a frame in CRS84 without tiles."""
    layer = Layer(collection_id, collection_id.title(), kind, "What it is.", id_column=id_column, columns=columns)
    ids = [str(value) for value in frame[id_column]]
    with catalog.stage(collection_id) as staging:
        stored = frame.to_crs(crs.parse(storage))
        tile_ids = np.arange(1, len(ids) + 1, dtype=np.int64)
        lonlat = np.asarray(frame.geometry.array)
        write_features(staging.path, Records(stored, ids, tile_ids, lonlat, None, kind))
        return staging.publish(
            Manifest(
                collection=collection_id,
                layer=layer,
                kind=kind,
                count=len(frame),
                storage_crs=storage,
                storage_crs_definition=crs.parse(storage).to_wkt(),
                extent=Extent(tuple(float(value) for value in frame.total_bounds)),
                columns=columns,
                id_column=id_column,
                quality=Quality(len(frame), len(frame)),
            )
        )


@dataclass(frozen=True)
class FeatureCity:
    """The published city, its frames in CRS84, indexed by item id, and a client of the service over it."""

    settings: Settings
    catalog: Catalog
    frames: dict[str, geopandas.GeoDataFrame]
    client: Client

    def close(self) -> None:
        """Let go of every version that the catalog or the service holds open."""
        service = self.client.application._service
        for catalog in (self.catalog, service.catalog):
            catalog._current.clear()
            catalog._shelves.clear()
        service.pinned._open.clear()
        gc.collect()

    def get(self, url: str, **options: Any) -> Any:
        """Ask for a path or an absolute address of the service."""
        return self.client.get(url.removeprefix("http://localhost"), **options)

    def page(self, collection: str, query: str = "", **options: Any) -> dict[str, Any]:
        """Return a page of items, which is to be there and to be strict JSON."""
        url = collection if collection.startswith("http") else f"/api/collections/{collection}/items?{query}"
        answer = self.get(url, **options)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.data, parse_constant=_refuse)

    def walk(self, collection: str, query: str = "") -> list[dict[str, Any]]:
        """Return all items of a query, page after page."""
        document = self.page(collection, query)
        found = document["features"]
        while (following := related(document, "next")) is not None:
            document = self.page(following)
            found += document["features"]
        assert len(found) == document["numberMatched"]
        return found

    def ids(self, collection: str, query: str = "") -> list[str]:
        """Return the ids of all items of a query, in order."""
        return [item["id"] for item in self.walk(collection, query)]


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def related(document: dict[str, Any], rel: str) -> str | None:
    return next((link["href"] for link in document["links"] if link["rel"] == rel), None)


def build_feature_city(folder: Path) -> FeatureCity:
    (folder / "layers.toml").write_text(REGISTRY)
    settings = Settings.load(
        {}, registry=folder / "layers.toml", home=folder / "published", static=write_static(folder)
    )
    catalog = Catalog(settings.home)
    permits, streets, lots = permits_frame(), streets_frame(), lots_frame()
    publish(catalog, permits, "permits", GeometryKind.POINT, PERMIT_COLUMNS, "number")
    publish(catalog, streets, "streets", GeometryKind.LINE, STREET_COLUMNS, "name", "EPSG:26918")
    publish_lots(catalog, lots, "lots")
    frames = {
        "permits": permits.set_index(permits["number"].astype(str)),
        "streets": streets.set_index("name", drop=False),
        "lots": lots.set_index("pid", drop=False),
    }
    assert len(squares()) == len(lots)
    return FeatureCity(settings, catalog, frames, Client(wsgi_app(settings)))
