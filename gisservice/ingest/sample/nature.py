"""Nature: the height of the ground, where the water rises to, parks, trails and trees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import places
from gisservice.ingest.sample.blocks import half_widths
from gisservice.ingest.sample.ground import Ground
from gisservice.ingest.sample.lots import Lots
from gisservice.ingest.sample.plane import Positions, Shapes, Values, course, positions
from gisservice.ingest.sample.streets import Streets
from gisservice.ingest.sample.vocabulary import PARK_TREES, STREET_TREES

CELL = 16.0
"""Feet; side of a cell of the elevation grid."""
COARSE = 128.0
"""Feet; side of a cell of the grid on which the ground is modelled before it is refined."""
MARGIN = 1600.0
"""Feet of ground around the city's box."""
HIGHEST = 85.0
TIDE_HEIGHT_FT = 10.0
_VALLEY = 1300.0
"""Feet from a river to the shoulders of its valley; smaller waters have smaller ones."""


class Flood(NamedTuple):
    """How far a flood reaches: feet from a run (and more for a wide one), metres above a run and above a river."""

    reach: float
    reach_share: float
    rise: float
    tidal_rise: float


_FLOODS = {"AE": Flood(160, 13, 1.8, 2.4), "X": Flood(280, 18, 3.0, 3.6)}


@dataclass(frozen=True)
class Terrain:
    """Ground heights in metres on a coarse grid, rows from north to south; ``run`` is the height of the nearest
    water, ``away`` the distance to it in feet and ``nearest`` its number in ``names``.
    """

    left: float
    top: float
    ground: Values
    run: Values
    away: Values
    nearest: Values
    names: tuple[str, ...]
    half_widths: tuple[float, ...]
    """Feet; 0 for the rivers, which are drawn by their shore."""

    @cached_property
    def centres(self) -> Positions:
        """Middles of the cells, row by row."""
        return _centres(self.left, self.top, self.ground.shape, COARSE)

    def refined(self, random: np.random.Generator) -> Values:
        """Return heights on the fine grid: bilinear between the coarse ones, with gentle unevenness on dry land."""
        step = COARSE / CELL
        rows, columns = (np.array(self.ground.shape) * step).astype(int)
        down, across = ((np.arange(many) + 0.5) / step - 0.5 for many in (rows, columns))
        heights = _bilinear(self.ground, down, across)
        rough = random.normal(0, 0.35, (rows // 6 + 2, columns // 6 + 2))
        rough = _bilinear(rough, np.arange(rows) / 6, np.arange(columns) / 6)
        dry = np.clip((heights - 0.6) / 3, 0, 1)
        return np.asarray(np.clip(heights + rough * dry, 0, HIGHEST).astype(np.float32))


def model_terrain(ground: Ground, random: np.random.Generator) -> Terrain:
    """Model the ground: heights between known spots, valleys along the runs, the sea's level in the rivers."""
    left, bottom, right, top = shapely.bounds(ground.city)
    left, top = np.floor(left - MARGIN), np.ceil(top + MARGIN)
    shape = (int((top - bottom + MARGIN) // COARSE) + 1, int((right + MARGIN - left) // COARSE) + 1)
    centres = _centres(left, top, shape, COARSE)
    swell = _bilinear(
        random.normal(0, 2.2, (14, 18)), *(np.linspace(0, end, n) for end, n in zip((13, 17), shape, strict=True))
    )
    base = _between_spots(centres) + swell.ravel()
    half_widths, run, away, nearest = _runs(ground, centres)
    valley = np.where(half_widths > 0, 450 + 15 * half_widths, _VALLEY)[nearest]
    share = np.clip(away / valley, 0, 1)
    share = share * share * (3 - 2 * share)
    heights = np.where(run < base, run + (base - run) * share, base)
    wet = shapely.contains(ground.rivers, shapely.points(centres))
    heights = np.where(wet, 0.0, np.clip(heights, 0.4, HIGHEST))
    names = ("Potomac River", *ground.streams)
    heights, run, away, nearest = (grid.reshape(shape) for grid in (heights, run, away, nearest))
    return Terrain(left, top, heights, run, away, nearest, names, tuple(half_widths))


def flood_zones(terrain: Terrain, ground: Ground) -> pd.DataFrame:
    """Return the flood zones: ground near a water and less than so many metres above it (see ``_FLOODS``)."""
    above, away, nearest = (terrain.ground - terrain.run).ravel(), terrain.away.ravel(), terrain.nearest.ravel()
    rows = []
    taken: shapely.Geometry = shapely.Polygon()
    for zone, flood in _FLOODS.items():
        for number, (water, half_width) in enumerate(zip(terrain.names, terrain.half_widths, strict=True)):
            reach = flood.reach + flood.reach_share * half_width if half_width else _VALLEY
            rise = flood.rise if half_width else flood.tidal_rise
            cells = terrain.centres[(away < reach) & (above < rise) & (nearest == number)]
            shape = _smoothed(cells).intersection(ground.city).difference(taken)
            shape = shapely.set_precision(shape, 0.01)
            parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 20_000]
            rows += [(zone, water, part) for part in parts]
            taken = shapely.union_all([taken, *parts])
    tidal = [zone == "AE" and water == "Potomac River" for zone, water, _ in rows]
    return pd.DataFrame(
        {
            "FLD_AR_ID": [f"51510C_{number}" for number in range(1, len(rows) + 1)],
            "FLD_ZONE": [zone for zone, _, _ in rows],
            "ZONE_SUBTY": [None if zone == "AE" else "0.2 PCT ANNUAL CHANCE FLOOD HAZARD" for zone, _, _ in rows],
            "SFHA_TF": ["T" if zone == "AE" else "F" for zone, _, _ in rows],
            "STATIC_BFE": [TIDE_HEIGHT_FT if tide else None for tide in tidal],
            "WATER": [water for _, water, _ in rows],
            "geometry": [part for _, _, part in rows],
        }
    )


def parks(lots: Lots, ground: Ground, random: np.random.Generator) -> pd.DataFrame:
    """Return the parks: the lots of each site that is one, half a foot inside, so that no corner touches another."""
    kinds = np.array([*ground.site_kinds, ""], dtype=object)[lots.site]
    names = np.array([*ground.site_names, ""], dtype=object)[lots.site]
    chosen = ~np.isin(kinds, ("", "CAMPUS", "UTILITY"))
    table = pd.DataFrame({"PARK_NAME": names[chosen], "PARK_TYPE": kinds[chosen], "geometry": lots.shapes[chosen]})
    parts = table.groupby(["PARK_NAME", "PARK_TYPE"])["geometry"]
    table = parts.agg(
        lambda shapes: shapely.buffer(shapely.union_all(shapes.to_numpy()), -0.5, join_style="mitre")
    ).reset_index()
    play = table["PARK_TYPE"].isin(["CITYWIDE", "NEIGHBORHOOD"]).to_numpy()
    return table.assign(
        PARK_ID=[f"P{number:03d}" for number in range(1, len(table) + 1)],
        ACRES=np.round(shapely.area(table["geometry"].to_numpy()) / 43_560, 2),
        PLAYGROUND=play & (random.random(len(table)) < 0.7),
        DOG_AREA=play & (random.random(len(table)) < 0.3),
    )


def trails(ground: Ground) -> pd.DataFrame:
    """Return the trails, those beside a run sixty feet from it, cut at the city's edge."""
    lines = [
        shapely.offset_curve(ground.streams[trail.beside], 62) if trail.beside else course(trail.text)
        for trail in places.TRAILS
    ]
    inside = shapely.intersection(np.array(lines, dtype=object), ground.city)
    return pd.DataFrame(
        {
            "TRAIL_ID": [f"T{number:02d}" for number in range(1, len(lines) + 1)],
            "NAME": [trail.name for trail in places.TRAILS],
            "SURFACE": [trail.surface for trail in places.TRAILS],
            "LENGTH_MI": np.round(shapely.length(inside) / 5280, 2),
            "geometry": inside,
        }
    )


def trees(
    streets: Streets, park_shapes: Shapes, buildings: Shapes, random: np.random.Generator, total: int, in_parks: int
) -> pd.DataFrame:
    """Return ``total`` trees, ``in_parks`` of them in parks, the others in two rows along the streets."""
    along = _street_trees(streets, random)
    along = along[_free(along, buildings)]
    within = random_points(park_shapes, in_parks * 2, random)
    within = within[_free(within, buildings)][:in_parks]
    along = along[np.sort(random.permutation(len(along))[: total - len(within)])]
    points = np.vstack([along, within])
    many, in_park = len(points), np.arange(len(points)) >= len(along)
    species = np.where(in_park, random.integers(0, 10, many), np.minimum(random.geometric(0.22, many) - 1, 9))
    names = np.array([STREET_TREES, PARK_TREES], dtype=object)[in_park.astype(int), species]
    day = np.datetime64("1985-01-01") + random.integers(0, 365 * 39, many).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "TREE_ID": [f"TR{number:06d}" for number in range(1, many + 1)],
            "SPECIES": names[:, 0],
            "BOTANICAL": names[:, 1],
            "DBH_IN": np.round(np.clip(random.gamma(3.2, 4.0, many), 1, 70), 1),
            "PLANTED": np.where(random.random(many) < 0.55, day.astype(str), ""),
            "CONDITION": random.choice(["GOOD", "FAIR", "POOR", "DEAD"], many, p=[0.62, 0.27, 0.09, 0.02]),
            "PLACE": np.where(in_park, "PARK", "STREET"),
            "X": np.round(points[:, 0], 2),
            "Y": np.round(points[:, 1], 2),
        }
    )


def random_points(shapes: Shapes, many: int, random: np.random.Generator) -> Positions:
    """Return positions spread evenly over shapes."""
    bounds, sizes = shapely.bounds(shapes), shapely.area(shapes)
    shape = random.choice(len(shapes), many * 4, p=sizes / sizes.sum())
    low, high = bounds[shape, :2], bounds[shape, 2:]
    points = low + (high - low) * random.random((len(shape), 2))
    shapely.prepare(shapes)
    inside: Positions = points[shapely.contains_properly(shapes[shape], shapely.points(points))][:many]
    return inside


def _street_trees(streets: Streets, random: np.random.Generator) -> Positions:
    lines = streets.lines
    many = np.maximum((shapely.length(lines) // 62).astype(int) - 1, 0)
    row = np.repeat(np.arange(len(lines)), many)
    share = (pd.Series(row).groupby(row).cumcount().to_numpy() + 1 + random.uniform(-0.2, 0.2, len(row))) / (
        many[row] + 1
    )
    at = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], share, normalized=True))
    on = shapely.get_coordinates(
        shapely.line_interpolate_point(lines[row], np.minimum(share + 0.01, 1), normalized=True)
    )
    step = on - at
    aside = np.column_stack([-step[:, 1], step[:, 0]]) / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    reach = (half_widths(streets) - 6)[row][:, None]
    rows = [(at + side * aside * reach)[random.random(len(at)) < 0.7] for side in (1, -1)]
    return np.vstack(rows)


def _free(points: Positions, buildings: Shapes) -> Values:
    hits = shapely.STRtree(buildings).query(shapely.points(points), predicate="intersects")[0]
    free = np.ones(len(points), dtype=bool)
    free[hits] = False
    return free


def _centres(left: float, top: float, shape: tuple[int, int], cell: float) -> Positions:
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    return np.column_stack([left + (columns.ravel() + 0.5) * cell, top - (rows.ravel() + 0.5) * cell])


def _between_spots(points: Positions) -> Values:
    """Interpolate the known heights: weights fall with the third power of the distance (after Shepard 1968)."""
    values = [triple.split(",") for triple in places.HEIGHTS.split()]
    spots = positions(" ".join(f"{west},{north}" for west, north, _ in values))
    heights = np.array([float(height) for _, _, height in values])
    result = np.empty(len(points))
    for start in range(0, len(points), 20_000):
        part = points[start : start + 20_000]
        squares = ((part[:, None, :] - spots[None, :, :]) ** 2).sum(axis=2)
        weights = (squares + 700.0**2) ** -1.7
        result[start : start + 20_000] = weights @ heights / weights.sum(axis=1)
    return result


def _runs(ground: Ground, points: Positions) -> tuple[Values, Values, Values, Values]:
    """Return the waters' half widths and, for each position, height, distance and number of the nearest water."""
    geoms = shapely.points(points)
    widths, heights, distances = [0.0], [np.zeros(len(points))], [shapely.distance(ground.rivers, geoms)]
    for water in places.WATERS:
        if water.kind == "stream":
            line = ground.streams[water.name]
            share = shapely.line_locate_point(line, geoms, normalized=True)
            widths.append(water.half_width)
            heights.append(np.interp(share, np.linspace(0, 1, len(water.heights)), water.heights))
            distances.append(np.maximum(shapely.distance(line, geoms) - water.half_width, 0))
    nearest = np.argmin(np.array(distances), axis=0)
    pick = nearest, np.arange(len(points))
    return np.array(widths), np.array(heights)[pick], np.array(distances)[pick], nearest


def _bilinear(grid: Values, y: Values, x: Values) -> Values:
    """Return a grid's values at rows ``y`` and columns ``x``, which may be fractions, linear between its cells."""
    y, x = np.clip(y, 0, grid.shape[0] - 1), np.clip(x, 0, grid.shape[1] - 1)
    top, left = np.minimum(y.astype(int), grid.shape[0] - 2), np.minimum(x.astype(int), grid.shape[1] - 2)
    down, across = (y - top)[:, None], (x - left)[None, :]
    upper = grid[top][:, left] * (1 - across) + grid[top][:, left + 1] * across
    lower = grid[top + 1][:, left] * (1 - across) + grid[top + 1][:, left + 1] * across
    return np.asarray(upper * (1 - down) + lower * down)


def _smoothed(cells: Positions) -> shapely.Geometry:
    """Return the outline of grid cells, corners rounded."""
    half = COARSE / 2 + 0.5
    boxes = shapely.box(cells[:, 0] - half, cells[:, 1] - half, cells[:, 0] + half, cells[:, 1] + half)
    outline = shapely.union_all(boxes).simplify(100)  # a stair of cells becomes a slope
    return outline.buffer(120, quad_segs=4).buffer(-220, quad_segs=4).buffer(100, quad_segs=4)
