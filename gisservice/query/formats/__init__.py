"""Encoders of a page beside plain GeoJSON, and the table of all formats."""

from gisservice.query.formats.delimited import encode_csv
from gisservice.query.formats.extract import Extract
from gisservice.query.formats.flatgeobuf import encode_flatgeobuf
from gisservice.query.formats.jsonfg import encode_jsonfg, encode_jsonfg_item
from gisservice.query.formats.sequence import encode_sequence
from gisservice.query.formats.table import CSV, FLATGEOBUF, FORMATS, GEOJSON, JSON_FG, SEQUENCE, Format

__all__ = [
    "CSV",
    "FLATGEOBUF",
    "FORMATS",
    "GEOJSON",
    "JSON_FG",
    "SEQUENCE",
    "Extract",
    "Format",
    "encode_csv",
    "encode_flatgeobuf",
    "encode_jsonfg",
    "encode_jsonfg_item",
    "encode_sequence",
]
