"""Step three, **validate**: look at everything, change nothing, say what is wrong with which records.

What is checked is what will be published: the geometry in the storage CRS, and the one in CRS84 with the eight
decimals that are served. An error is raised only where so much is wrong that the source as a whole must be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas
import pyarrow as pa
import shapely

from gisservice import crs
from gisservice.crs import CRS
from gisservice.errors import ValidationError
from gisservice.ingest.casting import cast
from gisservice.ingest.reprojecting import domain
from gisservice.ingest.stages import Flaw, Mask, Projection, Report, Rows, Shapes, Verdict
from gisservice.model import Column, ColumnType, Finding, GeometryKind, Layer, Visibility

SERVED_DECIMALS = 8
"""Of a degree, in what is served: about a millimetre."""

ID_NAMES = ("id", "objectid", "fid", "gid", "globalid", "objectid_1", "ogc_fid")
"""Columns that are tried as identifiers when none is declared, in this order."""

_KINDS = (GeometryKind.POINT, GeometryKind.LINE, GeometryKind.POLYGON)
_FAMILIES = np.array([0, 1, 1, 2, 0, 1, 2, -1, -1], dtype=np.int64)
"""Position in ``_KINDS`` by shapely's type id (0 a point … 7 a collection); the last entry is for type id -1."""

_PLACES_SHOWN = 20
_VALUES_SHOWN = 10


class _Sieve:
    """Which rows are still kept; a row is refused once, for the first reason found."""

    def __init__(self, projection: Projection) -> None:
        self.kept: Mask = np.ones(len(projection.geometry), dtype=bool)
        self.flaws: list[Flaw] = []
        for flaw in projection.flaws:
            mask = np.zeros(len(self.kept), dtype=bool)
            mask[flaw.rows] = True
            self.add(flaw.code, flaw.message, mask, flaw.verdict)

    def add(self, code: str, message: str, mask: npt.NDArray[Any], verdict: Verdict) -> Rows:
        """Record a flaw of the kept rows in ``mask``; return those rows."""
        rows = np.flatnonzero(mask & self.kept).astype(np.int64)
        if len(rows):
            self.flaws.append(Flaw(code, message, rows, verdict))
        if verdict is Verdict.REFUSE:
            self.kept[rows] = False
        return rows

    def refuse(self, code: str, message: str, mask: npt.NDArray[Any]) -> Rows:
        """Refuse the kept rows in ``mask``; return them."""
        return self.add(code, message, mask, Verdict.REFUSE)


def validate(projection: Projection, layer: Layer) -> Report:
    """Report what is wrong with the records of a layer; repair nothing.

    Raises :class:`ValidationError` when most records lie outside the extent of their reference system, are of
    another geometry kind than declared, or have no identifier, and when none is left to publish.
    """
    sieve = _Sieve(projection)
    _positions(projection, sieve)
    kind = _kind(projection, layer, sieve)
    id_column, ids = _identifiers(projection, layer, sieve)
    labels = ids if ids is not None else [str(row + 1) for row in range(len(projection.geometry))]
    if kind is not GeometryKind.POINT:
        _shapes(projection, kind, sieve)
    _codes(projection, sieve)
    noted = (*projection.noted, *_stacks(projection, sieve))
    report = Report(kind, id_column, labels, tuple(sieve.flaws), noted)
    if not sieve.kept.any():
        lines = [f"{finding.count:,}: {finding.message}" for finding in report.findings]
        raise ValidationError(
            f"{projection.name}: none of its {len(labels):,} records can be published. {lines[0] if lines else ''}",
            source=projection.name,
            report=lines,
        )
    return report


def _positions(projection: Projection, sieve: _Sieve) -> None:
    """Refuse what has no position, or one where its reference system is not made for."""
    sieve.refuse("missing-geometry", "There is no geometry.", shapely.is_missing(projection.geometry))
    sieve.refuse("empty-geometry", "The geometry is empty.", shapely.is_empty(projection.geometry))
    sieve.refuse("not-finite", "A coordinate is not a number.", _any_nan(projection.geometry))
    start = 0
    for span in projection.spans:
        rows = slice(start, start + len(span.bounds))
        start = rows.stop
        outside = np.zeros(len(projection.geometry), dtype=bool)
        outside[rows] = _outside(projection.lonlat[rows], span.crs) | _outside(projection.lonlat[rows], projection.crs)
        refused = sieve.refuse("outside-crs-extent", _outside_message(span.crs, projection.crs), outside)
        if 2 * len(refused) > len(span.bounds):
            first = span.bounds[refused[0] - rows.start]
            raise ValidationError(
                f"{projection.name}: {len(refused):,} of {len(span.bounds):,} records lie outside the extent of their "
                f"reference system; the first is at x {first[0]:.8g}, y {first[1]:.8g}. "
                f"{_outside_message(span.crs, projection.crs)} Is it another reference system (declare it with --crs "
                "EPSG:n or crs = 'EPSG:n'), or are x and y swapped?",
                source=projection.name,
                report=[_outside_message(span.crs, projection.crs)],
            )
    _null_island(projection, sieve)


def _any_nan(geometry: Shapes) -> Mask:
    coordinates, owners = shapely.get_coordinates(geometry, return_index=True)
    mask = np.zeros(len(geometry), dtype=bool)
    mask[owners[np.isnan(coordinates).any(axis=1)]] = True
    return mask


def _outside(lonlat: Shapes, system: CRS) -> Mask:
    west, south, east, north = domain(system)
    bounds = shapely.bounds(lonlat)
    slack = 1e-6  # degrees; coasts drawn to the 180th meridian are often a hair beyond it
    inside = (
        (bounds[:, 0] >= west - slack)
        & (bounds[:, 1] >= south - slack)
        & (bounds[:, 2] <= east + slack)
        & (bounds[:, 3] <= north + slack)
    )
    infinite = np.zeros(len(lonlat), dtype=bool)
    coordinates, owners = shapely.get_coordinates(lonlat, return_index=True)
    infinite[owners[~np.isfinite(coordinates).all(axis=1)]] = True
    outside: Mask = ~inside | infinite
    return outside


def _outside_message(source: CRS, storage: CRS) -> str:
    systems = dict.fromkeys((source, storage))
    extents = "; ".join(
        f"{crs.code(system) or system.name} is for longitude {w:.6g} to {e:.6g}, latitude {s:.6g} to {n:.6g}"
        for system in systems
        for w, s, e, n in (domain(system),)
    )
    return f"Outside the extent of the reference system: {extents}."


def _null_island(projection: Projection, sieve: _Sieve) -> None:
    bounds = shapely.bounds(projection.lonlat)
    nowhere = np.nan_to_num(np.abs(bounds), nan=1.0).max(axis=1) < 1e-9
    rows = sieve.add("null-island", "The position is longitude 0, latitude 0.", nowhere, Verdict.NOTE)
    if 2 * len(rows) > len(bounds):
        raise ValidationError(
            f"{projection.name}: {len(rows):,} of {len(bounds):,} records lie at longitude 0, latitude 0, which is in "
            "the sea off Africa: their positions are missing. Export it again.",
            source=projection.name,
        )


def _kind(projection: Projection, layer: Layer, sieve: _Sieve) -> GeometryKind:
    """Return the layer's kind of geometry and refuse what is of another; a collection may hold parts of the kind."""
    families = _FAMILIES[shapely.get_type_id(projection.geometry)]
    kind = layer.geometry
    if kind is None:
        counts = np.bincount(families[sieve.kept & (families >= 0)], minlength=len(_KINDS))
        kind = _KINDS[int(counts.argmax())] if counts.any() else GeometryKind.POLYGON
    family = _KINDS.index(kind)
    collections = np.flatnonzero((shapely.get_type_id(projection.geometry) == 7) & sieve.kept)
    mixed = np.zeros(len(families), dtype=bool)
    mixed[collections] = [bool(len(parts_of(shape, kind))) for shape in projection.geometry[collections]]
    kept = int(sieve.kept.sum())
    wrong = sieve.refuse("wrong-kind", f"The geometry is not a {kind}.", (families != family) & ~mixed)
    if 2 * len(wrong) > kept:
        raise ValidationError(
            f"{projection.name}: {len(wrong):,} of {kept:,} geometries are not {kind}s, as the layer is declared. "
            "Correct 'geometry' in the declaration, or the source.",
            source=projection.name,
        )
    sieve.add("collection", f"Of a mixed collection only the {kind}s are published.", mixed, Verdict.REPAIR)
    return kind


def parts_of(shape: Any, kind: GeometryKind) -> Shapes:
    """Return the single geometries of ``kind`` inside a geometry, however deep they are nested."""
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    found: Shapes = parts[_FAMILIES[shapely.get_type_id(parts)] == _KINDS.index(kind)]
    return found


def _identifiers(projection: Projection, layer: Layer, sieve: _Sieve) -> tuple[str | None, Sequence[str] | None]:
    """Find the id column, refuse records without an id and those whose id another record has; return the labels."""
    name = layer.id_column or _find_id_column(projection)
    if name is None:
        if layer.columns is None:
            _twins(projection, sieve)
        return None, None
    column = next(column for column in projection.columns if column.name == name)
    ids = item_ids(projection.table, column)
    labels = [text if text is not None else f"record {row}" for row, text in enumerate(ids, start=1)]
    missing = sieve.refuse("null-id", f"There is no usable id in column {name!r}.", np.array([i is None for i in ids]))
    if 2 * len(missing) > len(ids):
        raise ValidationError(
            f"{projection.name}: {len(missing):,} of {len(ids):,} records have no usable id in column {name!r}; "
            "declare another id_column, or 'auto'.",
            source=projection.name,
        )
    _duplicates(projection, pandas.Series(ids, dtype=object), name, sieve)
    return name, labels


def _twins(projection: Projection, sieve: _Sieve) -> None:
    """Refuse records that are the same in everything as one before them."""
    frame = pandas.DataFrame({"geometry ": shapely.to_wkb(projection.geometry)})
    for name, column in zip(projection.table.column_names, projection.table.columns, strict=True):
        frame[name] = column.to_pandas()
    mask = np.zeros(len(frame), dtype=bool)
    mask[np.flatnonzero(sieve.kept)[frame[sieve.kept].duplicated().to_numpy()]] = True
    sieve.refuse("duplicate-record", "Another record is the same in everything.", mask)


def item_ids(table: pa.Table, column: Column) -> list[str | None]:
    """Return the ids of all rows as text, None where a row has none that is of the column's type."""
    values = cast(table.column(column.name), column).values
    text = Column(column.name, ColumnType.STRING)
    ids: list[str | None] = cast(pa.chunked_array([values]), text).values.to_pylist()
    return ids


def _find_id_column(projection: Projection) -> str | None:
    """Return the first column of a usual name whose values are all there and all different."""
    public = {
        column.name.casefold(): column
        for column in projection.columns
        if column.visibility is Visibility.PUBLIC and column.type in (ColumnType.INTEGER, ColumnType.STRING)
    }
    for name in ID_NAMES:
        if name in public:
            ids = item_ids(projection.table, public[name])
            if None not in ids and len(set(ids)) == len(ids):
                return public[name].name
    return None


def _duplicates(projection: Projection, ids: pandas.Series[Any], name: str, sieve: _Sieve) -> None:
    kept = ids[sieve.kept]
    again = kept.index[kept.duplicated()].to_numpy()
    if not len(again):
        return
    firsts = kept.drop_duplicates()
    first_of = dict(zip(firsts, firsts.index, strict=True))
    origins = np.array([first_of[ids[row]] for row in again])
    same = np.array(projection.table.take(again).to_pylist()) == np.array(projection.table.take(origins).to_pylist())
    same &= shapely.to_wkb(projection.geometry[again]) == shapely.to_wkb(projection.geometry[origins])
    for code, message, rows in (
        ("duplicate-record", "Another record is the same in everything.", again[same]),
        ("duplicate-id", f"Another record before it has the same id in column {name!r}.", again[~same]),
    ):
        mask = np.zeros(len(ids), dtype=bool)
        mask[rows] = True
        sieve.refuse(code, message, mask)


def as_served(lonlat: Shapes) -> Shapes:
    """Return geometries with the decimals that are served."""
    rounded: Shapes = shapely.transform(lonlat, lambda xy: np.round(xy, SERVED_DECIMALS))
    return rounded


def _shapes(projection: Projection, kind: GeometryKind, sieve: _Sieve) -> None:
    """Flag invalid geometries, with reason and place; one flaw for each reason."""
    rows = np.flatnonzero(sieve.kept)
    stored, served = projection.geometry[rows], as_served(projection.lonlat[rows])
    bad_stored = ~shapely.is_valid(stored)
    bad = bad_stored | ~shapely.is_valid(served)
    reasons: dict[str, list[int]] = {}
    places: dict[str, list[str]] = {}
    for at in np.flatnonzero(bad):
        told = shapely.is_valid_reason(stored[at] if bad_stored[at] else served[at])
        reason, place = _reason(told, projection if bad_stored[at] else None)
        reasons.setdefault(reason, []).append(int(rows[at]))
        places.setdefault(reason, []).append(place)
    for reason in sorted(reasons):
        shown = [place for place in places[reason] if place][:_PLACES_SHOWN]
        where = f", at longitude latitude {'; '.join(shown)}" if shown else ""
        mask = np.zeros(len(sieve.kept), dtype=bool)
        mask[reasons[reason]] = True
        sieve.add("invalid-geometry", f"The {kind} is not valid ({reason}){where}.", mask, Verdict.REPAIR)


def _reason(told: str, stored: Projection | None) -> tuple[str, str]:
    """Split GEOS's ``Self-intersection[x y]`` into the words and the place in CRS84."""
    match = re.fullmatch(r"([^\[]+)\[(\S+) (\S+)\]", told)
    if match is None:
        return told.lower(), ""
    xy = np.array([[float(match[2]), float(match[3])]])
    lon, lat = (stored.serving.apply(xy) if stored is not None else xy)[0]
    return match[1].lower(), f"{lon:.6f} {lat:.6f}"


def _codes(projection: Projection, sieve: _Sieve) -> None:
    """Note values that are not in the code list of their column."""
    for column in projection.columns:
        if not column.codes or column.name not in projection.table.column_names:
            continue
        result = cast(projection.table.column(column.name), column)
        mask = np.zeros(len(sieve.kept), dtype=bool)
        mask[result.unknown] = True
        values = sorted(set(result.values.take(pa.array(np.flatnonzero(mask & sieve.kept))).to_pylist()))
        shown = f": {', '.join(values[:_VALUES_SHOWN])}" if column.visibility is Visibility.PUBLIC else ""
        message = f"Column {column.name!r} has values that are not in its code list{shown}."
        sieve.add("unknown-code", message, mask, Verdict.NOTE)


def _stacks(projection: Projection, sieve: _Sieve) -> list[Finding]:
    texts = shapely.to_wkb(projection.geometry[sieve.kept])
    distinct = len(set(texts))
    if distinct == len(texts):
        return []
    message = f"{len(texts):,} records share {distinct:,} geometries; all are published."
    return [Finding("stacked-geometry", message, len(texts) - distinct)]
