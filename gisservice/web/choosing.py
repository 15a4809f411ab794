"""A map of layers that its reader chooses: named in its address, so that the link is the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

from gisservice.errors import InvalidParameter, LimitExceeded, RequestError
from gisservice.maps.contexts import ChoiceContext, LayerView, MapContext, MapView
from gisservice.maps.pages import render_choice, render_map
from gisservice.model import GeometryKind, MapDeclaration
from gisservice.web import params
from gisservice.web.exchange import Answer, Request
from gisservice.web.pages import is_framed, layer_view, page
from gisservice.web.responses import new_nonce
from gisservice.web.service import Service
from gisservice.web.sites import site_of

LAYERS = "layers"

LAYERS_MAX = 12
"""Of one map; more could not be told apart, and each is a request for every tile of a view."""


class Problem(NamedTuple):
    """Why there is no map: the status of the page, and what it says."""

    status: int
    text: str


UNREAD = Problem(400, "This link cannot be read. Choose the layers of your map here.")
UNPUBLISHED = Problem(404, "This link names a layer that is not published here. Choose from the list.")
CROWDED = Problem(400, "This link names too many layers for one map. Choose fewer.")
NO_PROBLEM = Problem(200, "")

_NEAR_MAX = 3
_BOTTOM_FIRST = (GeometryKind.RASTER, GeometryKind.POLYGON, GeometryKind.LINE, GeometryKind.POINT)


def chosen(service: Service, request: Request) -> Answer:
    """Answer the map of the layers that are named (``layers=parcels,zoning``); without names, the page to choose them.

    What cannot be shown is not repeated: the page says what is wrong and offers the layers that there are.
    """
    views = _showable(service, request)
    try:
        names = _named(request)
    except RequestError:
        return _choice(service, request, views, (), UNREAD)
    if not set(names) <= set(views):
        return _choice(service, request, views, names, UNPUBLISHED)
    if len(names) > LAYERS_MAX:
        return _choice(service, request, views, names, CROWDED)
    return _shown(service, request, views, names) if names else _choice(service, request, views)


def own_map(service: Service, layers: str) -> MapDeclaration:
    """Return the map of layers that are named with commas between them, bottom first; it has no name of its own.

    Raises :class:`InvalidParameter`, :class:`LimitExceeded` and :class:`CollectionNotFound`.
    """
    names = layers.split(",")
    if not layers or len(set(names)) != len(names):
        raise InvalidParameter(LAYERS, layers, "the ids of one or more collections with commas between, each once")
    if len(names) > LAYERS_MAX:
        raise LimitExceeded("A map", len(names), LAYERS_MAX, "layers")
    found = sorted((service.catalog.collection(name) for name in names), key=lambda one: _height(one.manifest.kind))
    return MapDeclaration("", "", "", tuple(one.id for one in found))


def _height(kind: GeometryKind) -> int:
    return _BOTTOM_FIRST.index(kind)


def _named(request: Request) -> list[str]:
    """Return the names, each once: separated by commas, or one a parameter, as a form without scripts writes them."""
    values = [value for name, value in params.pairs(request.query) if name == LAYERS]
    return list(dict.fromkeys(part for value in values for part in value.split(",") if part))


def _showable(service: Service, request: Request) -> dict[str, LayerView]:
    views = (layer_view(request, collection) for collection in service.published())
    return {view.layer.id: view for view in views if view.tiles_url or view.picture_url}


def _by_title(views: dict[str, LayerView]) -> tuple[LayerView, ...]:
    return tuple(sorted(views.values(), key=lambda view: view.layer.title.casefold()))


def _shown(service: Service, request: Request, views: dict[str, LayerView], names: list[str]) -> Answer:
    question = f"?{LAYERS}={','.join(names)}"
    site, framed = site_of(service, request, new_nonce(), question), is_framed(request)
    layers = sorted((views[name] for name in names), key=lambda view: _height(view.kind))
    shown = MapView(MapDeclaration("", "", "", tuple(names)), f"{request.base}/maps{question}")
    context = MapContext(site, shown, tuple(layers), (), _by_title(views), LAYERS_MAX, framed)
    return page(request, site, render_map(context), framed)


def _choice(
    service: Service,
    request: Request,
    views: dict[str, LayerView],
    names: Sequence[str] = (),
    problem: Problem = NO_PROBLEM,
) -> Answer:
    site = site_of(service, request, new_nonce(), None if problem.text else "")
    known = tuple(name for name in names if name in views)
    missing = [name[:80].lower() for name in names if name not in views][:LAYERS_MAX]
    near = dict.fromkeys(like for name in missing for like in get_close_matches(name, views, _NEAR_MAX))
    offered = tuple(views[name] for name in near)[:_NEAR_MAX]
    text = site.language.text(problem.text)
    context = ChoiceContext(site, _by_title(views), LAYERS_MAX, known, text, offered)
    return replace(page(request, site, render_choice(context)), status=problem.status)
