"""The part of the registry that says what the report of a place holds, and which days are holidays."""

from __future__ import annotations

import calendar
import string

from gisservice.catalog.documents import Table
from gisservice.catalog.stylekeys import public_column
from gisservice.model import GeometryKind, Holiday, HolidayShift, Layer, ReportKind, ReportLine, Visibility

WEEKDAYS = tuple(name.lower() for name in calendar.day_name)

FOUND = {
    ReportKind.WITHIN: (),
    ReportKind.NEAREST: ("distance_ft", "distance_m", "way"),
    ReportKind.SCHEDULE: ("weekday", "next"),
}
"""What a sentence may name beside the columns of its layer."""


def report_lines(top: Table, layers: tuple[Layer, ...]) -> tuple[ReportLine, ...]:
    """Read the ``[[report]]`` tables; none is an empty report."""
    if "report" not in top.values:
        return ()
    by_id = {layer.id: layer for layer in layers if layer.geometry is not GeometryKind.RASTER}
    lines: list[ReportLine] = []
    for table in top.list_of_tables("report", "[[report]] with id, layer, kind and sentence"):
        line = _line(table, by_id)
        if any(line.id == other.id for other in lines):
            table.fail("id", f"{line.id!r} is there more than once; expected each id once.")
        lines.append(line)
    return tuple(lines)


def _line(table: Table, layers: dict[str, Layer]) -> ReportLine:
    table.only("id", "title", "layer", "kind", "sentence", "absent", "everywhere", "only", "weekday", "shift")
    kind = table.choice("kind", ReportKind)
    layer = layers[table.one_of("layer", list(layers), "a declared layer of points, lines or polygons")]
    if kind is not ReportKind.NEAREST and layer.geometry is not GeometryKind.POLYGON:
        table.fail("layer", f"{layer.id!r} is of {layer.geometry}s; expected a layer of polygons for {kind.value!r}.")
    public = [column.name for column in layer.columns or () if column.visibility is Visibility.PUBLIC]
    weekday = table.one_of("weekday", public, "a public column") if "weekday" in table.values else None
    if (weekday is not None) != (kind is ReportKind.SCHEDULE):
        table.fail(None, "a schedule, and nothing else, has 'weekday', the column with the day of the week.")
    return ReportLine(
        id=table.text("id", None),
        title=table.text("title", None),
        layer=layer.id,
        kind=kind,
        columns=_named(table, public, kind),
        sentence=table.text("sentence", None),
        absent=table.text("absent"),
        everywhere=table.flag("everywhere", False),
        only=_only(table, layer, kind),
        weekday=weekday,
        shift=table.choice("shift", HolidayShift, HolidayShift.NONE),
    )


def _only(line: Table, layer: Layer, kind: ReportKind) -> tuple[str, tuple[str, ...]] | None:
    """Return the column and the values that the nearest record has to have; None where any record will do."""
    if "only" not in line.values:
        return None
    if kind is not ReportKind.NEAREST:
        line.fail("only", f"it chooses among the nearest; a line of kind {kind.value!r} has no such choice.")
    table = line.table("only", "only = {column = 'kind', values = ['Park']}")
    table.only("column", "values")
    name = public_column(table, "column", layer.columns)
    values = table.need("values", "a list of values in quotes, such as ['Park', 'Playground']")
    if not isinstance(values, list) or not values or not all(isinstance(value, str) and value for value in values):
        table.wrong("values", "a list of values in quotes, such as ['Park', 'Playground']")
    codes = [code for column in layer.columns or () if column.name == name for code, _ in column.codes]
    for value in values:
        if codes and value not in codes:
            table.fail("values", f"{value!r} is no code of column {name!r}; they are {', '.join(codes[:20])}.")
    return name, tuple(values)


def _named(table: Table, public: list[str], kind: ReportKind) -> tuple[str, ...]:
    """Return the columns that the sentence names, each once, in their order; refuse what cannot be filled in."""
    sentence = table.text("sentence", None, "a sentence such as 'The zone is {zoning} ({zoning_meaning}).'")
    known = [*public, *(f"{name}_meaning" for name in public), *FOUND[kind]]
    try:
        pieces = list(string.Formatter().parse(sentence))
    except ValueError:
        table.wrong("sentence", "a sentence whose braces are names of columns")
    columns: list[str] = []
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if name not in known or form or conversion:
            table.fail("sentence", f"{{{name}}} cannot be filled in; expected one of {', '.join(known)}.")
        column = name if name in public else name.removesuffix("_meaning")
        if column in public and column not in columns:
            columns.append(column)
    return tuple(columns)


def holidays(top: Table) -> tuple[Holiday, ...]:
    """Read the ``[[holidays]]`` tables."""
    if "holidays" not in top.values:
        return ()
    return tuple(_holiday(table) for table in top.list_of_tables("holidays", "[[holidays]] with name, month and day"))


def _holiday(table: Table) -> Holiday:
    table.only("name", "month", "day", "weekday", "nth")
    table.need("month", "a whole number from 1 to 12")
    month = table.whole("month", 1, 12)
    assert month is not None
    if "day" in table.values:
        if "weekday" in table.values or "nth" in table.values:
            table.fail(None, "has 'day' and 'weekday' or 'nth'; expected 'day', or 'weekday' and 'nth'.")
        return Holiday(table.text("name", None), month, day=table.whole("day", 1, calendar.monthrange(2023, month)[1]))
    table.need("nth", "which of these weekdays in the month, from 1 to 4, or -1 for the last")
    nth = table.whole("nth", -1, 4)
    if nth == 0:
        table.wrong("nth", "which of these weekdays in the month, from 1 to 4, or -1 for the last")
    weekday = WEEKDAYS.index(table.one_of("weekday", WEEKDAYS, "a day of the week in small letters"))
    return Holiday(table.text("name", None), month, weekday=weekday, nth=nth)
