"""The public pages as text: contexts in, HTML out. Needs no web framework and reads no data.

Whoever serves the pages fills a context with nouns and links and calls the renderer of the same name. Jinja2
escapes every value; what a script needs is written as JSON by :func:`page_data`, never as program text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gisservice.maps import foliummap, wording
from gisservice.maps.assets import Assets
from gisservice.maps.mapdata import map_data, start_view
from gisservice.model import (
    City,
    Column,
    Extent,
    GeometryKind,
    Layer,
    MapDeclaration,
    Operation,
    Provenance,
    Quality,
    Version,
)


@dataclass(frozen=True, slots=True)
class Site:
    """What every page needs: whose site it is and where it stands.

    ``base`` is the path prefix of all links, without a closing slash ("" at the root of a host, "/gis" behind a
    proxy); ``address`` is the same with scheme and host ("https://maps.example.gov/gis"), for links that are
    copied out of the page. ``nonce`` is this response's CSP nonce, ASCII letters, digits, ``+/=_-`` only.
    """

    city: City
    assets: Assets
    nonce: str
    base: str = ""
    address: str = ""

    def static(self, name: str) -> str:
        """Return the path of a style sheet or script by its short name."""
        return f"{self.base}/static/{self.assets[name].path}"

    def modules(self) -> dict[str, str]:
        """Return an import map: each of our modules under its plain address, to the one that holds its digest."""
        return {f"{self.base}/static/{name}": self.static(name) for name in self.assets.files if name[:3] == "js/"}

    def absolute(self, path: str) -> str:
        """Return a path from the host's root (prefix included) with scheme and host, to be copied out of the page."""
        return self.address.removesuffix(self.base) + path


@dataclass(frozen=True, slots=True)
class LayerView:
    """One published layer as the pages show it. All ``*_url`` are paths from the host's root, prefix included.

    ``tiles_url`` is the template of one version, with ``{z}``, ``{x}`` and ``{y}`` in it; None for a layer without
    vector tiles (a raster). ``tiles_name`` is the name of the layer inside the tile.
    """

    layer: Layer
    kind: GeometryKind
    version: str
    published: datetime
    count: int
    extent: Extent | None
    columns: tuple[Column, ...]
    id_column: str
    page_url: str
    collection_url: str
    items_url: str
    tiles_url: str | None = None
    tilejson_url: str | None = None
    tiles_name: str = ""
    minzoom: int = 0
    maxzoom: int = 16


@dataclass(frozen=True, slots=True)
class MapView:
    """One public map as a card or a page: what was declared, and where it is."""

    declaration: MapDeclaration
    page_url: str


@dataclass(frozen=True, slots=True)
class HomeContext:
    """The front page. ``api_url`` is the API's landing page."""

    site: Site
    maps: tuple[MapView, ...]
    layers: tuple[LayerView, ...]
    api_url: str


@dataclass(frozen=True, slots=True)
class LayerContext:
    """The page about one layer. ``versions`` newest first; ``storage_crs`` an authority code or a name."""

    site: Site
    view: LayerView
    storage_crs: str
    quality: Quality
    provenance: tuple[Provenance, ...]
    operations: tuple[Operation, ...]
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class MapContext:
    """The page of one map. ``layers`` bottom first, published ones only."""

    site: Site
    map: MapView
    layers: tuple[LayerView, ...]
    missing: tuple[str, ...] = ()
    """Ids of layers that the map declares and nobody has published yet."""


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """A page for an error. ``detail`` is ours, never what the caller sent; ``reference`` is in the log."""

    site: Site
    status: int
    title: str
    detail: str
    reference: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    """Text to address: where to go from here."""


def render_home(context: HomeContext) -> str:
    """Return the front page: the city, its maps, its layers, and the way in for programs."""
    return _render("home.html", context)


def render_layer(context: LayerContext) -> str:
    """Return the page about one layer: meaning, quality, origin, history, and how to use it."""
    return _render("layer.html", context, **_map_parts(context.site, (context.view,), None))


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
