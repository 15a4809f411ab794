"""Minutes through a network: places put on its edges, and the shortest ways from them to everything else.

A place is a position along an edge, never a node. The way between a place and the street beside it is a straight
line, walked whatever the mode. Shortest ways: Dijkstra, from all places at once (``scipy.sparse.csgraph``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.network import BIKE_KMH, MODES, WALK_KMH, Mode, Network
from gisservice.analysis.noding import JOIN_M
from gisservice.analysis.placing import middle, positions
from gisservice.analysis.planar import Plane, plane
from gisservice.analysis.ragged import Floats, Ints, merged
from gisservice.analysis.snapping import Pieces
from gisservice.errors import InvalidParameter, LimitExceeded

if TYPE_CHECKING:
    import geopandas

BESIDE_M = 800.0
"""Metres; a place farther from every street than this (half a mile) is not on the network."""

PIECE_M = 25.0
"""Metres; how long the pieces are that edges are divided into to find the nearest. It changes no answer."""

ORIGINS_MAX = 1_000
MINUTES_MAX = 240.0

_BATCH_CELLS = 8_000_000
"""Distances held at once when each origin is asked for by itself: 64 MB."""


@dataclass(frozen=True)
class Stops:
    """Places on edges: ``row`` of the frame they come from, ``edge`` and ``along`` it, minutes from the place to it.

    A place may have several stops (a park has many entries); one that is beside no street has none.
    """

    rows: int
    row: Ints
    edge: Ints
    along: Floats
    leg: Floats

    def taken(self, chosen: npt.NDArray[Any] | list[int]) -> Stops:
        """Return some of the stops."""
        return replace(
            self, row=self.row[chosen], edge=self.edge[chosen], along=self.along[chosen], leg=self.leg[chosen]
        )


class Travel:
    """A network as one travels it in one mode, either from places or, with ``towards``, to them."""

    def __init__(self, network: Network, mode: Mode, towards: bool) -> None:
        self.network = network
        self.mode = mode
        self.towards = towards
        allowed = network.allowed[:, MODES.index(mode)]
        self.forward: npt.NDArray[np.bool_] = allowed[:, int(towards)]
        """Whether minutes may be counted from where an edge begins to where it ends."""
        self.backward: npt.NDArray[np.bool_] = allowed[:, int(not towards)]
        kmh = network.drive_kmh if mode is Mode.DRIVE else WALK_KMH if mode is Mode.WALK else BIKE_KMH
        self.pace: Floats = network.metres * 60 / (1000 * np.broadcast_to(kmh, len(network.lines)))
        """Minutes for one unit of length, for each edge."""
        self.slack = JOIN_M / network.metres
        """A place no farther than this from an edge's end is at the node, whichever way the edge may be travelled."""
        self.walk_pace = network.metres * 60 / (1000 * WALK_KMH)
        self._stops: WeakKeyDictionary[Plane, Stops] = WeakKeyDictionary()

    @cached_property
    def open_edges(self) -> Ints:
        """The edges one may travel in some direction."""
        return np.flatnonzero(self.forward | self.backward)

    @cached_property
    def pieces(self) -> Pieces:
        """The :attr:`open_edges`, ready to be asked for the nearest place on them."""
        if self.towards:  # the same edges are open either way
            return self.network.travel(self.mode).pieces
        return Pieces(self.network.lines, self.open_edges, PIECE_M / self.network.metres)

    @cached_property
    def arcs(self) -> tuple[Ints, Ints, Floats, Ints]:
        """Node, next node, minutes and edge of each arc, by node; of parallel arcs the quickest alone."""
        begin, end = self.network.ends[:, 0].astype(np.int64), self.network.ends[:, 1].astype(np.int64)
        edge = np.arange(len(begin))
        minutes = self.network.lines.lengths * self.pace
        ahead, back = self.forward & (begin != end), self.backward & (begin != end)
        tail = np.concatenate([begin[ahead], end[back]])
        head = np.concatenate([end[ahead], begin[back]])
        cost, owner = np.concatenate([minutes[ahead], minutes[back]]), np.concatenate([edge[ahead], edge[back]])
        order = np.lexsort((owner, cost, head, tail))
        tail, head, cost, owner = tail[order], head[order], cost[order], owner[order]
        first = np.concatenate([[True], (tail[1:] != tail[:-1]) | (head[1:] != head[:-1])])[: len(tail)]
        return tail[first], head[first], cost[first], owner[first]

    def edge_between(self, node: int, after: int) -> int:
        """Return the edge of the arc from a node to the next."""
        begin, end = self._arc_starts[node], self._arc_starts[node + 1]
        _, head, _, edge = self.arcs
        return int(edge[begin + np.searchsorted(head[begin:end], after)])

    @cached_property
    def _arc_starts(self) -> Ints:
        """Where the arcs of each node begin."""
        return np.searchsorted(self.arcs[0], np.arange(len(self.network.nodes) + 1))

    # Places

    def stops(self, places: geopandas.GeoDataFrame, what: str = "points") -> Stops:
        """Put places on the nearest edge that this mode may use.

        Areas and lines count as a point inside them. Raises :class:`InvalidParameter` for a frame without reference
        system or in another unit than it states.
        """
        if self.towards:  # places are put on the same edges either way
            return self.network.travel(self.mode).stops(places, what)
        if places.crs is None or places.crs != self.network.crs:
            return self.stops_at(middle(positions(places, self.network.crs, what)))
        held = plane(places, what)
        if held not in self._stops:  # kept while the frame lives: the next question asks for other amenities
            self._stops[held] = self.stops_at(middle(held.shapes))
        return self._stops[held]

    def entries(self, places: geopandas.GeoDataFrame, what: str = "targets") -> Stops:
        """Put places on edges like :meth:`stops`, but let areas be entered all around: every 30 m of their edge.

        Of an area's entries those within 100 m of a street count, or the nearest, where none is.
        """
        return self.entries_at(positions(places, self.network.crs, what))

    def entries_at(self, shapes: npt.NDArray[Any]) -> Stops:
        """Put an array of shapes, in the network's system, on edges as :meth:`entries` does."""
        areas = np.flatnonzero(shapely.get_dimensions(shapes) == 2)
        if not len(areas):
            return self.stops_at(middle(shapes))
        rest = np.ones(len(shapes), bool)
        rest[areas] = False
        points, row = _around(shapes[areas], 30.0 / self.network.metres)
        near = self._among(points, areas[row], len(shapes))
        best = np.full(len(shapes), math.inf)
        np.minimum.at(best, near.row, near.leg)
        near = near.taken((near.leg <= 100.0 / self.network.metres * self.walk_pace) | (near.leg == best[near.row]))
        plain = self._among(middle(shapes[rest]), np.flatnonzero(rest), len(shapes))
        return _together(near, plain)

    def stops_at(self, points: npt.NDArray[Any]) -> Stops:
        """Put an array of points, in the network's system, on the nearest edges."""
        return self._among(points, np.arange(len(points)), len(points))

    def _among(self, points: npt.NDArray[Any], row: Ints, rows: int) -> Stops:
        usable = np.flatnonzero(~(shapely.is_missing(points) | shapely.is_empty(points)))
        found = self.pieces.nearest(shapely.get_coordinates(points[usable]), BESIDE_M / self.network.metres)
        along = np.clip(found.along, 0.0, self.network.lines.lengths[found.line])
        return Stops(rows, row[usable[found.asked]], found.line, along, found.distance * self.walk_pace)

    # Ways

    def spread(self, sources: Stops, *, limit: float = math.inf, paths: bool = False) -> Spread:
        """Return the minutes from the nearest of the sources to all nodes, up to ``limit`` minutes."""
        from scipy.sparse.csgraph import dijkstra

        graph, ordered, starts = self._with(sources)
        if not len(starts):
            count = graph.shape[0]
            return Spread(self, ordered, np.full(count, math.inf), np.full(count, -1), None)
        minutes, before, origin = dijkstra(graph, indices=starts, limit=limit, min_only=True, return_predecessors=True)
        rows = np.unique(ordered.row)
        base = graph.shape[0] - len(rows)
        source = np.where(origin >= base, rows[np.maximum(origin - base, 0)], -1)
        return Spread(self, ordered, minutes, source, before if paths else None)

    def spread_each(self, sources: Stops, *, limit: float = math.inf) -> Iterator[Spread]:
        """Yield for each row that has a stop the minutes from it alone, in the order of the rows."""
        from scipy.sparse.csgraph import dijkstra

        graph, ordered, starts = self._with(sources)
        rows = np.unique(ordered.row)
        batch = max(1, _BATCH_CELLS // graph.shape[0])
        for low in range(0, len(rows), batch):
            minutes = dijkstra(graph, indices=starts[low : low + batch], limit=limit)
            for row, own in zip(rows[low : low + batch].tolist(), np.atleast_2d(minutes), strict=True):
                yield Spread(self, ordered, own, np.full(len(own), row), None)

    def _with(self, sources: Stops) -> tuple[Any, Stops, Ints]:
        """Return the graph with the sources in it, the sources in order along the edges, and where ways begin.

        After the network's nodes come the sources, each with arcs to its neighbours on the edge, then one node for
        each row, from which the way to its sources begins. Nothing leads to a source but from another on its edge:
        who comes by way of a node need not stop there.
        """
        from scipy.sparse import csr_array

        order = np.lexsort((sources.row, sources.along, sources.edge))
        stops = sources.taken(order)
        count, base = len(stops.edge), len(self.network.nodes)
        rows, begins = np.unique(stops.row, return_inverse=True)
        tail, head, cost = self._source_arcs(stops, base)
        tail = np.concatenate([tail, base + count + begins.reshape(-1)])
        head = np.concatenate([head, base + np.arange(count)])
        cost = np.concatenate([cost, stops.leg])
        order = np.argsort(tail, kind="stable")
        _, own_head, own_cost, _ = self.arcs
        total = base + count + len(rows)
        added = len(own_head) + np.searchsorted(tail[order], np.arange(base + 1, total + 1))
        begin = np.concatenate([self._arc_starts, added]).astype(np.int32)
        indices = np.concatenate([own_head, head[order]]).astype(np.int32)
        graph = csr_array((np.concatenate([own_cost, cost[order]]), indices, begin), shape=(total, total))
        return graph, stops, base + count + np.arange(len(rows))

    def _source_arcs(self, stops: Stops, base: int) -> tuple[Ints, Ints, Floats]:
        """Return the arcs from each source to the next on its edge, or to the edge's node, in both directions."""
        count, edge, along = len(stops.edge), stops.edge, stops.along
        number = np.arange(count)
        follows = np.concatenate([[False], edge[1:] == edge[:-1]])[:count]
        leads = np.concatenate([follows[1:], [False]])[:count]
        end = np.where(leads, base + number + 1, self.network.ends[edge, 1])
        begin = np.where(follows, base + number - 1, self.network.ends[edge, 0])
        to_end = np.where(leads, np.roll(along, -1), self.network.lines.lengths[edge]) - along
        to_begin = along - np.where(follows, np.roll(along, 1), 0.0)
        ahead, back = self.forward[edge] | (to_end <= self.slack), self.backward[edge] | (to_begin <= self.slack)
        pace = self.pace[edge]
        return (
            base + np.concatenate([number[ahead], number[back]]),
            np.concatenate([end[ahead], begin[back]]),
            np.concatenate([(to_end * pace)[ahead], (to_begin * pace)[back]]),
        )


@dataclass(frozen=True)
class Spread:
    """Minutes from sources to everywhere: first the network's nodes, then the sources themselves."""

    travel: Travel
    sources: Stops
    """In order along the edges."""
    minutes: Floats
    source: Ints
    """The row of the source that each of them is reached from; -1 where none reaches it."""
    before: npt.NDArray[np.int32] | None
    """The node before each, on the way from its source; only where asked for."""

    def at(self, stops: Stops) -> tuple[Floats, Ints]:
        """Return for each row the minutes to it and the row of its source; infinite and -1 where none reaches it."""
        through, _, minutes = self.arrivals(stops)
        best = np.full(stops.rows, math.inf)
        source = np.full(stops.rows, -1)
        row, own = stops.row, np.where(np.isfinite(minutes), self.source[through], -1)
        if not (row[1:] > row[:-1]).all():  # some rows have several: the quickest is written last
            order = np.argsort(-minutes, kind="stable")
            row, own, minutes = row[order], own[order], minutes[order]
        best[row], source[row] = minutes, own
        return best, source

    def arrivals(self, stops: Stops) -> tuple[Ints, Floats, Floats]:
        """Return for each stop the node or source one comes by last, how far along its edge that is, and minutes."""
        travel, lines = self.travel, self.travel.network.lines
        ends, pace = travel.network.ends[stops.edge].astype(np.int64), travel.pace[stops.edge]
        previous, following = self._beside(stops)
        behind, ahead = self._place(previous), self._place(following)
        last = np.stack([ends[:, 0], ends[:, 1], behind, ahead])
        place = np.stack([
            np.zeros(len(stops.edge)), lines.lengths[stops.edge], self._along(previous), self._along(following)
        ])  # fmt: skip
        way = np.abs(stops.along - place)
        way[2, previous < 0] = way[3, following < 0] = math.inf
        may = np.stack([travel.forward[stops.edge], travel.backward[stops.edge]] * 2)
        may |= way <= travel.slack
        minutes = np.where(may, self.minutes[last] + way * pace, math.inf)
        best = np.argmin(minutes, axis=0)
        column = np.arange(len(best))
        return last[best, column], place[best, column], minutes[best, column] + stops.leg

    def reached(self, minutes: float) -> tuple[Ints, Floats, Floats]:
        """Return the parts of edges reached within some minutes: edge, from and to along it; none overlap."""
        travel, network = self.travel, self.travel.network
        lengths, ends = network.lines.lengths, network.ends
        within = self.minutes < minutes
        begun, ended = np.flatnonzero(within[ends[:, 0]]), np.flatnonzero(within[ends[:, 1]])
        base, count = len(network.nodes), len(self.sources.edge)
        own = np.flatnonzero(within[base : base + count])
        edge = np.concatenate([begun, ended, *[self.sources.edge[own]] * 2])
        start = np.concatenate([np.zeros(len(begun)), lengths[ended], *[self.sources.along[own]] * 2])
        node = np.concatenate([ends[begun, 0], ends[ended, 1], *[base + own] * 2])
        ahead = np.repeat([True, False, True, False], [len(begun), len(ended), len(own), len(own)])
        may = np.where(ahead, travel.forward[edge], travel.backward[edge])
        left = np.where(may, (minutes - self.minutes[node]) / travel.pace[edge], -1.0)
        some = left > 0
        edge, start, left, ahead = edge[some], start[some], left[some], ahead[some]
        low = np.where(ahead, start, np.maximum(start - left, 0.0))
        high = np.where(ahead, np.minimum(start + left, lengths[edge]), start)
        real = high > low
        return merged(edge[real], low[real], high[real])

    def _beside(self, stops: Stops) -> tuple[Ints, Ints]:
        """Return the sources just before and just behind each stop on its edge; -1 where there is none."""
        offsets = self.travel.network.lines.offsets
        own, asked = offsets[self.sources.edge] + self.sources.along, offsets[stops.edge] + stops.along
        previous = np.searchsorted(own, asked, side="right") - 1
        following = np.searchsorted(own, asked, side="left")
        return self._on_edge(previous, stops.edge), self._on_edge(following, stops.edge)

    def _on_edge(self, source: Ints, edge: Ints) -> Ints:
        if not len(self.sources.edge):
            return np.full(len(source), -1)
        known = np.clip(source, 0, len(self.sources.edge) - 1)
        return np.where((source == known) & (self.sources.edge[known] == edge), known, -1)

    def _place(self, source: Ints) -> Ints:
        return len(self.travel.network.nodes) + np.maximum(source, 0) if len(self.sources.edge) else 0 * source

    def _along(self, source: Ints) -> Floats:
        return self.sources.along[np.maximum(source, 0)] if len(self.sources.edge) else np.zeros(len(source))


def checked_minutes(name: str, minutes: float) -> float:
    """Return minutes if they can be travelled: above 0, up to 240. Raises :class:`InvalidParameter`."""
    number = isinstance(minutes, int | float | np.number) and not isinstance(minutes, bool)
    if not number or not 0 < minutes <= MINUTES_MAX:
        raise InvalidParameter(name, str(minutes), f"minutes above 0 and up to {MINUTES_MAX:g}")
    return float(minutes)


def checked_count(what: str, count: int, limit: int = ORIGINS_MAX) -> None:
    """Refuse more places than are worked on at once. Raises :class:`LimitExceeded`."""
    if count > limit:
        raise LimitExceeded(f"The number of {what}", count, limit, what)


def _around(areas: npt.NDArray[Any], spacing: float) -> tuple[npt.NDArray[Any], Ints]:
    """Return points on the edge of areas, no farther apart than ``spacing``, and the area of each."""
    coordinates, row = shapely.get_coordinates(shapely.segmentize(areas, spacing), return_index=True)
    return shapely.points(coordinates), row


def _together(one: Stops, other: Stops) -> Stops:
    return Stops(
        one.rows, *(np.concatenate([getattr(one, key), getattr(other, key)]) for key in ("row", "edge", "along", "leg"))
    )
