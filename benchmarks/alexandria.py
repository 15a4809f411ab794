"""The city's real parcels, published for the benchmarks with the zooms that all are compared at."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import gisservice
from gisservice.catalog import Catalog

REGISTRY = Path(__file__).resolve().parents[1] / "data" / "alexandria.toml"
LAYER = "parcels"
ZOOMS = (10, 16)


def publish(home: Path) -> None:
    """Publish the parcels into ``home``; ends the program where the real data is not beside the checkout."""
    registry = gisservice.load_registry(REGISTRY)
    declared = next(layer for layer in registry.layers if layer.id == LAYER)
    source = Path(registry.folder) / declared.sources[0].location
    if not source.exists():
        sys.exit(f"{sys.argv[0]} needs the real parcels at {declared.sources[0].location}, seen from data/")
    layer = replace(declared, minzoom=ZOOMS[0], maxzoom=ZOOMS[1])
    gisservice.ingest_layer(layer, folder=Path(registry.folder), catalog=Catalog(home), build_workers=2)
