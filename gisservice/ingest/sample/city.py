"""The clean city: every part built from the facts and a seed, before it is written and spoiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import districts, earlier
from gisservice.ingest.sample.addresses import HouseNumbers, address_table, number_lots
from gisservice.ingest.sample.blocks import (
    Blocks,
    build_blocks,
    faces_of,
    middles_of,
    nearest_seed,
    seeds_of,
    site_of,
)
from gisservice.ingest.sample.buildings import Buildings, build_buildings, frames_of, use_of
from gisservice.ingest.sample.ground import Ground, Road, read_ground
from gisservice.ingest.sample.lots import Lots, build_lots
from gisservice.ingest.sample.people import condominiums, flats, parcel_table, unit_names
from gisservice.ingest.sample.plane import Positions, Shapes, Values, generator
from gisservice.ingest.sample.streets import Streets, build_streets, node_lines
from gisservice.ingest.sample.subdivision import Subdivision

PARCELS = 47_000
BUILDINGS = 30_000
ADDRESSES = 50_000
"""How many records the clean layers have."""


@dataclass(frozen=True)
class SampleCity:
    """Streets, blocks, lots, buildings and the tables of parcels and addresses, in feet of EPSG:2283."""

    ground: Ground
    streets: Streets
    blocks: Blocks
    lots: Lots
    use: Values
    buildings: Buildings
    numbers: HouseNumbers
    parcels: pd.DataFrame
    """One row a record; ``lot`` is the row of its lot."""
    addresses: pd.DataFrame


def build_city(seed: int, report: Callable[[], None] = lambda: None) -> SampleCity:
    """Build the city of a seed; ``report`` is called after each of the five steps."""
    random = partial(generator, seed)
    ground = read_ground()
    streets, seams = _street_network(ground, random)
    report()
    blocks = build_blocks(streets, seams, ground)
    lots = build_lots(blocks, streets, random("lots"))
    report()
    use = use_of(lots, ground)
    buildings = build_buildings(lots, ground, random("buildings"), BUILDINGS)
    earlier.finish(buildings, lots)
    report()
    numbers = number_lots(lots, frames_of(lots), streets.walkable)
    condos = condominiums(lots, use, numbers, random("condominiums"), PARCELS)
    parcels = parcel_table(lots, use, buildings, numbers, streets.walkable, condos, random("owners"))
    report()
    addresses = _addresses(lots, streets.walkable, use, buildings, numbers, condos, parcels)
    report()
    return SampleCity(ground, streets, blocks, lots, use, buildings, numbers, parcels, addresses)


def _street_network(ground: Ground, random: Callable[[str], np.random.Generator]) -> tuple[Streets, Shapes]:
    """Return the streets, and the lot lines that go on where streets end."""
    main = np.array([road.line for road in ground.roads], dtype=object)
    faces = faces_of([main], ground)
    middles = middles_of(faces)
    dry = ~shapely.contains(ground.rivers, shapely.points(middles))
    names, seeds = seeds_of(districts.ZONE_SEEDS)

    def zone_at(position: Positions) -> str:
        return str(names[nearest_seed(position[None, :], seeds)[0]])

    subdivision = Subdivision(ground.barriers, zone_at, random("streets"))
    subdivision.divide(faces[(site_of(faces, ground) < 0) & dry])
    roads = [*ground.roads, *(Road("", "LOCAL", line) for line in subdivision.streets)]
    segments, origin = node_lines(roads)
    streets = build_streets(segments, origin, roads, ground, random("names"))
    return streets, np.array(subdivision.seams, dtype=object)


def _addresses(
    lots: Lots,
    streets: Streets,
    use: Values,
    buildings: Buildings,
    numbers: HouseNumbers,
    condos: dict[int, int],
    parcels: pd.DataFrame,
) -> pd.DataFrame:
    """Return the addresses of lots, condominium units and rented flats, each with its parcel."""
    units = [(lot, name) for lot in sorted(condos) for name in unit_names(condos[lot])]
    plain = int((numbers.has & (use != "OPEN")).sum())
    units += flats(buildings, use, numbers, condos, ADDRESSES - plain - len(units))
    first_of_lot = parcels.drop_duplicates("lot").set_index("lot")["PID_RE"].sort_index().to_numpy()
    table = address_table(lots, numbers, streets, use, units, first_of_lot)
    of_unit = parcels.dropna(subset="UNIT").set_index(["lot", "UNIT"])["PID_RE"]
    keys = pd.MultiIndex.from_tuples(units)
    pids = of_unit.reindex(keys).to_numpy()
    table.loc[plain:, "PID_RE"] = np.where(pd.isna(pids), table.loc[plain:, "PID_RE"], pids)
    table.insert(0, "ADDR_ID", [f"A{number:06d}" for number in range(1, len(table) + 1)])
    return table
