"""OGC API - Common - Part 3: Schemas (23-058r2), Annex A: one test for each abstract test, named by its identifier."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import jsonschema
import pytest
from feature_city import FeatureCity, related

COLLECTIONS = ("permits", "streets", "lots")
BASE = "http://www.opengis.net/spec/ogcapi-common-3/1.0/conf"
REL = "http://www.opengis.net/def/rel/ogc/1.0/{}".format
KINDS = ("schema", "queryables", "sortables")
SCHEMA_MEDIA = {"Accept": "application/schema+json"}
KEYWORDS = {
    "$schema", "$id", "title", "description", "type", "properties", "additionalProperties", "format", "oneOf", "const",
    "readOnly",
}  # fmt: skip
EVERY = [(name, kind) for name in COLLECTIONS for kind in KINDS]


def schema(city: FeatureCity, name: str, kind: str) -> dict[str, Any]:
    answer = city.get(f"/api/collections/{name}/{kind}", headers=SCHEMA_MEDIA)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/schema+json")
    return answer.get_json()


def declared(city: FeatureCity, *names: str) -> None:
    answer = city.get("/api/conformance", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert {f"{BASE}/{name}" for name in names} <= set(answer.get_json()["conformsTo"])


def with_role(document: dict[str, Any], *roles: str) -> list[tuple[str, dict[str, Any]]]:
    return [(name, entry) for name, entry in document["properties"].items() if entry.get("x-ogc-role") in roles]


def linked(city: FeatureCity, kind: str) -> None:
    for name in COLLECTIONS:
        href = related(city.get(f"/api/collections/{name}").get_json(), REL(kind))
        assert href == f"http://localhost/api/collections/{name}/{kind}"
        assert schema(city, name, kind)["$id"] == href


# Conformance class schemas


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_schemas_basic_schema_inspection(feature_city: FeatureCity, name: str, kind: str) -> None:
    document = schema(feature_city, name, kind)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    address = urlsplit(document["$id"])
    assert address.scheme in ("http", "https") and not address.query
    assert feature_city.get(document["$id"], headers=SCHEMA_MEDIA).get_json() == document
    assert document["type"] == "object"
    jsonschema.Draft202012Validator.check_schema(document)
    formats = {entry["format"] for entry in document["properties"].values() if "format" in entry}
    assert formats <= {"int64", "double", "date", "date-time"} | {f for f in formats if f.startswith("geometry-")}
    for entry in document["properties"].values():
        assert ("type" in entry) != entry.get("format", "").startswith("geometry-")
        assert "$ref" not in entry
    assert all(word in KEYWORDS or word.startswith("x-ogc-") for word in keywords(document))


def keywords(document: dict[str, Any]) -> set[str]:
    inner = [*document["properties"].values()]
    codes = [choice for entry in inner for choice in entry.get("oneOf", [])]
    return {word for entry in (document, *inner, *codes) for word in entry}


def test_dates_and_numbers_have_their_formats(feature_city: FeatureCity) -> None:
    found = schema(feature_city, "permits", "schema")["properties"]
    told = {name: (entry.get("type"), entry.get("format")) for name, entry in found.items()}
    assert told == {
        "number": ("integer", "int64"),
        "state": ("string", None),
        "fee": ("number", "double"),
        "height": ("number", "double"),
        "paid": ("boolean", None),
        "filed": ("string", "date"),
        "seen": ("string", "date-time"),
        "note": ("string", None),
        "geometry": (None, "geometry-point-or-multipoint"),
    }


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_schemas_role(feature_city: FeatureCity, name: str, kind: str) -> None:
    for entry in schema(feature_city, name, kind)["properties"].values():
        assert isinstance(entry.get("x-ogc-role", ""), str)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_schemas_role_id(feature_city: FeatureCity, name: str, kind: str) -> None:
    ((column, entry),) = with_role(schema(feature_city, name, kind), "id")
    assert entry["type"] in ("string", "integer")
    for item in feature_city.page(name, "limit=20")["features"]:
        assert item["id"] == str(item["properties"][column])


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_schemas_property_seq(feature_city: FeatureCity, name: str, kind: str) -> None:
    places = [entry["x-ogc-propertySeq"] for entry in schema(feature_city, name, kind)["properties"].values()]
    assert all(isinstance(place, int) for place in places) and places == sorted(set(places))


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_schemas_unit(feature_city: FeatureCity, name: str, kind: str) -> None:
    for entry in schema(feature_city, name, kind)["properties"].values():
        assert "x-ogc-unitLang" not in entry
        if "x-ogc-unit" in entry:
            assert entry["type"] in ("number", "integer")
            assert entry["x-ogc-unit"] in ("[ft_i]", "m2")  # UCUM, of a foot and of a square metre


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_schemas_definition(feature_city: FeatureCity, name: str, kind: str) -> None:
    for entry in schema(feature_city, name, kind)["properties"].values():
        assert "x-ogc-definition" not in entry


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_schemas_nullvalues(feature_city: FeatureCity, name: str, kind: str) -> None:
    """Nothing stands for no value: it is null."""
    for entry in schema(feature_city, name, kind)["properties"].values():
        assert "x-ogc-nullValues" not in entry


# Conformance class advanced-property-roles


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_advanced_property_roles_role_primary_geometry(feature_city: FeatureCity, name: str, kind: str) -> None:
    found = with_role(schema(feature_city, name, kind), "primary-geometry")
    assert len(found) == (0 if kind == "sortables" else 1)
    for _, entry in found:
        assert "type" not in entry and "$ref" not in entry and entry["format"].startswith("geometry-")


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_advanced_property_roles_role_primary_temporal(feature_city: FeatureCity, name: str, kind: str) -> None:
    temporal = ("primary-instant", "primary-interval-start", "primary-interval-end", "primary-interval")
    found = with_role(schema(feature_city, name, kind), *temporal)
    assert [column for column, _ in found] == (["filed"] if name == "permits" else [])
    for _, entry in found:
        assert (entry["x-ogc-role"], entry["type"]) == ("primary-instant", "string")
        assert entry["format"] in ("date", "date-time")


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_conf_advanced_property_roles_role_type(feature_city: FeatureCity, name: str, kind: str) -> None:
    assert with_role(schema(feature_city, name, kind), "type") == []


# Conformance class returnables-and-receivables


def test_conf_returnables_and_receivables_get_conformance(feature_city: FeatureCity) -> None:
    declared(feature_city, "schemas", "advanced-property-roles", "returnables-and-receivables")


def test_conf_returnables_and_receivables_link(feature_city: FeatureCity) -> None:
    linked(feature_city, "schema")


def test_conf_returnables_and_receivables_op_and_response(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        assert schema(feature_city, name, "schema")["additionalProperties"] is False
        plain = feature_city.get(f"/api/collections/{name}/schema", headers={"Accept": "application/json"})
        assert plain.headers["Content-Type"] == "application/json"


def test_conf_returnables_and_receivables_response_1(feature_city: FeatureCity) -> None:
    """Every published item against the schema; a null is no value."""
    for name in COLLECTIONS:
        document = schema(feature_city, name, "schema")
        check = jsonschema.Draft202012Validator(document, format_checker=jsonschema.FormatChecker()).validate
        ((key, id_entry),) = with_role(document, "id")
        for item in feature_city.walk(name, "limit=500"):
            values = {column: value for column, value in item["properties"].items() if value is not None}
            check(values)
            assert set(item["properties"]) <= set(document["properties"])
            made = int(item["id"]) if id_entry["type"] == "integer" else item["id"]
            assert made == item["properties"][key]
            kind = document["properties"]["geometry"]["format"].removeprefix("geometry-")
            assert item["geometry"]["type"].lower() in kind.split("-or-")
        one = feature_city.page(name, "limit=1")["features"][0]["id"]
        item = feature_city.get(f"/api/collections/{name}/items/{quote(one, safe='')}").get_json()
        check({column: value for column, value in item["properties"].items() if value is not None})


def test_conf_returnables_and_receivables_response_2(feature_city: FeatureCity) -> None:
    """Items cannot be created or changed."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/api/collections/lots/items", "/api/collections/lots/items/100%25"):
            assert feature_city.client.open(path, method=method, data=b"{}").status_code == 405


# Conformance class queryables


def test_conf_queryables_get_conformance(feature_city: FeatureCity) -> None:
    declared(feature_city, "schemas", "queryables")


def test_conf_queryables_link(feature_city: FeatureCity) -> None:
    linked(feature_city, "queryables")


def test_conf_queryables_op_and_response(feature_city: FeatureCity) -> None:
    """What features-filter and queryables-query-parameters need of it is in test_ogcapi_features_filter."""
    for name in COLLECTIONS:
        document = schema(feature_city, name, "queryables")
        assert document["additionalProperties"] is False
        assert list(document["properties"]) == list(schema(feature_city, name, "schema")["properties"])


# Conformance class sortables


def test_conf_sortables_get_conformance(feature_city: FeatureCity) -> None:
    declared(feature_city, "schemas", "sortables")


def test_conf_sortables_link(feature_city: FeatureCity) -> None:
    linked(feature_city, "sortables")


def test_conf_sortables_op_and_response(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        document = schema(feature_city, name, "sortables")
        assert document["additionalProperties"] is False
        assert all(entry["type"] not in ("array", "object") for entry in document["properties"].values())
        for column in document["properties"]:
            assert feature_city.get(f"/api/collections/{name}/items?sortby=-{column}&limit=1").status_code == 200
        answer = feature_city.get(f"/api/collections/{name}/items?sortby=geometry")
        assert answer.status_code == 400


# Conformance class profile-codelists


def test_conf_profile_codelists_codelist_inline(feature_city: FeatureCity) -> None:
    declared(feature_city, "profile-codelists")
    for name, kind in EVERY:
        answer = feature_city.get(f"/api/collections/{name}/{kind}", headers=SCHEMA_MEDIA)
        profile = '<http://www.opengis.net/def/profile/OGC/0/codelist-inline>; rel="profile"'
        assert profile in answer.headers["Link"]
    state = schema(feature_city, "permits", "schema")["properties"]["state"]
    assert state["oneOf"] == [
        {"const": "open", "title": "Under review"},
        {"const": "done", "title": "Issued"},
        {"const": "void", "title": "Withdrawn"},
    ]


def test_conf_profile_codelists_consistency(feature_city: FeatureCity) -> None:
    for name, kind in EVERY:
        for entry in schema(feature_city, name, kind)["properties"].values():
            assert "enum" not in entry and "x-ogc-codelistUri" not in entry
