"""The memory of a serving worker when every layer of the sample city has been asked for whole.

    python benchmarks/memory.py [--home FOLDER]

Publishes the sample city (or takes a folder that it is published in), serves it with two workers, and asks for
everything, step by step: all pages, all stored tiles of all layers in both encodings, all items, and tiles that are
drawn on request until the cache for them is full. After each step it prints for each worker what is resident, how much
of that is no file's (the rest are pages of mapped files, which the system may drop and read again), and its share
where several processes have the same page (PSS): files that both workers map, and what they have from the process that
started them, are in memory once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import measure
import tiles_servers
from tiles_browse import world

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = ROOT / "data" / "layers.toml"
THREADS = 8
TURN = 100
"""Requests on a connection before it is closed: so both workers get some of everything."""

LIMIT_MIB = 250

BACKROOM = b"gisservice.web.backroom"
"""The process for analysis, one for all workers: it is told of beside them."""

LOOKED_SECONDS = 5
"""By then a worker has looked at what it has mapped, and given back what is too much."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of a serving worker.")
    parser.add_argument("--home", type=Path, help="where the sample city is published, instead of publishing it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or publish(Path(folder) / "home")
        with tiles_servers.gisservice("gisservice", home, "parcels", registry=REGISTRY) as server:
            walk(server)


def publish(home: Path) -> Path:
    """Generate the sample city where it is not yet, and publish all of it; returns ``home``."""
    sample = REGISTRY.parent / "sample"
    if not (sample / "complete").exists():
        program = "import sys; from pathlib import Path; from gisservice.ingest.sample import generate; "
        subprocess.run([sys.executable, "-c", program + "generate(Path(sys.argv[1]))", str(sample)], check=True)
    command = [tiles_servers.PROGRAM, "--registry", str(REGISTRY), "--home", str(home), "ingest", "--all"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return home


def walk(server: tiles_servers.Server) -> None:
    """Ask for everything and print what the workers hold after each step."""
    site = Site(server.base)
    layers = {name: site.json(f"/tiles/{name}.json") for name in site.collections if site.tiled(name)}
    stored = [path for described in layers.values() for path in addresses(described)]
    vectors = {path: next(iter(described["vector_layers"][0]["fields"])) for described in layers.values()
               if "vector_layers" in described for path in addresses(described)}  # fmt: skip
    drawn = [f"{path}?properties={name}" for path, name in vectors.items()]
    print(
        f"Serving the sample city, {len(site.collections)} layers, {tiles_servers.WORKERS} workers; {measure.machine()}"
    )
    print(f"{len(stored):,} tile addresses; MiB resident (anonymous; share)\n")
    show("started", server)
    for title, paths, encoding in (
        ("all pages", site.pages(), "gzip"),
        ("all stored tiles, gzip", stored, "gzip"),
        ("all stored tiles, brotli", stored, "br"),
        ("all items", site.items(), "gzip"),
        ("all tiles drawn on request", drawn, "gzip"),
    ):
        ask(server.base, paths, encoding)
        show(title, server)
    time.sleep(LOOKED_SECONDS)
    show("a moment later", server)


def show(title: str, server: tiles_servers.Server) -> None:
    parent, *others = server.processes()
    backroom = [pid for pid in others if BACKROOM in Path(f"/proc/{pid}/cmdline").read_bytes()]
    workers = [pid for pid in others if pid not in backroom]
    # Before anything else is looked at: a second later a worker may have given back what is too much.
    largest = max(measure.resident_kib(pid) for pid in workers) / 1024
    each = ", ".join(sizes(pid) for pid in workers)
    aside = "".join(f";  backroom {sizes(pid)}" for pid in backroom)
    verdict = "within" if largest < LIMIT_MIB else "over"
    print(
        f"{title:<28} {each};  process that started them {sizes(parent)}{aside};  {verdict} {LIMIT_MIB} MiB", flush=True
    )


def sizes(pid: int) -> str:
    kib = measure.resident_kib(pid), measure.anonymous_kib(pid), measure.proportional_kib(pid)
    return "{:.0f} ({:.0f}; {:.0f})".format(*(size / 1024 for size in kib))


class Site:
    """What there is to ask for."""

    def __init__(self, base: str) -> None:
        self.base = base
        listed = self.json("/api/collections")["collections"]
        self.described = {entry["id"]: entry for entry in listed if entry.get("itemType") != "record"}
        self.collections = list(self.described)

    def json(self, path: str) -> Any:
        return json.loads(get(http.client.HTTPConnection(urlsplit(self.base).netloc, timeout=120), path, "identity"))

    def tiled(self, name: str) -> bool:
        return any(link["href"].endswith(f"/tiles/{name}.json") for link in self.described[name]["links"])

    def pages(self) -> list[str]:
        """The site's pages, the API's documents, and those of each layer."""
        maps = ("city", "property", "schools", "services", "flood", "parks", "transit")
        fixed = ["/", "/api", "/api/conformance", "/api/openapi.json", "/api/collections", "/healthz"]
        fixed += [f"/maps/{name}" for name in maps]
        own = ("/layers/{}", "/maps/{}", "/api/collections/{}", "/api/collections/{}/versions")
        return fixed + [template.format(name) for name in self.collections for template in own]

    def items(self) -> list[str]:
        """Pages of items that together hold all of them."""
        counts = {name: entry.get("itemCount", 0) for name, entry in self.described.items()}
        return [
            f"/api/collections/{name}/items?limit=10000&offset={offset}"
            for name, count in counts.items()
            for offset in range(0, count, 10_000)
        ]


def addresses(described: dict[str, Any]) -> Iterator[str]:
    """Return the path of every tile within a TileJSON's bounds and zooms."""
    west, south, east, north = described["bounds"]
    (left, top), (right, bottom) = world(west, north), world(east, south)
    template = urlsplit(described["tiles"][0]).path
    for z in range(described["minzoom"], described["maxzoom"] + 1):
        for x in range(int(left * 2**z), int(right * 2**z) + 1):
            for y in range(int(top * 2**z), int(bottom * 2**z) + 1):
                yield template.format(z=z, x=x, y=y)


def ask(base: str, paths: Iterable[str], encoding: str) -> None:
    """Ask for all paths, over many connections at a time; raises RuntimeError for an error."""
    listed = list(paths)
    turns = [listed[first : first + TURN] for first in range(0, len(listed), TURN)]

    def take(turn: list[str]) -> None:
        connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=120)
        for path in turn:
            get(connection, path, encoding)
        connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(take, turns))


def get(connection: http.client.HTTPConnection, path: str, encoding: str) -> bytes:
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in (200, 204):
        raise RuntimeError(f"{path}: {answer.status} {body[:300].decode(errors='replace')}")
    return body


if __name__ == "__main__":
    main()
