"""What changed in a collection since a version or a moment: added, changed and removed items, page by page.

A page is pinned to two versions, and the links to the others name both: a walk over a long list goes on undisturbed
whatever is published meanwhile. Which rows differ is worked out once for two versions and kept; what differs in an
item is looked up for the items of a page only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from gisservice.catalog import Collection, Features
from gisservice.catalog.diff import RowChanges, changed_fields
from gisservice.catalog.history import Entry, History
from gisservice.errors import InvalidParameter, NotFound, VersionGone, VersionNotFound
from gisservice.web import params
from gisservice.web.exchange import Answer, Offer, Request, to_json
from gisservice.web.itemparams import OFFSET_MAX
from gisservice.web.links import GEOJSON, HTML, JSON, Link, changes_path, collection_path, downloads_path, link
from gisservice.web.params import Parameter, moment, whole
from gisservice.web.service import Service

_FORMS = (
    ("json", JSON, "The ids, and the fields that differ"),
    ("geojson", GEOJSON, "The items themselves"),
    ("html", HTML, "This page to be read"),
)

NAMES = ("since", "until", "limit", "offset", "f")

_EXPECTED = "a version such as v-0123456789abcdef, or a date-time such as 2026-01-31T12:00:00Z"


def parameters(limit: int, limit_max: int) -> dict[str, Parameter]:
    """Return the parameters by what they are called in the API's description."""
    listed = (
        Parameter(
            "since",
            "What to compare with: the id of a version, or a date-time (RFC 3339) for the version current then; "
            "without it the version before the later side.",
            {"type": "string"},
        ),
        Parameter("until", "The later side, likewise; without it the current version.", {"type": "string"}),
        Parameter(
            "limit",
            f"Changes on a page. More than {limit_max} gets {limit_max}, and a link to the rest.",
            {"type": "integer", "minimum": 1, "maximum": limit_max, "default": limit},
        ),
        Parameter(
            "offset",
            "Changes to pass over before the page begins.",
            {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0},
        ),
        Parameter(
            "f",
            "The format of the answer, instead of the Accept header.",
            {"type": "string", "enum": ["json", "geojson", "html"]},
        ),
    )
    return {component(entry.name): entry for entry in listed}


def component(name: str) -> str:
    """Return what a parameter is called in the API's description."""
    return f"changes-{name}"


@dataclass(frozen=True)
class Side:
    """One of the two versions that are compared, and when it became current."""

    collection: Collection
    entry: Entry

    @property
    def features(self) -> Features:
        """Its records."""
        found = self.collection.features
        if found is None:
            raise NotFound(f"Collection {self.collection.id!r} has no items: it is a raster.")
        return found

    @property
    def described(self) -> dict[str, Any]:
        """What the answer says of it."""
        return {"version": self.collection.version, "published": self.entry.at, "count": self.features.count}


@dataclass(frozen=True)
class Change:
    """A changed item, by its row in either version; None where it is in one only."""

    old: int | None
    new: int | None

    @property
    def kind(self) -> str:
        """``added``, ``changed`` or ``removed``."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"


def changes(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer a page of what changed, as JSON (ids and fields) or as GeoJSON (the items as they are, or last were)."""
    values = params.read(request.query, NAMES)
    form = values.get("f")
    if form not in (None, "json", "geojson"):
        raise InvalidParameter("f", str(form), "'json', 'geojson' or 'html'")
    media = {"json": JSON, "geojson": GEOJSON}.get(form or "") or request.media_type(JSON, GEOJSON)
    settings = service.settings
    limit = min(whole("limit", values.get("limit", str(settings.items_limit)), 1), settings.items_limit_max)
    offset = whole("offset", values.get("offset", "0"), 0, OFFSET_MAX)
    current = service.catalog.collection(collection_id)
    history = service.catalog.history(collection_id)
    until = _side(service, current, history, "until", values.get("until", current.version))
    since = _side(service, current, history, "since", values.get("since", _before(history, until.entry)))
    stamps = (f"{side.collection.version} {side.entry.at}" for side in (since, until))
    key = ("changes", service.edition, collection_id, *stamps, f"{limit} {offset}", form or "", values.get("since", ""))
    offer = Offer.make(request, media, (*key, values.get("until", "")))
    if unchanged := offer.unchanged():
        return unchanged
    found = service.asking.changes(since.collection, until.collection, service.selections)
    given = {name: values[name] for name in NAMES if name in values}
    page = Page(request, since, until, found, limit, offset, media, given)
    return offer.send(page.as_geojson() if media == GEOJSON else page.as_json())


def _side(service: Service, current: Collection, history: History, name: str, text: str) -> Side:
    """Return the version that a parameter names. Raises :class:`InvalidParameter`, VersionNotFound, VersionGone."""
    latest = history.latest()
    if text.startswith("v-"):
        version = text if text in latest else None
        missing = f"Collection {current.id!r} never had a version {text[:40]!r}; '/versions' lists those it has."
    else:
        when = moment(text)
        if when is None:
            raise InvalidParameter(name, text, _EXPECTED)
        version = history.at(when)
        first = history.entries[0].at.isoformat()
        missing = f"Collection {current.id!r} had no version at {text}; the first was published at {first}."
    if version is None:
        raise VersionNotFound(missing)
    side = Side(_opened(service, current, version), latest[version])
    _ = side.features
    return side


def _before(history: History, entry: Entry) -> str:
    """Return the version that was current before an entry's own; that itself where it is the first."""
    earlier = history.entries[: history.entries.index(entry)]
    return next((one.version for one in reversed(earlier) if one.version != entry.version), entry.version)


def _opened(service: Service, current: Collection, version: str) -> Collection:
    if version == current.version:
        return current
    try:
        return service.pinned.collection(current.id, version)
    except VersionGone as exc:
        raise VersionGone(
            f"Version {version} of {current.id!r} is no longer kept, so what changed since cannot be told; fetch the "
            "whole layer, and ask for what changed since the version that it then is."
        ) from exc


@dataclass(frozen=True)
class Page:
    """A page of changes, to be written: the added first, then the changed, then the removed, each in stored order."""

    request: Request
    since: Side
    until: Side
    found: RowChanges
    limit: int
    offset: int
    media: str
    given: dict[str, str]

    def as_json(self) -> bytes:
        """Return ids, and of changed items the fields with their values before and after."""
        listed = [self._described(change) for change in self._changes()]
        return to_json({**self._head(len(listed)), "changes": listed})

    def as_geojson(self) -> bytes:
        """Return the items themselves, each marked with what became of it; removed ones as they last were."""
        items = [self._item(change) for change in self._changes()]
        head = to_json({"type": "FeatureCollection", **self._head(len(items))})
        return b"".join([head[:-1], b',"features":[\n', b",\n".join(items), b"\n]}\n"])

    def _changes(self) -> Iterator[Change]:
        """Yield the changes of this page."""
        found, first, last = self.found, self.offset, self.offset + self.limit
        for row in found.added[first:last].tolist():
            yield Change(None, row)
        first, last = max(0, first - len(found.added)), max(0, last - len(found.added))
        for old, new in found.changed[first:last].tolist():
            yield Change(old, new)
        first, last = max(0, first - len(found.changed)), max(0, last - len(found.changed))
        for row in found.removed[first:last].tolist():
            yield Change(row, None)

    def _head(self, count: int) -> dict[str, Any]:
        found = self.found
        return {
            "collection": self.until.collection.id,
            "since": self.since.described,
            "until": self.until.described,
            "numberAdded": len(found.added),
            "numberChanged": len(found.changed),
            "numberRemoved": len(found.removed),
            "numberMatched": found.count,
            "numberReturned": count,
            "links": self._links(),
        }

    def _described(self, change: Change) -> dict[str, Any]:
        named = self._named(change)
        if change.old is None or change.new is None:
            return {**named, "change": change.kind}
        fields = self._fields(change)
        moved = fields.pop("geometry", None) is not None
        shown = {name: {"before": before, "after": after} for name, (before, after) in fields.items()}
        return {**named, "change": change.kind, "geometryChanged": moved, "fields": shown}

    def _item(self, change: Change) -> bytes:
        side, row = self._side(change)
        marks = self._named(change) | {"change": change.kind}
        del marks["id"]  # the item has it
        if change.kind == "changed":
            fields = self._fields(change)
            marks["geometryChanged"] = fields.pop("geometry", None) is not None
            marks["before"] = {name: before for name, (before, _) in fields.items()}
        return b"".join([side.features.item(row)[:-1], b",", orjson.dumps(marks)[1:]])

    def _fields(self, change: Change) -> dict[str, Any]:
        assert change.old is not None and change.new is not None, "only what is in both versions has changed"
        return changed_fields(self.since.features, change.old, self.until.features, change.new)

    def _named(self, change: Change) -> dict[str, Any]:
        """Return the id of an item, and what people call it where the registry says which column tells."""
        side, row = self._side(change)
        column, features = self.until.collection.layer.title_column, side.features
        title = None
        if column is not None and column in features.attributes.column_names:
            title = features.attributes.column(column)[row].as_py()
        return {"id": features.item_id(row), **({} if title is None else {"title": title})}

    def _side(self, change: Change) -> tuple[Side, int]:
        """Return the version that shows an item, the later one that has it, and its row there."""
        side, row = (self.since, change.old) if change.new is None else (self.until, change.new)
        assert row is not None, "an item is in one of the versions"
        return side, row

    def _links(self) -> list[Link]:
        media = self.media
        links = [self._to(self.given, "self", media, "This page")]
        links += [
            self._to({**self.given, "f": form}, "alternate", kind, title)
            for form, kind, title in _FORMS
            if kind != media
        ]
        pinned = {"since": self.since.collection.version, "until": self.until.collection.version}
        form = {"f": self.given["f"]} if "f" in self.given else {}
        if self.offset + self.limit < self.found.count:
            place = {"limit": str(self.limit), "offset": str(self.offset + self.limit)}
            links.append(self._to({**pinned, **place, **form}, "next", media, "The next page"))
        if self.offset:
            place = {"limit": str(self.limit), "offset": str(max(0, min(self.offset, self.found.count) - self.limit))}
            links.append(self._to({**pinned, **place, **form}, "prev", media, "The page before"))
        request, name = self.request, self.until.collection.id
        for side, rel, title in (
            (self.since, "predecessor-version", "The version before, as files"),
            (self.until, "successor-version", "The version after, as files"),
        ):
            links.append(link(request, downloads_path(name, side.collection.version), rel, JSON, title))
        path = collection_path(name)
        links.append(link(request, f"{path}/versions", "version-history", JSON, "All versions that are kept"))
        links.append(link(request, path, "collection", JSON, "The collection"))
        return links

    def _to(self, query: dict[str, str], rel: str, media: str, title: str) -> Link:
        path = changes_path(self.until.collection.id, urlencode(query, safe=":,"))
        return link(self.request, path, rel, media, title)
