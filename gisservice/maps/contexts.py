"""What the renderers of :mod:`gisservice.maps.pages` are given: nouns and links, filled in by whoever serves pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from gettext import NullTranslations
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from gisservice.maps.assets import Assets
from gisservice.maps.languages import ENGLISH, LANGUAGES, Language
from gisservice.maps.wording import units
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

    ``language`` is that of the page; ``named`` tells that its address names it, so that the links from it do, too.
    ``place`` is the page's own path and query without the language, "" for one that exists in English only.
    ``translations`` has the city's own texts in this language, by their text in the registry.
    """

    city: City
    assets: Assets
    nonce: str
    base: str = ""
    address: str = ""
    language: Language = ENGLISH
    named: bool = False
    place: str = ""
    translations: NullTranslations = field(default_factory=NullTranslations)

    @property
    def languages(self) -> tuple[Language, ...]:
        """All languages that a page can be had in."""
        return tuple(LANGUAGES.values())

    @property
    def contact_url(self) -> str:
        """Where one writes to the city: a mail address or a page; "" where the contact is neither."""
        contact = self.city.contact
        if "@" in contact and " " not in contact:
            return "mailto:" + quote(contact, safe="@")
        return contact if contact.startswith("https://") and not set(contact) & set(' "<>') else ""

    def to(self, path: str) -> str:
        """Return the address of a page below the service's prefix, in the language of this one if that was chosen."""
        return self.base + (in_language(path, self.language) if self.named else path)

    def embedded(self, path: str) -> str:
        """Return the address, with scheme and host, at which the page of a map can stand inside another page."""
        return self.absolute(f"{in_language(path, self.language)}&embed")

    def said(self, text: str) -> str:
        """Return a text of the registry in the language of the page, or as it stands there."""
        return self.translations.gettext(text) if text else text

    def several(self, unit: str) -> str:
        """Return a unit as it stands for several, to be translated; as it stands for one where only that can be."""
        found = units(unit)
        return found if self.language is ENGLISH or self.said(found) != found else unit

    def marked(self, text: str) -> Markup:
        """Return :meth:`said` for a page: a text that has no translation is marked as English."""
        said = self.said(text)
        if self.language is ENGLISH or said != text or not text:
            return escape(said)
        return Markup('<span lang="en" dir="ltr">{}</span>').format(text)

    def static(self, name: str) -> str:
        """Return the path of a style sheet or script by its short name."""
        return f"{self.base}/static/{self.assets[name].path}"

    def modules(self) -> dict[str, str]:
        """Return an import map: each of our modules under its plain address, to the one that holds its digest."""
        return {f"{self.base}/static/{name}": self.static(name) for name in self.assets.shell() if name[:3] == "js/"}

    def absolute(self, path: str) -> str:
        """Return a path from the host's root (prefix included) with scheme and host, to be copied out of the page."""
        return self.address.removesuffix(self.base) + path


def in_language(path: str, language: Language) -> str:
    """Return the address of a page in a language.

    >>> in_language("/address?q=1#map", LANGUAGES["es"])
    '/address?q=1&lang=es#map'
    """
    path, hash_mark, fragment = path.partition("#")
    return f"{path}{'&' if '?' in path else '?'}lang={language.code}{hash_mark}{fragment}"


@dataclass(frozen=True, slots=True)
class LayerView:
    """One published layer as the pages show it. All ``*_url`` are paths from the host's root, prefix included.

    ``tiles_url`` is the template of one version, with ``{z}``, ``{x}`` and ``{y}`` in it; None for a layer without
    vector tiles (a raster). ``tiles_name`` is the name of the layer inside the tile. ``qgis_url`` lists all layers for
    QGIS.
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
    picture_url: str | None = None
    """The template of the picture tiles of a raster's version."""
    is_relief: bool = False
    """Whether these pictures are light and shade of the ground, not the layer's colours."""
    tilejson_url: str | None = None
    archive_url: str | None = None
    style_url: str | None = None
    report_url: str | None = None
    qgis_url: str | None = None
    tiles_name: str = ""
    minzoom: int = 0
    maxzoom: int = 16


@dataclass(frozen=True, slots=True)
class MapView:
    """One public map as a card or a page: what was declared, and where it is."""

    declaration: MapDeclaration
    page_url: str

    def picture_url(self, extension: str, query: str = "") -> str:
        """Return the path of the map as a picture or for print; ``query`` is added to its own.

        >>> MapView(MapDeclaration("", "", "", ()), "/maps?layers=parcels").picture_url("png", "width=1200")
        '/maps.png?layers=parcels&width=1200'
        """
        path, _, own = self.page_url.partition("?")
        asked = "&".join(part for part in (own, query) if part)
        return f"{path}.{extension}{'?' if asked else ''}{asked}"


@dataclass(frozen=True, slots=True)
class HomeContext:
    """The front page. ``api_url`` is the API's landing page; ``structured`` is the site as schema.org has it."""

    site: Site
    maps: tuple[MapView, ...]
    layers: tuple[LayerView, ...]
    api_url: str
    structured: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DownloadFile:
    """A whole layer as one file: its reference system, where it is, and how large; None before it is made.

    ``problem`` is a sentence where the layer does not fit into the format.
    """

    system: str
    url: str
    size: int | None
    sha256: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DownloadForm:
    """One form that a whole layer can be had in, its files, and what it loses of the layer, in plain sentences."""

    title: str
    files: tuple[DownloadFile, ...]
    losses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LayerContext:
    """The page about one layer. ``versions`` newest first; ``storage_crs`` an authority code or a name.

    ``downloads_url`` is the list of the files of ``downloads`` for programs; "" for a layer without files. ``report``
    is the account of its tiles (:meth:`gisservice.tiles.Report.summary`); None for a layer without vector tiles.
    ``dictionary_url`` is its data dictionary, "" for a raster; ``structured`` is the layer as schema.org has it.
    """

    site: Site
    view: LayerView
    storage_crs: str
    quality: Quality
    provenance: tuple[Provenance, ...]
    operations: tuple[Operation, ...]
    versions: tuple[Version, ...]
    downloads: tuple[DownloadForm, ...] = ()
    downloads_url: str = ""
    report: Mapping[str, Any] | None = None
    dictionary_url: str = ""
    structured: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MapContext:
    """The page of one map. ``layers`` bottom first, published ones only."""

    site: Site
    map: MapView
    layers: tuple[LayerView, ...]
    missing: tuple[str, ...] = ()
    """Ids of layers that the map declares and nobody has published yet."""
    choice: tuple[LayerView, ...] = ()
    """For a map that its reader put together: all layers that it could show."""
    most: int = 0
    """How many of them at a time."""
    embedded: bool = False
    """For a page inside somebody else's."""


@dataclass(frozen=True, slots=True)
class ChoiceContext:
    """The page to choose the layers of a map. ``chosen`` are ids; ``problem`` says why there is no map yet, and
    ``near`` are layers whose names are like those that there are not.
    """

    site: Site
    layers: tuple[LayerView, ...]
    most: int
    chosen: tuple[str, ...] = ()
    problem: str = ""
    near: tuple[LayerView, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """One answer of the report: what it says (``lang`` where that is not the page's language) and what stands behind.

    ``status`` is one of :mod:`gisservice.analysis.dossier`; ``days`` the next collection days, regular day and holiday
    behind each.
    """

    line: str
    title: str
    status: str
    text: str
    lang: str = ""
    rule: str = ""
    days: tuple[tuple[date, date, str], ...] = ()
    view: LayerView | None = None
    item_url: str = ""


@dataclass(frozen=True, slots=True)
class ReportContext:
    """The report of a place, or the question for one. ``asked`` stands in the box, only what is safe to show.

    Without ``position`` (longitude, latitude) there is no report: ``problem`` then says why, and ``suggestions`` are
    addresses to try. ``layers`` are those of the small map, bottom first.
    """

    site: Site
    asked: str = ""
    label: str = ""
    position: tuple[float, float] | None = None
    sentences: tuple[Sentence, ...] = ()
    problem: str = ""
    suggestions: tuple[str, ...] = ()
    question: str = ""
    """The query of this place, for the links to its calendar and to itself."""
    has_calendar: bool = False
    layers: tuple[LayerView, ...] = ()
    map: MapView | None = None


@dataclass(frozen=True, slots=True)
class PlainContext:
    """A page of words alone."""

    site: Site


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """A page for an error. ``detail`` is ours, never what the caller sent; ``reference`` is in the log."""

    site: Site
    status: int
    title: str
    detail: str
    reference: str = ""
