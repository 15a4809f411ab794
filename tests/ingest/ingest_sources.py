"""Small sources in every format, and what a declaration for them looks like."""

from __future__ import annotations

import gzip
import shutil
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely

from gisservice.model import Column, ColumnType, GeometryKind, Layer, Source

STATE_PLANE = "EPSG:2283"
WEST, SOUTH = 11_880_000.0, 6_980_000.0  # in Alexandria, US survey feet


def lots(count: int = 6, crs: str = STATE_PLANE) -> geopandas.GeoDataFrame:
    """A row of square lots, 100 ft wide, with a column of each plain type."""
    left = WEST + 100.0 * np.arange(count)
    frame = geopandas.GeoDataFrame(
        {
            "PID": [f"{n:03}.0{n}" for n in range(1, count + 1)],
            "LOTS": np.arange(1, count + 1, dtype=np.int64),
            "AREA": 10_000.0 + np.arange(count),
            "OWNER": [f"Secret Person {n}" for n in range(count)],
        },
        geometry=shapely.box(left, SOUTH, left + 100.0, SOUTH + 100.0),
        crs=STATE_PLANE,
    )
    return frame.to_crs(crs)


def zip_folder(folder: Path, target: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, inside + str(path.relative_to(folder)))
    return target


def write(frame: geopandas.GeoDataFrame, folder: Path, name: str) -> Path:
    """Write a frame in the format that the extension of ``name`` says."""
    target = folder / name
    if name.endswith(".shp.zip"):
        parts = folder / f"{name}.parts"
        parts.mkdir()
        pyogrio.write_dataframe(frame, parts / name.removesuffix(".zip"), driver="ESRI Shapefile")
        return zip_folder(parts, target)
    if name.endswith(".gdb.zip"):
        parts = folder / f"{name}.parts"
        parts.mkdir()
        pyogrio.write_dataframe(
            frame,
            parts / name.removesuffix(".zip"),
            driver="OpenFileGDB",
            layer="lots",
            TARGET_ARCGIS_VERSION="ARCGIS_PRO_3_2_OR_LATER",
        )
        return zip_folder(parts, target)
    if name.endswith(".gz"):
        plain = write(frame, folder, name.removesuffix(".gz"))
        with open(plain, "rb") as source, gzip.open(target, "wb") as packed:
            shutil.copyfileobj(source, packed)
        return target
    if name.endswith(".parquet"):
        frame.to_parquet(target)
    elif name.endswith(".csv"):
        table = frame.drop(columns="geometry")
        table.insert(0, "x", shapely.get_x(shapely.centroid(frame.geometry.values)))
        table.insert(1, "y", shapely.get_y(shapely.centroid(frame.geometry.values)))
        table.to_csv(target, index=False)
    else:
        driver = {"gpkg": "GPKG", "geojson": "GeoJSON", "fgb": "FlatGeobuf", "kml": "KML"}[target.suffix[1:]]
        options: dict[str, Any] = {"COORDINATE_PRECISION": 15} if driver == "GeoJSON" else {}
        pyogrio.write_dataframe(frame, target, driver=driver, **options)
    return target


def column(name: str, kind: str = "string", **more: Any) -> Column:
    return Column(name, ColumnType(kind), source=more.pop("source", name), **more)


def layer(*columns: Column, **more: Any) -> Layer:
    """A declaration of polygons in state plane feet; ``sources`` are paths or Source objects."""
    sources = tuple(item if isinstance(item, Source) else Source(str(item)) for item in more.pop("sources", ()))
    plain = {
        "title": "Lots",
        "geometry": GeometryKind.POLYGON,
        "minzoom": 14,
        "maxzoom": 15,
        "storage_crs": STATE_PLANE,
    }
    return Layer(id=more.pop("id", "lots"), sources=sources, columns=columns or None, **{**plain, **more})
