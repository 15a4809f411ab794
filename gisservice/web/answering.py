"""Questions for analysis answered: here where that is cheap, else in the backroom, and kept while nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gisservice.analysis.inputs import Given, Question, Stored
from gisservice.analysis.operations import Role
from gisservice.catalog import Catalog, Collection
from gisservice.errors import CatalogError, CollectionNotFound, GISServiceError, InvalidParameter, LimitExceeded
from gisservice.model import GeometryKind, Registry
from gisservice.web.cache import ByteCache
from gisservice.web.computing import Computer
from gisservice.web.gates import Gate, Turnstile
from gisservice.web.jobs import Jobs

if TYPE_CHECKING:
    from gisservice.analysis.dossier import Dossier
    from gisservice.analysis.writing import Answer

AT_ONCE_COST_MAX = 250_000
"""The most that a question may cost whose asker waits; what costs more becomes a job."""

JOB_COST_MAX = 10_000_000
"""The most that any question may cost."""

COSTS: Mapping[str, tuple[str, int]] = {
    "reach": ("origins", 1_000),
    "viewshed": ("observers", 5_000),
    "route": ("origins", 100),
    "profile": ("lines", 100),
    "overlay": ("features", 3),
    "dissolve": ("features", 3),
}
"""What a feature of one input costs where it is not 1, as every other feature does."""

_CACHE_BYTES = 1 << 24
_WORKING_AT_ONCE, _WAITING_MAX, _PATIENCE_SECONDS = 2, 8, 5.0
"""Questions that a server process has answered at a time, those that wait included, and for how long they wait."""


def kept_in_memory(asked: Question) -> bool:
    """Tell whether a question is answered from what this process holds, at once."""
    return asked.operation.held is not None


class Answering:
    """Everything that answers questions. One per server process; safe for threads."""

    def __init__(
        self, home: Path, registry: Registry, catalog: Catalog, dossier: Callable[[], Dossier], door: Gate
    ) -> None:
        """Answer over a catalog; ``door`` bounds all costly requests of the process, these included."""
        self._catalog, self._dossier = catalog, dossier
        self._looked_at = _layers_looked_at(registry)
        self.computer = Computer(home)
        self.jobs = Jobs(home, self.computer)
        self._kept: ByteCache[bytes] = ByteCache(_CACHE_BYTES)
        self._gate = Gate("questions for analysis", _WAITING_MAX)
        self._turnstile = Turnstile("questions for analysis", _WORKING_AT_ONCE, door, _PATIENCE_SECONDS)

    def settle(self, asked: Question) -> Question:
        """Return a question with what it leaves to the day on which it is asked."""
        if asked.operation.held is Role.DOSSIER and "on" not in asked.values:
            return replace(asked, values={**asked.values, "on": datetime.now(UTC).date()})
        return asked

    def key(self, asked: Question) -> tuple[str, ...]:
        """Return all that determines the answer: the question and the versions of its layers.

        Raises :class:`CollectionNotFound`, and :class:`InvalidParameter` for a collection of the wrong kind.
        """
        if asked.operation.held is None:
            used = [f"{found.id} {found.version}" for found in self._collections(asked)]
        else:
            used = [self._version(name) for name in self._looked_at]
        return (asked.operation.name, asked.text, *used)

    def cost(self, asked: Question) -> int:
        """Return about how much work a question is, in features."""
        total = 0
        weighed, weight = COSTS.get(asked.operation.name, ("", 1))
        for name, source in asked.sources():
            count = len(source.features) if isinstance(source, Given) else self._count(source)
            total += count * (weight if name == weighed else 1)
        minutes = asked.values.get("minutes")
        several = len(minutes) if isinstance(minutes, list) else 1
        return total * int(asked.values.get("k", 1)) * max(several, 1)

    def check_cost(self, asked: Question, most: int = JOB_COST_MAX) -> int:
        """Return what a question costs. Raises :class:`LimitExceeded` for one that costs too much."""
        cost = self.cost(asked)
        if cost > most:
            raise LimitExceeded("The work that the question asks for", cost, most, "features")
        return cost

    def answer(self, asked: Question) -> bytes:
        """Return the answer to a question whose asker waits, as :func:`gisservice.analysis.to_geojson` writes it."""
        while True:
            key = self.key(asked)
            kept = self._kept.kept(key)
            if kept is not None:
                return kept
            found = self._made(asked, key)
            if self.key(asked) == key:  # else a version changed while it was read: the key promised another
                return found

    def prepare(self) -> None:
        """Make what the first questions would wait for: tables of addresses, ways on foot and the backroom."""
        with suppress(GISServiceError):  # whoever asks is told
            self._dossier().prepare()
        self.computer.prepare()

    def _made(self, asked: Question, key: tuple[str, ...]) -> bytes:
        if asked.operation.held is not None:
            return self._kept.get(key, lambda: self._looked_up(asked.operation.name, asked.values).to_geojson())
        with self._gate.passed(), self._turnstile.passed():  # who waits for another's answer keeps a place, too
            return self._kept.get(key, lambda: self.computer.answer(asked))

    def _looked_up(self, name: str, values: Mapping[str, Any]) -> Answer:
        """Return the answer to a question for what this process holds: a look into tables that are there anyway."""
        from gisservice.analysis import geocoding, suggesting
        from gisservice.analysis.gazetteer import Gazetteer
        from gisservice.analysis.writing import Answer

        if name == "lookup":
            return self._dossier().answer(**values)
        gazetteer = Gazetteer.open(self._catalog)
        if name == "suggest":
            found = suggesting.suggestions(gazetteer, **values)
            return Answer(list(found), [None] * len(found), "", {}, [])
        return (geocoding.answer if name == "geocode" else geocoding.reverse_answer)(gazetteer, **values)

    def _version(self, name: str) -> str:
        try:
            return self._catalog.collection(name).version
        except (CollectionNotFound, CatalogError):
            return ""

    def _collections(self, asked: Question) -> list[Collection]:
        found = []
        for name, source in asked.sources():
            if isinstance(source, Stored):
                found.append(self._stored(name, source))
        for entry in asked.operation.inputs:
            if entry.role in (Role.NETWORK, Role.GROUND):
                collection = self._catalog.collection(asked.value(entry))
                raster = collection.manifest.kind is GeometryKind.RASTER
                if raster is not (entry.role is Role.GROUND):
                    kind = "raster" if entry.role is Role.GROUND else "street network"
                    raise InvalidParameter(entry.name, collection.id, f"the id of a {kind}")
                found.append(collection)
        return found

    def _stored(self, name: str, source: Stored) -> Collection:
        catalog = self._catalog
        found = (
            catalog.collection(source.collection)
            if source.asof is None
            else catalog.as_of(source.collection, source.asof)
        )
        if found.features is None:
            raise InvalidParameter(name, source.collection, "a collection of features; this is a raster")
        return found

    def _count(self, source: Stored) -> int:
        found = self._stored("features", source)
        if source.bbox is None or found.features is None:
            return found.manifest.count
        runs = found.features.intersecting(source.bbox)
        return int((runs[:, 1] - runs[:, 0]).sum())


def _layers_looked_at(registry: Registry) -> tuple[str, ...]:
    """Return the layers that addresses and reports of places are made from."""
    declared = [layer.id for layer in registry.layers if layer.address or layer.street or layer.parcel or layer.network]
    boundary = [registry.city.boundary] if registry.city.boundary else []
    return tuple(dict.fromkeys([*(line.layer for line in registry.report), *boundary, *declared]))
