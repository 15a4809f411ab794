"""What is drawn of the city's real parcels at each zoom: is every polygon valid, does each still fit its neighbours, is
every record there? The same questions to our archive, tippecanoe's and GDAL's.

    python benchmarks/validity.py

The archives are those of ``benchmarks/build.py``, and one more of tippecanoe with shared nodes kept. They are read with
the ``pmtiles`` package or SQLite, the protocol buffer reader of ``mapbox-vector-tile``, and the geometry decoder below,
which has nothing in common with the encoder; GEOS does the rest. Each tile is looked at within its own square, without
its buffer, so that the sums over tiles are those over the city:

invalid    polygons that are not valid by OGC's rules, or have rings of less than three vertices or the wrong way round
overlap    ground in two drawn parcels at once that is farther than two units from ground in two parcels of the source
gap        ground that no parcel covers, although in the source it is covered and farther than two units from what is
           not
records    how many of the records are there as features of their own; each outline counts once for the two above

A unit is 1/4096 of a tile's side. Ground is measured on the ellipsoid.
"""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import build
import numpy as np
import shapely
from alexandria import LAYER, ZOOMS, publish
from mapbox_vector_tile.Mapbox import vector_tile_pb2
from pmtiles.reader import MemorySource, all_tiles

import gisservice
from gisservice.tiles.grid import ground_m2

UNITS = 4096
REACH = 2.0
FINE = 0.02
"""Units by which the source may be simplified before its rim is taken off or put on: thousands of times faster."""
KEY = "objectid"


@dataclass(frozen=True)
class Tile:
    """A tile's polygons in units of its zoom, counted from the world's corner; ``records`` are -1 without a number."""

    z: int
    x: int
    y: int
    records: np.ndarray[Any, Any]
    polygons: np.ndarray[Any, Any]
    broken: int

    @property
    def square(self) -> Any:
        west, north = self.x * UNITS, self.y * UNITS
        return shapely.box(west, north, west + UNITS, north + UNITS)


@dataclass(frozen=True)
class Found:
    """What was found at one zoom."""

    tiles: int
    features: int
    records: int
    invalid: int
    overlap_m2: float
    gap_m2: float


class Source:
    """The source at one zoom: what is surely covered, and what is perhaps covered twice."""

    def __init__(self, outlines: Any, outline_of: dict[int, int]) -> None:
        self._outlines, self.outline_of = outlines, outline_of
        self._cover = shapely.union_all(outlines)
        self._twice = shapely.union_all(intersections(outlines))

    def at(self, z: int) -> tuple[shapely.STRtree, shapely.STRtree]:
        """Return the covered ground less its rim, and the ground that is covered twice with a rim, in pieces."""
        inside, twice = (
            shapely.simplify(shapely.get_parts(shapely.transform(of, lambda xy: xy * 2.0**z * UNITS)), FINE)
            for of in (self._cover, self._twice)
        )
        eroded = shapely.get_parts(shapely.buffer(inside, -REACH))
        return shapely.STRtree(eroded), shapely.STRtree(shapely.buffer(twice, REACH, quad_segs=4))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        publish(work / "home")
        build.write_sources(work)
        archives = build_all(work)
        source = read_source(work)
        print(f"Zooms {ZOOMS[0]} to {ZOOMS[1]} of {len(source.outline_of):,} parcels\n")
        print(f"{'':<26}{'zoom':>5}{'tiles':>7}{'features':>10}{'records':>9}{'invalid':>9}", end="")
        print(f"{'overlap m²':>12}{'gap m²':>12}")
        for name, path in archives.items():
            for z, found in examine(path, source).items():
                print(
                    f"{name:<26}{z:>5}{found.tiles:>7,}{found.features:>10,}{found.records:>9,}{found.invalid:>9,}"
                    f"{found.overlap_m2:>12,.0f}{found.gap_m2:>12,.0f}",
                    flush=True,
                )


def build_all(work: Path) -> dict[str, Path]:
    """Build every archive; return where they are."""
    commands = build.contestants(work)
    files = build.outputs(work)
    shared = work / "shared.pmtiles"
    (tippecanoe,) = commands["tippecanoe"]
    commands["tippecanoe, shared nodes"] = [
        [*(str(shared) if part == str(files["tippecanoe"]) else part for part in tippecanoe), "-pn"]
    ]
    for name, steps in commands.items():
        for step in steps:
            ended = subprocess.run(step, capture_output=True, text=True, check=False)
            if ended.returncode:
                sys.exit(f"{name} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return {name: files.get(name, shared) for name in commands}


def read_source(work: Path) -> Source:
    """Return the published parcels on the world's square, whose sides are 1."""
    frame = gisservice.open_catalog(work / "home").read(LAYER).to_crs("EPSG:3857")
    half = 20_037_508.342789244
    polygons = shapely.transform(
        np.asarray(frame.geometry.values), lambda xy: np.column_stack([half + xy[:, 0], half - xy[:, 1]]) / (2 * half)
    )
    _, first, outline = np.unique(shapely.to_wkb(polygons), return_index=True, return_inverse=True)
    return Source(polygons[first], dict(zip(frame[KEY].astype(int).tolist(), outline.tolist(), strict=True)))


def examine(path: Path, source: Source) -> dict[int, Found]:
    """Return what is found at each zoom of an archive."""
    by_zoom: dict[int, list[Tile]] = {}
    for z, x, y, data in read_archive(path):
        by_zoom.setdefault(z, []).append(decode(z, x, y, data))
    return {z: examine_zoom(by_zoom[z], source) for z in sorted(by_zoom)}


def examine_zoom(tiles: list[Tile], source: Source) -> Found:
    """Return what is found in the tiles of one zoom."""
    inside, twice = source.at(tiles[0].z)
    overlap = gap = 0.0
    for tile in tiles:
        polygons = shapely.intersection(shapely.make_valid(distinct(tile, source)), tile.square)
        common = shapely.union_all(intersections(polygons[~shapely.is_empty(polygons)]))
        overlap += ground(shapely.difference(common, near(twice, tile)), tile.z)
        covered = shapely.intersection(near(inside, tile), tile.square)
        gap += ground(shapely.difference(covered, shapely.union_all(polygons)), tile.z)
    records = np.unique(np.concatenate([tile.records for tile in tiles]))
    invalid = sum(tile.broken + int((~shapely.is_valid(tile.polygons)).sum()) for tile in tiles)
    features = sum(len(tile.records) for tile in tiles)
    return Found(len(tiles), features, int((records >= 0).sum()), invalid, overlap, gap)


def distinct(tile: Tile, source: Source) -> Any:
    """Return a tile's polygons, those of records that share an outline once."""
    outlines = [source.outline_of.get(record, -1 - place) for place, record in enumerate(tile.records.tolist())]
    return tile.polygons[np.unique(outlines, return_index=True)[1]]


def intersections(polygons: Any) -> Any:
    """Return what each two polygons have in common, where that is ground."""
    one, other = shapely.STRtree(polygons).query(polygons)
    one, other = one[one < other], other[one < other]
    common = shapely.intersection(polygons[one], polygons[other])
    return common[shapely.area(common) > 0]


def near(pieces: shapely.STRtree, tile: Tile) -> Any:
    return shapely.union_all(pieces.geometries[pieces.query(tile.square)])


def ground(area: Any, z: int) -> float:
    parts = shapely.get_parts(area)
    parts = parts[shapely.area(parts) > 0]
    return float(ground_m2(shapely.area(parts), shapely.get_y(shapely.centroid(parts)), z).sum())


def read_archive(path: Path) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the address and the uncompressed bytes of each tile."""
    if path.suffix == ".pmtiles":
        for (z, x, y), data in all_tiles(MemorySource(path.read_bytes())):
            yield z, x, y, gzip.decompress(data)
        return
    with sqlite3.connect(path) as database:
        for z, x, row, data in database.execute("select zoom_level, tile_column, tile_row, tile_data from tiles"):
            yield z, x, (1 << z) - 1 - row, gzip.decompress(data)


def decode(z: int, x: int, y: int, data: bytes) -> Tile:
    """Decode the parcels of a tile."""
    tile = vector_tile_pb2.tile()
    tile.ParseFromString(data)
    (layer,) = (layer for layer in tile.layers if layer.name == LAYER)
    key = list(layer.keys).index(KEY) if KEY in layer.keys else -1
    records, features = [], []
    for feature in layer.features:
        tags = dict(zip(feature.tags[::2], feature.tags[1::2], strict=True))
        value = layer.values[tags[key]] if key in tags else None
        number = feature.id if value is None else int(value.int_value or value.uint_value or value.sint_value)
        records.append(number or -1)
        features.append([ring * (UNITS / layer.extent) for ring in decode_rings(feature.geometry)])
    polygons, broken = assemble(features)
    polygons = shapely.transform(polygons, lambda xy: xy + np.array([x, y]) * UNITS)
    return Tile(z, x, y, np.array(records, dtype=np.int64), polygons, broken)


def decode_rings(commands: Any) -> list[Any]:
    """Return the rings of a polygon (Vector Tile 2.1, 4.3), open, in the tile's own units."""
    numbers = np.array(commands, dtype=np.int64)
    steps = (numbers >> 1) ^ -(numbers & 1)
    rings: list[Any] = []
    at, place = np.zeros(2, dtype=np.int64), 0
    while place < len(numbers):
        command, count = numbers[place] & 7, int(numbers[place] >> 3)
        if command == 7:
            place += 1
            continue
        moves = steps[place + 1 : place + 1 + 2 * count].reshape(-1, 2)
        path = at + np.cumsum(moves, axis=0)
        if command == 1:
            rings.append(path)
        else:
            rings[-1] = np.concatenate([rings[-1], path])
        at, place = path[-1], place + 1 + 2 * count
    return rings


def assemble(features: list[list[Any]]) -> tuple[Any, int]:
    """Return features as multipolygons, and how many have a ring of less than three vertices or begin with a hole."""
    positions, rings, polygons, cuts, broken = [np.zeros((0, 2))], [0], [0], [0], 0
    for parts in features:
        right, begun = True, False
        for ring in parts:
            if len(ring) < 3:
                right = False
                continue
            x, y = (ring - ring[0]).T
            outer = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) > 0
            right, begun = right and (outer or begun), begun or outer
            if outer and len(rings) - 1 > polygons[-1]:
                polygons.append(len(rings) - 1)
            positions += [ring, ring[:1]]
            rings.append(rings[-1] + len(ring) + 1)
        if len(rings) - 1 > polygons[-1]:
            polygons.append(len(rings) - 1)
        cuts.append(len(polygons) - 1)
        broken += not right
    levels = tuple(np.array(level) for level in (rings, polygons, cuts))
    return shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, np.concatenate(positions), levels), broken


if __name__ == "__main__":
    main()
