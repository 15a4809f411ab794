"""The version of a layer before the one that is built: its files, and what of them still holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gisservice.errors import CatalogError
from gisservice.tiles import selection
from gisservice.tiles.account import REPORT_FILE, Report, read_report
from gisservice.tiles.archive import BROTLI_FILE, TILES_FILE, Archive
from gisservice.tiles.attributes import Attributes
from gisservice.tiles.changes import Changes, always
from gisservice.tiles.levels import LEVELS_FILE, Levels
from gisservice.tiles.outlines import Outlines
from gisservice.tiles.shapes import Ints
from gisservice.tiles.source import TileSource

_MOST_CHANGED = 0.25
"""Share of the geometries from which it is quicker to build everything."""


@dataclass(frozen=True)
class Previous:
    """An earlier version: what its tiles were made of, and the folder that they are in."""

    source: TileSource
    folder: Path


@dataclass(frozen=True)
class Past:
    """An earlier version that tiles can be taken over from, and how the new one differs from it."""

    source: TileSource
    outlines: Outlines
    levels: Levels
    archive: Archive
    brotli: Archive
    report: Report
    changes: Changes

    @classmethod
    def of(
        cls, previous: Previous, source: TileSource, attributes: Attributes, classes: tuple[str, ...]
    ) -> Past | None:
        """Open an earlier version, or return None when it is damaged, declared otherwise or too different.

        ``attributes`` are those of the new ``source``, ``classes`` its columns that features always keep.
        """
        old = previous.source
        if _declaration(old) != _declaration(source):
            return None
        try:
            levels = Levels(previous.folder / LEVELS_FILE)
            if levels.keys[:-2] != attributes.keys or levels.class_columns != classes or not levels.current:
                return None
            changes = Changes.between(old, source, levels.codes, levels.values, attributes.codes, attributes.values)
            if len(changes.fresh) + len(changes.gone) > _MOST_CHANGED * len(source.geometries):
                return None
            owners = old.record_geometry.astype(np.int64)
            lasting = np.bincount(owners[always(old)], minlength=len(old.geometries)) > 0
            return cls(
                old,
                Outlines(old.geometries, old.maxzoom, coverage=old.coverage, always=lasting),
                levels,
                Archive(previous.folder / TILES_FILE),
                Archive(previous.folder / BROTLI_FILE),
                read_report(previous.folder / REPORT_FILE),
                changes,
            )
        except CatalogError:
            return None

    @cached_property
    def classes(self) -> Ints:
        """What small polygons are merged by: for each earlier geometry the new code of its first record's value."""
        count = len(self.source.geometries)
        if self.levels.merge_by is None or not len(self.source):
            return np.zeros(count, dtype=np.int64)
        owners = self.source.record_geometry.astype(np.int64)
        named, cuts = selection.representatives(owners, always(self.source), count)
        first = np.append(named, 0)[cuts[:-1]]
        column = self.levels.keys.index(self.levels.merge_by)
        classes: Ints = self.changes.codes[self.levels.codes[first, column]]
        return classes


def _declaration(source: TileSource) -> tuple[object, ...]:
    return (source.name, source.kind, source.coverage, source.minzoom, source.maxzoom, source.merge_by)
