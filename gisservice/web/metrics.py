"""Figures for operators, in the text format of Prometheus (0.0.4): of all processes of the server together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gisservice.catalog import Catalog
from gisservice.errors import CatalogError, NotFound
from gisservice.web import params
from gisservice.web.exchange import INERT, NOT_KEPT, Answer, Request
from gisservice.web.service import Service
from gisservice.web.tally import BOUNDS, CACHES, KINDS, Totals

MEDIA = "text/plain; version=0.0.4; charset=utf-8"

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA")
"""Headers by which a proxy tells that it asks for somebody else."""

Sample = tuple[str, str | int | float]
"""The labels as they are written, or what the name ends with and the labels; and the value."""


def metrics(service: Service, request: Request) -> Answer:
    """Answer the figures, to those whom the setting ``metrics_readers`` names; to all others there is nothing here."""
    if not _is_reader(service, request):
        raise NotFound("No resource has this address; '/api' links to all there are.")
    params.read(request.query, ())
    totals, catalog = service.tally.totals(), service.catalog
    lines = [*_of_requests(totals), *_of_work(totals), *_of_memory(service.tally.processes()), *_of_layers(catalog)]
    return Answer(
        200, (("Content-Type", MEDIA), ("Cache-Control", NOT_KEPT), INERT), ("\n".join(lines) + "\n").encode()
    )


def _is_reader(service: Service, request: Request) -> bool:
    address = str(request.environ.get("REMOTE_ADDR", ""))
    direct = not any(header in request.environ for header in _FORWARDED)
    return direct and address in service.settings.metrics_readers


def _family(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP gisservice_{name} {meaning}"
    yield f"# TYPE gisservice_{name} {kind}"
    for labels, value in samples:
        yield f"gisservice_{name}{labels} {value}"


def _of_requests(totals: Totals) -> Iterator[str]:
    yield from _family(
        "requests_total",
        "counter",
        "Requests answered, by kind of resource and status.",
        (
            (f'{{kind="{kind}",status="{status}"}}', count)
            for kind in KINDS
            for status, count in totals.requests(kind).items()
            if count
        ),
    )
    yield from _family(
        "request_seconds",
        "histogram",
        "Time from a request to its answer, without the sending of long ones.",
        (sample for kind in KINDS for sample in _histogram(totals, kind)),
    )


def _histogram(totals: Totals, kind: str) -> Iterator[Sample]:
    counts, seconds = totals.durations(kind)
    if not counts[-1]:
        return
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        yield f'_bucket{{kind="{kind}",le="{bound}"}}', count
    yield f'_sum{{kind="{kind}"}}', seconds
    yield f'_count{{kind="{kind}"}}', counts[-1]


def _of_work(totals: Totals) -> Iterator[str]:
    hits = ((cache, *totals.lookups(cache)) for cache in CACHES)
    yield from _family(
        "cache_lookups_total",
        "counter",
        "Looks into the caches of drawn tiles and of pages of items.",
        (
            (f'{{cache="{cache}",result="{result}"}}', count)
            for cache, hit, miss in hits
            for result, count in (("hit", hit), ("miss", miss))
        ),
    )
    yield from _family("drawings_total", "counter", "Tiles and pictures drawn.", [("", totals.drawn)])


def _of_memory(processes: Iterable[int]) -> Iterator[str]:
    found = [(number, memory) for number, pid in enumerate(processes) if (memory := _memory(pid))]
    yield from _family(
        "memory_bytes",
        "gauge",
        "Memory of each server process: its own, and mapped files, which processes share.",
        ((f'{{process="{number}",part="{part}"}}', size) for number, memory in found for part, size in memory.items()),
    )


def _memory(pid: int) -> dict[str, int]:
    """Return the bytes of a process in memory: its own, and of mapped files. Nothing for one that has ended."""
    names = {"RssAnon:": "own", "RssFile:": "mapped"}
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {names[word[0]]: 1024 * int(word[1]) for word in words if word and word[0] in names}


def _of_layers(catalog: Catalog) -> Iterator[str]:
    published, items, since, damaged = [], [], [], []
    for name in catalog.ids():
        labels = f'{{collection="{name}"}}'
        readable = False
        with suppress(CatalogError):
            entries = catalog.history(name).entries
            published.append((labels, sum(entry.action == "publish" for entry in entries)))
            since.append((labels, entries[-1].at.timestamp()))
            items.append((labels, catalog.collection(name).manifest.count))
            readable = True
        damaged.append((labels, int(not readable)))
    yield from _family("versions_published_total", "counter", "Versions published of a collection.", published)
    yield from _family("current_since_seconds", "gauge", "When the current version became it (Unix time).", since)
    yield from _family("items", "gauge", "Items of the current version.", items)
    yield from _family("collection_damaged", "gauge", "1 where the current version cannot be read.", damaged)
