"""A page as FlatGeobuf with its spatial index."""

from __future__ import annotations

import io
import warnings

import pyarrow as pa
import shapely

from gisservice.catalog.features import shapes_of
from gisservice.model import Geometries, GeometryKind
from gisservice.query.formats.extract import Extract
from gisservice.query.systems import CRS84_CODE

SHAPE_COLUMN = "geometry"

_MULTI = {
    GeometryKind.POINT: "MultiPoint",
    GeometryKind.LINE: "MultiLineString",
    GeometryKind.POLYGON: "MultiPolygon",
}


def encode_flatgeobuf(extract: Extract, name: str) -> bytes:
    """Return the extract as a FlatGeobuf file with a layer called ``name``; the index puts the rows in its own order.

    Lines and polygons are all multi, so that the file is of one type; points are single where all of them are.
    """
    import pyogrio  # here, not above: GDAL takes 27 MiB of a worker, and few ask for this format

    table, geometry_type = extract.table, None
    if extract.form.geometry:
        shaped = extract.shaped
        wkb, geometry_type = as_wkb(shaped.geometries)
        table = table.append_column(SHAPE_COLUMN, wkb.take(pa.array(shaped.uses)))
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's remarks on types that it writes as others
        pyogrio.write_arrow(
            table,
            target,
            layer=name,
            driver="FlatGeobuf",
            geometry_name=SHAPE_COLUMN if geometry_type else None,
            geometry_type=geometry_type,
            crs=gdal_crs(extract.form.crs) if geometry_type else None,
            SPATIAL_INDEX="YES" if geometry_type else "NO",
        )
    return target.getvalue()


def as_wkb(geometries: Geometries) -> tuple[pa.Array, str]:
    """Return geometries as WKB of one type, and that type: multi, but for points of which all are single."""
    if geometries.kind is GeometryKind.POINT and len(geometries.coordinates) == len(geometries):
        firsts = geometries.rings[geometries.parts[geometries.starts[:-1]]]
        return pa.array(shapely.to_wkb(shapely.points(geometries.coordinates[firsts])), pa.binary()), "Point"

    return pa.array(shapely.to_wkb(shapes_of(geometries)), pa.binary()), _MULTI[geometries.kind]


def gdal_crs(code: str) -> str:
    """Return an authority code as GDAL's writers take it; CRS84 is EPSG:4326, as files put longitude first."""
    return "EPSG:4326" if code == CRS84_CODE else code
