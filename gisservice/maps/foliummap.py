"""The one door to Folium: a map with our assets only, built from numbers only.

Branca compiles the script text of an element a second time as a Jinja2 template, so any text of the data inside a
Folium object would run in our process. Therefore nothing but numbers goes in: a position, a zoom, and the places
of the layers in the page's JSON, which our own script reads in the browser (static/js/map.js).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import folium
from branca.element import Figure, MacroElement
from folium.template import Template
from markupsafe import Markup

MAP_NAME = "map_city"
"""The id of the map's element in the page, and the name of its variable in the script."""


@dataclass(frozen=True, slots=True)
class MapParts:
    """What Folium writes of a map: the element for the page, and the program that fills it (an ES module's body)."""

    html: Markup
    script: Markup


class CityMap(folium.Map):  # type: ignore[misc]
    """A Folium map that asks nobody for scripts, styles, fonts or background tiles."""

    default_js: ClassVar[list[tuple[str, str]]] = []
    default_css: ClassVar[list[tuple[str, str]]] = []


class CityLayers(MacroElement):  # type: ignore[misc]
    """Draws the first ``count`` layers of the page's JSON on the map it is added to."""

    _template = Template(
        "{% macro script(this, kwargs) %}drawLayers({{ this._parent.get_name() }}, {{ this.count }});{% endmacro %}"
    )

    def __init__(self, count: int) -> None:
        super().__init__()
        self._name = "CityLayers"
        self.count = int(count)


@lru_cache(maxsize=256)
def build(longitude: float, latitude: float, zoom: int, layer_count: int) -> MapParts:
    """Build a map at a position (degrees, CRS84) and zoom that draws that many layers of the page's JSON."""
    city: Any = CityMap(
        location=[float(latitude), float(longitude)],
        zoom_start=int(zoom),
        tiles=None,
        control_scale=True,
        attribution_control=False,  # sources stand beside the map, as text
    )
    city._id = MAP_NAME.removeprefix("map_")  # the same page twice is the same text
    layers: Any = CityLayers(layer_count)
    layers._id = "city"
    city.add_child(layers)
    figure: Figure = city.get_root()
    city.render()
    return MapParts(Markup(figure.html.render()), Markup(figure.script.render()))
