"""The dirt of real data, put into the clean city in known numbers (see :mod:`gisservice.ingest.sample`)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample.plane import Shapes, Values

INVALID_PARCELS = 24
DUPLICATE_PARCELS = 30
NULL_ZONING = 1200
MIXED_CASE_ZONING = 400
PADDED_ZONING = 300
MIXED_CASE_STATUS = 500
BAD_SALE_DATES = 15
BAD_LAND_AREAS = 10
INVALID_BUILDINGS = 12
DUPLICATE_ADDRESSES = 40
ADDRESSES_OUTSIDE = 12
MIXED_CASE_ZONES = 20
DUPLICATE_TREES = 25
BAD_TREE_DATES = 18
BAD_TREE_DIAMETERS = 8
"""How many records of each kind of flaw the sources carry."""

_BAD_DATES = ("0000-00-00", "2019-13-45", "unknown", "1/0/1900", "9999-99-99")


def spoil_parcels(table: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Make some parcels invalid, repeat some, and spoil codes, dates and values; flaws of one kind do not overlap."""
    table = table.copy()
    small = shapely.get_num_coordinates(table["geometry"].to_numpy()) < 14
    single = np.flatnonzero(~table["lot"].duplicated(keep=False).to_numpy() & small)
    broken = random.choice(single, INVALID_PARCELS, replace=False)
    table.loc[broken, "geometry"] = _broken(table["geometry"].to_numpy()[broken])
    null, mixed, padded, status, dates, areas = _portions(
        random.permutation(len(table)),
        NULL_ZONING,
        MIXED_CASE_ZONING,
        PADDED_ZONING,
        MIXED_CASE_STATUS,
        BAD_SALE_DATES,
        BAD_LAND_AREAS,
    )
    table.loc[null, "ZONING"] = None
    table.loc[mixed, "ZONING"] = table.loc[mixed, "ZONING"].str.lower()
    table.loc[padded, "ZONING"] = "  " + table.loc[padded, "ZONING"] + " "
    table.loc[status, "STATUS"] = table.loc[status, "STATUS"].str.upper()
    table.loc[dates, "SALE_DATE"] = [_BAD_DATES[number % len(_BAD_DATES)] for number in range(len(dates))]
    table.loc[areas, "LAND_SF"] = -1.0
    again = random.choice(np.setdiff1d(single, broken), DUPLICATE_PARCELS, replace=False)
    return pd.concat([table, table.loc[np.sort(again)]], ignore_index=True)


def spoil_buildings(table: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Make some footprints invalid."""
    table = table.copy()
    shapes = table["geometry"].to_numpy()
    plain = np.flatnonzero(shapely.get_num_coordinates(shapes) == 5)
    broken = random.choice(plain, INVALID_BUILDINGS, replace=False)
    table.loc[broken, "geometry"] = _broken(shapes[broken])
    return table


def spoil_addresses(table: pd.DataFrame, outside: Values, random: np.random.Generator) -> pd.DataFrame:
    """Move some addresses out of the city to the positions ``outside``, and repeat some."""
    table = table.copy()
    rows = random.permutation(len(table))
    away, again = rows[:ADDRESSES_OUTSIDE], np.sort(rows[ADDRESSES_OUTSIDE : ADDRESSES_OUTSIDE + DUPLICATE_ADDRESSES])
    table.loc[away, ["X", "Y"]] = outside[: len(away)]
    return pd.concat([table, table.loc[again]], ignore_index=True)


def spoil_zoning(table: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Write some zone codes in lower case."""
    table = table.copy()
    lettered = np.flatnonzero(table["ZONING"].str.lower() != table["ZONING"])
    rows = random.choice(lettered, MIXED_CASE_ZONES, replace=False)
    table.loc[rows, "ZONING"] = table.loc[rows, "ZONING"].str.lower()
    return table


def spoil_trees(table: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Repeat some trees, and spoil dates and diameters."""
    table = table.copy()
    dates, diameters, again = _portions(
        random.permutation(len(table)), BAD_TREE_DATES, BAD_TREE_DIAMETERS, DUPLICATE_TREES
    )
    table.loc[dates, "PLANTED"] = "00/00/0000"
    table["DBH_IN"] = table["DBH_IN"].astype(str)
    table.loc[diameters, "DBH_IN"] = "n/a"
    return pd.concat([table, table.loc[np.sort(again)]], ignore_index=True)


def _portions(rows: Values, *sizes: int) -> list[Values]:
    """Return consecutive portions of the rows, of the sizes wanted."""
    return np.split(rows, np.cumsum(sizes))[: len(sizes)]


def _broken(shapes: Shapes) -> Shapes:
    """Break valid polygons: every second becomes a bow-tie, the others get a spike out and back."""
    broken = []
    for number, shape in enumerate(shapes):
        points = shapely.get_coordinates(shape)
        tie = shapely.Polygon(points[[0, 2, 1, *range(3, len(points))]])
        spike = points[0] + (points[0] - points[2]) * 0.2
        spiked = shapely.Polygon(np.vstack([points[:1], spike, points]))
        broken.append(tie if number % 2 and not tie.is_valid else spiked)
    return np.array(broken, dtype=object)
