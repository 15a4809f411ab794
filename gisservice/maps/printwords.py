"""The words on a map that the server draws, in the language of its page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gisservice.maps.contexts import Site
from gisservice.maps.drawnlegend import LayerLegend
from gisservice.maps.drawnmap import Words
from gisservice.maps.legends import legend
from gisservice.model import Column, GeometryKind, Layer, MapDeclaration


def map_title(site: Site, declared: MapDeclaration, layers: Sequence[Layer]) -> str:
    """Return what a map is called: as declared, or after its layers, the topmost first."""
    return site.said(declared.title) or site.language.listed([site.said(layer.title) for layer in reversed(layers)])


def print_legend(
    site: Site, declared: MapDeclaration, layer: Layer, kind: GeometryKind, columns: Sequence[Column]
) -> LayerLegend:
    """Return what the legend of a map can say of one of its layers, as it is drawn there."""
    styled, language = declared.styled(layer), site.language
    found = legend(site, styled, columns, is_relief=declared.shades(layer))
    entries = tuple((color, language.isolated(words.said(site))) for color, words in found.entries)
    heading = language.isolated(found.heading(site)) if found.title else ""
    return LayerLegend(language.isolated(site.said(layer.title)), kind, styled.style, heading, entries)


def print_words(
    site: Site,
    declared: MapDeclaration,
    layers: Sequence[Layer],
    newest: datetime | None,
    conditions: Sequence[str],
    legends: tuple[LayerLegend, ...],
) -> Words:
    """Return what is written on a map of layers, bottom first, the newest published at a moment; ``conditions`` say
    what records of some layers pass, ``legends`` what the layers' colours mean.
    """
    language, city = site.language, site.city
    sources = dict.fromkeys(site.said(layer.attribution) for layer in layers if layer.attribution)
    title = language.isolated(map_title(site, declared, layers))
    lines = (
        language.text("Filter: %(conditions)s.", conditions="; ".join(conditions)) if conditions else "",
        language.text("Sources: %(sources)s.", sources=language.listed([*map(language.isolated, sources)]))
        if sources
        else "",
        language.text("As published on %(day)s.", day=language.day(newest)) if newest else "",
        language.isolated(site.said(city.notice)),
    )
    return Words(f"{title} – {language.isolated(site.said(city.name))}", tuple(filter(None, lines)), language, legends)
