"""The files that a whole layer can be had as: their names, media types, systems, and what each of them loses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from gisservice.catalog import Manifest
from gisservice.catalog.derived import DerivedFile
from gisservice.catalog.layout import PARQUET_FILE
from gisservice.catalog.rasters import RASTER_FILE
from gisservice.crs import CRS84
from gisservice.crs import code as code_of
from gisservice.model import ColumnType, GeometryKind

LONLAT = "EPSG:4326"
"""What files in degrees are said to be in; like all readers of these formats, they put longitude first."""

TEXT_BYTES_MAX = 254
"""Of a text in a Shapefile's table (dBASE III)."""

Losses = Callable[[Manifest], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Download:
    """One form of a whole layer. ``extension`` is how its name ends, without the first dot."""

    extension: str
    title: str
    media: str
    losses: Losses
    lonlat_only: bool = False
    names_code: bool = False
    """The file names its system by an authority's code, and by nothing else."""
    stored_only: bool = False

    def systems(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the systems the file can be had in: degrees, and the one the layer is stored in."""
        stored = manifest.storage_crs
        if self.stored_only:
            return (stored,)
        if self.lonlat_only or stored_in_lonlat(manifest) or (self.names_code and ":" not in stored):
            return (LONLAT,)
        return (LONLAT, stored)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file of a layer: its extension and its system, an authority code (or what the manifest calls it by)."""

    extension: str
    system: str


def all_files(manifest: Manifest) -> list[Wanted]:
    """Return every file that a layer can be had as, the systems of each extension together."""
    forms = forms_of(manifest).values()
    return [Wanted(entry.extension, system) for entry in forms for system in entry.systems(manifest)]


def forms_of(manifest: Manifest) -> dict[str, Download]:
    """Return the forms that a layer can be had in, by extension: a raster is had as it is kept, and as nothing else."""
    return {COG.extension: COG} if manifest.kind is GeometryKind.RASTER else DOWNLOADS


def archive_of(manifest: Manifest, wanted: Wanted) -> DerivedFile | None:
    """Return the file of the version itself that is wanted: its raster, or its GeoParquet as stored; else None."""
    stored = LONLAT if stored_in_lonlat(manifest) else manifest.storage_crs
    if wanted not in (Wanted("parquet", stored), Wanted(COG.extension, manifest.storage_crs)):
        return None
    entry = manifest.files[own_file(wanted)]
    return DerivedFile(file_name(manifest, wanted.extension, wanted.system), entry["sha256"], entry["size"])


def own_file(wanted: Wanted) -> str:
    """Return the name, in the folder of a version, of the file that is handed out as it is kept."""
    return RASTER_FILE if wanted.extension == COG.extension else PARQUET_FILE


def stored_in_lonlat(manifest: Manifest) -> bool:
    """Tell whether a layer is stored in longitude and latitude of WGS 84."""
    return manifest.storage_crs in (LONLAT, code_of(CRS84))


def file_name(manifest: Manifest, extension: str, system: str) -> str:
    """Return the name that a file has on disk and is saved under: ``parcels.gpkg``, ``parcels_epsg2283.gpkg``."""
    if system == LONLAT:
        return f"{manifest.collection}.{extension}"
    slug = "".join(character for character in system.lower() if character.isascii() and character.isalnum())
    return f"{manifest.collection}_{slug[:40]}.{extension}"


def geojson_head(name: str, system: str) -> bytes:
    """Return what stands before the items in a whole layer's GeoJSON.

    Outside degrees it names the system as GeoJSON did before RFC 7946, so that readers which look for it find it.
    """
    head: dict[str, object] = {"type": "FeatureCollection", "name": name}
    if system != LONLAT:
        authority, _, number = system.partition(":")
        head["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{authority}::{number}"}}
    return orjson.dumps(head)[:-1] + b',"features":[\n'


GEOJSON_TAIL = b"\n]}\n"
"""What stands after the items."""


def _has(manifest: Manifest, *types: ColumnType) -> list[str]:
    return [column.name for column in manifest.columns if column.type in types]


def _positions(manifest: Manifest) -> tuple[str, ...]:
    return ("Positions are rounded: to 8 decimals of a degree (1 mm), to 4 of a foot or metre.",)


def _geojson(manifest: Manifest) -> tuple[str, ...]:
    return (*_positions(manifest), *_dates_as_text(manifest))


def _csv(manifest: Manifest) -> tuple[str, ...]:
    form = "two columns of numbers" if manifest.kind is GeometryKind.POINT else "text (WKT) in the last column"
    return (
        *_positions(manifest),
        f"The geometry is {form}, and the file does not name its reference system.",
        "Texts that a spreadsheet would run as formulas begin with an apostrophe here.",
    )


def _geopackage(manifest: Manifest) -> tuple[str, ...]:
    return ()


def _flatgeobuf(manifest: Manifest) -> tuple[str, ...]:
    return ("The records are in the order of the file's own index.",)


def _parquet(manifest: Manifest) -> tuple[str, ...]:
    return ()


def _kml(manifest: Manifest) -> tuple[str, ...]:
    return (
        *_positions(manifest),
        "Longitude and latitude only: the format knows no other system.",
        "Control characters in texts are left out: the format cannot hold them.",
        *_dates_as_text(manifest),
    )


def _shapefile(manifest: Manifest) -> tuple[str, ...]:
    names = short_names([column.name for column in manifest.columns])
    cut = [f"{long} is {short}" for long, short in names.items() if long != short]
    found = [f"Names of fields have at most 10 characters: {', '.join(cut)}."] if cut else []
    if _has(manifest, ColumnType.STRING):
        found += [
            f"Texts are cut after {TEXT_BYTES_MAX} bytes, and lose the blanks at their ends.",
            "A text without a value and an empty text are the same.",
        ]
    if moments := _has(manifest, ColumnType.DATETIME):
        found.append(f"Times are texts: {', '.join(moments)}.")
    if truths := _has(manifest, ColumnType.BOOLEAN):
        found.append(f"True and false are 1 and 0: {', '.join(truths)}.")
    return (*found, "Numbers have at most 15 decimals and 24 digits.", "The file may not grow beyond 2 GB.")


def _dates_as_text(manifest: Manifest) -> tuple[str, ...]:
    names = _has(manifest, ColumnType.DATE, ColumnType.DATETIME)
    return (f"Dates and times are texts (ISO 8601): {', '.join(names)}.",) if names else ()


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return the name that each field has in a Shapefile: 10 bytes of ASCII, different without regard to case."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        ascii_only = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name) or "field"
        short, number = ascii_only[:10], 1
        while short.lower() in taken:
            ending = f"_{number}"
            short, number = ascii_only[: 10 - len(ending)] + ending, number + 1
        taken.add(short.lower())
        found[name] = short
    return found


DOWNLOADS: dict[str, Download] = {
    entry.extension: entry
    for entry in (
        Download("geojson", "GeoJSON", "application/geo+json", _geojson, names_code=True),
        Download("csv", "CSV, a table", "text/csv; charset=utf-8; header=present", _csv),
        Download("gpkg", "GeoPackage, with the layer's style", "application/geopackage+sqlite3", _geopackage),
        Download("shp.zip", "Shapefile, zipped", "application/zip", _shapefile),
        Download("fgb", "FlatGeobuf", "application/flatgeobuf", _flatgeobuf),
        Download("parquet", "GeoParquet", "application/vnd.apache.parquet", _parquet),
        Download("kml", "KML, for Google Earth", "application/vnd.google-earth.kml+xml", _kml, lonlat_only=True),
    )
}
"""The forms of layers of records, by extension, in the order they are listed."""

COG = Download(
    "tif",
    "GeoTIFF, cloud-optimised",
    "image/tiff; application=geotiff; profile=cloud-optimized",
    lambda manifest: (),
    stored_only=True,
)
"""The form of rasters. Read by ranges, it needs no download."""
