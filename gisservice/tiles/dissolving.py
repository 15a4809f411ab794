"""Unions of polygons that share their borders, for all groups of a zoom at once.

Where polygons of a coverage lie side by side, each border between two of them is in the one's ring and, run the
other way, in the other's. Without these pairs what is left are the borders of the union, and whoever follows them
has its rings: a sort and a few passes over arrays, where an overlay has to compute crossings that are not there.
Groups that are no clean coverage (borders that differ, polygons that overlap) are united by GEOS.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.model import GeometryKind
from gisservice.tiles.shapes import (
    Flags,
    Ints,
    Shapes,
    following,
    from_polygons,
    offsets,
    ranges,
    replace,
    tidy,
    to_polygons,
)
from gisservice.tiles.validity import invalid, repair


def dissolve(shapes: Shapes, members: Ints, cuts: Ints) -> Shapes:
    """Return the union of each group of tidy polygons, tidy and valid; borders between its members vanish.

    ``members`` are the polygons of all groups end to end, ``cuts`` where those of each begin. Where
    they share their borders, rings begin at their north-westernmost corner, so the order of members does not matter.
    """
    parts, groups = shapes.take(members), len(cuts) - 1
    group = np.arange(groups).repeat(np.diff(cuts))
    corner, xy, owner = _corners(parts, group)
    end, polygon = corner[following(parts.rings)], parts.owners.repeat(parts.ring_lengths)
    lone, spoilt = _unpaired(corner, end)
    unclean = np.zeros(len(parts), dtype=bool)
    while len(spoilt):  # of three polygons along an edge, two alike may be left when the third is set aside
        unclean[polygon[spoilt]] = True
        clean = np.flatnonzero(~unclean[polygon])
        lone, spoilt = (clean[edges] for edges in _unpaired(corner[clean], end[clean]))
    united, done = _followed_around(corner[lone], end[lone], xy, owner, groups)
    done &= ~invalid(united)
    left = unclean | ~done[group]  # what a group still lacks: its unclean polygons, or all of them
    if not left.any():
        return united
    rest = np.flatnonzero(np.bincount(group[left], minlength=groups) > 0)
    return replace(united, rest, _overlaid(united, parts, group, np.flatnonzero(left), rest[done[rest]], rest))


def _overlaid(united: Shapes, parts: Shapes, group: Ints, left: Ints, begun: Ints, rest: Ints) -> Shapes:
    """Return the unions of the groups ``rest``: of polygons ``left`` and, where it is ``begun``, of what is united."""
    pieces = np.concatenate([to_polygons(parts.take(left)), to_polygons(united.take(begun))])
    of_piece = np.searchsorted(rest, np.concatenate([group[left], begun]))
    order = np.argsort(of_piece, kind="stable")
    counts = np.bincount(of_piece)
    table = np.full((len(rest), int(counts.max())), None, dtype=object)
    table[of_piece[order], ranges(np.zeros_like(counts), counts)] = pieces[order]
    whole = tidy(from_polygons(shapely.union_all(table, axis=1)))
    bad = np.flatnonzero(invalid(whole))
    return repair(whole, bad) if len(bad) else whole


def _followed_around(start: Ints, end: Ints, xy: Ints, owner: Ints, groups: int) -> tuple[Shapes, Flags]:
    """Return the polygons that edges from corner to corner bound, group by group, and which of them came out."""
    start, after, crossed = _joined(start, end, xy)
    clean = np.ones(groups, dtype=bool)
    if len(crossed):  # where edges do not go on, nothing is followed: it would lead astray
        clean[owner[start[crossed]]] = False
        kept = clean[owner[start]]
        start, after = start[kept], offsets(kept)[after[kept]]
    order, cuts = _followed(_simple(start, after, *_followed(after)))
    clean[owner[start[order[_repeated(start, order, cuts)]]]] = False
    return _assembled(start[order], cuts, xy, owner, clean)


def _corners(parts: Shapes, group: Ints) -> tuple[Ints, Ints, Ints]:
    """Number the corners of each group; return that of each vertex, and position and group of each corner.

    Corners are numbered group by group, in each from north to south and from west to east.
    """
    x, y = parts.xy[:, 0], parts.xy[:, 1]
    of_vertex = group.repeat(np.diff(parts.vertices))
    order = np.lexsort([x, y, of_vertex])
    xy, owner = parts.xy.take(order, axis=0), of_vertex[order]
    opens = np.ones(len(order), dtype=bool)
    opens[1:] = (owner[1:] != owner[:-1]) | (xy[1:] != xy[:-1]).any(axis=1)
    corner = np.empty(len(order), dtype=np.int64)
    corner[order] = np.cumsum(opens) - 1
    return corner, np.compress(opens, xy, axis=0), owner[opens]


def _unpaired(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Return the edges that no other runs back along, and those that more than one runs along or that run alike."""
    forth = start < end
    key = np.where(forth, start, end) * (max(int(start.max(initial=0)), 1) + 1) + np.where(forth, end, start)
    order = np.argsort(key, kind="stable")
    key, forth = key[order], forth[order]
    same = key[1:] == key[:-1]
    before, after = np.zeros(len(key), dtype=bool), np.zeros(len(key), dtype=bool)
    before[1:], after[:-1] = same, same
    alike = np.zeros(len(key), dtype=bool)
    alike[1:] = same & (forth[1:] == forth[:-1])
    return np.sort(order[~before & ~after]), order[alike | (before & after)]


def _joined(start: Ints, end: Ints, xy: Ints) -> tuple[Ints, Ints, Ints]:
    """Sort edges by where they begin; return that corner, the edge that each goes on with, and those that no edge does.

    Ground lies to the right of every edge (y down). Where several begin at a corner, an edge goes on with the one
    that has the same ground on its right: coming from the next direction, counted clockwise.
    """
    leaving = np.bincount(start, minlength=len(xy))
    angle = np.zeros(len(start))
    several = np.flatnonzero(leaving[start] > 1)
    angle[several] = _directions(start[several], end[several], xy)
    order = np.lexsort([angle, start])
    start, end, angle = start[order], end[order], angle[order]
    at = np.empty(len(xy), dtype=np.int64)
    at[start] = np.arange(len(start))
    after = at[end]
    out, into = np.flatnonzero(leaving[start] > 1), np.flatnonzero(leaving[end] > 1)
    if not len(out):
        return start, after, out
    turn = np.concatenate([angle[out], _directions(end[into], start[into], xy)])
    around = np.lexsort([turn, np.concatenate([start[out], end[into]])])  # corner by corner, clockwise
    next_one = _round(np.concatenate([start[out], end[into]])[around])
    leaves = np.flatnonzero(around < len(out))
    coming = around[next_one[leaves]] - len(out)
    paired = coming >= 0
    after[into[coming[paired]]] = out[around[leaves[paired]]]
    return start, after, out[around[leaves[~paired]]]


def _directions(start: Ints, end: Ints, xy: Ints) -> npt.NDArray[np.float64]:
    step = xy.take(end, axis=0) - xy.take(start, axis=0)
    angles: npt.NDArray[np.float64] = np.arctan2(step[:, 1], step[:, 0])
    return angles


def _round(sorted_keys: Ints) -> Ints:
    """Return for each place the next one that has the same key, for the last of a key its first."""
    opens = np.flatnonzero(np.diff(sorted_keys, prepend=-1))
    out = np.arange(1, len(sorted_keys) + 1)
    out[np.append(opens[1:], len(sorted_keys)) - 1] = opens
    return out


def _simple(start: Ints, after: Ints, order: Ints, cuts: Ints) -> Ints:
    """Return ``after`` with rings that come to a corner again divided there, into an outer ring and its holes."""
    again = _repeated(start, order, cuts)
    if not len(again):
        return after
    ring = np.arange(len(cuts) - 1).repeat(np.diff(cuts))
    before = np.empty_like(after)
    before[after] = np.arange(len(after))
    key = ring[again] * (int(start.max()) + 1) + start[order[again]]
    sort = np.lexsort([-again, key])  # from the last visit to the first, so that the next is the one before
    visits = order[again[sort]]
    earlier = visits[_round(key[sort])]
    after = after.copy()
    after[before[visits]] = earlier
    return after


def _repeated(start: Ints, order: Ints, cuts: Ints) -> Ints:
    """Return the places in ``order`` of edges that begin at a corner to which their ring comes more than once."""
    ring = np.arange(len(cuts) - 1).repeat(np.diff(cuts))
    several = np.flatnonzero(np.bincount(start)[start[order]] > 1)
    key = ring[several] * (int(start.max(initial=0)) + 1) + start[order[several]]
    _, which, times = np.unique(key, return_inverse=True, return_counts=True)
    repeated: Ints = several[times[which] > 1]
    return repeated


def _followed(after: Ints) -> tuple[Ints, Ints]:
    """Return the edges of rings end to end, each from its first edge on, and where rings begin.

    ``after`` is a permutation. The first edge of a ring and the steps to it are found by doubling: what is known of
    2^k steps ahead tells it for 2^(k+1) (list ranking, Wyllie 1979).
    """
    every = np.arange(len(after))
    first, jump = every, after
    while True:
        further = np.minimum(first, first[jump])
        if (further == first).all():
            break
        first, jump = further, jump[jump]
    begins = every == first
    steps, jump = (~begins).astype(np.int64), np.where(begins, every, after)
    while True:
        more = steps[jump]
        if not more.any():
            break
        steps, jump = steps + more, jump[jump]
    # Steps are counted to the ring's first edge, which comes first and not last.
    order = np.lexsort([np.where(begins, -len(every), -steps), first])
    return order, np.append(np.flatnonzero(begins[order]), len(every))


def _assembled(corners: Ints, cuts: Ints, xy: Ints, owner: Ints, clean: Flags) -> tuple[Shapes, Flags]:
    """Make shapes of rings, group by group, holes behind their outer rings.

    A group is not clean that has a ring without area, or a hole in no outer ring.
    """
    every = np.ones(len(cuts) - 1, dtype=bool)
    rings = Shapes(GeometryKind.POLYGON, xy.take(corners, axis=0), cuts, np.arange(len(cuts)), every)
    group, areas, clean = owner[corners[cuts[:-1]]], rings.areas(), clean.copy()
    clean[group[areas == 0]] = False
    around = np.arange(len(rings))
    holes = np.flatnonzero((areas < 0) & clean[group])
    around[holes] = _surrounding(rings, group, areas, holes)
    clean[group[holes[around[holes] < 0]]] = False
    outer = areas > 0
    order = np.lexsort([~outer, around, group])
    order = order[clean[group[order]]]
    ordered = rings.take(order)
    starts = offsets(np.bincount(group[order], minlength=len(clean)))
    return Shapes(GeometryKind.POLYGON, ordered.xy, ordered.rings, starts, outer[order]), clean


def _surrounding(rings: Shapes, group: Ints, areas: Ints, holes: Ints) -> Ints:
    """Return for each of ``holes`` the smallest outer ring of its group around it, -1 where there is none."""
    outers = np.flatnonzero(areas > 0)
    outers = outers[np.lexsort([areas[outers], group[outers]])]
    first, last = (np.searchsorted(group[outers], group[holes], side) for side in ("left", "right"))
    hole = np.arange(len(holes)).repeat(last - first)
    pair = outers[ranges(first, last - first)]
    box = rings.bounds()
    inner, wider = box[holes[hole]], box[pair]
    within = np.logical_and.reduce(
        np.column_stack([wider[:, :2] <= inner[:, :2], wider[:, 2:] >= inner[:, 2:]]), axis=1
    )
    hole, pair = hole[within], pair[within]
    unsure = np.flatnonzero(np.bincount(hole, minlength=len(holes))[hole] > 1)
    if len(unsure):
        around, inside = (to_polygons(rings.take(which)) for which in (pair[unsure], holes[hole[unsure]]))
        keep = np.ones(len(hole), dtype=bool)
        keep[unsure] = shapely.covers(around, inside)
        hole, pair = hole[keep], pair[keep]
    found = np.full(len(holes), -1, dtype=np.int64)
    found[hole[::-1]] = pair[::-1]  # the smallest is written last
    return found
