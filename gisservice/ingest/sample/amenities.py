"""Places people go to: bus stops, stations, railways, libraries, fire stations, schools, and names for the map."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from gisservice.ingest.sample import places
from gisservice.ingest.sample.blocks import half_widths
from gisservice.ingest.sample.ground import Ground
from gisservice.ingest.sample.plane import Values, course, positions
from gisservice.ingest.sample.streets import Streets

_STOP_EVERY = 620.0
"""Feet between stops on one side of a street."""
_LINES = ("30", "31", "32", "33", "34", "35", "36", "10A", "28A", "7A", "29N")


def bus_stops(streets: Streets, random: np.random.Generator, total: int) -> pd.DataFrame:
    """Return ``total`` stops on both sides of the larger streets, named by the nearest crossing street."""
    served = streets.table["ROAD_CLASS"].isin(["PRIMARY", "ARTERIAL", "COLLECTOR"]).to_numpy()
    rows = np.flatnonzero(served)
    lines, reach = streets.lines[rows], half_widths(streets)[rows]
    run = pd.Series(shapely.length(lines)).groupby(streets.table["FULL_NAME"].to_numpy()[rows]).cumsum().to_numpy()
    due = np.flatnonzero(run // _STOP_EVERY > (run - shapely.length(lines)) // _STOP_EVERY)
    side = np.tile([1.0, -1.0], len(due))
    due = np.repeat(due, 2)
    at = shapely.get_coordinates(shapely.line_interpolate_point(lines[due], 0.85, normalized=True))
    on = shapely.get_coordinates(shapely.line_interpolate_point(lines[due], 0.9, normalized=True))
    step = on - at
    aside = np.column_stack([-step[:, 1], step[:, 0]]) / np.hypot(step[:, 0], step[:, 1])[:, None]
    points = at + side[:, None] * aside * (reach[due] - 4)[:, None]
    chosen = np.sort(random.permutation(len(points))[:total])
    return pd.DataFrame(
        {
            "stop_id": [f"{4_000_000 + number * 7}" for number in range(len(chosen))],
            "stop_name": _stop_names(streets, rows[due[chosen]]),
            "routes": [
                " ".join(sorted(random.choice(_LINES, size, replace=False)))
                for size in random.integers(1, 4, len(chosen))
            ],
            "shelter": random.random(len(chosen)) < 0.35,
            "X": points[chosen, 0],
            "Y": points[chosen, 1],
        }
    )


def _stop_names(streets: Streets, rows: Values) -> list[str]:
    table = streets.table
    names, first, last = table["FULL_NAME"].to_numpy(), table["FROM_NODE"].to_numpy(), table["TO_NODE"].to_numpy()
    at_node: dict[int, set[str]] = {}
    for name, begin, end in zip(names, first, last, strict=True):
        at_node.setdefault(begin, set()).add(name)
        at_node.setdefault(end, set()).add(name)
    crossing = [sorted((at_node[last[row]] | at_node[first[row]]) - {names[row]}) for row in rows]
    return [f"{names[row]} + {others[0]}" if others else names[row] for row, others in zip(rows, crossing, strict=True)]


def stations() -> pd.DataFrame:
    """Return the Metro stations."""
    return pd.DataFrame(
        {
            "STATION_ID": [f"M{number}" for number in range(1, len(places.STATIONS) + 1)],
            "NAME": [station.name for station in places.STATIONS],
            "LINES": [station.lines for station in places.STATIONS],
            "OPENED": [station.opened for station in places.STATIONS],
            "geometry": shapely.points(np.vstack([positions(station.position) for station in places.STATIONS])),
        }
    )


def rail_lines(ground: Ground) -> pd.DataFrame:
    """Return the railways, cut at the city's edge."""
    rows = [
        ("Metrorail Blue Line", "METRO", course(places.METRO_BLUE)),
        ("Metrorail Yellow Line", "METRO", course(places.METRO_YELLOW)),
        ("Main line", "RAIL", ground.railway),
    ]
    return pd.DataFrame(
        {
            "LINE_ID": [f"R{number}" for number in range(1, len(rows) + 1)],
            "NAME": [name for name, _, _ in rows],
            "KIND": [kind for _, kind, _ in rows],
            "geometry": [line.intersection(ground.city.buffer(200)) for _, _, line in rows],
        }
    )


def facilities(facts: tuple[places.Facility, ...], prefix: str) -> pd.DataFrame:
    """Return public buildings as points."""
    table = pd.DataFrame(
        {
            "FAC_ID": [f"{prefix}{number:02d}" for number in range(1, len(facts) + 1)],
            "NAME": [fact.name for fact in facts],
            "ADDRESS": [fact.street for fact in facts],
            "geometry": shapely.points(np.vstack([positions(fact.position) for fact in facts])),
        }
    )
    return table.assign(LEVEL=[fact.level for fact in facts]) if facts[0].level else table


def place_names() -> pd.DataFrame:
    """Return names of neighbourhoods and landmarks."""
    rows = [(name, "NEIGHBORHOOD", text) for name, text in places.NEIGHBORHOODS.items()]
    rows += [(name, "LANDMARK", text) for name, text in places.LANDMARKS.items()]
    return pd.DataFrame(
        {
            "PLACE_ID": [f"N{number:02d}" for number in range(1, len(rows) + 1)],
            "NAME": [name for name, _, _ in rows],
            "KIND": [kind for _, kind, _ in rows],
            "geometry": shapely.points(np.vstack([positions(text) for _, _, text in rows])),
        }
    )
