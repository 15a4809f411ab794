"""Planners' questions: a frame in, a frame out, and every answer says its method, its units and its sources.

Names are imported when first used: a server that answers no such question loads none of their libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gisservice.analysis.aggregating import aggregate as aggregate
    from gisservice.analysis.amenities import access as access
    from gisservice.analysis.amenities import nearest_by_network as nearest_by_network
    from gisservice.analysis.amenities import service_gap as service_gap
    from gisservice.analysis.amenities import walking_minutes as walking_minutes
    from gisservice.analysis.answers import state as state
    from gisservice.analysis.calendars import to_ics as to_ics
    from gisservice.analysis.classifying import classify as classify
    from gisservice.analysis.dossier import Dossier as Dossier
    from gisservice.analysis.dossier import calendar as calendar
    from gisservice.analysis.dossier import lookup as lookup
    from gisservice.analysis.flooding import flood_area as flood_area
    from gisservice.analysis.flooding import flood_depth as flood_depth
    from gisservice.analysis.gazetteer import Gazetteer as Gazetteer
    from gisservice.analysis.geocoding import geocode as geocode
    from gisservice.analysis.geocoding import geocode_csv as geocode_csv
    from gisservice.analysis.geocoding import geocode_table as geocode_table
    from gisservice.analysis.geocoding import reverse as reverse
    from gisservice.analysis.ground import Ground as Ground
    from gisservice.analysis.isochrones import reach as reach
    from gisservice.analysis.isochrones import reached as reached
    from gisservice.analysis.network import Network as Network
    from gisservice.analysis.overlaying import dissolve as dissolve
    from gisservice.analysis.overlaying import overlay as overlay
    from gisservice.analysis.proximity import nearest as nearest
    from gisservice.analysis.proximity import notify as notify
    from gisservice.analysis.proximity import within as within
    from gisservice.analysis.routing import route as route
    from gisservice.analysis.sight import viewshed as viewshed
    from gisservice.analysis.spots import hotspots as hotspots
    from gisservice.analysis.suggesting import suggest as suggest
    from gisservice.analysis.summarizing import summarize as summarize
    from gisservice.analysis.terrain import elevation as elevation
    from gisservice.analysis.terrain import profile as profile
    from gisservice.analysis.terrain import slope as slope
    from gisservice.analysis.topology import network_report as network_report
    from gisservice.analysis.writing import Answer as Answer
    from gisservice.analysis.writing import to_geojson as to_geojson
    from gisservice.analysis.zones import cover_shares as cover_shares
    from gisservice.analysis.zones import zonal as zonal

_HOME = {
    "Answer": "writing",
    "Dossier": "dossier",
    "Gazetteer": "gazetteer",
    "Ground": "ground",
    "Network": "network",
    "access": "amenities",
    "aggregate": "aggregating",
    "calendar": "dossier",
    "classify": "classifying",
    "cover_shares": "zones",
    "dissolve": "overlaying",
    "elevation": "terrain",
    "flood_area": "flooding",
    "flood_depth": "flooding",
    "geocode": "geocoding",
    "geocode_csv": "geocoding",
    "geocode_table": "geocoding",
    "hotspots": "spots",
    "lookup": "dossier",
    "nearest": "proximity",
    "nearest_by_network": "amenities",
    "network_report": "topology",
    "notify": "proximity",
    "overlay": "overlaying",
    "profile": "terrain",
    "reach": "isochrones",
    "reached": "isochrones",
    "reverse": "geocoding",
    "route": "routing",
    "service_gap": "amenities",
    "slope": "terrain",
    "state": "answers",
    "suggest": "suggesting",
    "summarize": "summarizing",
    "to_geojson": "writing",
    "to_ics": "calendars",
    "viewshed": "sight",
    "walking_minutes": "amenities",
    "within": "proximity",
    "zonal": "zones",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gisservice.analysis' has no attribute {name!r}")
    return getattr(import_module(f"gisservice.analysis.{_HOME[name]}"), name)
