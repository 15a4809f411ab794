"""Contours: at the right heights, on the right places, meeting at the edges of tiles."""

from __future__ import annotations

import mapbox_vector_tile
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from gisservice.catalog.rasters import Raster
from gisservice.errors import LimitExceeded
from gisservice.tiles.contours import contour_tile, contours
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterwarp import Pixels, Resampling, Warp


def test_a_cone_has_circles():
    y, x = np.mgrid[0:101, 0:101]
    heights = (100 - np.hypot(x - 50, y - 50)).astype("float32")[np.newaxis]
    found = dict(contours(Pixels(heights, None), 10.0))
    for number in (6, 7, 8, 9):
        (line,) = found[number]
        radius = 100 - number * 10
        at = shapely.get_coordinates(line) - 50
        assert shapely.is_closed(line)
        assert np.hypot(*at.T) == pytest.approx(radius, abs=0.05)
        assert shapely.length(line) == pytest.approx(2 * np.pi * radius, rel=0.01)


def test_a_plane_has_straight_lines_where_its_height_is():
    y, x = np.mgrid[0:40, 0:60]
    found = dict(contours(Pixels((2.0 * x + 0 * y).astype("float32")[np.newaxis], None), 25.0))
    assert sorted(found) == [1, 2, 3, 4]
    for number, lines in found.items():
        assert shapely.get_coordinates(lines)[:, 0] == pytest.approx(number * 12.5)


def test_every_line_runs_between_higher_and_lower_ground():
    """On noise, with saddles and holes: heights interpolated along a line are its own, and lines end only at rims."""
    heights = np.random.default_rng(4).uniform(0, 10, (1, 50, 50)).astype("float32")
    shown = np.ones((50, 50), dtype=bool)
    shown[20:24, 30:33] = False
    for number, lines in contours(Pixels(heights, shown), 2.5):
        at = shapely.get_coordinates(lines)
        low = np.floor(at).astype(int)
        share = at - low
        high = np.minimum(low + 1, 49)
        cell = heights[0].astype(float)
        value = (
            cell[low[:, 1], low[:, 0]] * (1 - share[:, 0]) * (1 - share[:, 1])
            + cell[low[:, 1], high[:, 0]] * share[:, 0] * (1 - share[:, 1])
            + cell[high[:, 1], low[:, 0]] * (1 - share[:, 0]) * share[:, 1]
            + cell[high[:, 1], high[:, 0]] * share[:, 0] * share[:, 1]
        )
        assert value == pytest.approx(number * 2.5, abs=1e-4)
        open_lines = [line for line in lines if not line.is_closed]
        ends = np.array([line.coords[k] for line in open_lines for k in (0, -1)])
        rim = (ends == 0).any(axis=1) | (ends == 49).any(axis=1)
        hole = (ends[:, 0] >= 29) & (ends[:, 0] <= 33) & (ends[:, 1] >= 19) & (ends[:, 1] <= 24)
        counts = np.unique(ends[~(rim | hole)], axis=0, return_counts=True)[1]
        assert (counts > 1).all()  # where two saddles touch, merging leaves four ends at one place


@pytest.fixture(scope="module")
def warp(tmp_path_factory: pytest.TempPathFactory) -> Warp:
    y, x = np.mgrid[0:600, 0:600]
    cells = (50 + 40 * np.sin(x / 37) * np.cos(y / 51)).astype("float32")
    path = tmp_path_factory.mktemp("dem") / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=600, height=600, count=1, dtype="float32", crs="EPSG:2283",
        transform=Affine(10.0, 0.0, 11_885_000.0, 0.0, -10.0, 6_985_000.0),
    ) as file:  # fmt: skip
        file.write(cells, 1)
    return Warp(Raster(path, "a", {}, "EPSG:2283"), WEB_MERCATOR_QUAD)


def decoded(warp: Warp, z: int, x: int, y: int) -> dict[float, list]:
    data = contour_tile(warp, z, x, y, 1, Resampling.BILINEAR, 5.0)
    layer = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})["contours"]
    return {f["properties"]["elevation"]: shapely.geometry.shape(f["geometry"]) for f in layer["features"]}


def test_lines_of_neighbouring_tiles_meet_to_the_unit(warp: Warp):
    z = 15
    reach = warp.reach(z, 256)
    left, top = reach.column // 256 + 1, reach.row // 256 + 1
    seam = shapely.LineString([(4096, 0), (4096, 4096)])
    pairs = 0
    for row in (top, top + 1):
        west, east = decoded(warp, z, left, row), decoded(warp, z, left + 1, row)
        for height in set(west) & set(east):
            here = shapely.intersection(west[height], shapely.box(4040, 0, 4150, 4096))
            there = shapely.intersection(shapely.transform(east[height], lambda xy: xy + [4096, 0]),  # noqa: RUF005
                                         shapely.box(4040, 0, 4150, 4096))  # fmt: skip
            crossing = shapely.intersection(here, seam), shapely.intersection(there, seam)
            assert shapely.equals(*crossing)
            pairs += len(shapely.get_coordinates(crossing[0]))
    assert pairs > 8


def test_index_contours_are_every_fifth(warp: Warp):
    reach = warp.reach(14, 256)
    data = contour_tile(warp, 14, reach.column // 256 + 1, reach.row // 256 + 1, 1, Resampling.BILINEAR, 2.0)
    layer = mapbox_vector_tile.decode(data)["contours"]
    for feature in layer["features"]:
        assert feature["properties"]["index"] == (round(feature["properties"]["elevation"] / 2) % 5 == 0)


def test_too_many_heights_are_refused(warp: Warp):
    reach = warp.reach(13, 256)
    with pytest.raises(LimitExceeded, match="heights"):
        contour_tile(warp, 13, reach.column // 256, reach.row // 256, 1, Resampling.BILINEAR, 0.01)
