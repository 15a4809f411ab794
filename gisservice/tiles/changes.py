"""What a new version of a layer has in common with the one before it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from gisservice.model import Geometries
from gisservice.tiles.attributes import ABSENT, Values
from gisservice.tiles.outlines import part_of
from gisservice.tiles.shapes import Flags, Ints, Shapes, offsets, ranges, with_positions
from gisservice.tiles.source import TileSource

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int32]

_GONE = -2
"""In place of the code of a value that occurs no more; :data:`ABSENT` is another number."""


@dataclass(frozen=True)
class Changes:
    """The geometries of a new version beside those of an earlier one.

    ``origin`` is for each new geometry the earlier one with the same positions, or -1; ascending where it is not.
    ``image`` is the way back. ``same`` marks new geometries whose records are also the same, in the same order.
    ``codes`` is for each earlier attribute value its new code, with a last entry for those who have none.
    """

    origin: Ints
    image: Ints
    same: Flags
    codes: npt.NDArray[np.int64]

    @property
    def fresh(self) -> Ints:
        """New geometries that were not there before."""
        return np.flatnonzero(self.origin < 0)

    @property
    def gone(self) -> Ints:
        """Earlier geometries that are not there any more."""
        return np.flatnonzero(self.image < 0)

    @classmethod
    def between(
        cls, old: TileSource, new: TileSource, old_codes: Codes, old_values: Values, codes: Codes, values: Values
    ) -> Changes:
        """Compare two versions; codes and values are their attributes as tiles have them."""
        origin = _origin(old.geometries, new.geometries)
        image = np.full(len(old.geometries), -1, dtype=np.int64)
        kept = np.flatnonzero(origin >= 0)
        image[origin[kept]] = kept
        translated = _translated(old_values, values)
        known = np.append(translated, ABSENT)
        return cls(origin, image, _same(old, new, origin, known[old_codes], codes), known)


def differing(shapes: Shapes, others: Shapes) -> Flags:
    """Mark the shapes that are not equal to the other one in the same place."""
    counts, vertices = np.diff(shapes.starts), np.diff(shapes.vertices)
    different: Flags = (counts != np.diff(others.starts)) | (vertices != np.diff(others.vertices))
    rows = np.flatnonzero(~different)
    one, other = shapes.take(rows), others.take(rows)
    rings = (one.ring_lengths != other.ring_lengths) | (one.exterior != other.exterior)
    different[rows[one.owners[rings]]] = True
    owners = np.repeat(np.arange(len(rows)), np.diff(one.vertices))
    moved = (one.xy[:, 0] != other.xy[:, 0]) | (one.xy[:, 1] != other.xy[:, 1])  # much faster than any() of pairs
    different[rows[owners[moved]]] = True
    return different


def _origin(old: Geometries, new: Geometries) -> Ints:
    """Return for each new geometry the old one of the same positions, or -1, so that the others ascend."""
    marks, known = _marks(new), _marks(old)
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known[order], marks), max(len(known) - 1, 0))
    origin = np.full(len(new), -1, dtype=np.int64)
    if not len(known):
        return origin
    rows = np.flatnonzero(known[order][place] == marks)
    found = order[place[rows]]
    equal = _equal(old, found, new, rows)
    rows, found = rows[equal], found[equal]
    _, first = np.unique(found, return_index=True)
    rows, found = rows[np.sort(first)], found[np.sort(first)]
    ascending = ascents(found)
    origin[rows[ascending]] = found[ascending]
    return origin


def _marks(geometries: Geometries) -> npt.NDArray[np.uint64]:
    """Return a number for each geometry that nearly always differs where geometries do."""
    cuts = geometries.rings[geometries.parts[geometries.starts]]
    xy = geometries.coordinates.astype(np.uint64)
    along = ranges(np.zeros(len(cuts) - 1, dtype=np.int64), np.diff(cuts)).astype(np.uint64)
    mixed = (xy[:, 0] << np.uint64(32) | xy[:, 1]) + along * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    return np.diff(np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])[cuts])


def _equal(old: Geometries, theirs: Ints, new: Geometries, ours: Ints) -> Flags:
    """Mark the pairs of geometries that are equal in positions, rings and parts."""
    one, other = (part_of(geometries, rows) for geometries, rows in ((new, ours), (old, theirs)))
    equal: Flags = ~differing(*(with_positions(of, of.coordinates.astype(np.int64)) for of in (one, other)))
    return equal


def ascents(numbers: Ints) -> Flags:
    """Mark as many numbers as possible so that those marked ascend (Fredman 1975)."""
    marked = np.ones(len(numbers), dtype=bool)
    if (np.diff(numbers) > 0).all():
        return marked
    tails: list[int] = []
    last: list[int] = []
    before = np.full(len(numbers), -1, dtype=np.int64)
    for place, number in enumerate(numbers.tolist()):
        row = bisect_left(tails, number)
        if row:
            before[place] = last[row - 1]
        tails[row : row + 1], last[row : row + 1] = [number], [place]
    marked[:] = False
    place = last[-1]
    while place >= 0:
        marked[place] = True
        place = int(before[place])
    return marked


def _translated(old: Values, new: Values) -> Ints:
    """Return for each old value the number of the new one of the same message."""
    lengths, others = np.diff(old.starts), np.diff(new.starts)
    first = _alike(lengths, old.data, others, new.data)
    data, other_data = old.data[int(old.starts[first]) :], new.data[int(new.starts[first]) :]
    last = _alike(lengths[first:][::-1], data[::-1], others[first:][::-1], other_data[::-1])
    places = np.arange(len(old), dtype=np.int64)
    places[len(old) - last :] += len(new) - len(old)
    rest = slice(first, len(old) - last)  # most often a few: all others are the same from either end
    found = pc.index_in(old.strings[rest], value_set=new.strings[first : len(new) - last])
    places[rest] = found.fill_null(_GONE - first).to_numpy(zero_copy_only=False).astype(np.int64) + first
    return places


def _alike(lengths: Ints, data: Bytes, others: Ints, other_data: Bytes) -> int:
    """Return with how many of the same messages two rows of them, given by lengths and bytes, begin."""
    ends = np.cumsum(lengths[: _agreeing(lengths, others)])
    size = int(ends[-1]) if len(ends) else 0
    return int(np.searchsorted(ends, _agreeing(data[:size], other_data[:size]), side="right"))


def _agreeing(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> int:
    """Return with how many of the same numbers two rows of numbers begin."""
    count = min(len(one), len(other))
    apart = np.flatnonzero(one[:count] != other[:count])
    return int(apart[0]) if len(apart) else count


def _same(old: TileSource, new: TileSource, origin: Ints, theirs: Ints, codes: Codes) -> Flags:
    """Mark the new geometries whose records are those of their origin, and stand in the same order to all others."""
    stack, before = (np.bincount(s.record_geometry, minlength=len(s.geometries)) for s in (new, old))
    same: Flags = origin >= 0
    same[same] = stack[same] == before[origin[same]]
    ours = np.argsort(new.record_geometry, kind="stable")
    cuts, old_cuts = offsets(stack), offsets(before)
    rows = np.flatnonzero(same)
    record = ours[ranges(cuts[rows], stack[rows])]
    former = np.argsort(old.record_geometry, kind="stable")[ranges(old_cuts[origin[rows]], stack[rows])]
    equal = (new.ids[record] == old.ids[former]) & (codes[record] == theirs[former]).all(axis=1)
    equal &= always(new)[record] == always(old)[former]
    same[new.record_geometry[record[~equal]]] = False
    equal = same[new.record_geometry[record]]
    record, former = record[equal], former[equal]
    order = np.argsort(record)
    same[new.record_geometry[record[order][~ascents(former[order])]]] = False
    return same


def always(source: TileSource) -> Flags:
    """Mark the records that are drawn at every zoom."""
    return np.zeros(len(source), dtype=bool) if source.always is None else source.always
