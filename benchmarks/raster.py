"""Raster tiles of ours and of TiTiler, from the same GeoTIFF: 10,000 x 10,000 cells of 16 bits in EPSG:2283.

    python benchmarks/raster.py [--rounds 3] [--seconds 5] [--tiles 300] [--walk 10000] [--work FOLDER]

Both servers have two workers and read the file that ``gisservice ingest`` published, so neither has the better copy.
They take turns within a round; each ratio is one round's, and medians are printed with least and most of the ratios.

- drawn: tiles that are each asked for once, other ones in each round;
- repeated: a hundred tiles again and again for some seconds;
- memory: what our processes hold while they draw the tiles of a long walk, none twice.

A tile counts when it comes with 200, and both draw the same zooms and places.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as release
from pathlib import Path
from statistics import median
from urllib.parse import quote

import measure
import numpy as np
import rasterio
from features_servers import peer_versions, peers
from rasterio.transform import Affine
from tiles_load import Load, load, load_whole
from tiles_servers import PROGRAM, WORKERS, free_port, running

SIDE = 10_000
CELL_FT = 5.0
CORNER = (11_860_000.0, 7_000_000.0)
LAYER = "bench"
ZOOMS = (12, 13, 14, 15, 16, 17, 18)
CONNECTIONS = 8

APPLICATION = """
from fastapi import FastAPI
from titiler.core.factory import TilerFactory
app = FastAPI()
app.include_router(TilerFactory().router)
@app.get("/healthz")
def healthz():
    return {}
"""
"""TiTiler as its guide has it: a factory's router in an application."""

TUNED = {
    "GDAL_CACHEMAX": "200",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": "5000000",
}
"""What TiTiler's guide on performance advises."""


@dataclass(frozen=True)
class Server:
    """A running server: its address, what follows a tile's ``z/x/y``, and its process."""

    name: str
    base: str
    before: str
    after: str
    pid: int

    def path(self, tile: tuple[int, int, int]) -> str:
        """Return the path of a tile."""
        return self.before + "/".join(map(str, tile)) + self.after

    def memory_mib(self) -> float:
        """Return what its processes hold of their own, shared pages counted once."""
        return sum(measure.proportional_kib(pid) for pid in measure.tree(self.pid)) / 1024


def main() -> None:
    """Run all of it and print one table."""
    options = read_options()
    with tempfile.TemporaryDirectory() as temporary:
        home = published(options.work or Path(temporary))
        (version,) = home.glob(f"collections/{LAYER}/versions/v-*")
        manifest = json.loads((version / "manifest.json").read_bytes())
        (band,) = manifest["raster"]["bands"]
        extent = manifest["extent"]["bbox"]
        print(f"{measure.machine()}; {WORKERS} workers each; gisservice {release('gisservice')}, {peer_names()}")
        zooms = f"zooms {ZOOMS[0]} to {ZOOMS[-1]}"
        print(f"256 pixels, PNG, {zooms}, {CONNECTIONS} connections, {options.rounds} rounds\n", flush=True)
        with gisservice(home) as ours:
            with titiler(version / "raster.tif", band["min"], band["max"], Path(temporary)) as theirs:
                for server in (ours, theirs):
                    load_whole(server.base, paths(server, extent, 40, 0), encoding="identity", connections=2)  # warm
                show("drawn", [drawn(ours, theirs, extent, options.tiles, n) for n in range(1, options.rounds + 1)])
                show("repeated", [repeated(ours, theirs, extent, options.seconds) for _ in range(options.rounds)])
            show_walk(ours, extent, options.walk)


def read_options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Serving raster tiles, beside TiTiler.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each server's turn with repeated tiles")
    parser.add_argument("--tiles", type=int, default=300, help="of each server's turn with drawn ones")
    parser.add_argument("--walk", type=int, default=10_000, help="tiles of the walk that memory is measured over")
    parser.add_argument("--work", type=Path, help="a folder to keep the generated raster in")
    return parser.parse_args()


def peer_names() -> str:
    """Return the release of the peer and of what it reads with."""
    code = "import rasterio, rio_tiler; print(f'rio-tiler {rio_tiler.__version__}, GDAL {rasterio.__gdal_version__}')"
    found = subprocess.run([str(peers()), "-c", code], capture_output=True, text=True, check=True)
    return f"GDAL {rasterio.__gdal_version__}; TiTiler {peer_versions()['titiler-core']}, {found.stdout.strip()}"


def paths(server: Server, extent: Sequence[float], count: int, seed: int) -> list[str]:
    """Return the addresses of so many tiles at a server; the same places for every server."""
    return [server.path(tile) for tile in places(extent, count, seed)]


Turns = tuple[Load, Load]
"""One round: ours, and theirs."""


def drawn(ours: Server, theirs: Server, extent: Sequence[float], count: int, seed: int) -> Turns:
    """Ask both for tiles that they have not been asked for before."""
    one, other = (
        load_whole(server.base, paths(server, extent, count, seed), encoding="identity", connections=CONNECTIONS)
        for server in (ours, theirs)
    )
    return one, other


def repeated(ours: Server, theirs: Server, extent: Sequence[float], seconds: int) -> Turns:
    """Ask both for the same hundred tiles, again and again."""
    one, other = (
        load(server.base, paths(server, extent, 100, 1), encoding="identity", connections=CONNECTIONS, seconds=seconds)
        for server in (ours, theirs)
    )
    return one, other


def show(title: str, rounds: list[Turns]) -> None:
    """Print the medians of both, and how our rate compares."""
    ratios = [ours.rate / theirs.rate for ours, theirs in rounds]
    for name, turns in (("gisservice", [ours for ours, _ in rounds]), ("TiTiler", [theirs for _, theirs in rounds])):
        rate, p50, p99 = (median(getattr(turn, key) for turn in turns) for key in ("rate", "p50_ms", "p99_ms"))
        size = median(turn.mean_bytes for turn in turns) / 1000
        print(f"{title:<9} {name:<11} {rate:9.1f} tiles/s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   {size:.1f} kB each")
    times = f"{median(ratios):.1f} times ({min(ratios):.1f} to {max(ratios):.1f})"
    print(f"{title:<9} our rate is {times} theirs\n", flush=True)


def show_walk(server: Server, extent: Sequence[float], count: int) -> None:
    """Print what our processes hold while they draw tiles, none twice."""
    asked = paths(server, extent, count, seed=1_000)
    held = [server.memory_mib()]
    for part in range(4):
        quarter = asked[part * len(asked) // 4 : (part + 1) * len(asked) // 4]
        load_whole(server.base, quarter, encoding="identity", connections=CONNECTIONS)
        held.append(server.memory_mib())
    steps = ", ".join(f"{mib:.0f}" for mib in held)
    print(f"memory of all our processes, MiB, before and after each quarter of {len(asked)} tiles: {steps}")


def published(work: Path) -> Path:
    """Return a home with the raster published, made when it is not there; its tiles beyond zoom 8 are not stored."""
    home = work / "home"
    if not home.exists():
        work.mkdir(parents=True, exist_ok=True)
        generate(work / "raster.tif")
        registry = work / "layers.toml"
        registry.write_text(
            f'[city]\nname = "Benchmark"\n[layers.{LAYER}]\ntitle = "Relief"\ngeometry = "raster"\nzoom = [8, 8]\n'
            'sources = [{path = "raster.tif"}]\n'
        )
        command = [PROGRAM, "--registry", str(registry), "--home", str(home), "ingest", "--all"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return home


def generate(path: Path) -> None:
    """Write hills with noise on them, which no compression removes."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    heights = 2000 + 1500 * np.sin(x / 900) * np.cos(y / 700) + 300 * np.sin(x / 61 + y / 83)
    heights += random.normal(0, 20, (SIDE, SIDE)).astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", width=SIDE, height=SIDE, count=1, dtype="uint16", crs="EPSG:2283",
        transform=Affine(CELL_FT, 0, CORNER[0], 0, -CELL_FT, CORNER[1]), tiled=True, compress="deflate", predictor=2,
    ) as file:  # fmt: skip
        file.write(np.clip(heights, 0, 65_535).astype("uint16"), 1)


def places(bbox: Sequence[float], count: int, seed: int = 1) -> list[tuple[int, int, int]]:
    """Return tiles at random places well inside the raster, as many of each zoom, none twice."""
    random = np.random.default_rng(seed)
    width, height = bbox[2] - bbox[0], bbox[3] - bbox[1]
    west, east = bbox[0] + 0.05 * width, bbox[2] - 0.05 * width
    south, north = bbox[1] + 0.05 * height, bbox[3] - 0.05 * height
    found: dict[tuple[int, int, int], None] = {}
    for _ in range(20 * count):
        z = int(random.choice(ZOOMS))
        lon, lat = random.uniform(west, east), np.radians(random.uniform(south, north))
        x = int((lon / 360 + 0.5) * 2**z)
        y = int((0.5 - np.arcsinh(np.tan(lat)) / (2 * np.pi)) * 2**z)
        found[z, x, y] = None
        if len(found) == count:
            break
    return list(found)


@contextmanager
def gisservice(home: Path) -> Iterator[Server]:
    """Serve the published raster."""
    port = free_port()
    command = [PROGRAM, "--registry", str(home.parent / "layers.toml"), "--home", str(home)]
    command += ["serve", "--port", str(port), "--workers", str(WORKERS)]
    with running(command, port, "/healthz") as process:
        yield Server("gisservice", f"http://127.0.0.1:{port}", f"/tiles/{LAYER}/", ".png", process.pid)


@contextmanager
def titiler(path: Path, low: float, high: float, work: Path) -> Iterator[Server]:
    """Serve the same file by TiTiler, rescaled as ours is, with bilinear resampling as ours has."""
    port = free_port()
    (work / "tiler.py").write_text(APPLICATION)
    command = [str(peers()), "-m", "uvicorn", "tiler:app", "--app-dir", str(work), "--port", str(port)]
    command += ["--workers", str(WORKERS), "--log-level", "error"]
    query = f".png?url={quote(str(path), safe='')}&rescale={low:g},{high:g}&resampling=bilinear&reproject=bilinear"
    with running(command, port, "/healthz", **TUNED) as process:
        before = "/tiles/WebMercatorQuad/"
        yield Server("TiTiler", f"http://127.0.0.1:{port}", before, query, process.pid)


if __name__ == "__main__":
    main()
