"""The layer registry: one TOML file that declares a city's layers, read into a checked :class:`Registry`.

Everything is checked before any data is touched, and every mistake is a :class:`RegistryError` that names the
file, the line, the key, what came and what is expected. Unknown keys are mistakes: a misspelt ``visibility``
must not publish a column.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from gisservice import crs
from gisservice.catalog.documents import Table, is_number, open_document, shown
from gisservice.catalog.rasterkeys import raster_style
from gisservice.catalog.reportlines import holidays, report_lines
from gisservice.catalog.stylekeys import public_column, read_style
from gisservice.model import (
    RESERVED_ID,
    AddressColumns,
    AlwaysDrawn,
    City,
    Column,
    ColumnType,
    Crossings,
    GeometryKind,
    Layer,
    MapDeclaration,
    ParcelColumns,
    Registry,
    Source,
    StreetColumns,
    Streets,
    Style,
    Visibility,
)

__all__ = ["COLLECTION_ID", "load_registry"]

COLLECTION_ID = re.compile(r"[a-z0-9_-]{1,64}")
"""What a collection or a map may be called; it becomes a folder name and a part of addresses."""

ZOOM_MAX = 22
"""The deepest zoom of maps and rasters: about 3.7 cm a pixel at the equator."""

VECTOR_ZOOM_MAX = crs.WORLD_BITS - 12
"""The deepest zoom at which tiles of 4,096 steps a side lie on the steps of the world grid."""

_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_RESERVED = ("geometry", "bbox")  # columns that GeoParquet itself adds
_ARCGIS_LAYER = re.compile(r".*/(?:FeatureServer|MapServer)/[0-9]{1,6}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_P = TypeVar("_P", AddressColumns, StreetColumns)


def load_registry(path: Path) -> Registry:
    """Read and check a registry file, and the file of maps it names.

    Raises :class:`RegistryError` for the first mistake found, in the order of the file's sections.
    """
    top = open_document(path)
    top.only("maps", "city", "layers", "report", "holidays")
    layers = tuple(_layer(table) for table in top.tables("layers", "[layers.parcels]"))
    city = _city(top.table("city"), layers)
    maps = _maps(top, path, {layer.id: layer for layer in layers}) if "maps" in top.values else ()
    return Registry(city, layers, maps, str(path.parent), report_lines(top, layers), holidays(top))


def _city(table: Table, layers: tuple[Layer, ...]) -> City:
    table.only("name", "notice", "contact", "boundary")
    boundary = table.optional_text("boundary")
    if boundary is not None:
        polygons = [layer.id for layer in layers if layer.geometry is GeometryKind.POLYGON]
        table.one_of("boundary", polygons, "a declared layer of polygons")
    return City(table.text("name", None), table.text("notice"), table.text("contact"), boundary)


def _layer(table: Table) -> Layer:
    table.only(
        "title", "description", "sources", "licence", "attribution", "storage_crs", "geometry", "id_column",
        "title_column", "coverage", "zoom", "always_drawn", "network", "cadence", "steward", "enabled", "columns",
        "style", "raster", "address", "street", "parcel",
    )  # fmt: skip
    name = _identifier(table, "a collection id")
    if name == RESERVED_ID:
        table.fail(None, f"{name!r} is the collection that lists all layers; expected another id.")
    geometry = table.choice("geometry", GeometryKind)
    columns = _columns(table, geometry)
    minzoom, maxzoom = _zoom(table, geometry)
    return Layer(
        id=name,
        title=table.text("title", None),
        geometry=geometry,
        description=table.text("description"),
        sources=_sources(table),
        licence=table.text("licence"),
        attribution=table.text("attribution"),
        storage_crs=table.reference_system("storage_crs"),
        id_column=_id_column(table, columns),
        title_column=_title_column(table, columns),
        columns=columns,
        coverage=_coverage(table, geometry),
        minzoom=minzoom,
        maxzoom=maxzoom,
        always_drawn=_always_drawn(table, geometry, columns),
        network=_network(table, geometry, columns),
        style=read_style(table.table("style"), columns, Style()) if "style" in table.values else Style(),
        raster=raster_style(table, geometry),
        cadence=table.text("cadence"),
        steward=table.text("steward"),
        enabled=table.flag("enabled", True),
        address=_parts(table, "address", AddressColumns, columns),
        street=_parts(table, "street", StreetColumns, columns),
        parcel=_parcel(table, columns),
    )


def _parts(layer: Table, key: str, kind: type[_P], columns: tuple[Column, ...] | None) -> _P | None:
    """Read which columns hold the parts of an address or of a street's name."""
    if key not in layer.values:
        return None
    example = "number = 'number', street = 'street'" if kind is AddressColumns else "street = 'street'"
    table = layer.table(key, f"{key} = {{{example}}}")
    names = [field.name for field in fields(kind)]
    table.only(*names)
    for field in fields(kind):
        if field.default is MISSING:
            table.need(field.name, "the name of a column")
    return kind(**{name: public_column(table, name, columns) for name in names if name in table.values})


def _parcel(layer: Table, columns: tuple[Column, ...] | None) -> ParcelColumns | None:
    if "parcel" not in layer.values:
        return None
    table = layer.table("parcel", "parcel = {ids = ['pid']}")
    table.only("ids")
    public = [column.name for column in columns or () if column.visibility is Visibility.PUBLIC]
    return ParcelColumns(table.some_of("ids", public, "a declared public column"))


def _identifier(table: Table, what: str) -> str:
    name = str(table.path[-1])
    if not COLLECTION_ID.fullmatch(name):
        table.fail(None, f"{name[:80]!r} cannot be {what}; expected 1 to 64 of the characters a-z, 0-9, _ and -.")
    return name


def _sources(layer: Table) -> tuple[Source, ...]:
    return tuple(_source(table) for table in layer.list_of_tables("sources", 'sources = [{path = "parcels.gpkg"}]'))


def _source(table: Table) -> Source:
    table.only("path", "url", "layer", "crs", "x", "y")
    if ("path" in table.values) == ("url" in table.values):
        came = "both" if "path" in table.values else "neither"
        table.fail(None, f"has {came} of 'path' and 'url'; expected exactly one.")
    if ("x" in table.values) != ("y" in table.values):
        table.fail(None, "names one coordinate column; expected both 'x' and 'y', or neither.")
    location = table.text("path", None) if "path" in table.values else _url(table)
    return Source(
        location,
        layer=table.optional_text("layer"),
        crs=table.reference_system("crs"),
        x=table.optional_text("x"),
        y=table.optional_text("y"),
    )


def _url(table: Table) -> str:
    expected = "the https address of an ArcGIS REST layer, ending in /FeatureServer/0 or /MapServer/0"
    address = table.text("url", None, expected)
    try:
        url = urlsplit(address)
        host = url.hostname
    except ValueError:
        table.wrong("url", expected)
    secure = url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)
    plain = not (url.query or url.fragment or url.username or url.password)
    if not (host and secure and plain and _ARCGIS_LAYER.fullmatch(url.path)):
        table.wrong("url", expected)
    return address


def _columns(layer: Table, geometry: GeometryKind) -> tuple[Column, ...] | None:
    if geometry is GeometryKind.RASTER:
        if "columns" in layer.values:
            layer.fail("columns", "a raster has no columns; leave this table out.")
        return None
    columns = tuple(_column(table) for table in layer.tables("columns", "columns.pid = {type = 'string'}"))
    _distinct(layer, columns)
    if all(column.visibility is not Visibility.PUBLIC for column in columns):
        layer.fail("columns", "has no public column; expected at least one.")
    return columns


def _column(table: Table) -> Column:
    table.only("source", "type", "meaning", "unit", "visibility", "codes")
    name = str(table.path[-1])
    if not _COLUMN_NAME.fullmatch(name) or name.lower() in _RESERVED:
        table.fail(
            None,
            f"{name[:80]!r} cannot be a column; expected a letter, then up to 62 letters, digits or _, "
            f"and none of {', '.join(_RESERVED)}.",
        )
    return Column(
        name,
        type=table.choice("type", ColumnType),
        meaning=table.text("meaning"),
        unit=table.optional_text("unit"),
        visibility=table.choice("visibility", Visibility, Visibility.PUBLIC),
        source=table.optional_text("source") or name,
        codes=_codes(table),
    )


def _codes(column: Table) -> tuple[tuple[str, str], ...]:
    if "codes" not in column.values:
        return ()
    codes = column.table("codes", "codes = {RB = 'Townhouse zone'}")
    if column.values.get("type") != ColumnType.STRING:
        column.fail("codes", f"a code list needs type = 'string'; it is {shown(column.values.get('type'))}.")
    _unique(codes, codes.values, "code")
    return tuple((code, codes.text(code)) for code in codes.values)


def _distinct(layer: Table, columns: tuple[Column, ...]) -> None:
    """Refuse two columns that differ in case only, and two that come from the same source column."""
    tables = layer.table("columns")
    _unique(tables, (column.name for column in columns), "column")
    seen: dict[str, str] = {}
    for column in columns:
        other = seen.setdefault(column.source.casefold(), column.name)
        if other != column.name:
            tables.fail(
                column.name,
                f"source column {column.source!r} is already column {other!r}; "
                "expected each source column to be declared once.",
            )


def _unique(table: Table, names: Iterable[str], what: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.strip().casefold(), name)
        if other != name:
            table.fail(name, f"differs from {what} {other!r} in case or blanks only; expected one of the two.")


def _id_column(layer: Table, columns: tuple[Column, ...] | None) -> str | None:
    if "id_column" not in layer.values or layer.values["id_column"] == "auto":
        return None
    return public_column(layer, "id_column", columns, " or 'auto'")


def _title_column(layer: Table, columns: tuple[Column, ...] | None) -> str | None:
    if "title_column" not in layer.values:
        return None
    name = public_column(layer, "title_column", columns)
    kind = next(column.type for column in columns or () if column.name == name)
    if kind is not ColumnType.STRING:
        layer.fail("title_column", f"{name!r} is of type {kind.value!r}; expected a column of texts.")
    return name


def _coverage(layer: Table, geometry: GeometryKind) -> bool:
    coverage = layer.flag("coverage", False)
    if coverage and geometry is not GeometryKind.POLYGON:
        layer.fail("coverage", f"was true for geometry {geometry.value!r}; only polygons can be a coverage.")
    return coverage


def _zoom(layer: Table, geometry: GeometryKind) -> tuple[int, int]:
    deepest = ZOOM_MAX if geometry is GeometryKind.RASTER else VECTOR_ZOOM_MAX
    expected = f"two whole numbers from 0 to {deepest}, the smaller first, such as [11, 16]"
    value = layer.values.get("zoom", [8, 16])
    pair = isinstance(value, list) and len(value) == 2 and all(_is_zoom(zoom) for zoom in value)
    if not pair or value[0] > value[1] or value[1] > deepest:
        layer.wrong("zoom", expected)
    return value[0], value[1]


def _always_drawn(layer: Table, geometry: GeometryKind, columns: tuple[Column, ...] | None) -> AlwaysDrawn | None:
    expected = "true, or a table such as {column = 'kind', values = ['School', 'Fire station']}"
    if layer.values.get("always_drawn", False) is False:
        return None
    if geometry is GeometryKind.RASTER:
        layer.fail("always_drawn", "a raster has no records; leave this key out.")
    if layer.values["always_drawn"] is True:
        return AlwaysDrawn()
    if not isinstance(layer.values["always_drawn"], dict):
        layer.wrong("always_drawn", expected)
    table = layer.table("always_drawn")
    table.only("column", "values")
    name = public_column(table, "column", columns)
    column = next(column for column in columns or () if column.name == name)
    if column.type is not ColumnType.STRING:
        table.fail("column", f"column {name!r} is of type {column.type.value}; expected one of type string.")
    return AlwaysDrawn(name, _values(table, column))


def _values(table: Table, column: Column, key: str = "values") -> tuple[str, ...]:
    expected = "a list of values in quotes, such as ['School', 'Fire station']"
    values = table.need(key, expected)
    if not isinstance(values, list) or not values or not all(isinstance(value, str) and value for value in values):
        table.wrong(key, expected)
    codes = [code for code, _ in column.codes]
    for value in values:
        if values.count(value) > 1:
            table.fail(key, f"{value!r} is there more than once; expected each value once.")
        if codes and value not in codes:
            near = get_close_matches(value, codes, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"they are {', '.join(codes[:20])}."
            table.fail(key, f"{value!r} is no code of column {column.name!r}; {hint}")
    return tuple(values)


def _network(layer: Table, geometry: GeometryKind, columns: tuple[Column, ...] | None) -> Streets | None:
    if "network" not in layer.values:
        return None
    table = layer.table("network", "network = {name = 'name', speed = 'speed'}")
    if geometry is not GeometryKind.LINE:
        layer.fail("network", f"was given for geometry {geometry.value!r}; only lines can be a network.")
    table.only(
        "name", "speed", "oneway", "forward", "backward", "walk",
        "class", "no_walk", "no_bike", "no_drive", "crossings", "over",
    )  # fmt: skip
    speed = _role(table, "speed", columns, ColumnType.INTEGER, ColumnType.NUMBER)
    oneway = _role(table, "oneway", columns, ColumnType.STRING)
    road_class = _role(table, "class", columns, ColumnType.STRING)
    walk = _role(table, "walk", columns, ColumnType.BOOLEAN)
    name = _role(table, "name", columns, ColumnType.STRING)
    return Streets(
        name=name.name if name else None,
        speed=speed.name if speed else None,
        speed_unit=_speed_unit(table, speed),
        oneway=oneway.name if oneway else None,
        forward=_role_values(table, "forward", "oneway", oneway),
        backward=_role_values(table, "backward", "oneway", oneway),
        walk=walk.name if walk else None,
        road_class=road_class.name if road_class else None,
        no_walk=_role_values(table, "no_walk", "class", road_class),
        no_bike=_role_values(table, "no_bike", "class", road_class),
        no_drive=_role_values(table, "no_drive", "class", road_class),
        crossings=table.choice("crossings", Crossings, Crossings.ENDS),
        over=_role_values(table, "over", "class", road_class),
    )


def _role(table: Table, key: str, columns: tuple[Column, ...] | None, *types: ColumnType) -> Column | None:
    """Return the column that plays a role in a network, or None where no column does."""
    if key not in table.values:
        return None
    name = public_column(table, key, columns)
    column = next(column for column in columns or () if column.name == name)
    if column.type not in types:
        expected = " or ".join(kind.value for kind in types)
        table.fail(key, f"column {name!r} is of type {column.type.value}; expected one of type {expected}.")
    return column


def _speed_unit(table: Table, speed: Column | None) -> str:
    units = ("mile per hour", "kilometre per hour")
    if speed is None:
        return units[0]
    if speed.unit not in units:
        table.fail("speed", f"column {speed.name!r} has the unit {speed.unit!r}; expected {' or '.join(units)}.")
    return str(speed.unit)


def _role_values(table: Table, key: str, role: str, column: Column | None) -> tuple[str, ...]:
    if key not in table.values:
        return ()
    if column is None:
        table.fail(key, f"there is no {role!r}; expected {role} = '…', the column that has these values.")
    return _values(table, column, key)


def _maps(top: Table, path: Path, layers: Mapping[str, Layer]) -> tuple[MapDeclaration, ...]:
    document = open_document(path.parent / top.text("maps", None, "the name of a file of maps, such as 'maps.toml'"))
    document.only("maps")
    return tuple(_map(table, layers) for table in document.tables("maps", "[maps.property]"))


def _map(table: Table, layers: Mapping[str, Layer]) -> MapDeclaration:
    table.only("title", "description", "layers", "center", "zoom", "styles", "reach", "relief")
    zoom = table.values.get("zoom")
    if zoom is not None and not _is_zoom(zoom):
        table.wrong("zoom", f"a whole number from 0 to {ZOOM_MAX}")
    names = _map_layers(table, layers)
    return MapDeclaration(
        id=_identifier(table, "a map id"),
        title=table.text("title", None),
        description=table.text("description"),
        layers=names,
        center=_center(table),
        zoom=zoom,
        styles=_map_styles(table, {name: layers[name] for name in names}),
        reach=_map_reach(table, layers),
        relief=_map_relief(table, {name: layers[name] for name in names}),
    )


def _map_styles(table: Table, layers: Mapping[str, Layer]) -> tuple[tuple[str, Style], ...]:
    """Read how a map draws some of its layers otherwise than they are declared."""
    if "styles" not in table.values:
        return ()
    styles = table.table("styles")
    styles.only(*layers)
    return tuple(
        (name, read_style(styles.table(name), layers[name].columns, layers[name].style, has_ranges=True))
        for name in styles.values
    )


def _map_reach(table: Table, layers: Mapping[str, Layer]) -> str | None:
    """Read the layer of streets along which a map tells how far one comes."""
    if "reach" not in table.values:
        return None
    name = table.text("reach")
    if name not in layers or layers[name].network is None:
        networks = ", ".join(layer.id for layer in layers.values() if layer.network is not None) or "there is none"
        table.wrong("reach", f"the id of a layer with a table 'network': {networks}")
    return name


def _map_relief(table: Table, layers: Mapping[str, Layer]) -> str | None:
    """Read the raster of heights that a map draws as relief, one of its layers."""
    if "relief" not in table.values:
        return None
    name = table.text("relief")
    if name not in layers or layers[name].raster.unit is None:
        heights = ", ".join(layer.id for layer in layers.values() if layer.raster.unit is not None) or "there is none"
        table.wrong("relief", f"one of this map's rasters that declares the unit of heights: {heights}")
    return name


def _map_layers(table: Table, known: Collection[str]) -> tuple[str, ...]:
    expected = "a list of layer ids, bottom first, such as ['zoning', 'parcels']"
    names = table.need("layers", expected)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        table.wrong("layers", expected)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"declared are {', '.join(sorted(known))}."
            table.fail("layers", f"no layer {name!r} is declared; {hint}")
        if names.count(name) > 1:
            table.fail("layers", f"{name!r} is there more than once; expected each layer once.")
    return tuple(names)


def _center(table: Table) -> tuple[float, float] | None:
    if "center" not in table.values:
        return None
    value = table.values["center"]
    pair = isinstance(value, list) and len(value) == 2 and all(is_number(part) for part in value)
    if not pair or not (-180 <= value[0] <= 180 and -90 <= value[1] <= 90):
        table.wrong("center", "longitude and latitude in degrees, such as [-77.05, 38.81]")
    return float(value[0]), float(value[1])


def _is_zoom(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= ZOOM_MAX
