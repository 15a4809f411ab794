"""What a layer brings to its tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gisservice.model import Geometries, GeometryKind
from gisservice.tiles.grid import PYRAMID_ZOOM_MAX

ID_MAX = 2**53 - 1
"""The largest feature id that a browser reads exactly."""


@dataclass(frozen=True)
class TileSource:
    """One layer, ready to be cut into tiles.

    ``geometries`` are distinct and lie on the world grid (:func:`gisservice.crs.world_positions`); record ``i`` has
    geometry ``record_geometry[i]``, id ``ids[i]`` and row ``i`` of ``attributes``. Several records may share one
    geometry: a stack, such as the units of a condominium. ``coverage`` says that polygons share borders and do not
    overlap. Raises ValueError when the parts do not fit together.
    """

    name: str
    kind: GeometryKind
    geometries: Geometries
    record_geometry: npt.NDArray[np.uint32]
    ids: npt.NDArray[np.int64]
    attributes: pa.Table
    coverage: bool
    minzoom: int
    maxzoom: int
    merge_by: str | None = None
    """Column that small polygons of a coverage must agree in to be drawn as one: what the layer is coloured by."""
    always: npt.NDArray[np.bool_] | None = None
    """Marks the records that are drawn at every zoom; None: none is."""

    def __post_init__(self) -> None:
        records = len(self.ids)
        if len(self.record_geometry) != records or self.attributes.num_rows != records:
            raise ValueError(f"layer {self.name}: ids, geometries and attributes are of different length")
        if self.always is not None and len(self.always) != records:
            raise ValueError(f"layer {self.name}: the marks of what is always drawn are of different length")
        if not 0 <= self.minzoom <= self.maxzoom <= PYRAMID_ZOOM_MAX:
            raise ValueError(f"layer {self.name}: zooms {self.minzoom} to {self.maxzoom} are not within 0 to 20")
        if records and not (0 <= self.ids.min() and self.ids.max() <= ID_MAX):
            raise ValueError(f"layer {self.name}: ids must be from 0 to 2**53 - 1")
        if records and self.record_geometry.max() >= len(self.geometries):
            raise ValueError(f"layer {self.name}: a record names a geometry that is not there")
        if self.merge_by is not None and self.merge_by not in self.attributes.column_names:
            raise ValueError(f"layer {self.name}: it has no column {self.merge_by!r} to merge by")
        if self.kind != self.geometries.kind or self.kind == GeometryKind.RASTER:
            raise ValueError(f"layer {self.name}: {self.kind} tiles cannot be made of {self.geometries.kind}")

    def __len__(self) -> int:
        return len(self.ids)
