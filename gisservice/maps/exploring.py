"""A map of what analysis returns, to move about in and to click: one HTML page that asks nobody for anything.

Folium makes the map from numbers alone; shapes and texts travel as JSON that a script of ours reads, and are shown as
text. The drawing library is written into the page, so that it opens in a notebook and from a disk without network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import orjson
import shapely
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gisservice import crs
from gisservice.analysis import to_geojson
from gisservice.errors import LimitExceeded
from gisservice.maps.answerparts import ABSENT, Shown, shown
from gisservice.maps.assets import Assets
from gisservice.maps.foliummap import CityMap
from gisservice.maps.pages import page_data
from gisservice.maps.sparing import without_pandas
from gisservice.settings import Settings

with without_pandas():
    from branca.element import Figure, MacroElement
    from folium.template import Template

if TYPE_CHECKING:
    import geopandas

BYTES_MAX = 50_000_000
"""The most that a map holds; what is larger no browser draws well: choose fewer features, or a collection's own map."""

HEIGHT = 560
"""Pixels of the map in a notebook."""


@dataclass(frozen=True, slots=True)
class Explored:
    """A finished map. A notebook shows it; :meth:`save` writes it as a page."""

    html: str

    def save(self, path: str | Path) -> None:
        """Write the map as an HTML page that needs no other file."""
        Path(path).write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own: nothing of it reaches the notebook around it."""
        return (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts" width="100%" height="{HEIGHT + 90}" '
            'style="border:0" title="A map"></iframe>'
        )


class AnswerLayer(MacroElement):
    """Draws the page's JSON on the map it is added to."""

    _template = Template("{% macro script(this, kwargs) %}drawAnswer({{ this._parent.get_name() }});{% endmacro %}")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "AnswerLayer"
        self._id = "answer"


def explore(
    frame: geopandas.GeoDataFrame,
    column: str | None = None,
    *,
    title: str | None = None,
    background: geopandas.GeoDataFrame | None = None,
    classes: int = 5,
    static: Path | None = None,
) -> Explored:
    """Return a map of a frame, coloured by a column as :func:`gisservice.plot` does; a click tells all columns.

    ``background`` (a boundary, parcels) is drawn pale below it: the map asks nobody for one.
    ``static`` is the folder of the browser libraries, by default that of the settings. Raises
    :class:`SettingsError` where they are not installed, :class:`InvalidParameter` for a column that is not there,
    :class:`LimitExceeded` for more than 100,000 features or 50 MB.

    >>> explore(within(addresses, stations, distance_ft=500), "distance_ft")                # doctest: +SKIP
    """
    wanted = shown(frame, column, title, classes)
    content = to_geojson(frame)
    below = b"null" if background is None else to_geojson(background[[background.geometry.name]])
    if len(content) + len(below) > BYTES_MAX:
        raise LimitExceeded("A map", len(content) + len(below), BYTES_MAX, "bytes")
    folder = static or Settings.load().static
    assets = Assets.load(folder)
    library, sheet = ((folder / assets[name].path).read_text("utf-8") for name in ("leaflet.js", "leaflet.css"))
    program = (folder / "js" / "answer.js").read_text("utf-8")
    data = {"answer": orjson.loads(content), "background": orjson.loads(below)}
    data |= {"classes": _styles(wanted), "places": wanted.places.tolist()}
    html, script = _map(frame)
    return Explored(
        _template().render(
            shown=wanted,
            height=HEIGHT,
            map=html,
            data=page_data(data),
            sheet=_inert(sheet),
            library=_inert(library),
            program=_inert(f"{program}\n{script}"),
        )
    )


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = Environment(
        loader=PackageLoader("gisservice.maps"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("exploring.html")


def _styles(wanted: Shown) -> list[dict[str, Any]]:
    return [{"label": entry.label, "colour": entry.colour} for entry in wanted.classes if entry.colour != ABSENT]


def _map(frame: geopandas.GeoDataFrame) -> tuple[Markup, str]:
    """Return the element and the program of a map that begins at the frame's middle."""
    shapes = shapely.force_2d(frame.geometry.to_numpy())
    there = shapes[np.isfinite(shapely.bounds(shapes).reshape(-1, 4)).all(axis=1)]
    west, south, east, north = 0.0, 0.0, 0.0, 0.0
    if len(there):
        box = tuple(shapely.total_bounds(there).tolist())
        west, south, east, north = crs.transform_bbox(box, frame.crs, crs.CRS84)
    drawn = CityMap((west + east) / 2, (south + north) / 2, 12)
    drawn.add_child(AnswerLayer())
    drawn.render()  # type: ignore[no-untyped-call]
    figure = drawn.get_root()
    assert isinstance(figure, Figure)
    return Markup(figure.html.render()), str(figure.script.render())


def _inert(text: str) -> Markup:
    """Return a file of ours or of the library for a place inside a script or a style element."""
    return Markup(text.replace("</", "<\\/"))
