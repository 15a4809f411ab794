"""Wide geometries: what a tile shows of them is what shapely cuts out of them."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from shapely.affinity import translate
from tile_factories import make_source

EXTENT, BUFFER = 4096, 64
ORIGIN = 100


def scattered(count: int) -> Any:
    """One multipolygon of small squares with holes, a few in each of many tiles, as a zoning district has lots."""
    lot = shapely.box(100, 100, 400, 400).difference(shapely.box(200, 200, 300, 300))
    step = EXTENT + 517
    places = [ORIGIN * EXTENT + i * step for i in range(count)]
    return shapely.MultiPolygon([translate(lot, x, y) for x in places for y in places])


def frame() -> Any:
    """One ring-shaped polygon around many tiles, whose hole spans most of them."""
    low, high = ORIGIN * EXTENT + 1000, (ORIGIN + 9) * EXTENT + 2000
    return shapely.box(low, low, high, high).difference(shapely.box(low + 700, low + 700, high - 700, high - 700))


@pytest.mark.parametrize("shape", [scattered(9), frame()], ids=["scattered", "frame"])
def test_each_tile_of_a_wide_polygon_shows_its_part_whole(build: Any, shape: Any) -> None:
    built = build(make_source([shape], z=14))
    tiles = built.addresses(14)
    for tile in tiles:
        left, top = tile.x * EXTENT, tile.y * EXTENT
        window = shapely.box(left - BUFFER, top - BUFFER, left + EXTENT + BUFFER, top + EXTENT + BUFFER)
        (feature,) = built.layer(tile).features
        expected = translate(shape.intersection(window), -left, -top)
        assert feature.geometry.is_valid and feature.geometry.symmetric_difference(expected).area == 0
    shown = {(tile.x, tile.y) for tile in tiles}
    for x in range(ORIGIN - 1, ORIGIN + 12):
        for y in range(ORIGIN - 1, ORIGIN + 12):
            box = shapely.box(x * EXTENT, y * EXTENT, (x + 1) * EXTENT, (y + 1) * EXTENT)
            assert (x, y) in shown or shape.intersection(box).area == 0
