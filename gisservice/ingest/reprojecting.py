"""Step two, **reproject**: positions into the layer's storage CRS, and from there into CRS84 for serving.

Both operations are chosen by accuracy and recorded. One that PROJ can only guess at is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import shapely

from gisservice import crs
from gisservice.crs import CRS, CRS84
from gisservice.errors import ReprojectionError
from gisservice.ingest.reading import quiet
from gisservice.ingest.stages import Flaw, Progress, Projection, Reading, Shapes, Span
from gisservice.model import BBox, Finding, Operation

DOMAIN_MARGIN_DEG = 1.0
"""Degrees around the area a reference system is made for: a neighbour's streets are no mistake, feet for metres are."""


def reproject(readings: Sequence[Reading], storage: CRS | None = None, *, progress: Progress = quiet) -> Projection:
    """Bring the readings of a layer into one reference system and put them below one another.

    ``storage`` None means the first source's own, or CRS84 where no authority lists that one. Heights and measures
    are dropped, with a finding. Raises :class:`ReprojectionError` when no operation of known accuracy exists.
    """
    target, noted = _target(readings[0].crs, storage)
    operations: list[Operation] = []
    moved: list[Shapes] = []
    for done, reading in enumerate(readings):
        progress("reproject", done, len(readings) + 1)
        operation = crs.reprojection(reading.crs, target, _area(reading.geometry, reading.crs, target))
        moved.append(crs.reproject(reading.geometry, operation))
        operations.append(operation.record)
    geometry = np.concatenate(moved)
    progress("reproject", len(readings), len(readings) + 1)
    serving = crs.reprojection(target, CRS84, _area(geometry, target, CRS84))
    lonlat = crs.reproject(geometry, serving)
    progress("reproject", len(readings) + 1, len(readings) + 1)
    return Projection(
        table=_one_table([reading.table for reading in readings]),
        geometry=geometry,
        lonlat=lonlat,
        crs=target,
        serving=serving,
        spans=tuple(Span(reading.crs, shapely.bounds(reading.geometry)) for reading in readings),
        columns=readings[0].columns,
        provenance=tuple(reading.provenance for reading in readings),
        operations=tuple(dict.fromkeys([*operations, serving.record])),
        flaws=_shifted(readings),
        noted=(*noted, *(finding for reading in readings for finding in reading.noted), *_heights(readings)),
    )


def _target(first: CRS, storage: CRS | None) -> tuple[CRS, tuple[Finding, ...]]:
    if storage is not None:
        return storage, ()
    if crs.code(first) is not None:
        return first, ()
    message = f"No authority lists the source's reference system ({first.name}), so the data is kept in OGC:CRS84."
    return CRS84, (Finding("unlisted-crs", message, 1),)


def domain(system: CRS) -> BBox:
    """Return where a reference system is made to be used, with a margin; CRS84. The world where nobody says."""
    area = system.area_of_use
    if area is None or area.west >= area.east:  # nobody says, or it runs across the 180th meridian
        return (-180.0, -90.0, 180.0, 90.0)
    west, south, east, north = area.bounds
    margin = DOMAIN_MARGIN_DEG
    return (
        max(-180.0, west - margin),
        max(-90.0, south - margin),
        min(180.0, east + margin),
        min(90.0, north + margin),
    )


def _area(geometry: Shapes, system: CRS, target: CRS) -> BBox | None:
    """Return the CRS84 box of where most of the data is, for the choice of operation; None where that makes no sense.

    One record in a hundred may lie astray on each side without moving the box. Data that is not where its reference
    systems are used has no area: no operation is made for it, and validation will say so.
    """
    bounds = shapely.bounds(geometry)
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    if not len(bounds):
        return None
    low, high = np.percentile(bounds[:, :2], 1, axis=0), np.percentile(bounds[:, 2:], 99, axis=0)
    try:
        west, south, east, north = crs.transform_bbox((low[0], low[1], high[0], high[1]), system, CRS84)
    except ReprojectionError:
        return None
    plausible = all(
        w <= east and s <= north and west <= e and south <= n for w, s, e, n in (domain(system), domain(target))
    )
    inside = -180 <= west <= east <= 180 and -90 <= south <= north <= 90
    return (float(west), float(south), float(east), float(north)) if plausible and inside else None


def _one_table(tables: list[pa.Table]) -> pa.Table:
    """Put tables below one another; a column whose types differ becomes text, which standardize casts anew."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        texts = [table.cast(pa.schema([(name, pa.string()) for name in table.column_names])) for table in tables]
        return pa.concat_tables(texts, promote_options="permissive")


def _shifted(readings: Sequence[Reading]) -> tuple[Flaw, ...]:
    flaws: list[Flaw] = []
    start = 0
    for reading in readings:
        flaws += [replace(flaw, rows=flaw.rows + start) for flaw in reading.flaws]
        start += len(reading.geometry)
    return tuple(flaws)


def _heights(readings: Sequence[Reading]) -> tuple[Finding, ...]:
    count = sum(int(shapely.has_z(reading.geometry).sum()) for reading in readings)
    if not count:
        return ()
    return (Finding("heights-dropped", "The positions have heights, which are not published.", count),)
