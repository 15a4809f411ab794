"""The city's real parcels in a browser: our map page beside a page of folium.GeoJson and one of geopandas' explore().

    python benchmarks/browser.py [RUNS]

The same window (1280 by 800), the same start, the same movements of a real mouse: drags, two steps of the
wheel in, drags, two steps out. Frames are counted by requestAnimationFrame from the first movement until a second after
the last. Pages take turns, each visit in a fresh profile without service worker, so
nothing is kept from the visit before.

The pages of others are those that the libraries write with their defaults, but without background tiles, which no page
here has. Their scripts and styles come from content delivery networks; there is no network here, so requests to these
are answered from the same npm packages in `browser_peers` (two small style sheets that no package has are left empty).
All that others send is counted as gzip sends it; our bytes are those that came over the wire.

Folium passes a page through its templates several times, all features in it: writing both pages takes minutes of a
processor. They are written once for each state of the layer, of `browser_pages.py` and of the peers' environment, into
`out/browser`.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import measure
import tiles_servers
from alexandria import LAYER, publish
from features_servers import PEERS_LIST, PeerMissing, peers
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "browser_peers"
WRITER = HERE / "browser_pages.py"
KEPT = HERE / "out" / "browser"
"""The pages of others, in a folder for each digest of what they are made of."""

RUNS = 3
WINDOW = {"width": 1280, "height": 800}
PATIENCE_MS = 300_000
START = "#13/38.8165/-77.0905"
"""Where browser_pages.py lets the other pages begin, too."""

NETWORKS = {
    "cdn.jsdelivr.net/npm/leaflet@1.9.3/": "leaflet/",
    "code.jquery.com/jquery-3.7.1.min.js": "jquery/dist/jquery.min.js",
    "cdn.jsdelivr.net/npm/bootstrap@5.2.2/": "bootstrap/",
    "cdnjs.cloudflare.com/ajax/libs/Leaflet.awesome-markers/2.0.2/": "leaflet.awesome-markers/dist/",
    "cdn.jsdelivr.net/npm/@fortawesome/fontawesome-free@6.2.0/": "@fortawesome/fontawesome-free/",
}
"""Address of a file, or of all below it, to its place among the packages."""

COUNT_FRAMES = """() => {
  window.moments = [performance.now()];
  const step = (now) => { window.moments.push(now); window.requestAnimationFrame(step); };
  window.requestAnimationFrame(step);
}"""


@dataclass(frozen=True)
class Contestant:
    """A page to visit, and the selector of what is there once it has drawn its view."""

    name: str
    address: str
    drawn: str


@dataclass(frozen=True)
class Visit:
    """What one visit cost: seconds until the view was drawn, bytes until then and in all, and frames while moving."""

    seconds: float
    first_bytes: int
    all_bytes: int
    frames_a_second: float
    longest_ms: float
    moving_seconds: float


class Network:
    """Counts what a page is sent, and answers it for all hosts but this one."""

    def __init__(self, page: Any) -> None:
        self.sent = 0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", self._count)
        page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), self._answer)

    def _count(self, event: dict[str, Any]) -> None:
        self.sent += int(event["encodedDataLength"])

    def _answer(self, route: Any) -> None:
        address = route.request.url.partition("://")[2]
        known = next((start for start in NETWORKS if address.startswith(start)), None)
        file = None if known is None else FOLDER / "node_modules" / (NETWORKS[known] + address.removeprefix(known))
        if file is None or not file.is_file():
            route.fulfill(status=200, body="", content_type="text/css")
            return
        self.sent += packed_size(file)
        route.fulfill(path=file)


@cache
def packed_size(file: Path) -> int:
    return len(gzip.compress(file.read_bytes()))


class Packed(SimpleHTTPRequestHandler):
    """Serves the pages of others compressed, as a web server in front of them would."""

    def do_GET(self) -> None:
        content = Path(self.directory, Path(self.path).name + ".gz").read_bytes()
        self.send_response(200)
        for name, value in (
            ("Content-Type", "text/html"),
            ("Content-Encoding", "gzip"),
            ("Content-Length", len(content)),
        ):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder of compressed pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Packed, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def pages_of_others(base: str) -> Path:
    """Return the folder of the others' compressed pages of the layer that our server has, written where it is not."""
    with urllib.request.urlopen(f"{base}/download/{LAYER}.geojson") as answer:
        layer = answer.read()
    parts = (layer, WRITER.read_bytes(), PEERS_LIST.read_bytes())
    folder = KEPT / hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]
    if not folder.is_dir():
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as unfinished:
            write_pages(layer, Path(unfinished, "pages"))
            Path(unfinished, "pages").rename(folder)
    return folder


def write_pages(layer: bytes, folder: Path) -> None:
    """Have the others write their pages of a layer, and compress them."""
    folder.mkdir()
    source, started = folder / "layer.geojson", time.perf_counter()
    source.write_bytes(layer)
    subprocess.run([str(peers()), str(WRITER), str(source), str(folder)], check=True)
    source.unlink()
    for page in folder.glob("*.html"):
        Path(f"{page}.gz").write_bytes(gzip.compress(page.read_bytes()))
        print(f"{page.stem}: a page of {page.stat().st_size / 1e6:.1f} MB", flush=True)
        page.unlink()
    print(f"written in {time.perf_counter() - started:.0f} s", flush=True)


def visit(browser: Any, contestant: Contestant) -> Visit:
    """Open a page, move its map, and say what that cost."""
    context = browser.new_context(viewport=WINDOW, service_workers="block")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    network = Network(page)
    started = time.perf_counter()
    page.goto(contestant.address, wait_until="load")
    page.wait_for_selector(contestant.drawn, state="attached")
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    seconds, first_bytes = time.perf_counter() - started, network.sent
    page.evaluate(COUNT_FRAMES)
    move(page)
    moments = page.evaluate("() => window.moments")
    gaps = [after - before for before, after in pairwise(moments)]
    moving = (moments[-1] - moments[0]) / 1000
    context.close()
    return Visit(seconds, first_bytes, network.sent, len(gaps) / moving, max(gaps), moving)


def move(page: Any) -> None:
    """Drag and zoom the map with the mouse."""
    box = page.locator(".leaflet-container").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for right, down, wheel in ((-160, -90, 0), (160, 90, 0), (90, -120, -240), (-160, 90, 0), (160, -90, 240)):
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + right, y + down, steps=30)
        page.mouse.up()
        for _ in range(2 if wheel else 0):
            page.mouse.wheel(0, wheel / 2)
            page.wait_for_timeout(600)
    page.wait_for_timeout(1000)


HEADS = ("page", "drawn in, s", "first, MB", "in all, MB", "frames/s", "longest, ms", "worst, ms", "moving, s")


def show(name: str, visits: list[Visit]) -> None:
    """Print the medians of a page's visits, and the worst frame of all."""

    def middle(field: str) -> float:
        return median(getattr(one, field) for one in visits)

    figures = (
        f"{middle('seconds'):.1f}",
        f"{middle('first_bytes') / 1e6:.2f}",
        f"{middle('all_bytes') / 1e6:.2f}",
        f"{middle('frames_a_second'):.1f}",
        f"{middle('longest_ms'):,.0f}",
        f"{max(one.longest_ms for one in visits):,.0f}",
        f"{middle('moving_seconds'):.1f}",
    )
    print(f"{name:<20}" + "".join(f"{figure:>13}" for figure in figures), flush=True)


def main(runs: int) -> None:
    """Publish, write the pages, visit all of them in turn and print a table."""
    if not (FOLDER / "node_modules").is_dir():
        subprocess.run([sys.executable, str(HERE.parent / "static/install.py"), str(FOLDER)], check=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "home"
        publish(home)
        with tiles_servers.gisservice("gisservice", home, LAYER) as ours, serving(pages_of_others(ours.base)) as others:
            contestants = (
                Contestant("gisservice", f"{ours.base}/maps/{LAYER}{START}", '#map_city[aria-busy="false"]'),
                Contestant("folium.GeoJson", f"{others}/folium.html", ".leaflet-overlay-pane :is(path, canvas)"),
                Contestant("geopandas explore()", f"{others}/explore.html", ".leaflet-overlay-pane :is(path, canvas)"),
            )
            compare(contestants, runs)


def compare(contestants: tuple[Contestant, ...], runs: int) -> None:
    """Visit the pages in turn and print their table."""
    visits: dict[str, list[Visit]] = {one.name: [] for one in contestants}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        print(f"47,174 parcels, medians of {runs} visits; Chromium {browser.version} without graphics card; ")
        print(f"gisservice {metadata.version('gisservice')}; {measure.machine()}")
        print(f"{HEADS[0]:<20}" + "".join(f"{head:>13}" for head in HEADS[1:]))
        for _ in range(runs):
            for one in contestants:
                visits[one.name].append(visit(browser, one))
        for name, made in visits.items():
            show(name, made)
        browser.close()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
    except PeerMissing as missing:
        sys.exit(str(missing))
