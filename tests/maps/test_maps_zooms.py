"""The table of zooms on a layer's page: every number of the report in words that everybody reads."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from page_factories import REPORT, make_layer_page, make_site, make_view
from test_maps_pages import Parsed

from gisservice.maps.pages import render_layer
from gisservice.maps.zooms import always_words, zoom_rows
from gisservice.model import AlwaysDrawn, GeometryKind, Layer


def rows(kind: GeometryKind = GeometryKind.POLYGON, coverage: bool = True) -> Any:
    return zoom_rows(REPORT, Layer("a", "A", kind, coverage=coverage), kind)


def test_a_zoom_is_told_in_words() -> None:
    small, deep = rows()
    assert (small.zoom, small.tiles, small.largest_bytes, small.over_budget) == (11, 2, 486_969, 1)
    assert (small.kept, small.reduced) == (27_937, 24_121)
    assert small.together == (
        "18,761 have the same place as one that is drawn",
        "451 are drawn in one shape with their neighbors",
    )
    assert small.left_out == (
        "1 is smaller than this zoom can show",
        "20 are too small to be seen",
        "4 would make a tile too large",
    )
    assert small.faults == ("0 invalid polygons", "0 m² of overlaps", "12.5 m² of gaps")
    assert (deep.zoom, deep.together, deep.left_out) == (16, (), ())


def test_words_fit_the_kind_of_layer() -> None:
    assert rows(GeometryKind.POINT, False)[0].left_out[1] == "20 are too close to one that is drawn"
    report = copy.deepcopy(REPORT)
    report["zooms"]["16"] |= {"invalid": {"before": 1, "after": 1}}
    del report["zooms"]["16"]["conflicts"]
    assert zoom_rows(report, Layer("a", "A", GeometryKind.POLYGON), GeometryKind.POLYGON)[1].faults == (
        "1 invalid polygon",
    )
    assert rows(coverage=False)[0].together[1] == "451 add their area to squares that stand for several"


def test_every_reason_has_words() -> None:
    from gisservice.tiles.account import DROPPED, MERGED

    report = copy.deepcopy(REPORT)
    report["zooms"]["11"] |= {"merged": dict.fromkeys(MERGED, 1), "dropped": dict.fromkeys(DROPPED, 2)}
    (row, _) = zoom_rows(report, Layer("a", "A", GeometryKind.LINE), GeometryKind.LINE)
    assert (len(row.together), len(row.left_out)) == (2, 4)


@pytest.mark.parametrize(
    ("always", "words"),
    [
        (None, ""),
        (AlwaysDrawn(), "All records are drawn at every zoom."),
        (AlwaysDrawn("kind", ("School",)), "Records whose kind is School are drawn at every zoom."),
        (AlwaysDrawn("kind", ("A", "B", "C")), "Records whose kind is A, B or C are drawn at every zoom."),
    ],
)
def test_what_is_always_drawn_is_said(always: Any, words: str) -> None:
    assert always_words(always) == words


def page(**changes: Any) -> Parsed:
    view = make_view()
    view = replace(view, layer=replace(view.layer, coverage=True, always_drawn=AlwaysDrawn("zoning", ("<b>",))))
    return Parsed(render_layer(replace(make_layer_page(make_site(), view), **changes)))


def test_the_page_has_a_table_with_headings_for_rows_and_columns() -> None:
    parsed = page()
    assert {"aria-labelledby": "zooms-title"} in parsed.all("section")
    text = " ".join(" ".join(parsed.visible).split())
    assert "What the map shows at each zoom" in text
    assert "a tile holds at most 500 kB" in text
    assert "Records whose zoning is <b> are drawn at every zoom." in text
    for words in ("27,937", "24,121 of them without all their fields", "12.5 m²", "0 m²", "778.9 kB", "1 larger than"):
        assert words in text
    table = [attributes for name, attributes in parsed.elements if name == "th" and attributes.get("scope") == "row"]
    assert len(table) >= len(REPORT["zooms"])


def test_a_layer_without_tiles_has_no_such_table() -> None:
    assert {"aria-labelledby": "zooms-title"} not in page(report=None).all("section")


def test_what_is_said_of_coverages_is_said_of_them_alone() -> None:
    parsed = Parsed(render_layer(make_layer_page(make_site())))
    assert "Neighbors share their borders" not in " ".join(parsed.visible)
    assert "Neighbors share their borders" in " ".join(page().visible)
