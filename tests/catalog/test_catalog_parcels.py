"""The city's own parcels: 47,174 records on 28,413 geometries, 2.17 million vertices."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from gisservice.catalog import Features, write_features
from gisservice.catalog.index import as_rows
from gisservice.model import GeometryKind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(read_parcels):
    frame = read_parcels()
    return frame[["OBJECTID", "ZONING", "LAND_SF", "geometry"]].astype({"OBJECTID": "int64"})


@pytest.fixture(scope="module")
def parcels(source, make_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parcels")
    columns = {name: source[name].to_numpy() for name in ("ZONING", "LAND_SF")}
    ids = source["OBJECTID"].astype(str).tolist()
    write_features(folder, make_records(source.geometry.to_numpy(), GeometryKind.POLYGON, columns, ids))
    return folder, Features.open(folder)


def test_all_records_are_kept_and_shared_geometries_stored_once(source, parcels):
    _, features = parcels
    assert features.count == len(source) == 47_174
    assert len(features.geometries) == 28_413 == len(set(shapely.to_wkb(source.geometry.array)))


def test_items_are_the_source(source, parcels):
    _, features = parcels
    originals = source.set_index(source["OBJECTID"].astype(str))
    for row in range(0, features.count, 97):
        item = json.loads(features.item(row))
        original = originals.loc[item["id"]]
        assert features.row(item["id"]) == row
        expected = [None if value != value else value for value in (original["ZONING"], original["LAND_SF"])]
        assert [item["properties"]["ZONING"], item["properties"]["LAND_SF"]] == expected
        assert shape(item["geometry"]).normalize().equals_exact(original["geometry"].normalize(), 1e-8)


def test_boxes_find_what_an_independent_tree_finds(source, parcels):
    _, features = parcels
    rows = np.arange(features.count)
    tree = shapely.STRtree(source.geometry.to_numpy())
    numbers = source["OBJECTID"].astype(str).to_numpy()
    random = np.random.default_rng(0)
    for size in np.geomspace(1e-5, 0.1, 60):
        x, y = random.uniform((-77.14, 38.79), (-77.04, 38.84))
        box = (x, y, x + size, y + size)
        found = {features.item_id(row) for row in as_rows(features.intersecting(box))}
        assert found == set(numbers[tree.query(shapely.box(*box), predicate="intersects")])
    assert len(as_rows(features.intersecting((-180.0, -90.0, 180.0, 90.0)))) == len(rows)


def test_geoparquet_holds_the_source(source, parcels):
    folder, features = parcels
    frame = geopandas.read_parquet(folder / "features.parquet")
    assert frame["pid"].tolist() == [features.item_id(row) for row in range(features.count)]
    expected = source.set_index(source["OBJECTID"].astype(str)).loc[frame["pid"]]
    assert shapely.equals_identical(frame.geometry.array, expected.geometry.array).all()
