"""What of a layer lies in a window of the map: the shapes that its tiles show there, in one piece.

A picture that is put together from tiles has seams where half-covered pixels of two tiles meet; this has none, and
nothing is encoded to be decoded again. Which shapes a zoom shows is decided as for the pyramid: the same ranks,
merged groups and squares for what is too small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.catalog import Features
from gisservice.crs import square_lonlat, square_positions
from gisservice.model import BBox, Condition, GeometryKind, Style
from gisservice.tiles import selection
from gisservice.tiles.grid import BUFFER, EXTENT
from gisservice.tiles.levels import Levels
from gisservice.tiles.shapes import Ints, Shapes, concatenate

_REACH = BUFFER + (1 << selection.CELL_BITS)
"""Level units around the window in which shapes are looked for: squares that stand for small shapes."""


@dataclass(frozen=True)
class Scenery:
    """Shapes of one layer in level units of zoom ``z``.

    ``classes`` has for each shape the number of its class in the style, or the number of classes for none; ``labels``
    the text beside it, empty for none.
    """

    kind: GeometryKind
    z: int
    shapes: Shapes
    classes: Ints
    labels: tuple[str, ...]


def scenery(
    features: Features, levels: Levels, bbox: BBox, z: int, style: Style, condition: Condition | None = None
) -> Scenery:
    """Return what a layer shows in a box (CRS84) at a zoom of its pyramid, of the records that pass a condition.

    ``levels`` are those of the version of ``features``. A shape that only lies near the box may be among them.
    """
    low, high = _corners(bbox, z)
    rows = np.concatenate(features.search(_around(low - _REACH, high + _REACH, z)))
    rows.sort()
    if condition is not None:
        rows = condition.among(features, rows)
    which, first = np.unique(features.record_geometry[rows].astype(np.int64), return_index=True)
    record = rows[first]
    shapes, shown = _chosen(levels, z, which)
    owner = record[shown]
    classes = _classes(features, owner, style)
    labels = _texts(features, owner, style.label)
    if levels.coverage and z < levels.maxzoom:
        merged = _merged(features, levels, z) if condition is None else _merged_anew(levels, z, which, record)
        near = np.flatnonzero(_near(merged.shapes, low, high))
        members, cuts = selection.part_of_groups(merged.members, merged.cuts, near)
        shapes = concatenate([shapes, merged.shapes.take(near)])
        classes = np.append(classes, _agreed(_classes(features, members, style), cuts, style))
        labels += ("",) * len(near)
    return Scenery(levels.kind, z, shapes, classes, labels)


def _merged(features: Features, levels: Levels, z: int) -> selection.Groups:
    """Return the merged groups of the pyramid, with the first record of each geometry as member."""
    merged = levels.groups(z)
    # Geometries are numbered by their first record, so the largest number so far first occurs there.
    records = np.searchsorted(np.maximum.accumulate(features.record_geometry), merged.members)
    return replace(merged, members=records)


def _merged_anew(levels: Levels, z: int, which: Ints, record: Ints) -> selection.Groups:
    """Return the groups that some geometries and their records alone are merged into, as tiles with a filter do."""
    small = np.flatnonzero(levels.ranks[which] >= levels.limit(z))
    merged = levels.regrouped(z, which[small], record[small])
    return replace(merged, members=record[small[merged.members]])


def _corners(bbox: BBox, z: int) -> tuple[Ints, Ints]:
    west, south, east, north = bbox
    units = square_positions(np.array([[west, north], [east, south]])) * (EXTENT << z)
    return np.floor(units[0]).astype(np.int64), np.ceil(units[1]).astype(np.int64)


def _around(low: Ints, high: Ints, z: int) -> BBox:
    (west, north), (east, south) = square_lonlat(np.array([low, high]) / (EXTENT << z)).tolist()
    return max(west, -180.0), south, min(east, 180.0), north


def _chosen(levels: Levels, z: int, which: Ints) -> tuple[Shapes, Ints]:
    """Return the shapes of those of the geometries ``which`` that are drawn one by one, and which of them these are."""
    if z >= levels.maxzoom:
        chosen = selection.select(levels.shapes(z, which), np.zeros(len(which), dtype=np.int64), 1)
        return chosen.shapes, chosen.drawn
    ranks, limit = levels.ranks[which], levels.limit(z)
    if levels.kind is not GeometryKind.POLYGON or levels.coverage:
        kept = np.flatnonzero(ranks < limit)
        chosen = selection.select(levels.shapes(z, which[kept]), ranks[kept], limit)
        return chosen.shapes, kept[chosen.drawn]
    shift = levels.maxzoom - z
    areas, centres = levels.areas[which], levels.centres[which]
    chosen = selection.select_with_dust(
        levels.shapes(z, which), ranks, limit, areas, centres, shift, levels.dust_side(z)
    )
    return chosen.shapes, chosen.drawn


def _near(shapes: Shapes, low: Ints, high: Ints) -> npt.NDArray[np.bool_]:
    box = shapes.bounds()
    full = np.diff(shapes.vertices) > 0
    meets = np.concatenate([box[:, :2] <= high + _REACH, box[:, 2:] >= low - _REACH, full[:, None]], axis=1)
    return np.asarray(meets.all(axis=1))


def _classes(features: Features, rows: Ints, style: Style) -> Ints:
    """Return the number of the class of each row; the number of classes where it is of none."""
    none = len(style.classes)
    if style.by is None or not none:
        return np.full(len(rows), none, dtype=np.int64)
    if style.classes[0].least is not None:
        return _ranges(features, rows, style.by, [entry.least or 0.0 for entry in style.classes])
    numbers = {entry.value: number for number, entry in enumerate(style.classes)}
    return np.array([numbers.get(text, none) for text in _texts(features, rows, style.by)], dtype=np.int64)


def _ranges(features: Features, rows: Ints, column: str, least: list[float]) -> Ints:
    """Return the number of the class of each row, where classes are ranges by their smallest numbers."""
    if column not in features.attributes.column_names:
        return np.full(len(rows), len(least), dtype=np.int64)
    values = features.attributes.column(column).take(rows).to_numpy(zero_copy_only=False).astype(np.float64)
    found = np.searchsorted(least, values, side="right") - 1
    return np.where((found < 0) | np.isnan(values), len(least), found).astype(np.int64)


def _agreed(classes: Ints, cuts: Ints, style: Style) -> Ints:
    """Return the class of each group: the one that all its members are of, if there is such, wherever they lie."""
    if not len(cuts) - 1:
        return np.zeros(0, dtype=np.int64)
    lowest, highest = np.minimum.reduceat(classes, cuts[:-1]), np.maximum.reduceat(classes, cuts[:-1])
    return np.where(lowest == highest, lowest, len(style.classes))


def _texts(features: Features, rows: Ints, column: str | None) -> tuple[str, ...]:
    """Return the values of a column as the text that maps show; empty for none."""
    if column is None or column not in features.attributes.column_names or not len(rows):
        return ("",) * len(rows)
    return tuple(_text(value) for value in features.attributes.column(column).take(rows).to_pylist())


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
