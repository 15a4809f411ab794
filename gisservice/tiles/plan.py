"""What is worked out once for a layer, before its zooms are built one by one."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gisservice.tiles import selection
from gisservice.tiles.attributes import ABSENT, Attributes, encode_attributes
from gisservice.tiles.coverage import NO_CONFLICTS, Arrangement, Comparison, Conflicts, Touched, closed
from gisservice.tiles.generalise import Generaliser
from gisservice.tiles.grid import EXTENT_BITS, PYRAMID_ZOOM_MAX
from gisservice.tiles.outlines import Boxes, Outlines
from gisservice.tiles.past import Past, Previous
from gisservice.tiles.renewal import Renewal
from gisservice.tiles.shapes import Flags, Ints, Shapes, offsets, ranges, sums, tidy
from gisservice.tiles.source import TileSource
from gisservice.tiles.workers import shared

_CLASS_VALUES_MAX = 256
"""Columns with at most so many distinct values are classes: features keep them when bytes are short."""

_NEAR_BITS = 5
"""What a change could make overlap or gape is looked at with all that is within 32 units of the zoom."""

_TOUCHED = 8.0
"""Units of the zoom: a gap comes about at most so far from what changed. Borders move by less than four, and what the
finer polygons leave bare is looked for :data:`~gisservice.tiles.coverage.REACH` around."""

_TAG_BYTES = 3
"""Of a property in a feature: the numbers of its key and its value."""


class Plan:
    """What all zooms of a layer are made from.

    Per geometry: ``stack`` (how many records share it), ``first`` (the record it is drawn for; all of them are
    ``named``, cut by ``cuts``: see :func:`gisservice.tiles.selection.representatives`), ``weights`` and
    ``ranks``, and ``areas``
    (doubled), ``boxes`` and ``centres`` in units of the deepest zoom. ``members`` are the records, geometry after
    geometry; ``always`` marks those that are always drawn, and the first ``lasting`` ranks are their geometries'.
    ``class_keys`` marks the properties that features keep when bytes are short.
    """

    def __init__(self, source: TileSource, workers: int = 1, previous: Previous | None = None) -> None:
        self.name, self.kind, self.coverage = source.name, source.kind, source.coverage
        self.minzoom, self.maxzoom = source.minzoom, source.maxzoom
        self.records, self.ids = len(source), source.ids
        self.attributes = encode_attributes(source.attributes)
        owners = source.record_geometry.astype(np.int64)
        self.stack = np.bincount(owners, minlength=len(source.geometries))
        self.members = np.argsort(owners, kind="stable")
        self.always = np.zeros(len(source), dtype=bool) if source.always is None else source.always
        self.named, self.cuts = selection.representatives(owners, self.always, len(self.stack))
        self.first = np.append(self.named, 0)[self.cuts[:-1]]
        lasting = np.bincount(owners[self.always], minlength=len(self.stack)) > 0
        self.lasting = int(lasting.sum())
        self._set_classes(source.merge_by)
        self.past = Past.of(previous, source, self.attributes, self.class_columns) if previous is not None else None
        self.generaliser = self._generaliser(source, lasting, workers)
        self.deepest = self.generaliser.deepest.shapes
        self.bits = source.maxzoom + EXTENT_BITS
        self.priority = _scattered(self.ids[self.first]) if len(owners) else self.first
        self.weights = selection.weights(self.deepest, self.priority, self.bits, lasting)
        self.ranks = selection.ranks(self.weights, self.priority)
        self.areas = np.diff(offsets(self.deepest.areas())[self.deepest.starts])
        self.boxes = self.deepest.bounds()
        self.centres = (self.boxes[:, :2] + self.boxes[:, 2:]) >> 1
        if self.coverage and self.past is None:
            self.arrangement = Arrangement(self.deepest, self.maxzoom)  # once, before processes are forked

    def _set_classes(self, merge_by: str | None) -> None:
        self.class_keys = np.append(self.attributes.distinct <= _CLASS_VALUES_MAX, [True, True])
        self.merge_by = -1
        if merge_by is not None:
            self.merge_by = self.attributes.keys.index(merge_by)
            self.class_keys[self.merge_by] = True

    def _generaliser(self, source: TileSource, lasting: Flags, workers: int) -> Generaliser | Renewal:
        outlines = Outlines(source.geometries, source.maxzoom, coverage=source.coverage, always=lasting)
        if self.past is not None:
            return Renewal(outlines, self.past.outlines, self.past.levels, self.past.changes)
        return Generaliser(outlines, run=lambda work, blocks: shared(work, blocks, workers, source.name))

    @property
    def class_columns(self) -> tuple[str, ...]:
        """Columns that features keep when bytes are short."""
        keys = zip(self.attributes.keys, self.class_keys.tolist(), strict=False)
        return tuple(key for key, is_class in keys if is_class)

    @cached_property
    def classes(self) -> Ints:
        """What small polygons are merged by: for each geometry the code of its first record's value."""
        if self.merge_by < 0:
            return np.zeros(len(self.first), dtype=np.int64)
        classes: Ints = self.attributes.codes[self.first, self.merge_by].astype(np.int64)
        return classes

    def limit(self, weight: int) -> int:
        """Return the rank of the first geometry that weighs less."""
        return int((self.weights >= weight).sum())

    @cached_property
    def property_bytes(self) -> tuple[Ints, Ints]:
        """Return what the properties of each geometry's features take, about, uncompressed: classes, all others."""
        lengths = np.append(np.diff(self.attributes.values.starts), 0)
        plain, detail = np.zeros(self.records, dtype=np.int64), np.zeros(self.records, dtype=np.int64)
        for codes, is_class in zip(self.attributes.codes.T, self.class_keys.tolist(), strict=False):
            (plain if is_class else detail)[codes != ABSENT] += _TAG_BYTES
            if not is_class:
                detail += lengths[codes]
        plain, detail = (sums(values[self.named], self.cuts) for values in (plain, detail))
        return plain, detail

    @cached_property
    def arrangement(self) -> Arrangement:
        """The polygons of the deepest zoom, which what other zooms draw of a coverage is compared with."""
        return Arrangement(self.deepest, self.maxzoom)

    def conflicts(self, z: int, chosen: selection.Selection, changed: Flags | None) -> Conflicts | None:
        """Compare what a smaller zoom draws of a coverage with the deepest; None for what is no coverage.

        ``changed`` marks the geometries that are not drawn as in the version before; None: there is none.
        """
        if not self.coverage:
            return None
        alone = len(chosen.drawn)
        cuts = np.concatenate([np.arange(alone), alone + chosen.cuts])
        members = np.concatenate([chosen.drawn, chosen.members])
        if self._is_sound(z, chosen.shapes, members, cuts, changed):
            return NO_CONFLICTS
        return Comparison(z, chosen.shapes, members, cuts, self.arrangement).conflicts()

    def source_conflicts(self, changed: Flags | None) -> Conflicts | None:
        """Compare the deepest zoom of a coverage with the source; see :meth:`conflicts`."""
        if not self.coverage:
            return None
        each = np.arange(len(self.stack) + 1)
        if self._is_sound(self.maxzoom, self.deepest, each[:-1], each, changed):
            return NO_CONFLICTS
        finer = self._finer(self.maxzoom, each[:-1])
        return Comparison(self.maxzoom, self.deepest, each[:-1], each, finer).conflicts(self.arrangement)

    def _finer(self, z: int, rows: Ints) -> Arrangement:
        """Return what some geometries are compared with at a zoom."""
        if z < self.maxzoom:
            return Arrangement(self.deepest.take(rows), self.maxzoom)
        return Arrangement(tidy(self.generaliser.outlines.shapes(rows, PYRAMID_ZOOM_MAX)), PYRAMID_ZOOM_MAX)

    def _is_sound(self, z: int, drawn: Shapes, parts: Ints, cuts: Ints, changed: Flags | None) -> bool:
        """Return whether nothing is wrong near what changed, and nothing was wrong before."""
        if self.past is None or changed is None or self.past.report.has_conflicts(z):
            return False
        outlines, shift = self.generaliser.outlines, self.maxzoom - z + _NEAR_BITS
        moved = changed | self.generaliser.renewed(self.maxzoom)[1]
        region = np.concatenate([outlines.boxes[moved], self.past.outlines.boxes[self.past.changes.gone]])
        near = np.zeros(len(outlines), dtype=bool)
        near[outlines.beside(region, shift)] = True
        near, some = closed(near, parts, cuts)
        number = np.cumsum(near) - 1
        counts = np.diff(cuts)[some]
        own = number[parts[ranges(cuts[some], counts)]]
        finer, own_cuts = self._finer(z, np.flatnonzero(near)), offsets(counts)
        touched = Touched(sums(moved[near][own].astype(np.int64), own_cuts) > 0, _touched_boxes(region, z))
        return not len(Comparison(z, drawn.take(some), own, own_cuts, finer, touched).conflicts())

    @property
    def keys(self) -> tuple[str, ...]:
        """All property names: the columns, how many records a stack has, how many geometries are merged."""
        return (*self.attributes.keys, self.stack_key, self.merged_key)

    @property
    def stack_key(self) -> str:
        """Name of the property that counts the records of a stack."""
        return _free("stack", self.attributes)

    @property
    def merged_key(self) -> str:
        """Name of the property that counts the records of merged geometries."""
        return _free("merged", self.attributes)


def _touched_boxes(boxes: Boxes, z: int) -> Boxes:
    """Return boxes on the world grid, those with positions, in level units of a zoom, as wide as a gap may be off."""
    units = boxes[~np.isnan(boxes[:, 0])] / float(1 << PYRAMID_ZOOM_MAX - z)
    return np.concatenate([units[:, :2] - _TOUCHED, units[:, 2:] + _TOUCHED], axis=1)


def _free(name: str, attributes: Attributes) -> str:
    while name in attributes.keys:
        name += "_"
    return name


def _scattered(ids: Ints) -> Ints:
    """Return numbers that differ where ids do and have no other order in common (the finaliser of SplitMix64)."""
    mixed = ids.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))).view(np.int64)
