"""What every answer says of itself.

A function of this room returns a frame whose ``attrs["answer"]`` states the method, the unit of each figure and the
versions of the layers it was computed from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas

    Frame = TypeVar("Frame", bound=pandas.DataFrame)

_SOURCE_KEYS = ("collection", "version", "published")


def state(
    frame: Frame, *, method: str, units: Mapping[str, str], sources: Iterable[pandas.DataFrame | Mapping[str, Any]] = ()
) -> Frame:
    """Put ``attrs["answer"]`` on a result and return it.

    ``method`` is one plain sentence, ``units`` names the unit of each column that has one. ``sources`` are the frames
    that the result was computed from (or their ``attrs``): those that ``Catalog.read`` gave name their collection,
    version and time of publication, results of other functions the versions they were computed from themselves.
    """
    answer = {"method": method, "units": dict(units), "sources": sources_of(sources)}
    frame.attrs = {"answer": answer}
    return frame


def _source_of(frame: pandas.DataFrame | Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the collection, version and time of publication that a frame was read from, or None."""
    attrs = frame if isinstance(frame, Mapping) else frame.attrs
    return {key: attrs.get(key) for key in _SOURCE_KEYS} if attrs.get("collection") else None


def sources_of(frames: Iterable[pandas.DataFrame | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the versions that frames come from, each once, in order."""
    found: list[dict[str, Any]] = []
    for frame in frames:
        attrs = frame if isinstance(frame, Mapping) else frame.attrs
        own = _source_of(frame)
        for one in [own] if own else attrs.get("answer", {}).get("sources", []):
            if one not in found:
                found.append(one)
    return found
