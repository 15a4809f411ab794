"""Encoded pages, parsed by the standard library and by GDAL."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import numpy as np
import pyogrio

from gisservice.model import Box, Page, Query
from gisservice.query import encode_collection, encode_item, select


def test_a_page_is_a_feature_collection(triangles):
    page = select(triangles, Query(7, 3, box=Box((-77.08, 38.72, -77.02, 38.88))))
    links = [{"href": "https://example.org/items?a=1&b=<2>", "rel": "self", "type": "application/geo+json"}]
    moment = datetime(2026, 3, 4, 7, 6, 7, 8, tzinfo=timezone(timedelta(hours=2)))
    text = encode_collection(triangles, page, links, moment)
    found = json.loads(text)
    assert list(found) == ["type", "timeStamp", "numberMatched", "numberReturned", "links", "features"]
    assert found["type"] == "FeatureCollection" and found["timeStamp"] == "2026-03-04T05:06:07Z"
    assert found["numberMatched"] == page.number_matched and found["numberReturned"] == 7 and found["links"] == links
    assert found["features"] == [json.loads(triangles.item(row)) for row in page.rows]
    assert all(triangles.item(row) in text for row in page.rows)


def test_an_empty_page_is_a_feature_collection_without_features(triangles):
    found = json.loads(encode_collection(triangles, Page(Query(5), np.empty(0, dtype=np.int64), 0)))
    assert found == {"type": "FeatureCollection", "numberMatched": 0, "numberReturned": 0, "links": [], "features": []}


def test_the_same_page_is_the_same_bytes(triangles):
    page = select(triangles, Query(50))
    assert encode_collection(triangles, page) == encode_collection(triangles, select(triangles, Query(50)))


def test_gdal_reads_all_items_as_they_are(triangles, tmp_path):
    (tmp_path / "page.geojson").write_bytes(encode_collection(triangles, select(triangles, Query(300))))
    frame = pyogrio.read_dataframe(tmp_path / "page.geojson")
    assert frame["pid"].tolist() == [triangles.item_id(row) for row in range(300)]
    shapes = triangles.shapes(np.arange(300))
    assert frame.geometry.geom_equals_exact(
        type(frame.geometry)([s.geoms[0] for s in shapes], crs=frame.crs), 1e-8
    ).all()


def test_one_item_with_and_without_links(triangles):
    assert encode_item(triangles, 4) == triangles.item(4)
    links = [{"href": "https://example.org/items/t4", "rel": "self"}]
    assert json.loads(encode_item(triangles, 4, links)) == {**json.loads(triangles.item(4)), "links": links}
