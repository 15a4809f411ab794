from __future__ import annotations

import morecantile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pmtiles.tile import tileid_to_zxy, zxy_to_tileid

from gisservice.errors import TileOutsideMatrix
from gisservice.tiles import TileCoord, parse_tile
from gisservice.tiles.grid import bounds, quantise, tile_id, tile_ids, tile_of_id

WEB_MERCATOR = morecantile.tms.get("WebMercatorQuad")


@st.composite
def tiles(draw: st.DrawFn, zoom_max: int = 26) -> TileCoord:
    z = draw(st.integers(0, zoom_max))
    return TileCoord(z, draw(st.integers(0, 2**z - 1)), draw(st.integers(0, 2**z - 1)))


@given(tiles())
def test_places_are_those_of_the_pmtiles_package(tile: TileCoord) -> None:
    place = zxy_to_tileid(*tile)
    assert tile_id(tile) == place
    assert tile_of_id(place) == tile == tileid_to_zxy(place)
    assert tile_ids(tile.z, np.array([tile.x]), np.array([tile.y])).tolist() == [place]


def test_every_tile_of_the_first_zooms_has_its_place() -> None:
    for z in range(7):
        x, y = (axis.ravel() for axis in np.meshgrid(np.arange(2**z), np.arange(2**z)))
        expected = [zxy_to_tileid(z, a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        assert tile_ids(z, x, y).tolist() == expected


@given(tiles(24))
def test_bounds_are_those_of_morecantile(tile: TileCoord) -> None:
    expected = WEB_MERCATOR.bounds(morecantile.Tile(tile.x, tile.y, tile.z))
    assert bounds(tile) == pytest.approx(tuple(expected), abs=1e-9)


@given(tiles(30))
def test_a_plain_address_is_read(tile: TileCoord) -> None:
    assert parse_tile(*map(str, tile)) == tile


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", "-1", "01", "00", "1_0", "1.0", "1e1", "0x1", "١", "²", "nan", "9" * 400, "\n1", "1\x00"],
)
def test_anything_else_is_refused(text: str) -> None:
    for address in ((text, "0", "0"), ("5", text, "0"), ("5", "0", text)):
        with pytest.raises(TileOutsideMatrix) as refused:
            parse_tile(*address)
        assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    "address", [("31", "0", "0"), ("0", "1", "0"), ("0", "0", "1"), ("3", "8", "0"), ("3", "0", "8")]
)
def test_addresses_outside_the_grid_are_refused(address: tuple[str, str, str]) -> None:
    with pytest.raises(TileOutsideMatrix, match="less than 2"):
        parse_tile(*address)


def test_halves_are_rounded_upward_at_every_zoom() -> None:
    steps = np.array([0, 7, 8, 9, 23, 24, 25, 2**32 - 1], dtype=np.uint32)
    assert quantise(steps, 16).tolist() == [0, 0, 1, 1, 1, 2, 2, 2**28]
    assert quantise(steps, 20).tolist() == steps.tolist()
    for z in range(21):
        expected = np.floor(steps.astype(np.float64) / 2 ** (20 - z) + 0.5)
        assert quantise(steps, z).tolist() == expected.tolist()
