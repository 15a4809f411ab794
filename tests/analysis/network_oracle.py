"""Minutes through streets by networkx, built otherwise than the package does: a second opinion for tests.

Each street becomes an edge between the texts of its ends, ends within a centimetre are joined by edges of no length,
and places are put on streets by cutting them with shapely.
"""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import shapely
from shapely.ops import substring

MPH = 1609.344 / 60  # metres a minute


class Oracle:
    def __init__(self, lines, ways, metres_a_minute, metres):
        """``ways`` holds for each line whether one may go ahead and back; ``metres`` is one unit of the lines."""
        self.lines, self.ways, self.pace, self.metres = list(lines), ways, metres_a_minute, metres
        self.graph = nx.MultiDiGraph()
        ends = np.array([xy for line in self.lines for xy in (line.coords[0], line.coords[-1])])
        for one, other in (
            shapely.STRtree(shapely.points(ends))
            .query(shapely.points(ends), predicate="dwithin", distance=0.01 / metres)
            .T
        ):
            if one != other:
                self.graph.add_edge(int(one), int(other), minutes=0.0)
        for number in range(len(self.lines)):
            self._street(number, [(0.0, 2 * number), (self.lines[number].length, 2 * number + 1)])
        self.used = shapely.STRtree([line if any(ways[i]) else shapely.Point() for i, line in enumerate(self.lines)])

    def _street(self, number, places):
        line, (ahead, back) = self.lines[number], self.ways[number]
        for (low, one), (high, other) in pairwise(places):
            length = substring(line, low, high).length if high > low else 0.0
            minutes = length * self.metres / self.pace[number]
            joined = length * self.metres <= 0.01
            if ahead or joined:
                self.graph.add_edge(one, other, minutes=minutes)
            if back or joined:
                self.graph.add_edge(other, one, minutes=minutes)

    def put(self, points, stops):
        """Put places on the network and return their nodes: 'p0', 'p1', …; None for one that is beside no street.

        Of streets that are equally near it takes the one that ``stops`` has, and checks that it is.
        """
        on = {}
        names = [None] * len(points)
        for place, number, along in zip(stops.row.tolist(), stops.edge.tolist(), stops.along.tolist(), strict=True):
            point, line = points[place], self.lines[number]
            distance = point.distance(line)
            assert abs(distance - point.distance(self.used.geometries[self.used.nearest(point)])) < 1e-6
            assert abs(line.interpolate(along).distance(point) - distance) < 1e-6
            names[place], spot = f"p{place}", f"q{place}"
            for pair in ((names[place], spot), (spot, names[place])):
                self.graph.add_edge(*pair, minutes=distance * self.metres / (3 * MPH))
            on.setdefault(number, []).append((along, spot))
        for place in {*range(len(points))} - {*stops.row.tolist()}:
            assert not self.used.query(points[place], predicate="dwithin", distance=799.99 / self.metres).size
        for number, spots in on.items():
            ends = (0.0, 2 * number), (self.lines[number].length, 2 * number + 1)
            self._street(number, [ends[0], *sorted(spots), ends[1]])
        return names

    def minutes(self, start):
        return nx.single_source_dijkstra_path_length(self.graph, start, weight="minutes")
