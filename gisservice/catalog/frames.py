"""Stored records as a GeoDataFrame: the way back from GeoParquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from gisservice import crs
from gisservice.catalog.features import Features
from gisservice.catalog.index import Rows, as_rows
from gisservice.catalog.layout import INTERNAL_FILE, PARQUET_FILE
from gisservice.catalog.manifest import Manifest
from gisservice.errors import CatalogError
from gisservice.model import BBox

if TYPE_CHECKING:
    import geopandas
    import pandas


def read(folder: Path, manifest: Manifest, features: Features, bbox: BBox | None) -> geopandas.GeoDataFrame:
    """Read the records of a version that intersect ``bbox`` (CRS84); None reads all.

    The spatial index picks the rows; of the Parquet file only the row groups that hold them are read.
    """
    rows = np.arange(features.count) if bbox is None else as_rows(features.intersecting(bbox))
    return read_rows(folder, manifest, features, rows)


def read_rows(folder: Path, manifest: Manifest, features: Features, rows: Rows) -> geopandas.GeoDataFrame:
    """Read the records in some rows of a version; rows are ascending."""
    try:
        with pq.ParquetFile(folder / PARQUET_FILE, memory_map=True) as file:
            return _frame(file, manifest, features, rows)
    except (OSError, pa.ArrowException) as exc:
        raise CatalogError(f"{folder.name}/{PARQUET_FILE} cannot be read: {exc}.") from exc


def read_internal(folder: Path, features: Features) -> pandas.DataFrame:
    """Read the internal columns of a version, indexed by item id; no columns where the layer has none."""
    import pandas

    path = folder / INTERNAL_FILE
    if not path.exists():
        ids = [features.item_id(row) for row in range(features.count)]
        return pandas.DataFrame(index=pandas.Index(ids, name="item_id", dtype="str"))
    try:
        table: pandas.DataFrame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as exc:
        raise CatalogError(f"{folder.name}/{INTERNAL_FILE} cannot be read: {exc}.") from exc
    return table.set_index("item_id")


def _frame(file: pq.ParquetFile, manifest: Manifest, features: Features, rows: Rows) -> geopandas.GeoDataFrame:
    import geopandas  # here, not above: a server opens versions and never makes a frame of them
    import pandas

    sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    ends = np.cumsum(sizes, dtype=np.int64)
    groups = np.unique(np.searchsorted(ends, rows, side="right"))
    geo = orjson.loads(file.schema_arrow.metadata[b"geo"])
    geometry = geo["primary_column"]
    covering = geo["columns"][geometry]["covering"]["bbox"]["xmin"][0]
    names = [name for name in file.schema_arrow.names if name != covering]
    table = file.read_row_groups(groups.tolist(), columns=names)
    if len(rows) < table.num_rows:
        held = np.concatenate([np.arange(ends[group] - sizes[group], ends[group]) for group in groups])
        table = table.take(pa.array(np.searchsorted(held, rows)))
    frame = table.to_pandas()
    frame.index = pandas.Index([features.item_id(row) for row in rows.tolist()], name="item_id", dtype="str")
    frame[geometry] = geopandas.GeoSeries.from_wkb(frame[geometry], index=frame.index)
    return geopandas.GeoDataFrame(frame, geometry=geometry, crs=crs.from_definition(manifest.storage_crs_definition))
