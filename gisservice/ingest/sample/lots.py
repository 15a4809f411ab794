"""Lots: blocks cut into two rows of lots, back to back, by lines noded together so that neighbours share borders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample.blocks import Blocks, half_widths, middles_of
from gisservice.ingest.sample.districts import ZONES, Zone
from gisservice.ingest.sample.plane import GRID, Positions, Shapes, Values
from gisservice.ingest.sample.streets import Streets
from gisservice.ingest.sample.subdivision import box_of

_STATIONS = 9
"""Places along a block where the line between its two rows is measured."""


@dataclass(frozen=True)
class Lots:
    """Distinct lots: they share borders vertex by vertex and do not overlap.

    ``block`` is the number of the block's land, ``site`` that of the site (-1: none), ``zone`` the zone code.
    ``front`` has shape (n, 2, 2): the side to the street; ``street`` is the row of the walkable street it faces, or
    -1 for a lot without a street.
    """

    shapes: Shapes
    block: Values
    site: Values
    zone: Values
    front: Values
    street: Values


def build_lots(blocks: Blocks, streets: Streets, random: np.random.Generator) -> Lots:
    """Cut the blocks into lots of the size their zone wants, and find the street each lot faces."""
    site, zone = blocks.site[blocks.owner], blocks.zone[blocks.owner]
    cuts = [
        _cuts_of(land, ZONES[code], random) if number < 0 else []
        for land, number, code in zip(blocks.land, site, zone, strict=True)
    ]
    faces, block = _faces(blocks.land, cuts)
    wanted = np.array([ZONES[code].lot_width * ZONES[code].lot_depth for code in zone])
    faces, block, _ = _without_scraps(faces, block, np.where(site >= 0, np.inf, 0.42 * wanted)[block])
    width = np.array([ZONES[code].lot_width for code in zone])
    sides = _street_sides(faces, streets.walkable)
    landlocked = (site[block] < 0) & ~np.isin(np.arange(len(faces)), sides["lot"])
    faces, block, now = _without_scraps(faces, block, np.where(landlocked, np.inf, 0.0))
    front, street = _fronts(sides.assign(lot=now[sides["lot"]]), width[block])
    return Lots(faces, block, site[block], zone[block], front, street)


def _cuts_of(land: shapely.Polygon, zone: Zone, random: np.random.Generator) -> list[Positions]:
    """Return the lot lines of one block, as their positions, reaching a little beyond it."""
    middle, along, across, length, depth = box_of(land)
    if land.area < 1.5 * zone.lot_width * zone.lot_depth:
        return []
    frame = np.array([along, across])
    xs, low, high = _profile(land, middle, frame, length)
    half = length / 2
    lines: list[list[tuple[float, float]]] = []
    first, last = -half, half
    double = depth > 1.45 * zone.lot_depth
    if double:
        first, last = _end_rows(lines, (half, depth / 2), zone, random)
        spine = [(x, (bottom + top) / 2) for x, bottom, top in zip(xs, low, high, strict=True) if first < x < last]
        ends = [
            (first, float(np.interp(first, xs, (low + high) / 2))),
            (last, float(np.interp(last, xs, (low + high) / 2))),
        ]
        lines.append(
            [(ends[0][0] - (first == -half) * 5, ends[0][1]), *spine, (ends[1][0] + (last == half) * 5, ends[1][1])]
        )
    for row in (1, -1) if double else (0,):
        for x in _spaced(first, last, zone.lot_width, random):
            inner = float(np.interp(x, xs, (low + high) / 2))
            lines.append([(x, inner if row else -depth), (x, row * depth if row else depth)])
    return [np.array(line) @ frame + middle for line in lines]


def _profile(
    land: shapely.Polygon, middle: Positions, frame: Positions, length: float
) -> tuple[Values, Values, Values]:
    """Measure a block across its long axis: stations, and its lower and upper edge at each."""
    xs = np.linspace(-0.46, 0.46, _STATIONS) * length
    ends = np.array([[(x, -length), (x, length)] for x in xs])
    rays = shapely.linestrings(ends @ frame + middle)
    hits = shapely.intersection(rays, land)
    points, station = shapely.get_coordinates(hits, return_index=True)
    across = (points - middle) @ frame[1]
    low, high = np.zeros(_STATIONS), np.zeros(_STATIONS)
    np.minimum.at(low, station, across)
    np.maximum.at(high, station, across)
    return xs, low, high


def _end_rows(
    lines: list[list[tuple[float, float]]], half: tuple[float, float], zone: Zone, random: np.random.Generator
) -> tuple[float, float]:
    """At some ends of a block, turn the lots to face the side street; return where the ordinary lots begin and end."""
    length, depth = half
    bounds = [-length, length]
    if zone.lot_width > 60 or 2 * length < 3.2 * zone.lot_depth:
        return bounds[0], bounds[1]
    for end, sign in ((0, -1.0), (1, 1.0)):
        if random.random() < 0.45:
            inner = sign * (length - zone.lot_depth)
            lines.append([(inner, -depth - 5), (inner, depth + 5)])
            for y in _spaced(-depth, depth, zone.lot_width, random):
                lines.append([(inner, y), (sign * (length + 5), y)])
            bounds[end] = inner
    return bounds[0], bounds[1]


def _spaced(first: float, last: float, width: float, random: np.random.Generator) -> Values:
    """Return where lot lines fall between two ends: nearly even, here and there a double lot."""
    many = max(1, round((last - first) / width))
    shares = np.where(random.random(many) < 0.05, 1.7, random.normal(1, 0.07, many).clip(0.8, 1.25))
    return np.asarray(first + (last - first) * np.cumsum(shares)[:-1] / shares.sum())


def _faces(land: Shapes, cuts: list[list[Positions]]) -> tuple[Shapes, Values]:
    """Node all blocks and lot lines together, and return the faces with the number of their block."""
    points = [line for lines in cuts for line in lines]
    lengths = [len(line) for line in points]
    lines = shapely.linestrings(np.vstack(points), indices=np.repeat(np.arange(len(points)), lengths))
    block = np.repeat(np.arange(len(cuts)), [len(lines) for lines in cuts])
    cut_blocks, bundle = np.unique(block, return_inverse=True)
    inside = shapely.intersection(shapely.multilinestrings(lines, indices=bundle), land[cut_blocks])
    lines = np.concatenate([shapely.boundary(land), inside])
    noded = shapely.get_parts(shapely.union_all(lines, grid_size=GRID))
    faces = shapely.get_parts(shapely.polygonize(noded))
    pairs = shapely.STRtree(land).query(shapely.points(middles_of(faces)), predicate="within")
    order = np.argsort(pairs[0], kind="stable")
    found, first = np.unique(pairs[0][order], return_index=True)
    return faces[found], pairs[1][order][first]


def _without_scraps(faces: Shapes, block: Values, least: Values) -> tuple[Shapes, Values, Values]:
    """Join lots that are too small, or cut off from the street, to the neighbour of their block they share most with.

    All faces of a site are joined (their least area is infinite). Joined lots keep every shared vertex. Returned are
    lots, their blocks, and for each face given the row of the lot it is now part of.
    """
    now = np.arange(len(faces))
    for _ in range(3):
        small = np.flatnonzero(shapely.area(faces) < least)
        pairs = shapely.STRtree(faces).query(faces[small], predicate="intersects")
        here, there = small[pairs[0]], pairs[1]
        keep = (here != there) & (block[here] == block[there])
        here, there = here[keep], there[keep]
        shared = shapely.length(shapely.intersection(faces[here], faces[there]))
        keep = shared > 3
        here, there, shared = here[keep], there[keep], shared[keep]
        if not len(here):
            break
        order = np.lexsort((-shared, here))
        chosen, first = np.unique(here[order], return_index=True)
        keep, joined, moved = _merge(faces, chosen, there[order][first])
        faces, block, least, now = joined, block[keep], least[keep], moved[now]
    return faces, block, now


def _merge(faces: Shapes, chosen: Values, into: Values) -> tuple[Values, Shapes, Values]:
    """Join each chosen face to another; chains of joins become one lot.

    Returned are the faces that remain, their shapes, and for each face the row of the one it is now part of.
    """
    group = np.arange(len(faces))
    group[chosen] = into
    for number in chosen:  # two that chose each other: one of them stays where it is
        if group[group[number]] == number and number < group[number]:
            group[number] = number
    while (group[group] != group).any():
        group = group[group]
    order = np.argsort(group, kind="stable")
    joined = faces.copy()
    for root in np.unique(group[chosen]):
        low, high = np.searchsorted(group[order], [root, root + 1])
        joined[root] = shapely.union_all(faces[order[low:high]])
    keep, moved = np.unique(group, return_inverse=True)
    return keep, joined[keep], moved.ravel()


def _street_sides(faces: Shapes, streets: Streets) -> pd.DataFrame:
    """Return the sides of lots along streets: ``lot``, ``street``, ends and ``length``."""
    starts, ends, owner = _outer_sides(faces)
    length = np.hypot(*(ends - starts).T)
    long = length > 4
    starts, ends, owner, length = starts[long], ends[long], owner[long], length[long]
    pairs, gap = shapely.STRtree(streets.lines).query_nearest(
        shapely.points((starts + ends) / 2), max_distance=70, return_distance=True, all_matches=False
    )
    along = gap < half_widths(streets)[pairs[1]] + 24
    side, street = pairs[0][along], pairs[1][along]
    table = {"lot": owner[side], "street": street, "length": length[side]}
    table |= {"x0": starts[side, 0], "y0": starts[side, 1], "x1": ends[side, 0], "y1": ends[side, 1]}
    return pd.DataFrame(table)


def _fronts(sides: pd.DataFrame, width: Values) -> tuple[Values, Values]:
    """Return the front side of each lot and the street it faces.

    A corner lot faces the street on which its side is nearest to the width usual in its zone.
    """
    run = sides.groupby(["lot", "street"])["length"].transform("sum").to_numpy()
    table = sides.assign(odd=np.abs(np.log(run / width[sides["lot"]])))
    table = table.sort_values(["lot", "odd", "length"], ascending=[True, True, False], kind="stable")
    best = table.drop_duplicates("lot")
    front, street = np.full((len(width), 2, 2), np.nan), np.full(len(width), -1)
    front[best["lot"]] = best[["x0", "y0", "x1", "y1"]].to_numpy().reshape(-1, 2, 2)
    street[best["lot"]] = best["street"]
    return front, street


def _outer_sides(faces: Shapes) -> tuple[Positions, Positions, Values]:
    """Return the sides of lots that no other lot shares: start, end and the lot of each."""
    points, owner = shapely.get_coordinates(faces, return_index=True)
    same = owner[1:] == owner[:-1]
    starts, ends, owner = points[:-1][same], points[1:][same], owner[1:][same]
    there = starts[:, 0] * 1e3 + starts[:, 1] * 7 + ends[:, 0] * 11e3 + ends[:, 1] * 13
    back = ends[:, 0] * 1e3 + ends[:, 1] * 7 + starts[:, 0] * 11e3 + starts[:, 1] * 13
    outer = ~np.isin(there, back)
    return starts[outer], ends[outer], owner[outer]
