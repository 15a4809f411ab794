"""Page to GeoJSON: stored bytes with a head and links around them; nothing is parsed and nothing formatted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

from gisservice.catalog import Features
from gisservice.model import Page


def encode_collection(
    features: Features,
    page: Page,
    links: Sequence[Mapping[str, str]] = (),
    timestamp: datetime | None = None,
) -> bytes:
    """Return a GeoJSON FeatureCollection with the members of OGC API - Features - Part 1 (17-069r4, 7.15).

    ``links`` are objects with ``href``, ``rel`` and so on; ``timestamp`` is written in UTC to the second, and left
    out when None. Each item stands on a line of its own.
    """
    head: dict[str, object] = {"type": "FeatureCollection"}
    if timestamp is not None:
        head["timeStamp"] = timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head |= {"numberMatched": page.number_matched, "numberReturned": page.number_returned, "links": list(links)}
    opening = orjson.dumps(head)[:-1]
    return b"".join([opening, b',"features":[\n', features.items(page.rows), b"\n]}\n"])


def encode_item(features: Features, row: int, links: Sequence[Mapping[str, str]] = ()) -> bytes:
    """Return one item as a GeoJSON Feature, with ``links`` as a member of it when there are any."""
    item = features.item(row)
    if not links:
        return item
    return b"".join([item[:-1], b',"links":', orjson.dumps(list(links)), b"}"])
