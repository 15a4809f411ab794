"""Map tiles: the grid, generalisation per zoom, the vector tile encoder, and the pyramid in one archive.

::

    source      what a layer brings: geometries on the world grid, records, attributes
    generalise  once per zoom, in world coordinates, so that tiles agree at their edges
    clip        cut what crosses a tile's edge
    validity    rings checked and oriented after rounding; only failures are repaired
    encode      Mapbox Vector Tile 2.1 from arrays, a whole zoom at a time
    archive     PMTiles 3, written and memory-mapped
    pyramid     all of it, over the cores, with an account of what was lost
"""

from gisservice.tiles.archive import Archive
from gisservice.tiles.grid import BUFFER, EXTENT, TileCoord, parse_tile
from gisservice.tiles.pyramid import build_pyramid
from gisservice.tiles.source import TileSource

__all__ = ["BUFFER", "EXTENT", "Archive", "TileCoord", "TileSource", "build_pyramid", "parse_tile"]
