"""What was asked of items lately: parsed requests and the rows they select, so that neither is worked out twice."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Generic, Protocol, TypeVar

from gisservice.catalog import Catalog, Collection, Features
from gisservice.catalog.diff import RowChanges, compare_rows
from gisservice.errors import InvalidParameter, ReprojectionError, VersionGone, VersionNotFound
from gisservice.model import BBox
from gisservice.query import matching
from gisservice.query.schemas import with_kept_codes
from gisservice.query.select import Selection
from gisservice.query.systems import offered
from gisservice.settings import Settings
from gisservice.web import itemparams, params
from gisservice.web.cache import ByteCache
from gisservice.web.exchange import Headers
from gisservice.web.gates import Turnstile
from gisservice.web.itemparams import ItemsRequest, Terms

_REMEMBERED_BYTES_MAX = 1_024
"""Longest query string whose meaning is remembered: so what is remembered is bounded."""

_TERMS_MAX = 512
"""Versions whose terms are remembered."""

_SELECTIONS_BYTES = 1 << 24
"""Of selected rows that are kept: some forty orders of a city's parcels."""

_CHANGES_BYTES = 1 << 23
"""Of changed rows that are kept: some ten new versions in which every parcel changed."""

_PINNED_MAX = 16
"""Earlier versions that are held open for walks that began on them, and to be compared with."""


@dataclass(frozen=True, slots=True)
class FinishedPage:
    """A page of items as it is sent, to be kept."""

    headers: Headers
    body: bytes

    def __len__(self) -> int:
        return len(self.body) + sum(len(value) for _, value in self.headers)


class _Sizeable(Protocol):
    @property
    def size_bytes(self) -> int:
        """What it takes to keep."""


W = TypeVar("W", bound=_Sizeable)


class _Weighed(Generic[W]):
    """Something to be kept, by its weight in memory."""

    def __init__(self, found: W) -> None:
        self.found = found

    def __len__(self) -> int:
        return self.found.size_bytes


def area_of(collection: Collection) -> BBox | None:
    """Return where a collection lies (CRS84): it chooses the operations between systems."""
    extent = collection.manifest.extent
    return None if extent is None else extent.bbox


class Asking:
    """Requests for items, understood once. One per process; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._terms: dict[tuple[str, str], Terms] = {}
        self._lock = Lock()
        self._remembered = lru_cache(maxsize=1_024)(_parse)
        self._selections: ByteCache[_Weighed[Selection]] = ByteCache(_SELECTIONS_BYTES)
        self._changes: ByteCache[_Weighed[RowChanges]] = ByteCache(_CHANGES_BYTES)

    def terms(self, collection: Collection) -> Terms:
        """Return what items of a version can be asked by."""
        key = (collection.id, collection.version)
        found = self._terms.get(key)
        return found if found is not None else self._worked_out(collection, key)

    def _worked_out(self, collection: Collection, key: tuple[str, str]) -> Terms:
        """Return the terms of a version, worked out by one: a new worker's first askers would all do it at a time."""
        with self._lock:
            if key in self._terms:
                return self._terms[key]
            manifest = collection.manifest
            systems = offered(manifest.storage_crs, self._settings.crs_offered, area_of(collection))
            limits = self._settings.items_limit, self._settings.items_limit_max
            columns = manifest.columns
            if collection.features is not None:
                columns = with_kept_codes(columns, collection.features)
            found = Terms(columns, systems, *limits, manifest.kind)
            if len(self._terms) >= _TERMS_MAX:
                self._terms.clear()
            self._terms[key] = found
            return found

    def items(self, collection: Collection, query: str) -> ItemsRequest:
        """Return the checked request for a page of items. Raises :class:`RequestError` and its kin."""
        return self._parsed(collection, query, whole_page=True)

    def item(self, collection: Collection, query: str) -> ItemsRequest:
        """Return the checked request for one item."""
        return self._parsed(collection, query, whole_page=False)

    def selection(
        self, collection: Collection, features: Features, asked: ItemsRequest, turnstile: Turnstile
    ) -> Selection:
        """Return the rows that a request selects; those of filters and orders are kept for its other pages.

        Those are worked out behind the turnstile. Raises :class:`Overloaded` when too many wait there.
        """
        try:
            return self._selection(collection, features, asked, turnstile)
        except ReprojectionError as exc:
            assert asked.query.box is not None, "only a box has to be moved"
            text = ",".join(map(repr, asked.query.box.bbox))
            raise InvalidParameter("bbox", text, "a box with a place on the earth, in its system") from exc

    def _selection(
        self, collection: Collection, features: Features, asked: ItemsRequest, turnstile: Turnstile
    ) -> Selection:
        area = area_of(collection)
        if not asked.query.conditions and not asked.query.sortby:  # quicker found than looked up
            return matching(features, asked.query, area)
        key = (collection.id, collection.version, asked.selection)
        kept = self._selections.kept(key)
        if kept is None:
            with turnstile.passed():  # who waits for another to work out the same keeps a place, too
                kept = self._selections.get(key, lambda: _Weighed(matching(features, asked.query, area)))
        return kept.found

    def changes(self, before: Collection, after: Collection, turnstile: Turnstile) -> RowChanges:
        """Return which rows differ between two versions of features; worked out behind the turnstile, and kept.

        Raises :class:`Overloaded` when too many wait there.
        """
        assert before.features is not None and after.features is not None, "rasters have no items"
        one, other = before.features, after.features
        key = (after.id, before.version, after.version)
        kept = self._changes.kept(key)
        if kept is None:
            with turnstile.passed():
                kept = self._changes.get(key, lambda: _Weighed(compare_rows(one, other)))
        return kept.found

    def _parsed(self, collection: Collection, query: str, whole_page: bool) -> ItemsRequest:
        terms = self.terms(collection)
        parse = self._remembered if len(query) <= _REMEMBERED_BYTES_MAX else _parse
        return parse(terms, query, whole_page)


def _parse(terms: Terms, query: str, whole_page: bool) -> ItemsRequest:
    if whole_page:
        return itemparams.parse_items(params.read(query, terms.names), terms)
    return itemparams.parse_item(params.read(query, itemparams.ITEM_NAMES), terms)


class Pinned:
    """Earlier versions held open, so that a walk that began on one is not made to wait for it at every page."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._open: OrderedDict[tuple[str, str], Collection] = OrderedDict()
        self._lock = Lock()

    def collection(self, collection_id: str, version: str) -> Collection:
        """Return a version that is kept. Raises :class:`VersionGone` for one that is not, CollectionNotFound."""
        with self._lock:
            found = self._open.get((collection_id, version))
            if found is None:
                found = self._opened(collection_id, version)
                self._open[collection_id, version] = found
                if len(self._open) > _PINNED_MAX:
                    self._open.popitem(last=False)
            self._open.move_to_end((collection_id, version))
            return found

    def _opened(self, collection_id: str, version: str) -> Collection:
        try:
            return self._catalog.version(collection_id, version)
        except VersionNotFound as exc:
            raise VersionGone(
                f"The walk began on version {version} of {collection_id!r}, which is no longer kept; begin it again "
                "without 'token'."
            ) from exc
