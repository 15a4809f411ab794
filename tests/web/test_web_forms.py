"""How items are written: chosen properties, no geometry, decimals, simplification, hits, every format."""

from __future__ import annotations

import json
import re
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from feature_city import FeatureCity
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COLLECTIONS = ("permits", "streets", "lots")
PERMIT = ("number", "state", "fee", "height", "paid", "filed", "seen", "note")
FEET = "http://www.opengis.net/def/crs/EPSG/0/2283"


def items(city: FeatureCity, name: str, query: str = "") -> list[dict[str, Any]]:
    return city.page(name, f"limit=1000&{query}")["features"]


def shape(item: dict[str, Any]) -> shapely.Geometry:
    return shapely.from_geojson(json.dumps(item["geometry"]))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PERMIT), min_size=1, unique=True))
def test_chosen_properties_are_written_as_in_the_stored_items(feature_city: FeatureCity, names: list[str]) -> None:
    stored = items(feature_city, "permits")
    chosen = items(feature_city, "permits", f"properties={','.join(names)}")
    order = [name for name in stored[0]["properties"] if name in names]
    for one, two in zip(stored, chosen, strict=True):
        assert {**one, "properties": {name: one["properties"][name] for name in order}} == two
        assert list(two["properties"]) == order


@pytest.mark.parametrize("name", COLLECTIONS)
def test_without_geometry(feature_city: FeatureCity, name: str) -> None:
    stored = items(feature_city, name)
    assert items(feature_city, name, "skipGeometry=true") == [{**item, "geometry": None} for item in stored]
    assert items(feature_city, name, "skipGeometry=false") == stored


@pytest.mark.parametrize("decimals", [0, 1, 3, 5, 8, 10])
def test_decimals(feature_city: FeatureCity, decimals: int) -> None:
    data = feature_city.get(f"/api/collections/streets/items?precision={decimals}&properties=name").text
    places = re.findall(r"\.([0-9]+)", re.sub(r'"properties":\{[^}]*\}', "", data.partition('"features"')[2]))
    assert max(map(len, places)) <= max(decimals, 1)
    frame = feature_city.frames["streets"]
    for item in items(feature_city, "streets", f"precision={decimals}"):
        expected = shapely.get_coordinates(frame.geometry[item["id"]])
        assert np.abs(shapely.get_coordinates(shape(item)) - expected).max() <= 0.5000001 * 10.0**-decimals


def test_the_same_question_has_the_same_bytes(feature_city: FeatureCity) -> None:
    for query in (f"crs={FEET}", "tolerance=5", "precision=3", "properties=name", "f=csv", "f=jsonfg", "f=geojsonseq"):
        one, two = (feature_city.client.get(f"/api/collections/streets/items?{query}&limit=30").data for _ in range(2))
        feature_city.client.application._service.pages._kept.clear()
        assert one == two == feature_city.client.get(f"/api/collections/streets/items?{query}&limit=30").data


@pytest.mark.parametrize("tolerance", [0.5, 20.0, 300.0, 2_000.0])
def test_no_line_moves_further_than_the_tolerance_in_metres(feature_city: FeatureCity, tolerance: float) -> None:
    """Measured on the ellipsoid by pyproj, from points along the true line to the simplified one."""
    frame = feature_city.frames["streets"]
    left_out = 0
    for item in items(feature_city, "streets", f"tolerance={tolerance}"):
        true, found = frame.geometry[item["id"]], shape(item)
        left_out += shapely.get_num_coordinates(true) - shapely.get_num_coordinates(found)
        kept = {tuple(position) for position in np.round(shapely.get_coordinates(true), 8).tolist()}
        assert {tuple(position) for position in shapely.get_coordinates(found).tolist()} <= kept
        azimuthal = pyproj.Proj(proj="aeqd", lon_0=true.centroid.x, lat_0=true.centroid.y, datum="WGS84")
        flat = [_flat(line, azimuthal) for line in shapely.segmentize([true, found], 1e-4)]
        shapely.prepare(flat[1])
        along = shapely.points(shapely.get_coordinates(flat[0]))
        assert shapely.dwithin(flat[1], along, tolerance * 1.001 + 0.01).all()
    assert (left_out > 0) == (tolerance > 100)


def _flat(line: shapely.Geometry, projection: pyproj.Proj) -> shapely.Geometry:
    return shapely.transform(line, lambda xy: np.column_stack(projection(xy[:, 0], xy[:, 1])))


def test_simplified_polygons_stay_valid_and_closed(feature_city: FeatureCity) -> None:
    for item in items(feature_city, "lots", "tolerance=30"):
        found = shape(item)
        assert found.is_valid and found.geom_type == "Polygon" and len(found.exterior.coords) >= 4
    assert items(feature_city, "permits", "tolerance=1000") == items(feature_city, "permits")


def test_a_tolerance_goes_with_every_system(feature_city: FeatureCity) -> None:
    plain = items(feature_city, "streets", "tolerance=300")
    feet = items(feature_city, "streets", f"tolerance=300&crs={FEET}")
    counts = [[shapely.get_num_coordinates(shape(item)) for item in found] for found in (plain, feet)]
    assert counts[0] == counts[1]


def test_hits_are_numbers_alone(feature_city: FeatureCity) -> None:
    for query, expected in (("", 240), ("state=open&", None), ("limit=5&", 240)):
        document = feature_city.page("permits", f"{query}resulttype=hits")
        assert document["features"] == [] and document["numberReturned"] == 0
        matched = len(items(feature_city, "permits", query)) if expected is None else expected
        assert document["numberMatched"] == matched
        assert not [link for link in document["links"] if link["rel"] in ("next", "prev")]
    assert feature_city.page("permits", "resulttype=results&limit=3")["numberReturned"] == 3


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize(
    "query",
    ["", "sortby=-{}&limit=9", f"crs={FEET}", "tolerance=100", "skipGeometry=true", "bbox=-77.08,38.8,-77.05,38.83"],
)
def test_every_format_has_the_same_items(feature_city: FeatureCity, name: str, query: str) -> None:
    query = query.format({"permits": "note", "streets": "name", "lots": "area"}[name])
    url = f"/api/collections/{name}/items?{query}"
    plain = feature_city.get(url).get_json()
    ids = [item["id"] for item in plain["features"]]
    sequence = feature_city.get(f"{url}&f=geojsonseq")
    assert [json.loads(text) for text in sequence.data.split(b"\x1e") if text] == plain["features"]
    foreground = feature_city.get(f"{url}&f=jsonfg").get_json()
    assert [item["id"] for item in foreground["features"]] == ids
    assert foreground["numberMatched"] == plain["numberMatched"]
    lines = feature_city.get(f"{url}&f=csv").text.splitlines()
    assert len(lines) >= len(ids) + 1  # a value may hold a line feed
    if "skipGeometry" not in query:
        frame = pyogrio.read_dataframe(feature_city.get(f"{url}&f=fgb").data)
        assert isinstance(frame, geopandas.GeoDataFrame) and len(frame) == len(ids)
    for form in ("geojsonseq", "jsonfg", "csv", "fgb"):
        answer = feature_city.get(f"{url}&f={form}")
        assert ('rel="next"' in answer.headers["Link"]) == ("next" in {link["rel"] for link in plain["links"]})
        assert feature_city.get(f"{url}&f={form}", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_formats_by_accept_and_by_name(feature_city: FeatureCity) -> None:
    url = "/api/collections/lots/items?limit=2"
    for accept, media in {
        "text/csv": "text/csv; charset=utf-8; header=present",
        "application/flatgeobuf": "application/flatgeobuf",
        "application/geo+json-seq": "application/geo+json-seq",
        "application/fg+json": "application/geo+json",
        "application/json": "application/json",
        "text/html;q=0.1,*/*": "application/geo+json",
        "text/html,*/*;q=0.1": "text/html; charset=utf-8",
    }.items():
        answer = feature_city.get(url, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, media)
        assert "Accept" in answer.headers["Vary"]
    assert feature_city.get(url, headers={"Accept": "image/png"}).status_code == 406
    assert feature_city.get(f"{url}&f=csv", headers={"Accept": "image/png"}).status_code == 200
    assert feature_city.get(f"{url}&f=shp").status_code == 400
    assert 'filename="lots.csv"' in feature_city.get(f"{url}&f=csv").headers["Content-Disposition"]


def test_one_item_in_every_form(feature_city: FeatureCity) -> None:
    url = "/api/collections/streets/items/Street%203"
    plain = feature_city.get(url).get_json()
    assert feature_city.get(f"{url}?properties=class&skipGeometry=true").get_json()["properties"] == {"class": "b"}
    feet = feature_city.get(f"{url}?crs={FEET}&precision=1").get_json()
    assert feet["properties"] == plain["properties"] and feet["geometry"] != plain["geometry"]
    foreground = feature_city.get(f"{url}?f=jsonfg&crs={FEET}").get_json()
    assert foreground["geometry"] == plain["geometry"] and foreground["coordRefSys"] == FEET
    for query in ("limit=1", "bbox=1,2,3,4", "f=csv", "sortby=name", "token=x", "filter=true"):
        assert feature_city.get(f"{url}?{query}").status_code == 400
    simple = feature_city.get(f"{url}?tolerance=5000").get_json()
    assert len(json.dumps(simple["geometry"])) < len(json.dumps(plain["geometry"]))
