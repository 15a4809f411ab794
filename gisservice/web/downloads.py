"""Whole layers as files: one function for the current version and for a named one, and the list of what there is.

A file is made once and then lies beside its version. One that is not there yet is made by a process of its own, as
making it takes seconds; the request waits for it a little while, and few do at a time. GeoJSON in degrees is never
made: it is the stored items with a head before and a tail after them.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gisservice import crs
from gisservice.catalog import Collection, Features
from gisservice.catalog.derived import Derived, DerivedFile
from gisservice.catalog.layout import SERVE_FILE
from gisservice.errors import InvalidParameter, NotFound, ReprojectionError
from gisservice.query.downloads import (
    DOWNLOADS,
    GEOJSON_TAIL,
    LONLAT,
    Download,
    Wanted,
    all_files,
    archive_of,
    file_name,
    forms_of,
    geojson_head,
    own_file,
)
from gisservice.web import params
from gisservice.web.exchange import BRIEFLY, FOR_EVER, Answer, Headers, Request, document
from gisservice.web.fileparts import Framed, Span
from gisservice.web.links import JSON, download_path
from gisservice.web.ranges import file_answer
from gisservice.web.service import Service

PARAMETERS = ("crs",)


def file(
    service: Service, request: Request, *, collection_id: str, extension: str, version: str | None = None
) -> Answer:
    """Answer a whole layer as a file: of the current version, or of a named one, whose files never change.

    The part before the first dot is the name, whatever the router took for it: endings have dots, names have none.
    """
    if version is None:
        collection_id, _, extension = f"{collection_id}.{extension}".partition(".")
    else:
        version, _, extension = f"{version}.{extension}".partition(".")
    kept = BRIEFLY if version is None else FOR_EVER
    return _file(service, request, _opened(service, collection_id, version), extension, kept)


def listing(service: Service, request: Request, *, collection_id: str, version: str | None = None) -> Answer:
    """Answer the list of a layer's files, with their sizes and digests and with what each of them loses.

    A file that was not made yet has no size and no digest.
    """
    params.read(request.query, ())
    collection = _opened(service, collection_id, version)
    files = known_files(collection)
    states = [f"{wanted.extension} {wanted.system} {found}" for wanted, found in files.items()]

    def make() -> dict[str, Any]:
        entries = [_described(request, collection, wanted, found) for wanted, found in files.items()]
        return {"collection": collection.id, "version": collection.version, "files": entries}

    key = ("downloads", service.edition, collection.id, collection.version, *states)
    return document(request, request.media_type(JSON), key, make)


def _file(service: Service, request: Request, collection: Collection, extension: str, kept: str) -> Answer:
    entry = _entry(collection, extension)
    system = _system(entry, collection, params.read(request.query, PARAMETERS).get("crs"))
    wanted = Wanted(extension, system)
    if collection.features is not None and wanted == Wanted("geojson", LONLAT):
        return _send_items(service, request, collection, collection.features, kept)
    archive = archive_of(collection.manifest, wanted)
    found = archive or service.workshop.file(collection, wanted)
    if found.problem:
        raise NotFound(f"{found.name}: {found.problem}")
    path = collection.path / own_file(wanted) if archive else Derived(collection).path(found.name)
    headers = _headers(found.name, found.sha256)
    return file_answer(
        request, path, found.size, f'"{found.sha256[:32]}"', entry.media, kept, service.downloads, headers
    )


def _send_items(service: Service, request: Request, collection: Collection, features: Features, kept: str) -> Answer:
    """Answer GeoJSON in degrees: sent at once, also before its digest is known."""
    name = file_name(collection.manifest, "geojson", LONLAT)
    head = geojson_head(collection.id, LONLAT)
    file = Framed(collection.path / SERVE_FILE, Span(*features.items_stretch), head, GEOJSON_TAIL)
    known = Derived(collection).find(name)
    headers = _headers(name, known.sha256 if known else "")
    media = DOWNLOADS["geojson"].media
    etag = f'"{collection.version}.geojson"'
    return file_answer(request, file, file.size, etag, media, kept, service.downloads, headers)


def _headers(name: str, sha256: str) -> Headers:
    """Return the name to save the file under (RFC 6266; ASCII by construction) and its digest (RFC 9530)."""
    saved = (("Content-Disposition", f'attachment; filename="{name}"'),)
    if not sha256:
        return saved
    return (*saved, ("Repr-Digest", f"sha-256=:{base64.b64encode(binascii.unhexlify(sha256)).decode()}:"))


def _opened(service: Service, collection_id: str, version: str | None) -> Collection:
    if version is None:
        return service.catalog.collection(collection_id)
    return service.catalog.version(collection_id, version)


def _entry(collection: Collection, extension: str) -> Download:
    forms = forms_of(collection.manifest)
    entry = forms.get(extension)
    if entry is None:
        raise NotFound(
            f"Collection {collection.id!r} has no file with the ending {extension[:40]!r}; "
            f"there are {', '.join(forms)}."
        )
    return entry


def _system(entry: Download, collection: Collection, text: str | None) -> str:
    systems = entry.systems(collection.manifest)
    if text is None:
        return systems[0]
    found = text if text in systems else _code(text)
    if found not in systems:
        raise InvalidParameter("crs", text, f"{' or '.join(systems)} for a file of the form {entry.extension}")
    return found


def _code(text: str) -> str:
    """Return the code of the system that a code, URI or URN names; "" for none."""
    try:
        code = crs.code(crs.parse(text)) or ""
    except ReprojectionError:
        return ""
    return LONLAT if code == crs.code(crs.CRS84) else code


def known_files(collection: Collection) -> dict[Wanted, DerivedFile | None]:
    """Return all files of a version, each with what is known of it; None where it was not made yet."""
    derived, manifest = Derived(collection), collection.manifest
    return {
        wanted: archive_of(manifest, wanted) or derived.find(file_name(manifest, wanted.extension, wanted.system))
        for wanted in all_files(manifest)
    }


def _described(request: Request, collection: Collection, wanted: Wanted, found: DerivedFile | None) -> dict[str, Any]:
    entry = forms_of(collection.manifest)[wanted.extension]
    described: dict[str, Any] = {
        "name": file_name(collection.manifest, wanted.extension, wanted.system),
        "title": entry.title,
        "href": request.address + download_path(collection.id, wanted.extension, wanted.system),
        "versionHref": request.address
        + download_path(collection.id, wanted.extension, wanted.system, collection.version),
        "type": entry.media,
        "crs": wanted.system,
        "size": found.size if found and not found.problem else None,
        "sha256": found.sha256 if found and not found.problem else None,
        "losses": entry.losses(collection.manifest),
    }
    return described | ({"problem": found.problem} if found and found.problem else {})
