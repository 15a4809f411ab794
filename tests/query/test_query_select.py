"""Pages against a plain scan of all geometries."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gisservice.model import Box, Query
from gisservice.query import select

corner = st.tuples(st.floats(-77.12, -76.98), st.floats(38.68, 38.92))


@given(st.one_of(st.none(), st.tuples(corner, corner)), st.integers(0, 400), st.integers(0, 400))
def test_a_page_is_the_slice_of_all_that_matches(triangles, ends, limit, offset):
    bbox = None
    matching = np.arange(triangles.count)
    if ends is not None:
        (x1, y1), (x2, y2) = ends
        bbox = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        matching = np.flatnonzero(shapely.intersects(triangles.shapes(matching), shapely.box(*bbox)))
    page = select(triangles, Query(limit, offset, box=None if bbox is None else Box(bbox)))
    assert page.rows.tolist() == matching[offset : offset + limit].tolist()
    assert page.number_matched == len(matching) and page.number_returned == len(page.rows)


def test_pages_follow_each_other_without_gap_or_overlap(triangles):
    bbox = (-77.08, 38.72, -77.02, 38.88)
    seen, offset = [], 0
    while offset is not None:
        page = select(triangles, Query(7, offset, box=Box(bbox)))
        seen += page.rows.tolist()
        offset = page.next_offset
    assert len(seen) == page.number_matched == len(set(seen)) and seen == sorted(seen)


@pytest.mark.parametrize("offset", [300, 10**12, 2**62])
@pytest.mark.parametrize("bbox", [None, (-78.0, 38.0, -76.0, 40.0)])
def test_beyond_the_last_item_the_page_is_empty_and_the_count_still_right(triangles, offset, bbox):
    page = select(triangles, Query(100, offset, box=None if bbox is None else Box(bbox)))
    assert page.rows.tolist() == [] and page.number_matched == 300 and page.next_offset is None


def test_a_box_between_a_features_box_and_its_shape_finds_nothing(triangles):
    row = 5
    _, _, maxx, maxy = triangles.boxes[row]
    bbox = (maxx - 1e-6, maxy - 1e-6, maxx, maxy)  # the empty half of the triangle's box
    sure, maybe = triangles.search(bbox)
    assert row in maybe and row not in sure
    assert row not in select(triangles, Query(300, box=Box(bbox))).rows
