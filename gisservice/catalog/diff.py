"""What changed between two versions of a collection, item by item."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from gisservice.catalog.features import Features
from gisservice.catalog.index import Rows

Change = tuple[Any, Any]
"""The value before and the value after; None where there was or is none."""


@dataclass(frozen=True)
class Diff:
    """The difference between version ``a`` and version ``b``, public columns only.

    ``added`` and ``removed`` are item ids in the row order of ``b`` and of ``a``. ``changed`` maps the id of an item
    that both have to the fields that differ, each with its value in ``a`` and in ``b``; under ``"geometry"`` are two
    fingerprints (8 hexadecimal digits) of the published geometries. A field that one version lacks counts as null.
    """

    collection: str
    a: str
    b: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: dict[str, dict[str, Change]]


@dataclass(frozen=True)
class RowChanges:
    """Which rows differ between two versions, ``before`` and ``after``: what paging through a difference needs."""

    added: Rows
    """Rows of ``after``, ascending."""
    changed: Rows
    """Shape (k, 2): the row in ``before`` and the row in ``after``, by the latter."""
    removed: Rows
    """Rows of ``before``, ascending."""

    @property
    def count(self) -> int:
        """How many items differ."""
        return len(self.added) + len(self.changed) + len(self.removed)

    @property
    def size_bytes(self) -> int:
        """What it takes to keep."""
        return self.added.nbytes + self.changed.nbytes + self.removed.nbytes


def compare(collection: str, a: tuple[str, Features], b: tuple[str, Features]) -> Diff:
    """Compare two versions, each given as its id and its records."""
    (a_id, before), (b_id, after) = a, b
    changes = compare_rows(before, after)
    changed = {after.item_id(new): changed_fields(before, old, after, new) for old, new in changes.changed.tolist()}
    added = tuple(after.item_id(row) for row in changes.added.tolist())
    removed = tuple(before.item_id(row) for row in changes.removed.tolist())
    return Diff(collection, a_id, b_id, added, removed, changed)


def compare_rows(before: Features, after: Features) -> RowChanges:
    """Return which rows differ. Items are the same when their ids are; unchanged ones cost a comparison of bytes."""
    former = {item_id: (row, at) for row, (item_id, at) in enumerate(before.item_spans())}
    added: list[int] = []
    changed: list[tuple[int, int]] = []
    for row, (item_id, at) in enumerate(after.item_spans()):
        old_row, old_at = former.pop(item_id, (-1, at))
        if old_row < 0:
            added.append(row)
        elif (old := before.file[old_at]) != (new := after.file[at]) and _fields(old, new):
            changed.append((old_row, row))
    removed = [row for row, _ in former.values()]
    return RowChanges(
        np.array(added, dtype=np.int64), np.array(changed, dtype=np.int64).reshape(-1, 2), np.array(removed, np.int64)
    )


def changed_fields(before: Features, old: int, after: Features, new: int) -> dict[str, Change]:
    """Return the fields in which row ``old`` of a version and row ``new`` of another differ; see :class:`Diff`."""
    return _fields(before.item(old), after.item(new))


def _fields(old: bytes, new: bytes) -> dict[str, Change]:
    before, after = orjson.loads(old), orjson.loads(new)
    was, now = before["properties"], after["properties"]
    fields = {name: (was.get(name), now.get(name)) for name in {**was, **now} if _differ(was.get(name), now.get(name))}
    if before["geometry"] != after["geometry"]:
        fields["geometry"] = (_fingerprint(before["geometry"]), _fingerprint(after["geometry"]))
    return fields


def _differ(old: Any, new: Any) -> bool:
    return old != new or isinstance(old, bool) != isinstance(new, bool)  # True equals 1 to Python, not to people


def _fingerprint(geometry: Any) -> str:
    return blake2b(orjson.dumps(geometry), digest_size=4).hexdigest()
