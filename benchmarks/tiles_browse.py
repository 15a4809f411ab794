"""The tiles that people ask for when they look at a city's map: seeded walks, one list for all servers.

A visitor has a window of 1280 by 800 pixels over tiles of 256 pixels, and somewhere to go: the place of a record
drawn at random, so that dense parts of the city are looked at more, as they are. A walk begins on an overview of the
whole city (zoom 10, 11 or 12). At each step the visitor

- zooms in by one and moves half of the way to the goal (chance 0.50), until the walk's deepest zoom is reached, which
  is 16, 17 or 18;
- or drags the map by half a window in one of eight directions (0.38);
- or zooms out by one (0.12).

After 6 to 14 steps the walk ends. Of each view only the tiles that came into sight are asked for: what was there
before is still in the browser. So overviews are asked for by every visitor and deep tiles by few, and the number of
requests by zoom is an outcome, printed with the figures. The list is then shuffled with the same seed: whoever serves
fewer of them in the time has served a fair sample, and many visitors at once come mixed anyway.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

Tile = tuple[int, int, int]
Box = tuple[float, float, float, float]

SEED = 20_240_521
WALKS = 1_000
OVERVIEWS = (10, 11, 12)
DEEPEST = (16, 17, 18)
STEPS = (6, 14)
ZOOM_IN, DRAG = 0.50, 0.38
WINDOW = (1280 / 256, 800 / 256)
"""Width and height of the window, in tiles."""


def browse(goals: Sequence[tuple[float, float]], bounds: Box, seed: int = SEED) -> list[Tile]:
    """Return the addresses (z, x, y) asked for, with repetitions. ``goals`` and ``bounds`` are in degrees.

    Only tiles that touch ``bounds`` are asked for, as map libraries do with the bounds of TileJSON.
    """
    chance = random.Random(seed)
    asked = [tile for _ in range(WALKS) for tile in walk(chance, goals, bounds)]
    chance.shuffle(asked)
    return asked


def walk(chance: random.Random, goals: Sequence[tuple[float, float]], bounds: Box) -> list[Tile]:
    """Return the tiles that one visitor asks for, in order and each once."""
    west, south, east, north = bounds
    centre = world((west + east) / 2, (south + north) / 2)
    goal = world(*chance.choice(goals))
    zoom, deepest = chance.choice(OVERVIEWS), chance.choice(DEEPEST)
    seen: dict[Tile, None] = dict.fromkeys(view(centre, zoom, bounds))
    for _ in range(chance.randint(*STEPS)):
        choice = chance.random()
        if choice < ZOOM_IN and zoom < deepest:
            zoom += 1
            centre = ((centre[0] + goal[0]) / 2, (centre[1] + goal[1]) / 2)
        elif choice < ZOOM_IN + DRAG:
            across, down = chance.choice([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y])
            centre = (centre[0] + across * WINDOW[0] / 2 / 2**zoom, centre[1] + down * WINDOW[1] / 2 / 2**zoom)
        elif zoom > OVERVIEWS[0]:
            zoom -= 1
        seen.update(dict.fromkeys(view(centre, zoom, bounds)))
    return list(seen)


def world(longitude: float, latitude: float) -> tuple[float, float]:
    """Return a place in Web Mercator as shares of the world's width, from its north-west corner."""
    return (longitude + 180) / 360, (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2


def view(centre: tuple[float, float], zoom: int, bounds: Box) -> list[Tile]:
    """Return the tiles in a window around ``centre`` that touch ``bounds``."""
    west, south, east, north = bounds
    left, top = world(west, north)
    right, bottom = world(east, south)
    scale = 2**zoom
    columns = span(centre[0] * scale, WINDOW[0], left * scale, right * scale)
    rows = span(centre[1] * scale, WINDOW[1], top * scale, bottom * scale)
    return [(zoom, x, y) for y in rows for x in columns]


def span(middle: float, size: float, low: float, high: float) -> range:
    return range(math.floor(max(middle - size / 2, low)), math.floor(min(middle + size / 2, high)) + 1)


def no_deeper(tiles: Sequence[Tile], maxzoom: int) -> list[Tile]:
    """Return the list for an archive that ends at ``maxzoom``: deeper views show its deepest tiles magnified."""
    return [(min(z, maxzoom), x >> max(0, z - maxzoom), y >> max(0, z - maxzoom)) for z, x, y in tiles]


def describe(tiles: Sequence[Tile]) -> str:
    """Return one line on how many requests a list has, how many tiles, and at which zooms."""
    zooms = sorted(Counter(z for z, _, _ in tiles).items())
    shares = ", ".join(f"z{z} {count / len(tiles):.0%}" for z, count in zooms)
    return f"{len(tiles):,} requests for {len(set(tiles)):,} tiles: {shares}"
