"""``gisservice demo`` from nothing: sources generated, published through the same steps as any city's, served.

One service is started for the module, as a user would start it, and asked over HTTP only.
"""

from __future__ import annotations

import gzip
import json
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import brotli
import mapbox_vector_tile
import morecantile
import pyarrow.parquet as pq
import pyogrio
import pytest
from asked_by_notebooks import listen, served
from documented import check_examples
from free_ports import free_port
from pmtiles.reader import MmapSource, all_tiles

from gisservice import to_geojson
from gisservice.ingest.sample import FILES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
PNG = b"\x89PNG"
VECTORS = {
    "parcels": 47_000,
    "buildings": 30_000,
    "addresses": 50_000,
}


@dataclass
class Demo:
    """A running demo: its folder, its address, and every line it printed before it served."""

    folder: Path
    url: str
    lines: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def published(self) -> dict[str, dict[str, Any]]:
        return {event["collection"]: event for event in self.events if event["event"] == "published"}

    def get(self, path: str, accept: str = "*/*") -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, path: str) -> Any:
        status, body = self.get(path)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    (folder / "data").mkdir()
    for name in ("layers.toml", "maps.toml"):
        shutil.copy(ROOT / "data" / name, folder / "data")
    gisservice = [str(Path(sys.executable).with_name("gisservice")), "--registry", str(folder / "data" / "layers.toml")]
    command = [*gisservice, "--home", str(folder / "published"), "demo", "--port", str(port), "--json"]
    with open(folder / "errors.log", "wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
    running = Demo(folder, f"http://127.0.0.1:{port}")
    assert process.stdout is not None
    for line in process.stdout:
        running.lines.append(line)
        if json.loads(line)["event"] == "serving":
            break
    try:
        wait_until_served(port, process)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(timeout=60) == 0


def wait_until_served(port: int, process: subprocess.Popen[str]) -> None:
    """Come back when the port answers; the service says where it will be before it listens."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    pytest.fail("the demo ended before it served")


def test_every_declared_layer_is_published_and_every_account_adds_up(demo: Demo) -> None:
    assert not [event for event in demo.events if event["event"] == "error"]
    collections = {entry["id"] for entry in demo.json("/api/collections?f=json")["collections"]}
    assert collections == {"catalog", *demo.published}
    for event in demo.published.values():
        assert event["read"] == event["published"] + sum(finding["count"] for finding in event["refused"])
    for name, count in VECTORS.items():
        assert demo.published[name]["published"] == count
        assert demo.json(f"/api/collections/{name}/items?limit=1")["numberMatched"] == count


def test_the_same_seed_gives_the_same_sources(demo: Demo, sample_sources: Path) -> None:
    """The demo is another process, with another hash seed."""
    there = demo.folder / "data" / "sample"
    assert [name for name in FILES if (there / name).read_bytes() != (sample_sources / name).read_bytes()] == []


@pytest.mark.parametrize(
    ("layer", "added", "changed", "removed"),
    [("parcels", 26, None, 1), ("buildings", 4, 0, 1), ("addresses", 34, 13, 1), ("zoning", 0, 2, 0)],
)
def test_the_latest_survey_changed_a_neighbourhood(
    demo: Demo, layer: str, added: int, changed: int | None, removed: int
) -> None:
    versions = demo.json(f"/api/collections/{layer}/versions")["versions"]
    assert [version["current"] for version in versions] == [True, False]
    told = demo.json(f"/api/collections/{layer}/changes?limit=1000")
    assert (told["numberAdded"], told["numberRemoved"]) == (added, removed)
    assert told["numberChanged"] == changed or (changed is None and 100 < told["numberChanged"] < 1000)


def test_the_dirt_of_the_sources_was_seen(demo: Demo) -> None:
    parcels = demo.published["parcels"]
    assert sum(f["count"] for f in parcels["repaired"] if f["code"] == "invalid-geometry") == 24
    assert sum(f["count"] for f in parcels["refused"]) == 30
    assert any(f["code"] == "stacked-geometry" for f in parcels["noted"])


def test_every_page_is_there_and_says_that_the_city_is_a_sample(demo: Demo) -> None:
    maps = next(event for event in demo.events if event["event"] == "serving")["maps"]
    pages = ["/", *(url.removeprefix(demo.url) for url in maps), *(f"/layers/{name}" for name in demo.published)]
    for page in pages:
        status, body = demo.get(page, "text/html")
        assert status == 200 and b"Sample data: this city is generated" in body, page


def test_the_parcels_are_on_their_tiles(demo: Demo) -> None:
    tilejson = demo.json("/tiles/parcels.json")
    assert tilejson["vector_layers"][0]["id"] == "parcels"
    tile = morecantile.tms.get("WebMercatorQuad").tile(-77.0469, 38.8049, 14)  # King Street at Washington Street
    status, body = demo.get(f"/tiles/parcels/{tile.z}/{tile.x}/{tile.y}.mvt")
    assert status == 200
    features = mapbox_vector_tile.decode(body)["parcels"]["features"]
    assert len(features) > 500 and not {"owner_name", "OWNER_NAME", "assessor_note"} & set(features[0]["properties"])


class Owners:
    """The invented people and mailing addresses of the source, looked for in any bytes."""

    SIGN = re.compile(rb", [A-Z]|PO Box \d{3,5}")
    """Behind each surname, and each box; it begins with letters that a search jumps to."""

    def __init__(self, folder: Path) -> None:
        columns = ["OWNER_NAME", "OWN_ADDR", "OWN_CITY"]
        table = pyogrio.read_dataframe(
            folder / "data" / "sample" / "parcels.gpkg", columns=columns, read_geometry=False
        )
        self.people = {name for name in table.OWNER_NAME.dropna().unique() if ", " in name}
        self.boxes = {address for address in table.OWN_ADDR.dropna().unique() if address.startswith("PO Box")}
        self.surnames = tuple({name.split(", ")[0].encode() for name in self.people})

    def found(self, content: bytes) -> bytes | None:
        """Return the first that occurs, None where there is none."""
        longest = max(map(len, self.surnames))
        for sign in self.SIGN.finditer(content):
            before = content[max(0, sign.start() - longest) : sign.start()]
            if sign[0].startswith(b"PO") or before.endswith(self.surnames):
                return before + sign[0]
        return None


def test_owners_appear_nowhere(demo: Demo) -> None:
    """Neither in what is published nor in what is said: files, tiles, items, pages, descriptions, logs."""
    owners = Owners(demo.folder)
    secrets = owners.people | owners.boxes
    assert len(owners.people) > 1_000 and len(owners.boxes) > 1_000
    assert all(owners.found(b"x " + secret.encode()) for secret in secrets)
    seen = 0
    for file in sorted((demo.folder / "published").rglob("*")):
        if file.is_file():
            seen += 1
            for content in readable(file):
                assert owners.found(content) is None, file.name
        if file.suffix == ".parquet":
            table = pq.read_table(file)
            texts = [name for name in table.column_names if str(table.schema.field(name).type) == "string"]
            for name in texts:
                assert not secrets & set(table[name].to_pylist()), f"{file.name}: {name}"
    assert seen > 100
    said = "".join(demo.lines) + (demo.folder / "errors.log").read_text()
    assert owners.found(said.encode()) is None
    for path in ("/", "/layers/parcels", "/maps/property", "/api/openapi.json", "/api/collections/parcels",
                 "/api/collections/parcels/items?limit=10000", "/tiles/parcels.json", "/healthz"):  # fmt: skip
        status, body = demo.get(path)
        assert status == 200 and owners.found(body) is None, path


def readable(file: Path) -> Iterator[bytes]:
    """The content of a published file as plain bytes; tiles are unpacked one by one. Rasters hold no text."""
    if file.suffix == ".tif":
        return
    if file.suffix != ".pmtiles":
        yield file.read_bytes()
        return
    unpack = brotli.decompress if file.name.endswith(".br.pmtiles") else gzip.decompress
    with open(file, "rb") as archive:
        for _, tile in all_tiles(MmapSource(archive)):
            if not tile.startswith(PNG):
                yield unpack(tile)


def test_the_office_column_is_kept_apart_and_never_sent(demo: Demo) -> None:
    folder = next((demo.folder / "published" / "collections" / "parcels" / "versions").iterdir())
    internal = pq.read_table(folder / "internal.parquet")
    notes = [note for note in internal["assessor_note"].to_pylist() if note]
    assert notes and (folder / "internal.parquet").stat().st_mode & 0o077 == 0
    assert "assessor_note" not in pq.read_schema(folder / "features.parquet").names
    status, body = demo.get("/api/collections/parcels/items?limit=10000")
    assert status == 200 and b"assessor_note" not in body and not any(note.encode() in body for note in set(notes))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_ends_with_pictures(
    notebook: Path, demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GISSERVICE_HOME", str(demo.folder / "published"))
    monkeypatch.setenv("GISSERVICE_STATIC", str(ROOT / "static"))
    heard = listen(demo.folder / "published", monkeypatch)
    found = runpy.run_path(str(notebook))
    assert capsys.readouterr().out
    ET.fromstring(found["picture"].svg)
    assert "Sources: " in found["picture"].svg and "not stated" not in found["picture"].svg
    if notebook.stem == "metro_500_feet":
        _, body = demo.get("/api/within?features=addresses&others=metro_stations&distance_ft=500")
        assert body == to_geojson(found["near"])
    assert heard or notebook.stem in ("chickens", "what_changed"), "nothing to ask the service"
    for asked in heard:
        assert served(demo.url, asked) == asked.answer, f"{asked.process}: {asked.inputs}"


def test_the_answers_in_the_documents_hold(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GISSERVICE_HOME", str(demo.folder / "published"))
    assert check_examples(ROOT / "docs" / "analysis.md", "On the sample city") > 15
