"""What a picture or a map of an answer shows beside its shapes: title, classes with colours, sources and dates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gisservice.analysis import classify
from gisservice.errors import InvalidParameter, LimitExceeded
from gisservice.maps.wording import units
from gisservice.ramps import ramp

if TYPE_CHECKING:
    import geopandas

FEATURES_MAX = 100_000
"""The most features of one picture or map."""

CATEGORIES_MAX = 8
"""The most values with a colour of their own; the others are one class."""

PLAIN = "#3b6ea8"
ABSENT = "#c9c9c9"
"""Of features without a value."""

_RAMP = "viridis_r"
_CATEGORY_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#6b6b6b")
"""Told apart with any kind of colour vision (Okabe and Ito 2008)."""


@dataclass(frozen=True, slots=True)
class Class:
    """One entry of a legend."""

    label: str
    colour: str
    count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a frame: the number of each row's class, and the words around it."""

    title: str
    heading: str
    """Of the legend: the column, with its unit."""
    classes: tuple[Class, ...]
    places: npt.NDArray[np.int64]
    method: str
    sources: tuple[str, ...]
    """Collection, version and day of publication of each."""


def shown(frame: geopandas.GeoDataFrame, column: str | None, title: str | None, classes: int) -> Shown:
    """Settle what is shown. Raises :class:`InvalidParameter` for a column that is not there, LimitExceeded."""
    if len(frame) > FEATURES_MAX:
        raise LimitExceeded("A picture", len(frame), FEATURES_MAX, "features")
    if frame.crs is None:
        raise InvalidParameter("frame", "a frame without reference system", "one that states it; use set_crs")
    answer = frame.attrs.get("answer") or {"method": "", "units": {}, "sources": [frame.attrs]}
    named = [one for one in answer["sources"] if one.get("collection")]
    sources = tuple(f"{one['collection']} {one['version']} of {str(one['published'])[:10]}" for one in named)
    if column is None:
        found = (Class(f"{len(frame):,} features", PLAIN, len(frame)),)
        return Shown(title or "Features", "", found, np.zeros(len(frame), np.int64), answer["method"], sources)
    if column not in frame.columns or column == frame.geometry.name:
        names = ", ".join(str(name) for name in frame.columns if name != frame.geometry.name)
        raise InvalidParameter("column", str(column), f"one of {names}")
    unit = units(answer["units"].get(column, ""))
    heading = f"{column}, in {unit}" if unit and unit not in column.replace("_", " ") else column
    classed = column == "class_label" and "class" in frame.columns
    numbers = classed or getattr(frame[column].dtype, "kind", "O") in "iuf"
    labels, places = (_classed if classed else _graded if numbers else _named)(frame, column, classes)
    return Shown(title or column, heading, _coloured(labels, places, numbers), places, answer["method"], sources)


def _graded(frame: Any, column: str, classes: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return classes of numbers with about as many features each; where few values occur, each is a class."""
    values = frame[column]
    distinct = sorted(values.dropna().unique().tolist())
    if len(distinct) <= classes:
        places = {value: place for place, value in enumerate(distinct)}
        return [f"{value:,.6g}" for value in distinct], _numbered(values.tolist(), places)
    return _classed(classify(frame, column=column, classes=classes), column, classes)


def _classed(graded: Any, column: str, classes: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the classes that :func:`gisservice.classify` made."""
    found = graded["class"].to_numpy(np.int64, na_value=-1)
    labels = dict(zip(found.tolist(), graded["class_label"].tolist(), strict=True))
    return [labels[place] for place in sorted(labels) if place >= 0], found


def _named(frame: Any, column: str, classes: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    texts = frame[column].map(str, na_action="ignore")
    counts = texts.value_counts()
    ranked = sorted(counts.index, key=lambda text: (-counts[text], text))
    own = ranked if len(ranked) <= CATEGORIES_MAX else ranked[: CATEGORIES_MAX - 1]
    places = dict.fromkeys(ranked, len(own)) | {text: place for place, text in enumerate(own)}
    labels = [*own, *(["other values"] if len(ranked) > len(own) else [])]
    return labels, _numbered(texts.tolist(), places)


def _numbered(values: list[Any], places: dict[Any, int]) -> npt.NDArray[np.int64]:
    return np.array([places.get(value, -1) for value in values], dtype=np.int64)


def _coloured(labels: list[str], places: npt.NDArray[np.int64], numbers: bool) -> tuple[Class, ...]:
    colours = list(_CATEGORY_COLOURS[: len(labels)])
    if numbers:
        steps = np.linspace(20, 235, len(labels)).astype(int) if len(labels) > 1 else np.array([160])[: len(labels)]
        colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue, _ in ramp(_RAMP)[steps].tolist()]
    counts = [int((places == place).sum()) for place in range(len(labels))]
    found = [Class(*entry) for entry in zip(labels, colours, counts, strict=True)]
    absent = int((places < 0).sum())
    return (*found, *([Class("no value", ABSENT, absent)] if absent else []))
