"""OGC API - Features - Part 2 (18-058r1), Annex A: one test for each abstract test, named by its identifier.

The known systems are all that are offered. Positions and boxes are compared with what pyproj makes of the published
frames in the order of the authority's axes, which is asked of pyproj, not of the service.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import numpy as np
import pyarrow.parquet
import pyproj
import pytest
import shapely
from feature_city import FeatureCity

COLLECTIONS = ("permits", "streets", "lots")
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/{}".format
KNOWN = (CRS84, *(EPSG(code) for code in (2283, 6593, 4326, 3857, 26918)))
NORTH_FIRST = {EPSG(4326)}
DECIMALS = {CRS84: 8, EPSG(4326): 8}


def listed(city: FeatureCity) -> list[dict[str, Any]]:
    one_by_one = [city.get(f"/api/collections/{name}").get_json() for name in COLLECTIONS]
    together = city.get("/api/collections").get_json()["collections"]
    return [entry for entry in (*together, *one_by_one) if entry["itemType"] == "feature"]


@cache
def transformer(uri: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs("OGC:CRS84", uri, always_xy=True)


def shapes(items: list[dict[str, Any]], uri: str) -> list[shapely.Geometry]:
    """The geometries of items, x before y, whatever the authority's order is."""
    found = [shapely.from_geojson(json.dumps(item["geometry"])) for item in items]
    if uri in NORTH_FIRST:
        found = [shapely.transform(shape, lambda xy: xy[:, ::-1]) for shape in found]
    return found


def moved(shape: shapely.Geometry, uri: str) -> shapely.Geometry:
    change = transformer(uri)
    return shapely.transform(shape, lambda xy: np.column_stack(change.transform(xy[:, 0], xy[:, 1])))


def test_axis_orders_are_those_of_the_authority() -> None:
    for uri in KNOWN:
        first = pyproj.CRS.from_user_input(uri).axis_info[0].direction
        assert (first == "north") == (uri in NORTH_FIRST)


def test_conf_crs_crs_uri(feature_city: FeatureCity) -> None:
    for entry in listed(feature_city):
        for uri in (*entry["crs"], entry["storageCrs"]):
            assert re.fullmatch(r"http://www\.opengis\.net/def/crs/(EPSG/0/[0-9]+|OGC/1\.3/CRS84)", uri)


def test_conf_crs_default_crs(feature_city: FeatureCity) -> None:
    for entry in listed(feature_city):
        assert entry["crs"][0] == CRS84
        assert sorted(entry["crs"]) == sorted(KNOWN) and len(set(entry["crs"])) == len(entry["crs"])


def test_conf_crs_storagecrs(feature_city: FeatureCity) -> None:
    for entry in listed(feature_city):
        assert entry["storageCrs"] == entry["crs"][1]
        assert entry["storageCrs"] == EPSG(26918 if entry["id"] == "streets" else 2283)
        assert "storageCrsCoordinateEpoch" not in entry  # of no system offered does the epoch matter


@pytest.mark.parametrize("uri", KNOWN)
def test_conf_crs_crs_parameter(feature_city: FeatureCity, uri: str) -> None:
    for name in COLLECTIONS:
        for url in (f"/api/collections/{name}/items", f"/api/collections/{name}/items/{_first(feature_city, name)}"):
            answer = feature_city.get(url, query_string={"crs": uri})
            assert answer.status_code == 200
            assert answer.headers["Content-Crs"] == f"<{uri}>"
            assert answer.headers["Content-Type"] == "application/geo+json"


def _first(city: FeatureCity, name: str) -> str:
    return city.page(name, "limit=1")["features"][0]["id"]


@pytest.mark.parametrize(
    "uri",
    [
        "", "2283", "EPSG:2283", "[EPSG:2283]", "epsg:4326", EPSG(999999), EPSG(2924), f"{EPSG(4326)};x",
        f"{EPSG(4326)}/", EPSG(4326).replace("http", "https"), "urn:ogc:def:crs:EPSG::4326", CRS84.lower(),
        "http://www.opengis.net/def/crs/OGC/0/CRS84h", "+proj=longlat +nadgrids=/etc/passwd", "+init=/etc/passwd",
        "+proj=pipeline +step +proj=noop", 'GEOGCS["x"]', "https://example.org/crs", "{" * 2_000, "x" * 7_000,
    ],
)  # fmt: skip
def test_conf_crs_crs_parameter_invalid(feature_city: FeatureCity, uri: str) -> None:
    for name in COLLECTIONS:
        for url in (f"/api/collections/{name}/items", f"/api/collections/{name}/items/{_first(feature_city, name)}"):
            answer = feature_city.get(url, query_string={"crs": uri})
            assert answer.status_code == 400
            assert "'crs'" in answer.get_json()["detail"] and CRS84 in answer.get_json()["detail"]


def test_conf_crs_crs_parameter_default(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        for url in (f"/api/collections/{name}/items", f"/api/collections/{name}/items/{_first(feature_city, name)}"):
            answer = feature_city.get(url)
            assert answer.headers["Content-Crs"] == f"<{CRS84}>"
            assert "Crs-Operation" not in answer.headers


@pytest.mark.parametrize("uri", KNOWN)
def test_conf_crs_crs_parameter_transform(feature_city: FeatureCity, uri: str) -> None:
    decimals = DECIMALS.get(uri, 4)
    for name in COLLECTIONS:
        frame = feature_city.frames[name]
        items = feature_city.walk(name, f"crs={uri}&limit=60")
        assert {item["id"] for item in items} == set(frame.index)
        for item, shape in zip(items, shapes(items, uri), strict=True):
            expected = moved(frame.geometry[item["id"]], uri)
            assert shapely.equals_exact(shape.normalize(), expected.normalize(), 1.001 * 10**-decimals)
        one = feature_city.get(f"/api/collections/{name}/items/{_first(feature_city, name)}?crs={uri}").get_json()
        same = next(item for item in items if item["id"] == one["id"])
        assert one["geometry"] == same["geometry"]
        text = json.dumps([item["geometry"] for item in items])
        assert not re.search(rf"\.[0-9]{{{decimals + 1},}}", text)


def test_the_storage_system_gives_back_what_is_stored(feature_city: FeatureCity) -> None:
    for name, uri in (("lots", EPSG(2283)), ("streets", EPSG(26918))):
        path = feature_city.catalog.collection(name).path / "features.parquet"
        table = pyarrow.parquet.read_table(path, columns=["geometry"])
        stored = shapely.from_wkb(table.column("geometry").to_pylist())
        items = feature_city.walk(name, f"crs={uri}&limit=500")
        for shape, expected in zip(shapes(items, uri), stored, strict=True):
            assert shapely.equals_exact(shape.normalize(), expected.normalize(), 1e-4)


@pytest.mark.filterwarnings("ignore:Best transformation is not available")
def test_the_operation_and_its_accuracy_are_named(feature_city: FeatureCity) -> None:
    for uri in KNOWN[1:]:
        answer = feature_city.get("/api/collections/lots/items", query_string={"crs": uri, "limit": 1})
        told = re.fullmatch(r'"([^"]+)";accuracy_m=([0-9.]+)', answer.headers["Crs-Operation"])
        assert told is not None
        name, accuracy = told.groups()
        change = pyproj.transformer.TransformerGroup(
            "OGC:CRS84", uri, always_xy=True,
            area_of_interest=pyproj.aoi.AreaOfInterest(*feature_city.frames["lots"].total_bounds),
            allow_ballpark=False,
        ).transformers[0]  # fmt: skip
        assert (name, float(accuracy)) == (change.description, change.accuracy)
        assert "allpark" not in name


def test_in_crs84_the_bytes_are_the_stored_ones(feature_city: FeatureCity) -> None:
    features = feature_city.catalog.collection("permits").features
    everything = ",".join(feature_city.frames["permits"].columns.drop("geometry"))
    for query in ("", f"crs={CRS84}", "precision=8", f"properties={everything}", "tolerance=0"):
        data = feature_city.get(f"/api/collections/permits/items?limit=240&{query}").data
        assert data.endswith(features.items(np.arange(240)) + b"\n]}\n")


def test_written_anew_they_are_the_same_bytes_too(feature_city: FeatureCity) -> None:
    """EPSG:4326 turned round is CRS84; a tolerance of nothing much leaves every corner of a square."""
    for name in ("lots", "streets"):
        stored = feature_city.walk(name, "limit=400")
        for query, turn in ((f"crs={EPSG(4326)}", True), ("tolerance=0.000001", False)):
            again = feature_city.walk(name, f"{query}&limit=400")
            for one, two in zip(stored, again, strict=True):
                if turn:
                    two = json.loads(re.sub(r"\[(-?[0-9.]+), (-?[0-9.]+)\]", r"[\2, \1]", json.dumps(two)))
                assert one == two


@pytest.mark.parametrize("uri", KNOWN)
def test_conf_crs_bbox_crs_parameter(feature_city: FeatureCity, uri: str) -> None:
    """The box is a rectangle in its own system; the oracle moves the geometry there, finely divided."""
    random = np.random.default_rng(11)
    for name in COLLECTIONS:
        frame = feature_city.frames[name]
        inside = {key: moved(shapely.segmentize(shape, 1e-4), uri) for key, shape in frame.geometry.items()}
        bounds = np.array([shape.bounds for shape in inside.values()])
        low, high = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
        for _ in range(8):
            x, y = np.sort(random.uniform(low[0], high[0], 2)), np.sort(random.uniform(low[1], high[1], 2))
            box = shapely.box(x[0], y[0], x[1], y[1])
            numbers = (y[0], x[0], y[1], x[1]) if uri in NORTH_FIRST else (x[0], y[0], x[1], y[1])
            query = f"bbox={','.join(repr(float(number)) for number in numbers)}&bbox-crs={uri}&limit=70"
            found = set(feature_city.ids(name, query))
            unit = 1e-8 if uri in DECIMALS else 1e-3
            surely = {key for key, shape in inside.items() if shapely.distance(shape, box.buffer(-unit)) == 0}
            maybe = {key for key, shape in inside.items() if shapely.distance(shape, box) <= unit}
            assert surely <= found <= maybe


@pytest.mark.parametrize("uri", ["", "EPSG:2283", EPSG(999999), EPSG(2924), "+proj=longlat", "x" * 5_000])
def test_conf_crs_bbox_crs_parameter_invalid(feature_city: FeatureCity, uri: str) -> None:
    for name in COLLECTIONS:
        query = {"bbox": "-77.1,38.7,-77,38.9", "bbox-crs": uri}
        answer = feature_city.get(f"/api/collections/{name}/items", query_string=query)
        assert answer.status_code == 400 and "'bbox-crs'" in answer.get_json()["detail"]


def test_conf_crs_bbox_crs_parameter_default(feature_city: FeatureCity) -> None:
    for name in COLLECTIONS:
        box = "bbox=-77.08,38.8,-77.05,38.84&limit=500"
        assert feature_city.ids(name, box) == feature_city.ids(name, f"{box}&bbox-crs={CRS84}")


def test_the_same_box_in_both_axis_orders_finds_the_same(feature_city: FeatureCity) -> None:
    straight = feature_city.ids("lots", "bbox=-77.058,38.803,-77.051,38.811&limit=500")
    turned = feature_city.ids("lots", f"bbox=38.803,-77.058,38.811,-77.051&bbox-crs={EPSG(4326)}&limit=500")
    assert straight == turned and len(straight) > 40


def test_feet_sent_as_degrees_are_refused_and_swapped_degrees_find_nothing(feature_city: FeatureCity) -> None:
    feet = feature_city.get("/api/collections/lots/items?bbox=11880000,6980000,11890000,6990000")
    assert feet.status_code == 400 and "bbox-crs" in feet.get_json()["detail"]
    # 38 degrees east and 77 south are on earth, if not in the city.
    assert feature_city.page("lots", "bbox=38.8,-77.06,38.82,-77.04")["numberMatched"] == 0


def test_a_box_beyond_the_system_is_refused_or_empty(feature_city: FeatureCity) -> None:
    for uri, box in (
        (EPSG(2283), "1e300,1e300,2e300,2e300"),
        (EPSG(26918), "-1e12,-1e12,1e12,1e12"),
        (EPSG(3857), "1e9,1e9,2e9,2e9"),
    ):
        answer = feature_city.get("/api/collections/lots/items", query_string={"bbox": box, "bbox-crs": uri})
        assert answer.status_code in (200, 400)
        if answer.status_code == 400:
            assert "'bbox'" in answer.get_json()["detail"]
        else:
            assert answer.get_json()["numberMatched"] in (0, 400)


def test_every_format_says_its_system(feature_city: FeatureCity) -> None:
    for form in ("json", "jsonfg", "geojsonseq", "csv", "fgb"):
        answer = feature_city.get(f"/api/collections/lots/items?f={form}&limit=2&crs={EPSG(2283)}")
        assert answer.status_code == 200
        assert answer.headers["Content-Crs"] == f"<{EPSG(2283)}>"
