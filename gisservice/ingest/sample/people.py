"""People who do not exist: owners, values and sales of parcels, condominium units, and block groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample.addresses import HouseNumbers, street_texts, zip_codes
from gisservice.ingest.sample.blocks import Blocks, middles_of, nearest_seed
from gisservice.ingest.sample.buildings import Buildings
from gisservice.ingest.sample.lots import Lots
from gisservice.ingest.sample.plane import Positions, Values
from gisservice.ingest.sample.streets import Streets
from gisservice.ingest.sample.vocabulary import ASSESSOR_NOTES, COMPANY_WORDS, FIRST_NAMES, LAST_NAMES

POPULATION = 159_467
_LAND_USE = {
    "HOUSE": (110, "Single family detached"),
    "TOWNHOUSE": (120, "Townhouse"),
    "APARTMENT": (310, "Apartments"),
    "CONDOMINIUM": (150, "Residential condominium"),
    "COMMERCIAL": (400, "Commercial"),
    "INDUSTRIAL": (600, "Industrial"),
    "PUBLIC": (700, "Institution"),
    "OPEN": (800, "Open space"),
}


def condominiums(
    lots: Lots, use: Values, numbers: HouseNumbers, random: np.random.Generator, records: int
) -> dict[int, int]:
    """Choose lots that are condominiums, and how many units each has, so that parcels have ``records`` in all."""
    candidates = np.flatnonzero((use == "APARTMENT") & numbers.has & (shapely.area(lots.shapes) > 12_000))
    order = random.permutation(candidates)
    more = np.clip(random.lognormal(3.3, 0.7, len(order)), 6, 280).astype(np.int64)
    more = np.minimum(more, np.maximum(records - len(lots.shapes) - np.concatenate([[0], np.cumsum(more)[:-1]]), 0))
    return {int(lot): int(extra) + 1 for lot, extra in zip(order, more, strict=True) if extra > 0}


def unit_names(many: int) -> list[str]:
    """Return unit numbers, eight to a floor: 101 … 108, 201 …"""
    return [str(100 * (1 + number // 8) + 1 + number % 8) for number in range(many)]


def flats(
    buildings: Buildings, use: Values, numbers: HouseNumbers, condos: dict[int, int], wanted: int
) -> list[tuple[int, str]]:
    """Return ``wanted`` rented flats as (lot, unit), spread over the apartment lots by the size of their buildings."""
    open_lots = np.flatnonzero((use == "APARTMENT") & numbers.has)
    open_lots = open_lots[~np.isin(open_lots, list(condos))]
    room = np.bincount(buildings.lot, shapely.area(buildings.shapes) * buildings.storeys, minlength=len(use))[open_lots]
    share = np.floor(wanted * room / room.sum()).astype(np.int64)
    share[np.argsort(-room, kind="stable")[: wanted - share.sum()]] += 1
    return [(int(lot), name) for lot, many in zip(open_lots, share, strict=True) for name in unit_names(int(many))]


def parcel_ids(many: int, first: int) -> Values:
    """Return identifiers as an assessor has them: eight digits."""
    return np.array([f"{number:08d}" for number in range(first, first + many)], dtype=object)


def parcel_table(
    lots: Lots,
    use: Values,
    buildings: Buildings,
    numbers: HouseNumbers,
    streets: Streets,
    condos: dict[int, int],
    random: np.random.Generator,
) -> pd.DataFrame:
    """Return one row a record: every lot once, or once for each unit where it is a condominium."""
    repeats = np.ones(len(lots.shapes), dtype=np.int64)
    repeats[list(condos)] = list(condos.values())
    lot = np.repeat(np.arange(len(repeats)), repeats)
    is_unit = np.isin(lot, list(condos))
    unit = np.full(len(lot), "", dtype=object)
    unit[is_unit] = np.concatenate([unit_names(condos[row]) for row in sorted(condos)])
    kind = np.where(is_unit, "CONDOMINIUM", use[lot])
    address = street_texts(numbers, streets)[lot]
    area = shapely.area(lots.shapes)[lot]
    floor = np.bincount(buildings.lot, shapely.area(buildings.shapes) * buildings.storeys, minlength=len(repeats))
    year = np.zeros(len(repeats), dtype=np.int64)
    year[buildings.lot] = buildings.year
    table = pd.DataFrame(
        {
            "PID_RE": parcel_ids(len(lot), 10_000_100),
            "MAP_REF": _map_sheets(lots)[lot],
            "ADDRESS": _known(address, address != ""),
            "UNIT": _known(unit, is_unit),
            "ZONING": lots.zone[lot],
            "LANDCODE": [_LAND_USE[name][0] for name in kind],
            "LANDDESC": [_LAND_USE[name][1] for name in kind],
            "LAND_SF": np.where(is_unit, 0, np.round(area)),
            "YEAR_BUILT": pd.array(year[lot], dtype="Int64"),
            "lot": lot,
        }
    )
    table.loc[table["YEAR_BUILT"] == 0, "YEAR_BUILT"] = pd.NA
    table = _with_values(table, area / repeats[lot], (floor / repeats)[lot], numbers.point[lot], random)
    return _with_owners(table, numbers.point[lot], random)


def _known(values: Values, known: Values) -> Values:
    """Return the values as objects, None where not known."""
    objects: Values = values.astype(object)
    objects[~known] = None
    return objects


def _map_sheets(lots: Lots) -> Values:
    """Return references of the tax map: sheet, block and lot."""
    x, y = middles_of(lots.shapes).T
    column, row = ((x - x.min()) // 2400).astype(int), ((y.max() - y) // 2400).astype(int)
    within = pd.Series(lots.block).groupby(lots.block).cumcount() + 1
    sheets = [
        f"{a * 16 + b:03d}.{c % 100:02d}-{d:02d}" for a, b, c, d in zip(row, column, lots.block, within, strict=True)
    ]
    return np.array(sheets, dtype=object)


def _with_values(
    table: pd.DataFrame, land: Values, floor: Values, point: Positions, random: np.random.Generator
) -> pd.DataFrame:
    many = len(table)
    east = (point[:, 0] - point[:, 0].min()) / np.ptp(point[:, 0])
    land_value = np.round(land**0.72 * (190 + 260 * east) * random.lognormal(0, 0.12, many), -2)
    floor_value = np.round(floor * (165 + 90 * east) * random.lognormal(0, 0.15, many), -2)
    days = random.integers(0, 365 * 35, many)
    sale = np.datetime64("1990-01-01") + days.astype("timedelta64[D]")
    sold = random.random(many) < 0.9
    price = (land_value + floor_value) * (0.35 + 0.65 * days / days.max()) * random.lognormal(0, 0.1, many)
    return table.assign(
        LAND_VALUE=land_value.astype(np.int64),
        BLDG_VALUE=floor_value.astype(np.int64),
        TOT_VALUE=(land_value + floor_value).astype(np.int64),
        SALE_DATE=_known(sale.astype(str), sold),
        SALE_PRICE=pd.array(np.where(sold, np.round(price, -2), np.nan), dtype="Float64").astype("Int64"),
        STATUS=np.where(random.random(many) < 0.97, "Legal", "Unrecorded"),
    )


def _with_owners(table: pd.DataFrame, point: Positions, random: np.random.Generator) -> pd.DataFrame:
    """Invent owners: three quarters live on their parcel, some parcels belong to firms, the parks to the city."""
    many = len(table)
    first, last = random.choice(FIRST_NAMES, many), random.choice(LAST_NAMES, many)
    owner = np.char.add(np.char.add(last, ", "), first).astype(object)
    firm = (random.random(many) < 0.08) | table["LANDDESC"].isin(["Apartments", "Commercial", "Industrial"]).to_numpy()
    owner[firm] = random.choice(COMPANY_WORDS, int(firm.sum()))
    open_space = (table["LANDDESC"] == "Open space").to_numpy()
    owner[open_space] = "Sample City of Alexandria"
    away = (random.random(many) < 0.25) | firm | table["ADDRESS"].isna().to_numpy()
    boxes = np.array([f"PO Box {number}" for number in random.integers(1000, 99999, many)], dtype=object)
    home = table["ADDRESS"] + np.where(table["UNIT"].isna(), "", " Unit " + table["UNIT"].fillna(""))
    towns = random.choice(["Fairhaven VA 20000", "Milltown MD 20600", "Riverbend DC 20090", "Oakport NY 10000"], many)
    here = np.array([f"Alexandria VA {code}" for code in zip_codes(point)], dtype=object)
    note = _known(random.choice(ASSESSOR_NOTES, many), random.random(many) < 0.06)
    return table.assign(
        OWNER_NAME=owner,
        OWN_ADDR=np.where(away, boxes, home),
        OWN_CITY=np.where(away, towns, here),
        ASSR_NOTE=note,
    )


def block_groups(
    blocks: Blocks, home_blocks: Values, random: np.random.Generator, many: int = 112
) -> tuple[Values, pd.DataFrame]:
    """Gather faces into groups of like numbers of homes; return the group of each face, and their table.

    ``home_blocks`` has the block of each home.
    """
    middles = middles_of(blocks.faces)
    homes = np.bincount(blocks.owner[home_blocks], minlength=len(blocks.faces)).astype(float)
    centres = middles[random.choice(len(middles), many, replace=False, p=(homes + 1) / (homes + 1).sum())]
    for _ in range(12):
        group = nearest_seed(middles, centres)
        weight = homes + 1.0
        mass = np.bincount(group, weight, minlength=many)
        for axis in (0, 1):
            moved = np.bincount(group, weight * middles[:, axis], minlength=many) / np.maximum(mass, 1)
            centres[:, axis] = np.where(mass > 0, moved, centres[:, axis])
    group = nearest_seed(middles, centres)
    return group, _census(np.bincount(group, homes, minlength=many), centres, random)


def _census(homes: Values, centres: Positions, random: np.random.Generator) -> pd.DataFrame:
    many = len(homes)
    size = random.uniform(1.6, 2.7, many)
    people = homes * size
    people = np.floor(people * POPULATION / people.sum()).astype(np.int64)
    people[np.argmax(people)] += POPULATION - people.sum()
    households = np.round(people / size).astype(np.int64)
    east = (centres[:, 0] - centres[:, 0].min()) / np.ptp(centres[:, 0])
    young, old = random.uniform(0.1, 0.27, many), random.uniform(0.06, 0.22, many)
    income = np.round(62_000 + 95_000 * east + random.normal(0, 22_000, many), -2).clip(28_000, 240_000)
    order = np.lexsort((centres[:, 0], np.round(centres[:, 1] / 4000)))
    geoid = np.empty(many, dtype=object)
    geoid[order] = [f"51510{2001 + number // 4:04d}00{1 + number % 4}" for number in range(many)]
    return pd.DataFrame(
        {
            "GEOID": geoid,
            "POP": people,
            "HOUSEHOLDS": households,
            "AGE_U18": np.round(people * young).astype(np.int64),
            "AGE_65P": np.round(people * old).astype(np.int64),
            "MED_AGE": np.round(31 + 40 * old - 10 * young + random.normal(0, 1, many), 1),
            "MED_INCOME": pd.array(np.where(households > 60, income, np.nan), dtype="Float64").astype("Int64"),
            "NO_CAR": np.round(households * random.uniform(0.03, 0.28, many)).astype(np.int64),
        }
    )
