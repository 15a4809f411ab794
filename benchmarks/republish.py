"""Publishing the tiles of the city's real parcels again after one in a hundred changed, beside building them all.

    python benchmarks/republish.py [RUNS]

Of the parcels concerned, a third moves a corner, a third is renamed, a sixth goes, a sixth gets another beside it; they
lie in one neighbourhood, in three, or anywhere in the city. What is written is compared byte by byte with a build from
nothing. The time is that of cutting the tiles alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import measure
import numpy as np
import pyarrow as pa
from alexandria import LAYER, publish

import gisservice
from gisservice.ingest.publishing import tile_source
from gisservice.model import Geometries
from gisservice.tiles import Previous, TileSource, build_pyramid
from gisservice.tiles.shapes import offsets, ranges

WORKERS = 2
NAMED = "address"
"""The column that is edited."""
SHARE = 0.01


def edited(source: TileSource, rows: np.ndarray, chance: np.random.Generator) -> TileSource:
    """Return a layer in which the geometries ``rows`` (ascending) were edited."""
    geometries, kind = source.geometries, chance.integers(0, 6, len(rows))
    xy, cuts = geometries.coordinates.copy(), geometries.rings[geometries.parts[geometries.starts]]
    for row in rows[kind < 2]:
        part = xy[cuts[row] : cuts[row + 1]]
        part[(part == part[chance.integers(0, len(part))]).all(axis=1)] += np.uint32(chance.integers(100, 2000))
    times = np.ones(len(geometries), dtype=np.int64)
    times[rows[kind == 4]], times[rows[kind == 5]] = 0, 2
    which = np.repeat(np.arange(len(geometries)), times)
    again = np.diff(which, prepend=-1) == 0
    part_counts, ring_counts, lengths = (
        np.diff(level) for level in (geometries.starts, geometries.parts, geometries.rings)
    )
    parts = ranges(geometries.starts[which], part_counts[which])
    rings = ranges(geometries.parts[parts], ring_counts[parts])
    moved = xy[ranges(geometries.rings[rings], lengths[rings])]
    moved[np.repeat(again, np.diff(cuts)[which])] += np.array([700, 300], dtype=np.uint32)
    return _with_records(
        source,
        Geometries(
            geometries.kind, moved, offsets(lengths[rings]), offsets(ring_counts[parts]), offsets(part_counts[which])
        ),
        which,
        again,
        rows[(kind == 2) | (kind == 3)],
    )


def _with_records(
    source: TileSource, geometries: Geometries, which: np.ndarray, again: np.ndarray, renamed: np.ndarray
) -> TileSource:
    """Return the layer with other geometries: ``which`` they were, and which of them come ``again`` as new parcels."""
    owners = source.record_geometry.astype(np.int64)
    number = np.full(len(source.geometries), -1)
    number[which[~again]] = np.flatnonzero(~again)
    old = np.flatnonzero(number[owners] >= 0)
    first = np.full(len(source.geometries), -1)
    first[owners[::-1]] = np.arange(len(owners) - 1, -1, -1)
    record = np.concatenate([old, first[which[again]]])
    owner = np.concatenate([number[owners[old]], np.flatnonzero(again)])
    ids = np.concatenate([source.ids[old], source.ids.max() + 1 + np.arange(again.sum())])
    order = np.argsort(record, kind="stable")
    record, owner, ids = record[order], owner[order], ids[order]
    table = source.attributes.take(pa.array(record))
    texts = np.array(table[NAMED].to_pylist(), dtype=object)
    texts[np.isin(which[owner], renamed)] = "renamed"
    column = pa.array(texts, pa.string()).dictionary_encode()
    return replace(
        source,
        geometries=geometries,
        record_geometry=owner.astype(np.uint32),
        ids=ids,
        always=None if source.always is None else source.always[record],
        attributes=table.set_column(table.column_names.index(NAMED), NAMED, column),
    )


def neighbourhoods(source: TileSource, places: int, chance: np.random.Generator) -> np.ndarray:
    """Return one geometry in a hundred, in so many runs; what lies together in the file lies together on the map."""
    count = len(source.geometries)
    each = int(count * SHARE) // places
    first = chance.integers(0, count - each, places)
    return np.unique((first[:, None] + np.arange(each)).ravel())


def timed(source: TileSource, folder: Path, previous: Previous | None = None) -> float:
    folder.mkdir()
    begun = time.perf_counter()
    build_pyramid(source, folder, workers=WORKERS, previous=previous)
    return time.perf_counter() - begun


def main(runs: int) -> None:
    print(f"47,174 parcels, zooms 10 to 16, one in a hundred edited, {WORKERS} processes; {measure.machine()}")
    with tempfile.TemporaryDirectory() as work:
        home = Path(work) / "home"
        publish(home)
        collection = gisservice.open_catalog(home).collection(LAYER)
        before = tile_source(collection.features, collection.layer)
        timed(before, Path(work) / "before")
        for label in ("one neighbourhood", "three neighbourhoods", "anywhere"):
            shares, seconds = [], []
            for run in range(runs):
                chance = np.random.default_rng([run, len(label)])
                count = len(before.geometries)
                places = {"one neighbourhood": 1, "three neighbourhoods": 3}.get(label)
                anywhere = np.sort(chance.choice(count, int(count * SHARE), replace=False))
                after = edited(before, neighbourhoods(before, places, chance) if places else anywhere, chance)
                one, other = Path(work) / f"{label}-{run}", Path(work) / f"{label}-{run}-whole"
                again = timed(after, one, Previous(before, Path(work) / "before"))
                whole = timed(after, other)
                if any(file.read_bytes() != (one / file.name).read_bytes() for file in other.iterdir()):
                    sys.exit(f"{label}, run {run}: what was published again is not what a build from nothing makes")
                seconds.append(again)
                shares.append(again / whole)
            print(
                f"{label:<22} {median(seconds):6.2f} s, {median(shares):6.1%} of a build from nothing"
                f" ({min(shares):.1%} to {max(shares):.1%}), the same bytes",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
