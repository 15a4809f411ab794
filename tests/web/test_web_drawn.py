"""Tiles that are drawn on request: of several layers, filtered, with some properties, past the pyramid."""

from __future__ import annotations

import gzip
import threading
from dataclasses import replace
from typing import Any

import brotli
import mapbox_vector_tile
import pytest
from web_city import City, build_city, lots_frame, publish
from werkzeug.test import Client, TestResponse

from gisservice.web import create_app, drawing, service, wsgi_app
from gisservice.web.service import DRAWINGS_MAX, DRAWN_AT_ONCE
from gisservice.web.tally import Tally

MVT = "application/vnd.mapbox-vector-tile"
TILE = "14/4685/6272"
CORNER = "14/4684/6273"
"""Shows lots and places."""
FILTERED = f"/tiles/lots/{TILE}.mvt?filter=zoning='RB'"
DRAWN = [
    FILTERED,
    f"/tiles/lots/{TILE}.mvt?properties=zoning",
    f"/tiles/lots,places/{CORNER}.mvt",
    f"/tiles/lots,places/{CORNER}.mvt?filter=area<10&properties=lots.pid,places.area",
    "/tiles/lots/17/37482/50181.mvt",
    "/api/collections/lots/tiles/VirginiaNorthFeet/8/60/213",
    "/api/tiles/WebMercatorQuad/14/6273/4684",
]


def decode(answer: TestResponse) -> dict[str, Any]:
    assert (answer.status_code, answer.content_type) == (200, MVT), answer.data
    return mapbox_vector_tile.decode(answer.data)


def features(answer: TestResponse, layer: str = "lots") -> list[dict[str, Any]]:
    return decode(answer)[layer]["features"]


@pytest.fixture(scope="module")
def frame() -> dict[str, dict[str, Any]]:
    lots = lots_frame()
    zones = [zone if isinstance(zone, str) else None for zone in lots["zoning"]]
    return {
        pid: {"zoning": zone, "area": area} for pid, zone, area in zip(lots["pid"], zones, lots["area"], strict=True)
    }


# Several layers in one tile


def test_a_composite_is_its_layers_end_to_end(client: Client) -> None:
    lots, places = (client.get(f"/tiles/{name}/{CORNER}.mvt").data for name in ("lots", "places"))
    assert lots and places
    assert client.get(f"/tiles/lots,places/{CORNER}.mvt").data == lots + places
    assert client.get(f"/tiles/places,lots/{CORNER}.pbf").data == places + lots
    assert list(decode(client.get(f"/tiles/places,lots/{CORNER}.mvt"))) == ["places", "lots"]


def test_a_layer_that_shows_nothing_is_left_out_and_a_tile_of_none_is_empty(client: Client) -> None:
    assert list(decode(client.get(f"/tiles/lots,places/{TILE}.mvt"))) == ["lots"]
    answer = client.get("/tiles/lots,places/14/0/0.mvt")
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Encoding" not in answer.headers


def test_pinned_composites_name_a_version_each_and_are_kept_for_ever(client: Client, city: City) -> None:
    document = client.get("/tiles/lots,places.json").get_json()
    versions = ",".join(city.catalog.collection(name).version for name in ("lots", "places"))
    assert document["tiles"] == [f"http://localhost/tiles/lots,places/{versions}/{{z}}/{{x}}/{{y}}.mvt"]
    current = client.get(f"/tiles/lots,places/{CORNER}.mvt")
    pinned = client.get(f"/tiles/lots,places/{versions}/{CORNER}.mvt")
    assert pinned.data == current.data
    assert pinned.headers["ETag"] == current.headers["ETag"]
    assert current.headers["Cache-Control"] == "public, max-age=10, must-revalidate"
    assert pinned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for wrong in (versions.split(",")[0], f"{versions},{versions}", "v-0000000000000000,v-0000000000000000"):
        assert client.get(f"/tiles/lots,places/{wrong}/{CORNER}.mvt").status_code == 404


@pytest.mark.parametrize(
    ("ids", "status", "said"),
    [
        ("lots,lots", 400, "each collection once"),
        ("lots,nope", 404, "nope"),
        ("lots,relief", 404, "no vector tiles"),
        ("lots,", 404, ""),
        (",".join(f"l{number}" for number in range(51)), 400, "over the limit of 50 layers"),
        (",".join(["lots"] * 1000), 400, "over the limit of 50 layers"),
    ],
)
def test_composites_that_cannot_be(client: Client, ids: str, status: int, said: str) -> None:
    for address in (
        f"/tiles/{ids}/{CORNER}.mvt",
        f"/tiles/{ids}.json",
        f"/api/tiles/WebMercatorQuad?collections={ids}",
    ):
        answer = client.get(address)
        assert answer.status_code == status
        assert said in answer.get_json()["detail"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_tag_of_a_composite_follows_every_version(own_city: City) -> None:
    client = Client(wsgi_app(own_city.settings))
    address = f"/tiles/lots,places/{CORNER}.mvt"
    before = client.get(address)
    publish(own_city.catalog, lots_frame(390), "lots")
    after = client.get(address, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]


# Filters


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("filter=zoning='RB'", lambda lot: lot["zoning"] == "RB"),
        ("filter=zoning%20%3D%20%27RB%27&filter-lang=cql2-text", lambda lot: lot["zoning"] == "RB"),
        (
            "filter-lang=cql2-json&filter=%7B%22op%22:%22%3D%22,%22args%22:[%7B%22property%22:%22zoning%22%7D,%22RB%22]%7D",
            lambda lot: lot["zoning"] == "RB",
        ),
        ("filter=area<300 AND zoning IS NULL", lambda lot: lot["area"] < 300 and lot["zoning"] is None),
        ("filter=area BETWEEN 300 AND 320", lambda lot: 300 <= lot["area"] <= 320),
        ("filter=pid LIKE '3%25'", lambda lot: lot["area"] >= 300),
    ],
)
def test_a_filter_shows_the_features_that_it_holds_for(client: Client, frame, query: str, wanted) -> None:
    everything = {feature["properties"]["pid"] for feature in features(client.get(f"/tiles/lots/{TILE}.mvt"))}
    shown = {feature["properties"]["pid"] for feature in features(client.get(f"/tiles/lots/{TILE}.mvt?{query}"))}
    assert shown
    assert shown == {pid for pid in everything if wanted(frame[pid])}


def test_a_filter_by_place_in_the_states_own_feet(client: Client) -> None:
    box = "S_INTERSECTS(geometry,BBOX(11889000,6975000,11891000,6977000))"
    crs = "http://www.opengis.net/def/crs/EPSG/0/2283"
    near = client.get(f"/tiles/lots/12/1171/1568.mvt?filter={box}&filter-crs={crs}")
    degrees = client.get(f"/tiles/lots/12/1171/1568.mvt?filter={box}")
    assert near.status_code in (200, 204)
    assert degrees.status_code in (204, 400)


def test_a_filter_holds_for_every_layer_of_a_composite(client: Client) -> None:
    shown = decode(client.get(f"/tiles/lots,places/{CORNER}.mvt?filter=area<10"))
    assert set(shown) == {"lots", "places"}
    for layer in shown.values():
        assert all(feature["properties"]["area"] < 10 for feature in layer["features"])


def test_what_a_filter_leaves_nothing_of_is_empty(client: Client) -> None:
    answer = client.get(f"/tiles/lots/{TILE}.mvt?filter=area<0")
    assert (answer.status_code, answer.data) == (204, b"")


@pytest.mark.parametrize(
    "query",
    [
        "filter=", "filter=zoning", "filter=zoning=", "filter=zonin='RB'", "filter=zoning='RB", "filter=1",
        "filter=((((", "filter=DROP TABLE lots", "filter=area<NaN", "filter=area<'x'", "filter=%00",
        "filter=S_INTERSECTS(geometry,1)", "filter-lang=cql2-json&filter=zoning='RB'",
        "filter-lang=cql2-json&filter=[]", "filter-lang=cql2-json&filter={}", "filter-lang=sql", "filter-lang=",
        "filter-crs=EPSG:999999", "filter-crs=", "filter-crs=../../etc/passwd", "filter-crs=%2Bproj%3Dlonglat",
        "filter=area<1&filter=area<1", "filter=" + "(" * 4000, "filter=" + "NOT " * 2000 + "1=1",
        "filter=" + "1=1 OR " * 1000 + "1=1", "filter=" + "x" * 10_000, "properties=nope", "properties=pid,nope",
        "properties=pid,pid", "properties=pid,,area", "properties=lots.pid", "properties=PID",
        "properties=" + "pid," * 1000, "properties=__proto__", "properties=%00", "properties=" + "x" * 8000,
        "propertys=pid", "filter_lang=cql2-text",
    ],
)  # fmt: skip
def test_bad_questions_are_refused_before_anything_is_drawn(
    client: Client, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(drawing, "draw_tile", lambda *_: pytest.fail("a tile was drawn"))
    for address in (
        f"/tiles/lots/{TILE}.mvt",
        "/tiles/lots.json",
        "/api/collections/lots/tiles/WebMercatorQuad/14/1/1",
    ):
        answer = client.get(f"{address}?{query}")
        assert answer.status_code in (400, 404) if address.endswith("/1/1") else answer.status_code == 400
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.data) < 1500
        assert "Traceback" not in answer.text and ".py" not in answer.text


def test_an_unknown_property_names_the_nearest(client: Client) -> None:
    assert "zoning" in client.get(f"/tiles/lots/{TILE}.mvt?filter=zonin='RB'").get_json()["detail"]
    assert "'zoning'" in client.get(f"/tiles/lots/{TILE}.mvt?properties=zonin").get_json()["detail"]


# Properties


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("zoning", {"zoning"}),
        ("area,pid", {"pid", "area"}),
        ("", set()),
        ("pid,zoning,area", {"pid", "zoning", "area"}),
    ],
)
def test_features_carry_the_chosen_properties(client: Client, chosen: str, names: set[str]) -> None:
    plain = features(client.get(f"/tiles/lots/{TILE}.mvt"))
    shown = features(client.get(f"/tiles/lots/{TILE}.mvt?properties={chosen}"))
    assert {feature["id"] for feature in shown} == {feature["id"] for feature in plain}
    assert {name for feature in shown for name in feature["properties"]} == names


def test_in_a_composite_each_property_is_written_with_its_layer(client: Client) -> None:
    shown = decode(client.get(f"/tiles/lots,places/{CORNER}.mvt?properties=lots.pid,lots.area"))
    carried = {name: {key for f in layer["features"] for key in f["properties"]} for name, layer in shown.items()}
    assert carried == {"lots": {"pid", "area"}, "places": set()}
    for wrong in ("pid", "lots.nope", "nope.pid", "lots.", ".pid"):
        answer = client.get(f"/tiles/lots,places/{CORNER}.mvt?properties={wrong}")
        assert answer.status_code == 400


# Zooms and grids


def test_past_the_pyramid_every_zoom_is_drawn_to_the_last(client: Client) -> None:
    tile = (14, 4685, 6272)
    for zoom in range(15, 23):
        z, x, y = zoom, tile[1] << (zoom - 14), tile[2] << (zoom - 14)
        answer = client.get(f"/tiles/lots/{z}/{x}/{y}.mvt")
        assert answer.status_code in (200, 204)
        assert answer.headers["Cache-Control"] == "public, max-age=10, must-revalidate"
    assert client.get(f"/tiles/lots/23/{tile[1] << 9}/{tile[2] << 9}.mvt").status_code == 404
    detail = client.get("/tiles/lots/11/585/784.mvt").get_json()["detail"]
    assert "zoom 12" in detail


def test_a_tile_in_the_states_own_feet(client: Client) -> None:
    answer = client.get("/api/collections/lots/tiles/VirginiaNorthFeet")
    spans = {entry["tileMatrix"]: entry for entry in answer.get_json()["tileMatrixSetLimits"]}
    span = spans["8"]
    address = f"/api/collections/lots/tiles/VirginiaNorthFeet/8/{span['minTileRow']}/{span['minTileCol']}"
    assert features(client.get(address))
    assert client.get(address.replace("/8/", "/8.0/")).status_code == 404


# Encodings, tags and the cache


@pytest.mark.parametrize("address", DRAWN)
def test_every_coding_unpacks_to_the_same_bytes_under_a_tag_of_its_own(client: Client, address: str) -> None:
    answers = {
        coding: client.get(address, headers={"Accept-Encoding": coding}) for coding in ("br", "gzip", "identity")
    }
    plain = answers["identity"]
    assert features(plain)
    assert brotli.decompress(answers["br"].data) == gzip.decompress(answers["gzip"].data) == plain.data
    assert "Content-Encoding" not in plain.headers
    assert len({answer.headers["ETag"] for answer in answers.values()}) == 3
    for coding, answer in answers.items():
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert answer.headers.get("Content-Encoding", "identity") == coding
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        head = client.head(address, headers={"Accept-Encoding": coding})
        assert dict(head.headers) == dict(answer.headers)
        again = client.get(address, headers={"Accept-Encoding": coding, "If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        for name in ("ETag", "Vary", "Cache-Control"):
            assert again.headers[name] == answer.headers[name]


def test_the_tag_is_known_before_anything_is_drawn(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = Client(wsgi_app(city.settings)).get(FILTERED).headers["ETag"]
    monkeypatch.setattr(drawing.Drawing, "draw", lambda *_: pytest.fail("a tile was drawn"))
    answer = Client(wsgi_app(city.settings)).get(FILTERED, headers={"If-None-Match": tag})
    assert answer.status_code == 304


def test_the_same_question_in_other_words_has_the_same_tag_and_another_has_not(client: Client) -> None:
    def tag(query: str) -> str:
        return client.get(f"/tiles/lots/{TILE}.mvt?{query}").headers["ETag"]

    assert tag("filter=zoning='RB'") == tag("filter=zoning  =  'RB'&filter-lang=cql2-text")
    assert tag("properties=pid,area") == tag("properties=area,pid")
    others = [
        "filter=zoning='RM'",
        "filter=zoning='RB'",
        "properties=pid",
        "properties=",
        "filter=zoning='RB'&properties=pid",
    ]
    assert len({tag(query) for query in others}) == len(others)
    assert client.get(f"/tiles/lots/{TILE}.mvt").headers["ETag"] not in {tag(query) for query in others}


def test_a_drawn_tile_is_drawn_once_and_never_from_another_version(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(wsgi_app(own_city.settings))
    drawn: list[str] = []
    draw = drawing.Drawing.draw

    def counted(self: drawing.Drawing, coding: str) -> bytes:
        drawn.append(coding)
        return draw(self, coding)

    monkeypatch.setattr(drawing.Drawing, "draw", counted)
    first = client.get(FILTERED)
    assert client.get(FILTERED).data == first.data
    assert len(drawn) == 1
    version = own_city.catalog.collection("lots").version
    publish(own_city.catalog, lots_frame(200), "lots")
    assert len(features(client.get("/tiles/lots/12/1171/1568.mvt?filter=zoning='RB'"))) < 100
    old = client.get(FILTERED.replace("lots/", f"lots/{version}/"))
    assert old.data == first.data
    assert drawn == [""] * 2


def test_those_who_ask_for_one_tile_at_a_time_share_one_drawing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(wsgi_app(city.settings))
    begun, finish = threading.Event(), threading.Event()
    drawn: list[int] = []

    def slow(self: drawing.Drawing, coding: str) -> bytes:
        drawn.append(1)
        begun.set()
        assert finish.wait(20)
        return b"tile"

    monkeypatch.setattr(drawing.Drawing, "draw", slow)
    got: list[TestResponse] = []
    threads = [threading.Thread(target=lambda: got.append(client.get(FILTERED))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(20)
    finish.set()
    for thread in threads:
        thread.join(20)
    assert [answer.data for answer in got] == [b"tile"] * 4
    assert len(drawn) == 1


def test_more_drawings_than_a_worker_takes_on_are_told_to_come_again_and_stored_tiles_go_on(city: City) -> None:
    app = create_app(city.settings)
    client, gate = Client(app), app.extensions["gisservice"].drawings
    kept = client.get(FILTERED)
    for _ in range(DRAWINGS_MAX):
        gate.enter()
    answer = client.get(FILTERED.replace("RB", "RM"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json()["type"] == "urn:gisservice:problem:overloaded"
    assert client.get(f"/tiles/lots/{TILE}.mvt").status_code == 200
    assert client.get(FILTERED).data == kept.data
    gate.leave()
    assert client.get(FILTERED.replace("RB", "RM")).status_code == 200


def test_who_waits_too_long_for_a_drawing_to_begin_is_told_to_come_again(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "DRAWING_PATIENCE", 0.0)
    app = create_app(city.settings)
    client, pens = Client(app), app.extensions["gisservice"].pens
    for _ in range(DRAWN_AT_ONCE):
        pens.enter()
    answer = client.get(FILTERED)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "tiles that are to be drawn" in answer.get_json()["detail"]
    pens.leave()
    assert client.get(FILTERED).status_code == 200


def test_who_asks_a_process_that_draws_more_than_another_is_to_connect_anew(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(wsgi_app(city.settings))
    assert "Connection" not in client.get(FILTERED.replace("RB", "RM")).headers
    monkeypatch.setattr(Tally, "is_crowded", lambda _: True)
    assert client.get(FILTERED).headers["Connection"] == "close"
    assert "Connection" not in client.get(FILTERED).headers  # nothing is drawn for it
    assert "Connection" not in client.get(f"/tiles/lots/{TILE}.mvt").headers


def test_an_error_while_drawing_is_not_kept(city: City, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    client = Client(wsgi_app(city.settings))
    with monkeypatch.context() as broken:
        broken.setattr(drawing, "draw_tile", lambda *_: 1 / 0)
        answer = client.get(FILTERED)
        assert answer.status_code == 500
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
    assert client.get(FILTERED).status_code == 200


def test_without_memory_for_the_cache_tiles_are_the_same(city: City) -> None:
    small = Client(create_app(replace(city.settings, tile_cache_bytes=0)))
    large = Client(create_app(city.settings))
    for address in DRAWN:
        assert small.get(address).data == large.get(address).data


def test_behind_a_prefix_the_tiles_of_a_tilejson_keep_their_query(city: City) -> None:
    client = Client(wsgi_app(replace(city.settings, public_url="https://maps.example.gov/gis")))
    document = client.get("/tiles/lots.json?filter=zoning%3D'RB' AND area<100&properties=zoning,pid").get_json()
    (template,) = document["tiles"]
    assert template.startswith("https://maps.example.gov/gis/tiles/lots/v-")
    assert " " not in template
    assert set(document["vector_layers"][0]["fields"]) == {"pid", "zoning"}
    z, x, y = TILE.split("/")
    address = (
        template.replace("{z}", z).replace("{x}", x).replace("{y}", y).removeprefix("https://maps.example.gov/gis")
    )
    direct = client.get(f"/tiles/lots/{TILE}.mvt?filter=zoning%3D'RB' AND area<100&properties=zoning,pid")
    assert client.get(address).data == direct.data


def test_below_the_prefix_of_a_server_addresses_have_it(client: Client) -> None:
    below = {"SCRIPT_NAME": "/gis"}
    (template,) = client.get("/tiles/lots,places.json", environ_overrides=below).get_json()["tiles"]
    assert template.startswith("http://localhost/gis/tiles/lots,places/v-")
    assert client.get(f"/tiles/lots,places/{CORNER}.mvt", environ_overrides=below).status_code == 200
    style = client.get("/tiles/lots/style.json", environ_overrides=below).get_json()
    assert style["sources"]["lots"]["tiles"][0].startswith("http://localhost/gis/tiles/lots/v-")


def test_a_composites_tilejson_lists_every_layer(client: Client, city: City) -> None:
    document = client.get("/tiles/lots,places.json").get_json()
    assert [layer["id"] for layer in document["vector_layers"]] == ["lots", "places"]
    fields = document["vector_layers"][0]["fields"]
    assert fields["area"] == "Number: Area (m²)"
    assert fields["zoning"] == "String: Zone"
    assert document["attribution"] == "The city"
    assert (document["minzoom"], document["maxzoom"]) == (12, 14)
    assert document["version"].count(".") == 3


def test_a_city_that_never_published_has_no_tiles(tmp_path) -> None:
    empty = build_city(tmp_path)
    client = Client(wsgi_app(replace(empty.settings, home=tmp_path / "nothing")))
    assert client.get("/api/tiles/WebMercatorQuad").get_json()["tileMatrixSetLimits"] == []
    assert client.get("/api/tiles/WebMercatorQuad/0/0/0").status_code == 404
    assert client.get("/api/qgis.xml").status_code == 200
    assert client.get("/maps/city/style.json").get_json()["layers"] == []
