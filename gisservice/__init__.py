"""The planner's door: everything a notebook needs, and nothing but re-exports.

>>> import gisservice                                             # doctest: +SKIP
>>> catalog = gisservice.open_catalog("data/published")           # doctest: +SKIP
>>> parcels = catalog.read("parcels", bbox=(-77.05, 38.80, -77.04, 38.81))  # doctest: +SKIP

Names are imported when first used: a serving worker that needs no ingest never loads GDAL.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    "GISServiceError": "errors",
    "Query": "model",
    "ingest": "ingest",
    "ingest_layer": "ingest",
    "load_registry": "catalog",
    "open_catalog": "catalog",
    "select": "query",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gisservice' has no attribute {name!r}")
    return getattr(import_module(f"gisservice.{_HOME[name]}"), name)
