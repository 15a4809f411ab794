"""Blocks: the faces of the street network, each with what it belongs to, and the land left of it beside the streets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import courses, districts
from gisservice.ingest.sample.ground import INTERSTATE_HALF_WIDTH, RAIL_HALF_WIDTH, Ground, to_grid
from gisservice.ingest.sample.plane import GRID, Positions, Shapes, Values, positions
from gisservice.ingest.sample.streets import HALF_WIDTHS, OLD_TOWN_HALF_WIDTH, Streets

_INTERCHANGE_RADIUS = 430.0
_TURNING_RADIUS = 46.0


@dataclass(frozen=True)
class Blocks:
    """``faces`` reach to the middle of the streets and cover the city; ``land`` is what is left beside the streets.

    ``site`` is the number of the site a face belongs to, or -1; ``zone`` its zone code; ``water`` whether it is
    water. ``land[i]`` belongs to face ``owner[i]``.
    """

    faces: Shapes
    site: Values
    zone: Values
    water: Values
    land: Shapes
    owner: Values


def seeds_of(table: dict[str, str]) -> tuple[Values, Positions]:
    """Return the names and positions of a table of seeds, one row a seed."""
    names = np.repeat(list(table), [len(text.split()) for text in table.values()])
    return names, np.vstack([positions(text) for text in table.values()])


def nearest_seed(points: Positions, seeds: Positions) -> Values:
    """Return for each point the number of its nearest seed."""
    return np.asarray(np.argmin(((points[:, None, :] - seeds[None, :, :]) ** 2).sum(axis=2), axis=1))


def middles_of(shapes: Shapes) -> Positions:
    """Return a position inside each shape."""
    middles: Positions = shapely.get_coordinates(shapely.point_on_surface(shapes))
    return middles


def faces_of(lines: list[Shapes], ground: Ground) -> Shapes:
    """Return the faces that lines cut the city into."""
    noded = shapely.union_all(np.concatenate([*lines, ground.barriers]), grid_size=GRID)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    inside: Shapes = faces[shapely.contains_properly(ground.city, shapely.points(middles_of(faces)))]
    return inside


def site_of(faces: Shapes, ground: Ground) -> Values:
    """Return the number of the site each face lies in, or -1; slivers between a site and a street go to the site."""
    middles = shapely.points(middles_of(faces))
    sites = np.full(len(faces), -1)
    inside = shapely.STRtree(ground.sites).query(middles, predicate="within")
    sites[inside[0]] = inside[1]
    depth = 2 * shapely.area(faces) / shapely.length(faces)
    sliver = np.flatnonzero((sites < 0) & (depth < 75) & (shapely.area(faces) < 90_000))
    near = shapely.STRtree(ground.sites).query(faces[sliver], predicate="dwithin", distance=0.5)
    shared = shapely.length(shapely.intersection(faces[sliver[near[0]]], shapely.buffer(ground.sites[near[1]], 1.0)))
    for row, site, length in sorted(zip(*near, shared, strict=True), key=lambda hit: hit[2]):
        if length > 60:
            sites[sliver[row]] = site
    return sites


def build_blocks(streets: Streets, seams: Shapes, ground: Ground) -> Blocks:
    """Cut the city by streets, seams and barriers, and take the land of streets, railway and interstates out."""
    faces = faces_of([streets.walkable.lines, seams], ground)
    site = site_of(faces, ground)
    middles = middles_of(faces)
    water = np.asarray(shapely.contains(ground.rivers, shapely.points(middles)))
    names, seeds = seeds_of(districts.ZONE_SEEDS)
    zone = names[nearest_seed(middles, seeds)].astype(object)
    zone = np.where(site >= 0, np.array([*ground.site_zones, ""], dtype=object)[site], zone)
    dry = np.flatnonzero(~water)
    parts, owner = shapely.get_parts(_beside_streets(faces[dry], streets, ground), return_index=True)
    fit = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 900)
    fit &= shapely.area(parts) / np.maximum(shapely.length(parts), 1) > 9
    return Blocks(faces, site, zone, water, parts[fit], dry[owner[fit]])


def half_widths(streets: Streets) -> Values:
    """Return the feet from the centreline of each segment to the lots."""
    widths = streets.table["ROAD_CLASS"].map(HALF_WIDTHS).to_numpy(float)
    corners = [[courses.WEST - 250, -3400], [courses.EAST, -3400], [courses.EAST, 3000], [courses.WEST - 250, 3000]]
    old_town = shapely.Polygon(to_grid(np.array(corners)))
    middles = shapely.line_interpolate_point(streets.lines, 0.5, normalized=True)
    return np.where((widths > 0) & shapely.contains(old_town, middles), OLD_TOWN_HALF_WIDTH, widths)


def _beside_streets(faces: Shapes, streets: Streets, ground: Ground) -> Shapes:
    """Return the faces without the land that streets, railway and interstates take."""
    takers = np.concatenate([_street_land(streets.walkable), _transport_land(streets, ground)])
    pairs = shapely.STRtree(takers).query(faces, predicate="intersects")
    groups = pd.Series(pairs[1]).groupby(pairs[0])
    taken = np.full(len(faces), shapely.Polygon(), dtype=object)
    for face, members in groups:
        taken[face] = shapely.union_all(takers[members.to_numpy()])
    left: Shapes = shapely.difference(faces, taken)
    return left


def _street_land(streets: Streets) -> Shapes:
    """Return the strips of the segments, and discs that round off junctions and dead ends."""
    widths = half_widths(streets)
    strips = shapely.buffer(streets.lines, widths, cap_style="flat", join_style="mitre", mitre_limit=2.5)
    nodes = streets.table[["FROM_NODE", "TO_NODE"]].to_numpy() - 1
    radius = np.zeros(len(streets.nodes))
    np.maximum.at(radius, nodes.ravel(), np.repeat(widths, 2))
    degree = np.bincount(nodes.ravel(), minlength=len(streets.nodes))
    least = np.full(len(streets.nodes), np.inf)
    np.minimum.at(least, nodes.ravel(), np.repeat(widths, 2))
    inside = shapely.contains_properly(streets_outline(streets), shapely.points(streets.nodes))
    radius = np.where(degree == 1, np.where(inside, _TURNING_RADIUS, least), least)
    used = degree > 0
    discs = shapely.buffer(shapely.points(streets.nodes[used]), radius[used], quad_segs=5)
    return np.concatenate([strips, discs])


def streets_outline(streets: Streets) -> shapely.Geometry:
    """Return a rough outline of the network, inside which a dead end is a real one."""
    return shapely.concave_hull(shapely.multipoints(streets.nodes), ratio=0.05).buffer(-60)


def _transport_land(streets: Streets, ground: Ground) -> Shapes:
    strips = [shapely.buffer(ground.railway, RAIL_HALF_WIDTH)]
    strips += [shapely.buffer(line, INTERSTATE_HALF_WIDTH, quad_segs=3) for line in ground.interstates.values()]
    for interstate, street in courses.INTERCHANGES:
        lines = streets.lines[streets.table["FULL_NAME"].str.endswith(street)]
        crossing = shapely.intersection(ground.interstates[interstate], shapely.union_all(lines))
        if not crossing.is_empty:
            middle = shapely.points(shapely.get_coordinates(crossing)[0])
            strips.append(shapely.buffer(middle, _INTERCHANGE_RADIUS))
    return np.array(strips, dtype=object)
