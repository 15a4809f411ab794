"""Values of a raster at places, as rasterio samples them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.warp
from web_city import City
from werkzeug.test import Client

URL = "/api/collections/relief/position"


def test_values_are_those_that_rasterio_samples(client: Client, city: City):
    places = np.random.default_rng(1).uniform((-77.059, 38.801), (-77.041, 38.819), (40, 2))
    coords = "MULTIPOINT(" + ",".join(f"({x:.7f} {y:.7f})" for x, y in places) + ")"
    document = client.get(URL, query_string={"coords": coords}).get_json()
    found = [feature["properties"]["band_1"] for feature in document["features"]]
    with rasterio.open(city.catalog.collection("relief").path / "raster.tif") as file:
        x, y = rasterio.warp.transform("OGC:CRS84", file.crs, *np.round(places, 7).T)
        truth = [value[0] for value in file.sample(zip(x, y, strict=True))]
    assert found == pytest.approx(truth, abs=1e-4)
    assert document["numberReturned"] == 40 and document["units"] == {"band_1": "metre"}
    assert document["features"][0]["geometry"]["coordinates"] == pytest.approx(places[0], abs=1e-7)


def test_a_place_outside_has_no_value(client: Client):
    for coords in ("POINT(-70 38)", "POINT(200 95)", "POINT(-77.2 38.81)"):
        (feature,) = client.get(URL, query_string={"coords": coords}).get_json()["features"]
        assert feature["properties"] == {"band_1": None}


def test_another_system_and_the_tag(client: Client):
    lonlat = client.get(URL, query_string={"coords": "POINT(-77.05 38.81)"})
    x, y = rasterio.warp.transform("OGC:CRS84", "EPSG:2283", [-77.05], [38.81])
    feet = client.get(URL, query_string={"coords": f"POINT({x[0]} {y[0]})", "crs": "EPSG:2283"}).get_json()
    assert feet["features"][0]["properties"] == lonlat.get_json()["features"][0]["properties"]
    assert client.get(
        URL, query_string={"coords": "POINT(-77.05 38.81)"}, headers={"If-None-Match": lonlat.headers["ETag"]}
    ).status_code == 304  # fmt: skip


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400), ("coords=", 400), ("coords=POINT(1)", 400), ("coords=POINT(nan%201)", 400), ("coords=1,2", 400),
        ("coords=MULTIPOINT((1%202),(3))", 400), ("coords=POINT(1%202)&z=1", 400), ("coords=POINT(1%202)&crs=x", 400),
        ("coords=POINT(1%202)&parameter-name=red", 400), ("coords=MULTIPOINT(" + ",".join(["1%202"] * 1001) + ")", 400),
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused(client: Client, query: str, status: int):
    assert client.get(f"{URL}?{query}").status_code == status


def test_only_rasters_have_values_at_places(client: Client):
    assert client.get("/api/collections/lots/position?coords=POINT(1%202)").status_code == 404
