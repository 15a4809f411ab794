"""The examples of a document, run as they stand: what follows ``>>>`` has to print what stands under it."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest


def check_examples(document: Path, section: str) -> int:
    """Run the examples of a section of a Markdown file, fail with what differs, and return how many there are."""
    text = document.read_text()
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    body = parts[parts.index(section) + 1]
    before = text[: text.index(f"## {section}\n")].count("\n")
    code = re.sub(r"^```.*$", "", body, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(code, {}, section, str(document), before)
    told: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    if failed:
        pytest.fail("".join(told), pytrace=False)
    return tried
