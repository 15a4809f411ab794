"""Nearness, overlay, zones, groups, hot spots and classes: cases small enough to know the answer, and hostile ones."""

from __future__ import annotations

import json

import geopandas
import mapclassify
import numpy as np
import pandas
import pytest
import shapely
from frames import FOOT_M, frame, scattered

from gisservice import analysis
from gisservice.analysis.spots import adjusted_p
from gisservice.errors import InvalidParameter, LimitExceeded, RequestError

SQUARE = shapely.box(0, 0, 100, 100)
NEXT = shapely.box(100, 0, 200, 100)
FAR = shapely.box(1000, 0, 1100, 100)
BOW = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
"""Not valid: it crosses itself in the middle; its area is 5,000."""

EMPTY = frame([])


# Within, nearest, notify


def test_the_distance_itself_counts_and_is_in_the_unit_that_was_asked() -> None:
    points = frame([shapely.Point(600, 50), shapely.Point(600.001, 50), shapely.Point(50, 50)])
    zone = frame([SQUARE])
    feet = analysis.within(points, zone, distance_ft=500)
    assert feet.index.tolist() == ["a", "c"]
    assert feet["distance_ft"].tolist() == pytest.approx([500, 0], abs=1e-6)
    metres = analysis.within(points, zone, distance_m=501 * FOOT_M)
    assert metres.index.tolist() == ["a", "b", "c"]
    assert metres["distance_m"].iloc[0] == pytest.approx(500 * FOOT_M)
    assert metres.attrs["answer"]["units"] == {"distance_m": "metre"}


def test_within_nothing_is_what_touches() -> None:
    touching = analysis.within(frame([NEXT, FAR]), frame([SQUARE]), distance_ft=0)
    assert touching.index.tolist() == ["a"]


def test_nearest_gives_k_in_order_and_fewer_where_there_are_fewer() -> None:
    found = analysis.nearest(frame([SQUARE]), frame([FAR, NEXT, shapely.Point(150, 300)]), k=5)
    assert found["nearest"].tolist() == ["b", "c", "a"]
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["distance_ft"].tolist() == pytest.approx([0, np.hypot(50, 200), 900])
    assert found["distance_m"].tolist() == pytest.approx([0, np.hypot(50, 200) * FOOT_M, 900 * FOOT_M])


@pytest.mark.parametrize("kind", ["point", "line", "polygon"])
@pytest.mark.parametrize("other", ["point", "line", "polygon"])
@pytest.mark.parametrize("k", [1, 4])
def test_nearest_is_what_comparing_all_pairs_gives(kind: str, other: str, k: int) -> None:
    ours, theirs = scattered(60, kind, 1), scattered(40, other, 2)
    found = analysis.nearest(ours, theirs, k=k)
    apart = shapely.distance(ours.geometry.to_numpy()[:, None], theirs.geometry.to_numpy()[None, :])
    order = np.argsort(apart, axis=1, kind="stable")[:, :k]
    assert found["nearest"].tolist() == theirs.index[order.reshape(-1)].tolist()
    assert found["distance_ft"].to_numpy() == pytest.approx(np.take_along_axis(apart, order, axis=1).reshape(-1))


def test_a_notice_list_has_the_units_of_a_stack_and_no_owner_that_was_not_handed_in() -> None:
    parcels = frame([SQUARE, NEXT, NEXT, FAR, shapely.box(0, 100, 100, 200)], pid=list("12345"))
    office = pandas.DataFrame({"owner_name": list("VWXYZ")}, index=parcels.index)
    found = analysis.notify(parcels, parcels.iloc[[0]], distance_ft=300)
    assert found.attrs["answer"]["method"].startswith("Parcels within 300 US survey feet of")
    assert found["pid"].tolist() == ["1", "2", "3", "5"]
    assert found["is_subject"].tolist() == [True, False, False, False]
    assert "owner_name" not in found.columns
    named = analysis.notify(parcels, parcels.iloc[[0]], distance_ft=300, office=office)
    assert named["owner_name"].tolist() == ["V", "W", "X", "Z"]
    with pytest.raises(InvalidParameter, match="at least one"):
        analysis.notify(parcels, EMPTY, distance_ft=1)


# Overlay, dissolve


def test_pieces_and_what_is_left_add_up_to_the_feature() -> None:
    ours = frame([shapely.box(0, 0, 100, 100), FAR], name=["x", "y"])
    theirs = frame([shapely.box(50, 0, 150, 100), NEXT], name=["p", "q"])
    both = analysis.overlay(ours, theirs)
    assert both[["feature", "other", "name", "name_other"]].values.tolist() == [["a", "a", "x", "p"]]
    assert both["area_sqft"].tolist() == pytest.approx([5000]) and both["area_share"].tolist() == pytest.approx([0.5])
    assert both["area_m2"].tolist() == pytest.approx([5000 * FOOT_M**2])
    left = analysis.overlay(ours, theirs, how="difference")
    assert left["area_sqft"].tolist() == pytest.approx([5000, 10000])
    all_of_it = analysis.overlay(ours, theirs, how="identity")
    assert all_of_it.groupby("feature")["area_sqft"].sum().tolist() == pytest.approx([10000, 10000])
    assert all_of_it["name_other"].tolist()[0] == "p" and all_of_it["name_other"].isna().tolist()[1:] == [True, True]


def test_an_edge_or_a_corner_in_common_is_no_overlap_but_a_line_along_it_is_inside() -> None:
    corner = shapely.box(100, 100, 200, 200)
    assert len(analysis.overlay(frame([SQUARE]), frame([NEXT, corner]))) == 0
    line = analysis.overlay(frame([shapely.LineString([(0, 100), (150, 100)])]), frame([SQUARE]))
    assert line["length_ft"].tolist() == pytest.approx([100]) and line["length_share"].tolist() == pytest.approx(
        [2 / 3]
    )


def test_dissolve_counts_what_overlaps_once_and_keeps_those_without_a_value() -> None:
    ours = frame([SQUARE, SQUARE, NEXT, FAR], zone=["R", "R", "R", None], value=[1.0, 2.0, np.nan, 4.0])
    found = analysis.dissolve(ours, by="zone", sums=["value"])
    assert found["count"].tolist() == [3, 1] and found["value"].tolist() == pytest.approx([3, 4])
    assert found["area_sqft"].tolist() == pytest.approx([20000, 10000])
    assert analysis.dissolve(ours)["area_sqft"].tolist() == pytest.approx([30000])


# Zones


def test_points_lines_and_areas_are_summed_in_zones() -> None:
    zones = frame([SQUARE, NEXT, FAR], name=["p", "q", "r"])
    points = frame([shapely.Point(50, 50), shapely.Point(100, 50), shapely.Point(500, 50)], value=[1.0, 2.0, 4.0])
    found = analysis.summarize(zones, points, sums=["value"], means=["value"])
    assert found["count"].tolist() == [2, 1, 0]
    assert found["sum_value"].tolist() == pytest.approx([3, 2, 0]) and found["mean_value"].tolist()[:2] == [1.5, 2]
    assert np.isnan(found["mean_value"].iloc[2])
    line = analysis.summarize(zones, frame([shapely.LineString([(50, 50), (150, 50)])], value=[10.0]), sums=["value"])
    assert line["length_ft"].tolist() == pytest.approx([50, 50, 0]) and line["sum_value"].tolist() == pytest.approx(
        [5, 5, 0]
    )
    areas = frame([shapely.box(50, 0, 150, 100), shapely.box(50, 0, 150, 100)], value=[10.0, np.nan])
    found = analysis.summarize(zones, areas, sums=["value"], means=["value"])
    assert found["count"].tolist() == [2, 2, 0] and found["area_sqft"].tolist() == pytest.approx([10000, 10000, 0])
    assert found["area_share"].tolist() == pytest.approx([0.5, 0.5, 0])  # what overlaps covers the ground once
    assert found["sum_value"].tolist() == pytest.approx([5, 5, 0]) and found["mean_value"].tolist()[:2] == [10, 10]


def test_zones_have_to_be_areas() -> None:
    with pytest.raises(InvalidParameter, match="areas"):
        analysis.summarize(frame([shapely.Point(0, 0)]), frame([SQUARE]))


# Groups


def test_groups_have_the_statistics_that_pandas_gives() -> None:
    points = scattered(300, "point")
    points.loc[points.index[::9], "value"] = np.nan
    found = analysis.aggregate(
        points, by="group", sums=["value"], means=["value"], percentiles={"value": [0, 37.5, 100]}
    )
    grouped = points.groupby("group")["value"]
    assert found["group"].tolist() == [0, 1, 2, 3, 4]
    assert found["count"].tolist() == points.groupby("group").size().tolist()
    assert found["sum_value"].to_numpy() == pytest.approx(grouped.sum())
    assert found["mean_value"].to_numpy() == pytest.approx(grouped.mean())
    for percent in (0, 37.5, 100):
        assert found[f"p{percent:g}_value"].to_numpy() == pytest.approx(grouped.quantile(percent / 100))
    kept = analysis.aggregate(points, by="group", means=["value"], having="count >= 55 AND mean_value < 101")
    assert kept["group"].tolist() == found[(found["count"] >= 55) & (found["mean_value"] < 101)]["group"].tolist()


@pytest.mark.parametrize("grid", ["hexagon", "square"])
def test_each_feature_counts_in_the_one_cell_that_it_lies_in(grid: str) -> None:
    points = scattered(400, "point")
    cells = analysis.aggregate(points, grid=grid, cell_ft=700)
    assert cells["count"].sum() == 400
    joined = geopandas.sjoin(points, cells, predicate="within")
    assert joined.groupby("cell").size().to_dict() == cells.set_index("cell")["count"].to_dict()
    width = cells.geometry.bounds.eval("maxx - minx")
    assert width.to_numpy() == pytest.approx(700)
    area = 700**2 * (np.sqrt(3) / 2 if grid == "hexagon" else 1)
    assert cells.geometry.area.to_numpy() == pytest.approx(area)
    union = shapely.union_all(cells.geometry.to_numpy(), grid_size=0.001)
    assert union.area == pytest.approx(area * len(cells))  # no two overlap


def test_a_grid_of_a_layer_in_degrees_is_the_same_grid() -> None:
    points = scattered(50, "point")
    ours, theirs = (analysis.aggregate(one, grid="square", cell_m=200) for one in (points, points.to_crs("OGC:CRS84")))
    assert ours["cell"].tolist() == theirs["cell"].tolist()
    assert theirs.crs == "OGC:CRS84"


# Hot spots and classes


def test_gi_star_is_the_formula_summed_by_hand() -> None:
    points = scattered(120, "point", 5)
    points.loc[points.geometry.x < points.geometry.x.quantile(0.2), "value"] += 80
    found = analysis.hotspots(points, column="value", distance_ft=900)
    values, at = points["value"].to_numpy(), shapely.get_coordinates(points.geometry.to_numpy())
    count, mean = len(values), values.mean()
    spread = np.sqrt((values**2).mean() - mean**2)
    for row in range(count):
        near = np.hypot(*(at - at[row]).T) <= 900
        weights = near.sum()
        z = (values[near].sum() - mean * weights) / (spread * np.sqrt((count * weights - weights**2) / (count - 1)))
        assert found["z"].iloc[row] == pytest.approx(z)
        assert found["neighbours"].iloc[row] == weights
    assert (found["spot"].str.startswith("hot")).sum() > 10
    assert (found["p_fdr"] >= found["p"]).all()
    assert ((found["p_fdr"] <= 0.01) & (found["z"] > 0)).equals(found["spot"] == "hot 99 %")


def test_the_false_discovery_rate_is_that_of_scipy() -> None:
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(0).uniform(0, 1, 200) ** 3
    assert adjusted_p(p) == pytest.approx(false_discovery_control(p))


def test_values_that_are_all_alike_have_no_hot_spot() -> None:
    found = analysis.hotspots(frame([shapely.Point(n, 0) for n in range(5)], v=[1.0] * 5), column="v", distance_ft=2)
    assert found["spot"].tolist() == ["not significant"] * 5 and found["z"].tolist() == [0] * 5


@pytest.mark.filterwarnings("ignore:Numba not installed")
@pytest.mark.parametrize("seed", range(4))
def test_natural_breaks_are_those_of_mapclassify(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(3, 1, 60).round(seed)
    found = analysis.classify(pandas.DataFrame({"v": values}), column="v", method="natural breaks", classes=5)
    expected = mapclassify.FisherJenks(values, k=5)

    def spread(labels: np.ndarray) -> float:
        return sum(((values[labels == one] - values[labels == one].mean()) ** 2).sum() for one in np.unique(labels))

    assert spread(found["class"].to_numpy(int)) == pytest.approx(spread(expected.yb))
    assert found.attrs["breaks"][1:] == pytest.approx(expected.bins.tolist())


def test_quantiles_and_equal_intervals_hold_every_value_once() -> None:
    values = pandas.DataFrame({"v": [1.0, 2, 2, 3, 4, 5, 6, 7, 8, 9, None, 10]})
    for method in ("quantiles", "equal interval"):
        found = analysis.classify(values, column="v", method=method, classes=4)
        known = found[found["v"].notna()]
        assert found["class"].isna().tolist() == values["v"].isna().tolist()
        assert ((known["v"] > known["class_low"]) | (known["class"] == 0)).all()
        assert (known["v"] <= known["class_high"]).all()
        assert found.attrs["breaks"][0] == 1 and found.attrs["breaks"][-1] == 10
        assert len(found.attrs["breaks"]) == 5


def test_fewer_values_than_classes_make_fewer_classes() -> None:
    found = analysis.classify(pandas.DataFrame({"v": [3.0, 3.0, 7.0]}), column="v", method="quantiles", classes=5)
    assert found["class"].nunique() == 2
    mostly = pandas.DataFrame({"v": [0.0] * 90 + [float(n) for n in range(10)]})  # 91 in 100 are 0
    assert analysis.classify(mostly, column="v", classes=5)["class"].nunique() == 2
    assert analysis.classify(pandas.DataFrame({"v": [3.0, 3.0]}), column="v")["class"].tolist() == [0, 0]
    none = analysis.classify(pandas.DataFrame({"v": np.array([], float)}), column="v")
    assert none.empty and none.attrs["breaks"] == []


# Hostile cases


def test_frames_without_rows_give_answers_without_rows() -> None:
    points = frame([shapely.Point(1, 1)], v=[1.0])
    for ours, theirs in ((EMPTY, points), (points, EMPTY), (EMPTY, EMPTY)):
        assert analysis.within(ours, theirs, distance_ft=10).empty
        assert analysis.nearest(ours, theirs).empty
        assert analysis.overlay(ours, theirs).empty
    assert analysis.overlay(points, EMPTY, how="identity").shape[0] == 1
    assert analysis.dissolve(EMPTY).empty
    assert analysis.summarize(EMPTY, points).empty
    assert analysis.summarize(frame([SQUARE]), EMPTY)["count"].tolist() == [0]
    assert analysis.aggregate(EMPTY).empty and analysis.aggregate(EMPTY, grid="square", cell_ft=10).empty


def test_a_missing_an_empty_and_an_infinite_geometry_are_nowhere() -> None:
    shapes = frame([SQUARE, SQUARE, SQUARE, SQUARE], v=[1.0, 2.0, 3.0, 4.0])
    shapes.loc["b", "geometry"] = None
    shapes.loc["c", "geometry"] = shapely.Polygon()
    shapes.loc["d", "geometry"] = shapely.Polygon([(0, 0), (np.inf, 0), (1, 1)])
    zone = frame([SQUARE])
    assert analysis.within(shapes, zone, distance_ft=1).index.tolist() == ["a"]
    assert analysis.nearest(shapes, zone).index.tolist() == ["a"]
    assert analysis.summarize(zone, shapes, sums=["v"])["sum_v"].tolist() == [1]
    assert analysis.aggregate(shapes, grid="square", cell_ft=1000)["count"].tolist() == [1]
    assert analysis.hotspots(shapes.iloc[[0, 0, 1]].reset_index(), column="v", distance_ft=5)["z"].isna().tolist() == [
        False,
        False,
        True,
    ]


def test_an_invalid_polygon_is_repaired_and_told() -> None:
    found = analysis.overlay(frame([BOW]), frame([SQUARE]))
    assert found["area_sqft"].tolist() == pytest.approx([5000])
    assert "1 invalid polygon was repaired" in found.attrs["answer"]["method"]
    assert analysis.summarize(frame([SQUARE]), frame([BOW]))["area_share"].tolist() == pytest.approx([0.5])


def test_two_reference_systems_are_refused_by_name() -> None:
    metres = frame([SQUARE]).to_crs("EPSG:26985")
    for function in (analysis.nearest, analysis.overlay, analysis.summarize):
        with pytest.raises(InvalidParameter, match=r"EPSG:26985.*EPSG:2283"):
            function(frame([SQUARE]), metres)
    with pytest.raises(InvalidParameter, match=r"EPSG:26985.*EPSG:2283"):
        analysis.within(frame([SQUARE]), metres, distance_ft=5)


def test_degrees_and_web_mercator_are_measured_on_the_ground() -> None:
    ours, theirs = frame([SQUARE]), frame([FAR])
    for system in ("OGC:CRS84", "EPSG:4326", "EPSG:3857"):
        found = analysis.nearest(ours.to_crs(system), theirs.to_crs(system))
        assert found["distance_ft"].tolist() == pytest.approx([900], abs=1e-3)
        assert found.crs == system
    far = geopandas.GeoDataFrame(geometry=[shapely.Point(10, 50)], crs="OGC:CRS84")
    with pytest.raises(InvalidParameter, match="projected system"):
        analysis.nearest(far, far)
    none = geopandas.GeoDataFrame(geometry=[shapely.Point(10, 50)])
    with pytest.raises(InvalidParameter, match="set_crs"):
        analysis.nearest(none, none)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"distance_ft": 1, "distance_m": 1},
        {"distance_ft": -1},
        {"distance_ft": float("nan")},
        {"distance_m": float("inf")},
        {"distance_m": 100_001},
        {"distance_ft": True},
    ],
)
def test_a_distance_that_is_none_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(InvalidParameter, match="distance"):
        analysis.within(frame([SQUARE]), frame([FAR]), **given)


def test_wrong_words_name_what_is_valid() -> None:
    points = scattered(10, "point")
    wrong = [
        lambda: analysis.nearest(points, points, k=0),
        lambda: analysis.overlay(points, points, how="erase"),
        lambda: analysis.dissolve(points, by="grop"),
        lambda: analysis.summarize(frame([SQUARE]), points, sums=["geometry"]),
        lambda: analysis.aggregate(points.assign(name="x"), sums=["name"]),
        lambda: analysis.aggregate(points, grid="triangle", cell_ft=5),
        lambda: analysis.aggregate(points, cell_ft=5),
        lambda: analysis.aggregate(points, having="count > value"),
        lambda: analysis.aggregate(points, having="__import__('os')"),
        lambda: analysis.aggregate(points, percentiles={"value": [101]}),
        lambda: analysis.classify(points, column="value", method="jenks"),
        lambda: analysis.classify(points, column="value", classes=1),
        lambda: analysis.hotspots(points.iloc[:1], column="value", distance_ft=5),
    ]
    for call in wrong:
        with pytest.raises(RequestError):
            call()
    with pytest.raises(InvalidParameter, match="did you mean 'group'"):
        analysis.dissolve(points, by="grop")


def test_more_pairs_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gisservice.analysis.spots.PAIRS_MAX", 50)
    with pytest.raises(LimitExceeded):
        analysis.hotspots(scattered(20, "point"), column="value", distance_ft=20_000)


def test_every_answer_names_its_sources_and_becomes_geojson() -> None:
    source = {"collection": "zones", "version": "v-1", "published": "2026-01-01T00:00:00Z"}
    ours, theirs = scattered(30, "polygon"), scattered(10, "polygon", 1)
    ours.attrs, theirs.attrs = source, {**source, "collection": "others"}
    answers = [
        analysis.within(ours, theirs, distance_ft=100),
        analysis.nearest(ours, theirs),
        analysis.notify(ours, theirs.iloc[:1], distance_m=30),
        analysis.overlay(ours, theirs, how="identity"),
        analysis.dissolve(ours, by="group"),
        analysis.summarize(theirs, ours),
        analysis.aggregate(ours, by="group"),
        analysis.aggregate(ours, grid="hexagon", cell_m=100),
        analysis.hotspots(ours, column="value", distance_ft=500),
        analysis.classify(ours, column="value"),
    ]
    for answer in answers:
        document = json.loads(analysis.to_geojson(answer))
        assert source["version"] in {one["version"] for one in document["sources"]}
        assert document["method"].endswith(".") and len(document["features"]) == len(answer)
    assert ours.attrs == source and list(ours.columns) == ["value", "group", "geometry"]  # nothing given is changed


def test_what_is_kept_of_a_frame_is_not_used_for_another_geometry() -> None:
    points, zone = frame([shapely.Point(10, 10), shapely.Point(900, 900)]), frame([SQUARE])
    assert analysis.within(points, zone, distance_ft=1).index.tolist() == ["a"]
    points.loc["b", "geometry"] = points.geometry["a"]
    assert analysis.within(points, zone, distance_ft=1).index.tolist() == ["a", "b"]
    points.geometry = points.geometry.translate(500, 500)
    assert analysis.within(points, zone, distance_ft=1).empty
    assert analysis.within(points.to_crs("OGC:CRS84"), zone.to_crs("OGC:CRS84"), distance_ft=1).empty
