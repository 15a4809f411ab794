"""A whole layer as KML 2.2 (OGC 07-147r2): a placemark a record, styled as on the maps, fields typed by a schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gisservice.ingest.downloads.content import Content
from gisservice.model import ColumnType, GeometryKind, Style
from gisservice.query.formats.delimited import value_texts
from gisservice.query.formats.markup import attribute, channels, text

_TYPES = {ColumnType.INTEGER: "int", ColumnType.NUMBER: "double", ColumnType.BOOLEAN: "bool"}
_TEXT = pa.large_string()


def write_kml(content: Content, path: Path) -> None:
    """Write the layer in longitude and latitude."""
    layer = content.manifest.layer
    geometries = pa.array([_geometry(found.decode()) for found in content.geometry_texts], _TEXT)
    placemarks = _placemarks(content, geometries)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">\n<Document>\n')
        file.write(f"<name>{text(layer.title)}</name>\n")
        if layer.description or layer.attribution:
            file.write(f"<description>{text(_about(layer.description, layer.attribution))}</description>\n")
        file.writelines(_styles(layer.style, content.manifest.kind))
        file.write(_schema(content))
        for first in range(0, len(placemarks), 1024):
            file.writelines(placemarks.slice(first, 1024).to_pylist())
        file.write("</Document>\n</kml>\n")


def _about(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _styles(style: Style, kind: GeometryKind) -> list[str]:
    """Return one style element for the layer and one for each class; colours are aabbggrr."""
    colors = [style.color, *(entry.color for entry in style.classes)]
    return [_style(number, color, style, kind) for number, color in enumerate(colors)]


def _style(number: int, color: str, style: Style, kind: GeometryKind) -> str:
    fill = _color(color, style.opacity)
    line = _color(color if kind is GeometryKind.LINE else style.outline, 1.0)
    icon = _color(color, 1.0)
    return (
        f'<Style id="s{number}"><IconStyle><color>{icon}</color></IconStyle>'
        f"<LineStyle><color>{line}</color><width>{style.width:g}</width></LineStyle>"
        f"<PolyStyle><color>{fill}</color></PolyStyle></Style>\n"
    )


def _color(color: str, opacity: float) -> str:
    red, green, blue = channels(color)
    return f"{round(opacity * 255):02x}{blue:02x}{green:02x}{red:02x}"


def _schema(content: Content) -> str:
    types = {column.name: column.type for column in content.manifest.columns}
    fields = [
        f'<SimpleField type="{_TYPES.get(types.get(name, ColumnType.STRING), "string")}" name={attribute(name)}/>'
        for name in content.table.column_names
    ]
    return f'<Schema name={attribute(content.name)} id="fields">{"".join(fields)}</Schema>\n'


def _placemarks(content: Content, geometries: pa.Array) -> pa.Array:
    """Return the placemark of each record, put together column by column."""
    names = content.table.column_names
    values = {name: _escaped(value_texts(_digits(content.table[name]))) for name in names}
    label = content.manifest.layer.style.label
    titles = values[label] if label in values else _ids(content)
    fields = [_wrapped(f"<SimpleData name={attribute(name)}>", values[name], "</SimpleData>") for name in names]
    return _joined(
        _wrapped("<Placemark><name>", titles, "</name>"),
        _wrapped("<styleUrl>#s", _style_numbers(content, values), "</styleUrl>"),
        _scalar('<ExtendedData><SchemaData schemaUrl="#fields">'),
        *fields,
        _scalar("</SchemaData></ExtendedData>"),
        geometries.take(pa.array(content.uses)),
        _scalar("</Placemark>\n"),
    )


def _digits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column, yes and no as 1 and 0: GDAL, and so QGIS, reads the word ``true`` of a bool as no."""
    return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column


def _ids(content: Content) -> pa.Array:
    return _escaped(pa.array([content.features.item_id(row) for row in range(content.features.count)], _TEXT))


def _style_numbers(content: Content, values: dict[str, pa.Array]) -> pa.Array:
    style = content.manifest.layer.style
    numbers = np.zeros(content.features.count, dtype=np.int64)
    if style.by in values:
        column = value_texts(content.table[style.by])
        for number, entry in enumerate(style.classes, start=1):
            numbers[pc.fill_null(pc.equal(column, _scalar(entry.value)), False).to_numpy(zero_copy_only=False)] = number
    return pa.array(numbers).cast(pa.string()).cast(_TEXT)


def _escaped(texts: pa.Array) -> pa.Array:
    """Return texts as the content of elements, without what XML cannot hold (U+FFFE, U+FFFF, controls)."""
    found = pc.replace_substring_regex(texts, "[\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x{FFFE}\\x{FFFF}]", "")
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        found = pc.replace_substring(found, sign, entity)
    return found


def _wrapped(before: str, texts: pa.Array, after: str) -> pa.Array:
    return pc.binary_join_element_wise(_scalar(before), texts, _scalar(after), _scalar(""))


def _joined(*texts: pa.Array | pa.Scalar) -> pa.Array:
    return pc.binary_join_element_wise(*texts, _scalar(""), null_handling="replace", null_replacement="")


def _scalar(value: str) -> pa.Scalar:
    return pa.scalar(value, _TEXT)


def _geometry(geojson: str) -> str:
    """Return a GeoJSON geometry as a KML one: the same numbers between other signs."""
    name, _, positions = geojson.removeprefix('{"type":"').partition('","coordinates":')
    # Between positions of one ring a blank; what is left of brackets then parts rings and parts.
    tuples = positions.removesuffix("}").replace("],[", " ")
    if name == "Point":
        return _point(tuples[1:-1])
    if name == "LineString":
        return _line(tuples[2:-2])
    if name == "Polygon":
        return _polygon(tuples[3:-3])
    if name == "MultiPoint":
        members = [_point(position) for position in tuples[2:-2].split(" ")]
    elif name == "MultiLineString":
        members = [_line(line) for line in tuples[3:-3].split("] [")]
    else:
        members = [_polygon(polygon) for polygon in tuples[4:-4].split("]] [[")]
    return f"<MultiGeometry>{''.join(members)}</MultiGeometry>"


def _point(position: str) -> str:
    return f"<Point><coordinates>{position}</coordinates></Point>"


def _line(positions: str) -> str:
    return f"<LineString><coordinates>{positions}</coordinates></LineString>"


def _polygon(rings: str) -> str:
    shell, *holes = [f"<LinearRing><coordinates>{ring}</coordinates></LinearRing>" for ring in rings.split("] [")]
    inner = "".join(f"<innerBoundaryIs>{hole}</innerBoundaryIs>" for hole in holes)
    return f"<Polygon><outerBoundaryIs>{shell}</outerBoundaryIs>{inner}</Polygon>"
