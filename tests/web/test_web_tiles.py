"""Tiles over HTTP, each test on both paths: Flask's view and the fast path before it."""

from __future__ import annotations

import gzip
import json

import brotli
import mapbox_vector_tile
import pytest
from pmtiles.reader import MmapSource, Reader
from web_city import City
from werkzeug.test import Client

from gisservice.web import create_app, wsgi_app

MVT = "application/vnd.mapbox-vector-tile"
TILE = (14, 4685, 6272)
EMPTY = "/tiles/lots/14/0/0.mvt"
ENCODINGS = ("br", "gzip", "identity")


@pytest.fixture(scope="module")
def stored(city: City) -> tuple[str, tuple[int, int, int], bytes]:
    """The current version of the lots, the address of one of its tiles, and that tile as another reader finds it."""
    collection = city.catalog.collection("lots")
    with open(collection.path / "tiles.pmtiles", "rb") as file:
        reader = Reader(MmapSource(file))
        return collection.version, TILE, bytes(reader.get(*TILE))


@pytest.fixture(scope="module")
def url(stored: tuple[str, tuple[int, int, int], bytes]) -> str:
    _, (z, x, y), _ = stored
    return f"/tiles/lots/{z}/{x}/{y}.mvt"


def test_a_tile_is_sent_as_it_is_stored_to_those_who_take_gzip(client: Client, url: str, stored) -> None:
    answer = client.get(url, headers={"Accept-Encoding": "gzip, br;q=0.9"})
    assert (answer.status_code, answer.content_type, answer.headers["Content-Encoding"]) == (200, MVT, "gzip")
    assert answer.data == stored[2]
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(stored[2])


@pytest.mark.parametrize("accepted", ["br", "gzip, deflate, br, zstd", "br;q=0.8, gzip;q=0.8", "gzip;q=0, *;q=0.5"])
def test_brotli_is_sent_to_those_who_take_it_as_gladly(client: Client, url: str, stored, accepted: str) -> None:
    answer = client.get(url, headers={"Accept-Encoding": accepted})
    assert (answer.status_code, answer.content_type, answer.headers["Content-Encoding"]) == (200, MVT, "br")
    assert brotli.decompress(answer.data) == gzip.decompress(stored[2])
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(answer.data)


@pytest.mark.parametrize("accepted", [None, "identity", "gzip;q=0", "br;q=0", "deflate, zstd", "gzip;q=0.5, identity"])
def test_others_get_it_unpacked(client: Client, url: str, stored, accepted: str | None) -> None:
    answer = client.get(url, headers={"Accept-Encoding": accepted} if accepted else None)
    assert "Content-Encoding" not in answer.headers
    assert answer.data == gzip.decompress(stored[2])


def test_an_independent_decoder_reads_it(client: Client, url: str) -> None:
    layers = mapbox_vector_tile.decode(client.get(url).data)
    assert set(layers) == {"lots"}
    features = layers["lots"]["features"]
    assert features
    for feature in features:
        assert set(feature["properties"]) <= {"pid", "zoning", "area"}
        assert isinstance(feature["id"], int)


def test_both_endings_and_the_pinned_address_give_the_same_bytes(client: Client, url: str, stored) -> None:
    version, (z, x, y), _ = stored
    plain = client.get(url)
    for other in (
        url.replace(".mvt", ".pbf"),
        f"/tiles/lots/{version}/{z}/{x}/{y}.mvt",
        f"/tiles/lots/{version}/{z}/{x}/{y}.pbf",
    ):
        answer = client.get(other)
        assert answer.data == plain.data
        assert answer.headers["ETag"] == plain.headers["ETag"]


def test_current_addresses_are_asked_again_and_pinned_ones_kept(client: Client, url: str, stored) -> None:
    version, (z, x, y), _ = stored
    assert client.get(url).headers["Cache-Control"] == "public, max-age=10, must-revalidate"
    pinned = client.get(f"/tiles/lots/{version}/{z}/{x}/{y}.mvt")
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_each_encoding_has_a_strong_tag_of_its_own(client: Client, url: str) -> None:
    tags = [client.get(url, headers={"Accept-Encoding": encoding}).headers["ETag"] for encoding in ENCODINGS]
    assert len(set(tags)) == 3
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)
    other = url.replace("/14/", "/13/")
    assert client.get(other, headers={"Accept-Encoding": "gzip"}).headers.get("ETag") not in tags


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"other",W/{},"third"', "*"])
def test_what_the_caller_has_is_not_sent_again(client: Client, url: str, form: str, method: str) -> None:
    full = client.get(url, headers={"Accept-Encoding": "gzip"})
    tag = full.headers["ETag"]
    answer = client.open(
        url, method=method, headers={"Accept-Encoding": "gzip", "If-None-Match": form.replace("{}", tag)}
    )
    assert (answer.status_code, answer.data) == (304, b"")
    for name in ("ETag", "Vary", "Cache-Control"):
        assert answer.headers[name] == full.headers[name]
    assert "Content-Type" not in answer.headers


def test_the_tag_of_another_encoding_or_tile_does_not_match(client: Client, url: str) -> None:
    plain = client.get(url).headers["ETag"]
    answer = client.get(url, headers={"Accept-Encoding": "gzip", "If-None-Match": plain})
    assert answer.status_code == 200
    assert client.get(url, headers={"If-None-Match": '"v-0000000000000000.14.0.0"'}).status_code == 200


def test_304_is_decided_before_the_archive_is_asked(city: City, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gisservice.tiles import Archive

    client = Client(wsgi_app(city.settings))
    tag = client.get(url).headers["ETag"]
    monkeypatch.setattr(Archive, "get", lambda *_: pytest.fail("the tile was read"))
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_head_has_the_headers_of_get(client: Client, url: str, encoding: str) -> None:
    for address in (url, EMPTY, "/tiles/lots/1/0/0.mvt"):
        got = client.get(address, headers={"Accept-Encoding": encoding})
        head = client.head(address, headers={"Accept-Encoding": encoding})
        assert head.status_code == got.status_code
        assert head.data == b""
        assert dict(head.headers) == dict(got.headers)


def test_an_empty_tile_inside_the_limits_is_204(client: Client) -> None:
    for address in (EMPTY, "/tiles/lots/12/4095/4095.mvt", "/tiles/places/13/1/1.pbf"):
        answer = client.get(address)
        assert (answer.status_code, answer.data) == (204, b"")
        assert "Content-Type" not in answer.headers
        assert "Content-Length" not in answer.headers
        assert answer.headers["ETag"]


OUTSIDE = [
    "/tiles/lots/-1/0/0.mvt", "/tiles/lots/1.5/0/0.mvt", "/tiles/lots/99/0/0.mvt", "/tiles/lots/1_0/0/0.mvt",
    "/tiles/lots/٣/0/0.mvt", "/tiles/lots/%D9%A3/0/0.mvt", "/tiles/lots/+14/0/0.mvt", "/tiles/lots/%2B14/0/0.mvt",
    "/tiles/lots/" + "1" * 400 + "/0/0.mvt", "/tiles/lots/14/" + "1" * 400 + "/0.mvt", "/tiles/lots/014/0/0.mvt",
    "/tiles/lots/14/00/0.mvt", "/tiles/lots/ 14/0/0.mvt", "/tiles/lots/0x1/0/0.mvt", "/tiles/lots/１４/0/0.mvt",
    "/tiles/lots/14/16384/0.mvt", "/tiles/lots/14/0/16384.mvt", "/tiles/lots/12/4096/0.mvt", "/tiles/lots/0/1/0.mvt",
    "/tiles/lots/11/0/0.mvt", "/tiles/lots/23/0/0.mvt", "/tiles/lots/31/0/0.mvt", "/tiles/lots/14/-1/0.mvt",
    "/tiles/lots/14/0/0.PBF", "/tiles/lots/14/0/0.pbf%00.png", "/tiles/lots/14/0/0.pbf.gz", "/tiles/lots/14/0/0@2x.mvt",
    "/tiles/lots/14/0/0.png", "/tiles/lots/14/0/0", "/tiles/lots/14/0/0.mvt/", "/tiles/lots/14/0//0.mvt",
    "/tiles/nope/14/0/0.mvt", "/tiles/LOTS/14/0/0.mvt", "/tiles/relief/14/0/0.mvt", "/tiles//14/0/0.mvt",
    "/tiles/lots/v-0000000000000000/14/0/0.mvt", "/tiles/lots/V-0000000000000000/14/0/0.mvt",
    "/tiles/lots/v-%2e%2e/14/0/0.mvt", "/tiles/..%2flots/14/0/0.mvt", "/tiles/lots%00/14/0/0.mvt",
    "/tiles/%ff/14/0/0.mvt",
]  # fmt: skip


OGC = "/api/collections/lots/tiles"
ELSEWHERE = [
    "/tiles/lots,places/14/4684/6273.mvt", "/tiles/lots,nope/14/4684/6273.mvt", "/tiles/lots,lots/14/4684/6273.mvt",
    "/tiles/lots,/14/4684/6273.mvt", "/tiles/,/14/4684/6273.mvt", "/tiles/lots/14/4685/6272.mvt?filter=zoning='RB'",
    "/tiles/lots/14/4685/6272.mvt?filter=zoning=", "/tiles/lots/17/37484/50182.mvt",
    "/tiles/lots,places/x,y/14/1/1.mvt", f"{OGC}/WebMercatorQuad/14/6272/4685", f"{OGC}/WebMercatorQuad/14/0/0",
    f"{OGC}/WebMercatorQuad/14/6272/4685?f=mvt", f"{OGC}/WebMercatorQuad/14/6272/4685?f=png",
    f"{OGC}/nope/14/6272/4685", f"{OGC}/WebMercatorQuad/14/6272/4685.mvt", f"{OGC}/VirginiaNorthFeet/8/60/213",
    f"{OGC}/WebMercatorQuad/1_4/6272/4685", f"{OGC}/WebMercatorQuad/14/06272/4685",
    f"{OGC}/WebMercatorQuad/" + "1" * 400 + "/0/0", "/api/collections/nope/tiles/WebMercatorQuad/1/0/0",
    "/api/collections/relief/tiles/WebMercatorQuad/1/0/0",
]  # fmt: skip


@pytest.mark.parametrize("address", OUTSIDE)
def test_outside_the_grid_the_zooms_and_the_collections_is_404(client: Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_tiles_have_no_other_parameters(client: Client, url: str) -> None:
    for query in ("cb=1", "width=1000000", "%ff=1", "v", "limit=5", "collections=lots", "f=mvt", "tms=x"):
        answer = client.get(f"{url}?{query}")
        assert answer.status_code == 400
    detail = client.get(f"{url}?cb=1").get_json()["detail"]
    assert "valid here: filter, filter-crs, filter-lang, properties" in detail


def test_both_paths_give_the_same_answer_to_every_request(city: City, url: str) -> None:
    flask, fast = Client(create_app(city.settings)), Client(wsgi_app(city.settings))
    headers = [
        {},
        {"Accept-Encoding": "gzip"},
        {"If-None-Match": "*"},
        {"Host": "evil.example"},
        {"Accept": "text/html"},
    ]
    for address in (url, EMPTY, f"{url}?x=1", *OUTSIDE, *ELSEWHERE):
        for given in headers:
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                one = flask.open(address, method=method, headers=given)
                two = fast.open(address, method=method, headers=given)
                assert (one.status_code, one.data, sorted(one.headers)) == (
                    two.status_code,
                    two.data,
                    sorted(two.headers),
                )


def test_tilejson_points_at_the_tiles_of_one_version(client: Client, city: City, url: str) -> None:
    answer = client.get("/tiles/lots.json")
    document = answer.get_json()
    version = city.catalog.collection("lots").version
    assert document["tilejson"] == "3.0.0"
    assert document["tiles"] == [f"http://localhost/tiles/lots/{version}/{{z}}/{{x}}/{{y}}.mvt"]
    assert (document["minzoom"], document["maxzoom"]) == (12, 14)
    assert document["bounds"] == pytest.approx(city.catalog.collection("lots").manifest.extent.bbox, abs=1e-6)
    assert document["attribution"] == "The city"
    (layer,) = document["vector_layers"]
    assert layer["id"] == "lots"
    assert set(layer["fields"]) >= {"pid", "zoning", "area"}
    z, x, y = url.removesuffix(".mvt").split("/")[-3:]
    address = document["tiles"][0].replace("{z}", z).replace("{x}", x).replace("{y}", y)
    assert client.get(address.removeprefix("http://localhost")).data == client.get(url).data
    assert json.loads(answer.data) == document


def test_a_raster_has_no_vector_tiles(client: Client) -> None:
    assert client.get("/tiles/lots,relief.json").status_code == 404
