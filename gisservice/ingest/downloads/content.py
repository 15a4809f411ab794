"""What every writer of a whole-layer file starts from: the records of a version in one reference system."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from gisservice import crs
from gisservice.catalog import Collection, Features, Manifest
from gisservice.catalog.features import shapes_of
from gisservice.catalog.layout import PARQUET_FILE, geometry_texts, ragged
from gisservice.errors import CatalogError
from gisservice.model import Geometries, GeometryKind
from gisservice.query.downloads import LONLAT
from gisservice.query.formats.extract import ROWS_AT_ONCE, spelled_out
from gisservice.query.systems import DEGREE_DECIMALS, LENGTH_DECIMALS


@dataclass(frozen=True)
class Content:
    """The records of one version in one system, x (longitude, easting) before y.

    In degrees positions are those of the items at full precision; in the storage system those of the archive, so
    that what was published there comes out as it was.
    """

    collection: Collection
    system: str

    @property
    def manifest(self) -> Manifest:
        """The version's manifest."""
        return self.collection.manifest

    @cached_property
    def features(self) -> Features:
        """The version's records."""
        features = self.collection.features
        if features is None:
            raise CatalogError(f"{self.collection.id} is a raster: it has no records.")
        return features

    @property
    def name(self) -> str:
        """What the layer is called inside files: the collection's id."""
        return self.collection.id

    @cached_property
    def crs(self) -> crs.CRS:
        """The system."""
        lonlat = self.system == LONLAT
        return crs.CRS84 if lonlat else crs.from_definition(self.manifest.storage_crs_definition)

    @property
    def gdal_crs(self) -> str:
        """The system as GDAL's writers take it."""
        return self.system if self.system == LONLAT else crs.code(self.crs) or self.manifest.storage_crs_definition

    @property
    def decimals(self) -> int:
        """How many decimals positions have in text formats."""
        return DEGREE_DECIMALS if self.crs.is_geographic else LENGTH_DECIMALS

    @cached_property
    def table(self) -> pa.Table:
        """The public columns, one row a record in stored order; texts spelled out."""
        return spelled_out(self.features.attributes)

    @cached_property
    def geometries(self) -> Geometries:
        """The distinct geometries; :attr:`uses` has the one of each record."""
        if self.system == LONLAT:
            return self.features.geometries
        return ragged(self._stored_shapes, self.features.kind)

    @property
    def uses(self) -> npt.NDArray[np.int64]:
        """The geometry of each record."""
        return self.features.record_geometry.astype(np.int64)

    @cached_property
    def shapes(self) -> npt.NDArray[Any]:
        """The distinct geometries as shapely ones, all multi; points single where all are."""
        if self.all_single_points:
            return shapely.points(self.geometries.coordinates)  # type: ignore[no-any-return]
        return shapes_of(self.geometries)

    @property
    def all_single_points(self) -> bool:
        """Tell whether this is a layer of points of which none has several positions."""
        flat = self.geometries
        return flat.kind is GeometryKind.POINT and len(flat.coordinates) == len(flat)

    @cached_property
    def geometry_texts(self) -> list[bytes]:
        """The distinct geometries as GeoJSON."""
        return geometry_texts(self.geometries, self.decimals)

    def with_wkb(self, geometry: str) -> pa.Table:
        """Return the table with a last column of this name: the geometry of each record as WKB."""
        wkb = pa.array(shapely.to_wkb(self.shapes), pa.binary()).take(pa.array(self.uses))
        return self.table.append_column(geometry, wkb)

    def free_name(self, wanted: str) -> str:
        """Return a column name that the layer does not use, in any case: the wanted one, or with underscores."""
        used = {name.lower() for name in self.table.column_names}
        while wanted.lower() in used:
            wanted = f"_{wanted}"
        return wanted

    def runs(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield all rows, a few at a time."""
        for first in range(0, self.features.count, ROWS_AT_ONCE):
            yield np.arange(first, min(first + ROWS_AT_ONCE, self.features.count))

    @property
    def _stored_shapes(self) -> npt.NDArray[Any]:
        """The distinct geometries as the archive has them, in the storage system."""
        table = pq.read_table(self.collection.path / PARQUET_FILE, columns=[self._stored_geometry])
        _, firsts = np.unique(self.features.record_geometry, return_index=True)
        wkb = table.column(0).take(pa.array(firsts)).to_numpy()
        return np.asarray(shapely.force_2d(shapely.from_wkb(wkb)), dtype=object)

    @property
    def _stored_geometry(self) -> str:
        schema = pq.read_schema(self.collection.path / PARQUET_FILE)
        taken = set(self.table.column_names)
        found: str = next(
            name for name in schema.names if name not in taken and pa.types.is_binary(schema.field(name).type)
        )
        return found
