"""What is reached within some minutes: the area along the reached streets, and the features of another layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.analysis.amenities import SPEEDS, WAY
from gisservice.analysis.answers import state
from gisservice.analysis.network import Network
from gisservice.analysis.ragged import Floats, Ints, Lines, joined
from gisservice.analysis.routing import FEET_PER_METRE
from gisservice.analysis.travel import Spread, Stops, Travel, checked_count, checked_minutes
from gisservice.errors import InvalidParameter, LimitExceeded

if TYPE_CHECKING:
    import geopandas

CUTOFFS_MAX = 10
BESIDE_M = 50.0
"""Metres to either side of a reached street that count as reached (Oliver, Schuurman and Hall 2007 use the same)."""

PARTS_MAX = 300_000
"""Reached parts of streets, over all origins and cut-offs, from which areas are made at most."""

_ARC = 4
"""Segments of a quarter circle at a street's end: within 1 m of the circle of 50 m."""

_ROUNDING = 1e-6
"""How far from an edge's end, in the network's unit, a part of it may end that was reached to the end."""

SQUARE_METRES_PER_ACRE = 4046.8564224

Parts = tuple[Ints, Floats, Floats]


def reach(
    network: Network,
    origins: geopandas.GeoDataFrame,
    *,
    minutes: float | Sequence[float],
    mode: str = "walk",
    merge: bool = False,
) -> geopandas.GeoDataFrame:
    """Return the area reached from each origin within each number of minutes; with ``merge``, from any of them.

    A row has ``origin`` (index value; missing with ``merge``), ``minutes``, ``street_feet`` (length of the streets
    reached), ``area_acres`` and the area, in the network's system: all within 50 m of a reached part of a street
    (Oliver, Schuurman and Hall 2007, the line-based network buffer). Larger cut-offs contain smaller ones. An origin
    that is beside no street has an empty area. Raises :class:`InvalidParameter` for minutes not above 0 and up to 240
    or an unknown mode, :class:`LimitExceeded` for more than 1,000 origins, 10 cut-offs or 300,000 street parts.

    >>> areas = reach(network, stations, minutes=[5, 10, 15])  # doctest: +SKIP
    >>> gisservice.explore(areas, "minutes")  # doctest: +SKIP
    """
    import geopandas

    cutoffs = checked_cutoffs(minutes)
    checked_count("origins", len(origins))
    travel = network.travel(mode)
    spreads = _spreads(travel, travel.stops(origins, "origins"), len(origins), cutoffs[-1], merge)
    rows: list[tuple[Any, float, float, Any]] = []
    budget = PARTS_MAX
    for row, spread in spreads:
        parts = [spread.reached(cutoff) if spread is not None else _NOTHING for cutoff in cutoffs]
        budget -= sum(len(edge) for edge, _, _ in parts)
        if budget < 0:
            raise LimitExceeded("The number of street parts reached", PARTS_MAX - budget, PARTS_MAX, "parts")
        origin = None if merge else origins.index[row]
        lengths = [float((high - low).sum()) * network.metres * FEET_PER_METRE for _, low, high in parts]
        rows.extend(zip([origin] * len(cutoffs), cutoffs, lengths, _areas(network, parts), strict=True))
    shapes = np.array([row[3] for row in rows], dtype=object)
    found = geopandas.GeoDataFrame(
        {
            "origin": np.array([row[0] for row in rows], dtype=object),
            "minutes": np.array([row[1] for row in rows], dtype=np.float64),
            "street_feet": np.array([row[2] for row in rows], dtype=np.float64),
            "area_acres": shapely.area(shapes) * network.metres**2 / SQUARE_METRES_PER_ACRE,
        },
        geometry=shapes,
        crs=network.crs,
    )
    method = (
        f"All within {BESIDE_M:g} m ({BESIDE_M * FEET_PER_METRE:.0f} ft) of the streets reached within the minutes, "
        f"{SPEEDS[travel.mode]}, {WAY}."
    )
    units = {"minutes": "minute", "street_feet": "foot", "area_acres": "acre"}
    return state(found, method=method, units=units, sources=[network.source, origins])


def reached(
    network: Network,
    origins: geopandas.GeoDataFrame,
    features: geopandas.GeoDataFrame,
    *,
    minutes: float,
    mode: str = "walk",
) -> geopandas.GeoDataFrame:
    """Return the features that are reached within some minutes from any of the origins, with their columns.

    ``minutes_from_origin`` and ``origin`` (index value of the nearest) are added; features are in order of their own
    frame. Areas are reached as soon as one comes to their edge (``access`` goes to their middle).
    Raises as :func:`reach` does.

    >>> reached(Network.open(catalog), libraries, parcels, minutes=10)  # doctest: +SKIP
    """
    limit = checked_minutes("minutes", minutes)
    checked_count("origins", len(origins))
    travel = network.travel(mode)
    spread = travel.spread(travel.stops(origins, "origins"), limit=limit)
    spent, source = spread.at(travel.entries(features, "features"))
    near = spent <= limit
    names = origins.index.to_numpy(object)[np.maximum(source[near], 0)] if len(origins) else []
    found = features[near].assign(minutes_from_origin=spent[near], origin=names)
    method = f"Features within {limit:g} minutes {SPEEDS[travel.mode]} of the nearest origin, {WAY}."
    return state(
        found, method=method, units={"minutes_from_origin": "minute"}, sources=[network.source, origins, features]
    )


def checked_cutoffs(minutes: float | Sequence[float]) -> list[float]:
    """Return cut-offs in ascending order, each once. Raises :class:`InvalidParameter` and :class:`LimitExceeded`."""
    given = [minutes] if isinstance(minutes, int | float | np.number) else list(minutes)
    if not given:
        raise InvalidParameter("minutes", "none", "at least one number of minutes")
    if len(given) > CUTOFFS_MAX:
        raise LimitExceeded("The number of cut-offs", len(given), CUTOFFS_MAX, "cut-offs")
    return sorted({checked_minutes("minutes", one) for one in given})


_NOTHING: Parts = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def _spreads(travel: Travel, stops: Stops, rows: int, limit: float, merge: bool) -> Iterator[tuple[int, Spread | None]]:
    """Yield for each origin its row and what is reached from it; None for one that is beside no street."""
    if merge:
        yield 0, travel.spread(stops, limit=limit)
        return
    each = travel.spread_each(stops, limit=limit)
    on_street = np.zeros(rows, bool)
    on_street[stops.row] = True
    for row in range(rows):
        yield row, next(each) if on_street[row] else None


def _areas(network: Network, parts: list[Parts]) -> list[Any]:
    """Return the area of each cut-off: that of the one before, and what is new."""
    width = BESIDE_M / network.metres
    areas: list[Any] = []
    area: Any = shapely.MultiPolygon()
    before: npt.NDArray[Any] = np.zeros(0)
    for edge, low, high in parts:
        keys = np.rec.fromarrays([edge, low, high])
        new = ~np.isin(keys, before) if len(before) else np.ones(len(keys), bool)
        strips = shapely.buffer(_streets(network, edge[new], low[new], high[new]).shapes, width, quad_segs=_ARC)
        area = shapely.union_all([area, *strips])
        before = keys
        areas.append(area)
    return areas


def _streets(network: Network, edge: Ints, low: Floats, high: Floats) -> Lines:
    """Return parts of edges as long lines: the area around few long ones is found several times faster."""
    whole = np.stack([low <= 0.0, network.lines.lengths[edge] - high < _ROUNDING], axis=1)
    return joined(network.lines.parts(edge, low, high), np.where(whole, network.ends[edge], -1))
