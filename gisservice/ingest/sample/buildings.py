"""Buildings: houses set back from the street, rows of townhouses, bars of apartments, halls, garages and sheds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from gisservice.ingest.sample.districts import ZONES
from gisservice.ingest.sample.ground import Ground
from gisservice.ingest.sample.lots import Lots
from gisservice.ingest.sample.plane import Positions, Shapes, Values

_SETBACK = {"R-20": 48.0, "R-12": 38.0, "R-8": 30.0, "R-5": 24.0, "R-2-5": 17.0}
_ERAS = {"R-20": (1948, 1985), "R-12": (1945, 1970), "R-8": (1938, 1962), "R-5": (1908, 1948), "R-2-5": (1905, 1950)}
_OLD = ("RM", "CD", "KR", "CL")
_LARGE = ("APARTMENT", "COMMERCIAL", "INDUSTRIAL", "PUBLIC")


@dataclass(frozen=True)
class Buildings:
    """Footprints with the row of their lot, use, storeys, height in feet and year; ``main`` marks no garage or shed."""

    shapes: Shapes
    lot: Values
    use: Values
    storeys: Values
    height: Values
    year: Values

    @property
    def main(self) -> Values:
        """Whether each is the main building of its lot, or one of several."""
        return np.asarray(self.use != "ACCESSORY")


@dataclass(frozen=True)
class Frames:
    """Each lot in its own frame: origin in the middle of its front, ``along`` the street, ``inward`` from it."""

    origin: Positions
    along: Positions
    inward: Positions
    width: Values
    depth: Values

    def rectangles(self, rows: Values, box: Values) -> Shapes:
        """Return rectangles; ``box`` has rows of least and greatest position along, then inward, in feet."""
        corners = box[:, [0, 1, 1, 0]], box[:, [2, 2, 3, 3]]
        return self._polygons(rows, *corners)

    def ells(self, rows: Values, box: Values, wing: Values, deeper: Values) -> Shapes:
        """Return rectangles with a wing at the back: ``wing`` feet wide, ``deeper`` feet long."""
        left, right, near, far = box.T
        split = left + wing
        return self._polygons(
            rows,
            np.column_stack([left, right, right, split, split, left]),
            np.column_stack([near, near, far, far, far + deeper, far + deeper]),
        )

    def _polygons(self, rows: Values, x: Values, y: Values) -> Shapes:
        points = (
            self.origin[rows][:, None, :]
            + x[..., None] * self.along[rows][:, None, :]
            + y[..., None] * self.inward[rows][:, None, :]
        )
        shapes: Shapes = shapely.polygons(points)
        return shapes


def frames_of(lots: Lots) -> Frames:
    """Measure every lot from its front; a lot without a front from its lower left side."""
    front = lots.front.copy()
    missing = np.isnan(front[:, 0, 0])
    bounds = shapely.bounds(lots.shapes[missing])
    front[missing] = np.stack([bounds[:, :2], bounds[:, [2, 1]]], axis=1)
    step = front[:, 1] - front[:, 0]
    along = step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    origin = front.mean(axis=1)
    inward = np.column_stack([-along[:, 1], along[:, 0]])
    towards = shapely.get_coordinates(shapely.centroid(lots.shapes)) - origin
    inward[(towards * inward).sum(axis=1) < 0] *= -1
    points, owner = shapely.get_coordinates(lots.shapes, return_index=True)
    depth = np.zeros(len(front))
    np.maximum.at(depth, owner, ((points - origin[owner]) * inward[owner]).sum(axis=1))
    width = np.minimum(np.hypot(step[:, 0], step[:, 1]), 1.6 * shapely.area(lots.shapes) / np.maximum(depth, 1))
    return Frames(origin, along, inward, width, depth)


def use_of(lots: Lots, ground: Ground) -> Values:
    """Return what each lot is used for: as its zone says, ``PUBLIC`` for a campus, ``OPEN`` for a park."""
    kinds = np.array([*ground.site_kinds, ""], dtype=object)[lots.site]
    use = np.array([ZONES[code].use for code in lots.zone], dtype=object)
    use[(lots.site >= 0)] = "OPEN"
    use[kinds == "CAMPUS"] = "PUBLIC"
    use[kinds == "UTILITY"] = "INDUSTRIAL"
    use[(use == "APARTMENT") & (shapely.area(lots.shapes) < 9000)] = "TOWNHOUSE"
    return use


def build_buildings(lots: Lots, ground: Ground, random: np.random.Generator, total: int) -> Buildings:
    """Put buildings on the lots: ``total`` in all, the last of them garages and sheds."""
    frames, use = frames_of(lots), use_of(lots, ground)
    years = year_of(lots, use, random)
    parts = [
        _houses(frames, lots, np.flatnonzero(use == "HOUSE"), random),
        _rows(frames, lots, np.flatnonzero(use == "TOWNHOUSE"), random),
        _halls(frames, lots, np.flatnonzero(np.isin(use, _LARGE)), use, random),
    ]
    shapes, lot = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    sheds, shed_lot = _sheds(frames, lots, np.flatnonzero(use == "HOUSE"), shapes, random, total - len(shapes))
    kind = np.concatenate([use[lot], np.full(len(sheds), "ACCESSORY", dtype=object)])
    shapes, lot = np.concatenate([shapes, sheds]), np.concatenate([lot, shed_lot])
    storeys = _storeys(kind, lots.zone[lot], random)
    height = np.round(storeys * np.where(kind == "COMMERCIAL", 13.0, 10.5) + random.uniform(2, 12, len(kind)), 1)
    return Buildings(shapes, lot, kind, storeys, height, years[lot])


def year_of(lots: Lots, use: Values, random: np.random.Generator) -> Values:
    """Return the year the main building of each lot was finished."""
    spans = np.array(
        [_ERAS.get(code, (1955, 2018) if not code.startswith("CDD") else (1996, 2023)) for code in lots.zone]
    )
    years = random.integers(spans[:, 0], spans[:, 1] + 1)
    old = np.isin(lots.zone, _OLD)
    return np.asarray(
        np.where(old, random.choice([1785, 1810, 1840, 1870, 1890, 1910, 1968, 1985], len(years)), years)
        + old * random.integers(0, 15, len(years))
    )


def _fitted(shapes: Shapes, lots: Lots, rows: Values, room: float, least: float) -> tuple[Shapes, Values]:
    """Clip footprints to their lots, ``room`` feet inside; drop what is smaller than ``least`` square feet."""
    apart = ~shapely.covers(lots.shapes[rows], shapes)
    lot = lots.shapes[rows[apart]]
    clipped = shapely.intersection(shapes[apart], shapely.buffer(lot, -room, join_style="mitre"))
    parts, owner = shapely.get_parts(clipped, return_index=True)
    fit = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > least)
    fit &= shapely.area(parts) / np.maximum(shapely.length(parts), 1) > 2.5
    parts, owner = parts[fit], owner[fit]
    order = np.lexsort((-shapely.area(parts), owner))
    chosen = order[np.unique(owner[order], return_index=True)[1]]
    inside = ~apart & (shapely.area(shapes) > least)
    fitted = np.concatenate([shapes[inside], shapely.set_precision(parts[chosen], 0.01)])
    owners = np.concatenate([rows[inside], rows[apart][owner[chosen]]])
    order = np.argsort(owners, kind="stable")
    return shapely.transform(fitted[order], _to_hundredths), owners[order]


def _to_hundredths(points: Positions) -> Positions:
    return np.asarray(np.round(points, 2))


def _houses(frames: Frames, lots: Lots, rows: Values, random: np.random.Generator) -> tuple[Shapes, Values]:
    many = len(rows)
    width, depth = frames.width[rows], frames.depth[rows]
    wide = np.clip(width - np.clip(0.3 * width, 8, 34) - random.uniform(0, 8, many), 15, 66)
    near = np.minimum([_SETBACK[code] for code in lots.zone[rows]] * random.uniform(0.75, 1.15, many), 0.35 * depth)
    deep = np.minimum(random.uniform(27, 44, many), 0.55 * depth)
    left = -wide / 2 + random.normal(0, 2, many)
    box = np.column_stack([left, left + wide, near, near + deep])
    plain = random.random(many) < 0.5
    shapes = np.empty(many, dtype=object)
    shapes[plain] = frames.rectangles(rows[plain], box[plain])
    bent = ~plain
    wing = wide[bent] * random.uniform(0.35, 0.65, bent.sum())
    shapes[bent] = frames.ells(rows[bent], box[bent], wing, random.uniform(8, 20, bent.sum()))
    return _fitted(shapes, lots, rows, 3.0, 260)


def _rows(frames: Frames, lots: Lots, rows: Values, random: np.random.Generator) -> tuple[Shapes, Values]:
    many = len(rows)
    half = frames.width[rows] / 2
    near = 4 + 8 * random.random(many).round(1)
    deep = np.minimum(random.uniform(32, 46, many), 0.62 * frames.depth[rows])
    box = np.column_stack([-half, half, near, near + deep])
    narrow = random.random(many) < 0.4
    shapes = np.empty(many, dtype=object)
    shapes[~narrow] = frames.rectangles(rows[~narrow], box[~narrow])
    wing = half[narrow] * random.uniform(0.7, 1.3, narrow.sum())
    shapes[narrow] = frames.ells(rows[narrow], box[narrow], wing, random.uniform(8, 22, narrow.sum()))
    return _fitted(shapes, lots, rows, 0.05, 220)


def _halls(frames: Frames, lots: Lots, rows: Values, use: Values, random: np.random.Generator) -> tuple[Shapes, Values]:
    """Fill large lots with bars side by side; small ones get one building."""
    boxes, owner = [], []
    for row in rows:
        width, depth, area = frames.width[row], frames.depth[row], shapely.area(lots.shapes[row])
        bar, gap = (64.0, 62.0) if use[row] == "APARTMENT" else (120.0, 90.0)
        if area < 30_000:
            share = 0.5 if width < 48 else 0.42  # shops in a row share their walls
            boxes.append((-share * width, share * width, 8.0, max(0.62 * depth, 30.0)))
            owner.append(row)
            continue
        reach = 0.5 * np.sqrt(area) * 1.3
        step = 200.0 if use[row] == "APARTMENT" else 260.0
        for near in np.arange(26.0, min(depth, 2.2 * reach) - 40, bar + gap)[:6]:
            for left in np.arange(-reach, reach, step)[:8]:
                if random.random() < 0.82:
                    boxes.append(
                        (left + 14, left + step - random.uniform(20, 60), near, near + bar * random.uniform(0.8, 1.15))
                    )
                    owner.append(row)
    owners = np.array(owner)
    shapes = frames.rectangles(owners, np.array(boxes))
    inside = shapely.intersection(shapes, shapely.buffer(lots.shapes[owners], -6, join_style="mitre"))
    fit = (
        (shapely.get_type_id(inside) == 3)
        & (shapely.area(inside) > 0.45 * shapely.area(shapes))
        & (shapely.area(inside) > 400)
    )
    return shapely.transform(inside[fit], _to_hundredths), owners[fit]


def _sheds(
    frames: Frames, lots: Lots, rows: Values, houses: Shapes, random: np.random.Generator, wanted: int
) -> tuple[Shapes, Values]:
    rows = random.permutation(rows)
    wide, deep = random.uniform(10, 22, len(rows)), random.uniform(10, 22, len(rows))
    left = random.choice([-1, 1], len(rows)) * (frames.width[rows] / 2 - wide / 2 - 6) - wide / 2
    far = frames.depth[rows] - random.uniform(5, 12, len(rows))
    shapes = frames.rectangles(rows, np.column_stack([left, left + wide, far - deep, far]))
    hit = np.unique(shapely.STRtree(houses).query(shapes, predicate="dwithin", distance=6)[0])
    free = np.setdiff1d(np.arange(len(rows)), hit)
    fitted, lot = _fitted(shapes[free], lots, rows[free], 2.0, 80)
    chosen = np.sort(random.permutation(len(fitted))[: max(wanted, 0)])
    return fitted[chosen], lot[chosen]


def _storeys(use: Values, zone: Values, random: np.random.Generator) -> Values:
    most = {"HOUSE": 2, "TOWNHOUSE": 3, "APARTMENT": 5, "COMMERCIAL": 3, "INDUSTRIAL": 1, "PUBLIC": 3, "ACCESSORY": 1}
    highest = np.array([most[name] for name in use])
    tall = np.isin(zone, ("RC", "CRMU-H", "CDD#1", "CDD#2", "OCH", "OCM(100)")) & (use != "ACCESSORY")
    highest = np.where(tall, 14, highest)
    return np.asarray(np.maximum(1, highest - random.integers(0, 1 + highest // 2)))
