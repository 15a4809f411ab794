"""Which formats are read, and how a file shows that it is what its name says.

The format follows from the extension, and the first bytes have to agree, before GDAL sees the file: a driver is
never chosen by content. So a virtual dataset, a connection string or a pipeline in disguise is not opened.
"""

from __future__ import annotations

import codecs
import sqlite3
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gisservice.errors import SourceError
from gisservice.ingest.unpacking import gunzip, unzip

__all__ = ["Dataset", "Format", "prepare"]


class Format(StrEnum):
    """The formats that are read, by the names people know."""

    SHAPEFILE = "Shapefile"
    GEODATABASE = "File Geodatabase"
    GEOPACKAGE = "GeoPackage"
    GEOJSON = "GeoJSON"
    FLATGEOBUF = "FlatGeobuf"
    KML = "KML"
    CSV = "CSV"
    PARQUET = "GeoParquet"
    GEOTIFF = "GeoTIFF"
    ARCGIS = "ArcGIS REST"


_EXTENSIONS = {
    ".shp": Format.SHAPEFILE,
    ".gdb": Format.GEODATABASE,
    ".gpkg": Format.GEOPACKAGE,
    ".geojson": Format.GEOJSON,
    ".json": Format.GEOJSON,
    ".fgb": Format.FLATGEOBUF,
    ".kml": Format.KML,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
    ".geoparquet": Format.PARQUET,
    ".tif": Format.GEOTIFF,
    ".tiff": Format.GEOTIFF,
}
_READ = "zipped Shapefile, zipped File Geodatabase, GeoPackage, GeoJSON, CSV, GeoParquet, FlatGeobuf, KML or GeoTIFF"

_PARTS = (Format.SHAPEFILE, Format.GEODATABASE)
"""Formats of several files, which are read from a zip file alone: one source is one file with one digest."""

_HEAD = 4096
_GEOPACKAGE_IDS = (b"GPKG", b"GP10", b"GP11")
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ESRI_ENCODINGS = {"88591": "iso8859-1", "ansi 1252": "cp1252", "ansi 1251": "cp1251", "oem": "cp437"}


@dataclass(frozen=True)
class Dataset:
    """A file, or the folder of a geodatabase, that looks like what its extension says. ``name`` is the source's."""

    path: Path
    format: Format
    name: str
    encoding: str | None = None
    """Of a shapefile's texts, where its .cpg says it."""


def prepare(path: Path, workspace: Path, layer: str | None, name: str) -> Dataset:
    """Return what a source file holds, unpacked into ``workspace`` where it is packed.

    ``layer`` picks one of several datasets in a zip file, by the name without its extension. Raises
    :class:`SourceError` for a file that is missing, empty, damaged or not of a format that is read.
    """
    _require_file(path, name)
    extension = path.suffix.lower()
    if extension == ".zip":
        unzip(path, workspace, name)
        path = _member(workspace, layer, name)
    elif extension == ".gz":
        unpacked = workspace / path.stem
        gunzip(path, unpacked, name)
        path = unpacked
        _require_file(path, name)
    kind = _EXTENSIONS.get(path.suffix.lower())
    if kind is None or (kind in _PARTS and extension != ".zip"):
        hint = "zip it with all the files that belong to it" if kind in _PARTS else f"expected a {_READ}"
        raise SourceError(f"{name} cannot be read: {hint}.", source=name)
    return Dataset(path, kind, name, _CHECKS[kind](path, name))


def _require_file(path: Path, name: str) -> None:
    if path.is_dir():
        hint = ": zip the folder and give the zip file" if path.suffix.lower() == ".gdb" else ""
        raise SourceError(f"{name} is a folder; expected a file{hint}.", source=name)
    if not path.is_file():
        raise SourceError(f"{name} does not exist here; expected a file. Check the path.", source=name)
    if path.stat().st_size == 0:
        raise SourceError(f"{name} is empty (0 bytes). Export or download it again.", source=name)


def _member(folder: Path, layer: str | None, name: str) -> Path:
    """Return the dataset of an unpacked zip file: the only one, or the one of this name."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _EXTENSIONS and not any(parent.suffix.lower() == ".gdb" for parent in path.parents)
    ]
    if not found:
        raise SourceError(f"{name} holds nothing that is read; expected a {_READ} inside.", source=name)
    if len(found) == 1:
        return found[0]
    named = [path for path in found if layer is not None and path.stem.casefold() == layer.casefold()]
    if len(named) == 1:
        return named[0]
    raise SourceError(unknown_layer(name, layer, [path.stem for path in found]), source=name)


def unknown_layer(name: str, layer: str | None, layers: list[str]) -> str:
    """Return the sentence for a source of several layers of which none, or an unknown one, was named."""
    shown = ", ".join(layers[:30]) + (", …" if len(layers) > 30 else "")
    if layer is not None:
        return f"{name} has no layer {layer!r}; it has: {shown}."
    return f"{name} holds {len(layers)} layers: {shown}. Name one with --layer, or layer = '…' in its declaration."


def _head(path: Path, name: str) -> bytes:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        raise SourceError(
            f"{name} is a web page, not data: its address may need a login, or answers with an error page.",
            source=name,
        )
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(f"{name} is UTF-16 text; expected UTF-8. Save it as UTF-8.", source=name)
    return head


def _not_a(kind: Format, name: str) -> SourceError:
    return SourceError(
        f"{name} is not a {kind}, or is damaged: it does not begin as one. Export or download it again.", source=name
    )


def _check_shapefile(path: Path, name: str) -> str | None:
    """Check that the three files are there, whole, and of one length; return the encoding of the texts."""
    siblings = {sibling.suffix.lower(): sibling for sibling in path.parent.iterdir() if sibling.stem == path.stem}
    for extension, what in ((".dbf", "the attributes"), (".shx", "the index")):
        if extension not in siblings:
            raise SourceError(
                f"{name} has {path.name} but no {path.stem}{extension} ({what}): a shapefile needs .shp, .shx and "
                ".dbf. Zip all its files together.",
                source=name,
            )
    shapes = _shape_file_length(path, name)
    index = _shape_file_length(siblings[".shx"], name)
    table = siblings[".dbf"]
    head = table.read_bytes()[:32]
    if len(head) < 32:
        raise SourceError(f"{name}: {table.name} is truncated: it has no header.", source=name)
    rows, header_bytes, row_bytes = struct.unpack("<IHH", head[4:12])
    if table.stat().st_size < header_bytes + rows * row_bytes:
        raise SourceError(f"{name}: {table.name} is truncated: it ends before its {rows:,} rows do.", source=name)
    if shapes < 100 or (index - 100) // 8 != rows:
        raise SourceError(
            f"{name}: {path.name} has {(index - 100) // 8:,} shapes and {table.name} {rows:,} rows; expected as many "
            "of each. Export the layer again.",
            source=name,
        )
    return _encoding(siblings[".cpg"], name) if ".cpg" in siblings else None


def _shape_file_length(path: Path, name: str) -> int:
    """Return the length in bytes that the header of a .shp or .shx states, having compared it with the file's."""
    with open(path, "rb") as file:
        head = file.read(100)
    if len(head) < 100 or head[:4] != b"\0\0\x27\x0a":
        raise SourceError(f"{name}: {path.name} is no part of a shapefile, or is damaged.", source=name)
    stated = int(struct.unpack(">I", head[24:28])[0]) * 2
    if path.stat().st_size < stated:
        raise SourceError(
            f"{name}: {path.name} is truncated: {path.stat().st_size:,} bytes of {stated:,}. Copy it again.",
            source=name,
        )
    return stated


def _encoding(path: Path, name: str) -> str:
    text = path.read_bytes()[:64].decode("ascii", "replace").strip()
    wanted = _ESRI_ENCODINGS.get(text.lower(), f"cp{text}" if text.isdigit() else text)
    try:
        return codecs.lookup(wanted).name
    except LookupError as exc:
        raise SourceError(
            f"{name}: {path.name} names the encoding {text!r}, which is not known; expected for example UTF-8.",
            source=name,
        ) from exc


def _check_geodatabase(path: Path, name: str) -> None:
    if not path.is_dir() or not (path / "a00000001.gdbtable").is_file():
        raise SourceError(
            f"{name}: {path.name} is not a File Geodatabase, or is damaged: its system catalog is missing.",
            source=name,
        )


def _check_geopackage(path: Path, name: str) -> None:
    """Look at a GeoPackage as a database that nobody trusts: read-only, its schema not run, its pages checked."""
    head = _head(path, name)
    if not head.startswith(b"SQLite format 3\0") or head[68:72] not in _GEOPACKAGE_IDS:
        raise _not_a(Format.GEOPACKAGE, name)
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            database.execute("PRAGMA trusted_schema = OFF")
            verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            views = database.execute(
                "SELECT table_name FROM gpkg_contents JOIN sqlite_master ON lower(name) = lower(table_name) "
                "WHERE type = 'view'"
            ).fetchall()
        finally:
            database.close()
    except sqlite3.DatabaseError as exc:
        raise SourceError(f"{name} is a damaged GeoPackage: {exc}. Export it again.", source=name) from exc
    if verdict != "ok":
        raise SourceError(f"{name} is a damaged GeoPackage: {verdict}. Export it again.", source=name)
    if views:
        raise SourceError(
            f"{name}: layer {views[0][0]!r} is a view, which would run the file's own SQL; export it as a table.",
            source=name,
        )


def _check_geojson(path: Path, name: str) -> None:
    if not _head(path, name).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise _not_a(Format.GEOJSON, name)


def _check_kml(path: Path, name: str) -> None:
    if b"<kml" not in _head(path, name):
        raise _not_a(Format.KML, name)
    text = path.read_bytes().upper()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise SourceError(f"{name} declares XML entities, which are refused. Export it without.", source=name)


def _check_csv(path: Path, name: str) -> None:
    if b"\0" in _head(path, name):
        raise _not_a(Format.CSV, name)


def _check_by_head(kind: Format, *heads: bytes) -> Callable[[Path, str], None]:
    def check(path: Path, name: str) -> None:
        if not _head(path, name).startswith(heads):
            raise _not_a(kind, name)

    return check


_CHECKS: dict[Format, Callable[[Path, str], str | None]] = {
    Format.SHAPEFILE: _check_shapefile,
    Format.GEODATABASE: _check_geodatabase,
    Format.GEOPACKAGE: _check_geopackage,
    Format.GEOJSON: _check_geojson,
    Format.KML: _check_kml,
    Format.CSV: _check_csv,
    Format.FLATGEOBUF: _check_by_head(Format.FLATGEOBUF, b"fgb\x03fgb"),
    Format.PARQUET: _check_by_head(Format.PARQUET, b"PAR1"),
    Format.GEOTIFF: _check_by_head(Format.GEOTIFF, *_TIFF_HEADS),
}
