"""Static files: what is served, as what, and that nothing outside the folder ever is."""

from __future__ import annotations

import gzip
import json
import os
import re

import brotli
import pytest
from web_city import City
from werkzeug.test import Client

from gisservice.web import wsgi_app

STATIC = re.compile(r'"(/static/(?:vendor/|[^"]+\?v=)[^"]+)"')

OUTSIDE = [
    "../layers.toml", "..%2flayers.toml", "%2e%2e/layers.toml", "%252e%252e%252flayers.toml", "....//layers.toml",
    "..\\layers.toml", "..%5clayers.toml", "css/../../layers.toml", "css/%2e%2e/%2e%2e/layers.toml", "/etc/passwd",
    "%2fetc%2fpasswd", "//etc/passwd", "..\u2215layers.toml", "css/site.css%00.js", "%00", "css", "css/", "", ".",
    ".hidden", "css/.hidden", "CON", "x" * 4000, "vendor/%ff", "~root", "file:///etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_outside_the_folder_is_served(client: Client, city: City, name: str) -> None:
    (city.settings.static / ".hidden").write_text("secret")
    (city.settings.static / "css" / ".hidden").write_text("secret")
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert b'Testville"' not in answer.data and b"root:" not in answer.data and b"secret" not in answer.data


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("css/site.css", "text/css; charset=utf-8"),
        ("vendor/big.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_types(client: Client, city: City, name: str, media: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.content_type == media
    assert answer.data == (city.settings.static / name).read_bytes()


def test_names_with_a_digest_are_kept_for_ever(own_city: City) -> None:
    (own_city.settings.static / "vendor" / "leaflet.b072fd3406fb.css").write_text("body {}")
    client = Client(wsgi_app(own_city.settings))
    answer = client.get("/static/vendor/leaflet.b072fd3406fb.css")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_changed_file_is_sent_anew(own_city: City) -> None:
    file = own_city.settings.static / "vendor" / "big.js"
    client = Client(wsgi_app(own_city.settings))
    before = client.get("/static/vendor/big.js", headers={"Accept-Encoding": "gzip"})
    file.write_text("// other\n" * 500)
    os.utime(file, ns=(1, 1))
    after = client.get(
        "/static/vendor/big.js", headers={"Accept-Encoding": "gzip", "If-None-Match": before.headers["ETag"]}
    )
    assert after.status_code == 200
    assert after.data != before.data


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_texts_are_sent_compressed_in_either_coding(client: Client, city: City, coding: str) -> None:
    unpack = {"br": brotli.decompress, "gzip": gzip.decompress}[coding]
    answer = client.get("/static/vendor/big.js", headers={"Accept-Encoding": coding})
    assert answer.headers["Content-Encoding"] == coding and "Accept-Encoding" in answer.headers["Vary"]
    assert unpack(answer.data) == (city.settings.static / "vendor" / "big.js").read_bytes()


def test_only_pages_need_the_browser_libraries(own_city: City, caplog: pytest.LogCaptureFixture) -> None:
    (own_city.settings.static / "vendor" / "manifest.json").unlink()
    client = Client(wsgi_app(own_city.settings))
    assert client.get("/api").status_code == 200
    page = client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 500
    assert "install.py" in caplog.text
    assert "install.py" not in page.text


def test_the_service_worker_keeps_what_pages_are_made_of_under_an_edition(own_city: City) -> None:
    client = Client(wsgi_app(own_city.settings))

    def shell() -> dict:
        text = client.get("/worker.js", headers={"Accept-Encoding": "identity"}).text
        return json.loads(text.removeprefix("const SHELL = ").partition(";\n")[0])

    answer, before = client.get("/worker.js"), shell()
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; connect-src 'self'"
    assert client.get("/worker.js", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    used = {found for path in ("/", "/maps/city", "/address") for found in STATIC.findall(client.get(path).text)}
    assert used and used <= set(before["assets"])
    assert "worker-src 'self'" in client.get("/").headers["Content-Security-Policy"]
    for address in [*(name for name in before["assets"] if "?v=" in name), *before["offline"].values()]:
        assert client.get(address).status_code == 200, address
    (own_city.settings.static / "css/site.css").write_text("body {}")
    client = Client(wsgi_app(own_city.settings))
    assert shell()["edition"] != before["edition"]
