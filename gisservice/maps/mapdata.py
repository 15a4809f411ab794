"""What the browser's script is told of a map: plain data for one JSON block, read by static/js/map.js.

How a layer looks and how crowded it is; no drawing happens here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gisservice.maps.contexts import LayerView, Site
from gisservice.maps.speech import speech
from gisservice.model import BBox, Column, Extent, GeometryKind, MapDeclaration, Style, union

DEFAULT_ZOOM = 13
_METRES_PER_DEGREE = 111_320.0
"""Of latitude, near enough to judge how crowded a layer is; nothing is measured with it."""


def map_data(
    site: Site,
    layers: Sequence[LayerView],
    declaration: MapDeclaration | None,
    mark: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Return the page's data: where to look, how each layer (bottom first) is drawn, asked for and worded, and the
    words of the page's scripts. ``mark`` is a place (longitude, latitude) to show.
    """
    return {
        "view": {"bounds": None if mark or _is_placed(declaration) else _union(layers), "mark": mark},
        "layers": [_layer_data(site, number, view) for number, view in enumerate(layers)],
        "locale": site.language.tag,
        "report_url": site.to("/address"),
        "words": speech(site.language),
    }


def start_view(layers: Sequence[LayerView], declaration: MapDeclaration | None) -> tuple[float, float, int]:
    """Return longitude, latitude and zoom to begin with: as declared, else the middle of the layers."""
    if declaration is not None and declaration.center is not None:
        return (*declaration.center, declaration.zoom if declaration.zoom is not None else DEFAULT_ZOOM)
    west, south, east, north = _union(layers) or (0.0, 0.0, 0.0, 0.0)
    zoom = declaration.zoom if declaration is not None else None
    return (west + east) / 2, (south + north) / 2, zoom if zoom is not None else DEFAULT_ZOOM


def _is_placed(declaration: MapDeclaration | None) -> bool:
    return declaration is not None and declaration.center is not None and declaration.zoom is not None


def _union(layers: Sequence[LayerView]) -> BBox | None:
    boxes = [view.extent.bbox for view in layers if view.extent is not None]
    return union(boxes) if boxes else None


def _layer_data(site: Site, number: int, view: LayerView) -> dict[str, Any]:
    middle = 0.0 if view.extent is None else (view.extent.bbox[1] + view.extent.bbox[3]) / 2
    return {
        "number": number,
        "id": view.layer.id,
        "title": site.said(view.layer.title),
        "kind": str(view.kind),
        "count": view.count,
        "items_url": view.items_url,
        "page_url": site.to(view.page_url.removeprefix(site.base)),
        "latitude": middle,
        "spacing_m": spacing_m(view.extent, view.count),
        "style": _style_data(view.layer.style),
        "title_column": view.layer.title_column,
        "columns": [_column_data(site, column) for column in _title_first(view)],
        "tiles": _tiles_data(view),
        "picture": _picture_data(view),
    }


def _picture_data(view: LayerView) -> dict[str, Any] | None:
    if view.picture_url is None:
        return None
    bounds = None if view.extent is None else view.extent.bbox
    return {"url": view.picture_url, "minzoom": view.minzoom, "maxzoom": view.maxzoom, "bounds": bounds}


def _tiles_data(view: LayerView) -> dict[str, Any] | None:
    if view.tiles_url is None or view.kind == GeometryKind.RASTER:
        return None
    return {
        "url": view.tiles_url,
        "name": view.tiles_name or view.layer.id,
        "minzoom": view.minzoom,
        "maxzoom": view.maxzoom,
        "bounds": None if view.extent is None else view.extent.bbox,
    }


def _style_data(style: Style) -> dict[str, Any]:
    return {
        "color": style.color,
        "opacity": style.opacity,
        "outline": style.outline,
        "width": style.width,
        "radius": style.radius,
        "label": style.label,
        "by": style.by,
        "classes": [{"value": entry.value, "least": entry.least, "color": entry.color} for entry in style.classes],
    }


def _title_first(view: LayerView) -> list[Column]:
    return sorted(view.columns, key=lambda column: column.name != view.layer.title_column)


def _column_data(site: Site, column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "meaning": site.said(column.meaning),
        "type": str(column.type),
        "unit": site.said(column.unit) if column.unit else None,
        "units": site.said(site.several(column.unit)) if column.unit else None,
        "codes": [(code, site.said(meaning)) for code, meaning in column.codes],
    }


def spacing_m(extent: Extent | None, count: int) -> float:
    """Return the mean distance between neighbours, in metres, as if they were spread evenly over the extent."""
    if extent is None or count <= 0:
        return _METRES_PER_DEGREE
    west, south, east, north = extent.bbox
    width = (east - west) * _METRES_PER_DEGREE * math.cos(math.radians((south + north) / 2))
    height = (north - south) * _METRES_PER_DEGREE
    return math.sqrt(max(width, 1.0) * max(height, 1.0) / count)
