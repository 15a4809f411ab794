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
    node,
    restore,
    rounded,
    seeds,
    stays,
    vertices_of,
)
from gisservice.tiles.levels import History, Levels
from gisservice.tiles.outlines import Outlines
from gisservice.tiles.shapes import Flags, Ints, Shapes, concatenate


class Renewal(Generaliser):
    """Makes the shapes of any zoom of a layer from those of the version before."""

    def __init__(self, outlines: Outlines, before: Outlines, levels: Levels, changes: Changes) -> None:
        self.outlines, self.levels, self.changes = outlines, levels, changes
        self._gone = before.boxes[changes.gone]
        self._former = levels.deepest()
        touched = self._with_beside(changes.fresh, 0) if outlines.coverage else changes.fresh
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
        kept[former.restored] = True
        first, restored = self._restored(keep, former)
        redrawn = self._redrawn(keep, kept, restored, former.restored)
        rows = self._with_beside(redrawn, shift) if self.outlines.coverage else redrawn
        made, broken = rounded(self.outlines, shapes, keep, shift, rows)
        different = np.zeros(len(self.outlines), dtype=bool)
        different[rows] = self._differing(z, rows, made)
        zoom = Zoom(self._spliced(z, rows, made), self._flags(former.broken, rows, broken), first, restored)
        return zoom, different

    def zoom(self, z: int) -> Zoom:
        """Return the shapes of zoom ``z`` and how they came to be."""
        return self.renewed(z)[0]

    def _with_beside(self, rows: Ints, shift: int) -> Ints:
        """Return these geometries and those beside them, or beside one that is gone."""
        region = np.concatenate([self.outlines.boxes[rows], self._gone])
        return np.union1d(rows, self.outlines.beside(region, shift))

    def _stays(self, shapes: Shapes, moved: Ints) -> tuple[Stays, Ints]:
        """Return for each vertex how long it stays, and the geometries not moved for which that is not as it was."""
        lasting = np.empty(len(shapes.xy), dtype=np.uint8)
        still = np.setdiff1d(np.arange(len(shapes)), moved)
        lasting[vertices_of(shapes, still)] = self._former.stays[self._former_vertices(still)]
        near = moved if shapes.kind == GeometryKind.POINT else self._with_beside(moved, 0)
        if not len(near):
            return lasting, near
        some = self.outlines.around(near)
        whole = shapes.take(some)
        places = np.searchsorted(some, near)
        at, found = vertices_of(shapes, near), stays(whole)[vertices_of(whole, places)]
        changed = np.repeat(near, np.diff(shapes.vertices)[near])[lasting[at] != found]
        lasting[at] = found
        return lasting, np.setdiff1d(changed, moved)

    def _restored(self, keep: Flags, former: History) -> tuple[Ints, Ints]:
        """Return the vertices that come back because an edge crosses another, and all that do; mark them in ``keep``.

        They are looked for where things changed. Where no border beside a change gets vertices back, neither before
        nor now, all others get back the same.
        """
        shapes = self.deepest.shapes
        if not self.outlines.coverage:
            return former.seeds, former.restored
        near = self._with_beside(self._altered, 0)
        found = seeds(self.outlines, shapes, keep, near)
        first = np.sort(np.concatenate([self._kept_vertices(former.seeds, near), found]))
        others = self._kept_vertices(former.restored, near)
        if len(found) or len(others) < len(former.restored):
            return first, restore(self.outlines, shapes, keep, first)
        keep[others] = True
        return first, others

    def _kept_vertices(self, former: Ints, without: Ints) -> Ints:
        """Return the new numbers of vertices of the version before, but those of some geometries (new numbers)."""
        before, after = self._former.shapes.vertices, self.deepest.shapes.vertices
        owner = np.searchsorted(before, former, side="right") - 1
        image = self.changes.image[owner]
        good = (image >= 0) & ~np.isin(image, without)
        return after[image[good]] + former[good] - before[owner[good]]

    def _redrawn(self, keep: Flags, kept: Flags, restored: Ints, former: Ints) -> Ints:
        """Return the geometries that go into a zoom with other vertices than before."""
        shapes, before = self.deepest.shapes, self._former.shapes
        owners = [np.searchsorted(shapes.vertices, restored, side="right") - 1]
        owners.append(self.changes.image[np.searchsorted(before.vertices, former, side="right") - 1])
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
        rest = np.setdiff1d(np.arange(len(self.outlines)), rows)
        order = np.empty(len(self.outlines), dtype=np.int64)
        order[rest], order[rows] = np.arange(len(rest)), len(rest) + np.arange(len(rows))
        return concatenate([self.levels.shapes(z, self.changes.origin[rest]), made]).take(order)

    def _flags(self, former: Flags, rows: Ints, found: Flags) -> Flags:
        flags = np.append(former, False)[self.changes.origin]
        flags[rows] = found
        return flags
