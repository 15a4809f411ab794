"""The explorer of the API: its description in Swagger UI, served by us, under a policy without inline scripts."""

from __future__ import annotations

from gisservice.errors import InvalidParameter
from gisservice.maps.contexts import Site
from gisservice.web import params
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.links import HTML
from gisservice.web.pagetext import TEMPLATES_DIGEST, render
from gisservice.web.responses import PAGE
from gisservice.web.service import Service

POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; script-src 'self'; "
    "style-src 'self'; img-src 'self' data:; connect-src 'self'",
)
"""Our own scripts and styles, our own API, and the pictures that the style sheet holds itself."""


def explorer(service: Service, request: Request) -> Answer:
    """Answer the page. It is the API's description for people, too."""
    form = params.read(request.query, ("f",)).get("f")
    if form not in (None, "html"):
        raise InvalidParameter("f", str(form), "'html'")
    if form is None:
        request.media_type(HTML)
    assets = service.assets
    names = ("css/site.css", "js/explorer.js", "swagger-ui.js", "swagger-ui.css")
    key = ("explorer", service.edition, TEMPLATES_DIGEST, *(assets[name].path for name in names))
    offer = Offer.make(request, PAGE, key).under(POLICY)
    if unchanged := offer.unchanged():
        return unchanged
    site = Site(service.registry.city, assets, "", request.base, request.address)
    return offer.send(render("explorer", site=site, definition=f"{request.address}/api/openapi.json").encode())
