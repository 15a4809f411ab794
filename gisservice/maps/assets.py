"""Where the pages find their style sheets and scripts: our own in static/, the libraries in static/vendor/."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from gisservice.errors import SettingsError

LETTERS = tuple(
    f"noto-sans-{script}.woff"
    for script in ("latin", "latin-ext", "vietnamese", "greek", "cyrillic", "ethiopic", "arabic")
)
"""The fonts that maps are lettered with when the server draws them."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file under ``/static/``: its address below it, and the digest a browser checks (SRI; "" for our own)."""

    path: str
    integrity: str = ""


@dataclass(frozen=True)
class Assets:
    """The files the pages link to, by short name: ``leaflet.js``, ``js/map.js``."""

    files: dict[str, Asset]

    @classmethod
    def load(cls, static: Path) -> Assets:
        """Read what set-up installed below ``static`` and what we wrote ourselves.

        Raises :class:`SettingsError` when the browser libraries are not installed.
        """
        manifest = static / "vendor" / "manifest.json"
        try:
            listed = json.loads(manifest.read_text(encoding="utf-8"))
        except FileNotFoundError as exc:
            raise SettingsError(
                f"The browser libraries are missing: {manifest} does not exist; run 'python static/install.py' once."
            ) from exc
        files = {name: Asset(f"vendor/{entry['file']}", entry["sri"]) for name, entry in listed.items()}
        for pattern in ("css/*.css", "js/*.js", "icon.svg"):
            for file in sorted(static.glob(pattern)):
                name = file.relative_to(static).as_posix()
                files[name] = Asset(f"{name}?v={hashlib.sha256(file.read_bytes()).hexdigest()[:12]}")
        return cls(files)

    def shell(self) -> dict[str, Asset]:
        """Return the files that the public pages are made of: what is kept for use without a connection."""
        others = {"swagger-ui.js", "swagger-ui.css", "js/explorer.js", "js/answer.js", *LETTERS}
        return {name: asset for name, asset in self.files.items() if name not in others}

    def __getitem__(self, name: str) -> Asset:
        """Return a file by its short name. Raises :class:`SettingsError` for one that set-up has yet to install."""
        found = self.files.get(name)
        if found is None:
            raise SettingsError(f"The browser library {name} is missing; run 'python static/install.py' once.")
        return found
