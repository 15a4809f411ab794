"""Planners' questions over the city's real parcels and addresses: gisservice, geopandas and PostGIS side by side.

    python benchmarks/analysis.py [--rounds 3] [--growth 22] [--home FOLDER] [--only NAME,NAME]

Each question is asked in so many rounds of each in turn and the least time is printed, with the ratio of the best of
the others to ours: above 1 we are faster. PostGIS has its tables indexed and analyzed, two parallel workers and its
answer drawn into a table of its own; what is asked of it is the same question, not the same frame. Answers are compared
before they are timed. Frames keep their index: what is asked again costs less than the first time, which is shown, too;
libraries are loaded before.

Then so many copies of the city, 22 are 1.04 million parcels, are laid side by side and we alone are asked once of one
and of all, in a process each: seconds, how many times as many, and the memory that its questions took beyond the data
(``--growth 0`` leaves that out). The report of a place is timed where the sample city is published, ``--home``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import string
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import geopandas
import measure
import numpy as np
import pandas
import psycopg
import pyogrio
import shapely

from gisservice import analysis
from gisservice.analysis import aggregate, nearest, overlay, summarize, within
from gisservice.errors import AddressNotFound

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "alexandria"
sys.path.insert(0, str(ROOT / "tests"))

from postgis_server import PostgisMissing, postgis_server  # noqa: E402

Question = tuple[str, Callable[[], Any], Callable[[], Any], str]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--growth", type=int, default=22, metavar="COPIES")
    options.add_argument("--home", type=Path, default=ROOT / "data" / "published")
    options.add_argument("--only", default="", help="names of questions, with commas between")
    options.add_argument("--alone", type=int, metavar="COPIES", help="print our own times over copies, as JSON")
    given = options.parse_args()
    if not DATA.is_dir():
        sys.exit("The real data is not beside this checkout (../shared/data).")
    if given.alone:
        print(json.dumps(alone(given.alone, given.only)))
        return
    side_by_side(given.only, given.rounds)
    places(given.home)
    if given.growth:
        growth(given.growth, given.only)


def side_by_side(only: str, rounds: int) -> None:
    """Compare with geopandas and PostGIS."""
    parcels, addresses = city(1)
    stations, zones = seeds(parcels)
    print(f"{len(parcels):,} parcels, {len(addresses):,} addresses, {len(stations)} stations, {len(zones)} zones")
    print(f"{measure.machine()}\n")
    wanted = chosen(questions(parcels, addresses, stations, zones), only)
    print(f"{'':22}{'first':>12}{'gisservice':>12}{'geopandas':>12}{'PostGIS':>12}{'ratio':>8}")
    try:
        with postgis_server() as server, psycopg.connect(server, autocommit=True) as connection:
            tables = {"parcels": parcels, "addresses": addresses, "stations": stations, "zones": zones}
            for name, frame in tables.items():
                load(connection, name, frame)
            for one in wanted:
                compare(one, connection, rounds)
    except PostgisMissing as exc:
        print(exc)
        for one in wanted:
            compare(one, None, rounds)


def chosen(asked: list[Question], only: str) -> list[Question]:
    return [one for one in asked if not only or one[0] in only.split(",")]


def growth(copies: int, only: str) -> None:
    """Print what our answers cost over one copy of the city and over many."""
    found = []
    for count in (1, copies):
        command = [sys.executable, __file__, "--alone", str(count), *(["--only", only] if only else [])]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    one, many = found
    print(
        f"\n{'once, alone':22}{one['parcels']:>9,} p.{many['parcels']:>11,} p.{'times':>8}{'MiB beyond the data':>24}"
    )
    for name, seconds in many["seconds"].items():
        before, memory = one["seconds"][name], (one["mib"][name], many["mib"][name])
        print(
            f"{name:22}{before * 1e3:>9,.0f} ms{seconds * 1e3:>11,.0f} ms{seconds / before:>8.1f}"
            f"{memory[0]:>14,.0f}, {memory[1]:,.0f}"
        )


def alone(copies: int, only: str) -> dict[str, Any]:
    """Return the seconds of each of our answers, asked once, and the most memory it took beyond what was there."""
    parcels, addresses = city(copies)
    asked = chosen(questions(parcels, addresses, *seeds(parcels)), only)
    seconds, mib = {}, {}
    for name, ours, _, _ in asked:
        before = measure.resident_kib(os.getpid())
        watch = measure.Watch(os.getpid(), measure.resident_kib)
        watch.start()
        seconds[name] = timed(ours)
        watch.stop()
        mib[name] = max(0, watch.peak_kib - before) / 1024
    return {"parcels": len(parcels), "seconds": seconds, "mib": mib}


def city(copies: int) -> tuple[geopandas.GeoDataFrame, geopandas.GeoDataFrame]:
    """The parcels and addresses in EPSG:2283, so many times side by side."""
    parcels = pyogrio.read_dataframe(f"/vsizip/{DATA}/parcels_2283.gdb.zip", columns=["ZONING", "LAND_SF"]).to_crs(2283)
    parcels.geometry = shapely.make_valid(parcels.geometry.to_numpy(), method="structure", keep_collapsed=False)
    table = pandas.read_csv(DATA / "address_points_2019.csv", usecols=["X", "Y", "ZIP"], dtype={"ZIP": str})
    points = geopandas.GeoSeries(shapely.points(table[["X", "Y"]].to_numpy()), crs="OGC:CRS84").to_crs(2283)
    addresses = geopandas.GeoDataFrame({"ZIP": table["ZIP"]}, geometry=points.to_numpy(), crs=2283)
    if copies == 1:
        return parcels, addresses
    return beside(parcels, copies), beside(addresses, copies)


def beside(frame: geopandas.GeoDataFrame, copies: int) -> geopandas.GeoDataFrame:
    """So many copies of a frame, each 40,000 ft from the next."""
    side, shapes = int(np.ceil(np.sqrt(copies))), frame.geometry.to_numpy()
    steps = [40_000 * np.array(divmod(n, side)) for n in range(copies)]
    moved = [frame.set_geometry(shapely.transform(shapes, lambda xy, step=step: xy + step)) for step in steps]
    return pandas.concat(moved, ignore_index=True)


def seeds(parcels: geopandas.GeoDataFrame) -> tuple[geopandas.GeoDataFrame, geopandas.GeoDataFrame]:
    """Five stations and 60 zones in each 47,174 parcels: on parcels drawn by lot, and rectangles over all."""
    luck = np.random.default_rng(7)
    drawn = luck.choice(len(parcels), max(5, len(parcels) // 9435), replace=False)
    points = shapely.point_on_surface(parcels.geometry.to_numpy()[drawn])
    stations = geopandas.GeoDataFrame({"n": range(len(points))}, geometry=points, crs=2283)
    west, south, east, north = parcels.total_bounds
    count = max(8, round(np.sqrt(len(parcels) / 786)))
    xs, ys = np.linspace(west, east, count + 1), np.linspace(south, north, count + 1)
    boxes = [shapely.box(xs[i], ys[j], xs[i + 1], ys[j + 1]) for i in range(count) for j in range(count)]
    return stations, geopandas.GeoDataFrame({"z": range(len(boxes))}, geometry=boxes, crs=2283)


def questions(
    parcels: geopandas.GeoDataFrame,
    addresses: geopandas.GeoDataFrame,
    stations: geopandas.GeoDataFrame,
    zones: geopandas.GeoDataFrame,
) -> list[Question]:
    """Name, our way, geopandas' way, SQL. The first two return a figure that has to agree."""

    def near() -> float:
        joined = geopandas.sjoin_nearest(addresses, stations, max_distance=500, distance_col="d")
        return float(joined[~joined.index.duplicated()]["d"].sum())

    def closest() -> float:
        joined = geopandas.sjoin_nearest(parcels, stations, distance_col="d")
        return float(joined[~joined.index.duplicated()]["d"].sum())

    def shared() -> float:
        pieces = geopandas.overlay(parcels, zones, keep_geom_type=True)
        return float(pieces.area.groupby(pieces["z"]).sum().sum())

    def counted() -> float:
        joined = geopandas.sjoin(addresses, zones, predicate="intersects")
        return float(joined.groupby("z").size().sum())

    def grouped() -> float:
        return float(parcels.groupby("ZONING", dropna=False)["LAND_SF"].agg(["size", "sum", "mean"])["sum"].sum())

    def totals() -> float:
        found = aggregate(parcels, by="ZONING", sums=["LAND_SF"], means=["LAND_SF"])
        return float(found["sum_LAND_SF"].sum())

    return [
        (
            "within 500 ft",
            lambda: float(within(addresses, stations, distance_ft=500)["distance_ft"].sum()),
            near,
            "SELECT a.row, min(ST_Distance(a.geometry, s.geometry)) FROM addresses a JOIN stations s "
            "ON ST_DWithin(a.geometry, s.geometry, 500) GROUP BY a.row",
        ),
        (
            "nearest",
            lambda: float(nearest(parcels, stations)["distance_ft"].sum()),
            closest,
            "SELECT p.row, n.row AS station, n.distance FROM parcels p CROSS JOIN LATERAL (SELECT s.row, "
            "p.geometry <-> s.geometry AS distance FROM stations s ORDER BY p.geometry <-> s.geometry LIMIT 1) n",
        ),
        (
            "summarize points",
            lambda: float(summarize(zones, addresses)["count"].sum()),
            counted,
            "SELECT z.row, count(*) FROM zones z JOIN addresses a ON ST_Intersects(a.geometry, z.geometry) GROUP BY 1",
        ),
        (
            "summarize areas",
            lambda: float(overlay(parcels, zones)["area_sqft"].sum()),
            shared,
            "SELECT z.row, sum(ST_Area(CASE WHEN ST_Covers(z.geometry, p.geometry) THEN p.geometry "
            "ELSE ST_Intersection(p.geometry, z.geometry) END)) FROM zones z JOIN parcels p "
            "ON ST_Intersects(p.geometry, z.geometry) GROUP BY 1",
        ),
        (
            "aggregate",
            totals,
            grouped,
            'SELECT "ZONING", count(*), sum("LAND_SF"), avg("LAND_SF") FROM parcels GROUP BY 1',
        ),
    ]  # fmt: skip


def load(connection: psycopg.Connection[Any], name: str, frame: geopandas.GeoDataFrame) -> None:
    """Copy a frame into an indexed table."""
    others = [column for column in frame.columns if column != "geometry"]
    kinds = ["float8" if frame[column].dtype.kind in "iuf" else "text" for column in others]
    declared = "".join(f', "{column}" {kind}' for column, kind in zip(others, kinds, strict=True))
    connection.execute(f"CREATE TABLE {name} (row int PRIMARY KEY, geometry geometry(Geometry, 2283){declared})")
    texts = shapely.to_wkb(shapely.set_srid(frame.geometry.to_numpy(), 2283), hex=True, include_srid=True).tolist()
    values = [[None if value != value else value for value in frame[column].tolist()] for column in others]
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
        for row in zip(range(len(frame)), texts, *values, strict=True):
            copy.write_row(row)
    connection.execute(f"CREATE INDEX ON {name} USING gist (geometry)")
    connection.execute(f"VACUUM ANALYZE {name}")


def compare(question: Question, connection: psycopg.Connection[Any] | None, rounds: int) -> None:
    """Print the least time of each over some rounds, once both answers agree, and that of our first answer."""
    name, ours, theirs, sql = question
    first = timed(ours)
    mine, other = ours(), theirs()
    if abs(mine - other) > 1e-6 * max(1.0, abs(other)):
        sys.exit(f"{name}: {mine} here, {other} by geopandas")
    asked = [ours, theirs]
    if connection is not None:
        asked.append(lambda: connection.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t AS {sql}"))
    seconds = np.min([[timed(one) for one in asked] for _ in range(rounds)], axis=0).tolist()
    shown = "".join(f"{second * 1e3:>9,.1f} ms" for second in (first, *seconds)).ljust(48)
    print(f"{name:22}{shown}{min(seconds[1:]) / seconds[0]:>8.1f}", flush=True)


def timed(call: Callable[[], Any]) -> float:
    """The seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def places(home: Path) -> None:
    """Time addresses with a mistake each and the report of a place, where the sample city is published."""
    if not (home / "collections" / "addresses").is_dir():
        print("\nNo addresses and reports: the sample city is not published here; run: gisservice ingest --all")
        return
    from gisservice.analysis.geocoding import best
    from gisservice.catalog import load_registry, open_catalog

    catalog, luck = open_catalog(home), random.Random(1)
    gazetteer = analysis.Gazetteer.open(catalog)
    features = catalog.collection("addresses").features
    assert features is not None
    texts = [text for text in features.attributes["address"].to_pylist() if "Unit" not in text]
    asked = luck.sample(texts, 2000)
    wrong = []
    for text in asked:
        at = luck.choice([place for place, mark in enumerate(text) if mark.isalpha()])
        wrong.append(text[:at] + luck.choice(string.ascii_lowercase) + text[at + 1 :])
    for name, those in (("geocode as written", asked), ("geocode one mistake", wrong)):
        started, cpu = time.perf_counter(), time.process_time()
        for text in those:
            best(gazetteer, text)
        spent, used = time.perf_counter() - started, time.process_time() - cpu
        print(f"{name:22}{spent / len(those) * 1e3:>9,.3f} ms, {used / len(those) * 1e3:.3f} ms of processor")
    dossier = analysis.Dossier(catalog, load_registry(ROOT / "data" / "layers.toml"))
    dossier.answer(address=asked[0])
    times = []
    for text in asked[:200]:
        started = time.process_time()
        report(dossier, text)
        times.append(time.process_time() - started)
    print(f"{'lookup, warm':22}{np.median(times) * 1e3:>9,.2f} ms median, {np.quantile(times, 0.95) * 1e3:.2f} ms 95 %")


def report(dossier: analysis.Dossier, address: str) -> None:
    """Ask for a report; an address that several share is refused, which costs about as much to find out."""
    with suppress(AddressNotFound):
        dossier.answer(address=address).to_geojson()


if __name__ == "__main__":
    main()
