"""OGC API - Features - Part 3 (19-079r2), Annex A: one test for each abstract test, named by its identifier.

That CQL2 itself is evaluated right is tested in tests/query; here it is asked through items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jsonschema
import pandas
import pyproj
import pytest
import shapely
from feature_city import FeatureCity, related
from test_ogcapi_features_core import within

COLLECTIONS = ("permits", "streets", "lots")
BASE = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"
REL = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
SAMPLES = {"permits": "state", "streets": "class", "lots": "zoning"}
EPSG = "http://www.opengis.net/def/crs/EPSG/0/{}".format


def items(city: FeatureCity, collection: str, **query: Any) -> Any:
    return city.get(f"/api/collections/{collection}/items", query_string=query)


def found(city: FeatureCity, collection: str, **query: Any) -> set[str]:
    text = "&".join(f"{key.replace('_', '-')}={quote(str(value), safe='')}" for key, value in query.items())
    return set(city.ids(collection, f"{text}&limit=170"))


def declared(city: FeatureCity, name: str) -> None:
    answer = city.get("/api/conformance", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert f"{BASE}/{name}" in answer.get_json()["conformsTo"]


def rows(city: FeatureCity, name: str, test: Callable[[Any], bool]) -> set[str]:
    """Ids of the published rows that pass a test in Python; what has no value is None."""
    plain = city.frames[name].astype(object)
    return {key for key, row in plain.where(plain.notna(), None).iterrows() if test(row)}


# Conformance class queryables


def test_conf_queryables_get_conformance(feature_city: FeatureCity) -> None:
    declared(feature_city, "queryables")


def test_conf_queryables_get_queryables_uris(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        answer = feature_city.client.head(f"/api/collections/{name}/items", headers={"Accept": "application/json"})
        assert answer.status_code == 200
        assert f'<http://localhost/api/collections/{name}/queryables>; rel="{REL}"' in answer.headers["Link"]


def test_conf_queryables_get_queryables(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        url = f"/api/collections/{name}/queryables"
        answer = feature_city.get(url, headers={"Accept": "application/schema+json"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/schema+json")
        document = answer.get_json()
        assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert (document["$id"], document["type"]) == (f"http://localhost{url}", "object")
        assert document["additionalProperties"] is False
        assert set(document["properties"]) == {*feature_city.frames[name].columns}
        for key, value in document["properties"].items():
            assert ("type" in value) != (key == "geometry")
        assert document["properties"]["geometry"]["format"].startswith("geometry-")
        jsonschema.Draft202012Validator.check_schema(document)


# Conformance class queryables-query-parameters


def test_conf_queryables_query_parameters_get_conformance(feature_city: FeatureCity) -> None:
    declared(feature_city, "queryables-query-parameters")


@pytest.mark.parametrize("name", COLLECTIONS)
def test_conf_queryables_query_parameters_query_param(feature_city: FeatureCity, name: str) -> None:
    frame = feature_city.frames[name]
    types = feature_city.get(f"/api/collections/{name}/queryables").get_json()["properties"]
    for column in frame.columns.drop("geometry"):
        for value in frame[column].dropna().unique()[:4]:
            text = _spelled(value)
            expected = set(frame.index[(frame[column] == value).fillna(False).astype(bool)])
            assert found(feature_city, name, **{column: text}) == expected and expected, (column, text)
        if types[column]["type"] != "string" or {"format", "oneOf"} & set(types[column]):
            assert items(feature_city, name, **{column: "no such thing"}).status_code == 400
        else:
            assert found(feature_city, name, **{column: "no such thing"}) == set()


def _spelled(value: Any) -> str:
    if isinstance(value, pandas.Timestamp):
        return value.isoformat().replace("+00:00", "Z")
    return str(value).lower() if str(value) in ("True", "False") else str(value)


def test_several_queryables_are_all_to_hold(feature_city: FeatureCity) -> None:
    expected = rows(
        feature_city, "permits", lambda row: row["state"] == "done" and row["height"] == 4 and bool(row["paid"])
    )
    assert found(feature_city, "permits", state="done", height="4", paid="true") == expected and expected
    assert found(feature_city, "permits", state="done", height="4.0", paid="true") == expected


# Conformance class filter


def test_conf_filter_get_conformance(feature_city: FeatureCity) -> None:
    declared(feature_city, "filter")


@pytest.mark.parametrize("name", COLLECTIONS)
def test_conf_filter_filter_param(feature_city: FeatureCity, name: str) -> None:
    column = SAMPLES[name]
    frame = feature_city.frames[name]
    everything = found(feature_city, name)
    assert everything == set(frame.index)
    nothing = found(feature_city, name, filter_lang="cql2-text", filter=f"{column} IS NULL")
    assert nothing == set(frame.index[frame[column].isna()])
    answer = items(feature_city, name, **{"filter-lang": "cql2-text", "filter": "THIS IS NOT A FILTER"})
    assert answer.status_code == 400 and "'filter'" in answer.get_json()["detail"]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_conf_filter_filter_lang_default(feature_city: FeatureCity, name: str) -> None:
    column = SAMPLES[name]
    one = found(feature_city, name, filter=f"{column} IS NOT NULL")
    assert one == found(feature_city, name, filter_lang="cql2-text", filter=f"{column} IS NOT NULL")
    assert items(feature_city, name, filter="THIS IS NOT A FILTER").status_code == 400
    document = feature_city.get("/api/openapi.json").get_json()["components"]["parameters"]["filter-lang"]
    assert document["schema"] == {"type": "string", "enum": ["cql2-text", "cql2-json"], "default": "cql2-text"}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_conf_filter_expression_construction(feature_city: FeatureCity, name: str) -> None:
    answer = items(feature_city, name, filter="this_is_not_a_queryable IS NULL")
    assert answer.status_code == 400 and "this_is_not_a_queryable" in answer.get_json()["detail"]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_conf_filter_filter_crs_wgs84(feature_city: FeatureCity, name: str) -> None:
    west, south, east, north = feature_city.get(f"/api/collections/{name}").get_json()["extent"]["spatial"]["bbox"][0]
    box = f"S_INTERSECTS(geometry,BBOX({west},{south},{east},{north}))"
    assert found(feature_city, name, filter=box) == set(feature_city.frames[name].index)
    beyond = "S_INTERSECTS(geometry,BBOX(1000000,1000000,2000000,2000000))"
    assert items(feature_city, name, filter=beyond).status_code == 400


@pytest.mark.parametrize("code", [2283, 6593, 4326, 3857, 26918])
@pytest.mark.parametrize("name", COLLECTIONS)
def test_conf_filter_filter_crs_param(feature_city: FeatureCity, name: str, code: int) -> None:
    bounds = feature_city.frames[name].total_bounds
    change = pyproj.Transformer.from_crs("OGC:CRS84", f"EPSG:{code}", always_xy=True)
    minx, miny, maxx, maxy = change.transform_bounds(*bounds)
    edges = (miny, minx, maxy, maxx) if code == 4326 else (minx, miny, maxx, maxy)
    box = f"S_INTERSECTS(geometry,BBOX({','.join(repr(float(edge)) for edge in edges)}))"
    assert found(feature_city, name, filter=box, filter_crs=EPSG(code)) == set(feature_city.frames[name].index)
    for wrong in ("http://www.opengis.net/def/crs/OGC/0/does_not_exist", EPSG(999999), "EPSG:4326", "+proj=longlat"):
        answer = items(feature_city, name, **{"filter": box, "filter-crs": wrong})
        assert answer.status_code == 400 and "'filter-crs'" in answer.get_json()["detail"]


# Conformance class features-filter


def test_conf_features_filter_get_conformance(feature_city: FeatureCity) -> None:
    declared(feature_city, "features-filter")


def test_conf_features_filter_get_collections(feature_city: FeatureCity) -> None:
    listed = feature_city.get("/api/collections").get_json()["collections"]
    assert {entry["id"] for entry in listed} == {*COLLECTIONS, "catalog"}


def test_conf_features_filter_get_collection(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        document = feature_city.get(f"/api/collections/{name}").get_json()
        assert related(document, REL) == f"http://localhost/api/collections/{name}/queryables"


def test_conf_features_filter_filter_on_items(feature_city: FeatureCity) -> None:
    """Text and JSON, followed page by page: the links carry the filter, whatever it was written in."""
    expected = rows(feature_city, "permits", lambda row: row["note"] == "O'Hara" or (row["height"] or 0) > 3)
    text = "note = 'O''Hara' OR height > 3"
    as_json = (
        '{"op":"or","args":[{"op":"=","args":[{"property":"note"},"O\'Hara"]},'
        '{"op":">","args":[{"property":"height"},3]}]}'
    )
    assert set(feature_city.ids("permits", f"limit=9&filter={quote(text)}")) == expected
    assert set(feature_city.ids("permits", f"limit=9&filter-lang=cql2-json&filter={quote(as_json)}")) == expected


@pytest.mark.parametrize("name", COLLECTIONS)
def test_conf_features_filter_mixing_expression(feature_city: FeatureCity, name: str) -> None:
    west, south, east, north = feature_city.frames[name].total_bounds
    whole = f"{west!r},{south!r},{east!r},{north!r}".replace("np.float64(", "").replace(")", "")
    box = f"S_INTERSECTS(geometry,BBOX({whole}))"
    assert found(feature_city, name, filter=box, bbox=whole) == set(feature_city.frames[name].index)
    assert found(feature_city, name, filter=box, bbox="10,10,11,11") == set()


def test_a_filter_a_box_a_time_and_a_value_are_all_to_hold(feature_city: FeatureCity) -> None:
    box = (-77.09, 38.8, -77.04, 38.84)
    expected = within(feature_city, box) & rows(
        feature_city,
        "permits",
        lambda row: (
            (row["fee"] or 0) > 200
            and row["state"] == "open"
            and (row["filed"] is None or str(row["filed"]) >= "2024-03-01")
        ),
    )
    query = {"bbox": ",".join(map(str, box)), "datetime": "2024-03-01T00:00:00Z/..", "state": "open"}
    assert found(feature_city, "permits", filter="fee > 200", **query) == expected and expected


def test_a_spatial_filter_is_decided_by_the_geometry(feature_city: FeatureCity) -> None:
    triangle = "POLYGON((-77.0607 38.7993,-77.0402 38.8004,-77.0501 38.8213,-77.0607 38.7993))"
    shape = shapely.from_wkt(triangle)
    frame = feature_city.frames["lots"]
    assert found(feature_city, "lots", filter=f"S_WITHIN(geometry,{triangle})") == set(frame.index[frame.within(shape)])


def test_an_unknown_property_never_gives_all_rows(feature_city: FeatureCity) -> None:
    for text in ("zonning = 'RB'", "zonning <> 'RB'", "NOT zonning = 'RB'", "zonning IS NULL", "zonning IS NOT NULL"):
        answer = items(feature_city, "lots", filter=text)
        assert answer.status_code == 400 and "zoning" in answer.get_json()["detail"]
