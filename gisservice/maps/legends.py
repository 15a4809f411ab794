"""What the colours of a layer mean, in words: beside the map on its page, and on the map where it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gisservice.maps.contexts import Site
from gisservice.model import Column, Layer, RasterStyle, Style


@dataclass(frozen=True, slots=True)
class LegendText:
    """Words of a legend and the unit after them; words of the ``registry`` may lack a translation, ours do not."""

    text: str
    registry: bool = True
    unit: str = ""

    def said(self, site: Site) -> str:
        """Return the words in the language of the page."""
        text = site.said(self.text) if self.registry else self.text
        return f"{text} {site.said(site.several(self.unit))}" if self.unit else text

    def marked(self, site: Site) -> Markup:
        """Return the words for a page: what has no translation is marked as English."""
        text = site.marked(self.text) if self.registry else Markup.escape(self.text)
        return text + " " + site.marked(site.several(self.unit)) if self.unit else text


@dataclass(frozen=True, slots=True)
class Legend:
    """What is said of a layer's colours: a ``title`` (or nothing) with a unit, and each colour with its words.

    A style of classes has an entry for each, in its order, and one more for the features of none.
    """

    title: LegendText | None = None
    unit: str = ""
    entries: tuple[tuple[str, LegendText], ...] = ()

    def heading(self, site: Site) -> str:
        """Return title and unit in the language of the page."""
        title = "" if self.title is None else self.title.said(site)
        return f"{title} ({site.said(site.several(self.unit))})" if self.unit else title


def legend(site: Site, layer: Layer, columns: Sequence[Column], *, is_relief: bool = False) -> Legend:
    """Return the legend of a layer with these columns; one without entries for a layer of one look."""
    if is_relief:
        told = site.language.text(
            "Light and shade of the ground, lit from the north-west; five times as steep as it is."
        )
        return Legend(LegendText(told, registry=False))
    if layer.style.by is not None and layer.style.classes:
        measured = next((column for column in columns if column.name == layer.style.by), None)
        if measured is None or layer.style.classes[0].least is None:  # other classes speak for themselves
            return Legend(entries=_classes(site, layer.style))
        title = LegendText(measured.meaning or measured.name)
        return Legend(title, measured.unit or "", _classes(site, layer.style))
    return Legend(entries=_cells(site, layer.raster))


def _classes(site: Site, style: Style) -> tuple[tuple[str, LegendText], ...]:
    words = []
    upper = [*(entry.least for entry in style.classes[1:]), None]
    for entry, most in zip(style.classes, upper, strict=True):
        if entry.label or entry.least is None:
            words.append(LegendText(entry.label or entry.value))
            continue
        least = site.language.number(entry.least)
        if most is None:
            told = site.language.text("%(least)s and more", least=least)
        else:
            told = site.language.text("%(least)s to less than %(most)s", least=least, most=site.language.number(most))
        words.append(LegendText(told, registry=False))
    other = LegendText(site.language.text("Other or not recorded"), registry=False)
    colors = [*(entry.color for entry in style.classes), style.color]
    return tuple(zip(colors, [*words, other], strict=True))


def _cells(site: Site, raster: RasterStyle) -> tuple[tuple[str, LegendText], ...]:
    codes = [(entry.color, LegendText(entry.label)) for entry in raster.classes]
    stops = [
        (stop.color, LegendText(site.language.number(stop.value), registry=False, unit=raster.unit or ""))
        for stop in raster.stops
    ]
    return (*codes, *stops)
