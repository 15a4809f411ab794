"""exactextract, asked for nothing but the cells of areas and their shares, without GeoJSON on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from exactextract import exact_extract
from exactextract.feature import Feature, FeatureSource
from exactextract.raster import NumPyRasterSource
from exactextract.writer import Writer

from gisservice.analysis.ground import Patch
from gisservice.analysis.ragged import Floats


def extracted(areas: list[bytes], patch: Patch) -> list[tuple[Floats, Floats]]:
    """Return for each area (WKB) the values of the cells with data that it touches, and the share of each inside it."""
    writer = _Cells()
    raster = NumPyRasterSource(patch.values, *patch.bounds, nodata=np.nan)
    exact_extract(raster, _Areas(areas), ["values", "coverage"], output=writer)
    return writer.found


class _Area(Feature):  # type: ignore[misc]  # untyped
    """One polygon on its way in, or the cells found on their way out."""

    def __init__(self, wkb: bytes = b"") -> None:
        super().__init__()
        self.wkb = wkb
        self.found: dict[str, Any] = {}

    def geometry(self) -> bytes:
        return self.wkb

    def set_geometry(self, geometry: Any) -> None:
        """Take no geometry: it is known."""

    def set_geometry_format(self) -> str:
        return "wkb"

    def set(self, name: str, value: Any) -> None:
        self.found[name] = value

    def get(self, name: str) -> Any:
        return self.found[name]

    def fields(self) -> list[str]:
        return []


class _Areas(FeatureSource):  # type: ignore[misc]
    def __init__(self, areas: list[bytes]) -> None:
        super().__init__()
        self.areas = areas

    def count(self) -> int:
        return len(self.areas)

    def __iter__(self) -> Iterator[_Area]:
        return map(_Area, self.areas)

    def srs_wkt(self) -> None:
        """Say nothing: areas and raster are in one system."""


class _Cells(Writer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Floats, Floats]] = []

    def add_operation(self, operation: Any) -> None:
        """Need no columns."""

    def write(self, feature: Any) -> None:
        area = _Area()
        feature.copy_to(area)
        self.found.append((area.found["values"], area.found["coverage"]))

    def features(self) -> None:
        """Have nothing to hand over: what was found is in ``found``."""
