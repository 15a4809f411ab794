"""Minutes to the nearest amenity: for each place one, from one pass over the network for each kind of amenity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gisservice.analysis.answers import state
from gisservice.analysis.network import BIKE_KMH, KMH_PER_MPH, WALK_KMH, Mode, Network
from gisservice.analysis.ragged import Floats, Ints
from gisservice.analysis.travel import MINUTES_MAX, Spread, Stops, checked_minutes
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import geopandas
    import pandas

SPEEDS = {
    Mode.WALK: f"on foot at {WALK_KMH / KMH_PER_MPH:g} mph",
    Mode.BIKE: f"by bicycle at {BIKE_KMH / KMH_PER_MPH:g} mph",
    Mode.DRIVE: "by car at the posted speed, without waiting at lights or turns",
}
"""How each mode's minutes are reckoned, in words for an answer's method."""

WAY = (
    "along streets from the place on the street beside each point, the way between the two in a straight line at "
    "walking speed"
)


@dataclass(frozen=True)
class Nearest:
    """The minutes to the nearest of some targets from anywhere on the network, worked out once for all who ask."""

    spread: Spread
    targets: pandas.Index

    def minutes(self, places: geopandas.GeoDataFrame) -> pandas.DataFrame:
        """Return ``minutes`` and ``nearest`` (index value of the target) for each place, indexed like the places.

        Both are missing for a place that is not on the network or from which no target is reached in 240 minutes.
        """
        return self.at(self.spread.travel.stops(places, "places"), places.index)

    def at(self, stops: Stops, index: pandas.Index) -> pandas.DataFrame:
        """Return the same for stops that were made before, of places with this index."""
        import pandas

        minutes, source = within(*self.spread.at(stops), MINUTES_MAX)
        return pandas.DataFrame({"minutes": minutes, "nearest": _named(self.targets, source)}, index=index)


def nearest_by_network(network: Network, targets: geopandas.GeoDataFrame, *, mode: str = "walk") -> Nearest:
    """Work out the way to the nearest of the targets from every street, once, for many later questions.

    Areas (parks) are entered from the streets all around them. Raises :class:`InvalidParameter`.
    """
    travel = network.travel(mode, towards=True)
    return Nearest(travel.spread(travel.entries(targets), limit=MINUTES_MAX), targets.index)


def walking_minutes(
    network: Network, points: geopandas.GeoDataFrame, targets: geopandas.GeoDataFrame
) -> pandas.DataFrame:
    """Return for each point the walking ``minutes`` to the nearest target, ``metres`` and the target's ``nearest`` id.

    The frame is indexed like the points; a point that is not on the network has missing values. Walking 3 miles an
    hour, :data:`WAY`. For many questions about the same targets keep :func:`nearest_by_network`.

    >>> walking_minutes(Network.open(catalog), addresses, catalog.read("parks"))  # doctest: +SKIP
    """
    found = nearest_by_network(network, targets).minutes(points)
    found.insert(1, "metres", found["minutes"] * WALK_KMH * 1000 / 60)
    method = f"Minutes {SPEEDS[Mode.WALK]} to the nearest target, {WAY}."
    return state(
        found, method=method, units={"minutes": "minute", "metres": "metre"}, sources=[network.source, points, targets]
    )


def access(
    network: Network,
    places: geopandas.GeoDataFrame,
    amenities: Mapping[str, geopandas.GeoDataFrame],
    *,
    mode: str = "walk",
    proposed: Mapping[str, geopandas.GeoDataFrame] | None = None,
) -> geopandas.GeoDataFrame:
    """Return for each place the minutes to the nearest amenity of each kind, before and after proposed ones.

    Columns for each kind: ``minutes_to_<kind>`` and ``nearest_<kind>`` (id of the amenity); where some of this kind
    are ``proposed``, also ``minutes_to_<kind>_after``, ``nearest_<kind>_after`` and ``minutes_saved_<kind>``. Minutes
    are missing where no amenity is reached within 240. Geometry and index are those of the places. Raises
    :class:`InvalidParameter` for an unknown mode or a kind that is proposed only.

    >>> access(network, parcels, {"library": libraries}, proposed={"library": site})  # doctest: +SKIP
    """
    import geopandas

    proposed = proposed or {}
    for kind in proposed:
        if kind not in amenities:
            raise InvalidParameter("proposed", kind, f"a kind of amenity among {', '.join(amenities)}")
    travel = network.travel(mode, towards=True)
    stops = travel.stops(places, "places")
    found = geopandas.GeoDataFrame(geometry=places.geometry.rename("geometry"))
    for kind, existing in amenities.items():
        before = nearest_by_network(network, existing, mode=mode)
        now = before.at(stops, places.index)
        found[f"minutes_to_{kind}"], found[f"nearest_{kind}"] = now["minutes"], now["nearest"]
        if kind in proposed:
            _compare(found, kind, now, nearest_by_network(network, proposed[kind], mode=mode).at(stops, places.index))
    units = {name: "minute" for name in found.columns if str(name).startswith("minutes_")}
    method = f"Minutes {SPEEDS[travel.mode]} to the nearest amenity of each kind, {WAY}."
    return state(
        found, method=method, units=units, sources=[network.source, places, *amenities.values(), *proposed.values()]
    )


def service_gap(
    network: Network,
    places: geopandas.GeoDataFrame,
    amenities: geopandas.GeoDataFrame,
    *,
    minutes: float,
    mode: str = "walk",
) -> geopandas.GeoDataFrame:
    """Return the places from which no amenity is reached within some minutes, with their columns.

    ``minutes_to_nearest`` and ``nearest`` are added; both are missing where no amenity is reached at all, and
    ``reason`` says why: ``beyond`` the minutes, ``not connected``, or ``no street`` within half a mile. Raises
    :class:`InvalidParameter` for minutes that are not above 0 and up to 240.

    >>> service_gap(Network.open(catalog), parcels, parks, minutes=10)  # doctest: +SKIP
    """
    limit = checked_minutes("minutes", minutes)
    travel = network.travel(mode, towards=True)
    stops = travel.stops(places, "places")
    field = nearest_by_network(network, amenities, mode=mode)
    found = field.at(stops, places.index)
    on_street = np.zeros(len(places), bool)
    on_street[stops.row] = True
    gap = places.assign(minutes_to_nearest=found["minutes"], nearest=found["nearest"])
    reached = np.isfinite(found["minutes"].to_numpy())
    gap["reason"] = np.where(~on_street, "no street", np.where(reached, "beyond", "not connected"))
    gap = gap[~(found["minutes"] <= limit).to_numpy()]
    method = f"Places more than {limit:g} minutes {SPEEDS[travel.mode]} from the nearest amenity, {WAY}."
    return state(
        gap, method=method, units={"minutes_to_nearest": "minute"}, sources=[network.source, places, amenities]
    )


def within(minutes: Floats, source: Ints, limit: float) -> tuple[Floats, Ints]:
    """Return minutes, missing where they are above the limit, and the source, -1 there."""
    near = minutes <= limit
    return np.where(near, minutes, math.nan), np.where(near, source, -1)


def _compare(found: Any, kind: str, now: pandas.DataFrame, new: pandas.DataFrame) -> None:
    """Add the columns of a kind of amenity of which some are proposed: whichever is nearer, the old or the new."""
    before, after = now["minutes"].to_numpy(), new["minutes"].to_numpy()
    better = (after < before) | (np.isnan(before) & ~np.isnan(after))
    found[f"minutes_to_{kind}_after"] = np.where(better, after, before)
    found[f"nearest_{kind}_after"] = now["nearest"].where(~better, new["nearest"])
    found[f"minutes_saved_{kind}"] = np.where(better, before - after, np.where(np.isnan(before), math.nan, 0.0))


def _named(index: pandas.Index, rows: Ints) -> Iterable[Any]:
    """Return the index values of rows; missing for -1."""
    import pandas

    if not len(index):
        return pandas.array([None] * len(rows), dtype="object")
    named = pandas.Series(index.to_numpy(object)[np.maximum(rows, 0)], dtype="object")
    return named.where(rows >= 0, None).to_numpy(object)
