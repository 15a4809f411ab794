"""What search engines read of the pages: the layer as a Dataset, the site as a DataCatalog (schema.org, JSON-LD)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gisservice.model import City, Column
from gisservice.web.catalogue import Entry, File, instant
from gisservice.web.exchange import Request
from gisservice.web.links import collection_path

CONTEXT = "https://schema.org/"

Object = dict[str, Any]


def data_catalog(city: City, request: Request, entries: Sequence[Entry]) -> Object:
    """Return the site as a DataCatalog, with its layers by name."""
    return {
        "@context": CONTEXT,
        **_catalog(city, request),
        "description": city.notice or f"The published layers of {city.name}.",
        "publisher": _organization(city),
        "dataset": [
            {
                "@type": "Dataset",
                "@id": request.address + collection_path(entry.id),
                "name": entry.title,
                "description": entry.description,
                "url": f"{request.address}/layers/{entry.id}",
                **_licence(entry),
            }
            for entry in entries
        ],
    }


def dataset(city: City, request: Request, entry: Entry) -> Object:
    """Return a layer as a Dataset."""
    described: Object = {
        "@context": CONTEXT,
        "@type": "Dataset",
        "@id": request.address + collection_path(entry.id),
        "name": entry.title,
        "description": entry.description,
        "url": f"{request.address}/layers/{entry.id}",
        "identifier": entry.id,
        "version": entry.collection.version,
        "keywords": list(entry.keywords),
        "isAccessibleForFree": True,
        "creator": _organization(city),
        "dateModified": instant(entry.modified),
        "includedInDataCatalog": _catalog(city, request),
        "variableMeasured": [_variable(column) for column in entry.collection.manifest.columns],
        "distribution": [_download(request, file) for file in entry.files],
        **_licence(entry),
    }
    if entry.bbox is not None:
        west, south, east, north = entry.bbox
        shape = {"@type": "GeoShape", "box": f"{south} {west} {north} {east}"}
        described["spatialCoverage"] = {"@type": "Place", "geo": shape}
    if entry.interval is not None:
        described["temporalCoverage"] = "/".join(instant(moment) for moment in entry.interval)
    return described


def _catalog(city: City, request: Request) -> Object:
    return {"@type": "DataCatalog", "name": f"Geographic data of {city.name}", "url": f"{request.address}/"}


def _organization(city: City) -> Object:
    return {"@type": "Organization", "name": city.name}


def _licence(entry: Entry) -> Object:
    if entry.licence.url:
        return {"license": entry.licence.url}
    return {"usageInfo": entry.licence.text} if entry.licence.text else {}


def _variable(column: Column) -> Object:
    described: Object = {"@type": "PropertyValue", "name": column.name}
    if column.meaning:
        described["description"] = column.meaning
    if column.unit:
        described["unitText"] = column.unit
    return described


def _download(request: Request, file: File) -> Object:
    described: Object = {
        "@type": "DataDownload",
        "name": f"{file.title}, in {file.system}",
        "encodingFormat": file.media,
        "contentUrl": request.address + file.path,
    }
    if file.size is not None:
        described["contentSize"] = f"{file.size} B"
    return described
