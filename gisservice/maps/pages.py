"""The public pages as text: contexts in, HTML out. Needs no web framework and reads no data.

Whoever serves the pages fills a context with nouns and links and calls the renderer of the same name. Jinja2
escapes every value; what a script needs is written as JSON by :func:`page_data`, never as program text.
"""

from __future__ import annotations

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gisservice.maps import foliummap, wording
from gisservice.maps.contexts import (
    DownloadFile,
    DownloadForm,
    ErrorContext,
    HomeContext,
    LayerContext,
    LayerView,
    MapContext,
    MapView,
    Site,
)
from gisservice.maps.mapdata import map_data, start_view
from gisservice.maps.zooms import always_words, zoom_rows
from gisservice.model import MapDeclaration

__all__ = [
    "DownloadFile",
    "DownloadForm",
    "ErrorContext",
    "HomeContext",
    "LayerContext",
    "LayerView",
    "MapContext",
    "MapView",
    "Site",
    "page_data",
    "render_error",
    "render_home",
    "render_layer",
    "render_map",
]


def render_home(context: HomeContext) -> str:
    """Return the front page: the city, its maps, its layers, and the way in for programs."""
    return _render("home.html", context)


def render_layer(context: LayerContext) -> str:
    """Return the page about one layer: meaning, quality, origin, history, and how to use it."""
    layer, parts = context.view.layer, _map_parts(context.site, (context.view,), None)
    zooms = zoom_rows(context.report, layer, context.view.kind) if context.report is not None else ()
    return _render("layer.html", context, zooms=zooms, always=always_words(layer.always_drawn), **parts)


def render_map(context: MapContext) -> str:
    """Return the page of one map."""
    return _render("map.html", context, **_map_parts(context.site, context.layers, context.map.declaration))


def render_error(context: ErrorContext) -> str:
    """Return a page that says what went wrong and where to go."""
    return _render("error.html", context)


def page_data(data: object) -> Markup:
    """Return JSON that is safe inside ``<script type="application/json">`` and parses back to the same values.

    ``<``, ``>``, ``&``, U+2028 and U+2029 are written as JSON escapes, so no value can end the element or start
    a comment in it (HTML standard, 4.12.1.3, restrictions for contents of script elements).
    """
    text = orjson.dumps(data).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _map_parts(site: Site, layers: tuple[LayerView, ...], declaration: MapDeclaration | None) -> dict[str, object]:
    longitude, latitude, zoom = start_view(layers, declaration)
    return {
        "map": foliummap.build(longitude, latitude, zoom, len(layers)),
        "data": page_data(map_data(layers, declaration)),
        "modules": page_data({"imports": site.modules()}),
    }


def _render(template: str, context: HomeContext | LayerContext | MapContext | ErrorContext, **parts: object) -> str:
    return _ENVIRONMENT.get_template(template).render(page=context, site=context.site, **parts)


_ENVIRONMENT = Environment(
    loader=PackageLoader("gisservice.maps"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    number=wording.number, day=wording.day, day_short=wording.day_short, moment=wording.moment, size=wording.size
)
