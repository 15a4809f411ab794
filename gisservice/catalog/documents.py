"""A TOML document whose every mistake is named: file, line, key, what came and what is expected."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gisservice import crs
from gisservice.catalog.positions import KeyPath, key_lines
from gisservice.errors import RegistryError, ReprojectionError

_E = TypeVar("_E", bound=StrEnum)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Table:
    """One table of a document, with what is needed to point at a mistake in it."""

    file: str
    lines: Mapping[KeyPath, int]
    path: KeyPath
    values: Mapping[str, Any]

    def fail(self, key: str | int | None, problem: str) -> NoReturn:
        """Raise the error for ``key`` of this table, or for the table itself."""
        path = self.path if key is None else (*self.path, key)
        known = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in self.lines), ())
        raise RegistryError(self.file, self.lines.get(known, 0), _dotted(path), problem)

    def only(self, *known: str) -> None:
        """Refuse every key that is not one of ``known``, and name the nearest."""
        for key in self.values:
            if key not in known:
                near = get_close_matches(key.lower(), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
                self.fail(key, f"unknown key; {hint}")

    def need(self, key: str, expected: str) -> Any:
        """Return a value that has to be there."""
        if key not in self.values:
            self.fail(None, f"has no {key!r}; expected {expected}.")
        return self.values[key]

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Raise the error for a value of the wrong type or range."""
        self.fail(key, f"was {shown(self.values[key])}; expected {expected}.")

    def text(self, key: str, default: str | None = "", expected: str = "text in quotes") -> str:
        """Return a text without control characters; ``default=None`` makes the key obligatory."""
        value = self.need(key, expected) if default is None else self.values.get(key, default)
        if not isinstance(value, str) or any(ord(c) < 32 and c not in "\n\t" for c in value):
            self.wrong(key, expected)
        if default is None and not value.strip():
            self.wrong(key, expected)
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None where the key is absent."""
        return self.text(key, None) if key in self.values else None

    def color(self, key: str, default: str | None = None) -> str:
        """Return a colour as ``#rrggbb`` in lower case; without a default the key is obligatory."""
        expected = "a colour such as '#3b6ea5'"
        value = self.text(key, default, expected)
        if not _COLOR.fullmatch(value):
            self.wrong(key, expected)
        return value.lower()

    def flag(self, key: str, default: bool) -> bool:
        """Return a true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            self.wrong(key, "true or false")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a finite number from ``low`` to ``high``."""
        value = self.values.get(key, default)
        if not is_number(value) or not low <= value <= high:
            self.wrong(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def choice(self, key: str, kinds: type[_E], default: _E | None = None) -> _E:
        """Return a member of an enumeration; without a default the key is obligatory."""
        valid = [kind.value for kind in kinds]
        expected = "one of " + ", ".join(valid)
        value = self.need(key, expected) if default is None else self.values.get(key, default)
        if not isinstance(value, str) or value not in valid:
            near = get_close_matches(value.lower(), valid, n=1, cutoff=0.5) if isinstance(value, str) else []
            self.wrong(key, f"{expected}; did you mean {near[0]!r}?" if near else expected)
        return kinds(value)

    def reference_system(self, key: str) -> str | None:
        """Return the code of a horizontal reference system, or None where the key is absent."""
        value = self.optional_text(key)
        if value is None:
            return None
        try:
            system = crs.parse(value)
        except ReprojectionError as exc:
            self.fail(key, str(exc))
        if not (system.is_projected or system.is_geographic):
            self.wrong(key, "a projected or geographic reference system, such as 'EPSG:2283'")
        return crs.code(system)

    def whole(self, key: str, low: int, high: int) -> int | None:
        """Return a whole number from ``low`` to ``high``, or None where the key is absent."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high):
            self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def one_of(self, key: str, known: Sequence[str], what: str) -> str:
        """Return a text that has to be one of ``known``; a mistake names the nearest."""
        value = self.text(key, None, what)
        if value not in known:
            self._not_of(key, value, known, what)
        return value

    def some_of(self, key: str, known: Sequence[str], what: str) -> tuple[str, ...]:
        """Return a list of at least one text, each one of ``known`` and each once."""
        values = self.need(key, f"a list of texts, each {what}")
        if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
            self.wrong(key, f"a list of texts, each {what}")
        for value in values:
            if value not in known:
                self._not_of(key, value, known, what)
            if values.count(value) > 1:
                self.fail(key, f"{value!r} is there more than once; expected each once.")
        return tuple(values)

    def _not_of(self, key: str, value: str, known: Sequence[str], what: str) -> NoReturn:
        near = get_close_matches(value, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f": {', '.join(known) or 'there is none'}."
        self.fail(key, f"was {value!r}; expected {what}{hint}")

    def table(self, key: str, example: str | None = None) -> Table:
        """Return the table at ``key``."""
        value = self.need(key, f"a table such as {example or f'[{_dotted((*self.path, key))}]'}")
        if not isinstance(value, dict):
            self.wrong(key, f"a table such as {example or f'[{_dotted((*self.path, key))}]'}")
        return Table(self.file, self.lines, (*self.path, key), value)

    def tables(self, key: str, example: str) -> list[Table]:
        """Return the tables inside the table at ``key``, in the order of the file."""
        inner = self.table(key, example)
        if not inner.values:
            self.fail(key, f"is empty; expected at least one table such as {example}.")
        return [inner.table(name, example) for name in inner.values]

    def list_of_tables(self, key: str, example: str) -> list[Table]:
        """Return the tables of a list, for example ``sources = [{path = "…"}]``."""
        value = self.need(key, f"a list such as {example}")
        if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
            self.wrong(key, f"a list such as {example}")
        return [Table(self.file, self.lines, (*self.path, key, n), entry) for n, entry in enumerate(value)]


def open_document(path: Path) -> Table:
    """Parse a TOML file into its top table."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as exc:
        raise RegistryError(str(path), 0, "", "there is no such file; expected a registry in TOML.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise RegistryError(str(path), 0, "", f"cannot be read ({reason}); expected a registry in TOML.") from exc
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        found = re.search(r"\(at line (\d+), column \d+\)", str(exc))
        line = int(found[1]) if found else text.count("\n") + 1
        problem = re.sub(r"\s*\(at [^)]*\)$", "", str(exc))
        raise RegistryError(str(path), line, "", f"is not valid TOML: {problem}.") from exc
    return Table(str(path), key_lines(text), (), values)


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number (TOML's true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shown(value: object) -> str:
    """Return a value as a message shows it, cut to 80 characters."""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 80 else text[:77] + "..."


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
