"""The manifest of a version: what was published, from what, how, and the sha256 of every file.

Written once, at publication, as JSON and sealed with its own digest, so that damage to it is seen when it is read.
It names files by their place inside the version and sources by their bare name: no path of the machine occurs.
"""

from __future__ import annotations

import hashlib
import types
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit, urlunsplit

import orjson

from gisservice.errors import CatalogError
from gisservice.model import Column, Extent, GeometryKind, Layer, Operation, Provenance, Quality

FORMAT = 1
"""Of the manifest, the pointer and the layout of a version; one number for all three."""

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
_READABLE = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


class FileDigest(TypedDict):
    """What the manifest says of one file: ``sha256`` in hexadecimal digits, ``size`` in bytes."""

    sha256: str
    size: int


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything known about one version but its data.

    ``storage_crs`` is an authority code and ``storage_crs_definition`` its WKT2. ``extent`` is in CRS84. ``columns``
    are the published public ones, in order, the id column among them. ``files`` is filled in by the catalog when
    the version is published.
    """

    collection: str
    layer: Layer
    kind: GeometryKind
    count: int
    storage_crs: str
    storage_crs_definition: str
    extent: Extent | None
    columns: tuple[Column, ...] = ()
    id_column: str = ""
    provenance: tuple[Provenance, ...] = ()
    operations: tuple[Operation, ...] = ()
    quality: Quality
    created: datetime = field(default_factory=_now)
    tiles: dict[str, Any] | None = None
    """``minzoom``, ``maxzoom``, ``tiles`` (how many) and ``bytes``; None without a pyramid."""
    raster: dict[str, Any] | None = None
    files: dict[str, FileDigest] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, texts and numbers; :meth:`from_json` is the way back."""
        plain: dict[str, Any] = _encode(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Manifest:
        """Rebuild a manifest. Raises :class:`CatalogError` for another format or a value that does not fit."""
        if data.get("format") != FORMAT:
            raise CatalogError(
                f"The manifest has format {data.get('format')!r}; this release reads format {FORMAT}. "
                "Publish the layer again, or use the release that wrote it."
            )
        try:
            manifest: Manifest = _decode(cls, data)
        except (TypeError, ValueError, KeyError, AttributeError) as exc:
            raise CatalogError(f"The manifest does not have the form of format {FORMAT}: {exc}.") from exc
        return manifest

    def without_paths(self) -> Manifest:
        """Return the manifest with each source reduced to a file name, or to an address without secrets."""
        sources = tuple(replace(source, location=bare_location(source.location)) for source in self.layer.sources)
        provenance = tuple(replace(item, source=bare_location(item.source)) for item in self.provenance)
        return replace(self, layer=replace(self.layer, sources=sources), provenance=provenance)


def version_id(manifest: dict[str, Any]) -> str:
    """Return the id of the version that a manifest, as JSON, describes: ``v-`` and 16 hexadecimal digits.

    It is a digest of the declaration, the sources' digests, the quality and the files, and of no time: the same
    data published twice has the same id.
    """
    content = {
        "layer": manifest["layer"],
        "provenance": [item["sha256"] for item in manifest["provenance"]],
        "quality": manifest["quality"],
        "files": {name: entry["sha256"] for name, entry in manifest["files"].items()},
    }
    return "v-" + hashlib.sha256(orjson.dumps(content, option=_CANONICAL)).hexdigest()[:16]


def seal(content: dict[str, Any]) -> bytes:
    """Return JSON text with a ``digest`` of the content in it."""
    return orjson.dumps({**content, "digest": _digest(content)}, option=_READABLE)


def unseal(text: bytes, name: str) -> dict[str, Any]:
    """Return the content of a sealed text; raise :class:`CatalogError` naming it where it is damaged."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise CatalogError(f"{name} is damaged: it is not JSON.") from exc
    if not isinstance(content, dict) or content.pop("digest", None) != _digest(content):
        raise CatalogError(f"{name} is damaged: its content does not match its digest.")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=_CANONICAL)).hexdigest()


def bare_location(location: str) -> str:
    """Return the file name of a path, or an address without user, query and fragment.

    >>> bare_location("/home/office/in/parcels.gdb.zip")
    'parcels.gdb.zip'
    """
    if location.lower().startswith(("http://", "https://")):
        url = urlsplit(location)
        return urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
    return PureWindowsPath(location).name if "\\" in location else PurePosixPath(location).name


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        return {item.name: _encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, value: Any) -> Any:
    """Rebuild ``value`` as the annotated type ``kind``; keys a later release added are passed over."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else _decode(inner[0], value)
    if origin is tuple:
        return _decode_tuple(get_args(kind), value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _decode(hint, value[name]) for name, hint in hints.items() if name in value})
    if kind is datetime:
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return value


def _decode_tuple(options: tuple[Any, ...], value: list[Any]) -> tuple[Any, ...]:
    if len(options) == 2 and options[1] is Ellipsis:
        return tuple(_decode(options[0], item) for item in value)
    return tuple(_decode(option, item) for option, item in zip(options, value, strict=True))
