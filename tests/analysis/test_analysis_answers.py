"""What answers say of themselves, and their bytes."""

from __future__ import annotations

import json
import math

import geopandas
import numpy as np
import pandas
import pytest
import shapely

from gisservice.analysis import state, to_geojson
from gisservice.catalog import Catalog
from gisservice.errors import InvalidParameter

PARCELS = {"collection": "parcels", "version": "v-1", "published": "2026-01-01T00:00:00Z"}


def test_an_answer_names_method_units_and_each_version_once() -> None:
    parcels = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(0, 0)], crs=2283)
    parcels.attrs = dict(PARCELS)
    first = state(parcels.copy(), method="Counted.", units={"a": "homes"}, sources=(parcels, parcels))
    assert first.attrs["answer"] == {"method": "Counted.", "units": {"a": "homes"}, "sources": [PARCELS]}
    second = state(parcels.copy(), method="Counted again.", units={}, sources=(first, {**PARCELS, "version": "v-2"}))
    assert [one["version"] for one in second.attrs["answer"]["sources"]] == ["v-1", "v-2"]


def test_positions_are_those_of_geopandas_in_crs84() -> None:
    shapes = [
        shapely.Point(11_900_000, 6_980_000),
        shapely.LineString([(11_900_000, 6_980_000), (11_900_100, 6_980_100)]),
        shapely.box(11_900_000, 6_980_000, 11_900_100, 6_980_100).difference(
            shapely.box(11_900_010, 6_980_010, 11_900_020, 6_980_020)
        ),
        shapely.MultiPoint([(11_900_000, 6_980_000), (11_900_001, 6_980_000)]),
        shapely.GeometryCollection(
            [shapely.Point(11_900_000, 6_980_000), shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])]
        ),
        None,
        shapely.Polygon(),
    ]
    frame = geopandas.GeoDataFrame({"n": range(len(shapes))}, geometry=shapes, crs=2283)
    document = json.loads(to_geojson(frame))
    expected = frame.to_crs(4326).geometry
    for feature, shape in zip(document["features"], expected, strict=True):
        if shape is None or shape.is_empty:
            assert feature["geometry"] is None
        else:
            found = shapely.from_geojson(json.dumps(feature["geometry"]))
            assert shapely.hausdorff_distance(found, shape) < 2e-8
            assert found.geom_type in (shape.geom_type, shape.geom_type.removeprefix("Multi"))


def test_what_is_missing_or_not_finite_is_null_and_the_bytes_repeat() -> None:
    frame = pandas.DataFrame(
        {
            "a": [1.5, math.nan, math.inf],
            "b": ["x", None, 'say "hi"'],
            "c": pandas.to_datetime(["2026-01-02", None, None]),
        },
        index=pandas.Index(["p1", "p2", "p3"], name="item_id"),
    )
    content = to_geojson(frame)
    assert content == to_geojson(frame.copy())
    features = json.loads(content)["features"]
    assert [feature["id"] for feature in features] == ["p1", "p2", "p3"]
    assert [feature["properties"]["a"] for feature in features] == [1.5, None, None]
    assert [feature["properties"]["b"] for feature in features] == ["x", None, 'say "hi"']
    assert features[0]["properties"]["c"].startswith("2026-01-02") and features[1]["properties"]["c"] is None


def test_a_frame_without_rows_or_columns_is_a_collection_all_the_same() -> None:
    empty = geopandas.GeoDataFrame({"a": np.array([])}, geometry=geopandas.GeoSeries([], crs=2283))
    assert json.loads(to_geojson(empty))["features"] == []
    bare = geopandas.GeoDataFrame(geometry=[shapely.Point(-77, 38)], crs="OGC:CRS84")
    assert json.loads(to_geojson(bare))["features"][0]["properties"] == {}


def test_a_frame_that_states_no_reference_system_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="set_crs"):
        to_geojson(geopandas.GeoDataFrame(geometry=[shapely.Point(1, 2)]))


def test_a_frame_that_was_read_says_which_version_it_is(published_points: Catalog) -> None:
    frame = published_points.read("points")
    version = published_points.collection("points").version
    assert frame.attrs["collection"] == "points" and frame.attrs["version"] == version
    assert frame.attrs["published"].endswith("Z")
    assert json.loads(to_geojson(frame))["sources"] == [frame.attrs]
