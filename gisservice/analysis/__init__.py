"""Planners' questions: a frame in, a frame out, and every answer says its method, its units and its sources.

Names are imported when first used: a server that answers no such question loads none of their libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gisservice.analysis.answers import state as state
    from gisservice.analysis.answers import to_geojson as to_geojson

_HOME = {
    "state": "answers",
    "to_geojson": "answers",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gisservice.analysis' has no attribute {name!r}")
    return getattr(import_module(f"gisservice.analysis.{_HOME[name]}"), name)
