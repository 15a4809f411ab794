"""The shapes of a new version, worked out anew only where it differs from the version before.

Each step starts from what the step before changed, takes in what lies beside it, and compares what comes out with
what was there: what is the same after all goes no further. What is not looked at is copied from the levels file of
the version before. The result is that of a :class:`~gisservice.tiles.generalise.Generaliser` to the byte.
"""

from __future__ import annotations

import numpy as np

from gisservice.model import GeometryKind
from gisservice.tiles.changes import Changes, differing
from gisservice.tiles.generalise import (
    Deepest,
    Generaliser,
    Stays,
    Zoom,
    followed,
    node,
    owners_of,
    restore,
    rounded,
    seeds,
    stays,
    vertices_of,
    within_reach,
)
from gisservice.tiles.grid import PYRAMID_ZOOM_MAX
from gisservice.tiles.levels import History, Levels
from gisservice.tiles.noding import edges_apart
from gisservice.tiles.outlines import Outlines
from gisservice.tiles.shapes import Flags, Ints, Shapes, concatenate, distinct, following, offsets


class Renewal(Generaliser):
    """Makes the shapes of any zoom of a layer from those of the version before."""

    def __init__(self, outlines: Outlines, before: Outlines, levels: Levels, changes: Changes) -> None:
        self.outlines, self.levels, self.changes = outlines, levels, changes
        self._unit = float(1 << PYRAMID_ZOOM_MAX - levels.maxzoom)
        self._former = levels.deepest()
        touched = changes.fresh
        if outlines.coverage:
            sides = ((outlines, changes.fresh), (before, changes.gone))
            now, then = (_with_winding(of.shapes(rows, PYRAMID_ZOOM_MAX)) for of, rows in sides)
            touched = np.union1d(touched, outlines.beside(edges_apart(now, then)[0], 0))
        made = node(outlines, touched)
        moved = touched[self._differing(levels.maxzoom, touched, made.shapes)]
        shapes = self._spliced(levels.maxzoom, touched, made.shapes)
        lasting, others = self._stays(shapes, moved)
        self.deepest = Deepest(
            shapes,
            lasting,
            self._flags(self._former.crossing, touched, made.crossing),
            self._flags(self._former.broken, touched, made.broken),
        )
        self._moved = np.zeros(len(outlines), dtype=bool)
        self._moved[moved] = True
        self._altered = np.union1d(moved, others)
        """Geometries whose shape at the deepest zoom, or how long their vertices stay, is not as it was."""
        self._other_extent = np.flatnonzero(outlines.always != np.append(before.always, False)[changes.origin])

    def renewed(self, z: int) -> tuple[Zoom, Flags]:
        """Return the shapes of a zoom, and mark those that are not as they were."""
        shift = self.levels.maxzoom - z
        if shift == 0:
            none = np.zeros(0, dtype=np.int64)
            return Zoom(self.deepest.shapes, self.deepest.broken, none, none), self._moved
        shapes, former = self.deepest.shapes, self.levels.history(z)
        keep, kept = self.deepest.stays >= shift, self._former.stays >= shift
        near = self._near(shapes, self._altered, 0, keep, kept) if self.outlines.coverage else self._altered
        first, restored = self._restored(keep, near, former)
        kept[former.restored] = True
        redrawn = self._redrawn(keep, kept, restored, former.restored)
        rows = self._near(shapes, redrawn, shift, keep, kept) if self.outlines.coverage else redrawn
        made, broken = rounded(self.outlines, shapes, keep, shift, rows)
        different = np.zeros(len(self.outlines), dtype=bool)
        different[rows] = self._differing(z, rows, made)
        zoom = Zoom(self._spliced(z, rows, made), self._flags(former.broken, rows, broken), first, restored)
        return zoom, different

    def zoom(self, z: int) -> Zoom:
        """Return the shapes of zoom ``z`` and how they came to be."""
        return self.renewed(z)[0]

    def _near(
        self, shapes: Shapes, rows: Ints, shift: int, keep: Flags | None = None, kept: Flags | None = None
    ) -> Ints:
        """Return these geometries, and those beside an edge that they, or others that are gone, have no more or newly.

        Edges are those that are left of ``shapes``, the new ones at the deepest zoom, with the vertices to ``keep``,
        and that were left of the former with those ``kept``; None: all. One that replaces others is not the same as
        one that does not.
        """
        then = self.changes.origin[rows]
        then = np.union1d(then[then >= 0], self.changes.gone)
        sides = ((shapes, rows, keep), (self._former.shapes, then, kept))
        boxes, _ = edges_apart(*(_left(of, some, flags) for of, some, flags in sides))
        return np.union1d(rows, self.outlines.beside(boxes * self._unit, shift))

    def _stays(self, shapes: Shapes, moved: Ints) -> tuple[Stays, Ints]:
        """Return for each vertex how long it stays, and the geometries not moved for which that is not as it was."""
        lasting = np.empty(len(shapes.xy), dtype=np.uint8)
        still = _all_but(moved, len(shapes))
        lasting[vertices_of(shapes, still)] = self._former.stays[self._former_vertices(still)]
        near = moved if shapes.kind == GeometryKind.POINT else self._near(shapes, moved, 0)
        if not len(near):
            return lasting, near
        some = self.outlines.around(near)
        whole = shapes.take(some)
        places = np.searchsorted(some, near)
        at, found = vertices_of(shapes, near), stays(whole)[vertices_of(whole, places)]
        changed = np.repeat(near, np.diff(shapes.vertices)[near])[lasting[at] != found]
        lasting[at] = found
        return lasting, np.setdiff1d(changed, moved)

    def _restored(self, keep: Flags, near: Ints, former: History) -> tuple[Ints, Ints]:
        """Return the vertices that come back because an edge crosses another, and all that do; mark them in ``keep``.

        They are looked for ``near`` what changed. Where no border there gets vertices back, neither before nor now,
        all others get back the same.
        """
        shapes = self.deepest.shapes
        if not self.outlines.coverage:
            return former.seeds, former.restored
        found = seeds(self.outlines, shapes, keep, near)
        first = np.sort(np.concatenate([self._kept_vertices(former.seeds, near), found]))
        others = self._kept_vertices(former.restored, near)
        if len(found) or len(others) < len(former.restored):
            return first, self._restored_near(keep, near, first, others)
        keep[others] = True
        return first, others

    def _restored_near(self, keep: Flags, near: Ints, first: Ints, others: Ints) -> Ints:
        """Return the vertices that come back, as :func:`restore`; ``others`` are those that did, but for ``near``.

        All come back ``first`` that cross without what came back. What more does is followed from ``near`` on, and
        from those others within reach of that, from one to the next; those out of reach are not concerned, unless
        they are reached now.
        """
        shapes = self.deepest.shapes
        sizes, seeded = np.diff(shapes.vertices), distinct(owners_of(shapes, first))
        if sizes[near].sum() > sizes[seeded].sum():
            return restore(self.outlines, shapes, keep, first)
        later = others[~np.isin(others, first)]
        owner = owners_of(shapes, later)
        concerned, unsure = np.zeros((2, len(shapes)), dtype=bool)
        concerned[owner], more = True, near
        while len(more):
            unsure[more] = True
            reached = within_reach(self.outlines, more)
            more = reached[concerned[reached] & ~unsure[reached]]
        sure = later[~unsure[owner]]
        keep[first] = keep[sure] = True
        back = followed(self.outlines, shapes, keep, np.flatnonzero(unsure))
        if (concerned & ~unsure)[within_reach(self.outlines, owners_of(shapes, back))].any():
            keep[sure] = keep[back] = False
            return restore(self.outlines, shapes, keep, first)
        return np.sort(np.concatenate([first, sure, back]))

    def _kept_vertices(self, former: Ints, without: Ints) -> Ints:
        """Return the new numbers of vertices of the version before, but those of some geometries (new numbers)."""
        before, after = self._former.shapes.vertices, self.deepest.shapes.vertices
        owner = owners_of(self._former.shapes, former)
        image = self.changes.image[owner]
        good = (image >= 0) & ~np.isin(image, without)
        return after[image[good]] + former[good] - before[owner[good]]

    def _redrawn(self, keep: Flags, kept: Flags, restored: Ints, former: Ints) -> Ints:
        """Return the geometries that go into a zoom with other vertices than before."""
        shapes, before = self.deepest.shapes, self._former.shapes
        owners = [owners_of(shapes, restored), self.changes.image[owners_of(before, former)]]
        rows = np.unique(np.concatenate([self._altered, self._other_extent, *owners]))
        rows = rows[rows >= 0]
        old = rows[self.changes.origin[rows] >= 0]
        one = shapes.take(old).keep_vertices(keep[vertices_of(shapes, old)])
        other = before.take(self.changes.origin[old]).keep_vertices(kept[self._former_vertices(old)])
        same = old[~differing(one, other) & ~np.isin(old, self._other_extent)]
        return np.setdiff1d(rows, same)

    def _former_vertices(self, rows: Ints) -> Ints:
        return vertices_of(self._former.shapes, self.changes.origin[rows])

    def _differing(self, z: int, rows: Ints, made: Shapes) -> Flags:
        """Mark the shapes of some geometries that are not as they were."""
        different = np.ones(len(rows), dtype=bool)
        known = np.flatnonzero(self.changes.origin[rows] >= 0)
        former = self.levels.shapes(z, self.changes.origin[rows[known]])
        different[known] = differing(made.take(known), former)
        return different

    def _spliced(self, z: int, rows: Ints, made: Shapes) -> Shapes:
        """Return the shapes of all geometries: of some as made, of the others as they were."""
        rest = _all_but(rows, len(self.outlines))
        order = np.empty(len(self.outlines), dtype=np.int64)
        order[rest], order[rows] = np.arange(len(rest)), len(rest) + np.arange(len(rows))
        return concatenate([self.levels.shapes(z, self.changes.origin[rest]), made]).take(order)

    def _flags(self, former: Flags, rows: Ints, found: Flags) -> Flags:
        flags = np.append(former, False)[self.changes.origin]
        flags[rows] = found
        return flags


def _left(shapes: Shapes, rows: Ints, keep: Flags | None) -> tuple[Shapes, Ints]:
    """Return what is left of some shapes, and for each vertex whether the edge that begins there replaces others."""
    some = shapes.take(rows)
    if keep is None:
        return _with_winding(some)
    flags = keep[vertices_of(shapes, rows)]
    kept = offsets(flags)[some.rings]
    place = np.flatnonzero(flags)
    after = place[following(kept)]
    ring = np.repeat(some.ring_lengths, np.diff(kept))
    step = np.where(after <= place, after + ring, after) - place
    return some.keep_vertices(flags), (step > 1).astype(np.int64)


def _with_winding(shapes: Shapes) -> tuple[Shapes, Ints]:
    """Return shapes none of whose edges replaces others."""
    return shapes, np.zeros(len(shapes.xy), dtype=np.int64)


def _all_but(rows: Ints, count: int) -> Ints:
    """Return the numbers below ``count`` but some; faster than numpy's ``setdiff1d``, which sorts."""
    others = np.ones(count, dtype=bool)
    others[rows] = False
    return np.flatnonzero(others)
