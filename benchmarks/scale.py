"""What tiles cost against how much there is: the city's real parcels once, ten times and forty-three times.

    python benchmarks/scale.py [COPIES …]

The copies lie side by side, as a city many times as large would. Each size is built in a process of its own: zooms 10
to 16, with the archive in brotli, the levels file and the account. Processor time, memory and bytes, which the last
figures compare with the first size's, should grow no faster than the number of parcels.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import measure
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from alexandria import LAYER, publish

import gisservice
from gisservice.ingest.publishing import tile_source
from gisservice.model import Geometries
from gisservice.tiles import TileSource, build_pyramid

COPIES = (1, 10, 43)
WORKERS = 2
_NAMES_MIN = 1000
"""Columns of texts with at least so many values name things, so that each copy gets names of its own."""


def replicated(source: TileSource, copies: int) -> TileSource:
    """Return a layer with so many copies of another, side by side, rows of them above each other."""
    geometries = source.geometries
    low, high = geometries.coordinates.min(axis=0), geometries.coordinates.max(axis=0)
    across = int(np.ceil(np.sqrt(copies)))
    step = (high - low).astype(np.int64) + 4096
    count, ids = len(geometries), int(source.ids.max()) + 1
    shifted, owners, numbers, tables = [], [], [], []
    for copy in range(copies):
        place = np.array([copy % across, copy // across]) * step
        shifted.append((geometries.coordinates + place).astype(np.uint32))
        owners.append(source.record_geometry + np.uint32(copy * count))
        numbers.append(source.ids + copy * ids)
        tables.append(_renamed(source.attributes, copy))
    return replace(
        source,
        geometries=Geometries(
            geometries.kind,
            np.concatenate(shifted),
            *(_repeated(cuts, copies) for cuts in (geometries.rings, geometries.parts, geometries.starts)),
        ),
        record_geometry=np.concatenate(owners),
        ids=np.concatenate(numbers),
        always=None if source.always is None else np.tile(source.always, copies),
        attributes=pa.concat_tables(tables).unify_dictionaries(),
    )


def _repeated(cuts: np.ndarray, copies: int) -> np.ndarray:
    """Return offsets that cut so many copies, end to end, as they cut one."""
    return np.concatenate([[0], *(cuts[1:] + copy * cuts[-1] for copy in range(copies))])


def _renamed(table: pa.Table, copy: int) -> pa.Table:
    for place, name in enumerate(table.column_names):
        column = table.column(name)
        texts = column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        if pa.types.is_string(texts.type) and copy and pc.count_distinct(texts).as_py() >= _NAMES_MIN:
            named = pc.binary_join_element_wise(texts, str(copy), " ")
            table = table.set_column(place, name, named.combine_chunks().dictionary_encode())
    return table


def build(home: str, folder: str, copies: str) -> None:
    collection = gisservice.open_catalog(home).collection(LAYER)
    source = replicated(tile_source(collection.features, collection.layer), int(copies))
    build_pyramid(source, Path(folder), workers=WORKERS)


def main(sizes: list[int]) -> None:
    print(f"Building zooms 10 to 16 with {WORKERS} processes; {measure.machine()}")
    with tempfile.TemporaryDirectory() as work:
        home = Path(work) / "home"
        publish(home)
        first = None
        for copies in sizes:
            folder = Path(work) / "tiles"
            folder.mkdir()
            cost = measure.run([sys.executable, __file__, "--build", str(home), str(folder), str(copies)])
            size = sum(file.stat().st_size for file in folder.iterdir())
            taken = cost.processor_seconds, cost.peak_mib, size
            first = first or (copies, *taken)
            growth = [f"{now / then / (copies / first[0]):.2f}" for now, then in zip(taken, first[1:], strict=True)]
            print(
                f"{47_174 * copies:>9,} parcels  {cost.seconds:7.1f} s, {cost.processor_seconds:7.1f} s of a processor"
                f"  {cost.peak_mib:7.0f} MiB  {size / 1e6:7.1f} MB   {', '.join(growth)} of what is proportional",
                flush=True,
            )
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--build"]:
        build(*sys.argv[2:])
    else:
        main([int(copies) for copies in sys.argv[1:]] or list(COPIES))
