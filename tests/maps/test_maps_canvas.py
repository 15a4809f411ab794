"""Pages of shapes and letters: where PDFium puts them, in which colour, and letters of any script."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import uharfbuzz
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont
from PIL import Image
from pyproj import Geod

from gisservice.maps.assets import LETTERS, Assets
from gisservice.maps.canvas import Canvas
from gisservice.maps.drawnlegend import LayerLegend, draw_legend
from gisservice.maps.drawnmap import Frame, VectorLayer, Words, draw_map
from gisservice.maps.languages import LANGUAGES
from gisservice.maps.lettering import Lettering, Outline, lettering
from gisservice.model import GeometryKind, Style, StyleClass
from gisservice.query.scenery import Scenery
from gisservice.tiles.shapes import Shapes

STATIC = Path(__file__).resolve().parents[2] / "static"


@pytest.fixture(scope="module")
def letters() -> Lettering:
    if not (STATIC / "vendor/manifest.json").is_file():
        pytest.skip("the letters are not installed (python static/install.py)")
    assets = Assets.load(STATIC)
    return lettering(tuple(STATIC / assets[name].path for name in LETTERS))


def outline_box(line: Outline) -> tuple[float, ...]:
    pen, numbers = BoundsPen(None), iter(line.points.tolist())
    takes = {"m": (pen.moveTo, 1), "l": (pen.lineTo, 1), "c": (pen.curveTo, 3), "h": (pen.closePath, 0)}
    for operator in line.form.replace("%d", "").split():
        take, count = takes[operator]
        take(*(next(numbers) for _ in range(count)))
    return pen.bounds


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
    canvas.text(letters.line(text), 5, 25, 16, "#000000", "#ffff00")
    assert (pixels(canvas) < 128).any() == bool(text.strip())
    assert canvas.pdf(text) == canvas.pdf(text)
    document = pypdfium2.PdfDocument(canvas.pdf(text))
    assert document.get_metadata_dict()["Title"] == text


def test_what_has_letters_is_known(letters: Lettering):
    assert letters.has("Zürich 'Ω' Я አ Ệ ع \u2068x\u2069") and not letters.has("a 日")
    assert letters.line("iiii").width(10) < letters.line("MMMM").width(10)
    whole = letters.line("one two").width(10)
    assert [line.width(10) for line in letters.lines("one two three", 10, whole + 0.1)] == [
        letters.line(text).width(10) for text in ("one two", "three")
    ]
    cut, rest = letters.lines(f"{'x' * 500} y", 10, 100)
    assert 90 < cut.width(10) <= 100 and rest.width(10) == letters.line("y").width(10)


@pytest.mark.parametrize(
    ("text", "script"),
    [("مدينة الإسكندرية", "arabic"), ("لا بُدَّ", "arabic"), ("የጎርፍ ክልሎች", "ethiopic"), ("AVAÉ", "latin")],
)
def test_letters_are_joined_and_placed_as_harfbuzz_does(letters: Lettering, text: str, script: str):
    """The oracle: HarfBuzz, asked for the glyphs of each word in the one font that has them."""
    font = TTFont(STATIC / Assets.load(STATIC)[f"noto-sans-{script}.woff"].path)
    font.flavor, plain = None, io.BytesIO()
    font.save(plain)
    oracle = uharfbuzz.Font(uharfbuzz.Face(plain.getvalue()))
    names = font.getGlyphOrder()
    for word in text.split():
        buffer = uharfbuzz.Buffer()
        buffer.add_str(word)
        buffer.guess_segment_properties()
        uharfbuzz.shape(oracle, buffer)
        drawn = letters.line(word)
        assert drawn.advance == pytest.approx(sum(place.x_advance for place in buffer.glyph_positions))
        wanted, x = BoundsPen(font.getGlyphSet()), 0
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            moved = TransformPen(wanted, (1, 0, 0, 1, x + place.x_offset, place.y_offset))
            font.getGlyphSet()[names[info.codepoint]].draw(moved)
            x += place.x_advance
        assert outline_box(drawn) == pytest.approx(wanted.bounds, abs=2)
    isolated = [letters.line(letter).points for letter in text if not letter.isspace()]
    joined = np.concatenate([letters.line(word).points for word in text.split()])
    assert (len(joined) != sum(map(len, isolated))) == (script == "arabic"), "joined letters have other outlines"


def test_lines_from_the_right_stand_in_the_order_of_the_screen(letters: Lettering):
    """Arabic with a number and a name in it: parts of the line, each as it stands alone, from left to right."""
    line = letters.line("شارع 12 (King St)", 1)
    parts = [letters.line(text) for text in ("(King St)", " ", "12", " ", "شارع")]
    assert line.advance == pytest.approx(sum(part.advance for part in parts), abs=1)
    x, points = 0.0, []
    for part in parts:
        points.append(part.points + np.array([x, 0]))
        x += part.advance
    assert line.points == pytest.approx(np.concatenate(points), abs=1)


def test_a_map_from_the_right_has_its_words_on_the_right(letters: Lettering):
    frame = Frame.around((-77.05, 38.81), 15, 400, 300)
    english, arabic = (
        pixels(draw_map(frame, [], Words("Title", ("Line",), LANGUAGES[code]), letters, 1)) for code in ("en", "ar")
    )
    dark = [(seen < 90).all(axis=-1) for seen in (english, arabic)]
    halves = [(seen[180:, :200].sum(), seen[180:, 200:].sum()) for seen in dark]  # words and scale
    assert halves[0][0] > 100 and halves[0][1] == 0 and halves[1][0] == 0 and halves[1][1] > 100
    arrows = [(seen[:80, :200].sum(), seen[:80, 200:].sum()) for seen in dark]
    assert arrows[0][0] == 0 and arrows[0][1] > 50 and arrows[1][0] > 50 and arrows[1][1] == 0


def test_the_legend_tells_of_what_shows_and_stands_where_lines_begin(letters: Lettering):
    """A square of the first of two classes in the middle: its colour is explained, that of the other is not."""
    frame = Frame.around((-77.05, 38.81), 15, 600, 400)
    unit = (4096 << 16) / frame.world
    middle = np.array([(frame.left + 300) * unit, (frame.top + 200) * unit]).astype(np.int64)
    side = int(20 * unit)
    xy = middle + np.array([[-side, -side], [side, -side], [side, side], [-side, side]])
    shapes = Shapes(GeometryKind.POLYGON, xy, np.array([0, 4]), np.array([0, 1]), np.array([True]))
    red, blue, green = "#ff0000", "#0000ff", "#00ff00"
    style = Style(color=green, opacity=1.0, by="kind", classes=(StyleClass("a", "", red), StyleClass("b", "", blue)))
    told = LayerLegend("Lots", GeometryKind.POLYGON, style, "", ((red, "Houses"), (blue, "Works"), (green, "Other")))
    layer = VectorLayer(Scenery(GeometryKind.POLYGON, 16, shapes, np.array([0]), ("",)), style, 1.0, told)
    for code, side_of_legend, other in (("en", np.s_[:, :240], np.s_[:, 360:]), ("ar", np.s_[:, 360:], np.s_[:, :240])):
        seen = pixels(draw_map(frame, [layer], Words("Title", (), LANGUAGES[code]), letters, 1))
        reds, blues, greens = ((seen == color).all(axis=-1) for color in ((255, 0, 0), (0, 0, 255), (0, 255, 0)))
        assert 100 < reds[side_of_legend].sum() < 300 and not reds[other].any()
        assert not blues.any() and not greens.any()
    bare = pixels(draw_map(frame, [replace(layer, legend=None)], Words("Title", ()), letters, 1))
    assert not (bare[:, :240] == (255, 0, 0)).all(axis=-1).any()


def test_a_legend_without_room_for_all_says_so_and_a_small_picture_has_none(letters: Lettering):
    entries = tuple(("#ff0000", f"Class {number}") for number in range(60))
    told = [LayerLegend("Lots", GeometryKind.POLYGON, Style(), "", entries)]
    box = draw_legend(Canvas(600, 400, letters, 1), told, 300.0, leftward=False)
    assert box is not None and box[3] < 300
    assert draw_legend(Canvas(300, 400, letters, 1), told, 300.0, leftward=False) is None
    assert draw_legend(Canvas(600, 400, letters, 1), [], 300.0, leftward=False) is None


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
