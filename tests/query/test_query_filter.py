"""CQL2 filters: what is read, what it means, what is refused and in which words."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime

import cql2
import geopandas
import numpy as np
import pandas
import pytest
import shapely
from filter_cases import Filters, as_text
from filter_table import BY_KIND, COLUMNS, PATTERNS, SHAPES, build
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gisservice import crs
from gisservice.catalog import Features, Records, write_features
from gisservice.errors import GISServiceError, InvalidParameter, LimitExceeded
from gisservice.model import Column, ColumnType, GeometryKind
from gisservice.query import columns as query_columns
from gisservice.query import filter_limits, filter_relations
from gisservice.query.filter import Filter, parse_filter
from gisservice.query.filter_text import CHAIN_MAX

PARCEL = (
    Column("zoning", ColumnType.STRING, "Zone", codes=(("RM", "Townhouse"), ("RB", ""))),
    Column("owner", ColumnType.STRING),
    Column("area", ColumnType.NUMBER, "Lot size", unit="[sft_i]"),
    Column("floors", ColumnType.INTEGER),
    Column("pool", ColumnType.BOOLEAN),
    Column("built", ColumnType.DATE),
    Column("begun", ColumnType.DATETIME),
    Column("ended", ColumnType.DATETIME),
)
POINT = {"type": "Point", "coordinates": [-77.05, 38.8]}


def text(written: str) -> Filter:
    return parse_filter(written, "cql2-text", PARCEL)


def by_json(tree: object) -> Filter:
    return parse_filter(json.dumps(tree), "cql2-json", PARCEL)


def op(name: str, *arguments: object) -> dict[str, object]:
    return {"op": name, "args": list(arguments)}


def prop(name: str) -> dict[str, str]:
    return {"property": name}


# Both encodings, and the canonical text


@pytest.mark.parametrize(
    ("written", "tree", "canonical"),
    [
        ("zoning='RM'", op("=", prop("zoning"), "RM"), "zoning = 'RM'"),
        ("ZONING_LESS = 1 or true", None, None),
        ("floors<>-5.0", op("<>", prop("floors"), -5), "floors <> -5"),
        ("floors!=3", op("<>", prop("floors"), 3.0), "floors <> 3"),
        ("-floors < +2", op("<", op("*", -1, prop("floors")), 2), "-1 * floors < 2"),
        ("area >= 1.50e3", op(">=", prop("area"), 1500), "area >= 1500"),
        ("pool = true", op("=", prop("pool"), True), "pool = TRUE"),
        ("TRUE", True, "TRUE"),
        ("(((false)))", False, "FALSE"),
        ("owner IS NULL", op("isNull", prop("owner")), "owner IS NULL"),
        ("owner is  not\nnull", op("not", op("isNull", prop("owner"))), "NOT owner IS NULL"),
        ("geometry IS NOT NULL", op("not", op("isNull", prop("geometry"))), "NOT geometry IS NULL"),
        ("(floors > 1) IS NULL", op("isNull", op(">", prop("floors"), 1)), "(floors > 1) IS NULL"),
        ("built = DATE('2020-02-29')", op("=", prop("built"), {"date": "2020-02-29"}), "built = DATE('2020-02-29')"),
        (
            "begun > TIMESTAMP('1969-07-20T20:17:40.500000Z')",
            op(">", prop("begun"), {"timestamp": "1969-07-20T20:17:40.5Z"}),
            "begun > TIMESTAMP('1969-07-20T20:17:40.5Z')",
        ),
        ("owner LIKE '%Jones%'", op("like", prop("owner"), "%Jones%"), "owner LIKE '%Jones%'"),
        (r"owner NOT LIKE '50\%_'", op("not", op("like", prop("owner"), r"50\%_")), r"NOT owner LIKE '50\\%_'"),
        (
            "CASEI(owner) like casei('%smith')",
            op("like", op("casei", prop("owner")), op("casei", "%smith")),
            "CASEI(owner) LIKE CASEI('%smith')",
        ),
        (
            "accenti(casei(owner)) = accenti(casei('Élan'))",
            op("=", op("accenti", op("casei", prop("owner"))), op("accenti", op("casei", "Élan"))),
            "ACCENTI(CASEI(owner)) = ACCENTI(CASEI('Élan'))",
        ),
        ("area between 100.0 and 150.0", op("between", prop("area"), 100, 150), "area BETWEEN 100 AND 150"),
        ("zoning IN ('RM','RB')", op("in", prop("zoning"), ["RM", "RB"]), "zoning IN ('RM', 'RB')"),
        ("zoning not in (('RM'))", op("not", op("in", prop("zoning"), ["RM"])), "NOT zoning IN ('RM')"),
        ("floors in (1+1, area)", op("in", prop("floors"), [op("+", 1, 1), prop("area")]), "floors IN (1 + 1, area)"),
        (
            "floors>5 and pool=true and (zoning='RM' or owner like 'M%')",
            op(
                "and",
                op(">", prop("floors"), 5),
                op("=", prop("pool"), True),
                op("or", op("=", prop("zoning"), "RM"), op("like", prop("owner"), "M%")),
            ),
            "floors > 5 AND pool = TRUE AND (zoning = 'RM' OR owner LIKE 'M%')",
        ),
        (
            "(floors = 1 AND floors = 2) AND floors = 3",
            op("and", op("=", prop("floors"), 1), op("and", op("=", prop("floors"), 2), op("=", prop("floors"), 3))),
            "floors = 1 AND floors = 2 AND floors = 3",
        ),
        ("not (floors=1 or pool=false)", None, "NOT (floors = 1 OR pool = FALSE)"),
        ("not not pool=false", op("not", op("not", op("=", prop("pool"), False))), "NOT (NOT pool = FALSE)"),
        (
            "area-(floors-1)*2 / 3 > 2^floors",
            op(
                ">",
                op("-", prop("area"), op("/", op("*", op("-", prop("floors"), 1), 2), 3)),
                op("^", 2, prop("floors")),
            ),
            "area - (floors - 1) * 2 / 3 > 2 ^ floors",
        ),
        ("area - (1 - floors) = (area % 7) div 2", None, "area - (1 - floors) = area % 7 DIV 2"),
        ("(2 ^ floors) ^ 2 = 4", op("=", op("^", op("^", 2, prop("floors")), 2), 4), "(2 ^ floors) ^ 2 = 4"),
        ("floors = 9007199254740993", op("=", prop("floors"), 9007199254740993), "floors = 9007199254740993"),
        (
            "s_intersects(geometry,Point(-77.05 38.80))",
            op("s_intersects", prop("geometry"), POINT),
            "S_INTERSECTS(geometry, POINT (-77.05 38.8))",
        ),
        (
            "S_WITHIN(geometry, BBOX(-77.1, 38.0, -77, 39))",
            op("s_within", prop("geometry"), {"bbox": [-77.1, 38, -77, 39]}),
            "S_WITHIN(geometry, BBOX(-77.1,38,-77,39))",
        ),
        (
            "S_CROSSES(LINESTRING Z (0 0 5, 1e0 1 6), geometry)",
            op("s_crosses", {"type": "LineString", "coordinates": [[0, 0], [1, 1, 6]]}, prop("geometry")),
            "S_CROSSES(LINESTRING (0 0, 1 1), geometry)",
        ),
        (
            "S_DISJOINT(geometry, GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(0 0,1 1)))",
            op(
                "s_disjoint",
                prop("geometry"),
                {
                    "type": "GeometryCollection",
                    "geometries": [
                        {"type": "Point", "coordinates": [1, 2]},
                        {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
                    ],
                },
            ),
            "S_DISJOINT(geometry, GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1)))",
        ),
        (
            "T_DURING(INTERVAL(begun,ended),INTERVAL('2017-06-10T07:30:00Z','..'))",
            op("t_during", {"interval": [prop("begun"), prop("ended")]}, {"interval": ["2017-06-10T07:30:00Z", ".."]}),
            "T_DURING(INTERVAL(begun, ended), INTERVAL('2017-06-10T07:30:00Z', '..'))",
        ),
        (
            "t_startedby(interval('2005-01-10','2010-02-10'), interval(built, '..'))",
            op("t_startedBy", {"interval": ["2005-01-10", "2010-02-10"]}, {"interval": [prop("built"), ".."]}),
            "T_STARTEDBY(INTERVAL('2005-01-10', '2010-02-10'), INTERVAL(built, '..'))",
        ),
        ("T_AFTER(built, DATE('2012-06-05'))", op("t_after", prop("built"), {"date": "2012-06-05"}), None),
        (
            "A_CONTAINEDBY((zoning),('RM','RB'))",
            op("a_containedBy", [prop("zoning")], ["RM", "RB"]),
            "A_CONTAINEDBY((zoning), ('RM', 'RB'))",
        ),
        ("A_EQUALS((),('a', true, 1))", op("a_equals", [], ["a", True, 1]), "A_EQUALS((), ('a', TRUE, 1))"),
        (r"owner = 'it\'s \t \\ it''s'", op("=", prop("owner"), "it's \t \\ it's"), r"owner = 'it''s \t \\ it''s'"),
        ("\"zoning\" = 'x'", op("=", prop("zoning"), "x"), "zoning = 'x'"),
    ],
)
def test_text_and_json_of_one_filter_give_one_canonical_text(written, tree, canonical):
    if canonical is None and tree is None:
        with pytest.raises(InvalidParameter, match="a property"):
            text(written)
        return
    found = text(written)
    assert canonical is None or found.text == canonical
    assert text(found.text) == found and text(found.text).text == found.text
    if tree is not None:
        assert by_json(tree) == found and by_json(tree).text == found.text


def test_strange_names_are_quoted_and_read_back():
    names = ('a "b]; --', "and", "Point", "öffnung", "a.b", "x:y", "5", "select 1", "geometry2", "日本")
    columns = [Column(name, ColumnType.STRING) for name in names]
    for name in names:
        found = parse_filter(json.dumps(op("=", prop(name), "x")), "cql2-json", columns)
        assert parse_filter(found.text, "cql2-text", columns) == found
        assert parse_filter(as_text(("compare", "=", ("property", name), ("text", "x"))), "cql2-text", columns) == found
    assert parse_filter("x:y = 'x' AND a.b = 'x' AND öffnung = 'x'", "cql2-text", columns).text.startswith('"x:y" = ')


PLAIN = {
    "text": ["", "a", "it's", "Élan", "%", '"'],
    "number": [0, 1, -2, 2.5, 1e300],
    "boolean": [True, False],
    "date": [date(2024, 2, 29)],
    "time": [datetime(2024, 3, 1, 12, 30, tzinfo=UTC)],
}


@settings(max_examples=100)
@given(node=Filters(BY_KIND, PLAIN, SHAPES, ["%a_", ""]).strategy())
def test_what_the_library_alone_reads_in_a_whole_text_is_the_same_filter(node):
    """The pieces that it is shown make the whole; literals here are such as it reads without loss."""
    written = as_text(node)
    assume("A_" not in written)  # it takes an array of one member for the member
    whole = cql2.parse_text(written).to_json()
    assert parse_filter(json.dumps(whole), "cql2-json", COLUMNS) == parse_filter(written, "cql2-text", COLUMNS)


# Meaning


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return build(tmp_path_factory.mktemp("table"))


def points(folder, **columns) -> Features:
    """One point a row at longitude 0, 1, 2 ... on the equator, in this order."""
    count = len(next(iter(columns.values())))
    shapes = shapely.points(np.arange(count), np.zeros(count))
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs="OGC:CRS84")
    ids = [str(number) for number in range(count)]
    write_features(folder, Records(frame, ids, np.arange(count), shapes, None, GeometryKind.POINT))
    return Features.open(folder)


def ids(features: Features, written: str, columns) -> list[int]:
    rows = parse_filter(written, "cql2-text", columns).rows(features)
    assert rows.dtype == np.int64 and rows.tolist() == sorted(rows.tolist())
    return sorted(int(features.item_id(row)) for row in rows)


THREE = [(one, other) for one in (True, False, None) for other in (True, False, None)]


@pytest.mark.parametrize(
    ("word", "true", "false"),
    [
        ("a = 1 AND b = 1", {(True, True)}, {pair for pair in THREE if False in pair}),
        ("a = 1 OR b = 1", {pair for pair in THREE if True in pair}, {(False, False)}),
        ("NOT a = 1", {pair for pair in THREE if pair[0] is False}, {pair for pair in THREE if pair[0] is True}),
        ("a IN (1, b)", {pair for pair in THREE if pair[0] or pair == (False, False)}, {(False, True)}),
        ("a BETWEEN b AND 1", {(True, True), (True, False), (False, False)}, {(False, True)}),
        ("a = b", {(True, True), (False, False)}, {(True, False), (False, True)}),
        ("a IS NULL", {pair for pair in THREE if pair[0] is None}, {pair for pair in THREE if pair[0] is not None}),
        ("(a = 1 AND b = 1) IS NULL", {(True, None), (None, True), (None, None)}, None),
        ("a / b > 0", {(True, True)}, {(False, True)}),
        ("(a + b) IS NULL", {pair for pair in THREE if None in pair}, {pair for pair in THREE if None not in pair}),
        ("A_OVERLAPS((a), (b, 1))", {pair for pair in THREE if pair[0] or pair == (False, False)}, {(False, True)}),
        ("TRUE", set(THREE), set()),
        ("FALSE OR FALSE", set(), set(THREE)),
    ],
)
def test_three_valued_logic(word, true, false, tmp_path):
    values = {None: None, True: 1, False: 0}
    columns = (Column("a", ColumnType.INTEGER), Column("b", ColumnType.INTEGER))
    data = {name: pandas.array([values[pair[at]] for pair in THREE], dtype="Int64") for at, name in enumerate("ab")}
    features = points(tmp_path, **data)
    assert {THREE[row] for row in ids(features, word, columns)} == true
    if false is None:
        false = set(THREE) - true
    assert {THREE[row] for row in ids(features, f"NOT ({word})", columns)} == false
    assert {THREE[row] for row in ids(features, f"({word}) IS NULL", columns)} == set(THREE) - true - false


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("n = 9007199254740993", [1]),
        ("n = 9007199254740992", [0]),
        ("n > 9007199254740992.0", [1, 2, 3]),
        ("n < 9007199254740993", [0, 4, 5]),
        ("n = x", [0, 5]),
        ("n > x", [1, 4]),
        ("n < x", [3]),
        ("n <= 9223372036854775807", [0, 1, 2, 3, 4, 5]),
        ("n < 9223372036854775808", [0, 1, 2, 3, 4, 5]),
        ("n >= 9223372036854775808", []),
        ("n > -1e300 AND n < 1e300", [0, 1, 2, 3, 4, 5]),
        ("n >= -9223372036854775808 AND n < -9223372036854775807", [4]),
        ("n IN (9007199254740993, 0.5, 1e300)", [1]),
        ("x IN (9007199254740993, -9223372036854775809)", []),
        ("n = -1.5 OR n = 2.5", []),
        ("n > 2.5 AND n < 3.5", [5]),
    ],
)
def test_whole_numbers_are_compared_exactly(written, expected, tmp_path):
    features = points(
        tmp_path,
        n=np.array([2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1, -(2**63), 3]),
        x=np.array([2.0**53, 2.0**53, np.nan, 2.0**63, -1e19, 3.0]),
    )
    columns = (Column("n", ColumnType.INTEGER), Column("x", ColumnType.NUMBER))
    assert ids(features, written, columns) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("x / 0 = 1 OR NOT x / 0 = 1", []),
        ("x / 0 IS NULL", [0, 1, 2, 3]),
        ("x % 0 IS NULL AND x div 0 IS NULL", [0, 1, 2, 3]),
        ("0 / x IS NULL", [1, 3]),
        ("x ^ 0.5 IS NULL", [2, 3]),
        ("0 ^ x IS NULL", [2, 3]),
        ("x * 1e308 * 1e10 IS NULL", [0, 2, 3]),
        ("x IS NULL", [3]),
        ("x = x", [0, 1, 2]),
        ("x % 3 = 1", [0]),
        ("x % 3 = -1", [2]),
        ("x div 3 = 2", [0]),
        ("x div 3 = -2", [2]),
        ("7 div 0.7 = 10 AND 21 DIV 10 = 2 AND 2 * 2 ^ 3 = 16 AND 10 - 2 - 3 = 5", [0, 1, 2, 3]),
    ],
)
def test_arithmetic_that_has_no_result_is_null(written, expected, tmp_path):
    features = points(tmp_path, x=np.array([7.0, 0.0, -7.0, np.nan]))
    assert ids(features, written, (Column("x", ColumnType.NUMBER),)) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("CASEI(t) = CASEI('STRASSE')", [0, 1]),
        ("t = 'Straße'", [0]),
        ("ACCENTI(t) = ACCENTI('elan')", [3]),
        ("ACCENTI(t) = 'Elan'", [2, 4]),
        ("CASEI(ACCENTI(t)) = ACCENTI(CASEI(t)) AND CASEI(CASEI(t)) = CASEI(t)", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("ACCENTI(CASEI(t)) = 'elan'", [2, 3, 4]),
        ("t = 'Élan'", [2, 4]),  # composed and decomposed are one text
        ("t LIKE '_lan'", [2, 3, 4]),
        ("CASEI(t) LIKE CASEI('É%')", [2, 4]),
        ("ACCENTI(t) LIKE ACCENTI('E%')", [2, 4]),
        ("ACCENTI(t) = ACCENTI('はしめ')", []),  # voiced kana are other syllables
        ("t > 'Élan'", [5]),
        ("CASEI(t) IN (CASEI('ELAN'), 'strasse')", [0, 1, 3]),
        (r"t LIKE 'l\_%\%'", [6]),
        ("t LIKE 'l_%'", [6]),
        ("t = 'l_%'", []),
        ("t LIKE ''", [7]),
        ("t LIKE '%'", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("t IS NULL", [8]),
        ("'København' LIKE 'K_benhavn'", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_texts(written, expected, tmp_path):
    texts = ["Straße", "STRASSE", "Élan", "elan", "E\u0301lan", "はじめ", "l_x%", "", None]
    assert ids(points(tmp_path, t=texts), written, (Column("t", ColumnType.STRING),)) == expected


def test_a_column_without_any_value(tmp_path):
    names = {"t": ColumnType.STRING, "n": ColumnType.NUMBER, "d": ColumnType.DATE, "b": ColumnType.BOOLEAN}
    features = points(tmp_path, **{name: [None, None] for name in names})
    columns = [Column(name, kind) for name, kind in names.items()]
    for name, value in {"t": "'x'", "n": "1", "d": "DATE('2024-01-01')", "b": "TRUE"}.items():
        assert ids(features, f"{name} = {value} OR {name} <> {value}", columns) == []
        assert ids(features, f"{name} IS NULL", columns) == [0, 1]
    assert ids(features, "t LIKE '%' OR n + 1 > 0 OR CASEI(t) = 'x' OR t IN ('x') OR t = t", columns) == []


def test_a_layer_without_records(tmp_path):
    frame = geopandas.GeoDataFrame({"t": pandas.Series([], dtype="object")}, geometry=[], crs="OGC:CRS84")
    write_features(tmp_path, Records(frame, [], np.arange(0), np.array([], dtype=object), None, GeometryKind.POLYGON))
    features = Features.open(tmp_path)
    columns = (Column("t", ColumnType.STRING),)
    for written in ("TRUE", "t = 'x'", "t IS NULL", "S_INTERSECTS(geometry, BBOX(-180,-90,180,90))", "t LIKE '%'"):
        assert ids(features, written, columns) == []


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_every_unit(unit, tmp_path):
    times = pandas.DatetimeIndex(["1969-12-31T23:59:59Z", "2024-03-01T12:00:00Z", None]).as_unit(unit)
    features = points(tmp_path, t=times, d=[date(1969, 12, 31), date(2024, 3, 1), None])
    columns = (Column("t", ColumnType.DATETIME), Column("d", ColumnType.DATE))
    assert ids(features, "t = TIMESTAMP('2024-03-01T12:00:00Z')", columns) == [1]
    assert ids(features, "T_BEFORE(t, TIMESTAMP('1970-01-01T00:00:00Z'))", columns) == [0]
    assert ids(features, "T_DURING(INTERVAL(d, '..'), INTERVAL('1960-01-01', '..'))", columns) == []
    assert ids(features, "T_STARTS(INTERVAL(d, '2024-03-01'), INTERVAL('1969-12-31', '..'))", columns) == [0]
    assert ids(features, "INTERVAL(t, '..') IS NULL", columns) == [2]


def test_literals_among_themselves_are_true_for_all_or_none(table):
    count = table.features.count
    cases = {
        "S_CROSSES(LINESTRING(0 0,2 2), POLYGON((1 0,3 0,3 3,1 3,1 0)))": count,
        "S_WITHIN(POINT(0 0), BBOX(1,1,2,2))": 0,
        "S_EQUALS(geometry, geometry) AND S_INTERSECTS(geometry, geometry)": count,
        "S_TOUCHES(geometry, geometry) OR S_DISJOINT(geometry, geometry)": 0,
        "T_MEETS(INTERVAL('2005-01-10', '2010-02-10'), INTERVAL('2010-02-10', '..'))": count,
        "A_OVERLAPS(('a', 1), (2, TRUE, 'a'))": count,
        "A_CONTAINS((1, 2), ())": count,
        "'5' = '5' AND NOT 4 > 5": count,
        "geometry IS NULL OR POINT(1 2) IS NULL OR 1 IS NULL": 0,
    }
    for written, expected in cases.items():
        assert len(parse_filter(written, "cql2-text", COLUMNS).rows(table.features)) == expected, written


def test_no_candidates_and_no_matches_are_no_rows(table):
    none = np.empty(0, dtype=np.int64)
    for written in ("TRUE", "name = 'a'", "name LIKE '%'", "size > 1 AND S_WITHIN(geometry, BBOX(-78,38,-77,39))"):
        found = parse_filter(written, "cql2-text", COLUMNS)
        assert found.among(table.features, none).tolist() == [] and found.among(table.features, none).dtype == np.int64
    nowhere = "FALSE AND S_TOUCHES(geometry, POLYGON((-77.1 38.7,-77 38.7,-77 38.9,-77.1 38.7)))"
    assert parse_filter(nowhere, "cql2-text", COLUMNS).rows(table.features).tolist() == []


# Reference systems


def rows_of(table, written: str, system: str) -> list[int]:
    return parse_filter(written, "cql2-text", COLUMNS, crs.parse(system)).rows(table.features).tolist()


def test_coordinates_are_in_the_order_of_the_authority(table):
    expected = rows_of(
        table, "S_INTERSECTS(geometry, POLYGON((-77.08 38.8,-77.06 38.8,-77.07 38.82,-77.08 38.8)))", "OGC:CRS84"
    )
    assert 0 < len(expected) < table.features.count
    turned = "S_INTERSECTS(geometry, POLYGON((38.8 -77.08,38.8 -77.06,38.82 -77.07,38.8 -77.08)))"
    assert rows_of(table, turned, "EPSG:4326") == expected
    box = "S_INTERSECTS(geometry, BBOX(-77.08,38.8,-77.06,38.82))"
    boxed = "S_INTERSECTS(geometry, BBOX(38.8,-77.08,38.82,-77.06))"
    assert rows_of(table, boxed, "EPSG:4326") == rows_of(table, box, "OGC:CRS84")
    one, other = (
        parse_filter(box, "cql2-text", COLUMNS),
        parse_filter(boxed, "cql2-text", COLUMNS, crs.parse("EPSG:4326")),
    )
    assert one.text == other.text  # coordinates of the canonical text are in CRS84


def test_state_plane_feet(table):
    operation = crs.reprojection(crs.CRS84, crs.parse("EPSG:2283"), (-77.2, 38.7, -77.0, 38.9))
    for _, shape in [pair for pair in SHAPES if pair[0] == "shape"]:
        feet = shapely.transform(shapely.segmentize(shape, 0.0005), operation.apply)
        there = parse_filter(f"S_INTERSECTS(geometry, {feet.wkt})", "cql2-text", COLUMNS, crs.parse("EPSG:2283"))
        moved = there.term.right.geometry()
        assert shapely.hausdorff_distance(moved, shape) < 1e-7
        assert parse_filter(there.text, "cql2-text", COLUMNS) == there


def test_a_long_edge_is_followed_where_it_bends():
    """200 km to the east, straight in feet: its middle lies hundreds of metres off the straight line in degrees."""
    found = parse_filter(
        "S_INTERSECTS(geometry, LINESTRING(11300000 7000000, 11950000 7000000))",
        "cql2-text",
        COLUMNS,
        crs.parse("EPSG:2283"),
    )
    line = found.term.right.geometry()
    operation = crs.reprojection(crs.parse("EPSG:2283"), crs.CRS84, tuple(line.bounds))
    truth = operation.apply(np.column_stack([np.linspace(11.3e6, 11.95e6, 5001), np.full(5001, 7e6)]))
    assert shapely.distance(line, shapely.points(truth)).max() < 2e-8
    straight = shapely.LineString([truth[0], truth[-1]])
    assert shapely.distance(straight, shapely.Point(truth[2500])) > 2e-3
    assert 100 < shapely.get_num_coordinates(line) < 9000


def test_a_box_over_the_antimeridian(tmp_path):
    shapes = shapely.points([(179.5, 0), (-179.5, 0), (0, 0), (180, 0), (-180, 0)])
    frame = geopandas.GeoDataFrame({"t": list("abcde")}, geometry=shapes, crs="OGC:CRS84")
    write_features(tmp_path, Records(frame, list("01234"), np.arange(5), shapes, None, GeometryKind.POINT))
    features = Features.open(tmp_path)
    columns = (Column("t", ColumnType.STRING),)
    assert ids(features, "S_INTERSECTS(geometry, BBOX(179,-1,-179,1))", columns) == [0, 1, 3, 4]
    found = parse_filter("S_INTERSECTS(geometry, BBOX(-1,179,1,-179))", "cql2-text", columns, crs.parse("EPSG:4326"))
    assert found == parse_filter("S_INTERSECTS(geometry, BBOX(179,-1,-179,1))", "cql2-text", columns)
    assert parse_filter(found.text, "cql2-text", columns) == found


@pytest.mark.parametrize(
    ("written", "system", "said"),
    [
        ("S_INTERSECTS(geometry, POINT(11890000 6980000))", "OGC:CRS84", "extent of OGC:CRS84.*filter-crs"),
        ("S_INTERSECTS(geometry, BBOX(38,-200,39,-77))", "EPSG:4326", "extent of EPSG:4326"),
        ("S_INTERSECTS(geometry, POINT(-77 91))", "OGC:CRS84", "extent"),
        ("S_INTERSECTS(geometry, POINT(1e308 1e308))", "EPSG:2283", "extent of EPSG:2283"),
        ("S_INTERSECTS(geometry, POINT(1 2))", "EPSG:5514", "extent of EPSG:5514"),
        ("S_INTERSECTS(geometry, LINESTRING(0 0,1e308 -1e308))", "EPSG:3857", "extent"),
        ("S_INTERSECTS(geometry, BBOX(12000000,1,11000000,2))", "EPSG:2283", "west of its upper"),
        ("S_INTERSECTS(geometry, BBOX(1,2,3,1))", "OGC:CRS84", "lower corner comes before"),
    ],
)
def test_positions_outside_their_system_are_refused(written, system, said):
    with pytest.raises(InvalidParameter, match=said):
        parse_filter(written, "cql2-text", COLUMNS, crs.parse(system))


def test_a_system_with_no_trusted_way_to_crs84_is_refused():
    with pytest.raises(InvalidParameter, match=r"filter-crs.*known"):
        parse_filter("S_INTERSECTS(geometry, POINT(200000 150000))", "cql2-text", COLUMNS, crs.parse("EPSG:2101"))


# What is refused

TEXTS = {
    "": "a value or an opening bracket at its end",
    "   ": "at its end",
    "zoning": "a predicate, as in zoning = 'x', not only a name",
    "pool": "as in pool = TRUE",
    "5": "a predicate",
    "'x'": "a predicate",
    "area + 1": r"a predicate such as .* not only a value \(\+\)",
    "zoning = ": "at its end",
    "zoning == 'RM'": r"at character 9",
    "zoning = 'RM' AND": "at its end",
    "(zoning = 'RM' AND)": r"a value or an opening bracket at character 19 \('\)'\)",
    "NOT - AND": "at character 7",
    "AND": 'in double quotes .* as in "AND"',
    "like = 'x'": 'in double quotes .* as in "LIKE"',
    "zoning = 'RM' zoning": r"an operator .* at character 15",
    "zoning = 'RM": "a closing ' for the one at character 10",
    'zoning = "RM': 'a closing " for the one at character 10',
    "(zoning = 'RM'": "a closing bracket for the one at character 1",
    "zoning = 'RM')": "no closing bracket without an opening one at character 14",
    "zoning = 'RM';": "no ';' at character 14",
    "zoning = 'RM' -- floors": "numbers around -; 'RM' is a text",
    "zoning = 'a', 'b'": "an operator",
    "zoning = \u201cRM\u201d": "no '\u201c' at character 10",
    "zoning = $1": r"no '\$' at character 10",
    "zoning || 'x' = 'y'": r"no '\|'",
    "zoning = 0x10": "an operator .* at character 11",
    "floors = 1_000": "an operator",
    "floors = ٣": "no '٣'",
    "floors = NaN": "'NaN' is none",
    "floors = Infinity": "is none",
    "floors = 1e999": "a number below 1.8e308",
    "zonign = 'RM'": r"'zonign' is none \(did you mean 'zoning'\?\)",
    "ZONING = 'RM'": r"did you mean 'zoning'\?",
    "qqqqqqq = 'RM'": "a property of this collection \\(area, begun, built, ended, .*\\); 'qqqqqqq' is none",
    "zoning = 5": "a text beside zoning, as in zoning = 'x'; 5 is a number",
    "5 = zoning": "a text beside zoning",
    "area = '5'": "a number beside area, as in area = 5; '5' is a text",
    "built > '2020-01-01'": r"a day beside built, as in built = DATE\('2024-03-31'\)",
    "begun > DATE('2020-01-01')": r"a time beside begun, as in begun = TIMESTAMP\(",
    "built = begun": "a day beside built",
    "pool = 1": "true or false beside pool",
    "'a' = 5": "values of one type; 'a' is a text and 5 is a number",
    "zoning = NULL": "whether there is one is asked with IS NULL",
    "zoning IN ()": "one or more values",
    "zoning IN 'RM'": "a list in brackets after IN",
    "zoning IN owner": "a list in brackets after IN",
    "zoning IN ('RM', 5)": "a text beside zoning",
    "floors BETWEEN 'a' AND 'b'": "numbers with BETWEEN",
    "built BETWEEN DATE('2020-01-01') AND DATE('2020-01-02')": "numbers with BETWEEN; built is a day",
    "floors LIKE '5%'": "a text before LIKE; floors is a number",
    "zoning LIKE owner": "a pattern in single quotes after LIKE",
    "zoning LIKE 5": "a pattern in single quotes",
    "zoning LIKE 'a\\\\'": "a character after the backslash",
    "CASEI(floors) = 'x'": "a text in CASEI; floors is a number",
    "CASEI(zoning, owner) = 'x'": "1 argument for CASEI, not 2",
    "zoning + 1 = 2": r"numbers around \+; zoning is a text",
    "built + 1 = built": r"numbers around \+; built is a day",
    "(floors = 1) = (floors = 2)": "a value, not a predicate",
    "floors = floors = floors": "a value, not a predicate",
    "NOT floors": "a predicate",
    "floors = 1 AND area": "a predicate, as in area = 5",
    "floors = (1, 2)": "not an array",
    "geometry = 5": "'geometry' can only stand in spatial functions",
    "geometry = geometry": "'geometry' can only stand",
    "S_INTERSECTS(zoning, POINT(1 2))": "'zoning' holds a text; the geometry of an item is called 'geometry'",
    "S_INTERSECTS(geom, POINT(1 2))": "did you mean 'geometry'",
    "S_INTERSECTS(geometry)": "2 arguments for S_INTERSECTS, not 1",
    "S_INTERSECTS(geometry, 'POINT(1 2)')": "'geometry' or a geometry such as",
    "S_INTERSECTS(geometry, 5)": "'geometry' or a geometry such as",
    "S_INTERSECTS(geometry, buffer(geometry, 5))": "'buffer' is none",
    "S_INTERSECTS(geometry, POINT(1))": "Well-Known Text of a geometry",
    "S_INTERSECTS(geometry, POINT(a b))": "Well-Known Text of a geometry",
    "S_INTERSECTS(geometry, POINT EMPTY)": "not empty",
    "S_INTERSECTS(geometry, MULTILINESTRING(EMPTY,(0 0,1 1)))": "not empty",
    "S_INTERSECTS(geometry, POINT(1 2 3 4 5))": "Well-Known Text",
    "S_INTERSECTS(geometry, LINESTRING(1 2))": "Well-Known Text of a geometry",
    "S_INTERSECTS(geometry, LINESTRING(1 2,1 2))": "a valid geometry",
    "S_INTERSECTS(geometry, POLYGON((0 0,1 1,1 0)))": "closed",
    "S_INTERSECTS(geometry, POLYGON((0 0,1 1)))": "Well-Known Text",
    "S_INTERSECTS(geometry, POLYGON((0 0,1 1,1 0,0 1,0 0)))": r"a valid geometry \(Self-intersection",
    "S_INTERSECTS(geometry, POLYGON((0 0,1 0,2 0,0 0)))": "a valid geometry",
    "S_INTERSECTS(geometry, POLYGON((0 0,1 0,1 1,0 0)": "closing brackets for the geometry at character 24",
    "S_INTERSECTS(geometry, CIRCULARSTRING(0 0,1 1,2 0))": "an operator .* at character 41",
    "S_INTERSECTS(geometry, SRID=4326;POINT(1 2))": "no ';'",
    "S_INTERSECTS(geometry, GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(POINT(1 2))))": "no GeometryCollection inside",
    "S_INTERSECTS(geometry, BBOX(1,2,3))": "a box of four",
    "S_INTERSECTS(geometry, BBOX(1,2,'3',4))": "a box of four",
    "S_INTERSECTS(geometry, BBOX(floors,2,3,4))": "a box of four",
    "S_INTERSECTS(geometry, BBOX(1,2,9,3,4,5))": "lower corner comes before",
    "T_AFTER(zoning, DATE('2020-01-01'))": "a day, a time or an interval; zoning is a text",
    "T_AFTER(built, TIMESTAMP('2020-01-01T00:00:00Z'))": "a day beside built",
    "T_AFTER(built, DATE('2020-13-01'))": "a day that exists",
    "T_AFTER(built, DATE('9999-99-99'))": "a day that exists",
    "T_AFTER(built, DATE('garbage'))": "a day such as '2024-03-31', not 'garbage'",
    "T_AFTER(built, DATE(floors))": "a day such as",
    "T_AFTER(built, DATE('2020-01-01', 'x'))": "a day such as",
    "begun = TIMESTAMP('2020-01-01T00:00:00')": "a time such as '2024-03-31T12:00:00Z'",
    "begun = TIMESTAMP('2020-01-01T00:00:00+01:00')": r"a time such as .*\(UTC, at most six decimals\)",
    "begun = TIMESTAMP('2020-01-01T00:00:60Z')": "a time that exists",
    "begun = TIMESTAMP('2020-01-01T00:00:00.1234567Z')": "six decimals",
    "T_DURING(built, INTERVAL('2020-01-01','2020-02-01'))": "intervals in T_DURING.* built is an instant",
    "T_AFTER(built, INTERVAL('2020-02-01','2020-01-01'))": "whose start is not after its end",
    "T_AFTER(built, INTERVAL('2020-02-01'))": "an interval of two ends",
    "T_AFTER(built, INTERVAL(zoning,'..'))": "days or times at the ends of an interval; zoning is a text",
    "T_AFTER(built, INTERVAL(built, begun))": "a day beside built",
    "T_AFTER(built, INTERVAL('2020-01-01','2020-02-01T00:00:00Z'))": "values of one type",
    "T_AFTER(built, INTERVAL(DATE('2020-01-01'),'..'))": "'..' at each end",
    "A_CONTAINS(zoning, ('RM'))": "no column holds one, and 'zoning' does not",
    "A_CONTAINS(('RM'), 'RM')": "arrays in brackets in A_CONTAINS",
    "A_CONTAINS((('a','b')), ('a'))": "not an array",
    "foo(zoning) = 'x'": r"'foo' is none \(there are no functions besides those of CQL2\)",
    "S_INTERSECT(geometry, POINT(1 2))": r"did you mean S_INTERSECTS\?",
    "pg_sleep(10)": "'pg_sleep' is none",
    "eval('1') = 1": "'eval' is none",
    "__import__('os') = 1": "'__import__' is none",
    "readfile('/etc/passwd') = 'x'": "'readfile' is none",
    "load_extension('x')": "'load_extension' is none",
    "zoning = 'x'; DROP TABLE parcels": "no ';'",
    "zoning = 'x' UNION SELECT 1": "an operator",
    "1 = 1 OR (SELECT 1)": "an operator",
    "zoning = 'x' /* y */": "at character",
    "zoning\0 = 'x'": "no '.x00'",
    "floors = 1" + "0" * 500: "a number of at most 400 digits",
}


@pytest.mark.parametrize("written", TEXTS, ids=lambda written: written[:60])
def test_text_that_cannot_be_used_is_refused_in_words_that_help(written):
    with pytest.raises(InvalidParameter, match=f"Parameter 'filter' was .*; expected .*(?:{TEXTS[written]})") as caught:
        text(written)
    assert caught.value.name == "filter" and caught.value.value == written
    assert len(str(caught.value)) < 500


HOSTILE_VALUES = [
    "') or __import__('os').system('x')#",
    "1 OR 1=1",
    "'; DROP TABLE parcels; --",
    "x' UNION SELECT * FROM pg_shadow --",
    "%",
    "_",
    "\\",
    "{{7*7}}",
    "<script>",
    "\0",
    "a.b*c+(d)[e]{2}^$|?",
    "a" * 10_000,
]


@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=lambda value: value[:20])
def test_a_value_is_a_value_whatever_it_looks_like(table, value):
    tree = op("=", prop("name"), value)
    found = parse_filter(json.dumps(tree), "cql2-json", COLUMNS)
    pattern = value.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    if len(pattern) <= filter_limits.PATTERN_MAX:
        like = parse_filter(json.dumps(op("like", prop("name"), pattern)), "cql2-json", COLUMNS)
        assert like.rows(table.features).tolist() == found.rows(table.features).tolist()
    expected = [row for row, record in enumerate(table.rows) if record["name"] == value]
    assert found.rows(table.features).tolist() == expected
    assert parse_filter(found.text, "cql2-text", COLUMNS) == found


TREES = {
    "{": "JSON",
    "nope": "JSON",
    "": "JSON",
    '{"op":"=","args":[{"property":"area"},NaN]}': "no NaN, which is not JSON",
    '{"op":"=","args":[{"property":"area"},1e999]}': "a number below",
    '{"op":"=","op":"<","args":[{"property":"area"},1]}': "each member of an object only once",
    "null": "a predicate such as .*not null",
    "[]": "a predicate such as .*an array",
    "{}": "a predicate",
    '"x"': "a predicate",
    '{"op":"=","args":{"a":1}}': "'op' .* and 'args' .* no others",
    '{"op":5,"args":[]}': "'op'",
    '{"op":"=","args":[{"property":"area"},1],"x":1}': "no others",
    '{"op":"=","args":[{"property":"area","x":1},1]}': "'property' .* no others",
    '{"op":"=","args":[{"property":5},1]}': "'property'",
    '{"op":"=","args":[{"property":"area"}]}': "2 arguments for =, not 1",
    '{"op":"=","args":[{"property":"area"},null]}': "IS NULL",
    '{"op":"=","args":[{"property":"area"},{}]}': "an object with no members",
    '{"op":"and","args":[]}': "two or more predicates for AND",
    '{"op":"and","args":[true]}': "two or more",
    '{"op":"not","args":[true,false]}': "1 argument",
    '{"op":"in","args":[{"property":"zoning"},"RM"]}': "one or more values",
    '{"op":"between","args":[{"property":"area"},[1,2]]}': "3 arguments",
    '{"op":"like","args":[{"property":"zoning"},{"property":"zoning"}]}': "a pattern",
    '{"op":"eval","args":["1"]}': "'eval' is none",
    '{"op":"=","args":[{"property":"zoning"},"\\ud800"]}': "surrogate",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point"}]}': "'type' and 'coordinates'",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Foo","coordinates":[1,2]}]}': "not 'Foo'",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":[]}]}': "in /coordinates",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":[1]}]}': "two or three",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":[1,2,3,4]}]}': "two or three",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":["1","2"]}]}': "two or three",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":[true,2]}]}': "two or three",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":[1e308,2]}]}': "extent",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":[[1,2]]}]}': "two or three",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"LineString","coordinates":[[1,2]]}]}': "geometry",
    '{"op":"s_within","args":[{"property":"geometry"},{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0]]]}]}': "clos",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Polygon","coordinates":[[0,0],[1,1],[1,0]]}]}': (
        "in /coordinates/0/0"
    ),
    '{"op":"s_within","args":[{"property":"geometry"},{"type":"GeometryCollection","geometries":5}]}': "/geometries",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"GeometryCollection","geometries":[]}]}': "not empty",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"GeometryCollection","geometries":[5]}]}': (
        "in /geometries/0"
    ),
    '{"op":"s_intersects","args":[{"property":"geometry"},{"bbox":[1,2,3,"4"]}]}': "a box of four",
    '{"op":"s_intersects","args":[{"property":"geometry"},{"bbox":[1,2,3,4],"crs":5}]}': "a box of four",
    '{"op":"t_after","args":[{"property":"built"},{"date":5}]}': "a day such as",
    '{"op":"t_after","args":[{"property":"built"},{"interval":["2020-01-01"]}]}': "an interval of two ends",
    '{"op":"t_after","args":[{"property":"built"},{"interval":[5,".."]}]}': "'..' at each end",
    '{"op":"=","args":[{"property":"floors"},' + "9" * 500 + "]}": "at most 400 digits",
}


@pytest.mark.parametrize("written", TREES, ids=lambda written: written[-70:])
def test_json_that_cannot_be_used_is_refused_in_words_that_help(written):
    with pytest.raises(InvalidParameter, match=f"Parameter 'filter' was .*; expected .*(?:{TREES[written]})"):
        parse_filter(written, "cql2-json", PARCEL)


def test_another_language_is_refused():
    with pytest.raises(InvalidParameter, match=r"'filter-lang' was 'cql'; expected 'cql2-text' or 'cql2-json'"):
        parse_filter("TRUE", "cql", PARCEL)


# Limits


def nested(levels: int) -> dict[str, object]:
    tree = op("=", prop("floors"), 1)
    for _ in range(levels):
        tree = op("not", tree)
    return tree


LARGE = {
    "long": "zoning = '" + "x" * filter_limits.TEXT_MAX + "'",
    "brackets": "(" * 30_000,
    "brackets that do not close": "(" * 24,
    "brackets around nothing": "(" * 24 + ")" * 24,
    "brackets around half": "(" * 24 + "floors =" + ")" * 24,
    "deep brackets": "(" * 40 + "floors = 1" + ")" * 40,
    "functions": "CASEI(" * 40 + "zoning" + ")" * 40 + " = 'x'",
    "nots": "NOT " * 3_000 + "floors = 1",
    "nots within a piece": "NOT " * 100 + "floors = 1",
    "a chain of sums": "floors" + " + 1" * 3_000 + " = 1",
    "a shorter chain": "floors" + " + 1" * 60 + " = 1",
    "a chain within the library's reach": "floors" + " + 1" * 31 + " = 1",
    "a chain of comparisons": "floors" + " = floors" * 200,
    "signs": "floors = " + "- " * 3_000 + "1",
    "terms": " OR ".join(["floors = 1"] * 5_000),
    "terms that do not parse": " OR ".join(["floors = 1"] * 400) + " OR",
    "a list": f"floors IN ({','.join(['1'] * 5_000)})",
    "patterns": " OR ".join(["zoning LIKE '%a%'"] * 100),
    "folds": " OR ".join(["CASEI(ACCENTI(zoning)) = 'x'"] * 100),
    "a pattern": f"zoning LIKE '{'%' * 10_000}'",
    "a pattern of single characters": f"zoning LIKE '{'_' * 5_000}'",
    "functions of space": " OR ".join(["S_INTERSECTS(geometry, POINT(1 2))"] * 100),
    "positions": f"S_INTERSECTS(geometry, LINESTRING({','.join(['1 2', '3 4'] * 2_000)}))",
    "brackets in geometry": "S_INTERSECTS(geometry, " + "GEOMETRYCOLLECTION(" * 1_000,
    "quotes": "zoning = '" + "''" * 30_000,
    "backslashes": "zoning = '" + "\\" * 30_000,
    "digits": "floors = " + "1" * 30_000,
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_filter_is_refused_before_the_work(name):
    """Most of these keep the library's own parser busy for minutes, or end the process."""
    with pytest.raises((InvalidParameter, LimitExceeded), match=r"filter|pattern|chain"):
        text(LARGE[name])
        raise AssertionError("it was read")


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (nested(100), "levels"),
        (nested(1_600), "levels"),
        (op("or", *[op("=", prop("floors"), 1)] * 1_000), "parts"),
        (op("in", prop("floors"), [1] * 3_000), "parts"),
        (op("s_intersects", prop("geometry"), {"type": "MultiPoint", "coordinates": [[1, 2]] * 3_000}), "positions"),
        (op("=", prop("zoning"), "x" * 70_000), "characters"),
    ],
)
def test_large_json_is_refused_before_the_work(tree, said):
    depth, written = 0, ""
    try:
        written = json.dumps(tree)
    except RecursionError:  # Python's encoder is not ours to test
        while isinstance(tree, dict) and tree["op"] == "not":
            depth, tree = depth + 1, tree["args"][0]
        written = '{"op":"not","args":[' * depth + json.dumps(tree) + "]}" * depth
    with pytest.raises(LimitExceeded, match=said):
        parse_filter(written, "cql2-json", PARCEL)


def test_brackets_of_any_kind_are_counted_before_json_is_read():
    for written in ("[" * 60_000, '{"a":' * 10_000, '"' + "[" * 100 + '"'):
        with pytest.raises((LimitExceeded, InvalidParameter), match=r"levels|a predicate"):
            parse_filter(written, "cql2-json", PARCEL)


def test_the_longest_chain_is_read_on_a_small_stack():
    """The library nests each operator inside the one before; a server's threads have smaller stacks than a shell's."""
    nots, sums = "NOT " * (CHAIN_MAX - 3) + "floors = 1", "floors" + " + 1" * (CHAIN_MAX // 2 - 2) + " = 1"
    ends: list[object] = []

    def read() -> None:
        for chain in (nots, sums, "floors = 1"):
            try:
                ends.append(text(chain).text)
            except LimitExceeded as error:  # it was read, and is nested too deep for us
                ends.append(error.unit)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=read)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert ends == ["levels", sums, "floors = 1"]


def test_comparing_geometries_has_an_end(table, monkeypatch):
    """Lines that cross themselves everywhere are valid, and keep GEOS busy for minutes over a whole city."""
    monkeypatch.setattr(filter_relations, "GEOMETRY_SECONDS_MAX", 0.0)
    found = parse_filter("S_CROSSES(geometry, LINESTRING(-77.1 38.7,-77 38.9))", "cql2-text", COLUMNS)
    with pytest.raises(LimitExceeded, match="Comparing the geometries of a filter"):
        found.rows(table.features)
    monkeypatch.undo()
    assert len(found.rows(table.features))


@settings(max_examples=300)
@given(
    written=st.text(alphabet=st.characters(codec="utf-8"), max_size=60),
    lang=st.sampled_from(["cql2-text", "cql2-json"]),
)
def test_any_text_is_read_or_refused(written, lang):
    try:
        parse_filter(written, lang, PARCEL)
    except GISServiceError as error:
        assert isinstance(error, (InvalidParameter, LimitExceeded))


WORDS = [
    "zoning", "floors", "geometry", "AND", "OR", "NOT", "LIKE", "IN", "BETWEEN", "IS", "NULL", "(", ")", ",", "=", "<>",
    "<", "-", "+", "*", "/", "^", "%", "div", "'x'", "1", "2.5", "TRUE", "POINT", "(1 2)", "BBOX", "DATE", "INTERVAL",
    "'2020-01-01'", "'..'", "S_INTERSECTS", "T_AFTER", "A_EQUALS", "CASEI", '"a', "'", "\\", "EMPTY", "Z", "foo",
]  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.sampled_from(WORDS), max_size=25))
def test_any_row_of_words_is_read_or_refused(words):
    written = " ".join(words)
    try:
        found = text(written)
    except (InvalidParameter, LimitExceeded):
        return
    assert text(found.text) == found


# What is kept with a version


def test_columns_are_decoded_once_and_go_with_their_version(tmp_path):
    features = points(tmp_path, t=["a", "b"])
    found = parse_filter("CASEI(t) = 'a'", "cql2-text", (Column("t", ColumnType.STRING),))
    assert found.rows(features).tolist() == [0]
    known, folds = query_columns.Columns.of(features), frozenset({"casei"})
    assert known is query_columns.Columns.of(features)
    assert known.texts("t", folds).distinct is known.texts("t", folds).distinct
    before = len(query_columns._KNOWN)
    del features
    assert len(query_columns._KNOWN) == before - 1


def test_what_is_kept_is_bounded_and_the_oldest_goes_first():
    kept = query_columns.Recent(2)
    made: list[str] = []

    def make(key: str) -> str:
        return kept.get(key, lambda: made.append(key) or key.upper())

    assert [make(key) for key in "abacab"] == list("ABACAB")
    assert made == list("abcb")  # "b" was the oldest when "c" came


def test_many_threads_find_the_same(table):
    written = [as_text(("like", ("casei", ("property", "name")), ("casei",), pattern)) for pattern in PATTERNS]
    written += [f"S_INTERSECTS(geometry, {as_text(shape)})" for shape in SHAPES]
    filters = [parse_filter(one, "cql2-text", COLUMNS) for one in written]
    expected = [found.rows(table.features).tolist() for found in filters]
    wrong: list[str] = []

    def work(offset: int) -> None:
        for step in range(3 * len(filters)):
            at = (offset + step) % len(filters)
            if filters[at].rows(table.features).tolist() != expected[at]:
                wrong.append(written[at])

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(0, len(filters), 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# Geometries as items are written with them


@pytest.fixture(scope="module")
def lots(tmp_path_factory: pytest.TempPathFactory) -> Features:
    """Lots that share borders, with positions that have more digits than items are written with."""
    chance = np.random.default_rng(7)
    corners = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), axis=-1) + chance.uniform(-0.3, 0.3, (9, 9, 2))
    places = np.array([-77.1, 38.8]) + corners * [1.1e-4, 0.9e-4] + chance.uniform(0, 1e-9, (9, 9, 2))
    shapes = shapely.polygons(
        [[places[i, j], places[i, j + 1], places[i + 1, j + 1], places[i + 1, j]] for i in range(8) for j in range(8)]
    )
    ids = [str(number) for number in range(len(shapes))]
    frame = geopandas.GeoDataFrame({"owner": ids}, geometry=shapes, crs="OGC:CRS84")
    folder = tmp_path_factory.mktemp("lots")
    write_features(folder, Records(frame, ids, np.arange(len(ids)), shapes, None, GeometryKind.POLYGON))
    return Features.open(folder)


@settings(deadline=None, max_examples=60)
@given(some=st.sets(st.integers(0, 63), min_size=1, max_size=20), decimals=st.sampled_from([None, 15]))
def test_lots_lie_within_the_union_of_the_polygons_that_they_are_published_with(
    lots: Features, some: set[int], decimals: int | None
) -> None:
    drawn = np.array([shapely.geometry.shape(json.loads(lots.item(row))["geometry"]) for row in range(lots.count)])
    rows = sorted(some)
    union = shapely.union_all(drawn[rows])
    inside = np.flatnonzero(shapely.area(shapely.intersection(drawn, union)) > 0.5 * shapely.area(drawn)).tolist()
    wkt = shapely.to_wkt(union, rounding_precision=-1 if decimals is None else decimals)
    assert text(f"S_WITHIN(geometry, {wkt})").rows(lots).tolist() == inside
    assert text(f"S_CONTAINS({wkt}, geometry)").among(lots, np.array(rows)).tolist() == rows
    touching = text(f"S_TOUCHES(geometry, {wkt})").rows(lots).tolist()
    assert touching == np.flatnonzero(shapely.touches(drawn, union)).tolist()
    for row in rows[:3]:
        for name in ("S_EQUALS", "S_WITHIN", "S_CONTAINS", "S_INTERSECTS"):
            assert row in text(f"{name}(geometry, {drawn[row].wkt})").rows(lots)


def test_a_shape_too_small_for_the_positions_of_items_stays_as_it_is(lots: Features) -> None:
    west, south = shapely.get_coordinates(lots.shapes(np.array([9]))).mean(axis=0)
    grain = shapely.box(west, south, west + 1e-10, south + 1e-10)
    assert text(f"S_CONTAINS(geometry, {shapely.to_wkt(grain, rounding_precision=-1)})").rows(lots).tolist() == [9]
