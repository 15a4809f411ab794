"""Page tokens: where in which version a page begins, as an opaque text that fits into an address.

A token names the version that a walk began on and the row behind which the page begins, so a walk keeps to its version
whatever is published meanwhile. A digest ties it to the query it came from: a token that was altered, cut or moved to
another query is refused. There is no secret in it, because there is nothing to keep: all it can lead to is public,
and the row is checked against the query's answer.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass
from hashlib import blake2b

from gisservice.errors import InvalidParameter

_TOKEN = re.compile(r"[A-Za-z0-9_-]{24}", re.ASCII)
_VERSION = re.compile(r"v-([0-9a-f]{16})", re.ASCII)
_FIELDS = struct.Struct(">8sI6s")
"""The version's digits, the row plus one, the digest."""

_EXPECTED = "a token from a 'next' or 'prev' link of this service, with the other parameters as they are in the link"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a version: behind a row, or before the first item with row -1."""

    version: str
    row: int


def write_token(cursor: Cursor, query: str) -> str:
    """Return the token of a place in the answer to a query; ``query`` is its canonical text without page and limit.

    >>> write_token(Cursor("v-0123456789abcdef", 41), "")
    'ASNFZ4mrze8AAAAqYLCCu8-w'
    """
    match = _VERSION.fullmatch(cursor.version)
    assert match is not None, "versions are named v- and 16 hexadecimal digits"
    packed = _FIELDS.pack(bytes.fromhex(match[1]), cursor.row + 1, _digest(cursor, query))
    return base64.urlsafe_b64encode(packed).decode()


def read_token(token: str) -> Cursor:
    """Return the place that a token names, not yet tied to a query. Raises :class:`InvalidParameter`."""
    if not _TOKEN.fullmatch(token):
        raise InvalidParameter("token", token, _EXPECTED)
    try:
        version, row, _ = _FIELDS.unpack(base64.urlsafe_b64decode(token))
    except (binascii.Error, struct.error) as exc:
        raise InvalidParameter("token", token, _EXPECTED) from exc
    return Cursor(f"v-{version.hex()}", row - 1)


def check_token(token: str, query: str) -> Cursor:
    """Return the place that a token names in the answer to a query. Raises :class:`InvalidParameter`."""
    cursor = read_token(token)
    if write_token(cursor, query) != token:
        raise InvalidParameter("token", token, _EXPECTED)
    return cursor


def _digest(cursor: Cursor, query: str) -> bytes:
    return blake2b(f"{cursor.version} {cursor.row} {query}".encode(), digest_size=6, person=b"page-token").digest()
