"""Maps as pictures and for print: the question, checked and bounded before any work, and its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING

from gisservice.errors import CatalogError, CollectionNotFound, InvalidParameter, LimitExceeded
from gisservice.maps.assets import LETTERS
from gisservice.maps.contexts import Site
from gisservice.maps.languages import ENGLISH, LANGUAGES
from gisservice.maps.mapdata import spacing_m
from gisservice.model import BBox, Condition, MapDeclaration, union
from gisservice.query.rastering import PLAIN, RELIEF
from gisservice.tiles.matrix import WEB_MERCATOR_QUAD
from gisservice.tiles.rasterdraw import draw
from gisservice.tiles.rasterimage import PNG
from gisservice.tiles.rasterpyramid import PIXELS
from gisservice.tiles.rasterwarp import Rect
from gisservice.web import choosing, exchange, pages
from gisservice.web.exchange import BRIEFLY, INERT, Answer, Headers, Request
from gisservice.web.mapfilters import CONDITIONS_MAX, read_conditions, read_hidden
from gisservice.web.params import Parameter, decimal, numbers, read, whole
from gisservice.web.rastersets import RasterTileset
from gisservice.web.service import Service
from gisservice.web.sites import LANGUAGE, site_of
from gisservice.web.tileparams import TileOptions
from gisservice.web.tilesets import Tileset

if TYPE_CHECKING:
    from gisservice.maps.drawnmap import Frame, RasterLayer, VectorLayer, Words

PDF = "application/pdf"

SIDE_MIN, SIDE_MAX = 16, 4096
"""CSS pixels of a side of a picture."""

PIXELS_MAX = 4_000_000
"""Most pixels of a picture, those of ``scale`` counted."""

ZOOM_MAX = 22.0

_LATITUDE_MAX = 85.0
_PLACE_ZOOM, _PLACE_DEGREES = 17.0, 0.001
_WORLD: BBox = (-180.0, -85.0, 180.0, 85.0)
_WIDTH, _HEIGHT = 800, 600
_TILE_PIXELS = 512
"""CSS pixels that a vector tile is drawn wide, as the page of the map does."""
_WHERE = "west,south,east,north in degrees, west before east and south before north, latitudes from -85 to 85"

NAMES = ("bbox", "center", "zoom", "width", "height", "hidden", "where", LANGUAGE)
"""What a print takes."""

PICTURE_NAMES = (*NAMES, "scale")
"""What a picture takes."""

LAYERS = choosing.LAYERS
"""What a print or a picture of chosen layers takes, too."""

_SIDE = {"type": "integer", "minimum": SIDE_MIN, "maximum": SIDE_MAX}

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "bbox",
        "What is shown at least: west, south, east, north in degrees (CRS84); the picture shows more to two sides "
        "where its shape is another. Instead of center and zoom.",
        {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
    ),
    Parameter(
        "center",
        "The middle: longitude, latitude in degrees (CRS84). Without it that which the map declares.",
        {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    ),
    Parameter(
        "zoom",
        "How large: at 0 the world is 256 pixels wide, and each step doubles it. Without it what the map declares.",
        {"type": "number", "minimum": 0, "maximum": ZOOM_MAX},
    ),
    Parameter("width", "CSS pixels (1/96 inch) from left to right.", {**_SIDE, "default": _WIDTH}),
    Parameter("height", "CSS pixels (1/96 inch) from top to bottom.", {**_SIDE, "default": _HEIGHT}),
    Parameter(
        "scale",
        f"Pixels of the picture for each CSS pixel, across and down; at most {PIXELS_MAX:,} pixels in all.",
        {"type": "integer", "enum": [1, 2], "default": 1},
    ),
    Parameter(
        "hidden",
        "Ids of layers of the map that are not drawn, separated by commas, as in the address of the map's page.",
        {"type": "array", "items": {"type": "string"}},
    ),
    Parameter(
        "where",
        "Conditions that records of their layers are to pass, separated by commas, as in the address of the map's "
        "page: layer.column.operator.value. Operators are is, contains, least, most, since, until and empty, the last "
        "without a value. Inside a condition a comma is written %2C and a percent sign %25, before the address as a "
        "whole is percent-encoded.",
        {"type": "array", "items": {"type": "string"}, "maxItems": CONDITIONS_MAX},
    ),
    Parameter(
        LANGUAGE,
        "The language of the words on it, as of the pages; without it the one that Accept-Language likes best.",
        {"type": "string", "enum": list(LANGUAGES)},
    ),
    Parameter(
        "layers",
        f"Ids of the collections to draw, separated by commas, at most {choosing.LAYERS_MAX}; areas lie below lines, "
        "and these below points.",
        {"type": "array", "items": {"type": "string"}, "maxItems": choosing.LAYERS_MAX},
        required=True,
    ),
)
"""What the names above mean, as the API publishes it."""


def component(name: str) -> str:
    """Return what the API's description calls a parameter of pictures of maps."""
    return f"map-{name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, as far as that needs no map. Either ``bbox``, or what is given of the other two."""

    bbox: BBox | None
    center: tuple[float, float] | None
    zoom: float | None
    width: int
    height: int
    scale: int
    hidden: str | None = None
    """As given, as ``where``: what there is to be named depends on the map."""
    where: str | None = None


@dataclass(frozen=True)
class Left:
    """What of its layers a picture has left: the filter of each layer that has one, and each in words."""

    filters: Mapping[str, Condition] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """All that determines what is drawn."""
        return tuple(f"{name} {condition.text}" for name, condition in self.filters.items())


def map_png(service: Service, request: Request, *, map_id: str) -> Answer:
    """Answer a picture of a map."""
    values = read(request.query, PICTURE_NAMES)
    return _answer(service, request, pages.declared(service, map_id), values, PNG)


def map_pdf(service: Service, request: Request, *, map_id: str) -> Answer:
    """Answer a map for print: vectors, at 96 CSS pixels an inch."""
    values = read(request.query, NAMES)
    return _answer(service, request, pages.declared(service, map_id), values, PDF)


def chosen_png(service: Service, request: Request) -> Answer:
    """Answer a picture of layers of the asker's choice."""
    return _chosen(service, request, PICTURE_NAMES, PNG)


def chosen_pdf(service: Service, request: Request) -> Answer:
    """Answer layers of the asker's choice for print."""
    return _chosen(service, request, NAMES, PDF)


def _chosen(service: Service, request: Request, names: tuple[str, ...], media: str) -> Answer:
    values = read(request.query, (*names, LAYERS))
    return _answer(service, request, choosing.own_map(service, values.get(LAYERS, "")), values, media)


def parse(values: Mapping[str, str]) -> Asked:
    """Check the parameters. Raises :class:`InvalidParameter` and :class:`LimitExceeded`."""
    if values.get(LANGUAGE, ENGLISH.code) not in LANGUAGES:
        raise InvalidParameter(LANGUAGE, values[LANGUAGE], f"one of {', '.join(LANGUAGES)}")
    width = whole("width", values["width"], SIDE_MIN, SIDE_MAX) if "width" in values else _WIDTH
    height = whole("height", values["height"], SIDE_MIN, SIDE_MAX) if "height" in values else _HEIGHT
    scale = whole("scale", values["scale"], 1, 2) if "scale" in values else 1
    if width * height * scale**2 > PIXELS_MAX:
        raise LimitExceeded("A picture", width * height * scale**2, PIXELS_MAX, "pixels")
    left = values.get("hidden"), values.get("where")
    if "bbox" in values:
        for name in ("center", "zoom"):
            if name in values:
                raise InvalidParameter(name, values[name], "either bbox, or center and zoom")
        return Asked(_box(values["bbox"], width, height), None, None, width, height, scale, *left)
    center = _center(values["center"]) if "center" in values else None
    zoom = _zoom(values["zoom"]) if "zoom" in values else None
    return Asked(None, center, zoom, width, height, scale, *left)


def _box(text: str, width: int, height: int) -> BBox:
    west, south, east, north = numbers("bbox", text, 4, _WHERE)
    if not (-180 <= west < east <= 180 and -_LATITUDE_MAX <= south < north <= _LATITUDE_MAX):
        raise InvalidParameter("bbox", text, _WHERE)
    share = max((east - west) / width, (north - south) / height) / 360.0
    if share * 256 * 2**ZOOM_MAX < 1:
        raise InvalidParameter("bbox", text, f"a larger box, or fewer pixels: it is beyond zoom {ZOOM_MAX:g}")
    return west, south, east, north


def _center(text: str) -> tuple[float, float]:
    expected = "longitude,latitude in degrees, such as -77.05,38.81; latitudes from -85 to 85"
    longitude, latitude = numbers("center", text, 2, expected)
    if abs(longitude) > 180 or abs(latitude) > _LATITUDE_MAX:
        raise InvalidParameter("center", text, expected)
    return longitude, latitude


def _zoom(text: str) -> float:
    expected = f"a number from 0 to {ZOOM_MAX:g}"
    zoom = decimal("zoom", text, expected)
    if not 0 <= zoom <= ZOOM_MAX:
        raise InvalidParameter("zoom", text, expected)
    return zoom


@dataclass(frozen=True)
class MapPicture:
    """A picture to draw: of which versions, what it shows, and in which form."""

    service: Service
    declared: MapDeclaration
    tilesets: tuple[Tileset | RasterTileset, ...]
    frame: Frame
    scale: int
    media: str
    left: Left = Left()
    words: Words | None = None
    """What is written on it, beside names, scale and arrow; None for a tile, which has nothing but its layers."""

    @property
    def key(self) -> tuple[str, ...]:
        """All that determines its bytes, but the release and the registry."""
        versions = (f"{tileset.id} {tileset.version}" for tileset in self.tilesets)
        letters = ",".join(self.service.assets[name].path for name in LETTERS)
        form = str(self.scale), self.media, repr(self.words)
        return ("map", self.declared.id, *versions, repr(self.frame), *form, *self.left.key, letters, _drawer())

    def make(self) -> bytes:
        """Draw it."""
        from gisservice.maps.drawnmap import draw_layers, draw_map
        from gisservice.maps.lettering import lettering

        service, is_print = self.service, self.media == PDF
        letters = lettering(tuple(service.settings.static / service.assets[name].path for name in LETTERS))
        legends = self.words.legends if self.words else (None,) * len(self.tilesets)
        found = zip(map(self._layer, self.tilesets), legends, strict=True)
        layers = [replace(layer, legend=told) for layer, told in found if layer is not None]
        if self.words is None:
            return draw_layers(self.frame, layers, letters, self.scale)[0].png()
        canvas = draw_map(self.frame, layers, self.words, letters, 0 if is_print else self.scale)
        return canvas.pdf(self.words.title, self.words.language.code) if is_print else canvas.png()

    def _layer(self, tileset: Tileset | RasterTileset) -> VectorLayer | RasterLayer | None:
        return self._vector(tileset) if isinstance(tileset, Tileset) else self._raster(tileset)

    def _vector(self, tileset: Tileset) -> VectorLayer | None:
        """Return what a layer shows; None where the page of the map shows nothing of it, either."""
        from gisservice.maps.drawnmap import VectorLayer, share_of_world
        from gisservice.query.scenery import scenery

        nominal = math.log2(self.frame.world / _TILE_PIXELS)
        if nominal < tileset.minzoom - 1e-9:
            return None
        # A print and a picture of twice the pixels take the shapes of the next zoom, where there is one.
        finer = 1 if self.media == PDF else self.scale - 1
        z = min(math.ceil(nominal - 1e-9) + finer, tileset.maxzoom)
        manifest, style = tileset.collection.manifest, self.declared.styled(tileset.collection.layer).style
        passing = self.left.filters.get(tileset.id)
        found = scenery(tileset.features, tileset.levels, self.frame.around_box, z, style, passing)
        spacing = share_of_world(spacing_m(manifest.extent, manifest.count), tileset.extent)
        return VectorLayer(found, style, spacing) if len(found.shapes) else None

    def _raster(self, tileset: RasterTileset) -> RasterLayer | None:
        from gisservice.maps.drawnmap import RasterLayer

        frame, (first, last) = self.frame, tileset.zooms(WEB_MERCATOR_QUAD)
        if frame.zoom < first - 1e-9:
            return None
        z = min(round(frame.zoom + (1 if self.media == PDF else self.scale - 1)), last)
        share = PIXELS * 2.0**z / frame.world
        column, row = math.floor(frame.left * share), math.floor(frame.top * share)
        right, bottom = math.ceil((frame.left + frame.width) * share), math.ceil((frame.top + frame.height) * share)
        rect = Rect(column, row, right - column, bottom - row)
        rect = rect.within(tileset.warp(WEB_MERCATOR_QUAD).reach(z, PIXELS))
        if rect.width <= 0 or rect.height <= 0:
            return None
        is_relief = self.declared.shades(tileset.collection.layer)
        rendering = tileset.rendering(RELIEF if is_relief else PLAIN)
        picture = draw(tileset.warp(WEB_MERCATOR_QUAD), z, PIXELS, rect, rendering)
        if picture is None:
            return None
        left, top = rect.column / share - frame.left, rect.row / share - frame.top
        size = rect.width / share, rect.height / share
        return RasterLayer(picture.rgba(), left, top, *size, tileset.collection.layer.style.opacity)


@lru_cache(maxsize=1)
def _drawer() -> str:
    return metadata.version("pypdfium2")


def _answer(
    service: Service, request: Request, declared: MapDeclaration, values: Mapping[str, str], media: str
) -> Answer:
    asked, site = parse(values), site_of(service, request, "", None)
    tilesets = drawn_layers(service, declared)
    hidden = frozenset() if asked.hidden is None else read_hidden(asked.hidden, declared.layers)
    left = Left() if asked.where is None else _left(site, asked.where, tilesets, hidden)
    frame = _frame(asked, declared, tilesets)
    shown = tuple(tileset for tileset in tilesets if tileset.id not in hidden)
    words = _words(site, declared, shown, left)
    picture = MapPicture(service, declared, shown, frame, asked.scale, media, left, words)
    told = (("Content-Language", site.language.code), ("Vary", "Accept-Language"))
    return answered(request, picture, (*_placed(frame), *told))


def _words(site: Site, declared: MapDeclaration, shown: tuple[Tileset | RasterTileset, ...], left: Left) -> Words:
    from gisservice.maps.printwords import print_legend, print_words

    manifests = [(tileset.collection.layer, tileset.collection.manifest) for tileset in shown]
    legends = tuple(
        print_legend(site, declared, layer, manifest.kind, manifest.columns) for layer, manifest in manifests
    )
    newest = max((manifest.created for _, manifest in manifests), default=None)
    return print_words(site, declared, [layer for layer, _ in manifests], newest, left.words, legends)


def _left(site: Site, where: str, tilesets: tuple[Tileset | RasterTileset, ...], hidden: frozenset[str]) -> Left:
    """Return what conditions leave of the layers that are shown; those on hidden layers are checked, too."""
    layers = {tileset.id: tileset for tileset in tilesets if isinstance(tileset, Tileset)}
    conditions = read_conditions(where, {name: tileset.columns for name, tileset in layers.items()})
    filters: dict[str, Condition] = {}
    words = []
    for name, tileset in layers.items():
        theirs = [condition for condition in conditions if condition.layer == name]
        found = tileset.filter_of(TileOptions(" AND ".join(one.cql for one in theirs) or None))
        if found is not None and name not in hidden:
            filters[name] = found
            title = site.language.isolated(site.said(tileset.collection.layer.title))
            words.append(f"{title}: {site.language.listed([one.told(site) for one in theirs])}")
    return Left(filters, tuple(words))


def answered(request: Request, picture: MapPicture, extra: Headers = ()) -> Answer:
    """Answer a picture under a tag that is known without it; 304 where the caller has it."""
    service, key = picture.service, picture.key
    etag = exchange.entity_tag(*key, service.edition)
    headers: Headers = (("ETag", etag), ("Cache-Control", BRIEFLY), INERT, *extra)
    if request.has(etag):
        return Answer(304, headers)
    return Answer(200, (("Content-Type", picture.media), *headers), service.drawn(request, key, picture.make))


def drawn_layers(service: Service, declared: MapDeclaration) -> tuple[Tileset | RasterTileset, ...]:
    """Return the layers of a map that are published, bottom first: the picture is drawn without others, as its page."""
    found: list[Tileset | RasterTileset] = []
    for name in declared.layers:
        try:
            raster = service.rasters.holds(name)
            found.append(service.rasters.one(name) if raster else service.tilesets.one(name))
        except (CollectionNotFound, CatalogError):
            continue
    return tuple(found)


def _frame(asked: Asked, declared: MapDeclaration, tilesets: tuple[Tileset | RasterTileset, ...]) -> Frame:
    from gisservice.maps.drawnmap import Frame

    size = asked.width, asked.height
    if asked.bbox is not None:
        return Frame.of_box(asked.bbox, *size)
    extent = union([tileset.extent for tileset in tilesets]) if tilesets else _WORLD
    everything = _whole(extent, size)
    center, zoom = asked.center or declared.center, declared.zoom if asked.zoom is None else asked.zoom
    if center is None and zoom is None:
        return everything
    middle = (extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2
    return Frame.around(center or middle, everything.zoom if zoom is None else zoom, *size)


def _whole(extent: BBox, size: tuple[int, int]) -> Frame:
    """Return the frame that holds a box of data; around a single place it is as close as houses are looked at."""
    from gisservice.maps.drawnmap import Frame

    west, south, east, north = extent
    if east - west < _PLACE_DEGREES and north - south < _PLACE_DEGREES:
        return Frame.around((west, south), _PLACE_ZOOM, *size)
    return Frame.of_box(extent, *size)


def _placed(frame: Frame) -> Headers:
    """Say what the picture shows (OGC API Maps 1, 20-058, 7.3)."""
    box = ",".join(f"{value:.3f}" for value in frame.mercator)
    return (("Content-Crs", "<http://www.opengis.net/def/crs/EPSG/0/3857>"), ("Content-Bbox", box))
