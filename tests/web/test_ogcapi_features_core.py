"""OGC API - Features - Part 1 (17-069r4), Annex A: one test for each abstract test, named by its identifier.

Conformance classes core, geojson and oas30. What a test compares with was computed by shapely and geopandas from the
frames that were published, not by the service.
"""

from __future__ import annotations

import gzip
import json
import re
from datetime import date
from typing import Any

import numpy as np
import openapi_schema_validator
import pandas
import pytest
import shapely
from feature_city import FeatureCity, related
from openapi_schema_validator import OAS30Validator

COLLECTIONS = ("permits", "streets", "lots")
BASE = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf"


def definition(city: FeatureCity) -> dict[str, Any]:
    return city.get("/api/openapi.json").get_json()


def parameter(city: FeatureCity, name: str) -> dict[str, Any]:
    return definition(city)["components"]["parameters"][name]


def valid(city: FeatureCity, document: Any, schema: str) -> None:
    """Hold a document against a schema of the API's own description."""
    components = definition(city)["components"]
    resolved = _dereferenced(components["schemas"][schema], components["schemas"])
    openapi_schema_validator.validate(document, resolved, cls=OAS30Validator)


def _dereferenced(schema: Any, known: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _dereferenced(known[schema["$ref"].rsplit("/", 1)[1]], known)
        return {name: _dereferenced(value, known) for name, value in schema.items()}
    return [_dereferenced(value, known) for value in schema] if isinstance(schema, list) else schema


def shapes_of(items: list[dict[str, Any]]) -> list[shapely.Geometry]:
    return [shapely.from_geojson(json.dumps(item["geometry"])) for item in items]


def has_links(document: dict[str, Any], media: set[str], *rels: str) -> None:
    links = document["links"]
    assert all(link["rel"] and link["type"] and link["href"] for link in links)
    for rel in rels:
        assert [link for link in links if link["rel"] == rel], rel
    (own,) = [link["type"] for link in links if link["rel"] == "self"]
    assert {own} | {link["type"] for link in links if link["rel"] == "alternate"} >= media


ITEM_MEDIA = {"application/geo+json"}
PAGE_MEDIA = {
    "application/geo+json", "application/geo+json-seq", "text/csv; charset=utf-8; header=present",
    "application/flatgeobuf",
}  # fmt: skip


# Conformance class core


def test_conf_core_http(feature_city: FeatureCity) -> None:
    """The resources can be had by HTTP/1.1; that HTTPS is spoken is the proxy's business."""
    answer = feature_city.get("/api")
    assert answer.status_code == 200 and answer.request.environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert feature_city.client.open("/api", method="DELETE").status_code == 405


def test_conf_core_crs84(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        frame = feature_city.frames[name]
        for item in feature_city.walk(name, "limit=100"):
            expected = frame.geometry[item["id"]].normalize()
            assert shapely.equals_exact(shapes_of([item])[0].normalize(), expected, 1e-8)


def test_conf_core_root_op(feature_city: FeatureCity) -> None:
    assert feature_city.get("/api").status_code == 200


def test_conf_core_root_success(feature_city: FeatureCity) -> None:
    document = feature_city.get("/api").get_json()
    valid(feature_city, document, "Landing")
    rels = {link["rel"] for link in document["links"]}
    assert {"service-desc", "conformance", "data"} <= rels


def test_conf_core_api_definition_op(feature_city: FeatureCity) -> None:
    links = feature_city.get("/api").get_json()["links"]
    found = [link for link in links if link["rel"] in ("service-desc", "service-doc")]
    assert found
    for link in found:
        assert feature_city.get(link["href"]).status_code == 200


def test_conf_core_api_definition_success(feature_city: FeatureCity) -> None:
    document = definition(feature_city)
    assert re.fullmatch(r"3\.0\.[0-9]+", document["openapi"])
    assert document["info"]["title"] and document["info"]["version"]
    for path, entry in document["paths"].items():
        assert path.startswith("/")
        assert all(entry[name]["responses"]["200"]["content"] for name in ("get", "post") if name in entry)
    for schema in document["components"]["schemas"].values():
        OAS30Validator.check_schema(_dereferenced(schema, document["components"]["schemas"]))


def test_conf_core_conformance_op(feature_city: FeatureCity) -> None:
    href = related(feature_city.get("/api").get_json(), "conformance")
    assert href == "http://localhost/api/conformance"
    assert feature_city.get(href).status_code == 200


def test_conf_core_conformance_success(feature_city: FeatureCity) -> None:
    document = feature_city.get("/api/conformance").get_json()
    valid(feature_city, document, "Conformance")
    assert {f"{BASE}/{name}" for name in ("core", "geojson", "oas30")} <= set(document["conformsTo"])


def test_conf_core_fc_md_op(feature_city: FeatureCity) -> None:
    href = related(feature_city.get("/api").get_json(), "data")
    assert href == "http://localhost/api/collections"
    assert feature_city.get(href).status_code == 200


def test_conf_core_fc_md_success(feature_city: FeatureCity) -> None:
    valid(feature_city, feature_city.get("/api/collections").get_json(), "Collections")


def test_conf_core_fc_md_links(feature_city: FeatureCity) -> None:
    has_links(feature_city.get("/api/collections").get_json(), {"application/json"}, "self")


def test_conf_core_fc_md_items(feature_city: FeatureCity) -> None:
    listed = feature_city.get("/api/collections").get_json()["collections"]
    assert {entry["id"] for entry in listed} == {*COLLECTIONS, "catalog"}
    for entry in listed:
        valid(feature_city, entry, "Collection")


def test_conf_core_fc_md_items_links(feature_city: FeatureCity) -> None:
    for entry in feature_city.get("/api/collections").get_json()["collections"]:
        items = [link for link in entry["links"] if link["rel"] == "items"]
        if entry["id"] != "catalog":  # whose records are in one format, and as a page
            assert {link["type"] for link in items} >= PAGE_MEDIA
        for link in items:
            is_of_the_type(feature_city.get(link["href"]), link["type"])


def is_of_the_type(answer: Any, media: str) -> None:
    """Pages say their encoding, too, which links leave out."""
    assert answer.status_code == 200
    assert media == (answer.mimetype if media == "text/html" else answer.headers["Content-Type"])


def test_conf_core_fc_md_extent(feature_city: FeatureCity) -> None:
    for entry in feature_city.get("/api/collections").get_json()["collections"]:
        west, south, east, north = entry["extent"]["spatial"]["bbox"][0]
        for shape in shapes_of(feature_city.walk(entry["id"], "limit=500")):
            minx, miny, maxx, maxy = shape.bounds
            assert west - 1e-8 <= minx and south - 1e-8 <= miny and maxx <= east + 1e-8 and maxy <= north + 1e-8
    permits = feature_city.get("/api/collections/permits").get_json()
    filed = feature_city.frames["permits"]["filed"].dropna()
    ((start, end),) = permits["extent"]["temporal"]["interval"]
    assert start == f"{filed.min()}T00:00:00Z" and end == f"{filed.max()}T23:59:59.999999Z"
    assert "temporal" not in feature_city.get("/api/collections/lots").get_json()["extent"]


def test_conf_core_fc_md_extent_multi(feature_city: FeatureCity) -> None:
    """There is one box and one interval a collection; the first holds everything, see fc-md-extent."""
    for entry in feature_city.get("/api/collections").get_json()["collections"]:
        assert len(entry["extent"]["spatial"]["bbox"]) == 1
        assert len(entry["extent"].get("temporal", {"interval": [None]})["interval"]) == 1


def test_conf_core_sfc_md_op(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        assert feature_city.get(f"/api/collections/{name}").status_code == 200


def test_conf_core_sfc_md_success(feature_city: FeatureCity) -> None:
    for entry in feature_city.get("/api/collections").get_json()["collections"]:
        assert feature_city.get(f"/api/collections/{entry['id']}").get_json() == entry


def test_conf_core_fc_op(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        assert feature_city.get(f"/api/collections/{name}/items").status_code == 200
    both = {
        item["id"]
        for item in feature_city.walk("permits", "bbox=-77.08,38.8,-77.05,38.84&datetime=2024-02-01T00:00:00Z/..")
    }
    assert both == within(feature_city, (-77.08, 38.8, -77.05, 38.84)) & during(feature_city, "2024-02-01", None)


def within(city: FeatureCity, box: tuple[float, float, float, float], name: str = "permits") -> set[str]:
    frame = city.frames[name]
    return set(frame.index[frame.intersects(shapely.box(*box))])


def during(city: FeatureCity, start: str | None, end: str | None) -> set[str]:
    """Ids of permits filed in a span of days, closed, and of those without a day."""
    filed = city.frames["permits"]["filed"]
    first, last = date.fromisoformat(start or "1900-01-01"), date.fromisoformat(end or "2100-01-01")
    return {number for number, day in filed.items() if pandas.isna(day) or first <= day <= last}


def test_conf_core_fc_bbox_definition(feature_city: FeatureCity) -> None:
    found = parameter(feature_city, "bbox")
    assert (found["name"], found["in"], found["required"], found["style"], found["explode"]) == (
        "bbox", "query", False, "form", False,
    )  # fmt: skip
    schema = found["schema"]
    assert (schema["type"], schema["items"]) == ("array", {"type": "number"})
    assert schema["oneOf"] == [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}]


def test_conf_core_fc_bbox_response(feature_city: FeatureCity) -> None:
    random = np.random.default_rng(3)
    for name in COLLECTIONS:
        bounds = feature_city.frames[name].total_bounds
        for _ in range(12):
            x, y = np.sort(random.uniform(bounds[0], bounds[2], 2)), np.sort(random.uniform(bounds[1], bounds[3], 2))
            box = (x[0], y[0], x[1], y[1])
            found = feature_city.ids(name, f"bbox={','.join(map(repr, map(float, box)))}&limit=50")
            assert len(found) == len(set(found)) and set(found) == within(feature_city, box, name)
    answer = feature_city.get("/api/collections/lots/items?bbox=-77.06,38.8,-77.05,38.81")
    assert answer.headers["Content-Crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"


def test_conf_core_fc_limit_definition(feature_city: FeatureCity) -> None:
    found = parameter(feature_city, "limit")
    assert (found["name"], found["in"], found["required"], found["style"], found["explode"]) == (
        "limit", "query", False, "form", False,
    )  # fmt: skip
    schema = found["schema"]
    assert (schema["type"], schema["minimum"], schema["default"], schema["maximum"]) == ("integer", 1, 100, 10_000)


def test_conf_core_fc_limit_response(feature_city: FeatureCity) -> None:
    for limit in (1, 7, 100, 239, 240, 241, 10_000, 10_001, 10**20):
        assert len(feature_city.page("permits", f"limit={limit}")["features"]) == min(limit, 240)
    assert len(feature_city.page("permits")["features"]) == 100


def test_conf_core_fc_time_definition(feature_city: FeatureCity) -> None:
    found = parameter(feature_city, "datetime")
    assert (found["name"], found["in"], found["required"], found["style"], found["explode"]) == (
        "datetime", "query", False, "form", False,
    )  # fmt: skip
    assert found["schema"] == {"type": "string"}


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024-03-01T12:00:00Z", "2024-03-01", "2024-03-01"),
        ("2024-02-10T00:00:00Z/2024-04-01T00:00:00Z", "2024-02-10", "2024-04-01"),
        ("../2024-02-10T00:00:00Z", None, "2024-02-10"),
        ("/2024-02-09T23:59:59.999Z", None, "2024-02-09"),
        ("2024-07-01T00:00:00Z/..", "2024-07-01", None),
        ("2024-07-01T23:59:59Z/", "2024-07-01", None),
        ("2024-07-01T23:59:59-05:00/..", "2024-07-02", None),
        ("1999-01-01T00:00:00Z", "1999-01-01", "1999-01-01"),
    ],
)
def test_conf_core_fc_time_response(feature_city: FeatureCity, text: str, start: str | None, end: str | None) -> None:
    assert set(feature_city.ids("permits", f"datetime={text}")) == during(feature_city, start, end)
    # A layer without times matches whole (/req/core/fc-time-response, C).
    assert len(feature_city.ids("lots", f"datetime={text}&limit=500")) == 400


def test_conf_core_query_param_invalid(feature_city: FeatureCity) -> None:
    for query in ("limit=many", "bbox=1,2,3", "datetime=yesterday", "offset=-1", "limit=0"):
        for name in COLLECTIONS:
            assert feature_city.get(f"/api/collections/{name}/items?{query}").status_code == 400


def test_conf_core_query_param_unknown(feature_city: FeatureCity) -> None:
    for path in ("", "/conformance", "/collections", "/collections/lots", "/collections/lots/items"):
        answer = feature_city.get(f"/api{path}?nothing=1")
        assert answer.status_code == 400
        valid(feature_city, answer.get_json(), "Problem")


def test_conf_core_fc_response(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        document = feature_city.page(name, "limit=10000")
        assert document["type"] == "FeatureCollection" and isinstance(document["features"], list)
        valid(feature_city, document, f"{name}.items")
        valid(feature_city, document, "FeatureCollection")


def test_conf_core_fc_links(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        document = feature_city.page(name, "limit=3&offset=3")
        has_links(document, PAGE_MEDIA, "self", "alternate", "next", "prev", "collection")
        for link in document["links"]:
            is_of_the_type(feature_city.get(link["href"]), link["type"])


def test_conf_core_fc_timestamp(feature_city: FeatureCity) -> None:
    """There is none: the answer is the same bytes whenever it is asked for, under one ETag."""
    one, two = (feature_city.get("/api/collections/lots/items?limit=5") for _ in range(2))
    assert "timeStamp" not in one.get_json() and one.data == two.data


def test_conf_core_fc_numbermatched(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        assert feature_city.page(name, "limit=1")["numberMatched"] == len(feature_city.frames[name])
    found = feature_city.page("permits", "limit=1&bbox=-77.08,38.8,-77.05,38.84")
    assert found["numberMatched"] == len(within(feature_city, (-77.08, 38.8, -77.05, 38.84)))


def test_conf_core_fc_numberreturned(feature_city: FeatureCity) -> None:
    for query in ("limit=1", "limit=9&offset=236", "offset=240", "resulttype=hits", "bbox=0,0,1,1"):
        document = feature_city.page("permits", query)
        assert document["numberReturned"] == len(document["features"])


def test_conf_core_f_op(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        for item in feature_city.page(name, "limit=40")["features"]:
            found = feature_city.get(f"/api/collections/{name}/items/{_quoted(item['id'])}")
            assert found.status_code == 200
            assert {key: value for key, value in found.get_json().items() if key != "links"} == item


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def test_conf_core_f_success(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        item = feature_city.page(name, "limit=1")["features"][0]
        document = feature_city.get(f"/api/collections/{name}/items/{_quoted(item['id'])}").get_json()
        valid(feature_city, document, f"{name}.item")
        valid(feature_city, document, "Feature")


def test_conf_core_f_links(feature_city: FeatureCity) -> None:
    item = feature_city.page("lots", "limit=1")["features"][0]
    document = feature_city.get(f"/api/collections/lots/items/{_quoted(item['id'])}").get_json()
    has_links(document, ITEM_MEDIA, "self", "alternate", "collection")


# Conformance class geojson


def test_conf_geojson_definition(feature_city: FeatureCity) -> None:
    accept = {"Accept": "application/geo+json"}
    item = "/api/collections/streets/items/Street%201"
    for path in ("/api/collections/streets/items", item):
        assert feature_city.get(path, headers=accept).headers["Content-Type"] == "application/geo+json"
        plain = feature_city.get(path, headers={"Accept": "application/json"})
        assert plain.headers["Content-Type"] == "application/json"
    for path in ("/api", "/api/conformance", "/api/collections", "/api/collections/lots"):
        assert feature_city.get(path).headers["Content-Type"] == "application/json"


def test_conf_geojson_content(feature_city: FeatureCity) -> None:
    """RFC 7946, read strictly: ids as texts, no NaN, outer rings counter-clockwise, two numbers a position."""
    for name in COLLECTIONS:
        for item in feature_city.walk(name, "limit=300"):
            assert item["type"] == "Feature" and isinstance(item["id"], str) and isinstance(item["properties"], dict)
            assert item["id"] in feature_city.frames[name].index
            for position in _positions(item["geometry"]["coordinates"]):
                assert len(position) == 2 and np.isfinite(position).all()
            if item["geometry"]["type"] == "Polygon":
                outer, *holes = [shapely.linearrings(ring) for ring in item["geometry"]["coordinates"]]
                assert shapely.is_ccw(outer) and not any(shapely.is_ccw(hole) for hole in holes)
    item = feature_city.get("/api/collections/permits/items/3").get_json()
    assert item["id"] == "3"


def _positions(coordinates: list[Any]) -> list[list[float]]:
    if not isinstance(coordinates[0], list):
        return [coordinates]
    return [position for inner in coordinates for position in _positions(inner)]


# Conformance class oas30


def test_conf_oas30_completeness(feature_city: FeatureCity) -> None:
    document = definition(feature_city)
    for path in ("/api/collections/lots/items", "/api/collections/lots/items/{item_id}"):
        responses = document["paths"][path]["get"]["responses"]
        assert {"200", "304", "400", "404", "406", "500"} <= set(responses)
        assert responses["200"]["content"]["application/geo+json"]


def test_conf_oas30_exceptions_codes(feature_city: FeatureCity) -> None:
    responses = definition(feature_city)["paths"]["/api/collections/lots/items"]["get"]["responses"]
    page = feature_city.page("lots", "limit=1")
    token = (related(page, "next") or "").partition("token=")[2]
    tried = {
        "400": feature_city.get("/api/collections/lots/items?limit=x"),
        "404": feature_city.get("/api/collections/nothing/items"),
        "406": feature_city.get("/api/collections/lots/items", headers={"Accept": "image/png"}),
        "200": feature_city.get(f"/api/collections/lots/items?limit=1&token={token}"),
    }
    for status, answer in tried.items():
        assert str(answer.status_code) == status and status in responses
        if status != "200":
            assert answer.headers["Content-Type"] == "application/problem+json"


def test_conf_oas30_oas_definition_1(feature_city: FeatureCity) -> None:
    links = feature_city.get("/api").get_json()["links"]
    (described,) = [link for link in links if link["rel"] == "service-desc"]
    assert described["type"] == "application/vnd.oai.openapi+json;version=3.0"
    answer = feature_city.get(described["href"], headers={"Accept": described["type"]})
    assert answer.headers["Content-Type"] == described["type"]
    for link in links:
        if link["rel"] == "service-doc":
            assert feature_city.get(link["href"]).mimetype == "text/html"


def test_conf_oas30_oas_definition_2(feature_city: FeatureCity) -> None:
    document = json.loads(feature_city.get("/api/openapi.json").data)
    references = re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        target = document
        for part in reference.split("/"):
            target = target[part]


def test_conf_oas30_oas_impl(feature_city: FeatureCity) -> None:
    """Every path of items answers as described, each parameter with the example of its own schema."""
    for name in COLLECTIONS:
        entry = definition(feature_city)["paths"][f"/api/collections/{name}/items/{{item_id}}"]
        example = entry["parameters"][0]["schema"]["example"]
        answer = feature_city.get(f"/api/collections/{name}/items/{_quoted(example)}")
        assert answer.status_code == 200 and answer.get_json()["id"] == example


def test_conf_oas30_security(feature_city: FeatureCity) -> None:
    """Everything is public: no scheme is described and none is asked for."""
    document = definition(feature_city)
    assert "securitySchemes" not in document["components"] and "security" not in document
    assert "WWW-Authenticate" not in feature_city.get("/api/collections/lots/items").headers


def test_compressed_pages_are_the_same_pages(feature_city: FeatureCity) -> None:
    url = "/api/collections/lots/items?limit=400"
    plain = feature_city.get(url)
    packed = feature_city.get(url, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == plain.data
