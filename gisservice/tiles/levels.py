"""The generalised shapes of every zoom in one memory-mapped file: what tiles are cut from, kept for later cuts.

A packed file (:mod:`gisservice.pack`), whose index says kind, zooms and columns, with these sections:

================ =========== ======================================================================================
``weights``      int64 n     what each distinct geometry weighs; see :func:`gisservice.tiles.selection.weights`
``ranks``        int64 n     rank of each distinct geometry: 0 is kept longest
``areas``        int64 n     doubled area at the deepest zoom, square units; 0 but for polygons
``centres``      int64 n,2   middle of the box at the deepest zoom, units
``thresholds``   int64 m,2   for each zoom, the smallest first: see :meth:`Levels.thresholds`
``xy_16`` …      int v,2     vertices of the shapes of that zoom, level units; int32 up to zoom 18
``rings_16`` …   int64       vertices to rings; see :class:`gisservice.tiles.shapes.Shapes`
``starts_16`` …  int64 n+1   rings to geometries
``outer_16`` …   bool        which rings are exterior
``broken_16`` …  int64       geometries that rounding had made invalid
``seeds_15`` …   int64       see :class:`gisservice.tiles.generalise.Zoom`
``restored_15``  int64       likewise
``group_…_15``   …           merged groups of a coverage: shapes as above, members and where those of each begin
``sample_15`` …  int64       see :meth:`gisservice.tiles.budget.Sample.to_array`; where tiles could be too large
``stays``        uint8 v     for each vertex of the deepest zoom how many zooms above it is kept
``crossing``     bool n      see :class:`gisservice.tiles.generalise.Deepest`
``codes``        int32 r,k   for each record and column the place of its value in ``values``; -1: it has none
``always``       bool r      which records are drawn at every zoom
``values``       bytes       distinct values as finished messages; see :class:`gisservice.tiles.attributes.Values`
``value_starts`` int64       where each value begins
``whole``        int32 r+1   the value of each whole number; -1: it is none
================ =========== ======================================================================================
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gisservice.errors import CatalogError
from gisservice.model import GeometryKind, Starts
from gisservice.pack import Pack
from gisservice.tiles.attributes import Values
from gisservice.tiles.budget import Sample, Thresholds
from gisservice.tiles.generalise import Deepest
from gisservice.tiles.grid import EXTENT_BITS
from gisservice.tiles.selection import CELL_BITS, Groups, dissolved, dust_side, groups, same_groups
from gisservice.tiles.shapes import Flags, Ints, Shapes, offsets, ranges

LEVELS_FILE = "tiles.levels"
"""What the generalised shapes of a version are called in its folder."""

FORMAT = 1
"""Of the levels file."""


@dataclass(frozen=True)
class History:
    """How the shapes of a zoom came to be; see :class:`gisservice.tiles.generalise.Zoom`."""

    seeds: Ints
    restored: Ints
    broken: Flags


class Levels:
    """The generalised shapes of a layer, memory-mapped; opening costs no reading.

    Geometries have the numbers that they have in the layer's source. All arrays are read-only views of the mapped
    file, so that processes share its pages; safe for threads. Raises :class:`CatalogError` for a file that is
    missing, damaged or of another format; a part is compared with its checksum when it is first used.
    """

    def __init__(self, path: Path) -> None:
        self._pack = Pack(path)
        about = self._pack.about
        if about.get("levels") != FORMAT:
            raise CatalogError(f"{path.name} is of another format; publish the layer again.")
        self.kind = GeometryKind(about["kind"])
        self.coverage: bool = about["coverage"]
        """Whether polygons share borders and do not overlap."""
        self.minzoom: int = about["minzoom"]
        self.maxzoom: int = about["maxzoom"]
        self.count: int = about["count"]
        """Distinct geometries."""
        self._made_by: list[str] = about["made_by"]
        self.keys: tuple[str, ...] = tuple(about["keys"])
        """Names of the properties: the columns, how many records a stack has, how many a merged group has."""
        self.class_columns: tuple[str, ...] = tuple(about["class_columns"])
        """Columns that features keep when bytes are short."""
        self.merge_by: str | None = about["merge_by"]
        """Column that small polygons of a coverage must agree in to be drawn as one."""
        self._parts: dict[str, npt.NDArray[Any]] = {}
        self._sides: dict[int, int] = {}
        self._limits: dict[int, int] = {}

    @property
    def current(self) -> bool:
        """Whether this release, on this machine, would make the same bytes of the same source."""
        return self._made_by == made_by()

    @property
    def ranks(self) -> Ints:
        """Rank of each geometry, shape (count,): 0 for the one that is kept longest."""
        return self._part("ranks")

    @property
    def weights(self) -> Ints:
        """Weight of each geometry, shape (count,): what weighs more has a smaller rank."""
        return self._part("weights")

    @property
    def areas(self) -> Ints:
        """Doubled area of each geometry in square units of the deepest zoom, shape (count,)."""
        return self._part("areas")

    @property
    def centres(self) -> Ints:
        """Middle of the box of each geometry in units of the deepest zoom, shape (count, 2)."""
        return self._part("centres")

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """The attributes of each record as places in :attr:`values`, shape (records, columns); -1 for none."""
        return self._part("codes")

    @property
    def always(self) -> Flags:
        """Which records are drawn at every zoom, shape (records,)."""
        return self._part("always")

    @cached_property
    def values(self) -> Values:
        """Every distinct attribute value of the layer, ready to be put into a tile."""
        return Values(self._part("values"), self._part("value_starts"), self._part("whole"))

    def deepest(self) -> Deepest:
        """Return all geometries at the deepest zoom, and what is needed to make those of any smaller one."""
        every = np.arange(self.count, dtype=np.int64)
        broken = self._marked(f"broken_{self.maxzoom}")
        return Deepest(self.shapes(self.maxzoom, every), self._part("stays"), self._part("crossing"), broken)

    def history(self, z: int) -> History:
        """Return how the shapes of a zoom came to be."""
        self._row(z)
        return History(self._part(f"seeds_{z}"), self._part(f"restored_{z}"), self._marked(f"broken_{z}"))

    def sample(self, z: int) -> Sample | None:
        """Return what the bytes of a zoom were reckoned from, or None where nothing was compressed for that."""
        name = f"sample_{z}"
        return Sample.from_array(self._part(name)) if name in self._pack else None

    def groups(self, z: int) -> Groups:
        """Return the merged groups of a coverage at a zoom above the deepest."""
        members, cuts = self.group_members(z)
        return Groups(self.group_shapes(z, np.arange(len(cuts) - 1)), members, cuts)

    def group_members(self, z: int) -> tuple[Ints, Ints]:
        """Return the geometries of the merged groups of a zoom end to end, and where those of each begin."""
        self._row(z)
        return self._part(f"group_members_{z}"), self._part(f"group_cuts_{z}")

    def group_shapes(self, z: int, which: Ints) -> Shapes:
        """Return the shapes of some merged groups of a zoom, in this order; only what is asked for is copied."""
        return self._shapes(z, "group_", which)

    def regrouped(self, z: int, small: Ints, records: Ints) -> Groups:
        """Return the groups that some small polygons of a coverage are merged into at a zoom when there are no others.

        ``small`` are geometries, ascending, and ``records`` those that they are drawn for. Members are positions in
        ``small``. A group that has all members that it has among all geometries looks as it does there.
        """
        alike = np.zeros(len(small), dtype=np.int64)
        if self.merge_by is not None:
            alike = self.codes[records, self.keys.index(self.merge_by)].astype(np.int64)
        cells = self.centres.take(small, axis=0) >> (self.maxzoom - z + CELL_BITS)
        members, cuts = groups(np.arange(len(small)), cells, alike)
        place = same_groups(small[members], cuts, *self.group_members(z))
        known = partial(self.group_shapes, z)
        return Groups(dissolved(self.shapes(z, small), members, cuts, place, known), members, cuts)

    def _marked(self, name: str) -> Flags:
        flags = np.zeros(self.count, dtype=bool)
        flags[self._part(name)] = True
        return flags

    def limit(self, z: int) -> int:
        """Return the rank from which geometries are merged, turned to dust or dropped at a zoom."""
        return self._limit(self.thresholds(z).drawn)

    def detail(self, z: int) -> int:
        """Return the rank from which features carry only the class columns at a zoom."""
        return self._limit(self.thresholds(z).detailed)

    def thresholds(self, z: int) -> Thresholds:
        """Return the weights from which geometries are drawn one by one, and with all their columns, at a zoom."""
        drawn, detailed = self._part("thresholds")[self._row(z)].tolist()
        return Thresholds(drawn, detailed)

    def dust_side(self, z: int) -> int:
        """Return the side, in level units, of the squares that small polygons are drawn as at a zoom."""
        side = self._sides.get(z)
        if side is None:
            side = self._sides[z] = dust_side(self.thresholds(z).drawn, self.weights, self.maxzoom - z)
        return side

    def shapes(self, z: int, which: Ints) -> Shapes:
        """Return some geometries in level units of zoom ``z``, tidy and valid, in this order.

        ``which`` are numbers of geometries; one may come more than once. Only what is asked for is copied.
        """
        return self._shapes(z, "", which)

    def _shapes(self, z: int, kind: str, which: Ints) -> Shapes:
        self._row(z)
        xy, rings, starts, outer = (self._part(f"{kind}{name}_{z}") for name in ("xy", "rings", "starts", "outer"))
        first = starts[which]
        counts = starts[which + 1] - first
        picked = ranges(first, counts)
        begins = rings[picked]
        lengths = rings[picked + 1] - begins
        vertices = _gathered(xy, rings[first], rings[first + counts] - rings[first])
        return Shapes(self.kind, vertices, offsets(lengths), offsets(counts), outer[picked])

    def _limit(self, weight: int) -> int:
        found = self._limits.get(weight)
        if found is None:
            found = self._limits[weight] = int((self.weights >= weight).sum())
        return found

    def _part(self, name: str) -> npt.NDArray[Any]:
        found = self._parts.get(name)
        if found is None:
            found = self._parts[name] = self._pack.array(name)
        return found

    def _row(self, z: int) -> int:
        if not self.minzoom <= z <= self.maxzoom:
            raise ValueError(f"zoom {z} is not within {self.minzoom} to {self.maxzoom}")
        return z - self.minzoom


def _gathered(xy: npt.NDArray[Any], starts: Starts, lengths: Ints) -> Ints:
    """Return slices of positions end to end, as int64; a position is moved as one number."""
    pair = np.int64 if xy.itemsize == 4 else np.complex128
    packed = xy.reshape(-1).view(pair)[ranges(starts, lengths)]
    positions: Ints = packed.view(xy.dtype).reshape(-1, 2).astype(np.int64)
    return positions


@cache
def made_by() -> list[str]:
    """Return the release and the libraries that decide what bytes come out."""
    versions = [metadata.version(name) for name in ("gisservice", "numpy", "brotli")]
    return [*versions, shapely.geos_version_string, zlib.ZLIB_RUNTIME_VERSION]


def coordinate(z: int) -> type[np.integer[Any]]:
    """Return the smallest type that holds positions of a zoom, those on the world's far edge included."""
    return np.int32 if z + EXTENT_BITS < 31 else np.int64
