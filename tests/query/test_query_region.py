"""Boxes of other systems against a scan of all geometries, and the polygon that a box becomes."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gisservice.catalog.index import as_rows, merged
from gisservice.errors import InvalidParameter, ReprojectionError
from gisservice.model import Box, Query
from gisservice.query import matching, page_of
from gisservice.query.region import bent_edges, parts_in
from gisservice.query.systems import check_systems, offered, system, way_to

AREA = (-77.1, 38.7, -77.0, 38.9)
CODES = ("EPSG:2283", "EPSG:26918", "EPSG:3857", "EPSG:4326", "EPSG:32618")


@given(st.sampled_from(CODES), st.tuples(*[st.floats(0, 1)] * 4))
def test_rows_in_a_box_are_those_a_scan_finds(triangles, code, shares):
    change = pyproj.Transformer.from_crs("OGC:CRS84", code, always_xy=True)
    minx, miny, maxx, maxy = change.transform_bounds(*AREA)
    x = sorted(minx + share * (maxx - minx) for share in shares[:2])
    y = sorted(miny + share * (maxy - miny) for share in shares[2:])
    box = (x[0], y[0], x[1], y[1])
    found = set(as_rows(merged(*parts_in(triangles, Box(box, code), AREA))).tolist())
    shapes = shapely.segmentize(triangles.shapes(np.arange(triangles.count)), 1e-4)
    moved = shapely.transform(shapes, lambda xy: np.column_stack(change.transform(xy[:, 0], xy[:, 1])))
    unit = 1e-8 if code == "EPSG:4326" else 1e-3
    distances = shapely.distance(moved, shapely.box(*box))
    inner = shapely.box(*box).buffer(-unit)
    surely = set(np.flatnonzero(shapely.intersects(moved, inner)).tolist())
    assert surely <= found <= set(np.flatnonzero(distances <= unit).tolist())


def test_edges_follow_the_box_to_a_tenth_of_a_millimetre():
    """The chord's middle against the true middle, a hundred times as dense."""
    for code in ("EPSG:2283", "EPSG:26918", "EPSG:3857"):
        change = pyproj.Transformer.from_crs("OGC:CRS84", code, always_xy=True)
        box = change.transform_bounds(-80.0, 36.0, -74.0, 41.0)
        for edge in bent_edges(box, way_to(code, AREA)):
            x, y = change.transform(edge[:, 0], edge[:, 1])
            middle = np.column_stack(change.transform(*((edge[1:] + edge[:-1]) / 2).T))
            true = np.column_stack([(x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2])
            metres = 0.3048 if code == "EPSG:2283" else 1.0
            assert np.abs(middle - true).max() * metres < 0.001


def test_a_box_without_a_place_on_earth_is_an_error(triangles):
    with pytest.raises(ReprojectionError):
        parts_in(triangles, Box((-1e12, -1e12, 1e12, 1e12), "EPSG:26918"), AREA)


def test_a_row_that_does_not_match_is_no_place_to_go_on_from(triangles):
    query = Query(5, box=Box((-77.08, 38.72, -77.06, 38.76)))
    selection = matching(triangles, query)
    outside = next(row for row in range(300) if selection.place(row) is None)
    with pytest.raises(InvalidParameter, match="'token'"):
        page_of(selection, Query(5, after=outside, box=query.box))


def test_systems_are_offered_once_and_in_order():
    codes = [found.code for found in offered("EPSG:2283", ("EPSG:4326", "EPSG:2283", "OGC:CRS84"), AREA)]
    assert codes == ["OGC:CRS84", "EPSG:2283", "EPSG:4326"]
    assert [found.code for found in offered("no code at all", ("EPSG:3857",), AREA)] == ["OGC:CRS84", "EPSG:3857"]
    assert system("EPSG:4326").north_first and not system("EPSG:2283").north_first


def test_a_system_that_does_not_exist_stops_the_start():
    from gisservice.errors import SettingsError

    check_systems(("EPSG:2283",))
    with pytest.raises(SettingsError, match="EPSG:999999"):
        check_systems(("EPSG:2283", "EPSG:999999"))
