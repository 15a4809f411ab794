"""From query strings to typed questions: what is taken, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.errors import GISServiceError, InvalidParameter, LimitExceeded, RequestError, UnknownParameter
from gisservice.model import BBox, Column, ColumnType, SortKey
from gisservice.query.systems import offered
from gisservice.web import itemparams, params
from gisservice.web.itemparams import ItemsRequest, Terms

COLUMNS = (
    Column("zoning", ColumnType.STRING, codes=(("RB", "Townhouse"), ("RM", "Townhouse, Old Town"))),
    Column("count", ColumnType.INTEGER),
    Column("area", ColumnType.NUMBER),
    Column("open", ColumnType.BOOLEAN),
    Column("built", ColumnType.DATE),
    Column("seen", ColumnType.DATETIME),
    Column("name", ColumnType.STRING),
    Column("limit", ColumnType.INTEGER),
)
SYSTEMS = offered("EPSG:2283", ("EPSG:2283", "EPSG:4326", "EPSG:3857"))
CRS84, FEET, LATLON, MERCATOR = SYSTEMS
TERMS = Terms(COLUMNS, SYSTEMS, 100, 1000)
lon, lat = st.floats(-180, 180), st.floats(-90, 90)


def parse(query_string: str) -> ItemsRequest:
    return itemparams.parse_items(params.read(query_string, TERMS.names), TERMS)


def parse_bbox(text: str) -> BBox:
    return itemparams.parse_bbox(text, CRS84)


def test_nothing_given_means_the_defaults() -> None:
    asked = parse("")
    assert (asked.query.limit, asked.query.offset, asked.query.box) == (100, 0, None)
    assert asked.query.form.is_stored
    assert asked.text == ""


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
    assert parse(f"offset={itemparams.OFFSET_MAX}").query.offset == itemparams.OFFSET_MAX
    for value in (itemparams.OFFSET_MAX + 1, 10**12, 10**400):
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
    assert parse_bbox(text) == box


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
        parse_bbox(text)


@given(lon, lat, lon, lat)
def test_every_box_on_earth_survives_its_own_link(west: float, a: float, east: float, b: float) -> None:
    south, north = min(a, b), max(a, b)
    text = ",".join(repr(value) for value in (west, south, east, north))
    asked = parse(f"bbox={text.replace('+', '%2B')}&offset=40")
    assert asked.query.box is not None and asked.query.box.bbox == (west, south, east, north)
    assert parse(asked.text).query.box == asked.query.box
    assert parse(asked.text).text == asked.text


@given(st.sampled_from(SYSTEMS), st.tuples(*[st.floats(-1e8, 1e8)] * 4))
def test_boxes_of_every_system_are_in_its_own_order(system, numbers) -> None:
    text = ",".join(map(repr, numbers))
    first, second, third, fourth = numbers
    expected = (second, first, fourth, third) if system.north_first else numbers
    minx, miny, maxx, maxy = expected
    inside = abs(minx) <= 180 and abs(maxx) <= 180 and miny >= -90 and maxy <= 90
    if miny > maxy or (system.geographic and not inside) or (not system.geographic and minx > maxx):
        with pytest.raises(InvalidParameter, match="'bbox'"):
            itemparams.parse_bbox(text, system)
    else:
        assert itemparams.parse_bbox(text, system) == expected


@given(st.text())
def test_any_text_is_a_box_or_an_error_of_ours(text: str) -> None:
    try:
        box = parse_bbox(text)
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
    (during,) = parse(f"datetime={text.replace('+', '%2B')}").query.conditions
    assert during.text.startswith("built during ")


@pytest.mark.parametrize(
    "text",
    [
        "", "..", "/", "../..", "2026", "2026-01-31", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-31T25:00:00Z", "2026-01-31T12:00:00", "2026-02-01T00:00:00Z/2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z/2026-01-03T00:00:00Z", "now",
        "0001-01-01T00:00:00+14:00", "٢٠٢٦-01-31T12:00:00Z",
    ],
)  # fmt: skip
def test_times_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="'datetime'"):
        itemparams.parse_items({"datetime": text}, TERMS)


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
        params.parse_format({"f": "xml"})


def test_links_carry_every_parameter_in_one_order() -> None:
    asked = parse("f=json&bbox=1,2,3,4&limit=5000&datetime=2026-01-31T12:00:00%2B01:00&offset=5&name=a%20b&zoning=RB")
    text = "limit=1000&bbox=1,2,3,4&datetime=2026-01-31T12:00:00%2B01:00&f=json&zoning=RB&name=a+b"
    assert asked.text == f"{text}&offset=5"
    assert parse(asked.text).given == asked.given
    behind = asked.text_from("v-0123456789abcdef", 7)
    assert behind.startswith(f"{text}&token=")
    again = parse(behind)
    assert (again.query.after, again.query.offset, again.text) == (7, 0, behind)


def test_a_token_goes_with_the_selection_and_not_with_the_form() -> None:
    token = parse("zoning=RB&sortby=-area").text_from("v-0123456789abcdef", 7).partition("token=")[2]
    for query in ("zoning=RB&sortby=-area", "sortby=-area&zoning=RB&limit=3&f=json&properties=name&precision=3"):
        assert parse(f"{query}&token={token}").query.after == 7
    for query in ("", "zoning=RM&sortby=-area", "zoning=RB", "zoning=RB&sortby=area", "bbox=1,2,3,4"):
        with pytest.raises(InvalidParameter, match="'token'"):
            parse(f"{query}&token={token}")
    with pytest.raises(InvalidParameter, match="'offset'"):
        parse(f"zoning=RB&sortby=-area&token={token}&offset=0")


@given(st.integers(0, 23), st.integers(1, 63))
def test_a_token_changed_in_one_letter_is_refused(place: int, step: int) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = parse("").text_from("v-0123456789abcdef", 7).partition("token=")[2]
    other = letters[(letters.index(token[place]) + step) % 64]
    with pytest.raises(InvalidParameter, match="'token'"):
        parse(f"token={token[:place]}{other}{token[place + 1 :]}")


@given(st.text())
def test_any_text_is_no_token(text: str) -> None:
    with pytest.raises(InvalidParameter, match="'token'"):
        itemparams.parse_items({"token": text}, TERMS)


@pytest.mark.parametrize(
    ("query", "value", "spelled"),
    [
        ("zoning=RB", "RB", "zoning=RB"),
        ("count=-7", -7, "count=-7"),
        ("area=1.50", 1.5, "area=1.5"),
        ("area=5", 5.0, "area=5.0"),
        ("open=true", True, "open=true"),
        ("name=", "", "name="),
        ("name=%25_%25", "%_%", "name=%25_%25"),
        ("name=Z%C3%BCrich", "Zürich", "name=Z%C3%BCrich"),
        ("built=2026-02-28", None, "built=2026-02-28"),
        ("seen=2026-02-28T12:00:00%2B01:00", None, "seen=2026-02-28T11:00:00%2B00:00"),
    ],
)
def test_queryables_are_parameters_of_their_type(query: str, value: object, spelled: str) -> None:
    (condition,) = parse(query).query.conditions
    assert value is None or (condition.value == value and type(condition.value) is type(value))
    assert parse(query).text == spelled
    assert parse(spelled).query.conditions == (condition,)


@pytest.mark.parametrize(
    "query",
    [
        "zoning=RC", "zoning=", "zoning=rb", "zoning=') or 1=1 --", "count=1.0", "count=abc", "count=1_0", "count=-0",
        "count=9223372036854775808", "count=", "area=abc", "area=nan", "area=1e400", "open=1", "open=True", "open=",
        "built=2026-02-30", "built=26-1-1", "built=", "seen=2026-02-28", "seen=now", "precision=11", "precision=-1",
        "precision=1.5", "tolerance=-1", "tolerance=nan", "tolerance=1e9", "tolerance=abc", "tolerance=-0",
        "skipGeometry=yes", "skipGeometry=", "resulttype=Hits", "resulttype=", "sortby=", "sortby=,", "sortby=area,",
        "sortby=-", "sortby=--area", "sortby=nothing", "sortby=area,-area", "properties=", "properties=nothing",
        "properties=name,name", "crs=EPSG:2283", "crs=", "crs=http://www.opengis.net/def/crs/EPSG/0/2924",
        "crs=http://www.opengis.net/def/crs/EPSG/0/2283/", "bbox-crs=4326", "filter-crs=x", "filter-lang=sql",
        "filter=", "filter=nothing = 1", "filter=name", "filter=name = 'a' extra", "limit=abc",
    ],
)  # fmt: skip
def test_values_that_are_refused_by_name(query: str) -> None:
    name, _, value = query.partition("=")
    with pytest.raises((InvalidParameter, LimitExceeded)) as caught:
        itemparams.parse_items({name: value}, TERMS)
    assert f"'{name}'" in str(caught.value)


def test_a_column_named_like_a_parameter_of_ours_is_reached_by_a_filter() -> None:
    assert parse("limit=5").query.limit == 5
    (condition,) = parse('filter="limit"=5').query.conditions
    assert "limit" in condition.text


def test_sort_keys() -> None:
    for text in ("area,-count", "%2Barea,-count", "+area,-count"):
        asked = parse(f"sortby={text}")
        assert asked.query.sortby == (SortKey("area"), SortKey("count", True))
        assert asked.text == "sortby=area,-count"


def test_what_makes_no_difference_leaves_the_stored_form() -> None:
    every = ",".join(column.name for column in COLUMNS)
    for query in ("tolerance=0", "precision=8", f"properties={every}", f"crs={CRS84.uri}", "skipGeometry=false"):
        assert parse(query).query.form.is_stored, query
    for query in ("tolerance=1", "precision=7", "properties=name", f"crs={FEET.uri}", "skipGeometry=true"):
        assert not parse(query).query.form.is_stored, query
    assert parse("properties=name,count").query.form.properties == ("count", "name")


def test_a_filter_is_the_same_in_both_languages_and_in_links() -> None:
    plain = parse("filter=area > 5 AND zoning = 'RB'")
    other = parse(
        'filter-lang=cql2-json&filter={"op":"and","args":[{"op":">","args":[{"property":"area"},5]},'
        '{"op":"=","args":[{"property":"zoning"},"RB"]}]}'
    )
    assert plain.selection == other.selection
    assert parse(plain.text).selection == plain.selection
    assert "filter-lang" not in other.text


def test_a_filter_too_long_for_a_link_is_refused() -> None:
    names = ",".join(f"'{number:04d}'" for number in range(450))
    with pytest.raises(LimitExceeded):
        parse(f"filter=name in ({names}) or name in ({names})")
