"""Tile matrix sets: which grids tiles are offered in, where their tiles lie, and how they are told to clients.

The documents are those of the OGC Two Dimensional Tile Matrix Set standard 2.0 (17-083r4). A tile has 4,096 units a
side in every grid; the units of a zoom, counted from the grid's upper left corner to the right and down, are its
level units, and the same position has one place among them whatever tile it is drawn in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gisservice.crs import CRS, CRS84, Reprojection, parse, reprojection, square_lonlat, square_positions, uri
from gisservice.errors import TileMatrixSetNotFound, TileOutsideMatrix
from gisservice.model import BBox
from gisservice.tiles.grid import BUFFER, EXTENT, EXTENT_BITS, TileCoord, address_number

Reals = npt.NDArray[np.float64]

TILE_CELLS = 256
"""Cells (pixels, in the words of the standard) a side of a tile; the grid's scales are counted in them."""

_PIXEL_M = 0.00028
"""Metres a side of the standard's pixel, which scale denominators are for (17-083r4, 6.1.1)."""

_EARTH_RADIUS_M = 6_378_137.0
"""Semi-major axis of WGS 84."""


@dataclass(frozen=True, slots=True)
class TileMatrix:
    """One zoom of a grid. Lengths are in the unit of the grid's reference system."""

    id: str
    cell_size: float
    scale_denominator: float
    origin: tuple[float, float]
    """Upper left corner, x before y."""
    width: int
    """Columns of tiles."""
    height: int
    """Rows of tiles."""

    @property
    def unit(self) -> float:
        """Length of a level unit."""
        return self.cell_size * TILE_CELLS / EXTENT

    @property
    def bounds(self) -> BBox:
        """The box of all tiles."""
        (x, y), side = self.origin, self.cell_size * TILE_CELLS
        return x, y - self.height * side, x + self.width * side, y


@dataclass(frozen=True)
class TileMatrixSet:
    """One grid: a matrix for each zoom, the smallest scale first; matrix ``z`` has the id ``str(z)``."""

    id: str
    title: str
    uri: str | None
    """Where an authority registers it; None for a grid of our own."""
    crs: CRS
    axes: tuple[str, str]
    """Names of the axes of ``crs``, x first."""
    scales: str | None
    """URI of the well-known scale set that it follows."""
    matrices: tuple[TileMatrix, ...] = field(repr=False)
    maxzoom: int
    """The deepest zoom that tiles are drawn at: beyond a cell of about a centimetre nothing is left to see."""
    pyramid_shift: int
    """How many zooms deeper the zoom of WebMercatorQuad is whose unit on the ground is equal or just finer."""

    def parse_tile(self, z: str, x: str, y: str) -> TileCoord:
        """Read a tile address from a URL's three texts: matrix id, column, row.

        Only plain decimal digits without leading zeros are numbers here. Raises :class:`TileOutsideMatrix` for
        anything else and for addresses outside the grid, before any long text is turned into a number.
        """
        tile = TileCoord(address_number(z), address_number(x), address_number(y))
        self.check(tile)
        return tile

    def check(self, tile: TileCoord) -> None:
        """Raise :class:`TileOutsideMatrix` when there is no such tile in this grid."""
        z, x, y = tile
        if not 0 <= z < len(self.matrices):
            raise TileOutsideMatrix(f"{self.id} has no zoom {z}; its zooms are 0 to {len(self.matrices) - 1}.")
        matrix = self.matrices[z]
        if not (0 <= x < matrix.width and 0 <= y < matrix.height):
            raise TileOutsideMatrix(
                f"{self.id} has no tile {z}/{x}/{y}: zoom {z} has {matrix.width} columns and {matrix.height} rows, "
                "counted from 0."
            )

    def bounds(self, tile: TileCoord, margin: float = 0.0) -> BBox:
        """Return the box of a tile in the grid's CRS, ``margin`` level units wider on every side."""
        matrix = self.matrices[tile.z]
        unit = matrix.unit
        west = matrix.origin[0] + (tile.x * EXTENT - margin) * unit
        north = matrix.origin[1] - (tile.y * EXTENT - margin) * unit
        side = (EXTENT + 2 * margin) * unit
        return west, north - side, west + side, north

    def lonlat_bounds(self, tile: TileCoord, margin: float = 0.0) -> BBox:
        """Return the smallest box in CRS84 that holds :meth:`bounds`, edges bent as they really run.

        At the rim of a world-wide grid the box ends at the 180th meridian and at the poles.
        """
        west, south, east, north = self.bounds(tile, margin)
        if self._mercator:
            half = -self.matrices[0].origin[0]
            shares = np.array([[west, north], [east, south]]) / (2.0 * half) * (1.0, -1.0) + 0.5
            (west, north), (east, south) = square_lonlat(shares).tolist()
            # What lies beyond the square is drawn on its edge.
            north, south = (90.0 if shares[0, 1] <= 0 else north), (-90.0 if shares[1, 1] >= 1 else south)
        else:
            west, south, east, north = self._operation.apply_bbox((west, south, east, north))
        return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)

    def positions(self, lonlat: Reals, z: int) -> Reals:
        """Return CRS84 positions, shape (n, 2), in level units of a zoom, not rounded.

        Positions that the grid's CRS does not reach come back as infinity.
        """
        matrix = self.matrices[z]
        if self._mercator:
            shares = square_positions(lonlat)
            shares *= matrix.width << EXTENT_BITS
            return shares
        out = self._operation.invert(lonlat)
        out -= matrix.origin
        out *= (1.0 / matrix.unit, -1.0 / matrix.unit)
        return out

    def pyramid_zoom(self, z: int) -> int:
        """Return the zoom of WebMercatorQuad whose generalised shapes suit a zoom of this grid."""
        return z + self.pyramid_shift

    def limits(self, bbox: BBox, zooms: Iterable[int]) -> list[dict[str, Any]]:
        """Return ``tileMatrixSetLimits``: for each zoom the tiles that show something of ``bbox`` (CRS84).

        Buffers count. A box whose minx is greater than its maxx runs across the 180th meridian, and has all columns
        here. A zoom is left out when the box lies outside the grid.
        """
        box = self._native(bbox)
        if box is None:
            return []
        found = ((z, self._range(box, z)) for z in zooms)
        return [
            {"tileMatrix": str(z), "minTileRow": top, "maxTileRow": bottom, "minTileCol": left, "maxTileCol": right}
            for z, (left, top, right, bottom) in found
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the tile matrix set as the standard's JSON document."""
        west, south, east, north = self.matrices[0].bounds
        reference = {"crs": uri(self.crs), "orderedAxes": list(self.axes)}
        return {
            "id": self.id,
            "title": self.title,
            **({"uri": self.uri} if self.uri else {}),
            **reference,
            **({"wellKnownScaleSet": self.scales} if self.scales else {}),
            "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north], **reference},
            "tileMatrices": [_matrix_json(matrix) for matrix in self.matrices],
        }

    @property
    def _mercator(self) -> bool:
        return self.pyramid_shift == 0

    @cached_property
    def _operation(self) -> Reprojection:
        """From the grid's CRS to CRS84: the operation that ingest takes for layers of that CRS."""
        area = self.crs.area_of_use
        return reprojection(self.crs, CRS84, area.bounds if area is not None else None)

    @cached_property
    def _extent(self) -> BBox:
        """The box of all tiles in CRS84."""
        return self._operation.apply_bbox(self.matrices[0].bounds)

    def _native(self, bbox: BBox) -> BBox | None:
        """Return the box of ``bbox`` in the grid's CRS, as far as the grid reaches; None: not at all."""
        west, south, east, north = bbox
        if west > east:
            west, east = -180.0, 180.0
        left, bottom, right, top = self._extent
        west, south, east, north = max(west, left), max(south, bottom), min(east, right), min(north, top)
        return self._operation.invert_bbox((west, south, east, north)) if west <= east and south <= north else None

    def _range(self, box: BBox, z: int) -> tuple[int, int, int, int]:
        matrix = self.matrices[z]
        x, y = matrix.origin
        side, reach = matrix.unit * EXTENT, matrix.unit * BUFFER
        left, right = (box[0] - reach - x) / side, (box[2] + reach - x) / side
        top, bottom = (y - box[3] - reach) / side, (y - box[1] + reach) / side
        columns = (min(max(math.floor(value), 0), matrix.width - 1) for value in (left, right))
        rows = (min(max(math.floor(value), 0), matrix.height - 1) for value in (top, bottom))
        (first, last), (upper, lower) = columns, rows
        return first, upper, last, lower


def matrix_set(set_id: str) -> TileMatrixSet:
    """Return the grid of an id. Raises :class:`TileMatrixSetNotFound` naming those there are."""
    try:
        return MATRIX_SETS[set_id]
    except KeyError:
        shown = set_id if len(set_id) <= 40 else set_id[:37] + "..."
        raise TileMatrixSetNotFound(
            f"No tile matrix set {shown!r} is offered here; offered: {', '.join(MATRIX_SETS)}."
        ) from None


def _matrix_json(matrix: TileMatrix) -> dict[str, Any]:
    return {
        "id": matrix.id,
        "scaleDenominator": matrix.scale_denominator,
        "cellSize": matrix.cell_size,
        "cornerOfOrigin": "topLeft",
        "pointOfOrigin": list(matrix.origin),
        "tileWidth": TILE_CELLS,
        "tileHeight": TILE_CELLS,
        "matrixWidth": matrix.width,
        "matrixHeight": matrix.height,
    }


def _halving(
    zooms: int, cell_size: float, metres: float, origin: tuple[float, float], width: int = 1
) -> tuple[TileMatrix, ...]:
    """Return matrices whose cells halve from zoom to zoom; ``metres`` is the length of the CRS's unit."""
    return tuple(
        TileMatrix(
            str(z), cell_size / 2**z, cell_size / 2**z * metres / _PIXEL_M, origin, width << z, 1 << z
        )
        for z in range(zooms)
    )  # fmt: skip


_HALF_SQUARE_M = math.pi * _EARTH_RADIUS_M

WEB_MERCATOR_QUAD = TileMatrixSet(
    id="WebMercatorQuad",
    title="Google Maps Compatible for the World",
    uri="http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad",
    crs=parse("EPSG:3857"),
    axes=("X", "Y"),
    scales="http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
    matrices=_halving(25, 2 * _HALF_SQUARE_M / TILE_CELLS, 1.0, (-_HALF_SQUARE_M, _HALF_SQUARE_M)),
    maxzoom=22,
    pyramid_shift=0,
)
"""The grid of the pyramids (17-083r4, D.1)."""

WORLD_CRS84_QUAD = TileMatrixSet(
    id="WorldCRS84Quad",
    title="CRS84 for the World",
    uri="http://www.opengis.net/def/tilematrixset/OGC/1.0/WorldCRS84Quad",
    crs=CRS84,
    axes=("Lon", "Lat"),
    scales="http://www.opengis.net/def/wkss/OGC/1.0/GoogleCRS84Quad",
    matrices=_halving(24, 180 / TILE_CELLS, math.radians(_EARTH_RADIUS_M), (-180.0, 90.0), width=2),
    maxzoom=21,
    pyramid_shift=1,
)
"""Degrees, two tiles side by side at zoom 0 (17-083r4, D.2)."""

VIRGINIA_NORTH_FEET = TileMatrixSet(
    id="VirginiaNorthFeet",
    title="Virginia North State Plane, US survey feet",
    uri=None,
    crs=parse("EPSG:2283"),
    axes=("X", "Y"),
    scales=None,
    # Area of use: eastings 11,031,977 to 12,058,137 and northings 6,599,297 to 7,220,875; 2**20 feet hold it.
    matrices=_halving(19, 4096.0, 1200 / 3937, (11_020_000.0, 7_230_000.0)),
    maxzoom=18,
    pyramid_shift=7,
)
"""Cells are powers of two US survey feet, from 4,096 feet to a sixty-fourth; one tile holds all of zoom 0."""

MATRIX_SETS: dict[str, TileMatrixSet] = {
    grid.id: grid for grid in (WEB_MERCATOR_QUAD, WORLD_CRS84_QUAD, VIRGINIA_NORTH_FEET)
}
"""The grids that tiles are offered in, by id."""
