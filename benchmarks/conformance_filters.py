"""Abstract tests of filters: OGC API Features Part 3 (19-079r2) and CQL2 (21-065r2), as far as parcels can answer them.

What a predicate finds is compared with pandas over the published parcels, and with shapely over the geometries that the
server itself writes. Parcels have no times and no lists, so these classes are not asked. The tests are registered when
this module is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cql2
import geopandas
import pandas
import pyproj
import shapely
from conformance_site import BOX, EPSG, FEATURES_3, NotAsked, Site, box_text, expect, test

CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"
QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
NO_FILTER = "THIS IS NOT A FILTER"

Frame = geopandas.GeoDataFrame
Decide = Callable[[Frame], Any]


def found(site: Site, **query: str) -> set[str]:
    """Return the ids of the items in the box that a query finds."""
    return {str(item["id"]) for item in site.walk(bbox=box_text(BOX), limit="1000", **query)}


def passing(site: Site, decide: Decide) -> set[str]:
    """Return the ids of the parcels in the box of which something is true."""
    inside = site.frame.loc[sorted(site.inside(BOX))]
    return set(inside.index[pandas.Series(decide(inside), index=inside.index).astype("boolean").fillna(False)])


def agree(site: Site, expected: set[str], what: str, **query: str) -> None:
    """Fail where a query finds anything else than what is expected."""
    seen = found(site, **query)
    expect(seen == expected, f"{what} finds {len(seen)} items instead of {len(expected)}")


def refused(site: Site, what: str, **query: str) -> None:
    """Fail where a query is not answered with 400."""
    status = site.get(site.items, **query).status
    expect(status == 400, f"{what} gives {status}")


# Part 3, queryables


def schema_of(site: Site) -> Any:
    """Return the schema of the queryables, from where the collection links to it."""
    links = [link for link in site.described["links"] if link["rel"].endswith("queryables")]
    expect(bool(links), "the collection has no link to its queryables")
    schemas = [link["href"] for link in links if link.get("type") == "application/schema+json"]
    return site.ok((schemas or [links[0]["href"]])[0], "application/schema+json")


@test("get-queryables-uris", of=f"{FEATURES_3}/queryables")
def queryables_link(site: Site) -> None:
    links = [link for link in site.described["links"] if link["rel"] == QUERYABLES]
    expect(bool(links), f"the collection has no link with rel {QUERYABLES}")


@test("get-queryables", of=f"{FEATURES_3}/queryables")
def queryables_schema(site: Site) -> None:
    document = schema_of(site)
    expect(document.get("$schema", "").startswith("https://json-schema.org/draft/"), "no $schema of JSON Schema")
    expect(document.get("$id", "").endswith("/queryables") and document.get("type") == "object", "no $id, or no object")
    geometries = [name for name, entry in document["properties"].items() if "geometry-" in entry.get("format", "")]
    expect(bool(geometries), "no queryable has a format geometry-…")
    odd = [name for name, entry in document["properties"].items() if "type" not in entry and name not in geometries]
    expect(not odd, f"{odd[:3]} have no type")


@test("query-param", of=f"{FEATURES_3}/queryables-query-parameters")
def queryable_parameters(site: Site) -> None:
    for column, value in (("zoning", "RB"), ("street_name", "MONROE"), ("street_name", "NO SUCH STREET")):
        agree(site, passing(site, lambda f, c=column, v=value: f[c] == v), f"{column}={value}", **{column: value})
    some = str(passing(site, lambda f: f["land_area"] > 0).pop())
    area = f"{site.frame['land_area'][some]:g}"
    agree(site, passing(site, lambda f: f["land_area"] == float(area)), f"land_area={area}", land_area=area)
    refused(site, "land_area=many", land_area="many")


# Part 3, filter


@test("filter-param", of=f"{FEATURES_3}/filter")
def filter_parameter(site: Site) -> None:
    expected = passing(site, lambda f: f["zoning"].isna())
    agree(site, expected, "zoning IS NULL", filter="zoning IS NULL", filter_lang="cql2-text")
    refused(site, NO_FILTER, filter=NO_FILTER, filter_lang="cql2-text")


@test("filter-lang-default", of=f"{FEATURES_3}/filter")
def filter_language(site: Site) -> None:
    agree(site, passing(site, lambda f: f["zoning"] == "RB"), "a filter without filter-lang", filter="zoning = 'RB'")
    refused(site, "another language", filter="zoning = 'RB'", filter_lang="no-such-language")


@test("expression-construction", of=f"{FEATURES_3}/filter")
def unknown_property(site: Site) -> None:
    refused(site, "a property that there is not", filter="this_is_not_a_queryable IS NULL")


@test("filter-crs-wgs84", of=f"{FEATURES_3}/filter")
def filter_in_degrees(site: Site) -> None:
    whole = f"S_INTERSECTS({geometry_name(site)},BBOX({box_text(BOX)}))"
    agree(site, site.inside(BOX), whole, filter=whole)
    refused(site, "a box that is not on earth", filter=whole.replace(box_text(BOX), "1e6,1e6,2e6,2e6"))


@test("filter-crs-param", of=f"{FEATURES_3}/filter")
def filter_in_system(site: Site) -> None:
    listed = [uri for uri in site.described.get("crs", []) if uri.startswith(EPSG)]
    if not listed:
        raise NotAsked("no system is listed beside CRS84")
    move = pyproj.Transformer.from_crs("OGC:CRS84", f"EPSG:{listed[0].rpartition('/')[2]}")
    around = shapely.segmentize(shapely.box(*BOX).buffer(0.001, join_style="mitre"), 0.0005)
    x, y = move.transform(*shapely.get_coordinates(around).T)
    ring = ",".join(f"{a!r} {b!r}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    text = f"S_INTERSECTS({geometry_name(site)},POLYGON(({ring})))"
    agree(site, site.inside(BOX), f"a polygon in {listed[0]}", filter=text, filter_crs=listed[0])
    refused(site, "a system that there is not", filter=text, filter_crs=f"{EPSG}/999999")


# Part 3, features-filter


@test("get-collection", of=f"{FEATURES_3}/features-filter")
def collection_link(site: Site) -> None:
    schema_of(site)


@test("filter-on-items", of=f"{FEATURES_3}/features-filter")
def filter_in_links(site: Site) -> None:
    text = "zoning = 'RB' OR land_area > 10000"
    expected = passing(site, lambda f: (f["zoning"] == "RB") | (f["land_area"] > 10_000))
    seen = [str(item["id"]) for item in site.walk(bbox=box_text(BOX), limit="97", filter=text)]
    expect(len(seen) == len(set(seen)) and set(seen) == expected, "the links next do not lead through what it finds")


@test("mixing-expression", of=f"{FEATURES_3}/features-filter")
def filter_and_box(site: Site) -> None:
    whole = f"S_INTERSECTS({geometry_name(site)},BBOX({box_text(BOX)}))"
    agree(site, site.inside(BOX), "the box as filter and as bbox", filter=whole)
    beyond = site.page(bbox="10,10,11,11", filter=whole, limit="1")["features"]
    expect(not beyond, "a filter with a box elsewhere finds items")


def geometry_name(site: Site) -> str:
    """Return what the server calls the geometry in filters."""
    properties = schema_of(site)["properties"]
    named = [name for name, entry in properties.items() if "geometry-" in entry.get("format", "") or "$ref" in entry]
    return named[0] if named else "geometry"


# CQL2


@dataclass(frozen=True)
class Case:
    """A predicate, and what decides it over the parcels; ``{g}`` in it is the geometry's name."""

    text: str
    decide: Decide


def value_cases(template: str) -> list[Case]:
    """Return a predicate with each of the six operators; ``{0}`` and ``{1}`` in it are the operator and the value."""
    decide = {
        "=": lambda c, v: c == v, "<>": lambda c, v: c != v, "<": lambda c, v: c < v,
        ">": lambda c, v: c > v, "<=": lambda c, v: c <= v, ">=": lambda c, v: c >= v,
    }  # fmt: skip
    return [
        Case(template.format(sign, 5400), lambda f, test=test: test(f["land_area"], 5400))
        for sign, test in decide.items()
    ]


NAMES: dict[tuple[str, str], list[Case]] = {
    ("basic-cql2", "comparison"): [
        *value_cases("land_area {0} {1}"),
        Case("zoning = 'RB'", lambda f: f["zoning"] == "RB"),
        Case("zoning <> 'RB'", lambda f: f["zoning"] != "RB"),
    ],
    ("basic-cql2", "is-null"): [
        Case("street_suffix IS NULL", lambda f: f["street_suffix"].isna()),
        Case("street_suffix IS NOT NULL", lambda f: f["street_suffix"].notna()),
    ],
    ("basic-cql2", "logical"): [
        Case("zoning = 'RB' AND land_area > 2000", lambda f: (f["zoning"] == "RB") & (f["land_area"] > 2000)),
        Case("zoning = 'RB' OR land_area > 9000", lambda f: (f["zoning"] == "RB") | (f["land_area"] > 9000)),
        Case("NOT (zoning = 'RB')", lambda f: f["zoning"] != "RB"),
        Case("NOT (street_direction = 'E')", lambda f: f["street_direction"] != "E"),  # of nothing it is not true
    ],
    ("advanced-comparison-operators", "like"): [
        Case("zoning LIKE 'R%'", lambda f: f["zoning"].str.startswith("R")),
        Case("zoning LIKE 'R_'", lambda f: f["zoning"].str.fullmatch("R.")),
        Case("zoning NOT LIKE 'R%'", lambda f: ~f["zoning"].str.startswith("R")),
    ],
    ("advanced-comparison-operators", "between"): [
        Case("land_area BETWEEN 2000 AND 5400", lambda f: f["land_area"].between(2000, 5400)),
        Case("land_area NOT BETWEEN 2000 AND 5400", lambda f: ~f["land_area"].between(2000, 5400)),
    ],
    ("advanced-comparison-operators", "in"): [
        Case("zoning IN ('RB','RA')", lambda f: f["zoning"].isin(["RB", "RA"])),
        Case("zoning NOT IN ('RB','RA')", lambda f: ~f["zoning"].isin(["RB", "RA"]) & f["zoning"].notna()),
    ],
    ("case-insensitive-comparison", "casei"): [
        Case("CASEI(street_name) = CASEI('Monroe')", lambda f: f["street_name"] == "MONROE"),
    ],
    ("case-insensitive-comparison", "casei-like"): [
        Case("CASEI(street_name) LIKE CASEI('mon%')", lambda f: f["street_name"].str.startswith("MON")),
    ],
    ("accent-insensitive-comparison", "accenti"): [
        Case("ACCENTI(street_name) = ACCENTI('MÓNRÖE')", lambda f: f["street_name"] == "MONROE"),
    ],
    ("property-property", "property-property"): [
        Case("lot = lot_drawn", lambda f: f["lot"] == f["lot_drawn"]),
        Case("lot <> lot_drawn", lambda f: f["lot"] != f["lot_drawn"]),
    ],
    ("property-property", "value-property"): [Case("'RB' = zoning", lambda f: f["zoning"] == "RB")],
    ("arithmetic", "arithmetic"): [
        Case("land_area * 2 >= 10000", lambda f: f["land_area"] >= 5000),
        Case("land_area / 2 + 100 > 2600", lambda f: f["land_area"] > 5000),
        Case("land_area - 5000 > 3 * 100", lambda f: f["land_area"] > 5300),
        Case("objectid % 2 = 1", lambda f: f["objectid"].astype(int) % 2 == 1),
        Case("objectid div 1000 = 30", lambda f: f["objectid"].astype(int) // 1000 == 30),
    ],
}
"""What values decide: conformance class and test, predicates."""


def check(site: Site, cases: list[Case], language: str = "cql2-text") -> None:
    """Ask for what predicates find."""
    for case in cases:
        text = case.text if language == "cql2-text" else json.dumps(cql2.parse_text(case.text).to_json())
        agree(site, passing(site, case.decide), case.text, filter=text, filter_lang=language)


for (group, name), known in NAMES.items():
    test(name, of=f"{CQL2}/{group}")(lambda site, cases=known: check(site, cases))


RIVAL = shapely.Polygon([(-77.0583, 38.8162), (-77.0521, 38.8157), (-77.0548, 38.8193), (-77.0583, 38.8162)])
LINE = shapely.LineString([(-77.0597, 38.8153), (-77.0504, 38.8197)])


def written(site: Site) -> pandas.Series:
    """Return the geometries of the parcels in the box as the server writes them, by id."""
    items = site.walk(bbox=box_text(BOX), limit="1000")
    return pandas.Series({str(item["id"]): shapely.from_geojson(json.dumps(item["geometry"])) for item in items})


def relation(site: Site, function: str, shape: shapely.Geometry, text: str = "") -> None:
    """Ask which geometries stand in a relation to a shape."""
    shapes = written(site)
    truth = getattr(shapely, function.removeprefix("S_").lower())(shapes.to_numpy(), shape)
    wkt = text or shapely.to_wkt(shape, rounding_precision=-1)
    agree(site, set(shapes.index[truth]), function, filter=f"{function}({geometry_name(site)},{wkt})")


@test("s_intersects", of=f"{CQL2}/basic-spatial-functions")
def meets_point_and_box(site: Site) -> None:
    x, y = written(site).iloc[7].representative_point().coords[0]
    relation(site, "S_INTERSECTS", shapely.Point(x, y))
    box = (-77.0571, 38.8163, -77.0532, 38.8181)
    relation(site, "S_INTERSECTS", shapely.box(*box), f"BBOX({box_text(box)})")


@test("s_intersects", of=f"{CQL2}/basic-spatial-functions-plus")
def meets_shapes(site: Site) -> None:
    points = shapely.MultiPoint([shape.representative_point() for shape in written(site).iloc[:3]])
    for shape in (RIVAL, LINE, points, shapely.MultiPolygon([RIVAL]), shapely.MultiLineString([LINE])):
        relation(site, "S_INTERSECTS", shape)


def spatial(function: str) -> Callable[[Site], None]:
    """Return the test of one function, asked with shapes to which some parcels stand in that relation."""

    def ask(site: Site) -> None:
        shapes = written(site)
        single = next(shape for shape in shapes if shapely.get_num_coordinates(shape) < 50)
        asked = {"S_CROSSES": [LINE], "S_CONTAINS": [single.representative_point()], "S_WITHIN": [RIVAL]}
        for shape in asked.get(function, [RIVAL, single]):
            relation(site, function, shape)

    return ask


for function in ("S_DISJOINT", "S_EQUALS", "S_TOUCHES", "S_CROSSES", "S_WITHIN", "S_CONTAINS", "S_OVERLAPS"):
    test(function.lower(), of=f"{CQL2}/spatial-functions")(spatial(function))


@test("escaping", of=f"{CQL2}/cql2-text")
def quotes(site: Site) -> None:
    agree(site, set(), "an apostrophe", filter="zoning = 'O''Hara'", filter_lang="cql2-text")
    refused(site, "a text without end", filter="zoning = 'RB", filter_lang="cql2-text")


@test("validate", of=f"{CQL2}/cql2-json")
def as_json(site: Site) -> None:
    check(site, NAMES["basic-cql2", "comparison"] + NAMES["basic-cql2", "logical"], "cql2-json")
    refused(site, "JSON that is no filter", filter='{"op":"no such","args":[]}', filter_lang="cql2-json")
