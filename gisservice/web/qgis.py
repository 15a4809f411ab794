"""What QGIS opens: the vector tile connections of all layers, and the definition of one layer."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode
from xml.etree import ElementTree

from gisservice.catalog import Collection
from gisservice.model import GeometryKind
from gisservice.query.formats.desktop import MERCATOR, qlr
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterimage import PNG
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.links import style_path, tiles_path
from gisservice.web.params import read
from gisservice.web.service import Service
from gisservice.web.tilesets import Tileset
from gisservice.web.wmts import CAPABILITIES_PATH, STYLE

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
    """Return QGIS's provider for a layer, and the address in that provider's spelling.

    A raster comes by WMTS, which says how far it reaches; tiles by a bare template reach around the world. Of paging
    nothing is said: it is the default, and releases differ in what they call it.
    """
    if collection.manifest.kind is GeometryKind.RASTER:
        return "wms", urlencode(
            {
                "crs": MERCATOR,
                "format": PNG,
                "layers": collection.id,
                "styles": STYLE,
                "tileMatrixSet": WEB_MERCATOR_QUAD.id,
                "url": request.address + CAPABILITIES_PATH,
            }
        )
    parts = {
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
