"""Fixtures for the tests of tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
from tile_factories import Built, lonlat_source

from gisservice.tiles import TileSource

WEST = -77.10
"""Degrees of longitude."""


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Built]:
    """Build a layer's pyramid: ``build(source)``."""
    count = iter(range(1000))
    return lambda source, workers=1: Built(source, tmp_path / str(next(count)), workers)


@pytest.fixture(scope="session")
def real_parcels(read_parcels: Callable[[], gpd.GeoDataFrame]) -> TileSource:
    """The city's parcels: 47,174 records of 28,413 geometries."""
    return _parcels(read_parcels())


@pytest.fixture(scope="session")
def western_parcels(read_parcels: Callable[[], gpd.GeoDataFrame]) -> TileSource:
    """The parcels of the city's west: about a third of them, enough for what is built several times."""
    frame = read_parcels()
    return _parcels(frame[frame.geometry.bounds.maxx < WEST])


def _parcels(frame: gpd.GeoDataFrame) -> TileSource:
    return lonlat_source(
        frame.drop(columns="OBJECTID"), "parcels", ids=frame["OBJECTID"].to_numpy(), z=16, minzoom=10, coverage=True
    )
