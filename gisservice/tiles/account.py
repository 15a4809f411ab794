"""What became of every record, zoom by zoom and tile by tile, and the file that says so.

A zoom's account adds up to all records of the layer: each is *kept* (drawn as a feature of its own), *merged* or
*dropped*. A tile's account adds up in the same way to the records that belong to the tile:

- what is drawn belongs to the tiles that it is drawn in: a feature with its ``stack``, a merged group with all its
  members;
- what is not drawn belongs to the tiles that the box of its shape at the deepest zoom touches, buffer included.

In the file, the tiles of a zoom are columns of numbers in the order of an archive
(:func:`gisservice.tiles.grid.tile_ids`); a column of zeros is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from gisservice.errors import CatalogError, TileOutsideMatrix
from gisservice.tiles.grid import BUFFER, EXTENT_BITS, TileCoord, tile_id, tile_ids
from gisservice.tiles.shapes import Flags, Ints, ranges

REPORT_FILE = "tiles.json"
"""What the account of a version's tiles is called in its folder."""

FORMAT = 2


class Reason(IntEnum):
    """Why a record is not drawn as a feature of its own; in files, the name in small letters."""

    SHOWN = -1
    """It is, or it is counted with a feature that stands for it."""
    STACK = 0
    """Another record has the same geometry, and is drawn for both."""
    SMALL = 1
    """It is drawn in one shape with its neighbours, or its area is in a square that stands for small polygons."""
    NO_GEOMETRY = 2
    """It has no positions."""
    NO_EXTENT = 3
    """It is smaller than a unit of the zoom."""
    THINNED = 4
    """Another point is within two pixels, or it is a line or polygon too small to be seen."""
    BUDGET = 5
    """Another tile would have had too many bytes with it, or with one that ranks as high."""

    @property
    def label(self) -> str:
        """The name as it is written, such as ``no-extent``."""
        return self.name.lower().replace("_", "-")


MERGED = (Reason.STACK.label, Reason.SMALL.label)
DROPPED = (Reason.NO_GEOMETRY.label, Reason.NO_EXTENT.label, Reason.THINNED.label, Reason.BUDGET.label)
_SHOWN = ("bytes", "drawn", "kept", "reduced")
_COLUMNS = (*_SHOWN, *MERGED, *DROPPED)


@dataclass(frozen=True)
class Tally:
    """Numbers for each tile of a zoom: ``places`` ascend, ``columns`` has one number a place under each name."""

    places: Ints
    columns: Mapping[str, Ints]

    @classmethod
    def of(cls, places: Ints, numbers: Mapping[str, npt.NDArray[Any]]) -> Tally:
        """Add up ``numbers`` (one a place and name) for each distinct place; a place may come often, in any order."""
        distinct, row = np.unique(places, return_inverse=True)
        return cls(distinct, {name: _added(row, values, len(distinct)) for name, values in numbers.items()})

    @classmethod
    def joined(cls, tallies: Sequence[Tally]) -> Tally:
        """Add tallies, tile by tile and name by name."""
        names = dict.fromkeys(name for tally in tallies for name in tally.columns)
        places = np.concatenate([np.zeros(0, dtype=np.int64), *(tally.places for tally in tallies)])
        return cls.of(places, {name: np.concatenate([tally._column(name) for tally in tallies]) for name in names})

    def select(self, keep: npt.NDArray[np.bool_]) -> Tally:
        """Return the tally of the tiles that are marked."""
        return Tally(self.places[keep], {name: values[keep] for name, values in self.columns.items()})

    def at(self, place: int) -> dict[str, int] | None:
        """Return the numbers of one tile, or None for a tile that no record belongs to."""
        row = int(np.searchsorted(self.places, place))
        if row == len(self.places) or self.places[row] != place:
            return None
        return {name: int(values[row]) for name, values in self.columns.items()}

    def to_json(self) -> dict[str, list[int]]:
        """Return lists of numbers: under ``tile``, places, each as what it is more than the one before."""
        names = sorted(self.columns, key=_COLUMNS.index)
        columns = {name: self.columns[name].tolist() for name in names if self.columns[name].any()}
        return {"tile": np.diff(self.places, prepend=0).tolist(), **columns}

    @classmethod
    def from_json(cls, lists: Mapping[str, list[int]]) -> Tally:
        """Return what :meth:`to_json` wrote."""
        arrays = {name: np.array(values, dtype=np.int64) for name, values in lists.items()}
        return cls(np.cumsum(arrays.pop("tile")), arrays)

    def _column(self, name: str) -> Ints:
        return self.columns.get(name, np.zeros(len(self.places), dtype=np.int64))


def _added(row: Ints, values: npt.NDArray[Any], count: int) -> Ints:
    return np.bincount(row, values, minlength=count).astype(np.int64)


def touched_tiles(boxes: Ints, z: int, shift: int) -> tuple[Ints, Ints]:
    """Return pairs of a box and a tile of zoom ``z`` that it touches, buffer included: box number, place.

    ``boxes`` (n, 4) are in level units of zoom ``z + shift``; one whose minimum is above its maximum touches none.
    """
    full = np.flatnonzero(boxes[:, 0] <= boxes[:, 2])
    reach, bits, last = BUFFER << shift, EXTENT_BITS + shift, (1 << z) - 1
    low = np.clip(-((reach + (1 << bits) - boxes[full, :2]) >> bits), 0, last)
    high = np.clip((boxes[full, 2:] + reach) >> bits, 0, last)
    across, down = (high - low + 1).T
    row = np.repeat(np.arange(len(full)), across * down)
    within = ranges(np.zeros(len(full), dtype=np.int64), across * down)
    x, y = low[row, 0] + within % across[row], low[row, 1] + within // across[row]
    return full[row], tile_ids(z, x, y)


def lost_tally(boxes: Ints, records: Ints, reasons: Ints, z: int, shift: int) -> Tally:
    """Count, tile by tile, the records that are not drawn: ``records[i]`` of box ``i``, because of ``reasons[i]``."""
    lost = np.flatnonzero((reasons != Reason.SHOWN) & (records > 0))
    which, places = touched_tiles(boxes[lost], z, shift)
    return Tally.of(places, _by_reason(records[lost][which], reasons[lost][which]))


def _by_reason(records: Ints, reasons: Ints) -> dict[str, Ints]:
    return {reason.label: np.where(reasons == reason, records, 0) for reason in Reason if reason != Reason.SHOWN}


@dataclass(frozen=True)
class Features:
    """The features of a zoom, one entry each.

    ``full`` marks those with a shape, which alone are drawn. ``own`` marks those that are a record, with its id;
    ``others`` counts the records that a feature stands for beside it: the rest of its stack, or the members of a
    merged group. ``reduced`` marks those without some of their columns.
    """

    full: Flags
    own: Flags
    others: Ints
    reduced: Flags

    def tally(self, places: Ints, features: Ints) -> Tally:
        """Count what tiles show: feature ``features[i]`` is in the tile at ``places[i]``."""
        return Tally.of(places, {name: values[features] for name, values in self._numbers().items()})

    def _numbers(self) -> dict[str, Ints]:
        return {
            "drawn": self.full.astype(np.int64),
            "kept": self.own.astype(np.int64),
            "reduced": self.reduced.astype(np.int64),
            Reason.STACK.label: np.where(self.own, self.others, 0),
            Reason.SMALL.label: np.where(self.own, 0, self.others),
        }

    def totals(self, records: Ints, reasons: Ints) -> dict[str, Any]:
        """Return the account of the zoom; ``records`` and ``reasons`` are those of :func:`lost_tally`."""
        counts = {name: int(values.sum()) for name, values in self._numbers().items()}
        for name, values in _by_reason(records, reasons).items():
            counts[name] = counts.get(name, 0) + int(values.sum())
        merged, dropped = ({name: counts[name] for name in names if counts[name]} for names in (MERGED, DROPPED))
        features = counts["kept"] + sum(merged.values()) + sum(dropped.values())
        return {
            "features": features,
            "kept": counts["kept"],
            "merged": merged,
            "dropped": dropped,
            "drawn": counts["drawn"],
            "reduced": counts["reduced"],
        }


def byte_totals(tiles: Sequence[tuple[int, bytes]], budget_bytes: int) -> dict[str, int]:
    """Return how many tiles a zoom has, their bytes, those of the largest, and how many are over the budget."""
    sizes = [len(tile) for _, tile in tiles]
    over = sum(size > budget_bytes for size in sizes)
    return {"tiles": len(sizes), "bytes": sum(sizes), "largest_bytes": max(sizes, default=0), "over_budget": over}


def byte_tally(tiles: Sequence[tuple[int, bytes]]) -> Tally:
    """Return the bytes of each tile; ``tiles`` are places and contents, ascending."""
    places = np.array([place for place, _ in tiles], dtype=np.int64)
    return Tally(places, {"bytes": np.array([len(tile) for _, tile in tiles], dtype=np.int64)})


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write an account; ``zooms`` has for each zoom its totals, and its :class:`Tally` as JSON under ``by_tile``."""
    path.write_bytes(orjson.dumps({"format": FORMAT, **report}, option=orjson.OPT_APPEND_NEWLINE))


class Report:
    """The account of a version's tiles, read from its file."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._tallies: dict[int, Tally] = {}

    def summary(self) -> dict[str, Any]:
        """Return all but the tiles: what holds for the layer, and the totals of each zoom under ``zooms``."""
        zooms = {
            z: {name: value for name, value in zoom.items() if name != "by_tile"}
            for z, zoom in self._content["zooms"].items()
        }
        return {**self._content, "zooms": zooms}

    def has_conflicts(self, z: int) -> bool:
        """Return whether anything overlaps or gapes at a zoom (:mod:`gisservice.tiles.coverage`)."""
        found = self._content["zooms"][str(z)].get("conflicts", {})
        return bool(found.get("overlaps") or found.get("gaps"))

    def tally(self, z: int) -> Tally:
        """Return the numbers of all tiles of a zoom. Raises :class:`TileOutsideMatrix` for another zoom."""
        zooms = self._content["zooms"]
        if str(z) not in zooms:
            built = ", ".join(zooms)
            raise TileOutsideMatrix(f"There is no report of zoom {z}; there are tiles of these: {built}.")
        if z not in self._tallies:
            self._tallies[z] = Tally.from_json(zooms[str(z)]["by_tile"])
        return self._tallies[z]

    def tile(self, tile: TileCoord) -> dict[str, Any]:
        """Return the account of one tile, all zeros for one to which no record belongs.

        ``features`` (records) is ``kept`` and all that is ``merged`` and ``dropped``, by reason; ``drawn`` counts the
        features in the tile, merged groups among them, ``reduced`` those without some of their columns, ``bytes``
        the tile compressed with gzip. Raises :class:`TileOutsideMatrix` for a zoom that is not built.
        """
        found = dict.fromkeys(_COLUMNS, 0) | (self.tally(tile.z).at(tile_id(tile)) or {})
        merged, dropped = ({name: found[name] for name in names if found[name]} for names in (MERGED, DROPPED))
        features = found["kept"] + sum(merged.values()) + sum(dropped.values())
        shown = {name: found[name] for name in _SHOWN}
        address = {"z": tile.z, "x": tile.x, "y": tile.y}
        return {**address, "features": features, **shown, "merged": merged, "dropped": dropped}


def read_report(path: Path) -> Report:
    """Read an account. Raises :class:`CatalogError` for a file that is missing, damaged or of another format."""
    try:
        content = orjson.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise CatalogError(f"{path.name} is of another format; publish the layer again.")
        if not all("tile" in zoom["by_tile"] for zoom in content["zooms"].values()):
            raise KeyError("tile")
        return Report(content)
    except OSError as exc:
        raise CatalogError(f"{path.name} cannot be read: {exc.strerror}.") from exc
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise CatalogError(f"{path.name} is damaged; publish the layer again.") from exc
