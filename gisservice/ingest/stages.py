"""What each step of ingest hands to the next: a reading, a projection, a report, clean records.

Rows are counted from 0 inside and from 1 in what people read. Every geometry array has one shapely geometry, or
None, for each row of its table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gisservice.catalog import Records
from gisservice.crs import CRS, Reprojection
from gisservice.model import Column, Finding, GeometryKind, Operation, Provenance, Quality

Progress = Callable[[str, int, int], None]
"""Called with the step, how much of it is done and how much there is; 0 where nobody knows yet."""

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Shapes = npt.NDArray[Any]

RECORDS_NAMED = 100
"""A finding names at most this many of the records concerned."""


class Verdict(StrEnum):
    """What becomes of the records of a flaw."""

    REFUSE = "refuse"
    REPAIR = "repair"
    NOTE = "note"


@dataclass(frozen=True)
class Flaw:
    """One thing wrong with some rows. ``message`` never holds a value of a column that is not public."""

    code: str
    message: str
    rows: Rows
    verdict: Verdict

    def finding(self, labels: Sequence[str]) -> Finding:
        """Return it as it is kept and shown, the rows by their labels."""
        named = tuple(labels[row] for row in self.rows[:RECORDS_NAMED])
        return Finding(self.code, self.message, len(self.rows), named)


@dataclass(frozen=True)
class Reading:
    """A source as it was read: nothing changed but names; columns nobody may see are already gone.

    ``table`` has the columns under their published names, with the source's types. ``columns`` are their
    declarations, in order; an undeclared source's are made up from what it holds.
    """

    table: pa.Table
    geometry: Shapes
    crs: CRS
    columns: tuple[Column, ...]
    provenance: Provenance
    flaws: tuple[Flaw, ...] = ()
    noted: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Span:
    """The consecutive rows that came from one source: its CRS and the box of each row in it, shape (n, 4)."""

    crs: CRS
    bounds: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Projection:
    """Readings of all sources of a layer, one below the other, in the storage CRS and in CRS84.

    ``serving`` leads from the storage CRS to CRS84. ``spans`` has one entry for each source, in order.
    """

    table: pa.Table
    geometry: Shapes
    lonlat: Shapes
    crs: CRS
    serving: Reprojection
    spans: tuple[Span, ...]
    columns: tuple[Column, ...]
    provenance: tuple[Provenance, ...]
    operations: tuple[Operation, ...]
    flaws: tuple[Flaw, ...] = ()
    noted: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it: the names of its sources."""
        return ", ".join(dict.fromkeys(item.source for item in self.provenance))


@dataclass(frozen=True)
class Report:
    """What validation saw. ``kind`` is the layer's, declared or by majority; ``labels`` name the rows to people.

    Rows of different refusals do not overlap: each record is refused for the first reason found.
    """

    kind: GeometryKind
    id_column: str | None
    labels: Sequence[str]
    flaws: tuple[Flaw, ...]
    noted: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything seen, in the order it was looked for."""
        return (*(flaw.finding(self.labels) for flaw in self.flaws), *self.noted)

    def rows(self, verdict: Verdict, count: int) -> Mask:
        """Return a mask over ``count`` rows of those with a flaw of this verdict."""
        mask = np.zeros(count, dtype=bool)
        for flaw in self.flaws:
            if flaw.verdict is verdict:
                mask[flaw.rows] = True
        return mask


@dataclass(frozen=True)
class Standard:
    """Records as they will be published, and the account of what was done to them."""

    records: Records
    columns: tuple[Column, ...]
    """The public ones, the id column among them."""
    id_column: str
    quality: Quality
