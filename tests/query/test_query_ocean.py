"""One very large polygon: its item is its bytes, and it is prepared once for all boxes over it."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from gisservice.catalog import Features, Records, write_features
from gisservice.model import Box, GeometryKind, Query
from gisservice.query import encode_item, parse_filter, select

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sea(shared_data: Path) -> shapely.Geometry:
    """All seas of the world: 446,789 positions with 6,820 holes; not valid as they come."""
    source = pyogrio.read_dataframe(f"/vsizip/{shared_data}/samples/ne_10m_ocean.shp.zip")
    return shapely.make_valid(source.geometry.iloc[0], method="structure", keep_collapsed=False)


@pytest.fixture(scope="module")
def ocean(sea: shapely.Geometry, tmp_path_factory: pytest.TempPathFactory) -> Features:
    frame = geopandas.GeoDataFrame({"name": ["ocean"]}, geometry=[sea], crs="OGC:CRS84")
    shapes = np.array([sea], dtype=object)
    folder = tmp_path_factory.mktemp("ocean")
    write_features(folder, Records(frame, ["1"], np.arange(1), shapes, None, GeometryKind.POLYGON))
    return Features.open(folder)


def test_the_item_is_the_stored_bytes_and_all_of_the_sea(ocean: Features, sea: shapely.Geometry) -> None:
    item = encode_item(ocean, 0)
    assert len(item) == ocean.items_stretch[1]
    drawn = shapely.geometry.shape(json.loads(item)["geometry"])
    assert shapely.get_num_coordinates(drawn) == shapely.get_num_coordinates(sea) > 446_000


def test_boxes_find_it_where_there_is_water_and_it_is_put_together_once(
    ocean: Features, sea: shapely.Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    build = Features.few_shapes

    def counted(features: Features, which: list[int]) -> list[shapely.Geometry]:
        made.extend(which)
        return build(features, which)

    monkeypatch.setattr(Features, "few_shapes", counted)
    chance = np.random.default_rng(4)
    corners = chance.uniform((-170, -80), (170, 80), (300, 2))
    boxes = np.concatenate([corners, corners + chance.uniform(0.01, 2.0, (300, 2))], axis=1)
    shapely.prepare(sea)
    expected = shapely.intersects(sea, shapely.box(*boxes.T))
    found = [select(ocean, Query(10, box=Box(tuple(box)))).number_matched == 1 for box in boxes.tolist()]
    assert found == expected.tolist()
    assert 50 < sum(found) < 300
    assert made == [0]


def test_a_filter_over_it_is_answered_in_its_time(ocean: Features) -> None:
    for place, there in (("-30 40", [0]), ("9 48", [])):
        assert parse_filter(f"S_CONTAINS(geometry, POINT({place}))", "cql2-text", ()).rows(ocean).tolist() == there
