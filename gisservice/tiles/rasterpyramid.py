"""The stored tiles of a raster: what its declaration draws, at the zooms that it declares, in one archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gisservice.model import BBox
from gisservice.tiles.archive import ArchiveWriter
from gisservice.tiles.grid import TileCoord, tile_id
from gisservice.tiles.rasterdraw import Rendering, draw
from gisservice.tiles.rasterimage import FORMATS, encode
from gisservice.tiles.rasterwarp import Rect, Warp
from gisservice.tiles.workers import shared

PIXELS = 256
"""Pixels a side of a stored tile."""

_BATCH = 50
"""Tiles that a process draws at a time."""

TILES_MAX = 20_000
"""Most tiles that are stored of a raster; the zooms for which there would be more are drawn when asked for."""


def stored_zooms(warp: Warp, minzoom: int, maxzoom: int) -> range:
    """Return the zooms whose tiles are stored: from the first on, as many as :data:`TILES_MAX` allows."""
    total = 0
    for z in range(minzoom, maxzoom + 1):
        columns, rows = _tiles(warp, z)
        total += len(columns) * len(rows)
        if total > TILES_MAX:
            return range(minzoom, z)
    return range(minzoom, maxzoom + 1)


def build_raster_pyramid(
    warp: Warp,
    rendering: Rendering,
    path: Path,
    zooms: range,
    extension: str,
    bounds: BBox,
    metadata: dict[str, Any],
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Draw the tiles of some zooms of WebMercatorQuad into an archive; return how many show something.

    Several ``workers`` are processes that inherit the source: no file of it may be open here then. The archive is the
    same whatever their number.
    """
    written, done = 0, 0
    asked = list(_addresses(warp, zooms))
    batches = [asked[first : first + _BATCH] for first in range(0, len(asked), _BATCH)]

    def drawn(batch: list[TileCoord]) -> list[bytes]:
        return [draw_tile(warp, rendering, tile, FORMATS[extension]) for tile in batch]

    with ArchiveWriter(
        path,
        metadata=metadata,
        bounds=bounds,
        minzoom=zooms.start,
        maxzoom=zooms.stop - 1,
        encoding="",
        kind=extension,
    ) as archive:
        for batch, contents in zip(batches, shared(drawn, batches, workers, metadata["name"]), strict=True):
            for tile, content in zip(batch, contents, strict=True):
                if content:
                    archive.add(tile_id(tile), content)
                    written += 1
            done += len(batch)
            progress(done, len(asked))
    return written


def draw_tile(warp: Warp, rendering: Rendering, tile: TileCoord, media: str, size: int = PIXELS) -> bytes:
    """Return one tile of ``size`` pixels a side; nothing for an empty one."""
    picture = draw(warp, tile.z, size, Rect(tile.x * size, tile.y * size, size, size), rendering)
    return b"" if picture is None else encode(picture, media)


def _addresses(warp: Warp, zooms: range) -> Iterator[TileCoord]:
    for z in zooms:
        columns, rows = _tiles(warp, z)
        for y in rows:
            for x in columns:
                yield TileCoord(z, x, y)


def _tiles(warp: Warp, z: int) -> tuple[range, range]:
    """Return the columns and rows of tiles of a zoom on which the raster can show."""
    left, top, width, height = warp.reach(z, PIXELS)
    side = warp.grid.matrices[z].width
    columns = range(max(left // PIXELS, 0), min((left + width - 1) // PIXELS + 1, side))
    return columns, range(max(top // PIXELS, 0), min((top + height - 1) // PIXELS + 1, side))
