"""Searching and slicing stored records, against shapely's own tree."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gisservice.catalog import Features, write_features
from gisservice.catalog.features import take
from gisservice.catalog.index import as_rows
from gisservice.errors import CatalogError
from gisservice.model import GeometryKind

KINDS = [GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON]


@pytest.fixture(scope="module")
def stored(tmp_path_factory, make_records, make_shapes):
    """One layer of each kind with 300 records, some of them stacked, and a tree over their geometries."""
    layers = []
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        geometries = make_shapes(kind, 250)
        write_features(folder, make_records([*geometries, *geometries[:50]], kind))
        features = Features.open(folder)
        layers.append((features, shapely.STRtree(features.shapes(np.arange(features.count)))))
    return layers


def steps(low, high):
    """Positions on a coarse grid, so that boxes meet the corners of features exactly as well."""
    return st.one_of(st.floats(low, high), st.integers(int(low * 1000), int(high * 1000)).map(lambda v: v / 1000))


@given(st.tuples(steps(-77.11, -76.98), steps(38.74, 38.86), steps(-77.11, -76.98), steps(38.74, 38.86)))
def test_intersecting_is_exact(stored, ends):
    bbox = (min(ends[0], ends[2]), min(ends[1], ends[3]), max(ends[0], ends[2]), max(ends[1], ends[3]))
    for features, tree in stored:
        found = as_rows(features.intersecting(bbox)).tolist()
        assert found == sorted(tree.query(shapely.box(*bbox), predicate="intersects").tolist())


@pytest.mark.parametrize("which", range(3))
def test_a_box_that_is_a_features_own_corner_finds_it(stored, which):
    features, tree = stored[which]
    for row in range(0, features.count, 7):
        vertex = shapely.get_coordinates(features.shapes(np.array([row])))[0]
        bbox = (*vertex.tolist(), *vertex.tolist())
        expected = sorted(tree.query(shapely.Point(vertex), predicate="intersects").tolist())
        assert as_rows(features.intersecting(bbox)).tolist() == expected and row in expected


@pytest.mark.parametrize("which", range(3))
def test_sure_and_maybe_rows_split_what_boxes_meet(stored, which):
    features, tree = stored[which]
    bbox = (-77.07, 38.78, -77.03, 38.82)
    sure, maybe = features.search(bbox)
    boxes = shapely.STRtree(shapely.box(*features.boxes.T))
    assert sorted([*sure, *maybe]) == sorted(boxes.query(shapely.box(*bbox)).tolist())
    assert set(sure) <= set(tree.query(shapely.box(*bbox), predicate="intersects").tolist())
    assert len(maybe) < len(sure)


def test_a_box_across_the_180th_meridian(tmp_path, make_records):
    places = {"fiji": (178, -18), "samoa": (-172, -13), "both": None, "london": (0, 51), "edge": (180, 0)}
    across = shapely.MultiPolygon([shapely.box(179, -1, 180, 1), shapely.box(-180, -1, -179, 1)])
    geometries = [
        shapely.box(x, y, x, y).buffer(0.5) if xy else across for xy in places.values() for x, y in [xy or (0, 0)]
    ]
    write_features(tmp_path, make_records(geometries, GeometryKind.POLYGON, ids=list(places)))
    features = Features.open(tmp_path)
    rows = as_rows(features.intersecting((170.0, -30.0, -160.0, 10.0)))
    assert sorted(features.item_id(row) for row in rows) == ["both", "edge", "fiji", "samoa"]
    assert (np.diff(rows) > 0).all()
    assert [features.item_id(r) for r in as_rows(features.intersecting((0.0, 50.0, 1.0, 52.0)))] == ["london"]


@given(st.lists(st.integers(0, 299), max_size=40))
def test_items_join_any_rows_in_any_order(stored, rows):
    features, _ = stored[2]
    assert features.items(np.array(rows, dtype=np.int64)) == b",\n".join(features.item(row) for row in rows)


@given(st.lists(st.integers(0, 249), max_size=20))
def test_take_cuts_geometries_out(stored, which):
    for features, _ in stored:
        taken = take(features.geometries, np.array(which, dtype=np.int64))
        assert len(taken) == len(which)
        for position, source in enumerate(which):
            one = take(features.geometries, np.array([source]))
            again = take(taken, np.array([position]))
            for name in ("coordinates", "rings", "parts", "starts"):
                assert getattr(one, name).tolist() == getattr(again, name).tolist()


def test_all_arrays_are_read_only(stored):
    features, _ = stored[2]
    arrays = (features.boxes, features.record_geometry, features.tile_ids, features.world, features.geometries.rings)
    assert not any(array.flags.writeable for array in arrays)
    assert len(features) == features.count == 300 and features.kind is GeometryKind.POLYGON


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(CatalogError, match=r"features\.bin"):
        Features.open(tmp_path)
    (tmp_path / "serve").mkdir()
    (tmp_path / "serve" / "features.bin").write_bytes(b"")
    with pytest.raises(CatalogError, match=r"features\.bin"):
        Features.open(tmp_path)


def test_a_section_that_is_missing_is_named(tmp_path):
    from gisservice.pack import PackWriter

    (tmp_path / "serve").mkdir()
    with PackWriter(tmp_path / "serve" / "features.bin", {"count": 0, "kind": "point"}) as pack:
        pack.chunks("items", [])
        pack.array("item_starts", np.zeros(1, dtype=np.int64))
    with pytest.raises(CatalogError, match="no part 'ids'"):
        Features.open(tmp_path)


@pytest.mark.parametrize("seeds", [range(100), pytest.param(range(100, 1000), marks=pytest.mark.slow)])
def test_a_flipped_bit_is_told_or_harmless_and_never_the_end_of_the_process(tmp_path, make_records, make_shapes, seeds):
    """Offsets and Arrow buffers go to C and C++ that trust them (F06)."""
    content = make_records(make_shapes(GeometryKind.POLYGON, 60), GeometryKind.POLYGON, {"zone": ["A", "B", None] * 20})
    write_features(tmp_path, content)
    file = tmp_path / "serve" / "features.bin"
    whole = file.read_bytes()

    def answers():
        features = Features.open(tmp_path)
        found = as_rows(features.intersecting((-77.06, 38.78, -77.04, 38.82))).tolist()
        rows = [features.row(str(number)) for number in range(60)]
        lengths = [len(features.item(row)) for row in range(60)]
        return found, rows, lengths, features.attributes.to_pylist(), features.world.tolist()

    expected, told = answers(), 0
    for seed in seeds:
        random = np.random.default_rng(seed)
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << int(random.integers(8))
        file.write_bytes(damaged)
        try:
            assert answers() == expected
        except CatalogError as exc:
            told += 1
            assert "features.bin is damaged" in str(exc) and str(tmp_path) not in str(exc)
    assert told > len(seeds) / 10
