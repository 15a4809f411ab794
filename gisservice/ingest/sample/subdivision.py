"""Local streets: the land between the main roads is halved again and again until what is left is a block.

A street leaves the street it starts from at a right angle, bends as its district does, and meets another; where a
railway, a park or the city's edge is in the way it ends in a turning place, and only a lot line goes on (a *seam*).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import shapely

from gisservice.ingest.sample.districts import ZONES, Zone
from gisservice.ingest.sample.plane import Positions, Shapes

_REACH = 85.0
"""Feet within which a new street makes for an existing junction instead of making another."""
_TURNING_PLACE = 62.0
"""Feet that a dead end keeps from what is in its way."""
_FAR = 60_000.0
_LARGE_LOTS = ("APARTMENT", "COMMERCIAL", "INDUSTRIAL")
"""Uses whose blocks are often parted by a lot line instead of a street."""


@dataclass
class Subdivision:
    """New streets and seams, and what is needed to add the next one."""

    barriers: Shapes
    zone_at: Callable[[Positions], str]
    generator: np.random.Generator
    streets: list[shapely.LineString] = field(default_factory=list)
    seams: list[shapely.LineString] = field(default_factory=list)
    _junctions: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    _recent: list[shapely.LineString] = field(default_factory=list)
    """Seams that are not yet in the search tree."""

    def __post_init__(self) -> None:
        self._tree = shapely.STRtree(self.barriers)

    def divide(self, faces: Shapes) -> None:
        """Cut every face into blocks of the size its zone wants."""
        queue = deque(faces)
        while queue:
            queue.extend(self._halves(queue.popleft()))

    def _halves(self, face: shapely.Polygon) -> list[shapely.Polygon]:
        zone = ZONES[self.zone_at(shapely.get_coordinates(shapely.point_on_surface(face))[0])]
        if shapely.get_num_interior_rings(face) and (opened := self._opened(face, zone)):
            return opened
        for through, along in self._cuts(face, zone):
            ends = self._chord(face, through, along)
            if ends is None:
                continue
            line = self._bent(face, *ends, zone.bend)
            pieces = _pieces(face, line)
            if len(pieces) > 1 and min(piece.area for piece in pieces) > 0.16 * zone.block_long * zone.block_short:
                self._keep(line, zone)
                return pieces
        return []

    def _opened(self, face: shapely.Polygon, zone: Zone) -> list[shapely.Polygon]:
        """Cut a face with a hole (a park inside it) from both sides of the hole to its outline."""
        hole = shapely.Polygon(shapely.get_interior_ring(face, 0))
        through = shapely.get_coordinates(shapely.point_on_surface(hole))[0]
        _, long_axis, short_axis, *_ = box_of(face)
        for along in (short_axis, long_axis):
            ray = shapely.LineString([through - along * _FAR, through + along * _FAR])
            parts = shapely.get_parts(shapely.intersection(ray, face))
            touching = [part for part in parts if shapely.dwithin(part, hole, 0.5) and part.length > 40]
            ends = [_lengthened(shapely.get_coordinates(part)) for part in touching]
            pieces = _faces_in(face, [shapely.boundary(face), *ends])
            if len(pieces) > 1:
                for part in touching:
                    self._keep(part, zone)
                return pieces
        return []

    def _cuts(self, face: shapely.Polygon, zone: Zone) -> list[tuple[Positions, Positions]]:
        """Return the straight cuts to try, best first: a point to cut through, and the direction of the cut."""
        middle, long_axis, short_axis, long_side, short_side = box_of(face)
        sides = [
            (long_side / zone.block_long, long_axis * long_side, short_axis),
            (short_side / zone.block_short, short_axis * short_side, long_axis),
        ]
        cuts = []
        for blocks, across, along in sorted(sides, key=lambda side: -side[0]):
            if blocks < 1.4:
                continue
            share = (round(blocks) // 2) / round(blocks) if blocks > 1.5 else 0.5
            jitter = float(self.generator.normal(0, 0.025)) * min(zone.bend * 2, 1)
            cuts += [(middle + across * (share - 0.5 + jitter + shift), along) for shift in (0.0, 0.08, -0.08)]
        return cuts

    def _chord(self, face: shapely.Polygon, through: Positions, along: Positions) -> tuple[Positions, Positions] | None:
        """Return the two ends of a straight cut through the face, moved to junctions that are near."""
        ray = shapely.LineString([through - along * _FAR, through + along * _FAR])
        parts = shapely.get_parts(shapely.intersection(ray, face))
        parts = parts[shapely.length(parts) > 40]
        if not len(parts):
            return None
        chord = parts[np.argmin(shapely.distance(parts, shapely.Point(through)))]
        first, last = shapely.get_coordinates(chord)[[0, -1]]
        first, last = self._junction(face, first), self._junction(face, last)
        return (first, last) if np.hypot(*(last - first)) > 40 else None

    def _junction(self, face: shapely.Polygon, end: Positions) -> Positions:
        column, row = int(end[0] // _REACH), int(end[1] // _REACH)
        near = [
            point
            for i in (column - 1, column, column + 1)
            for j in (row - 1, row, row + 1)
            for point in self._junctions.get((i, j), ())
        ]
        near.sort(key=lambda point: (point[0] - end[0]) ** 2 + (point[1] - end[1]) ** 2)
        for point in near[:2]:
            close = (point[0] - end[0]) ** 2 + (point[1] - end[1]) ** 2 < _REACH**2
            if close and shapely.distance(face.boundary, shapely.Point(point)) < 0.05:
                return np.array(point)
        return end

    def _bent(self, face: shapely.Polygon, first: Positions, last: Positions, bend: float) -> shapely.LineString:
        """Return a street from end to end that starts and stops square to the sides it meets."""
        straight = shapely.LineString([first, last])
        if bend == 0 or straight.length < 120:
            return straight
        chord = last - first
        handle = 0.36 * straight.length
        leave = _blend(_inward(face, first, chord), chord, bend) * handle
        arrive = _blend(_inward(face, last, -chord), -chord, bend) * handle
        t = np.linspace(0, 1, 9 if straight.length > 450 else 7)[:, None]
        points = (
            (1 - t) ** 3 * first
            + 3 * (1 - t) ** 2 * t * (first + leave)
            + 3 * (1 - t) * t**2 * (last + arrive)
            + t**3 * last
        )
        curve = shapely.LineString(points)
        inside = shapely.covers(face, shapely.LineString(points[1:-1]))
        return curve if inside else straight

    def _keep(self, line: shapely.LineString, zone: Zone) -> None:
        ends = shapely.get_coordinates(line)[[0, -1]]
        blocked = [self._blocked(end) for end in ends]
        if all(blocked) or (zone.use in _LARGE_LOTS and zone.lot_width > 100 and self.generator.random() < 0.3):
            self._keep_seam(line)
            return
        for end in ends:
            self._junctions[(int(end[0] // _REACH), int(end[1] // _REACH))].append((float(end[0]), float(end[1])))
        quiet = zone.group == "LOW" and zone.bend > 0.8 and line.length > 420
        if any(blocked):
            self._dead_end(shapely.reverse(line) if blocked[0] else line, line.length - _TURNING_PLACE)
        elif quiet and self.generator.random() < 0.22:
            self._dead_end(line if self.generator.random() < 0.5 else shapely.reverse(line), 0.56 * line.length)
        else:
            self.streets.append(line)

    def _dead_end(self, line: shapely.LineString, length: float) -> None:
        if length < 90:
            self._keep_seam(line)
            return
        street, seam = cut_at(line, length)
        self.streets.append(street)
        self._keep_seam(seam)

    def _keep_seam(self, line: shapely.LineString) -> None:
        self.seams.append(line)
        self._recent.append(line)
        if len(self._recent) == 50:
            self._tree = shapely.STRtree(np.concatenate([self.barriers, np.array(self.seams, dtype=object)]))
            self._recent.clear()

    def _blocked(self, end: Positions) -> bool:
        point = shapely.Point(end)
        if len(self._tree.query(point, predicate="dwithin", distance=1.0)):
            return True
        return bool(self._recent) and bool(shapely.dwithin(self._recent, point, 1.0).any())


def box_of(face: shapely.Polygon) -> tuple[Positions, Positions, Positions, float, float]:
    """Return the smallest box around a face: middle, long and short unit axis, long and short side."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(face))
    sides = corners[1:3] - corners[0:2]
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    order = np.argsort(-lengths)
    axes = sides[order] / np.maximum(lengths[order], 1e-9)[:, None]
    return corners[:4].mean(axis=0), axes[0], axes[1], float(lengths[order[0]]), float(lengths[order[1]])


def cut_at(line: shapely.LineString, length: float) -> tuple[shapely.LineString, shapely.LineString]:
    """Return a line's first ``length`` feet and the rest; both share the point of the cut."""
    points = shapely.get_coordinates(line)
    run = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    point = shapely.get_coordinates(shapely.line_interpolate_point(line, length))
    before, after = run < length - 0.5, run > length + 0.5
    return shapely.LineString(np.vstack([points[before], point])), shapely.LineString(np.vstack([point, points[after]]))


def _pieces(face: shapely.Polygon, line: shapely.LineString) -> list[shapely.Polygon]:
    return _faces_in(face, [shapely.boundary(face), _lengthened(shapely.get_coordinates(line))])


def _faces_in(face: shapely.Polygon, lines: list[shapely.Geometry]) -> list[shapely.Polygon]:
    parts = shapely.get_parts(shapely.polygonize([shapely.union_all(lines)]))
    return [part for part in parts if shapely.contains_properly(face, shapely.point_on_surface(part))]


def _lengthened(points: Positions) -> shapely.LineString:
    """Return the line half a foot longer at both ends, so that it surely crosses what it ends on."""
    first, last = points[0] - points[1], points[-1] - points[-2]
    return shapely.LineString(
        np.vstack([points[0] + first / np.hypot(*first) * 0.5, points, points[-1] + last / np.hypot(*last) * 0.5])
    )


def _inward(face: shapely.Polygon, end: Positions, towards: Positions) -> Positions:
    """Return the unit normal, on the side of ``towards``, of the side of the face that ``end`` lies on."""
    ring = shapely.get_coordinates(face)
    starts, steps = ring[:-1], np.diff(ring, axis=0)
    lengths = np.maximum((steps**2).sum(axis=1), 1e-9)
    share = np.clip(((end - starts) * steps).sum(axis=1) / lengths, 0, 1)
    gaps = ((starts + steps * share[:, None] - end) ** 2).sum(axis=1) + (lengths < 1) * 1e6
    side = steps[int(np.argmin(gaps))]
    normal: Positions = np.array([-side[1], side[0]]) / np.hypot(*side)
    return normal if normal @ towards > 0 else -normal


def _blend(normal: Positions, chord: Positions, bend: float) -> Positions:
    straight = chord / np.hypot(*chord)
    mixed: Positions = normal * bend + straight * (1 - bend)
    return np.asarray(mixed / np.hypot(*mixed))
