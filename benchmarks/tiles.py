"""Serving the city's real parcels as tiles, beside Martin on the same archive and Martin on PostGIS.

    python benchmarks/tiles.py [--rounds 3] [--seconds 10] [--martin PROGRAM] [--home FOLDER]

Contestants, all with two workers and the same load client (wrk, which shares the machine's cores with them):

- gisservice: `gisservice serve`, tile addresses as its TileJSON names them.
- Martin, archive: Martin on the very archive that gisservice published and serves (PMTiles, gzip).
- Martin, PostGIS, cache on: the published parcels in a table in Web Mercator with a GiST index, loaded by ogr2ogr;
  Martin's own publishing of tables; its cache so large that all tiles stay in it.
- Martin, PostGIS, cache off; and gisservice with its cache off and a filter that leaves out one record of a hundred, so
  that it draws every tile anew, those of the archive's zooms too, and hardly one is as it is stored. What it draws it
  draws as it always does: at the archive's zooms it takes geometries, cut and encoded, from the stored tile, chooses
  records, numbers their properties, writes and compresses the tile; past them all is done from exact positions. Martin
  has PostGIS do all of it for every record.

The addresses come from `tiles_browse.py`, the same for all. Servers take turns within a round, and each ratio is one
round's; medians are printed, with the least and most of the ratios. Where tiles are cold, a turn is a number of
requests and not a time, and the client is our own (see `tiles_load.py`). For what is missing here a line says how to
get it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import geopandas
import measure
import tiles_browse
import tiles_load
import tiles_servers
import turns
from alexandria import LAYER, ZOOMS
from tiles_browse import Tile
from tiles_load import Load, WrkMissing
from tiles_servers import PeerMissing, Server
from turns import Turn

import gisservice

DEEP = 14
CONNECTIONS = 16
COLD = 500
"""Requests of a turn where tiles are drawn: the first of the shuffled list."""

LEFT_OUT = 100
"""Of so many records the filter of the drawn tiles leaves one out."""

BROWSERS = "gzip, deflate, br, zstd"
"""What browsers say they take; the server chooses."""

CACHE_MB = 2_000
"""Martin's cache where it is on: four times its default, more than all tiles of the list."""

POSTGRESQL = {"shared_buffers": "1GB", "effective_cache_size": "4GB", "work_mem": "64MB"}


@dataclass(frozen=True)
class Entry:
    """One server in one case: what it is asked, line by line."""

    server: Server
    lines: Sequence[str]


@dataclass(frozen=True)
class Case:
    """One comparison; the first of ``entries`` is ours."""

    title: str
    encoding: str
    """The Accept-Encoding that is sent."""
    entries: Sequence[Entry]
    connections: int = CONNECTIONS
    whole: bool = False
    """Whether each turn asks for all lines to the end, and not for a time."""


def main() -> None:
    options = read_options()
    try:
        tiles_load.program()
    except WrkMissing as exc:
        sys.exit(f"benchmarks/tiles.py: {exc}")
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = turns.home_of(options, work)
        parcels = gisservice.open_catalog(home).read(LAYER).to_crs("EPSG:3857")
        table = work / "parcels.gpkg"
        parcels.to_file(table, layer=LAYER)
        servers = start(stack, home, table, options.martin)
        asked = addresses(parcels)
        show_conditions(options, servers, asked)
        for case in cases(servers, asked):
            try:
                compare(case, options.rounds, options.seconds)
            except RuntimeError as exc:
                print(f"| {case.title} | not measured: {exc} |", flush=True)
        show_memory(servers.values())


def read_options() -> argparse.Namespace:
    parser = turns.parser("Serving tiles, beside Martin.")
    parser.add_argument("--martin", help="the program, if it is not on the path")
    return parser.parse_args()


def start(stack: ExitStack, home: Path, table: Path, martin: str | None) -> dict[str, Server]:
    """Start every contestant that can be had, by its short name."""
    collection = gisservice.open_catalog(home).collection(LAYER)
    servers = {
        "ours": stack.enter_context(tiles_servers.gisservice("gisservice", home, LAYER)),
        "ours drawn": stack.enter_context(
            tiles_servers.gisservice(
                "gisservice, cache off",
                home,
                LAYER,
                f"?filter={collection.manifest.id_column}%25{LEFT_OUT}%3E0",
                GISSERVICE_TILE_CACHE_BYTES="0",
            )
        ),
    }
    try:
        program = tiles_servers.find_martin(martin)
        archive = str(collection.path / "tiles.pmtiles")
        run = tiles_servers.martin
        servers["archive"] = stack.enter_context(run("Martin, archive", program, archive, "tiles", CACHE_MB))
        database, first = stack.enter_context(tiles_servers.postgis(table, LAYER, POSTGRESQL))
        for name, title, cache in (("warm", "cache on", CACHE_MB), ("cold", "cache off", 0)):
            server = run(f"Martin, PostGIS, {title}", program, database, LAYER, cache, first)
            servers[name] = stack.enter_context(server)
    except PeerMissing as exc:
        print(f"Not compared: {exc}")
    return servers


def addresses(parcels: geopandas.GeoDataFrame) -> list[Tile]:
    """Return the walks over the city; where they go are places of parcels."""
    lonlat = parcels.geometry.representative_point().to_crs("OGC:CRS84")
    goals = list(zip(lonlat.x.tolist(), lonlat.y.tolist(), strict=True))
    west, south, east, north = parcels.geometry.to_crs("OGC:CRS84").total_bounds.tolist()
    return tiles_browse.browse(goals, (west, south, east, north))


def cases(servers: dict[str, Server], asked: Sequence[Tile]) -> list[Case]:
    """Return all comparisons, for zooms 10 to 18 and for those from 14 on."""
    found = []
    for title, tiles in (("z10 to z18", asked), (f"z{DEEP} and deeper", [t for t in asked if t[0] >= DEEP])):
        stored = tiles_browse.no_deeper(tiles, ZOOMS[1])
        warm = entries(servers, ("ours", "archive", "warm"), stored)
        found.append(Case(f"warm, gzip, {title}", "gzip", warm))
        found.append(Case(f"not modified (304), {title}", "gzip", [tagged(entry) for entry in warm]))
        found.append(Case(f"warm, as browsers ask, {title}", BROWSERS, warm))
        drawn = entries(servers, ("ours drawn", "cold"), tiles[:COLD])
        found.append(Case(f"cold, gzip, {title}", "gzip", drawn, whole=True))
        few = tiles_servers.WORKERS
        found.append(Case(f"cold, gzip, {title}, {few} connections", "gzip", drawn, few, whole=True))
    return found


def entries(servers: dict[str, Server], names: Sequence[str], tiles: Sequence[Tile]) -> list[Entry]:
    there = [servers[name] for name in names if name in servers]
    return [Entry(server, [server.path(tile) for tile in tiles]) for server in there]


def tagged(entry: Entry) -> Entry:
    """Send with each address the entity tag that the server gives for it, as a browser does that has the tile."""
    answers = tiles_load.ask_each(entry.server.base, entry.lines, encoding="gzip")
    return Entry(
        entry.server, [f"{path}\t{answers[path].etag}" if answers[path].etag else path for path in entry.lines]
    )


def compare(case: Case, rounds: int, seconds: int) -> None:
    """Run a case and print its rows; the first contestant is ours, and the ratios are its rate to the others'."""
    seen: list[list[Turn]] = [[] for _ in case.entries]
    for entry in case.entries:
        prepare(case, entry)
    for _ in range(rounds):
        for entry, taken in zip(case.entries, seen, strict=True):
            taken.append(turns.take(entry.server, partial(ask, case, entry, seconds)))
    for entry, taken in zip(case.entries, seen, strict=True):
        turns.show(f"{case.title} | {entry.server.name}", taken, turns.ratios(seen[0], taken))


def ask(case: Case, entry: Entry, seconds: int) -> Load:
    """Take one server's turn."""
    base, lines, encoding, connections = entry.server.base, entry.lines, case.encoding, case.connections
    if case.whole:
        return tiles_load.load_whole(base, lines, encoding=encoding, connections=connections)
    return tiles_load.load(base, lines, encoding=encoding, connections=connections, seconds=seconds)


def prepare(case: Case, entry: Entry) -> None:
    """Check that the server answers, and warm what is measured warm: every tile is asked once."""
    paths = [line.split("\t")[0] for line in entry.lines]
    warm = case.title.startswith("warm")
    answers = tiles_load.ask_each(entry.server.base, paths if warm else paths[:20], encoding=case.encoding)
    full = [answer for answer in answers.values() if answer.status == 200]
    if not full or not {answer.encoding for answer in full} <= set(case.encoding.split(", ")):
        raise RuntimeError(f"{entry.server.name} does not compress its tiles with any of {case.encoding}")


def show_conditions(options: argparse.Namespace, servers: dict[str, Server], asked: Sequence[Tile]) -> None:
    print(f"Serving 47,174 parcels as tiles; {measure.machine()}, shared with the load client and the database")
    print(
        f"{options.rounds} rounds; a server's turn is {options.seconds} s, or where tiles are cold the first {COLD} "
        f"requests of the list; {tiles_servers.WORKERS} workers each; "
        f"{CONNECTIONS} connections where nothing else is said"
    )
    named = [f"gisservice {version('gisservice')} on Granian {version('granian')}", wrk_version()]
    if "archive" in servers:
        named.append(first_line([tiles_servers.find_martin(options.martin), "--version"]))
    if "cold" in servers:
        named.append(tiles_servers.postgis_version())
    print("; ".join(named))
    print(f"Browsing: {tiles_browse.describe(asked)}\n")
    print("| case | server | requests/s | p50, ms | p99, ms | mean kB | CPU ms a request | ours is … times as fast |")
    print("|---|---|---|---|---|---|---|---|")


def wrk_version() -> str:
    """Return wrk's name and version; it tells them with an error code."""
    told = subprocess.run([tiles_load.program(), "--version"], capture_output=True, text=True, check=False)
    return told.stdout.split(" [")[0]


def first_line(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def show_memory(servers: Sequence[Server]) -> None:
    print("\nMemory of each process after all of it: resident (and its share of what several have mapped)")
    for server in servers:
        print(f"  {server.name:<26} {server.memory()}")


if __name__ == "__main__":
    main()
