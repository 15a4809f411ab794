"""What became of every record, zoom by zoom and tile by tile, and the file that says so.

A zoom's account adds up to all records of the layer: each is *kept* (drawn as a feature of its own), *merged* or
*dropped*. A tile's account adds up in the same way to the records that belong to the tile:

- what is drawn belongs to the tiles that it is drawn in: a feature with its ``stack``, a merged group with all its
  members;
- what is not drawn belongs to the tiles whose ground, buffer included, is touched by the box of its shape at the
  deepest zoom.

The reasons are the names of :data:`MERGED` and :data:`DROPPED`. In a file, the tiles of a zoom are columns of numbers,
which a tile's place in :func:`gisservice.tiles.grid.tile_ids` puts in order; a column of zeros is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from gisservice.errors import CatalogError, TileOutsideMatrix
from gisservice.tiles.grid import BUFFER, EXTENT_BITS, TileCoord, tile_id, tile_ids
from gisservice.tiles.shapes import Ints, ranges

REPORT_FILE = "tiles.json"
"""What the account of a version's tiles is called in its folder."""

FORMAT = 2

MERGED = ("stack", "small")
"""Why a record is drawn only with others: it has the same geometry as another; it is too small alone."""

DROPPED = ("no-geometry", "no-extent", "thinned", "budget")
"""Why a record is not drawn: it has no position at all; it is smaller than a unit of the zoom; it is nearer to another
than two pixels, or smaller than half of one; the tile it lies in would have had too many bytes."""

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

    def __add__(self, other: Tally) -> Tally:
        """Add two tallies, tile by tile and name by name."""
        names = dict.fromkeys((*self.columns, *other.columns))
        both = np.concatenate([self.places, other.places])
        return Tally.of(both, {name: np.concatenate([self._column(name), other._column(name)]) for name in names})

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
        columns = {name: values.tolist() for name, values in self.columns.items() if values.any()}
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


def lost_tally(boxes: Ints, records: Ints, reasons: npt.NDArray[Any], z: int, shift: int) -> Tally:
    """Count the records that are not drawn, tile by tile.

    For geometry ``i``, ``records[i]`` of its records are not drawn because of ``reasons[i]``, an index into
    ``MERGED + DROPPED``; ``boxes`` are those of :func:`touched_tiles`.
    """
    some = np.flatnonzero(records > 0)
    which, places = touched_tiles(boxes[some], z, shift)
    which = some[which]
    names = MERGED + DROPPED
    return Tally.of(
        places, {name: np.where(reasons[which] == code, records[which], 0) for code, name in enumerate(names)}
    )


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write an account; ``zooms`` has for each zoom its totals, and under ``by_tile`` its :class:`Tally`."""
    zooms = {str(z): {**zoom, "by_tile": zoom["by_tile"].to_json()} for z, zoom in sorted(report["zooms"].items())}
    path.write_bytes(orjson.dumps({"format": FORMAT, **report, "zooms": zooms}) + b"\n")


class Report:
    """The account of a version's tiles, read from its file."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._tallies = {int(z): Tally.from_json(zoom["by_tile"]) for z, zoom in content["zooms"].items()}

    def summary(self) -> dict[str, Any]:
        """Return all but the tiles: what holds for the layer, and the totals of each zoom under ``zooms``."""
        zooms = {
            z: {name: value for name, value in zoom.items() if name != "by_tile"}
            for z, zoom in self._content["zooms"].items()
        }
        return {**self._content, "zooms": zooms}

    def tally(self, z: int) -> Tally:
        """Return the numbers of all tiles of a zoom. Raises :class:`TileOutsideMatrix` for another zoom."""
        if z not in self._tallies:
            raise TileOutsideMatrix(f"There is no report of zoom {z}; tiles are built for zooms {self._range()}.")
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

    def _range(self) -> str:
        return f"{min(self._tallies)} to {max(self._tallies)}"


def read_report(path: Path) -> Report:
    """Read an account. Raises :class:`CatalogError` for a file that is missing, damaged or of another format."""
    try:
        content = orjson.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise CatalogError(f"{path.name} is of another format; publish the layer again.")
        return Report(content)
    except OSError as exc:
        raise CatalogError(f"{path.name} cannot be read: {exc.strerror}.") from exc
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise CatalogError(f"{path.name} is damaged; publish the layer again.") from exc
