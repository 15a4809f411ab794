"""Heights, slope, zones, views and floods against GDAL's programs, scipy, shapely and cases known by hand."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine
from scipy.ndimage import map_coordinates

from gisservice.analysis import (
    Ground,
    cover_shares,
    elevation,
    flood_area,
    flood_depth,
    profile,
    slope,
    to_geojson,
    viewshed,
    zonal,
)
from gisservice.analysis.sight import visible_cells
from gisservice.catalog.rasters import Raster
from gisservice.errors import InvalidParameter, LimitExceeded
from gisservice.model import RasterClass

METRES = "EPSG:26918"
LEFT, TOP, CELL = 500_000.0, 4_300_000.0, 10.0


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: gdal-bin)")
    return found


def ground_of(folder: Path, cells, *, crs=METRES, unit="metre", nodata=-9999.0, name="a.tif", **more) -> Ground:
    cells = np.asarray(cells, dtype="float32")
    transform = Affine(CELL, 0, LEFT, 0, -CELL, TOP)
    shape = {"count": 1, "height": cells.shape[0], "width": cells.shape[1], "dtype": "float32", "nodata": nodata}
    with rasterio.open(folder / name, "w", driver="GTiff", crs=crs, transform=transform, **shape) as file:
        file.write(cells, 1)
    return Ground(Raster(folder / name, name, {}, crs), unit, **more)


def at(*cells, crs=METRES):
    """Points at columns and rows of the raster, 0.5 being the middle of the first cell."""
    points = [shapely.Point(LEFT + column * CELL, TOP - row * CELL) for column, row in cells]
    return geopandas.GeoDataFrame(geometry=points, crs=crs)


def boxes(*sides):
    """Areas from column and row to column and row."""
    areas = [shapely.box(LEFT + a * CELL, TOP - d * CELL, LEFT + c * CELL, TOP - b * CELL) for a, b, c, d in sides]
    return geopandas.GeoDataFrame(geometry=areas, crs=METRES)


@pytest.fixture
def swiss(shared_data) -> tuple[Path, Ground]:
    path = shared_data / "raster" / "dem_swiss_2m5_epsg2056.tif"
    return path, Ground(Raster(path, path.name, {}, "EPSG:2056"), "metre")


# Heights


def test_nearest_heights_are_those_of_gdallocationinfo(swiss):
    path, ground = swiss
    left, bottom, right, top = ground.whole()
    xy = np.random.default_rng(3).uniform((left - 20, bottom - 20), (right + 20, top + 20), (200, 2))
    frame = geopandas.GeoDataFrame(geometry=shapely.points(xy), crs="EPSG:2056")
    found = elevation(frame, ground, method="nearest")
    text = "\n".join(f"{x} {y}" for x, y in xy)
    command = [needs("gdallocationinfo"), "-valonly", "-geoloc", str(path)]
    truth = subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout.splitlines()
    truth = [float(line) if line.strip() else math.nan for line in truth]
    truth = [math.nan if value == -9999 else value for value in truth]
    assert found.elevation.tolist() == pytest.approx(truth, rel=1e-6, nan_ok=True)
    outside = (xy[:, 0] < left) | (xy[:, 0] > right) | (xy[:, 1] < bottom) | (xy[:, 1] > top)
    assert (found.reason == "outside").tolist() == outside.tolist()


def test_bilinear_heights_are_those_of_scipy(tmp_path):
    cells = np.random.default_rng(4).uniform(0, 100, (30, 40)).astype("float32")
    ground = ground_of(tmp_path, cells)
    spots = np.random.default_rng(5).uniform((0.5, 0.5), (39.5, 29.5), (300, 2))
    found = elevation(at(*spots), ground).elevation
    truth = map_coordinates(cells.astype(float), [spots[:, 1] - 0.5, spots[:, 0] - 0.5], order=1, mode="nearest")
    assert found.tolist() == pytest.approx(truth.tolist(), rel=1e-9)


def test_heights_at_borders_holes_and_nowhere(tmp_path):
    cells = np.arange(12).reshape(3, 4).astype(float)
    cells[1, 2] = -9999
    ground = ground_of(tmp_path, cells)
    frame = at((0, 0), (4, 3), (0.5, 0.5), (2.5, 1.5), (2.0, 1.0), (1.5, 1.5), (-0.1, 1), (4, 0.5))
    frame.loc[len(frame)] = [shapely.Point()]
    found = elevation(frame, ground)
    assert found.elevation.tolist() == pytest.approx([0, 11, 0, *[math.nan] * 2, 5, math.nan, 3, math.nan], nan_ok=True)
    assert found.reason.fillna("").tolist() == ["", "", "", "no data", "no data", "", "outside", "", "no place"]
    assert found.attrs["answer"]["units"] == {"elevation": "metre"}
    assert elevation(frame.iloc[:2], ground, method="nearest").elevation.tolist() == [0, 11]
    with pytest.raises(InvalidParameter, match="bilinear or nearest"):
        elevation(frame, ground, method="cubic")
    assert len(elevation(frame.iloc[:0], ground)) == 0
    assert b'"elevation":null' in to_geojson(found)


def test_a_profile_of_a_plane_is_a_straight_line(tmp_path):
    row, column = np.mgrid[0:20, 0:20]
    ground = ground_of(tmp_path, 3 * column + 7 * row)
    line = shapely.LineString(np.array(shapely.get_coordinates(at((1, 1), (11, 6)).geometry)))
    found = profile(geopandas.GeoDataFrame(geometry=[line], crs=METRES, index=["A"]), ground, step_m=7)
    length = math.hypot(100, 50)
    assert found.distance_m.tolist() == pytest.approx([*np.arange(0, length, 7), length])
    share = found.distance_m / length
    assert found.elevation.tolist() == pytest.approx((3 * (0.5 + 10 * share) + 7 * (0.5 + 5 * share)).tolist())
    assert set(found.line) == {"A"}
    for step in (0, -1, math.nan, math.inf):
        with pytest.raises(InvalidParameter, match="metres above 0"):
            profile(geopandas.GeoDataFrame(geometry=[line], crs=METRES), ground, step_m=step)
    with pytest.raises(LimitExceeded, match="points"):
        profile(geopandas.GeoDataFrame(geometry=[line], crs=METRES), ground, step_m=1e-4)


def test_parts_of_a_line_follow_one_another(tmp_path):
    ground = ground_of(tmp_path, np.ones((20, 20)))
    parts = shapely.MultiLineString(
        [[(LEFT + 5, TOP - 5), (LEFT + 25, TOP - 5)], [(LEFT + 5, TOP - 25), (LEFT + 35, TOP - 25)]]
    )
    found = profile(geopandas.GeoDataFrame(geometry=[parts, None, parts], crs=METRES), ground, step_m=10)
    assert found.distance_m.tolist() == pytest.approx([0, 10, 20, 20, 30, 40, 50] * 2)
    assert found.line.tolist() == [0] * 7 + [2] * 7


def test_slope_is_that_of_gdaldem(swiss, tmp_path):
    path, ground = swiss
    out = tmp_path / "slope.tif"
    subprocess.run([needs("gdaldem"), "slope", str(path), str(out), "-p", "-q"], check=True)
    left, bottom, right, top = ground.whole()
    xy = np.random.default_rng(6).uniform((left, bottom), (right, top), (300, 2))
    found = slope(geopandas.GeoDataFrame(geometry=shapely.points(xy), crs="EPSG:2056"), ground)
    with rasterio.open(out) as file:
        truth = np.array([value[0] for value in file.sample(xy)], dtype=float)
        truth[truth == file.nodata] = math.nan
    assert found.slope_percent.tolist() == pytest.approx(truth.tolist(), rel=1e-3, abs=1e-3, nan_ok=True)


def test_slope_counts_heights_and_distances_in_one_unit(tmp_path):
    column = np.mgrid[0:9, 0:9][1]
    place = at((4.5, 4.5))
    for unit, metres in (("metre", 1), ("foot", 0.3048), ("US survey foot", 1200 / 3937)):
        ground = ground_of(tmp_path, column * 1.0, unit=unit)
        assert slope(place, ground).slope_percent.item() == pytest.approx(10 * metres)
    assert slope(at((4, 4), (0.5, 4)), ground).slope_percent.isna().tolist() == [False, True]
    with pytest.raises(InvalidParameter, match="declares the unit of its heights"):
        slope(place, ground_of(tmp_path, column, unit=None))


def test_a_raster_in_degrees_is_refused_where_distances_count(tmp_path, shared_data):
    path = shared_data / "raster" / "dem_rmnp_4326.tif"
    ground = Ground(Raster(path, path.name, {}, "EPSG:4326"), "metre")
    left, bottom, right, top = ground.whole()
    place = geopandas.GeoDataFrame(geometry=[shapely.Point((left + right) / 2, (bottom + top) / 2)], crs="EPSG:4326")
    assert elevation(place, ground).elevation.item() > 1000
    for ask in (
        lambda: slope(place, ground),
        lambda: viewshed(place, ground, radius_m=100),
        lambda: flood_depth(place, ground, stage_feet=5),
        lambda: profile(place, ground),
    ):
        with pytest.raises(InvalidParameter, match="projected system"):
            ask()


# Zones


def test_shares_of_cells_are_exact(tmp_path):
    ground = ground_of(tmp_path, [[1, 2, 3], [4, 5, 6], [7, 8, -9999]])
    found = zonal(
        boxes((0.5, 0.5, 2, 1.5), (2, 2, 3, 3), (5, 5, 6, 6), (1.25, 0, 1.5, 1)), ground, percentiles=[0, 50, 100]
    )
    weights = {1: 0.25, 2: 0.5, 4: 0.25, 5: 0.5}
    total = sum(value * weight for value, weight in weights.items())
    first = found.iloc[0]
    assert first.cells == pytest.approx(1.5)
    assert first["sum"] == pytest.approx(total)
    assert first["mean"] == pytest.approx(total / 1.5)
    assert (first["min"], first["max"], first.p0, first.p50, first.p100) == (1, 5, 1, 2, 5)
    assert first.covered_percent == pytest.approx(100)
    assert found.cells.tolist() == pytest.approx([1.5, 0, 0, 0.25])
    assert found["mean"].isna().tolist() == [False, True, True, False]
    assert found.p50.tolist() == pytest.approx([2, math.nan, math.nan, 2], nan_ok=True)
    assert found.covered_percent.tolist() == pytest.approx([100, 0, 0, 100])
    assert found.attrs["answer"]["units"]["mean"] == "metre"


def test_zones_of_any_shape_are_those_of_shapely(tmp_path):
    """Each cell cut with each area by GEOS, for areas with holes, parts, crossings and no data beside them."""
    random = np.random.default_rng(8)
    cells = random.integers(0, 9, (24, 30)).astype(float)
    cells[random.random(cells.shape) < 0.1] = -9999
    ground = ground_of(tmp_path, cells)
    shapes = [
        shapely.Point(LEFT + x, TOP - y)
        .buffer(r)
        .symmetric_difference(shapely.box(LEFT + x, TOP - y, LEFT + x + w, TOP - y + 40))
        for x, y, r, w in random.uniform((0, 0, 1, 1), (300, 240, 60, 90), (30, 4))
    ]
    shapes.append(shapely.Polygon([(LEFT, TOP), (LEFT + 80, TOP - 80), (LEFT + 80, TOP), (LEFT, TOP - 80)]))
    areas = geopandas.GeoDataFrame(geometry=[*shapes, None, shapely.Polygon(), shapes[0]], crs=METRES)
    found = zonal(areas, ground, percentiles=[25])
    row, column = np.mgrid[0:24, 0:30]
    squares = shapely.box(LEFT + column * CELL, TOP - (row + 1) * CELL, LEFT + (column + 1) * CELL, TOP - row * CELL)
    for number, shape in enumerate(areas.geometry):
        whole = shapely.make_valid(shape) if shape is not None else shapely.Polygon()
        share = shapely.area(shapely.intersection(squares, whole)) / CELL**2
        share[cells == -9999] = 0
        one = found.iloc[number]
        assert one.cells == pytest.approx(share.sum(), abs=1e-4)
        if share.sum() > 1e-3:
            assert one["mean"] == pytest.approx((share * cells).sum() / share.sum(), rel=1e-4)
            assert one["max"] == cells[share > 1e-6].max()
    twice = found.iloc[[0, -1]].drop(columns="geometry")
    assert twice.iloc[0].equals(twice.iloc[1])


def test_cover_is_told_by_class(tmp_path):
    classes = (RasterClass(1, "Water", "#0000ff"), RasterClass(2, "Trees", "#00ff00"), RasterClass(9, "Ice", "#ffffff"))
    ground = ground_of(tmp_path, [[1, 1], [2, -9999]], unit=None, classes=classes)
    found = cover_shares(boxes((0, 0, 2, 2), (0, 0.5, 1, 2), (7, 7, 8, 8)), ground)
    assert found.percent_1.tolist() == pytest.approx([200 / 3, 100 / 3, math.nan], nan_ok=True)
    assert found.percent_2.tolist() == pytest.approx([100 / 3, 200 / 3, math.nan], nan_ok=True)
    assert found.percent_9.tolist() == pytest.approx([0, 0, math.nan], nan_ok=True)
    assert found.covered_percent.tolist() == pytest.approx([75, 100, 0])
    assert "2 Trees" in found.attrs["answer"]["method"]
    with pytest.raises(InvalidParameter, match="whole codes"):
        cover_shares(boxes((0, 0, 2, 2)), ground_of(tmp_path, [[1.5, 1], [2, 3]], name="b.tif"))


def test_zones_that_are_none_are_refused(tmp_path):
    ground = ground_of(tmp_path, [[1, 2], [3, 4]])
    with pytest.raises(InvalidParameter, match="points or lines"):
        zonal(at((1, 1)), ground)
    for rank in (-1, 101, math.nan, True):
        with pytest.raises(InvalidParameter, match="percentiles"):
            zonal(boxes((0, 0, 1, 1)), ground, percentiles=[rank])
    assert len(zonal(boxes((0, 0, 1, 1)).iloc[:0], ground)) == 0


# Views


@pytest.mark.parametrize(("eyes", "target", "place"), [(1.7, 0, (200, 180)), (30, 2, (35, 300)), (10, 0, (399, 0))])
def test_what_is_seen_is_what_gdal_viewshed_sees(swiss, tmp_path, eyes, target, place):
    path, ground = swiss
    with rasterio.open(path) as file:
        heights = file.read(1).astype(float)
        x, y = file.xy(place[1], place[0])
    heights[heights == -9999] = math.nan
    out = tmp_path / "seen.tif"
    command = [
        needs("gdal_viewshed"),
        "-md",
        "0",
        "-ox",
        f"{x}",
        "-oy",
        f"{y}",
        "-oz",
        f"{eyes}",
        "-tz",
        f"{target}",
        "-q",
    ]
    subprocess.run([*command, "-cc", "0.857142857", str(path), str(out)], check=True)
    with rasterio.open(out) as file:
        truth = file.read(1) == 255
        left, top = file.transform.c, file.transform.f
    with rasterio.open(path) as file:
        column, row = (round(part) for part in ~file.transform @ (left, top))
    window = np.s_[row : row + truth.shape[0], column : column + truth.shape[1]]
    every = np.mgrid[0:400, 0:400]
    away = np.hypot(*(every - np.array([place[1], place[0]])[:, None, None])) * ground.cell[0]
    seen = visible_cells(heights, away, place[1], place[0], eyes, target)[window]
    known = ~np.isnan(heights[window])
    different = (seen != truth) & known
    print(f"{different.sum()} of {known.sum()} cells differ from gdal_viewshed")
    assert different.sum() <= 0.005 * known.sum()


def test_a_wall_hides_what_is_behind_it(tmp_path):
    cells = np.zeros((41, 41))
    cells[:, 30] = 50
    ground = ground_of(tmp_path, cells)
    found = viewshed(at((20.5, 20.5)), ground, radius_m=150, observer_height_m=2)
    hidden = at((33.5, 20.5), (32.5, 25.5)).geometry
    seen = at((10.5, 20.5), (30.5, 20.5), (29.5, 24.5)).geometry
    area = found.geometry.item()
    assert not any(area.covers(point) for point in hidden)
    assert all(area.covers(point) for point in seen)
    assert found.visible_acres.item() == pytest.approx(area.area / 4046.8564224)
    assert 50 < found.visible_percent.item() < 95
    assert viewshed(at((20.5, 20.5)), ground, radius_m=150, observer_height_m=200).visible_percent.item() > 90


def test_views_from_nowhere_and_of_impossible_size(tmp_path):
    ground = ground_of(tmp_path, [[1.0, -9999], [1, 1]])
    found = viewshed(at((1.5, 0.5), (9, 9), (0.5, 0.5)), ground, radius_m=10)
    assert found.reason.fillna("").tolist() == ["no ground", "no ground", ""]
    assert found.geometry.is_empty.tolist() == [True, True, False]
    assert len(viewshed(at((0, 0)).iloc[:0], ground, radius_m=10)) == 0
    for radius in (0, -1, math.nan, math.inf, 1e9, True):
        with pytest.raises(InvalidParameter, match="radius_m"):
            viewshed(at((0.5, 0.5)), ground, radius_m=radius)
    with pytest.raises(InvalidParameter, match="observer_height_m"):
        viewshed(at((0.5, 0.5)), ground, radius_m=5, observer_height_m=-1)
    with pytest.raises(LimitExceeded, match="observers"):
        viewshed(at(*[(0.5, 0.5)] * 51), ground, radius_m=5)


# Floods

VALLEY = [
    [9, 9, 9, 9, 9, 9],
    [0, 1, 9, 0, 1, 9],
    [0, 2, 9, 0, 2, 9],
    [9, 9, 9, 9, 9, 9],
]
"""Two hollows with a ridge between them."""


def test_water_stands_level_in_every_hollow_or_only_where_it_comes_from(tmp_path):
    ground = ground_of(tmp_path, VALLEY, unit="foot")
    river = boxes((0.1, 1.1, 0.4, 1.4))
    homes = boxes((0, 1, 2, 3), (3, 1, 5, 3), (0, 0, 6, 1), (20, 20, 21, 21))
    every = flood_depth(homes, ground, stage_feet=2)
    assert every.wet_percent.tolist() == pytest.approx([75, 75, 0, math.nan], nan_ok=True)
    assert every.mean_depth_feet.tolist() == pytest.approx([5 / 3, 5 / 3, math.nan, math.nan], nan_ok=True)
    assert every.max_depth_feet.tolist() == pytest.approx([2, 2, math.nan, math.nan], nan_ok=True)
    reached = flood_depth(homes, ground, stage_feet=2, source=river)
    assert reached.wet_percent.tolist() == pytest.approx([75, 0, 0, math.nan], nan_ok=True)
    over = flood_depth(homes, ground, stage_feet=9.5, source=river)
    assert over.wet_percent.tolist() == pytest.approx([100, 100, 100, math.nan], nan_ok=True)


def test_the_flooded_ground_is_told_by_depth(tmp_path):
    ground = ground_of(tmp_path, VALLEY, unit="foot")
    found = flood_area(ground, stage_feet=2, source=boxes((0.1, 1.1, 0.4, 1.4)))
    assert found.from_feet.tolist() == [0, 1]
    assert found.area.tolist() == pytest.approx([100, 200])
    assert found.acres.tolist() == pytest.approx([100 / 4046.8564224, 200 / 4046.8564224])
    assert flood_area(ground, stage_feet=2).area.sum() == pytest.approx(600)
    assert len(flood_area(ground, stage_feet=-5)) == 0
    assert flood_area(ground, stage_feet=10, within=boxes((0, 0, 1, 1))).area.sum() == pytest.approx(100)
    metres = ground_of(tmp_path, VALLEY, unit="metre", name="m.tif")
    assert flood_area(metres, stage_feet=2 / 0.3048).area.sum() == pytest.approx(600)


def test_a_source_without_heights_carries_water_on(tmp_path):
    ground = ground_of(tmp_path, [[1, -9999, 1], [9, 9, 9], [1, 1, 1]], unit="foot")
    found = flood_depth(
        boxes((0, 0, 1, 1), (2, 0, 3, 1), (0, 2, 3, 3)), ground, stage_feet=3, source=boxes((1, 0, 2, 1))
    )
    assert found.wet_percent.tolist() == pytest.approx([100, 100, 0])


def test_stages_and_frames_that_are_none(tmp_path):
    ground = ground_of(tmp_path, VALLEY, unit="foot")
    for stage in (math.nan, math.inf, 1e6, True):
        with pytest.raises(InvalidParameter, match="stage_feet"):
            flood_depth(boxes((0, 0, 1, 1)), ground, stage_feet=stage)
    nothing = boxes((0, 0, 1, 1)).iloc[:0]
    assert len(flood_depth(nothing, ground, stage_feet=3)) == 0
    assert flood_depth(boxes((0, 1, 1, 2)), ground, stage_feet=3, source=nothing).wet_percent.item() == 0
