"""What changed between two versions of a collection, item by item."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from gisservice.catalog.features import Features

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


def compare(collection: str, a: tuple[str, Features], b: tuple[str, Features]) -> Diff:
    """Compare two versions, each given as its id and its records."""
    (a_id, before), (b_id, after) = a, b
    rows = {before.item_id(row): row for row in range(before.count)}
    added: list[str] = []
    changed: dict[str, dict[str, Change]] = {}
    for row in range(after.count):
        item_id = after.item_id(row)
        former = rows.pop(item_id, None)
        if former is None:
            added.append(item_id)
            continue
        old, new = before.item(former), after.item(row)
        if old != new and (fields := _fields(old, new)):
            changed[item_id] = fields
    return Diff(collection, a_id, b_id, tuple(added), tuple(rows), changed)


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
