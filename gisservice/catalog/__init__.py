"""Data at rest: the layer registry, versions on disk, the current pointer, history, diff, as-of, backup."""

from gisservice.catalog.catalog import Catalog, Staging, open_catalog
from gisservice.catalog.collection import Collection
from gisservice.catalog.diff import Diff
from gisservice.catalog.features import Features
from gisservice.catalog.layout import Records, write_features
from gisservice.catalog.manifest import FileDigest, Manifest
from gisservice.catalog.registry import load_registry

__all__ = [
    "Catalog",
    "Collection",
    "Diff",
    "Features",
    "FileDigest",
    "Manifest",
    "Records",
    "Staging",
    "load_registry",
    "open_catalog",
    "write_features",
]
