"""The street network against networkx, exact small cases, and the properties that shortest ways have."""

from __future__ import annotations

import math
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from network_oracle import MPH, Oracle
from shapely import LineString, Point

from gisservice.analysis import (
    Network,
    access,
    nearest_by_network,
    network_report,
    reach,
    reached,
    route,
    service_gap,
    to_geojson,
    walking_minutes,
)
from gisservice.analysis.network import MODES
from gisservice.errors import InvalidParameter, LimitExceeded
from gisservice.model import Crossings, Streets

METRES = "EPSG:26918"
FEET = "EPSG:2283"
X, Y = 11_890_000.0, 6_980_000.0
ROLES = Streets(
    name="name", speed="mph", oneway="oneway", forward=("FT",), backward=("TF",), walk="walk", road_class="class",
    no_bike=("FREEWAY",), no_drive=("PATH",),
)  # fmt: skip
MILE_FT = 5280.0 * 0.3048 / 0.3048006096012192
"""A mile of 1609.344 m in US survey feet."""


def streets(*rows, crs=FEET, **columns):
    """A frame of streets: each row is a line from the origin of the test city, with attributes."""
    lines = [shapely.transform(LineString(row), lambda xy: xy + np.array([X, Y])) for row in rows]
    return geopandas.GeoDataFrame(columns, geometry=lines, crs=crs, index=[f"s{i}" for i in range(len(rows))])


def points(*xy, crs=FEET):
    return geopandas.GeoDataFrame(geometry=[Point(x + X, y + Y) for x, y in xy], crs=crs)


def grid(size, step=MILE_FT / 60):
    """A square grid of two-way streets, a minute's walk… a block: 88 ft are 20 seconds at 3 mph."""
    lines = []
    for i in range(size):
        for j in range(size - 1):
            lines += [
                [(i * step, j * step), (i * step, (j + 1) * step)],
                [(j * step, i * step), ((j + 1) * step, i * step)],
            ]
    return streets(*lines)


# Building


def test_ends_that_meet_are_one_node_and_crossings_are_not():
    network = Network.of(streets([(0, 0), (100, 0)], [(100, 0.01), (100, 80)], [(50, -50), (50, 50)]))
    assert len(network.nodes) == 5
    assert network.lines.lengths == pytest.approx([100, 79.99, 100])
    assert network.metres == pytest.approx(0.3048006096)


def test_crossings_at_grade_are_nodes_unless_a_class_runs_over():
    frame = streets(
        [(0, 0), (100, 0)], [(50, -50), (50, 50)], [(80, 0), (80, 40)], [(20, -50), (20, 50)],
        **{"class": ["LOCAL", "LOCAL", "LOCAL", "FREEWAY"]},
    )  # fmt: skip
    network = Network.of(frame, Streets(road_class="class", crossings=Crossings.AT_GRADE, over=("FREEWAY",)))
    assert sorted(network.lines.lengths.round(6).tolist()) == [20, 30, 40, 50, 50, 50, 100]
    assert network.segment.tolist() == [0, 0, 0, 1, 1, 2, 3]
    assert len(network.nodes) == 9
    assert shapely.union_all(network.lines.shapes).length == pytest.approx(shapely.union_all(frame.geometry).length)


def test_crossings_at_grade_agree_with_geos_on_real_walkways(shared_data):
    frame = geopandas.read_file(shared_data / "region" / "gmu_walkways_2283.shp.zip")
    network = Network.of(frame, Streets(crossings=Crossings.AT_GRADE))
    noded = shapely.get_parts(shapely.node(shapely.multilinestrings(shapely.get_parts(frame.geometry.to_numpy()))))
    assert network.lines.lengths.sum() == pytest.approx(
        shapely.get_parts(frame.geometry.to_numpy()).size and frame.length.sum()
    )
    once = shapely.union_all(network.lines.shapes).length
    assert once == pytest.approx(shapely.length(noded).sum(), rel=1e-6)
    crossing = shapely.STRtree(network.lines.shapes).query(network.lines.shapes, predicate="crosses").T
    # Where lines still cross they do so within a centimetre of an end: there they are joined.
    meet = shapely.intersection(network.lines.shapes[crossing[:, 0]], network.lines.shapes[crossing[:, 1]])
    ends = shapely.multipoints(network.nodes)
    assert all(shapely.distance(shapely.points(shapely.get_coordinates(meet)), ends) < 0.04)


def test_directions_and_modes_follow_the_columns():
    frame = streets(
        [(0, 0), (9, 0)], [(9, 0), (9, 9)], [(9, 9), (0, 9)], [(0, 9), (0, 0)],
        name=["A St", None, "A St", "B St"], mph=[25, 0, math.nan, 55], oneway=["FT", "TF", "B", None],
        walk=[True, True, False, None], **{"class": ["LOCAL", "LOCAL", "PATH", "FREEWAY"]},
    )  # fmt: skip
    network = Network.of(frame, ROLES)
    walk, bike, drive = (network.allowed[:, mode].tolist() for mode in range(len(MODES)))
    assert walk == [[True, True], [True, True], [False, False], [False, False]]
    assert bike == [[True, False], [False, True], [True, True], [False, False]]
    assert drive == [[True, False], [False, True], [False, False], [True, True]]
    assert network.drive_kmh / 1.609344 == pytest.approx([25, 25, 25, 55])
    assert [network.names[name] for name in network.name] == ["A St", "", "A St", "B St"]


def test_streets_in_degrees_are_measured_in_feet():
    frame = streets([(0, 0), (1000, 0)]).to_crs("OGC:CRS84")
    network = Network.of(frame)
    assert network.crs.to_epsg() == 2283
    assert network.lines.lengths == pytest.approx([1000], abs=1e-3)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (streets(), "at least one line"),
        (geopandas.GeoDataFrame(geometry=[None, LineString()], crs=FEET), "at least one line"),
        (geopandas.GeoDataFrame(geometry=[LineString([(0, 0), (1, 1)])]), "without reference system"),
        (geopandas.GeoDataFrame(geometry=[LineString([(-77, 38), (-77.1, 38)])], crs=FEET), "these look like degrees"),
        (streets([(0, 0), (1, 1)]).set_crs("OGC:CRS84", allow_override=True), "these look like feet or metres"),
    ],
)
def test_a_frame_that_is_no_network_is_refused(frame, words):
    with pytest.raises(InvalidParameter, match=words):
        Network.of(frame)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(InvalidParameter, match="without column 'name'"):
        Network.of(streets([(0, 0), (1, 1)]), ROLES)


# Minutes


def test_minutes_on_one_street_are_exact():
    network = Network.of(streets([(0, 0), (MILE_FT, 0)]))
    found = walking_minutes(network, points((0, 0), (MILE_FT / 2, 0), (MILE_FT, 264)), points((MILE_FT / 4, 0)))
    assert found.minutes.tolist() == pytest.approx([5, 5, 15 + 264 / MILE_FT * 20], rel=1e-9)
    assert found.metres.tolist() == pytest.approx(found.minutes * 1609.344 / 20)
    assert found.nearest.tolist() == [0, 0, 0]
    assert found.attrs["answer"]["units"] == {"minutes": "minute", "metres": "metre"}


def test_a_grid_is_walked_around_corners():
    network = Network.of(grid(5))
    step = MILE_FT / 60
    found = walking_minutes(
        network, points(*[(i * step, j * step) for i in range(5) for j in range(5)]), points((0, 0))
    )
    assert found.minutes.tolist() == pytest.approx([(i + j) / 3 for i in range(5) for j in range(5)], abs=1e-9)


def test_one_way_streets_are_gone_around_by_car_and_ignored_on_foot():
    side = MILE_FT / 4
    frame = streets(
        [(0, 0), (side, 0)], [(side, 0), (side, side)], [(side, side), (0, side)], [(0, side), (0, 0)],
        name=["N", "E", "S", "W"], mph=[15] * 4, oneway=["FT"] * 4, walk=[True] * 4, **{"class": ["LOCAL"] * 4},
    )  # fmt: skip
    network = Network.of(frame, ROLES)
    one, other = points((side * 0.25, 0)), points((side * 0.75, 0))
    assert route(network, one, other, mode="drive").minutes.item() == pytest.approx(0.5)
    assert route(network, other, one, mode="drive").minutes.item() == pytest.approx(3.5)
    assert route(network, other, one, mode="walk").minutes.item() == pytest.approx(2.5)
    steps = route(network, other, one, mode="drive").steps.item()
    assert [step["street"] for step in steps] == ["N", "E", "S", "W", "N"]
    assert access(network, other, {"spot": one}, mode="drive").minutes_to_spot.item() == pytest.approx(3.5)


def test_a_loop_is_left_by_its_nearer_end():
    network = Network.of(streets([(0, 0), (100, 0)], [(100, 0), (200, 0), (200, 100), (100, 100), (100, 0)]))
    found = route(network, points((100, 75)), points((0, 0)))
    assert found.metres.item() == pytest.approx(175 * 0.3048006096)
    assert found.length.item() == pytest.approx(175)


coordinates = st.integers(0, 4)
places = st.lists(st.tuples(st.floats(-40, 440), st.floats(-40, 440)), min_size=1, max_size=5)


@st.composite
def cities(draw):
    """Some streets between the points of a small grid, straight or bent, one-way or not."""
    spot = st.tuples(coordinates, coordinates)
    ends = draw(st.lists(st.tuples(spot, spot, st.booleans()), min_size=1, max_size=14))
    rows = []
    for one, other, bent in ends:
        middle = [(one[0] * 100.0, other[1] * 100.0 + 13.0)] if bent or one == other else []
        rows.append([(one[0] * 100.0, one[1] * 100.0), *middle, (other[0] * 100.0, other[1] * 100.0)])
    count = len(rows)
    directions = draw(st.lists(st.sampled_from(["FT", "TF", "B"]), min_size=count, max_size=count))
    speeds = draw(st.lists(st.sampled_from([15, 25, 55]), min_size=count, max_size=count))
    return streets(
        *rows, name=["x"] * count, mph=speeds, oneway=directions, walk=[True] * count, **{"class": ["LOCAL"] * count}
    )


def oracle_of(network, mode):
    kmh = {"walk": 3 * MPH, "bike": 10 * MPH}
    pace = network.drive_kmh * 1000 / 60 if mode == "drive" else np.full(len(network.lines), kmh.get(mode))
    number = [known.value for known in MODES].index(mode)
    return Oracle(network.lines.shapes, network.allowed[:, number].tolist(), pace, network.metres)


@settings(max_examples=40)
@given(cities(), places, places, st.sampled_from(["walk", "bike", "drive"]))
def test_minutes_are_those_of_networkx(frame, origins, goals, mode):
    network = Network.of(frame, ROLES)
    oracle = oracle_of(network, mode)
    froms, tos = points(*origins), points(*goals)
    every = geopandas.GeoDataFrame(geometry=[*froms.geometry, *tos.geometry], crs=FEET)
    names = oracle.put(every.geometry.tolist(), network.travel(mode).stops(every))
    starts, ends = names[: len(origins)], names[len(origins) :]
    known = [oracle.minutes(start) for start in starts]
    for row, start in enumerate(known):
        ways = route(network, froms.iloc[[row]], tos, mode=mode)
        expected = [start.get(end, math.nan) for end in ends]
        assert ways.minutes.tolist() == pytest.approx(expected, abs=1e-6, nan_ok=True)
        drawn = ways.length.dropna() * network.metres
        assert drawn.tolist() == pytest.approx(ways.metres.dropna().tolist(), abs=1e-6)
        assert [sum(step["minutes"] for step in steps) for steps in ways.steps.dropna()] == pytest.approx(
            ways.minutes.dropna().tolist(), abs=1e-6
        )
    nearest = [min((start.get(end, math.inf) for end in ends), default=math.inf) for start in known]
    found = access(network, froms, {"goal": tos}, mode=mode).minutes_to_goal
    assert found.fillna(math.inf).tolist() == pytest.approx(nearest, abs=1e-6)


@settings(max_examples=20)
@given(cities(), places.filter(lambda found: len(found) >= 3))
def test_walking_is_symmetric_and_no_detour_is_shorter(frame, spots):
    network = Network.of(frame, ROLES)
    a, b, c = (points(spot) for spot in spots[:3])
    spot = {"a": a, "b": b, "c": c}
    way = {(x, y): route(network, spot[x], spot[y]).minutes.item() for x in spot for y in spot}
    for x, y in ("ab", "bc", "ac"):
        assert way[x, y] == pytest.approx(way[y, x], abs=1e-9, nan_ok=True)
    if not any(map(math.isnan, way.values())):
        assert way["a", "c"] <= way["a", "b"] + way["b", "c"] + 1e-9


@settings(max_examples=20)
@given(cities(), places, st.floats(0.05, 4), st.sampled_from(["walk", "drive"]))
def test_what_is_reached_are_the_places_within_the_minutes(frame, spots, minutes, mode):
    """Places along all streets: those on reached parts are within the minutes by route, all others are beyond."""
    network = Network.of(frame, ROLES)
    travel = network.travel(mode)
    origin = points(spots[0])
    spread = travel.spread(travel.stops(origin), limit=minutes)
    edge, low, high = spread.reached(minutes)
    every = np.repeat(np.arange(len(network.lines)), 7)
    along = network.lines.lengths[every] * np.tile(np.linspace(0.01, 0.99, 7), len(network.lines))
    on_part = np.array([
        bool(((edge == e) & (low - 1e-6 <= d) & (d <= high + 1e-6)).any()) for e, d in zip(every, along, strict=True)
    ])  # fmt: skip
    from gisservice.analysis.travel import Stops

    spent, _ = spread.at(Stops(len(every), np.arange(len(every)), every, along, np.zeros(len(every))))
    sure = np.abs(spent - minutes) > 1e-6
    assert (on_part == (spent <= minutes))[sure].all()


def test_cut_offs_that_cannot_be_travelled_are_refused():
    network = Network.of(grid(3))
    for minutes in (0, -5, math.nan, math.inf, 1e9, "5", None, True):
        with pytest.raises(InvalidParameter, match="minutes"):
            reach(network, points((0, 0)), minutes=[minutes])
        with pytest.raises(InvalidParameter, match="minutes"):
            service_gap(network, points((0, 0)), points((0, 0)), minutes=minutes)
    with pytest.raises(InvalidParameter, match="at least one"):
        reach(network, points((0, 0)), minutes=[])
    with pytest.raises(LimitExceeded, match="11 cut-offs is over the limit of 10"):
        reach(network, points((0, 0)), minutes=range(1, 12))
    with pytest.raises(InvalidParameter, match="one of walk, bike, drive"):
        reach(network, points((0, 0)), minutes=5, mode="horse")


# Areas


def test_the_area_reached_lies_along_the_reached_streets():
    network = Network.of(streets([(0, 0), (MILE_FT, 0)]))
    found = reach(network, points((MILE_FT / 2, 0)), minutes=[2.5, 5])
    width = 50 / network.metres
    for row, length in zip(found.itertuples(), (MILE_FT / 4, MILE_FT / 2), strict=True):
        assert row.street_feet == pytest.approx(length * network.metres / 0.3048)
        exact = length * 2 * width + math.pi * width**2
        assert row.geometry.area == pytest.approx(exact, rel=0.01)
        assert row.area_acres == pytest.approx(row.geometry.area * network.metres**2 / 4046.8564224)
    assert found.geometry.iloc[1].buffer(0.01).covers(found.geometry.iloc[0])
    assert found.minutes.tolist() == [2.5, 5]


def test_a_reached_area_is_the_union_of_all_its_strips():
    network = Network.of(grid(12))
    origins = points((100, 20), (700, 900))
    found = reach(network, origins, minutes=[1, 2, 3])
    travel = network.travel("walk")
    for row, spread in enumerate(travel.spread_each(travel.stops(origins))):
        for number, minutes in enumerate((1, 2, 3)):
            strips = network.lines.parts(*spread.reached(minutes)).shapes
            whole = shapely.union_all(shapely.buffer(strips, 50 / network.metres, quad_segs=4))
            assert found.geometry.iloc[3 * row + number].symmetric_difference(whole).area < 1e-6 * whole.area
    merged = reach(network, origins, minutes=3, merge=True)
    assert merged.origin.isna().all()
    both = shapely.union_all(found.geometry[found.minutes == 3])
    assert merged.geometry.item().symmetric_difference(both).area < 1e-6 * both.area


def test_reached_features_are_those_of_access():
    network = Network.of(grid(12))
    places, goals = points(*[(37.0 * i, 61.0 * (i % 9)) for i in range(25)]), points((100, 100), (500, 500))
    found = reached(network, goals, places, minutes=2)
    expected = access(network, places, {"goal": goals})
    assert found.index.tolist() == expected.index[expected.minutes_to_goal <= 2].tolist()
    assert found.minutes_from_origin.tolist() == pytest.approx(expected.minutes_to_goal[found.index].tolist())
    assert found.origin.tolist() == expected.nearest_goal[found.index].tolist()
    gap = service_gap(network, places, goals, minutes=2)
    assert sorted([*gap.index, *found.index]) == places.index.tolist()
    assert (gap.reason == "beyond").all()


def test_access_after_a_proposed_amenity_is_access_to_both():
    network = Network.of(grid(12))
    places, old, new = points(*[(41.0 * i, 60.0) for i in range(22)]), points((0, 0)), points((800, 0))
    found = access(network, places, {"park": old, "stop": new}, proposed={"park": new})
    both = access(network, places, {"park": geopandas.GeoDataFrame(geometry=[*old.geometry, *new.geometry], crs=FEET)})
    assert found.minutes_to_park_after.tolist() == pytest.approx(both.minutes_to_park.tolist())
    assert found.minutes_saved_park.tolist() == pytest.approx((found.minutes_to_park - both.minutes_to_park).tolist())
    assert "minutes_to_stop_after" not in found
    with pytest.raises(InvalidParameter, match="a kind of amenity among park"):
        access(network, places, {"park": old}, proposed={"prak": new})


def test_a_park_is_entered_from_all_around():
    network = Network.of(grid(12))
    park = geopandas.GeoDataFrame(geometry=[shapely.box(X + 200, Y + 200, X + 600, Y + 600)], crs=FEET, index=["P1"])
    corner = points((200, 176), (600, 616))
    found = access(network, corner, {"park": park})
    assert (found.minutes_to_park < 0.5).all()
    assert found.nearest_park.tolist() == ["P1", "P1"]


# What is not there, and what is too much


def test_an_empty_or_missing_place_is_nowhere():
    network = Network.of(grid(4))
    places = geopandas.GeoDataFrame(
        geometry=[None, Point(), Point(math.nan, 1), Point(X + 1e6, Y), Point(X + 5, Y)], crs=FEET, index=list("abcde")
    )
    found = access(network, places, {"goal": points((10, 0))})
    assert found.minutes_to_goal.notna().tolist() == [False] * 4 + [True]
    assert found.nearest_goal.isna().tolist() == [True] * 4 + [False]
    gap = service_gap(network, places, points((10, 0)), minutes=5)
    assert gap.reason.to_dict() == dict.fromkeys("abcd", "no street")
    ways = route(network, places, points((10, 0)))
    assert ways.reason.fillna("").tolist() == ["no street"] * 4 + [""]
    assert ways.geometry.isna().tolist() == [True] * 4 + [False]
    areas = reach(network, places, minutes=1)
    assert areas.geometry.is_empty.tolist() == [True] * 4 + [False]
    assert b"null" in to_geojson(ways)


def test_no_target_and_no_place_at_all():
    network = Network.of(grid(4))
    nobody = points((0, 0)).iloc[:0]
    assert access(network, points((0, 0)), {"goal": nobody}).minutes_to_goal.isna().all()
    assert len(access(network, nobody, {"goal": points((0, 0))})) == 0
    assert len(reach(network, nobody, minutes=5)) == 0
    assert len(reached(network, nobody, points((0, 0)), minutes=5)) == 0
    assert len(route(network, nobody, points((0, 0)))) == 0
    for empty in (route(network, nobody, nobody), reach(network, nobody, minutes=5)):
        assert b'"features":[]' in to_geojson(empty)


def test_pieces_that_do_not_hang_together_are_not_connected():
    network = Network.of(streets([(0, 0), (100, 0)], [(0, 300), (100, 300)]))
    one, other = points((0, 0)), points((0, 300))
    assert route(network, one, other).reason.item() == "not connected"
    assert service_gap(network, one, other, minutes=5).reason.item() == "not connected"
    assert walking_minutes(network, one, other).minutes.isna().all()


def test_places_in_another_unit_are_refused_and_in_degrees_are_understood():
    network = Network.of(grid(4))
    lonlat = points((10, 0)).to_crs("OGC:CRS84")
    assert access(network, lonlat, {"goal": points((98, 0))}).minutes_to_goal.item() == pytest.approx(1 / 3, rel=1e-5)
    with pytest.raises(InvalidParameter, match="these look like degrees: use OGC:CRS84"):
        reach(network, lonlat.set_crs(FEET, allow_override=True), minutes=5)
    with pytest.raises(InvalidParameter, match="these look like feet or metres"):
        reach(network, points((10, 0)).set_crs("OGC:CRS84", allow_override=True), minutes=5)
    with pytest.raises(InvalidParameter, match="without reference system"):
        reach(network, geopandas.GeoDataFrame(geometry=[Point(1, 2)]), minutes=5)


def test_a_thousand_origins_are_worked_on_and_no_more():
    network = Network.of(grid(8))
    many = points(*[(i % 40 * 15.0, i // 40 * 20.0) for i in range(1001)])
    found = reach(network, many.iloc[:1000], minutes=0.2)
    assert len(found) == 1000
    with pytest.raises(LimitExceeded, match="1001 origins is over the limit of 1000"):
        reach(network, many, minutes=0.2)
    with pytest.raises(LimitExceeded, match="routes"):
        route(network, many, many)
    with pytest.raises(InvalidParameter, match="as many as there are origins"):
        route(network, many.iloc[:3], many.iloc[:2])


# The report


def test_the_report_names_what_is_wrong():
    frame = streets(
        [(0, 0), (100, 0)], [(100, 0), (100, 100)], [(100, 100), (0, 100)], [(0, 100), (0, 0)],
        [(50, 4), (50, 90)], [(0, 300), (100, 300)], [(100, 0), (0, 0)], [(7, 7), (7, 7)],
    )  # fmt: skip
    found = network_report(Network.of(frame))
    counts = found.finding.value_counts().to_dict()
    assert counts == {"disconnected piece": 2, "dangling end": 4, "near miss": 2, "duplicate": 1, "no length": 1}
    by = found.drop_duplicates("finding").set_index("finding")
    assert found.segments[found.finding == "near miss"].tolist() == ["s4, s0", "s4, s6"]
    assert by.metres["near miss"] == pytest.approx(4 * 0.3048, rel=1e-5)
    assert by.segments["duplicate"] == "s0, s6"
    assert by.segments["no length"] == "s7"
    assert len(network_report(Network.of(frame), near_m=1.0).query("finding == 'near miss'")) == 0
    with pytest.raises(InvalidParameter, match="near_m"):
        network_report(Network.of(frame), near_m=math.nan)


def test_a_network_without_findings_has_an_empty_report():
    frame = streets([(0, 0), (100, 0)], [(100, 0), (100, 100)], [(100, 100), (0, 0)])
    assert len(network_report(Network.of(frame))) == 0


def test_real_streets_of_manhattan_agree_with_networkx(shared_data, tmp_path: Path):
    frame = geopandas.read_file(f"/vsigzip/{shared_data / 'samples' / 'tiger_roads.geojson.gz'}").to_crs("EPSG:2263")
    network = Network.of(frame, Streets(crossings=Crossings.AT_GRADE))
    random = np.random.default_rng(7)
    on = network.lines.positions(random.integers(0, len(network.lines), 40), np.full(40, 5.0))
    spots = geopandas.GeoDataFrame(geometry=shapely.points(on + random.normal(0, 30, on.shape)), crs="EPSG:2263")
    oracle = oracle_of(network, "walk")
    names = oracle.put(spots.geometry.tolist(), network.travel("walk").stops(spots))
    names[0], start = "gone", oracle.minutes(names[0])
    found = nearest_by_network(network, spots.iloc[:1]).minutes(spots).minutes
    found.iloc[0] = math.inf
    expected = np.array([start.get(name, math.inf) for name in names])
    assert found.fillna(math.inf).tolist() == pytest.approx(
        np.where(expected <= 240, expected, math.inf).tolist(), abs=1e-6
    )
