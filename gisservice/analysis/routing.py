"""The quickest way from one place to another along the streets: its line, its minutes, and street by street."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from gisservice.analysis.amenities import SPEEDS, WAY
from gisservice.analysis.answers import state
from gisservice.analysis.network import Network
from gisservice.analysis.placing import middle, positions
from gisservice.analysis.ragged import Floats
from gisservice.analysis.travel import Spread, Stops, Travel, checked_count
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import geopandas

FEET_PER_METRE = 1 / 0.3048

OFF_STREET = "off street"
"""What a step is called that leads between a place and the street beside it."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a way: of ``edge`` (-1: off street) from one distance along it to another; the later may be smaller."""

    edge: int
    begin: float
    end: float
    minutes: float


def route(
    network: Network,
    origins: geopandas.GeoDataFrame,
    destinations: geopandas.GeoDataFrame,
    *,
    mode: str = "walk",
) -> geopandas.GeoDataFrame:
    """Return the quickest way from each origin to the destination in the same row; one of either goes with all others.

    A row has ``minutes``, ``metres`` (on the ground of the projected system), ``feet``, ``steps`` (a list of street,
    minutes, metres and feet, in order) and the line, in the network's system. Where there is no way, these are missing
    and ``reason`` is ``not connected`` or ``no street`` (within half a mile of either end); else it is missing, too.
    Raises :class:`InvalidParameter` for an unknown mode or frames of different length, :class:`LimitExceeded` for more
    than 1,000 rows.

    >>> route(network, home, school, mode="bike").minutes  # doctest: +SKIP
    """
    import geopandas

    travel = network.travel(mode)
    count = _rows(len(origins), len(destinations))
    froms, tos = positions(origins, network.crs, "origins"), positions(destinations, network.crs, "destinations")
    starts, goals = middle(froms), middle(tos)
    starts, goals = (np.broadcast_to(points, count) for points in (starts, goals))
    rows = [_Row("no street")] * count
    for row, way in _ways(travel, travel.stops_at(starts), travel.stops_at(goals)):
        rows[row] = _described(travel, way, starts[row], goals[row]) if way else _Row("not connected")
    index = origins.index if len(origins) == count else destinations.index
    found = geopandas.GeoDataFrame(
        {
            "minutes": [row.minutes for row in rows],
            "metres": [row.metres for row in rows],
            "feet": [row.metres * FEET_PER_METRE for row in rows],
            "steps": [row.steps for row in rows],
            "reason": np.array([row.reason for row in rows], dtype=object),
        },
        geometry=np.array([row.line for row in rows], dtype=object),
        index=index,
        crs=network.crs,
    )
    units = {"minutes": "minute", "metres": "metre", "feet": "foot"}
    method = f"The quickest way {SPEEDS[travel.mode]}, {WAY} (Dijkstra)."
    return state(found, method=method, units=units, sources=[network.source, origins, destinations])


@dataclass(frozen=True, slots=True)
class _Row:
    reason: str | None
    minutes: float = math.nan
    metres: float = math.nan
    steps: list[dict[str, Any]] | None = None
    line: Any = None


def _rows(origins: int, destinations: int) -> int:
    if origins != destinations and 1 not in (origins, destinations):
        raise InvalidParameter(
            "destinations", f"{destinations} rows", f"as many as there are origins, {origins}, or a single one"
        )
    count = max(origins, destinations) if origins and destinations else 0
    checked_count("routes", count)
    return count


def _ways(travel: Travel, starts: Stops, goals: Stops) -> Iterator[tuple[int, list[Leg]]]:
    """Yield row and way of each pair that has a street at both ends; an empty way where they are not connected."""
    begins = dict(zip(starts.row.tolist(), range(len(starts.row)), strict=True))
    for place, row in enumerate(goals.row.tolist()):
        if row in begins:
            yield row, way_between(travel, starts.taken([begins[row]]), goals.taken([place]))


def way_between(travel: Travel, start: Stops, goal: Stops) -> list[Leg]:
    """Return the quickest way between two stops, or an empty list.

    The search is first held to what a way twice as long as the straight one takes, which is nearly always enough, and
    what it finds is then the quickest of all.
    """
    lines = travel.network.lines
    ends = lines.positions(np.concatenate([start.edge, goal.edge]), np.concatenate([start.along, goal.along]))
    straight = float(np.hypot(*(ends[1] - ends[0])))
    guess = 2 * straight * float(travel.pace[travel.open_edges].mean()) + float(start.leg[0]) + 2.0
    for limit in (guess, 3 * guess, math.inf):
        spread = travel.spread(start, limit=limit, paths=True)
        last, place, minutes = spread.arrivals(goal)
        if minutes[0] - goal.leg[0] <= limit and math.isfinite(minutes[0]):
            return _legs(travel, spread, start, goal, int(last[0]), float(place[0]))
    return []


def _legs(travel: Travel, spread: Spread, start: Stops, goal: Stops, last: int, place: float) -> list[Leg]:
    """Follow a way back from its goal, and return it from its start."""
    assert spread.before is not None
    base, lengths = len(travel.network.nodes), travel.network.lines.lengths
    nodes = [last]
    while nodes[-1] < base:
        nodes.append(int(spread.before[nodes[-1]]))
    nodes.reverse()  # the source, then nodes of the network
    legs = [Leg(-1, 0.0, float(start.leg[0]) / travel.walk_pace, float(start.leg[0]))]
    if len(nodes) > 1:
        edge, along = int(start.edge[0]), float(start.along[0])
        legs.append(_leg(travel, edge, along, _leaving(travel, edge, along, nodes[1])))
    for node, after in pairwise(nodes[1:]):
        edge = travel.edge_between(node, after)
        forward = travel.network.ends[edge, 0] == node
        length = float(lengths[edge])
        legs.append(_leg(travel, edge, *((0.0, length) if forward else (length, 0.0))))
    legs.append(_leg(travel, int(goal.edge[0]), place, float(goal.along[0])))
    legs.append(Leg(-1, 0.0, float(goal.leg[0]) / travel.walk_pace, float(goal.leg[0])))
    return [leg for leg in legs if leg.edge >= 0 or leg.minutes > 0]


def _leg(travel: Travel, edge: int, begin: float, end: float) -> Leg:
    return Leg(edge, begin, end, abs(end - begin) * float(travel.pace[edge]))


def _leaving(travel: Travel, edge: int, along: float, node: int) -> float:
    """Return the end of an edge, as a distance along it, by which one reaches its node; the nearer one of a loop."""
    ends, length = travel.network.ends[edge], float(travel.network.lines.lengths[edge])
    ways = [(length - along, length, travel.forward[edge], ends[1]), (along, 0.0, travel.backward[edge], ends[0])]
    return min(way[:2] for way in ways if way[3] == node and (way[2] or way[0] <= travel.slack))[1]


def _described(travel: Travel, legs: list[Leg], start: Any, goal: Any) -> _Row:
    """Return what is said of a way: ends of the straight legs are the places themselves."""
    network = travel.network
    on_street = [leg for leg in legs if leg.edge >= 0]
    line = np.concatenate([shapely.get_coordinates(start), *_drawn(network, on_street), shapely.get_coordinates(goal)])
    same = np.concatenate([[False], (line[1:] == line[:-1]).all(axis=1)])
    line = line[~same] if (~same).sum() > 1 else line[:2]
    return _Row(
        None,
        sum(leg.minutes for leg in legs),
        sum(abs(leg.end - leg.begin) for leg in legs) * network.metres,
        _steps(network, legs),
        shapely.LineString(line),
    )


def _drawn(network: Network, legs: list[Leg]) -> list[Floats]:
    edge = np.array([leg.edge for leg in legs], np.int64)
    ends = np.array([(leg.begin, leg.end) for leg in legs]).reshape(-1, 2)
    parts = network.lines.parts(edge, ends.min(axis=1), ends.max(axis=1))
    pieces = np.split(parts.coordinates, parts.starts[1:-1])
    return [piece[::-1] if back else piece for piece, back in zip(pieces, ends[:, 0] > ends[:, 1], strict=True)]


def _steps(network: Network, legs: list[Leg]) -> list[dict[str, Any]]:
    """Return one step for each street, in the order they are travelled."""
    steps = []
    named = ((OFF_STREET if leg.edge < 0 else network.names[network.name[leg.edge]], leg) for leg in legs)
    for street, group in groupby(named, key=lambda pair: pair[0]):
        parts = [leg for _, leg in group]
        metres = sum(abs(leg.end - leg.begin) for leg in parts) * network.metres
        if metres > 0:
            minutes = sum(leg.minutes for leg in parts)
            steps.append({"street": street, "minutes": minutes, "metres": metres, "feet": metres * FEET_PER_METRE})
    return steps
