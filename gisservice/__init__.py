"""The planner's door: everything a notebook needs, and nothing but re-exports.

>>> import gisservice                                             # doctest: +SKIP
>>> catalog = gisservice.open_catalog("data/published")           # doctest: +SKIP
>>> parcels = catalog.read("parcels", bbox=(-77.05, 38.80, -77.04, 38.81))  # doctest: +SKIP

Names are imported when first used: a serving worker that needs no ingest never loads GDAL.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gisservice.analysis import Dossier as Dossier
    from gisservice.analysis import Gazetteer as Gazetteer
    from gisservice.analysis import aggregate as aggregate
    from gisservice.analysis import classify as classify
    from gisservice.analysis import dissolve as dissolve
    from gisservice.analysis import geocode as geocode
    from gisservice.analysis import geocode_csv as geocode_csv
    from gisservice.analysis import geocode_table as geocode_table
    from gisservice.analysis import hotspots as hotspots
    from gisservice.analysis import lookup as lookup
    from gisservice.analysis import nearest as nearest
    from gisservice.analysis import notify as notify
    from gisservice.analysis import overlay as overlay
    from gisservice.analysis import reverse as reverse
    from gisservice.analysis import suggest as suggest
    from gisservice.analysis import summarize as summarize
    from gisservice.analysis import to_geojson as to_geojson
    from gisservice.analysis import within as within
    from gisservice.catalog import Catalog as Catalog
    from gisservice.catalog import load_registry as load_registry
    from gisservice.catalog import open_catalog as open_catalog
    from gisservice.errors import GISServiceError as GISServiceError
    from gisservice.ingest import ingest as ingest
    from gisservice.ingest import ingest_layer as ingest_layer
    from gisservice.model import Query as Query
    from gisservice.query.select import select as select

_HOME = {
    "Catalog": "catalog",
    "Dossier": "analysis",
    "GISServiceError": "errors",
    "Gazetteer": "analysis",
    "Query": "model",
    "aggregate": "analysis",
    "classify": "analysis",
    "dissolve": "analysis",
    "geocode": "analysis",
    "geocode_csv": "analysis",
    "geocode_table": "analysis",
    "hotspots": "analysis",
    "ingest": "ingest",
    "ingest_layer": "ingest",
    "load_registry": "catalog",
    "lookup": "analysis",
    "nearest": "analysis",
    "notify": "analysis",
    "open_catalog": "catalog",
    "overlay": "analysis",
    "reverse": "analysis",
    "select": "query",
    "suggest": "analysis",
    "summarize": "analysis",
    "to_geojson": "analysis",
    "within": "analysis",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gisservice' has no attribute {name!r}")
    return getattr(import_module(f"gisservice.{_HOME[name]}"), name)
