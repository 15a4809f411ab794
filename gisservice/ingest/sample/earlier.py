"""The survey of a year before: what the city's latest update added, removed and changed, all in one neighbourhood.

At the end of 2023 the block at ``REDEVELOPED`` was one lot with one hall; since then it was divided, and
apartments stand there. The zones at ``REZONED`` had other codes, lots sold in 2024 had been sold before, and some
address points lay where they were first digitised. Tables are those of today's sources, flaws included; each function
returns the one that the office had then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample.buildings import Buildings
from gisservice.ingest.sample.districts import ZONES
from gisservice.ingest.sample.lots import Lots
from gisservice.ingest.sample.plane import Positions, Values, positions
from gisservice.model import Layer

FOLDER = "earlier"
NAMES = {
    "parcels.gpkg": "parcels_2023.gpkg",
    "buildings.shp.zip": "buildings_2023.shp.zip",
    "addresses.csv": "addresses_2023.csv",
    "zoning.shp.zip": "zoning_2023.shp.zip",
}
"""Today's sources of which there is an earlier one, and its name in ``FOLDER``."""

REDEVELOPED = "584,8025"
REZONED = {"604,8057": ("OC", date(1996, 2, 10)), "539,8042": ("CSL", date(1998, 5, 16))}
"""What the zone at a place was before, and since when."""

FINISHED = 2024
_ADOPTED = date(2024, 3, 16)
_REACH = 3_000.0
"""Feet around the redeveloped block within which sales and corrections of addresses are new."""
_CORRECTED = 12
_RETIRED_PARCEL, _RETIRED_BUILDING, _RETIRED_ADDRESS = "10000001", "B900001", "A900001"


@dataclass(frozen=True)
class Neighbourhood:
    """The redeveloped block: its place, its lots as rows of the lots, and their common outline."""

    middle: Positions
    lots: Values
    outline: shapely.Polygon

    def near(self, points: Positions) -> Values:
        """Return which positions are within reach."""
        return np.asarray(np.hypot(*(points - self.middle).T) < _REACH)


def neighbourhood(lots: Lots) -> Neighbourhood:
    """Find the block that was redeveloped."""
    middle = positions(REDEVELOPED)[0]
    block = lots.block[np.argmin(shapely.distance(lots.shapes, shapely.Point(middle)))]
    rows = np.flatnonzero(lots.block == block)
    return Neighbourhood(middle, rows, shapely.union_all(lots.shapes[rows]))


def finish(buildings: Buildings, lots: Lots) -> None:
    """Date the buildings of the redeveloped block."""
    buildings.year[np.isin(buildings.lot, neighbourhood(lots).lots)] = FINISHED


def adopt(zoning: pd.DataFrame) -> pd.DataFrame:
    """Date the zones that were changed."""
    zoning = zoning.copy()
    zoning.loc[list(_rezoned(zoning)), "ADOPTED"] = _ADOPTED
    return zoning


def _rezoned(zoning: pd.DataFrame) -> dict[int, tuple[str, date]]:
    """Return the rows of the rezoned zones, each with its code and adoption before."""
    places = shapely.points(np.vstack([positions(place) for place in REZONED]))
    shapes = zoning["geometry"].to_numpy()
    return {int(np.argmin(shapely.distance(shapes, at))): was for at, was in zip(places, REZONED.values(), strict=True)}


def zoning_before(zoning: pd.DataFrame) -> pd.DataFrame:
    """Return the zones with the codes that they had."""
    zoning = zoning.copy()
    for row, (code, adopted) in _rezoned(zoning).items():
        for column, value in (("ZONING", code), ("ZONE_GROUP", ZONES[code].group), ("ADOPTED", adopted)):
            zoning.loc[row, column] = value
    return zoning


def parcels_before(parcels: pd.DataFrame, zoning: pd.DataFrame, lots: Lots, doors: Positions) -> pd.DataFrame:
    """Return the roll before: the block as one lot, earlier sales and zones; ``doors`` has a position on each lot."""
    here = neighbourhood(lots)
    new = parcels["lot"].isin(here.lots).to_numpy()
    block = parcels[new].iloc[0].copy()
    land = round(float(parcels.loc[new, "LAND_VALUE"].sum()) * 0.6, -2)
    block[["PID_RE", "UNIT", "LANDCODE", "LANDDESC"]] = [_RETIRED_PARCEL, None, 600, "Industrial"]
    block[["LAND_SF", "YEAR_BUILT", "LAND_VALUE", "BLDG_VALUE", "TOT_VALUE"]] = [
        float(round(here.outline.area)), 1962, int(land), 412_000, int(land) + 412_000]  # fmt: skip
    block[["SALE_DATE", "SALE_PRICE", "STATUS", "geometry"]] = ["1988-05-12", 1_150_000, "Legal", here.outline]
    before = parcels[~new].copy()
    points = doors[before["lot"]]
    _unsell(before, here.near(points))
    for row, (code, _) in _rezoned(zoning).items():
        inside = shapely.contains(zoning["geometry"].iloc[row], shapely.points(points))
        before.loc[inside & before["ZONING"].notna().to_numpy(), "ZONING"] = code
    joined = pd.concat([before, block.to_frame().T], ignore_index=True)
    return joined.astype(parcels.dtypes.to_dict())


def _unsell(parcels: pd.DataFrame, near: Values) -> None:
    """Give parcels near by that were sold in 2024 the sale before, nine years earlier at two thirds of the price."""
    sold = near & parcels["SALE_DATE"].fillna("").str.startswith("2024").to_numpy()
    parcels.loc[sold, "SALE_DATE"] = "2015" + parcels.loc[sold, "SALE_DATE"].str[4:]
    price = parcels.loc[sold, "SALE_PRICE"].astype("Float64") * 0.66
    parcels.loc[sold, "SALE_PRICE"] = price.round(-2).astype("Int64")


def addresses_before(addresses: pd.DataFrame, lots: Lots, random: np.random.Generator) -> pd.DataFrame:
    """Return the addresses before: two on the block, and some points near by a few feet off."""
    here = neighbourhood(lots)
    new = addresses["lot"].isin(here.lots).to_numpy()
    hall = addresses[new].iloc[[0]].assign(PID_RE=_RETIRED_PARCEL, ADDR_USE="B")
    rear = hall.assign(ADDR_ID=_RETIRED_ADDRESS, FULL_ADDR=hall["FULL_ADDR"] + ", Unit REAR", UNIT="REAR")
    before = addresses[~new].copy()
    single = ~before["lot"].duplicated(keep=False).to_numpy()
    rows = np.flatnonzero(single & here.near(before[["X", "Y"]].to_numpy(float)))
    moved = before.index[np.sort(random.choice(rows, min(_CORRECTED, len(rows)), replace=False))]
    before.loc[moved, ["X", "Y"]] = before.loc[moved, ["X", "Y"]] + [14.0, -9.0]
    return pd.concat([before, hall, rear], ignore_index=True)


def buildings_before(buildings: pd.DataFrame, here: Neighbourhood, new: Values) -> pd.DataFrame:
    """Return the buildings before: one hall instead of those that ``new`` marks."""
    hall = buildings[new].iloc[[0]].assign(
        BLDG_ID=_RETIRED_BUILDING, BLDG_USE="INDUSTRIAL", HEIGHT_FT=24.0, STORIES=np.int32(1),
        YEAR_BUILT=np.int32(1962), PID_RE=_RETIRED_PARCEL, SURVEYED=date(2023, 3, 25),
        geometry=shapely.set_precision(shapely.minimum_rotated_rectangle(here.outline.buffer(-70)), 0.01),
    )  # fmt: skip
    return pd.concat([buildings[~new], hall], ignore_index=True)


def survey_before(layer: Layer) -> Layer | None:
    """Return a sample layer as declared for the survey before, or None where there is none."""
    place, _, name = layer.sources[0].location.rpartition("/") if layer.sources else ("", "", "")
    if name not in NAMES:
        return None
    return replace(layer, sources=(replace(layer.sources[0], location=f"{place}/{FOLDER}/{NAMES[name]}"),))
