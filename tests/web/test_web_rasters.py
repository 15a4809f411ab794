"""Raster tiles over HTTP: formats, sizes, grids, tags, parameters, documents, damage."""

from __future__ import annotations

import io
import json

import brotli
import mapbox_vector_tile
import numpy as np
import pytest
from PIL import Image
from web_city import City
from werkzeug.test import Client

from gisservice.tiles import matrix_set
from gisservice.tiles.grid import EXTENT
from gisservice.web import create_app, wsgi_app

MIDDLE = np.array([[-77.05, 38.81]])


def address(z: int, set_id: str = "WebMercatorQuad") -> tuple[int, int]:
    column, row = matrix_set(set_id).positions(MIDDLE, z)[0] / EXTENT
    return int(column), int(row)


X, Y = address(14)
TILE = f"/tiles/relief/14/{X}/{Y}"


def picture(data: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(data))
    found.load()
    return found


@pytest.mark.parametrize(("extension", "media"), [("png", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG")])
@pytest.mark.parametrize(("mark", "size"), [("", 256), ("@2x", 512)])
def test_a_tile_is_a_picture_of_its_format_and_size(client: Client, extension: str, media: str, mark: str, size: int):
    answer = client.get(f"{TILE}{mark}.{extension}")
    assert answer.status_code == 200
    found = picture(answer.data)
    assert (found.format, found.size) == (media, (size, size))
    assert answer.content_type == f"image/{media.lower()}"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert len(np.unique(np.asarray(found.convert("L")))) > 20


def test_the_tag_is_known_without_the_tile_and_the_pinned_address_never_changes(client: Client, city: City):
    first = client.get(f"{TILE}.png")
    again = client.get(f"{TILE}.png", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    version = city.catalog.collection("relief").version
    pinned = client.get(f"/tiles/relief/{version}/14/{X}/{Y}.png")
    assert pinned.data == first.data and "immutable" in pinned.headers["Cache-Control"]
    assert "max-age=10," in first.headers["Cache-Control"]
    head = client.head(f"{TILE}.png")
    assert (head.data, head.headers["Content-Length"]) == (b"", str(len(first.data)))
    tags = {
        client.get(url).headers["ETag"] for url in (f"{TILE}.png", f"{TILE}@2x.png", f"{TILE}.png?colormap=viridis")
    }
    assert len(tags) == 3


def test_empty_tiles_are_204_and_outside_is_404(client: Client):
    assert client.get("/tiles/relief/14/0/0.png").status_code == 204
    for url in (
        "/tiles/relief/11/0/0.png", "/tiles/relief/23/0/0.png", "/tiles/relief/14/99999/0.png",
        "/tiles/lots/14/0/0.png", "/tiles/nope/14/0/0.png", "/tiles/relief/v-0000000000000000/14/0/0.png",
        f"/tiles/relief/014/{X}/{Y}.png", f"/tiles/relief/14/{X}/{Y}@3x.png", f"/tiles/relief/14/{X}/{Y}.gif",
    ):  # fmt: skip
        assert client.get(url).status_code == 404, url


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("rendering=hillshade", "did you mean 'render'"),
        ("render=hillshed", "'hillshade' perhaps"),
        ("bands=2", "a band of this layer"),
        ("bands=1,1", "one band, or three"),
        ("bands=", "a band of this layer"),
        ("rescale=5,5", "two rising numbers"),
        ("rescale=0,nan", "two rising numbers"),
        ("rescale=1,2,3,4,5,6", "one pair of values"),
        ("colormap=virids", "'viridis' perhaps"),
        ("resampling=lanczos", "'nearest'"),
        ("azimuth=361", "a number from 0 to 360"),
        ("exaggeration=0", "a number from 0.01 to 100"),
        ("unit=cubit", "'metre'"),
        ("render=terrain-rgb&colormap=viridis", "none for heights as colours"),
        ("render=slope&render=aspect", "it only once"),
    ],
)
def test_what_a_raster_does_not_have_is_refused_with_what_it_has(client: Client, query: str, told: str):
    answer = client.get(f"{TILE}.png?{query}")
    assert answer.status_code == 400 and told in answer.get_json()["detail"]


def test_heights_as_jpeg_are_refused(client: Client):
    assert client.get(f"{TILE}.jpg?render=terrain-rgb").status_code == 400
    assert client.get(f"{TILE}.webp?render=terrain-rgb").status_code == 200


def test_rescale_and_ramps_are_applied(client: Client):
    plain = np.asarray(picture(client.get(f"{TILE}.png").data).convert("RGBA"))
    narrow = np.asarray(picture(client.get(f"{TILE}.png?rescale=0,45").data).convert("RGBA"))
    shown = (plain[..., 3] > 0) & (plain[..., 0] < 120)
    assert np.abs(narrow[shown][:, 0].astype(int) - 2 * plain[shown][:, 0].astype(int)).max() <= 2
    colours = np.asarray(picture(client.get(f"{TILE}.png?colormap=viridis").data).convert("RGBA"))
    assert (colours[..., 0] != colours[..., 1])[colours[..., 3] > 0].any()
    assert (colours[..., 3] == plain[..., 3]).all()


@pytest.mark.parametrize("set_id", ["WebMercatorQuad", "WorldCRS84Quad", "VirginiaNorthFeet"])
def test_map_tiles_are_offered_in_every_grid_and_described(client: Client, set_id: str):
    listed = client.get("/api/collections/relief/map/tiles").get_json()["tilesets"]
    assert {entry["dataType"] for entry in listed} == {"map"} and len(listed) == 3
    described = client.get(f"/api/collections/relief/map/tiles/{set_id}").get_json()
    limits = described["tileMatrixSetLimits"]
    one = limits[3]
    item = next(link for link in described["links"] if link["rel"] == "item" and link["type"] == "image/webp")
    url = item["href"].removeprefix("http://localhost")
    filled = url.format(tileMatrix=one["tileMatrix"], tileRow=one["minTileRow"], tileCol=one["minTileCol"])
    answer = client.get(filled)
    assert answer.status_code in (200, 204)
    grid = matrix_set(set_id)
    z = int(limits[2]["tileMatrix"])
    x, y = address(z, set_id)
    base = f"/api/collections/relief/map/tiles/{grid.id}/{z}/{y}/{x}"
    for accept, media in (
        ("image/png", "PNG"),
        ("image/jpeg", "JPEG"),
        ("image/webp,*/*;q=0.1", "WEBP"),
        ("*/*", "PNG"),
    ):
        found = client.get(base, headers={"Accept": accept})
        assert (found.status_code, picture(found.data).format) == (200, media)
    assert client.get(base, headers={"Accept": "text/plain"}).status_code == 406
    assert client.get(f"{base}?f=gif").status_code == 400
    assert client.get(f"/api/collections/relief/map/tiles/{grid.id}/{z}/0/0").status_code == 404
    assert client.get(f"/api/collections/lots/map/tiles/{grid.id}/{z}/{y}/{x}").status_code == 404


def test_tilejson_and_style_name_tiles_that_are_there(client: Client, city: City):
    document = client.get("/tiles/relief.json?render=terrain-rgb").get_json()
    assert (document["encoding"], document["format"], document["tileSize"]) == ("mapbox", "png", 256)
    url = document["tiles"][0].removeprefix("http://localhost").format(z=14, x=X, y=Y)
    assert client.get(url).status_code == 200 and "render=terrain-rgb" in url
    style = client.get("/tiles/relief/style.json").get_json()
    assert style["layers"] == [{"id": "relief", "type": "raster", "source": "relief", "paint": {"raster-opacity": 0.5}}]
    (source,) = style["sources"].values()
    assert source["type"] == "raster" and city.catalog.collection("relief").version in source["tiles"][0]
    assert client.get("/tiles/relief.json?filter=x").status_code == 400


def test_flask_and_the_fast_path_answer_alike(city: City):
    flask, fast = Client(create_app(city.settings)), Client(wsgi_app(city.settings))
    x, y = address(13, "WorldCRS84Quad")
    for url in (
        f"{TILE}.png", f"{TILE}@2x.webp", f"{TILE}.jpg?colormap=hot", f"{TILE}.png?render=slope", f"{TILE}.png?x=1",
        f"/api/collections/relief/map/tiles/WorldCRS84Quad/13/{y}/{x}",
    ):  # fmt: skip
        one, other = flask.get(url), fast.get(url)
        assert (one.status_code, one.data, one.headers["Content-Type"]) == (
            other.status_code, other.data, other.headers["Content-Type"],
        )  # fmt: skip


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 3], lambda data: bytes(4000) + data[4000:]])
def test_a_damaged_raster_takes_no_other_layer_with_it(own_city: City, damage):
    path = own_city.catalog.collection("relief").path / "raster.tif"
    client = Client(wsgi_app(own_city.settings))
    data = path.read_bytes()
    path.write_bytes(damage(data))
    for url in (
        f"{TILE}.png?colormap=hot", f"/tiles/relief/14/{X}/{Y}@2x.webp", f"/tiles/relief/contours/14/{X}/{Y}.mvt",
        f"/api/collections/relief/map/tiles/WebMercatorQuad/14/{Y}/{X}",
        "/api/collections/relief/position?coords=POINT(-77.0412 38.8015)",
    ):  # fmt: skip
        answer = client.get(url)
        assert answer.status_code == 503, url
        problem = answer.get_json()
        assert problem["type"] == "urn:gisservice:problem:layer-unavailable" and answer.headers["Retry-After"]
        assert "all other layers are served" in problem["detail"]
        assert str(own_city.settings.home) not in answer.get_data(as_text=True)
    for url in (
        f"/tiles/lots/14/{X}/{Y}.mvt", "/maps/city.png", "/api/collections", "/catalog.json", "/api/openapi.json",
        "/wmts/1.0.0/WMTSCapabilities.xml", "/",
    ):  # fmt: skip
        assert client.get(url).status_code == 200, url
    path.write_bytes(data)
    assert client.get(f"{TILE}.png?colormap=hot").status_code == 200, "the same process serves it again"


def test_a_raster_that_breaks_while_it_is_served_is_told_and_comes_back(own_city: City):
    client = Client(wsgi_app(own_city.settings))
    path = own_city.catalog.collection("relief").path / "raster.tif"
    data = path.read_bytes()
    assert client.get(f"{TILE}.png").status_code == 200
    path.write_bytes(data[:5000])
    broken = client.get(f"{TILE}.png?rescale=0,1")
    assert broken.status_code in (200, 503)  # its blocks may still be in memory
    path.write_bytes(data)
    assert client.get(f"{TILE}.png?rescale=0,2").status_code == 200
    assert json.loads(client.get("/healthz").data)["status"] in ("ok", "degraded")


def test_contours_are_vector_tiles_with_heights(client: Client, city: City):
    url = f"/tiles/relief/contours/14/{X}/{Y}.mvt"
    answer = client.get(url)
    assert answer.content_type == "application/vnd.mapbox-vector-tile"
    layer = mapbox_vector_tile.decode(answer.data)["contours"]
    assert {feature["properties"]["elevation"] for feature in layer["features"]} >= {10.0, 20.0, 30.0}
    packed = client.get(url, headers={"Accept-Encoding": "br"})
    assert packed.headers["Content-Encoding"] == "br" and brotli.decompress(packed.data) == answer.data
    assert client.get(url, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    document = client.get("/tiles/relief/contours.json?interval=20").get_json()
    pinned = client.get(document["tiles"][0].removeprefix("http://localhost").format(z=14, x=X, y=Y))
    heights = [f["properties"]["elevation"] for f in mapbox_vector_tile.decode(pinned.data)["contours"]["features"]]
    assert "immutable" in pinned.headers["Cache-Control"] and all(height % 20 == 0 for height in heights)
    assert client.get("/tiles/relief/contours/14/0/0.mvt").status_code == 204
    for wrong, status in (
        (f"{url}?interval=0", 400), (f"{url}?interval=0.01", 400), (f"{url}?x=1", 400),
        (f"/tiles/lots/contours/14/{X}/{Y}.mvt", 404), ("/tiles/relief/contours/9/1/1.mvt", 404),
    ):  # fmt: skip
        assert client.get(wrong).status_code == status, wrong
