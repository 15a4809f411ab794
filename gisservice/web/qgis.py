"""What QGIS opens: the vector tile connections of all layers, and the definition of one layer."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote
from xml.etree import ElementTree

from gisservice.catalog import Collection
from gisservice.model import GeometryKind
from gisservice.query.formats.desktop import qlr
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.links import style_path, tiles_path
from gisservice.web.params import read
from gisservice.web.service import Service
from gisservice.web.tilesets import Tileset

XML = "application/xml"
QLR = "application/x-qgis-layer-definition"


def connections(service: Service, request: Request) -> Answer:
    """Answer the layer list for QGIS: one connection a layer, to the tiles of its current version and its style."""
    read(request.query, ())
    tilesets = service.tilesets.published(service.published())
    key = ("qgis", service.edition, *(f"{tileset.id} {tileset.version}" for tileset in tilesets))
    offer = Offer.make(request, request.media_type(XML), key)
    name = ("Content-Disposition", 'attachment; filename="qgis-vector-tiles.xml"')
    return offer.unchanged() or offer.send(_listed(service, request, tilesets), (name,))


def definition(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the definition of a layer: records by OGC API Features, or picture tiles; drawn as on the maps."""
    read(request.query, ())
    collection = service.catalog.collection(collection_id)
    key = ("qlr", service.edition, collection.id, collection.version)
    offer = Offer.make(request, request.media_type(QLR, XML), key)
    name = ("Content-Disposition", f'attachment; filename="{collection.id}.qlr"')
    if unchanged := offer.unchanged():
        return unchanged
    provider, source = _source(request, collection)
    layer = replace(collection.layer, columns=collection.manifest.columns)
    return offer.send(qlr(layer, collection.manifest.kind, provider, source).encode(), (name,))


def _source(request: Request, collection: Collection) -> tuple[str, str]:
    """Return QGIS's provider for a layer, and the address in that provider's spelling."""
    layer = collection.layer
    if collection.manifest.kind is GeometryKind.RASTER:
        tiles = f"{request.address}/tiles/{collection.id}/{{z}}/{{x}}/{{y}}.png"
        return "wms", f"type=xyz&url={quote(tiles, safe='')}&zmin={layer.minzoom}&zmax={layer.maxzoom}"
    parts = {
        "pagingEnabled": "default",
        "restrictToRequestBBOX": "1",
        "srsname": "OGC:CRS84",
        "typename": collection.id,
        "url": f"{request.address}/api",
        "version": "OGC_API_FEATURES",
    }
    return "OAPIF", " ".join(f"{name}='{value}'" for name, value in parts.items())


def _listed(service: Service, request: Request, tilesets: list[Tileset]) -> bytes:
    """Write the element and attribute names that QgsManageConnectionsDialog reads (QGIS 3.16 to 3.40 and later)."""
    root = ElementTree.Element("qgsVectorTileConnections", version="1.0")
    for tileset in tilesets:
        ElementTree.SubElement(
            root,
            "vectortile",
            name=f"{service.registry.city.name}: {tileset.collection.layer.title}",
            url=request.address + tiles_path([tileset.id]),
            zmin=str(tileset.minzoom),
            zmax=str(tileset.maxzoom),
            styleUrl=request.address + style_path(tileset.id),
            serviceType="",
            authcfg="",
            username="",
            password="",
        )
    ElementTree.indent(root)
    written = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE connections>\n{written}\n'.encode()
