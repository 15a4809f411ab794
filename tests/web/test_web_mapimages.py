"""Maps drawn on the server: every colour where the data and the style put it, extents, tags, refusals."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import mapbox_vector_tile
import numpy as np
import pypdfium2
import pyproj
import pytest
import shapely
from PIL import Image
from web_city import EAST, NORTH, SOUTH, STEP, WEST, City, lots_frame, publish
from werkzeug.test import Client

from gisservice.maps.assets import Assets
from gisservice.maps.contexts import Site
from gisservice.maps.drawnmap import Words
from gisservice.maps.languages import LANGUAGES
from gisservice.model import City as Town
from gisservice.model import Column, ColumnType, GeometryKind, Style, StyleClass
from gisservice.query.filter import parse_filter
from gisservice.query.scenery import scenery
from gisservice.query.tiling import TileQuery, draw_tile
from gisservice.tiles import TileCoord, matrix_set
from gisservice.tiles.grid import bounds
from gisservice.tiles.shapes import to_polygons
from gisservice.web import mapimages, wsgi_app
from gisservice.web.mapfilters import read_conditions
from gisservice.web.service import Service
from gisservice.web.tileparams import TileOptions

LAND = np.array([0xE1, 0xE7, 0xEA])
MERCATOR = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True)
CLOSE = "center=-77.0485,38.8105&zoom=17"


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])


def over(color: str, opacity: float, ground: np.ndarray) -> np.ndarray:
    return rgb(color) * opacity + ground * (1 - opacity)


class Seen:
    """A picture and where it lies, by its own headers."""

    def __init__(self, answer) -> None:
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert answer.headers["Content-Crs"] == "<http://www.opengis.net/def/crs/EPSG/0/3857>"
        self.pixels = np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGB")).astype(int)
        self.box = [float(value) for value in answer.headers["Content-Bbox"].split(",")]

    def at(self, longitude: float, latitude: float) -> np.ndarray:
        x, y = MERCATOR.transform(longitude, latitude)
        west, south, east, north = self.box
        height, width = self.pixels.shape[:2]
        return self.pixels[int((north - y) / (north - south) * height), int((x - west) / (east - west) * width)]


def middles() -> list[tuple[float, float]]:
    """Places in lots of the first column and row, a third into each: no point and no name stands there."""
    return [(WEST + (i + 1 / 3) * STEP, SOUTH + (j + 1 / 4) * STEP) for i in range(9, 14) for j in range(9, 12)]


@pytest.mark.parametrize("query", [CLOSE, f"{CLOSE}&scale=2", "bbox=-77.0512,38.8088,-77.0458,38.8122&width=900"])
def test_lots_have_the_colour_of_their_style_and_lie_where_they_are(client: Client, query: str):
    seen = Seen(client.get(f"/maps/lots.png?{query}"))
    style, shown = Style(), 0
    west, south, east, north = seen.box
    for longitude, latitude in middles():
        x, y = MERCATOR.transform(longitude, latitude)
        if west < x < east and south + (north - south) / 3 < y < north:  # above the words
            assert np.abs(seen.at(longitude, latitude) - over(style.color, style.opacity, LAND)).max() <= 1
            shown += 1
    assert shown >= 5
    border = WEST + 11 * STEP, SOUTH + 10.4 * STEP
    assert np.abs(seen.at(*border) - rgb(style.outline)).max() < 60  # an outline of one pixel may lie on two


def test_what_no_layer_covers_is_land_and_points_lie_over_lots(client: Client):
    seen = Seen(client.get(f"/maps/city.png?center={EAST},{NORTH}&zoom=16"))
    assert (seen.at(EAST + 0.001, NORTH + 0.0003) == LAND).all()
    seen = Seen(client.get(f"/maps/city.png?center={WEST + 2.5 * STEP},{SOUTH + 1.5 * STEP}&zoom=18"))
    lot, point = over(Style().color, 0.5, LAND), over(Style().color, 0.5, over(Style().color, 0.5, LAND))
    assert np.abs(seen.at(WEST + 2.5 * STEP, SOUTH + 1.5 * STEP) - point).max() <= 1
    assert np.abs(seen.at(WEST + 2.3 * STEP, SOUTH + 1.5 * STEP) - lot).max() <= 1


HILLS = """
[maps.hills]
title = "Hills"
layers = ["relief"]
relief = "relief"
"""
HILLS_LAYER = """
[layers.relief]
title = "Relief"
sources = [{path = "dem.tif"}]
geometry = "raster"
raster.unit = "metre"
"""


def test_a_map_draws_heights_as_light_and_shade_where_it_declares_so(own_city: City):
    registry = own_city.settings.registry
    registry.with_name("maps.toml").write_text(HILLS)
    registry.write_text(registry.read_text() + HILLS_LAYER)
    client = Client(wsgi_app(own_city.settings))
    page = client.get("/maps/hills").get_data(as_text=True)
    shown = json.loads(re.search(r'application/json" id="page-data">(.*?)</script>', page)[1])
    address, query = shown["layers"][0]["picture"]["url"].split("{z}/{x}/{y}.webp")
    assert query == "?render=hillshade&exaggeration=5"
    assert_drawn_as_tiles(client, "hills", address, query)
    assert "lit from the north-west" in page
    assert "lit from" not in client.get("/maps/relief").get_data(as_text=True)


def test_a_raster_has_the_pixels_of_its_tiles(client: Client):
    assert_drawn_as_tiles(client, "relief", "/tiles/relief/", "")


def assert_drawn_as_tiles(client: Client, map_id: str, address: str, query: str) -> None:
    """Compare a map of one raster with one of its tiles, exact as PNG."""
    x, y = (
        (np.floor(matrix_set("WebMercatorQuad").positions(np.array([[-77.05, 38.81]]), 14)[0] / 4096))
        .astype(int)
        .tolist()
    )
    west, south, east, north = bounds(TileCoord(14, x, y))
    tile = np.asarray(Image.open(io.BytesIO(client.get(f"{address}14/{x}/{y}.png{query}").data)).convert("RGBA"))
    middle = (west + east) / 2, np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (y + 0.5) / 2**14))))
    seen = Seen(client.get(f"/maps/{map_id}.png?center={middle[0]},{middle[1]}&zoom=14&width=256&height=256"))
    share = tile[..., 3:] / 255 * Style().opacity
    expected = tile[..., :3] * share + LAND * (1 - share)
    clear = np.s_[60:150, 20:200]  # below the arrow, above the scale bar and the words
    assert np.abs(seen.pixels[clear] - expected[clear]).max() <= 2
    assert seen.box == pytest.approx([*MERCATOR.transform(west, south), *MERCATOR.transform(east, north)], abs=0.01)


@pytest.mark.parametrize("size", [(800, 600), (300, 900), (1000, 200)])
def test_a_box_is_shown_whole_in_the_middle(client: Client, size: tuple[int, int]):
    box = (-77.055, 38.803, -77.044, 38.815)
    answer = client.get(f"/maps/city.png?bbox={','.join(map(str, box))}&width={size[0]}&height={size[1]}")
    seen = Seen(answer)
    assert seen.pixels.shape[:2] == (size[1], size[0])
    west, south = MERCATOR.transform(*box[:2])
    east, north = MERCATOR.transform(*box[2:])
    slack = [west - seen.box[0], south - seen.box[1], seen.box[2] - east, seen.box[3] - north]
    assert min(slack) > -0.01 and slack[0] == pytest.approx(slack[2], abs=0.01)
    assert slack[1] == pytest.approx(slack[3], abs=0.01) and min(slack[0], slack[1]) == pytest.approx(0, abs=0.01)
    assert (seen.box[2] - seen.box[0]) / size[0] == pytest.approx((seen.box[3] - seen.box[1]) / size[1])


def test_without_a_place_the_map_shows_all_its_layers(client: Client):
    seen = Seen(client.get("/maps/city.png"))
    corners = MERCATOR.transform([WEST, EAST], [SOUTH, NORTH])
    assert seen.box[0] <= corners[0][0] and seen.box[1] <= corners[1][0]
    assert seen.box[2] >= corners[0][1] and seen.box[3] >= corners[1][1]


def test_equal_questions_have_equal_bytes_a_tag_and_304(city: City, client: Client):
    first = client.get(f"/maps/city.png?{CLOSE}")
    again = Client(wsgi_app(city.settings)).get(f"/maps/city.png?{CLOSE}")
    assert first.data == again.data and first.headers["ETag"] == again.headers["ETag"]
    assert first.content_type == "image/png" and first.headers["Cache-Control"].startswith("public, max-age=10")
    unchanged = client.get(f"/maps/city.png?{CLOSE}", headers={"If-None-Match": first.headers["ETag"]})
    assert unchanged.status_code == 304 and not unchanged.data
    others = [f"{CLOSE}&scale=2", f"{CLOSE}&width=801", CLOSE.replace("17", "16")]
    tags = {client.get(f"/maps/city.png?{query}").headers["ETag"] for query in (CLOSE, *others)}
    assert len(tags | {client.get(f"/maps/city.pdf?{CLOSE}").headers["ETag"]}) == 5


def test_a_picture_is_drawn_once_and_anew_for_a_new_version(own_city: City, monkeypatch: pytest.MonkeyPatch):
    client = Client(wsgi_app(own_city.settings))
    drawn = []
    make = mapimages.MapPicture.make
    monkeypatch.setattr(mapimages.MapPicture, "make", lambda self: drawn.append(self) or make(self))
    first = client.get("/maps/city.png")
    assert client.get("/maps/city.png").data == first.data and len(drawn) == 1
    publish(own_city.catalog, lots_frame(200), "lots")
    second = client.get("/maps/city.png", headers={"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200 and second.data != first.data and len(drawn) == 2


def test_a_print_is_the_picture_as_vectors(client: Client):
    answer = client.get(f"/maps/city.pdf?{CLOSE}")
    assert answer.content_type == "application/pdf" and answer.data.startswith(b"%PDF-1.7")
    assert answer.data == client.get(f"/maps/city.pdf?{CLOSE}").data
    document = pypdfium2.PdfDocument(answer.data)
    page = document[0]
    assert page.get_size() == pytest.approx((600, 450))  # points: 800 and 600 pixels of 1/96 inch
    assert document.get_metadata_dict()["Title"].startswith("The city – ")
    print_pixels = page.render(scale=4 / 3).to_numpy()[:600, :800, 2::-1].astype(int)
    seen = Seen(client.get(f"/maps/city.png?{CLOSE}"))
    assert np.abs(print_pixels - seen.pixels).mean() < 3


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("width=15", "width"), ("width=4097", "width"), ("height=1e2", "height"), ("scale=3", "scale"),
        ("scale=0", "scale"), ("zoom=-1", "zoom"), ("zoom=23", "zoom"), ("zoom=nan", "zoom"), ("center=1", "center"),
        ("center=181,0", "center"), ("center=0,86", "center"), ("bbox=1,2,3", "bbox"), ("bbox=3,2,1,4", "bbox"),
        ("bbox=1,4,3,2", "bbox"), ("bbox=-181,0,0,1", "bbox"), ("bbox=0,0,inf,1", "bbox"),
        ("bbox=0,0,1e-9,1e-9", "bbox"), ("bbox=0,0,1,1&zoom=3", "zoom"), ("bbox=0,0,1,1&center=0,0", "center"),
        ("width=4096&height=4096", "pixels"), ("width=2000&height=1001&scale=2", "pixels"), ("hight=5", "height"),
        ("width=100&width=100", "width"), ("hidden=nope", "hidden"), ("hidden=", "hidden"), ("where=", "where"),
        ("where=lots", "column"), ("where=lots.zone.is.RB", "zoning"), ("where=lots.zoning.near.RB", "operators"),
        ("where=lots.zoning.is.", "characters"), ("where=lots.zoning.empty.RB", "empty"),
        ("where=lots.area.least.1e3", "decimal"), ("where=relief.a.is.1", "layer of this map"),
        ("where=" + ",".join(["lots.zoning.is.RB"] * 9), "conditions"), ("layers=lots", "layers"),
        ("lang=de", "one of en, es, am, ar"), ("lang=", "lang"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(client: Client, query: str, name: str):
    answer = client.get(f"/maps/city.png?{query}")
    assert answer.status_code == 400 and name in answer.get_json()["detail"]


def test_other_refusals(client: Client):
    for query in ("", "layers=", "layers=lots,lots", f"layers={','.join(f'a{n}' for n in range(13))}", "hidden=lots"):
        assert client.get(f"/maps.png?{query}").status_code == 400, query
    assert client.get("/maps.pdf?layers=lots,nope").status_code == 404
    assert client.get("/maps/nope.png").status_code == 404
    assert client.get("/maps/city.pdf?scale=2").status_code == 400
    assert client.get("/maps/unpublished.png").status_code == 404


@pytest.mark.parametrize("query", ["center=180,85&zoom=22", "zoom=0", "bbox=-180,-85,180,85", "center=0,0&zoom=12.345"])
@pytest.mark.parametrize("sides", ["width=16&height=16", "width=130&height=125", "width=4096&height=16"])
def test_the_ends_of_the_world_and_the_smallest_pictures(client: Client, query: str, sides: str):
    for form in ("png", "pdf"):
        assert client.get(f"/maps/city.{form}?{query}&{sides}").status_code == 200


@pytest.mark.parametrize("z", [12, 13, 14])
@pytest.mark.parametrize(("name", "where"), [("lots", None), ("places", None), ("lots", "zoning = 'RB'")])
def test_a_window_shows_what_the_tiles_show(city: City, name: str, where: str | None, z: int):
    tileset = Service.open(city.settings).tilesets.one(name)
    place = np.array([[WEST + 10 * STEP, SOUTH + 1.5 * STEP]])
    x, y = np.floor(matrix_set("WebMercatorQuad").positions(place, z)[0] / 4096).astype(int).tolist()
    condition = tileset.filter_of(TileOptions(where))
    query = TileQuery(matrix_set("WebMercatorQuad"), TileCoord(z, x, y), condition)
    stored = (
        tileset.stored(query.tile, "") if where is None else draw_tile(name, tileset.features, tileset.levels, query)
    )
    decoded = mapbox_vector_tile.decode(stored, default_options={"y_coord_down": True})
    tile = shapely.box(0, 0, 4096, 4096)
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in decoded[name]["features"]]
    found = scenery(tileset.features, tileset.levels, bounds(TileCoord(z, x, y)), z, Style(label="pid"), condition)
    moved = replace(found.shapes, xy=found.shapes.xy - np.array([x * 4096, y * 4096]))
    assert len(found.labels) == len(moved) and found.labels[0] in set(lots_frame()["pid"])
    if found.kind is GeometryKind.POLYGON:
        expected = sum(shape.intersection(tile).area for shape in shapes)
        assert shapely.area(shapely.intersection(to_polygons(moved), tile)).sum() == pytest.approx(expected, rel=1e-4)
    else:
        expected = {(point.x, point.y) for point in shapes if tile.covers(point)}
        assert {(a, b) for a, b in moved.xy.tolist() if tile.covers(shapely.Point(a, b))} == expected


def test_each_shape_is_of_the_class_of_its_record(city: City):
    tileset = Service.open(city.settings).tilesets.one("lots")
    style = Style(by="zoning", classes=(StyleClass("RB", "", "#ff0000"), StyleClass("RM", "", "#00ff00")))
    found = scenery(tileset.features, tileset.levels, (WEST, SOUTH, EAST, NORTH), 14, style)
    zoning = tileset.features.attributes.column("zoning").to_pylist()
    numbers = [{"RB": 0, "RM": 1, None: 2}[value] for value in zoning]
    assert len(set(numbers)) == 3 and sorted(found.classes.tolist()) == sorted(numbers)


def test_a_picture_shows_the_items_that_pass_and_no_hidden_layer(own_city: City):
    """The oracle: a map of layers that have these items alone, published beside those that have all."""
    few = lots_frame()[lots_frame()["zoning"] == "RB"]
    publish(own_city.catalog, few, "few")
    client = Client(wsgi_app(own_city.settings))
    items = client.get("/api/collections/lots/items?filter=zoning='RB'&limit=1000").get_json()
    assert {item["properties"]["pid"] for item in items["features"]} == set(few["pid"])
    filtered = client.get(f"/maps/city.png?{CLOSE}&where=lots.zoning.is.RB&hidden=places,unpublished")
    wanted, seen, every = (
        Seen(answer).pixels[:480, 250:]  # above the words, beside the legend
        for answer in (client.get(f"/maps/few.png?{CLOSE}"), filtered, client.get(f"/maps/lots.png?{CLOSE}"))
    )
    assert (seen == wanted).all() and (seen != every).any(axis=2).mean() > 0.05
    assert filtered.headers["ETag"] != client.get(f"/maps/city.png?{CLOSE}").headers["ETag"]


def test_chosen_layers_have_a_picture_as_a_map_of_them_has(client: Client):
    place = f"center={WEST + 2.5 * STEP},{SOUTH + 1.5 * STEP}&zoom=18"
    declared = Seen(client.get(f"/maps/city.png?{place}")).pixels[:480]
    for layers in ("lots,places", "places,lots"):  # points are above lots, whichever is named first
        assert (Seen(client.get(f"/maps.png?layers={layers}&{place}")).pixels[:480] == declared).all()
    assert client.get(f"/maps.pdf?layers=lots,places&{place}&where=lots.zoning.empty").data.startswith(b"%PDF-1.7")


def test_conditions_are_those_of_the_page_and_are_told_in_words():
    columns = {
        "lots": (
            Column("zone", ColumnType.STRING, "Zone", codes=(("RB", "Townhouse"),)),
            Column("note", ColumnType.STRING),
            Column("area", ColumnType.NUMBER, "Area", "square feet"),
            Column("built", ColumnType.DATE, "Built"),
            Column("seen", ColumnType.DATETIME, "Seen"),
            Column("flat", ColumnType.BOOLEAN, "Flat"),
        )
    }
    wanted = {
        "lots.zone.is.RB": ("\"zone\" = 'RB'", "Zone is Townhouse (RB)"),
        "lots.note.contains.5%25 o'x%2C y.z": (
            "CASEI(\"note\") LIKE CASEI('%5\\% o''x, y.z%')",
            "note contains 5% o'x, y.z",
        ),
        "lots.area.least.12000.5": ('"area" >= 12000.5', "Area is at least 12,000.5 square feet"),
        "lots.built.until.1999-12-31": ("\"built\" <= DATE('1999-12-31')", "Built is on or before December 31, 1999"),
        "lots.seen.until.2024-02-29": (
            "\"seen\" <= TIMESTAMP('2024-02-29T23:59:59.999999Z')",
            "Seen is on or before February 29, 2024",
        ),
        "lots.flat.is.true": ('"flat" = TRUE', "Flat is yes"),
        "lots.zone.empty": ('"zone" IS NULL', "Zone is not recorded"),
    }
    found = read_conditions(",".join(wanted), columns)
    site = Site(Town("Testville"), Assets({}), "")
    assert [(one.cql, one.told(site)) for one in found] == list(wanted.values())
    for one in found:
        assert parse_filter(one.cql, "cql2-text", columns["lots"]).text


LEFT = f"{CLOSE}&where=lots.zoning.is.RB"


def words_of(client: Client, monkeypatch: pytest.MonkeyPatch, query: str, accept: str = "") -> tuple[Words, str]:
    """What is written on a picture, and the language that its answer names."""
    asked: list[mapimages.MapPicture] = []
    monkeypatch.setattr(mapimages.MapPicture, "make", lambda self: asked.append(self) or b"")
    answer = client.get(f"/maps/city.png?{query}", headers={"Accept-Language": accept} if accept else {})
    assert answer.status_code == 200 and answer.headers["Vary"] == "Accept-Language"
    return asked[0].words, answer.headers["Content-Language"]


@pytest.mark.parametrize(
    ("language", "accept", "code"),
    [("lang=ar&", "", "ar"), ("", "am, en;q=0.5", "am"), ("", "", "en"), ("lang=es&", "ar", "es")],
)
def test_a_picture_speaks_the_language_of_its_page(
    own_city: City, monkeypatch: pytest.MonkeyPatch, language: str, accept: str, code: str
):
    folder = own_city.settings.registry.parent / "locale"
    folder.mkdir()
    (folder / f"{code}.po").write_text('msgid ""\nmsgstr ""\n\nmsgid "The city"\nmsgstr "Xyz"\n')
    client = Client(wsgi_app(own_city.settings))
    words, told = words_of(client, monkeypatch, f"{language}{LEFT}", accept)
    spoken = LANGUAGES[code]
    assert told == code and words.language is spoken
    assert words.title.startswith(spoken.isolated("Xyz"))
    start = spoken.text("Filter: %(conditions)s.").partition("%")[0]
    assert words.lines[0].startswith(start) and "RB" in words.lines[0]
    assert any(spoken.day(datetime.now(UTC).date())[-4:] in line for line in words.lines)


def test_each_language_has_its_own_picture(client: Client):
    answers = [client.get(f"/maps/city.{form}?{CLOSE}&lang={code}") for form in ("png", "pdf") for code in LANGUAGES]
    assert len({answer.data for answer in answers}) == len({answer.headers["ETag"] for answer in answers}) == 8
    assert b"/Lang (ar)" in answers[-1].data


RANGES = """
[maps.sizes]
title = "Sizes"
layers = ["lots"]
styles.lots = {by = "area", color = "#808080", opacity = 1, width = 0, classes = [
  {least = 20, color = "#ff0000"}, {least = 100, color = "#00ff00"},
  {least = 250.5, label = "Large", color = "#0000ff"}]}
"""


def test_a_map_draws_ranges_of_a_number_everywhere_alike(own_city: City):
    registry = own_city.settings.registry
    registry.with_name("maps.toml").write_text(RANGES)
    registry.write_text(
        registry.read_text().replace('id_column = "pid"', 'id_column = "pid"\ncolumns.area = {type = "number"}', 1)
    )
    client = Client(wsgi_app(own_city.settings))
    seen = Seen(
        client.get(f"/maps/sizes.png?center={(WEST + EAST) / 2},{(SOUTH + NORTH) / 2}&zoom=14&width=600&height=700")
    )
    areas = lots_frame()["area"].to_numpy()[: 20 * 20].reshape(20, 20)
    colors = np.array([rgb(color) for color in ("#808080", "#ff0000", "#00ff00", "#0000ff")])
    wanted = colors[np.digitize(areas, [20, 100, 250.5])]
    for row in range(4, 20):  # the words are below
        for column in range(20):
            place = WEST + (column + 0.5) * STEP, SOUTH + (row + 0.5) * STEP
            assert np.abs(seen.at(*place) - wanted[row, column]).max() <= 2, (column, row)
    (fill, _) = client.get("/maps/sizes/style.json").get_json()["layers"]
    assert fill["paint"]["fill-color"][2:] == ["#808080", 20, "#ff0000", 100, "#00ff00", 250.5, "#0000ff"]
    page = re.sub(r"\s+", " ", client.get("/maps/sizes").get_data(as_text=True))
    legend = re.findall(r"</svg> ?<span>(.*?)</span>", page)
    assert [text.strip() for text in legend] == [
        "20 to less than 100",
        "100 to less than 250.5",
        "Large",
        "Other or not recorded",
    ]


@pytest.mark.parametrize("address", ["/maps/city", "/maps?layers=places,lots"])
def test_the_page_of_a_map_links_its_print_and_names_its_picture(client: Client, address: str):
    page = client.get(address).get_data(as_text=True)
    (picture,) = re.findall(r'<meta property="og:image" content="http://localhost([^"]+)">', page)
    assert client.get(html.unescape(picture)).content_type == "image/png"
    (link,) = re.findall(r'<a href="([^"]+\.pdf[^"]*)"', page)
    assert client.get(html.unescape(link)).content_type == "application/pdf"
    page = client.get(f"{address}{'&' if '?' in address else '?'}lang=ar").get_data(as_text=True)
    for link in re.findall(r'(?:href|content|data-picture)="([^"]+\.(?:png|pdf)\b[^"]*)"', page):
        assert client.get(html.unescape(link.removeprefix("http://localhost"))).headers["Content-Language"] == "ar"
