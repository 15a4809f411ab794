"""What a worker made of a zoom, left in a file: whoever takes it maps it, so it is in memory once, or not at all.

A packed file (:mod:`gisservice.pack`) of the arrays of a :class:`~gisservice.tiles.level.Level`; what is not an array
is in its index. Nothing of it is code, and it is gone when the pyramid is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gisservice.model import GeometryKind
from gisservice.pack import Pack, PackWriter
from gisservice.tiles.budget import Sample, Thresholds
from gisservice.tiles.generalise import Zoom
from gisservice.tiles.level import Level
from gisservice.tiles.reuse import Tiles
from gisservice.tiles.selection import Groups
from gisservice.tiles.shapes import Ints, Shapes, offsets


def leave(level: Level, path: Path) -> None:
    """Write what became of a zoom."""
    groups, sample = level.groups, level.sample
    about = {"z": level.z, "kind": str(level.zoom.shapes.kind), "account": level.account}
    with PackWriter(path, about) as pack:
        _put_shapes(pack, "zoom", level.zoom.shapes)
        for name in ("broken", "seeds", "restored"):
            pack.array(name, getattr(level.zoom, name))
        pack.array("thresholds", np.array([level.thresholds.drawn, level.thresholds.detailed], dtype=np.int64))
        if groups is not None:
            _put_shapes(pack, "groups", groups.shapes)
            pack.array("members", groups.members)
            pack.array("cuts", groups.cuts)
        if sample is not None:
            pack.array("sample", sample.to_array())
        _put_tiles(pack, "gzip", level.tiles)
        _put_tiles(pack, "brotli", level.brotli)


class Left:
    """A zoom that another process made; its arrays are views of the file."""

    def __init__(self, path: Path) -> None:
        self._pack = Pack(path)
        self.z: int = self._pack.about["z"]
        self.account: dict[str, Any] = self._pack.about["account"]

    @property
    def zoom(self) -> Zoom:
        """The shapes of the zoom, and how they came to be."""
        return Zoom(self._shapes("zoom"), *(self._pack.array(name) for name in ("broken", "seeds", "restored")))

    @property
    def thresholds(self) -> Thresholds:
        """The weights from which geometries are drawn one by one, and with all their columns."""
        return Thresholds(*self._pack.array("thresholds").tolist())

    @property
    def groups(self) -> Groups | None:
        """The merged groups of a coverage, but at the deepest zoom."""
        if "members" not in self._pack:
            return None
        return Groups(self._shapes("groups"), self._pack.array("members"), self._pack.array("cuts"))

    @property
    def sample(self) -> Sample | None:
        """What the thresholds were reckoned from."""
        return Sample.from_array(self._pack.array("sample")) if "sample" in self._pack else None

    def tiles(self, encoding: str) -> Iterator[tuple[int, bytes]]:
        """Yield place and bytes of each tile, compressed as ``gzip`` or ``brotli``."""
        begin, _ = self._pack.span(encoding)
        places: Ints = self._pack.array(f"{encoding}_places")
        cuts = (begin + self._pack.array(f"{encoding}_starts")).tolist()
        for place, (first, last) in zip(places.tolist(), pairwise(cuts), strict=True):
            yield place, self._pack.map[first:last]

    def _shapes(self, name: str) -> Shapes:
        xy, rings, starts, exterior = (
            self._pack.array(f"{name}_{part}") for part in ("xy", "rings", "starts", "exterior")
        )
        return Shapes(GeometryKind(self._pack.about["kind"]), xy, rings, starts, exterior)


def _put_shapes(pack: PackWriter, name: str, shapes: Shapes) -> None:
    for part in ("xy", "rings", "starts", "exterior"):
        pack.array(f"{name}_{part}", getattr(shapes, part))


def _put_tiles(pack: PackWriter, name: str, tiles: Tiles) -> None:
    pack.array(f"{name}_places", np.array([place for place, _ in tiles], dtype=np.int64))
    pack.array(f"{name}_starts", offsets(np.array([len(tile) for _, tile in tiles], dtype=np.int64)))
    pack.chunks(name, (tile for _, tile in tiles))
