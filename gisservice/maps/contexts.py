"""What the renderers of :mod:`gisservice.maps.pages` are given: nouns and links, filled in by whoever serves pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gisservice.maps.assets import Assets
from gisservice.model import (
    City,
    Column,
    Extent,
    GeometryKind,
    Layer,
    MapDeclaration,
    Operation,
    Provenance,
    Quality,
    Version,
)


@dataclass(frozen=True, slots=True)
class Site:
    """What every page needs: whose site it is and where it stands.

    ``base`` is the path prefix of all links, without a closing slash ("" at the root of a host, "/gis" behind a
    proxy); ``address`` is the same with scheme and host ("https://maps.example.gov/gis"), for links that are
    copied out of the page. ``nonce`` is this response's CSP nonce, ASCII letters, digits, ``+/=_-`` only.
    """

    city: City
    assets: Assets
    nonce: str
    base: str = ""
    address: str = ""

    def static(self, name: str) -> str:
        """Return the path of a style sheet or script by its short name."""
        return f"{self.base}/static/{self.assets[name].path}"

    def modules(self) -> dict[str, str]:
        """Return an import map: each of our modules under its plain address, to the one that holds its digest."""
        return {f"{self.base}/static/{name}": self.static(name) for name in self.assets.files if name[:3] == "js/"}

    def absolute(self, path: str) -> str:
        """Return a path from the host's root (prefix included) with scheme and host, to be copied out of the page."""
        return self.address.removesuffix(self.base) + path


@dataclass(frozen=True, slots=True)
class LayerView:
    """One published layer as the pages show it. All ``*_url`` are paths from the host's root, prefix included.

    ``tiles_url`` is the template of one version, with ``{z}``, ``{x}`` and ``{y}`` in it; None for a layer without
    vector tiles (a raster). ``tiles_name`` is the name of the layer inside the tile. ``qgis_url`` lists all layers for
    QGIS.
    """

    layer: Layer
    kind: GeometryKind
    version: str
    published: datetime
    count: int
    extent: Extent | None
    columns: tuple[Column, ...]
    id_column: str
    page_url: str
    collection_url: str
    items_url: str
    tiles_url: str | None = None
    tilejson_url: str | None = None
    archive_url: str | None = None
    style_url: str | None = None
    report_url: str | None = None
    qgis_url: str | None = None
    tiles_name: str = ""
    minzoom: int = 0
    maxzoom: int = 16


@dataclass(frozen=True, slots=True)
class MapView:
    """One public map as a card or a page: what was declared, and where it is."""

    declaration: MapDeclaration
    page_url: str


@dataclass(frozen=True, slots=True)
class HomeContext:
    """The front page. ``api_url`` is the API's landing page."""

    site: Site
    maps: tuple[MapView, ...]
    layers: tuple[LayerView, ...]
    api_url: str


@dataclass(frozen=True, slots=True)
class DownloadFile:
    """A whole layer as one file: its reference system, where it is, and how large; None before it is made.

    ``problem`` is a sentence where the layer does not fit into the format.
    """

    system: str
    url: str
    size: int | None
    sha256: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DownloadForm:
    """One form that a whole layer can be had in, its files, and what it loses of the layer, in plain sentences."""

    title: str
    files: tuple[DownloadFile, ...]
    losses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LayerContext:
    """The page about one layer. ``versions`` newest first; ``storage_crs`` an authority code or a name.

    ``downloads_url`` is the list of the files of ``downloads`` for programs; "" for a layer without files. ``report``
    is the account of its tiles (:meth:`gisservice.tiles.Report.summary`); None for a layer without vector tiles.
    """

    site: Site
    view: LayerView
    storage_crs: str
    quality: Quality
    provenance: tuple[Provenance, ...]
    operations: tuple[Operation, ...]
    versions: tuple[Version, ...]
    downloads: tuple[DownloadForm, ...] = ()
    downloads_url: str = ""
    report: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MapContext:
    """The page of one map. ``layers`` bottom first, published ones only."""

    site: Site
    map: MapView
    layers: tuple[LayerView, ...]
    missing: tuple[str, ...] = ()
    """Ids of layers that the map declares and nobody has published yet."""


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """A page for an error. ``detail`` is ours, never what the caller sent; ``reference`` is in the log."""

    site: Site
    status: int
    title: str
    detail: str
    reference: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    """Text to address: where to go from here."""
