"""Where lines become a network: ends that meet are one node, and lines that cross at grade are cut there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.ragged import Floats, Ints, Lines

JOIN_M = 0.01
"""Metres; ends no farther apart are one node. Rounding and reprojection move a position by less."""


def joined_ends(positions: Floats, tolerance: float) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Return the nodes that positions (shape (k, 2)) fall together into, and the node of each position.

    Positions within ``tolerance`` of each other are one node, also by way of others. A node lies where its first
    position lies.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    spots, of_spot = np.unique(positions, axis=0, return_inverse=True)
    pairs = cKDTree(spots).query_pairs(tolerance, output_type="ndarray") if len(spots) else np.empty((0, 2), int)
    near = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(spots), len(spots)))
    _, group = connected_components(near, directed=False)
    _, first, node = np.unique(group[of_spot.reshape(-1)], return_index=True, return_inverse=True)
    return positions[first], node.reshape(-1).astype(np.int32)


def cut_at_crossings(lines: Lines, at_grade: npt.NDArray[np.bool_], tolerance: float) -> tuple[Lines, Ints]:
    """Cut the lines that are ``at_grade`` where they cross or touch one another; also return the line of each piece."""
    line, distance = _crossings(lines, np.flatnonzero(at_grade), tolerance)
    inside = (distance > tolerance) & (distance < lines.lengths[line] - tolerance)
    every = np.arange(len(lines))
    places = np.concatenate([np.zeros(len(lines)), distance[inside], lines.lengths])
    owners = np.concatenate([every, line[inside], every])
    order = np.lexsort((places, owners))
    places, owners = places[order], owners[order]
    piece = (owners[1:] == owners[:-1]) & (np.diff(places) > tolerance)
    # A place just behind another is no piece of its own: the next piece begins where the last one ended.
    kept = np.concatenate([[True], piece | (owners[1:] != owners[:-1])])
    places, owners = places[kept], owners[kept]
    same = owners[1:] == owners[:-1]
    owner = owners[:-1][same]
    high = places[1:][same]
    last = np.concatenate([owner[1:] != owner[:-1], [True]]) if len(owner) else np.zeros(0, bool)
    high = np.where(last, lines.lengths[owner], high)
    return lines.parts(owner, places[:-1][same], high), owner


def _crossings(lines: Lines, chosen: Ints, tolerance: float) -> tuple[Ints, Floats]:
    """Return where each chosen line meets another of them: the line, and how far along."""
    shapes = lines.shapes[chosen]
    tree = shapely.STRtree(shapes)
    one, other = tree.query(shapes, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shared, pair = shapely.get_coordinates(shapely.intersection(shapes[one], shapes[other]), return_index=True)
    ends = lines.ends()[chosen].reshape(-1, 2)
    end, beside = tree.query(shapely.points(ends), predicate="dwithin", distance=tolerance)
    line = np.concatenate([one[pair], other[pair], beside])
    points = shapely.points(np.concatenate([shared, shared, ends[end]]))
    located: Floats = shapely.line_locate_point(shapes[line], points)
    return chosen[line], located


def line_parts(shapes: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Ints]:
    """Return the LineStrings that geometries consist of and the row of each; what is missing or empty has none."""
    parts, row = shapely.get_parts(shapes, return_index=True)
    usable = (shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING) & ~shapely.is_empty(parts)
    return shapely.force_2d(parts[usable]), row[usable]
