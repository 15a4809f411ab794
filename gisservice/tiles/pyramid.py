"""Build the whole pyramid of a layer into one archive."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from gisservice.errors import PublishError
from gisservice.model import BBox
from gisservice.tiles.account import REPORT_FILE, write_report
from gisservice.tiles.archive import BROTLI_FILE, TILES_FILE, ArchiveWriter
from gisservice.tiles.level import BUDGET_BYTES, Level, build_level
from gisservice.tiles.levels import LEVELS_FILE, LevelsWriter
from gisservice.tiles.plan import Plan
from gisservice.tiles.source import TileSource

Progress = Callable[[int, int], None]

_plan: Plan
"""In a worker process: what its levels are built from."""


def build_pyramid(
    source: TileSource, folder: Path, *, workers: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the tiles of all zooms of ``source`` into a folder and return an account of them.

    Written are two archives (PMTiles 3), ``tiles.pmtiles`` and ``tiles.br.pmtiles``, with the same tiles compressed
    in two ways; ``tiles.levels``, the shapes they were cut from; and ``tiles.json``, the account. The same source
    gives the same bytes, whatever ``workers`` is. ``progress`` is called with zooms done and all. Raises
    :class:`PublishError` when a worker process dies. The account has for each zoom: ``tiles``, ``bytes``,
    ``largest_bytes`` (gzip), and how many tiles are ``over_budget``; ``features`` (records) = ``kept`` + what was
    ``merged`` + what was ``dropped``, by reason; ``drawn``, features in all (merged groups too), of which ``reduced``
    have only the columns that have few values; the same ``by_tile`` (:mod:`gisservice.tiles.account`); polygons
    ``invalid`` before and after repair; of a coverage, the ``conflicts`` (:mod:`gisservice.tiles.coverage`).
    """
    plan = Plan(source)
    zooms = range(source.maxzoom, source.minzoom - 1, -1)
    accounts: dict[int, dict[str, Any]] = {}
    with (
        _archive(folder / TILES_FILE, plan, source, "gzip") as archive,
        _archive(folder / BROTLI_FILE, plan, source, "br") as brotli,
        LevelsWriter(folder / LEVELS_FILE, plan) as levels,
    ):
        for level in _levels(plan, zooms, workers):
            for where, tile in level.tiles:
                archive.add(where, tile)
            for where, tile in level.brotli:
                brotli.add(where, tile)
            levels.add(level.z, level.shapes, level.limit, level.detail)
            accounts[level.z] = level.account
            if progress is not None:
                progress(len(accounts), len(zooms))
    report = {
        "budget_bytes": BUDGET_BYTES,
        "crossing_borders": plan.generaliser.crossing,
        "omitted_values": plan.attributes.omitted,
        "zooms": {str(z): accounts[z] for z in sorted(accounts)},
    }
    write_report(folder / REPORT_FILE, report)
    return report


def _archive(path: Path, plan: Plan, source: TileSource, encoding: str) -> ArchiveWriter:
    return ArchiveWriter(
        path,
        metadata=_metadata(plan),
        bounds=_bounds(source),
        minzoom=source.minzoom,
        maxzoom=source.maxzoom,
        encoding=encoding,
    )


def _levels(plan: Plan, zooms: range, workers: int) -> Iterator[Level]:
    if workers == 1 or len(zooms) == 1 or not plan.records:
        yield from (build_level(plan, z) for z in zooms)
        return
    with _pool(plan, min(workers, len(zooms))) as pool:
        try:
            for finished in _submitted(pool, zooms):
                yield finished.result()
        except BrokenProcessPool as exc:
            raise PublishError(
                f"The tiles of {plan.name!r} could not be cut: one of {workers} processes ended early, most often "
                "because memory ran out. Ingest again with fewer build workers.",
                source=plan.name,
            ) from exc
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(plan: Plan, workers: int) -> ProcessPoolExecutor:
    """Return processes that inherit the plan, which is large and never changes, instead of being sent it."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _adopt, (plan,))


def _submitted(pool: ProcessPoolExecutor, zooms: range) -> list[Future[Level]]:
    with warnings.catch_warnings():
        # Python 3.12 and later warn of forking beside threads. The children run numpy, GEOS and zlib alone, none of
        # which holds a lock between calls.
        warnings.simplefilter("ignore", DeprecationWarning)
        return [pool.submit(_build, z) for z in zooms]


def _adopt(plan: Plan) -> None:
    global _plan
    _plan = plan


def _build(z: int) -> Level:
    return build_level(_plan, z)


def _metadata(plan: Plan) -> dict[str, Any]:
    fields = dict(zip(plan.attributes.keys, plan.attributes.fields, strict=True))
    if plan.minzoom < plan.maxzoom:
        if (plan.stack > 1).any():
            fields[plan.stack_key] = "Number"
        if plan.coverage:
            fields[plan.merged_key] = "Number"
    layer = {"id": plan.name, "fields": fields, "minzoom": plan.minzoom, "maxzoom": plan.maxzoom}
    return {"name": plan.name, "type": "overlay", "vector_layers": [layer]}


def _bounds(source: TileSource) -> BBox:
    xy = source.geometries.coordinates
    if not len(xy):
        return (-180.0, -85.0511287, 180.0, 85.0511287)
    west, north = _lonlat(*xy.min(axis=0).tolist())
    east, south = _lonlat(*xy.max(axis=0).tolist())
    return west, south, east, north


def _lonlat(x: float, y: float) -> tuple[float, float]:
    size = 2.0**32
    return x / size * 360.0 - 180.0, float(np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * y / size)))))
