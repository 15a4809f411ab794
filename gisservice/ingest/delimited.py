"""Reading CSV: one header row, then one record a row, the position in two columns. UTF-8."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import shapely

from gisservice import crs
from gisservice.errors import SourceError
from gisservice.ingest.formats import Dataset
from gisservice.ingest.selecting import select
from gisservice.ingest.stages import Flaw, Progress, Verdict
from gisservice.ingest.vectors import Raw
from gisservice.model import Column, Source

_DEGREES = (("longitude", "latitude"), ("lon", "lat"), ("lng", "lat"), ("long", "lat"))
_PLANE = (("x", "y"),)
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_VALUE_SHOWN = 40


def read_csv(dataset: Dataset, source: Source, declared: tuple[Column, ...] | None, progress: Progress) -> Raw:
    """Read a CSV file. Columns called longitude and latitude are degrees (OGC:CRS84); x and y say no CRS.

    A record whose position is not two numbers is refused; when most are, the file is (:class:`SourceError`).
    """
    header, delimiter = _header(dataset.path, dataset.name)
    x, y = _position_columns(header, source, dataset.name)
    wanted = {column.source.casefold() for column in declared or ()}
    attributes = [name for name in header if name not in (x, y) or name.casefold() in wanted]
    selection = select(attributes, declared, dataset.name)
    table = _rows(dataset, header, delimiter, [*dict.fromkeys([*selection.names, x, y])])
    progress("read", table.num_rows, table.num_rows)
    if not table.num_rows:
        raise SourceError(f"{dataset.name} has a header row and no records.", source=dataset.name)
    geometry, flaws = _points(table, x, y, dataset.name)
    degrees = (x.casefold(), y.casefold()) in _DEGREES
    return Raw(selection.apply(table), geometry, crs.CRS84 if degrees else None, flaws, selection.noted)


def _header(path: Path, name: str) -> tuple[list[str], str]:
    """Return the column names, and the delimiter: the one that the header row has most of."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            line = file.readline(1_000_000)
            delimiter = max(_DELIMITERS, key=line.count)
            file.seek(0)
            header = next(csv.reader(file, delimiter=delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise SourceError(
            f"{name} does not begin with a header row of UTF-8 text. Save it as UTF-8 CSV.", source=name
        ) from exc
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise SourceError(f"{name} has the column {twice[0]!r} more than once; expected different names.", source=name)
    return header, delimiter


def _position_columns(header: list[str], source: Source, name: str) -> tuple[str, str]:
    """Return the two columns that hold the position: the declared ones, or those with a usual name."""
    folded = {column.strip().casefold(): column for column in header}
    if source.x is not None and source.y is not None:
        for declared in (source.x, source.y):
            if declared.casefold() not in folded:
                raise SourceError(f"{name} has no column {declared!r}; it has: {', '.join(header)}.", source=name)
        return folded[source.x.casefold()], folded[source.y.casefold()]
    pairs = (*_PLANE, *_DEGREES) if source.crs is not None else (*_DEGREES, *_PLANE)
    for x, y in pairs:
        if x in folded and y in folded:
            return folded[x], folded[y]
    raise SourceError(
        f"{name} has no columns for the position; expected x and y, or lon and lat (also longitude and latitude), or "
        f"x = '…' and y = '…' in its declaration. It has: {', '.join(header)}.",
        source=name,
    )


def _rows(dataset: Dataset, header: list[str], delimiter: str, wanted: list[str]) -> pa.Table:
    """Read the wanted columns as text. A row with too many or too few fields has shifted values: it stops it all."""
    broken: list[pa_csv.InvalidRow] = []

    def stop(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "error"

    try:
        return pa_csv.read_csv(
            dataset.path,
            read_options=pa_csv.ReadOptions(use_threads=False, column_names=header, skip_rows=1),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=stop, ignore_empty_lines=True
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as exc:
        if broken:
            row = broken[0]
            raise SourceError(
                f"{dataset.name}: row {row.number} has {row.actual_columns} fields; expected "
                f"{row.expected_columns}, as in the header row. Is a field with a delimiter in it not in quotes?",
                source=dataset.name,
            ) from exc
        raise SourceError(
            f"{dataset.name} is not CSV in UTF-8. Save it as UTF-8 CSV.", source=dataset.name
        ) from exc  # Arrow's own words would quote the data


def _points(table: pa.Table, x: str, y: str, name: str) -> tuple[npt.NDArray[Any], tuple[Flaw, ...]]:
    texts = [[None if text is None else text.strip() for text in table.column(column).to_pylist()] for column in (x, y)]
    numbers = np.array([[_number(text) for text in column] for column in texts], dtype=np.float64)
    bad = [np.array([bool(t) for t in column]) & np.isnan(n) for column, n in zip(texts, numbers, strict=True)]
    rows = np.flatnonzero(bad[0] | bad[1]).astype(np.int64)
    geometry = np.full(table.num_rows, None, dtype=object)
    usable = ~np.isnan(numbers).any(axis=0)
    geometry[usable] = shapely.points(numbers.T[usable])
    if not len(rows):
        return geometry, ()
    which = 0 if bad[0][rows[0]] else 1
    example = (
        f"column {(x, y)[which]!r} holds {str(texts[which][rows[0]])[:_VALUE_SHOWN]!r} in row {rows[0] + 2} "
        "(the header is row 1)"
    )
    if 2 * len(rows) > table.num_rows:
        raise SourceError(
            f"{name}: {len(rows):,} of {table.num_rows:,} positions are not numbers: {example}; expected for example "
            "-77.0408. Name the right columns with x = '…' and y = '…' in the declaration.",
            source=name,
        )
    return geometry, (Flaw("bad-coordinate", f"The position is not two numbers: {example}.", rows, Verdict.REFUSE),)


def _number(text: str | None) -> float:
    return float(text) if text and _NUMBER.fullmatch(text) else float("nan")
