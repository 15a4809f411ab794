"""OGC API Processes 1: what can be worked out, asked for now or as a job (OGC 18-062r2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from gisservice.analysis.inputs import Question, question
from gisservice.analysis.operations import LIST_MAX, Input, Operation, Role, operation, operations
from gisservice.errors import (
    ContentTooLarge,
    InvalidParameter,
    JobNotFound,
    RequestError,
    UnknownParameter,
    UnsupportedMediaType,
)
from gisservice.web import params
from gisservice.web.answering import AT_ONCE_COST_MAX, JOB_COST_MAX, kept_in_memory
from gisservice.web.computing import AS_JOB, AT_ONCE
from gisservice.web.exchange import NOT_KEPT, Answer, Headers, Offer, Request, document, to_json
from gisservice.web.jobs import Job, Status
from gisservice.web.links import GEOJSON, HTML, JSON, REL, Link, link
from gisservice.web.params import Parameter
from gisservice.web.service import Service

CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/{name}"
    for name in ("core", "ogc-process-description", "json", "html", "oas30", "job-list", "dismiss")
)

PROCESSES_PATH, JOBS_PATH = "/api/processes", "/api/jobs"
EXECUTE, RESULTS = f"{REL}/execute", f"{REL}/results"

OUTPUT = "answer"
"""What the one output of every process is called."""

LIMIT_MAX = 1_000
_GEOJSON_SCHEMA = {
    "type": "object",
    "contentMediaType": GEOJSON,
    "$ref": "https://schemas.opengis.net/ogcapi/features/part1/1.0/openapi/schemas/featureCollectionGeoJSON.yaml",
}
_COLLECTION_SCHEMA = {
    "type": "object",
    "required": ["collection"],
    "additionalProperties": False,
    "properties": {
        "collection": {"type": "string"},
        "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
        "filter": {"oneOf": [{"type": "string"}, {"type": "object"}]},
        "filter-lang": {"type": "string", "enum": ["cql2-text", "cql2-json"]},
        "asof": {"type": "string", "format": "date-time"},
    },
}
_FRAME_SCHEMA = {
    "oneOf": [
        {"type": "string", "description": "The id of a collection."},
        _COLLECTION_SCHEMA,
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string"}},
            "contentMediaType": GEOJSON,
            "description": "GeoJSON in CRS84: a FeatureCollection, a Feature or a geometry; 10,000 positions in all.",
        },
    ]
}
_BODY_NAMES = ("inputs", "outputs", "response")

PAGE = (
    Parameter("limit", "How many are listed.", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 100}),
    Parameter("offset", "How many are left out before.", {"type": "integer", "minimum": 0, "default": 0}),
)
JOB_FILTERS = (
    Parameter("type", "Only jobs of this type.", {"type": "array", "items": {"type": "string", "enum": ["process"]}}),
    Parameter("processID", "Only jobs of these processes.", {"type": "array", "items": {"type": "string"}}),
    Parameter(
        "status",
        "Only jobs with one of these.",
        {"type": "array", "items": {"type": "string", "enum": [str(status) for status in Status]}},
    ),
    Parameter("datetime", "Only jobs accepted at this time, or in this interval.", {"type": "string"}),
    Parameter("minDuration", "Only jobs worked on for longer, in seconds.", {"type": "integer", "minimum": 0}),
    Parameter("maxDuration", "Only jobs worked on for less, in seconds.", {"type": "integer", "minimum": 0}),
)
PARAMETERS = {f"processes-{entry.name}": entry for entry in (*PAGE, *JOB_FILTERS)}


def processes(service: Service, request: Request) -> Answer:
    """Answer the list of processes."""
    values = params.read(request.query, ("limit", "offset", "f"))
    params.parse_format(values)
    first, last = _window(values)
    names = list(operations())

    def make() -> dict[str, Any]:
        return {
            "processes": [_summary(request, operations()[name]) for name in names[first:last]],
            "links": [
                link(request, PROCESSES_PATH, "self", JSON, "This document"),
                link(request, f"{PROCESSES_PATH}?f=html", "alternate", HTML, "This document as a page"),
                *_following(request, PROCESSES_PATH, "", first, last, len(names)),
            ],
        }

    key = ("processes", service.edition, str(first), str(last))
    return document(request, request.media_type(JSON), key, make)


def process(service: Service, request: Request, *, process_id: str) -> Answer:
    """Answer the description of a process."""
    params.parse_format(params.read(request.query, ("f",)))
    found = operation(process_id)
    key = ("process", service.edition, found.name)
    return document(request, request.media_type(JSON), key, lambda: _described(request, found))


def execution(service: Service, request: Request, *, process_id: str) -> Answer:
    """Answer a question, or accept it as a job: where that is preferred, and where it costs too much to wait for."""
    params.read(request.query, ())
    found = operation(process_id)
    body = _body(service, request)
    asked = service.answering.settle(question(found, _inputs(body)))
    response = _response(body)
    service.answering.key(asked)  # what is not there is told now, also of a job
    cost = service.answering.check_cost(asked)
    if not kept_in_memory(asked) and (_prefers_job(request) or cost > AT_ONCE_COST_MAX):
        return _accepted(service, request, asked, response)
    content = service.answering.answer(asked)
    return _result(request, content, response)


def jobs(service: Service, request: Request) -> Answer:
    """Answer the list of jobs, the latest first."""
    names = [entry.name for entry in (*PAGE, *JOB_FILTERS)]
    values = params.read(request.query, (*names, "f"))
    params.parse_format(values)
    first, last = _window(values)
    passes = _passing(values)
    kept = [job for job in service.answering.jobs.jobs() if passes(job)]
    filters = urlencode({name: values[name] for name in names[2:] if name in values}, safe=",/:", quote_via=quote)
    found = {
        "jobs": [_status(request, job, own=False) for job in kept[first:last]],
        "links": [
            link(request, JOBS_PATH, "self", JSON, "This document"),
            link(request, f"{JOBS_PATH}?f=html", "alternate", HTML, "This document as a page"),
            *_following(request, JOBS_PATH, filters, first, last, len(kept)),
        ],
    }
    return _now(request, found)


def job(service: Service, request: Request, *, job_id: str) -> Answer:
    """Answer how a job stands; of one that is named as the list does, no more than the list."""
    params.parse_format(params.read(request.query, ("f",)))
    found, own = service.answering.jobs.seen(job_id)
    return _now(request, _status(request, found, own=own))


def results(service: Service, request: Request, *, job_id: str) -> Answer:
    """Answer the result of a job."""
    params.read(request.query, ())
    found = _own(service, job_id)
    return _result(request, service.answering.jobs.result(job_id), found.response)


def dismissal(service: Service, request: Request, *, job_id: str) -> Answer:
    """Stop a job, or let its result go."""
    params.read(request.query, ())
    return _now(request, _status(request, service.answering.jobs.dismiss(_own(service, job_id).id)))


def _own(service: Service, job_id: str) -> Job:
    """Return a job by the id that its asker was given. Raises :class:`JobNotFound`, also for its id in the list."""
    found, own = service.answering.jobs.seen(job_id)
    if not own:
        raise JobNotFound(
            f"{job_id!r} is what the list calls a job. Its result is had, and it is dismissed, by the id that was "
            "answered to who started it, and that only they have."
        )
    return found


# What is asked


def _body(service: Service, request: Request) -> dict[str, Any]:
    """Return the body of a request to execute a process, which is checked as far as this standard goes."""
    content = read_body(request, service.settings.request_bytes_max)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise RequestError(f"The body is no JSON: {exc}.") from exc
    _check_members(content)
    if not isinstance(body, dict):
        raise RequestError("The body is no JSON object; expected one with the member 'inputs'.")
    for name in body:
        if name not in _BODY_NAMES:
            raise UnknownParameter(name, _BODY_NAMES)
    return body


def _check_members(content: bytes) -> None:
    """Raise :class:`RequestError` where an object of this JSON has a member twice: readers differ in which they take.

    Strings and braces are looked at alone, so what is long, positions, is passed over; depth and length do not matter.
    """
    open_objects: list[set[str]] = []
    for match in _MEMBER_OR_BRACE.finditer(content):
        token = match[0]
        if token == b"{":
            open_objects.append(set())
        elif token == b"}":
            open_objects.pop()
        elif token.endswith(b":"):
            name = orjson.loads(token[:-1])
            if name in open_objects[-1]:
                raise RequestError(
                    f"The body has the member {name[:80]!r} twice in one object; expected each only once."
                )
            open_objects[-1].add(name)


_MEMBER_OR_BRACE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"(?:[ \t\r\n]*:)?|[{}]', re.DOTALL)


def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request.

    Raises :class:`UnsupportedMediaType` for another type than JSON, which no form of another site can send without
    asking first, and :class:`ContentTooLarge` before more than ``most`` bytes are read.
    """
    environ = request.environ
    media = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media != JSON:
        raise UnsupportedMediaType(media or "none", JSON)
    if environ.get("HTTP_CONTENT_ENCODING", "identity") not in ("", "identity"):
        raise UnsupportedMediaType(environ["HTTP_CONTENT_ENCODING"], f"{JSON} that is not compressed")
    text = environ.get("CONTENT_LENGTH") or ""
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    if length is not None and length > most:
        raise ContentTooLarge("A body", length, most, "bytes")
    content: bytes = environ["wsgi.input"].read(most + 1 if length is None else length)
    if len(content) > most:
        raise ContentTooLarge("A body", len(content), most, "bytes")
    return content


def _inputs(body: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = body.get("inputs", {})
    if not isinstance(inputs, dict):
        raise InvalidParameter("inputs", type(inputs).__name__, "an object, with a member for each input")
    return inputs


def _response(body: Mapping[str, Any]) -> str:
    """Return how the result is wanted: ``raw`` or ``document``."""
    outputs = body.get("outputs", {})
    if not isinstance(outputs, dict):
        raise InvalidParameter("outputs", type(outputs).__name__, f"an object with the member {OUTPUT!r}")
    for name, wanted in outputs.items():
        if name != OUTPUT:
            raise UnknownParameter(name, (OUTPUT,))
        wanted = wanted if isinstance(wanted, dict) else {}
        if wanted.get("transmissionMode", "value") != "value":
            raise InvalidParameter("transmissionMode", str(wanted["transmissionMode"]), "'value'")
        form = wanted.get("format")
        if isinstance(form, dict) and form.get("mediaType", GEOJSON) != GEOJSON:
            raise InvalidParameter("mediaType", str(form["mediaType"]), f"{GEOJSON!r}")
    response = body.get("response", "raw")
    if response not in ("raw", "document"):
        raise InvalidParameter("response", str(response), "'raw' or 'document'")
    return str(response)


def _prefers_job(request: Request) -> bool:
    """Tell whether the caller prefers not to wait (RFC 7240)."""
    wishes = request.environ.get("HTTP_PREFER", "")[:1_000].lower()
    return "respond-async" in [wish.partition(";")[0].strip() for wish in wishes.split(",")]


# What is answered


def _accepted(service: Service, request: Request, asked: Question, response: str) -> Answer:
    job = service.answering.jobs.start(asked, response)
    headers: Headers = (("Location", f"{request.address}{JOBS_PATH}/{job.id}"), *_MEDIA, ("Cache-Control", NOT_KEPT))
    if _prefers_job(request):
        headers = (*headers, ("Preference-Applied", "respond-async"))
    return Answer(201, headers, to_json(_status(request, job)))


_MEDIA: Headers = (("Content-Type", JSON),)


def _now(request: Request, found: object) -> Answer:
    """Answer with a document that another moment may be another."""
    return Offer.make(request, request.media_type(JSON), ()).unrepeatable().send(to_json(found))


def _result(request: Request, content: bytes, response: str) -> Answer:
    if response == "raw":
        return Offer.make(request, request.media_type(GEOJSON, JSON), ()).unrepeatable().send(content)
    wrapped = b'{"%b":{"value":%b,"mediaType":"%b"}}' % (OUTPUT.encode(), content, GEOJSON.encode())
    return Offer.make(request, request.media_type(JSON), ()).unrepeatable().send(wrapped)


def _status(request: Request, job: Job, *, own: bool = True) -> dict[str, Any]:
    """Return how a job stands; where it is not the asker's own, under its id in the list and without its result."""
    shown_id = job.id if own else job.listed_id
    path = f"{JOBS_PATH}/{shown_id}"
    links = [
        link(request, path, "self", JSON, "This job"),
        link(request, f"{path}?f=html", "alternate", HTML, "This job as a page"),
        link(request, f"{PROCESSES_PATH}/{job.process}", "up", JSON, "What it works out"),
    ]
    if own and job.status is Status.SUCCESSFUL:
        media = GEOJSON if job.response == "raw" else JSON
        links.append(link(request, f"{path}/results", RESULTS, media, "Its result"))
    found = {
        "processID": job.process,
        "type": "process",
        "jobID": shown_id,
        "status": str(job.status),
        "message": job.message,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "updated": job.updated,
        "links": links,
    }
    return {name: value for name, value in found.items() if value is not None}


def _summary(request: Request, found: Operation) -> dict[str, Any]:
    path = f"{PROCESSES_PATH}/{found.name}"
    options = ["sync-execute", "async-execute"] if found.held is None else ["sync-execute"]
    return {
        "id": found.name,
        "version": "1.0.0",
        "title": found.title,
        "description": found.description,
        "jobControlOptions": options,
        "outputTransmission": ["value"],
        "links": [
            link(request, path, "self", JSON, "This process"),
            link(request, f"{path}?f=html", "alternate", HTML, "This process as a page"),
            link(request, f"{path}/execution", EXECUTE, JSON, "Where it is executed, by POST"),
        ],
    }


def _described(request: Request, found: Operation) -> dict[str, Any]:
    return {
        **_summary(request, found),
        "inputs": {entry.name: _input(entry) for entry in found.inputs},
        "outputs": {
            OUTPUT: {
                "title": "The answer",
                "description": "GeoJSON with the members 'method', 'units' and 'sources' (versions of collections).",
                "schema": _GEOJSON_SCHEMA,
            }
        },
        "additionalParameters": {
            "title": "Limits",
            "parameters": [
                {"name": "costMaxWhileWaiting", "value": [AT_ONCE_COST_MAX]},
                {"name": "costMax", "value": [JOB_COST_MAX]},
                {"name": "secondsMaxWhileWaiting", "value": [AT_ONCE.seconds]},
                {"name": "secondsMax", "value": [AS_JOB.seconds]},
            ],
        },
    }


def _input(entry: Input) -> dict[str, Any]:
    return {
        "title": entry.title,
        "description": entry.meaning or _MEANINGS.get(entry.role, f"{entry.title}."),
        "schema": _schema(entry),
        "minOccurs": int(entry.required),
        "maxOccurs": 1,
    }


_MEANINGS = {
    Role.FRAME: "Features: those of a collection, or GeoJSON.",
    Role.FRAMES: "Features by kind: those of a collection, or GeoJSON, for each.",
    Role.NETWORK: "The id of a collection of streets.",
    Role.GROUND: "The id of a raster.",
}


def _schema(entry: Input) -> dict[str, Any]:
    if entry.role is Role.FRAME:
        return _FRAME_SCHEMA
    if entry.role is Role.FRAMES:
        return {"type": "object", "additionalProperties": _FRAME_SCHEMA, "minProperties": 1, "maxProperties": LIST_MAX}
    return dict(entry.schema) or {"type": "string"}


# Lists


def _window(values: Mapping[str, str]) -> tuple[int, int]:
    first = params.whole("offset", values.get("offset", "0"), 0)
    return first, first + params.whole("limit", values.get("limit", "100"), 1, LIMIT_MAX)


def _following(request: Request, path: str, filters: str, first: int, last: int, count: int) -> list[Link]:
    if last >= count:
        return []
    query = "&".join(part for part in (f"limit={last - first}&offset={last}", filters) if part)
    return [link(request, f"{path}?{query}", "next", JSON, "What follows")]


def _passing(values: Mapping[str, str]) -> Callable[[Job], bool]:
    """Return what tells whether a job passes the filters of the list (18-062r2, 11.2)."""
    if any(kind != "process" for kind in values.get("type", "process").split(",")):
        raise InvalidParameter("type", values["type"], "'process'")
    named = values["processID"].split(",") if "processID" in values else None
    statuses = _statuses(values["status"]) if "status" in values else None
    least, most = (
        params.whole(name, values[name], 0) if name in values else None for name in ("minDuration", "maxDuration")
    )
    early, late = _interval(values.get("datetime", ".."))

    def passes(job: Job) -> bool:
        return (
            (named is None or job.process in named)
            and (statuses is None or job.status in statuses)
            and (early is None or early <= job.created)
            and (late is None or job.created <= late)
            and (least is None or job.seconds > least)
            and (most is None or job.seconds < most)
        )

    return passes


def _statuses(text: str) -> list[Status]:
    known = [str(status) for status in Status]
    for name in text.split(","):
        if name not in known:
            raise InvalidParameter("status", name, "some of " + ", ".join(known))
    return [Status(name) for name in text.split(",")]


def _interval(text: str) -> tuple[datetime | None, datetime | None]:
    low, slash, high = text.partition("/")
    ends = [_moment(text, part) for part in ((low, high) if slash else (low, low))]
    return ends[0], ends[1]


def _moment(text: str, part: str) -> datetime | None:
    if part in ("", ".."):
        return None
    found = params.moment(part)
    if found is None:
        raise InvalidParameter("datetime", text, "a time of RFC 3339, or two with '/' between them")
    return found
