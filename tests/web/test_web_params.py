"""From query strings to typed questions: what is taken, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.errors import GISServiceError, InvalidParameter, LimitExceeded, RequestError, UnknownParameter
from gisservice.web import params

KNOWN = ("limit", "offset", "bbox", "datetime", "f")
finite = st.floats(allow_nan=False, allow_infinity=False)


def parse(query_string: str) -> params.ItemsRequest:
    return params.parse_items(params.read(query_string, KNOWN), 100, 1000)


def test_nothing_given_means_the_defaults() -> None:
    asked = parse("")
    assert (asked.query.limit, asked.query.offset, asked.query.bbox) == (100, 0, None)
    assert asked.text(0) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limit=1", 1),
        ("limit=1000", 1000),
        ("limit=1001", 1000),
        ("limit=" + "9" * 30, 1000),
        ("limit=" + "9" * 5000, 1000),
    ],
)
def test_limit_is_lowered_to_the_published_maximum(text: str, expected: int) -> None:
    assert parse(text).query.limit == expected


@pytest.mark.parametrize(
    "value", ["0", "-1", "abc", "", "1.0", "1e2", "%2B5", "+5", "1_0", "٣", "１", "0x10", " 5", "007"]
)
@pytest.mark.parametrize("name", ["limit", "offset"])
def test_what_is_no_plain_whole_number_is_refused(name: str, value: str) -> None:
    if (name, value) == ("offset", "0"):
        assert parse("offset=0").query.offset == 0
        return
    with pytest.raises(InvalidParameter, match=f"'{name}'"):
        parse(f"{name}={value.encode().decode('latin-1')}")


def test_offset_has_a_last_value() -> None:
    assert parse(f"offset={params.OFFSET_MAX}").query.offset == params.OFFSET_MAX
    for value in (params.OFFSET_MAX + 1, 10**12, 10**400):
        with pytest.raises(InvalidParameter, match="'offset'"):
            parse(f"offset={value:d}" if value < 10**300 else "offset=1" + "0" * 400)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("-77.1,38.7,-77,38.9", (-77.1, 38.7, -77.0, 38.9)),
        ("-77.1,38.7,-10,-77,38.9,10", (-77.1, 38.7, -77.0, 38.9)),
        ("170,-10,-170,10", (170.0, -10.0, -170.0, 10.0)),
        ("1e-7,.5,1E1,2.", (1e-7, 0.5, 10.0, 2.0)),
        ("0,0,0,0", (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_boxes_that_are_taken(text: str, box: tuple[float, ...]) -> None:
    assert params.parse_bbox(text) == box


@pytest.mark.parametrize(
    "text",
    [
        "", "1,2,3", "1,2,3,4,5", "1,2,3,4,5,6,7", "a,b,c,d", "1,2,3,", ",,,", "1;2;3;4", "1 2 3 4",
        "nan,nan,nan,nan", "NaN,0,1,1", "inf,0,1,1", "-inf,0,1,1", "Infinity,0,1,1", "1e309,0,1,1", "0,0,1e999,1",
        "0,2,1,1", "0,0,5,1,1,4", "1_0,0,20,1", "+1,0,2,1", " 1,0,2,1", "٣,0,4,1", "１,0,2,1", "0x1,0,2,1",
        "1e1000,0,1,1", "--1,0,1,1", "1e,0,1,1", "9" * 400 + ",0,1,1",
    ],
)  # fmt: skip
def test_boxes_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="'bbox'"):
        params.parse_bbox(text)


@given(finite, finite, finite, finite)
def test_every_finite_box_survives_its_own_link(west: float, a: float, east: float, b: float) -> None:
    south, north = min(a, b), max(a, b)
    text = ",".join(repr(value) for value in (west, south, east, north))
    asked = parse(f"bbox={text.replace('+', '%2B')}")
    assert asked.query.bbox == (west, south, east, north)
    assert parse(asked.text(40)).query.bbox == asked.query.bbox
    assert parse(asked.text(40)).text(40) == asked.text(40)


@given(st.text())
def test_any_text_is_a_box_or_an_error_of_ours(text: str) -> None:
    try:
        box = params.parse_bbox(text)
    except InvalidParameter:
        return
    assert all(math.isfinite(value) for value in box)


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_any_query_string_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except GISServiceError as error:
        assert isinstance(error, RequestError)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.5+05:00",
        "2026-01-31t12:00:00z",
        "../2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z/..",
        "/2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z/",
        "2026-01-31T12:00:00Z/2026-02-01T00:00:00Z",
    ],
)
def test_times_that_are_taken(text: str) -> None:
    params.check_datetime(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "..", "/", "../..", "2026", "2026-01-31", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-31T25:00:00Z", "2026-01-31T12:00:00", "2026-02-01T00:00:00Z/2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z/2026-01-03T00:00:00Z", "now", "٢٠٢٦-01-31T12:00:00Z",
    ],
)  # fmt: skip
def test_times_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="'datetime'"):
        params.check_datetime(text)


def test_unknown_parameters_name_the_nearest() -> None:
    with pytest.raises(UnknownParameter, match="did you mean 'limit'") as caught:
        parse("limt=3")
    assert caught.value.nearest == "limit"
    for name in ("Limit", "LIMIT", "f[]", "cb", "", "bbox "):
        with pytest.raises(UnknownParameter):
            parse(f"{name}=1")


def test_parameters_are_given_once() -> None:
    for text in ("limit=1&limit=9999", "limit=1&limit=1", "limit=1&%6cimit=2"):
        with pytest.raises(InvalidParameter, match="only once"):
            parse(text)


@pytest.mark.parametrize("text", ["bbox=%ff", "bbox=\xff", "%ff=1", "f=%C3%28", "f=%ED%A0%80"])
def test_what_is_not_utf8_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="UTF-8"):
        parse(text)


def test_a_query_string_has_a_longest_length() -> None:
    with pytest.raises(LimitExceeded, match="8192"):
        parse("f=" + "x" * params.QUERY_BYTES_MAX)


def test_other_formats_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="'json'"):
        parse("f=xml")


def test_links_carry_every_parameter_and_the_new_offset() -> None:
    asked = parse("f=json&bbox=1,2,3,4&limit=5000&datetime=2026-01-31T12:00:00%2B01:00&offset=5")
    text = asked.text(1005)
    assert text == "limit=1000&bbox=1,2,3,4&datetime=2026-01-31T12:00:00%2B01:00&f=json&offset=1005"
    assert parse(text).given == asked.given
