"""The header policy, methods and CORS on every route, found by walking the URL map."""

from __future__ import annotations

import re
from wsgiref.validate import validator

import pytest
from web_city import City
from werkzeug.test import Client, TestResponse

from gisservice.web import create_app, wsgi_app

EXAMPLES = {
    "collection_id": "lots",
    "collection_ids": "lots",
    "extension": "geojson",
    "item_id": "003.01-3",
    "record_id": "lots",
    "map_id": "city",
    "z": "14",
    "x": "4684",
    "y": "6268",
    "version": "v-0000000000000000",
    "versions": "v-0000000000000000",
    "tileMatrixSetId": "WebMercatorQuad",
    "tileMatrix": "14",
    "tileRow": "6272",
    "tileCol": "4685",
    "filename": "css/site.css",
    "process_id": "within",
    "job_id": "00000000-0000-0000-0000-000000000000",
}


def routes() -> list[str]:
    from gisservice.web.routes import ROUTES

    return sorted({route.template.format(**EXAMPLES) for route in ROUTES})


def methods(url: str) -> set[str]:
    """The methods that an address takes: those that ask for work, and GET for all others."""
    if url.endswith("/execution"):
        return {"POST", "OPTIONS"}
    deleted = {"DELETE"} if url == f"/api/jobs/{EXAMPLES['job_id']}" else set()
    return {"GET", "HEAD", "OPTIONS", *deleted}


def test_the_table_of_routes_is_the_whole_url_map(city: City) -> None:
    from gisservice.web.routes import ROUTES

    app = create_app(city.settings)
    assert sorted(rule.rule for rule in app.url_map.iter_rules()) == sorted(route.rule for route in ROUTES)


def test_every_answer_keeps_to_pep_3333(city: City) -> None:
    for build in (create_app, wsgi_app):
        client = Client(validator(build(city.settings)))
        for url in [*routes(), "/tiles/lots/14/0/0.mvt", "/nope"]:
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                for headers in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": "*"}):
                    client.open(url, method=method, headers=headers, buffered=True)


def policy(answer: TestResponse) -> None:
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "geolocation=(self)" in headers["Permissions-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in headers
    assert "ETag" in headers["Access-Control-Expose-Headers"]
    assert "Set-Cookie" not in headers
    names = [name.lower() for name, _ in headers]
    assert len(names) == len(set(names)), "a header is there twice"


@pytest.mark.parametrize("url", [*routes(), "/nope", "/api/nope", "/%ff"])
def test_every_answer_carries_the_policy(client: Client, url: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        for accept in ("*/*", "text/html", "image/png"):
            answer = client.open(url, method=method, headers={"Accept": accept})
            policy(answer)
            assert answer.status_code < 500
            if method != "OPTIONS":
                assert answer.headers["Cache-Control"]
            if answer.status_code in (200, 400, 404, 405, 406):
                assert answer.headers["Content-Type"]
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"] or "/static/" in url


@pytest.mark.parametrize("url", ["/", "/maps/city", "/maps/lots", "/layers/lots", "/layers/relief"])
def test_a_page_runs_only_what_carries_its_nonce(client: Client, url: str) -> None:
    one, two = client.get(url), client.get(url)
    nonces = []
    for answer in (one, two):
        assert answer.status_code == 200
        rules = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
        nonce = re.search(r"'nonce-([^']+)'", rules["script-src"])
        assert nonce is not None
        assert rules["script-src"] == f"'self' 'nonce-{nonce[1]}'"
        assert rules["style-src"] == f"'self' 'nonce-{nonce[1]}'"
        assert rules["default-src"] == "'none'"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        for element in re.findall(r"<(?:script|style)\b[^>]*>", answer.text):
            harmless = re.search(r'type="application/(?:ld\+)?json"|src=', element)
            assert harmless or f'nonce="{nonce[1]}"' in element
        assert not re.search(r"\son[a-z]+=", answer.text)
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//(?!localhost|example\.org)", answer.text)
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "ETag" not in answer.headers
        nonces.append(nonce[1])
    assert nonces[0] != nonces[1]


@pytest.mark.parametrize("url", routes())
def test_every_route_takes_its_methods_only_and_nearly_all_can_only_be_read(client: Client, url: str) -> None:
    plain = client.get(url)
    for method in {"POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "FOO"} - methods(url):
        answer = client.open(url, method=method)
        assert answer.status_code == 405
        assert {name.strip() for name in answer.headers["Allow"].split(",")} == methods(url)
        assert answer.get_json()["status"] == 405
        assert client.get(url, headers={"X-HTTP-Method-Override": method}).status_code == plain.status_code


@pytest.mark.parametrize("url", routes())
def test_any_site_may_read_and_none_with_credentials(client: Client, url: str) -> None:
    for origin in ("null", "https://evil.example", "https://example.gov.evil.example"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x"}
        answer = client.open(url, method="OPTIONS", headers=headers)
        assert (answer.status_code, answer.data) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == methods(url)
        assert "If-None-Match" in answer.headers["Access-Control-Allow-Headers"]
        assert client.get(url, headers={"Origin": origin}).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("url", [*routes(), "/nope"])
def test_head_has_the_status_and_length_of_get(client: Client, url: str) -> None:
    got, head = client.get(url), client.head(url)
    assert head.status_code == got.status_code
    assert head.data == b""
    assert head.headers.get("Content-Length") == got.headers.get("Content-Length")
    assert head.headers.get("ETag") == got.headers.get("ETag")
    assert head.headers.get("Content-Type") == got.headers.get("Content-Type")


def test_no_address_redirects(client: Client) -> None:
    for path in ("//evil.example", "/\\evil.example", "/api/conformance/", "/api//collections", "/maps/city/", "*"):
        answer = client.get("/", environ_overrides={"PATH_INFO": path})
        assert answer.status_code == 404
        assert "Location" not in answer.headers


def test_an_empty_path_is_the_front_page(client: Client) -> None:
    answer = client.get("/", environ_overrides={"PATH_INFO": "", "SCRIPT_NAME": "/gis"})
    assert answer.status_code == 200
    assert 'href="/gis/static/' in answer.text
