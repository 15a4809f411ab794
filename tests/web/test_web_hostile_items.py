"""Bad input to items, A06 to A26 of the list in the project's reliability notes: each string tried, each answer told.

Refused means: a problem document that names the parameter and shows nothing of the inside, and the service answers
the next question as before.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from feature_city import FeatureCity, build_feature_city, publish
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gisservice.model import Column, ColumnType, GeometryKind

ITEMS = "/api/collections/permits/items"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/{}".format


def ask(city: FeatureCity, **query: str) -> Any:
    return city.get(ITEMS, query_string={name.replace("_", "-"): value for name, value in query.items()})


def refused(city: FeatureCity, parameter: str, answer: Any) -> None:
    assert answer.status_code == 400, answer.text[:300]
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert parameter in problem["detail"] and len(answer.data) < 1_500
    for inside in (str(city.settings.home), "Traceback", ".py", "shapely", "pyproj", "GEOS"):
        assert inside not in answer.text
    assert city.page("permits", "resulttype=hits")["numberMatched"] == 240


def count(city: FeatureCity, **query: str) -> int:
    answer = ask(city, resulttype="hits", **query)
    assert answer.status_code == 200, answer.text
    return int(answer.get_json()["numberMatched"])


@pytest.mark.parametrize(
    "bbox",
    [
        "1,2,3", "1,2,3,4,5", "1,2,3,4,5,6,7", "NaN,NaN,NaN,NaN", "inf,0,1,1", "-inf,0,inf,1", "1e309,0,1,1", "",
        "text",
        "0,10,1,5", "0,0,9,1,1,5", "1;2;3;4", "1, 2, 3, 4", "0x1,0,2,1", "1_0,0,20,1", "٣,0,4,1", "-181,0,1,1",
        "0,-91,1,1", "0,0,181,1", "0,0,1,91", "9" * 5_000 + ",0,1,1", "[1,2,3,4]", "1,2,3,4'--",
        "1,2,3,4;DROP TABLE x",
    ],
)  # fmt: skip
def test_a06_boxes(feature_city: FeatureCity, bbox: str) -> None:
    refused(feature_city, "'bbox'", ask(feature_city, bbox=bbox))


def test_a06_west_greater_than_east_crosses_the_antimeridian(feature_city: FeatureCity) -> None:
    assert count(feature_city, bbox="-77.05,38,-77.06,39") < 240
    assert count(feature_city, bbox="170,-90,-170,90") == 0
    for code, box in ((2283, "11900000,6900000,11800000,7100000"), (3857, "100,0,-100,1")):
        refused(feature_city, "'bbox'", ask(feature_city, bbox=box, bbox_crs=EPSG(code)))


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "", "1.5", "1e3", "+5", "0x5", "٣", "NaN", "00"])
def test_a07_limits(feature_city: FeatureCity, limit: str) -> None:
    refused(feature_city, "'limit'", ask(feature_city, limit=limit))


def test_a07_a_huge_limit_gets_the_most_and_a_far_offset_nothing(feature_city: FeatureCity) -> None:
    assert feature_city.page("permits", f"limit={10**30}")["numberReturned"] == 240
    assert feature_city.page("permits", "offset=1000000000")["numberReturned"] == 0
    refused(feature_city, "'offset'", ask(feature_city, offset="1000000000000"))
    refused(feature_city, "'offset'", ask(feature_city, offset="-1"))
    for token in ("x", "A" * 23, "A" * 4_000):
        refused(feature_city, "'token'", ask(feature_city, token=token))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("cb=1", "'cb'"), ("limt=1", "'limit'"), ("zonning=1", "'zonning'"), ("stat=open", "'state'"),
        ("limit=1&limit=9999", "'limit'"), ("state=open&state=done", "'state'"), ("f[]=x", "'f[]'"), ("f=%ff", "UTF-8"),
        ("state=%ff", "UTF-8"), ("filter=a%00b", "'filter'"), ("State=open", "'state'"), ("=1", "''"),
        ("constructor=1", "'constructor'"), ("__proto__=1", "'__proto__'"), ("geometry=x", "'geometry'"),
        ("x" * 9_000, "8192"),
    ],
)  # fmt: skip
def test_a08_parameters(feature_city: FeatureCity, query: str, told: str) -> None:
    refused(feature_city, told, feature_city.get(f"{ITEMS}?{query}"))


@pytest.mark.parametrize("text", ["../..", "9999-99-99", "x" * 7_000, "2024-01-01", "now", "P1D/..", "//", ""])
def test_a09_times(feature_city: FeatureCity, text: str) -> None:
    refused(feature_city, "'datetime'", ask(feature_city, datetime=text))


RECORDS = "/api/collections/catalog/items"

BAD_SEARCHES = {
    "bbox": ["1,2,3", "NaN,NaN,NaN,NaN", "inf,0,1,1", "", "0,10,1,5", "-181,0,1,1", "1;2;3;4", "9" * 5_000 + ",0,1,1"],
    "datetime": ["../..", "9999-99-99", "2024-01-01", "now", "//", "", "x" * 7_000],
    "filter": ["titles = 'x'", "title = ", "title LIKE 1", "S_INTERSECTS(geometry,POINT(nan 1))", "1 OR 1=1",
               "x'||pg_sleep(5)||'", "updated > 'now'", ""],
    "sortby": ["titles", "", "-", "title,title"],
    "limit": ["0", "-1", "", "1e3", "٣"],
    "offset": ["-1", "", "9" * 400],
    "f": ["xml", "csv", ""],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SEARCHES)
def test_searches_of_records_are_refused_by_name(feature_city: FeatureCity, name: str) -> None:
    for text in BAD_SEARCHES[name]:
        refused(feature_city, f"'{name}'", feature_city.get(RECORDS, query_string={name: text}))


@pytest.mark.parametrize("query", ["Q=x", "q=x&q=y", "bbox-crss=x", "q[]=x", "token=x", "__proto__=1", "q=%ff"])
def test_parameters_of_records_that_are_not_there_or_there_twice(feature_city: FeatureCity, query: str) -> None:
    answer = feature_city.get(f"{RECORDS}?{query}")
    assert answer.status_code == 400 and answer.content_type == "application/problem+json"


def test_filters_of_records_with_a_member_twice(feature_city: FeatureCity) -> None:
    text = '{"op": "=", "args": [{"property": "title"}, "x"], "op": "<>"}'
    for address in (RECORDS, ITEMS):
        answer = feature_city.get(address, query_string={"filter": text, "filter-lang": "cql2-json"})
        refused(feature_city, "'op' is there twice", answer)


INJECTIONS = (
    "' OR '1'='1", "'; DROP TABLE permits; --", "1 OR 1=1", "' UNION SELECT name FROM sqlite_master --",
    "x' AND SLEEP(5) AND 'x'='x", "x'||pg_sleep(5)||'", "\" OR \"\"=\"", "') or __import__('os').system('x')#", "$(id)",
    "{{7*7}}", "${7*7}", "../../etc/passwd", "\x00", "a\r\nSet-Cookie: x=1",
)  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
def test_a10_a14_injections_are_values_or_refused(feature_city: FeatureCity, text: str) -> None:
    assert count(feature_city, note=text) == (20 if text == "{{7*7}}" else 0)
    quoted = text.replace("'", "''")
    assert ask(feature_city, filter=f"note = '{quoted}'").status_code in (200, 400)
    for name in ("state", "sortby", "properties", "crs", "bbox-crs", "filter-crs", "filter-lang", "f", "precision"):
        refused(feature_city, f"'{name}'", feature_city.get(ITEMS, query_string={name: text}))
    answer = ask(feature_city, filter=text)
    assert answer.status_code == 400 and "Set-Cookie" not in answer.headers
    assert feature_city.get(f"{ITEMS}/{text.replace('/', '%2F')}").status_code == 404
    for name in ("q", "ids", "externalIds", "type", "filter"):
        answer = feature_city.get(RECORDS, query_string={name: text})
        assert answer.status_code in (200, 400) and "Set-Cookie" not in answer.headers
        if answer.status_code == 200:
            assert answer.get_json()["numberMatched"] == 0


def test_a11_unknown_properties_are_never_all_rows(feature_city: FeatureCity) -> None:
    for text in ("notes = 'x'", "notes <> 'x'", "notes IS NULL", "NOT (notes = 'x')", "note = notes", "fees + 1 > 0"):
        refused(feature_city, "'filter'", ask(feature_city, filter=text))
    for name in ("sortby", "properties"):
        refused(feature_city, f"'{name}'", feature_city.get(ITEMS, query_string={name: "notes"}))


def test_a11_strange_names_that_exist_go_round(tmp_path: Any, feature_city: FeatureCity) -> None:
    city = build_feature_city(tmp_path)
    names = ("a]", 'a"b', "x'); --", "limit", "ä ö", "a.b", "select")
    columns = (Column("number", ColumnType.INTEGER), *(Column(name, ColumnType.STRING) for name in names))
    frame = feature_city.frames["permits"][["number", "geometry"]].reset_index(drop=True)
    for name in names:
        frame[name] = [f"{name} {number % 3}" for number in range(len(frame))]
    publish(city.catalog, frame, "strange", GeometryKind.POINT, columns, "number")
    url = "/api/collections/strange/items"
    for name in names:
        value = f"{name} 1"
        if name != "limit":
            assert city.get(url, query_string={name: value}).get_json()["numberMatched"] == 80
        quoted = '"' + name.replace('"', '""') + '"'
        text = f"{quoted} = '{value.replace(chr(39), chr(39) * 2)}'"
        assert city.get(url, query_string={"filter": text}).get_json()["numberMatched"] == 80, text
        as_json = json.dumps({"op": "=", "args": [{"property": name}, value]})
        query = {"filter": as_json, "filter-lang": "cql2-json", "limit": 7}
        page = city.get(url, query_string=query).get_json()
        assert page["numberMatched"] == 80
        following = next(link["href"] for link in page["links"] if link["rel"] == "next")
        assert city.get(following).get_json()["numberMatched"] == 80
        chosen = city.get(url, query_string={"properties": name, "sortby": f"-{name}", "limit": 1}).get_json()
        assert chosen["features"][0]["properties"] == {name: f"{name} 2"}


def deep_and(depth: int) -> str:
    inner: Any = {"op": "=", "args": [{"property": "number"}, 3]}
    text = json.dumps(inner)
    return '{"op":"and","args":[' * depth + text + f",{text}]}}" * depth


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("cql2-json", deep_and(80)), ("cql2-json", '{"op":"not","args":[' * 300 + "true" + "]}" * 300),
        ("cql2-json", "[" * 3_000), ("cql2-text", "(" * 4_000),
        ("cql2-text", "(" * 3_000 + "paid = true" + ")" * 3_000),
        ("cql2-text", " OR ".join(["number=1"] * 600)), ("cql2-text", "NOT " * 1_500 + "paid = true"),
        ("cql2-text", "number IN (" + ",".join(map(str, range(1_500))) + ")"), ("cql2-text", "a" * 7_000),
        ("cql2-text", "number = " + "-" * 3_000 + "1"), ("cql2-text", "number = 1" + "+1" * 2_000),
    ],
)  # fmt: skip
def test_a12_deep_and_long_filters(feature_city: FeatureCity, lang: str, text: str) -> None:
    answer = ask(feature_city, filter=text, filter_lang=lang)
    assert answer.status_code == 400
    assert len(answer.data) < 1_500


@pytest.mark.parametrize("function", ["eval", "pg_sleep", "readfile", "load_extension", "__import__", "ST_Area"])
def test_a13_functions_off_the_list(feature_city: FeatureCity, function: str) -> None:
    for text in (f"{function}(1)", f"{function}('x') = 1", f"note = {function}(note)"):
        refused(feature_city, "'filter'", ask(feature_city, filter=text))


@pytest.mark.parametrize(
    "item_id",
    ["1 OR 1=1", "03", "3e0", " 3", "3 ", "0x3", "+3", "3.0", "-3", "٣", "3%00", "x" * 10_000, "3/", "3;"],
)
def test_a15_ids_match_exactly(feature_city: FeatureCity, item_id: str) -> None:
    assert feature_city.get(f"{ITEMS}/3").status_code == 200
    assert feature_city.get(f"{ITEMS}/{item_id}").status_code == 404


def test_a16_patterns(feature_city: FeatureCity) -> None:
    for text in ("%" * 5_000, "_" * 5_000, "(a+)+$" * 800):
        answer = ask(feature_city, filter=f"note LIKE '{text}'")
        assert answer.status_code in (200, 400)
    assert count(feature_city, note="%_%") == 20  # literal in a value
    assert count(feature_city, filter="note = '%_%'") == 20
    assert count(feature_city, filter="note LIKE '%\\_%'") == 20
    assert count(feature_city, filter="note LIKE '(a+)+$'") == 0


GEOMETRY = "S_INTERSECTS(geometry,{})".format


@pytest.mark.parametrize(
    "text",
    [
        GEOMETRY("GEOMETRYCOLLECTION(" * 400 + "POINT(0 0)" + ")" * 400),  # A18
        GEOMETRY("POLYGON((0 0,1 1,0 1))"), GEOMETRY("POLYGON((0 0,1 1))"), GEOMETRY("POLYGON EMPTY"),  # A22
        GEOMETRY("LINESTRING(0 0)"), GEOMETRY("POINT(NaN 0)"), GEOMETRY("POINT(1e308 0)"), GEOMETRY("POINT(0 91)"),
        GEOMETRY("POINT(a b)"), GEOMETRY("POLYGON(0 0,1 1,0 1,0 0)"), GEOMETRY("BBOX(1,2,3)"),
        GEOMETRY("BBOX(0,5,1,2)"),
        GEOMETRY("POINT(11880000 6980000)"), GEOMETRY("BBOX(11880000,6980000,11890000,6990000)"),  # A23
        GEOMETRY("'POINT(0 0)'"), GEOMETRY("geom"), GEOMETRY("number"), "S_DWITHIN(geometry,POINT(0 0),NaN)",  # A21
    ],
)  # fmt: skip
def test_a18_a21_a22_a23_geometries(feature_city: FeatureCity, text: str) -> None:
    refused(feature_city, "filter", ask(feature_city, filter=text))


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1]]]}, {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[0, 0], [1, 1]]}, {"type": "Point", "coordinates": ["0", "0"]},
        {"type": "Point", "coordinates": [0]}, {"type": "Point", "coordinates": [1, 2, 3, 4]},
        {"type": "Point", "coordinates": [0, 91]}, {"type": "Point", "coordinates": [1e308, 0]}, {"type": "Point"},
        {"type": "Circle", "coordinates": [0, 0]}, {"type": "GeometryCollection", "geometries": []},
    ],
)  # fmt: skip
def test_a22_geometries_in_json(feature_city: FeatureCity, geometry: dict[str, Any]) -> None:
    text = json.dumps({"op": "s_intersects", "args": [{"property": "geometry"}, geometry]})
    refused(feature_city, "'filter'", ask(feature_city, filter=text, filter_lang="cql2-json"))


def test_a19_a_body_is_refused_unread(feature_city: FeatureCity) -> None:
    answer = feature_city.client.post(ITEMS, data=b"x" * 5_000_000)
    assert answer.status_code in (405, 413)


def test_a20_a_star_with_many_crossings_fits_no_address(feature_city: FeatureCity) -> None:
    points = ",".join(f"{n % 2 * 10} {n / 1000}" for n in range(10_000))
    answer = ask(feature_city, filter=GEOMETRY(f"LINESTRING({points})"))
    assert answer.status_code == 400 and "8192" in answer.get_json()["detail"]


def test_a24_a_bow_tie_is_answered_twice_alike(feature_city: FeatureCity) -> None:
    for shape in ("POLYGON((-77.1 38.79,-77 38.85,-77.1 38.85,-77 38.79,-77.1 38.79))", "POLYGON((0 0,1 1,1 1,0 0))",
                  "LINESTRING(-77.1 38.8,-77.1 38.8,-77 38.8)"):  # fmt: skip
        one, two = (ask(feature_city, filter=GEOMETRY(shape)) for _ in range(2))
        assert one.status_code == two.status_code and one.status_code in (200, 400)
        assert one.data == two.data


@pytest.mark.parametrize(
    "text",
    [
        "+proj=longlat +nadgrids=/etc/passwd", "+init=/etc/passwd:1", "+proj=pipeline +step +proj=noop",
        'GEOGCS["x",DATUM["y",SPHEROID["z",1,1]]]', "https://example.org/crs.wkt", "file:///etc/passwd", "/etc/passwd",
        '{"type":"GeographicCRS",' * 200, "EPSG:999999", EPSG(999999), EPSG("4326;x"), EPSG(2924), EPSG(4326) + " ",
        "http://www.opengis.net/def/crs/EPSG/9.9.1/4326", "OGC:CRS84", "CRS84",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["crs", "bbox-crs", "filter-crs"])
def test_a25_a26_systems(feature_city: FeatureCity, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import gisservice.crs

    monkeypatch.setattr(gisservice.crs, "parse", lambda _: pytest.fail("PROJ was asked"))
    refused(feature_city, f"'{name}'", feature_city.get(ITEMS, query_string={name: text, "bbox": "0,0,1,1"}))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(
            ["bbox", "limit", "offset", "token", "datetime", "filter", "sortby", "properties", "precision", "tolerance",
             "skipGeometry", "resulttype", "crs", "bbox-crs", "note", "state", "fee", "paid", "filed", "seen", "f"]
        ),
        st.text(max_size=40), min_size=1, max_size=3,
    )
)  # fmt: skip
def test_any_text_in_any_parameter_is_answered(feature_city: FeatureCity, query: dict[str, str]) -> None:
    try:
        answer = feature_city.get(ITEMS, query_string=query)
    except UnicodeEncodeError:  # half of a surrogate pair cannot be sent
        return
    assert answer.status_code in (200, 400, 410), answer.text
