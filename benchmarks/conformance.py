"""Abstract tests of OGC API Features, asked of our server, of pygeoapi and tipg on the same parcels, or of any other.

    python benchmarks/conformance.py [--home FOLDER] [--url NAME=ADDRESS] [--layer ID] > docs/conformance.md

Annex A of Part 1 (17-069r4: core, geojson, html, oas30), of Part 2 (18-058r1: crs), of Part 3 (19-079r2) and of CQL2
(21-065r2, in :mod:`conformance_filters`), as far as it can be asked from outside of a server that is not ours: no test
knows anything but the standard and the published data. Core is asked of every server, any other class of those that
declare it. Answers to queries are compared with pandas, shapely and pyproj over the data. The full set is in tests/web
(test_ogcapi_*.py, test_cql2_conformance.py).

`--url` asks one server more, which is to have the parcels as a collection called `--layer` already. Prints a page of
Markdown. The exit code is 1 where our own server fails a test.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import features_servers
import numpy as np
import openapi_schema_validator
import pyproj
import shapely
from alexandria import LAYER, publish
from conformance_site import (
    BOX,
    CRS84,
    EPSG,
    FEATURES_1,
    FEATURES_2,
    TESTS,
    NotAsked,
    Site,
    Test,
    box_text,
    expect,
    is_form,
    rels,
    test,
)
from tiles_servers import PeerMissing

import gisservice

DEGREES = 2e-8
"""How far a position may be off: more than a coordinate's last written digit."""


# Part 1, core


@test("http")
def http(site: Site) -> None:
    expect(site.get(site.landing).status == 200, "the landing page is not 200")


@test("root-op", "root-success")
def root(site: Site) -> None:
    missing = {"conformance", "data"} - rels(site.home)
    expect(not missing, f"the landing page has no link {missing}")
    expect(bool({"service-desc", "service-doc"} & rels(site.home)), "no link to the API definition")


@test("api-definition-op", "api-definition-success")
def api_definition(site: Site) -> None:
    for link in site.home["links"]:
        if link["rel"] in ("service-desc", "service-doc"):
            reply = site.get(link["href"], link.get("type", "*/*"))
            expect(reply.status == 200, f"{link['rel']} answers {reply.status}")


@test("conformance-op", "conformance-success")
def conformance(site: Site) -> None:
    expect(f"{FEATURES_1}/core" in site.declared, "core is not declared")


@test("fc-md-op", "fc-md-success", "fc-md-items")
def collections(site: Site) -> None:
    entries = site.ok("/collections")["collections"]
    expect(any(entry["id"] == site.layer for entry in entries), "the collection is not listed")
    expect(all(entry["links"] for entry in entries), "a collection has no links")


@test("fc-md-links")
def collection_list_links(site: Site) -> None:
    expect({"self", "alternate"} <= rels(site.ok("/collections")), "no links self and alternate")
    expect(all(link.get("type") for link in site.ok("/collections")["links"]), "a link has no type")


@test("fc-md-items-links")
def items_links(site: Site) -> None:
    items = [link for link in site.described["links"] if link["rel"] == "items"]
    expect(any(link.get("type") == "application/geo+json" for link in items), "no link items to GeoJSON")
    for link in items:
        expect(site.get(link["href"], link["type"]).status == 200, f"{link['href']} is not 200")


@test("fc-md-extent")
def extent(site: Site) -> None:
    if "extent" not in site.described:
        raise NotAsked("the collection tells no extent")
    west, south, east, north = site.described["extent"]["spatial"]["bbox"][0]
    bounds = site.frame.total_bounds
    whole = west - DEGREES <= bounds[0] and south - DEGREES <= bounds[1]
    expect(whole and bounds[2] <= east + DEGREES and bounds[3] <= north + DEGREES, "it does not hold all items")


@test("sfc-md-op", "sfc-md-success")
def one_collection(site: Site) -> None:
    listed = next(entry for entry in site.ok("/collections")["collections"] if entry["id"] == site.layer)
    for name in ("id", "title", "description", "extent", "itemType", "crs"):
        expect(site.described.get(name) == listed.get(name), f"{name} differs from that in the list")


@test("fc-op", "fc-response")
def features(site: Site) -> None:
    document = site.page(limit="5")
    expect(document["type"] == "FeatureCollection" and len(document["features"]) == 5, "no page of five features")
    expect(all(item["type"] == "Feature" for item in document["features"]), "an item is no Feature")


@test("crs84")
def positions(site: Site) -> None:
    for item in site.page(limit="200", bbox=box_text(BOX))["features"]:
        found = shapely.from_geojson(json.dumps(item["geometry"]))
        far = shapely.hausdorff_distance(found, site.frame.geometry[str(item["id"])])
        expect(far < DEGREES, f"item {item['id']} is {far:g} degrees off")


@test("fc-bbox-definition")
def bbox_definition(site: Site) -> None:
    schema = is_form(site, "bbox")["schema"]
    expect(schema.get("type") == "array" and schema.get("items", {}).get("type") == "number", "no array of numbers")
    lengths = {(one.get("minItems"), one.get("maxItems")) for one in schema.get("oneOf", [schema])}
    expect(lengths in ({(4, 4), (6, 6)}, {(4, 6)}), f"lengths are {sorted(map(str, lengths))}")


@test("fc-bbox-response")
def bbox_response(site: Site) -> None:
    random, bounds = np.random.default_rng(3), site.frame.total_bounds
    for _ in range(12):
        x, y = np.sort(random.uniform(bounds[0], bounds[2], 2)), np.sort(random.uniform(bounds[1], bounds[3], 2))
        width, height = min(0.004, x[1] - x[0]), min(0.003, y[1] - y[0])
        box = (x[0], y[0], x[0] + width, y[0] + height)
        compare_box(site, box, box_text(box))
    expect(site.get(site.items, bbox="-77.06,38.8,0,-77.05,38.81,9").status == 200, "six numbers are not taken")


def compare_box(site: Site, box: tuple[float, ...], text: str, **query: str) -> None:
    found = {str(item["id"]) for item in site.walk(bbox=text, limit="1000", **query)}
    wrong = found ^ site.inside(box)
    expect(not wrong, f"{len(found)} items for bbox={text}, of which or beside which {len(wrong)} are wrong")


@test("fc-limit-definition")
def limit_definition(site: Site) -> None:
    schema = is_form(site, "limit")["schema"]
    expect(schema.get("type") == "integer" and schema.get("minimum") == 1, "no integer from 1 on")
    expect("maximum" in schema and "default" in schema, "no maximum or no default")


@test("fc-limit-response")
def limit_response(site: Site) -> None:
    for limit in (1, 7, 100):
        expect(len(site.page(limit=str(limit))["features"]) == limit, f"limit={limit} gives another number")
    maximum = site.parameter("limit")["schema"]["maximum"]
    reply = site.get(site.items, limit=str(maximum + 1), bbox=box_text(BOX))
    expect(reply.status in (200, 400), f"a limit over the maximum gives {reply.status}")


@test("fc-time-definition")
def time_definition(site: Site) -> None:
    expect(is_form(site, "datetime")["schema"].get("type") == "string", "it is no string")


@test("fc-time-response")
def time_response(site: Site) -> None:
    """The parcels have no time, so every one matches (/req/core/fc-time-response, C)."""
    count = len(site.inside(BOX))
    for text in ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z/..", "../2024-01-01T00:00:00Z"):
        found = site.page(datetime=text, bbox=box_text(BOX), limit="1000")["features"]
        expect(len(found) == min(count, 1000), f"datetime={text} gives {len(found)} of {count} items without a time")


@test("query-param-invalid")
def invalid(site: Site) -> None:
    wrong = {"limit": ("many", "0", "-1"), "bbox": ("1,2,3", "a,b,c,d", "nan,nan,nan,nan"), "datetime": ("yesterday",)}
    taken = []
    for name, values in wrong.items():
        for value in values:
            status = site.get(site.items, **{name: value}).status
            taken += [] if status == 400 else [f"{name}={value} gives {status}"]
    expect(not taken, "; ".join(taken))


@test("query-param-unknown")
def unknown(site: Site) -> None:
    taken = []
    for path in ("/conformance", "/collections", f"/collections/{site.layer}", site.items):
        status = site.get(path, nothing_of_this_name="1").status
        taken += [] if status == 400 else [f"{path} gives {status}"]
    expect(not taken, "; ".join(taken))


@test("fc-links")
def page_links(site: Site) -> None:
    document = site.page(limit="3")
    expect({"self", "alternate", "next"} <= rels(document), f"links are {sorted(rels(document))}")
    expect(all(link.get("type") for link in document["links"]), "a link has no type")
    for link in document["links"]:
        reply = site.get(link["href"], link["type"])
        expect(reply.status == 200, f"{link['rel']} answers {reply.status}")
        expect(reply.media == link["type"].partition(";")[0], f"{link['rel']} {link['type']} is {reply.media}")


@test("fc-links (followed)")
def walk(site: Site) -> None:
    """The links `next` lead through all items, each once (7.15.6)."""
    ids = [str(item["id"]) for item in site.walk(bbox=box_text(BOX), limit="97")]
    expect(len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} items come more than once")
    expect(set(ids) == site.inside(BOX), "the walk does not have all items")


@test("fc-timeStamp")
def timestamp(site: Site) -> None:
    document = site.page(limit="1")
    if "timeStamp" not in document:
        raise NotAsked("pages have no timeStamp")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
    expect(re.fullmatch(stamp, document["timeStamp"]) is not None, f"timeStamp is {document['timeStamp']}")


@test("fc-numberMatched", "fc-numberReturned")
def numbers(site: Site) -> None:
    document = site.page(bbox=box_text(BOX), limit="3")
    expect(document.get("numberMatched", len(site.inside(BOX))) == len(site.inside(BOX)), "numberMatched is wrong")
    expect(document.get("numberReturned", 3) == len(document["features"]) == 3, "numberReturned is wrong")


@test("f-op", "f-success")
def feature(site: Site) -> None:
    for item in site.page(bbox=box_text(BOX), limit="20")["features"]:
        found = site.ok(f"{site.items}/{quote(str(item['id']), safe='')}")
        same = found["geometry"] == item["geometry"] and found["properties"] == item["properties"]
        expect(
            found["type"] == "Feature" and str(found["id"]) == str(item["id"]) and same,
            "it is another than on the page",
        )


@test("f-links")
def feature_links(site: Site) -> None:
    item = site.page(limit="1")["features"][0]
    document = site.ok(f"{site.items}/{quote(str(item['id']), safe='')}")
    expect({"self", "alternate", "collection"} <= rels(document), f"links are {sorted(rels(document))}")
    expect(all(link.get("type") for link in document["links"]), "a link has no type")


# Part 1, geojson, html, oas30


@test("definition", "content", of=f"{FEATURES_1}/geojson")
def geojson(site: Site) -> None:
    item = f"{site.items}/{quote(str(site.page(limit='1')['features'][0]['id']), safe='')}"
    for path in (f"{site.items}?limit=3", item):
        reply = site.get(path, "application/geo+json")
        expect(reply.media == "application/geo+json", f"{path} is {reply.media}")
        for found in reply.document.get("features", [reply.document]):
            expect(found["type"] == "Feature" and {"geometry", "properties"} <= set(found), "an item is no Feature")


@test("definition", "content", of=f"{FEATURES_1}/html")
def html(site: Site) -> None:
    for path in ("/", "/conformance", "/collections", f"/collections/{site.layer}", f"{site.items}?limit=3"):
        reply = site.get(site.landing if path == "/" else path, "text/html")
        expect((reply.status, reply.media) == (200, "text/html"), f"{path} is {reply.status} {reply.media}")
        expect(b"<html" in reply.body[:2000].lower(), f"{path} is no HTML")


@test("oas-definition-1", of=f"{FEATURES_1}/oas30")
def oas_media(site: Site) -> None:
    links = [link for link in site.home["links"] if link["rel"] == "service-desc"]
    wanted = "application/vnd.oai.openapi+json;version=3.0"
    expect(any(link.get("type") == wanted for link in links), f"no service-desc of type {wanted}")
    for link in links:
        if link.get("type") == wanted:
            got = site.get(link["href"], wanted).headers.get("content-type", "").replace(" ", "")
            expect(got == wanted, f"its Content-Type is {got}")


@test("oas-definition-2", of=f"{FEATURES_1}/oas30")
def oas_document(site: Site) -> None:
    expect(re.fullmatch(r"3\.0\.\d+", site.definition["openapi"]) is not None, "it is not OpenAPI 3.0")
    expect(bool(site.definition["info"]["title"] and site.definition["paths"]), "no title or no paths")
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(site.definition)):
        target = site.definition
        for step in reference.split("/"):
            expect(step in target, f"#/{reference} leads nowhere")
            target = target[step]


@test("exceptions-codes", "completeness", of=f"{FEATURES_1}/oas30")
def oas_statuses(site: Site) -> None:
    paths = [path for path in site.definition["paths"] if path.endswith((site.items, "}/items"))]
    responses = site.definition["paths"][paths[0]]["get"]["responses"]
    expect("200" in responses, "200 is not described")
    statuses = {
        site.get(f"{site.items}?limit=many").status,
        site.get(f"/collections/{site.layer}-not/items").status,
        site.get(f"{site.items}?nothing_of_this_name=1").status,
    }
    missing = {str(status) for status in statuses} - set(responses)
    expect(not missing or "default" in responses, f"answers with {sorted(missing)}, which is not described")


@test("oas-impl", of=f"{FEATURES_1}/oas30")
def oas_impl(site: Site) -> None:
    """A page is what its description says, as far as that is in the document itself."""
    paths = [path for path in site.definition["paths"] if path.endswith(site.items)]
    operation = site.definition["paths"][(paths or [p for p in site.definition["paths"] if p.endswith("}/items")])[0]]
    described = site.resolved(operation["get"]["responses"]["200"])
    schema = described.get("content", {}).get("application/geo+json", {}).get("schema")
    if schema is None:
        raise AssertionError("GeoJSON is not described")
    schema = expanded(site, schema, 0)
    validator = openapi_schema_validator.OAS30Validator(schema)
    error = next(validator.iter_errors(site.page(limit="3")), None)
    expect(error is None, f"a page does not agree: {error.message[:100] if error else ''}")


def expanded(site: Site, schema: Any, depth: int) -> Any:
    """Return a schema with its references followed; what is nested without end is left open."""
    if depth > 12:
        return {}
    if isinstance(schema, list):
        return [expanded(site, one, depth + 1) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return expanded(site, site.resolved(schema), depth + 1)
    return {name: expanded(site, value, depth + 1) for name, value in schema.items()}


# Part 2

CRS = f"{FEATURES_2}/crs"


def systems(site: Site) -> list[str]:
    listed = site.described.get("crs", [])
    shared = site.ok("/collections").get("crs", [])
    return [uri for entry in listed for uri in (shared if entry == "#/crs" else [entry])]


def chosen(site: Site) -> tuple[str, pyproj.CRS]:
    """Return a listed system other than CRS84, one in feet or metres where there is one."""
    others = [uri for uri in systems(site) if uri.startswith(EPSG)]
    if not others:
        raise NotAsked("no system is listed beside CRS84")
    projected = [uri for uri in others if pyproj.CRS.from_user_input(f"EPSG:{uri.rpartition('/')[2]}").is_projected]
    uri = (projected or others)[0]
    return uri, pyproj.CRS.from_user_input(f"EPSG:{uri.rpartition('/')[2]}")


@test("crs-uri", "fc-md-crs-list-A", "fc-md-crs-list-B", of=CRS)
def crs_list(site: Site) -> None:
    found = systems(site)
    expect(CRS84 in found, "CRS84 is not listed")
    odd = [uri for uri in found if not re.match(r"http://www\.opengis\.net/def/crs/[A-Z]+/[0-9.]+/\w+$", uri)]
    expect(not odd, f"{odd[:1]} is no URI of a system")


@test("fc-md-storageCrs", "fc-md-storageCrs-valid-value", of=CRS)
def storage(site: Site) -> None:
    if "storageCrs" not in site.described:
        raise NotAsked("no storageCrs is told")
    expect(site.described["storageCrs"] in systems(site), "storageCrs is not in the list")


@test("crs-definition", "bbox-crs-definition", of=CRS)
def crs_definitions(site: Site) -> None:
    for name in ("crs", "bbox-crs"):
        expect(is_form(site, name)["schema"].get("type") == "string", f"{name} is no string")


@test("crs-action", "ogc-crs-header", "ogc-crs-header-value", of=CRS)
def transformed(site: Site) -> None:
    uri, system = chosen(site)
    reply = site.get(site.items, "application/geo+json", crs=uri, bbox=box_text(BOX), limit="50")
    expect(reply.status == 200, f"crs={uri} gives {reply.status}")
    expect(reply.headers.get("content-crs") == f"<{uri}>", f"Content-Crs is {reply.headers.get('content-crs')}")
    move = pyproj.Transformer.from_crs("OGC:CRS84", system)  # the axis order of the authority
    for item in reply.document["features"]:
        found = shapely.from_geojson(json.dumps(item["geometry"]))
        stored = site.frame.geometry[str(item["id"])]
        expected = shapely.transform(stored, lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1])))
        far = shapely.hausdorff_distance(found, expected)
        expect(far < 0.01, f"item {item['id']} is {far:g} units off in {uri}")


@test("ogc-crs-header-crs84", of=CRS)
def default_header(site: Site) -> None:
    found = site.get(f"{site.items}?limit=1", "application/geo+json").headers.get("content-crs", f"<{CRS84}>")
    expect(found == f"<{CRS84}>", f"Content-Crs is {found}")


@test("bbox-crs-action", of=CRS)
def box_in_system(site: Site) -> None:
    uri, system = chosen(site)
    move = pyproj.Transformer.from_crs("OGC:CRS84", system)
    x, y = move.transform([BOX[0], BOX[0], BOX[2], BOX[2]], [BOX[1], BOX[3], BOX[1], BOX[3]])
    box = (min(x), min(y), max(x), max(y))
    reply = site.get(site.items, "application/geo+json", bbox=box_text(box), bbox_crs=uri, limit="1000")
    expect(reply.status == 200, f"bbox-crs={uri} gives {reply.status}")
    outline = shapely.transform(
        shapely.segmentize(shapely.box(*box), (box[2] - box[0]) / 500),
        lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1], direction="INVERSE")),
    )
    expected = set(site.frame.index[site.frame.intersects(outline)])
    found = {str(item["id"]) for item in reply.document["features"]}
    expect(found == expected, f"{len(found)} items instead of {len(expected)}")


@test("crs-invalid", "bbox-crs-invalid", of=CRS)
def invalid_systems(site: Site) -> None:
    taken = []
    for query in ({"crs": f"{EPSG}/999999"}, {"bbox": box_text(BOX), "bbox_crs": f"{EPSG}/999999"}, {"crs": "nothing"}):
        status = site.get(site.items, **query).status
        taken += [] if status == 400 else [f"{query} gives {status}"]
    expect(not taken, "; ".join(taken))


# The run


def run(site: Site) -> None:
    """Ask a server everything; each function once, whatever it is called in the annex."""
    answers: dict[Test, str] = {}
    for of, name, function in TESTS:
        if of != f"{FEATURES_1}/core" and of not in site.declared:
            site.found[f"all of {of}"] = "– class not declared"
            continue
        if function not in answers:
            answers[function] = outcome(site, function)
        site.found[name] = answers[function]


def outcome(site: Site, function: Test) -> str:
    """Return nothing for a test that is passed, else why not."""
    try:
        function(site)
    except NotAsked as exc:
        return f"– {exc}"
    except AssertionError as exc:
        return f"fails: {exc}"
    except Exception as exc:  # whatever a document of another server leads to
        return f"fails: cannot be read, {type(exc).__name__} {exc}"
    return ""


HEAD = """# Conformance, beside pygeoapi and tipg

Abstract tests of OGC API Features Part 1 (17-069r4), Part 2 (18-058r1) and Part 3 (19-079r2) and of CQL2
(21-065r2), asked over HTTP of each server on the same 47,174 parcels by a client that knows only the standard
and the data. Core is asked of every server, another class of those that declare it; what a server does not have,
and need not, is not asked of it. One question can stand for several tests of the annex. pygeoapi has two systems
beside CRS84 in its settings.
"""


def report(sites: list[Site], command: str) -> None:
    """Print the page."""
    peers = features_servers.peer_versions()
    print(HEAD)
    print(
        f"Made by `{command}`; gisservice {version('gisservice')}, pygeoapi {peers['pygeoapi']}, "
        f"tipg {peers['tipg']}.\n"
    )
    print("| server | passed | failed | not asked |\n|---|---|---|---|")
    for site in sites:
        results = list(site.found.values())
        failed = sum(result.startswith("fails") for result in results)
        print(f"| {site.name} | {results.count('')} | {failed} | {sum(r.startswith('–') for r in results)} |")
    print("\n## What failed\n\n| server | test | what was seen |\n|---|---|---|")
    for site in sites:
        for name, result in site.found.items():
            if result.startswith("fails"):
                print(f"| {site.name} | {name} | {cell(result.removeprefix('fails: '))} |")
    print("\n## What was not asked\n\n| server | test | why |\n|---|---|---|")
    for site in sites:
        for name, result in site.found.items():
            if result.startswith("–"):
                print(f"| {site.name} | {name} | {cell(result.removeprefix('– '))} |")
    print(
        "\nOurs are all in `tests/web`, a test for each abstract test, with data that also has times: "
        "`test_ogcapi_features_*.py`,\n`test_cql2_conformance.py`."
    )


def cell(text: str) -> str:
    """Return a text as a cell of a table: one line, no addresses of this run."""
    return re.sub(r"http://127\.0\.0\.1:\d+", "", text).replace("|", "\\|").replace("\n", " ")[:200]


def main() -> None:
    parser = argparse.ArgumentParser(description="Abstract tests of OGC API Features, asked of servers.")
    parser.add_argument("--home", type=Path, help="published parcels, instead of publishing them")
    parser.add_argument("--url", action="append", default=[], metavar="NAME=ADDRESS", help="one server more")
    parser.add_argument("--layer", default=LAYER, help="what that server calls the parcels")
    options = parser.parse_args()
    import conformance_filters  # noqa: F401 - its tests are to stand behind those above

    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = options.home or work / "home"
        if options.home is None:
            publish(home)
        catalog = gisservice.open_catalog(home)
        key = catalog.collection(LAYER).manifest.id_column
        parcels = catalog.read(LAYER).to_crs("EPSG:4326")
        frame = parcels.set_index(parcels[key].astype(str))
        ours = features_servers.ours(stack, "gisservice", home, LAYER, GISSERVICE_ITEMS_LIMIT_MAX="10000")
        sites = [Site("gisservice", f"{ours.base}/api", LAYER, frame)]
        listed = {"crs": [CRS84, f"{EPSG}/4326", f"{EPSG}/2283"], "storage_crs": CRS84}
        try:
            for name in ("GeoPackage", "GeoParquet"):
                write = getattr(features_servers, name.lower())
                providers = [{**provider, **listed} for provider in write(parcels, LAYER, key, work)]
                peer = features_servers.pygeoapi(stack, f"pygeoapi, {name}", LAYER, providers, work)
                sites.append(Site(f"pygeoapi, {name}", peer.base, LAYER, frame))
            database, first = stack.enter_context(features_servers.postgis(parcels, LAYER, key, work, {}))
            peer = features_servers.tipg(stack, "tipg, PostGIS", LAYER, database, first)
            sites.append(Site(peer.name, peer.base, f"public.{LAYER}", frame))
        except PeerMissing as exc:
            print(f"Not compared: {exc}", file=sys.stderr)
        for text in options.url:
            name, _, address = text.partition("=")
            sites.append(Site(name, address, options.layer, frame))
        for site in sites:
            run(site)
        report(sites, "python benchmarks/conformance.py")
    sys.exit(any(result.startswith("fails") for result in sites[0].found.values()))


if __name__ == "__main__":
    main()
