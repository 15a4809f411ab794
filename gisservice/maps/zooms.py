"""What a map shows at each zoom, in plain words, from the account of a layer's tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gisservice.maps.wording import number
from gisservice.model import AlwaysDrawn, GeometryKind, Layer

_WORDS = {
    "stack": ("has the same place as one that is drawn", "have the same place as one that is drawn"),
    "small": ("is drawn in one shape with its neighbors", "are drawn in one shape with their neighbors"),
    "no-geometry": ("has no position", "have no position"),
    "no-extent": ("is smaller than this zoom can show", "are smaller than this zoom can show"),
    "thinned": ("is too small to be seen", "are too small to be seen"),
    "budget": ("would make a tile too large", "would make a tile too large"),
}
_WORDS_OF_POINTS = {"thinned": ("is too close to one that is drawn", "are too close to one that is drawn")}
_WORDS_OF_LOOSE = {"small": ("adds its area to a square that stands for several",
                             "add their area to squares that stand for several")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ZoomRow:
    """One zoom as the page shows it."""

    zoom: int
    tiles: int
    bytes: int
    largest_bytes: int
    over_budget: int
    kept: int
    reduced: int
    together: tuple[str, ...]
    left_out: tuple[str, ...]
    faults: tuple[str, ...]


def zoom_rows(report: Mapping[str, Any], layer: Layer, kind: GeometryKind) -> tuple[ZoomRow, ...]:
    """Return a row for each zoom of a report (:meth:`gisservice.tiles.Report.summary`), the smallest zoom first."""
    words = (
        _WORDS | (_WORDS_OF_POINTS if kind is GeometryKind.POINT else {}) | ({} if layer.coverage else _WORDS_OF_LOOSE)
    )
    return tuple(_row(int(z), zoom, words) for z, zoom in report["zooms"].items())


def _row(z: int, zoom: Mapping[str, Any], words: Mapping[str, tuple[str, str]]) -> ZoomRow:
    return ZoomRow(
        z,
        zoom["tiles"],
        zoom["bytes"],
        zoom["largest_bytes"],
        zoom["over_budget"],
        zoom["kept"],
        zoom["reduced"],
        _phrases(zoom["merged"], words),
        _phrases(zoom["dropped"], words),
        _faults(zoom),
    )


def _faults(zoom: Mapping[str, Any]) -> tuple[str, ...]:
    invalid = zoom["invalid"]["after"]
    phrases = [f"{number(invalid)} invalid polygon{'s' * (invalid != 1)}"]
    if "conflicts" in zoom:
        overlap, gap = zoom["conflicts"]["overlap_m2"], zoom["conflicts"]["gap_m2"]
        phrases += [f"{number(overlap)} m² of overlaps", f"{number(gap)} m² of gaps"]
    return tuple(phrases)


def _phrases(counts: Mapping[str, int], words: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{number(count)} {words[reason][count != 1]}" for reason, count in counts.items())


def always_words(always: AlwaysDrawn | None) -> str:
    """Say which records are drawn at every zoom; nothing where none is named.

    >>> always_words(AlwaysDrawn("kind", ("School", "Hospital")))
    'Records whose kind is School or Hospital are drawn at every zoom.'
    """
    if always is None:
        return ""
    if always.column is None:
        return "All records are drawn at every zoom."
    first, last = always.values[:-1], always.values[-1]
    values = f"{', '.join(first)} or {last}" if first else last
    return f"Records whose {always.column} is {values} are drawn at every zoom."
