from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
import strict_mvt
from hypothesis import given
from hypothesis import strategies as st

from gisservice.tiles.attributes import encode_attributes, varint
from gisservice.tiles.encode import varint_bytes, varint_lengths
from gisservice.tiles.shapes import offsets

POINT = shapely.Point(409_700, 819_300)


def decoded(table: pa.Table, make: Any, build: Any) -> list[strict_mvt.Feature]:
    shapes = [shapely.Point(409_700 + i, 819_300) for i in range(table.num_rows)]
    built = build(make(shapes, attributes=table))
    (tile,) = built.addresses()
    return built.layer(tile).features


@pytest.fixture
def read_back(build: Any) -> Callable[[pa.Array], list[tuple[Any, Any]]]:
    from tile_factories import make_source

    def read(values: pa.Array) -> list[tuple[Any, Any]]:
        features = decoded(pa.table({"v": values}), make_source, build)
        return [(f.types.get("v"), f.properties.get("v")) for f in features]

    return read


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_varints_are_those_of_a_plain_reader(numbers: list[int]) -> None:
    array = np.array(numbers, dtype=np.uint64)
    data = varint_bytes(array, offsets(varint_lengths(array))).tobytes()
    assert data == b"".join(map(varint, numbers))
    assert strict_mvt.packed(data) == numbers


def test_whole_numbers_take_the_shortest_type(read_back: Any) -> None:
    top = 2**53 - 1
    values = pa.array([0, 1, top, -1, -top, None], pa.int64())
    assert read_back(values) == [
        ("uint", 0), ("uint", 1), ("uint", top), ("sint", -1), ("sint", -top), (None, None),
    ]  # fmt: skip


def test_a_column_of_numbers_that_browsers_round_becomes_text(read_back: Any) -> None:
    assert read_back(pa.array([2**53, -5, None], pa.int64())) == [
        ("string", str(2**53)), ("string", "-5"), (None, None),
    ]  # fmt: skip
    assert read_back(pa.array([-(2**63)], pa.int64())) == [("string", str(-(2**63)))]


def test_fractions_are_float_when_exact_and_double_else(read_back: Any) -> None:
    values = [0.5, 0.1, 1e300, 3.0, -0.0, math.nan, math.inf, -math.inf, None, float(np.float32(0.1)), 1e-45]
    found = read_back(pa.array(values, pa.float64()))
    assert found[:5] == [("float", 0.5), ("double", 0.1), ("double", 1e300), ("float", 3.0), ("float", 0.0)]
    assert math.copysign(1.0, found[4][1]) == 1.0
    assert found[5:9] == [(None, None)] * 4
    assert found[9:] == [("float", float(np.float32(0.1))), ("double", 1e-45)]


def test_float32_stays_as_exact_as_it_was(read_back: Any) -> None:
    assert read_back(pa.array([0.1, 2.5], pa.float32())) == [("float", float(np.float32(0.1))), ("float", 2.5)]


def test_truth_values_stay_apart_from_numbers(build: Any) -> None:
    from tile_factories import make_source

    table = pa.table(
        {
            "flag": pa.array([True, False, None]),
            "whole": pa.array([1, 0, 1], pa.int64()),
            "part": pa.array([1.0, 0.0, 1.0]),
            "text": pa.array(["1", "0", "True"]),
        }
    )
    first, second, third = decoded(table, make_source, build)
    assert first.types == {"flag": "bool", "whole": "uint", "part": "float", "text": "string"}
    assert first.properties["flag"] is True and second.properties["flag"] is False
    assert third.properties == {"whole": 1, "part": 1.0, "text": "True"}


def test_dates_and_times_are_rfc_3339(read_back: Any) -> None:
    day = datetime.date(2025, 1, 31)
    moment = datetime.datetime(2025, 1, 31, 12, 0, 0, 500_000)
    assert read_back(pa.array([day, None], pa.date32())) == [("string", "2025-01-31"), (None, None)]
    assert read_back(pa.array([moment], pa.timestamp("us"))) == [("string", "2025-01-31T12:00:00.500000Z")]
    aware = pa.array([datetime.datetime(2025, 1, 31, 12, tzinfo=datetime.UTC)], pa.timestamp("ms", "America/New_York"))
    assert read_back(aware) == [("string", "2025-01-31T12:00:00Z")]


@pytest.mark.parametrize("index", [pa.int8(), pa.int32()])
def test_dictionaries_are_read_through(read_back: Any, index: pa.DataType) -> None:
    values = pa.array(["a", None, "b", "a"]).dictionary_encode().cast(pa.dictionary(index, pa.string()))
    chunks = pa.chunked_array([values, pa.array(["c"]).dictionary_encode().cast(values.type)])
    assert [value for _, value in read_back(chunks)] == ["a", None, "b", "a", "c"]


def test_any_text_survives(read_back: Any) -> None:
    texts = ["", " ", "é", "日本", "\x00", "<b>&amp;</b>", "𝔸" * 300]
    assert [value for _, value in read_back(pa.array(texts))] == texts


def test_equal_values_are_stored_once_for_all_columns() -> None:
    attributes = encode_attributes(pa.table({"a": ["x", "y"], "b": ["y", "x"], "c": [1, 2]}))
    assert len(attributes.values) == 4
    assert attributes.distinct.tolist() == [2, 2, 2]
    assert attributes.fields == ("String", "String", "Number")


def test_infinite_numbers_are_counted() -> None:
    attributes = encode_attributes(pa.table({"a": [math.inf, 1.0, math.inf, -math.inf], "b": [1.0, 2.0, 3.0, None]}))
    assert attributes.omitted == {"a": 3}


def test_a_layer_without_columns_has_features_without_tags(build: Any) -> None:
    from tile_factories import make_source

    built = build(make_source([POINT], attributes=pa.table({"x": pa.array([None], pa.string())})))
    (tile,) = built.addresses()
    (feature,) = built.layer(tile).features
    assert feature.properties == {}


def test_a_count_that_is_a_value_too_is_stored_once(build: Any) -> None:
    """The strict reader refuses a value that is in the table twice."""
    from tile_factories import make_source

    table = pa.table({"n": [3, 2, 7, 8, 9], "m": ["a"] * 5})
    shapes = [shapely.Point(411_000 + 200 * i, 821_000) for i in range(2)]
    built = build(make_source(shapes, minzoom=13, record_geometry=[0, 0, 0, 1, 1], attributes=table))
    (tile,) = built.addresses(13)
    assert [f.properties for f in built.layer(tile).features] == [
        {"n": 3, "m": "a", "stack": 3}, {"n": 8, "m": "a", "stack": 2},
    ]  # fmt: skip


def test_counts_are_read_back_whichever_of_them_are_values_too(build: Any) -> None:
    """A count that is no value of the layer comes before one that is a value, of a record that is not drawn."""
    from tile_factories import make_source

    values = pa.table({"n": pa.array([100, 7, 200, 3, 8], pa.int64())})
    shapes = [shapely.box(409_700, 819_300, 409_800, 819_400), shapely.box(409_900, 819_300, 410_000, 819_400)]
    built = build(make_source(shapes, z=16, minzoom=15, attributes=values, record_geometry=[0, 0, 1, 1, 1]))
    features = [feature for tile in built.addresses(15) for feature in built.layer(tile).features]
    assert {(f.properties["n"], f.properties["stack"]) for f in features} == {(100, 2), (200, 3)}
