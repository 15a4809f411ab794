"""Publications seen from outside: the next request has them, none sees two, old addresses stay."""

from __future__ import annotations

import pytest
from web_city import City, lots_frame, publish
from werkzeug.test import Client

from gisservice.catalog import Catalog
from gisservice.web import create_app, wsgi_app

TILE = "14/4685/6272"


@pytest.fixture(params=[create_app, wsgi_app], ids=["flask", "fast"])
def living(request: pytest.FixtureRequest, own_city: City) -> Client:
    return Client(request.param(own_city.settings))


def numbers(client: Client) -> tuple[str, int, str, str]:
    """Version, count of items, and the tags of the items and of a tile, as a client sees them."""
    collection = client.get("/api/collections/lots").get_json()
    items = client.get("/api/collections/lots/items?limit=1")
    tile = client.get(f"/tiles/lots/{TILE}.mvt")
    matched = items.get_json()["numberMatched"]
    assert collection["itemCount"] == matched
    assert client.get("/tiles/lots.json").get_json()["tiles"][0].split("/")[5] == collection["version"]
    return collection["version"], matched, items.headers["ETag"], tile.headers["ETag"]


def test_the_next_request_sees_a_publication_of_another_process(living: Client, own_city: City) -> None:
    before = numbers(living)
    other = Catalog(own_city.settings.home)  # as another process would open it
    published = publish(other, lots_frame(390), "lots")
    after = numbers(living)
    assert after[:2] == (published.id, 390)
    assert all(one != two for one, two in zip(before, after, strict=True))
    assert living.get("/healthz").get_json()["collections"]["lots"] == published.id


def test_a_rollback_is_seen_and_gives_the_old_bytes_and_tags(living: Client, own_city: City) -> None:
    before, items = numbers(living), living.get("/api/collections/lots/items").data
    publish(own_city.catalog, lots_frame(390), "lots")
    assert numbers(living) != before
    Catalog(own_city.settings.home).rollback("lots", before[0])
    assert numbers(living) == before
    assert living.get("/api/collections/lots/items").data == items
    history = living.get("/api/collections/lots/versions").get_json()["versions"]
    assert [entry["current"] for entry in history] == [True, False]
    assert (history[0]["version"], history[0]["action"]) == (before[0], "rollback")


def test_the_address_of_a_version_keeps_its_tiles(living: Client, own_city: City) -> None:
    first = own_city.catalog.collection("lots").version
    pinned = f"/tiles/lots/{first}/{TILE}.mvt"
    old = living.get(pinned)
    assert old.status_code == 200
    second = publish(own_city.catalog, lots_frame(1), "lots").id
    assert living.get(pinned).data == old.data
    assert living.get(f"/tiles/lots/{TILE}.mvt").data != old.data
    assert living.get(f"/tiles/lots/{second}/{TILE}.mvt").data == living.get(f"/tiles/lots/{TILE}.mvt").data


def test_archives_of_old_versions_do_not_pile_up(own_city: City) -> None:
    app = wsgi_app(own_city.settings)
    client = Client(app)
    tilesets = app._service.tilesets
    for count in range(100, 115):
        version = publish(own_city.catalog, lots_frame(count), "lots").id
        assert client.get(f"/tiles/lots/{version}/{TILE}.mvt").status_code in (200, 204)
    assert len(tilesets._open) <= tilesets.RETIRED_MAX + 1
    assert client.get(f"/tiles/lots/{TILE}.mvt").status_code in (200, 204)


def test_one_request_sees_one_version(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication between the steps of a request changes nothing in its answer."""
    from gisservice.web import features

    client = Client(wsgi_app(own_city.settings))
    expected = Client(wsgi_app(own_city.settings)).get("/api/collections/lots/items?limit=1000")
    page_of = features.page_of

    def publish_then_select(*arguments):
        publish(own_city.catalog, lots_frame(10), "lots")
        return page_of(*arguments)

    monkeypatch.setattr(features, "page_of", publish_then_select)
    answer = client.get("/api/collections/lots/items?limit=1000")
    assert (answer.data, answer.headers["ETag"]) == (expected.data, expected.headers["ETag"])
    assert client.get("/api/collections/lots/items?limit=1000").get_json()["numberMatched"] == 10


def test_a_new_collection_appears_and_an_empty_home_serves(own_city: City, tmp_path) -> None:
    from dataclasses import replace

    client = Client(wsgi_app(replace(own_city.settings, home=tmp_path / "nothing")))
    assert [entry["id"] for entry in client.get("/api/collections").get_json()["collections"]] == ["catalog"]
    assert client.get("/api/collections/catalog/items").get_json()["features"] == []
    for url in ("/", "/maps/city", "/healthz", "/api/openapi.json"):
        assert client.get(url).status_code == 200
    assert client.get("/api/collections/lots/items").status_code == 404
    publish(Catalog(tmp_path / "nothing"), lots_frame(5), "lots")
    assert client.get("/api/collections/lots/items").get_json()["numberMatched"] == 5
