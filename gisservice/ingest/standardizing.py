"""Step four, **standardize**: columns as declared, repaired geometries, ids. Every change is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pandas
import pyarrow as pa
import shapely

from gisservice import crs
from gisservice.catalog import Records
from gisservice.crs import CRS
from gisservice.errors import ValidationError
from gisservice.ingest.casting import ARROW_TYPES, EXPECTED, Cast, cast
from gisservice.ingest.stages import Flaw, Mask, Projection, Report, Shapes, Standard, Verdict
from gisservice.ingest.validating import as_served, parts_of
from gisservice.model import Column, ColumnType, Finding, GeometryKind, Quality, Visibility

_TILE_ID_LIMIT = 2**53
_GRID_DEG = 1e-8
_GRID_M = 0.001
"""The decimals of a degree that are served, and how far that is on the ground."""

_COLLECT = {
    GeometryKind.POINT: shapely.multipoints,
    GeometryKind.LINE: shapely.multilinestrings,
    GeometryKind.POLYGON: shapely.multipolygons,
}
_NO_PARTS: Shapes = np.empty(0, dtype=object)
_EXAMPLE_SHOWN = 40


def standardize(projection: Projection, report: Report) -> Standard:
    """Make of what was read what is published, as :func:`validate` reported on it.

    Geometries that are not valid are rebuilt from their linework's structure, parts of another kind fall away, and
    what collapses to nothing is refused. Raises :class:`ValidationError` when no record is left.
    """
    count = len(projection.geometry)
    refused = report.rows(Verdict.REFUSE, count)
    geometry, lonlat = _repair(projection, report, refused)
    gone = np.flatnonzero(shapely.is_empty(geometry) & ~refused).astype(np.int64)
    refused[gone] = True
    if refused.all():
        raise ValidationError(f"{projection.name}: no record is left to publish.", source=projection.name)
    values, flaws = _columns(projection)
    flaws.append(Flaw("collapsed-geometry", "Repaired, nothing is left of the geometry.", gone, Verdict.REFUSE))
    kept = np.flatnonzero(~refused)
    columns, noted = _with_id(projection.columns, values, report.id_column, count)
    public = tuple(column for column in columns if column.visibility is Visibility.PUBLIC)
    internal = [column for column in columns if column.visibility is Visibility.INTERNAL]
    id_column = report.id_column or public[0].name
    ids = [report.labels[row] for row in kept.tolist()]
    frame = geopandas.GeoDataFrame(_table(public, values, kept), geometry=geometry[kept], crs=projection.crs)
    records = Records(
        frame=frame,
        ids=ids,
        tile_ids=tile_ids(ids, next(column for column in public if column.name == id_column)),
        lonlat=lonlat[kept],
        internal=_table(internal, values, kept) if internal else None,
        kind=report.kind,
    )
    return Standard(records, public, id_column, _quality(report, flaws, noted, ~refused))


def _repair(projection: Projection, report: Report, refused: Mask) -> tuple[Shapes, Shapes]:
    """Return the geometries in the storage CRS and in CRS84, valid as they are stored and as they are served."""
    geometry, lonlat = projection.geometry.copy(), projection.lonlat.copy()
    flagged = report.rows(Verdict.REPAIR, len(geometry)) & ~refused
    grid = _served_grid(projection.crs)
    for row in np.flatnonzero(flagged):
        geometry[row] = _valid(geometry[row], report.kind, grid)
        lonlat[row] = shapely.transform(geometry[row], projection.serving.apply)
        served = as_served(lonlat[row : row + 1])[0]
        if not shapely.is_valid(served):
            lonlat[row] = _on_grid(served, report.kind)
            geometry[row] = _valid(shapely.transform(lonlat[row], projection.serving.invert), report.kind, grid)
    return geometry, lonlat


def _served_grid(system: CRS) -> float:
    """Return the size, in units of ``system``, of a step of what is served: about a millimetre on the ground."""
    _, size = crs.unit(system)
    return _GRID_DEG if system.is_geographic else _GRID_M / size


def _valid(shape: Any, kind: GeometryKind, grid: float) -> Any:
    """Return the parts of ``kind`` of a geometry, made valid: single, multi, or empty.

    Where rounding makes the rebuilt linework cross again, it is snapped to ``grid``, then to coarser ones.
    """
    if not shapely.is_valid(shape):
        rebuilt = shapely.make_valid(shape, method="structure", keep_collapsed=False)
        tries = (_snapped(rebuilt, grid * factor) for factor in (0, 1, 10, 100))
        shape = next((found for found in tries if shapely.is_valid(found)), _COLLECT[kind](_NO_PARTS))
    return _only(shape, kind)


def _on_grid(served: Any, kind: GeometryKind) -> Any:
    """Return a geometry whose positions have the served decimals, and are valid with them."""
    rebuilt = shapely.make_valid(served, method="structure", keep_collapsed=False)
    tries = (_snapped(rebuilt, _GRID_DEG * factor) for factor in (1, 10, 100))
    found = (_only(shape, kind) for shape in tries)
    return next(
        (shape for shape in found if shapely.is_valid(as_served(np.array([shape])))[0]), _COLLECT[kind](_NO_PARTS)
    )


def _snapped(shape: Any, grid: float) -> Any:
    """Return a geometry on a grid, noded anew; as it is where GEOS cannot, or without a grid."""
    try:
        return shapely.set_precision(shape, grid) if grid else shape
    except shapely.errors.GEOSException:
        return shape


def _only(shape: Any, kind: GeometryKind) -> Any:
    """Return the parts of ``kind`` as one geometry: single, multi, or empty."""
    parts = parts_of(shape, kind)
    return parts[0] if len(parts) == 1 else _COLLECT[kind](parts)


def _columns(projection: Projection) -> tuple[dict[str, pa.Array], list[Flaw]]:
    """Cast every column to its declared type; return the values and what was changed on the way."""
    values: dict[str, pa.Array] = {}
    flaws: list[Flaw] = []
    for column in projection.columns:
        if column.name in projection.table.column_names:
            result = cast(projection.table.column(column.name), column)
            values[column.name] = result.values
            flaws += _cast_flaws(column, result)
        else:  # a column of bytes, which reading left out and said so
            values[column.name] = pa.nulls(len(projection.geometry), ARROW_TYPES[column.type])
    return values, flaws


def _cast_flaws(column: Column, result: Cast) -> list[Flaw]:
    name = repr(column.name)
    shown = f", for example {result.example[:_EXAMPLE_SHOWN]!r}" if column.visibility is Visibility.PUBLIC else ""
    bad = f"Values of column {name} are not {EXPECTED[column.type]}{shown}; they are null."
    return [
        Flaw("bad-value", bad, result.bad, Verdict.REPAIR),
        Flaw("trimmed-text", f"Values of column {name} had blanks around them.", result.trimmed, Verdict.REPAIR),
        Flaw("code-spelling", f"Codes of column {name} were spelt unlike its list.", result.respelt, Verdict.REPAIR),
    ]


def _with_id(
    columns: tuple[Column, ...], values: dict[str, pa.Array], id_column: str | None, count: int
) -> tuple[tuple[Column, ...], tuple[Finding, ...]]:
    """Return the columns with one that identifies the records in front, where none of them does."""
    if id_column is not None:
        return columns, ()
    taken = {column.name.casefold() for column in columns}
    name = next(name for name in ("id", "record", "record_id", "gisservice_id") if name not in taken)
    values[name] = pa.array(np.arange(1, count + 1))
    meaning = "Position of the record in its source, counted from 1"
    message = f"No column identifies the records; column {name!r} counts them in the order of the source."
    return (Column(name, ColumnType.INTEGER, meaning, source=name), *columns), (Finding("counted-ids", message, count),)


def _table(columns: Sequence[Column], values: dict[str, pa.Array], kept: npt.NDArray[Any]) -> pandas.DataFrame:
    table = pa.table({column.name: values[column.name] for column in columns}).take(pa.array(kept))
    frame: pandas.DataFrame = table.to_pandas(types_mapper=pandas.ArrowDtype)
    return frame


def tile_ids(ids: Sequence[str], column: Column) -> npt.NDArray[np.int64]:
    """Return a number from 0 to 2**53 - 1 for each id, all different: what a browser's number holds exactly.

    A column of such numbers is used as it is. Other ids are hashed (BLAKE2b); of two with one hash, the later in
    alphabetical order is hashed again with a suffix, so that the numbers do not depend on the order of the records.
    """
    if column.type is ColumnType.INTEGER:
        numbers = [int(text) for text in ids]
        if all(0 <= number < _TILE_ID_LIMIT for number in numbers):
            return np.array(numbers, dtype=np.int64)
    taken: dict[int, str] = {}
    number_of: dict[str, int] = {}
    for text in sorted(ids):
        again, number = 0, _hashed(text)
        while number in taken:
            again += 1
            number = _hashed(f"{text}\n{again}")
        taken[number] = text
        number_of[text] = number
    return np.array([number_of[text] for text in ids], dtype=np.int64)


def _hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % _TILE_ID_LIMIT


def _quality(report: Report, flaws: list[Flaw], noted: tuple[Finding, ...], kept: Mask) -> Quality:
    """Draw up the account: every record read is published, or refused for one reason."""
    every = [*report.flaws, *flaws]

    def findings(verdict: Verdict) -> tuple[Finding, ...]:
        chosen = [flaw for flaw in every if flaw.verdict is verdict]
        if verdict is Verdict.REPAIR:
            chosen = [replace(flaw, rows=flaw.rows[kept[flaw.rows]]) for flaw in chosen]
        return tuple(flaw.finding(report.labels) for flaw in chosen if len(flaw.rows))

    return Quality(
        read=len(kept),
        published=int(kept.sum()),
        refused=findings(Verdict.REFUSE),
        repaired=findings(Verdict.REPAIR),
        noted=(*findings(Verdict.NOTE), *report.noted, *noted),
    )
