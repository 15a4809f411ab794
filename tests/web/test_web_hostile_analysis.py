"""Questions that are wrong or meant to harm: the right 4xx, the limit in its words, and the next question answered."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from asked_city import AskedCity, lonlat

from gisservice.errors import InvalidParameter
from gisservice.web.computing import Limits

WEST, SOUTH = lonlat(0, 0)
EAST, NORTH = lonlat(1600, 1600)


def answers_still(city: AskedCity, number: int = 250) -> None:
    """The next question is answered as ever; its distance is one that was not asked before."""
    answer = city.execute("within", features="addresses", others="parks", distance_ft=number)
    assert answer.status_code == 200
    assert answer.get_json(force=True)["features"]


def comb(*, upright: bool, teeth: int = 1_200) -> dict[str, Any]:
    """A valid polygon of many long thin teeth."""
    ring = []
    for tooth in range(teeth):
        low, high = tooth / teeth, (tooth + 0.5) / teeth
        ring += [(low, 0.0), (low, 1.0), (high, 1.0), (high, 0.0)]
    ring += [(1.0, 0.0), (1.0, -0.01), (0.0, -0.01), (0.0, 0.0)]
    placed = [
        [WEST + (x if upright else y) * (EAST - WEST), SOUTH + (y if upright else x) * (NORTH - SOUTH)] for x, y in ring
    ]
    return {"type": "Polygon", "coordinates": [placed]}


def star(points: int = 9_999) -> dict[str, Any]:
    """A polygon whose every edge crosses nearly every other: tens of millions of crossings."""
    step = points // 2
    ring = [
        [
            (WEST + EAST) / 2 + 0.002 * math.cos(2 * math.pi * step * n / points),
            (SOUTH + NORTH) / 2 + 0.002 * math.sin(2 * math.pi * step * n / points),
        ]
        for n in range(points)
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def problem(answer: Any, status: int, *said: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    for words in said:
        assert words in answer.get_json()["detail"], answer.text
    assert "Traceback" not in answer.text and "/home" not in answer.text and ".py" not in answer.text


def test_an_unknown_address_comes_with_the_nearest(asked_city: AskedCity) -> None:
    problem(asked_city.get("/api/lookup", q="999 Aldre St"), 404, "did you mean", "Alder St")
    near = asked_city.get("/api/lookup", q="999 Aldre St").get_json()["suggestions"]
    assert near and all("Alder St" in text for text in near)
    problem(asked_city.get("/api/lookup", q="zzzz"), 404, "expected a house number and a street")
    problem(asked_city.execute("lookup", address="999 Aldre St"), 404, "Alder St")
    assert asked_city.get("/api/geocode", q="zzzz").get_json(force=True)["features"] == []


def test_a_point_outside_the_city_is_refused_where_only_the_city_is_known(asked_city: AskedCity) -> None:
    said = "a point inside the boundary of Gridville, which lies between -77."
    problem(asked_city.get("/api/lookup", lon=-70, lat=30), 400, "-70, 30", said)
    problem(asked_city.get("/api/lookup", lon=-70, lat=30, f="ics"), 400, said)
    problem(asked_city.execute("lookup", lon=-70, lat=30), 400, said)
    with pytest.raises(InvalidParameter, match="inside the boundary of Gridville"):
        asked_city.client.application._service.dossier.answer(lon=-70, lat=30)
    answers_still(asked_city)


def test_other_questions_say_what_there_is_not_outside_the_city(asked_city: AskedCity) -> None:
    assert asked_city.get("/api/reverse", lon=-70, lat=30).get_json(force=True)["features"] == []
    reached = asked_city.get("/api/reach", origins="-70,30", minutes=5).get_json(force=True)["features"]
    assert reached[0]["geometry"] is None and reached[0]["properties"]["area_acres"] == 0
    found = asked_city.get("/api/route", origins="-70,30", destinations="-70.1,30").get_json(force=True)["features"]
    assert found[0]["properties"]["reason"] == "no street"
    found = asked_city.get("/api/elevation", points="-70,30").get_json(force=True)["features"]
    assert found[0]["properties"]["reason"] == "outside"


@pytest.mark.parametrize(
    "text", ["-1", "nan", "inf", "-inf", "1e300", "1e9", "1_000", "٣", "", "500ft", "0x10", "1e999"]
)
def test_distances_that_are_none(asked_city: AskedCity, text: str) -> None:
    answer = asked_city.get("/api/within", features="addresses", others="parks", distance_ft=text)
    problem(answer, 400, "'distance_ft'", "expected")


@pytest.mark.parametrize("value", [-1, 1e300, 1e9, "500", True, [500], {"value": "x"}, 10**400])
def test_distances_in_a_body_that_are_none(asked_city: AskedCity, value: Any) -> None:
    answer = asked_city.execute("within", features="addresses", others="parks", distance_ft=value)
    assert answer.status_code == 400
    answers_still(asked_city)


def test_numbers_that_json_has_not(asked_city: AskedCity) -> None:
    for word in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = '{"inputs": {"features": "addresses", "others": "parks", "distance_ft": WORD}}'.replace("WORD", word)
        answer = asked_city.client.post("/api/processes/within/execution", data=body, content_type="application/json")
        assert answer.status_code == 400, word


def test_both_units_and_none(asked_city: AskedCity) -> None:
    for given in ({}, {"distance_ft": 5, "distance_m": 5}):
        problem(asked_city.execute("within", features="lots", others="parks", **given), 400, "exactly one")


def test_unit_mistakes(asked_city: AskedCity) -> None:
    """Feet where degrees are expected, in positions, in boxes and in a place that is looked up."""
    feet = {"type": "Point", "coordinates": [11_890_000, 6_980_000]}
    problem(asked_city.execute("within", features="lots", others=feet, distance_ft=5), 400, "look like feet or metres")
    box = {"collection": "lots", "bbox": [11_890_000, 6_980_000, 11_890_100, 6_980_100]}
    problem(asked_city.execute("within", features=box, others="parks", distance_ft=5), 400, "degrees")
    problem(asked_city.get("/api/lookup", lon=11_890_000, lat=6_980_000), 400, "degrees")
    problem(asked_city.get("/api/reach", origins="11890000,6980000", minutes=5), 400, "look like feet")


def test_10_001_positions(asked_city: AskedCity) -> None:
    line = {"type": "LineString", "coordinates": [[WEST + n * 1e-8, SOUTH] for n in range(10_001)]}
    answer = asked_city.execute("within", features="lots", others=line, distance_ft=5)
    problem(answer, 400, "10001 positions", "limit of 10000 positions")
    line["coordinates"].pop()
    assert asked_city.execute("within", features="lots", others=line, distance_ft=5).status_code == 200
    halves = {"type": "LineString", "coordinates": line["coordinates"][:6_000]}
    problem(asked_city.execute("within", features=halves, others=halves, distance_ft=5), 400, "12000 positions")


def test_a_body_that_is_too_large(asked_city: AskedCity) -> None:
    answer = asked_city.client.post(
        "/api/processes/within/execution", data=b" " * 50_000_000, content_type="application/json"
    )
    problem(answer, 413, "limit of 1000000 bytes")
    answers_still(asked_city)


@pytest.mark.parametrize(
    "media",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"],
)
def test_only_json_is_read(asked_city: AskedCity, media: str) -> None:
    """So no form of another site sends a question without asking first."""
    answer = asked_city.client.post("/api/processes/within/execution", data=b"{}", content_type=media)
    problem(answer, 415, "application/json")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"null", b'"x"', b"[" * 50_000, b'{"inputs": ' + b'{"a":' * 2_000 + b"1" + b"}" * 2_001],
)
def test_what_is_no_question(asked_city: AskedCity, content: bytes) -> None:
    answer = asked_city.client.post("/api/processes/within/execution", data=content, content_type="application/json")
    problem(answer, 400)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('{"inputs": {}, "inputs": {"distance_ft": 1}}', "inputs"),
        ('{"inputs": {"distance_ft": 1, "features": "addresses", "distance_ft" : 2}}', "distance_ft"),
        ('{"inputs": {"distance_ft": 1, "d\\u0069stance_ft": 2}}', "distance_ft"),
        ('{"inputs": {"origins": {"type": "Point", "coordinates": [0, 1], "coordinates": [2, 3]}}}', "coordinates"),
        ('{"inputs": {"a": [{"op": "=", "args": [{"x{\\"": 1}], "op": "<"}]}}', "op"),
    ],
)
def test_members_twice(asked_city: AskedCity, content: str, name: str) -> None:
    answer = asked_city.client.post("/api/processes/within/execution", data=content, content_type="application/json")
    problem(answer, 400, f"'{name}' twice")


def test_members_alike_in_objects_of_their_own(asked_city: AskedCity) -> None:
    content = (
        '{"inputs": {"features": "addresses", "others": "parks", "distance_ft": 300, "filter": "note = \'{\\"a\\":\'"}}'
    )
    answer = asked_city.client.post("/api/processes/within/execution", data=content, content_type="application/json")
    assert "twice" not in answer.text
    square = [[0, 0], [1, 0], [1, 1], [0, 0]]
    shapes = [{"type": "Polygon", "coordinates": [square]}, {"type": "Polygon", "coordinates": [square]}]
    answer = asked_city.execute("within", features={"type": "GeometryCollection", "geometries": shapes})
    assert "twice" not in answer.text


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[-77, 38], [-77.1, 38], [-77, 38.1], [-77.2, 38.2]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Point", "coordinates": []},
        {"type": "Point", "coordinates": ["a", "b"]},
        {"type": "Point", "coordinates": [None, None]},
        {"type": "Point", "coordinates": [181, 0]},
        {"type": "Point"},
        {"type": "Circle", "coordinates": [0, 0]},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": None, "properties": {}}]},
        {"type": "FeatureCollection", "features": [1]},
        {"type": "FeatureCollection"},
        {"href": "http://localhost/secret"},
        {"type": "Point", "coordinates": [-77.05, 38.8], "crs": {"type": "name", "properties": {"name": "EPSG:2283"}}},
        {"type": "FeatureCollection", "features": [], "crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}},
        {"collection": "lots", "filters": "x"},
        {"collection": "lots", "filter": "zonne = 'RB'"},
        {"collection": "lots", "filter": "owner = 'Owner 0-00'"},
        {"collection": "lots", "filter": "zone = "},
        {"collection": "lots", "bbox": [1, 2, 3]},
        {"collection": "lots", "asof": "yesterday"},
        {"collection": 5},
        "",
        5,
        [],
    ],
    ids=str,
)
def test_features_that_are_none(asked_city: AskedCity, geometry: Any) -> None:
    answer = asked_city.execute("within", features="lots", others=geometry, distance_ft=5)
    assert answer.status_code in (400, 404), answer.text
    assert answer.get_json()["detail"]


def test_geojson_may_say_that_it_is_in_degrees(asked_city: AskedCity) -> None:
    for system in ("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326"):
        place = {"type": "Point", "coordinates": [-77.05, 38.8]}
        said = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": place, "properties": {}}]}
        crs = {"type": "name", "properties": {"name": system}}
        answer = asked_city.execute("within", features="lots", others={**said, "crs": crs}, distance_ft=5)
        assert answer.status_code == 200, answer.text


def nested(depth: int) -> bytes:
    """A body whose geometry is a collection of a collection of a collection …"""
    inner = b'{"type":"GeometryCollection","geometries":['
    return b'{"inputs":{"features":"lots","others":' + inner * depth + b"]}" * depth + b',"distance_ft":5}}'


@pytest.mark.parametrize("depth", [3, 500, 20_000])
def test_a18_collections_in_collections(asked_city: AskedCity, depth: int) -> None:
    answer = asked_city.client.post(
        "/api/processes/within/execution", data=nested(depth), content_type="application/json"
    )
    problem(answer, 400)


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "(" * 50_000 + "zone = 'RB'" + ")" * 50_000, " OR ".join(["zone='RB'"] * 50_000), "NOT " * 100_000],
    ids=["open", "brackets", "or", "not"],
)
def test_a12_deep_and_long_filters_in_a_body(asked_city: AskedCity, text: str) -> None:
    answer = asked_city.execute(
        "within", features={"collection": "lots", "filter": text}, others="parks", distance_ft=5
    )
    problem(answer, 400)
    assert len(answer.data) < 1_500


def test_unknown_columns_and_parameters_have_the_nearest(asked_city: AskedCity) -> None:
    problem(asked_city.get("/api/collections/lots/aggregate", by="zonne"), 400, "did you mean 'zone'?")
    problem(asked_city.get("/api/collections/lots/aggregate", by="owner"), 400, "'owner'")
    problem(asked_city.get("/api/collections/lots/aggregate", sum="value"), 400, "did you mean 'sums'?")
    problem(asked_city.get("/api/collections/lotz/aggregate", by="zone"), 404)
    problem(asked_city.get("/api/collections/lots/aggregate", having="__import__('os')"), 400)
    problem(asked_city.get("/api/reach", origins="0,0", minutes="5", mode="fly"), 400, "walk, bike, drive")
    problem(asked_city.get("/api/nearest", features="lots", others="parks", k="101"), 400, "from 1 to 100")
    problem(asked_city.client.get("/api/lookup?q=a&q=b"), 400, "only once")
    problem(asked_city.get("/api/lookup", q="104 Alder St", weeks=3), 400, "f=ics")
    problem(asked_city.get("/api/lookup", q="104 Alder St", f="ics", weeks=105), 400, "104")
    problem(asked_city.get("/api/lookup"), 400, "an address, or a point")


def test_a_star_with_millions_of_crossings_is_refused_at_the_first(asked_city: AskedCity) -> None:
    answer = asked_city.execute("overlay", features="lots", others=star())
    problem(answer, 400, "Self-intersection", "rings do not cross")
    answers_still(asked_city)


def test_millions_of_crossings_of_two_polygons_end_with_their_time_or_memory(own_asked_city: AskedCity) -> None:
    computer = own_asked_city.client.application._service.answering.computer
    usual = computer.at_once
    own_asked_city.execute("overlay", features="lots", others="zones")
    computer.at_once = Limits(0.3, 8_000_000_000, usual.answer_bytes)
    answer = own_asked_city.execute("overlay", features=comb(upright=True), others=comb(upright=False))
    problem(answer, 400, "over the limit of", "seconds")
    computer.at_once = Limits(30.0, 500_000_000, usual.answer_bytes)
    answer = own_asked_city.execute("overlay", features=comb(upright=True), others=comb(upright=False))
    problem(answer, 400, "500 megabytes")
    answers_still(own_asked_city)


def test_what_needs_too_much_memory_ends_with_it(own_asked_city: AskedCity) -> None:
    computer = own_asked_city.client.application._service.answering.computer
    usual = computer.at_once
    computer.at_once = Limits(30.0, 150_000_000, usual.answer_bytes)
    problem(own_asked_city.execute("overlay", features="lots", others="zones"), 400, "memory", "150 megabytes")
    computer.at_once = Limits(30.0, usual.memory_bytes, 1_000)
    problem(own_asked_city.execute("overlay", features="lots", others="zones"), 400, "An answer", "megabytes")
    computer.at_once = usual
    answers_still(own_asked_city)


def test_nothing_of_owners_is_said_or_asked(asked_city: AskedCity) -> None:
    found = asked_city.execute(
        "notify", parcels="lots", subject={"collection": "lots", "filter": "pid = '1-10'"}, distance_ft=500
    )
    assert found.status_code == 200 and "owner" not in found.text.lower()
    body = {"parcels": "lots", "subject": "lots", "distance_ft": 5, "office": "lots"}
    problem(asked_city.execute("notify", **body), 400, "Unknown parameter 'office'")


def test_one_site_asks_for_another(asked_city: AskedCity) -> None:
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    asked = asked_city.client.open("/api/processes/within/execution", method="OPTIONS", headers=headers)
    assert asked.headers["Access-Control-Allow-Origin"] == "*"
    assert asked.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert {"Content-Type", "Prefer"} <= set(asked.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in asked.headers


def test_a_question_in_a_long_query_is_refused(asked_city: AskedCity) -> None:
    places = ";".join(["-77.05,38.8"] * 1_000)
    problem(asked_city.get("/api/reach", origins=places, minutes=5), 400, "limit of 8192 bytes")
    assert json.loads(asked_city.get("/api/reach", origins="-77.05,38.8;-77.05,38.8", minutes=5).data)["features"]


def test_numbers_beyond_what_json_carries_exactly(asked_city: AskedCity) -> None:
    for limit in ("20706469245094092800", "9007199254740993", "-9007199254740993", "9" * 300):
        answer = asked_city.get("/api/reverse", lon="-77.05", lat="38.8", limit=limit)
        problem(answer, 400, "'limit'")
        answer = asked_city.execute("within", features="lots", others="parks", distance_ft=int(limit))
        assert answer.status_code in (200, 400), answer.text[:300]
