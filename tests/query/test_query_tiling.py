"""Tiles drawn on demand: equal to the pyramid's where both are, right in every grid, and seams that agree."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
import strict_mvt
from drawn_layers import DEGREES, FEET, GRIDS, WEB, Drawn, Where, disagreement, placed, publish, reach
from hypothesis import given, settings
from hypothesis import strategies as st

from gisservice.errors import InvalidParameter, TileOutsideMatrix
from gisservice.model import GeometryKind
from gisservice.query import choose_properties, zoom_range
from gisservice.tiles import EXTENT, TileCoord, TileMatrixSet, dynamic, level

by_grid = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.id)
CENTRE = np.array([-77.07, 38.81])


def coverage(across: int, step: float, seed: int = 1, wobble: float = 0.35, corner: Any = CENTRE) -> list[Any]:
    """Quadrilaterals that share borders, each side with a bend."""
    chance = np.random.default_rng(seed)
    nodes = np.indices((2 * across + 1, 2 * across + 1)).T.astype(float) / 2
    nodes += chance.uniform(-wobble / 2, wobble / 2, nodes.shape)
    nodes = np.asarray(corner) + nodes * step
    around = [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    return [
        shapely.Polygon([nodes[2 * y + b, 2 * x + a] for a, b in around]) for y in range(across) for x in range(across)
    ]


def columns(count: int, seed: int = 1) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    return {
        "zone": [f"Z{number}" for number in chance.integers(0, 4, count)],
        "area": chance.integers(1, 9, count) / 4,
        "n": chance.integers(0, 5, count),
        "text": [f"text {number}" for number in chance.integers(0, 10**9, count)],
    }


@pytest.fixture(scope="module")
def lots(tmp_path_factory: Any) -> Drawn:
    """A coverage of 900 lots, a stack of seven among them, and one that is long and thin."""
    shapes = coverage(30, 0.0004)
    thin = shapely.box(-77.0950, 38.80990, -77.0330, 38.80991)
    shapes = [*shapes, *[shapes[435]] * 6, thin]
    table = columns(len(shapes))
    table["text"][500] = None
    return publish(tmp_path_factory.mktemp("lots"), shapes, table, coverage=True, merge_by="zone", zooms=(8, 15))


@pytest.fixture(scope="module")
def scattered(tmp_path_factory: Any) -> dict[str, Drawn]:
    """One layer of each kind without common borders, multi-geometries and stacks among them."""
    chance = np.random.default_rng(2)
    at = CENTRE + chance.uniform(0, 0.03, (600, 2))
    size = 10.0 ** chance.uniform(-5.5, -3, 600)
    boxes = [shapely.box(x, y, x + s, y + s / 2) for (x, y), s in zip(at, size, strict=True)]
    walks = [
        shapely.LineString(p + np.cumsum(chance.normal(0, s, (9, 2)), axis=0)) for p, s in zip(at, size, strict=True)
    ]
    dots = [shapely.Point(p) for p in at]
    kinds = {
        "points": [*dots[:590], *[shapely.MultiPoint(at[i : i + 4]) for i in range(10)]],
        "lines": [*walks[:590], *[shapely.MultiLineString(walks[i : i + 3]) for i in range(10)]],
        "polygons": [*boxes[:590], *[shapely.union_all(boxes[i * 7 : i * 7 + 4]) for i in range(10)]],
    }
    folder = tmp_path_factory.mktemp("scattered")
    for shapes in kinds.values():
        shapes += [shapes[3]] * 3
    return {name: publish(folder / name, shapes, columns(603)) for name, shapes in kinds.items()}


def every(lots: Drawn, scattered: dict[str, Drawn]) -> list[Drawn]:
    return [lots, *scattered.values()]


def test_a_drawn_tile_is_the_stored_one_to_the_byte(lots: Drawn, scattered: dict[str, Drawn]) -> None:
    for layer in every(lots, scattered):
        tiles = 0
        for tile, stored in layer.stored():
            assert layer.bytes(WEB, tile) == stored, (layer.folder.name, tile)
            tiles += 1
        assert tiles > 7


def test_where_nothing_is_stored_nothing_is_drawn(lots: Drawn) -> None:
    stored = {tile for tile, _ in lots.stored()}
    for z in range(8, 16):
        for tile in lots.tiles(WEB, z):
            assert (lots.bytes(WEB, tile) == b"") == (tile not in stored)


def test_a_wide_polygon_is_drawn_as_it_is_stored(tmp_path: Path) -> None:
    """Where its rings begin may differ."""
    rings = [
        shapely.Point(*CENTRE).buffer(r, 40).difference(shapely.Point(*CENTRE).buffer(r * 0.9)) for r in (0.3, 0.1)
    ]
    layer = publish(tmp_path, rings, zooms=(7, 11))
    for tile, stored in layer.stored():
        (expected,) = strict_mvt.read(stored).values()
        drawn = layer.draw(WEB, tile)
        assert [f.id for f in drawn] == [f.id for f in expected.features]
        for one, other in zip(drawn, expected.features, strict=True):
            assert one.geometry.symmetric_difference(other.geometry).area == 0
            assert one.properties == other.properties


ASKED: list[dict[str, Any]] = [
    {"properties": ("zone", "merged"), "with_ids": False},
    {"filter": Where(lambda table: table["n"] != 3)},
    {"filter": Where(lambda table: table.index % 50 == 7), "properties": ("text", "merged", "stack")},
]


@pytest.mark.parametrize("asked", ASKED)
def test_geometries_taken_from_stored_tiles_make_the_tiles_that_are_cut_anew(
    lots: Drawn, scattered: dict[str, Drawn], asked: dict[str, Any]
) -> None:
    for layer in every(lots, scattered):
        of_zoom: dict[int, list[TileCoord]] = {}
        for tile, _ in layer.stored():
            of_zoom.setdefault(tile.z, []).append(tile)
        for z, tiles in of_zoom.items():
            step = -(-len(tiles) // 2)
            neighbour = TileCoord(z, min(tile.x for tile in tiles) - 1, tiles[0].y)
            for tile in [*tiles[::step], neighbour]:
                taken = layer.bytes(WEB, tile, with_stored=True, **asked)
                assert taken == layer.bytes(WEB, tile, **asked), (layer.folder.name, tile)


def test_what_is_stored_is_not_cut_again(
    lots: Drawn, scattered: dict[str, Drawn], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record at the deepest zoom; above it all but what is summed up with others than it is stored with."""
    asked = {"filter": Where(lambda table: table["n"] != 3), "with_stored": True}
    expected = {
        (layer, tile): layer.bytes(WEB, tile, **asked)
        for layer in every(lots, scattered)
        for tile in layer.tiles(WEB, layer.levels.maxzoom)[:4] + layer.tiles(WEB, layer.levels.maxzoom - 1)[:1]
        if tile.z == layer.levels.maxzoom or layer.levels.kind != GeometryKind.POLYGON
    }
    monkeypatch.setattr(dynamic, "cut", lambda placement: pytest.fail("something was cut"))
    for (layer, tile), content in expected.items():
        assert layer.bytes(WEB, tile, **asked) == content
    assert sum(map(len, expected.values()))


@by_grid
def test_zooms_go_from_the_pyramids_first_to_a_centimetre(lots: Drawn, grid: TileMatrixSet) -> None:
    first, last = zoom_range(lots.levels, grid)
    assert grid.pyramid_zoom(first) == 8
    assert {"WebMercatorQuad": 22, "WorldCRS84Quad": 21, "VirginiaNorthFeet": 18}[grid.id] == last
    for z in (first - 1, last + 1):
        with pytest.raises(TileOutsideMatrix, match=f"zooms {first} to {last}|has no zoom"):
            lots.bytes(grid, (z, 0, 0))
    with pytest.raises(TileOutsideMatrix, match="columns and"):
        lots.bytes(grid, (first, 10**6, 0))


# --- properties -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [9, 13, 15, 18])
def test_chosen_properties_are_on_every_feature_and_no_others(lots: Drawn, z: int) -> None:
    tile = lots.tiles(WEB, z)[len(lots.tiles(WEB, z)) // 2]
    plain = lots.draw(WEB, tile)
    drawn = lots.draw(WEB, tile, properties=("text", "zone"))
    assert drawn and [f.id for f in drawn] == [f.id for f in plain]
    rows = {int(i): row for row, i in enumerate(lots.features.tile_ids)}
    table = lots.features.attributes.to_pandas()
    counted = lots.draw(WEB, tile, properties=("merged", "stack"))
    for feature, same, counts in zip(drawn, plain, counted, strict=True):
        assert feature.commands == same.commands == counts.commands
        assert counts.properties == {k: v for k, v in same.properties.items() if k in ("stack", "merged")}
        if feature.id is None:
            assert set(feature.properties) <= {"text", "zone"} and "zone" in feature.properties
            continue
        record = table.iloc[rows[feature.id]]
        expected = {"zone": record["zone"], "text": record["text"]}
        assert feature.properties == {key: value for key, value in expected.items() if value == value}


def test_no_properties_leave_geometry_and_id(lots: Drawn) -> None:
    for tile in (*lots.tiles(WEB, 12), *lots.tiles(WEB, 15)):
        plain, bare = lots.draw(WEB, tile), lots.draw(WEB, tile, properties=())
        assert [(f.id, f.commands, {}) for f in plain] == [(f.id, f.commands, f.properties) for f in bare]
        nameless = lots.draw(WEB, tile, properties=(), with_ids=False)
        assert [(None, f.commands) for f in plain] == [(f.id, f.commands) for f in nameless]


def test_an_unknown_property_is_refused_with_the_nearest(lots: Drawn) -> None:
    with pytest.raises(InvalidParameter, match=r"'properties' was 'zon'.*did you mean 'zone'"):
        lots.bytes(WEB, (15, 0, 0), properties=("zon",))
    with pytest.raises(InvalidParameter, match="key, zone, area, n, text, stack, merged"):
        choose_properties(["\x00" * 10_000], lots.levels.keys)
    for name in ("", "KEY", "zone,area"):
        with pytest.raises(InvalidParameter):
            choose_properties([name], lots.levels.keys)


def test_a_choice_has_one_order_and_no_doubles() -> None:
    assert choose_properties(["b", "a", "b"], ["a", "b", "c"]) == ("a", "b")
    assert choose_properties([], ["a"]) == ()


# --- filters --------------------------------------------------------------------------------------------------------


def units(layer: Drawn, grid: TileMatrixSet, z: int) -> Any:
    """The exact geometries of all rows in level units, by PROJ alone."""
    matrix = grid.matrices[z]
    to_grid = pyproj.Transformer.from_crs("OGC:CRS84", grid.crs, always_xy=True)

    def move(xy: Any) -> Any:
        x, y = to_grid.transform(*xy.T)
        return np.column_stack([x - matrix.origin[0], matrix.origin[1] - y]) / matrix.unit

    return shapely.transform(layer.shapes, move)


@by_grid
@pytest.mark.parametrize("kind", ["points", "lines", "polygons"])
def test_what_a_filter_leaves_is_what_shapely_counts(
    scattered: dict[str, Drawn], grid: TileMatrixSet, kind: str
) -> None:
    layer = scattered[kind]
    test = Where(lambda table: (table["zone"] == "Z1") & (table["area"] > 1))
    wanted = np.asarray(test.test(layer.features.attributes.to_pandas()))
    past = 15 - grid.pyramid_shift
    seen = 0
    for z in (past - 1, past, past + 2):
        exact = units(layer, grid, z)
        for tile in layer.tiles(grid, z):
            found = [feature.id for feature in layer.draw(grid, tile, filter=test)]
            assert len(found) == len(set(found))
            rows = [
                set(layer.features.tile_ids[wanted & shapely.intersects(exact, reach(tile, 64 + margin))].tolist())
                for margin in (-2, 2)
            ]
            assert rows[0] <= set(found) <= rows[1]
            seen += len(found)
    assert seen > 50


@by_grid
def test_at_small_zooms_every_matching_record_of_a_coverage_is_counted(lots: Drawn, grid: TileMatrixSet) -> None:
    """One by one, in a stack, or merged: what a tile that shows the whole layer says adds up."""
    tests = [lambda table: table["n"] >= 0, lambda table: table["n"] == 2, lambda table: table["key"] == "none"]
    for one in tests:
        # The long thin lot has no extent here, and nobody to be merged with.
        test = Where(lambda table, one=one: one(table) & (table["key"] != "r907"))
        count = int(test.test(lots.features.attributes.to_pandas()).sum())
        z = 9 - grid.pyramid_shift
        tiles = [tile for tile in lots.tiles(grid, z) if lots.draw(grid, tile, filter=test)]
        assert count == 0 or tiles
        records: dict[Any, int] = {}
        for tile in tiles:
            for feature in lots.draw(grid, tile, filter=test):
                stands = feature.properties.get("stack", feature.properties.get("merged", 1))
                key = feature.id or (feature.properties.get("zone"), tuple(placed(feature, tile).centroid.coords))
                records[key] = stands
        if len(tiles) == 1:
            assert sum(records.values()) == count


def test_a_stack_counts_the_records_that_match(lots: Drawn) -> None:
    table = lots.features.attributes.to_pandas()
    stacked = np.bincount(lots.features.record_geometry)[lots.features.record_geometry] > 1
    keys = table["key"][stacked].tolist()
    for some in (keys, keys[2:5], keys[3:4]):
        test = Where(lambda table, some=some: table["key"].isin(some))
        (feature,) = next(found for tile in lots.tiles(WEB, 14) if (found := lots.draw(WEB, tile, filter=test)))
        expected = {"stack": len(some)} if len(some) > 1 else {}
        assert {key: value for key, value in feature.properties.items() if key == "stack"} == expected
        assert feature.properties["key"] == min(some, key=keys.index)
        deepest = next(found for tile in lots.tiles(WEB, 15) if (found := lots.draw(WEB, tile, filter=test)))
        assert sorted(f.properties["key"] for f in deepest) == sorted(some)


def test_a_filter_of_everything_changes_nothing(lots: Drawn, scattered: dict[str, Drawn]) -> None:
    for layer in every(lots, scattered):
        for tile, stored in layer.stored():
            assert layer.bytes(WEB, tile, filter=Where(lambda table: np.ones(len(table), dtype=bool))) == stored


def test_cql2_filters_tiles(lots: Drawn) -> None:
    from gisservice.model import Column, ColumnType
    from gisservice.query.filter import parse_filter

    known = [Column("zone", ColumnType.STRING), Column("n", ColumnType.INTEGER)]
    asked = parse_filter("zone = 'Z2' AND n > 2", "cql2-text", known)
    plain = Where(lambda table: (table["zone"] == "Z2") & (table["n"] > 2))
    for z in (10, 15, 17):
        for tile in lots.tiles(WEB, z):
            assert lots.bytes(WEB, tile, filter=asked) == lots.bytes(WEB, tile, filter=plain)


# --- seams ----------------------------------------------------------------------------------------------------------


def seams(layer: Drawn, grid: TileMatrixSet, z: int, **asked: Any) -> int:
    """Compare all neighbours of a zoom; return how many seams had something to compare."""
    drawn = {tile: layer.draw(grid, tile, **asked) for tile in layer.tiles(grid, z)}
    compared = 0
    for tile, features in drawn.items():
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            other = TileCoord(z, tile.x + dx, tile.y + dy)
            if other in drawn:
                assert disagreement(features, tile, drawn[other], other) == [], (tile, other)
                compared += bool(features and drawn[other])
    return compared


@by_grid
def test_neighbours_agree_where_both_reach(lots: Drawn, scattered: dict[str, Drawn], grid: TileMatrixSet) -> None:
    test = Where(lambda table: table["n"] != 1)
    for layer in every(lots, scattered):
        compared = 0
        for z in (10, 14, 15, 17):
            asked = {"filter": test, "properties": ("zone",)} if z in (10, 14) else {}
            compared += seams(layer, grid, z - grid.pyramid_shift, **asked)
        assert compared > 20


@pytest.mark.parametrize("shared", [True, False])
def test_what_is_summed_up_for_want_of_bytes_is_drawn_as_it_is_stored(
    tmp_path: Path, monkeypatch: Any, shared: bool
) -> None:
    """Large polygons are merged, or turned to dust: groups reach far beyond the cells of their middles."""
    monkeypatch.setattr(level, "BUDGET_BYTES", 4_000)
    shapes = coverage(20, 0.002)
    bands = [shapely.box(-77.09, 38.809 - 0.002 * i, -76.99, 38.8089 - 0.002 * i) for i in range(1, 7)]
    small = coverage(12, 0.0001, 3, corner=(-77.0406, 38.8064))  # merged with what has its middle among them
    shapes = [*shapes, *bands, *small]
    merge_by = "zone" if shared else None
    layer = publish(tmp_path, shapes, columns(len(shapes)), coverage=shared, merge_by=merge_by)
    summed = reaching = 0
    for tile, stored in layer.stored():
        assert layer.bytes(WEB, tile) == stored, tile
        summed += layer.levels.limit(tile.z) < 300
        found = np.unique(
            layer.features.record_geometry[np.concatenate(layer.features.search(WEB.lonlat_bounds(tile)))]
        )
        reaching += dynamic.View(layer.levels, WEB, tile).wider_box(found.astype(np.int64)) is not None
    assert summed > 10 and (reaching > 3) == shared
    for tile in [tile for tile, _ in layer.stored() if tile.z in (9, 11, 13)][::5]:
        asked = {"filter": Where(lambda table: table["n"] != 3)}
        assert layer.bytes(WEB, tile, with_stored=True, **asked) == layer.bytes(WEB, tile, **asked)
    for grid in GRIDS:
        for z in (10, 12, 13):
            seams(layer, grid, z - grid.pyramid_shift, filter=Where(lambda table: table["n"] != 3))


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from(GRIDS), st.floats(0.0001, 0.02), st.booleans())
def test_neighbours_agree_on_any_coverage(
    seed: int, across: int, grid: TileMatrixSet, step: float, shared: bool
) -> None:
    chance = np.random.default_rng(seed)
    shapes = coverage(across, step, seed, chance.uniform(0, 0.45), CENTRE + chance.uniform(-0.5, 0.4, 2))
    with tempfile.TemporaryDirectory() as folder:
        layer = publish(Path(folder), shapes, columns(len(shapes)), coverage=shared, zooms=(7, 13))
        for z in (9, 12, 13, 15):
            seams(layer, grid, z - grid.pyramid_shift)


@pytest.mark.parametrize("z", [1, 2, 3])
def test_neighbours_agree_at_the_curved_edges_of_the_state_plane_grid(tmp_path: Path, z: int) -> None:
    """Parallels are arcs in feet: a lattice over all of Virginia North, dense enough to lie on every edge."""
    lon, lat = np.meshgrid(np.linspace(-80.3, -76.2, 70), np.linspace(36.5, 39.6, 50))
    points = [shapely.Point(p) for p in zip(lon.ravel(), lat.ravel(), strict=True)]
    layer = publish(tmp_path, points, zooms=(6, 10))
    matrix = FEET.matrices[z]
    drawn = {}
    for x in range(matrix.width):
        for y in range(matrix.height):
            drawn[TileCoord(z, x, y)] = layer.draw(FEET, (z, x, y))
    exact = units(layer, FEET, z)
    limit = layer.levels.limit(FEET.pyramid_zoom(z))
    shown = layer.levels.ranks[layer.features.record_geometry] < limit
    for tile, features in drawn.items():
        found = {feature.id for feature in features}
        sure, maybe = (
            set(layer.features.tile_ids[shown & shapely.intersects(exact, reach(tile, 64 + margin))].tolist())
            for margin in (-2, 2)
        )
        assert sure <= found <= maybe
    for tile, features in drawn.items():
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            other = TileCoord(z, tile.x + dx, tile.y + dy)
            assert other not in drawn or disagreement(features, tile, drawn[other], other) == []


def test_what_only_touches_the_buffer_is_drawn(tmp_path: Path) -> None:
    """Points 1 to 63 units outside a tile's west edge, in each grid, at a zoom past the pyramid."""
    for grid in GRIDS:
        z = 16 - grid.pyramid_shift
        tile = next(iter(publish(tmp_path, [shapely.Point(*CENTRE)], zooms=(12, 13)).tiles(grid, z)))
        matrix = grid.matrices[z]
        x0, y0 = tile.x * EXTENT, tile.y * EXTENT + 2000
        back = pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
        xs = np.array([x0 - 70, x0 - 66, x0 - 64, x0 - 63, x0 - 1, x0 + 5])
        lon, lat = back.transform(matrix.origin[0] + xs * matrix.unit, np.full(6, matrix.origin[1] - y0 * matrix.unit))
        layer = publish(tmp_path, [shapely.Point(p) for p in zip(lon, lat, strict=True)], zooms=(12, 13))
        found = {f.id: f.geometry.geoms[0].coords[0] for f in layer.draw(grid, tile)}
        assert found == {i + 1: (xs[i] - x0, 2000) for i in range(2, 6)}
        (west,) = (layer.draw(grid, (z, tile.x - 1, tile.y)),)
        assert {f.id for f in west} == {1, 2, 3, 4, 5, 6}


# --- positions in each grid ------------------------------------------------------------------------------------------


def as_feet(layer: Drawn, tile: TileCoord, **asked: Any) -> dict[int, Any]:
    """What GDAL reads in a tile of the State Plane grid, in feet, by id."""
    matrix = FEET.matrices[0]
    with tempfile.TemporaryDirectory() as folder:
        path, about = Path(folder) / "tile.mvt", Path(folder) / "metadata.json"
        path.write_bytes(layer.bytes(FEET, tile, **asked))
        about.write_text(
            json.dumps(
                {
                    "crs": "EPSG:2283",
                    "tile_origin_upper_left_x": matrix.origin[0],
                    "tile_origin_upper_left_y": matrix.origin[1],
                    "tile_dimension_zoom_0": matrix.cell_size * 256,
                    "json": json.dumps({"vector_layers": [{"id": layer.name, "fields": {"key": "String"}}]}),
                }
            )
        )
        options = {"METADATA_FILE": str(about), "X": tile.x, "Y": tile.y, "Z": tile.z, "CLIP": "NO"}
        frame = pyogrio.read_dataframe(path, layer=layer.name, **options)
    assert frame.crs == "EPSG:2283"
    return dict(zip(frame["key"], frame.geometry, strict=True))


@pytest.mark.parametrize("z", [9, 12, 15, 18])
def test_vertices_in_feet_are_those_of_the_source(tmp_path: Path, z: int) -> None:
    """Lots laid out in EPSG:2283 come back, by way of CRS84 and GDAL, where they were: within one unit."""
    matrix, side = FEET.matrices[z], 40 * FEET.matrices[z].unit
    corner = np.array([11_900_000.0, 6_980_000.0]) + 1 / 3
    chance = np.random.default_rng(z)
    rings = [corner + side * (np.array([[0, 0], [3, 0], [3, 2], [1, 3]]) + chance.uniform(0, 9, 2)) for _ in range(30)]
    back = pyproj.Transformer.from_crs("EPSG:2283", "OGC:CRS84", always_xy=True)
    shapes = [shapely.Polygon(np.column_stack(back.transform(*ring.T))) for ring in rings]
    layer = publish(tmp_path, shapes, zooms=(14, 16))
    seen = 0
    for tile in layer.tiles(FEET, z):
        if not layer.draw(FEET, tile):
            continue
        west, south, east, north = FEET.bounds(tile)
        for key, polygon in as_feet(layer, tile).items():
            ring = rings[int(key[1:]) - 1]
            if (ring.min(axis=0) < (west, south)).any() or (ring.max(axis=0) > (east, north)).any():
                continue
            found = shapely.get_coordinates(polygon)[:-1]
            assert len(found) == 4
            away = np.abs(found[:, None, :] - ring[None, :, :]).max(axis=2).min(axis=1)
            assert away.max() <= matrix.unit
            seen += 1
    assert seen > 10


@by_grid
def test_other_readers_see_the_same(lots: Drawn, grid: TileMatrixSet) -> None:
    for z in (10, 14, 17):
        for tile in lots.tiles(grid, z - grid.pyramid_shift)[:20]:
            ours = lots.draw(grid, tile)
            if not ours:
                continue
            theirs = mapbox_vector_tile.decode(lots.bytes(grid, tile), default_options={"y_coord_down": True})["layer"][
                "features"
            ]
            assert [f.get("id") for f in theirs] == [f.id for f in ours]
            assert [f["properties"] for f in theirs] == [f.properties for f in ours]
            for one, other in zip(theirs, ours, strict=True):
                assert shapely.geometry.shape(one["geometry"]).symmetric_difference(other.geometry).area == 0


def test_types_of_properties_are_those_of_the_pyramid(lots: Drawn) -> None:
    (feature, *_) = lots.draw(WEB, lots.tiles(WEB, 17)[14])
    assert feature.types["zone"] == feature.types["key"] == "string"
    assert feature.types["area"] == "float" and feature.types["n"] == "uint"


@by_grid
def test_shared_borders_stay_shared_in_every_grid(lots: Drawn, grid: TileMatrixSet) -> None:
    """Lots of a tile neither overlap nor leave gaps at zooms of the pyramid."""
    for z in (13, 14, 15):
        for tile in lots.tiles(grid, z - grid.pyramid_shift):
            shown = [f for f in lots.draw(grid, tile) if "stack" not in f.properties]
            shapes = {f.geometry.wkb: f.geometry for f in shown if f.properties.get("key") != "r907"}
            polygons = list(shapes.values())
            if not polygons:
                continue
            whole = shapely.union_all(polygons)
            assert sum(p.area for p in polygons) == pytest.approx(whole.area, abs=1e-6)


# --- the rims of the world, and sizes --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: Any) -> Drawn:
    places = [(lon, lat) for lon in (-180, -179.99, -77, 0, 179.99, 180) for lat in (-90, -88, -60, 0, 38.8, 86, 90)]
    return publish(tmp_path_factory.mktemp("world"), [shapely.Point(p) for p in places], zooms=(0, 4))


@by_grid
def test_tiles_at_the_rims_of_the_world_give_no_error(world: Drawn, grid: TileMatrixSet) -> None:
    for z in (0, 1, 3, 5, 9, grid.maxzoom):
        matrix = grid.matrices[z]
        for x in {0, matrix.width // 2, matrix.width - 1}:
            for y in {0, matrix.height // 2, matrix.height - 1}:
                world.draw(grid, (z, x, y))


def test_near_the_poles_degrees_are_exact(world: Drawn) -> None:
    """The pyramid's square ends at 85 degrees; the grid in degrees does not."""
    for z in (0, 2, 3, 6, 9):
        expected = units(world, DEGREES, z)
        seen = set()
        matrix = DEGREES.matrices[z]
        corners = [(x, y) for x in {0, matrix.width - 1} for y in {0, 1, matrix.height - 2, matrix.height - 1}]
        for x, y in corners:
            if not 0 <= y < matrix.height:
                continue
            tile = TileCoord(z, x, y)
            for feature in world.draw(DEGREES, tile):
                row = int(np.flatnonzero(world.features.tile_ids == feature.id)[0])
                assert placed(feature, tile).distance(expected[row]) <= 2.3
                seen.add(world.shapes[row].centroid.y)
        assert {-90.0, 90.0} <= seen


def test_a_polygon_of_the_world_covers_every_tile(tmp_path: Path) -> None:
    """At the deepest zooms its vertices are billions of units away."""
    shape = shapely.box(-180, -90, 180, 90).difference(shapely.box(-77.07001, 38.8, -77.07, 38.80001))
    layer = publish(tmp_path, [shape], zooms=(0, 4))
    hole = np.array([[-77.070005, 38.800005]])
    for grid in GRIDS:
        for z in range(*zoom_range(layer.levels, grid)):
            x, y = (grid.positions(hole, z)[0] // EXTENT).astype(int).tolist()
            drawn = layer.draw(grid, (z, x, y))
            if grid is FEET:  # what is straight in degrees is not in feet: there is no right answer, and no error
                continue
            full = (EXTENT + 128) ** 2
            assert 0 < drawn[0].geometry.area <= full
            assert z < 8 or layer.draw(grid, (z, x + 3, y))[0].geometry.area == full


@by_grid
@pytest.mark.parametrize("kind", [GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON])
def test_an_empty_layer_has_empty_tiles(tmp_path: Path, grid: TileMatrixSet, kind: GeometryKind) -> None:
    layer = publish(tmp_path, [], kind=kind, zooms=(4, 10), coverage=kind == GeometryKind.POLYGON)
    for z in (4, grid.maxzoom):
        assert layer.bytes(grid, (z, 1, 1)) == b""
        assert layer.bytes(grid, (z, 1, 1), filter=Where(lambda table: np.zeros(0, dtype=bool)), properties=()) == b""


def test_tiles_end_to_end_are_a_tile_of_several_layers(tmp_path: Path, lots: Drawn) -> None:
    other = publish(tmp_path, [shapely.Point(-77.0698, 38.8102)], name="other")
    tile = next(tile for tile in lots.tiles(WEB, 14) if lots.bytes(WEB, tile) and other.bytes(WEB, tile))
    both = strict_mvt.read(lots.bytes(WEB, tile) + other.bytes(WEB, tile))
    assert list(both) == ["layer", "other"]


@pytest.mark.slow
def test_tiles_of_the_real_parcels(published_parcels: Path) -> None:
    """Drawn tiles are the stored ones; seams agree in every grid; vertices are those of the source in feet."""
    layer = Drawn(published_parcels, "parcels")
    for tile, stored in layer.stored():
        assert layer.bytes(WEB, tile) == stored, tile
    assert len(list(layer.archive.tiles())) > 250
    for grid in GRIDS:
        for z, count in ((13, 2), (15, 4), (17, 12)):  # a tile of zoom 13 holds thousands of parcels
            drawn = layer.tiles(grid, z - grid.pyramid_shift)[:count]
            found = {tile: layer.draw(grid, tile) for tile in drawn}
            for tile in drawn:
                for dx, dy in ((1, 0), (0, 1)):
                    other = TileCoord(tile.z, tile.x + dx, tile.y + dy)
                    assert other not in found or disagreement(found[tile], tile, found[other], other) == []
