"""The one door to Folium: a map with our assets only, built from numbers only.

Branca compiles the script text of an element a second time as a Jinja2 template, so any text of the data inside a
Folium object would run in our process. Therefore nothing but numbers goes in: a position, a zoom, and the places
of the layers in the page's JSON, which our own script reads in the browser (static/js/map.js).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from gisservice.maps.sparing import without_pandas

with without_pandas():
    import folium
    from branca.element import Figure, MacroElement
    from folium.template import Template

MAP_NAME = "map_city"
"""The id of the map's element in the page, and the name of its variable in the script."""


@dataclass(frozen=True, slots=True)
class MapParts:
    """What Folium writes of a map: the element for the page, and the program that fills it (an ES module's body)."""

    html: Markup
    script: Markup


class CityMap(folium.Map):
    """A Folium map that asks nobody for scripts, styles, fonts or background tiles."""

    def __init__(self, longitude: float, latitude: float, zoom: int) -> None:
        super().__init__(
            location=[float(latitude), float(longitude)],
            zoom_start=int(zoom),
            tiles=None,
            control_scale=True,
            attribution_control=False,  # sources stand beside the map, as text
        )
        self.default_js = []
        self.default_css = []
        self._id = MAP_NAME.removeprefix("map_")  # the same page twice is the same text


class CityLayers(MacroElement):
    """Draws the first ``count`` layers of the page's JSON on the map it is added to."""

    _template = Template(
        "{% macro script(this, kwargs) %}drawLayers({{ this._parent.get_name() }}, {{ this.count }});{% endmacro %}"
    )

    def __init__(self, count: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "CityLayers"
        self._id = "city"
        self.count = int(count)


@lru_cache(maxsize=256)
def build(longitude: float, latitude: float, zoom: int, layer_count: int) -> MapParts:
    """Build a map at a position (degrees, CRS84) and zoom that draws that many layers of the page's JSON."""
    city = CityMap(longitude, latitude, zoom)
    city.add_child(CityLayers(layer_count))
    city.render()  # type: ignore[no-untyped-call]
    figure = city.get_root()
    assert isinstance(figure, Figure)
    return MapParts(Markup(figure.html.render()), Markup(figure.script.render()))
