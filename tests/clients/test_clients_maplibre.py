"""MapLibre GL JS in Chromium draws our tiles from another origin and reads ids and properties back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import clients_city
import numpy as np
import pytest

pytestmark = pytest.mark.slow

RED, GREEN, ORANGE = "#d7263d", "#1b998b", "#f0a202"
WINDOW = {"width": 700, "height": 700}
EVERYTHING, CLOSE = 14.4, 16
"""Zooms at which the window shows the whole city, and a part of it with every record."""

Draw = Callable[..., Any]


@pytest.fixture
def draw(browser, page_address: str, city) -> Iterator[Draw]:
    """Draws a style around the city's centre in a new page; afterwards nothing may have gone wrong in the page."""
    context = browser.new_context(viewport=WINDOW)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("console", lambda message: message.type in ("error", "warning") and faults.append(message.text))
    page.on("requestfailed", lambda request: faults.append(f"{request.url}: {request.failure}"))
    page.on("response", lambda answer: answer.status >= 400 and faults.append(f"{answer.url}: {answer.status}"))
    page.on("request", lambda request: watch(request.url, (city.address, page_address), faults))

    def show(style: Any, zoom: float, side: int = WINDOW["width"]) -> Any:
        page.set_viewport_size({"width": side, "height": side})
        page.goto(page_address)
        page.wait_for_selector("body[data-ready]")
        page.evaluate("([style, center, zoom]) => draw(style, center, zoom)", [style, clients_city.centre(), zoom])
        return page

    yield show
    context.close()
    assert faults == []


def watch(url: str, allowed: tuple[str, str], faults: list[str]) -> None:
    origins = tuple("/".join(address.split("/")[:3]) + "/" for address in allowed)
    if not url.startswith((*origins, "data:", "blob:")):
        faults.append(f"request to another host: {url}")


def style(city, *names: str, **sources: dict[str, Any]) -> dict[str, Any]:
    """A style as a developer writes it by hand from the addresses of TileJSON; ``sources`` replace those."""
    zones = ["match", ["get", "zoning"], "RED", RED, "GREEN", GREEN, "#999999"]
    layers = {
        "districts": {"type": "line", "paint": {"line-color": "#334e68", "line-width": 2}},
        "lots": {"type": "fill", "paint": {"fill-color": zones, "fill-antialias": False}},
        "streets": {"type": "line", "paint": {"line-color": "#222222"}},
        "places": {"type": "circle", "paint": {"circle-color": ORANGE, "circle-radius": 8}},
    }
    described = {name: {"url": f"{city.address}/tiles/{name}.json"} for name in names}
    return {
        "version": 8,
        "sources": {name: {"type": "vector", **source} for name, source in {**described, **sources}.items()},
        "layers": [{"id": name, "source": name, "source-layer": name, **layers[name]} for name in names],
    }


def read_back(page, layer: str) -> dict[Any, dict[str, Any]]:
    """What MapLibre has on the screen in the style's layer of this name: properties by id; the same in every tile."""
    found: dict[Any, dict[str, Any]] = {}
    for feature in page.evaluate("ask()"):
        if feature["layer"] == layer:
            assert found.setdefault(feature["id"], feature["properties"]) == feature["properties"]
    return found


@pytest.mark.parametrize("layer", ["lots", "districts", "streets", "places"])
def test_ids_and_properties_are_those_of_the_items(draw: Draw, city, layer: str) -> None:
    page = draw(style(city, layer), CLOSE)
    west, south, east, north = page.evaluate("map.getBounds().toArray().flat()")
    items = city.items(layer, f"limit=10000&bbox={west},{south},{east},{north}")
    found = read_back(page, layer)
    key = city.catalog.collection(layer).manifest.id_column
    assert {str(properties[key]): properties for properties in found.values()} == items
    assert len(found) == len(items) > 0
    if layer in ("districts", "streets"):
        assert {str(number) for number in found} == set(items)


def test_a_stack_is_one_shape_at_small_scale_and_every_record_at_large(draw: Draw, city) -> None:
    where = list(clients_city.centre())
    page = draw(style(city, "lots"), EVERYTHING)
    (shown,) = page.evaluate("where => ask(where)", where)
    assert shown["properties"]["stack"] == 3
    assert len(read_back(page, "lots")) == clients_city.SIDE**2
    page = draw(style(city, "lots"), CLOSE)
    stacked = page.evaluate("where => ask(where)", where)
    assert {feature["properties"]["pid"] for feature in stacked} == {"10.10-Ä", "10.10 unit 2", "10.10 unit 3"}
    assert len({feature["id"] for feature in stacked}) == 3


def test_all_layers_are_drawn_where_they_lie(draw: Draw, city) -> None:
    page = draw(style(city, "districts", "lots", "streets", "places"), CLOSE)
    assert colour(page, 9.5, 10.4) == RED
    assert colour(page, 10.5, 10.4) == GREEN
    assert colour(page, 11.5, 10.4) == "#999999"
    assert colour(page, 12.5, 9.5) == ORANGE
    assert {"districts", "lots", "streets", "places"} <= {f["sourceLayer"] for f in page.evaluate("ask()")}


def test_the_style_of_the_map_draws_all_its_layers(draw: Draw, city) -> None:
    page = draw(f"{city.address}/maps/city/style.json", CLOSE)
    assert colour(page, 9.5, 10.4) == RED
    assert colour(page, 10.5, 10.4) == GREEN
    assert colour(page, 12.5, 9.5) == ORANGE
    for layer in ("districts", "lots", "streets", "places"):
        assert read_back(page, layer)


@pytest.mark.parametrize("layer", ["lots", "districts", "streets", "places"])
def test_the_style_of_a_layer_draws_every_record(draw: Draw, city, layer: str) -> None:
    page = draw(f"{city.address}/tiles/{layer}/style.json", CLOSE)
    west, south, east, north = page.evaluate("map.getBounds().toArray().flat()")
    items = city.items(layer, f"limit=10000&bbox={west},{south},{east},{north}")
    key = city.catalog.collection(layer).manifest.id_column
    assert {str(properties[key]) for properties in read_back(page, layer).values()} == set(items)


def test_a_filter_and_a_choice_of_properties_reach_the_map(draw: Draw, city) -> None:
    chosen = "filter=zoning%20%3D%20'RED'%20AND%20vacant%20%3D%20TRUE"
    page = draw(style(city, "lots", lots={"url": f"{city.address}/tiles/lots.json?{chosen}&properties=pid"}), CLOSE)
    west, south, east, north = page.evaluate("map.getBounds().toArray().flat()")
    items = city.items("lots", f"limit=10000&bbox={west},{south},{east},{north}&{chosen}")
    found = read_back(page, "lots")
    assert sorted(properties["pid"] for properties in found.values()) == sorted(items)
    assert {tuple(properties) for properties in found.values()} == {("pid",)}


def test_one_source_carries_several_layers(draw: Draw, city) -> None:
    document = style(city, "lots", "places", lots={"url": f"{city.address}/tiles/lots,places.json"})
    document["layers"][1]["source"] = "lots"
    del document["sources"]["places"]
    page = draw(document, CLOSE)
    assert colour(page, 9.5, 10.4) == RED
    assert colour(page, 12.5, 9.5) == ORANGE
    assert len(read_back(page, "places")) > 0


def test_zooms_past_the_archive_are_drawn_on_request(draw: Draw, city) -> None:
    deep = {"tiles": [f"{city.address}/tiles/lots/{{z}}/{{x}}/{{y}}.mvt"], "minzoom": 12, "maxzoom": 22}
    page = draw(style(city, "lots", lots=deep), 20)
    stacked = {"10.10-Ä", "10.10 unit 2", "10.10 unit 3"}
    assert {properties["pid"] for properties in read_back(page, "lots").values()} == stacked


def test_the_addresses_of_ogc_api_tiles(draw: Draw, city) -> None:
    template = f"{city.address}/api/collections/lots/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}"
    page = draw(style(city, "lots", lots={"tiles": [template], "minzoom": 12, "maxzoom": 16}), EVERYTHING)
    assert len(read_back(page, "lots")) == clients_city.SIDE**2


def test_an_archive_is_read_by_the_browser_itself(draw: Draw, city) -> None:
    archive = {"url": f"pmtiles://{city.address}/tiles/lots.pmtiles"}
    page = draw(style(city, "lots", lots=archive), EVERYTHING)
    assert len(read_back(page, "lots")) == clients_city.SIDE**2
    assert colour(page, 9.5, 10.4) == RED


@pytest.mark.parametrize("encoding", ["terrain-rgb", "terrarium"])
def test_ground_from_colours_has_the_heights_of_the_raster(draw: Draw, city, encoding: str) -> None:
    """The relief is measured in feet; MapLibre says how many metres high places are. A small window: it is costly."""
    ground = {"type": "raster-dem", "url": f"{city.address}/tiles/relief.json?render={encoding}"}
    plain = {"id": "plain", "type": "background", "paint": {"background-color": "#ffffff"}}
    terrain = {"source": "ground", "exaggeration": 1}
    page = draw({"version": 8, "sources": {"ground": ground}, "layers": [plain], "terrain": terrain}, 13, side=128)
    places = [(column, row) for column in range(7, 14, 2) for row in range(7, 14, 2)]
    asked = [list(clients_city.lonlat(*place)) for place in places]
    found = np.array(page.evaluate("places => places.map(place => map.queryTerrainElevation(place))", asked))
    columns, rows = np.array(places).T
    x, y = clients_city.WEST + clients_city.STEP * columns, clients_city.SOUTH + clients_city.STEP * rows
    truth = clients_city.height_ft(x, y) * 1200 / 3937
    assert np.ptp(truth) > 100
    assert np.abs(found - truth).max() < 2.0, "metres"


def colour(page, column: float, row: float) -> str:
    lonlat = clients_city.lonlat(column, row)
    return "#" + "".join(f"{value:02x}" for value in page.evaluate("where => colour(where)", list(lonlat)))
