"""The vector tile connections of all layers, as the file that QGIS's connection manager loads."""

from __future__ import annotations

from xml.etree import ElementTree

from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.links import style_path, tiles_path
from gisservice.web.params import read
from gisservice.web.service import Service
from gisservice.web.tilesets import Tileset

XML = "application/xml"


def connections(service: Service, request: Request) -> Answer:
    """Answer the layer list for QGIS: one connection a layer, to the tiles of its current version and its style."""
    read(request.query, ())
    tilesets = service.tilesets.published(service.published())
    key = ("qgis", service.edition, *(f"{tileset.id} {tileset.version}" for tileset in tilesets))
    offer = Offer.make(request, request.media_type(XML), key)
    name = ("Content-Disposition", 'attachment; filename="qgis-vector-tiles.xml"')
    return offer.unchanged() or offer.send(_listed(service, request, tilesets), (name,))


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
