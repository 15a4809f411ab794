"""The street network: lines noded at junctions, named, numbered, with direction of travel and speed.

A street is a chain of segments of one full name. House numbers run along the chain: odd on the left, even on the
right of the direction in which they grow, a new hundred at a junction, as in the city itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import courses
from gisservice.ingest.sample.ground import Ground, Road
from gisservice.ingest.sample.plane import GRID, Positions, Shapes, Values
from gisservice.ingest.sample.vocabulary import STREET_NAMES

SPEEDS = {"FREEWAY": 55, "RAMP": 35, "PRIMARY": 35, "ARTERIAL": 35, "COLLECTOR": 25, "LOCAL": 25}
"""Miles per hour."""
HALF_WIDTHS = {"FREEWAY": 0.0, "RAMP": 0.0, "PRIMARY": 41.0, "ARTERIAL": 37.0, "COLLECTOR": 31.0, "LOCAL": 25.0}
"""Feet from the centreline to the lots; the land of an interstate is taken out whole, ramps included."""
OLD_TOWN_HALF_WIDTH = 33.0
_CARRIAGEWAY = 46.0
"""Feet from the middle of an interstate to each carriageway."""


@dataclass(frozen=True)
class Streets:
    """Segments and junctions. ``table`` has one row a segment, its columns as they are published, and ``geometry``."""

    table: pd.DataFrame
    nodes: Positions

    @property
    def lines(self) -> Shapes:
        """The segments' geometries."""
        lines: Shapes = self.table["geometry"].to_numpy()
        return lines

    @property
    def walkable(self) -> Streets:
        """The streets that have lots and addresses: no interstates, no ramps."""
        return replace(self, table=self.table[self.table["WALK"]].reset_index(drop=True))


def node_lines(roads: list[Road]) -> tuple[Shapes, Values]:
    """Split roads where they meet; return segments, along their road, and the number of the road of each.

    Segments not connected with the rest of the network are left out, and so are overhangs at junctions.
    """
    lines = np.array([road.line for road in roads], dtype=object)
    segments = shapely.get_parts(shapely.union_all(lines, grid_size=GRID))
    origin = _origin(segments, lines)
    segments = _aligned(segments, lines[origin])
    keep = _without_overhangs(segments, limit=150.0)
    segments, origin = segments[keep], origin[keep]
    connected = _largest_component(*_ends(segments)[:2])
    return segments[connected], origin[connected]


def build_streets(
    segments: Shapes, origin: Values, roads: list[Road], ground: Ground, seed: np.random.Generator
) -> Streets:
    """Name and number the segments, and add the interstates with their ramps."""
    names = np.array([roads[number].name for number in origin], dtype=object)
    names = _named(segments, names, seed)
    frame = pd.DataFrame(
        {
            "geometry": segments,
            "NAME": names,
            "ROAD_CLASS": [roads[number].road_class for number in origin],
            "ONEWAY": [roads[number].oneway for number in origin],
            "base": [roads[number].base for number in origin],
            "split": [roads[number].split for number in origin],
            "road": origin,
            "WALK": True,
        }
    )
    frame = _numbered(_directed(frame, roads))
    frame = pd.concat([_split_at_ramps(frame, ground), _interstates(frame, ground)], ignore_index=True)
    return _finished(frame)


def _origin(segments: Shapes, lines: Shapes) -> Values:
    """Return for each segment the line it came from: the nearest to its middle."""
    middles = shapely.line_interpolate_point(segments, 0.5, normalized=True)
    pairs = shapely.STRtree(lines).query_nearest(middles, all_matches=False)
    origin = np.zeros(len(segments), dtype=np.int64)
    origin[pairs[0]] = pairs[1]
    return origin


def _aligned(segments: Shapes, lines: Shapes) -> Shapes:
    """Turn segments so that they run as the lines they came from."""
    third = shapely.line_interpolate_point(segments, 0.3, normalized=True)
    later = shapely.line_interpolate_point(segments, 0.7, normalized=True)
    against = shapely.line_locate_point(lines, third) > shapely.line_locate_point(lines, later)
    turned: Shapes = np.where(against, shapely.reverse(segments), segments)
    return turned


def _ends(segments: Shapes) -> tuple[Values, Values, Positions]:
    """Return the number of the first and the last node of each segment, and the nodes' positions."""
    first = shapely.get_coordinates(shapely.get_point(segments, 0))
    last = shapely.get_coordinates(shapely.get_point(segments, -1))
    nodes, number = np.unique(np.round(np.vstack([first, last]), 2), axis=0, return_inverse=True)
    number = number.ravel()
    return number[: len(segments)], number[len(segments) :], nodes


def _without_overhangs(segments: Shapes, limit: float) -> Values:
    first, last, nodes = _ends(segments)
    degree = np.bincount(np.concatenate([first, last]), minlength=len(nodes))
    hanging = (degree[first] == 1) | (degree[last] == 1)
    return np.asarray(~(hanging & (shapely.length(segments) < limit)))


def _largest_component(first: Values, last: Values) -> Values:
    """Return which segments belong to the largest connected piece, by spreading the least label."""
    label = np.arange(max(first.max(), last.max()) + 1)
    while True:
        least = np.minimum(label[first], label[last])
        spread = label.copy()
        np.minimum.at(spread, first, least)
        np.minimum.at(spread, last, least)
        spread = spread[spread]
        if (spread == label).all():
            break
        label = spread
    labels, counts = np.unique(label[first], return_counts=True)
    return np.asarray(label[first] == labels[np.argmax(counts)])


def _named(segments: Shapes, names: Values, seed: np.random.Generator) -> Values:
    """Give each chain of unnamed segments, straight on through junctions, a name of its own."""
    open_ones = np.flatnonzero(names == "")
    chain = _chains(segments[open_ones])
    order = seed.permutation(len(STREET_NAMES))
    taken = set(names)
    length = np.bincount(chain, shapely.length(segments[open_ones]))
    first, last, nodes = _ends(segments)
    degree = np.bincount(np.concatenate([first, last]), minlength=len(nodes))
    dead = (degree[first[open_ones]] == 1) | (degree[last[open_ones]] == 1)
    chain_dead = np.bincount(chain, dead) > 0
    named = names.copy()
    called = [
        _next_name(taken, order, number, length[number], bool(chain_dead[number])) for number in range(len(length))
    ]
    named[open_ones] = np.array(called, dtype=object)[chain]
    return named


def _next_name(taken: set[str], order: Values, number: int, length: float, dead_end: bool) -> str:
    types = ("Ct", "Pl", "Ter", "Way") if dead_end and length < 800 else ("St", "Dr", "La", "Ave", "Pl")
    if length > 2200:
        types = ("Dr", "Rd", "Ave", "St")
    for turn in range(len(order) * 4):
        word = STREET_NAMES[order[(number + turn) % len(order)]]
        name = f"{word} {types[(number + turn // len(order)) % len(types)]}"
        if name not in taken:
            taken.add(name)
            return name
    raise AssertionError("there are more streets than names")


def _chains(segments: Shapes) -> Values:
    """Return the number of the chain of each segment: two segments that go on straight through a node are one chain."""
    first, last, _ = _ends(segments)
    ends = np.concatenate([first, last])
    owner = np.concatenate([np.arange(len(segments))] * 2)
    heading = np.vstack([_heading(segments, 0, 1), _heading(segments, -1, -2)])
    parent = np.arange(len(segments))
    order = np.argsort(ends, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(ends[order]) > 0, True])
    for low, high in pairwise(starts):
        _join_straight(order[low:high], heading, owner, parent)
    roots = np.array([_root(parent, number) for number in range(len(segments))])
    return np.unique(roots, return_inverse=True)[1].ravel()


def _join_straight(here: Values, heading: Positions, owner: Values, parent: Values) -> None:
    """Join, at one node, the pairs of segments that bend least, each segment once."""
    turns = heading[here] @ heading[here].T
    free = set(range(len(here)))
    pairs = [(turns[i, j], i, j) for i in range(len(here)) for j in range(i)]
    for turn, i, j in sorted(pairs):
        if turn < -0.82 and i in free and j in free:
            free -= {i, j}
            parent[_root(parent, owner[here[i]])] = _root(parent, owner[here[j]])


def _heading(segments: Shapes, at: int, to: int) -> Positions:
    """Return the unit direction in which segments leave one of their ends."""
    start = shapely.get_coordinates(shapely.get_point(segments, at))
    step = shapely.get_coordinates(shapely.get_point(segments, to)) - start
    unit: Positions = step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    return unit


def _root(parent: Values, number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return int(number)


def _directed(frame: pd.DataFrame, roads: list[Road]) -> pd.DataFrame:
    """Put N, S, E or W before the names of split streets, and turn segments to run away from the split."""
    frame = frame.assign(ST_DIR="")
    for (_, split), group in frame[frame["split"] != ""].groupby(["NAME", "split"]):
        divider = shapely.union_all([road.line for road in roads if road.name == split])
        offsets = _offsets(divider, shapely.line_interpolate_point(group["geometry"].to_numpy(), 0.5, normalized=True))
        north_south = np.abs(offsets[:, 1]).sum() > np.abs(offsets[:, 0]).sum()
        side = np.where(offsets[:, 1] > 0, "N", "S") if north_south else np.where(offsets[:, 0] > 0, "E", "W")
        frame.loc[group.index, "ST_DIR"] = side
        lines = group["geometry"].to_numpy()
        away = shapely.distance(divider, shapely.get_point(lines, 0)) <= shapely.distance(
            divider, shapely.get_point(lines, -1)
        )
        frame.loc[group.index, "geometry"] = np.where(away, lines, shapely.reverse(lines))
        turned = group.index[~away]
        frame.loc[turned, "ONEWAY"] = frame.loc[turned, "ONEWAY"].map({"B": "B", "FT": "TF", "TF": "FT"})
    return frame


def _offsets(divider: shapely.Geometry, points: Shapes) -> Positions:
    """Return the steps from the divider to points."""
    steps = shapely.get_coordinates(shapely.shortest_line(divider, points)).reshape(-1, 2, 2)
    return np.asarray(steps[:, 1] - steps[:, 0])


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """Give every segment the house numbers along it: ``low`` at its start, ``high`` before its end."""
    lines, base = frame["geometry"].to_numpy(), frame["base"].to_numpy()
    first, last, _ = _ends(lines)
    lengths = shapely.length(lines)
    low, high = np.zeros(len(frame)), np.zeros(len(frame))
    for members in frame.groupby(["ST_DIR", "NAME"], sort=False).indices.values():
        order = np.asarray(members)[_walk(first[members].tolist(), last[members].tolist(), base[members].tolist())]
        low[order], high[order] = _hundreds(lengths[order], int(base[members].min()))
    return frame.assign(low=low, high=high)


def _walk(first: list[int], last: list[int], base: list[int]) -> list[int]:
    """Order the segments of a street: on from each segment that no other leads to, the least base first."""
    begins: dict[int, list[int]] = {}
    for position, node in enumerate(first):
        begins.setdefault(node, []).append(position)
    ended = set(last)
    order: list[int] = []
    seen: set[int] = set()
    for start in sorted(range(len(first)), key=lambda position: (first[position] in ended, base[position])):
        here: int | None = start
        while here is not None and here not in seen:
            order.append(here)
            seen.add(here)
            here = next((step for step in begins.get(last[here], []) if step not in seen), None)
    return order


def _hundreds(lengths: Values, base: int) -> tuple[Values, Values]:
    """Spread house numbers over segments: short ones share a hundred, long ones have several."""
    low, high = np.zeros(len(lengths)), np.zeros(len(lengths))
    number, start = float(base), 0
    while start < len(lengths):
        stop = start + 1
        while stop < len(lengths) and lengths[start:stop].sum() < 240:
            stop += 1
        run = np.concatenate([[0], np.cumsum(lengths[start:stop])])
        after = np.floor(number / 100) * 100 + 100.0 * max(1, round(run[-1] / 800))
        low[start:stop] = number + (after - number) * run[:-1] / run[-1]
        high[start:stop] = number + (after - number) * run[1:] / run[-1]
        number, start = after, stop
    return low, high


def _split_at_ramps(frame: pd.DataFrame, ground: Ground) -> pd.DataFrame:
    """Split the streets that have ramps where these begin."""
    for point in np.vstack([meeting for meeting, *_ in _ramp_meetings(frame, ground)]):
        target = shapely.Point(point)
        number = frame.index[int(np.argmin(shapely.distance(frame["geometry"].to_numpy(), target)))]
        segment = frame.loc[number]
        line = segment["geometry"]
        at = shapely.line_locate_point(line, target)
        if not 1 < at < line.length - 1:
            continue
        before, after = _parted(line, point, at)
        share = segment["low"] + (segment["high"] - segment["low"]) * at / line.length
        frame.at[number, "geometry"], frame.at[number, "high"] = before, share
        rest = segment.copy()
        rest["geometry"], rest["low"] = after, share
        frame = pd.concat([frame, rest.to_frame().T], ignore_index=True).infer_objects()
    return frame


def _parted(line: shapely.LineString, point: Positions, at: float) -> tuple[shapely.LineString, shapely.LineString]:
    points = shapely.get_coordinates(line)
    run = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    before = np.vstack([points[run < at - 0.01], point])
    return shapely.LineString(before), shapely.LineString(np.vstack([point, points[run > at + 0.01]]))


def _ramp_meetings(frame: pd.DataFrame, ground: Ground) -> list[tuple[Positions, str, float, int]]:
    """Return where ramps meet streets: position, interstate, feet along it of the crossing, side (1: left)."""
    meetings = []
    for interstate, street in courses.INTERCHANGES:
        middle = ground.interstates[interstate]
        lines = shapely.union_all(frame.loc[frame["NAME"] == street, "geometry"].to_numpy())
        crossing = shapely.get_coordinates(shapely.intersection(middle, lines))
        if not len(crossing):
            continue
        along = float(shapely.line_locate_point(middle, shapely.Point(crossing[0])))
        for side in (1, -1):
            edge = shapely.offset_curve(middle, side * 330)
            hits = shapely.get_coordinates(shapely.intersection(edge, lines))
            if len(hits):
                near = np.argmin(np.hypot(*(hits - crossing[0]).T))
                meetings.append((np.round(hits[near], 2), interstate, along, side))
    return meetings


def _interstates(frame: pd.DataFrame, ground: Ground) -> pd.DataFrame:
    """Return carriageways, split where ramps leave and join, and the ramps."""
    meetings = _ramp_meetings(frame, ground)
    rows: list[dict[str, object]] = []
    for name, middle in ground.interstates.items():
        inside = shapely.get_parts(shapely.intersection(middle, ground.city))
        middle_line = inside[np.argmax(shapely.length(inside))] if len(inside) == 1 else middle
        for side in (1, -1):
            curve = shapely.offset_curve(middle_line, side * _CARRIAGEWAY)
            carriageway = shapely.reverse(curve) if side == 1 else curve
            stops = []
            for meeting, interstate, along, ramp_side in meetings:
                if interstate != name or ramp_side != side:
                    continue
                crossing = shapely.line_interpolate_point(middle, along)
                at = float(shapely.line_locate_point(carriageway, crossing))
                stops.append((max(at - 1000, 50.0), meeting, True))
                stops.append((min(at + 1000, carriageway.length - 50.0), meeting, False))
            rows += _carriageway(name, carriageway, sorted(stops, key=lambda stop: stop[0]))
    return pd.DataFrame(rows)


def _carriageway(
    name: str, line: shapely.LineString, stops: list[tuple[float, Positions, bool]]
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    done, rest = 0.0, line
    for at, meeting, leaving in stops:
        point = np.round(shapely.get_coordinates(shapely.line_interpolate_point(line, at))[0], 2)
        if at - done > 1:
            part, rest = _parted(rest, point, at - done)
            rows.append(_lane(name, "FREEWAY", part))
            done = at
        ends = (point, meeting) if leaving else (meeting, point)
        rows.append(_lane(f"{name} Ramp", "RAMP", shapely.LineString(_eased(ends[0], ends[1], line, at))))
    rows.append(_lane(name, "FREEWAY", rest))
    return rows


def _eased(start: Positions, end: Positions, line: shapely.LineString, at: float) -> Positions:
    """Return a ramp that leaves or joins the carriageway in its direction."""
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, [at, at + 20]))
    direction = (ahead[1] - ahead[0]) / max(float(np.hypot(*(ahead[1] - ahead[0]))), 1e-9)
    reach = 0.55 * float(np.hypot(*(end - start)))
    leaving = np.hypot(*(ahead[0] - start)) < 1
    control = start + direction * reach if leaving else end - direction * reach
    t = np.linspace(0, 1, 9)[:, None]
    curve: Positions = (1 - t) ** 2 * start + 2 * (1 - t) * t * control + t**2 * end
    curve[0], curve[-1] = start, end
    return curve


def _lane(name: str, road_class: str, line: shapely.LineString) -> dict[str, object]:
    return {
        "geometry": line,
        "NAME": name,
        "ROAD_CLASS": road_class,
        "ONEWAY": "FT",
        "WALK": False,
        "ST_DIR": "",
        "low": 0.0,
        "high": 0.0,
    }


def _finished(frame: pd.DataFrame) -> Streets:
    first, last, nodes = _ends(frame["geometry"].to_numpy())
    named = frame["NAME"].str.rsplit(" ", n=1)
    walk = frame["WALK"].astype(bool)
    low, high = _range(frame["low"].to_numpy(float), frame["high"].to_numpy(float))
    table = pd.DataFrame(
        {
            "SEG_ID": [f"S{number:05d}" for number in range(1, len(frame) + 1)],
            "FULL_NAME": (frame["ST_DIR"] + " " + frame["NAME"]).str.strip(),
            "ST_DIR": frame["ST_DIR"],
            "ST_NAME": np.where(walk, named.str[0], frame["NAME"]),
            "ST_TYPE": np.where(walk, named.str[1], ""),
            "ROAD_CLASS": frame["ROAD_CLASS"],
            "ONEWAY": frame["ONEWAY"],
            "SPEED_MPH": frame["ROAD_CLASS"].map(SPEEDS).astype(np.int64),
            "WALK": walk,
            "L_FROM": np.where(walk, low + 1, 0),
            "L_TO": np.where(walk, high + 1, 0),
            "R_FROM": np.where(walk, low + (low == 0) * 2, 0),
            "R_TO": np.where(walk, high, 0),
            "FROM_NODE": first + 1,
            "TO_NODE": last + 1,
            "LENGTH_FT": np.round(shapely.length(frame["geometry"].to_numpy()), 1),
            "geometry": frame["geometry"],
            "low": frame["low"].astype(float),
            "high": frame["high"].astype(float),
        }
    )
    return Streets(table, nodes)


def _range(low: Values, high: Values) -> tuple[Values, Values]:
    """Return the least and the greatest even number that house numbers on a segment are made from."""
    least = (2 * np.floor(low / 2)).astype(np.int64)
    return least, np.maximum((2 * np.floor((high - 1e-6) / 2)).astype(np.int64), least)
