"""Links between resources: every address that the service writes is made here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

import orjson

from gisservice.query.downloads import LONLAT
from gisservice.web.exchange import Request

JSON = "application/json"
GEOJSON = "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
HTML = "text/html"
SCHEMA_JSON = "application/schema+json"

QGIS_PATH = "/api/qgis.xml"
"""The layer list for QGIS."""

CATALOG_PATH, DCAT_PATH, POD_PATH = "/api/collections/catalog", "/catalog.json", "/data.json"
"""The catalogue of all layers: as records, as DCAT-US 3.0, as DCAT-US 1.1 (Project Open Data)."""

FEED_PATH = "/feed.xml"
"""The feed of publications."""

REL = "http://www.opengis.net/def/rel/ogc/1.0"
"""What the relation types that OGC registers begin with."""

Link = dict[str, str]

QUERYABLES, SORTABLES, SCHEMA = f"{REL}/queryables", f"{REL}/sortables", f"{REL}/schema"

TemplatedLink = Mapping[str, str | bool]
"""A link whose address may be a template (``templated`` is then true)."""


def link(request: Request, path: str, rel: str, media: str, title: str) -> Link:
    """Return a link object (OGC API Common 1, 7.3) to a path of this service."""
    return {"href": request.address + path, "rel": rel, "type": media, "title": title}


def header(links: list[Link]) -> str:
    """Return the links as the value of a Link header (RFC 8288)."""
    return ", ".join(f'<{entry["href"]}>; rel="{entry["rel"]}"; type="{entry["type"]}"' for entry in links)


class Written(NamedTuple):
    """Links as they are sent: as a JSON array, and as the value of a Link header."""

    json: orjson.Fragment
    header: str


class Pattern:
    """Links with blanks in their addresses, ``%(name)s``, written but for these: a page fills them in at little cost.

    What is filled in must need no escape in JSON or a header, as the query strings that we write do not.
    """

    def __init__(self, links: list[Link], more: str = "") -> None:
        """Write the links; ``more`` stands behind them in the header."""
        self._json = _BLANK.split(orjson.dumps(links).decode())
        self._header = _BLANK.split(header(links) + more)

    def filled(self, blanks: Mapping[str, str]) -> Written:
        """Return the links with their blanks filled in."""
        return Written(orjson.Fragment(_joined(self._json, blanks)), _joined(self._header, blanks))


_BLANK = re.compile(r"%\((\w+)\)s", re.ASCII)


def _joined(pieces: list[str], blanks: Mapping[str, str]) -> str:
    """Return texts in turn with the names of blanks as one text, these filled in; ``%`` takes three times as long."""
    whole = pieces.copy()
    whole[1::2] = [blanks[name] for name in pieces[1::2]]
    return "".join(whole)


def collection_path(collection_id: str) -> str:
    """Return the path of a collection."""
    return f"/api/collections/{collection_id}"


def items_path(collection_id: str, query: str = "") -> str:
    """Return the path of a collection's items, with a query string."""
    return f"{collection_path(collection_id)}/items" + (f"?{query}" if query else "")


def item_path(collection_id: str, item_id: str, query: str = "") -> str:
    """Return the path of an item, with a query string; its id may hold any character."""
    return f"{items_path(collection_id)}/{quote(item_id, safe='')}" + (f"?{query}" if query else "")


def dictionary_path(collection_id: str, form: str = "") -> str:
    """Return the path of a collection's data dictionary, in a named format."""
    return f"{collection_path(collection_id)}/dictionary" + (f"?f={form}" if form else "")


def tiles_path(collection_ids: Sequence[str], versions: Sequence[str] = (), query: str = "") -> str:
    """Return the path template of tiles, with ``{z}``, ``{x}`` and ``{y}`` in it: of these versions, or the current."""
    names = "/".join(",".join(part) for part in (collection_ids, versions) if part)
    return f"/tiles/{names}/{{z}}/{{x}}/{{y}}.mvt" + (f"?{query}" if query else "")


def map_tiles_path(collection_id: str) -> str:
    """Return the path of the map tilesets of a raster."""
    return f"{collection_path(collection_id)}/map/tiles"


def raster_tiles_path(collection_id: str, version: str, extension: str, query: str = "") -> str:
    """Return the path template of a raster's tiles, of one version."""
    return f"/tiles/{collection_id}/{version}/{{z}}/{{x}}/{{y}}.{extension}" + (f"?{query}" if query else "")


def contours_path(collection_id: str, version: str, query: str = "") -> str:
    """Return the path template of a raster's contours, of one version."""
    return f"/tiles/{collection_id}/contours/{version}/{{z}}/{{x}}/{{y}}.mvt" + (f"?{query}" if query else "")


def tilejson_path(collection_id: str) -> str:
    """Return the path of the TileJSON of a collection."""
    return f"/tiles/{collection_id}.json"


def archive_path(collection_id: str) -> str:
    """Return the path of the PMTiles archive of a collection."""
    return f"/tiles/{collection_id}.pmtiles"


def download_path(collection_id: str, extension: str, system: str, version: str = "") -> str:
    """Return the path of a whole layer as a file, in degrees or in another system: of a version, or the current."""
    name = f"{collection_id}/{version}" if version else collection_id
    return f"/download/{name}.{extension}" + ("" if system == LONLAT else f"?crs={quote(system, safe=':')}")


def downloads_path(collection_id: str, version: str = "") -> str:
    """Return the path of the list of a layer's files: of a version, or of the current one."""
    return f"/download/{collection_id}" + (f"/{version}" if version else "")


def changes_path(collection_id: str, query: str) -> str:
    """Return the path of what changed in a collection, with a query string."""
    path = f"{collection_path(collection_id)}/changes"
    return f"{path}?{query}" if query else path


def style_path(collection_id: str) -> str:
    """Return the path of the MapLibre style of a collection."""
    return f"/tiles/{collection_id}/style.json"


def report_path(collection_id: str) -> str:
    """Return the path of the account of a collection's tiles."""
    return f"/tiles/{collection_id}/report"


def matrix_set_path(set_id: str) -> str:
    """Return the path of a tile matrix set."""
    return f"/api/tileMatrixSets/{set_id}"
