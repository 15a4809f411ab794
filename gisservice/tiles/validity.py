"""Polygons checked after rounding, and repaired where rounding made them cross themselves.

Rounding to whole units is what breaks polygons, not clipping; so the check is made on the rounded rings, and what
passes is left alone. Validity is that of OGC 06-103r4 as GEOS tests it, which is exact for whole numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.tiles.shapes import Flags, Ints, Shapes, from_polygons, replace, sums, tidy, to_polygons


def invalid(shapes: Shapes) -> Flags:
    """Mark polygons that are not valid; an empty one is."""
    bad: Flags = ~shapely.is_valid(to_polygons(shapes))
    return bad


def _whole(polygons: npt.NDArray[Any]) -> Flags:
    """Mark polygons with whole-unit vertices only: rounding those again could move their edges."""
    xy, owner = shapely.get_coordinates(polygons, return_index=True)
    broken = np.bincount(owner, (xy != np.floor(xy)).any(axis=1), minlength=len(polygons))
    whole: Flags = broken == 0
    return whole


def repair(shapes: Shapes, rows: Ints) -> Shapes:
    """Return tidy shapes in which the polygons of ``rows`` are valid, with whole-unit vertices, or empty.

    The area that is inside stays inside; spikes and slivers below a unit vanish. What cannot be rounded to a valid
    polygon in a few attempts becomes empty, never the unrounded one.
    """
    broken = shapes.take(rows)
    polygons = to_polygons(broken)
    fixed = shapely.buffer(polygons, 0.0)
    hard = np.flatnonzero(~_kept(broken, fixed))
    fixed[hard] = shapely.make_valid(polygons[hard], method="structure", keep_collapsed=False)
    made = ~_whole(fixed)
    fixed[made] = shapely.set_precision(fixed[made], 1.0)
    candidates = tidy(from_polygons(fixed))
    still = invalid(candidates)
    if still.any():
        candidates = candidates.keep_rings(~still[candidates.owners])
    return replace(shapes, rows, candidates)


def _kept(broken: Shapes, fixed: npt.NDArray[Any]) -> Flags:
    """Mark the polygons that a buffer of no width has made valid as they were.

    A polygon that only runs back along itself, as those do that fall into parts at a tile's edge, keeps its area;
    that is four times as fast as to build it anew from its borders. One that crosses itself loses some.
    """
    area = sums(broken.areas(), broken.starts) / 2.0
    kept: Flags = shapely.is_valid(fixed) & (shapely.area(fixed) == area)
    return kept
