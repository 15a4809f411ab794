"""The nearest of a layer on foot, for one place at a time: worked out once for each version, then a look-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice import crs
from gisservice.analysis.network import WALK_KMH, Mode, Network
from gisservice.analysis.surroundings import Only, rows_with
from gisservice.analysis.travel import MINUTES_MAX, Spread, Stops
from gisservice.catalog import Catalog, Collection
from gisservice.errors import CollectionNotFound
from gisservice.model import Registry


@dataclass(frozen=True)
class Start:
    """A place put on the streets of a network."""

    network: Network
    stops: Stops


class Walking:
    """Minutes on foot from a place to the nearest record of a layer, along the streets of the city's network."""

    def __init__(self, catalog: Catalog, registry: Registry) -> None:
        self._catalog = catalog
        self._streets = next((layer.id for layer in registry.layers if layer.network is not None), None)
        self._spreads: dict[tuple[str, Only | None], tuple[str, str, Spread, npt.NDArray[np.int64]]] = {}
        self._operations: dict[str, crs.Reprojection] = {}

    def place(self, lonlat: tuple[float, float]) -> Start | None:
        """Return where one begins to walk from a point (CRS84); None where no streets are declared as a network."""
        network = self._network()
        if network is None:
            return None
        travel = network.travel(Mode.WALK, towards=True)
        point = shapely.points(self._operation(network).apply(np.array([lonlat])))
        return Start(network, travel.stops_at(point))

    def nearest(
        self, collection: Collection, start: Start, only: Only | None = None
    ) -> tuple[int, float, float] | None:
        """Return the row of the nearest record, the minutes and the metres to it; None where one cannot walk."""
        spread, rows = self._spread(start.network, collection, only)
        minutes, nearest = spread.at(start.stops)
        if not minutes[0] <= MINUTES_MAX or nearest[0] < 0:
            return None
        return int(rows[nearest[0]]), float(minutes[0]), float(minutes[0]) * WALK_KMH * 1000 / 60

    def _network(self) -> Network | None:
        if self._streets is None:
            return None
        try:
            if self._catalog.collection(self._streets).layer.network is None:
                return None  # published before it was declared as a network
        except CollectionNotFound:
            return None
        return Network.open(self._catalog, self._streets)

    def _spread(
        self, network: Network, collection: Collection, only: Only | None
    ) -> tuple[Spread, npt.NDArray[np.int64]]:
        """Return the ways to the records that count, and their rows in the layer."""
        key = str(network.source.get("version", "")), collection.version
        kept = self._spreads.get((collection.id, only))
        if kept is None or kept[:2] != key:
            travel, rows = network.travel(Mode.WALK, towards=True), rows_with(collection, only)
            entries = travel.entries_at(self._shapes(network, collection, rows))
            kept = (*key, travel.spread(entries, limit=MINUTES_MAX), rows)
            self._spreads[collection.id, only] = kept
        return kept[2:]

    def _shapes(self, network: Network, collection: Collection, rows: npt.NDArray[np.int64]) -> Any:
        assert collection.features is not None
        return crs.reproject(collection.features.shapes(rows), self._operation(network))

    def _operation(self, network: Network) -> crs.Reprojection:
        key = str(network.source.get("version", ""))
        if key not in self._operations:
            self._operations = {key: crs.reprojection(crs.CRS84, network.crs)}
        return self._operations[key]
