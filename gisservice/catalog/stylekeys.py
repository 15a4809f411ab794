"""The registry's table ``style``, of a layer and of a layer on one map: colours, names, and classes of a column."""

from __future__ import annotations

from difflib import get_close_matches
from math import inf

from gisservice.catalog.documents import Table
from gisservice.model import Column, ColumnType, Style, StyleClass, Visibility

_NUMBERS = (ColumnType.INTEGER, ColumnType.NUMBER)


def read_style(table: Table, columns: tuple[Column, ...] | None, plain: Style, has_ranges: bool = False) -> Style:
    """Read a style; what the table does not say is as in ``plain``. With ``has_ranges`` classes may be ranges.

    Raises :class:`RegistryError` for what does not fit the layer's columns.
    """
    table.only("color", "opacity", "outline", "width", "radius", "label", "by", "classes")
    by = public_column(table, "by", columns) if "by" in table.values else plain.by
    column = next((column for column in columns or () if column.name == by), None)
    return Style(
        color=table.color("color", plain.color),
        opacity=table.number("opacity", plain.opacity, 0, 1),
        outline=table.color("outline", plain.outline),
        width=table.number("width", plain.width, 0, 20),
        radius=table.number("radius", plain.radius, 0, 50),
        label=public_column(table, "label", columns) if "label" in table.values else plain.label,
        by=by,
        classes=_classes(table, column, has_ranges) if "classes" in table.values else plain.classes,
    )


def public_column(table: Table, key: str, columns: tuple[Column, ...] | None, other: str = "") -> str:
    """Return the name at ``key``, which has to be one of a declared public column."""
    name = table.text(key, None)
    public = [column.name for column in columns or () if column.visibility is Visibility.PUBLIC]
    if name not in public:
        near = get_close_matches(name, public, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f": {', '.join(public) or 'this layer has none'}."
        table.fail(key, f"was {name!r}; expected a declared public column{other}{hint}")
    return name


def _classes(style: Table, by: Column | None, has_ranges: bool) -> tuple[StyleClass, ...]:
    if by is None:
        style.fail("classes", "there is no 'by'; expected by = '…', the column these classes divide.")
    tables = style.list_of_tables("classes", 'classes = [{value = "RB", label = "Townhouse", color = "#c8a04b"}]')
    if has_ranges and any("least" in table.values for table in tables):
        return _ranges(tables, by)
    return _values(tables, by)


def _values(tables: list[Table], by: Column) -> tuple[StyleClass, ...]:
    codes = {code for code, _ in by.codes}
    seen: set[str] = set()
    for table in tables:
        table.only("value", "label", "color")
        value = table.text("value", None)
        if value in seen:
            table.fail("value", f"{value!r} has a class already; expected each value once.")
        if codes and value not in codes:
            near = get_close_matches(value, codes, n=1, cutoff=0.5)
            table.wrong("value", f"a code of column {by.name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        seen.add(value)
    return tuple(StyleClass(t.text("value"), t.text("label", t.text("value")), t.color("color")) for t in tables)


def _ranges(tables: list[Table], by: Column) -> tuple[StyleClass, ...]:
    """Read classes of a number: each from its ``least`` to below that of the next."""
    if by.type not in _NUMBERS:
        tables[0].fail("least", f"column {by.name!r} is of type {by.type.value!r}; ranges divide numbers only.")
    before = -inf
    for table in tables:
        table.only("least", "label", "color")
        table.need("least", "the smallest number of the class")
        least = table.number("least", 0.0, -1e15, 1e15)
        if least <= before:
            table.fail("least", f"was {least:g} after {before:g}; expected classes by rising numbers.")
        before = least
    return tuple(StyleClass("", t.text("label"), t.color("color"), t.number("least", 0.0, -1e15, 1e15)) for t in tables)
