"""Rows of a layer on their way into a format that is not JSON: their columns as a table, their geometry as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gisservice.catalog import Features
from gisservice.model import BBox, Form
from gisservice.query.shaping import Shaped, shaped
from gisservice.query.systems import System, system

ROWS_AT_ONCE = 2048
"""Rows that an encoder works on at a time: what it holds does not grow with the page."""

STORED = Form()
"""CRS84 with everything."""


@dataclass(frozen=True)
class Extract:
    """Rows of a version's records in a form; ``area`` (CRS84) is where the layer lies, for the choice of operation.

    Tables and files have x before y (longitude, easting first) in every system, whatever the authority's order: so
    the readers of these formats take it.
    """

    features: Features
    rows: npt.NDArray[np.int64]
    form: Form = STORED
    area: BBox | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def system(self) -> System:
        """The reference system of the positions."""
        return system(self.form.crs)

    @property
    def names(self) -> list[str]:
        """The names of the columns of the form, in declared order."""
        chosen = self.form.properties
        return list(self.features.attributes.column_names if chosen is None else chosen)

    @cached_property
    def table(self) -> pa.Table:
        """The columns of the form in declared order, one row an item, texts spelled out."""
        return spelled_out(self.features.attributes.select(self.names).take(pa.array(self.rows)))

    @cached_property
    def shaped(self) -> Shaped:
        """The distinct geometries, x before y, and which of them each row has.

        Raises what :func:`gisservice.query.shaping.shaped` raises.
        """
        found = shaped(self.features, self.rows, self.form, self.area)
        if not self.system.north_first:
            return found
        turned = replace(found.geometries, coordinates=np.ascontiguousarray(found.geometries.coordinates[:, ::-1]))
        return replace(found, geometries=turned)

    def parts(self) -> Iterator[Extract]:
        """Yield the same extract a few rows at a time."""
        for first in range(0, len(self.rows), ROWS_AT_ONCE):
            yield replace(self, rows=self.rows[first : first + ROWS_AT_ONCE])


def spelled_out(table: pa.Table) -> pa.Table:
    """Return a table without dictionary-encoded columns, and without the notes that pandas left in it."""
    fields = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
