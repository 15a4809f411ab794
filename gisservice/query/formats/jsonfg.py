"""A page or an item as JSON-FG 1.0 (OGC 21-045r1): GeoJSON that says its reference system and its feature type.

In CRS84 a feature is what it is in GeoJSON (/req/core/place-geometries forbids a ``place`` there). In another
system its position is in ``place``, in the axis order of the authority (/req/core/axis-order), and ``geometry`` is
null, or with the profile for GeoJSON readers the same in CRS84. ``coordRefSys`` stands in the root alone
(/req/core/same-crs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from gisservice.catalog.layout import ITEM_SEPARATOR
from gisservice.model import GeometryKind

CONFORMS_TO = (
    "http://www.opengis.net/spec/json-fg-1/1.0/conf/core",
    "http://www.opengis.net/spec/json-fg-1/1.0/conf/types-schemas",
)

_DIMENSIONS = {GeometryKind.POINT: 0, GeometryKind.LINE: 1, GeometryKind.POLYGON: 2}
_GEOMETRY, _PROPERTIES = b',"geometry":', b',"properties":'


def encode_jsonfg(
    items: Iterable[bytes],
    *,
    feature_type: str,
    kind: GeometryKind,
    crs_uri: str | None = None,
    fallback: Iterable[bytes] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Iterator[bytes]:
    """Yield a JSON-FG feature collection in pieces.

    ``items`` are finished GeoJSON features, each piece one or several joined by comma and line feed. With
    ``crs_uri`` (None stands for CRS84) their positions are in that system, in its own axis order, and become
    ``place``; ``fallback`` are then the same features in CRS84, piece by piece, whose geometries become
    ``geometry``. ``members`` are further members of the collection: links, counts, a time.
    """
    yield orjson.dumps(_root("FeatureCollection", feature_type, kind, crs_uri) | dict(members or {}))[:-1]
    separator = b',"features":[\n'
    for piece in _placed_pieces(items, fallback) if crs_uri else items:
        yield separator + piece
        separator = ITEM_SEPARATOR
    yield b"\n]}\n" if separator == ITEM_SEPARATOR else separator + b"]}\n"


def encode_jsonfg_item(
    item: bytes,
    *,
    feature_type: str,
    kind: GeometryKind,
    crs_uri: str | None = None,
    fallback: bytes | None = None,
    links: Sequence[Mapping[str, str]] = (),
) -> bytes:
    """Return one JSON-FG feature as a document of its own; the arguments are those of :func:`encode_jsonfg`."""
    root = _root("Feature", feature_type, kind, crs_uri) | ({"links": list(links)} if links else {})
    del root["geometryDimension"]  # of collections alone
    placed = _placed(item, fallback) if crs_uri else item
    return orjson.dumps(root)[:-1] + placed.removeprefix(b'{"type":"Feature"')


def _root(kind_of: str, feature_type: str, kind: GeometryKind, crs_uri: str | None) -> dict[str, Any]:
    root: dict[str, Any] = {"type": kind_of, "conformsTo": CONFORMS_TO, "featureType": feature_type}
    if crs_uri is not None:
        root["coordRefSys"] = crs_uri
    return root | {"geometryDimension": _DIMENSIONS[kind]}


def _placed_pieces(items: Iterable[bytes], fallback: Iterable[bytes] | None) -> Iterator[bytes]:
    if fallback is None:
        for piece in items:
            yield ITEM_SEPARATOR.join([_placed(item, None) for item in piece.split(ITEM_SEPARATOR)])
        return
    for piece, other in zip(items, fallback, strict=True):
        both = zip(piece.split(ITEM_SEPARATOR), other.split(ITEM_SEPARATOR), strict=True)
        yield ITEM_SEPARATOR.join([_placed(item, twin) for item, twin in both])


def _placed(item: bytes, fallback: bytes | None) -> bytes:
    """Move the geometry of a feature to ``place`` and put that of its twin in CRS84, or null, where it was."""
    head, geometry, properties = split_item(item)
    if geometry == b"null":
        fallback = None
    in_lonlat = split_item(fallback)[1] if fallback is not None else b"null"
    return b"".join([head, b',"place":', geometry, _GEOMETRY, in_lonlat, properties])


def split_item(item: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut a finished feature into what stands before its geometry, the geometry, and what stands after it.

    The member names are found as bytes: inside a JSON text their quotes would be escaped.
    """
    head, _, rest = item.partition(_GEOMETRY)
    geometry, _, properties = rest.partition(_PROPERTIES)
    return head, geometry, _PROPERTIES + properties
