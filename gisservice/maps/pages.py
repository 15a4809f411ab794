"""The public pages as text: contexts in, HTML out. Needs no web framework and reads no data.

Whoever serves the pages fills a context with nouns and links and calls the renderer of the same name. Jinja2
escapes every value; what a script needs is written as JSON by :func:`page_data`, never as program text.
"""

from __future__ import annotations

from functools import lru_cache

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gisservice.maps import wording
from gisservice.maps.contexts import (
    ChoiceContext,
    DownloadFile,
    DownloadForm,
    ErrorContext,
    HomeContext,
    LayerContext,
    LayerView,
    MapContext,
    MapView,
    PlainContext,
    ReportContext,
    Sentence,
    Site,
    in_language,
)
from gisservice.maps.languages import Language
from gisservice.maps.legends import legend
from gisservice.maps.mapdata import map_data, start_view
from gisservice.maps.zooms import always_words, zoom_rows
from gisservice.model import MapDeclaration

REPORT_ZOOM = 17
"""Of the small map beside a report: a block of houses."""

__all__ = [
    "ChoiceContext",
    "DownloadFile",
    "DownloadForm",
    "ErrorContext",
    "HomeContext",
    "LayerContext",
    "LayerView",
    "MapContext",
    "MapView",
    "PlainContext",
    "ReportContext",
    "Sentence",
    "Site",
    "page_data",
    "render_accessibility",
    "render_choice",
    "render_error",
    "render_home",
    "render_layer",
    "render_map",
    "render_offline",
    "render_report",
]


def render_home(context: HomeContext) -> str:
    """Return the front page: the city, its maps, its layers, and the way in for programs."""
    return _render("home.html", context, structured=_structured(context))


def render_layer(context: LayerContext) -> str:
    """Return the page about one layer: meaning, quality, origin, history, and how to use it."""
    layer, parts = context.view.layer, _map_parts(context.site, (context.view,), None)
    zooms = zoom_rows(context.report, layer, context.view.kind) if context.report is not None else ()
    always, structured = always_words(layer.always_drawn), _structured(context)
    return _render("layer.html", context, zooms=zooms, always=always, structured=structured, **parts)


def render_map(context: MapContext) -> str:
    """Return the page of one map: a declared one, or one that its reader put together."""
    template = "embed.html" if context.embedded else "custom.html" if context.choice else "map.html"
    return _render(template, context, **_map_parts(context.site, context.layers, context.map.declaration))


def render_choice(context: ChoiceContext) -> str:
    """Return the page to choose the layers of a map."""
    return _render("choose.html", context)


def render_report(context: ReportContext) -> str:
    """Return the report of a place in sentences, or the question for a place."""
    if context.position is None:
        return _render("report.html", context, map=None)
    return _render("report.html", context, **_map_parts(context.site, context.layers, None, context.position))


def render_accessibility(context: PlainContext) -> str:
    """Return the statement of how accessible the pages are."""
    return _render("accessibility.html", context)


def render_offline(context: PlainContext) -> str:
    """Return what a browser shows instead of a page that it cannot load without a connection."""
    return _render("offline.html", context)


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


def _structured(context: HomeContext | LayerContext) -> Markup | None:
    """Return what search engines read, for a script element of JSON-LD, which no browser runs."""
    return None if context.structured is None else page_data(context.structured)


def _map_parts(
    site: Site,
    layers: tuple[LayerView, ...],
    declaration: MapDeclaration | None,
    mark: tuple[float, float] | None = None,
) -> dict[str, object]:
    from gisservice.maps import foliummap  # half a second, which a server of tiles and items does without

    longitude, latitude, zoom = start_view(layers, declaration) if mark is None else (*mark, REPORT_ZOOM)
    return {
        "map": foliummap.build(longitude, latitude, zoom, len(layers)),
        "data": page_data(map_data(site, layers, declaration, mark)),
        "modules": page_data({"imports": site.modules()}),
    }


def _render(
    template: str,
    context: HomeContext | LayerContext | MapContext | ChoiceContext | ReportContext | PlainContext | ErrorContext,
    **parts: object,
) -> str:
    found = environment(context.site.language).get_template(template)
    return found.render(page=context, site=context.site, **parts)


@lru_cache(maxsize=8)
def environment(language: Language) -> Environment:
    """Return the templates in a language: ``_`` and ``counted`` say texts, filters write numbers and days."""
    made = Environment(
        loader=PackageLoader("gisservice.maps"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(_=language.text, counted=language.counted, legend_of=legend)
    made.filters.update(
        number=language.number,
        day=language.day,
        weekday=language.weekday,
        moment=language.moment,
        size=wording.size,
        in_language=in_language,
    )
    return made
