"""The tiles of one zoom, within their byte budget, and the account of what they show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles import selection
from gisservice.tiles.account import Features, Reason, Tally, byte_tally, byte_totals, lost_tally
from gisservice.tiles.archive import compress, compress_brotli, decompress
from gisservice.tiles.attributes import ABSENT
from gisservice.tiles.budget import ALWAYS, BUDGET_BYTES, Load, Sample, Thresholds
from gisservice.tiles.clip import Placement, cut, place
from gisservice.tiles.coverage import Conflicts
from gisservice.tiles.encode import Encoded, TileFeatures, encode_tiles
from gisservice.tiles.generalise import Zoom
from gisservice.tiles.grid import BUFFER, EXTENT_BITS, tile_ids, tile_of_id
from gisservice.tiles.plan import Plan
from gisservice.tiles.reuse import Reuse, Tiles
from gisservice.tiles.shapes import Flags, Ints, Shapes, offsets, ranges

_CHUNK_FEATURES = 20_000
"""Features that are encoded at once; bounds memory, changes no byte."""

_SAMPLE = 500
"""Features that are compressed to learn how many bytes a zoom's features take."""

_SHAPE_BYTES, _VERTEX_BYTES = 12, 4
"""Of a feature without properties, about, before it is compressed."""


@dataclass(frozen=True)
class Level:
    """The tiles of one zoom by their places (ascending), compressed in two ways, and what they show."""

    z: int
    zoom: Zoom
    thresholds: Thresholds
    groups: selection.Groups | None
    """Of a coverage, but at the deepest zoom."""
    sample: Sample | None
    """What the thresholds were reckoned from."""
    tiles: Tiles
    brotli: Tiles
    account: dict[str, Any]


@dataclass(frozen=True)
class _Drawn:
    """All features of a zoom, ready to be placed: feature ``i`` has shape ``shape[i]``."""

    shapes: Shapes
    shape: Ints
    ids: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]
    order: Ints
    """Where the feature comes among those of its tile."""
    weight: Ints
    """Weight of the feature's geometry; groups always keep their properties."""
    others: Ints
    """Records that the feature stands for beside its own."""

    def features(self, detailed: int) -> Features:
        """Return what the account needs, when features that weigh less than ``detailed`` have only their classes."""
        full = np.diff(self.shapes.vertices)[self.shape] > 0
        return Features(full, (self.ids >= 0) & full, np.where(full, self.others, 0), full & (self.weight < detailed))


@dataclass(frozen=True)
class _Sheet:
    """Some tiles, cut and in order: ``tile``, ``piece`` and ``feature`` have one entry a feature shown."""

    places: Ints
    pieces: Shapes
    tile: Ints
    piece: Ints
    feature: Ints


def build_level(plan: Plan, z: int) -> Level:
    """Return the tiles of zoom ``z``."""
    zoom, reshaped = plan.generaliser.renewed(z)
    if z == plan.maxzoom:
        return _deepest_level(plan, zoom, reshaped)
    shapes, tried = zoom.shapes, None
    natural = selection.natural_weight(plan.kind, plan.maxzoom - z)
    estimate, sample = load(plan, shapes, reshaped, z, natural)
    for thresholds in estimate.thresholds(natural):
        reuse = _reuse(plan, z, shapes, reshaped, thresholds)
        if tried is None or reuse is not None or thresholds.drawn != tried.drawn:
            chosen = _select(plan, z, shapes, thresholds.drawn, reuse)
            drawn = _summary(plan, chosen)
        tiles, tallies = _made(plan, z, drawn, thresholds, reuse)
        if thresholds.drawn == ALWAYS or _fit(tiles):
            break
        tried = thresholds
    reasons, found = (
        _reasons(plan, shapes, chosen, natural),
        plan.conflicts(z, chosen, None if reuse is None else reuse.changed),
    )
    gzip, brotli = _with_clean(plan, tiles, reuse)
    account = _account(plan, z, drawn.features(thresholds.detailed), tallies, gzip, reasons, reuse)
    groups = chosen.merged if plan.coverage else None
    return Level(z, zoom, thresholds, groups, sample, gzip, brotli, account | _validity(zoom, found))


def _deepest_level(plan: Plan, zoom: Zoom, reshaped: Flags) -> Level:
    """Return the tiles of the deepest zoom: every record, whatever the bytes."""
    z, drawn, thresholds = plan.maxzoom, _every_record(plan), Thresholds(0, 0)
    reuse = _reuse(plan, z, zoom.shapes, reshaped, thresholds)
    tiles, tallies = _made(plan, z, drawn, thresholds, reuse, whatever=True)
    reasons = np.where(np.diff(zoom.shapes.vertices) > 0, Reason.SHOWN, Reason.NO_GEOMETRY)
    gzip, brotli = _with_clean(plan, tiles, reuse)
    account = _account(plan, z, drawn.features(0), tallies, gzip, reasons, reuse)
    return Level(
        z,
        zoom,
        thresholds,
        None,
        None,
        gzip,
        brotli,
        account | _validity(zoom, plan.source_conflicts(None if reuse is None else reuse.changed)),
    )


def _reuse(plan: Plan, z: int, shapes: Shapes, reshaped: Flags, thresholds: Thresholds) -> Reuse | None:
    """Say what can be taken over from the version before; None when there is none, or it was cut by other measures."""
    if plan.past is None or plan.past.levels.thresholds(z) != thresholds:
        return None
    if plan.past.levels.dust_side(z) != selection.dust_side(thresholds.drawn, plan.weights, plan.maxzoom - z):
        return None
    return Reuse(plan, plan.past, z, shapes, reshaped, thresholds)


def _with_clean(plan: Plan, tiles: Tiles, reuse: Reuse | None) -> tuple[Tiles, Tiles]:
    """Return all tiles of a zoom in two encodings: those made, and those taken over."""
    brotli = [(where, compress_brotli(decompress(tile))) for where, tile in tiles]
    if reuse is None or plan.past is None:
        return tiles, brotli
    gzip, brotli = tiles + reuse.clean(plan.past.archive), brotli + reuse.clean(plan.past.brotli)
    return sorted(gzip), sorted(brotli)


def _made(
    plan: Plan, z: int, drawn: _Drawn, thresholds: Thresholds, reuse: Reuse | None, *, whatever: bool = False
) -> tuple[Tiles, list[Tally]]:
    """Return tiles and their tallies: all, or those that cannot be taken over.

    One that takes too many bytes is the last, unless tiles are taken ``whatever`` they take.
    """
    features = drawn.features(thresholds.detailed)
    tiles: Tiles = []
    tallies: list[Tally] = []
    for sheet in _sheets(drawn, z, None if reuse is None else reuse.dirty):
        for where, tile in _encoded(plan, sheet, drawn, thresholds.detailed):
            tiles.append((where, compress(tile)))
        tallies.append(features.tally(sheet.places[sheet.tile], sheet.feature))
        if not (whatever or thresholds.drawn == ALWAYS or _fit(tiles)):
            break
    return tiles, tallies


def _fit(tiles: Tiles) -> bool:
    return all(len(tile) <= BUDGET_BYTES for _, tile in tiles)


def load(plan: Plan, shapes: Shapes, reshaped: Flags, z: int, natural: int) -> tuple[Load, Sample | None]:
    """Estimate what the geometries of a zoom take in each tile, by what a sample of them does; return that, too.

    ``reshaped`` marks the shapes that are not as in the version before.
    """
    placement = place(shapes, z)
    places, tile = np.unique(tile_ids(z, placement.x, placement.y), return_inverse=True)
    origin = placement.origin
    vertices = np.diff(shapes.vertices) // np.maximum(np.bincount(origin, minlength=len(shapes)), 1)
    plain, detail = plan.property_bytes
    plain = plain + (_SHAPE_BYTES + _VERTEX_BYTES * vertices) * np.diff(plan.cuts)
    estimate = Load.of(tile, plan.weights[origin], plain[origin], detail[origin], merges=plan.coverage)
    heaviest = estimate.heaviest(natural)
    if heaviest is None:
        return estimate, None
    here = np.flatnonzero((tile == heaviest) & (estimate.weight >= natural))
    here = here[np.argsort(plan.first[origin[here]], kind="stable")][:_SAMPLE]
    rows, where = np.sort(origin[here]), int(places[heaviest])
    sample = _known_sample(plan, reshaped, z, where, rows) or _compressed_sample(plan, shapes, z, where, rows)
    return estimate.scaled(here, sample), sample


def _known_sample(plan: Plan, reshaped: Flags, z: int, where: int, rows: Ints) -> Sample | None:
    """Return the sample that some geometries of a tile are, if it was the same in the version before."""
    if plan.past is None:
        return None
    known, changes = plan.past.levels.sample(z), plan.past.changes
    if known is None or known.place != where or not np.array_equal(changes.origin[rows], known.geometries):
        return None
    return None if (reshaped | ~changes.same)[rows].any() else replace(known, geometries=rows)


def _compressed_sample(plan: Plan, shapes: Shapes, z: int, where: int, rows: Ints) -> Sample:
    """Compress the features of some geometries in a tile, with and without their details."""
    drawn = _summary(plan, selection.whole(shapes, rows))
    least, most = (
        sum(
            len(compress(tile))
            for sheet in _sheets(drawn, z, np.array([where]))
            for _, tile in _encoded(plan, sheet, drawn, detailed)
        )
        for detailed in (ALWAYS + 1, 0)
    )
    return Sample(where, rows, least, most)


def _select(plan: Plan, z: int, shapes: Shapes, weight: int, reuse: Reuse | None) -> selection.Selection:
    limit = plan.limit(weight)
    if plan.kind != GeometryKind.POLYGON:
        return selection.select(shapes, plan.ranks, limit)
    if not plan.coverage:
        shift = plan.maxzoom - z
        side = selection.dust_side(weight, plan.weights, shift)
        return selection.select_with_dust(shapes, plan.ranks, limit, plan.areas, plan.centres, shift, side)
    merge = None if reuse is None else reuse.merged
    centres = plan.centres >> (plan.maxzoom - z)
    return selection.select_with_merged(shapes, plan.ranks, limit, plan.classes, centres, merge)


def _every_record(plan: Plan) -> _Drawn:
    """Draw each record of each geometry: the records of a stack have equal shapes."""
    absent = np.full((plan.records, 2), ABSENT, dtype=np.int32)
    codes = np.column_stack([plan.attributes.codes, absent])[plan.members]
    shape = np.repeat(np.arange(len(plan.stack)), plan.stack)
    return _Drawn(
        plan.deepest, shape, plan.ids[plan.members], codes, plan.members, plan.weights[shape], np.zeros_like(shape)
    )


def _summary(plan: Plan, chosen: selection.Selection) -> _Drawn:
    """Draw each chosen geometry once for each record it is drawn for, with its id and properties, then the groups.

    A group has no id, and the properties in which all its members agree.
    """
    named = np.diff(plan.cuts)[chosen.drawn]
    record = plan.named[ranges(plan.cuts[chosen.drawn], named)]
    shape = np.repeat(np.arange(len(named)), named)
    others = np.zeros(len(record), dtype=np.int64)
    others[offsets(named)[:-1]] = plan.stack[chosen.drawn] - named
    known = len(plan.attributes.values)
    codes = np.full((len(record) + chosen.groups, len(plan.keys)), ABSENT, dtype=np.int32)
    codes[: len(record), :-2] = plan.attributes.codes[record]
    codes[: len(record), -2] = np.where(others > 0, known + others + 1, ABSENT)
    if chosen.groups:
        theirs = plan.attributes.codes[plan.first[chosen.members]]
        lowest, highest = (f.reduceat(theirs, chosen.cuts[:-1], axis=0) for f in (np.minimum, np.maximum))
        codes[len(record) :, :-2] = np.where(lowest == highest, lowest, ABSENT)
        codes[len(record) :, -1] = known + np.diff(offsets(plan.stack[chosen.members])[chosen.cuts])
    nameless = np.full(chosen.groups, -1, dtype=np.int64)
    return _Drawn(
        chosen.shapes,
        np.concatenate([shape, len(named) + np.arange(chosen.groups)]),
        np.concatenate([plan.ids[record], nameless]),
        codes,
        np.concatenate([record, nameless]),
        np.concatenate([plan.weights[chosen.drawn][shape], np.full(chosen.groups, ALWAYS)]),
        np.concatenate([others, np.diff(offsets(plan.stack[chosen.members])[chosen.cuts])]),
    )


def _sheets(drawn: _Drawn, z: int, only: Ints | None = None) -> Iterator[_Sheet]:
    """Place all features, and cut them for a bounded number of tiles at a time; ``only`` for the tiles wanted."""
    placement = place(drawn.shapes, z) if only is None else _placed_near(drawn.shapes, z, only)
    places = tile_ids(z, placement.x, placement.y)
    order = np.argsort(places, kind="stable")
    if only is not None:
        order = order[np.isin(places[order], only)]
    placement, places = placement.select(order), places[order]
    counts = np.bincount(drawn.shape, minlength=len(drawn.shapes))
    load = np.cumsum(counts[placement.origin]) // _CHUNK_FEATURES
    opens = np.flatnonzero(np.diff(places, prepend=-1))
    chunk = load[opens]
    begins = opens[np.flatnonzero(np.diff(chunk, prepend=-1))]
    by_shape = np.argsort(drawn.shape, kind="stable")
    cuts = offsets(counts)
    for begin, end in pairwise([*begins.tolist(), len(placement)]):
        pieces = cut(placement.select(np.arange(begin, end)))
        if not len(pieces):
            continue
        piece = np.repeat(np.arange(len(pieces)), counts[pieces.origin])
        feature = by_shape[ranges(cuts[pieces.origin], counts[pieces.origin])]
        distinct, tile = np.unique(tile_ids(z, pieces.x, pieces.y), return_inverse=True)
        tile = tile[piece]
        order = np.lexsort([drawn.order[feature], tile])
        yield _Sheet(distinct, pieces.shapes, tile[order], pieces.which[piece[order]], feature[order])


def _placed_near(shapes: Shapes, z: int, only: Ints) -> Placement:
    """Place the shapes whose boxes are within the box around all tiles that are wanted, buffer included."""
    if not len(only):
        return place(shapes, z).select(np.zeros(0, dtype=np.int64))
    xy = np.array([tile_of_id(where)[1:] for where in only.tolist()])
    low, high = (xy.min(axis=0) << EXTENT_BITS) - BUFFER, (xy.max(axis=0) + 1 << EXTENT_BITS) + BUFFER
    box = shapes.bounds()
    rows = np.flatnonzero(
        (box[:, 0] <= high[0]) & (box[:, 1] <= high[1]) & (box[:, 2] >= low[0]) & (box[:, 3] >= low[1])
    )
    placement = place(shapes.take(rows), z)
    return replace(placement, origin=rows[placement.origin])


def _encoded(plan: Plan, sheet: _Sheet, drawn: _Drawn, detailed: int) -> list[tuple[int, bytes]]:
    codes = drawn.codes[sheet.feature]
    plain = drawn.weight[sheet.feature] < detailed
    if plain.any():
        codes[np.ix_(plain, ~plan.class_keys)] = ABSENT
    features = TileFeatures(Encoded.of(sheet.pieces), sheet.tile, sheet.piece, drawn.ids[sheet.feature], codes)
    return list(
        zip(sheet.places.tolist(), encode_tiles(plan.name, features, plan.keys, plan.attributes.values), strict=True)
    )


def _reasons(plan: Plan, shapes: Shapes, chosen: selection.Selection, natural: int) -> Ints:
    """Say of each geometry why its records are not drawn."""
    groups = np.diff(chosen.shapes.vertices)[len(chosen.drawn) :] > 0
    reasons = np.where(plan.weights < natural, Reason.THINNED, Reason.BUDGET)
    reasons[np.diff(shapes.vertices) == 0] = Reason.NO_EXTENT
    if plan.kind == GeometryKind.POLYGON and not plan.coverage:
        reasons[plan.areas > 0] = Reason.SMALL
    reasons[np.diff(plan.deepest.vertices) == 0] = Reason.NO_GEOMETRY
    reasons[chosen.members[np.repeat(groups, np.diff(chosen.cuts))]] = Reason.SHOWN
    reasons[chosen.drawn] = Reason.SHOWN
    return reasons


def _account(
    plan: Plan,
    z: int,
    features: Features,
    tallies: list[Tally],
    tiles: Tiles,
    reasons: Ints,
    reuse: Reuse | None,
) -> dict[str, Any]:
    """Add up what tiles show and what they lack, for the zoom and by tile."""
    lost = lost_tally(plan.boxes, plan.stack, reasons, z, plan.maxzoom - z)
    by_tile = Tally.joined([*tallies, byte_tally(tiles), lost])
    if reuse is not None:
        by_tile = Tally.joined([by_tile.select(np.isin(by_tile.places, reuse.dirty)), reuse.tally()])
    return {
        **byte_totals(tiles, BUDGET_BYTES),
        **features.totals(plan.stack, reasons),
        "by_tile": by_tile.to_json(),
    }


def _validity(zoom: Zoom, found: Conflicts | None) -> dict[str, Any]:
    invalid = {"invalid": {"before": int(zoom.broken.sum()), "after": 0}}
    return invalid if found is None else {**invalid, "conflicts": found.to_json()}
