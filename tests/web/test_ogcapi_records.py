"""OGC API Records 1 (OGC 20-004r1): its abstract tests (annex A), one test each, named by their identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from feature_city import FeatureCity
from free_ports import free_port
from jsonschema import Draft202012Validator
from live_server import serving
from owslib.ogcapi.records import Records
from web_city import City, publish_raster

CATALOG = "/api/collections/catalog"
ITEMS = f"{CATALOG}/items"
CONF = "http://www.opengis.net/spec/ogcapi-records-1/1.0/conf"
PROFILE = "http://www.opengis.net/def/profile/OGC/0/ogc-catalog"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"

INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$"
TEXTS = {"type": "array", "items": {"type": "string"}}
LINKS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["href", "rel"],
        "properties": {"href": {"type": "string", "format": "uri"}},
    },
}
CONTACT = {
    "type": "object",
    "anyOf": [{"required": ["name"]}, {"required": ["organization"]}],
    "properties": {
        "name": {"type": "string"},
        "organization": {"type": "string"},
        "emails": {"type": "array", "items": {"type": "object", "required": ["value"]}},
        "roles": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    },
}
COMMON = {
    "type": "object",
    "properties": {
        "created": {"type": "string", "pattern": INSTANT},
        "updated": {"type": "string", "pattern": INSTANT},
        "type": {"type": "string"},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "keywords": TEXTS,
        "language": {"type": "object", "required": ["code"]},
        "formats": {
            "type": "array",
            "items": {"type": "object", "anyOf": [{"required": ["name"]}, {"required": ["mediaType"]}]},
        },
        "contacts": {"type": "array", "items": CONTACT},
        "license": {"type": "string"},
        "rights": {"type": "string"},
    },
}
RECORD = {
    "type": "object",
    "required": ["id", "type", "geometry", "properties", "time", "links"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "type": {"const": "Feature"},
        "time": {
            "type": ["object", "null"],
            "properties": {
                "interval": {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "items": {"anyOf": [{"const": ".."}, {"type": "string", "pattern": INSTANT}]},
                }
            },
        },
        "geometry": {
            "type": ["object", "null"],
            "required": ["type", "coordinates"],
            "properties": {"type": {"enum": ["Point", "Polygon", "MultiPolygon"]}},
        },
        "conformsTo": TEXTS,
        "properties": COMMON,
        "links": LINKS,
    },
}
"""What recordGeoJSON.yaml asks for, in words of our own."""

COLLECTION = {
    "type": "object",
    "required": ["id", "type", "itemType", "links"],
    "properties": {
        "id": {"type": "string"},
        "type": {"const": "Collection"},
        "itemType": {"const": "record"},
        "updated": {"type": "string", "pattern": INSTANT},
        "conformsTo": TEXTS,
        "links": LINKS,
        "extent": {"type": "object", "required": ["spatial"]},
        "defaultSortOrder": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "direction"],
                "properties": {"direction": {"enum": ["asc", "desc"]}},
            },
        },
    },
}


def check(document: object, schema: dict[str, Any]) -> None:
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []


def ids(city: FeatureCity, **query: str) -> list[str]:
    answer = city.get(ITEMS, query_string=query)
    assert answer.status_code == 200, answer.text
    document = answer.get_json()
    assert document["numberMatched"] >= document["numberReturned"] == len(document["features"])
    return [record["id"] for record in document["features"]]


def related(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {link["rel"]: link for link in document["links"]}


# record-core


def test_record_core_mandatory_properties_record(feature_city: FeatureCity) -> None:
    for record in feature_city.get(ITEMS).get_json()["features"]:
        check(record, RECORD)
        assert feature_city.get(f"{ITEMS}/{record['id']}").get_json() == record
        assert f"{CONF}/record-core" in record["conformsTo"]


def test_record_core_default_mediatype(feature_city: FeatureCity) -> None:
    assert feature_city.get(f"{ITEMS}/lots").mimetype == "application/geo+json"
    assert feature_city.get(ITEMS, headers={"Accept": "application/json"}).mimetype == "application/json"


def test_record_core_time(feature_city: FeatureCity) -> None:
    """time-instant, time-interval, time-zone: the time of the items, in UTC; null where they have none."""
    records = {record["id"]: record for record in feature_city.get(ITEMS).get_json()["features"]}
    assert records["permits"]["time"] == {"interval": ["2024-01-01T00:00:00Z", "2024-08-27T23:59:59Z"]}
    assert records["streets"]["time"] is None


def test_record_core_contact_and_license(client: Any) -> None:
    record = client.get(f"{ITEMS}/lots").get_json()
    (contact,) = record["properties"]["contacts"]
    assert (contact["emails"], contact["organization"]) == ([{"value": "gis@example.org"}], "Testville")
    assert record["properties"]["license"] == "other"
    assert related(record)["license"]["href"] == "https://example.org/licence"


def test_record_core_record_links(client: Any) -> None:
    links = client.get(f"{ITEMS}/lots").get_json()["links"]
    for link in links:
        if link["href"].startswith("http://localhost"):
            answer = client.get(link["href"].removeprefix("http://localhost"))
            assert (answer.status_code, answer.mimetype) == (200, link["type"].partition(";")[0]), link
    assert {"self", "alternate", "collection", "profile", "describes", "enclosure", "items"} <= {
        x["rel"] for x in links
    }


# record-collection


def test_record_collection_mandatory_properties(feature_city: FeatureCity) -> None:
    document = feature_city.get(CATALOG).get_json()
    check(document, COLLECTION)
    assert document in feature_city.get("/api/collections").get_json()["collections"]


def test_record_collection_default_mediatype(feature_city: FeatureCity) -> None:
    assert feature_city.get(CATALOG).mimetype == "application/ogc-catalog+json"
    assert feature_city.get(CATALOG, headers={"Accept": "application/json"}).mimetype == "application/json"
    assert feature_city.get(CATALOG, headers={"Accept": "text/html"}).mimetype == "text/html"


def test_record_collection_links(feature_city: FeatureCity) -> None:
    links = related(feature_city.get(CATALOG).get_json())
    assert links["self"]["href"] == f"http://localhost{CATALOG}"
    assert links["items"]["href"] == f"http://localhost{ITEMS}"
    for link in links.values():
        answer = feature_city.get(link["href"])
        assert (answer.status_code, answer.mimetype) == (200, link["type"])


# record-core-query-parameters


def test_query_param_q(feature_city: FeatureCity) -> None:
    assert ids(feature_city) == ["lots", "permits", "streets"]
    assert ids(feature_city, q="PERMIT") == ["permits"]
    assert ids(feature_city, q="permit,streets") == ["permits", "streets"]
    assert ids(feature_city, q="day of filing") == ["permits"], "names and meanings of fields are looked at"
    assert ids(feature_city, q="day   of\tfiling") == ["permits"], "any number of blanks"
    assert ids(feature_city, q="filing of day") == [], "words in this order"
    assert ids(feature_city, q="what it is") == ["lots", "permits", "streets"]
    assert ids(feature_city, q="nothing,such") == []
    assert ids(feature_city, q="") == []


def test_query_param_type(feature_city: FeatureCity) -> None:
    assert ids(feature_city, type="dataset,service") == ["lots", "permits", "streets"]
    assert ids(feature_city, type="service") == []


def test_query_param_ids(feature_city: FeatureCity) -> None:
    assert ids(feature_city, ids="streets,lots,nothing") == ["lots", "streets"]
    assert ids(feature_city, ids="") == [], "an empty list has no record"


def test_query_param_external_ids(feature_city: FeatureCity) -> None:
    assert ids(feature_city, externalIds="doi:1,2") == []


def test_query_param_bbox(feature_city: FeatureCity) -> None:
    boxes = {r["id"]: r["bbox"] for r in feature_city.get(ITEMS).get_json()["features"]}
    for bbox in ((-77.09, 38.83, -77.08, 38.84), (-77.06, 38.80, -77.04, 38.82), (10.0, 50.0, 11.0, 51.0)):
        west, south, east, north = bbox
        expected = [n for n, b in boxes.items() if b[0] <= east and b[2] >= west and b[1] <= north and b[3] >= south]
        assert ids(feature_city, bbox=",".join(map(str, bbox))) == expected
    feet = feature_city.get(
        ITEMS,
        query_string={
            "bbox": "11880000,6980000,11900000,7000000",
            "bbox-crs": "http://www.opengis.net/def/crs/EPSG/0/2283",
        },
    )
    assert feet.status_code == 200
    assert feature_city.get(ITEMS, query_string={"bbox": "1,2,3"}).status_code == 400


def test_query_param_datetime(feature_city: FeatureCity) -> None:
    """A layer without a time always matches (OGC API Features 1, fc-time-response)."""
    timeless = ["lots", "streets"]
    assert ids(feature_city, datetime="2024-03-01T00:00:00Z") == ["lots", "permits", "streets"]
    assert ids(feature_city, datetime="../2023-12-31T23:59:59Z") == timeless
    assert ids(feature_city, datetime="2024-08-27T23:59:59Z/..") == ["lots", "permits", "streets"]
    assert ids(feature_city, datetime="2025-01-01T00:00:00Z/2026-01-01T00:00:00Z") == timeless
    assert feature_city.get(ITEMS, query_string={"datetime": "now"}).status_code == 400


def test_query_param_limit_and_paging(feature_city: FeatureCity) -> None:
    found, url, pages = [], f"{ITEMS}?limit=2&sortby=-title", 0
    while url:
        document = feature_city.get(url).get_json()
        found += [record["id"] for record in document["features"]]
        assert document["numberMatched"] == 3
        before, url = url, related(document).get("next", {}).get("href")
        pages += 1
    assert (found, pages) == (["streets", "permits", "lots"], 2)
    back = related(feature_city.get(before).get_json())["prev"]["href"]
    assert [record["id"] for record in feature_city.get(back).get_json()["features"]] == ["streets", "permits"]
    assert feature_city.get(f"{ITEMS}?limit=0").status_code == 400
    assert feature_city.get(f"{ITEMS}?offset=7").get_json()["numberReturned"] == 0


def test_parameters_are_described_as_the_standard_has_them(feature_city: FeatureCity) -> None:
    document = feature_city.get("/api/openapi.json").get_json()
    known = document["components"]["parameters"]
    for name in ("q", "ids", "type", "externalIds"):
        assert known[name]["schema"] == {"type": "array", "items": {"type": "string"}}
        assert (known[name]["in"], known[name]["required"], known[name]["explode"]) == ("query", False, False)
        assert known[name]["style"] == "form"
    taken = {entry["$ref"].rsplit("/", 1)[1] for entry in document["paths"][ITEMS]["get"]["parameters"]}
    assert {"bbox", "datetime", "limit", "q", "type", "ids", "externalIds"} <= taken


# record-api


def test_records_api(feature_city: FeatureCity) -> None:
    """catalogs-response, catalog-response, records-op, record-op, record-response, resource-name-mapping."""
    listed = [c for c in feature_city.get("/api/collections").get_json()["collections"] if c["itemType"] == "record"]
    assert [entry["id"] for entry in listed] == ["catalog"]
    assert feature_city.get(f"{ITEMS}/nothing").status_code == 404
    assert feature_city.get(f"{ITEMS}?nothing=1").status_code == 400
    assert feature_city.get(f"{ITEMS}?q=a&q=b").status_code == 400


def test_every_published_layer_has_a_record_and_a_damaged_one_takes_none_away(own_city: City) -> None:
    from werkzeug.test import Client

    from gisservice.web import wsgi_app

    client = Client(wsgi_app(own_city.settings))
    assert [r["id"] for r in client.get(ITEMS).get_json()["features"]] == ["lots", "places", "relief"]
    tag = client.get(ITEMS).headers["ETag"]
    assert client.get(ITEMS, headers={"If-None-Match": tag}).status_code == 304
    path = own_city.catalog.collection("places").path
    (path.parent.parent / "current.json").write_text("{}")
    assert [r["id"] for r in client.get(ITEMS).get_json()["features"]] == ["lots", "relief"]
    assert client.get(ITEMS, headers={"If-None-Match": tag}).status_code == 200


def test_a_record_without_a_place_is_found_by_no_box(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    from werkzeug.test import Client

    from gisservice.web import wsgi_app

    publish_raster(own_city.catalog)
    client = Client(wsgi_app(own_city.settings))
    collection = client.application._service.catalog.collection("relief")
    collection.manifest = replace(collection.manifest, extent=None)
    everywhere = client.get(f"{ITEMS}?bbox=-180,-90,180,90").get_json()
    assert [record["id"] for record in everywhere["features"]] == ["lots", "places"]
    relief = client.get(f"{ITEMS}/relief").get_json()
    check(relief, RECORD)
    assert relief["geometry"] is None
    near = client.get(ITEMS, query_string={"filter": "S_INTERSECTS(geometry, POINT(-77.05 38.801))"}).get_json()
    assert [record["id"] for record in near["features"]] == ["lots", "places"]


# sorting


def test_sorting_sortables(feature_city: FeatureCity) -> None:
    document = feature_city.get(f"{CATALOG}/sortables").get_json()
    assert {"id", "title", "updated", "type"} <= set(document["properties"])
    for name in document["properties"]:
        up = ids(feature_city, sortby=name)
        assert sorted(up) == ["lots", "permits", "streets"]
    assert feature_city.get(f"{ITEMS}?sortby=nothing").status_code == 400


def test_sorting_sortby(feature_city: FeatureCity) -> None:
    counts = {r["id"]: r["properties"]["items"] for r in feature_city.get(ITEMS).get_json()["features"]}
    assert ids(feature_city, sortby="items") == sorted(counts, key=lambda name: counts[name])
    assert ids(feature_city, sortby="-items") == sorted(counts, key=lambda name: -counts[name])
    assert ids(feature_city, sortby="type,-title") == ["streets", "permits", "lots"]


def test_sorting_default_sort_order(feature_city: FeatureCity) -> None:
    (order,) = feature_city.get(CATALOG).get_json()["defaultSortOrder"]
    assert ids(feature_city) == ids(feature_city, sortby={"asc": "", "desc": "-"}[order["direction"]] + order["field"])


# filtering


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("title = 'Lots'", ["lots"]),
        ("CASEI(title) LIKE 's%' OR items > 300", ["lots", "streets"]),
        ("NOT (keywords LIKE '%permits%')", ["lots", "streets"]),
        ("updated > TIMESTAMP('2020-01-01T00:00:00Z') AND type = 'dataset'", ["lots", "permits", "streets"]),
        ("license IS NULL AND id IN ('permits','lots')", ["permits"]),
        ("S_INTERSECTS(geometry, POINT(-77.05 38.81)) AND items BETWEEN 200 AND 400", ["lots", "permits"]),
        ("S_DISJOINT(geometry, BBOX(-77.2,38.7,-77.0,38.9))", []),
    ],
)
def test_filter_response(feature_city: FeatureCity, expression: str, expected: list[str]) -> None:
    assert ids(feature_city, filter=expression) == expected


def test_filter_lang_and_crs_params(feature_city: FeatureCity) -> None:
    tree = '{"op":"=","args":[{"property":"title"},"Lots"]}'
    assert ids(feature_city, filter=tree, **{"filter-lang": "cql2-json"}) == ["lots"]
    assert ids(feature_city, filter="title='Lots'", **{"filter-crs": CRS84, "filter-lang": "cql2-text"}) == ["lots"]
    for name, value in (("filter-lang", "sql"), ("filter-crs", "EPSG:1"), ("filter", "titel = 'x'")):
        assert feature_city.get(ITEMS, query_string={"filter": "title='Lots'", name: value}).status_code == 400


def test_searchable_catalog_mandatory_queryables(feature_city: FeatureCity) -> None:
    document = feature_city.get(f"{CATALOG}/queryables").get_json()
    assert document["$id"] == f"http://localhost{CATALOG}/queryables"
    for name in set(document["properties"]) - {"geometry"}:
        assert ids(feature_city, filter=f"{name} IS NULL OR {name} IS NOT NULL") == ["lots", "permits", "streets"]


# json, html, oas30, autodiscovery


def test_json_record_content(feature_city: FeatureCity) -> None:
    page = feature_city.get(ITEMS)
    document = page.get_json()
    assert (document["type"], related(document)["profile"]["href"]) == ("FeatureCollection", PROFILE)
    assert f'<{PROFILE}>; rel="profile"' in page.headers["Link"]
    for record in document["features"]:
        assert related(record)["profile"]["href"] == PROFILE
        west, south, east, north = record["bbox"]
        ring = record["geometry"]["coordinates"][0]
        assert {tuple(corner) for corner in ring} == {(x, y) for x in (west, east) for y in (south, north)}
        assert record["extent"]["spatial"]["bbox"] == [record["bbox"]]


@pytest.mark.parametrize("path", ["", "/items", "/items/lots", "/queryables", "/sortables", "/schema"])
def test_html_definition_and_content(feature_city: FeatureCity, path: str) -> None:
    """That a page holds all that the JSON holds is tested with the other pages (test_web_html)."""
    for answer in (
        feature_city.get(f"{CATALOG}{path}?f=html"),
        feature_city.get(CATALOG + path, headers={"Accept": "text/html"}),
    ):
        assert (answer.status_code, answer.mimetype) == (200, "text/html")


def test_autodiscovery_links(feature_city: FeatureCity) -> None:
    """The web pages of the site name the endpoint of the searchable catalog."""
    rel = "http://www.opengis.net/def/rel/ogc/1.0/ogc-catalog"
    for url in ("/", "/layers/lots", "/maps/lots"):
        text = feature_city.get(url, headers={"Accept": "text/html"}).get_data(as_text=True)
        (address,) = re.findall(rf'<link rel="{re.escape(rel)}" href="([^"]+)">', text)
        assert feature_city.get(address).mimetype == "application/geo+json"
    landing = related(feature_city.get("/api").get_json())
    assert landing[rel]["href"] == f"http://localhost{ITEMS}"


@pytest.fixture(scope="module")
def address(feature_city: FeatureCity) -> Iterator[str]:
    with serving(replace(feature_city.settings, port=free_port(), workers=1)) as base:
        yield base


@pytest.mark.slow
def test_owslib_searches_the_catalog(feature_city: FeatureCity, address: str) -> None:
    records = Records(f"{address}/api")
    assert records.records() == ["catalog"]
    assert set(records.feature_collections()) == {"lots", "permits", "streets"}
    assert records.collection("catalog")["itemType"] == "record"
    assert "title" in records.collection_queryables("catalog")["properties"]
    found = records.collection_items("catalog", q="permit", limit=1)
    assert (found["numberMatched"], found["features"][0]["id"]) == (1, "permits")
    found = records.collection_items("catalog", filter="items > 100", sortby=("title", "desc"))
    assert [record["id"] for record in found["features"]] == ["permits", "lots"]
    assert records.collection_item("catalog", "lots")["properties"]["title"] == "Lots"


CLASSES = {
    "record-core": (test_record_core_mandatory_properties_record, test_record_core_time, test_record_core_record_links),
    "record-collection": (test_record_collection_mandatory_properties, test_record_collection_links),
    "record-core-query-parameters": (test_query_param_q, test_query_param_type, test_query_param_ids),
    "record-api": (test_records_api,),
    "sorting": (test_sorting_sortables, test_sorting_sortby, test_sorting_default_sort_order),
    "filtering": (test_filter_response, test_filter_lang_and_crs_params),
    "json": (test_json_record_content,),
    "html": (test_html_definition_and_content,),
    "oas30": (test_parameters_are_described_as_the_standard_has_them,),
    "autodiscovery": (test_autodiscovery_links,),
    "searchable-catalog": (test_query_param_bbox, test_query_param_datetime, test_query_param_external_ids),
    "searchable-catalog-filtering": (test_searchable_catalog_mandatory_queryables,),
    "searchable-catalog-sorting": (test_sorting_sortables, test_sorting_sortby),
}
"""What each class is held to; searchable catalogs take the queries of records, and ours is one."""


def test_exactly_the_tested_classes_are_declared(feature_city: FeatureCity) -> None:
    declared = feature_city.get("/api/conformance").get_json()["conformsTo"]
    ours = [uri for uri in declared if uri.startswith(CONF)]
    assert ours == feature_city.get(CATALOG).get_json()["conformsTo"]
    assert ours == [f"{CONF}/{name}" for name in CLASSES]
