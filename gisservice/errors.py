"""Every error the package raises on purpose, in one tree.

::

    GISServiceError
    ├─ SettingsError                    a setting or the layer registry is wrong; only at start
    │   └─ RegistryError                file, line, key, what came, what is expected
    ├─ IngestError                      a source could not become a version; carries source and step
    │   ├─ SourceError                  the file is missing, broken, empty or of an unknown format
    │   ├─ MissingCRSError              the source does not say its coordinate reference system
    │   ├─ ValidationError              too little of the source is fit to be published
    │   └─ PublishError                 the version could not be written; the last one is untouched
    ├─ ReprojectionError                a reference system is unknown, or no operation between two can be trusted
    ├─ RequestError                     the caller asked for something it can put right
    │   ├─ InvalidParameter             name, value, expectation
    │   ├─ UnknownParameter             name, the nearest valid one
    │   ├─ LimitExceeded                more than the published limit
    │   │   └─ ContentTooLarge            a body that is longer than is read
    │   ├─ UnsupportedMediaType         a body in a form that is not read
    │   ├─ RangeNotSatisfiable          a part of a file that lies behind its end
    │   └─ NotAcceptable                none of the media types asked for can be had
    ├─ NotFound                         the thing named does not exist
    │   ├─ CollectionNotFound
    │   ├─ ItemNotFound
    │   ├─ VersionNotFound
    │   │   └─ VersionGone              it was there, and is no longer kept
    │   ├─ AddressNotFound              no place is surely meant; carries the nearest suggestions
    │   ├─ MapNotFound
    │   ├─ ProcessNotFound
    │   ├─ JobNotFound
    │   ├─ ResultNotReady               the job is not done, was dismissed, or has let its result go
    │   ├─ TileMatrixSetNotFound
    │   └─ TileOutsideMatrix            outside the zooms or the grid (an empty tile is no error)
    ├─ Overloaded                       more is asked at once than the service takes on; later it will
    │   └─ NotReady                     a file that is being made
    └─ CatalogError                     published data is missing or damaged
        └─ LayerUnavailable             files of one layer are damaged or gone; all other layers are served

``str(error)`` is one sentence for people: what was wrong, what was expected, what to do. It never holds a
stack trace. Messages of ``CatalogError`` may name files, so the web room logs them and shows a fixed sentence.
HTTP does not occur here: the web room has the one table from class to status.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GISServiceError(Exception):
    """Root of the tree: catch this to catch all that gisservice raises on purpose."""


class SettingsError(GISServiceError):
    """A setting cannot be used; raised before anything starts."""


class RegistryError(SettingsError):
    """The layer registry is wrong in one place.

    ``file`` and ``line`` (1-based; 0 where none applies) point at it, ``key`` is the dotted path inside the file.
    """

    def __init__(self, file: str, line: int, key: str, problem: str) -> None:
        where = f"{file}, line {line}" if line else file
        super().__init__(f"{where}: {key}: {problem}" if key else f"{where}: {problem}")
        self.file, self.line, self.key, self.problem = file, line, key, problem


class IngestError(GISServiceError):
    """A source could not become a published version; nothing that was published has changed."""

    def __init__(self, message: str, *, source: str, step: str) -> None:
        super().__init__(message)
        self.source, self.step = source, step


class SourceError(IngestError):
    """The source is missing, truncated, empty or in a format that is not read."""

    def __init__(self, message: str, *, source: str, step: str = "read") -> None:
        super().__init__(message, source=source, step=step)


class MissingCRSError(IngestError):
    """The source does not state its coordinate reference system, and none was declared."""

    def __init__(self, message: str, *, source: str, step: str = "read") -> None:
        super().__init__(message, source=source, step=step)


class ReprojectionError(GISServiceError):
    """No operation of known accuracy leads from one reference system to the other, or the text names none."""


class ValidationError(IngestError):
    """The source was read, but is not fit to be published; ``report`` lists why, one line a finding."""

    def __init__(self, message: str, *, source: str, report: Iterable[str] = ()) -> None:
        super().__init__(message, source=source, step="validate")
        self.report = tuple(report)


class PublishError(IngestError):
    """The version could not be written whole; the version published before is still current."""

    def __init__(self, message: str, *, source: str) -> None:
        super().__init__(message, source=source, step="publish")


class RequestError(GISServiceError):
    """The caller asked for something it can put right."""


class InvalidParameter(RequestError):
    """A parameter is known, but its value cannot be used."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        shown = value if len(value) <= 80 else value[:77] + "..."
        end = "" if expected.endswith("?") else "."
        super().__init__(f"Parameter {name!r} was {shown!r}; expected {expected}{end}")
        self.name, self.value, self.expected = name, value, expected


class UnknownParameter(RequestError):
    """A parameter that this resource does not have; the message names the nearest that it has."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        valid = sorted(known)
        shown = name if len(name) <= 80 else name[:77] + "..."
        near = get_close_matches(name[:80].lower(), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "valid here: " + (", ".join(valid) or "none") + "."
        super().__init__(f"Unknown parameter {shown!r}; {hint}")
        self.name, self.nearest = name, near[0] if near else None


class LimitExceeded(RequestError):
    """The request is larger than a published limit."""

    def __init__(self, what: str, value: int | float, limit: int | float, unit: str) -> None:
        came, most = (f"{one:g}" if isinstance(one, float) else str(one) for one in (value, limit))
        super().__init__(f"{what} of {came} {unit} is over the limit of {most} {unit}.")
        self.what, self.value, self.limit, self.unit = what, value, limit, unit


class ContentTooLarge(LimitExceeded):
    """The body of a request is longer than is read."""


class UnsupportedMediaType(RequestError):
    """The body of a request is in a form that is not read here."""

    def __init__(self, came: str, expected: str) -> None:
        shown = came if len(came) <= 80 else came[:77] + "..."
        super().__init__(f"The body is of type {shown!r}; expected {expected}.")
        self.came, self.expected = came, expected


class RangeNotSatisfiable(RequestError):
    """The part of a file that was asked for lies behind its end; ``size`` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The part asked for lies behind the end of the file, which has {size} bytes.")
        self.size = size


class NotAcceptable(RequestError):
    """None of the media types asked for can be had."""

    def __init__(self, offered: Iterable[str]) -> None:
        super().__init__("None of the media types asked for is offered here; offered: " + ", ".join(offered) + ".")


class NotFound(GISServiceError):
    """The thing named does not exist."""


class CollectionNotFound(NotFound):
    """No collection of this id is published."""


class ItemNotFound(NotFound):
    """The collection has no item of this id."""


class VersionNotFound(NotFound):
    """The collection has no such version, or it is no longer kept."""


class VersionGone(VersionNotFound):
    """The version existed and is no longer kept: a walk that began on it, or a comparison with it, cannot go on."""


class AddressNotFound(NotFound):
    """No place is surely meant by an address; ``suggestions`` are the nearest that there are, the likeliest first."""

    def __init__(self, address: str, suggestions: Iterable[str] = ()) -> None:
        self.address, self.suggestions = address, tuple(suggestions)
        shown = address if len(address) <= 80 else address[:77] + "..."
        hint = (
            f"did you mean {' or '.join(map(repr, self.suggestions[:3]))}?"
            if self.suggestions
            else ("expected a house number and a street, such as '301 King St'.")
        )
        super().__init__(f"No address of the city is surely meant by {shown!r}; {hint}")


class MapNotFound(NotFound):
    """No map of this id is declared, and no collection of this id is published."""


class ProcessNotFound(NotFound):
    """No analysis has this name; the message has the nearest that there is."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        valid = sorted(known)
        shown = name if len(name) <= 80 else name[:77] + "..."
        near = get_close_matches(name[:80].lower(), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "there are: " + ", ".join(valid) + "."
        super().__init__(f"No process is called {shown!r}; {hint}")


class JobNotFound(NotFound):
    """No job has this id, or it is no longer kept."""


class ResultNotReady(NotFound):
    """The job has no result: it is not done yet, or was dismissed."""


class TileMatrixSetNotFound(NotFound):
    """No tile matrix set of this id is offered."""


class TileOutsideMatrix(NotFound):
    """The tile address lies outside the grid or the zooms of its tileset."""


class Overloaded(GISServiceError):
    """More is asked for at once than the service takes on; the same question can be asked again in a moment."""


class NotReady(Overloaded):
    """The file asked for is being made; in a few seconds it is there."""


class CatalogError(GISServiceError):
    """Published data is missing, damaged or of another format than this release reads."""


class LayerUnavailable(CatalogError):
    """Files of one published layer are damaged, cut short or gone; the fault is no other layer's."""
