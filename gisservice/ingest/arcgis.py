"""Reading a layer of an ArcGIS REST service, page by page, in the layer's own reference system.

Asked for GeoJSON, a server reprojects to WGS 84 by an operation it does not name; so Esri's JSON is asked for,
which states the reference system of its coordinates. Pages are ordered by the object id and asked for until
``exceededTransferLimit`` is no longer said; in the end as many records must be there as the server counts.
(ArcGIS REST API, "Query (Feature Service/Layer)".)
"""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

import numpy as np
import pyarrow as pa

from gisservice.catalog.manifest import bare_location
from gisservice.errors import SourceError
from gisservice.ingest.formats import Dataset, Format
from gisservice.ingest.selecting import select
from gisservice.ingest.stages import Flaw, Progress
from gisservice.ingest.vectors import Raw, read_vectors
from gisservice.model import Column, Finding

TIMEOUT_S = 60.0
"""For one answer of the server."""

TOTAL_S = 3600.0

PAGE_BYTES_MAX = 256 * 1024**2
TOTAL_BYTES_MAX = 2 * 1024**3
_PAGE_RECORDS = 2000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Service:
    """One layer of a service, and the limits its answers have to keep."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        secure = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
        plain = url.hostname and not (url.username or url.password or url.query or url.fragment)
        if not secure or not plain:
            shown = bare_location(address)
            raise SourceError(
                f"{shown} is not read; expected an https address without user, password, query and fragment.",
                source=shown,
            )
        self.address = address.rstrip("/")
        self.deadline = time.monotonic() + TOTAL_S
        self.bytes_left = TOTAL_BYTES_MAX
        self.digest = hashlib.sha256()
        self.opener = _opener(local=url.hostname in _LOOPBACK)

    def ask(self, path: str, **parameters: str) -> tuple[bytes, dict[str, Any]]:
        """Return one answer as it came and as an object; raise :class:`SourceError` for anything but that."""
        query = urlencode({"f": "json", **parameters})
        body = self._fetch(f"{self.address}{path}?{query}")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as exc:
            kind = "a web page" if body.lstrip()[:1] == b"<" else "something that is not JSON"
            raise self.error(f"answered with {kind}; it may need a login, or be out of order") from exc
        if not isinstance(answer, dict):
            raise self.error("answered with JSON of another form than a layer has")
        if "error" in answer:
            told = answer["error"] if isinstance(answer["error"], dict) else {}
            raise self.error(f"refused: {str(told.get('message', 'no reason given'))[:200]}")
        return body, answer

    def error(self, what: str) -> SourceError:
        """Return the error that the service did ``what``."""
        return SourceError(f"{self.address} {what}. What is published stays.", source=self.address)

    def _fetch(self, url: str) -> bytes:
        request = Request(url, headers={"User-Agent": "gisservice", "Accept": "application/json"})
        body = bytearray()
        try:
            with self.opener.open(request, timeout=TIMEOUT_S) as response:
                while chunk := response.read(65536):
                    body += chunk
                    self._spend(len(chunk), len(body))
        except HTTPError as exc:
            exc.close()
            raise self.error(f"answered with status {exc.code}") from exc
        except (URLError, TimeoutError, OSError, http.client.HTTPException) as exc:
            raise self.error(f"cannot be reached or broke off: {getattr(exc, 'reason', exc)}") from exc
        return bytes(body)

    def _spend(self, size: int, page: int) -> None:
        self.bytes_left -= size
        if page > PAGE_BYTES_MAX or self.bytes_left < 0:
            raise self.error("sent more than is taken (256 MiB a page, 2 GiB in all)")
        if time.monotonic() > self.deadline:
            raise self.error(f"took longer than {TOTAL_S / 60:.0f} minutes in all")


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would let the server choose another host, or a file."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing; the answer is then an HTTPError with the redirect's status."""


def _opener(*, local: bool) -> OpenerDirector:
    handlers: list[Any] = [_NoRedirect()]
    if local:
        handlers.append(ProxyHandler({}))
    return build_opener(*handlers)


def read_service(
    address: str, workspace: Path, declared: tuple[Column, ...] | None, progress: Progress
) -> tuple[Raw, str, int]:
    """Read all records of a layer; return them, the sha256 of what came, and how many bytes it was.

    Columns that nobody may see are not even asked for. Raises :class:`SourceError`.
    """
    service = Service(address)
    _, about = service.ask("")
    fields = [str(field.get("name")) for field in about.get("fields") or [] if isinstance(field, dict)]
    if not fields or not about.get("geometryType"):
        raise service.error("is not a layer of features: it states no fields or no geometry type")
    selection = select(fields, declared, service.address)
    object_id = str(about.get("objectIdField") or _object_id(about) or fields[0])
    asked = ",".join(dict.fromkeys([object_id, *selection.names])) if declared is not None else "*"
    _, counted = service.ask("/query", where="1=1", returnCountOnly="true")
    expected = _whole(counted.get("count"), -1)
    pages = []
    for number, body in enumerate(_pages(service, about, object_id, asked, expected, progress)):
        file = workspace / f"page-{number:05}.json"
        file.write_bytes(body)
        service.digest.update(body)
        dataset = Dataset(file, Format.ARCGIS, service.address)
        pages.append(read_vectors(dataset, None, declared, lambda *_: None))
    raw = _joined(pages, selection.noted)
    if len(raw.geometry) != expected:
        raise service.error(f"counts {expected:,} records and sent {len(raw.geometry):,}")
    return raw, service.digest.hexdigest(), TOTAL_BYTES_MAX - service.bytes_left


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise


def _object_id(about: dict[str, Any]) -> str | None:
    return next((str(f["name"]) for f in about["fields"] if f.get("type") == "esriFieldTypeOID"), None)


def _pages(
    service: Service, about: dict[str, Any], object_id: str, asked: str, expected: int, progress: Progress
) -> Iterator[bytes]:
    size = min(_whole(about.get("maxRecordCount"), _PAGE_RECORDS), _PAGE_RECORDS)
    offset = 0
    while True:
        body, page = service.ask(
            "/query",
            where="1=1",
            outFields=asked,
            orderByFields=object_id,
            resultOffset=str(offset),
            resultRecordCount=str(size),
            returnGeometry="true",
        )
        features = page.get("features")
        if not isinstance(features, list):
            raise service.error("sent a page without features")
        more = bool(page.get("exceededTransferLimit"))
        if more and not features:
            raise service.error("says that more is to come and sends nothing")
        if not features and not offset:
            raise service.error("has no records")
        if features:
            yield body
        offset += len(features)
        progress("read", offset, max(expected, offset))
        if not more:
            return
        if offset > expected >= 0:
            raise service.error(f"counts {expected:,} records and goes on sending after {offset:,}")


def _joined(pages: list[Raw], noted: tuple[Finding, ...]) -> Raw:
    starts = np.cumsum([0, *(len(page.geometry) for page in pages)])
    flaws: dict[str, Flaw] = {}
    for page, start in zip(pages, starts, strict=False):
        for flaw in page.flaws:
            before = flaws[flaw.code].rows if flaw.code in flaws else np.empty(0, dtype=np.int64)
            rows = np.concatenate([before, flaw.rows + start])
            flaws[flaw.code] = Flaw(flaw.code, flaw.message, rows, flaw.verdict)
    systems = {page.crs for page in pages if page.crs is not None and len(page.geometry)}
    if len(systems) > 1:
        raise SourceError("The service's pages are in different reference systems.", source="service")
    return Raw(
        pa.concat_tables([page.table for page in pages], promote_options="permissive"),
        np.concatenate([page.geometry for page in pages]),
        systems.pop() if systems else None,
        tuple(flaws.values()),
        noted,
    )
