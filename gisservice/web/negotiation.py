"""Content negotiation and conditions (RFC 9110, 8, 12 and 13) as plain functions of header texts."""

from __future__ import annotations

import re
from functools import lru_cache

from gisservice.errors import LimitExceeded, NotAcceptable

HEADER_BYTES_MAX = 4_096
"""Longest Accept or Accept-Encoding that is read; browsers send under 300 bytes."""

_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)


@lru_cache(maxsize=1024)
def media_type(accept: str, offered: tuple[str, ...]) -> str:
    """Return the offered media type that an Accept header likes best; on a tie the first offered.

    Raises :class:`NotAcceptable` when it takes none of them, :class:`LimitExceeded` for an overlong header.

    >>> media_type("text/html,application/json;q=0.9,*/*;q=0.8", ("application/json", "text/html"))
    'text/html'
    """
    if not accept:
        return offered[0]
    if len(accept) > HEADER_BYTES_MAX:
        raise LimitExceeded("An Accept header", len(accept), HEADER_BYTES_MAX, "bytes")
    ranges = _weighted(accept)
    best = max(offered, key=lambda media: _media_quality(ranges, media))
    if not _media_quality(ranges, best):
        raise NotAcceptable(offered)
    return best


@lru_cache(maxsize=1024)
def content_coding(accept_encoding: str, offered: tuple[str, ...]) -> str:
    """Return the offered coding that an Accept-Encoding header likes best, on a tie the first; "" for plain bytes.

    Without a header, and where plain bytes are liked better than every coding offered, they are sent plain.

    >>> content_coding("gzip, br", ("br", "gzip")), content_coding("br;q=0.5, gzip", ("br", "gzip"))
    ('br', 'gzip')
    """
    if not accept_encoding or len(accept_encoding) > HEADER_BYTES_MAX:
        return ""
    qualities = _weighted(accept_encoding)
    best = max(offered, key=lambda coding: _coding_quality(qualities, coding))
    quality = _coding_quality(qualities, best)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else ""


def matches(if_none_match: str, etag: str) -> bool:
    """Tell whether an If-None-Match header names this entity tag, by weak comparison (RFC 9110, 8.8.3.2).

    Our tags are strong, and no tag can hold the quotes that close it, so the quoted tag occurs in a list exactly
    when the list has it, weak prefix or not; a list of any length costs one search.
    """
    return etag in if_none_match or if_none_match.strip() == "*"


def _weighted(header: str) -> dict[str, float]:
    """Return name → quality of a header with weights; parameters other than ``q`` are left out of account."""
    found: dict[str, float] = {}
    for entry in header.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        if name:
            texts = [value[2:].strip() for value in parameters if value.startswith("q=")]
            quality = 1.0 if not texts else float(texts[0]) if _QUALITY.fullmatch(texts[0]) else 0.0
            found[name] = max(quality, found.get(name, 0.0))
    return found


def _media_quality(ranges: dict[str, float], media: str) -> float:
    bare = media.partition(";")[0]
    kind = bare.partition("/")[0]
    for name in (bare, f"{kind}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0


def _coding_quality(qualities: dict[str, float], coding: str) -> float:
    for name in (coding, f"x-{coding}", "*"):  # x-gzip is gzip (RFC 9110, 8.4.1.3)
        if name in qualities:
            return qualities[name]
    return 0.0
