"""The nouns: frozen, without input or output, shared by all rooms.

Reference systems are named here by authority code (``"EPSG:2283"``); :mod:`gisservice.crs` turns a code into a
``pyproj.CRS``. Every ``bbox`` is ``(minx, miny, maxx, maxy)`` in the stated CRS, x before y always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

BBox = tuple[float, float, float, float]
"""``(minx, miny, maxx, maxy)``, for example ``(-77.15, 38.78, -77.03, 38.85)`` in CRS84."""


def union(boxes: Sequence[BBox]) -> BBox:
    """Return the smallest box that holds all of some, at least one; all in the same CRS."""
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


RESERVED_ID = "catalog"
"""The id of the collection that lists all others; no layer may have it."""

Starts = npt.NDArray[np.int64]
"""Offsets of a ragged array: row ``i`` is the slice ``starts[i]:starts[i + 1]``."""


class GeometryKind(StrEnum):
    """What a layer's geometries are; one kind a layer, single and multi together."""

    POINT = "point"
    LINE = "line"
    POLYGON = "polygon"
    RASTER = "raster"


class ColumnType(StrEnum):
    """The types a published column can have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


class Visibility(StrEnum):
    """Who may see a column: everybody, the office, or nobody (it is dropped when read)."""

    PUBLIC = "public"
    INTERNAL = "internal"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a layer as declared. ``source`` is its name in the source file, any case."""

    name: str
    type: ColumnType
    meaning: str = ""
    unit: str | None = None
    visibility: Visibility = Visibility.PUBLIC
    source: str = ""
    codes: tuple[tuple[str, str], ...] = ()
    """Code list as (code, meaning); values are matched to it without regard to case and outer blanks."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file or address an office gave us.

    ``location`` is a path (relative paths start at the registry's folder) or the https address of an ArcGIS REST
    layer; ``layer`` picks one of several inside; ``crs`` declares what the file does not say; ``x`` and ``y``
    name the coordinate columns of a CSV.
    """

    location: str
    layer: str | None = None
    crs: str | None = None
    x: str | None = None
    y: str | None = None


@dataclass(frozen=True, slots=True)
class StyleClass:
    """One class of a style: features whose ``by`` column equals ``value``, or with ``least`` is that number or more.

    A class with ``least`` ends below the ``least`` of the next; all classes of a style have it, or none.
    """

    value: str
    label: str
    color: str
    least: float | None = None


@dataclass(frozen=True, slots=True)
class Style:
    """How a layer is drawn; colours are ``#rrggbb``, widths and radii in CSS pixels, opacity from 0 to 1."""

    color: str = "#3b6ea5"
    opacity: float = 0.5
    outline: str = "#33475b"
    width: float = 1.0
    radius: float = 4.0
    label: str | None = None
    """Column whose text is drawn beside the feature."""
    by: str | None = None
    """Column that the classes divide; None for one look for all."""
    classes: tuple[StyleClass, ...] = ()


@dataclass(frozen=True, slots=True)
class RasterClass:
    """One class of a raster of codes: the cells with this value."""

    value: int
    label: str
    color: str


@dataclass(frozen=True, slots=True)
class ColorStop:
    """A value and its colour; between two stops colours are mixed."""

    value: float
    color: str


@dataclass(frozen=True, slots=True)
class RasterStyle:
    """How a raster is drawn when nobody asks for anything else."""

    bands: tuple[int, ...] = ()
    """One, or red, green and blue; numbers from 1. Empty: the first three of a picture, else the first."""
    rescale: tuple[tuple[float, float], ...] = ()
    """The values that become black and white, for all bands or for each; empty: smallest and largest of the band."""
    colormap: str | None = None
    """The name of a ramp of colours, for a single band."""
    stops: tuple[ColorStop, ...] = ()
    """A ramp of our own, by rising values; instead of ``colormap`` and ``rescale``."""
    classes: tuple[RasterClass, ...] = ()
    """What the codes mean; cells of other values are not drawn. Makes the raster one of codes, never averaged."""
    resampling: str | None = None
    """``nearest``, ``bilinear`` or ``cubic``; None: nearest for codes, else bilinear."""
    unit: str | None = None
    """The unit of heights: ``metre``, ``foot`` or ``US survey foot``; None for what is no height or is not said."""
    format: str = "png"
    """What stored tiles are written as: ``png``, ``webp`` or ``jpg``."""


@dataclass(frozen=True, slots=True)
class AlwaysDrawn:
    """Records that no zoom merges, thins out or drops: those that have one of ``values`` in ``column``."""

    column: str | None = None
    """None: all records of the layer."""
    values: tuple[str, ...] = ()


class Crossings(StrEnum):
    """Where the lines of a network are joined."""

    ENDS = "ends"
    """Only where ends meet: a line that crosses another runs over or under it."""
    AT_GRADE = "at_grade"
    """Also where lines cross or touch along their way."""


@dataclass(frozen=True, slots=True)
class Streets:
    """Which columns of a line layer say how one may travel along its lines; all may be walked, cycled and driven else.

    ``oneway`` has a value of ``forward`` where one may only travel as the line runs, of ``backward`` where only against
    it. ``walk`` is a column of type boolean. ``no_walk``, ``no_bike``, ``no_drive`` and ``over`` are values of
    ``road_class``; lines of the classes in ``over`` are joined at their ends only.
    """

    name: str | None = None
    speed: str | None = None
    speed_unit: str = "mile per hour"
    oneway: str | None = None
    forward: tuple[str, ...] = ()
    backward: tuple[str, ...] = ()
    walk: str | None = None
    road_class: str | None = None
    no_walk: tuple[str, ...] = ()
    no_bike: tuple[str, ...] = ()
    no_drive: tuple[str, ...] = ()
    crossings: Crossings = Crossings.ENDS
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddressColumns:
    """Which columns of a layer of addresses hold the parts of an address; None where it has no such part."""

    number: str
    street: str
    """Street name without direction and type."""
    suffix: str | None = None
    """Letter or fraction behind the house number."""
    direction: str | None = None
    type: str | None = None
    unit: str | None = None
    zip: str | None = None
    parcel: str | None = None
    """Id of the parcel that the address belongs to."""
    label: str | None = None
    """The whole address as the office writes it."""


@dataclass(frozen=True, slots=True)
class StreetColumns:
    """Which columns of a layer of centrelines name the street."""

    street: str
    direction: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class ParcelColumns:
    """Which columns of a layer of parcels hold numbers that people know a parcel by."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One declaration of the registry: all that is said about a layer before any data is read."""

    id: str
    title: str
    geometry: GeometryKind | None
    """None: taken from the source (only for a source ingested without a declaration)."""
    description: str = ""
    sources: tuple[Source, ...] = ()
    licence: str = ""
    attribution: str = ""
    storage_crs: str | None = None
    """Authority code; None: the source's own."""
    id_column: str | None = None
    """Published name of the column that identifies a feature for good; None: found or counted at ingest."""
    title_column: str | None = None
    """Published name of the column that people know a record by (a parcel by its address); None: by its id alone."""
    columns: tuple[Column, ...] | None = None
    """None: every column of the source is published as it is (only without a declaration)."""
    coverage: bool = False
    """Polygons that share borders and do not overlap (parcels, zoning): generalised together."""
    minzoom: int = 8
    maxzoom: int = 16
    always_drawn: AlwaysDrawn | None = None
    """Records that no zoom merges, thins out or drops."""
    network: Streets | None = None
    """How the lines of the layer are travelled; None where they are no street network."""
    style: Style = Style()
    raster: RasterStyle = RasterStyle()
    cadence: str = ""
    steward: str = ""
    enabled: bool = True
    address: AddressColumns | None = None
    street: StreetColumns | None = None
    parcel: ParcelColumns | None = None


@dataclass(frozen=True, slots=True)
class MapDeclaration:
    """One public map: which layers, bottom first, and the words around them."""

    id: str
    title: str
    description: str
    layers: tuple[str, ...]
    center: tuple[float, float] | None = None
    """Longitude, latitude; None: the middle of the layers."""
    zoom: int | None = None
    styles: tuple[tuple[str, Style], ...] = ()
    """How this map draws some of its layers, by their ids, instead of as they are declared."""
    reach: str | None = None
    """The layer of streets along which the map's page tells how far one comes in some minutes."""
    relief: str | None = None
    """The raster of heights that this map draws as light and shade of the ground, instead of its colours."""

    def shades(self, layer: Layer) -> bool:
        """Tell whether this map draws a layer as relief; one published without a unit of heights has none."""
        return layer.id == self.relief and layer.raster.unit is not None

    def styled(self, layer: Layer) -> Layer:
        """Return a layer as this map draws it."""
        style = dict(self.styles).get(layer.id)
        return layer if style is None else replace(layer, style=style)


@dataclass(frozen=True, slots=True)
class City:
    """Whose data this is; ``notice`` is shown on every page (the sample city says that it is one)."""

    name: str
    notice: str = ""
    contact: str = ""
    boundary: str | None = None
    """The layer whose polygons are the city's ground; None: nothing is known to lie outside."""


class ReportKind(StrEnum):
    """How a line of the report of a place is found."""

    WITHIN = "within"
    NEAREST = "nearest"
    SCHEDULE = "schedule"


class HolidayShift(StrEnum):
    """What a holiday does to collection days of its week."""

    REST_OF_WEEK = "rest_of_week"
    """That day and the later ones of the week move to the day after each."""
    THAT_DAY = "that_day"
    """Only that day moves, to the day after."""
    NONE = "none"
    """Nothing moves."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day of each year: on a ``day`` of the month, or on the ``nth`` of a ``weekday`` in it (-1: the last)."""

    name: str
    month: int
    day: int | None = None
    weekday: int | None = None
    """Monday is 0."""
    nth: int | None = None


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One line of the report of a place: which layer answers, how, and in which words."""

    id: str
    title: str
    layer: str
    kind: ReportKind
    columns: tuple[str, ...]
    sentence: str
    """With columns in braces; ``{column_meaning}`` is the meaning of a code."""
    absent: str = ""
    """The sentence for a place where the layer says nothing."""
    everywhere: bool = False
    """Every place of the city should be in the layer, so one that is not is a gap in the data."""
    only: tuple[str, tuple[str, ...]] | None = None
    """Of the nearest: a column and its values; other records of the layer are passed over."""
    weekday: str | None = None
    """Of a schedule: the column with the day of the week."""
    shift: HolidayShift = HolidayShift.NONE


@dataclass(frozen=True, slots=True)
class Registry:
    """A whole registry file, validated. ``folder`` is where its relative paths start."""

    city: City
    layers: tuple[Layer, ...]
    maps: tuple[MapDeclaration, ...]
    folder: str
    report: tuple[ReportLine, ...] = ()
    """The lines of the report of a place, in their order."""
    holidays: tuple[Holiday, ...] = ()

    def layer(self, layer_id: str) -> Layer | None:
        """Return the declaration of this id, or None."""
        return next((layer for layer in self.layers if layer.id == layer_id), None)


@dataclass(frozen=True, slots=True)
class Operation:
    """The coordinate operation that was used, as PROJ names it."""

    source_crs: str
    target_crs: str
    name: str
    definition: str
    """PROJ pipeline; the empty string for no operation at all."""
    accuracy_m: float | None
    """Metres; 0 for an exact conversion, None where the authority states none."""
    missing_grids: tuple[str, ...] = ()
    """Grids that a more accurate operation would need and this installation lacks."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen, repaired or refused in a source: what, how often, and which records (the first few)."""

    code: str
    """Short and stable, for example ``invalid-geometry``."""
    message: str
    count: int
    records: tuple[str, ...] = ()
    """Ids (or 1-based positions) of the records concerned, at most 100."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What ingest did with the records of a source: ``read == published + refused``, always."""

    read: int
    published: int
    refused: tuple[Finding, ...] = ()
    repaired: tuple[Finding, ...] = ()
    noted: tuple[Finding, ...] = ()
    """Seen and left alone: stacked geometries, values outside a code list, source columns not declared."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a version's data came from."""

    source: str
    """File name or address; never a path of the machine that ingested it."""
    format: str
    sha256: str
    size_bytes: int
    modified: datetime | None
    crs: str
    """Authority code or name, as the source states it."""
    crs_declared: bool = False
    """True when the source did not say and the office declared it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where (CRS84) and, where a layer has dates, when."""

    bbox: BBox
    interval: tuple[datetime | None, datetime | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Version:
    """One published state of a collection, and when it became current."""

    collection: str
    id: str
    """``v-`` and 16 hexadecimal digits of the sha256 of its content: the same content has the same id."""
    published: datetime
    """UTC."""
    action: str
    """``publish`` or ``rollback``."""
    count: int
    current: bool


@dataclass(frozen=True)
class Geometries:
    """Distinct geometries of one kind as flat arrays, always as multi-geometries.

    ``coordinates`` has shape (c, 2), x then y. ``rings`` cuts it into rings (for lines: lines; for points: single
    positions), ``parts`` cuts rings into parts (a polygon with its holes; a line; a point), ``starts`` cuts
    parts into geometries. All three are offsets with a closing entry: geometry ``g`` has parts
    ``starts[g]:starts[g + 1]``. Rings are closed: last position equals first. Exterior first, then its holes.
    """

    kind: GeometryKind
    coordinates: npt.NDArray[Any]
    rings: Starts
    parts: Starts
    starts: Starts

    def __len__(self) -> int:
        return len(self.starts) - 1


class Condition(Protocol):
    """One test that an item passes or not; a query's conditions are all to be passed."""

    @property
    def text(self) -> str:
        """Canonical text: two conditions with the same text pass the same items of a version."""

    def among(self, features: Any, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return those of the rows (ascending) whose items pass, ascending; ``features`` are catalog.Features."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box to search in: ``bbox`` in the reference system ``crs`` (authority code), x before y, edges straight there.

    In a system of longitude and latitude a minx greater than the maxx runs across the 180th meridian (RFC 7946, 5.2).
    """

    bbox: BBox
    crs: str = "OGC:CRS84"


@dataclass(frozen=True, slots=True)
class SortKey:
    """A column to sort by. Items without a value come last either way."""

    column: str
    descending: bool = False

    @property
    def text(self) -> str:
        """The key as the API spells it: ``-zoning``."""
        return f"-{self.column}" if self.descending else self.column


@dataclass(frozen=True, slots=True)
class Form:
    """How items are written: which properties, and the geometry in which system and how exactly."""

    crs: str = "OGC:CRS84"
    """Authority code; its axis order is the authority's."""
    properties: tuple[str, ...] | None = None
    """The columns written, in their declared order; None writes all."""
    geometry: bool = True
    """False writes a null geometry."""
    decimals: int | None = None
    """Of positions; None: what fits the unit of the system."""
    tolerance_m: float = 0.0
    """How far a simplified line may run from the original, in metres; 0 leaves every position."""

    @property
    def is_stored(self) -> bool:
        """Whether items in this form are the finished ones that a version keeps."""
        return self == STORED


STORED = Form()
"""The form of the finished items that a version keeps: CRS84, all columns."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a request for items asks, parsed and checked.

    A page begins ``offset`` items after the first that matches or, with ``after``, behind the item in that row
    (-1: with the first). Rows are numbers inside one version.
    """

    limit: int
    offset: int = 0
    after: int | None = None
    box: Box | None = None
    conditions: tuple[Condition, ...] = ()
    sortby: tuple[SortKey, ...] = ()
    form: Form = STORED


@dataclass(frozen=True)
class Page:
    """The answer to a query: row numbers of the items on this page, and how many match in all."""

    query: Query
    rows: npt.NDArray[np.int64] = field(repr=False)
    number_matched: int
    start: int = 0
    """How many matching items come before the page."""
    before: int | None = None
    """The row behind which the page before begins (-1: with the first item); None on the first page."""

    @property
    def number_returned(self) -> int:
        """How many items are on this page."""
        return len(self.rows)

    @property
    def next_offset(self) -> int | None:
        """How many matching items come before the next page, or None after the last."""
        after = self.start + len(self.rows)
        return after if len(self.rows) and after < self.number_matched else None

    def shortened(self, count: int) -> Page:
        """Return the page cut to its first items."""
        return replace(self, rows=self.rows[:count])
