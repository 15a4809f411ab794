"""Items that a query selects, as a frame: what a planner reads, and what an analysis asked for over HTTP works on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from gisservice.catalog import Catalog
from gisservice.catalog.frames import read_rows
from gisservice.catalog.index import as_rows
from gisservice.crs import CRS84
from gisservice.errors import ItemNotFound
from gisservice.model import BBox
from gisservice.query.filter import parse_filter
from gisservice.query.schemas import with_kept_codes

if TYPE_CHECKING:
    import geopandas


def read(
    catalog: Catalog,
    collection_id: str,
    *,
    bbox: BBox | None = None,
    filter: str | None = None,
    filter_lang: str = "cql2-text",
    asof: datetime | None = None,
) -> geopandas.GeoDataFrame:
    """Return items as a frame in the storage CRS, indexed by item id, in stored order.

    As :meth:`gisservice.catalog.Catalog.read`, and only items for which ``filter`` (CQL2, positions in CRS84) is
    true, the same as over HTTP. Raises :class:`InvalidParameter` for a filter that cannot be used.

    >>> read(catalog, "parcels", filter="zoning = 'RM' AND land_area > 5000")               # doctest: +SKIP
    """
    collection = catalog.collection(collection_id) if asof is None else catalog.as_of(collection_id, asof)
    features = collection.features
    if features is None:
        raise ItemNotFound(f"Collection {collection_id!r} is a raster; it has no items.")
    if filter is None:
        return catalog.read(collection_id, bbox=bbox, asof=asof)
    columns = with_kept_codes(collection.manifest.columns, features)
    rows = np.arange(features.count) if bbox is None else as_rows(features.intersecting(bbox))
    rows = parse_filter(filter, filter_lang, columns, CRS84).among(features, rows)
    frame = read_rows(collection.path, collection.manifest, features, rows)
    frame.attrs = collection.attrs
    return frame
