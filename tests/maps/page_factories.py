"""Contexts for the pages: an ordinary city, and one whose every word is an attack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hostile_texts import HOSTILE_TEXTS

from gisservice.maps.assets import Asset, Assets
from gisservice.maps.contexts import (
    DownloadFile,
    DownloadForm,
    HomeContext,
    LayerContext,
    LayerView,
    MapContext,
    MapView,
    Site,
)
from gisservice.model import (
    City,
    Column,
    ColumnType,
    Extent,
    Finding,
    GeometryKind,
    Layer,
    MapDeclaration,
    Operation,
    Provenance,
    Quality,
    Style,
    StyleClass,
    Version,
)

MOMENT = datetime(2026, 11, 3, 9, 5, tzinfo=UTC)
BBOX = (-77.1444, 38.7854, -77.0373, 38.8450)

HOSTILE = (*HOSTILE_TEXTS, "tab\tand\nnew line")


def make_site(**changes) -> Site:
    ours = (
        "css/site.css",
        "icon.svg",
        "js/map.js",
        "js/panel.js",
        "js/addressbox.js",
        "js/actions.js",
        "js/offline.js",
        "js/choosing.js",
        "js/finding.js",
    )
    libraries = ("leaflet.js", "leaflet.css", "protomaps-leaflet.js")
    assets = Assets(
        {name: Asset(f"{name}?v=0123456789ab") for name in ours}
        | {name: Asset(f"vendor/{name}", "sha384-abc") for name in libraries}
    )
    site = Site(City("Rivertown", "Sample data.", "gis@example.org"), assets, "n0nce", "", "http://127.0.0.1:8000")
    return replace(site, **changes)


def make_view(layer_id: str = "parcels", **changes) -> LayerView:
    style = Style(by="zoning", label="pid", classes=(StyleClass("RB", "Townhouse", "#f6c667"),))
    layer = Layer(
        layer_id, "Parcels", GeometryKind.POLYGON, "Land parcels.", attribution="City", licence="CC0-1.0", style=style
    )
    view = LayerView(
        layer=layer,
        kind=GeometryKind.POLYGON,
        version="v-0123456789abcdef",
        published=MOMENT,
        count=47174,
        extent=Extent(BBOX),
        columns=(
            Column("pid", ColumnType.STRING, "Parcel identifier"),
            Column("zoning", ColumnType.STRING, "Zone", codes=(("RB", "Townhouse zone"),)),
            Column("area", ColumnType.NUMBER, "Lot area", unit="square foot"),
        ),
        id_column="pid",
        page_url=f"/layers/{layer_id}",
        collection_url=f"/api/collections/{layer_id}",
        items_url=f"/api/collections/{layer_id}/items",
        tiles_url=f"/tiles/{layer_id}/v-0123456789abcdef/{{z}}/{{x}}/{{y}}.mvt",
        tilejson_url=f"/tiles/{layer_id}.json",
        archive_url=f"/tiles/{layer_id}.pmtiles",
        style_url=f"/tiles/{layer_id}/style.json",
        report_url=f"/tiles/{layer_id}/report",
        qgis_url="/api/qgis.xml",
        tiles_name=layer_id,
        minzoom=11,
        maxzoom=16,
    )
    return replace(view, **changes)


def make_home(site: Site | None = None, views: tuple[LayerView, ...] | None = None) -> HomeContext:
    card = MapView(MapDeclaration("city", "The city", "All of it.", ("parcels",)), "/maps/city")
    return HomeContext(site or make_site(), (card,), views if views is not None else (make_view(),), "/api")


def make_map(site: Site | None = None, views: tuple[LayerView, ...] | None = None, **declared) -> MapContext:
    declaration = MapDeclaration("city", "The city", "All of it.", ("parcels",), (-77.09, 38.81), 13)
    card = MapView(replace(declaration, **declared), "/maps/city")
    return MapContext(site or make_site(), card, views if views is not None else (make_view(),), ())


def make_layer_page(site: Site | None = None, view: LayerView | None = None, text: str = "words") -> LayerContext:
    finding = Finding("code", text, 3, (text, "2"))
    return LayerContext(
        site or make_site(),
        view or make_view(),
        "EPSG:2283",
        Quality(47174, 47171, (finding,), (finding,), (finding,)),
        (Provenance(text, "GeoJSON", "ab" * 32, 5_916_349, MOMENT, "OGC:CRS84", True),),
        (Operation("OGC:CRS84", "EPSG:2283", text, "+proj=pipeline", 4.0, ("us_noaa_vahpgn.tif",)),),
        (Version("parcels", "v-0123456789abcdef", MOMENT, "publish", 47171, True),),
        (
            DownloadForm(text, (DownloadFile(text, "/download/parcels.csv", 5_916_349),), (text, text)),
            DownloadForm("GeoPackage", (DownloadFile("EPSG:2283", "/download/parcels.gpkg", None),), ()),
            DownloadForm("Shapefile", (DownloadFile("EPSG:2283", "/download/parcels.shp.zip", 0, "", text),), (text,)),
        ),
        "/download/parcels",
        REPORT,
    )


REPORT = {
    "budget_bytes": 500_000,
    "zooms": {
        "11": {
            "tiles": 2, "bytes": 778_864, "largest_bytes": 486_969, "over_budget": 1, "features": 47_174,
            "kept": 27_937, "merged": {"stack": 18_761, "small": 451},
            "dropped": {"no-extent": 1, "thinned": 20, "budget": 4},
            "drawn": 27_992, "reduced": 24_121, "invalid": {"before": 644, "after": 0},
            "conflicts": {"overlap_m2": 0.0, "gap_m2": 12.5, "overlaps": [], "gaps": [[1.0, 2.0, 12.5]]},
        },
        "16": {
            "tiles": 1, "bytes": 4_100, "largest_bytes": 4_100, "over_budget": 0, "features": 47_174,
            "kept": 47_174, "merged": {}, "dropped": {}, "drawn": 47_174, "reduced": 0,
            "invalid": {"before": 316, "after": 0},
            "conflicts": {"overlap_m2": 0.0, "gap_m2": 0.0, "overlaps": [], "gaps": []},
        },
    },
}  # fmt: skip


def hostile_view(text: str) -> LayerView:
    view = make_view()
    style = Style(by=text, label=text, classes=(StyleClass(text, text, text),))
    words = dict.fromkeys(("title", "description", "licence", "attribution", "cadence", "steward"), text)
    layer = replace(view.layer, **words, style=style)
    columns = (Column(text, ColumnType.STRING, text, unit=text, codes=((text, text),)),)
    return replace(view, layer=layer, columns=columns, id_column=text)
