"""Building on an earlier version: the same bytes as from nothing, whatever changed in between."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from tile_factories import make_source

from gisservice.model import GeometryKind
from gisservice.tiles import EXTENT, Previous, TileSource, budget, build_pyramid, level, past, reuse

Z = 14
ORIGIN = np.array([4681, 6271]) * EXTENT
SIDE, STRETCH = 18, 4
"""Lots on a side, and how much larger they are drawn: on some ten tiles of the deepest zoom."""


class Land:
    """Lots on a grid of crooked corners and winding borders, each with its records; it can be edited.

    Around them is land that is not: where a border moves, it has to follow.
    """

    def __init__(self, chance: np.random.Generator, *, clean: bool) -> None:
        self.chance, self.clean = chance, clean
        self.corners = np.indices((SIDE + 1, SIDE + 1)).T * 160 + chance.integers(0, 70, (SIDE + 1, SIDE + 1, 2))
        self.winding = chance.integers(-25, 25, (SIDE + 1, SIDE + 1, 2, 4))
        self.lots = {(x, y) for x in range(SIDE) for y in range(SIDE)}
        self.stacks = {lot: [lot[0] * 1000 + lot[1] * 10] for lot in sorted(self.lots)}
        self.names: dict[int, str] = {}
        self.extra: dict[int, Any] = {}
        inside = shapely.union_all([self.lot(*lot) for lot in sorted(self.lots)])
        self.around = shapely.difference(shapely.box(*(np.array([-900, -700, 800, 1100]) + inside.bounds)), inside)

    def border(self, x: int, y: int, across: int) -> np.ndarray:
        start = self.corners[y, x]
        end = self.corners[y, x + 1] if across else self.corners[y + 1, x]
        along = np.linspace(0, 1, 6)[1:-1, None]
        aside = np.array([end[1] - start[1], start[0] - end[0]]) / max(np.hypot(*(end - start)), 1)
        return np.vstack([start, start + along * (end - start) + self.winding[y, x, across][:, None] * aside]).round()

    def lot(self, x: int, y: int) -> Any:
        top, right = self.border(x, y, 1), self.border(x + 1, y, 0)
        bottom, left = self.border(x, y + 1, 1), self.border(x, y, 0)
        last = [self.corners[y + 1, x + 1]], [self.corners[y + 1, x]]
        ring = np.vstack([top, right, last[0], bottom[:0:-1], last[1], left[:0:-1], left[:1]]) * STRETCH
        return shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)

    def edit(self) -> None:
        chance = self.chance
        kind = chance.integers(0, 8)
        lots = sorted(self.lots)
        lot = lots[chance.integers(0, len(lots))]
        if kind == 0:
            x, y = chance.integers(0, SIDE + 1, 2)
            self.corners[y, x] += chance.integers(-30, 30, 2)
        elif kind == 1:
            self.winding[lot[1], lot[0]] = chance.integers(-25, 25, (2, 4))
        elif kind == 2:
            self.lots.discard(lot)
        elif kind == 3:
            self.lots = self.lots | {(int(chance.integers(0, SIDE)), int(chance.integers(0, SIDE)))}
        elif kind == 4:
            self.names[self.stacks[lot][0]] = f"renamed {chance.integers(0, 1000)}"
        elif kind == 5:
            self.stacks[lot] = [*self.stacks[lot], self.stacks[lot][0] + len(self.stacks[lot])]
        elif kind == 6 and len(self.stacks[lot]) > 1:
            self.stacks[lot] = self.stacks[lot][1:]
        else:
            place = chance.integers(-600, (160 * SIDE + 150) * STRETCH, 2)
            size = chance.integers(1, 60 * 8 ** chance.integers(0, 4), 2)
            self.extra[90_000 + len(self.extra)] = shapely.box(*place, *(place + size))

    def source(self, *, minzoom: int, always: bool) -> TileSource:
        rows = [(self.lot(*lot), self.stacks[lot]) for lot in sorted(self.lots)]
        rows = [row for row in rows if not row[0].is_empty] + ([(self.around, [7])] if rows else [])
        if not self.clean:
            rows += [(shape, [number]) for number, shape in sorted(self.extra.items())]
        return assembled(rows, self.names, GeometryKind.POLYGON, minzoom=minzoom, coverage=self.clean, always=always)


def assembled(
    rows: list[tuple[Any, list[int]]],
    names: dict[int, str],
    kind: GeometryKind,
    *,
    minzoom: int,
    coverage: bool = False,
    always: bool = False,
) -> TileSource:
    """Put geometries in an order that does not depend on which there are, as a catalog does; equal ones are one."""
    known: dict[bytes, int] = {}
    shapes: list[Any] = []
    owners, ids = [], []
    for shape, numbers in sorted(rows, key=lambda row: (*map(float, shapely.bounds(row[0])), row[1])):
        key = shapely.to_wkb(shape)
        if key not in known:
            known[key] = len(shapes)
            shapes.append(shapely.transform(shape, lambda xy: xy + ORIGIN))
        owners += [known[key]] * len(numbers)
        ids += numbers
    table = pa.table(
        {
            "name": pa.array([names.get(i, f"number {i}") for i in ids], pa.string()),
            "zone": pa.array([f"zone {i // 1000 % 5}" for i in ids], pa.string()),
            "size": pa.array([i % 37 * 1.5 for i in ids], pa.float64()),
        }
    )
    source = make_source(
        shapes, kind=kind, minzoom=minzoom, ids=ids, record_geometry=owners, attributes=table, coverage=coverage,
        merge_by="zone" if coverage else None,
    )  # fmt: skip
    return replace(source, always=np.array(ids) % 53 == 0) if always else source


def files(source: TileSource, folder: Path, previous: Previous | None = None, workers: int = 1) -> dict[str, bytes]:
    folder.mkdir()
    build_pyramid(source, folder, workers=workers, previous=previous)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What share of the tiles of each zoom was made where some could be taken over."""
    shares: list[float] = []
    clean = reuse.Reuse.clean

    def watched(self: reuse.Reuse, archive: Any) -> Any:
        found = clean(self, archive)
        shares.append(len(self.dirty) / max(len(found) + len(self.dirty), 1))
        return found

    monkeypatch.setattr(reuse.Reuse, "clean", watched)
    return shares


def check(tmp_path: Path, sources: list[TileSource]) -> None:
    """Build each version from nothing and on the one before."""
    before = None
    for number, source in enumerate(sources):
        whole = files(source, tmp_path / f"whole-{number}")
        if before is None:
            before = Previous(source, tmp_path / f"whole-{number}")
            continue
        again = files(source, tmp_path / f"again-{number}", before, workers=1 + number % 2)
        assert whole.keys() == again.keys()
        for name, content in whole.items():
            assert again[name] == content, (number, name)
        before = Previous(source, tmp_path / f"again-{number}")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("clean", [True, False])
def test_random_edits_of_polygons(
    tmp_path: Path, made: list[float], monkeypatch: pytest.MonkeyPatch, clean: bool, seed: int
) -> None:
    monkeypatch.setattr(past, "_MOST_CHANGED", 1.0)
    land = Land(np.random.default_rng([seed, clean]), clean=clean)
    sources = [land.source(minzoom=Z - 5, always=seed % 2 == 1)]
    for edits in (1, 3, 12):
        for _ in range(edits):
            land.edit()
        sources.append(land.source(minzoom=Z - 5, always=seed % 2 == 1))
    check(tmp_path, sources)
    assert made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [GeometryKind.POINT, GeometryKind.LINE])
def test_random_edits_of_points_and_lines(
    tmp_path: Path, made: list[float], monkeypatch: pytest.MonkeyPatch, kind: GeometryKind, seed: int
) -> None:
    monkeypatch.setattr(past, "_MOST_CHANGED", 1.0)
    chance = np.random.default_rng([seed, 7])
    knots = chance.integers(0, 3 * EXTENT, (90, 2))

    def shape(number: int) -> Any:
        if kind == GeometryKind.POINT:
            at = np.random.default_rng([seed, number]).integers(0, 3 * EXTENT, (1 + number % 3 // 2, 2))
            return shapely.MultiPoint(at)
        ends = knots[[number % 90, number * 7 % 89]]
        way = np.linspace(*ends, 8) + np.random.default_rng(number).integers(-40, 40, (8, 2))
        way[[0, -1]] = ends
        return shapely.LineString(way.round())

    numbers, names = set(range(400)), {}
    sources = []
    for edits in (0, 1, 4, 15):
        for _ in range(edits):
            number = int(chance.integers(0, 400))
            match chance.integers(0, 4):
                case 0:
                    numbers.discard(number)
                case 1:
                    numbers.add(1000 + number)
                case 2:
                    names[number] = "renamed"
                case 3:
                    knots[number % 90] += chance.integers(-500, 500, 2)
        rows = [(shape(number), [number]) for number in sorted(numbers)]
        sources.append(assembled(rows, names, kind, minzoom=Z - 6, always=seed == 3))
    check(tmp_path, sources)
    assert made


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("bytes_max", [4_000, 9_000])
def test_where_tiles_are_full(
    tmp_path: Path, made: list[float], monkeypatch: pytest.MonkeyPatch, clean: bool, bytes_max: int
) -> None:
    for module in (budget, level):
        monkeypatch.setattr(module, "BUDGET_BYTES", bytes_max)
    monkeypatch.setattr(past, "_MOST_CHANGED", 1.0)
    land = Land(np.random.default_rng(11), clean=clean)
    sources = [land.source(minzoom=Z - 5, always=True)]
    for edits in (1, 2, 2, 10):
        for _ in range(edits):
            land.edit()
        sources.append(land.source(minzoom=Z - 5, always=True))
    check(tmp_path, sources)
    assert made


def test_one_changed_lot_touches_few_tiles(tmp_path: Path, made: list[float]) -> None:
    land = Land(np.random.default_rng(3), clean=True)
    first = land.source(minzoom=Z - 1, always=False)
    land.names[8080] = "another"
    second = land.source(minzoom=Z - 1, always=False)
    check(tmp_path, [first, second, second])
    assert all(share < 0.5 for share in made[:2]) and made[-1] == 0.0


@pytest.mark.parametrize("emptied", [0, 1])
def test_from_nothing_and_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emptied: int) -> None:
    monkeypatch.setattr(past, "_MOST_CHANGED", 9.0)
    land = Land(np.random.default_rng(3), clean=True)
    full = land.source(minzoom=Z - 2, always=False)
    land.lots.clear()
    empty = land.source(minzoom=Z - 2, always=False)
    check(tmp_path, [full, empty, full][emptied:])


@dataclass(frozen=True)
class Edited:
    """Land before and after an edit, and what a pyramid from nothing is of each."""

    before: TileSource
    folder: Path
    after: TileSource
    whole: dict[str, bytes]


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """No test alters the folder."""
    folder = tmp_path_factory.mktemp("edited")
    land = Land(np.random.default_rng(3), clean=True)
    before = land.source(minzoom=Z - 2, always=False)
    files(before, folder / "before")
    land.edit()
    after = land.source(minzoom=Z - 2, always=False)
    return Edited(before, folder / "before", after, files(after, folder / "after"))


@pytest.mark.parametrize("name", ["tiles.pmtiles", "tiles.br.pmtiles", "tiles.levels", "tiles.json"])
@pytest.mark.parametrize("harm", ["missing", "short", "other"])
def test_a_damaged_version_is_none(tmp_path: Path, edited: Edited, name: str, harm: str) -> None:
    shutil.copytree(edited.folder, tmp_path / "first")
    path = tmp_path / "first" / name
    content = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(content[:20] if harm == "short" else b"something else, as long as a file may be" * 99)
    assert files(edited.after, tmp_path / "again", Previous(edited.before, tmp_path / "first")) == edited.whole


@pytest.mark.parametrize(
    "other", [{"minzoom": Z - 1}, {"merge_by": None}, {"coverage": False, "merge_by": None}, {"name": "plots"}]
)
def test_a_version_declared_otherwise_is_none(
    tmp_path: Path, made: list[float], edited: Edited, other: dict[str, Any]
) -> None:
    files(replace(edited.after, **other), tmp_path / "first")
    again = files(edited.after, tmp_path / "again", Previous(replace(edited.after, **other), tmp_path / "first"))
    assert again == edited.whole and not made


@pytest.fixture(scope="module")
def western(western_parcels: TileSource, tmp_path_factory: pytest.TempPathFactory) -> Previous:
    """The western parcels and their pyramid; no test alters it."""
    folder = tmp_path_factory.mktemp("western") / "first"
    files(western_parcels, folder, workers=2)
    return Previous(western_parcels, folder)


@pytest.mark.slow
@pytest.mark.parametrize("scattered", [False, True])
def test_the_western_parcels(tmp_path: Path, made: list[float], western: Previous, scattered: bool) -> None:
    """Corners moved, records renamed and taken out, of parcels beside each other or anywhere in the city."""
    western_parcels = western.source
    geometries, chance = western_parcels.geometries, np.random.default_rng(5)
    xy = geometries.coordinates.copy()
    cuts = geometries.rings[geometries.parts[geometries.starts]]
    from_one = np.abs(xy[cuts[:-1]].astype(np.int64) - xy[cuts[5000]].astype(np.int64)).max(axis=1)
    rows = chance.choice(len(geometries), 280, replace=False) if scattered else np.argsort(from_one)[:280]
    for row in rows[:140]:
        corner = xy[chance.integers(cuts[row], cuts[row + 1])]
        part = xy[cuts[row] : cuts[row + 1]]
        part[(part == corner).all(axis=1)] += np.uint32(chance.integers(100, 2000))
    keep = ~np.isin(western_parcels.record_geometry, rows) | (chance.random(len(western_parcels)) > 0.1)
    table = western_parcels.attributes
    street = np.array(table["ADDRESS_GIS"].to_pylist(), dtype=object)
    street[np.isin(western_parcels.record_geometry, rows[140:])] = "RENAMED"
    place = table.column_names.index("ADDRESS_GIS")
    edited = replace(
        western_parcels,
        geometries=replace(geometries, coordinates=xy),
        record_geometry=western_parcels.record_geometry[keep],
        ids=western_parcels.ids[keep],
        attributes=table.set_column(place, "ADDRESS_GIS", pa.array(street, pa.string())).filter(pa.array(keep)),
    )
    again = files(edited, tmp_path / "again", western)
    whole = files(edited, tmp_path / "whole", workers=2)
    for name, content in whole.items():
        assert again[name] == content, name
    assert made and (scattered or sum(made) / len(made) < 0.7)
