"""What every request needs, opened once per process: settings, registry, catalog, tile archives, addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gisservice.catalog import Catalog, Collection, load_registry
from gisservice.errors import CatalogError, GISServiceError, RequestError
from gisservice.maps.assets import Assets
from gisservice.model import Registry
from gisservice.query.systems import check_systems
from gisservice.settings import Settings
from gisservice.web.answering import Answering
from gisservice.web.asking import Asking, FinishedPage, Pinned
from gisservice.web.cache import ByteCache, Key
from gisservice.web.exchange import Request
from gisservice.web.gates import Gate, Turnstile
from gisservice.web.making import Workshop
from gisservice.web.rastersets import RasterTilesets
from gisservice.web.tally import Tally
from gisservice.web.tilesets import Tilesets

if TYPE_CHECKING:
    from gisservice.analysis.dossier import Dossier

_HOST = re.compile(r"([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII)


THREADS = 42
"""Python threads of a worker. They share one interpreter lock, so more bring no speed: most of them wait, for a tile
that is being drawn or for a slow reader of a long file, while the others answer. One is always left for what is
cheap; each that is not needed costs stored tiles a little (a tenth more processor time a tile with 32 than with 4).
"""

DRAWN_AT_ONCE = 2
"""Tiles that a worker draws at a time, first come, first served; more would only take turns at the interpreter lock."""

DRAWINGS_MAX = 14
"""Threads that may draw a tile or wait for one to be drawn."""

DRAWING_PATIENCE = 5.0
"""Seconds that one waits for a drawing to begin."""

COSTLY_MAX = 23
"""Threads that may be busy with analysis and with items that are no cheap slices, or wait for that: of 32 readers who
ask two workers at a time, a worker has more in one case of three hundred.
"""

SELECTIONS_AT_ONCE, LARGE_PAGES_AT_ONCE = 2, 4
"""Of them: those that filter, sort or write items anew, which takes turns at the interpreter lock; and those that send
a large page, each for as long as its reader takes. Neither can keep the places of the other, and both let in first who
came first: half of the pages of 1,000 parcels are large, and would else wait by chance.
"""

ITEM_WORK_PATIENCE = 3.0
"""Seconds that one waits for such a place."""

NOWHERE = (0.0, 0.0, 0.0, 0.0)
"""A box that the index is asked about once, so that it is there."""

DOWNLOADS_MAX = 2
"""Threads that may send a long part of a file, each for as long as its reader takes."""


class Service:
    """The parts of a running service. One per process; safe to share between threads."""

    def __init__(self, settings: Settings, registry: Registry, catalog: Catalog, tally: Tally) -> None:
        self.settings = settings
        self.registry = registry
        self.catalog = catalog
        self.tally = tally
        self.tilesets = Tilesets(catalog)
        self.rasters = RasterTilesets(catalog)
        self.tile_cache: ByteCache[bytes] = ByteCache(settings.tile_cache_bytes)
        self.asking = Asking(settings)
        self.pinned = Pinned(catalog)
        self.pages: ByteCache[FinishedPage] = ByteCache(settings.items_cache_bytes)
        door = Gate("costly requests", COSTLY_MAX)
        self.selections = Turnstile("filters and orders of items", SELECTIONS_AT_ONCE, door, ITEM_WORK_PATIENCE)
        self.large_pages = Turnstile("large pages of items", LARGE_PAGES_AT_ONCE, door, ITEM_WORK_PATIENCE)
        self.page_limits = tuple(
            str(limit) for limit in (settings.items_limit, settings.items_limit_max, settings.items_bytes_max)
        )
        """Part of the ETag of pages of items: settings that decide where they end."""
        self.drawings = Gate("tiles that are to be drawn", DRAWINGS_MAX)
        at_pens = Gate("tiles that are to be drawn", DRAWINGS_MAX)  # never full: who comes has passed the gate above
        self.pens = Turnstile("tiles that are to be drawn", DRAWN_AT_ONCE, at_pens, DRAWING_PATIENCE)
        self.downloads = Gate("downloads of whole files", DOWNLOADS_MAX)
        self.workshop = Workshop(settings.home)
        self.answering = Answering(settings.home, registry, catalog, lambda: self.dossier, door)
        self._public = urlsplit(settings.public_url)
        names = [*settings.trusted_hosts, self._public.netloc]
        self._trusted = {_host_name(name) for name in names if name} - {None}
        self._locate = lru_cache(maxsize=256)(self._find_address)

    @classmethod
    def open(cls, settings: Settings, tally_file: Path | None = None) -> Service:
        """Read the registry and open the catalog. Raises :class:`SettingsError` for a mistake in what was declared.

        ``tally_file`` is what the processes of one server count in, see :func:`gisservice.web.tally.shared_file`.
        """
        check_systems(settings.crs_offered)
        catalog = Catalog(settings.home, settings.versions_kept)
        return cls(settings, load_registry(settings.registry), catalog, Tally(tally_file))

    @cached_property
    def edition(self) -> str:
        """A digest of this release and its registry: part of the ETag of all that they write."""
        content = f"{metadata.version('gisservice')} {self.registry!r}"
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    @cached_property
    def assets(self) -> Assets:
        """The style sheets and scripts of the pages; raises :class:`SettingsError` until set-up has run."""
        return Assets.load(self.settings.static)

    @cached_property
    def dossier(self) -> Dossier:
        """What the layers say of any place; its libraries are loaded when it is first asked."""
        from gisservice.analysis.dossier import Dossier

        return Dossier(self.catalog, self.registry)

    def drawn(self, request: Request, key: Key, draw: Callable[[], bytes]) -> bytes:
        """Return a tile or a picture from the cache, or have it drawn: by one, whoever else asks for it meanwhile.

        ``key`` is all that determines its bytes. Where this process has clearly more to draw than another, the caller
        is asked to connect anew. Raises :class:`Overloaded` when too many are being drawn already, or when nobody has
        begun with it in time.
        """
        kept = self.tile_cache.kept(key)
        self.tally.looked_up("tiles", kept is not None)
        if kept is not None:
            return kept

        def make() -> bytes:
            with self.pens.passed():
                self.tally.drew()
                return draw()

        with self.drawings.passed(), self.tally.drawing():
            request.leaves = self.tally.is_crowded()
            return self.tile_cache.get(key, make)

    def published(self) -> tuple[Collection, ...]:
        """Return the current version of every collection that can be read, by id.

        One damaged layer does not take the lists of all the others away; its own addresses and ``/healthz`` tell.
        """
        found = []
        for name in self.catalog.ids():
            with suppress(CatalogError):
                found.append(self.catalog.collection(name))
        return tuple(found)

    def prepare(self) -> None:
        """Make what the first who ask for items would wait for: what each layer can be asked by, its index.

        Processes may be forked afterwards; what :meth:`Answering.prepare` makes is each process's own. A layer that
        cannot be read is left to whoever asks for it.
        """
        _ = self.edition
        for collection in self.published():
            with suppress(GISServiceError):
                if collection.features is not None:
                    self.asking.terms(collection)
                    collection.features.search(NOWHERE)

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


def _host_name(host: str) -> str | None:
    """Return the lower-case name of a Host header without its port, or None for what is no host."""
    match = _HOST.fullmatch(host.lower())
    return match[1] if match and int(match[2] or 0) <= 65535 else None
