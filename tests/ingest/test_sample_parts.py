"""The sample city's parts, each on a small case of its own."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
import shapely.affinity
from hypothesis import given
from hypothesis import strategies as st

from gisservice.ingest.sample import courses, districts, flaws, places
from gisservice.ingest.sample.blocks import nearest_seed, seeds_of
from gisservice.ingest.sample.ground import Road, read_ground, to_grid, water_shapes
from gisservice.ingest.sample.lots import _cuts_of, _faces, _without_scraps
from gisservice.ingest.sample.nature import _bilinear, random_points
from gisservice.ingest.sample.people import unit_names
from gisservice.ingest.sample.plane import area, generator, positions, to_lonlat
from gisservice.ingest.sample.streets import _chains, _hundreds, _walk, node_lines
from gisservice.ingest.sample.subdivision import Subdivision, box_of, cut_at
from gisservice.ingest.sample.write import write_csv, write_geojson, write_geopackage, write_shapefile
from gisservice.ingest.sample.zones import dissolve


def _table(shapes: list[shapely.Geometry]) -> pd.DataFrame:
    return pd.DataFrame(
        {"ID": [f"x{number}" for number in range(len(shapes))], "N": range(len(shapes)), "geometry": shapes}
    )


SQUARE = shapely.box(11_880_000, 6_980_000, 11_880_100, 6_980_100)


# facts


def test_positions_are_ten_thousandths_of_a_degree() -> None:
    assert np.allclose(
        to_lonlat(positions("470,8051 1438,8107")), [[-77.0470, 38.8051], [-77.1438, 38.8107]], atol=1e-9
    )


def test_outline_is_fine_enough_and_sound() -> None:
    outline = area(places.BOUNDARY)
    assert outline.is_valid and shapely.get_num_coordinates(outline) > 80


def test_stations_and_facilities_lie_in_the_city() -> None:
    city = area(places.BOUNDARY)
    facts = [*places.STATIONS, *places.LIBRARIES, *places.FIRE_STATIONS, *places.SCHOOLS]
    assert all(city.contains(shapely.Point(positions(fact.position)[0])) for fact in facts)


def test_sites_do_not_overlap() -> None:
    sites = read_ground().sites
    pairs = shapely.STRtree(sites).query(sites, predicate="intersects")
    shared = shapely.area(shapely.intersection(sites[pairs[0]], sites[pairs[1]]))
    assert (shared[pairs[0] != pairs[1]] < 1e-3).all()
    assert all(shape.is_valid for _, _, shape in water_shapes(read_ground()))


def test_seeds_name_known_zones_and_plans() -> None:
    assert set(districts.ZONE_SEEDS) <= set(districts.ZONES)
    assert len(districts.PLAN_SEEDS) == 18
    assert {site.zone for site in places.SITES} <= set(districts.ZONES)
    schools = {school.name for school in places.SCHOOLS}
    assert set(districts.MIDDLE_SCHOOL_OF) <= schools
    assert {name for feeders in districts.MIDDLE_SCHOOL_OF.values() for name in feeders} <= schools


def test_split_streets_name_a_street_that_exists() -> None:
    facts = [*courses.MAIN_ROADS, *courses.AVENUES]
    names = {fact.name for fact in facts}
    assert {fact.split for fact in facts} - {""} <= names
    assert {street for _, street in courses.INTERCHANGES} <= names


def test_king_street_crosses_the_grid_where_it_should() -> None:
    king = next(road.line for road in read_ground().roads if road.name == "King St")
    for east in (-2165, -967, -20, 945):
        assert king.distance(shapely.Point(to_grid(np.array([[east, 0.0]]))[0])) < 60


# random numbers


def test_topics_have_their_own_random_numbers() -> None:
    assert generator(1, "a").random() == generator(1, "a").random()
    assert len({generator(seed, topic).random() for seed in (1, 2) for topic in ("a", "b")}) == 4


# streets


def test_nodes_are_made_and_overhangs_and_islands_left_out() -> None:
    lines = [[(0, 0), (1000, 0)], [(500, -400), (500, 60)], [(5000, 5000), (5500, 5000)]]
    segments, origin = node_lines([Road("", "LOCAL", shapely.LineString(line)) for line in lines])
    assert sorted(origin.tolist()) == [0, 0, 1]
    assert sorted(shapely.length(segments).tolist()) == [400, 500, 500]


def test_segments_that_go_straight_on_are_one_chain() -> None:
    lines = [[(0, 0), (100, 0)], [(100, 0), (200, 10)], [(100, 0), (100, 90)], [(200, 10), (200, 100)]]
    chain = _chains(np.array([shapely.LineString(line) for line in lines], dtype=object))
    assert chain[0] == chain[1] and len(set(chain.tolist())) == 3


def test_a_street_is_walked_from_its_least_base() -> None:
    assert _walk([2, 1, 7], [3, 2, 8], [100, 100, 50]) == [2, 1, 0]


@given(st.lists(st.floats(20, 3000), min_size=1, max_size=30), st.sampled_from([1, 100, 3600]))
def test_house_numbers_grow_along_a_street(lengths: list[float], base: int) -> None:
    low, high = _hundreds(np.array(lengths), base)
    assert (high > low).all() and low[0] == base
    assert (low[1:] >= high[:-1] - 1e-9).all()
    breaks = low[1:][low[1:] > high[:-1] + 1e-9]
    assert (breaks % 100 == 0).all()


def test_a_line_is_cut_without_loss() -> None:
    line = shapely.LineString([(0, 0), (100, 0), (100, 100)])
    first, rest = cut_at(line, 130)
    assert first.length == pytest.approx(130) and rest.length == pytest.approx(70)
    assert first.coords[-1] == rest.coords[0]


# subdivision


def _divided(zone: str, outline: shapely.Polygon, barriers: list[shapely.Geometry]) -> Subdivision:
    lines = np.array([shapely.LineString([(-9e5, -9e5), (-9e5, -8e5)]), *barriers], dtype=object)
    subdivision = Subdivision(lines, lambda _: zone, generator(7, "test"))
    subdivision.divide(np.array([outline], dtype=object))
    return subdivision


@pytest.mark.parametrize("zone", ["R-8", "RM", "RC"])
def test_land_is_cut_into_blocks_of_the_size_wanted(zone: str) -> None:
    outline = shapely.box(0, 0, 3000, 2000)
    subdivision = _divided(zone, outline, [])
    lines = [outline.boundary, *subdivision.streets, *subdivision.seams]
    blocks = shapely.get_parts(shapely.polygonize([shapely.union_all(lines, grid_size=0.01)]))
    assert shapely.area(blocks).sum() == pytest.approx(6e6)
    sides = np.array([box_of(block)[3:] for block in blocks])
    assert np.median(sides[:, 0]) < 1.5 * districts.ZONES[zone].block_long
    assert len(subdivision.streets) > 3


def test_no_street_touches_a_barrier() -> None:
    rail = shapely.LineString([(0, 0), (3000, 0)])
    subdivision = _divided("R-8", shapely.box(0, 0, 3000, 2000), [rail])
    assert min(rail.distance(street) for street in subdivision.streets) > 50


def test_a_park_inside_is_gone_around() -> None:
    park = shapely.box(1300, 800, 1700, 1200)
    outline = shapely.box(0, 0, 3000, 2000).difference(park)
    subdivision = _divided("R-8", outline, [park.boundary])
    assert len(subdivision.streets) > 10
    assert not any(park.buffer(-1).intersects(street) for street in subdivision.streets)


# lots


@pytest.mark.parametrize("zone", ["R-20", "R-2-5", "RM", "I"])
def test_lots_cover_their_block_and_share_borders(zone: str) -> None:
    land = np.array([shapely.box(0, 0, 620, 240), shapely.Polygon([(620, 0), (900, 40), (880, 300), (620, 240)])])
    cuts = [_cuts_of(block, districts.ZONES[zone], generator(3, zone)) for block in land]
    lots, block = _faces(land, cuts)
    assert shapely.coverage_is_valid(lots)
    assert shapely.area(lots).sum() == pytest.approx(shapely.area(land).sum(), rel=1e-4)
    assert set(block.tolist()) == {0, 1}


def test_scraps_join_the_neighbour_they_share_most_with() -> None:
    faces = np.array([shapely.box(0, 0, 100, 100), shapely.box(100, 0, 110, 100), shapely.box(110, 40, 200, 60)])
    lots, block, now = _without_scraps(faces, np.zeros(3, dtype=int), np.full(3, 1500.0))
    assert now.tolist() == [0, 0, 1] and block.tolist() == [0, 0]
    assert shapely.area(lots).tolist() == [11_000, 1_800]


def test_units_are_eight_to_a_floor() -> None:
    assert unit_names(10) == ["101", "102", "103", "104", "105", "106", "107", "108", "201", "202"]


# zones and nature


def test_dissolved_zones_share_borders_and_lose_nothing() -> None:
    faces = np.array([shapely.box(x, y, x + 1, y + 1) for x in range(4) for y in range(4)])
    groups, shapes = dissolve(faces, np.arange(16) % 3)
    assert groups.tolist() == [0, 1, 2]
    assert shapely.area(shapes).sum() == 16


def test_the_nearest_seed_wins() -> None:
    names, seeds = seeds_of({"A": "470,8051", "B": "1300,8100 1400,8100"})
    points = positions("480,8060 1390,8105 1290,8105")
    assert names[nearest_seed(points, seeds)].tolist() == ["A", "B", "B"]


def test_interpolation_keeps_the_values_it_is_given() -> None:
    grid = generator(1, "grid").random((5, 7))
    assert np.array_equal(_bilinear(grid, np.arange(5), np.arange(7)), grid)
    assert _bilinear(grid, np.array([0.5]), np.array([2.0]))[0, 0] == pytest.approx((grid[0, 2] + grid[1, 2]) / 2)


def test_random_points_lie_in_their_shapes() -> None:
    shapes = np.array([shapely.Point(0, 0).buffer(10), shapely.box(50, 50, 60, 80)])
    points = random_points(shapes, 200, generator(5, "points"))
    assert len(points) == 200
    assert shapely.contains(shapely.union_all(shapes), shapely.points(points)).all()


# flaws


def test_flaws_are_put_in_by_number() -> None:
    many = 3000
    shapes = [shapely.box(x, 0, x + 1, 1) for x in range(many)]
    parcels = pd.DataFrame({"lot": range(many), "PID_RE": range(many), "ZONING": "RM", "STATUS": "Legal"})
    parcels = parcels.assign(SALE_DATE="2020-01-01", LAND_SF=5.0, geometry=shapes)
    spoiled = flaws.spoil_parcels(parcels, generator(1, "flaws"))
    assert len(spoiled) == many + flaws.DUPLICATE_PARCELS
    assert (~shapely.is_valid(spoiled["geometry"].to_numpy())).sum() == flaws.INVALID_PARCELS
    once = spoiled[:many]
    assert once["ZONING"].isna().sum() == flaws.NULL_ZONING
    assert (once["ZONING"] == "rm").sum() == flaws.MIXED_CASE_ZONING
    assert (once["ZONING"] == "  RM ").sum() == flaws.PADDED_ZONING
    assert parcels["ZONING"].eq("RM").all(), "the clean table stays as it was"


# writing


def test_files_are_the_same_every_time_and_read_back(tmp_path: Path) -> None:
    table = _table([SQUARE, shapely.affinity.translate(SQUARE, 100, 0)])

    def written(number: int) -> list[Path]:
        folder = tmp_path / str(number)
        folder.mkdir()
        write_geopackage(folder / "a.gpkg", table, "A", "Polygon")
        write_shapefile(folder / "b.shp.zip", table, "B", "Polygon")
        write_geojson(folder / "c.geojson", table)
        write_csv(folder / "d.csv.gz", table.drop(columns="geometry"))
        return sorted(folder.iterdir())

    first, second = written(1), written(2)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first[:3]:
        back: gpd.GeoDataFrame = pyogrio.read_dataframe(path)
        assert len(back) == 2
        assert back.to_crs("EPSG:2283").area.tolist() == pytest.approx([10_000, 10_000], rel=1e-3)
