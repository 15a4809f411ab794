"""The catalogue's records as the query room reads features: boxes, columns and an index, in memory.

So records are found by the code that finds items: boxes in any system, times, CQL2 filters, orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from gisservice.catalog import Features
from gisservice.catalog.index import build_levels
from gisservice.model import BBox, Column, ColumnType, Geometries, GeometryKind
from gisservice.web.catalogue import Entry

Rows = npt.NDArray[np.int64]

DATASET = "dataset"
"""The type of all records: each is of a layer."""

COLUMNS = (
    Column("id", ColumnType.STRING, "Identifier of the record: the id of the layer"),
    Column("type", ColumnType.STRING, "What the record describes", codes=((DATASET, "A layer"),)),
    Column("title", ColumnType.STRING, "Title of the layer"),
    Column("description", ColumnType.STRING, "What the layer holds"),
    Column("keywords", ColumnType.STRING, "Words the layer is known by, separated by commas"),
    Column("license", ColumnType.STRING, "Licence, as the registry states it"),
    Column("steward", ColumnType.STRING, "Who answers for the layer"),
    Column("items", ColumnType.INTEGER, "How many items the layer has"),
    Column("updated", ColumnType.DATETIME, "When the current version was published"),
)
"""What records can be asked for and sorted by."""

_NOWHERE: BBox = (np.inf, np.inf, -np.inf, -np.inf)
"""The box of a record without a place: it meets no other."""


class RecordTable(Features):
    """The entries of a catalogue, by row number, in the order they are given in."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self.count = len(self.entries)
        self.kind = GeometryKind.POLYGON
        boxes = [entry.bbox or _NOWHERE for entry in self.entries]
        self.boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        self.record_geometry = np.arange(self.count, dtype=np.uint32)
        self._levels = build_levels(self.boxes)

    @cached_property
    def geometries(self) -> Geometries:
        """The box of each record as a polygon; nothing for a record without a place."""
        placed = np.isfinite(self.boxes[:, 0])
        corners = self.boxes[placed][:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].reshape(-1, 2)
        count = int(placed.sum())
        starts = np.concatenate([[0], np.cumsum(placed)]).astype(np.int64)
        rings = np.arange(0, 5 * count + 1, 5, dtype=np.int64)
        return Geometries(self.kind, corners, rings, np.arange(count + 1, dtype=np.int64), starts)

    @cached_property
    def attributes(self) -> pa.Table:
        """The columns :data:`COLUMNS`, one row a record."""
        values = [_values(entry) for entry in self.entries]
        arrays = [_array(column, [row[column.name] for row in values]) for column in COLUMNS]
        return pa.table(arrays, names=[column.name for column in COLUMNS])

    def meeting(self, which: npt.NDArray[np.uint32], area: shapely.Geometry) -> npt.NDArray[np.bool_]:
        """Return which boxes intersect an area; nothing of them is kept, a table lives for one request."""
        found: npt.NDArray[np.bool_] = shapely.intersects(self.distinct_shapes(which), area)
        return found

    def meeting_box(self, which: npt.NDArray[np.uint32], bbox: BBox) -> npt.NDArray[np.bool_]:
        """Return which boxes intersect a box."""
        return self.meeting(which, shapely.box(*bbox))

    def row(self, item_id: str) -> int | None:
        """Return the row of the record with this id, or None."""
        return next((row for row, entry in enumerate(self.entries) if entry.id == item_id), None)

    def item_id(self, row: int) -> str:
        """Return the id of the record in a row."""
        return self.entries[row].id


def _values(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "type": DATASET,
        "title": entry.title,
        "description": entry.description,
        "keywords": ", ".join(entry.keywords),
        "license": entry.licence.text or None,
        "steward": entry.contact.name,
        "items": entry.collection.manifest.count if entry.has_items else None,
        "updated": entry.modified,
    }


def _array(column: Column, values: list[Any]) -> pa.Array:
    if column.type is ColumnType.DATETIME:
        return pa.array(values, pa.timestamp("us", tz="UTC"))
    if column.type is ColumnType.INTEGER:
        return pa.array(values, pa.int64())
    return pa.array(values, pa.string()).dictionary_encode()


@dataclass(frozen=True)
class Those:
    """A condition that a test on the entry decides; ``text`` is its canonical text."""

    text: str
    passes: Callable[[Entry], bool]

    def among(self, features: RecordTable, rows: Rows) -> Rows:
        """Return the rows that pass, ascending."""
        kept = [row for row in rows.tolist() if self.passes(features.entries[row])]
        return np.array(kept, dtype=np.int64)


def speaking_of(words: Sequence[str]) -> Callable[[Entry], bool]:
    """Return the test whether a record speaks of any of some words.

    Words with blanks between them are looked for together, in that order; upper and lower case are alike.
    """
    wanted = [_plain(word) for word in words]

    def passes(entry: Entry) -> bool:
        texts = [_plain(text) for text in _texts(entry)]
        return any(word in text for word in wanted for text in texts)

    return passes


def lasting(start: datetime | None, end: datetime | None) -> Callable[[Entry], bool]:
    """Return the test whether the time of a layer's items meets an interval; None is an open end.

    A layer whose items have no time passes (OGC API Features 1, /req/core/fc-time-response).
    """

    def passes(entry: Entry) -> bool:
        if entry.interval is None:
            return True
        first, last = entry.interval
        return (start is None or last >= start) and (end is None or first <= end)

    return passes


def _texts(entry: Entry) -> list[str]:
    """Return what ``q`` looks at: title, description, keywords, and the names and meanings of the fields."""
    fields = [text for column in entry.collection.manifest.columns for text in (column.name, column.meaning)]
    return [entry.title, entry.description, *entry.keywords, *fields]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
