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
    from gisservice.analysis import Ground as Ground
    from gisservice.analysis import Network as Network
    from gisservice.analysis import access as access
    from gisservice.analysis import aggregate as aggregate
    from gisservice.analysis import classify as classify
    from gisservice.analysis import cover_shares as cover_shares
    from gisservice.analysis import dissolve as dissolve
    from gisservice.analysis import elevation as elevation
    from gisservice.analysis import flood_area as flood_area
    from gisservice.analysis import flood_depth as flood_depth
    from gisservice.analysis import geocode as geocode
    from gisservice.analysis import geocode_csv as geocode_csv
    from gisservice.analysis import geocode_table as geocode_table
    from gisservice.analysis import hotspots as hotspots
    from gisservice.analysis import lookup as lookup
    from gisservice.analysis import nearest as nearest
    from gisservice.analysis import nearest_by_network as nearest_by_network
    from gisservice.analysis import network_report as network_report
    from gisservice.analysis import notify as notify
    from gisservice.analysis import overlay as overlay
    from gisservice.analysis import profile as profile
    from gisservice.analysis import reach as reach
    from gisservice.analysis import reached as reached
    from gisservice.analysis import reverse as reverse
    from gisservice.analysis import route as route
    from gisservice.analysis import service_gap as service_gap
    from gisservice.analysis import slope as slope
    from gisservice.analysis import suggest as suggest
    from gisservice.analysis import summarize as summarize
    from gisservice.analysis import to_geojson as to_geojson
    from gisservice.analysis import viewshed as viewshed
    from gisservice.analysis import walking_minutes as walking_minutes
    from gisservice.analysis import within as within
    from gisservice.analysis import zonal as zonal
    from gisservice.catalog import Catalog as Catalog
    from gisservice.catalog import load_registry as load_registry
    from gisservice.catalog import open_catalog as open_catalog
    from gisservice.errors import GISServiceError as GISServiceError
    from gisservice.ingest import ingest as ingest
    from gisservice.ingest import ingest_layer as ingest_layer
    from gisservice.maps.exploring import explore as explore
    from gisservice.maps.pictures import plot as plot
    from gisservice.model import Query as Query
    from gisservice.query.reading import read as read
    from gisservice.query.select import select as select

_HOME = {
    "Catalog": "catalog",
    "Dossier": "analysis",
    "GISServiceError": "errors",
    "Gazetteer": "analysis",
    "Ground": "analysis",
    "Network": "analysis",
    "Query": "model",
    "access": "analysis",
    "aggregate": "analysis",
    "classify": "analysis",
    "cover_shares": "analysis",
    "dissolve": "analysis",
    "elevation": "analysis",
    "explore": "maps.exploring",
    "flood_area": "analysis",
    "flood_depth": "analysis",
    "geocode": "analysis",
    "geocode_csv": "analysis",
    "geocode_table": "analysis",
    "hotspots": "analysis",
    "ingest": "ingest",
    "ingest_layer": "ingest",
    "load_registry": "catalog",
    "lookup": "analysis",
    "nearest": "analysis",
    "nearest_by_network": "analysis",
    "network_report": "analysis",
    "notify": "analysis",
    "open_catalog": "catalog",
    "overlay": "analysis",
    "plot": "maps.pictures",
    "profile": "analysis",
    "reach": "analysis",
    "reached": "analysis",
    "read": "query.reading",
    "reverse": "analysis",
    "route": "analysis",
    "select": "query",
    "service_gap": "analysis",
    "slope": "analysis",
    "suggest": "analysis",
    "summarize": "analysis",
    "to_geojson": "analysis",
    "viewshed": "analysis",
    "walking_minutes": "analysis",
    "within": "analysis",
    "zonal": "analysis",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gisservice' has no attribute {name!r}")
    return getattr(import_module(f"gisservice.{_HOME[name]}"), name)
