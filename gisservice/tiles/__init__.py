"""Map tiles: the grids, generalisation per zoom, the vector tile encoder, and the pyramid in one archive.

::

    source      what a layer brings: geometries on the world grid, records, attributes
    outlines    which geometries lie beside which: all that one needs to know of the others
    noding      borders that neighbours share, rounded together
    generalise  the shapes of a zoom, once for all its tiles, so that they agree at their edges
    validity    polygons checked after rounding; only failures are repaired
    selection   what a zoom shows by one global rank, and how the rest is summed up
    budget      how much a zoom may show for its tiles to keep within their bytes
    attributes  every distinct value encoded once
    plan        what is worked out once for all zooms
    clip        shapes to tiles; cut what crosses a tile's edge
    encode      Mapbox Vector Tile 2.1 from arrays, many tiles at a time
    stored      a tile of the pyramid taken apart, for tiles that show the same geometries
    account     what became of every record, by zoom and by tile
    coverage    what of a coverage overlaps or gapes at a zoom, and did not in the source
    level       the tiles of one zoom within their byte budget
    levels      the shapes of every zoom, kept in a memory-mapped file
    archive     PMTiles 3, written and memory-mapped
    matrix      the grids that tiles are offered in, as clients are told of them
    dynamic     one tile of any grid, drawn when it is asked for
    changes     what a new version has in common with the one before
    renewal     the shapes of a new version, worked out only where it differs
    past, reuse the files of the version before, and which of its tiles still hold
    workers     work shared among processes
    pyramid     all zooms, over the cores, into archives, levels and account
"""

from gisservice.tiles.account import REPORT_FILE, Report, read_report
from gisservice.tiles.archive import BROTLI_FILE, TILES_FILE, Archive
from gisservice.tiles.grid import BUFFER, EXTENT, TileCoord, parse_tile
from gisservice.tiles.levels import LEVELS_FILE, Levels
from gisservice.tiles.matrix import MATRIX_SETS, TileMatrixSet, matrix_set
from gisservice.tiles.past import Previous
from gisservice.tiles.pyramid import build_pyramid
from gisservice.tiles.source import TileSource

__all__ = [
    "BROTLI_FILE",
    "BUFFER",
    "EXTENT",
    "LEVELS_FILE",
    "MATRIX_SETS",
    "REPORT_FILE",
    "TILES_FILE",
    "Archive",
    "Levels",
    "Previous",
    "Report",
    "TileCoord",
    "TileMatrixSet",
    "TileSource",
    "build_pyramid",
    "matrix_set",
    "parse_tile",
    "read_report",
]
