"""Every text of the interface, found in templates and sources: what each catalogue has to hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2.ext import babel_extract

from gisservice import errors
from gisservice.maps import reporttext
from gisservice.maps.speech import WORDS
from gisservice.query.downloads import COG, DOWNLOADS
from gisservice.web import choosing
from gisservice.web.responses import STATUSES

PACKAGE = Path(reporttext.__file__).parents[1]
TEMPLATES = sorted((PACKAGE / "maps/templates").glob("*.html"))
OF_PAGES = (
    Exception, errors.Overloaded, errors.NotReady, errors.CatalogError, errors.RequestError, errors.InvalidParameter,
    errors.UnknownParameter, errors.LimitExceeded, errors.RangeNotSatisfiable, errors.NotAcceptable, errors.NotFound,
    errors.CollectionNotFound, errors.VersionNotFound, errors.VersionGone, errors.AddressNotFound, errors.MapNotFound,
)  # fmt: skip
"""Errors that a page may tell; all others happen to programs only and are told in English."""

Text = tuple[str, str | None]
"""A text and, where it counts things, its plural."""


def all_texts() -> set[Text]:
    fixed = [*WORDS.values(), *reporttext.RULES.values(), reporttext.ON_FOOT, reporttext.OF_ADDRESSES, reporttext.TITLE]
    fixed += [*reporttext.OF_PLACE.values(), *reporttext.OF_SCHEDULES.values()]
    fixed += [text for error in OF_PAGES for text in (STATUSES[error].title, STATUSES[error].sentence)]
    fixed += [problem.text for problem in (choosing.UNREAD, choosing.UNPUBLISHED, choosing.CROWDED)]
    fixed += ["text", "whole number", "number", "yes or no", "day", "day and time"]  # types of columns, there
    fixed += [form.title for form in (*DOWNLOADS.values(), COG)]
    fixed += ["points", "lines", "areas", "picture"]  # kinds of geometry, on the page of a layer
    found: set[Text] = {(text, None) for text in fixed}
    for file in TEMPLATES:
        found |= set(of_template(file))
    for file in [*(PACKAGE / "maps").glob("*.py"), PACKAGE / "web/address.py"]:
        found |= set(of_source(file))
    return found


def of_template(file: Path) -> Iterator[Text]:
    options = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
    with file.open("rb") as opened:
        for _, _, message, _ in babel_extract(opened, {"_": None, "counted": (1, 2)}, [], options):
            parts = (message,) if isinstance(message, str) else tuple(part for part in message or () if part)
            if not parts:
                continue  # a text that is named elsewhere
            yield parts[0], (parts[1] if len(parts) > 1 else None)


def of_source(file: Path) -> Iterator[Text]:
    """The constants given to ``language.text`` and ``language.counted``, and those behind names given to them."""
    tree = ast.parse(file.read_text())
    named = {
        node.targets[0].id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if not ast.unparse(node.func.value).endswith("language"):
            continue
        if node.func.attr == "counted":
            yield tuple(argument.value for argument in node.args[:2])
        elif node.func.attr == "text" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, None
            elif isinstance(first, ast.Name) and first.id in named:
                yield named[first.id], None
