"""One request in, one answer out: what passes between any WSGI server and the functions that answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import brotli
import orjson
from isal import isal_zlib

from gisservice.web import negotiation
from gisservice.web.fileparts import FilePart
from gisservice.web.streams import GZIP_LEVEL, Stream, compressing

Headers = tuple[tuple[str, str], ...]

BRIEFLY = "public, max-age=10, must-revalidate"
"""For addresses whose content changes with a publication: ten seconds, then ask again (an ETag makes that cheap)."""

FOR_EVER = "public, max-age=31536000, immutable"
"""For addresses that name a version: their content never changes."""

NOT_KEPT = "no-store"
"""For errors and for the state of the process."""

PER_VISIT = "no-cache"
"""For pages with a nonce: a stored copy must not be revalidated against a new nonce, so it is fetched again."""

POLICY: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(self), microphone=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "Accept-Ranges, Content-Crs, Content-Disposition, Content-Length, Content-Range, ETag, Link, Location, "
        "Preference-Applied, Repr-Digest, Retry-After",
    ),
)
"""On every answer of every route. All that is served is public and read only, so any site may read it."""

INERT = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
"""For all that is no page of ours: nothing in it may run or load, whatever a browser takes it for."""

CODINGS = ("br", "gzip")
"""What answers are compressed with, the one we like better first."""

GZIP_BYTES_MIN = 600
"""Below this, compressing saves no packet."""

_ENCODING_MARK = 2
"""Part of every ETag that is computed here; raise it when the same version begins to be written differently."""


class Request:
    """What the answering functions see of a request; a thin view of the WSGI environment.

    ``address`` is the service's absolute address without a closing slash, ``base`` its path prefix; both are set
    by the service once it trusts the host. ``leaves`` says that the connection shall end with this answer: the next
    one may lead to a process that has less to do.
    """

    __slots__ = ("address", "base", "environ", "leaves")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.address = ""
        self.base = ""
        self.leaves = False

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def path(self) -> str:
        """The path, decoded, below the server's prefix; latin-1 text for bytes (PEP 3333)."""
        return str(self.environ.get("PATH_INFO", ""))

    @property
    def query(self) -> str:
        """The query string, undecoded."""
        return str(self.environ.get("QUERY_STRING", ""))

    def media_type(self, *offered: str) -> str:
        """Return the offered media type that the caller likes best; raises :class:`NotAcceptable`."""
        return negotiation.media_type(self.environ.get("HTTP_ACCEPT", ""), offered)

    def prefers_html(self) -> bool:
        """Tell whether the caller is a browser that shows pages: it names HTML, and likes it better than JSON."""
        accept = self.environ.get("HTTP_ACCEPT", "")[: negotiation.HEADER_BYTES_MAX]
        if "text/html" not in accept:
            return False
        return negotiation.media_type(accept, ("application/json", "text/html")) == "text/html"

    def takes_gzip(self) -> bool:
        """Tell whether the caller takes gzip."""
        return self.coding("gzip") == "gzip"

    def coding(self, *offered: str) -> str:
        """Return the offered content coding that the caller likes best, on a tie the first; "" for plain bytes."""
        return negotiation.content_coding(self.environ.get("HTTP_ACCEPT_ENCODING", ""), offered)

    def has(self, etag: str) -> bool:
        """Tell whether the caller already has the representation with this entity tag."""
        header = self.environ.get("HTTP_IF_NONE_MATCH")
        return header is not None and negotiation.matches(header, etag)


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer: status, its own headers (the policy is added when it is sent), body."""

    status: int
    headers: Headers
    body: bytes | FilePart | Stream = b""

    def at_last(self) -> Answer:
        """Return this answer as the last one on its connection."""
        return replace(self, headers=(*self.headers, ("Connection", "close")))

    @property
    def line(self) -> str:
        """The status line's text, for example ``200 OK``."""
        return _LINES[self.status]

    def all_headers(self) -> list[tuple[str, str]]:
        """Return the headers to send: its own, its length, and the policy."""
        if self.status in (204, 304):
            return [*self.headers, *POLICY]
        length = self.body.length if isinstance(self.body, Stream) else len(self.body)
        if length is None:
            return [*self.headers, *POLICY]
        return [*self.headers, ("Content-Length", str(length)), *POLICY]


def entity_tag(*parts: str) -> str:
    """Return the strong entity tag of the representation that these parts determine."""
    text = "\x1f".join((str(_ENCODING_MARK), *parts))
    return f'"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that is settled but not made yet: its media type, its ETag, and whether the caller has it."""

    request: Request
    media: str
    coding: str
    """``br``, ``gzip``, or nothing for plain bytes."""
    etag: str
    headers: Headers

    @classmethod
    def make(
        cls,
        request: Request,
        media: str,
        key: Iterable[str],
        cache: str = BRIEFLY,
        vary: str = "Accept, Accept-Encoding",
    ) -> Offer:
        """Settle a representation. ``key`` names all that determines its bytes, except the media type, the encoding
        and the address that its links begin with, which are added here.
        """
        coding = request.coding(*CODINGS)
        etag = entity_tag(*key, media, coding, request.address)
        return cls(request, media, coding, etag, (("ETag", etag), ("Cache-Control", cache), ("Vary", vary), INERT))

    def under(self, policy: tuple[str, str]) -> Offer:
        """Return the offer of a page, whose content policy lets it load what is its own."""
        return replace(self, headers=(*(pair for pair in self.headers if pair != INERT), policy))

    def unrepeatable(self) -> Offer:
        """Return the offer for content that another time may be another: without tag, not to be kept."""
        headers = tuple(pair for pair in self.headers if pair[0] not in ("ETag", "Cache-Control"))
        return replace(self, headers=(*headers, ("Cache-Control", NOT_KEPT)))

    def unchanged(self) -> Answer | None:
        """Return 304 when the caller has this representation, else None."""
        return Answer(304, self.headers) if self.request.has(self.etag) else None

    def send(self, content: bytes, extra: Headers = ()) -> Answer:
        """Answer with the content, compressed when the caller takes that and it is worth it."""
        headers = (("Content-Type", self.media), *self.headers, *extra)
        if not self.coding or len(content) < GZIP_BYTES_MIN:
            return Answer(200, headers, content)
        return Answer(200, (("Content-Encoding", self.coding), *headers), compressed(content, self.coding))

    def stream(
        self, pieces: Iterable[bytes], length: int | None, let_go: Callable[[], None], extra: Headers = ()
    ) -> Answer:
        """Answer with pieces that are made while they are sent; ``let_go`` is called when that has ended."""
        headers = (("Content-Type", self.media), *self.headers, *extra)
        if not self.coding:
            return Answer(200, headers, Stream(pieces, length, let_go))
        encoded = (("Content-Encoding", self.coding), *headers)
        return Answer(200, encoded, Stream(compressing(pieces, self.coding), None, let_go))


def document(request: Request, media: str, key: Iterable[str], make: Callable[[], object]) -> Answer:
    """Answer with a JSON document, which is made only when the caller does not have it."""
    offer = Offer.make(request, media, key)
    return offer.unchanged() or offer.send(to_json(make()))


def to_json(value: object) -> bytes:
    """Return strict JSON: NaN is null, times are RFC 3339 in UTC."""
    return orjson.dumps(value, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)


def compress(content: bytes) -> bytes:
    """Return the content as gzip, the same bytes for the same content (no time inside).

    For what is compressed at each request, by Intel's library: a tile of 485 kB takes 1.5 ms for 199 kB; zlib takes
    8 ms for as many bytes, and 14 ms for 186 kB at its level 5.
    """
    packed: bytes = isal_zlib.compress(content, GZIP_LEVEL, wbits=31)
    return packed


def compressed(content: bytes, coding: str) -> bytes:
    """Return the content in a coding of :data:`CODINGS`, quickly: for what is compressed at each request."""
    return brotli.compress(content, quality=1) if coding == "br" else compress(content)


_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
