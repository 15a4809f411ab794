"""Query to Page, and Page to the bytes that are sent."""

from gisservice.query.geojson import encode_collection, encode_item
from gisservice.query.select import select

__all__ = ["encode_collection", "encode_item", "select"]
