"""Whose host names are answered to, and that every address the service writes comes from settings or those names."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from web_city import City
from werkzeug.test import Client

from gisservice.settings import Settings
from gisservice.web import create_app, wsgi_app

URLS = [
    "/",
    "/api",
    "/api/collections/lots/items",
    "/tiles/lots.json",
    "/tiles/lots/14/4685/6272.mvt",
    "/healthz",
    "/nope",
]
EVIL = [
    "evil.example", "localhost.evil.example", "localhost@evil.example", "localhost:80@evil.example", "localhost, evil",
    "evil.example:80", "localhost:99999", "localhost:x", "127.0.0.1.evil.example", "[::2]", "[::1", "::1", "localhost/",
    "localhost\\", "local host", "LOCALHOST.", "0x7f000001", ".localhost", "\xff",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_hosts_that_are_not_trusted_are_refused(client: Client, url: str) -> None:
    for host in EVIL:
        answer = client.get(url, headers={"Host": host})
        assert answer.status_code == 400, host
        assert "host name" in answer.get_json()["detail"]
        assert "evil" not in answer.text
    clean = client.get(url)
    assert b"evil" not in clean.data + str(clean.headers).encode()


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_trusted_hosts_in_any_case_and_on_any_port(client: Client, host: str) -> None:
    answer = client.get("/api", headers={"Host": host})
    assert answer.status_code == 200
    assert answer.get_json()["links"][0]["href"] == f"http://{host.lower()}/api"


def test_forwarding_headers_are_not_believed(client: Client) -> None:
    plain = client.get("/api/collections/lots/items?limit=1")
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "ftp",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-For": "1.2.3.4",
        "Forwarded": "host=evil.example;proto=ftp",
        "X-Original-URL": "/healthz",
        "X-Rewrite-URL": "/healthz",
    }
    answer = client.get("/api/collections/lots/items?limit=1", headers=headers)
    assert (answer.data, answer.headers["ETag"]) == (plain.data, plain.headers["ETag"])


def test_without_a_host_header_the_servers_own_name_counts(client: Client) -> None:
    for name, status in (("127.0.0.1", 200), ("evil.example", 400)):
        answer = client.get("/api", environ_overrides={"HTTP_HOST": "", "SERVER_NAME": name, "SERVER_PORT": "8000"})
        assert answer.status_code == status


def at(settings: Settings, address: str) -> Settings:
    return replace(settings, public_url=Settings.load({}, public_url=address).public_url)


def test_the_public_address_stands_in_every_link(city: City) -> None:
    client = Client(wsgi_app(at(city.settings, "https://maps.example.gov/gis/")))
    for url in (
        "/api",
        "/api/collections",
        "/api/collections/lots/items?limit=1",
        "/tiles/lots.json",
        "/api/openapi.json",
    ):
        text = client.get(url).text
        assert "https://maps.example.gov/gis/" in text or 'https://maps.example.gov/gis"' in text
        assert "localhost" not in text
    listed = client.get("/api/collections/lots/items?limit=1").headers["Link"]
    assert re.findall(r"<([^>]+)>", listed)
    assert all(link.startswith("https://maps.example.gov/gis/api/") for link in re.findall(r"<([^>]+)>", listed))


def test_the_public_host_is_trusted_and_pages_stay_below_the_prefix(city: City) -> None:
    client = Client(wsgi_app(at(city.settings, "https://maps.example.gov:8443/gis")))
    page = client.get("/maps/city", headers={"Host": "maps.example.gov"})
    assert page.status_code == 200
    assert all(path.startswith("/gis/") for path in re.findall(r'(?:src|href)="(/[^"]*)"', page.text))
    problem = client.get("/nope", headers={"Host": "maps.example.gov", "Accept": "text/html"})
    assert 'href="/gis/"' in problem.text


def test_each_address_has_tags_of_its_own(city: City) -> None:
    tags = {Client(wsgi_app(settings)).get("/api/collections/lots/items").headers["ETag"]
            for settings in (city.settings, at(city.settings, "https://maps.example.gov"))}  # fmt: skip
    assert len(tags) == 2


def test_both_paths_check_the_host(city: City) -> None:
    for build in (create_app, wsgi_app):
        client = Client(build(replace(city.settings, trusted_hosts=("maps.example.gov",))))
        for url in URLS:
            assert client.get(url).status_code == 400
            assert client.get(url, headers={"Host": "maps.example.gov"}).status_code in (200, 404)
