"""Writing the levels file; :mod:`gisservice.tiles.levels` says what is in it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from gisservice.pack import PackWriter
from gisservice.tiles.budget import Sample, Thresholds
from gisservice.tiles.generalise import Zoom
from gisservice.tiles.levels import FORMAT, coordinate, made_by
from gisservice.tiles.plan import Plan
from gisservice.tiles.selection import Groups


class LevelsWriter:
    """Writes the zooms one after the other, the deepest first; the file is whole when the ``with`` block ends."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self._zooms = range(plan.minzoom, plan.maxzoom + 1)
        self._thresholds = np.zeros((len(self._zooms), 2), dtype=np.int64)
        self._pack = PackWriter(path, _about(plan))
        self._pack.array("weights", plan.weights)
        self._pack.array("ranks", plan.ranks)
        self._pack.array("areas", plan.areas)
        self._pack.array("centres", plan.centres)
        self._pack.array("stays", plan.generaliser.deepest.stays)
        self._pack.array("crossing", plan.generaliser.deepest.crossing)
        self._pack.array("codes", plan.attributes.codes)
        self._pack.array("always", plan.always)
        self._pack.array("values", plan.attributes.values.data)
        self._pack.array("value_starts", plan.attributes.values.starts)
        self._pack.array("whole", plan.attributes.values.whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        if kind is None:
            self._pack.array("thresholds", self._thresholds)
        self._pack.__exit__(kind, error, t)

    def add(
        self, z: int, zoom: Zoom, thresholds: Thresholds, groups: Groups | None, sample: Sample | None = None
    ) -> None:
        """Write the shapes of a zoom, how they came to be, its thresholds and what they go by, and its groups."""
        shapes = zoom.shapes
        self._thresholds[z - self._zooms.start] = thresholds.drawn, thresholds.detailed
        self._pack.array(f"xy_{z}", shapes.xy.astype(coordinate(z)))
        self._pack.array(f"rings_{z}", shapes.rings)
        self._pack.array(f"starts_{z}", shapes.starts)
        self._pack.array(f"outer_{z}", shapes.exterior)
        self._pack.array(f"broken_{z}", np.flatnonzero(zoom.broken))
        self._pack.array(f"seeds_{z}", zoom.seeds)
        self._pack.array(f"restored_{z}", zoom.restored)
        if sample is not None:
            self._pack.array(f"sample_{z}", sample.to_array())
        if groups is not None:
            self._add_groups(z, groups)

    def _add_groups(self, z: int, groups: Groups) -> None:
        self._pack.array(f"group_xy_{z}", groups.shapes.xy.astype(coordinate(z)))
        self._pack.array(f"group_rings_{z}", groups.shapes.rings)
        self._pack.array(f"group_starts_{z}", groups.shapes.starts)
        self._pack.array(f"group_outer_{z}", groups.shapes.exterior)
        self._pack.array(f"group_members_{z}", groups.members)
        self._pack.array(f"group_cuts_{z}", groups.cuts)


def _about(plan: Plan) -> dict[str, Any]:
    return {
        "levels": FORMAT,
        "made_by": made_by(),
        "kind": str(plan.kind),
        "coverage": plan.coverage,
        "minzoom": plan.minzoom,
        "maxzoom": plan.maxzoom,
        "count": len(plan.stack),
        "keys": plan.keys,
        "class_columns": plan.class_columns,
        "merge_by": plan.attributes.keys[plan.merge_by] if plan.merge_by >= 0 else None,
    }
