"""Tile matrix sets against morecantile and PROJ."""

from __future__ import annotations

from typing import Any

import morecantile
import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.errors import TileMatrixSetNotFound, TileOutsideMatrix
from gisservice.tiles import EXTENT, TileCoord
from gisservice.tiles import grid as pyramid_grid
from gisservice.tiles.matrix import MATRIX_SETS, TileMatrixSet, matrix_set

ALEXANDRIA = (-77.1444, 38.7854, -77.0373, 38.8450)
GRIDS = list(MATRIX_SETS.values())
by_id = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.id)


def oracle(grid: TileMatrixSet) -> Any:
    return morecantile.TileMatrixSet.model_validate(grid.to_json())


@st.composite
def addresses(draw: st.DrawFn) -> tuple[TileMatrixSet, TileCoord]:
    grid = draw(st.sampled_from(GRIDS))
    matrix = grid.matrices[z := draw(st.integers(0, len(grid.matrices) - 1))]
    return grid, TileCoord(z, draw(st.integers(0, matrix.width - 1)), draw(st.integers(0, matrix.height - 1)))


@pytest.mark.parametrize("name", ["WebMercatorQuad", "WorldCRS84Quad"])
def test_a_registered_grid_is_what_the_register_says(name: str) -> None:
    ours, theirs = oracle(matrix_set(name)), morecantile.tms.get(name)
    assert (ours.id, ours.title, str(ours.uri), ours.crs.srs, ours.orderedAxes, str(ours.wellKnownScaleSet)) == (
        (theirs.id, theirs.title, str(theirs.uri), theirs.crs.srs, theirs.orderedAxes, str(theirs.wellKnownScaleSet))
    )
    for one, other in zip(ours.tileMatrices, theirs.tileMatrices, strict=True):
        close = {"cellSize", "scaleDenominator", "pointOfOrigin"}
        assert one.model_dump(exclude=close) == other.model_dump(exclude=close)
        for field in close:
            assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-11)


@by_id
def test_every_document_is_one_that_morecantile_reads(grid: TileMatrixSet) -> None:
    document = grid.to_json()
    read = oracle(grid)
    assert read.crs._pyproj_crs == grid.crs
    assert [matrix["id"] for matrix in document["tileMatrices"]] == [str(z) for z in range(len(grid.matrices))]
    assert document["boundingBox"]["crs"] == document["crs"]


@given(addresses())
def test_bounds_are_those_of_morecantile(address: tuple[TileMatrixSet, TileCoord]) -> None:
    grid, tile = address
    expected = oracle(grid).xy_bounds(morecantile.Tile(tile.x, tile.y, tile.z))
    assert grid.bounds(tile) == pytest.approx(tuple(expected), rel=1e-12, abs=1e-7)


@given(addresses(), st.sampled_from([0.0, 64.0]))
def test_the_box_in_degrees_holds_the_tile_and_its_bent_edges(
    address: tuple[TileMatrixSet, TileCoord], margin: float
) -> None:
    grid, tile = address
    west, south, east, north = grid.bounds(tile, margin)
    if grid.id != "VirginiaNorthFeet":  # the world ends there
        rim = grid.matrices[0].bounds
        west, south, east, north = max(west, rim[0]), max(south, rim[1]), min(east, rim[2]), min(north, rim[3])
    along = np.linspace(0, 1, 501)
    x, y = west + along * (east - west), south + along * (north - south)
    edges = [(x, np.full(501, south)), (x, np.full(501, north)), (np.full(501, west), y), (np.full(501, east), y)]
    lonlat = pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
    lon, lat = np.concatenate([lonlat.transform(*edge) for edge in edges], axis=1)
    left, bottom, right, top = grid.lonlat_bounds(tile, margin)
    unit = 180 / 4096 / 2 ** grid.pyramid_zoom(tile.z)  # half a level unit, and less
    slack = unit / 2 + 1e-12
    assert (lon >= left - slack).all() and (lon <= right + slack).all()
    assert (lat >= bottom - slack).all() and (lat <= top + slack).all()
    poles = grid.id == "WebMercatorQuad" and (top == 90 or bottom == -90)
    assert right - left <= lon.max() - lon.min() + 2 * slack
    assert top - bottom <= lat.max() - lat.min() + 2 * slack or poles


@given(st.integers(0, 24), st.floats(-180, 180), st.floats(-85, 85))
def test_positions_of_the_pyramids_grid_are_those_of_the_standards_formula(z: int, lon: float, lat: float) -> None:
    grid = matrix_set("WebMercatorQuad")
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True).transform(lon, lat)
    matrix = grid.matrices[z]
    expected = (x - matrix.origin[0]) / matrix.unit, (matrix.origin[1] - y) / matrix.unit
    assert grid.positions(np.array([[lon, lat]]), z)[0] == pytest.approx(expected, rel=1e-12, abs=1e-3)


def test_positions_in_feet_are_those_of_proj() -> None:
    grid = matrix_set("VirginiaNorthFeet")
    lonlat = np.random.default_rng(1).uniform((-80, 37.8), (-76.6, 39.4), (200, 2))
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2283", always_xy=True).transform(*lonlat.T)
    for z in (0, 9, 18):
        feet = grid.positions(lonlat, z) * grid.matrices[z].unit
        assert feet[:, 0] + 11_020_000 == pytest.approx(x, abs=1e-6)
        assert 7_230_000 - feet[:, 1] == pytest.approx(y, abs=1e-6)


def test_the_state_plane_grid_holds_what_its_system_is_made_for() -> None:
    grid = matrix_set("VirginiaNorthFeet")
    west, south, east, north = grid.crs.area_of_use.bounds
    box = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2283", always_xy=True).transform_bounds(
        west, south, east, north, densify_pts=101
    )
    left, bottom, right, top = grid.matrices[0].bounds
    assert left <= box[0] and bottom <= box[1] and box[2] <= right and box[3] <= top
    assert [matrix.cell_size for matrix in grid.matrices] == [2.0**power for power in range(12, -7, -1)]
    assert grid.matrices[-1].scale_denominator == pytest.approx(1 / 64 * 0.3048006096012192 / 0.00028)


@by_id
def test_the_matching_zoom_of_the_pyramid_is_just_finer(grid: TileMatrixSet) -> None:
    """Measured on the ground in the middle of the city, north-south and east-west."""
    geod = pyproj.Geod(ellps="WGS84")
    to_grid = pyproj.Transformer.from_crs("OGC:CRS84", grid.crs, always_xy=True)
    x, y = to_grid.transform(-77.09, 38.82)
    for z, matrix in enumerate(grid.matrices):
        unit = matrix.unit
        lon, lat = to_grid.transform([x, x + unit, x], [y, y, y + unit], direction="INVERSE")
        across, down = (geod.inv(lon[0], lat[0], lon[i], lat[i])[2] for i in (1, 2))
        pyramid = 2 * np.pi * 6378137 * np.cos(np.radians(38.82)) / (EXTENT << grid.pyramid_zoom(z))
        assert pyramid <= max(across, down) * 1.01
        assert 2 * pyramid > min(across, down) * 0.99


@by_id
def test_limits_are_the_tiles_that_the_box_touches(grid: TileMatrixSet) -> None:
    theirs = oracle(grid)
    zooms = range(8, len(grid.matrices))
    for limit, z in zip(grid.limits(ALEXANDRIA, zooms), zooms, strict=True):
        assert limit["tileMatrix"] == str(z)
        columns, rows = (limit["minTileCol"], limit["maxTileCol"]), (limit["minTileRow"], limit["maxTileRow"])
        corners = [theirs.tile(lon, lat, z) for lon in ALEXANDRIA[::2] for lat in ALEXANDRIA[1::2]]
        for tile in corners:
            assert columns[0] <= tile.x <= columns[1] and rows[0] <= tile.y <= rows[1]
        if grid.id != "VirginiaNorthFeet":  # boxes are not boxes there
            reach = 1  # by a buffer
            assert columns[0] >= min(t.x for t in corners) - reach and columns[1] <= max(t.x for t in corners) + reach
            assert rows[0] >= min(t.y for t in corners) - reach and rows[1] <= max(t.y for t in corners) + reach


@by_id
def test_limits_of_the_whole_world_are_the_whole_grid(grid: TileMatrixSet) -> None:
    for box in ((-180.0, -90.0, 180.0, 90.0), (170.0, -90.0, -170.0, 90.0)):
        for limit in grid.limits(box, range(len(grid.matrices))):
            matrix = grid.matrices[int(limit["tileMatrix"])]
            assert (limit["minTileCol"], limit["maxTileCol"]) == (0, matrix.width - 1)
            assert (limit["minTileRow"], limit["maxTileRow"]) == (0, matrix.height - 1)


def test_a_layer_outside_the_grid_has_no_limits() -> None:
    assert matrix_set("VirginiaNorthFeet").limits((2.2, 48.8, 2.4, 48.9), [0, 5]) == []
    assert matrix_set("WebMercatorQuad").limits((0, 86, 10, 88), [0, 5]) == []


@given(addresses())
def test_a_plain_address_is_read(address: tuple[TileMatrixSet, TileCoord]) -> None:
    grid, tile = address
    assert grid.parse_tile(*map(str, tile)) == tile


@by_id
@pytest.mark.parametrize("text", ["", "+1", "-1", "01", "1_0", "1.0", "1e1", "١", "nan", "9" * 400, "a"])
def test_anything_else_is_refused(grid: TileMatrixSet, text: str) -> None:
    for address in ((text, "0", "0"), ("5", text, "0"), ("5", "0", text)):
        with pytest.raises(TileOutsideMatrix) as refused:
            grid.parse_tile(*address)
        assert len(str(refused.value)) < 120


def test_addresses_outside_the_grid_are_refused() -> None:
    degrees = matrix_set("WorldCRS84Quad")
    assert degrees.parse_tile("0", "1", "0") == TileCoord(0, 1, 0)
    for address in (("0", "2", "0"), ("0", "0", "1"), ("24", "0", "0"), ("1", "0", "2"), ("3", "16", "0")):
        with pytest.raises(TileOutsideMatrix, match=r"WorldCRS84Quad has no"):
            degrees.parse_tile(*address)


def test_an_unknown_grid_is_told_with_those_there_are() -> None:
    with pytest.raises(TileMatrixSetNotFound, match=r"'Web'.*WebMercatorQuad, WorldCRS84Quad, VirginiaNorthFeet"):
        matrix_set("Web")
    with pytest.raises(TileMatrixSetNotFound) as refused:
        matrix_set("x" * 10_000)
    assert len(str(refused.value)) < 200


def test_the_grid_of_the_pyramids_is_the_grid_of_archives() -> None:
    grid = matrix_set("WebMercatorQuad")
    for tile in (TileCoord(14, 4681, 6271), TileCoord(16, 0, 65535)):
        west, south, east, north = grid.lonlat_bounds(tile)
        expected = pyramid_grid.bounds(tile)
        assert (west, east) == pytest.approx(expected[::2])
        assert south == pytest.approx(expected[1]) or tile.y == 65535
        assert north == pytest.approx(expected[3])
