"""Whole-layer files beside a version: made from it, after it is published or when one is asked for."""

from gisservice.ingest.downloads.making import Made, make, make_current

__all__ = ["Made", "make", "make_current"]
