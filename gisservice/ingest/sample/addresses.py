"""Addresses: house numbers by street, side and distance, so that they agree with the streets' address ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import districts
from gisservice.ingest.sample.blocks import nearest_seed, seeds_of
from gisservice.ingest.sample.buildings import Frames
from gisservice.ingest.sample.lots import Lots
from gisservice.ingest.sample.plane import Positions, Values
from gisservice.ingest.sample.streets import Streets


@dataclass(frozen=True)
class HouseNumbers:
    """Per lot: number (0: no address), suffix (``1/2`` or empty), row of the walkable street, position on the lot."""

    number: Values
    suffix: Values
    street: Values
    point: Positions

    @property
    def has(self) -> Values:
        """Whether the lot has an address."""
        return np.asarray(self.number > 0)


def number_lots(lots: Lots, frames: Frames, streets: Streets) -> HouseNumbers:
    """Give every lot that faces a street a house number; two that would get the same are told apart by a half."""
    table = streets.table
    number = np.zeros(len(lots.shapes), dtype=np.int64)
    rows = np.flatnonzero(lots.street >= 0)
    line = streets.lines[lots.street[rows]]
    middle = shapely.points(frames.origin[rows])
    share = shapely.line_locate_point(line, middle, normalized=True).clip(0, 0.9999)
    low, high = table["low"].to_numpy()[lots.street[rows]], table["high"].to_numpy()[lots.street[rows]]
    even = (2 * np.floor((low + (high - low) * share) / 2)).astype(np.int64)
    left = _on_left(line, share, frames.origin[rows])
    number[rows] = np.where(left, even + 1, np.maximum(even, 2))
    number, suffix = _told_apart(number, table["FULL_NAME"].to_numpy()[lots.street], rows)
    return HouseNumbers(number, suffix, lots.street, _doors(lots, frames))


def _on_left(lines: Values, share: Values, points: Positions) -> Values:
    at = shapely.get_coordinates(shapely.line_interpolate_point(lines, (share - 0.01).clip(0), normalized=True))
    on = shapely.get_coordinates(shapely.line_interpolate_point(lines, (share + 0.01).clip(0, 1), normalized=True))
    ahead, aside = on - at, points - at
    return np.asarray(ahead[:, 0] * aside[:, 1] - ahead[:, 1] * aside[:, 0] > 0)


def _told_apart(number: Values, name: Values, rows: Values) -> tuple[Values, Values]:
    """Keep the first of two equal addresses, make the second a half, and leave further ones without an address."""
    suffix = np.full(len(number), "", dtype=object)
    order = pd.DataFrame({"name": name[rows], "number": number[rows]}, index=rows)
    again = order.groupby(["name", "number"]).cumcount()
    suffix[again.index[again == 1]] = "1/2"
    number = number.copy()
    number[again.index[again > 1]] = 0
    return number, suffix


def _doors(lots: Lots, frames: Frames) -> Positions:
    """Return a position on each lot: behind its front, close to it where the lot is no simple shape."""
    points = shapely.get_coordinates(shapely.point_on_surface(lots.shapes))
    for inward in (np.full(len(points), 6.0), np.minimum(0.3 * frames.depth, 60.0)):
        behind = np.round(frames.origin + frames.inward * inward[:, None], 2)
        inside = shapely.contains_properly(lots.shapes, shapely.points(behind))
        points[inside] = behind[inside]
    return np.asarray(np.round(points, 2))


def zip_codes(points: Positions) -> Values:
    """Return the ZIP code at each position."""
    names, seeds = seeds_of(districts.ZIP_SEEDS)
    return np.asarray(names[nearest_seed(points, seeds)])


def street_texts(numbers: HouseNumbers, streets: Streets) -> Values:
    """Return the street address of every lot, empty for lots without."""
    name = streets.table["FULL_NAME"].to_numpy()[numbers.street]
    texts = [
        f"{number}{' ' + suffix if suffix else ''} {street}" if number else ""
        for number, suffix, street in zip(numbers.number, numbers.suffix, name, strict=True)
    ]
    return np.array(texts, dtype=object)


def address_table(
    lots: Lots, numbers: HouseNumbers, streets: Streets, use: Values, units: list[tuple[int, str]], pids: Values
) -> pd.DataFrame:
    """Return one row an address: first those of the lots, then those of the units (lot, unit).

    ``X`` and ``Y`` are in feet; ``lot`` is the row of the lot.
    """
    plain = np.flatnonzero(numbers.has & (use != "OPEN"))
    lot = np.concatenate([plain, np.array([row for row, _ in units], dtype=np.int64)])
    unit = np.array([""] * len(plain) + [name for _, name in units], dtype=object)
    street = streets.table.iloc[numbers.street[lot]]
    base = street_texts(numbers, streets)[lot]
    point = numbers.point[lot] + _spread(lot, len(plain))
    kind = np.where(np.isin(use[lot], ("COMMERCIAL", "INDUSTRIAL")), "B", np.where(use[lot] == "PUBLIC", "P", "R"))
    return pd.DataFrame(
        {
            "FULL_ADDR": [f"{text}, Unit {name}" if name else text for text, name in zip(base, unit, strict=True)],
            "ST_NUM": numbers.number[lot],
            "ST_ALPHA": numbers.suffix[lot],
            "ST_DIR": street["ST_DIR"].to_numpy(),
            "ST_NAME": street["ST_NAME"].to_numpy(),
            "ST_TYPE": street["ST_TYPE"].to_numpy(),
            "UNIT": unit,
            "ZIP": zip_codes(point),
            "PID_RE": pids[lot],
            "ADDR_USE": kind,
            "lot": lot,
            "X": point[:, 0],
            "Y": point[:, 1],
        }
    )


def _spread(lot: Values, plain: int) -> Positions:
    """Return small steps that set the units of one lot side by side, a yard apart in rows of eight."""
    order = pd.Series(lot).groupby(lot).cumcount().to_numpy(copy=True)
    order[:plain] = 0
    return np.column_stack([(order % 8) * 3.0 - (order > 0) * 10.5, (order // 8 % 8) * 3.0])
