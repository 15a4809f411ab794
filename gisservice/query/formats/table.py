"""The formats that a page of items can have: one table, which negotiation, links and the API's description share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """One format of a page.

    ``name`` is what ``f`` says, ``media`` what is sent as Content-Type, ``also`` further media types that an Accept
    header may ask for it by. ``links_in_body`` tells whether the body has room for links; where it has none, the
    Link header alone leads to the next page. Each format there is once, and is told from others by being it.
    """

    name: str
    title: str
    media: str
    extension: str
    also: tuple[str, ...] = ()
    links_in_body: bool = False
    profile: str | None = None
    """URI of the profile that tells this format from another of the same media type (JSON-FG 1.0, clause 14)."""


GEOJSON = Format("json", "GeoJSON", "application/geo+json", "geojson", ("application/json",), links_in_body=True)
JSON_FG = Format(
    "jsonfg",
    "JSON-FG",
    "application/geo+json",
    "json",
    ("application/fg+json", "application/vnd.ogc.fg+json"),
    links_in_body=True,
    profile="http://www.opengis.net/def/profile/OGC/0/jsonfg",
)
SEQUENCE = Format("geojsonseq", "GeoJSON text sequence", "application/geo+json-seq", "geojsons")
CSV = Format("csv", "CSV", "text/csv; charset=utf-8; header=present", "csv")
FLATGEOBUF = Format("fgb", "FlatGeobuf", "application/flatgeobuf", "fgb")

FORMATS: dict[str, Format] = {entry.name: entry for entry in (GEOJSON, JSON_FG, SEQUENCE, CSV, FLATGEOBUF)}
"""By the name that ``f`` says, the default first."""
