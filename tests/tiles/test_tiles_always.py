"""Records that are drawn at every zoom: whatever the bytes, however small, in a stack or alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
import strict_mvt
from tile_factories import Built, make_source

from gisservice.model import GeometryKind
from gisservice.tiles import EXTENT, TileCoord, level, read_report
from gisservice.tiles.account import REPORT_FILE
from gisservice.tiles.grid import tile_of_id

Z = 14
ORIGIN = np.array([4681, 6271]) * EXTENT
KINDS = ["point", "line", "polygon", "coverage"]
COUNT = 800


def layer(kind: str, always: Any, minzoom: int = 7) -> Any:
    """Features so small that they vanish at small zooms, and so many that they do not fit the budget."""
    chance = np.random.default_rng(7)
    corners = chance.integers(-3000, 3000, (COUNT, 2)) + ORIGIN
    if kind == "point":
        shapes: list[Any] = [shapely.Point(*xy) for xy in corners]
    elif kind == "line":
        shapes = [shapely.LineString([a, a + np.array([9, 4])]) for a in corners]
    elif kind == "polygon":
        shapes = [shapely.box(*a, *(a + 7)) for a in corners]
    else:
        place = [divmod(i, 30) for i in range(COUNT)]
        shapes = [shapely.box(*(ORIGIN + 9 * np.array(at)), *(ORIGIN + 9 * np.array(at) + 9)) for at in place]
    table = pa.table({"text": [f"{n:x}" for n in chance.integers(0, 2**60, COUNT)]})
    return make_source(shapes, minzoom=minzoom, attributes=table, always=always, coverage=kind == "coverage")


def every(step: int) -> Any:
    return np.arange(COUNT) % step == 3


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_drawn_at_every_zoom_under_the_byte_budget(build: Any, monkeypatch: Any, kind: str) -> None:
    monkeypatch.setattr(level, "BUDGET_BYTES", 12_000)
    always = every(50)
    built = build(layer(kind, always))
    for z in range(7, Z + 1):
        found = built.features(z)
        assert set(np.flatnonzero(always).tolist()) <= set(found)
        for tile in built.addresses(z):
            assert strict_mvt.invalid(built.layer(tile)) == 0
        zoom = built.report["zooms"][str(z)]
        assert zoom["kept"] + sum(zoom["merged"].values()) + sum(zoom["dropped"].values()) == COUNT
        if z < Z:
            assert zoom["over_budget"] == 0
    assert built.report["zooms"]["8"]["kept"] < COUNT / 2


@pytest.mark.parametrize("kind", KINDS)
def test_without_them_they_are_not_there(build: Any, kind: str) -> None:
    """So the test above is about something."""
    found = build(layer(kind, None)).features(7)
    assert not set(np.flatnonzero(every(50)).tolist()) <= set(found)


@pytest.mark.parametrize("kind", KINDS)
def test_if_they_alone_are_too_many_they_stay_and_the_report_says_so(build: Any, monkeypatch: Any, kind: str) -> None:
    monkeypatch.setattr(level, "BUDGET_BYTES", 600)
    always = every(5)
    built = build(layer(kind, always))
    for z in range(7, Z):
        zoom = built.report["zooms"][str(z)]
        own = set(built.features(z)) - {None}
        assert set(np.flatnonzero(always).tolist()) <= own
        assert zoom["largest_bytes"] > 600 and zoom["over_budget"] >= 1
        if kind != "polygon":  # dust is drawn beside them, a square for many
            assert own == set(np.flatnonzero(always).tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_layer_may_be(build: Any, kind: str) -> None:
    built = build(layer(kind, np.ones(COUNT, dtype=bool)))
    for z in range(7, Z + 1):
        assert built.report["zooms"][str(z)]["kept"] == COUNT
        assert set(built.features(z)) == set(range(COUNT))


def test_what_has_no_extent_is_drawn_as_small_as_can_be(build: Any) -> None:
    corner = ORIGIN + np.array([1000, 600])
    shapes: dict[str, Any] = {
        "polygon": shapely.box(*corner, *(corner + 5)),
        "line": shapely.LineString([corner, corner + 5]),
    }
    for kind, size in (("polygon", 1.0), ("line", 0.0)):
        built = build(make_source([shapes[kind]], minzoom=6, always=np.array([True])))
        for z in range(6, Z):
            tile = TileCoord(z, *(ORIGIN // EXTENT >> (Z - z)).tolist())
            (feature,) = built.layer(tile).features
            assert shapely.area(feature.geometry) == size if z < 10 else shapely.area(feature.geometry) >= size
            place = np.array([tile.x, tile.y]) * EXTENT + shapely.get_coordinates(feature.geometry).mean(axis=0)
            assert np.abs(place * 2 ** (Z - z) - corner).max() <= 2 ** (Z - z) + 5


def test_a_geometry_without_positions_cannot_be_drawn(build: Any) -> None:
    source = make_source([shapely.MultiPolygon()], kind=GeometryKind.POLYGON, minzoom=12, always=np.array([True]))
    assert build(source).report["zooms"]["12"]["dropped"] == {"no-geometry": 1}


def stacked(always: list[int]) -> Any:
    marks = np.isin(np.arange(6), always)
    box = shapely.transform(shapely.box(300, 300, 340, 340), lambda xy: xy + ORIGIN)
    other = shapely.transform(shapely.box(400, 300, 440, 340), lambda xy: xy + ORIGIN)
    table = pa.table({"unit": [f"unit {i}" for i in range(6)]})
    return make_source(
        [box, other], minzoom=13, record_geometry=[0, 0, 1, 0, 0, 0], ids=range(10, 16), attributes=table, always=marks
    )


@pytest.mark.parametrize(
    ("always", "stacks"),
    [
        ([], {10: 5}),
        ([0], {10: 5}),
        ([3], {13: 5}),
        ([3, 4], {13: 4, 14: None}),
        ([0, 1, 3, 4, 5], dict.fromkeys([10, 11, 13, 14, 15])),
    ],
)
def test_in_a_stack_each_is_a_feature_of_its_own(build: Any, always: list[int], stacks: dict[int, int | None]) -> None:
    """The first of them is drawn for the others of the stack, too."""
    built: Built = build(stacked(always))
    found = {i: shown[0][1].properties for i, shown in built.features(13).items()}
    assert found.pop(12) == {"unit": "unit 2"}
    assert {i: properties.get("stack") for i, properties in found.items()} == stacks
    assert all(properties["unit"] == f"unit {i - 10}" for i, properties in found.items())
    zoom = built.report["zooms"]["13"]
    assert (zoom["kept"], zoom["merged"].get("stack", 0)) == (len(stacks) + 1, 5 - len(stacks))
    (place,) = read_report(built.folder / REPORT_FILE).tally(13).places.tolist()
    told = read_report(built.folder / REPORT_FILE).tile(tile_of_id(place))
    assert (told["kept"], told["features"]) == (len(stacks) + 1, 6)


def test_marks_must_fit_the_records() -> None:
    with pytest.raises(ValueError, match="always drawn are of different length"):
        make_source([shapely.Point(0, 0)], always=np.array([True, False]))
