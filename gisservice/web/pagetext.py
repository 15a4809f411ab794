"""The templates of the pages below ``/api``, and what they need to show JSON: no data is read here."""

from __future__ import annotations

import hashlib
import re
from html import escape
from typing import Any
from urllib.parse import quote

import orjson
from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from gisservice.maps import wording
from gisservice.maps.contexts import in_language
from gisservice.maps.languages import ENGLISH


def render(name: str, **values: object) -> str:
    """Return the page that a template of ours makes of some values; every value is escaped."""
    return _ENVIRONMENT.get_template(f"web/{name}.html").render(**values)


def table_rows(features: list[dict[str, Any]], names: list[str], address: str) -> Markup:
    """Return the rows of a table of items below an address, one cell for each name, ready and escaped.

    Written without a template, which takes six times as long for the cells of a large page.
    """
    labels = [f'<td data-label="{_escaped(name)}">' for name in names]
    lines = []
    for feature in features:
        href, properties = f"{address}/{quote(str(feature['id']), safe='')}", feature["properties"] or {}
        cells = [f"{label}{_cell(properties.get(name))}</td>" for label, name in zip(labels, names, strict=True)]
        name = f'<th scope="row"><a href="{_escaped(href)}">{_escaped(feature["id"])}</a></th>'
        lines.append(f"<tr>{name}{''.join(cells)}</tr>")
    return Markup("\n".join(lines))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        made: str = _ENVIRONMENT.get_template("web/values.html").module.cell(value)  # type: ignore[attr-defined]
        return made
    return _escaped(value)


def _escaped(value: object) -> str:
    return escape(str(_visible(value)))


def _visible(value: object) -> object:
    """Return a value as a page may hold it: HTML has no place for control characters."""
    if isinstance(value, str) and not isinstance(value, Markup) and _CONTROL.search(value):
        return _CONTROL.sub("\ufffd", value)
    return value


def rest_of(document: dict[str, Any], shown: tuple[str, ...]) -> dict[str, Any]:
    """Return the members of an object that are not shown elsewhere."""
    return {name: value for name, value in document.items() if name not in shown}


def web_address(value: object) -> bool:
    """Tell whether a text is an address that a page may link to."""
    return isinstance(value, str) and value.startswith(("https://", "http://")) and " " not in value


def is_flat(value: object) -> bool:
    """Tell whether a value is one text, number or truth, or nothing."""
    return not isinstance(value, dict | list)


def columns_of(rows: list[dict[str, Any]]) -> list[str]:
    """Return the names of all members of some objects, each once, in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def rows_of(value: object) -> list[dict[str, Any]]:
    """Return the rows of the table that a value is shown as; none where it is shown otherwise.

    A table is made of objects alike: of a list of them, or of an object whose members are objects, by their names.
    """
    rows: list[Any] = value if isinstance(value, list) else []
    if isinstance(value, dict) and all(isinstance(row, dict) for row in value.values()):
        rows = [{"": name, **row} for name, row in value.items()]
    if not all(isinstance(row, dict) and "links" not in row for row in rows):
        return []
    return rows if 2 <= len(columns_of(rows)) <= _COLUMNS_MAX else []


def positions(coordinates: Any) -> int:
    """Return how many positions the coordinates of a geometry have."""
    if not isinstance(coordinates, list) or not coordinates:
        return 0
    return sum(positions(part) for part in coordinates) if isinstance(coordinates[0], list) else 1


def json_text(value: object) -> str:
    """Return a value as indented JSON."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


_COLUMNS_MAX = 8
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_LOADER = PrefixLoader({"web": PackageLoader("gisservice.web"), "maps": PackageLoader("gisservice.maps")})
_ENVIRONMENT = Environment(
    loader=_LOADER,
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_visible,
)
_ENVIRONMENT.globals.update(_=ENGLISH.text)
_ENVIRONMENT.filters.update(
    in_language=in_language,
    number=wording.number,
    columns_of=columns_of,
    positions=positions,
    json_text=json_text,
    rest_of=rest_of,
    rows_of=rows_of,
    table_rows=table_rows,
)
_ENVIRONMENT.tests.update(web_address=web_address, flat=is_flat)
TEMPLATES_DIGEST = hashlib.sha256(
    "".join(_LOADER.get_source(_ENVIRONMENT, name)[0] for name in sorted(_LOADER.list_templates())).encode()
).hexdigest()
"""Of all templates: part of the tag of each page."""
