"""What catalogues say of the published layers, for DCAT-US, OGC API Records, schema.org and the feed alike.

Everything comes from the registry, the manifests and the history of publications; nothing is declared twice. What is
not known is left out, never made up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from gisservice import model
from gisservice.catalog import Collection
from gisservice.errors import CatalogError
from gisservice.model import BBox, Registry, Version
from gisservice.query.columns import span
from gisservice.query.downloads import forms_of
from gisservice.web.downloads import known_files
from gisservice.web.links import download_path
from gisservice.web.service import Service

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,60}")

LICENCES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "ODbL-1.0": "https://opendatacommons.org/licenses/odbl/1-0/",
    "ODC-By-1.0": "https://opendatacommons.org/licenses/by/1-0/",
    "PDDL-1.0": "https://opendatacommons.org/licenses/pddl/1-0/",
}
"""Addresses of the open licences that data is published under, by SPDX identifier."""

FREQUENCIES = {
    "daily": "P1D",
    "weekly": "P1W",
    "biweekly": "P2W",
    "monthly": "P1M",
    "quarterly": "P3M",
    "semiannually": "P6M",
    "annually": "P1Y",
    "yearly": "P1Y",
}
"""How often a layer is refreshed, by the word that a registry has for it: the duration between two (ISO 8601)."""


_KEPT: dict[str, tuple[File, ...]] = {}
_KEPT_MAX = 512
"""Versions whose files are remembered, once all of them were made."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Who answers questions about a layer; ``email`` None where the registry states none."""

    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms of a layer: its address where it has one, and the words of the registry where it has none."""

    text: str
    url: str | None

    @property
    def spdx(self) -> str | None:
        """The SPDX identifier, None where the registry names no licence that has one."""
        return self.text if self.text in LICENCES else None


@dataclass(frozen=True, slots=True)
class File:
    """A whole layer as a file: ``path`` below the service's address, ``size`` in bytes.

    It has neither size nor ``sha256`` before it is made.
    """

    title: str
    media: str
    path: str
    system: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Entry:
    """One published layer, as a catalogue lists it. Times are UTC; ``bbox`` is in CRS84."""

    collection: Collection
    versions: tuple[Version, ...]
    """Those that are kept, newest first."""
    description: str
    keywords: tuple[str, ...]
    contact: Contact
    licence: Licence
    interval: tuple[datetime, datetime] | None
    """The first and the last time of its items."""
    modified: datetime
    """When the current version became current."""

    @property
    def id(self) -> str:
        """The id of the collection."""
        return self.collection.id

    @property
    def title(self) -> str:
        """The title that the registry gives it."""
        return self.collection.layer.title

    @property
    def bbox(self) -> BBox | None:
        """Where it lies; None for a layer without an extent."""
        extent = self.collection.manifest.extent
        return None if extent is None else extent.bbox

    @property
    def has_items(self) -> bool:
        """Whether it consists of records, not of a raster."""
        return self.collection.features is not None

    @property
    def duration(self) -> str | None:
        """How long from one refreshment to the next (ISO 8601), None where the registry says it in other words."""
        return FREQUENCIES.get(self.collection.layer.cadence.strip().lower())

    @cached_property
    def files(self) -> tuple[File, ...]:
        """The whole layer as files, with what is known of each at this moment."""
        return _files(self.collection)

    @property
    def key(self) -> str:
        """Text that changes with anything that is said of the layer here, but for its files."""
        return f"{self.id} {self.collection.version} {self.modified.isoformat()}"


def published(service: Service) -> tuple[Entry, ...]:
    """Return the entries of all layers that can be read, by id."""
    found = []
    for collection in service.published():
        try:
            found.append(entry(service, collection))
        except CatalogError:  # its history is damaged; its own addresses and /healthz tell
            continue
    return tuple(found)


def entry(service: Service, collection: Collection) -> Entry:
    """Return the entry of one layer. Raises :class:`CatalogError` when its history is damaged."""
    layer = collection.layer
    city = service.registry.city
    versions = service.catalog.versions(collection.id)
    current = next((version for version in versions if version.id == collection.version), None)
    return Entry(
        collection=collection,
        versions=versions,
        description=layer.description or f"{layer.title}, a layer of {city.name}.",
        keywords=_keywords(service.registry, collection),
        contact=contact_of(layer.steward, city.contact, city.name),
        licence=licence_of(layer.licence),
        interval=interval(service, collection),
        modified=collection.manifest.created if current is None else current.published,
    )


def interval(service: Service, collection: Collection) -> tuple[datetime, datetime] | None:
    """Return the first and the last time of a collection's items, by the column that ``datetime`` looks at."""
    column = None if collection.features is None else service.asking.terms(collection).instant
    if column is None or collection.features is None:
        return None
    return span(collection.features, column)


def contact_of(steward: str, city_contact: str, city_name: str) -> Contact:
    """Return who answers for a layer: the steward, else the city; an address from either text.

    >>> contact_of("GIS Division, gis@example.org", "", "Testville")
    Contact(name='GIS Division', email='gis@example.org')
    """
    texts = [text for text in (steward, city_contact) if text]
    email = next((match[0] for text in texts if (match := _EMAIL.search(text))), None)
    name = _EMAIL.sub("", steward).strip(" ,;:<>()") or city_name
    return Contact(name, email)


def licence_of(text: str) -> Licence:
    """Return the licence that a registry's text states: an SPDX identifier, an address, or words.

    >>> licence_of("CC0-1.0").url
    'https://creativecommons.org/publicdomain/zero/1.0/'
    """
    if text.startswith(("https://", "http://")):
        return Licence(text, text)
    if _SPDX.fullmatch(text):
        return Licence(text, LICENCES.get(text))
    return Licence(text, None)


def _keywords(registry: Registry, collection: Collection) -> tuple[str, ...]:
    """Return the words that the layer is known by: its id, its title, and the maps that show it."""
    shown = [entry.title for entry in registry.maps if collection.id in entry.layers]
    words = [collection.id.replace("_", " ").replace("-", " ").strip(), collection.layer.title, *shown]
    return tuple(dict.fromkeys(word.lower() for word in words if word))


def _files(collection: Collection) -> tuple[File, ...]:
    kept = _KEPT.get(str(collection.path))
    if kept is not None:
        return kept
    found = _known(collection)
    if all(file.size is not None for file in found):  # all are made, so that nothing of them changes any more
        if len(_KEPT) >= _KEPT_MAX:
            _KEPT.clear()
        _KEPT[str(collection.path)] = found
    return found


def _known(collection: Collection) -> tuple[File, ...]:
    found = []
    for wanted, known in known_files(collection).items():
        if known is not None and known.problem:
            continue  # a form that this layer does not fit into
        entry = forms_of(collection.manifest)[wanted.extension]
        path = download_path(collection.id, wanted.extension, wanted.system)
        size, sha256 = (known.size, known.sha256) if known is not None else (None, None)
        found.append(File(entry.title, entry.media.partition(";")[0], path, wanted.system, size, sha256))
    return tuple(found)


def union(entries: Sequence[Entry]) -> BBox | None:
    """Return the box around all layers (CRS84), None where none has an extent."""
    boxes = [entry.bbox for entry in entries if entry.bbox is not None]
    return model.union(boxes) if boxes else None


def instant(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC, to the second.

    >>> from datetime import UTC
    >>> instant(datetime(2026, 11, 3, 9, 5, 7, 123, tzinfo=UTC))
    '2026-11-03T09:05:07Z'
    """
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
