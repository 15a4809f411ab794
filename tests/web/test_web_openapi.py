"""The API's documents: landing page, conformance, collections, and a description that is true."""

from __future__ import annotations

import re

import pytest
from web_city import City, publish_raster
from werkzeug.test import Client

from gisservice.web import create_app
from gisservice.web.routes import ROUTES

FEET = "http://www.opengis.net/def/crs/EPSG/0/2283"
VALUES = {
    "limit": ("3", "0"),
    "offset": ("2", "-1"),
    "bbox": ("-77.06,38.8,-77.05,38.81", "1,2,3"),
    "bbox-crs": (FEET, "EPSG:2283"),
    "datetime": ("2026-01-01T00:00:00Z", "now"),
    "filter": ("zoning = 'RB'", "zonning = 'RB'"),
    "filter-lang": ("cql2-json", "sql"),
    "filter-crs": (FEET, "EPSG:2283"),
    "sortby": ("-area,zoning", "nothing"),
    "resulttype": ("hits", "none"),
    "crs": (FEET, "EPSG:2283"),
    "properties": ("area", "nothing"),
    "skipGeometry": ("true", "yes"),
    "precision": ("3", "-3"),
    "tolerance": ("2.5", "-1"),
    "f": ("json", "xml"),
    "pid": ("003.01-3", None),
    "zoning": ("RB", None),
    "area": ("5.5", "many"),
    "download-crs": ("EPSG:2283", "x"),
    "items-f": ("csv", "xml"),
    "item-f": ("jsonfg", "csv"),
    "dictionary-f": ("csv", "xml"),
    "q": ("lots", None),
    "type": ("dataset", None),
    "ids": ("lots,places", None),
    "externalIds": ("x:1", None),
    "record-filter": ("title = 'Lots'", "titel = 'Lots'"),
    "record-sortby": ("-title", "nothing"),
    "tile-f": ("mvt", "json"),
    "tile-properties": ("area", "nothing"),
    "tile-skipIds": ("true", "yes"),
    "tile-filter": ("zoning = 'RB'", "zonning = 'RB'"),
    "tile-filter-lang": ("cql2-json", "sql"),
    "tile-filter-crs": (FEET, "EPSG:x"),
    "tile-collections": ("lots", "nothing"),
    "raster-render": ("hillshade", "hillshed"),
    "raster-bands": ("1", "2"),
    "raster-rescale": ("0,50", "50,0"),
    "raster-colormap": ("viridis", "viridian"),
    "raster-resampling": ("cubic", "average"),
    "raster-azimuth": ("270", "400"),
    "raster-altitude": ("30", "-1"),
    "raster-exaggeration": ("2", "0"),
    "raster-unit": ("foot", "yard"),
    "raster-f": ("webp", "gif"),
    "contour-interval": ("20", "0"),
    "coverage-bbox": ("-77.055,38.805,-77.05,38.81", "1,2,3"),
    "coverage-f": ("tiff", "png"),
    "position-crs": (FEET, "EPSG:x"),
    "position-coords": ("MULTIPOINT((-77.05 38.81),(-77.04 38.81))", "LINESTRING(0 0,1 1)"),
    "position-parameter-name": ("1", "2"),
    "position-f": ("geojson", "csv"),
    "changes-since": ("2999-01-01T00:00:00Z", "yesterday"),
    "changes-until": ("2999-01-01T00:00:00Z", "v-0123456789abcdef"),
    "changes-limit": ("3", "0"),
    "changes-offset": ("2", "-1"),
    "changes-f": ("geojson", "csv"),
    "map-bbox": ("-77.06,38.8,-77.04,38.82", "-77.06,38.8,-77.04"),
    "map-center": ("-77.05,38.81", "-77.05"),
    "map-zoom": ("14.5", "23"),
    "map-width": ("300", "10000"),
    "map-height": ("200", "1"),
    "map-scale": ("2", "3"),
    "map-lang": ("ar", "xx"),
    "map-hidden": ("lots", "nope"),
    "map-where": ("lots.zoning.is.RB,lots.area.least.100", "lots.zoning.near.RB"),
    "map-layers": ("places,lots", "lots,lots"),
}
"""For each parameter, as the description calls it, a value that is taken and one that is refused."""
NEEDED = {
    "/api/collections/{collection_id}/position": {"coords": "POINT(-77.05 38.81)"},
    "/api/collections/{collection_id}/changes": {"since": "2999-01-01T00:00:00Z"},
    "/maps.png": {"layers": "lots"},
    "/maps.pdf": {"layers": "lots"},
}
"""What an address cannot be asked without."""
PREFIXES = (
    "tile-", "contour-", "raster-", "position-", "coverage-", "download-", "record-", "item", "dictionary-", "map-",
    "changes-",
)  # fmt: skip
"""What parameters are called that differ from others of the same name."""
_PICTURES = (".png", ".webp", ".jpg", "/position", "/coverage")
CQL2_CLASSES = (
    "cql2-text",
    "cql2-json",
    "basic-cql2",
    "advanced-comparison-operators",
    "case-insensitive-comparison",
    "accent-insensitive-comparison",
    "basic-spatial-functions",
    "basic-spatial-functions-plus",
    "spatial-functions",
    "temporal-functions",
    "property-property",
    "arithmetic",
)
PROCESSES_CLASSES = ("core", "ogc-process-description", "json", "html", "oas30", "job-list", "dismiss")
RECORDS_CLASSES = (
    "record-core",
    "record-collection",
    "record-core-query-parameters",
    "record-api",
    "sorting",
    "filtering",
    "json",
    "html",
    "oas30",
    "autodiscovery",
    "searchable-catalog",
    "searchable-catalog-filtering",
    "searchable-catalog-sorting",
)
PATHS = {
    "record_id": "lots",
    "item_id": "003.01-3",
    "extension": "csv",
    "map_id": "city",
    "z": "14",
    "x": "4685",
    "y": "6272",
    "tileMatrixSetId": "WebMercatorQuad",
    "tileMatrix": "14",
    "tileRow": "6272",
    "tileCol": "4685",
}


@pytest.fixture(scope="module")
def definition(flask_client: Client) -> dict:
    return flask_client.get("/api/openapi.json").get_json()


def filled(path: str, city: City) -> str:
    of_raster = "/map/" in path or "/contours" in path or path.endswith(_PICTURES)
    layer = "relief" if of_raster else "lots"
    version = city.catalog.collection(layer).version
    values = {**PATHS, "collection_id": layer, "collection_ids": layer, "version": version, "versions": version}
    return path.format(**values)


def test_landing_links_lead_to_what_they_say(client: Client) -> None:
    document = client.get("/api").get_json()
    assert document["title"] == "Testville"
    links = {link["rel"]: link for link in document["links"]}
    assert {"self", "alternate", "service-desc", "conformance", "data"} <= set(links)
    for link in document["links"]:
        answer = client.get(link["href"].removeprefix("http://localhost"))
        assert answer.status_code == 200
        assert answer.content_type.partition(";")[0] == link["type"].partition(";")[0]


def test_every_link_of_the_api_resolves_to_its_type(client: Client) -> None:
    """Follow every link from the landing page to the ends."""
    seen, waiting = set(), ["http://localhost/api"]
    while waiting:
        url = waiting.pop()
        if url in seen or not url.startswith("http://localhost/"):
            continue
        seen.add(url)
        answer = client.get(url.removeprefix("http://localhost"))
        assert answer.status_code == 200, url
        if answer.mimetype.endswith("json"):
            found = [link for link in links(answer.get_json()) if not link.get("templated")]
            waiting += [link["href"] for link in found if not link["rel"].endswith("/execute")]  # by POST
    assert len(seen) > 20


def links(value: object) -> list[dict]:
    if isinstance(value, dict):
        own = [link for link in value.get("links", []) if isinstance(link, dict)]
        return own + [link for inner in value.values() for link in links(inner)]
    return [link for inner in value for link in links(inner)] if isinstance(value, list) else []


def test_only_what_is_tested_is_declared(client: Client) -> None:
    declared = client.get("/api/conformance").get_json()["conformsTo"]
    assert declared == [
        "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
        "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/landing-page",
        "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
        "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/html",
        "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
        "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
        "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
        "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
        "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
        "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
        "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
        "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
        "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
        "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
        *(f"http://www.opengis.net/spec/cql2/1.0/conf/{name}" for name in CQL2_CLASSES),
        "http://www.opengis.net/spec/ogcapi-common-3/1.0/conf/schemas",
        "http://www.opengis.net/spec/ogcapi-common-3/1.0/conf/advanced-property-roles",
        "http://www.opengis.net/spec/ogcapi-common-3/1.0/conf/returnables-and-receivables",
        "http://www.opengis.net/spec/ogcapi-common-3/1.0/conf/queryables",
        "http://www.opengis.net/spec/ogcapi-common-3/1.0/conf/sortables",
        "http://www.opengis.net/spec/ogcapi-common-3/1.0/conf/profile-codelists",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/dataset-tilesets",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/collections-selection",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/png",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/jpeg",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/oas30",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
        *(f"http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/{name}" for name in RECORDS_CLASSES),
        *(f"http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/{name}" for name in PROCESSES_CLASSES),
        "http://www.opengis.net/spec/tms/2.0/conf/tilematrixset",
        "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
        "http://www.opengis.net/spec/tms/2.0/conf/tilematrixsetlimits",
        "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixsetlimits",
        "http://www.opengis.net/spec/tms/2.0/conf/tilesetmetadata",
        "http://www.opengis.net/spec/tms/2.0/conf/json-tilesetmetadata",
    ]


def test_collections(client: Client, city: City) -> None:
    listed = {entry["id"]: entry for entry in client.get("/api/collections").get_json()["collections"]}
    assert set(listed) == {"lots", "places", "relief", "catalog"}
    for name, entry in listed.items():
        assert client.get(f"/api/collections/{name}").get_json() == entry
    lots = listed["lots"]
    assert lots["extent"]["spatial"]["bbox"] == [list(city.catalog.collection("lots").manifest.extent.bbox)]
    assert lots["crs"] == [
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        *(f"http://www.opengis.net/def/crs/EPSG/0/{code}" for code in (2283, 6593, 4326, 3857, 26918)),
    ]
    assert lots["storageCrs"] == "http://www.opengis.net/def/crs/EPSG/0/2283"
    assert listed["relief"]["crs"] == ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"]
    assert (lots["itemType"], lots["itemCount"]) == ("feature", 400)
    assert {link["rel"] for link in lots["links"]} >= {"self", "items", "license", "version-history"}
    relief = listed["relief"]
    assert "itemType" not in relief
    assert "items" not in {link["rel"] for link in relief["links"]}


def test_health(client: Client) -> None:
    from gisservice.crs import proj_version

    document = client.get("/healthz").get_json()
    assert document["status"] == "ok"
    assert set(document["collections"]) == {"lots", "places", "relief"}
    assert document["libraries"]["PROJ"] == proj_version()
    assert re.fullmatch(r"3\.[0-9]+\.[0-9]+.*", document["libraries"]["GEOS"])


def test_every_described_path_is_a_route_and_every_api_route_is_described(definition: dict, city: City) -> None:
    templates = {route.template for route in ROUTES}
    typed = {f"/api/collections/{name}/items{rest}" for name in ("lots", "places") for rest in ("", "/{item_id}")}
    assert typed <= set(definition["paths"])
    assert set(definition["paths"]) - typed <= templates
    undescribed = templates - set(definition["paths"])
    assert {path for path in undescribed if path.startswith("/api")} == {"/api/", "/api/docs"}
    assert {rule.rule for rule in create_app(city.settings).url_map.iter_rules()} == {route.rule for route in ROUTES}


def test_the_description_is_well_formed(definition: dict) -> None:
    assert definition["openapi"] == "3.0.3"
    assert definition["servers"] == [{"url": "http://localhost"}]
    for reference in references(definition):
        target = definition
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    operations = [
        path[name] for path in definition["paths"].values() for name in ("get", "post", "delete") if name in path
    ]
    identifiers = [operation["operationId"] for operation in operations]
    assert len(identifiers) == len(set(identifiers))
    for template, path in definition["paths"].items():
        named = {entry["name"] for entry in path.get("parameters", [])}
        assert named == set(re.findall(r"{([^}]+)}", template))
        assert all(entry["required"] for entry in path.get("parameters", []))
    assert all(operation["responses"]["200"]["content"] for operation in operations)


def read_paths(definition: dict) -> list[tuple[str, dict]]:
    """Every path that is read but those of analysis, which has tests of its own."""
    return [
        (template, path)
        for template, path in definition["paths"].items()
        if "get" in path and path["get"]["tags"] != ["Analysis"]
    ]


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [ref for inner in value.values() for ref in references(inner)]
    return [ref for inner in value for ref in references(inner)] if isinstance(value, list) else []


def test_every_described_parameter_is_taken_and_no_other(definition: dict, client: Client, city: City) -> None:
    page = client.get("/api/collections/lots/items?limit=3").get_json()
    token = next(link["href"] for link in page["links"] if link["rel"] == "next").partition("token=")[2]
    values = VALUES | {"token": (token, "x")}
    names = {name for name in values if not name.startswith(PREFIXES)}
    for template, path in read_paths(definition):
        url = filled(template, city)
        if "/places" in url:
            continue  # like lots, and the token is not for them
        parameters = definition["components"]["parameters"]
        described = {}
        for entry in path["get"].get("parameters", []):
            key = entry.get("$ref", entry.get("name")).rsplit("/", 1)[-1]
            described[parameters[key]["name"] if key in parameters else key] = key
        for name, key in described.items():
            good, bad = values[f"record-{key}" if "/catalog/" in url and f"record-{key}" in values else key]
            if "/api/tiles/" in url and key == "tile-properties":
                good = "lots.area"  # of several layers
            needed = NEEDED.get(template, {})
            assert client.get(url, query_string={**needed, name: good}).status_code == 200, (url, name)
            if bad is not None:
                assert client.get(url, query_string={**needed, name: bad}).status_code in (400, 404), (url, name)
        if template == "/api/collections/{collection_id}/items":
            described |= {"pid": "", "zoning": "", "area": ""}  # described where the collection is named
        for name in names - set(described):
            assert client.get(url, query_string={name: values[name][0]}).status_code == 400, (url, name)


def test_answers_have_the_described_type_and_members(definition: dict, client: Client, city: City) -> None:
    for template, path in read_paths(definition):
        answer = client.get(filled(template, city), query_string=NEEDED.get(template))
        (media, content), *forms = path["get"]["responses"]["200"]["content"].items()
        assert media in (answer.content_type, "*/*")
        for form, _ in forms:
            other = client.get(filled(template, city), query_string=NEEDED.get(template), headers={"Accept": form})
            assert (other.status_code, other.mimetype) == (200, form.partition(";")[0]), template
        for page in (form for form, _ in forms if form == "text/html"):
            found = client.get(filled(template, city), query_string=NEEDED.get(template), headers={"Accept": page})
            assert (found.status_code, found.mimetype) == (200, page) == (200, "text/html")
        schema = definition["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]]
        if schema.get("type") == "object":
            check(answer.get_json(), schema, definition)


def check(value: object, schema: dict, definition: dict) -> None:
    """Hold a value against the part of JSON Schema that the description uses; undescribed members are told."""
    if "$ref" in schema:
        schema = definition["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if value is None and schema.get("nullable"):
        return
    kind = schema.get("type")
    if kind == "object":
        assert isinstance(value, dict)
        assert set(schema.get("required", [])) <= set(value)
        known = schema.get("properties", {})
        for name, member in value.items():
            if known and name in known:
                check(member, known[name], definition)
            elif "additionalProperties" in schema:
                assert schema["additionalProperties"] is not False, name
                check(member, schema["additionalProperties"], definition)
    elif kind == "array":
        assert isinstance(value, list)
        for member in value:
            check(member, schema["items"], definition)
    elif kind == "string":
        assert isinstance(value, str)
        assert value in schema.get("enum", [value])
    elif kind == "integer":
        assert isinstance(value, int) and value >= schema.get("minimum", value)
    elif kind == "number":
        assert isinstance(value, int | float)


def test_errors_have_the_described_statuses(definition: dict, client: Client, city: City) -> None:
    for template, path in read_paths(definition):
        statuses = set(path["get"]["responses"])
        url = filled(template, city)
        tried = [
            client.get(url, query_string={"unknown": "1"}),
            client.get(url, headers={"Accept": "image/png"}),
            client.get(url, headers={"If-None-Match": "*"}),
            client.get(url.replace("lots", "nope")),
            client.get(url.replace("6272", "1")),
            client.get(url.replace("6272", "-1")),
        ]
        for answer in tried:
            assert str(answer.status_code) in statuses, (url, answer.status)
            if answer.status_code >= 400:
                check(answer.get_json(), definition["components"]["schemas"]["Problem"], definition)


def test_the_collections_that_can_be_asked_for_are_listed(definition: dict) -> None:
    def listed(path: str) -> list[str]:
        (entry,) = [entry for entry in definition["paths"][path]["parameters"] if entry["name"] == "collection_id"]
        return entry["schema"]["enum"]

    assert listed("/api/collections/{collection_id}") == ["lots", "places", "relief"]
    assert listed("/api/collections/{collection_id}/items") == ["lots", "places"]
    assert listed("/tiles/{collection_id}/style.json") == ["lots", "places"]
    ((several,),) = [definition["paths"]["/tiles/{collection_ids}.json"]["parameters"]]
    assert several["schema"]["items"]["enum"] == ["lots", "places"]


def test_the_limits_are_the_settings(definition: dict, city: City) -> None:
    limit = definition["components"]["parameters"]["limit"]
    assert limit["schema"]["default"] == city.settings.items_limit
    assert limit["schema"]["maximum"] == city.settings.items_limit_max
    assert str(city.settings.items_limit_max) in limit["description"]


def test_the_parameters_are_those_of_the_standard(definition: dict) -> None:
    """OGC API Features 1: fc-limit-definition, fc-bbox-definition, fc-time-definition."""
    known = definition["components"]["parameters"]
    required = {name for name, entry in known.items() if entry["required"]}
    assert all(entry["in"] == "query" for entry in known.values())
    assert all(name.startswith(("analysis-", "changes-since", "map-layers")) for name in required)
    assert all((entry["style"], entry["explode"]) == ("form", False) for entry in known.values())
    assert (known["limit"]["schema"]["type"], known["limit"]["schema"]["minimum"]) == ("integer", 1)
    assert known["bbox"]["schema"]["oneOf"] == [{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}]
    assert known["bbox"]["schema"]["items"] == {"type": "number"}
    assert known["datetime"]["schema"] == {"type": "string"}


def test_without_anything_published_there_is_no_empty_enumeration(own_city: City, tmp_path) -> None:
    from dataclasses import replace

    settings = replace(own_city.settings, home=tmp_path / "nothing")
    client = create_app(settings).test_client()
    for path in client.get("/api/openapi.json").get_json()["paths"].values():
        for entry in path.get("parameters", []):
            assert "enum" not in str(entry) or entry["name"] in ("tileMatrixSetId", "extension")
    from gisservice.catalog import Catalog

    publish_raster(Catalog(settings.home))
    assert "relief" in str(client.get("/api/openapi.json").get_json()["paths"])
