"""OGC Web Map Tile Service 1.0.0 (07-057r7): capabilities, RESTful tiles, and the KVP door to both.

Its layers are all rasters in every grid, and all declared maps, drawn on the server, in the grid of web maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np

from gisservice.errors import CatalogError, InvalidParameter, UnknownParameter
from gisservice.model import BBox, GeometryKind
from gisservice.query.formats import markup
from gisservice.tiles import MATRIX_SETS, TileMatrixSet
from gisservice.tiles.matrix import TILE_CELLS, VIRGINIA_NORTH_FEET, WEB_MERCATOR_QUAD, WORLD_CRS84_QUAD
from gisservice.tiles.rasterimage import FORMATS, PNG, Picture, encode
from gisservice.web import rasters
from gisservice.web.exchange import Answer, Offer, Request
from gisservice.web.maptiles import PREFIX, map_tile, map_tilesets
from gisservice.web.params import pairs, read
from gisservice.web.service import Service
from gisservice.web.tilesets import Limits

XML = "application/xml"
CAPABILITIES_PATH = "/wmts/1.0.0/WMTSCapabilities.xml"
KVP_PATH = "/wmts"
STYLE = "default"

_URNS = {
    WEB_MERCATOR_QUAD.id: "urn:ogc:def:crs:EPSG::3857",
    WORLD_CRS84_QUAD.id: "urn:ogc:def:crs:OGC:1.3:CRS84",
    VIRGINIA_NORTH_FEET.id: "urn:ogc:def:crs:EPSG::2283",
}
_SCALES = {
    WEB_MERCATOR_QUAD.id: "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible",
    WORLD_CRS84_QUAD.id: "urn:ogc:def:wkss:OGC:1.0:GoogleCRS84Quad",
}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1" \
xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://www.opengis.net/wmts/1.0 \
http://schemas.opengis.net/wmts/1.0/wmtsGetCapabilities_response.xsd" version="1.0.0">
"""
_KVP = (
    "service", "request", "version", "layer", "style", "format", "tilematrixset", "tilematrix", "tilerow", "tilecol",
    "acceptversions", "sections", "updatesequence", "acceptformats",
)  # fmt: skip


def capabilities(service: Service, request: Request) -> Answer:
    """Answer the capabilities: every raster, every map, every grid, and the template of their tiles.

    The parameters of GetCapabilities may stand behind this address, too: OWSLib puts them behind any.
    """
    values = _values(request.query)
    if (wanted := _wanted(values)) not in ("", "GetCapabilities"):
        raise InvalidParameter("request", wanted, "'GetCapabilities': this is the address of the capabilities")
    return _capabilities(service, request)


def tile(
    service: Service,
    request: Request,
    *,
    collection_id: str,
    tileMatrixSetId: str,
    tileMatrix: str,
    tileRow: str,
    tileCol: str,
    extension: str,
) -> Answer:
    """Answer one tile by its RESTful address."""
    read(request.query, ())
    return _tile(service, request, collection_id, tileMatrixSetId, (tileMatrix, tileCol, tileRow), FORMATS[extension])


def kvp(service: Service, request: Request) -> Answer:
    """Answer GetCapabilities and GetTile asked with parameters, whose names have no case (07-057r7, 8.1)."""
    values = _values(request.query)
    wanted = _wanted(values)
    if wanted == "GetCapabilities":
        return _capabilities(service, request)
    if wanted != "GetTile":
        raise InvalidParameter("request", wanted, "'GetCapabilities' or 'GetTile'")
    for name in ("layer", "tilematrixset", "tilematrix", "tilerow", "tilecol"):
        if name not in values:
            raise InvalidParameter(name, "", "a value: GetTile needs it")
    if values.get("version", "1.0.0") != "1.0.0":
        raise InvalidParameter("version", values["version"], "'1.0.0'")
    if values.get("style", STYLE) not in (STYLE, ""):
        raise InvalidParameter("style", values["style"], f"'{STYLE}'")
    media = values.get("format", PNG)
    if media not in FORMATS.values():
        raise InvalidParameter("format", media, ", ".join(repr(name) for name in FORMATS.values()))
    address = values["tilematrix"], values["tilecol"], values["tilerow"]
    return _tile(service, request, values["layer"], values["tilematrixset"], address, media)


def _tile(
    service: Service, request: Request, layer: str, set_id: str, address: tuple[str, str, str], media: str
) -> Answer:
    """Answer a tile of a raster, or of a map, whose id has a prefix; ``address`` is zoom, column and row.

    A tile is a picture also where there is nothing (07-057r7, 7.2.1): QGIS reports an answer without one as flawed.
    """
    if not layer.startswith(PREFIX):
        answer = rasters.grid_tile(service, request, collection_id=layer, set_id=set_id, address=address, media=media)
        if answer.status == 204:
            return Answer(200, (("Content-Type", media), *answer.headers), _blank(media))
        return answer
    if media != PNG:
        raise InvalidParameter("format", media, f"{PNG!r}: maps are drawn in no other")
    return map_tile(service, request, map_id=layer.removeprefix(PREFIX), set_id=set_id, address=address)


def _wanted(values: Mapping[str, str]) -> str:
    """Return what is asked of the service, "" for nothing."""
    if values.get("service", "WMTS").upper() != "WMTS":
        raise InvalidParameter("service", values["service"], "'WMTS'")
    return values.get("request", "")


@cache
def _blank(media: str) -> bytes:
    """Return the tile that shows nothing: clear, in JPEG white."""
    clear = np.zeros((1, 4), dtype=np.uint8)
    return encode(Picture(np.zeros((TILE_CELLS, TILE_CELLS, 1), dtype=np.uint8), palette=clear), media)


def _values(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs(query):
        lower = name.lower()
        if lower not in _KVP:
            raise UnknownParameter(name, _KVP)
        if lower in found:
            raise InvalidParameter(name, f"{found[lower]}, {value}", "it only once")
        found[lower] = value
    return found


@dataclass(frozen=True)
class _Layer:
    """What the capabilities say of a raster or a map. ``key`` changes with what is published of it."""

    id: str
    title: str
    abstract: str
    extent: BBox
    formats: Mapping[str, str]
    """Media types by extension."""
    limits: Callable[[TileMatrixSet], dict[int, Limits]]
    key: str


def _capabilities(service: Service, request: Request) -> Answer:
    layers = [*_rasters(service), *_maps(service)]
    offer = Offer.make(request, XML, ("wmts", service.edition, *(layer.key for layer in layers)))
    return offer.unchanged() or offer.send(_document(service, request, layers).encode())


def _rasters(service: Service) -> Iterator[_Layer]:
    for entry in service.published():
        with suppress(CatalogError):
            if entry.manifest.kind is GeometryKind.RASTER:
                found = service.rasters.one(entry.id, entry.version)
                layer, key = entry.layer, f"{found.id} {found.version}"
                yield _Layer(found.id, layer.title, layer.description, found.extent, found.formats, found.limits, key)


def _maps(service: Service) -> Iterator[_Layer]:
    for found in map_tilesets(service):
        declared = found.declared
        yield _Layer(
            found.id, declared.title, declared.description, found.extent, {"png": PNG}, found.limits, found.key
        )


def _document(service: Service, request: Request, layers: list[_Layer]) -> str:
    city = service.registry.city
    rest, door = (
        markup.attribute(request.address + CAPABILITIES_PATH),
        markup.attribute(f"{request.address}{KVP_PATH}?"),
    )
    operations = "".join(
        f'<ows:Operation name="{name}"><ows:DCP><ows:HTTP>'
        + (_get(rest, "RESTful") if name == "GetCapabilities" else "")
        + _get(door, "KVP")
        + "</ows:HTTP></ows:DCP></ows:Operation>"
        for name in ("GetCapabilities", "GetTile")
    )
    return "".join(
        (
            _HEAD,
            "<ows:ServiceIdentification>",
            _text("ows:Title", city.name),
            _text("ows:Abstract", city.notice),
            "<ows:ServiceType>OGC WMTS</ows:ServiceType><ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion>",
            "</ows:ServiceIdentification>\n<ows:OperationsMetadata>",
            operations,
            "</ows:OperationsMetadata>\n<Contents>\n",
            *(_described(request, layer) for layer in layers),
            *(_grid(grid) for grid in MATRIX_SETS.values()),
            f"</Contents>\n<ServiceMetadataURL xlink:href={rest}/>\n</Capabilities>\n",
        )
    )


def _get(address: str, encoding: str) -> str:
    return (
        f'<ows:Get xlink:href={address}><ows:Constraint name="GetEncoding"><ows:AllowedValues>'
        f"<ows:Value>{encoding}</ows:Value></ows:AllowedValues></ows:Constraint></ows:Get>"
    )


def _described(request: Request, layer: _Layer) -> str:
    west, south, east, north = layer.extent
    links = "".join(_link(layer, grid) for grid in MATRIX_SETS.values())
    resources = "".join(
        f'<ResourceURL format="{media}" resourceType="tile" template='
        + markup.attribute(
            f"{request.address}/wmts/1.0.0/{layer.id}/{STYLE}/{{TileMatrixSet}}/{{TileMatrix}}/{{TileRow}}/"
            f"{{TileCol}}.{extension}"
        )
        + "/>"
        for extension, media in layer.formats.items()
    )
    return "".join(
        (
            "<Layer>",
            _text("ows:Title", layer.title),
            _text("ows:Abstract", layer.abstract),
            f"<ows:WGS84BoundingBox><ows:LowerCorner>{west} {south}</ows:LowerCorner>"
            f"<ows:UpperCorner>{east} {north}</ows:UpperCorner></ows:WGS84BoundingBox>",
            _text("ows:Identifier", layer.id),
            f'<Style isDefault="true"><ows:Identifier>{STYLE}</ows:Identifier></Style>',
            "".join(f"<Format>{media}</Format>" for media in layer.formats.values()),
            links,
            resources,
            "</Layer>\n",
        )
    )


def _link(layer: _Layer, grid: TileMatrixSet) -> str:
    limits = "".join(
        f"<TileMatrixLimits><TileMatrix>{z}</TileMatrix><MinTileRow>{span.top}</MinTileRow>"
        f"<MaxTileRow>{span.bottom}</MaxTileRow><MinTileCol>{span.left}</MinTileCol>"
        f"<MaxTileCol>{span.right}</MaxTileCol></TileMatrixLimits>"
        for z, span in sorted(layer.limits(grid).items())
    )
    if not limits:
        return ""
    return (
        f"<TileMatrixSetLink><TileMatrixSet>{grid.id}</TileMatrixSet>"
        f"<TileMatrixSetLimits>{limits}</TileMatrixSetLimits></TileMatrixSetLink>"
    )


def _grid(grid: TileMatrixSet) -> str:
    scales = _SCALES.get(grid.id)
    matrices = "".join(
        f"<TileMatrix><ows:Identifier>{matrix.id}</ows:Identifier>"
        f"<ScaleDenominator>{matrix.scale_denominator!r}</ScaleDenominator>"
        f"<TopLeftCorner>{matrix.origin[0]!r} {matrix.origin[1]!r}</TopLeftCorner>"
        f"<TileWidth>{TILE_CELLS}</TileWidth><TileHeight>{TILE_CELLS}</TileHeight>"
        f"<MatrixWidth>{matrix.width}</MatrixWidth><MatrixHeight>{matrix.height}</MatrixHeight></TileMatrix>"
        for matrix in grid.matrices
    )
    known = f"<WellKnownScaleSet>{scales}</WellKnownScaleSet>" if scales else ""
    return (
        f"<TileMatrixSet>{_text('ows:Title', grid.title)}<ows:Identifier>{grid.id}</ows:Identifier>"
        f"<ows:SupportedCRS>{_URNS[grid.id]}</ows:SupportedCRS>{known}{matrices}</TileMatrixSet>\n"
    )


def _text(name: str, text: str) -> str:
    """Return an element with a text, rid of the characters that XML cannot hold; nothing for no text."""
    clean = markup.text(text)
    return f"<{name}>{clean}</{name}>" if clean else ""
