"""Links between resources: every address that the service writes is made here."""

from __future__ import annotations

from urllib.parse import quote

from gisservice.web.exchange import Request

JSON = "application/json"
GEOJSON = "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
HTML = "text/html"

Link = dict[str, str]


def link(request: Request, path: str, rel: str, media: str, title: str) -> Link:
    """Return a link object (OGC API Common 1, 7.3) to a path of this service."""
    return {"href": request.address + path, "rel": rel, "type": media, "title": title}


def header(links: list[Link]) -> str:
    """Return the links as the value of a Link header (RFC 8288)."""
    return ", ".join(f'<{entry["href"]}>; rel="{entry["rel"]}"; type="{entry["type"]}"' for entry in links)


def collection_path(collection_id: str) -> str:
    """Return the path of a collection."""
    return f"/api/collections/{collection_id}"


def items_path(collection_id: str, query: str = "") -> str:
    """Return the path of a collection's items, with a query string."""
    return f"{collection_path(collection_id)}/items" + (f"?{query}" if query else "")


def item_path(collection_id: str, item_id: str) -> str:
    """Return the path of an item; its id may hold any character."""
    return f"{items_path(collection_id)}/{quote(item_id, safe='')}"


def tiles_path(collection_id: str, version: str) -> str:
    """Return the path template of the tiles of one version, with ``{z}``, ``{x}`` and ``{y}`` in it."""
    return f"/tiles/{collection_id}/{version}/{{z}}/{{x}}/{{y}}.mvt"
