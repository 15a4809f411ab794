"""Pages of shapes and letters: where PDFium puts them, in which colour, and letters of any script."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image
from pyproj import Geod

from gisservice.maps.assets import LETTERS, Assets
from gisservice.maps.canvas import Canvas
from gisservice.maps.drawnmap import Frame, VectorLayer, Words, draw_map
from gisservice.maps.lettering import Lettering, lettering
from gisservice.model import GeometryKind, Style
from gisservice.query.scenery import Scenery
from gisservice.tiles.shapes import Shapes

STATIC = Path(__file__).resolve().parents[2] / "static"


@pytest.fixture(scope="module")
def letters() -> Lettering:
    if not (STATIC / "vendor/manifest.json").is_file():
        pytest.skip("the letters are not installed (python static/install.py)")
    assets = Assets.load(STATIC)
    return lettering(tuple(STATIC / assets[name].path for name in LETTERS))


def pixels(canvas: Canvas) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(canvas.png())).convert("RGB")).astype(int)


def test_shapes_lie_where_they_are_put_with_holes_and_opacity(letters: Lettering):
    canvas = Canvas(100, 80, letters, 2)
    ring = np.array([[10, 10], [50, 10], [50, 50], [10, 50], [20, 20], [20, 40], [40, 40], [40, 20]], dtype=float)
    canvas.fill(ring, np.array([0, 4, 8]), "#ff0000", 0.5)
    canvas.stroke(np.array([[60.0, 10], [60, 70]]), np.array([0, 2]), "#0000ff", 4, closed=False)
    canvas.discs(np.array([[80.0, 40]]), 5, "#00ff00")
    seen = pixels(canvas)
    assert seen.shape == (160, 200, 3)
    assert (
        np.abs(seen[30, 30] - (255, 127, 127)).max() <= 1 and (seen[60, 60] == 255).all() and (seen[5, 5] == 255).all()
    )
    assert tuple(seen[80, 120]) == (0, 0, 255) and tuple(seen[80, 125]) == (255, 255, 255)
    assert tuple(seen[80, 160]) == (0, 255, 0) and tuple(seen[80, 172]) == (255, 255, 255)


def test_an_image_keeps_its_pixels_and_its_transparency(letters: Lettering):
    rgba = np.zeros((20, 30, 4), dtype=np.uint8)
    rgba[:10], rgba[10:] = (200, 100, 50, 255), (0, 0, 0, 0)
    canvas = Canvas(60, 40, letters, 1)
    canvas.image(rgba, 10, 5, 30, 20)
    seen = pixels(canvas)
    assert (seen[6:14, 11:39] == (200, 100, 50)).all() and (seen[16:, :] == 255).all() and (seen[:, 41:] == 255).all()


def test_thin_lines_are_light_on_pixels_and_thin_in_print(letters: Lettering):
    canvas = Canvas(20, 20, letters, 1)
    canvas.stroke(np.array([[0.0, 10.5], [20, 10.5]]), np.array([0, 2]), "#000000", 0.25, closed=False)
    assert pixels(canvas)[10, 10].tolist() == pytest.approx([191] * 3, abs=3)


@pytest.mark.parametrize(
    "text", ["", " ", "Zürich №1", "Ωμέγα", "Привет", "አማርኛ", "العربية", "日本", "🏙 a\u0301\u202e"]
)
def test_letters_of_any_script_are_drawn_or_boxes(letters: Lettering, text: str):
    canvas = Canvas(200, 40, letters, 1)
    canvas.text(text, 5, 25, 16, "#000000", "#ffff00")
    assert (pixels(canvas) < 128).any() == bool(text.strip())
    assert canvas.pdf(text) == canvas.pdf(text)
    document = pypdfium2.PdfDocument(canvas.pdf(text))
    assert document.get_metadata_dict()["Title"] == text


def test_what_has_letters_is_known(letters: Lettering):
    assert letters.has("Zürich 'Ω' Я አ Ệ") and not letters.has("a 日") and not letters.has("ع")
    assert letters.width("iiii", 10) < letters.width("MMMM", 10)
    assert letters.wrapped("one two three", 10, letters.width("one two", 10) + 0.1) == ["one two", "three"]
    assert letters.wrapped("x" * 500, 10, 100)[0].count("x") < 30


def test_a_frame_reckons_the_scale_on_the_ellipsoid():
    frame = Frame.around((-77.05, 38.81), 15, 800, 600)
    assert frame.zoom == 15 and frame.left == int(frame.left)
    west, _, east, _ = frame.bbox
    ground = Geod(ellps="WGS84").inv(-77.05, 38.81, -77.049, 38.81)[2]
    assert frame.ground_m == pytest.approx(ground / 0.001 * (east - west) / 800, rel=1e-4)


def test_what_is_far_larger_than_the_picture_is_cut_and_fills_it(letters: Lettering):
    z = 16
    frame = Frame.around((-77.05, 38.81), 21, 200, 150)
    unit = (4096 << z) / frame.world
    x, y = int((frame.left + 100) * unit), int((frame.top + 75) * unit)
    far = 3_000_000
    xy = np.array([[x - far, y - far], [x + far, y - far], [x + far, y + far], [x - far, y + far]])
    shapes = Shapes(GeometryKind.POLYGON, xy, np.array([0, 4]), np.array([0, 1]), np.array([True]))
    found = Scenery(GeometryKind.POLYGON, z, shapes, np.array([0]), ("A name",))
    layer = VectorLayer(found, Style(color="#ff0000", opacity=1.0, label="name"), 1.0)
    seen = pixels(draw_map(frame, [layer], Words("Title", ("Line",)), letters, 1))
    assert (seen[5, 5] == (255, 0, 0)).all() and (seen[60, 180] == (255, 0, 0)).all()
    named = pixels(draw_map(frame, [layer], Words("", ()), letters, 1))
    assert (named[:, 40:160] < 60).all(axis=-1).sum() > 20, "the name in the middle"
