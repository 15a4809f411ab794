"""What holds at an address: the page in sentences, its collection days as a calendar, and what to type next."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gisservice.errors import AddressNotFound, CatalogError, CollectionNotFound, RequestError
from gisservice.maps.languages import Language
from gisservice.maps.pages import (
    LayerView,
    PlainContext,
    ReportContext,
    Sentence,
    Site,
    render_accessibility,
    render_offline,
)
from gisservice.maps.pages import render_report as rendered
from gisservice.maps.reporttext import calendar_words, sentence
from gisservice.model import MapDeclaration
from gisservice.web import pages, params
from gisservice.web.exchange import NOT_KEPT, Answer, Request, document
from gisservice.web.links import JSON
from gisservice.web.params import Parameter
from gisservice.web.questions import CALENDAR, CALENDAR_NAME, WEEKS_DEFAULT
from gisservice.web.responses import new_nonce
from gisservice.web.service import Service
from gisservice.web.sites import LANGUAGE, given, site_of

if TYPE_CHECKING:
    from gisservice.analysis.dossier import Place

SUGGESTIONS_MAX = 20
TEXT = Parameter("q", "What was typed of an address so far.", {"type": "string", "maxLength": 200})
LIMIT = Parameter(
    "limit", "How many suggestions.", {"type": "integer", "minimum": 1, "maximum": SUGGESTIONS_MAX, "default": 8}
)
PARAMETERS = {"suggest-q": TEXT, "suggest-limit": LIMIT}

_PLAIN = re.compile(r"(?!.*//)[\w .,#&/'’-]{1,80}")
"""What is shown again in the box; all other input is not repeated."""

_DEGREES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,12})?", re.ASCII)


def report(service: Service, request: Request) -> Answer:
    """Answer the page about an address (``q``) or a place (``lon``, ``lat``)."""
    asked: dict[str, str] = {}
    try:
        asked = given(request, ("q", "lon", "lat", LANGUAGE))
        place = _place(service, asked)
    except RequestError:
        site = site_of(service, request, new_nonce(), None)
        unread = "This is not an address we can read. Type a house number and a street."
        return _page(request, ReportContext(site, problem=site.language.text(unread)), 400)
    except AddressNotFound as error:
        site = site_of(service, request, new_nonce(), _question(asked))
        return _page(request, _not_found(site, asked.get("q", ""), error.suggestions))
    except CollectionNotFound:
        site = site_of(service, request, new_nonce(), None)
        none = "No addresses are published yet, so none can be looked up."
        return _page(request, ReportContext(site, problem=site.language.text(none)))
    if place is None:
        return _page(request, ReportContext(site_of(service, request, new_nonce())))
    return _page(request, _told(service, request, place))


def calendar(service: Service, request: Request) -> Answer:
    """Answer the collection days of an address or a place as an iCalendar file."""
    place = _place(service, given(request, ("q", "lon", "lat")))
    if place is None:
        raise RequestError("No address was given; expected 'q', or 'lon' and 'lat'.")
    site = site_of(service, request, "", None)
    words = calendar_words(site)
    content = service.dossier.calendar(place, on=datetime.now(UTC).date(), weeks=WEEKS_DEFAULT, words=words)
    language = ("Content-Language", site.language.code)
    return Answer(200, (("Content-Type", CALENDAR), CALENDAR_NAME, ("Cache-Control", NOT_KEPT), language), content)


def suggest(service: Service, request: Request) -> Answer:
    """Answer how an address may go on."""
    from gisservice.analysis.gazetteer import Gazetteer
    from gisservice.analysis.suggesting import suggestions

    values = params.read(request.query, ("q", "limit"))
    limit = params.whole("limit", values.get("limit", "8"), 1, SUGGESTIONS_MAX)
    gazetteer = Gazetteer.open(service.catalog)
    found = suggestions(gazetteer, values.get("q", ""), limit=limit)
    key = ("suggest", service.edition, str(found))
    return document(request, request.media_type(JSON), key, lambda: {"suggestions": found})


def accessibility(service: Service, request: Request) -> Answer:
    """Answer the statement of accessibility."""
    site = site_of(service, request, new_nonce())
    return pages.page(request, site, render_accessibility(PlainContext(site)))


def offline(service: Service, request: Request) -> Answer:
    """Answer the page that the service worker keeps for all that it has no copy of."""
    site = site_of(service, request, new_nonce())
    return pages.page(request, site, render_offline(PlainContext(site)))


def _page(request: Request, context: ReportContext, status: int = 200) -> Answer:
    return replace(pages.page(request, context.site, rendered(context)), status=status)


def _question(asked: dict[str, str]) -> str:
    """Return the query of a page about what was asked."""
    values = [(name, asked[name]) for name in ("q", "lon", "lat") if name in asked]
    return f"?{urlencode(values)}" if values else ""


def _place(service: Service, asked: dict[str, str]) -> Place | None:
    """Return the place that was asked for; None where nothing was asked.

    Raises :class:`RequestError` for what is no address and no position, :class:`AddressNotFound`.
    """
    text = asked.get("q", "").strip()
    if text:
        return service.dossier.place(address=text)
    if "lon" not in asked and "lat" not in asked:
        return None
    degrees = [asked.get(name, "") for name in ("lon", "lat")]
    if not all(_DEGREES.fullmatch(one) for one in degrees):
        raise RequestError("The place is not given as two decimal numbers, 'lon' and 'lat'.")
    return service.dossier.place(lon=float(degrees[0]), lat=float(degrees[1]))


def _not_found(site: Site, asked: str, near: Iterable[str]) -> ReportContext:
    problem = site.language.text("We did not find exactly one address like this.")
    plain = asked if _PLAIN.fullmatch(asked) else ""
    return ReportContext(site, asked=plain, problem=problem, suggestions=tuple(near))


def _told(service: Service, request: Request, place: Place) -> ReportContext:
    question = _question_of(place)
    site = site_of(service, request, new_nonce(), question)
    exact = place.match is not None and place.match.score == 1  # then the heading says which address it is
    rows = service.dossier.report(place).rows[1 if exact else 0 :]
    lines = {line.id: line for line in service.registry.report}
    views: dict[str, LayerView | None] = {}
    sentences: list[Sentence] = []
    for row in rows:
        name = row["collection"]
        if name is not None and name not in views:
            views[name] = _view(service, request, name)
        sentences.append(sentence(site, row, lines.get(row["line"]), views.get(name) if name else None))
    days = any(one.days for one in sentences)
    shown = _small_map(service)
    layers = [_view(service, request, name) for name in shown.layers] if shown is not None else []
    return ReportContext(
        site,
        label=place.label if place.match is not None else _pointed(site.language, place),
        position=place.position,
        sentences=tuple(sentences),
        question=question,
        has_calendar=days,
        layers=tuple(view for view in layers if view is not None),
        map=pages.map_view(request, shown) if shown is not None else None,
    )


def _question_of(place: Place) -> str:
    """Return the query that finds a place again: by its address, or by its position."""
    if place.match is not None:
        return f"?{urlencode({'q': place.label})}"
    lon, lat = place.position
    return f"?lon={lon:.6f}&lat={lat:.6f}"


def _pointed(language: Language, place: Place) -> str:
    lon, lat = place.position
    return language.text("The place at %(latitude)s, %(longitude)s", latitude=f"{lat:.5f}", longitude=f"{lon:.5f}")


def _view(service: Service, request: Request, name: str) -> LayerView | None:
    with suppress(CollectionNotFound, CatalogError):
        return pages.layer_view(request, service.catalog.collection(name))
    return None


def _small_map(service: Service) -> MapDeclaration | None:
    """Return the first declared map that shows parcels, which is drawn around the place; else the first of all."""
    parcels = {layer.id for layer in service.registry.layers if layer.parcel is not None}
    maps = service.registry.maps
    return next((one for one in maps if parcels & set(one.layers)), maps[0] if maps else None)
