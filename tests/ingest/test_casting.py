"""Values into types: what fits is kept exactly, what does not is null and counted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.ingest.casting import cast
from gisservice.model import Column, ColumnType


def run(values, kind: str, codes=(), type=None):
    return cast(pa.chunked_array([pa.array(values, type=type)]), Column("c", ColumnType(kind), codes=codes))


@pytest.mark.parametrize(
    ("kind", "values", "expected", "bad"),
    [
        ("string", ["a", " b ", "", "  ", None], ["a", "b", None, None, None], []),
        ("string", [22314.0, 1.5, float("nan")], ["22314", "1.5", None], []),
        ("string", [22314, None], ["22314", None], []),
        ("string", [True, False], ["true", "false"], []),
        ("string", [date(2024, 3, 31)], ["2024-03-31"], []),
        ("integer", ["7", " 8 ", "+9", "-1", "x", "1.5", "2.0", "1_0", "", "٣"],
         [7, 8, 9, -1, None, None, 2, None, None, None], [4, 5, 7, 9]),
        ("integer", ["9223372036854775807", "9223372036854775808"], [9223372036854775807, None], [1]),
        ("integer", [1.0, 1.5, float("nan"), float("inf")], [1, None, None, None], [1, 3]),
        ("integer", [2**53 + 1], [2**53 + 1], []),
        ("number", ["1.5", "1e3", ".5", "1,5", "nan", "inf", "0x10", "1e999"],
         [1.5, 1000.0, 0.5, None, None, None, None, None], [3, 4, 5, 6, 7]),
        ("number", [1, None], [1.0, None], []),
        ("number", [float("inf"), float("nan")], [None, None], [0]),
        ("boolean", ["Yes", "N", "true", "0", "maybe"], [True, False, True, False, None], [4]),
        ("boolean", [1, 0, 2], [True, False, None], [2]),
        ("date", ["2024-03-31", "2024/03/31", "2024-03-31T10:00:00Z", "31.03.2024", "03/31/2024", "2024-02-30"],
         [date(2024, 3, 31)] * 3 + [None] * 3, [3, 4, 5]),
        ("date", [datetime(2024, 3, 31, 23, 59)], [date(2024, 3, 31)], []),
        ("datetime", ["2024-03-31T12:00:00Z", "2024-03-31 08:00:00-04:00", "2024/03/31 12:00:00", "noon"],
         [datetime(2024, 3, 31, 12, tzinfo=UTC)] * 3 + [None], [3]),
        ("datetime", [date(2024, 3, 31)], [datetime(2024, 3, 31, tzinfo=UTC)], []),
        ("date", [True], [None], [0]),
        ("datetime", [5], [None], [0]),
    ],
)  # fmt: skip
def test_casts(kind, values, expected, bad):
    result = run(values, kind)
    assert result.values.to_pylist() == expected
    assert result.bad.tolist() == bad
    assert result.example == (str(values[bad[0]]) if bad else "")


def test_times_keep_their_zone_as_utc():
    eastern = pa.array([datetime(2024, 7, 1, 12)], type=pa.timestamp("ns", tz="America/New_York"))
    result = cast(pa.chunked_array([eastern]), Column("c", ColumnType.DATETIME))
    assert result.values.to_pylist() == [datetime(2024, 7, 1, 12, tzinfo=UTC)]


def test_codes_are_matched_without_regard_to_case_and_blanks():
    codes = (("RB", "Townhouse"), ("R 2-5", "Two family"))
    result = run(["RB", "rb", " Rb ", "r  2-5", "XX", None], "string", codes)
    assert result.values.to_pylist() == ["RB", "RB", "RB", "R 2-5", "XX", None]
    assert result.respelt.tolist() == [1, 2, 3]
    assert result.trimmed.tolist() == [2]
    assert result.unknown.tolist() == [4]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none()))
def test_integers_survive_as_text(numbers):
    texts = [None if number is None else str(number) for number in numbers]
    assert run(texts, "integer", type=pa.string()).values.to_pylist() == numbers
    assert run(numbers, "string", type=pa.int64()).values.to_pylist() == texts


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none()))
def test_numbers_survive_as_text(numbers):
    texts = [None if number is None else repr(number) for number in numbers]
    assert run(texts, "number", type=pa.string()).values.to_pylist() == numbers


@given(st.lists(st.text() | st.none()), st.sampled_from(list(ColumnType)))
def test_any_text_is_cast_or_counted(texts, kind):
    texts = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
    result = run(texts, kind.value, type=pa.string())
    lost = [n for n, (text, value) in enumerate(zip(texts, result.values.to_pylist(), strict=True))
            if value is None and text is not None and text.strip()]  # fmt: skip
    assert result.bad.tolist() == lost
