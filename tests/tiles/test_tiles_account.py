"""The account: every record in every tile, counted again by a decoder that knows nothing of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
import shapely
from tile_factories import Built, make_source

from gisservice.errors import CatalogError, TileOutsideMatrix
from gisservice.model import GeometryKind
from gisservice.tiles import BUFFER, EXTENT, TileCoord, level, read_report
from gisservice.tiles.account import REPORT_FILE, Reason, Tally, lost_tally, touched_tiles
from gisservice.tiles.grid import tile_id, tile_of_id

Z = 14
ORIGIN = np.array([4681, 6271]) * EXTENT
KINDS = ["point", "line", "polygon", "coverage"]


def layer(kind: str, count: int = 700, minzoom: int = 8, **options: Any) -> Any:
    """A crowded layer over several tiles with stacks, features of no extent and one without positions."""
    chance = np.random.default_rng(11)
    corners = chance.integers(-9000, 9000, (count, 2)) + ORIGIN
    if kind == "point":
        shapes: list[Any] = [shapely.Point(*xy) for xy in corners]
    elif kind == "line":
        shapes = [shapely.LineString([a, a + chance.integers(-200, 200, 2)]) for a in corners]
    elif kind == "polygon":
        sizes = chance.integers(1, 120, count)
        shapes = [shapely.box(*a, *(a + size)) for a, size in zip(corners, sizes, strict=True)]
    else:
        across = int(np.sqrt(count))
        shapes = [
            shapely.box(*(ORIGIN - 4000 + [i * 50, j * 30]), *(ORIGIN - 4000 + [i * 50 + 50, j * 30 + 30]))
            for i in range(across)
            for j in range(across)
        ]
    shapes.append({"point": shapely.MultiPoint, "line": shapely.MultiLineString}.get(kind, shapely.MultiPolygon)())
    owners = np.concatenate([np.arange(len(shapes)), chance.integers(0, len(shapes), count // 3)])
    table = pa.table({"name": [f"{n:x}" for n in chance.integers(0, 2**40, len(owners))]})
    geometry = {"coverage": GeometryKind.POLYGON}.get(kind) or GeometryKind(kind)
    return make_source(
        shapes, kind=geometry, minzoom=minzoom, record_geometry=owners, attributes=table,
        coverage=kind == "coverage", **options,
    )  # fmt: skip


def counted(built: Built, tile: TileCoord) -> dict[str, int]:
    """What is in a tile, by a decoder of our tests."""
    if built.archive.get(tile) is None:
        return {"drawn": 0, "kept": 0, "stack": 0, "small": 0, "bytes": 0}
    features = built.layer(tile).features
    own = [feature for feature in features if feature.id is not None]
    groups = [feature for feature in features if feature.id is None]
    return {
        "drawn": len(features),
        "kept": len(own),
        "stack": sum(feature.properties.get("stack", 1) - 1 for feature in own),
        "small": sum(feature.properties["merged"] for feature in groups),
        "bytes": len(built.archive.get(tile) or b""),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_tile_is_said_to_show_is_in_it(build: Any, monkeypatch: Any, kind: str) -> None:
    monkeypatch.setattr(level, "BUDGET_BYTES", 5_000)
    built = build(layer(kind))
    report = read_report(built.folder / REPORT_FILE)
    for z in range(8, Z + 1):
        tally = report.tally(z)
        assert {tile_of_id(int(place)) for place in tally.places} >= set(built.addresses(z))
        for place in tally.places.tolist():
            tile = tile_of_id(place)
            told, truth = report.tile(tile), counted(built, tile)
            merged = told["merged"]
            if kind == "polygon":
                truth["small"] = merged.get("small", 0)  # dust: squares that do not say what they stand for
            assert truth == {
                "drawn": told["drawn"], "kept": told["kept"], "bytes": told["bytes"],
                "stack": merged.get("stack", 0), "small": merged.get("small", 0),
            }  # fmt: skip
            assert told["features"] == told["kept"] + sum(merged.values()) + sum(told["dropped"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_zoom_accounts_for_every_record(build: Any, monkeypatch: Any, kind: str) -> None:
    monkeypatch.setattr(level, "BUDGET_BYTES", 5_000)
    source = layer(kind)
    built = build(source)
    for z, zoom in built.report["zooms"].items():
        drawn = {i for tile in built.addresses(int(z)) for i in (f.id for f in built.layer(tile).features)} - {None}
        assert zoom["kept"] == len(drawn)
        parts = zoom["kept"] + sum(zoom["merged"].values()) + sum(zoom["dropped"].values())
        assert zoom["features"] == parts == len(source)
        assert zoom["dropped"]["no-geometry"] == (source.record_geometry == len(source.geometries) - 1).sum()


@pytest.mark.parametrize("kind", ["point", "line"])
def test_a_tile_accounts_for_every_record_that_is_not_drawn(build: Any, monkeypatch: Any, kind: str) -> None:
    """It is in the stack of a feature of the tile, or it is dropped where its box touches the tile."""
    monkeypatch.setattr(level, "BUDGET_BYTES", 5_000)
    source = layer(kind, 400, minzoom=11)
    built = build(source)
    report = read_report(built.folder / REPORT_FILE)
    boxes = shapely.bounds(np.array([multi(source, i) for i in range(len(source.geometries))]))[source.record_geometry]
    for z in range(11, Z + 1):
        found = built.features(z)
        shown = {int(source.record_geometry[i]) for i in found}
        gone = np.array([source.record_geometry[i] not in shown for i in range(len(source))])
        for place in report.tally(z).places.tolist():
            told = report.tile(tile_of_id(place))
            assert sum(told["dropped"].values()) == (gone & touching(boxes, tile_of_id(place))).sum()


def multi(source: Any, which: int) -> Any:
    geometries = source.geometries
    first, last = (geometries.rings[geometries.parts[geometries.starts[i]]] for i in (which, which + 1))
    return shapely.MultiPoint(geometries.coordinates[first:last] >> (20 - Z))


def touching(boxes: Any, tile: TileCoord) -> Any:
    side = EXTENT << (Z - tile.z)
    reach = BUFFER << (Z - tile.z)
    west, north = tile.x * side - reach, tile.y * side - reach
    east, south = west + side + 2 * reach, north + side + 2 * reach
    with np.errstate(invalid="ignore"):
        return (boxes[:, 0] <= east) & (boxes[:, 2] >= west) & (boxes[:, 1] <= south) & (boxes[:, 3] >= north)


def test_a_stack_in_two_tiles_is_counted_in_both(build: Any) -> None:
    box = shapely.transform(shapely.box(-50, 100, 50, 200), lambda xy: xy + ORIGIN)
    built = build(make_source([box], minzoom=13, record_geometry=[0, 0, 0]))
    report = read_report(built.folder / REPORT_FILE)
    x, y = (ORIGIN // EXTENT).tolist()
    for tile in (TileCoord(14, x - 1, y), TileCoord(14, x, y)):
        assert (report.tile(tile)["kept"], report.tile(tile)["merged"]) == (3, {})
    assert report.tile(TileCoord(13, x >> 1, y >> 1))["merged"] == {"stack": 2}


def test_members_of_a_group_that_vanishes_are_dropped(build: Any) -> None:
    """A coverage of slivers thinner than a unit, far from everything: no shape stands for them."""
    slivers = [shapely.transform(shapely.box(10, 3 * i, 11, 3 * i + 3), lambda xy: xy + ORIGIN) for i in range(4)]
    built = build(make_source(slivers, minzoom=9, coverage=True))
    zoom = built.report["zooms"]["9"]
    assert (zoom["tiles"], zoom["drawn"], zoom["dropped"]) == (0, 0, {"no-extent": 4})
    x, y = (ORIGIN // EXTENT >> 5).tolist()
    told = read_report(built.folder / REPORT_FILE).tile(TileCoord(9, x, y))
    assert (told["features"], told["bytes"], told["dropped"]) == (4, 0, {"no-extent": 4})


def test_a_tile_without_records_is_told_to_have_none(build: Any) -> None:
    report = read_report(build(layer("point")).folder / REPORT_FILE)
    assert report.tile(TileCoord(12, 0, 0)) == {
        "z": 12, "x": 0, "y": 0, "features": 0, "bytes": 0, "drawn": 0, "kept": 0, "reduced": 0,
        "merged": {}, "dropped": {},
    }  # fmt: skip
    with pytest.raises(TileOutsideMatrix, match="no report of zoom 15; there are tiles of these: 8, 9"):
        report.tile(TileCoord(15, 0, 0))


def test_the_summary_has_no_tiles(build: Any) -> None:
    built = build(layer("coverage"))
    summary = read_report(built.folder / REPORT_FILE).summary()
    assert list(summary["zooms"]) == [str(z) for z in range(8, Z + 1)]
    assert all("by_tile" not in zoom for zoom in summary["zooms"].values())
    assert summary["budget_bytes"] == level.BUDGET_BYTES
    assert built.report["zooms"]["9"].items() >= summary["zooms"]["9"].items()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_layer_gives_the_same_report(build: Any, kind: str) -> None:
    one, two = (build(layer(kind, 200), workers) for workers in (1, 2))
    assert (one.folder / REPORT_FILE).read_bytes() == (two.folder / REPORT_FILE).read_bytes()


def test_bytes_over_the_budget_are_told(build: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(level, "BUDGET_BYTES", 1_000)
    report = build(layer("point")).report["zooms"]
    assert report["14"]["over_budget"] > 0 and report["12"]["over_budget"] == 0
    assert report["14"]["largest_bytes"] > 1_000 >= report["12"]["largest_bytes"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b'{"format": 2}', "is damaged"),
        (b'{"format": 2, "zooms": {"3": {"by_tile": {}}}}', "is damaged"),
        (b'{"format": 1, "zooms": {}}', "another format; publish the layer again"),
    ],
)
def test_a_report_that_cannot_be_used_is_told(tmp_path: Any, content: bytes | None, words: str) -> None:
    path = tmp_path / "tiles.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CatalogError, match=words):
        read_report(path)


def test_tallies_add_up_and_come_back_from_json() -> None:
    chance = np.random.default_rng(2)
    places = chance.integers(0, 50, 300)
    numbers = {name: chance.integers(0, 9, 300) for name in ("kept", "stack")}
    tally = Tally.joined(
        [
            Tally.of(places[:100], {k: v[:100] for k, v in numbers.items()}),
            Tally.of(places[100:], {"kept": numbers["kept"][100:]}),
        ]
    )
    for place in range(50):
        at = tally.at(place)
        assert (at is None) == (place not in places)
        if at is not None:
            assert at["kept"] == numbers["kept"][places == place].sum()
            assert at["stack"] == numbers["stack"][:100][places[:100] == place].sum()
    again = Tally.from_json(orjson.loads(orjson.dumps(tally.to_json())))
    assert np.array_equal(again.places, tally.places)
    assert {name: values.tolist() for name, values in again.columns.items()} == {
        name: values.tolist() for name, values in tally.columns.items()
    }
    assert Tally.joined([]).to_json() == {"tile": []}


def test_tiles_that_a_box_touches_are_those_it_meets() -> None:
    chance = np.random.default_rng(4)
    low = chance.integers(0, EXTENT << 3, (200, 2))
    boxes = np.column_stack([low, low + chance.integers(0, 20_000, (200, 2))])
    boxes[0] = [EXTENT * 2 - BUFFER * 2 - 1, 0, EXTENT * 2 - BUFFER * 2 - 1, 0]  # one unit short of the next buffer
    boxes[1] = [EXTENT * 2 - BUFFER * 2, 0, EXTENT * 2 - BUFFER * 2, 0]
    boxes[2] = [1, 1, 0, 0]
    which, places = touched_tiles(boxes, 2, 1)
    pairs = {(i, tile_of_id(place)) for i, place in zip(which.tolist(), places.tolist(), strict=True)}
    reach, side = BUFFER << 1, EXTENT << 1
    truth = {
        (i, TileCoord(2, x, y))
        for i, (x0, y0, x1, y1) in enumerate(boxes.tolist())
        for x in range(4)
        for y in range(4)
        if x0 <= x1
        and x * side - reach <= x1 and (x + 1) * side + reach >= x0
        and y * side - reach <= y1 and (y + 1) * side + reach >= y0
    }  # fmt: skip
    assert pairs == truth
    assert (0, TileCoord(2, 1, 0)) not in pairs and (1, TileCoord(2, 1, 0)) in pairs


def test_a_hundred_thousand_tiles_take_little_room(tmp_path: Any) -> None:
    """A point in each of 320 by 320 tiles, none of them drawn: about a dozen bytes a tile."""
    x, y = np.divmod(np.arange(320 * 320), 320)
    xy = np.column_stack([x + 18_000, y + 25_000]) * EXTENT + EXTENT // 2
    tally = lost_tally(
        np.column_stack([xy, xy]), np.ones(len(xy), dtype=np.int64), np.full(len(xy), Reason.BUDGET), 16, 0
    )
    assert len(tally.places) == 320 * 320
    written = orjson.dumps(tally.to_json())
    assert len(written) < 1_000_000
    assert Tally.from_json(orjson.loads(written)).at(tile_id(TileCoord(16, 18_001, 25_001)))["budget"] == 1
