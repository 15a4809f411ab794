"""Which tiles of a zoom a change touches, and what is taken over of all others.

A tile is made anew when a geometry that changed belongs to it, drawn or not, before or after the change; so is one
that shows a merged group or a square of dust which a change has a part in. Thresholds being the same, any other tile
is the same to the byte.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from gisservice.model import GeometryKind
from gisservice.tiles import selection
from gisservice.tiles.account import Tally, touched_tiles
from gisservice.tiles.archive import Archive
from gisservice.tiles.budget import Thresholds
from gisservice.tiles.noding import edges_apart
from gisservice.tiles.past import Past
from gisservice.tiles.plan import Plan
from gisservice.tiles.selection import CELL_BITS
from gisservice.tiles.shapes import Flags, Ints, Shapes

Tiles = list[tuple[int, bytes]]
"""Places (ascending) and contents."""


class Reuse:
    """What a zoom has in common with that of the version before, where thresholds and squares of dust are the same.

    ``dirty`` are the places of the tiles to be made.
    """

    def __init__(self, plan: Plan, past: Past, z: int, shapes: Shapes, reshaped: Flags, thresholds: Thresholds) -> None:
        self._plan, self._past, self._z, self._shapes = plan, past, z, shapes
        self._shift = plan.maxzoom - z
        elsewhere = self._elsewhere(thresholds)
        self._redrawn = reshaped | elsewhere
        self._changed = self._redrawn | ~past.changes.same
        self._changed_before = np.ones(past.levels.count, dtype=bool)
        kept = np.flatnonzero(~self._changed)
        self._changed_before[past.changes.origin[kept]] = False
        alone = plan.weights >= thresholds.drawn if self._shift else np.ones(len(plan.weights), dtype=bool)
        slightly = np.flatnonzero(reshaped & past.changes.same & ~elsewhere & alone)
        found = self._touched_slightly(slightly)
        self._merged_anew = np.zeros(len(plan.weights), dtype=bool)
        if plan.kind == GeometryKind.POLYGON and self._shift:
            rest = np.flatnonzero(plan.weights < thresholds.drawn)
            before = np.flatnonzero(past.levels.weights < thresholds.drawn)
            if plan.coverage:
                found += self._touched_by_groups(rest, before)
            else:
                found += self._touched_by_dust(rest, before, past.levels.dust_side(z))
        self.dirty = np.unique(np.concatenate(found))

    @property
    def changed(self) -> Flags:
        """Marks the geometries that are not drawn where they were, by themselves or in their group."""
        return self._redrawn | self._merged_anew

    def _elsewhere(self, thresholds: Thresholds) -> Flags:
        """Mark the geometries that are new, or that thresholds or cells put with others than before."""
        plan, levels, origin = self._plan, self._past.levels, self._past.changes.origin
        elsewhere: Flags = origin < 0
        rows = np.flatnonzero(~elsewhere)
        if self._shift:
            natural = selection.natural_weight(plan.kind, self._shift)
            steps = np.unique([natural, thresholds.drawn, thresholds.detailed])
            weights, before = plan.weights[rows], levels.weights[origin[rows]]
            other = np.searchsorted(steps, weights, "right") != np.searchsorted(steps, before, "right")
            other |= self._summed_up_elsewhere(rows)
            elsewhere[rows[other]] = True
        return elsewhere

    def _summed_up_elsewhere(self, rows: Ints) -> Flags:
        """Mark the geometries that, if they are summed up, are so in another place or by another area."""
        plan, levels, origin = self._plan, self._past.levels, self._past.changes.origin[rows]
        if plan.kind != GeometryKind.POLYGON:
            return np.zeros(len(rows), dtype=bool)
        bits = self._shift + CELL_BITS if plan.coverage else 0
        moved: Flags = (plan.centres[rows] >> bits != levels.centres[origin] >> bits).any(axis=1)
        return moved if plan.coverage else moved | (plan.weights[rows] != levels.weights[origin])

    def _touched_slightly(self, rows: Ints) -> list[Ints]:
        """Return the places of the tiles that changed geometries belong to, where ``rows`` changed in shape alone.

        What a tile shows of these is what it was, unless the tile is near edges that are not as they were: what is
        cut away elsewhere leaves no trace, as long as their rings begin where they began.
        """
        levels, origin = self._past.levels, self._past.changes.origin
        now, then = self._shapes.take(rows), levels.shapes(self._z, origin[rows])
        boxes, begun = _apart(now, then)
        rest, rest_before = self._changed.copy(), self._changed_before.copy()
        rest[rows[begun]] = rest_before[origin[rows[begun]]] = False
        found = [touched_tiles(boxes[begun], self._z, 0)[1]]
        return found + self._touched(np.flatnonzero(rest), np.flatnonzero(rest_before))

    def _touched(self, rows: Ints, before: Ints) -> list[Ints]:
        """Return the places of the tiles that geometries, and others of the version before, belong to."""
        z, shift, levels = self._z, self._shift, self._past.levels
        boxes = [
            (self._plan.boxes[rows], shift),
            (self._shapes.take(rows).bounds(), 0),
            (levels.shapes(levels.maxzoom, before).bounds(), shift),
            (levels.shapes(z, before).bounds(), 0),
        ]
        return [touched_tiles(box, z, deeper)[1] for box, deeper in boxes]

    def _touched_by_groups(self, rest: Ints, before: Ints) -> list[Ints]:
        """Return the tiles of the groups that lost, got or have a changed member; and remember those groups."""
        plan, levels, shift = self._plan, self._past.levels, self._shift
        ours = np.column_stack([plan.centres[rest] >> shift >> CELL_BITS, plan.classes[rest]])
        theirs = np.column_stack([levels.centres[before] >> shift >> CELL_BITS, self._past.classes[before]])
        members, members_before = self._concerned(rest, before, ours, theirs)
        self._merged_anew[rest[members]] = True
        found = self._touched(rest[members], before[members_before])
        for alike, shapes in (
            (ours[members], self._shapes.take(rest[members])),
            (theirs[members_before], levels.shapes(self._z, before[members_before])),
        ):
            found.append(touched_tiles(_group_boxes(alike, shapes), self._z, 0)[1])
        return found

    def _touched_by_dust(self, rest: Ints, before: Ints, side: int) -> list[Ints]:
        """Return the tiles of the squares in cells that lost, got or have a changed polygon."""
        plan, levels, shift = self._plan, self._past.levels, self._shift
        centres, centres_before = plan.centres[rest], levels.centres[before]
        cells, cells_before = centres >> shift + CELL_BITS, centres_before >> shift + CELL_BITS
        members, members_before = self._concerned(rest, before, cells, cells_before)
        found = self._touched(rest[members], before[members_before])
        middle = np.concatenate([centres[members], centres_before[members_before]]) >> shift
        return [*found, touched_tiles(np.column_stack([middle - side, middle + side]), self._z, 0)[1]]

    def _concerned(self, rest: Ints, before: Ints, ours: Ints, theirs: Ints) -> tuple[Ints, Ints]:
        """Return the places in ``rest`` and ``before`` of those alike to one that changed."""
        label = _labels(np.concatenate([ours, theirs]))
        changed = np.concatenate([self._changed[rest], self._changed_before[before]])
        concerned = (np.bincount(label, changed) > 0)[label]
        return np.flatnonzero(concerned[: len(rest)]), np.flatnonzero(concerned[len(rest) :])

    def merged(self, shapes: Shapes, members: Ints, cuts: Ints) -> Shapes:
        """Return the shapes of groups, as :func:`dissolve`: most are as they were."""
        levels, first = self._past.levels, members[cuts[:-1]]
        theirs, their_cuts = levels.group_members(self._z)
        known = np.flatnonzero(~self._merged_anew[first])
        lead = theirs[their_cuts[:-1]]
        order = np.argsort(lead)
        place = np.full(len(first), -1, dtype=np.int64)
        place[known] = order[np.searchsorted(lead, self._past.changes.origin[first[known]], sorter=order)]
        return selection.dissolved(shapes, members, cuts, place, partial(levels.group_shapes, self._z))

    def clean(self, archive: Archive) -> Tiles:
        """Return the tiles of an archive of the version before that are still right."""
        places = archive.places(self._z)
        return [(place, archive.at(place) or b"") for place in places[~np.isin(places, self.dirty)].tolist()]

    def tally(self) -> Tally:
        """Return the account of the tiles that are still right."""
        before = self._past.report.tally(self._z)
        return before.select(~np.isin(before.places, self.dirty))


def _apart(now: Shapes, then: Shapes) -> tuple[Ints, Flags]:
    """Return the box of the edges in which each shape is not as it was, a unit wider; mark those of like rings.

    These have as many rings as before, and all of them begin in the same vertex.
    """
    owners = [np.repeat(np.arange(len(now)), np.diff(of.vertices)) for of in (now, then)]
    apart, owner = edges_apart((now, owners[0]), (then, owners[1]))
    boxes = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf]), (len(now), 1))
    np.minimum.at(boxes[:, :2], owner, apart[:, :2] - 1)
    np.maximum.at(boxes[:, 2:], owner, apart[:, 2:] + 1)
    alike = (np.diff(now.starts) == np.diff(then.starts)) & np.isfinite(boxes[:, 0])
    rows = np.flatnonzero(alike)
    one, other = now.take(rows), then.take(rows)
    begins = (one.xy[one.rings[:-1]] == other.xy[other.rings[:-1]]).all(axis=1) & (one.exterior == other.exterior)
    alike[rows[one.owners[~begins]]] = False
    return np.where(alike[:, None], boxes, 0.0).astype(np.int64), alike


def _labels(rows: Ints) -> Ints:
    """Return a number for each row, from 0, the same for those alike; much faster than numpy's ``unique`` of rows."""
    order = np.lexsort(rows.T)
    opens = np.zeros(len(rows), dtype=bool)
    opens[1:] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    labels = np.empty(len(rows), dtype=np.int64)
    labels[order] = np.cumsum(opens)
    return labels


def _group_boxes(alike: Ints, shapes: Shapes) -> Ints:
    """Return the boxes of what is alike, a unit wider than their shapes."""
    boxes = shapes.bounds()
    full = np.flatnonzero(boxes[:, 0] <= boxes[:, 2])
    if not len(full):
        return boxes[:0]
    order = full[np.lexsort(alike[full].T)]
    opens = np.ones(len(order), dtype=bool)
    opens[1:] = (alike[order[1:]] != alike[order[:-1]]).any(axis=1)
    cuts = np.flatnonzero(opens)
    low = np.minimum.reduceat(boxes[order, :2], cuts, axis=0) - 1
    return np.column_stack([low, np.maximum.reduceat(boxes[order, 2:], cuts, axis=0) + 1])
