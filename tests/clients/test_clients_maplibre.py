"""MapLibre GL JS in Chromium draws our tiles from another origin and reads ids and properties back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import clients_city
import pytest

pytestmark = pytest.mark.slow

RED, GREEN, ORANGE = "#d7263d", "#1b998b", "#f0a202"
WINDOW = {"width": 1100, "height": 1100}
EVERYTHING, CLOSE = 15, 16
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

    def show(style: Any, zoom: float) -> Any:
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


def style(city, *names: str) -> dict[str, Any]:
    """A style as a developer writes it by hand from the addresses of TileJSON."""
    zones = ["match", ["get", "zoning"], "RED", RED, "GREEN", GREEN, "#999999"]
    layers = {
        "districts": {"type": "line", "paint": {"line-color": "#334e68", "line-width": 2}},
        "lots": {"type": "fill", "paint": {"fill-color": zones, "fill-antialias": False}},
        "streets": {"type": "line", "paint": {"line-color": "#222222"}},
        "places": {"type": "circle", "paint": {"circle-color": ORANGE, "circle-radius": 8}},
    }
    return {
        "version": 8,
        "sources": {name: {"type": "vector", "url": f"{city.address}/tiles/{name}.json"} for name in names},
        "layers": [{"id": name, "source": name, "source-layer": name, **layers[name]} for name in names],
    }


def read_back(page, layer: str) -> dict[Any, dict[str, Any]]:
    """What MapLibre has of a layer on the screen: properties by id; the same in every tile."""
    found: dict[Any, dict[str, Any]] = {}
    for feature in page.evaluate("ask()"):
        if feature["sourceLayer"] == layer:
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
    assert colour(page, 12.5, 5.5) == ORANGE
    assert {"districts", "lots", "streets", "places"} <= {f["sourceLayer"] for f in page.evaluate("ask()")}


def colour(page, column: float, row: float) -> str:
    lonlat = clients_city.lonlat(column, row)
    return "#" + "".join(f"{value:02x}" for value in page.evaluate("where => colour(where)", list(lonlat)))
