"""The public pages: gathers what they show and hands it to the renderers of :mod:`gisservice.maps`.

A page is fetched anew at each visit: its nonce is in its header and in its text, so it has no ETag. The query
string of a page is read for its language alone: links to public pages come back with the marks of those who passed
them on.
"""

from __future__ import annotations

from dataclasses import replace

from gisservice.catalog import Collection
from gisservice.errors import CatalogError, CollectionNotFound, MapNotFound, RequestError
from gisservice.maps.pages import (
    DownloadFile,
    DownloadForm,
    HomeContext,
    LayerContext,
    LayerView,
    MapContext,
    MapView,
    Site,
    render_home,
    render_layer,
    render_map,
)
from gisservice.model import GeometryKind, MapDeclaration
from gisservice.query.downloads import forms_of
from gisservice.query.rastering import RELIEF
from gisservice.web import catalogue
from gisservice.web.downloads import known_files
from gisservice.web.exchange import PER_VISIT, Answer, Request, compress
from gisservice.web.links import (
    QGIS_PATH,
    archive_path,
    collection_path,
    dictionary_path,
    download_path,
    downloads_path,
    items_path,
    report_path,
    style_path,
    tilejson_path,
    tiles_path,
)
from gisservice.web.responses import new_nonce, page_headers
from gisservice.web.service import Service
from gisservice.web.sites import EMBED, given, site_of
from gisservice.web.structured import data_catalog, dataset


def home(service: Service, request: Request) -> Answer:
    """Answer the front page."""
    site = _site(service, request)
    maps = tuple(map_view(request, declaration) for declaration in service.registry.maps)
    layers = tuple(layer_view(request, collection) for collection in service.published())
    structured = data_catalog(service.registry.city, request, catalogue.published(service))
    return page(request, site, render_home(HomeContext(site, maps, layers, f"{request.base}/api", structured)))


def layer(service: Service, request: Request, *, collection_id: str) -> Answer:
    """Answer the page about one layer."""
    site = _site(service, request)
    collection = service.catalog.collection(collection_id)
    manifest = collection.manifest
    context = LayerContext(
        site,
        layer_view(request, collection),
        manifest.storage_crs,
        manifest.quality,
        manifest.provenance,
        manifest.operations,
        service.catalog.versions(collection_id),
        _downloads(request, collection),
        request.base + downloads_path(collection_id),
        None if manifest.tiles is None else service.tilesets.one(collection_id, collection.version).report.summary(),
        "" if collection.features is None else request.base + dictionary_path(collection_id),
        dataset(service.registry.city, request, catalogue.entry(service, collection)),
    )
    return page(request, site, render_layer(context))


def _downloads(request: Request, collection: Collection) -> tuple[DownloadForm, ...]:
    files: dict[str, list[DownloadFile]] = {}
    for wanted, found in known_files(collection).items():
        url = request.base + download_path(collection.id, wanted.extension, wanted.system)
        file = DownloadFile(wanted.system, url, None)
        if found is not None:
            file = DownloadFile(wanted.system, url, found.size, found.sha256, found.problem)
        files.setdefault(wanted.extension, []).append(file)
    forms = forms_of(collection.manifest)
    return tuple(
        DownloadForm(forms[extension].title, tuple(listed), forms[extension].losses(collection.manifest))
        for extension, listed in files.items()
    )


def city_map(service: Service, request: Request, *, map_id: str) -> Answer:
    """Answer the page of a declared map, or of a collection alone when no map has this id."""
    site = _site(service, request)
    declaration = declared(service, map_id)
    views, missing = [], []
    for name in declaration.layers:
        try:
            shown = layer_view(request, service.catalog.collection(name))
            views.append(_drawn_by(declaration, shown))
        except (CollectionNotFound, CatalogError):
            missing.append(name)
    framed = is_framed(request)
    context = MapContext(site, map_view(request, declaration), tuple(views), tuple(missing), embedded=framed)
    return page(request, site, render_map(context), framed)


def _drawn_by(declaration: MapDeclaration, view: LayerView) -> LayerView:
    """Return a layer as a map draws it; relief as WebP, which takes half the bytes of PNG."""
    styled = replace(view, layer=declaration.styled(view.layer))
    if view.picture_url is None or not declaration.shades(view.layer):
        return styled
    relief = f"webp?render={RELIEF.product}&exaggeration={RELIEF.exaggeration:g}"
    return replace(styled, picture_url=view.picture_url.removesuffix("png") + relief, is_relief=True)


def declared(service: Service, map_id: str) -> MapDeclaration:
    """Return a declared map, or that of a collection alone when no map has this id. Raises :class:`MapNotFound`."""
    found = next((entry for entry in service.registry.maps if entry.id == map_id), None)
    if found is not None:
        return found
    try:
        shown = service.catalog.collection(map_id).layer
    except CollectionNotFound as exc:
        raise MapNotFound(f"No map {map_id[:80]!r} is declared, and no collection of this id.") from exc
    return MapDeclaration(map_id, shown.title, shown.description, (map_id,))


def _site(service: Service, request: Request) -> Site:
    return site_of(service, request, new_nonce())


def map_view(request: Request, declaration: MapDeclaration) -> MapView:
    """Return a declared map with its address."""
    return MapView(declaration, f"{request.base}/maps/{declaration.id}")


def layer_view(request: Request, collection: Collection) -> LayerView:
    """Return the current version of a layer with its addresses."""
    manifest, base, name = collection.manifest, request.base, collection.id
    view = LayerView(
        layer=collection.layer,
        kind=manifest.kind,
        version=collection.version,
        published=manifest.created,
        count=manifest.count,
        extent=manifest.extent,
        columns=manifest.columns,
        id_column=manifest.id_column,
        page_url=f"{base}/layers/{name}",
        collection_url=base + collection_path(name),
        items_url=base + items_path(name),
    )
    if manifest.kind is GeometryKind.RASTER:
        picture = f"{base}/tiles/{name}/{collection.version}/{{z}}/{{x}}/{{y}}.png"
        zooms = collection.layer.minzoom, collection.layer.maxzoom
        return replace(view, picture_url=picture, minzoom=zooms[0], maxzoom=zooms[1])
    if manifest.tiles is None:
        return view
    return replace(
        view,
        tiles_url=base + tiles_path([name], [collection.version]),
        tilejson_url=base + tilejson_path(name),
        archive_url=base + archive_path(name),
        style_url=base + style_path(name),
        report_url=base + report_path(name),
        qgis_url=base + QGIS_PATH,
        tiles_name=name,
        minzoom=manifest.tiles["minzoom"],
        maxzoom=manifest.tiles["maxzoom"],
    )


def is_framed(request: Request) -> bool:
    """Tell whether a map is asked for that is to stand inside somebody else's page."""
    try:
        return EMBED in given(request, (EMBED,))
    except RequestError:  # the page says what is wrong where it reads the query, or needs none of it
        return False


def page(request: Request, site: Site, text: str, framed: bool = False) -> Answer:
    """Answer with a page, whose nonce is the site's; with ``framed`` any site may show it inside a page of its own."""
    content = text.encode()
    headers = (
        *page_headers(site.nonce, framed),
        ("Cache-Control", PER_VISIT),
        ("Vary", "Accept-Encoding, Accept-Language"),
        ("Content-Language", site.language.code),
    )
    if request.takes_gzip():
        return Answer(200, (*headers, ("Content-Encoding", "gzip")), compress(content))
    return Answer(200, headers, content)
