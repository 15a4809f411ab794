"""What is wrong with a street network, or looks so: pieces apart, dead ends, ends that just miss, lines twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from gisservice.analysis.answers import state
from gisservice.analysis.network import Network
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import geopandas

NEAR_MAX_M = 100.0

_Found = tuple[str, str, float, Any]
"""Finding, ids of the segments, metres, geometry."""


def network_report(network: Network, *, near_m: float = 3.0) -> geopandas.GeoDataFrame:
    """Return what is to be looked at in a network, one row a finding, with ``segments`` (ids), ``metres`` and a place.

    ``finding`` is one of: ``disconnected piece`` (lines that do not hang together with the largest piece; their
    length), ``dangling end`` (an end where no other line begins; a dead-end street is one, too), ``near miss`` (a
    dangling end within ``near_m`` of another line; the gap), ``duplicate`` (a line that is there before, in either
    direction), ``no length`` (a row that gave no edge, without place). Raises :class:`InvalidParameter`.

    >>> network_report(Network.open(catalog)).finding.value_counts()  # doctest: +SKIP
    """
    import geopandas

    if not 0 < near_m <= NEAR_MAX_M:
        raise InvalidParameter("near_m", str(near_m), f"metres above 0 and up to {NEAR_MAX_M:g}")
    rows = [
        *_pieces(network),
        *_dangling(network),
        *_near_misses(network, near_m),
        *_duplicates(network),
        *(("no length", network.ids[row], 0.0, None) for row in network.dropped.tolist()),
    ]
    found = geopandas.GeoDataFrame(
        {
            "finding": [row[0] for row in rows],
            "segments": [row[1] for row in rows],
            "metres": np.array([row[2] for row in rows], dtype=np.float64),
        },
        geometry=np.array([row[3] for row in rows], dtype=object),
        crs=network.crs,
    )
    method = f"Ends within 1 cm are joined; near misses are ends within {near_m:g} m of a line they do not meet."
    return state(found, method=method, units={"metres": "metre"}, sources=[network.source])


def _pieces(network: Network) -> list[_Found]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(network.nodes)
    joined = coo_array((np.ones(len(network.ends)), network.ends.T), shape=(count, count))
    _, piece_of_node = connected_components(joined, directed=False)
    piece = piece_of_node[network.ends[:, 0]]
    length = np.bincount(piece, network.lines.lengths)
    others = np.delete(np.arange(len(length)), int(np.argmax(length)))
    return [
        (
            "disconnected piece",
            _segments(network, np.flatnonzero(piece == one)),
            float(length[one]) * network.metres,
            shapely.multilinestrings(network.lines.shapes[piece == one]),
        )
        for one in others.tolist()
    ]


def _dead_ends(network: Network) -> tuple[Any, Any]:
    """Return the nodes where a single line ends, and the edge of each."""
    nodes = network.ends.reshape(-1)
    dead = np.flatnonzero((np.bincount(nodes, minlength=len(network.nodes)) == 1)[nodes])
    return nodes[dead], dead // 2


def _dangling(network: Network) -> list[_Found]:
    nodes, edges = _dead_ends(network)
    points = shapely.points(network.nodes[nodes])
    return [
        ("dangling end", _segments(network, np.array([edge])), float(metres), point)
        for edge, metres, point in zip(edges, network.lines.lengths[edges] * network.metres, points, strict=True)
    ]


def _near_misses(network: Network, near_m: float) -> list[_Found]:
    nodes, edges = _dead_ends(network)
    shapes, near = network.lines.shapes, near_m / network.metres
    points = shapely.points(network.nodes[nodes])
    end, other = shapely.STRtree(shapes).query(points, predicate="dwithin", distance=near)
    own = edges[end]
    # The line itself comes back to its end, and what a very short line hangs on is always near.
    around = (network.ends[own][:, :, None] == network.ends[other][:, None, :]).any(axis=(1, 2))
    beside = (own != other) & ~(around & (network.lines.lengths[own] <= near))
    gaps = shapely.shortest_line(points[end[beside]], shapes[other[beside]])
    return [
        ("near miss", _segments(network, np.array(pair)), float(shapely.length(gap)) * network.metres, gap)
        for *pair, gap in zip(own[beside], other[beside], gaps, strict=True)
    ]


def _duplicates(network: Network) -> list[_Found]:
    shapes = shapely.normalize(network.lines.shapes)
    _, first, group = np.unique(shapely.to_wkb(shapes), return_index=True, return_inverse=True)
    again = np.flatnonzero(first[group.reshape(-1)] != np.arange(len(shapes)))
    return [
        (
            "duplicate",
            _segments(network, np.array([first[group.reshape(-1)[edge]], edge])),
            float(network.lines.lengths[edge]) * network.metres,
            shapes[edge],
        )
        for edge in again.tolist()
    ]


def _segments(network: Network, edges: Any) -> str:
    """Return the ids of the segments that edges were cut from, each once, those of a large piece shortened."""
    ids = list(dict.fromkeys(network.ids[row] for row in network.segment[edges].tolist()))
    return ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
