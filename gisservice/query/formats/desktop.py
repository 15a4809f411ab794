"""A layer's style and description as desktop programs read them: QML, QLR and QMD of QGIS, SLD 1.1 (OGC 05-078r4)."""

from __future__ import annotations

from gisservice.catalog import Manifest
from gisservice.model import GeometryKind, Layer, Style
from gisservice.query.formats.markup import attribute, channels, text

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_QGIS = "3.28.0"
"""The release whose form of the files this is; later ones read it."""

DEGREES, MERCATOR = "EPSG:4326", "EPSG:3857"
"""Reference systems of what a layer definition opens: features in degrees, and picture tiles."""
_SYSTEM_NUMBERS = {DEGREES: 3452, MERCATOR: 3857}
"""What QGIS calls them in its own list: it reads the authority's name only beside this number."""

_SYMBOLS = {GeometryKind.POINT: "marker", GeometryKind.LINE: "line", GeometryKind.POLYGON: "fill"}
_LAYERS = {GeometryKind.POINT: "SimpleMarker", GeometryKind.LINE: "SimpleLine", GeometryKind.POLYGON: "SimpleFill"}
_GEOMETRIES = {GeometryKind.POINT: "Point", GeometryKind.LINE: "Line", GeometryKind.POLYGON: "Polygon"}
_GEOMETRY_NUMBERS = {GeometryKind.POINT: 0, GeometryKind.LINE: 1, GeometryKind.POLYGON: 2}


def qml(style: Style, kind: GeometryKind, fields: dict[str, str]) -> str:
    """Return the style as QML. ``fields`` leads from the layer's columns to the names they have in the file."""
    labelled = int(style.label in fields)
    return (
        f'{_DOCTYPE}<qgis version="{_QGIS}" styleCategories="Symbology|Labeling" labelsEnabled="{labelled}">\n'
        f"{_drawn(style, kind, fields)}<layerGeometryType>{_GEOMETRY_NUMBERS[kind]}</layerGeometryType>\n</qgis>\n"
    )


def qlr(layer: Layer, kind: GeometryKind, provider: str, source: str) -> str:
    """Return a layer definition that QGIS opens: where the layer is read from, by which provider, and how it is drawn.

    A picture (a raster) is drawn as it comes. Columns have their own names in the source. The reference system has to
    be said: QGIS asks the source for it only when a layer is added by hand, and draws nothing without one.
    """
    name, title = attribute(layer.id), attribute(layer.title)
    fields = {one.name: one.name for one in layer.columns or ()}
    picture = kind is GeometryKind.RASTER
    kinds = 'type="raster"' if picture else f'type="vector" geometry="{_GEOMETRIES[kind]}"'
    drawn = "" if picture else _drawn(layer.style, kind, fields)
    system = MERCATOR if picture else DEGREES
    described = (
        f"<srs><spatialrefsys><srsid>{_SYSTEM_NUMBERS[system]}</srsid><authid>{system}</authid></spatialrefsys></srs>"
        f"<resourceMetadata><type>dataset</type><title>{text(layer.title)}</title>"
        f"<abstract>{text(layer.description)}</abstract><rights>{text(layer.attribution)}</rights>"
        f"<license>{text(layer.licence)}</license></resourceMetadata>"
    )
    return (
        "<!DOCTYPE qgis-layer-definition>\n<qlr>\n"
        '<layer-tree-group name="" checked="Qt::Checked" expanded="1"><customproperties/>'
        f'<layer-tree-layer id={name} name={title} checked="Qt::Checked" expanded="1" '
        f"providerKey={attribute(provider)} source={attribute(source)}><customproperties/></layer-tree-layer>"
        "</layer-tree-group>\n"
        f'<maplayers><maplayer {kinds} version="{_QGIS}" labelsEnabled="{int(layer.style.label in fields)}">'
        f"<id>{text(layer.id)}</id><datasource>{text(source)}</datasource><layername>{text(layer.title)}</layername>{described}"
        f'<provider encoding="UTF-8">{text(provider)}</provider>\n{drawn}</maplayer></maplayers>\n</qlr>\n'
    )


def _drawn(style: Style, kind: GeometryKind, fields: dict[str, str]) -> str:
    """Return how the layer is drawn and labelled, for the element that stands for it."""
    by = fields.get(style.by or "")
    colors = [entry.color for entry in style.classes] if by else []
    symbols = "".join(_symbol(number, color, style, kind) for number, color in enumerate([*colors, style.color]))
    if by:
        renderer = f'type="categorizedSymbol" attr={attribute(by)}'
        categories = [
            f'<category symbol="{number}" render="true" type="string" '
            f"value={attribute(entry.value)} label={attribute(entry.label)}/>"
            for number, entry in enumerate(style.classes)
        ]
        rest = f'<category symbol="{len(colors)}" render="true" type="string" value="" label="other"/>'
        symbols = f"<categories>{''.join(categories)}{rest}</categories><symbols>{symbols}</symbols>"
    else:
        renderer, symbols = 'type="singleSymbol"', f"<symbols>{symbols}</symbols>"
    labels = _labels(fields[style.label]) if style.label in fields else ""
    return (
        f'<renderer-v2 {renderer} enableorderby="0" forceraster="0" symbollevels="0">{symbols}</renderer-v2>\n{labels}'
    )


def _symbol(number: int, color: str, style: Style, kind: GeometryKind) -> str:
    options = _options(color, style, kind)
    listed = "".join(f'<Option name="{name}" type="QString" value="{value}"/>' for name, value in options.items())
    return (
        f'<symbol type="{_SYMBOLS[kind]}" name="{number}" alpha="1" clip_to_extent="1" force_rhr="0">'
        f'<layer class="{_LAYERS[kind]}" enabled="1" locked="0" pass="0"><Option type="Map">{listed}</Option>'
        "</layer></symbol>"
    )


def _options(color: str, style: Style, kind: GeometryKind) -> dict[str, str]:
    """Return the properties of the one layer of a symbol; lengths are in pixels, as in the declaration."""
    body, outline = _rgba(color, style.opacity), _rgba(style.outline, 1.0)
    width = f"{style.width:g}"
    if kind is GeometryKind.LINE:
        return {"line_color": body, "line_width": width, "line_width_unit": "Pixel", "line_style": "solid"}
    edge = {
        "color": body,
        "outline_color": outline,
        "outline_width": width,
        "outline_width_unit": "Pixel",
        "outline_style": "solid" if style.width else "no",
    }
    if kind is GeometryKind.POLYGON:
        return {**edge, "style": "solid" if style.opacity else "no"}
    return {**edge, "name": "circle", "size": f"{2 * style.radius:g}", "size_unit": "Pixel"}


def _rgba(color: str, opacity: float) -> str:
    return ",".join(str(channel) for channel in (*channels(color), round(opacity * 255)))


def _labels(field: str) -> str:
    return (
        f'<labeling type="simple"><settings><text-style fieldName={attribute(field)} isExpression="0" '
        'fontSize="9" fontSizeUnit="Point" textColor="50,50,50,255"/></settings></labeling>\n'
    )


def sld(name: str, style: Style, kind: GeometryKind, fields: dict[str, str]) -> str:
    """Return the style as SLD: a rule a class, and one for all else."""
    by = fields.get(style.by or "")
    rules = [_rule(entry.label, entry.color, style, kind, _equals(by, entry.value)) for entry in style.classes if by]
    rest = "<se:ElseFilter/>" if rules else ""
    rules.append(_rule("other" if rules else "all", style.color, style, kind, rest))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<StyledLayerDescriptor xmlns="http://www.opengis.net/sld" '
        'xmlns:ogc="http://www.opengis.net/ogc" xmlns:se="http://www.opengis.net/se" version="1.1.0"><NamedLayer>'
        f"<se:Name>{text(name)}</se:Name><UserStyle><se:Name>{text(name)}</se:Name><se:FeatureTypeStyle>"
        f"{''.join(rules)}</se:FeatureTypeStyle></UserStyle></NamedLayer></StyledLayerDescriptor>\n"
    )


def _rule(title: str, color: str, style: Style, kind: GeometryKind, condition: str) -> str:
    stroke = _parameter("stroke", style.outline) + _parameter("stroke-width", f"{style.width:g}")
    fill = f"<se:Fill>{_parameter('fill', color)}{_parameter('fill-opacity', f'{style.opacity:g}')}</se:Fill>"
    if kind is GeometryKind.LINE:
        line = _parameter("stroke", color) + _parameter("stroke-width", f"{style.width:g}")
        line += _parameter("stroke-opacity", f"{style.opacity:g}")
        symbol = f"<se:LineSymbolizer><se:Stroke>{line}</se:Stroke></se:LineSymbolizer>"
    elif kind is GeometryKind.POLYGON:
        symbol = f"<se:PolygonSymbolizer>{fill}<se:Stroke>{stroke}</se:Stroke></se:PolygonSymbolizer>"
    else:
        symbol = (
            f"<se:PointSymbolizer><se:Graphic><se:Mark><se:WellKnownName>circle</se:WellKnownName>{fill}"
            f"<se:Stroke>{stroke}</se:Stroke></se:Mark><se:Size>{2 * style.radius:g}</se:Size>"
            "</se:Graphic></se:PointSymbolizer>"
        )
    return f"<se:Rule><se:Name>{text(title)}</se:Name>{condition}{symbol}</se:Rule>"


def _parameter(name: str, value: str) -> str:
    return f'<se:SvgParameter name="{name}">{value}</se:SvgParameter>'


def _equals(field: str | None, value: str) -> str:
    return (
        f"<ogc:Filter><ogc:PropertyIsEqualTo><ogc:PropertyName>{text(field or '')}</ogc:PropertyName>"
        f"<ogc:Literal>{text(value)}</ogc:Literal></ogc:PropertyIsEqualTo></ogc:Filter>"
    )


def qmd(manifest: Manifest, version: str, authority_code: str) -> str:
    """Return the layer's description as QGIS keeps it: what it is, its fields, its rights, its source's digest.

    Only what the version's id depends on goes in, so that the same version gives the same text.
    """
    layer = manifest.layer
    fields = "\n".join(f"{c.name}: {c.meaning or 'not described yet'}" for c in manifest.columns)
    sources = ", ".join(f"sha256 {item.sha256}" for item in manifest.provenance)
    abstract = "\n\n".join(
        part for part in (layer.description, fields, f"Version {version}", f"Source: {sources}") if part
    )
    return (
        f'{_DOCTYPE}<qgis version="{_QGIS}">\n<identifier>{text(manifest.collection)}</identifier>\n'
        f"<type>dataset</type>\n<title>{text(layer.title)}</title>\n<abstract>{text(abstract)}</abstract>\n"
        f"<contact><name></name><organization>{text(layer.steward)}</organization><role>custodian</role></contact>\n"
        f"<rights>{text(layer.attribution)}</rights>\n<license>{text(layer.licence)}</license>\n"
        f"<crs><spatialrefsys><authid>{text(authority_code)}</authid></spatialrefsys></crs>\n</qgis>\n"
    )
