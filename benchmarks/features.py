"""Serving the city's real parcels as features, beside pygeoapi on files and tipg on PostGIS.

    python benchmarks/features.py [--rounds 3] [--seconds 10] [--home FOLDER] [--only WORD]

Contestants, all with two workers, asked the same by the same client, which shares the machine's cores with them:

- gisservice: `gisservice serve`. Its cache of finished pages is off, so every page is put together anew; a line with
  the cache on is beside it.
- pygeoapi on GeoPackage (with its spatial index) and on GeoParquet (with a box for each row): Flask behind gunicorn.
- tipg on PostGIS (key, GiST index, index of the column that is filtered by): uvicorn.

Questions: items in a box (100, 1,000 and 10,000 of them at most), one item by its id, items by an attribute, items in a
polygon by a CQL2 filter, a page asked for again with its entity tag (by who sends one), and the whole layer as one page
of GeoJSON: how long it takes, when its first byte comes, how much memory the server takes for it, and how long it takes
in process to say that it is still the same. Of a server that is slow with the whole layer one round is enough.

Servers take turns within a round, and each ratio is one round's; medians are printed. A turn is a time, or where a
server answers less often, a few answers to each connection. What a server does not offer is left out, what it cannot
answer is told. Needed beside `make bench`: wrk, GDAL's ogr2ogr, PostGIS and SpatiaLite (on Debian: apt-get install wrk
gdal-bin postgresql-postgis libsqlite3-mod-spatialite); the peers are installed at the first run.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from statistics import median
from subprocess import SubprocessError

import features_servers
import geopandas
import measure
import orjson
import tiles_load
import tiles_servers
import turns
from alexandria import LAYER
from features_servers import BBox, FeatureServer, box_text
from tiles_load import WrkMissing
from tiles_servers import PeerMissing
from turns import Turn
from werkzeug.test import Client

import gisservice
from gisservice.settings import Settings
from gisservice.web import wsgi_app

CONNECTIONS = (16, 32)
SLOWEST_SECONDS = 60
"""A turn of three answers to each connection is to end in about that time."""

SLOW_WHOLE_SECONDS = 15
"""A server that takes longer for the whole layer is asked for it in one round only: peers take up to a minute."""

CANNOT = (RuntimeError, OSError, HTTPException, ValueError, LookupError, SubprocessError)
"""What is raised for a server that refuses, does not answer in time, or does not answer with what was asked for."""

QUESTIONS = 1_000
"""Different addresses of each kind; they are asked in turn."""

POSTGRESQL = {"shared_buffers": "1GB", "effective_cache_size": "4GB", "work_mem": "64MB", "max_connections": "60"}


@dataclass(frozen=True)
class Case:
    """One comparison: what each server is asked, by its name. The first server is ours."""

    title: str
    asked: dict[str, list[str]]


@dataclass(frozen=True)
class Whole:
    """One download of the whole layer: its items, seconds to its first and last byte, length, the server's growth."""

    items: int
    first: float
    seconds: float
    megabytes: float
    extra_mib: float


def main() -> None:
    options = read_options()
    try:
        tiles_load.program()
    except WrkMissing as exc:
        sys.exit(f"benchmarks/features.py: {exc}")
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = turns.home_of(options, work)
        catalog = gisservice.open_catalog(home)
        key = catalog.collection(LAYER).manifest.id_column
        parcels = catalog.read(LAYER).to_crs("EPSG:4326")
        servers = start(stack, home, parcels, key, work)
        show_conditions(options, servers)
        for case in cases(servers, parcels, key):
            if options.only in case.title:
                for connections in CONNECTIONS:
                    compare(case, servers, options, connections)
        if options.only in "whole layer":
            whole_layer(servers, options.rounds)
            again_in_process(home)


def read_options() -> argparse.Namespace:
    parser = turns.parser("Serving features, beside pygeoapi and tipg.")
    parser.add_argument("--only", default="", help="only the cases that have this in their name")
    return parser.parse_args()


def start(
    stack: ExitStack, home: Path, parcels: geopandas.GeoDataFrame, key: str, work: Path
) -> dict[str, FeatureServer]:
    """Start every contestant that can be had; the first is ours."""
    run = features_servers
    found = [
        run.ours(stack, "gisservice", home, LAYER, GISSERVICE_ITEMS_CACHE_BYTES="0"),
        run.ours(stack, "gisservice, cache on", home, LAYER),
    ]
    try:
        for name, write in (("GeoPackage", run.geopackage), ("GeoParquet", run.geoparquet)):
            providers = write(parcels, LAYER, key, work)
            found.append(run.pygeoapi(stack, f"pygeoapi, {name}", LAYER, providers, work))
        database, first = stack.enter_context(run.postgis(parcels, LAYER, key, work, POSTGRESQL))
        found.append(run.tipg(stack, "tipg, PostGIS", LAYER, database, first))
    except PeerMissing as exc:
        print(f"Not compared: {exc}")
    return {server.name: server for server in found}


def cases(servers: dict[str, FeatureServer], parcels: geopandas.GeoDataFrame, key: str) -> list[Case]:
    """Return all comparisons of pages and items."""
    draw = random.Random(5)
    ids = [str(value) for value in parcels[key].sample(QUESTIONS, random_state=5)]
    zones = sorted(parcels["zoning"].dropna().value_counts().index[:30])
    polygons = [hexagon(box) for box in boxes(parcels, draw, 0.004)]

    def each(ask: Callable[[FeatureServer], list[str | None]]) -> dict[str, list[str]]:
        asked = {name: [path for path in ask(server) if path] for name, server in servers.items()}
        return {name: paths for name, paths in asked.items() if paths}

    found = []
    for limit, width in ((100, 0.005), (1_000, 0.02), (10_000, 0.06)):
        places = list(boxes(parcels, draw, width))
        found.append(Case(f"bbox, limit {limit:,}", each(lambda s, p=places, n=limit: [s.page(box, n) for box in p])))
    found.append(Case("one item", each(lambda s: [s.item(one) for one in ids])))
    found.append(Case("attribute, limit 100", each(lambda s: [s.attribute(zone, 100) for zone in zones])))
    found.append(Case("polygon, limit 100", each(lambda s: [s.spatial(polygon, 100) for polygon in polygons])))
    return [*found, replace(found[0], title="again with its tag, limit 100")]


def boxes(parcels: geopandas.GeoDataFrame, draw: random.Random, width: float) -> Iterator[BBox]:
    """Yield boxes around places of parcels, so wide in degrees of longitude and about as high in metres."""
    middles = parcels.geometry.representative_point()
    for _ in range(QUESTIONS):
        place = middles.iloc[draw.randrange(len(middles))]
        yield place.x - width / 2, place.y - width * 0.39, place.x + width / 2, place.y + width * 0.39


def hexagon(box: BBox) -> str:
    """Return a polygon of six corners inside a box, as text."""
    west, south, east, north = box
    half, third = (west + east) / 2, (north - south) / 3
    corners = [
        (half, south), (east, south + third), (east, north - third),
        (half, north), (west, north - third), (west, south + third), (half, south),
    ]  # fmt: skip
    return f"POLYGON(({', '.join(f'{x:.6f} {y:.6f}' for x, y in corners)}))"


def compare(case: Case, servers: dict[str, FeatureServer], options: argparse.Namespace, connections: int) -> None:
    """Run a case and print its rows; ratios are of our rate to the others'."""
    lines = {name: list(paths) for name, paths in case.asked.items()}
    taken: dict[str, list[Turn]] = {name: [] for name in lines}
    for _ in range(options.rounds):
        for name in list(taken):
            try:
                if "tag" in case.title and not taken[name]:
                    lines[name] = tagged(servers[name], lines[name][:200])
                taken[name].append(take_turn(servers[name], lines[name], options.seconds, connections))
            except CANNOT as exc:
                not_measured(f"{case.title} | {connections} | {name}", exc)
                del taken[name]
    first = taken.get(next(iter(lines)), [])
    for name, seen in taken.items():
        turns.show(f"{case.title} | {connections} | {name}", seen, turns.ratios(first, seen))


def not_measured(row: str, exc: Exception) -> None:
    """Print a row that says why there are no figures in it."""
    print(f"| {row} | not measured: {(str(exc) or type(exc).__name__).splitlines()[0]} |", flush=True)


def seconds_of(server: FeatureServer, lines: Sequence[str]) -> float:
    """Return how long a server takes for one answer, asked alone; the first of them warm it."""
    paths = [line.split("\t")[0] for line in lines[:3]]
    tiles_load.ask_each(server.base, paths[:1], encoding="identity")
    started = time.perf_counter()
    tiles_load.ask_each(server.base, paths[1:], encoding="identity")
    return (time.perf_counter() - started) / max(1, len(paths) - 1)


def take_turn(server: FeatureServer, lines: Sequence[str], seconds: int, connections: int) -> Turn:
    """Ask for a time, or where that were few answers to each connection, for three answers to each.

    Of one who would take longest, each connection gets one answer.
    """
    alone = seconds_of(server, lines)
    expected = tiles_servers.WORKERS * seconds / alone
    ask = {"encoding": "identity", "connections": connections}
    if expected >= 3 * connections:
        return turns.take(server, lambda: tiles_load.load(server.base, lines, seconds=seconds, **ask))
    each = 3 if 3 * connections * alone < SLOWEST_SECONDS else 1
    paths = [line.split("\t")[0] for line in lines[: each * connections]]
    return turns.take(server, lambda: tiles_load.load_whole(server.base, paths, **ask))


def tagged(server: FeatureServer, paths: Sequence[str]) -> list[str]:
    """Send with each address the entity tag that the server gives for it, if it does."""
    if not tiles_load.ask_each(server.base, paths[:1], encoding="identity")[paths[0]].etag:
        return list(paths)
    answers = tiles_load.ask_each(server.base, paths, encoding="identity")
    return [f"{path}\t{answers[path].etag}" if answers[path].etag else path for path in paths]


def whole_layer(servers: dict[str, FeatureServer], rounds: int) -> None:
    """Print how each server answers with the whole layer on one page, asked by one reader at a time."""
    print(
        "\n| whole layer, GeoJSON | items | MB | first byte, ms | all, s | more memory, MiB | ours is … times as fast |"
    )
    print("|---|---|---|---|---|---|---|")
    taken: dict[str, list[Whole]] = {name: [] for name in servers}
    slow: set[str] = set()
    for _ in range(rounds):
        for name in [name for name in taken if name not in slow]:
            try:
                taken[name].append(fetch_whole(servers[name]))
            except CANNOT as exc:
                not_measured(name, exc)
                del taken[name]
                continue
            if taken[name][-1].seconds > SLOW_WHOLE_SECONDS:
                slow.add(name)
    ours = taken.get(next(iter(servers)), [])
    for name, seen in taken.items():
        ratios = [other.seconds / mine.seconds for mine, other in zip(ours, seen, strict=False)]
        ratio = f"{median(ratios):.1f}" if ratios and set(ratios) != {1.0} else ""
        print(
            f"| {name} | {seen[0].items:,} | {median(w.megabytes for w in seen):.1f} "
            f"| {1000 * median(w.first for w in seen):,.1f} | {median(w.seconds for w in seen):.2f} "
            f"| {max(w.extra_mib for w in seen):,.0f} | {ratio} |",
            flush=True,
        )


def fetch_whole(server: FeatureServer) -> Whole:
    """Fetch the whole layer once, looking all the while at the server's memory that is no file's: pages of a mapped one
    are everybody's, and can be dropped.
    """
    before = sum(measure.anonymous_kib(pid) for pid in server.processes()) / 1024
    with watched(server) as watches:
        first, seconds, content = features_servers.first_byte(server.base, server.layer)
    peak = sum(watch.peak_kib for watch in watches) / 1024
    items = len(orjson.loads(content)["features"])
    return Whole(items, first, seconds, len(content) / 1e6, max(0.0, peak - before))


def again_in_process(home: Path) -> None:
    """Print how long our server takes, without a network, to say that the whole layer is still the same."""
    settings = Settings.load({}, home=home, items_limit_max=features_servers.LAYER_MAX, items_bytes_max=500_000_000)
    client = Client(wsgi_app(settings))
    path = f"/api/collections/{LAYER}/items?limit={features_servers.LAYER_MAX}"
    tag = client.head(path).headers["ETag"]
    seconds = []
    for _ in range(1_000):
        started = time.perf_counter()
        status = client.get(path, headers={"If-None-Match": tag}).status_code
        seconds.append(time.perf_counter() - started)
        if status != 304:
            raise RuntimeError(f"{path} with its own tag: {status}")
    print(f"\nWhole layer again with its tag, in process: {1000 * median(seconds):.2f} ms (median of {len(seconds)})")


@contextmanager
def watched(server: FeatureServer) -> Iterator[list[measure.Watch]]:
    """Watch the memory of a server's processes."""
    watches = [measure.Watch(root, measure.anonymous_kib) for root in server.roots]
    for watch in watches:
        watch.start()
    try:
        yield watches
    finally:
        for watch in watches:
            watch.stop()


def show_conditions(options: argparse.Namespace, servers: dict[str, FeatureServer]) -> None:
    """Print where the figures come from, and what the servers answer to one and the same question."""
    print(f"Serving 47,174 parcels as features; {measure.machine()}, shared with the client and the database")
    print(
        f"{options.rounds} rounds of {options.seconds} s a server, {tiles_servers.WORKERS} workers each; not compressed"
    )
    named = [f"gisservice {version('gisservice')} on Granian {version('granian')}"]
    if len(servers) > 2:
        known = features_servers.peer_versions()
        named += [f"{name} {known[name]}" for name in ("pygeoapi", "gunicorn", "tipg", "uvicorn")]
        named.append(tiles_servers.postgis_version())
    print("; ".join(named))
    box = (-77.06, 38.81, -77.05, 38.82)
    for server in servers.values():
        try:
            matched, returned = features_servers.counts(server.base, server.page(box, 100))
            print(f"  {server.name}: {matched} items match bbox={box_text(box)}, {returned} of them on a page of 100")
        except CANNOT as exc:
            print(f"  {server.name}: {exc}")
    print(
        "\n| case | connections | server | requests/s | p50, ms | p99, ms | kB | CPU ms a request "
        "| ours is … times as fast |"
    )
    print("|---|---|---|---|---|---|---|---|---|")


if __name__ == "__main__":
    main()
