"""Every function of frames with every hostile frame: what it answers is what it answers to the plain one.

The table at the end of ``pytest -s`` names, for each function and case, how many rows came or which error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pytest
import rasterio
import shapely
from frames import X, Y, frame
from rasterio.transform import Affine

from gisservice import analysis
from gisservice.analysis import Ground, Network
from gisservice.analysis.operations import Role, operations
from gisservice.catalog.rasters import Raster
from gisservice.errors import RequestError
from gisservice.model import RasterClass, Streets

WEST, SOUTH, SIDE = 207.0, 131.0, 100.0
"""Where no border of a cell and no middle between two ways lies."""
SQUARE = shapely.box(WEST, SOUTH, WEST + SIDE, SOUTH + SIDE)
NEXT = shapely.box(WEST + SIDE, SOUTH, WEST + 2 * SIDE, SOUTH + SIDE)
"""Shares an edge with the square."""
BOW = shapely.transform(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), lambda xy: xy * SIDE + (WEST, SOUTH))
"""Not valid: it crosses itself in the middle."""
PLAIN = {
    "area": (SQUARE, NEXT),
    "line": (shapely.LineString([(210, 140), (300, 190)]), shapely.LineString([(300, 190), (390, 150)])),
    "point": (shapely.Point(257, 181), shapely.Point(307, 181)),
}
"""Two features of each kind that touch each other, or what both of them touch."""

Call = Callable[[geopandas.GeoDataFrame, Network, Ground, Ground], Any]
ZONES = frame([shapely.box(150, 150, 350, 350)], zone=["z"])
GOALS = frame([shapely.Point(900, 900)])

CALLS: dict[str, tuple[str, bool, Call]] = {
    "access": ("area", True, lambda f, net, *_: analysis.access(net, f, {"goal": GOALS})),
    "aggregate": ("area", False, lambda f, *_: analysis.aggregate(f, grid="square", cell_ft=5000)),
    "classify": ("area", True, lambda f, *_: analysis.classify(f, column="value", classes=2)),
    "cover_shares": ("area", True, lambda f, _, __, cover: analysis.cover_shares(f, cover)),
    "dissolve": ("area", False, lambda f, *_: analysis.dissolve(f, sums=["value"])),
    "elevation": ("point", True, lambda f, _, ground, __: analysis.elevation(f, ground)),
    "flood_area": ("point", False, lambda f, _, ground, __: analysis.flood_area(ground, stage_feet=9, source=f)),
    "flood_depth": ("area", True, lambda f, _, ground, __: analysis.flood_depth(f, ground, stage_feet=9)),
    "hotspots": ("area", True, lambda f, *_: analysis.hotspots(f, column="value", distance_ft=50)),
    "nearest": ("area", True, lambda f, *_: analysis.nearest(f, ZONES)),
    "notify": ("area", True, lambda f, *_: analysis.notify(f, ZONES, distance_ft=100)),
    "overlay": ("area", True, lambda f, *_: analysis.overlay(f, ZONES, how="identity").set_index("feature")),
    "profile": ("line", True, lambda f, _, ground, __: analysis.profile(f, ground, step_m=30).set_index("line")),
    "reach": ("point", True, lambda f, net, *_: analysis.reach(net, f, minutes=3).set_index("origin")),
    "reached": ("point", False, lambda f, net, *_: analysis.reached(net, f, GOALS, minutes=60)),
    "route": ("point", True, lambda f, net, *_: analysis.route(net, f, GOALS.iloc[[0] * len(f)])),
    "service_gap": ("area", True, lambda f, net, *_: analysis.service_gap(net, f, GOALS, minutes=1)),
    "slope": ("area", True, lambda f, _, ground, __: analysis.slope(f, ground)),
    "summarize": ("area", False, lambda f, *_: analysis.summarize(ZONES, f, sums=["value"])),
    "viewshed": ("point", True, lambda f, _, ground, __: analysis.viewshed(f, ground, radius_m=60)),
    "walking_minutes": ("point", True, lambda f, net, *_: analysis.walking_minutes(net, f, GOALS)),
    "within": ("area", True, lambda f, *_: analysis.within(f, ZONES, distance_ft=100)),
    "zonal": ("area", True, lambda f, _, ground, __: analysis.zonal(f, ground)),
    "access to": ("area", False, lambda f, net, *_: analysis.access(net, GOALS, {"goal": f})),
    "flood_depth from": (
        "area", False, lambda f, _, ground, __: analysis.flood_depth(ZONES, ground, stage_feet=9, source=f)
    ),
    "nearest of": ("area", False, lambda f, *_: analysis.nearest(ZONES, f)),
    "notify of": ("area", False, lambda f, *_: analysis.notify(ZONES, f, distance_ft=100)),
    "overlay with": ("area", False, lambda f, *_: analysis.overlay(ZONES, f)),
    "reached of": ("area", False, lambda f, net, *_: analysis.reached(net, GOALS, f, minutes=60)),
    "service_gap of": ("area", False, lambda f, net, *_: analysis.service_gap(net, GOALS, f, minutes=1)),
    "summarize in": ("area", True, lambda f, *_: analysis.summarize(f, ZONES)),
    "walking_minutes to": ("area", False, lambda f, net, *_: analysis.walking_minutes(net, GOALS, f)),
    "within of": ("area", False, lambda f, *_: analysis.within(ZONES, f, distance_ft=900)),
}  # fmt: skip
"""Of each function: the kind of its features, whether a row of its answer is one feature's alone, and a call. Behind a
name and a word the hostile frame is the other one."""
TWO = ("nearest", "notify", "overlay", "summarize", "within")
"""Those that compare two frames, which have to be in one system."""
ANY_POINT = ("access", "reached of", "service_gap", "slope")
"""Those that take a point of an area, which is another in an area that crosses itself."""

CASES = ("empty", "one", "missing", "touching", "invalid", "degrees", "metres", "no system")
ANSWERED: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Network, Ground, Ground]]:
    """Streets around a block, heights that rise to the east by a foot in a hundred, and two kinds of cover."""
    ring = [(0, 0), (1000, 0), (1000, 1000), (0, 1000), (0, 0)]
    network = Network.of(frame([shapely.LineString(pair) for pair in pairwise(ring)]), Streets())
    folder = tmp_path_factory.mktemp("ground")
    heights = np.tile(np.arange(100) * 0.2 + 0.1, (100, 1))
    kinds = tuple(RasterClass(value, f"kind {value}", "#000000") for value in (1, 2))
    yield (
        network,
        ground(folder / "heights.tif", heights),
        ground(folder / "cover.tif", 1 + (np.indices((100, 100))[1] > 20), classes=kinds),
    )
    for name in CALLS:
        print(f"\n{name:16}", *(f"{case}: {ANSWERED.get((name, case), '-')};" for case in CASES), end="")


def ground(path: Path, cells: Any, **more: Any) -> Ground:
    transform = Affine(20, 0, X - 500, 0, -20, Y + 1500)
    shape: dict[str, Any] = {"count": 1, "height": 100, "width": 100, "dtype": "float32", "nodata": -1}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:2283", transform=transform, **shape) as file:
        file.write(cells.astype("float32"), 1)
    return Ground(Raster(path, path.name, {}, "EPSG:2283"), "US survey foot", **more)


def features(kind: str, case: str) -> geopandas.GeoDataFrame:
    first, second = PLAIN[kind]
    nothing = {"area": shapely.Polygon(), "line": shapely.LineString(), "point": shapely.Point()}[kind]
    endless = shapely.transform(first, lambda xy: np.where(xy == xy[0], np.inf, xy))
    shapes = {
        "empty": [],
        "missing": [first, None, nothing, endless, second],
        "invalid": [BOW, second],
        "one": [first],
    }.get(case, [first, second])
    values = {"missing": [1.0, np.nan, np.nan, np.nan, 2.0]}.get(case, [1.0, 2.0][: len(shapes)])
    found = frame(shapes, value=values)
    found.index = ["a", "n1", "n2", "n3", "b"] if case == "missing" else ["a", "b"][: len(shapes)]
    if case == "no system":
        return found.set_crs(None, allow_override=True)
    return found.to_crs({"degrees": "OGC:CRS84", "metres": "EPSG:26918"}.get(case, "EPSG:2283"))


def plain(answer: pandas.DataFrame) -> pandas.DataFrame:
    """Return what is no geometry and no number of a cell, which is of its system, with one kind of nothing."""
    table = pandas.DataFrame(answer.drop(columns=["geometry", "cell"], errors="ignore"))
    for name in table.columns[~table.dtypes.map(pandas.api.types.is_numeric_dtype)]:
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    return table


def agree(found: pandas.DataFrame, expected: pandas.DataFrame, rtol: float) -> None:
    """Compare columns of numbers closely, all else exactly."""
    pandas.testing.assert_frame_equal(
        plain(found), plain(expected), rtol=rtol, atol=1e-6, check_dtype=False, check_index_type=False
    )


def test_every_function_of_features_is_asked() -> None:
    asked = {n for n, found in operations().items() if any(one.role is Role.FRAME for one in found.inputs)}
    assert {name.partition(" ")[0] for name in CALLS} == asked


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", CALLS)
def test_a_hostile_frame(places: tuple[Network, Ground, Ground], name: str, case: str) -> None:
    kind, by_row, call = CALLS[name]
    if case == "invalid" and kind != "area":
        return
    given = features(kind, case)
    before = given.copy(deep=True)
    try:
        found = call(given, *places)
        answer = json.loads(analysis.to_geojson(found))
    except RequestError as exc:
        ANSWERED[name, case] = type(exc).__name__
        mixed = case in ("degrees", "metres") and name.partition(" ")[0] in TWO
        assert case == "no system" or mixed or (name, case) in REFUSED, exc
        return
    finally:
        pandas.testing.assert_frame_equal(pandas.DataFrame(given), pandas.DataFrame(before))  # nothing given is changed
    ANSWERED[name, case] = f"{len(found)} rows"
    assert case != "no system" and answer["method"].endswith(".") and len(answer["features"]) == len(found)
    if case == "invalid" and name not in ANY_POINT:
        repaired = given.copy()
        repaired.geometry = shapely.make_valid(given.geometry.to_numpy(), method="structure")
        agree(found, call(repaired, *places), 1e-9)
    elif case in ("degrees", "metres"):
        agree(found, call(features(kind, "touching"), *places), 1e-4)
    elif case == "missing" and by_row and name not in ("classify", "hotspots"):
        agree(found[found.index.isin(["a", "b"])], call(features(kind, "touching"), *places), 1e-9)
    elif case == "empty" and by_row:
        assert found.empty


REFUSED = (("hotspots", "empty"), ("hotspots", "one"), ("notify of", "empty"))
"""What cannot be asked: where values gather among fewer than two, and what is near no subject."""
