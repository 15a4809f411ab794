"""A map drawn on the server: its layers as the browser draws them, names, and a frame for print.

What is drawn is handed in; nothing is read here. :class:`Frame` is settled first: it says which part of the world the
picture shows, to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from gisservice.crs import square_lonlat, square_positions
from gisservice.maps.canvas import Canvas, Positions
from gisservice.maps.drawnlegend import LayerLegend, draw_legend
from gisservice.maps.languages import ENGLISH, Language
from gisservice.maps.lettering import Lettering
from gisservice.model import BBox, GeometryKind, Style
from gisservice.query.scenery import Scenery
from gisservice.tiles.grid import EXTENT
from gisservice.tiles.rasterimage import Bytes
from gisservice.tiles.shapes import Flags, Ints, Shapes, concatenate, from_polygons, to_polygons

WORLD_M = 2 * math.pi * 6_378_137.0
"""The side of the Web Mercator square, metres of its own."""

_ECCENTRICITY = 0.00669437999014
_FEET = (("mile", 1609.344), ("foot", 0.3048))
_METRES = (("kilometer", 1000.0), ("meter", 1.0))
"""Units of the scale bars, as CLDR calls them, in metres; the larger ones first."""

NORTH = "N"
"""On the arrow; a text of the interface."""

_LAND, _INK, _HALO = "#e1e7ea", "#26313b", "#ffffff"
_MARGIN = 64.0
"""CSS pixels around the picture at which shapes are cut; wider than any outline and any disc."""

_FINER = 4
"""Bits that positions have more while shapes are cut, so that a cut edge runs on as it did: to 1/128 of a pixel."""

_FULL_WIDTH_SPACING, _NO_OUTLINE_SPACING = 36.0, 6.0
"""CSS pixels between neighbours: from which lines have their declared width; below which outlines would smear."""

_NAME_SIZE, _SMALL_SIZE, _LINE = 12.0, 10.0, 1.35
_REPEAT = 320.0
"""CSS pixels before a name is drawn again."""
_NAMES_MAX = 400
"""Names of a layer that a place is looked for, the largest shapes first."""


@dataclass(frozen=True)
class Frame:
    """What a picture shows: the pixels from ``left`` and ``top`` of a world that is ``world`` CSS pixels wide."""

    world: float
    left: float
    top: float
    width: int
    height: int

    @classmethod
    def around(cls, center: tuple[float, float], zoom: float, width: int, height: int) -> Frame:
        """Return the frame around a position (degrees, CRS84); at zoom 0 the world is 256 pixels wide."""
        world = 256.0 * 2.0**zoom
        x, y = square_positions(np.array([center]))[0] * world
        # On whole pixels, so that the pixels of a raster are those of the picture.
        return cls(world, float(round(x - width / 2)), float(round(y - height / 2)), width, height)

    @classmethod
    def of_box(cls, bbox: BBox, width: int, height: int) -> Frame:
        """Return the frame that just holds a box (degrees, CRS84), which lies in its middle."""
        west, south, east, north = bbox
        (x0, y0), (x1, y1) = square_positions(np.array([[west, north], [east, south]])).tolist()
        world = min(size / side for size, side in ((width, x1 - x0), (height, y1 - y0)) if side)
        return cls(world, (x0 + x1) / 2 * world - width / 2, (y0 + y1) / 2 * world - height / 2, width, height)

    @property
    def zoom(self) -> float:
        """The zoom at which the world has this width."""
        return math.log2(self.world / 256.0)

    @property
    def bbox(self) -> BBox:
        """What it shows, degrees in CRS84; cut where the world ends."""
        edges = np.array([[self.left, self.top], [self.left + self.width, self.top + self.height]]) / self.world
        (west, north), (east, south) = square_lonlat(np.clip(edges, 0.0, 1.0)).tolist()
        return west, south, east, north

    @property
    def around_box(self) -> BBox:
        """The box, degrees in CRS84, of all shapes that can show in the picture, with their outlines."""
        grown = (round(side + 2 * _MARGIN) for side in (self.width, self.height))
        return Frame(self.world, self.left - _MARGIN, self.top - _MARGIN, *grown).bbox

    @property
    def mercator(self) -> BBox:
        """What it shows, metres in EPSG:3857."""
        metres = WORLD_M / self.world
        west, north = self.left * metres - WORLD_M / 2, WORLD_M / 2 - self.top * metres
        return west, north - self.height * metres, west + self.width * metres, north

    @property
    def ground_m(self) -> float:
        """How many metres on the ellipsoid of WGS 84 a pixel is from west to east, in the middle."""
        share = np.array([[0.5, min(max((self.top + self.height / 2) / self.world, 0.0), 1.0)]])
        latitude = math.radians(float(square_lonlat(share)[0, 1]))
        return math.cos(latitude) * WORLD_M / self.world / math.sqrt(1 - _ECCENTRICITY * math.sin(latitude) ** 2)

    def pixels(self, shapes: Shapes, z: int) -> Positions:
        """Return the vertices of shapes in level units of a zoom as pixels of the picture."""
        placed: Positions = shapes.xy * (self.world / (EXTENT << z)) - np.array([self.left, self.top])
        return placed


@dataclass(frozen=True)
class VectorLayer:
    """Shapes and how they are drawn; ``spacing`` is how far its features are apart on average, in widths of the world.

    It belongs to the layer, not to the picture (:func:`share_of_world`), so all tiles of a zoom agree.
    """

    scenery: Scenery
    style: Style
    spacing: float
    legend: LayerLegend | None = None


@dataclass(frozen=True)
class RasterLayer:
    """An image, shape (rows, columns, 4), and the box of CSS pixels of the picture that it fills."""

    rgba: Bytes
    left: float
    top: float
    width: float
    height: float
    opacity: float
    legend: LayerLegend | None = None


@dataclass(frozen=True)
class Words:
    """What is written on the map: its title, the lines below (sources, date, notice), and in which language.

    ``legends`` has one for each layer of the map, bottom first; in it stands what shows in the picture.

    A map in a language from right to left has its words and its scale on the right, and the arrow on the left.
    """

    title: str
    lines: tuple[str, ...]
    language: Language = ENGLISH
    legends: tuple[LayerLegend, ...] = ()

    @property
    def leftward(self) -> bool:
        """Whether its lines run from right to left."""
        return self.language.direction == "rtl"


def share_of_world(length_m: float, bbox: BBox) -> float:
    """Return a length on the ground in the middle of a box (CRS84) in widths of the world, on a sphere as browsers do.

    >>> round(1 / share_of_world(1000, (-77.1, 38.8, -77.0, 38.82)))
    31232
    """
    return length_m / WORLD_M / math.cos(math.radians(min(max((bbox[1] + bbox[3]) / 2, -85.0), 85.0)))


def draw_layers(
    frame: Frame, layers: Sequence[VectorLayer | RasterLayer], letters: Lettering, pixels: int
) -> tuple[Canvas, list[_Placed]]:
    """Return the drawing of layers, bottom first, and where their shapes lie; ``pixels`` as in :class:`Canvas`.

    A pixel comes out alike in every frame of one ``world`` whose corner is a whole pixel: so tiles have no seams.
    """
    canvas = Canvas(frame.width, frame.height, letters, pixels)
    canvas.box(0, 0, frame.width, frame.height, _LAND)
    named = []
    for layer in layers:
        if isinstance(layer, RasterLayer):
            canvas.image(layer.rgba, layer.left, layer.top, layer.width, layer.height, layer.opacity)
            continue
        placed = _Placed.of(frame, layer)
        placed.draw(canvas)
        named.append(placed)
    return canvas, named


def draw_map(
    frame: Frame, layers: Sequence[VectorLayer | RasterLayer], words: Words, letters: Lettering, pixels: int
) -> Canvas:
    """Return the drawing of layers with their names, in a frame of title, sources, legend, scale and north arrow."""
    canvas, named = draw_layers(frame, layers, letters, pixels)
    taken = _Taken(frame)
    foot = _foot(canvas, words, taken)
    _arrow(canvas, words, taken)
    top = _scale_bar(canvas, frame, words, foot, taken)
    box = draw_legend(canvas, _legends(layers, named), top, leftward=words.leftward)
    if box is not None:
        taken.add(*box)
    _names(canvas, named, taken)
    return canvas


def _legends(layers: Sequence[VectorLayer | RasterLayer], named: Sequence[_Placed]) -> list[LayerLegend]:
    """Return what the legend says of the layers, topmost first: only of classes that show in the picture."""
    placed, found = iter(named), []
    for layer in layers:
        legend = layer.legend
        if isinstance(layer, VectorLayer):
            classes = next(placed).classes
            legend = legend and (legend.of_classes(classes) if classes else None)
        if legend is not None:
            found.append(legend)
    return found[::-1]


@dataclass(frozen=True)
class _Placed:
    """A layer's shapes, cut to the picture and its margin; ``origin`` says which shape of the layer each is."""

    frame: Frame
    layer: VectorLayer
    shapes: Shapes
    xy: Positions
    origin: Ints
    crowd: float

    @classmethod
    def of(cls, frame: Frame, layer: VectorLayer) -> _Placed:
        found, z = layer.scenery, layer.scenery.z + _FINER
        shapes, origin = _cut(replace(found.shapes, xy=found.shapes.xy << _FINER), frame, z)
        return cls(frame, layer, shapes, frame.pixels(shapes, z), origin, layer.spacing * frame.world)

    @property
    def classes(self) -> list[int]:
        """The numbers of the classes that show, ascending."""
        numbers: list[int] = np.unique(self.layer.scenery.classes[self.origin]).tolist()
        return numbers

    def draw(self, canvas: Canvas) -> None:
        kind = self.layer.scenery.kind
        if kind is GeometryKind.POLYGON:
            self._polygons(canvas)
        elif kind is GeometryKind.LINE:
            self._lines(canvas)
        else:
            self._points(canvas)

    def _polygons(self, canvas: Canvas) -> None:
        style = self.layer.style
        for color, shapes, xy in self._by_colour():
            canvas.fill(xy, shapes.rings, color, style.opacity)
        if self.crowd >= _NO_OUTLINE_SPACING or style.opacity == 0:
            width = style.width * self._share(0.4, 1.0)
            canvas.stroke(self.xy, self.shapes.rings, style.outline, width, closed=True)

    def _lines(self, canvas: Canvas) -> None:
        style = self.layer.style
        width = style.width * self._share(0.3, 2.0)
        for color, shapes, xy in self._by_colour():
            canvas.stroke(xy, shapes.rings, color, width, style.opacity, closed=False)

    def _points(self, canvas: Canvas) -> None:
        style = self.layer.style
        radius = style.radius * self._share(0.22, 1.0)
        for color, _, xy in self._by_colour():
            canvas.discs(xy, radius, color, style.opacity)
            if radius >= 2:
                canvas.circles(xy, radius, style.outline, style.width)

    def _share(self, least: float, most: float) -> float:
        return min(most, max(least, self.crowd / _FULL_WIDTH_SPACING))

    def _by_colour(self) -> Iterator[tuple[str, Shapes, Positions]]:
        """Return the shapes of each class, with its colour."""
        style, classes = self.layer.style, self.layer.scenery.classes[self.origin]
        colors = [*(entry.color for entry in style.classes), style.color]
        for number in np.unique(classes).tolist():
            rows = np.flatnonzero(classes == number)
            if len(rows) == len(classes):
                yield colors[number], self.shapes, self.xy
                continue
            shapes = self.shapes.take(rows)
            marked = np.repeat(classes == number, np.diff(self.shapes.vertices))
            yield colors[number], shapes, self.xy[marked]


def _cut(shapes: Shapes, frame: Frame, z: int) -> tuple[Shapes, Ints]:
    """Return what of shapes lies in the picture and its margin, and which of them each comes from."""
    unit = (EXTENT << z) / frame.world
    low = np.array([frame.left - _MARGIN, frame.top - _MARGIN]) * unit
    high = np.array([frame.left + frame.width + _MARGIN, frame.top + frame.height + _MARGIN]) * unit
    box = shapes.bounds()
    near = np.flatnonzero(
        (np.diff(shapes.vertices) > 0) & (box[:, :2] <= high).all(axis=1) & (box[:, 2:] >= low).all(axis=1)
    )
    inside: Flags = np.asarray(np.concatenate([box[near, :2] >= low, box[near, 2:] <= high], axis=1).all(axis=1))
    whole, crossing = near[inside], near[~inside]
    if not len(crossing):
        return shapes.take(whole), whole
    cut = _clipped(shapes.take(crossing), (*low.tolist(), *high.tolist()))
    order = np.argsort(np.concatenate([whole, crossing]), kind="stable")
    return concatenate([shapes.take(whole), cut]).take(order), np.concatenate([whole, crossing])[order]


def _clipped(shapes: Shapes, box: tuple[float, float, float, float]) -> Shapes:
    if shapes.kind is GeometryKind.POINT:
        meets = np.concatenate([shapes.xy >= np.array(box[:2]), shapes.xy <= np.array(box[2:])], axis=1)
        return shapes.keep_vertices(np.asarray(meets.all(axis=1)))
    if shapes.kind is GeometryKind.POLYGON:
        return _oriented(from_polygons(shapely.clip_by_rect(to_polygons(shapes), *box)))
    lines = shapely.from_ragged_array(
        shapely.GeometryType.MULTILINESTRING, shapes.xy.astype(np.float64), (shapes.rings, shapes.starts)
    )
    parts, owners = shapely.get_parts(shapely.clip_by_rect(lines, *box), return_index=True)
    running = shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING
    parts, owners = parts[running], owners[running]
    xy, line = shapely.get_coordinates(parts, return_index=True)
    rings = np.searchsorted(line, np.arange(len(parts) + 1))
    starts = np.searchsorted(owners, np.arange(len(shapes) + 1))
    whole = np.floor(xy + 0.5).astype(np.int64)
    return Shapes(shapes.kind, whole, rings, starts, np.ones(len(parts), dtype=bool))


def _oriented(shapes: Shapes) -> Shapes:
    """Turn the rings whose direction is not that of tiles: exterior ones clockwise on the screen, holes the other."""
    turn = (shapes.areas() > 0) != shapes.exterior
    if not turn.any():
        return shapes
    order = np.arange(len(shapes.xy))
    for ring in np.flatnonzero(turn).tolist():
        first, last = shapes.rings[ring], shapes.rings[ring + 1]
        order[first:last] = order[first:last][::-1]
    return Shapes(shapes.kind, shapes.xy[order], shapes.rings, shapes.starts, shapes.exterior)


class _Taken:
    """The boxes of the picture on which something is written; names keep out of them."""

    def __init__(self, frame: Frame) -> None:
        self._page = (0.0, 0.0, float(frame.width), float(frame.height))
        self._boxes: list[tuple[float, float, float, float]] = []
        self._names: list[tuple[str, float, float]] = []

    def add(self, left: float, top: float, right: float, bottom: float) -> None:
        self._boxes.append((left, top, right, bottom))

    def take(self, name: str, left: float, top: float, right: float, bottom: float) -> bool:
        """Take a box for a name if it is free, inside the picture, and far from where the name stands already."""
        if left < self._page[0] or top < self._page[1] or right > self._page[2] or bottom > self._page[3]:
            return False
        if any(a < right and c > left and b < bottom and d > top for a, b, c, d in self._boxes):
            return False
        if any(other == name and math.hypot(x - left, y - top) < _REPEAT for other, x, y in self._names):
            return False
        self.add(left, top, right, bottom)
        self._names.append((name, left, top))
        return True


def _names(canvas: Canvas, layers: Sequence[_Placed], taken: _Taken) -> None:
    """Write names beside points, then inside polygons; those of the topmost layers first. Lines have none."""
    kinds = (GeometryKind.POINT, GeometryKind.POLYGON)
    for placed in (entry for kind in kinds for entry in reversed(layers) if entry.layer.scenery.kind is kind):
        labels = placed.layer.scenery.labels
        rows = np.array([row for row, origin in enumerate(placed.origin.tolist()) if labels[origin]], dtype=np.int64)
        if placed.layer.style.label is None or not len(rows):
            continue
        for x, y, room, label in _anchors(placed, rows):
            _name(canvas, taken, label, x, y, room)


def _anchors(placed: _Placed, rows: Ints) -> Iterator[tuple[float, float, float | None, str]]:
    """Return where names may stand: position, the width that is there (None: beside it), and the name."""
    labels, shapes = placed.layer.scenery.labels, placed.shapes
    firsts, lasts = shapes.vertices[rows], shapes.vertices[rows + 1]
    rows = rows[lasts > firsts]
    if placed.layer.scenery.kind is GeometryKind.POINT:
        for row in rows[:_NAMES_MAX].tolist():
            x, y = placed.xy[shapes.vertices[row]].tolist()
            yield x, y, None, labels[placed.origin[row]]
        return
    box = shapes.bounds()[rows]
    rows = rows[np.argsort(box[:, 0] - box[:, 2], kind="stable")][:_NAMES_MAX]
    frame = placed.frame
    unit = frame.world / (EXTENT << placed.layer.scenery.z + _FINER)
    for row, polygon in zip(rows.tolist(), to_polygons(shapes.take(rows)), strict=True):
        largest = max(polygon.geoms, key=lambda part: part.area)
        inside = shapely.point_on_surface(largest)
        room = (largest.bounds[2] - largest.bounds[0]) * unit
        yield inside.x * unit - frame.left, inside.y * unit - frame.top, room, labels[placed.origin[row]]


def _name(canvas: Canvas, taken: _Taken, label: str, x: float, y: float, room: float | None) -> None:
    text = " ".join(label.split())[:80]
    if not text or not canvas.letters.has(text):
        return
    line = canvas.letters.line(text)
    width = line.width(_NAME_SIZE)
    if room is not None and room < width:
        return
    left = x + 7 if room is None else x - width / 2
    if taken.take(text, left - 2, y - _NAME_SIZE * 0.7, left + width + 2, y + _NAME_SIZE * 0.7):
        canvas.text(line, left, y + _NAME_SIZE * 0.36, _NAME_SIZE, _INK, _HALO)


def _foot(canvas: Canvas, words: Words, taken: _Taken) -> float:
    """Write title and lines along the lower edge; return where they begin. Small pictures have no room for all."""
    room = canvas.width - 16.0
    letters, base = canvas.letters, int(words.leftward)
    lines = [(line, _NAME_SIZE) for line in letters.lines(words.title, _NAME_SIZE, room, base)]
    for text in words.lines:
        lines += [(line, _SMALL_SIZE) for line in letters.lines(text, _SMALL_SIZE, room, base)]
    while lines and sum(size * _LINE for _, size in lines) + 8 > canvas.height / 3:
        lines.pop()
    height = sum(size * _LINE for _, size in lines) + 8 if lines else 0.0
    top = canvas.height - height
    canvas.box(0, top, canvas.width, height, _HALO, 0.85)
    y = top + 3
    for line, size in lines:
        y += size * _LINE
        left = canvas.width - 8 - line.width(size) if words.leftward else 8.0
        canvas.text(line, left, y - size * 0.2, size, _INK)
    taken.add(0, top, canvas.width, canvas.height)
    return top


def _arrow(canvas: Canvas, words: Words, taken: _Taken) -> None:
    """Draw the north arrow in the upper corner where lines end: north is up everywhere in this projection."""
    if canvas.width < 120 or canvas.height < 120:
        return
    x, top = 22.0 if words.leftward else canvas.width - 22.0, 10.0
    canvas.box(x - 12, top - 4, 24, 44, _HALO, 0.85)
    half = np.array([[x, top], [x + 7, top + 22], [x, top + 17], [x - 7, top + 22]])
    canvas.fill(half, np.array([0, 4]), _INK)
    line = canvas.letters.line(words.language.text(NORTH))
    canvas.text(line, x - line.width(_NAME_SIZE) / 2, top + 36, _NAME_SIZE, _INK)
    taken.add(x - 12, top - 4, x + 12, top + 40)


def _scale_bar(canvas: Canvas, frame: Frame, words: Words, foot: float, taken: _Taken) -> float:
    """Draw bars of round lengths in feet or miles, and in metres or kilometres, that hold in the picture's middle.

    Return where they begin.
    """
    room = min(160.0, canvas.width * 0.4)
    if canvas.width < 120 or canvas.height < 120:
        return foot
    height, base = 16.0, int(words.leftward)
    bars = []
    for units in (_FEET, _METRES):
        width, length, unit = _bar(frame.ground_m, room, units)
        bars.append((width, canvas.letters.line(words.language.length(length, unit), base)))
    whole = max(width + 6 + line.width(_SMALL_SIZE) for width, line in bars)
    left = canvas.width - 8.0 - whole if words.leftward else 8.0
    top = foot - 2 * height - 8
    canvas.box(left - 4, top - 2, whole + 8, 2 * height + 6, _HALO, 0.85)
    for number, (width, line) in enumerate(bars):
        y = top + number * height + height / 2 + 1
        start = left + whole - width if words.leftward else left
        canvas.box(start, y - 1, width, 2, _INK)
        for x in (start, start + width - 2):
            canvas.box(x, y - 4, 2, 8, _INK)
        beside = start - 6 - line.width(_SMALL_SIZE) if words.leftward else start + width + 6
        canvas.text(line, beside, y + _SMALL_SIZE * 0.36, _SMALL_SIZE, _INK)
    taken.add(left - 4, top - 2, left + whole + 4, foot)
    return top - 2


def _bar(ground_m: float, room: float, units: tuple[tuple[str, float], ...]) -> tuple[float, float, str]:
    """Return the width of a bar in pixels, its length and the unit of that: the longest of 1, 2 or 5 times a power of
    ten in the room, in the largest unit of which there is room for one.

    >>> _bar(1.0, 160, _METRES)
    (100.0, 100.0, 'meter')
    """
    unit, unit_m = next(((name, size) for name, size in units if room * ground_m >= size), units[-1])
    most = room * ground_m / unit_m
    power = 10.0 ** math.floor(math.log10(most))
    length = max(step * power for step in (1, 2, 5) if step * power <= most)
    return length * unit_m / ground_m, length, unit
