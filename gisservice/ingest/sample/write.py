"""Files as an office has them, written so that the same city gives the same bytes."""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import orjson
import pandas as pd
import pyogrio
import shapely

from gisservice.ingest.sample.plane import shapes_to_lonlat

_STAMP = "2026-01-05T00:00:00.000Z"
_ZIP_TIME = (2026, 1, 5, 0, 0, 0)
_CRS = "EPSG:2283"


def write_geopackage(path: Path, table: pd.DataFrame, layer: str, kind: str) -> None:
    """Write a GeoPackage in EPSG:2283; ``kind`` is the declared geometry type."""
    path.unlink(missing_ok=True)
    with _fixed_time():
        pyogrio.write_dataframe(
            _frame(table),
            path,
            layer=layer,
            driver="GPKG",
            geometry_type=kind,
            promote_to_multi=kind.startswith("Multi"),
        )


def write_shapefile(path: Path, table: pd.DataFrame, name: str, kind: str) -> None:
    """Write a zipped shapefile in EPSG:2283."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        shapefile = Path(folder) / f"{name}.shp"
        pyogrio.write_dataframe(
            _frame(table),
            shapefile,
            driver="ESRI Shapefile",
            encoding="UTF-8",
            geometry_type=kind,
            promote_to_multi=kind.startswith("Multi"),
            layer_options={"DBF_DATE_LAST_UPDATE": _STAMP[:10]},
        )
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in sorted(Path(folder).iterdir()):
                entry = zipfile.ZipInfo(part.name, _ZIP_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, part.read_bytes())


def write_geojson(path: Path, table: pd.DataFrame) -> None:
    """Write GeoJSON (RFC 7946: longitude and latitude, seven decimals), compressed if the name ends in ``.gz``."""
    shapes = shapely.transform(shapes_to_lonlat(table["geometry"].to_numpy()), lambda xy: xy.round(7))
    shapes = shapely.orient_polygons(shapes)
    columns = table.drop(columns="geometry").astype(object)
    columns = columns.where(columns.notna(), None)
    features = [
        {"type": "Feature", "properties": row, "geometry": orjson.Fragment(shape)}
        for row, shape in zip(columns.to_dict("records"), shapely.to_geojson(shapes), strict=True)
    ]
    name = path.name.split(".")[0]
    text = orjson.dumps(
        {"type": "FeatureCollection", "name": name, "features": features}, option=orjson.OPT_SERIALIZE_NUMPY
    )
    _write_bytes(path, text)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV with a header and a byte order mark, as spreadsheets do; compressed if the name ends in ``.gz``."""
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\r\n")
    _write_bytes(path, b"\xef\xbb\xbf" + text.getvalue().encode())


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, compresslevel=6, mtime=0) if path.suffix == ".gz" else data)


def _frame(table: pd.DataFrame) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(table, geometry="geometry", crs=_CRS)


@contextmanager
def _fixed_time() -> Iterator[None]:
    """Let GDAL write the same time into every GeoPackage."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _STAMP})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
