"""Query to Page, and Page to the bytes that are sent."""

from gisservice.query.filter import Filter, parse_filter
from gisservice.query.geojson import encode_collection, encode_item
from gisservice.query.select import matching, page_of, select
from gisservice.query.tiling import TileQuery, choose_properties, draw_tile, zoom_range

__all__ = [
    "Filter",
    "TileQuery",
    "choose_properties",
    "draw_tile",
    "encode_collection",
    "encode_item",
    "matching",
    "page_of",
    "parse_filter",
    "select",
    "zoom_range",
]
