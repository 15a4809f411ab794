"""Validators, encodings and lifetimes of the documents (the tiles have their own file)."""

from __future__ import annotations

import gzip

import pytest
from web_city import City
from werkzeug.test import Client

from gisservice.web import wsgi_app

DOCUMENTS = [
    "/api", "/api/conformance", "/api/openapi.json", "/api/collections", "/api/collections/lots",
    "/api/collections/lots/versions", "/api/collections/lots/items", "/api/collections/lots/items/003.01-3",
    "/tiles/lots.json",
]  # fmt: skip
STATIC = ["/static/css/site.css", "/static/vendor/big.js"]


@pytest.mark.parametrize("url", [*DOCUMENTS, *STATIC])
def test_what_the_caller_has_is_not_sent_again(client: Client, url: str) -> None:
    for encoding in ("gzip", "identity"):
        for method in ("GET", "HEAD"):
            ask_again(client, url, encoding, method)


def ask_again(client: Client, url: str, encoding: str, method: str) -> None:
    full = client.open(url, method=method, headers={"Accept-Encoding": encoding})
    assert full.status_code == 200
    tag = full.headers["ETag"]
    assert tag.startswith('"')
    for form in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = client.open(url, method=method, headers={"Accept-Encoding": encoding, "If-None-Match": form})
        assert (answer.status_code, answer.data) == (304, b"")
        for name in ("ETag", "Vary", "Cache-Control", "Access-Control-Allow-Origin"):
            assert answer.headers[name] == full.headers[name]
        assert "Content-Type" not in answer.headers and "Content-Length" not in answer.headers
    assert client.open(url, method=method, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("url", [*DOCUMENTS, *STATIC])
def test_gzip_unpacks_to_the_plain_body_under_another_tag(client: Client, url: str) -> None:
    plain = client.get(url)
    packed = client.get(url, headers={"Accept-Encoding": "gzip"})
    assert "Accept-Encoding" in plain.headers["Vary"] and plain.headers["Vary"] == packed.headers["Vary"]
    assert plain.headers["ETag"] != packed.headers["ETag"]
    if len(plain.data) > 1000:
        assert packed.headers["Content-Encoding"] == "gzip"
    if "Content-Encoding" in packed.headers:
        assert gzip.decompress(packed.data) == plain.data
        assert len(packed.data) < len(plain.data)
    else:
        assert packed.data == plain.data
    again = client.get(url, headers={"Accept-Encoding": "gzip"})
    assert again.data == packed.data


def test_small_bodies_are_not_compressed(client: Client) -> None:
    answer = client.get("/api/collections/lots/versions", headers={"Accept-Encoding": "gzip"})
    assert len(answer.data) < 600
    assert "Content-Encoding" not in answer.headers


def test_different_questions_have_different_tags_and_the_same_question_one(client: Client) -> None:
    items = "/api/collections/lots/items"
    queries = ["", "limit=50", "offset=1", "bbox=1,2,3,4", "limit=50&offset=1", "f=json"]
    tags = {client.get(f"{items}?{query}").headers["ETag"] for query in queries}
    assert len(tags) == len(queries)
    one, two = (client.get(f"{items}?{query}") for query in ("bbox=1.0,2,3,4&limit=5000", "limit=1000&bbox=1,2,3.0,4"))
    assert one.data == two.data
    assert one.headers["ETag"] == two.headers["ETag"]


def test_a_forged_tag_of_what_is_not_there_does_not_help(client: Client) -> None:
    for url in ("/api/collections/lots/items/nope", "/api/collections/nope", "/tiles/lots/99/0/0.mvt", "/nope"):
        assert client.get(url, headers={"If-None-Match": "*"}).status_code == 404


def test_304_comes_before_anything_is_selected(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    from gisservice.catalog import Features
    from gisservice.web import features

    client = Client(wsgi_app(city.settings))
    urls = ("/api/collections/lots/items?bbox=-77.06,38.8,-77.05,38.81", "/api/collections/lots/items/003.01-3")
    tags = [client.get(url).headers["ETag"] for url in urls]
    monkeypatch.setattr(features, "page_of", lambda *_: pytest.fail("items were selected"))
    monkeypatch.setattr(Features, "items", lambda *_: pytest.fail("items were read"))
    monkeypatch.setattr(Features, "item", lambda *_: pytest.fail("an item was read"))
    for url, tag in zip(urls, tags, strict=True):
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 304


def test_a_list_of_ten_thousand_tags_is_bounded_work(client: Client) -> None:
    many = ", ".join(f'"{number:024x}"' for number in range(10_000))
    assert client.get("/api", headers={"If-None-Match": many}).status_code == 200
    tag = client.get("/api").headers["ETag"]
    assert client.get("/api", headers={"If-None-Match": f"{many}, {tag}"}).status_code == 304


@pytest.mark.parametrize(
    ("url", "lifetime"),
    [
        *((url, "public, max-age=10, must-revalidate") for url in DOCUMENTS),
        ("/healthz", "no-store"),
        ("/", "no-cache"),
        ("/maps/city", "no-cache"),
        ("/layers/lots", "no-cache"),
        ("/nope", "no-store"),
        ("/static/css/site.css", "public, max-age=86400"),
        ("/static/css/site.css?v=0123456789ab", "public, max-age=31536000, immutable"),
    ],
)
def test_lifetimes(client: Client, url: str, lifetime: str) -> None:
    assert client.get(url).headers["Cache-Control"] == lifetime


def test_pages_are_compressed_too(client: Client) -> None:
    packed = client.get("/maps/city", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data).startswith(b"<!doctype html>")
