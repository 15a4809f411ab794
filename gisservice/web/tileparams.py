"""The query parameters of tiles: which features and which of their properties a tile shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from gisservice import crs
from gisservice.errors import InvalidParameter, LimitExceeded, ReprojectionError
from gisservice.model import Column, Condition
from gisservice.query.tiling import choose_properties
from gisservice.web.params import Parameter, flag

NAMES = ("filter", "filter-lang", "filter-crs", "properties", "skipIds")
"""What the short addresses take."""

COLLECTION_NAMES = (*NAMES, "f")
"""What a tile of one collection takes in OGC API Tiles."""

DATASET_NAMES = ("collections", *COLLECTION_NAMES)
"""What a tile of the whole dataset takes."""

PROPERTIES_MAX = 500
"""Most properties that a request names."""

TEXT, JSON = "cql2-text", "cql2-json"

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "filter",
        "A CQL2 expression: only features that it holds for. In a tile of several layers it holds for each, so each "
        "must have the properties that it names.",
        {"type": "string"},
    ),
    Parameter("filter-lang", "How the filter is written.", {"type": "string", "enum": [TEXT, JSON], "default": TEXT}),
    Parameter(
        "filter-crs",
        "Reference system of the coordinates in the filter, as an OGC URI; without it longitude, latitude (CRS84).",
        {"type": "string", "format": "uri"},
    ),
    Parameter(
        "properties",
        "The properties that features carry, separated by commas; none when empty. In a tile of several layers each "
        "is written 'id.property', and a layer of which none is named carries none.",
        {"type": "array", "items": {"type": "string"}},
    ),
    Parameter(
        "skipIds",
        "Whether to leave the ids of features out, for smaller tiles that are only drawn.",
        {"type": "boolean", "default": False},
    ),
    Parameter(
        "collections",
        "Ids of the collections that are shown, separated by commas, the lowest first; all without it.",
        {"type": "array", "items": {"type": "string"}},
    ),
    Parameter("f", "The format of the tile, instead of the Accept header.", {"type": "string", "enum": ["mvt"]}),
)
"""What the names above mean, as the API publishes it."""


def component(name: str) -> str:
    """Return what the API's description calls a parameter of tiles, apart from that of items of the same name."""
    return f"tile-{name}"


@dataclass(frozen=True, slots=True)
class TileOptions:
    """What of its layers a tile shows, as asked; whether the layers have that is found later."""

    filter_text: str | None = None
    filter_lang: str = TEXT
    filter_crs: str = "OGC:CRS84"
    """A name that :func:`gisservice.crs.parse` takes."""
    properties: tuple[str, ...] | None = None
    """Names as given: of columns, or in a tile of several layers ``id.column``; None for all of all layers."""
    with_ids: bool = True

    def properties_of(self, layers: Mapping[str, tuple[Column, ...]]) -> dict[str, tuple[str, ...] | None]:
        """Return for each layer (id: its columns) the properties to show, in the order of its columns.

        With one layer, properties are named as its columns; with several each is written ``id.column``, and a layer
        of which none is named shows none. Raises :class:`InvalidParameter` for what no layer has.
        """
        if self.properties is None:
            return dict.fromkeys(layers)
        named: dict[str, list[str]] = {name: [] for name in layers}
        for given in self.properties:
            layer, column = (next(iter(layers)), given) if len(layers) == 1 else _split(given, layers)
            named[layer].append(column)
        return {
            name: choose_properties(named[name], [column.name for column in columns])
            for name, columns in layers.items()
        }

    def query(self, filters: list[Condition]) -> str:
        """Return the canonical query string of these options, to be carried into links; "" for none."""
        pairs = []
        if self.filter_text is not None:
            pairs.append(("filter", filters[0].text))
        if self.properties is not None:
            pairs.append(("properties", ",".join(self.properties)))
        if not self.with_ids:
            pairs.append(("skipIds", "true"))
        return urlencode(pairs, safe=",:/")


def parse(values: Mapping[str, str]) -> TileOptions:
    """Check the parameters of a tile as far as that needs no layer. Raises :class:`InvalidParameter` and others."""
    lang = values.get("filter-lang", TEXT)
    if lang not in (TEXT, JSON):
        raise InvalidParameter("filter-lang", lang, f"'{TEXT}' or '{JSON}'")
    properties = _names(values["properties"]) if "properties" in values else None
    skipped = flag("skipIds", values.get("skipIds", "false"))
    return TileOptions(values.get("filter"), lang, _filter_crs(values), properties, not skipped)


def check_format(text: str) -> None:
    """Check ``f``: tiles are Mapbox Vector Tiles."""
    if text != "mvt":
        raise InvalidParameter("f", text, "'mvt'")


def _filter_crs(values: Mapping[str, str]) -> str:
    name = values.get("filter-crs", TileOptions().filter_crs)
    try:
        crs.parse(name)
    except ReprojectionError as exc:
        expected = "a reference system such as 'http://www.opengis.net/def/crs/EPSG/0/2283'"
        raise InvalidParameter("filter-crs", name, expected) from exc
    return name


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else ()
    if len(names) > PROPERTIES_MAX:
        raise LimitExceeded("A choice", len(names), PROPERTIES_MAX, "properties")
    if len(set(names)) != len(names):
        raise InvalidParameter("properties", text, "each property once")
    return names


def _split(given: str, layers: Iterable[str]) -> tuple[str, str]:
    """Return the layer and the column of ``id.column``; no id holds a dot."""
    layer, dot, column = given.partition(".")
    if not dot or layer not in layers:
        raise InvalidParameter("properties", given, "id.property, with the id of one of the layers shown, for each")
    return layer, column
