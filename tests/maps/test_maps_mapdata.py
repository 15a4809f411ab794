"""What the browser is told of a map."""

from __future__ import annotations

from dataclasses import replace

import pytest
from page_factories import BBOX, make_site, make_view

from gisservice.maps.mapdata import map_data, start_view
from gisservice.model import Extent, GeometryKind, MapDeclaration

PLACED = MapDeclaration("m", "M", "", (), (-77.0, 38.8), 14)


def test_a_declared_place_is_where_a_map_begins() -> None:
    assert start_view((make_view(),), PLACED) == (-77.0, 38.8, 14)
    assert map_data(make_site(), (make_view(),), PLACED)["view"] == {"bounds": None, "mark": None}


def test_without_a_place_the_map_fits_its_layers() -> None:
    far = replace(make_view("far"), extent=Extent((-77.2, 38.7, -77.1, 38.8)))
    assert map_data(make_site(), (make_view(), far), None)["view"] == {
        "bounds": (-77.2, 38.7, BBOX[2], BBOX[3]),
        "mark": None,
    }
    longitude, latitude, _ = start_view((make_view(),), None)
    assert (longitude, latitude) == pytest.approx(((BBOX[0] + BBOX[2]) / 2, (BBOX[1] + BBOX[3]) / 2))


def test_a_place_without_zoom_still_fits_the_layers() -> None:
    declaration = replace(PLACED, zoom=None)
    assert start_view((make_view(),), declaration) == (-77.0, 38.8, 13)
    assert map_data(make_site(), (make_view(),), declaration)["view"]["bounds"] == BBOX


def test_a_map_of_nothing_has_a_view() -> None:
    assert start_view((), None) == (0.0, 0.0, 13)
    data = map_data(make_site(), (), None)
    assert data["view"] == {"bounds": None, "mark": None} and data["layers"] == []


def test_crowding_is_the_root_of_area_over_count() -> None:
    """One degree of latitude is 111.32 km; at the equator a degree square with 10,000 features has one per 1.1 km."""
    view = replace(make_view(), extent=Extent((0.0, -0.5, 1.0, 0.5)), count=10_000)
    assert map_data(make_site(), (view,), None)["layers"][0]["spacing_m"] == pytest.approx(1113.2)


@pytest.mark.parametrize("change", [{"extent": None}, {"count": 0}, {"extent": Extent((1.0, 1.0, 1.0, 1.0))}])
def test_empty_and_single_layers_have_a_finite_crowding(change: dict) -> None:
    spacing = map_data(make_site(), (replace(make_view(), **change),), None)["layers"][0]["spacing_m"]
    assert 0 < spacing < 1e6


def test_a_raster_has_no_vector_tiles() -> None:
    layer = map_data(make_site(), (replace(make_view(), kind=GeometryKind.RASTER),), None)["layers"][0]
    assert layer["tiles"] is None


def test_tiles_are_those_of_one_version() -> None:
    tiles = map_data(make_site(), (make_view(),), None)["layers"][0]["tiles"]
    assert tiles == {
        "url": "/tiles/parcels/v-0123456789abcdef/{z}/{x}/{y}.mvt",
        "name": "parcels",
        "minzoom": 11,
        "maxzoom": 16,
        "bounds": BBOX,
    }
