"""A whole layer in the files of GIS programs, written by GDAL: GeoPackage, FlatGeobuf, Shapefile.

The same version gives the same bytes: what these formats say of the time they were written is pinned.
"""

from __future__ import annotations

import sqlite3
import warnings
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely

from gisservice.ingest.downloads.content import Content
from gisservice.model import GeometryKind
from gisservice.query.downloads import DOWNLOADS, TEXT_BYTES_MAX, short_names
from gisservice.query.formats.delimited import value_texts
from gisservice.query.formats.desktop import qmd, qml, sld
from gisservice.query.formats.markup import plain

_MOMENT = "2000-01-01T00:00:00.000Z"
"""What files say they were written at, where their format wants a time; the version's id says what they hold."""

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ZIP_LEVEL = 3
"""On 119 MB of parcels: half the time of level 6 for 8 % more bytes."""

_MULTI = {
    GeometryKind.POINT: "MultiPoint",
    GeometryKind.LINE: "MultiLineString",
    GeometryKind.POLYGON: "MultiPolygon",
}


def write_geopackage(content: Content, path: Path) -> None:
    """Write GeoPackage 1.3 with its index, the layer's style (QML and SLD) and its description."""
    layer, geometry, key = content.manifest.layer, content.free_name("geom"), content.free_name("fid")
    _write(
        content,
        path,
        content.with_wkb(geometry),
        geometry,
        "GPKG",
        {"VERSION": "1.3"},
        {
            "FID": key,
            "GEOMETRY_NAME": geometry,
            "IDENTIFIER": plain(layer.title) or content.name,
            "DESCRIPTION": plain(layer.description),
            "SPATIAL_INDEX": "YES",
        },
    )
    with closing(sqlite3.connect(path)) as database, database:
        _add_style(database, content, geometry)
        _add_description(database, content)


def _add_style(database: sqlite3.Connection, content: Content, geometry: str) -> None:
    """Add the table ``layer_styles``, from which QGIS takes the style of a layer that it opens."""
    style, kind = content.manifest.layer.style, content.manifest.kind
    fields = {name: name for name in content.table.column_names}
    database.execute(
        "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), "
        "f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), "
        "styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), "
        "update_time DATETIME DEFAULT CURRENT_TIMESTAMP)"
    )
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change) VALUES (?, ?, ?, ?)",
        ("layer_styles", "attributes", "layer_styles", _MOMENT),
    )
    database.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
        "styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) "
        "VALUES ('', '', ?, ?, ?, ?, ?, 1, ?, '', NULL, ?)",
        (
            content.name,
            geometry,
            content.name[:30],
            qml(style, kind, fields),
            sld(content.name, style, kind, fields),
            "As on the public maps",
            _MOMENT,
        ),
    )


def _add_description(database: sqlite3.Connection, content: Content) -> None:
    """Add the layer's description as the metadata extension keeps it (OGC 12-128r18, F.8); QGIS shows it."""
    version = content.collection.version
    database.execute(
        "CREATE TABLE gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL, "
        "md_scope TEXT NOT NULL DEFAULT 'dataset', md_standard_uri TEXT NOT NULL, "
        "mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '')"
    )
    database.execute(
        "CREATE TABLE gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT, "
        "row_id_value INTEGER, timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), "
        "md_file_id INTEGER NOT NULL, md_parent_id INTEGER, "
        "CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id), "
        "CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id))"
    )
    database.executemany(
        "INSERT INTO gpkg_extensions (table_name, column_name, extension_name, definition, scope) "
        "VALUES (?, NULL, 'gpkg_metadata', 'http://www.geopackage.org/spec121/#extension_metadata', 'read-write')",
        [("gpkg_metadata",), ("gpkg_metadata_reference",)],
    )
    database.execute(
        "INSERT INTO gpkg_metadata (id, md_scope, md_standard_uri, mime_type, metadata) "
        "VALUES (1, 'dataset', 'http://mrcc.com/qgis.dtd', 'text/xml', ?)",
        (qmd(content.manifest, version, content.gdal_crs if ":" in content.gdal_crs[:6] else ""),),
    )
    database.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, timestamp, md_file_id) VALUES (?, ?, ?, 1)",
        ("table", content.name, _MOMENT),
    )


def write_flatgeobuf(content: Content, path: Path) -> None:
    """Write FlatGeobuf with its index."""
    geometry = content.free_name("geometry")
    options = {"SPATIAL_INDEX": "YES", "TITLE": plain(content.manifest.layer.title)}
    _write(content, path, content.with_wkb(geometry), geometry, "FlatGeobuf", {}, options)


def write_shapefile(content: Content, path: Path) -> None:
    """Write a zip with the Shapefile's parts, a QGIS style, and a README that lists what the format loses."""
    names = short_names(content.table.column_names)
    table = pa.table([_dbase(content.table[name]) for name in names], names=list(names.values()))
    geometry = "shape_wkb"
    folder = path.with_name(f"{path.name}.parts")
    folder.mkdir()
    wkb = pa.array(shapely.to_wkb(content.shapes), pa.binary()).take(pa.array(content.uses))
    options = {
        "ENCODING": "UTF-8",
        "2GB_LIMIT": "YES",
        "DBF_DATE_LAST_UPDATE": _MOMENT[:10],
    }
    table = table.append_column(geometry, wkb)
    _write(content, folder / f"{content.name}.shp", table, geometry, "ESRI Shapefile", {}, options)
    (folder / f"{content.name}.qml").write_text(
        qml(content.manifest.layer.style, content.manifest.kind, names), encoding="utf-8"
    )
    (folder / "README.txt").write_text(_readme(content), encoding="utf-8", newline="\r\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_ZIP_LEVEL) as archive:
        for part in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(part.name, _ZIP_TIME)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            with part.open("rb") as source, archive.open(entry, "w", force_zip64=False) as target:
                while piece := source.read(1 << 20):
                    target.write(piece)
            part.unlink()
    folder.rmdir()


def _dbase(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as a type that a dBASE table has."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.int16()).combine_chunks()
    if pa.types.is_timestamp(kind):
        return value_texts(column).cast(pa.string())
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column.combine_chunks()
    texts = column.combine_chunks()
    long = pc.fill_null(pc.greater(pc.binary_length(texts), TEXT_BYTES_MAX), False)
    if not pc.any(long).as_py():
        return texts
    return pa.array([_cut(value) for value in texts.to_pylist()], pa.string())


def _cut(value: str | None) -> str | None:
    return value and value.encode()[:TEXT_BYTES_MAX].decode(errors="ignore")


def _readme(content: Content) -> str:
    manifest = content.manifest
    layer = manifest.layer
    lines = [
        f"{layer.title} ({content.name})",
        layer.description,
        "",
        f"Version: {content.collection.version}",
        f"Records: {manifest.count}",
        f"Reference system: {content.system}, {content.crs.name}; x (longitude, easting) before y",
        f"Licence: {layer.licence or 'not stated'}",
        f"Attribution: {layer.attribution or 'not stated'}",
        "",
        "What the Shapefile format loses of this layer:",
        *(f"- {loss}" for loss in DOWNLOADS["shp.zip"].losses(manifest)),
        "GeoPackage and GeoParquet lose none of it.",
        "",
        "Fields:",
        *(
            f"{short}: {name}{_meaning(content, name)}"
            for name, short in short_names(content.table.column_names).items()
        ),
    ]
    return "\n".join(plain(line) for line in lines) + "\n"


def _meaning(content: Content, name: str) -> str:
    column = next((entry for entry in content.manifest.columns if entry.name == name), None)
    if column is None:
        return ""
    return f", {column.meaning or 'not described yet'}" + (f" ({column.unit})" if column.unit else "")


def _write(
    content: Content,
    path: Path,
    table: pa.Table,
    geometry: str,
    driver: str,
    dataset_options: dict[str, Any],
    layer_options: dict[str, Any],
) -> None:
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _MOMENT})
    single = "Point" if content.all_single_points else _MULTI[content.manifest.kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's remarks on what a format loses: listed as losses
        pyogrio.write_arrow(
            table,
            path,
            layer=content.name,
            driver=driver,
            geometry_name=geometry,
            geometry_type=single,
            crs=content.gdal_crs,
            dataset_options=dataset_options or None,
            layer_options=layer_options,
        )
