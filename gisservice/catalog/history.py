"""The pointer of a collection: which version is current, and which was when. One small sealed JSON file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gisservice.catalog.manifest import FORMAT, seal, unseal
from gisservice.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the pointer: from ``at`` (UTC) on, ``version`` with its ``count`` of records was current."""

    version: str
    at: datetime
    action: str
    count: int


@dataclass(frozen=True, slots=True)
class History:
    """All changes of the pointer, oldest first; the last entry names the current version."""

    entries: tuple[Entry, ...] = ()

    @property
    def current(self) -> str | None:
        """The current version; None before the first publication."""
        return self.entries[-1].version if self.entries else None

    def then(self, version: str, action: str, count: int) -> History:
        """Return the history with one entry more, of now. Times always grow, whatever the clock does."""
        now = datetime.now(UTC)
        if self.entries and now <= self.entries[-1].at:
            now = self.entries[-1].at + timedelta(microseconds=1)
        return History((*self.entries, Entry(version, now, action, count)))

    def latest(self) -> dict[str, Entry]:
        """Return the last entry of each version, the version that was current last first."""
        found: dict[str, Entry] = {}
        for entry in reversed(self.entries):
            found.setdefault(entry.version, entry)
        return found

    def at(self, moment: datetime) -> str | None:
        """Return the version that was current at a moment, or None before the first."""
        return next((entry.version for entry in reversed(self.entries) if entry.at <= moment), None)

    def merged(self, other: History) -> History:
        """Return the entries of both in order of time, each once."""
        return History(tuple(sorted({*self.entries, *other.entries}, key=lambda entry: (entry.at, entry.version))))

    def to_bytes(self) -> bytes:
        """Return the pointer file's content."""
        entries = [{**asdict(entry), "at": entry.at.isoformat().replace("+00:00", "Z")} for entry in self.entries]
        return seal({"format": FORMAT, "current": self.current, "history": entries})

    @classmethod
    def from_bytes(cls, text: bytes, name: str) -> History:
        """Read a pointer file's content. Raises :class:`CatalogError` naming it when it is damaged."""
        content = unseal(text, name)
        if content.get("format") != FORMAT:
            raise CatalogError(f"{name} has format {content.get('format')!r}; this release reads format {FORMAT}.")
        return cls(tuple(_entry(item) for item in content["history"]))


def _entry(item: dict[str, Any]) -> Entry:
    return Entry(item["version"], datetime.fromisoformat(item["at"]), item["action"], item["count"])
