"""Which columns of a source are taken, and what they are called when published.

Columns are chosen before their values are read. One that nobody may see is never taken, so no later step can let
it out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import orjson
import pyarrow as pa

from gisservice.errors import SourceError
from gisservice.model import Column, ColumnType, Finding, Visibility

_NAME_LENGTH_MAX = 63
_RESERVED = ("geometry", "bbox")


@dataclass(frozen=True)
class Selection:
    """The columns taken: source name to published name, in published order."""

    names: dict[str, str]
    noted: tuple[Finding, ...] = ()

    def apply(self, table: pa.Table) -> pa.Table:
        """Return the columns taken, under their published names."""
        return table.select(list(self.names)).rename_columns(list(self.names.values()))


def select(available: Sequence[str], declared: tuple[Column, ...] | None, name: str) -> Selection:
    """Choose from a source's columns those that are declared, or all when nothing is declared.

    Names are compared exactly first, then without regard to case. Raises :class:`SourceError` for a declared
    column that the source ``name`` does not have; a missing column that nobody may see is no loss.
    """
    if declared is None:
        return _all(available)
    names: dict[str, str] = {}
    forbidden: set[str] = set()
    for column in declared:
        found = _find(available, column, name)
        if column.visibility is Visibility.NEVER:
            forbidden.update(other for other in available if other.casefold() == column.source.casefold())
        elif found is None:
            near = get_close_matches(column.source, available, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(available)}."
            raise SourceError(
                f"{name} has no column {column.source!r} (declared as {column.name!r}); {hint}", source=name
            )
        else:
            names[found] = column.name
    rest = [other for other in available if other not in names and other not in forbidden]
    return Selection(names, (_undeclared(rest),) if rest else ())


def _find(available: Sequence[str], column: Column, name: str) -> str | None:
    source = column.source or column.name
    if source in available:
        return source
    alike = [other for other in available if other.casefold() == source.casefold()]
    if len(alike) > 1 and column.visibility is not Visibility.NEVER:
        raise SourceError(
            f"{name} has the columns {', '.join(alike)}, which differ in case only, and none is written "
            f"{source!r} as declared; write one of them.",
            source=name,
        )
    return alike[0] if alike else None


def _undeclared(names: list[str]) -> Finding:
    shown = ", ".join(name[:63] for name in names[:100])
    return Finding(
        "undeclared-columns", f"Source columns that are not declared are not published: {shown}.", len(names)
    )


def _all(available: Sequence[str]) -> Selection:
    names: dict[str, str] = {}
    taken = set(_RESERVED)
    for position, source in enumerate(available, start=1):
        plain = _plain(source) or f"column_{position}"
        published, again = plain, 2
        while published.casefold() in taken:
            published, again = f"{plain[: _NAME_LENGTH_MAX - 5]}_{again}", again + 1
        taken.add(published.casefold())
        names[source] = published
    renamed = [f"{source[:63]!r} is {published!r}" for source, published in names.items() if source != published]
    if not renamed:
        return Selection(names)
    message = f"Columns were renamed to plain names: {', '.join(renamed[:100])}."
    return Selection(names, (Finding("renamed-columns", message, len(renamed)),))


def _plain(name: str) -> str:
    """Return a name of ASCII letters, digits and underscores that begins with a letter; perhaps empty."""
    words = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
    return (words if words[:1].isalpha() else f"c_{words}" if words else "")[:_NAME_LENGTH_MAX]


def plain_types(table: pa.Table) -> tuple[pa.Table, tuple[Finding, ...]]:
    """Return the table with plain types alone: text, whole numbers, numbers, truth, days, times.

    Lists and structures become JSON text; columns of bytes are left out, with a finding.
    """
    columns, names, left_out = [], [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        simple = _simple(column)
        if simple is None:
            left_out.append(name)
        else:
            columns.append(simple)
            names.append(name)
    plain = pa.table(columns, names=names) if columns else table.select([])
    if not left_out:
        return plain, ()
    message = f"Columns of bytes are not published: {', '.join(left_out)}."
    return plain, (Finding("binary-columns", message, len(left_out)),)


def _simple(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _simple(column.cast(kind.value_type))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return None
    if pa.types.is_nested(kind):
        texts = [None if value is None else _json(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, type=pa.string())])
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return column
    if pa.types.is_date(kind):
        return column.cast(pa.date32())
    return column.cast(pa.string())


def _json(value: object) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def describe(table: pa.Table, *, texts_may_be_numbers: bool) -> tuple[Column, ...]:
    """Make up the columns of an undeclared source from its types.

    In a format that has no types (CSV), a column is of numbers where every text in it is one.
    """
    return tuple(
        Column(name, _type(column, texts_may_be_numbers), source=name)
        for name, column in zip(table.column_names, table.columns, strict=True)
    )


def _type(column: pa.ChunkedArray, texts_may_be_numbers: bool) -> ColumnType:
    kind = column.type
    if pa.types.is_integer(kind):
        return ColumnType.INTEGER
    if pa.types.is_floating(kind):
        return ColumnType.NUMBER
    if pa.types.is_boolean(kind):
        return ColumnType.BOOLEAN
    if pa.types.is_date(kind):
        return ColumnType.DATE
    if pa.types.is_timestamp(kind):
        return ColumnType.DATETIME
    if texts_may_be_numbers:
        return _type_of_texts(column)
    return ColumnType.STRING


def _type_of_texts(column: pa.ChunkedArray) -> ColumnType:
    """Return what all texts of a column can be. A leading zero makes a code, such as a postcode, not a number."""
    texts = [text.strip() for text in column.unique().to_pylist() if text is not None and text.strip()]
    if texts and all(re.fullmatch(r"0|[+-]?[1-9][0-9]{0,17}", text) for text in texts):
        return ColumnType.INTEGER
    if texts and all(re.fullmatch(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", text) for text in texts):
        return ColumnType.NUMBER
    return ColumnType.STRING
