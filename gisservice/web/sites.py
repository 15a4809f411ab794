"""Whose page is asked for, and in which language: by ``lang`` in the address, else as the browser likes it.

The query string of a page is read leniently: links to public pages come back with the marks of those who passed them
on, so what is not known is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from gettext import NullTranslations
from pathlib import Path
from urllib.parse import parse_qsl, quote

from gisservice.errors import LimitExceeded, RequestError
from gisservice.maps.contexts import Site
from gisservice.maps.languages import LANGUAGES, Language, chosen, read_catalogue
from gisservice.web.exchange import Request
from gisservice.web.params import QUERY_BYTES_MAX
from gisservice.web.service import Service

LANGUAGE, EMBED = "lang", "embed"


def given(request: Request, names: Iterable[str]) -> dict[str, str]:
    """Return the parameters of these names; of one that is repeated the first.

    Raises :class:`LimitExceeded` for an overlong query and :class:`RequestError` for one that is not UTF-8.
    """
    if len(request.query) > QUERY_BYTES_MAX:
        raise LimitExceeded("A query string", len(request.query), QUERY_BYTES_MAX, "bytes")
    try:
        pairs = parse_qsl(request.query.encode("latin-1").decode("utf-8"), keep_blank_values=True, errors="strict")
    except UnicodeError as exc:
        raise RequestError("The query string is not UTF-8; expected UTF-8, percent-encoded.") from exc
    known = set(names)
    return {name: value for name, value in reversed(pairs) if name in known}


def site_of(service: Service, request: Request, nonce: str, question: str | None = "") -> Site:
    """Return the site for a page. ``question`` is the query that belongs to the page itself, with its question mark;
    None for a page whose address is not to be repeated.
    """
    try:
        code = given(request, (LANGUAGE,)).get(LANGUAGE, "")
    except RequestError:
        code = ""
    language = chosen(code, request.environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    place = "" if question is None else quote(request.path, encoding="latin-1") + question
    translations = _city_texts(service, language)
    city, assets = service.registry.city, service.assets
    return Site(city, assets, nonce, request.base, request.address, language, code in LANGUAGES, place, translations)


def _city_texts(service: Service, language: Language) -> NullTranslations:
    return read_catalogue(Path(service.registry.folder) / "locale" / f"{language.code}.po")
