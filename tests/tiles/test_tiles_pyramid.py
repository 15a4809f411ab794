"""The whole pyramid: stacks, budget, account, repetition, and what other programs read in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import orjson
import pyarrow as pa
import pyogrio
import pytest
import shapely
import strict_mvt
from pmtiles.reader import MemorySource, all_tiles
from tile_factories import Pyramid, lonlat_source, make_source

from gisservice.model import GeometryKind
from gisservice.tiles import EXTENT, REPORT_FILE, TileCoord, budget, level
from gisservice.tiles.archive import decompress
from gisservice.tiles.shapes import from_geometries, tidy, to_polygons

Z = 14
ORIGIN = np.array([4681, 6271]) * EXTENT


def boxes(count: int, side: int = 40, gap: int = 0) -> list[Any]:
    across = int(np.ceil(np.sqrt(count)))
    corners = [((i % across) * (side + gap), (i // across) * (side + gap)) for i in range(count)]
    return [shapely.transform(shapely.box(x, y, x + side, y + side), lambda xy: xy + ORIGIN + 300) for x, y in corners]


def stack() -> Any:
    """Three geometries; the second has four records, and its records are not neighbours."""
    owners = [1, 0, 1, 2, 1, 1]
    table = pa.table({"unit": [f"unit {i}" for i in range(6)]})
    return make_source(boxes(3), minzoom=12, record_geometry=owners, ids=range(10, 16), attributes=table)


def test_every_record_of_a_stack_is_there_at_the_deepest_zoom(build: Any) -> None:
    built = build(stack())
    found = built.features(Z)
    assert sorted(found) == [10, 11, 12, 13, 14, 15]
    assert {i: f.properties for i, [(_, f)] in found.items()} == {10 + i: {"unit": f"unit {i}"} for i in range(6)}
    commands = [found[i][0][1].commands for i in (10, 12, 14, 15)]
    assert all(command == commands[0] for command in commands)


def test_a_stack_is_drawn_once_at_smaller_zooms_and_says_how_many_it_is(build: Any) -> None:
    built = build(stack())
    found = built.features(13)
    assert sorted(found) == [10, 11, 13]
    assert found[10][0][1].properties == {"unit": "unit 0", "stack": 4}
    assert found[11][0][1].properties == {"unit": "unit 1"}
    assert built.report["zooms"]["13"]["merged"] == {"stack": 3}
    assert built.report["zooms"]["14"]["merged"] == {}


def test_a_column_called_stack_keeps_its_name(build: Any) -> None:
    table = pa.table({"stack": ["chimney", "hay"]})
    built = build(make_source(boxes(1), minzoom=13, record_geometry=[0, 0], attributes=table))
    (((_, feature),),) = built.features(13).values()
    assert feature.properties == {"stack": "chimney", "stack_": 2}


def test_features_come_in_the_order_of_the_records(build: Any) -> None:
    built = build(make_source(boxes(50), ids=np.arange(50)[::-1]))
    for tile in built.addresses():
        ids = [f.id for f in built.layer(tile).features]
        assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize("kind", [GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON])
def test_a_layer_without_records_gives_an_empty_archive(build: Any, kind: GeometryKind) -> None:
    built = build(make_source([], kind=kind, minzoom=10))
    assert built.addresses() == []
    assert all(zoom["features"] == zoom["kept"] == zoom["tiles"] == 0 for zoom in built.report["zooms"].values())


def test_a_geometry_without_positions_is_told_and_does_no_harm(build: Any) -> None:
    built = build(make_source([shapely.MultiPolygon(), *boxes(1)], minzoom=13, kind=GeometryKind.POLYGON))
    assert built.report["zooms"]["14"]["dropped"] == {"no-geometry": 1}
    assert sorted(built.features(14)) == [1]


@pytest.mark.parametrize("coverage", [False, True])
def test_how_the_work_is_divided_changes_no_byte(build: Any, monkeypatch: Any, coverage: bool) -> None:
    chance = np.random.default_rng(1)
    table = pa.table({"v": chance.random(900), "t": [f"text {i % 7}" for i in range(900)]})
    shapes = [
        shapely.transform(box, lambda xy: xy + (xy % 7)) for box in boxes(900, side=333, gap=0 if coverage else 3)
    ]
    source = make_source(shapes, minzoom=8, coverage=coverage, attributes=table)
    one, two, three = build(source), build(source, 2), build(source, 3)
    monkeypatch.setattr(level, "_CHUNK_FEATURES", 20)
    small = build(source, 2)
    assert one.files() == two.files() == three.files() == small.files()
    assert one.report == two.report == small.report


@pytest.mark.parametrize("kind", ["polygon", "coverage", "point", "line"])
def test_tiles_keep_within_their_budget_by_one_threshold(build: Any, monkeypatch: Any, kind: str) -> None:
    """A feature in two tiles has the same properties in both; what is drawn in one is drawn in the other."""
    for module in (budget, level):
        monkeypatch.setattr(module, "BUDGET_BYTES", 12_000)
    chance = np.random.default_rng(3)
    count = 2500
    table = pa.table(
        {
            "text": [f"{a:x}" for a in chance.integers(0, 2**60, count)],
            "class": [f"class {a}" for a in chance.integers(0, 5, count)],
        }
    )
    shapes = boxes(count, side=30)
    if kind == "point":
        shapes = [shapely.Point(*xy) for xy in chance.integers(-4096, 4096, (count, 2)) + ORIGIN]
    elif kind == "line":
        ends = chance.integers(-4000, 4000, (count, 2)) + ORIGIN
        shapes = [
            shapely.LineString([a, a + b]) for a, b in zip(ends, chance.integers(-300, 300, (count, 2)), strict=True)
        ]
    built = build(make_source(shapes, minzoom=10, attributes=table, coverage=kind == "coverage", merge_by=None))
    for z in range(10, Z):
        zoom = built.report["zooms"][str(z)]
        assert zoom["largest_bytes"] <= 12_000
        assert zoom["features"] == zoom["kept"] + sum(zoom["merged"].values()) + sum(zoom["dropped"].values())
        found = {i: shown for i, shown in built.features(z).items() if i is not None}
        assert zoom["kept"] == len(found)
        for shown in found.values():
            assert len({tuple(sorted(f.properties.items())) for _, f in shown}) == 1
            assert all("class" in f.properties for _, f in shown)
        assert zoom["reduced"] == sum("text" not in shown[0][1].properties for shown in found.values())
    deepest = built.report["zooms"][str(Z)]
    assert deepest["kept"] == count and deepest["largest_bytes"] > 12_000


@pytest.mark.parametrize("coverage", [False, True])
def test_a_change_far_away_changes_no_byte_of_a_tile(build: Any, coverage: bool) -> None:
    """What is republished is only what a change touches: no tile depends on values or shapes elsewhere."""
    near = boxes(200, side=30)
    far = [shapely.transform(box, lambda xy: xy + 8 * EXTENT) for box in boxes(40, side=30)]
    changed = [shapely.transform(box, lambda xy: xy + 5 * EXTENT) for box in boxes(30, side=37)]
    names = [f"lot {i}" for i in range(240)]
    first, second = pa.table({"name": names}), pa.table({"name": [*(f"plot {i}" for i in range(30)), *names[:200]]})
    one = build(make_source([*near, *far], minzoom=13, attributes=first, coverage=coverage))
    ids = [*range(1000, 1030), *range(200)]
    two = build(make_source([*changed, *near], minzoom=13, attributes=second, ids=ids, coverage=coverage))
    for z in (13, 14):
        tile = TileCoord(z, *(ORIGIN // EXTENT >> (14 - z)).tolist())
        assert one.archive.get(tile) == two.archive.get(tile)


def test_the_report_agrees_with_the_archive(build: Any) -> None:
    built = build(make_source(boxes(300), minzoom=9, coverage=True))
    for z, zoom in built.report["zooms"].items():
        tiles = built.addresses(int(z))
        sizes = [len(built.archive.get(tile)) for tile in tiles]
        assert (zoom["tiles"], zoom["bytes"], zoom["largest_bytes"]) == (len(tiles), sum(sizes), max(sizes))
        assert zoom["invalid"]["after"] == sum(strict_mvt.invalid(built.layer(tile)) for tile in tiles) == 0


def test_progress_is_told_zoom_by_zoom(tmp_path: Any) -> None:
    from gisservice.tiles import build_pyramid

    calls: list[tuple[int, int]] = []
    build_pyramid(stack(), tmp_path, workers=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_metadata_names_the_layer_and_its_fields(build: Any) -> None:
    table = pa.table({"a": ["x"] * 6, "b": [1.0] * 6, "c": [True] * 6})
    source = make_source(boxes(3), minzoom=12, record_geometry=[0, 0, 1, 1, 2, 2], attributes=table, name="plots")
    (layer,) = build(source).archive.metadata["vector_layers"]
    fields = {"a": "String", "b": "Number", "c": "Boolean", "stack": "Number"}
    assert layer == {"id": "plots", "fields": fields, "minzoom": 12, "maxzoom": 14}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ids": [2**53]}, "2\\*\\*53"),
        ({"ids": [-1]}, "from 0"),
        ({"record_geometry": [1]}, "not there"),
        ({"minzoom": 15}, "zooms 15 to 14"),
        ({"attributes": pa.table({"a": [1, 2]})}, "different length"),
        ({"merge_by": "zone"}, "no column 'zone'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_source(boxes(1), **wrong)


def lonlat_boxes() -> Any:
    import geopandas

    chance = np.random.default_rng(9)
    corner = chance.uniform([-77.14, 38.79], [-77.04, 38.84], (400, 2))
    shapes = [shapely.box(*c, *(c + 0.001)) for c in corner]
    data = {"name": [f"lot {i}" for i in range(400)], "size": np.arange(400) / 7, "geometry": shapes}
    return geopandas.GeoDataFrame(data, crs="OGC:CRS84")


def test_gdal_reads_the_archive(build: Any) -> None:
    """GDAL's own PMTiles and MVT drivers find every feature, with its id and values, in its place."""
    frame = lonlat_boxes()
    built = build(lonlat_source(frame, "lots", z=15, minzoom=13, ids=np.arange(400) + 7))
    info = pyogrio.read_info(built.path, layer="lots")
    assert set(info["fields"]) == {"mvt_id", "name", "size"}
    read = pyogrio.read_dataframe(built.path, layer="lots")
    whole = read.dissolve("mvt_id", aggfunc="first").to_crs("EPSG:4326")
    assert whole.index.tolist() == list(range(7, 407))
    assert whole["name"].tolist() == frame["name"].tolist()
    assert whole["size"].to_numpy() == pytest.approx(frame["size"].to_numpy())
    differ = shapely.symmetric_difference(np.asarray(whole.geometry), np.asarray(frame.geometry))
    assert shapely.area(differ).max() < shapely.length(np.asarray(frame.geometry)).max() * 360 / 2**15 / EXTENT


def test_mapbox_vector_tile_reads_what_our_reader_reads(build: Any) -> None:
    built = build(lonlat_source(lonlat_boxes(), "lots", z=15, minzoom=13))
    for address, data in all_tiles(MemorySource(built.path.read_bytes())):
        ours = built.layer(TileCoord(*address))
        theirs = mapbox_vector_tile.decode(decompress(data), default_options={"y_coord_down": True})["lots"]
        assert theirs["extent"] == ours.extent == EXTENT
        for one, other in zip(ours.features, theirs["features"], strict=True):
            assert (one.id, one.properties) == (other["id"], other["properties"])
            assert shapely.equals(one.geometry, shapely.geometry.shape(other["geometry"]))


def test_addresses_of_the_city_at_every_zoom(build: Any, shared_data: Any) -> None:
    import geopandas

    table = pyogrio.read_dataframe(shared_data / "alexandria" / "address_points_2019.csv", read_geometry=False)
    points = shapely.points(table["X"].astype(float), table["Y"].astype(float))
    frame = geopandas.GeoDataFrame(
        table[["STREET", "ZIP"]] if "STREET" in table else table.iloc[:, 3:5], geometry=points
    )
    built = build(lonlat_source(frame, "addresses", z=16, minzoom=9), 2)
    for z, zoom in built.report["zooms"].items():
        assert zoom["features"] == len(frame)
        if int(z) < 16:
            assert zoom["largest_bytes"] <= budget.BUDGET_BYTES
    deepest = [decompress(built.archive.get(tile)) for tile in built.addresses(16)]
    assert set().union(*map(strict_mvt.ids, deepest)) == set(range(len(frame)))


@pytest.mark.slow
def test_the_real_parcels(published_parcels: Path, real_parcels: Any) -> None:
    """Every parcel at z16, no invalid polygon at any zoom, and a city without holes at z10."""
    built = Pyramid(published_parcels)
    report = orjson.loads((published_parcels / REPORT_FILE).read_bytes())
    tiles = {tile: decompress(built.archive.get(tile)) for tile in built.addresses()}
    assert set().union(*(strict_mvt.ids(data) for tile, data in tiles.items() if tile.z == 16)) == set(range(1, 47_175))
    whole = shapely.area(to_polygons(tidy(from_geometries(real_parcels.geometries, 16)))).sum()
    square = shapely.box(0, 0, EXTENT, EXTENT)
    for z in range(10, 17):
        layers = [built.layer(tile) for tile in built.addresses(z)[:: 1 if z < 12 else 8]]
        assert sum(map(strict_mvt.invalid, layers)) == 0
        if z < 12:
            drawn = np.array([feature.geometry for layer in layers for feature in layer.features])
            area = shapely.area(shapely.intersection(drawn, square)).sum() * 4.0 ** (16 - z)
            assert area == pytest.approx(whole, rel=0.03)
        if z < 16:
            assert report["zooms"][str(z)]["largest_bytes"] <= budget.BUDGET_BYTES
    theirs = dict(all_tiles(MemorySource(built.path.read_bytes())))
    assert {TileCoord(*tile) for tile in theirs} == set(tiles)
    assert all(built.archive.get(TileCoord(*tile)) == data for tile, data in theirs.items())
