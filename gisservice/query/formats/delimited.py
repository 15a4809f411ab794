"""A page as CSV (RFC 4180, UTF-8): columns from the schema, geometry as WKT or as two columns, no formulas.

A text that a spreadsheet would take for a formula, because it begins with ``=``, ``+``, ``-``, ``@``, a tab, a
carriage return, a line feed or a NUL, gets an apostrophe before it; numbers, dates and truth values are typed and stay
as they are. A null is an empty cell, an empty text a cell of two quotes. Cells are made column by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.catalog.layout import geometry_texts
from gisservice.model import Geometries, GeometryKind
from gisservice.query.formats.extract import Extract

_FORMULA = "^[=+\\-@\t\r\n\\x00＝＋－＠]"
"""How a text begins that a spreadsheet may run; the last four are the full-width forms, which some take as well."""

_QUOTED = '[",\r\n\\x00]|^$|^[ \t]|[ \t]$'


def encode_csv(extract: Extract) -> Iterator[bytes]:
    """Yield the extract as CSV, header first, a part of the rows in each piece.

    A layer of single points has its positions in two columns, ``lon`` and ``lat`` or ``x`` and ``y``; any other has
    a column ``WKT``. A name that the layer itself uses gets underscores before it.
    """
    names = extract.names
    positions: tuple[str, ...] = ()
    if extract.form.geometry:
        positions = position_columns(extract.features.geometries, extract.system.geographic, names)
    yield header([*names, *positions])
    for part in extract.parts():
        columns = [cells(column) for column in part.table.columns]
        if positions:
            shaped = part.shaped
            columns += geometry_cells(shaped.geometries, shaped.uses, shaped.decimals, len(positions) == 2)
        yield lines(columns, len(part))


def position_columns(geometries: Geometries, geographic: bool, taken: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns that hold the positions of a layer, none of them among those taken."""
    single = geometries.kind is GeometryKind.POINT and len(geometries.coordinates) == len(geometries)
    names: tuple[str, ...] = (("lon", "lat") if geographic else ("x", "y")) if single else ("WKT",)
    used = {name.lower() for name in taken}
    while used & {name.lower() for name in names}:
        names = tuple(f"_{name}" for name in names)
    return names


def header(names: Sequence[str]) -> bytes:
    """Return the line of column names."""
    return ",".join(text for text in _quoted(pa.array(names, _TEXT)).to_pylist()).encode() + b"\r\n"


def lines(columns: Sequence[pa.Array], count: int) -> bytes:
    """Return ``count`` rows of cells, ready but for their separators, as lines that end in CR LF."""
    if not columns:
        return b"\r\n" * count
    joined = pc.binary_join_element_wise(*columns, _one(","), null_handling="replace", null_replacement="")
    texts = joined.to_pylist()
    return "\r\n".join([*texts, ""]).encode()


def cells(column: pa.ChunkedArray) -> pa.Array:
    """Return the values of a column as the texts of its cells; null where a cell is empty."""
    texts = value_texts(column)
    return _quoted(texts) if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else texts


def value_texts(column: pa.ChunkedArray) -> pa.Array:
    """Return the values of a column as texts, as JSON writes them: what is not finite is null, times are UTC."""
    values = column.combine_chunks()
    kind = values.type
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_finite(values), values, None)
    if pa.types.is_timestamp(kind):
        instants = values.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
        return pa.array([_moment(value) for value in instants.to_pylist()], _TEXT)
    return values.cast(pa.string()).cast(_TEXT)


def geometry_cells(geometries: Geometries, uses: Any, decimals: int, as_columns: bool) -> list[pa.Array]:
    """Return the positions of rows as cells: two columns of numbers, or one of WKT."""
    if as_columns:
        rounded = np.round(geometries.coordinates[uses], decimals) + 0.0
        return [pa.array(rounded[:, axis]).cast(pa.string()).cast(_TEXT) for axis in (0, 1)]
    texts = [f'"{text}"' for text in wkt_texts(geometries, decimals)]
    return [pa.array(texts, _TEXT).take(pa.array(uses))]


def wkt_texts(geometries: Geometries, decimals: int) -> list[str]:
    """Return geometries as WKT (OGC 06-103r4, 7): their GeoJSON positions with other signs between the numbers."""
    return [_wkt(text) for text in geometry_texts(geometries, decimals)]


_SIGNS = bytes.maketrans(b"[],;", b"() ,")


def _wkt(geojson: bytes) -> str:
    name, _, positions = geojson.removeprefix(b'{"type":"').partition(b'","coordinates":')
    # A position loses its brackets: those between two go with the replacement, the first and the last by the slice.
    numbers = positions.removesuffix(b"}").replace(b"],[", b";")[1:-1]
    if name == b"Point":
        numbers = b"[%b]" % numbers
    elif name == b"MultiPoint":
        numbers = b"[%b]" % numbers.replace(b";", b"];[")
    return f"{name.decode().upper()} {numbers.translate(_SIGNS).decode()}"


_TEXT = pa.large_string()


def _quoted(texts: pa.Array) -> pa.Array:
    """Return texts as cells: no formulas, and in quotes where RFC 4180 (2.6) or an outer blank asks for them."""
    harmless = pc.if_else(
        pc.match_substring_regex(texts, _FORMULA), pc.binary_join_element_wise(_one("'"), texts, _one("")), texts
    )
    doubled = pc.replace_substring(harmless, '"', '""')
    quoted = pc.binary_join_element_wise(_one('"'), doubled, _one('"'), _one(""))
    return pc.if_else(pc.match_substring_regex(harmless, _QUOTED), quoted, harmless)


def _one(text: str) -> pa.Scalar:
    return pa.scalar(text, _TEXT)


def _moment(value: datetime | None) -> str | None:
    """Write a time as items do: in UTC, with Z; one without a zone is in UTC."""
    return None if value is None else value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
