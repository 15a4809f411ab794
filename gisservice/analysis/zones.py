"""What a raster says of areas: each cell counts with the share of it that lies in the area (exactextract)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.ground import Ground, Patch
from gisservice.analysis.placing import positions, repaired
from gisservice.analysis.ragged import Floats, Ints
from gisservice.catalog.rasters import CELLS_MAX
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import geopandas

CLASSES_MAX = 256

_BLOCK = 2048
"""Columns and rows of the raster that are read for areas near one another."""


@dataclass(frozen=True)
class Shares:
    """The cells of areas: ``value`` and ``share`` of each cell, those of area ``i`` from ``starts[i]``."""

    value: Floats
    share: Floats
    starts: Ints

    @property
    def area(self) -> Ints:
        """The area that each cell is of."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def zonal(
    areas: geopandas.GeoDataFrame, ground: Ground, *, percentiles: Sequence[float] = ()
) -> geopandas.GeoDataFrame:
    """Return each area with what a raster's values in it are.

    ``cells`` (with data; parts count as parts), ``covered_percent`` (of the area, by cells with data), ``sum``,
    ``mean``, ``min``, ``max``, and ``p<n>`` for each of ``percentiles`` (0 to 100; the least value with that much of
    the area at or below it). Cells count with the exact share of them that lies in the area; ``min`` and ``max`` are
    of all cells that the area touches. Missing where no cell has data. Raises :class:`InvalidParameter` and
    :class:`LimitExceeded` for an area of more than 16 million cells.

    >>> zonal(parcels, Ground.open(catalog), percentiles=[10, 90])  # doctest: +SKIP
    """
    for rank in percentiles:
        if isinstance(rank, bool) or not 0 <= rank <= 100:
            raise InvalidParameter("percentiles", str(rank), "numbers from 0 to 100")
    shapes = _areas(areas, ground)
    shares, row = _distinct_shares(shapes, ground)
    columns = _statistics(shares, percentiles)
    found = areas.assign(**{name: values[row] for name, values in columns.items()})
    found.insert(found.columns.get_loc("cells") + 1, "covered_percent", _covered(shapes, found["cells"], ground))
    unit = ground.unit or "as the raster has it"
    units = {name: unit for name in columns if name not in ("cells", "sum")}
    method = "Cells of the raster, each weighted by the exact share of it that lies in the area (exactextract)."
    return state(
        found,
        method=method,
        units={"cells": "cell", "covered_percent": "percent", "sum": f"{unit}, times cells", **units},
        sources=[ground.source or {}, areas],
    )


def cover_shares(areas: geopandas.GeoDataFrame, ground: Ground) -> geopandas.GeoDataFrame:
    """Return each area with the percent of it that each class of a raster of codes covers.

    A column ``percent_<code>`` for each class that the raster's layer declares, or else for each code found; of the
    part of the area that has data (``covered_percent``). Missing where nothing has data. Raises
    :class:`InvalidParameter` for a raster of more than 256 different values, which are no classes.

    >>> cover_shares(parcels, Ground.open(catalog, "land_cover")).percent_2.mean()  # doctest: +SKIP
    """
    shapes = _areas(areas, ground)
    shares, row = _distinct_shares(shapes, ground)
    declared = [entry.value for entry in ground.classes]
    codes = np.unique(np.concatenate([shares.value, np.array(declared, dtype=np.float64)]))
    if len(codes) > CLASSES_MAX or (codes != np.round(codes)).any():
        raise InvalidParameter("raster", f"{len(codes)} different values", f"up to {CLASSES_MAX} whole codes")
    count = len(shares.starts) - 1
    place = shares.area * len(codes) + np.searchsorted(codes, shares.value)
    table = np.bincount(place, shares.share, minlength=count * len(codes)).astype(float).reshape(count, len(codes))
    cells = table.sum(axis=1)
    table = np.divide(table * 100, cells[:, None], out=np.full_like(table, math.nan), where=cells[:, None] > 0)
    names = [f"percent_{int(code)}" for code in codes]
    found = areas.assign(
        covered_percent=_covered(shapes, cells[row], ground), **dict(zip(names, table[row].T, strict=True))
    )
    meaning = ", ".join(f"{entry.value} {entry.label}" for entry in ground.classes)
    method = "Cells of the raster, each weighted by the exact share of it that lies in the area (exactextract)."
    return state(
        found,
        method=f"{method} Classes: {meaning}." if meaning else method,
        units=dict.fromkeys(["covered_percent", *names], "percent"),
        sources=[ground.source or {}, areas],
    )


def _areas(areas: geopandas.GeoDataFrame, ground: Ground) -> npt.NDArray[Any]:
    """Return the areas in the raster's system, repaired where they are not valid; None for what is no area."""
    shapes, _ = repaired(positions(areas, ground.crs, "areas"))
    flat = shapely.get_dimensions(shapes)
    if ((flat >= 0) & (flat < 2) & ~shapely.is_empty(shapes)).any():
        raise InvalidParameter("areas", "points or lines", "polygons; for points ask elevation")
    return shapes


def _distinct_shares(shapes: npt.NDArray[Any], ground: Ground) -> tuple[Shares, Ints]:
    """Return the cells of each distinct area, and which of them each row is: units of a building share their land."""
    _, first, row = np.unique(_as_bytes(shapes), return_index=True, return_inverse=True)
    return cell_shares(shapes[first], ground), row.reshape(-1)


def _as_bytes(shapes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.array([b"" if text is None else text for text in shapely.to_wkb(shapes).tolist()], dtype=object)


def cell_shares(shapes: npt.NDArray[Any], ground: Ground) -> Shares:
    """Return the cells with data of each area (in the raster's system), with the share of each that lies in it.

    Areas are taken by the block of the raster that their middle lies in, so that memory does not grow with the raster.
    """
    found = [(np.zeros(0), np.zeros(0))] * len(shapes)
    there = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    boxes = shapely.bounds(shapes[there])
    width, height = ground.cell
    x, y = ground.raster.transform[2], ground.raster.transform[5]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    block = np.floor((middle - [x, y]) / [_BLOCK * width, _BLOCK * height]).astype(np.int64)
    _, group = np.unique(block, axis=0, return_inverse=True)
    for one in range(int(group.max(initial=-1)) + 1):
        mine = np.flatnonzero(group.reshape(-1) == one)
        for some in _read_together(boxes[mine], width * height):
            rows = there[mine[some]]
            box = boxes[mine[some]]
            patch = ground.patch((*box[:, :2].min(axis=0), *box[:, 2:].max(axis=0)))
            for row, cells in zip(rows.tolist(), _extracted(shapes[rows], patch), strict=True):
                found[row] = cells
    return _shares(found)


def extracted_areas(shapes: npt.NDArray[Any], patch: Patch) -> Shares:
    """Return the cells with data of each area, of a patch that is at hand."""
    there = np.flatnonzero(
        ~(shapely.is_missing(shapes) | shapely.is_empty(shapes)) & (shapely.get_dimensions(shapes) == 2)
    )
    found = dict(zip(there.tolist(), _extracted(shapes[there], patch), strict=True))
    return _shares([found.get(row, (np.zeros(0), np.zeros(0))) for row in range(len(shapes))])


def _shares(found: Sequence[tuple[Floats, Floats]]) -> Shares:
    starts = np.concatenate([[0], np.cumsum([len(value) for value, _ in found])]).astype(np.int64)
    empty = np.zeros(0)
    values, shares = [value for value, _ in found], [share for _, share in found]
    return Shares(np.concatenate([empty, *values]), np.concatenate([empty, *shares]), starts)


def _read_together(boxes: Floats, cell: float) -> list[Ints]:
    """Return the areas of a block in groups whose common box is not too large; mostly it is one group."""
    common = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    cells = (common[2] - common[0]) * (common[3] - common[1]) / cell
    every = np.arange(len(boxes))
    return [every] if cells <= CELLS_MAX / 2 else [every[i : i + 1] for i in range(len(every))]


def _extracted(shapes: npt.NDArray[Any], patch: Patch) -> list[tuple[Floats, Floats]]:
    """Return value and share of the cells with data of each area."""
    if not patch.values.size:
        return [(np.zeros(0), np.zeros(0))] * len(shapes)
    from gisservice.analysis.pixelshares import extracted

    return extracted(shapely.to_wkb(shapes).tolist(), patch)


def _statistics(shares: Shares, percentiles: Sequence[float]) -> dict[str, Floats]:
    count, area = len(shares.starts) - 1, shares.area
    cells: Floats = np.bincount(area, shares.share, minlength=count).astype(np.float64)
    total = np.bincount(area, shares.share * shares.value, minlength=count)
    some = cells > 0
    lowest, highest = np.full(count, math.inf), np.full(count, -math.inf)
    np.minimum.at(lowest, area, shares.value)
    np.maximum.at(highest, area, shares.value)
    found = {
        "cells": cells,
        "sum": np.where(some, total, math.nan),
        "mean": np.divide(total, cells, out=np.full(count, math.nan), where=some),
        "min": np.where(some, lowest, math.nan),
        "max": np.where(some, highest, math.nan),
    }
    return found | {f"p{rank:g}": _percentile(shares, area, cells, rank) for rank in percentiles}


def _percentile(shares: Shares, area: Ints, cells: Floats, rank: float) -> Floats:
    """Return for each area the least value at or below which lies ``rank`` percent of its cells."""
    order = np.lexsort((shares.value, area))
    reached = np.cumsum(shares.share[order])
    before = np.concatenate([[0.0], np.cumsum(cells)])[:-1]
    wanted = before + cells * rank / 100 * (1 - 1e-12)
    place = np.searchsorted(reached, wanted, side="left")
    place = np.clip(place, shares.starts[:-1], np.maximum(shares.starts[1:] - 1, shares.starts[:-1]))
    some = np.diff(shares.starts) > 0
    found = np.full(len(cells), math.nan)
    found[some] = shares.value[order][place[some]]
    return found


def _covered(shapes: npt.NDArray[Any], cells: Any, ground: Ground) -> Floats:
    width, height = ground.cell
    area = shapely.area(shapes)
    ratio = np.divide(np.asarray(cells) * width * height * 100, area, out=np.zeros(len(area)), where=area > 0)
    covered: Floats = np.minimum(ratio, 100.0)
    return covered
