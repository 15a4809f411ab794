"""Where each key of a TOML document stands, so that a mistake can be shown with its line.

The standard library's parser keeps no positions. This one keeps nothing else: it walks a document that
``tomllib`` has already accepted, so it never has to judge one. Grammar: TOML 1.0.0.
"""

from __future__ import annotations

import re

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top, for example ``("layers", "parcels", "sources", 0, "crs")``."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"((?:[^"\\\n]|\\.)*)"'),
    re.compile(r"'([^'\n]*)'"),
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the 1-based line of every key, table and list element of a valid TOML document.

    >>> key_lines('[a]\\nb = {c = 1}')[("a", "b", "c")]
    2
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.lists: dict[KeyPath, int] = {}  # arrays of tables: how many elements were opened

    def document(self) -> None:
        table: KeyPath = ()
        self.blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.blank()

    def header(self) -> KeyPath:
        """Read ``[a.b]`` or ``[[a.b]]``; return the path of the table it opens."""
        start = self.at
        element = self.text.startswith("[[", self.at)
        self.at += 2 if element else 1
        keys = self.dotted()
        self.at += 2 if element else 1
        table: KeyPath = ()
        for position, key in enumerate(keys):
            table = (*table, key)
            self.mark(table, start)
            opened = self.lists.get(table)
            if element and position == len(keys) - 1:
                opened = self.lists[table] = (opened or 0) + 1
            if opened is not None:
                table = (*table, opened - 1)
        self.mark(table, start)
        return table

    def pair(self, table: KeyPath) -> None:
        """Read ``key = value`` inside ``table``; a dotted key marks each table on its way."""
        start = self.at
        path = table
        for key in self.dotted():
            path = (*path, key)
            self.mark(path, start)
        self.at += 1  # the equals sign
        self.blank()
        self.value(path)

    def dotted(self) -> list[str]:
        keys: list[str] = []
        while not keys or self.text[self.at] == ".":
            self.at += 1 if keys else 0
            self.blank()
            keys.append(self.key())
            self.blank()
        return keys

    def key(self) -> str:
        bare = _BARE_KEY.match(self.text, self.at)
        if bare is not None:
            self.at = bare.end()
            return bare[0]
        quoted = next(m for pattern in _STRINGS[2:] if (m := pattern.match(self.text, self.at)))
        self.at = quoted.end()
        return quoted[1]

    def value(self, path: KeyPath) -> None:
        opening = self.text[self.at]
        if opening == "[":
            self.list(path)
        elif opening == "{":
            self.inline(path)
        else:
            patterns = _STRINGS if opening in "\"'" else (_SCALAR,)
            self.at = next(m for pattern in patterns if (m := pattern.match(self.text, self.at))).end()

    def list(self, path: KeyPath) -> None:
        self.enter()
        position = 0
        while self.text[self.at] != "]":
            self.mark((*path, position), self.at)
            self.value((*path, position))
            self.separator()
            position += 1
        self.at += 1

    def inline(self, path: KeyPath) -> None:
        self.enter()
        while self.text[self.at] != "}":
            self.pair(path)
            self.separator()
        self.at += 1

    def enter(self) -> None:
        self.at += 1
        self.blank()

    def separator(self) -> None:
        self.blank()
        if self.text[self.at] == ",":
            self.enter()

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        assert match is not None  # the pattern also matches nothing
        self.at = match.end()

    def mark(self, path: KeyPath, start: int) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, start) + 1)
