"""Pictures and maps of answers: what stands on them, in the right place, and nothing that runs."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely

from gisservice import explore, plot
from gisservice.analysis import classify, state, to_geojson
from gisservice.errors import InvalidParameter, LimitExceeded

STATIC = Path(__file__).resolve().parents[2] / "static"
HOSTILE = "</script><script>alert(1)</script>{{7*7}}<b>&amp;\x00\x0b"
SVG = "{http://www.w3.org/2000/svg}"


def frame(count: int = 12, **columns: Any) -> geopandas.GeoDataFrame:
    """Squares of 100 feet in a row, in state plane feet."""
    x, y = 11_890_000.0, 6_980_000.0
    shapes = [shapely.box(x + 100 * n, y, x + 100 * (n + 1), y + 100) for n in range(count)]
    found = geopandas.GeoDataFrame(columns or {"value": np.arange(count)}, geometry=shapes, crs=2283)
    source = {"collection": "lots", "version": "v-0123456789abcdef", "published": "2026-03-01T00:00:00Z"}
    return state(found, method="Measured by hand.", units={"value": "dollar"}, sources=[source])


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def paths(svg: str) -> dict[str, str]:
    inner = next(ET.fromstring(svg).iter(f"{SVG}svg"))
    return {element.get("fill", ""): element.get("d", "") for element in inner.iter(f"{SVG}path")}


def test_a_picture_says_what_it_shows() -> None:
    picture = plot(frame(), "value", title="Values")
    found = texts(picture.svg)
    assert found[0] == "Values"
    assert "value, in dollars" in found
    assert "Measured by hand." in found
    assert "Sources: lots v-0123456789abcdef of 2026-03-01." in found
    assert "N" in found
    assert any(re.fullmatch(r"500 ft \(152 m\)|200 ft \(61 m\)", text) for text in found), found
    assert sum(int(match[1]) for text in found if (match := re.search(r"\((\d+)\)$", text))) == 12
    root = ET.fromstring(picture.svg)
    assert root.get("role") == "img" and root.find(f"{SVG}title") is not None
    assert picture._repr_svg_() == picture.svg == plot(frame(), "value", title="Values").svg


def test_shapes_lie_where_they_are() -> None:
    """Twelve squares in a row: as wide as the map but for its margin, and each as high as it is wide."""
    svg = plot(frame(), "value").svg
    squares = "".join(d for d in paths(svg).values() if d.endswith("Z") and "l" not in d)
    places = [place.split() for place in re.split("[MLZ]", squares) if place]
    numbers = np.array(places, dtype=float)
    width, height = np.ptp(numbers[:, 0]), np.ptp(numbers[:, 1])
    assert width / height == pytest.approx(12, rel=0.01)
    assert numbers[:, 0].min() > 0 and numbers[:, 0].max() < 600


def test_areas_smaller_than_a_pixel_are_seen_as_points() -> None:
    """A hundred feet in a picture of ten miles: what the legend counts is there."""
    lots = [shapely.box(x, 0, x + 100, 100) for x in (0, 20_000, 50_000)]
    svg = plot(geopandas.GeoDataFrame({"zone": ["a", "a", "b"]}, geometry=lots, crs=2283), "zone").svg
    assert len(re.findall(r"M[\d.]+ [\d.]+h0", svg)) == 2 * len(lots)  # each with a ring around it


def test_degrees_are_shown_in_the_plane() -> None:
    degrees = frame().to_crs("OGC:CRS84")
    assert len(paths(plot(degrees, "value").svg)) == len(paths(plot(frame(), "value").svg))


@pytest.mark.parametrize(
    "column",
    [
        [None] * 12,
        ["a", None] * 6,
        [HOSTILE] * 12,
        [f"kind {n}" for n in range(12)],
        [1.5, np.nan] * 6,
        [np.inf, 1.0] * 6,
        [True, False] * 6,
        [7] * 12,
    ],
    ids=str,
)
def test_any_column_can_be_shown(column: list[Any]) -> None:
    shown = frame(value=column)
    svg = plot(shown, "value", title=HOSTILE).svg
    ET.fromstring(svg)
    assert "<script" not in svg and "49" not in texts(svg)[0]
    page = explore(shown, "value", title=HOSTILE, static=STATIC).html
    assert page.count("<script") == 3
    data = re.search(r'id="answer-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["answer"] == json.loads(to_geojson(shown))


def test_empty_frames_points_lines_and_nothing() -> None:
    empty = frame().iloc[:0]
    ET.fromstring(plot(empty, "value").svg)
    explore(empty, static=STATIC)
    for shapes in (frame().centroid, frame().boundary, shapely.Point(), None):
        other = frame().set_geometry(geopandas.GeoSeries(shapes, index=range(12), crs=2283))
        ET.fromstring(plot(other, "value", background=frame()).svg)
        explore(other, "value", static=STATIC)


def test_classes_are_those_that_classify_made() -> None:
    classed = classify(frame(), column="value", method="equal interval", classes=3)
    found = texts(plot(classed, "class_label").svg)
    assert [text.split("  ")[0] for text in found if " – " in text] == classed.class_label.unique().tolist()


def test_what_cannot_be_shown_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidParameter, match="one of value"):
        plot(frame(), "valeu")
    with pytest.raises(InvalidParameter, match="set_crs"):
        plot(frame().set_crs(None, allow_override=True))
    monkeypatch.setattr("gisservice.maps.answerparts.FEATURES_MAX", 5)
    with pytest.raises(LimitExceeded):
        plot(frame())
    monkeypatch.undo()
    monkeypatch.setattr("gisservice.maps.exploring.BYTES_MAX", 5)
    with pytest.raises(LimitExceeded):
        explore(frame(), static=STATIC)


def test_a_map_asks_nobody(tmp_path: Path) -> None:
    explored = explore(frame(), "value", title="Values", background=frame(), static=STATIC)
    explored.save(tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text()
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|href)="', re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    assert not re.search(r"url\(['\"]?https?:", page)
    assert "Sources: lots v-0123456789abcdef of 2026-03-01." in page
    assert "value, in dollars" in page
    assert explored._repr_html_().startswith('<iframe srcdoc="') and 'sandbox="allow-scripts"' in explored._repr_html_()
