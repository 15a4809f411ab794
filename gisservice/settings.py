"""The table of settings. Nothing else in the package reads the environment.

Each setting is one row of :data:`SETTINGS`. A value comes from the keyword given in code (the command line's
options arrive so), else from the environment variable ``GISSERVICE_<NAME>``, else from the row's default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from gisservice.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: how a setting is called, what it is when nobody says, and what it means."""

    name: str
    default: str
    unit: str
    help: str
    minimum: int | None = None
    maximum: int | None = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it, for example ``GISSERVICE_PORT``."""
        return f"GISSERVICE_{self.name.upper()}"


SETTINGS: tuple[Setting, ...] = (
    Setting("registry", "data/layers.toml", "path", "The layer registry: one declaration per layer."),
    Setting("home", "data/published", "path", "The folder of published versions."),
    Setting("static", "static", "path", "Style sheets, scripts and the browser libraries that set-up installs."),
    Setting("host", "127.0.0.1", "address", "The address the server listens on."),
    Setting("port", "8000", "port", "The port the server listens on.", 1, 65535),
    Setting("workers", "2", "processes", "Server processes; each maps the same published files.", 1, 64),
    Setting(
        "public_url",
        "",
        "URL",
        "The service's address as its users see it, with any path prefix of a proxy. Empty: the address a request "
        "came to, provided its host is trusted.",
    ),
    Setting(
        "trusted_hosts",
        "localhost,127.0.0.1,[::1]",
        "host names",
        "Host names a request may carry, separated by commas; the host of public_url is always one of them.",
    ),
    Setting(
        "metrics_readers",
        "127.0.0.1,::1",
        "addresses",
        "Addresses from which /metrics can be read, separated by commas; what a proxy forwards is never among them.",
    ),
    Setting("items_limit", "100", "items", "Items on a page when the request gives no limit.", 1, 10_000),
    Setting("items_limit_max", "10000", "items", "Most items on a page; a larger limit gets this many.", 1, 100_000),
    Setting(
        "items_bytes_max",
        "33554432",
        "bytes",
        "Most bytes of items on a page, before compression; a page that would have more is cut, with a link to the "
        "rest.",
        10_000,
        1_000_000_000,
    ),
    Setting(
        "items_seconds_max",
        "5",
        "seconds",
        "Longest time that items are written for one page; a page that takes longer is cut, with a link to the rest.",
        1,
        600,
    ),
    Setting("items_cache_bytes", "33554432", "bytes", "Memory of a server process for finished pages.", 0, 10**11),
    Setting(
        "crs_offered",
        "EPSG:2283,EPSG:6593,EPSG:4326,EPSG:3857,EPSG:26918",
        "codes",
        "Reference systems that items can be had in, beside CRS84 and the one that a layer is stored in, separated by "
        "commas.",
    ),
    Setting("versions_kept", "10", "versions", "Versions kept of a collection, the current one included.", 1, 10_000),
    Setting(
        "tile_cache_bytes",
        "33554432",
        "bytes",
        "Memory of a server process for tiles that were drawn on request; stored tiles need none.",
        0,
        100_000_000_000,
    ),
    Setting("build_workers", "2", "processes", "Processes that build the tiles of one layer.", 1, 64),
    Setting("request_bytes_max", "1000000", "bytes", "Largest request body that is read.", 0, 1_000_000_000),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Built once at the door and passed down."""

    registry: Path
    home: Path
    static: Path
    host: str
    port: int
    workers: int
    public_url: str
    trusted_hosts: tuple[str, ...]
    metrics_readers: tuple[str, ...]
    items_limit: int
    items_limit_max: int
    items_bytes_max: int
    items_seconds_max: int
    items_cache_bytes: int
    crs_offered: tuple[str, ...]
    versions_kept: int
    tile_cache_bytes: int
    build_workers: int
    request_bytes_max: int

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **given: object) -> Settings:
        """Build the settings from keywords, then the environment, then the defaults.

        A keyword that is None counts as not given, so a command line can pass its options through. Raises
        :class:`SettingsError` naming the setting, the value and what is expected.

        >>> Settings.load({}, port=8080).port
        8080
        """
        environ = os.environ if environ is None else environ
        unknown = set(given) - {field.name for field in fields(cls)}
        if unknown:
            raise SettingsError(f"No setting is called {sorted(unknown)[0]!r}.")
        values: dict[str, object] = {}
        for row in SETTINGS:
            keyword = given.get(row.name)
            text = str(keyword) if keyword is not None else environ.get(row.variable, row.default)
            origin = row.name if keyword is not None else row.variable
            values[row.name] = _parse(row, text, origin)
        return cls(**values)  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make another process load these same settings."""
        texts = {row.variable: getattr(self, row.name) for row in SETTINGS}
        return {key: ",".join(value) if isinstance(value, tuple) else str(value) for key, value in texts.items()}


def _parse(row: Setting, text: str, origin: str) -> object:
    if row.unit == "path":
        if not text:
            raise SettingsError(f"{origin} is empty; expected a path.")
        return Path(text)
    if row.name in ("trusted_hosts", "metrics_readers", "crs_offered"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if row.name == "public_url":
        return _parse_url(text, origin)
    if row.minimum is None or row.maximum is None:
        return text
    if not (text.isascii() and text.isdigit() and row.minimum <= int(text) <= row.maximum):
        raise SettingsError(
            f"{origin} was {text!r}; expected a whole number of {row.unit} from {row.minimum} to {row.maximum}."
        )
    return int(text)


def _parse_url(text: str, origin: str) -> str:
    url = urlsplit(text)
    if text and (url.scheme not in ("http", "https") or not url.netloc or url.query or url.fragment):
        raise SettingsError(f"{origin} was {text!r}; expected an http or https address without query, or nothing.")
    return text.rstrip("/")
