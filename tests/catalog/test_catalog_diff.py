"""Differences between versions against a naive comparison of dictionaries."""

from __future__ import annotations

import math

import numpy as np
import pandas
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gisservice.catalog import Features, write_features
from gisservice.catalog.diff import compare
from gisservice.model import GeometryKind

row = st.tuples(
    st.integers(0, 3),
    st.one_of(st.none(), st.sampled_from(["RB", "rb", ""])),
    st.sampled_from([0.0, 1.5, math.nan]),
    st.booleans(),
)
state = st.dictionaries(st.sampled_from("abcdefgh"), row, max_size=8)


def stored(folder, make_records, rows):
    columns = {
        "zone": pandas.array([value[1] for value in rows.values()], dtype="str"),
        "size": np.array([value[2] for value in rows.values()], dtype=float),
        "flag": np.array([value[3] for value in rows.values()], dtype=bool),
    }
    points = [shapely.Point(value[0], 0) for value in rows.values()]
    write_features(folder, make_records(points, GeometryKind.POINT, columns, list(rows)))
    return Features.open(folder)


def published(value):
    return None if isinstance(value, float) and math.isnan(value) else value


@settings(max_examples=40)
@given(state, state)
def test_diff_is_what_a_comparison_of_dictionaries_finds(tmp_path_factory, make_records, before, after):
    a = stored(tmp_path_factory.mktemp("a"), make_records, before)
    b = stored(tmp_path_factory.mktemp("b"), make_records, after)
    diff = compare("parcels", ("v-a", a), ("v-b", b))
    assert set(diff.added) == set(after) - set(before) and set(diff.removed) == set(before) - set(after)
    expected = {}
    for key in set(before) & set(after):
        names = ("geometry", "zone", "size", "flag")
        pairs = {n: (published(x), published(y)) for n, x, y in zip(names, before[key], after[key], strict=True)}
        if fields := {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}:
            expected[key] = fields
    assert set(diff.changed) == set(expected)
    for key, fields in expected.items():
        assert set(diff.changed[key]) == set(fields)
        for name in set(fields) - {"geometry"}:
            assert diff.changed[key][name] == fields[name]
        if "geometry" in fields:
            old, new = diff.changed[key]["geometry"]
            assert old != new and len(old) == len(new) == 8


def test_a_column_that_comes_or_goes_counts_as_null_before_or_after(tmp_path, make_records):
    versions = []
    for name, columns in (("a", {"old": ["x", None]}), ("b", {"new": [1, 2]})):
        (tmp_path / name).mkdir()
        points = [shapely.Point(0, 0), shapely.Point(1, 1)]
        write_features(tmp_path / name, make_records(points, GeometryKind.POINT, columns))
        versions.append((name, Features.open(tmp_path / name)))
    diff = compare("parcels", *versions)
    assert diff.changed == {"0": {"old": ("x", None), "new": (None, 1)}, "1": {"new": (None, 2)}}


def test_true_is_not_one(tmp_path, make_records):
    versions = []
    for name, values in (("a", [True]), ("b", [1])):
        (tmp_path / name).mkdir()
        write_features(tmp_path / name, make_records([shapely.Point(0, 0)], GeometryKind.POINT, {"flag": values}))
        versions.append((name, Features.open(tmp_path / name)))
    assert compare("parcels", *versions).changed == {"0": {"flag": (True, 1)}}


def test_another_order_of_columns_is_no_change(tmp_path, make_records):
    versions = []
    for name, columns in (("a", {"x": [1], "y": [2]}), ("b", {"y": [2], "x": [1]})):
        (tmp_path / name).mkdir()
        write_features(tmp_path / name, make_records([shapely.Point(0, 0)], GeometryKind.POINT, columns))
        versions.append((name, Features.open(tmp_path / name)))
    assert compare("parcels", *versions).changed == {}
