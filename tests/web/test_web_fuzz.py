"""The API asked through its own description: whatever is asked, the answer is one that the description declares.

Every GET operation of ``/api/openapi.json`` is asked with values that its schemas allow, and with values that nothing
allows. An answer is never a server error; its status and media type are declared; a refusal is a problem document of
RFC 9457; JSON is strict and validates against the declared schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema
import pytest
from feature_city import FeatureCity
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from web_city import City
from werkzeug.test import Client

from gisservice.web import wsgi_app

HOSTILE = (
    "", " ", "0", "-1", "1.5", "1e999", "NaN", "-Infinity", "null", "true", "[1,2]", '{"a":1}', "a,b,,c", "1,2,3,4",
    "\x00", "\x1b[31m\r\nSet-Cookie: x=1", "\u202eabc\u202c", "العربية", "٣", "日本 😀", "\ud7ff\uffff",
    "'; DROP TABLE x; --", "../../etc/passwd", "%2e%2e%2f", "{{7*7}}", "<script>alert(1)</script>", "9" * 400,
    "x" * 6_000,
)  # fmt: skip
"""Values that are of the wrong type, out of range, too long, or have characters that break what is careless."""

RAW = ("%ff", "%", "%00", "a=1&a=2", "&&&", "=", "é", "x" * 10_240, "%F0%9F%98%80=1", "f=json&f=json", "[]=1")
"""Query strings as they stand."""

ACCEPTS = ("application/json", "application/xml", "image/*", "application/json;q=0", "x", ";;q=2", "*/*;q=0")

KNOWN = {
    "collection_id": ("lots", "places", "relief", "permits", "streets", "catalog"),
    "collection_ids": ("lots", "places", "lots,places"),
    "map_id": ("city",),
    "item_id": ("003.01-3", "3", "Street 1"),
    "process_id": ("nearest", "geocode"),
    "record_id": ("lots", "permits"),
    "extension": ("csv", "geojson", "gpkg"),
    "tileMatrixSetId": ("WebMercatorQuad",),
    **dict.fromkeys(("z", "tileMatrix"), ("14", "0")),
    **dict.fromkeys(("x", "tileCol"), ("4685", "0")),
    **dict.fromkeys(("y", "tileRow"), ("6272", "0")),
}
"""What paths can name in these cities, as far as the description does not list it."""

LIKELY = {
    "bbox": ("-77.06,38.8,-77.05,38.81", "-77.06,38.8,0,-77.05,38.81,9"),
    "crs": ("http://www.opengis.net/def/crs/EPSG/0/2283", "http://www.opengis.net/def/crs/EPSG/0/4326"),
    "filter": ("area > 5", "S_INTERSECTS(geometry,POINT(-77.05 38.81))", '{"op":"isNull","args":[{"property":"pid"}]}'),
    "sortby": ("-area", "+pid"),
    "properties": ("area", "pid,zoning"),
    "datetime": ("2024-01-01T00:00:00Z/..", "../2025-01-01T00:00:00Z"),
    "since": ("2999-01-01T00:00:00Z",),
    "until": ("2999-01-01T00:00:00+01:00",),
    "coords": ("POINT(-77.05 38.81)", "MULTIPOINT((-77.05 38.81),(-77.04 38.81))"),
    "at": ("-77.05,38.81",),
    "layers": ("lots", "places,lots"),
    "where": ("lots.zoning.is.RB", "lots.area.least.5,places.name.contains.a"),
    "hidden": ("lots",),
    "q": ("lots", "100 King St"),
}
"""What gets past the first check of a parameter, as far as its schema does not say what does."""


@dataclass(frozen=True)
class Operation:
    """One GET operation: its path template, parameters in path and query, and what it may answer."""

    path: str
    in_path: dict[str, dict[str, Any]]
    in_query: dict[str, dict[str, Any]]
    required: frozenset[str]
    responses: dict[str, Any]

    def __str__(self) -> str:
        return self.path


class Api:
    """A service, its description, and what every answer is held against."""

    def __init__(self, settings: Any) -> None:
        self.client = Client(wsgi_app(settings))
        self.home = str(settings.home)
        self.definition = self.client.get("/api/openapi.json").get_json()
        self._schemas = _as_json_schema(self.definition["components"])
        self._versions = {
            entry["id"]: entry["version"]
            for entry in self.client.get("/api/collections").get_json()["collections"]
            if "version" in entry
        }

    def operations(self, within: str = "") -> Iterator[Operation]:
        """Yield every GET operation whose path has this in it."""
        for path, methods in self.definition["paths"].items():
            if "get" not in methods or within not in path:
                continue
            given = [
                self._resolved(entry)
                for entry in (*methods.get("parameters", []), *methods["get"].get("parameters", []))
            ]
            yield Operation(
                path,
                {entry["name"]: entry["schema"] for entry in given if entry["in"] == "path"},
                {entry["name"]: entry["schema"] for entry in given if entry["in"] == "query"},
                frozenset(entry["name"] for entry in given if entry["in"] == "query" and entry.get("required")),
                methods["get"]["responses"],
            )

    def _resolved(self, entry: dict[str, Any]) -> dict[str, Any]:
        found: Any = entry
        while "$ref" in found:
            target: Any = self.definition
            for part in found["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            found = target
        return found

    def address(self, operation: Operation, values: dict[str, str]) -> str:
        """Return the path of an operation with values in it."""
        collection = values.get("collection_id", values.get("collection_ids", ""))
        version = self._versions.get(collection, "20240101T000000Z-00000000")
        filled = {"version": version, "versions": version} | values
        return re.sub(r"{([^}]+)}", lambda match: quote(filled.get(match[1], "x"), safe=""), operation.path)

    def ask(self, operation: Operation, path: str, query: str, **headers: str) -> None:
        """Ask, and hold the answer against the description."""
        answer = self.client.get(path, query_string=query, headers=headers)
        asked = f"{path}?{query}"[:400]
        assert answer.status_code < 500, (asked, answer.text[:500])
        if answer.status_code in (301, 302, 307, 308):
            return
        if not _matches(operation, path):  # the value has led to another resource, which is asked by itself
            assert answer.status_code < 400 or self.is_problem(answer), asked
            return
        assert str(answer.status_code) in operation.responses, (asked, answer.status_code)
        declared = self._resolved(operation.responses[str(answer.status_code)])
        if answer.status_code >= 400:
            wants_page = answer.mimetype == "text/html" and headers.get("Accept", "").startswith("text/html")
            assert wants_page or self.is_problem(answer), (asked, answer.text[:500])
            assert self.home not in answer.text and "Traceback" not in answer.text, asked
        elif answer.status_code == 200:
            self._check_content(answer, declared["content"], asked)

    @staticmethod
    def is_problem(answer: Any) -> bool:
        """Tell whether an answer is a problem document that agrees with its status."""
        if answer.content_type != "application/problem+json":
            return False
        problem = json.loads(answer.data, parse_constant=_refuse)
        texts = [problem.get(name) for name in ("type", "title", "detail")]
        return problem.get("status") == answer.status_code and all(isinstance(text, str) and text for text in texts)

    def _check_content(self, answer: Any, content: dict[str, Any], asked: str) -> None:
        offered = {
            media: entry for media, entry in content.items() if media in (answer.content_type, answer.mimetype, "*/*")
        }
        assert offered, (asked, answer.content_type, list(content))
        if not answer.mimetype.endswith("json") or "*/*" in offered:
            return
        document = json.loads(answer.data, parse_constant=_refuse)
        schema = next(iter(offered.values()))["schema"]
        error = next(self._validator(json.dumps(schema)).iter_errors(document), None)
        assert error is None, (asked, error.message[:300], list(error.absolute_path))

    @cache  # noqa: B019
    def _validator(self, schema: str) -> jsonschema.Draft202012Validator:
        return jsonschema.Draft202012Validator({**_as_json_schema(json.loads(schema)), "components": self._schemas})


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def _as_json_schema(value: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema, which says ``null`` instead of ``nullable``."""
    if isinstance(value, list):
        return [_as_json_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _as_json_schema(one) for key, one in value.items() if key != "nullable" or not isinstance(one, bool)}
    if value.get("nullable") is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


def _matches(operation: Operation, path: str) -> bool:
    """Tell whether a path stands for this operation: a value with a slash in it leads elsewhere."""
    return "%2F" not in path and "%00" not in path and not re.search(r"/(\.|%20)*(/|$|\?)", path[1:])


# Values that schemas allow


def allowed(name: str, schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Return texts that a schema allows, as they are spelled in an address."""
    likely = [*LIKELY.get(name, ()), *([str(schema["example"])] if "example" in schema else [])]
    return st.sampled_from(likely) if likely else _of_type(schema)


def _of_type(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from([str(value) for value in schema["enum"] if value is not None])
    match schema.get("type"):
        case "integer":
            return st.integers(schema.get("minimum", -5), schema.get("maximum", 10**6)).map(str)
        case "number":
            span = {"min_value": schema.get("minimum", -1e6), "max_value": schema.get("maximum", 1e6)}
            return st.floats(**span, allow_nan=False, allow_infinity=False).map(repr)
        case "boolean":
            return st.sampled_from(["true", "false"])
        case "array":
            sizes = {"min_size": schema.get("minItems", 0), "max_size": schema.get("maxItems", 4)}
            return st.lists(_of_type(schema.get("items", {})), **sizes).map(",".join)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    return st.text(max_size=12)


def in_path(name: str, schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Return texts for a place in a path, most of them such as are there."""
    listed = [str(value) for value in schema.get("enum", ())]
    known = [*listed, *(value for value in KNOWN.get(name, ()) if not listed or value in listed)]
    return st.sampled_from(known) if known else st.just("x")


@st.composite
def requests(draw: Any, operation: Operation) -> tuple[dict[str, str], dict[str, str], str]:
    """Return values for the path and the query of an operation, now and then one that nothing allows, and an Accept."""
    path = {name: draw(in_path(name, schema)) for name, schema in operation.in_path.items() if "version" not in name}
    names = sorted(operation.in_query)
    chosen = set(draw(st.lists(st.sampled_from(names), max_size=4))) if names else set()
    query = {name: draw(allowed(name, operation.in_query[name])) for name in sorted(chosen | operation.required)}
    if query and draw(st.integers(0, 3)) == 0:
        query[draw(st.sampled_from(sorted(query)))] = draw(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40)))
    declared = list(operation.responses["200"]["content"])
    return path, query, draw(st.sampled_from(["", "*/*", *declared, "text/html,*/*;q=0.1", *ACCEPTS]))


def check_operation(api: Api, operation: Operation, examples: int) -> None:
    """Ask one operation as its schemas allow."""

    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(operation))
    def ask(values: tuple[dict[str, str], dict[str, str], str]) -> None:
        path, query, accept = values
        api.ask(operation, api.address(operation, path), urlencode(query, errors="replace"), Accept=accept)

    ask()


@pytest.fixture(scope="module", params=[("city", ""), ("feature_city", "/items")], ids=["city", "feature_city"])
def asked(request: pytest.FixtureRequest) -> tuple[Api, list[Operation]]:
    """All of the small city, which has tiles and a raster; of the city with columns of every type, the items."""
    name, within = request.param
    found: City | FeatureCity = request.getfixturevalue(name)
    api = Api(found.settings)
    return api, list(api.operations(within))


def test_what_the_schemas_allow_is_answered_as_declared(asked: tuple[Api, list[Operation]]) -> None:
    api, operations = asked
    assert len(operations) > 5
    for operation in operations:
        check_operation(api, operation, 40 if operation.path.endswith("/items") else 15)


def test_what_nothing_allows_is_answered_as_declared(asked: tuple[Api, list[Operation]]) -> None:
    """Each parameter of each operation with every second hostile value, the others as they usually are."""
    api, operations = asked
    for operation in operations:
        usual = {name: usual_of(name, schema) for name, schema in operation.in_path.items() if "version" not in name}
        needed = {name: LIKELY.get(name, ("1",))[0] for name in operation.required}
        for number, value in enumerate(HOSTILE):
            for place, name in enumerate(usual):
                if (number + place) % 2 == 0:
                    api.ask(operation, api.address(operation, usual | {name: value}), urlencode(needed))
            for place, name in enumerate(operation.in_query):
                if (number + place) % 2 == 0:
                    api.ask(operation, api.address(operation, usual), urlencode(needed | {name: value}))
        for raw in RAW:
            api.ask(operation, api.address(operation, usual), raw)


def usual_of(name: str, schema: dict[str, Any]) -> str:
    """Return what a place in a path usually is."""
    return str(next(iter(schema.get("enum", KNOWN.get(name, ("x",))))))
