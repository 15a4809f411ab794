"""Network and zones against what a planner would use instead: networkx and pandana, and rasterstats.

    python benchmarks/analysis_network.py [--rounds 3] [--edges 100000] [--home FOLDER] [--peers PYTHON]

Conditions: the sample city as published in the catalog named (by default data/published), and its streets copied side
by side until they have about 100,000 edges. Each peer answers the same question on the same arrays. The quickest answer
of so many rounds of each is shown, and the first, with what it makes of these arrays to find ways; libraries are loaded
before. Where places lie on the streets is kept with their frame, so our later answers cost less. Peers run in an
environment of their own, made of `peers.txt` where ``--peers`` names no Python of another; where it cannot be made,
only our own figures are printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import geopandas
import numpy as np
import shapely
from features_servers import PeerMissing, peers

from gisservice import open_catalog
from gisservice.analysis import Ground, Network, access, reach, zonal
from gisservice.analysis.network import MODES
from gisservice.catalog import load_registry

ROOT = Path(__file__).resolve().parents[1]
MINUTES = 10.0


def best(run: Callable[[], object], rounds: int) -> float:
    """Return the seconds of the quickest of some runs."""
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def tiled(streets: geopandas.GeoDataFrame, edges: int) -> geopandas.GeoDataFrame:
    """Return copies of a city's streets side by side, touching where they happen to."""
    count = max(1, round(edges / len(streets)))
    west, south, east, north = streets.total_bounds
    side = int(np.ceil(np.sqrt(count)))
    moved = [
        shapely.transform(
            streets.geometry.to_numpy(),
            lambda xy, n=n: xy + np.array([(n % side) * (east - west), (n // side) * (north - south)]),
        )
        for n in range(count)
    ]
    attributes = streets.drop(columns="geometry").iloc[np.tile(np.arange(len(streets)), count)].reset_index(drop=True)
    return geopandas.GeoDataFrame(attributes, geometry=np.concatenate(moved), crs=streets.crs)


def for_peers(network: Network, places: geopandas.GeoDataFrame, goals: np.ndarray, folder: Path) -> Path:
    """Write the walking network and goals as arrays, and the places as they are, areas mostly, into a file beside."""
    places[["geometry"]].to_parquet(folder / "places.parquet")
    travel = network.travel(MODES[0])
    tail, head, minutes, edge = travel.arcs
    file = folder / "network.npz"
    np.savez(
        file, nodes=network.nodes, tail=tail, head=head, minutes=minutes, goals=goals, most=MINUTES,
        lines=network.lines.coordinates, starts=network.lines.starts, ends=network.ends, edge=edge,
        metres=network.metres,
    )  # fmt: skip
    return file


def peer(python: Path | None, question: str, file: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each peer took, at best and the first time."""
    if python is None:
        return {}
    script = Path(__file__).with_name("analysis_peers.py")
    command = [str(python), str(script), question, str(file), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  peers did not answer {question}: {done.stderr.strip().splitlines()[-1:]}")
        return {}
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def told(what: str, ours: float, first: float, peers: dict[str, list[float]]) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what}: {ours * 1000:,.0f} ms, the first time {first * 1000:,.0f} ms; peak memory {peak} MiB")
    for name, (seconds, begun) in peers.items():
        times = f"{seconds / ours:.1f} and {begun / first:.1f} times as long"
        print(f"  {name}: {seconds * 1000:,.0f} ms, the first time {begun * 1000:,.0f} ms, {times}")


def python_of_peers(given: Path | None) -> Path | None:
    try:
        return given or peers()
    except PeerMissing as exc:
        print(f"Nothing to compare with: {exc}")
        return None


def measure_network(
    network: Network,
    places: geopandas.GeoDataFrame,
    goals: geopandas.GeoDataFrame,
    python: Path | None,
    rounds: int,
) -> None:
    print(f"\n{len(network.lines):,} edges, {len(network.nodes):,} nodes, {len(places):,} places, {len(goals)} goals")
    with tempfile.TemporaryDirectory() as name:
        file = for_peers(network, places, shapely.get_coordinates(goals.geometry.to_numpy()), Path(name))
        asked = [
            ("access", "minutes from every place to the nearest goal", lambda n, p: access(n, p, {"goal": goals})),
            ("reach", f"areas within {MINUTES:g} minutes of each goal", lambda n, p: reach(n, goals, minutes=MINUTES)),
        ]  # fmt: skip
        for question, meaning, run in asked:
            fresh, copy = replace(network, _travels={}), places.copy(deep=True)
            first = best(lambda run=run, fresh=fresh, copy=copy: run(fresh, copy), 1)
            ours = best(lambda run=run, fresh=fresh, copy=copy: run(fresh, copy), rounds)
            told(f"{question}, {meaning}", ours, first, peer(python, question, file, rounds))


def measure_zones(parcels: geopandas.GeoDataFrame, ground: Ground, python: Path | None, rounds: int) -> None:
    print(f"\n{len(parcels):,} parcels, {ground.raster.width} x {ground.raster.height} cells")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "parcels.gpkg"
        parcels[["geometry"]].to_file(file)
        (Path(name) / "raster.txt").write_text(str(ground.raster.path))
        first = best(lambda: zonal(parcels, ground), 1)
        ours = best(lambda: zonal(parcels, ground), rounds)
        told("zonal, cells, mean, min, max", ours, first, peer(python, "zonal", file, rounds))


_LIBRARIES = ("scipy.spatial", "scipy.sparse.csgraph", "exactextract")


def main() -> None:
    for name in _LIBRARIES:
        import_module(name)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=ROOT / "data" / "published")
    parser.add_argument("--peers", type=Path, help="Python of an environment with networkx, pandana and rasterstats")
    parser.add_argument("--edges", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    catalog = open_catalog(options.home)
    if not {"streets", "parcels", "libraries", "elevation"} <= set(catalog.ids()):
        sys.exit("The sample city is not published here; run: gisservice ingest --all")
    layer = load_registry(ROOT / "data" / "layers.toml").layer("streets")
    assert layer is not None
    python = python_of_peers(options.peers)
    streets, parcels = catalog.read("streets"), catalog.read("parcels")
    for frame in (streets, tiled(streets, options.edges)):
        measure_network(Network.of(frame, layer.network), parcels, catalog.read("libraries"), python, options.rounds)
    measure_zones(parcels, Ground.open(catalog), python, options.rounds)


if __name__ == "__main__":
    main()
