"""Build the whole pyramid of a layer into one archive."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gisservice.model import BBox
from gisservice.tiles.account import REPORT_FILE, write_report
from gisservice.tiles.archive import BROTLI_FILE, TILES_FILE, ArchiveWriter
from gisservice.tiles.budget import BUDGET_BYTES
from gisservice.tiles.handover import Left, leave
from gisservice.tiles.level import build_level
from gisservice.tiles.levels import LEVELS_FILE
from gisservice.tiles.levelwriter import LevelsWriter
from gisservice.tiles.past import Previous
from gisservice.tiles.plan import Plan
from gisservice.tiles.source import TileSource
from gisservice.tiles.workers import shared

Progress = Callable[[int, int], None]


def build_pyramid(
    source: TileSource,
    folder: Path,
    *,
    workers: int,
    progress: Progress | None = None,
    previous: Previous | None = None,
) -> dict[str, Any]:
    """Write the tiles of all zooms of ``source`` into a folder and return an account of them.

    Written are two archives (PMTiles 3), ``tiles.pmtiles`` and ``tiles.br.pmtiles``, with the same tiles compressed
    in two ways; ``tiles.levels``, the shapes they were cut from; and ``tiles.json``, the account. The same source
    gives the same bytes, whatever ``workers`` is, and whatever was before: of a ``previous`` version all that still
    holds is taken over, if it is of the same declaration and can be read. ``progress`` is called with zooms done and
    all. Raises :class:`PublishError` when a worker process dies. The account has for each zoom: ``tiles``,
    ``bytes``, ``largest_bytes`` (gzip), and how many tiles are ``over_budget``; ``features`` (records) = ``kept`` +
    what was ``merged`` + what was ``dropped``, by reason; ``drawn``, features in all (merged groups too), of which
    ``reduced`` have only the columns that have few values; the same ``by_tile`` (:mod:`gisservice.tiles.account`);
    polygons ``invalid`` before and after repair; of a coverage, the ``conflicts``
    (:mod:`gisservice.tiles.coverage`).
    """
    plan, bounds = Plan(source, workers, previous), _bounds(source)
    zooms = range(source.maxzoom, source.minzoom - 1, -1)
    accounts: dict[int, dict[str, Any]] = {}
    with (
        tempfile.TemporaryDirectory(dir=folder) as between,
        _archive(folder / TILES_FILE, plan, bounds, "gzip") as archive,
        _archive(folder / BROTLI_FILE, plan, bounds, "br") as brotli,
        LevelsWriter(folder / LEVELS_FILE, plan) as levels,
    ):
        for path in shared(partial(_left, plan, Path(between)), zooms, workers, plan.name):
            level = Left(path)
            for where, tile in level.tiles("gzip"):
                archive.add(where, tile)
            for where, tile in level.tiles("brotli"):
                brotli.add(where, tile)
            levels.add(level.z, level.zoom, level.thresholds, level.groups, level.sample)
            accounts[level.z] = level.account
            path.unlink()
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


def _left(plan: Plan, folder: Path, z: int) -> Path:
    path = folder / str(z)
    leave(build_level(plan, z), path)
    return path


def _archive(path: Path, plan: Plan, bounds: BBox, encoding: str) -> ArchiveWriter:
    return ArchiveWriter(
        path,
        metadata=_metadata(plan),
        bounds=bounds,
        minzoom=plan.minzoom,
        maxzoom=plan.maxzoom,
        encoding=encoding,
    )


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
    x, y = xy.T  # one after the other: much faster than along the first axis
    west, north = _lonlat(int(x.min()), int(y.min()))
    east, south = _lonlat(int(x.max()), int(y.max()))
    return west, south, east, north


def _lonlat(x: float, y: float) -> tuple[float, float]:
    size = 2.0**32
    return x / size * 360.0 - 180.0, float(np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * y / size)))))
