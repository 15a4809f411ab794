"""Zones that cover the city: each is the union of the faces nearest to its seeds, so that neighbours share borders."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import districts, places
from gisservice.ingest.sample.blocks import Blocks, middles_of, nearest_seed, seeds_of
from gisservice.ingest.sample.districts import ZONES
from gisservice.ingest.sample.ground import Ground
from gisservice.ingest.sample.plane import Positions, Shapes, Values, area, positions


def dissolve(faces: Shapes, group: Values) -> tuple[Values, Shapes]:
    """Return the groups in order and the union of the faces of each; borders keep all their vertices."""
    groups, number = np.unique(group, return_inverse=True)
    order = np.argsort(number, kind="stable")
    limits = np.searchsorted(number[order], np.arange(len(groups) + 1))
    shapes = [shapely.coverage_union_all(faces[order[low:high]]) for low, high in pairwise(limits)]
    return groups, np.array(shapes, dtype=object)


def zoning(blocks: Blocks, random: np.random.Generator) -> pd.DataFrame:
    """Return the zones: one record for each connected area of one code, water left out."""
    dry = ~blocks.water
    codes, shapes = dissolve(blocks.faces[dry], blocks.zone[dry].astype(str))
    parts, owner = shapely.get_parts(shapes, return_index=True)
    days = random.integers(0, 11_000, len(parts))
    return pd.DataFrame(
        {
            "ZONE_ID": [f"Z{number:04d}" for number in range(1, len(parts) + 1)],
            "ZONING": codes[owner].astype(object),
            "ZONE_GROUP": [ZONES[code].group for code in codes[owner]],
            "ADOPTED": [date(1992, 6, 24) + timedelta(days=int(day)) for day in days],
            "geometry": parts,
        }
    )


def plans(blocks: Blocks, random: np.random.Generator) -> pd.DataFrame:
    """Return the eighteen small-area plans."""
    names, shapes = _seeded(blocks, *seeds_of(districts.PLAN_SEEDS))
    return pd.DataFrame(
        {
            "PLAN_ID": [f"SAP{number:02d}" for number in range(1, len(names) + 1)],
            "PLAN_NAME": names.astype(object),
            "ADOPTED": [date(1992, 6, 13) + timedelta(days=int(day)) for day in random.integers(0, 10_000, len(names))],
            "geometry": shapes,
        }
    )


def elementary_zones(blocks: Blocks) -> pd.DataFrame:
    """Return the zones of the schools that teach the first grades."""
    schools = [school for school in places.SCHOOLS if school.level in ("ELEMENTARY", "K8")]
    names = np.array([school.name for school in schools])
    found, shapes = _seeded(blocks, names, np.vstack([positions(school.position) for school in schools]))
    grades = {school.name: "PK-8" if school.level == "K8" else "K-5" for school in schools}
    return _school_table("E", found, [grades[name] for name in found], shapes)


def middle_zones(elementary: pd.DataFrame) -> pd.DataFrame:
    """Return the middle school zones: unions of elementary zones."""
    hammond, feeders = next(iter(districts.MIDDLE_SCHOOL_OF.items()))
    school = np.where(elementary["SCHOOL"].isin(feeders), hammond, "George Washington Middle School")
    names, shapes = dissolve(elementary["geometry"].to_numpy(), school)
    return _school_table("M", names, ["6-8"] * len(names), shapes)


def collection_zones(blocks: Blocks, seeds: dict[str, str], day_column: str) -> pd.DataFrame:
    """Return the zones of a collection, one record a route: the connected areas of one weekday."""
    days, shapes = _seeded(blocks, *seeds_of(seeds))
    parts, owner = shapely.get_parts(shapes, return_index=True)
    return pd.DataFrame(
        {
            "ZONE_ID": [f"{day_column[0]}{number:02d}" for number in range(1, len(parts) + 1)],
            day_column: days[owner].astype(object),
            "ROUTE": [f"{day[:2]}-{number}" for number, day in enumerate(days[owner], start=1)],
            "geometry": parts,
        }
    )


def historic_districts(ground: Ground) -> pd.DataFrame:
    """Return the historic districts, cut at the city's edge."""
    facts = places.HISTORIC_DISTRICTS
    return pd.DataFrame(
        {
            "DIST_ID": [f"HD{number}" for number in range(1, len(facts) + 1)],
            "NAME": [name for name, _, _ in facts],
            "REGISTER": [register for _, register, _ in facts],
            "geometry": [shapely.make_valid(area(text)).intersection(ground.city) for _, _, text in facts],
        }
    )


def _seeded(blocks: Blocks, names: Values, seeds: Positions) -> tuple[Values, Shapes]:
    return dissolve(blocks.faces, names[nearest_seed(middles_of(blocks.faces), seeds)])


def _school_table(prefix: str, names: Values, grades: list[str], shapes: Shapes) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ZONE_ID": [f"{prefix}{number:02d}" for number in range(1, len(names) + 1)],
            "SCHOOL": names.astype(object),
            "GRADES": grades,
            "SCH_YEAR": "2025-2026",
            "geometry": shapes,
        }
    )
