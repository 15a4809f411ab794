"""What every request needs, opened once per process: settings, registry, catalog, tile archives, addresses."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from functools import cached_property, lru_cache
from importlib import metadata
from threading import Lock
from urllib.parse import urlsplit

from gisservice.catalog import Catalog, Collection, load_registry
from gisservice.errors import CatalogError, NotFound, RequestError
from gisservice.maps.assets import Assets
from gisservice.model import Registry
from gisservice.settings import Settings
from gisservice.tiles import TILES_FILE, Archive
from gisservice.web.exchange import Request

_HOST = re.compile(r"([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII)


class Service:
    """The parts of a running service. One per process; safe to share between threads."""

    def __init__(self, settings: Settings, registry: Registry, catalog: Catalog) -> None:
        self.settings = settings
        self.registry = registry
        self.catalog = catalog
        self.tilesets = Tilesets(catalog)
        self._public = urlsplit(settings.public_url)
        names = [*settings.trusted_hosts, self._public.netloc]
        self._trusted = {_host_name(name) for name in names if name} - {None}
        self._locate = lru_cache(maxsize=256)(self._find_address)

    @classmethod
    def open(cls, settings: Settings) -> Service:
        """Read the registry and open the catalog. Raises :class:`SettingsError` for a registry with a mistake."""
        return cls(settings, load_registry(settings.registry), Catalog(settings.home, settings.versions_kept))

    @cached_property
    def edition(self) -> str:
        """A digest of this release and its registry: part of the ETag of all that they write."""
        content = f"{metadata.version('gisservice')} {self.registry!r}"
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    @cached_property
    def assets(self) -> Assets:
        """The style sheets and scripts of the pages; raises :class:`SettingsError` until set-up has run."""
        return Assets.load(self.settings.static)

    def published(self) -> tuple[Collection, ...]:
        """Return the current version of every collection that can be read, by id.

        One damaged layer does not take the lists of all the others away; its own addresses and ``/healthz`` tell.
        """
        found = []
        for name in self.catalog.ids():
            with suppress(CatalogError):
                found.append(self.catalog.collection(name))
        return tuple(found)

    def admit(self, request: Request) -> None:
        """Set the request's address. Raises :class:`RequestError` for a host that is not trusted.

        Forwarding headers (``X-Forwarded-*``, ``Forwarded``) are not looked at: a service behind a proxy is told
        its address by the setting ``public_url``.
        """
        environ = request.environ
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        request.address, request.base = self._locate(environ["wsgi.url_scheme"], host, environ.get("SCRIPT_NAME", ""))

    def _find_address(self, scheme: str, host: str, prefix: str) -> tuple[str, str]:
        if _host_name(host) not in self._trusted:
            raise RequestError(
                "This service does not answer to the host name the request carries; its operator can add the name "
                "to the trusted hosts."
            )
        if self.settings.public_url:
            return self.settings.public_url, self._public.path
        return f"{scheme}://{host.lower()}{prefix}", prefix


class Tilesets:
    """The open tile archives, one a version; those of versions no longer current are closed after a while."""

    RETIRED_MAX = 8
    """Archives of earlier versions kept open for clients that still hold their addresses."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._open: dict[tuple[str, str], tuple[Collection, Archive]] = {}
        self._lock = Lock()

    def current(self, collection_id: str) -> tuple[Collection, Archive]:
        """Return the current version of a collection with its archive; raises :class:`NotFound`."""
        collection = self._catalog.collection(collection_id)
        return self._open.get((collection_id, collection.version)) or self._add(collection)

    def pinned(self, collection_id: str, version: str) -> tuple[Collection, Archive]:
        """Return a named version of a collection with its archive; raises :class:`NotFound`."""
        opened = self._open.get((collection_id, version))
        return opened or self._add(self._catalog.version(collection_id, version))

    def _add(self, collection: Collection) -> tuple[Collection, Archive]:
        if collection.manifest.tiles is None:
            raise NotFound(f"Collection {collection.id!r} has no vector tiles.")
        with self._lock:
            key = (collection.id, collection.version)
            if key not in self._open:
                self._open[key] = collection, Archive(collection.path / TILES_FILE)
                self._retire()
            return self._open[key]

    def _retire(self) -> None:
        """Let go of the archives opened first among those that are not current; their maps close with them."""
        retired = [key for key in self._open if not self._is_current(*key)]
        for key in retired[: -self.RETIRED_MAX]:
            del self._open[key]

    def _is_current(self, collection_id: str, version: str) -> bool:
        try:
            return self._catalog.collection(collection_id).version == version
        except (NotFound, CatalogError):
            return False


def _host_name(host: str) -> str | None:
    """Return the lower-case name of a Host header without its port, or None for what is no host."""
    match = _HOST.fullmatch(host.lower())
    return match[1] if match and int(match[2] or 0) <= 65535 else None
