"""The tiles of one zoom, within their byte budget, and the account of what they show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.model import GeometryKind
from gisservice.tiles import selection
from gisservice.tiles.account import Features, Reason, Tally, byte_tally, byte_totals, lost_tally
from gisservice.tiles.archive import compress, compress_brotli, decompress
from gisservice.tiles.attributes import ABSENT
from gisservice.tiles.clip import cut, place
from gisservice.tiles.coverage import Conflicts
from gisservice.tiles.encode import TileFeatures, encode_tiles
from gisservice.tiles.grid import tile_ids
from gisservice.tiles.plan import Plan
from gisservice.tiles.shapes import Ints, Shapes, offsets, ranges

BUDGET_BYTES = 500_000
"""Most bytes of a compressed tile, but at the deepest zoom, where every record is present whatever it takes."""

_CHUNK_FEATURES = 20_000
"""Features that are encoded at once; bounds memory, changes no byte."""

_FIRST_RATIO = 0.3
"""Compressed bytes a byte, supposed until a tile of the zoom has been compressed."""

_AIM, _GOOD = 0.94, 0.8
"""Share of the budget that is aimed at, because estimates are not exact, and share that is good enough."""

_ATTEMPTS = 4


@dataclass(frozen=True)
class Level:
    """The tiles of one zoom by their places (ascending), compressed in two ways, and what they show."""

    z: int
    shapes: Shapes
    limit: int
    """Geometries of this rank and beyond are merged, turned to dust or dropped."""
    detail: int
    """Features of geometries of this rank and beyond have only their classes."""
    tiles: list[tuple[int, bytes]]
    brotli: list[tuple[int, bytes]]
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
    rank: Ints
    """Rank of the feature's geometry; -1 for groups, which always keep their properties."""
    others: Ints
    """Records that the feature stands for beside its own."""

    def features(self, detail: int) -> Features:
        """Return what the account needs, when features of rank ``detail`` and beyond have only their classes."""
        full = np.diff(self.shapes.vertices)[self.shape] > 0
        return Features(full, (self.ids >= 0) & full, np.where(full, self.others, 0), full & (self.rank >= detail))


@dataclass(frozen=True)
class _Sheet:
    """Some tiles, cut and in order: ``tile``, ``piece`` and ``feature`` have one entry a feature shown."""

    places: Ints
    pieces: Shapes
    tile: Ints
    piece: Ints
    feature: Ints


@dataclass(frozen=True)
class _Fitted:
    """Tiles with as many properties as the budget allows; ``limit`` would let the rest fit, where it does not."""

    tiles: list[tuple[int, bytes]]
    detail: int
    """Features of this rank and beyond have only their classes."""
    limit: int


def build_level(plan: Plan, z: int) -> Level:
    """Return the tiles of zoom ``z``."""
    shapes, broken = plan.generaliser.at(z)
    if z == plan.maxzoom:
        return _deepest_level(plan, shapes, broken)
    limit = natural = plan.natural_limit(z)
    tried: list[tuple[int, int]] = []
    while True:
        chosen = _select(plan, z, shapes, limit)
        drawn = _summary(plan, chosen)
        sheets = list(_sheets(drawn, z))
        fitted = _fit(plan, drawn, sheets, plain=bool(tried))
        largest = _largest(fitted.tiles)
        if limit == plan.lasting or largest <= BUDGET_BYTES:
            features = drawn.features(fitted.detail)
            tallies = [features.tally(sheet.places[sheet.tile], sheet.feature) for sheet in sheets]
            reasons, found = _reasons(plan, shapes, chosen, natural), plan.conflicts(z, chosen)
            account = _account(plan, z, features, tallies, fitted.tiles, reasons) | _validity(broken, found)
            return Level(z, shapes, limit, fitted.detail, fitted.tiles, _recompressed(fitted.tiles), account)
        tried.append((limit, largest))
        limit = max(_lower(tried, fitted.limit), plan.lasting)


def _deepest_level(plan: Plan, shapes: Shapes, broken: int) -> Level:
    """Return the tiles of the deepest zoom: every record, whatever the bytes."""
    z, everything = plan.maxzoom, len(plan.ranks)
    drawn = _every_record(plan)
    features = drawn.features(everything)
    tiles: list[tuple[int, bytes]] = []
    tallies: list[Tally] = []
    for sheet in _sheets(drawn, z):
        tiles += _compressed([_encoded(plan, sheet, drawn, everything)])
        tallies.append(features.tally(sheet.places[sheet.tile], sheet.feature))
    reasons = np.where(np.diff(shapes.vertices) > 0, Reason.SHOWN, Reason.NO_GEOMETRY)
    account = _account(plan, z, features, tallies, tiles, reasons) | _validity(broken, plan.source_conflicts())
    return Level(z, shapes, everything, everything, tiles, _recompressed(tiles), account)


def _lower(tried: list[tuple[int, int]], estimate: int) -> int:
    """Return a limit at which the largest tile should fit, from the limits that were tried and what came of them.

    The first time that is an estimate. After that, the bytes are taken as linear in the limit: what merged groups
    take does not shrink with it.
    """
    limit, largest = tried[-1]
    if len(tried) > 1:
        earlier, larger = tried[-2]
        bytes_a_rank = (larger - largest) / (earlier - limit)
        estimate = limit - int((largest - _AIM * BUDGET_BYTES) / max(bytes_a_rank, 1e-9))
    return max(min(estimate, limit * 7 // 8), limit // 8 if limit > 64 else 0)


def _select(plan: Plan, z: int, shapes: Shapes, limit: int) -> selection.Selection:
    if plan.kind != GeometryKind.POLYGON:
        return selection.select(shapes, plan.ranks, limit)
    if not plan.coverage:
        shift = plan.maxzoom - z
        side = selection.dust_side(plan.ranks, limit, plan.areas, shift)
        return selection.select_with_dust(shapes, plan.ranks, limit, plan.areas, plan.centres, shift, side)
    classes = plan.attributes.codes[plan.first, plan.merge_by] if plan.merge_by >= 0 else np.zeros_like(plan.first)
    return selection.select_with_merged(shapes, plan.ranks, limit, classes, plan.centres >> (plan.maxzoom - z))


def _every_record(plan: Plan) -> _Drawn:
    """Draw each record of each geometry: the records of a stack have equal shapes."""
    absent = np.full((plan.records, 2), ABSENT, dtype=np.int32)
    codes = np.column_stack([plan.attributes.codes, absent])[plan.members]
    shape = np.repeat(np.arange(len(plan.stack)), plan.stack)
    return _Drawn(
        plan.deepest, shape, plan.ids[plan.members], codes, plan.members, plan.ranks[shape], np.zeros_like(shape)
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
        np.concatenate([plan.ranks[chosen.drawn][shape], nameless]),
        np.concatenate([others, np.diff(offsets(plan.stack[chosen.members])[chosen.cuts])]),
    )


def _sheets(drawn: _Drawn, z: int) -> Iterator[_Sheet]:
    """Place all features, and cut them for a bounded number of tiles at a time."""
    placement = place(drawn.shapes, z)
    places = tile_ids(z, placement.x, placement.y)
    order = np.argsort(places, kind="stable")
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
        yield _Sheet(distinct, pieces.shapes, tile[order], piece[order], feature[order])


def _encoded(plan: Plan, sheet: _Sheet, drawn: _Drawn, detail: int) -> list[tuple[int, bytes]]:
    codes = drawn.codes[sheet.feature]
    plain = drawn.rank[sheet.feature] >= detail
    if plain.any():
        codes[np.ix_(plain, ~plan.class_keys)] = ABSENT
    features = TileFeatures(sheet.pieces, sheet.tile, sheet.piece, drawn.ids[sheet.feature], codes)
    return list(
        zip(sheet.places.tolist(), encode_tiles(plan.name, features, plan.keys, plan.attributes.values), strict=True)
    )


def _compressed(batches: list[list[tuple[int, bytes]]]) -> list[tuple[int, bytes]]:
    return [(where, compress(tile)) for batch in batches for where, tile in batch]


def _recompressed(tiles: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [(where, compress_brotli(decompress(tile))) for where, tile in tiles]


def _largest(tiles: list[tuple[int, bytes]]) -> int:
    return max((len(tile) for _, tile in tiles), default=0)


def _fit(plan: Plan, drawn: _Drawn, sheets: list[_Sheet], *, plain: bool) -> _Fitted:
    """Find the rank from which features keep only their classes, so that every tile is within the budget.

    The size of a tile is taken as linear in how many of its features have all properties; the share of bytes that
    compression leaves is measured on the tiles themselves, so two or three attempts do. ``plain``: classes only.
    """
    everything = len(plan.ranks)
    full = [_encoded(plan, sheet, drawn, 0 if plain else everything) for sheet in sheets]
    raw = _sizes(full)
    tiles = _compressed(full) if plain or raw.max(initial=0) * _FIRST_RATIO <= BUDGET_BYTES else []
    if (tiles and not plain and _largest(tiles) <= BUDGET_BYTES) or not len(raw):
        return _Fitted(tiles, everything, everything)
    detail = 0
    if not plain:
        least = _sizes([_encoded(plan, sheet, drawn, 0) for sheet in sheets])
        ratio = _sizes([tiles]) / raw if tiles else np.full(len(raw), _FIRST_RATIO)
        for attempt in range(_ATTEMPTS):
            share = np.clip((_AIM * BUDGET_BYTES / ratio - least) / np.maximum(raw - least, 1.0), 0.0, 1.0)
            detail = _threshold(drawn, sheets, share, everything) if attempt < _ATTEMPTS - 1 else 0
            batches = [_encoded(plan, sheet, drawn, detail) for sheet in sheets]
            tiles = _compressed(batches)
            ratio = _sizes([tiles]) / _sizes(batches)
            if detail == 0 or _GOOD * BUDGET_BYTES <= _largest(tiles) <= BUDGET_BYTES:
                break
    share = np.clip(_AIM * BUDGET_BYTES / _sizes([tiles]), 0.0, 1.0)
    return _Fitted(tiles, detail, _threshold(drawn, sheets, share, everything))


def _sizes(batches: list[list[tuple[int, bytes]]]) -> npt.NDArray[np.float64]:
    return np.array([len(tile) for batch in batches for _, tile in batch], dtype=np.float64)


def _threshold(drawn: _Drawn, sheets: list[_Sheet], shares: npt.NDArray[np.float64], everything: int) -> int:
    """Return the lowest, over all tiles, of the rank before which a tile has this share of its features."""
    lowest, tile = everything, 0
    for sheet in sheets:
        ranks = drawn.rank[sheet.feature]
        cuts = np.searchsorted(sheet.tile, np.arange(len(sheet.places) + 1))
        for first, last in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            if shares[tile] < 1.0:
                own = np.sort(ranks[first:last])
                lowest = min(lowest, int(own[int(shares[tile] * len(own))]))
            tile += 1
    return max(lowest, 0)


def _reasons(plan: Plan, shapes: Shapes, chosen: selection.Selection, natural: int) -> Ints:
    """Say of each geometry why its records are not drawn."""
    groups = np.diff(chosen.shapes.vertices)[len(chosen.drawn) :] > 0
    reasons = np.where(plan.ranks >= natural, Reason.THINNED, Reason.BUDGET)
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
    tiles: list[tuple[int, bytes]],
    reasons: Ints,
) -> dict[str, Any]:
    """Add up what tiles show and what they lack, for the zoom and by tile."""
    lost = lost_tally(plan.boxes, plan.stack, reasons, z, plan.maxzoom - z)
    by_tile = Tally.joined([*tallies, byte_tally(tiles), lost])
    return {
        **byte_totals(tiles, BUDGET_BYTES),
        **features.totals(plan.stack, reasons),
        "by_tile": by_tile.to_json(),
    }


def _validity(broken: int, found: Conflicts | None) -> dict[str, Any]:
    invalid = {"invalid": {"before": broken, "after": 0}}
    return invalid if found is None else {**invalid, "conflicts": found.to_json()}
