"""The ground the city stands on: outline, water, land that is not cut into lots, and the roads that are facts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely

from gisservice.ingest.sample import courses, places
from gisservice.ingest.sample.plane import Shapes, Values, area, course, positions

RAIL_HALF_WIDTH = 48.0
INTERSTATE_HALF_WIDTH = 135.0
"""Feet from the middle to the edge of the land that the railway and an interstate take."""


@dataclass(frozen=True)
class Road:
    """One line of the street network before it is split at junctions."""

    name: str
    road_class: str
    line: shapely.LineString
    base: int = 100
    split: str = ""
    oneway: str = "B"


@dataclass(frozen=True)
class Ground:
    """The facts in feet. ``sites`` are disjoint; greenways along the streams are among them."""

    city: shapely.Polygon
    rivers: shapely.Geometry
    """Rivers and creeks; what of them lies inside the city is no land."""
    site_names: tuple[str, ...]
    site_kinds: tuple[str, ...]
    site_zones: tuple[str, ...]
    sites: Shapes
    roads: tuple[Road, ...]
    interstates: dict[str, shapely.LineString]
    railway: shapely.LineString
    streams: dict[str, shapely.LineString]

    @property
    def barriers(self) -> Shapes:
        """Lines that no local street crosses."""
        outlines = [shapely.boundary(site) for site in self.sites]
        lines = [self.railway, *self.interstates.values(), self.city.boundary, shapely.boundary(self.rivers), *outlines]
        return np.array(lines, dtype=object)


@lru_cache(maxsize=1)
def read_ground() -> Ground:
    """Return the facts of the city as geometries in feet (EPSG:2283)."""
    city = area(places.BOUNDARY)
    rivers = shapely.union_all([area(water.text) for water in places.WATERS if water.kind == "river"])
    names, kinds, zones, sites = _sites(city, rivers)
    roads = [*_main_roads(), *_grid(), *_avenues()]
    return Ground(
        city=city,
        rivers=rivers,
        site_names=names,
        site_kinds=kinds,
        site_zones=zones,
        sites=sites,
        roads=tuple(_within(_joined(roads), city)),
        interstates={name: course(text) for name, text in courses.INTERSTATES.items()},
        railway=course(places.RAILWAY),
        streams={water.name: course(water.text) for water in places.WATERS if water.kind == "stream"},
    )


def water_shapes(ground: Ground) -> list[tuple[str, str, shapely.Geometry]]:
    """Return name, kind and surface of every water body."""
    shapes: list[tuple[str, str, shapely.Geometry]] = []
    for water in places.WATERS:
        if water.kind == "stream":
            shape = ground.streams[water.name].buffer(water.half_width, quad_segs=3).difference(ground.rivers)
        else:
            shape = shapely.make_valid(area(water.text))
        shapes.append((water.name, water.kind, shape))
    return shapes


def to_grid(points: Values) -> Values:
    """Turn positions on Old Town's grid (feet to the east and north of its origin) into feet of the plane."""
    turn = np.radians(courses.OLD_TOWN_TURN)
    origin = positions(courses.OLD_TOWN_ORIGIN)[0]
    east, north = points[:, 0], points[:, 1]
    return np.column_stack(
        [
            origin[0] + east * np.cos(turn) + north * np.sin(turn),
            origin[1] - east * np.sin(turn) + north * np.cos(turn),
        ]
    )


def _sites(
    city: shapely.Polygon, rivers: shapely.Geometry
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], Shapes]:
    named = [(site.name, site.kind, site.zone, area(site.text)) for site in places.SITES]
    for water in places.WATERS:
        if water.kind == "stream":
            strip = course(water.text).buffer(water.half_width + water.greenway, quad_segs=3)
            named.append((f"{water.name} Greenway", "NATURAL", "POS", strip))
    taken: shapely.Geometry = rivers
    rows = []
    for name, kind, zone, shape in named:
        shape = shapely.make_valid(shape).intersection(city).difference(taken)
        taken = taken.union(shape)
        rows += [(name, kind, zone, part) for part in shapely.get_parts(shape) if part.area > 8000]
    names, kinds, zones, shapes = zip(*rows, strict=True)
    return names, kinds, zones, np.array(shapes, dtype=object)


def _main_roads() -> list[Road]:
    return [_road(fact) for fact in courses.MAIN_ROADS]


def _avenues() -> list[Road]:
    return [_road(fact) for fact in courses.AVENUES]


def _road(fact: courses.Course) -> Road:
    return Road(fact.name, fact.road_class, course(fact.text), fact.base, fact.split)


def _grid() -> list[Road]:
    """Old Town: streets to the north count from King St, streets to the west from the river."""
    roads = []
    for street in courses.OLD_TOWN_NORTH_SOUTH:
        line = to_grid(np.array([[street.offset, street.first], [street.offset, street.last]]))
        roads.append(Road(street.name, street.road_class, shapely.LineString(line), 100, "King St", street.oneway))
    for street in courses.OLD_TOWN_EAST_WEST:
        line = to_grid(np.array([[street.last, street.offset], [street.first, street.offset]]))
        roads.append(Road(street.name, street.road_class, shapely.LineString(line), 100, "", street.oneway))
    for name, points, oneway in courses.RICHMOND_FEEDERS:
        base = 1300 if points[0][1] > 0 else 700
        roads.append(Road(name, "PRIMARY", shapely.LineString(to_grid(np.array(points))), base, "King St", oneway))
    south = shapely.LineString(to_grid(np.array(courses.RICHMOND_SOUTH)))
    roads.append(Road("Richmond Hwy", "PRIMARY", south, 100))
    return roads


def _joined(roads: list[Road]) -> list[Road]:
    """Lengthen lines that end just short of another road, so that they meet it."""
    lines = np.array([road.line for road in roads], dtype=object)
    joined = []
    for number, road in enumerate(roads):
        others = np.delete(lines, number)
        points = shapely.get_coordinates(road.line)
        first = _reach(points[0], others)
        last = _reach(points[-1], others)
        parts = [part for part in (first, points, last) if part is not None]
        joined.append(Road(road.name, road.road_class, shapely.LineString(np.vstack(parts)), *_rest(road)))
    return joined


def _rest(road: Road) -> tuple[int, str, str]:
    return road.base, road.split, road.oneway


def _reach(end: Values, others: Shapes, limit: float = 260.0) -> Values | None:
    point = shapely.Point(end)
    distances = shapely.distance(others, point)
    nearest = int(np.argmin(distances))
    if not 0.02 < distances[nearest] < limit:
        return None
    line = others[nearest]
    meeting: Values = shapely.get_coordinates(
        shapely.line_interpolate_point(line, shapely.line_locate_point(line, point))
    )
    return meeting


def _within(roads: list[Road], city: shapely.Polygon) -> list[Road]:
    """Cut the roads at the city's edge."""
    inside = []
    for road in roads:
        parts = shapely.get_parts(shapely.intersection(road.line, city))
        for part in parts[shapely.length(parts) > 60]:
            inside.append(Road(road.name, road.road_class, _along(part, road.line), *_rest(road)))
    return inside


def _along(part: shapely.LineString, line: shapely.LineString) -> shapely.LineString:
    """Return the part in the direction of the line it was cut from."""
    first, last = shapely.line_locate_point(line, [shapely.get_point(part, 0), shapely.get_point(part, -1)])
    return part if first <= last else shapely.reverse(part)
