"""All that the city's layers say about one place: which lines there are is declared in the registry (``[[report]]``).

A line tells apart that its layer says something (``applies``), that it rightly says nothing (``does not apply``), that
it should say something and does not (``no data``), and that the place is not the city's (``outside the city``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gisservice.analysis.calendars import DAYS, MONTHS, CalendarWords, Event, collecting, to_ics, weekday_number
from gisservice.analysis.gazetteer import Gazetteer
from gisservice.analysis.geocoding import Match, matches, reverse_answer
from gisservice.analysis.suggesting import suggestions
from gisservice.analysis.surroundings import nearest_rows, rows_at
from gisservice.analysis.walking import Start, Walking
from gisservice.analysis.writing import Answer
from gisservice.catalog import Catalog, Collection
from gisservice.crs import SURVEY_FOOT_M
from gisservice.errors import AddressNotFound, CatalogError, CollectionNotFound, InvalidParameter
from gisservice.model import Column, ColumnType, Registry, ReportKind, ReportLine

if TYPE_CHECKING:
    import geopandas

APPLIES = "applies"
DOES_NOT_APPLY = "does not apply"
NO_DATA = "no data"
OUTSIDE = "outside the city"

METHOD = (
    "Areas that hold the point, borders included; the nearest by the way on foot where streets are declared as a "
    "network, else in a straight line in the layer's storage system."
)

_RECORDS_MAX = 10
"""Records of one layer that are told for one place; a stack of condominium units has hundreds."""

_COST_MAX = 0.25
"""Of an address that is taken for the one meant; beyond it the caller is asked."""

_NEAREST_MAX_M = 50_000.0


@dataclass(frozen=True, slots=True)
class Place:
    """A point (CRS84), what it is called, and the parcel that its address belongs to, where that is known."""

    position: tuple[float, float]
    label: str
    parcel: str | None
    match: Match | None


class Dossier:
    """The report of any place of the city, by the layers that are published now.

    Made once and kept: it notices new versions by itself. Safe for several threads.
    """

    def __init__(self, catalog: Catalog, registry: Registry) -> None:
        self._catalog, self._registry = catalog, registry
        self._walking = Walking(catalog, registry)

    def prepare(self) -> None:
        """Make what is made once for each version, by a report of some address, so that no one waits for it later."""
        gazetteer = Gazetteer.open(self._catalog)
        if len(gazetteer.rows):
            suggestions(gazetteer, gazetteer.label(0))
            matches(gazetteer, gazetteer.label(0), limit=1)
            self.report(Place(gazetteer.position(0), gazetteer.label(0), None, None))

    def answer(
        self,
        *,
        address: str | None = None,
        lon: float | None = None,
        lat: float | None = None,
        on: date | None = None,
    ) -> Answer:
        """Return the report of an address or of a point (CRS84), one row a line; see :func:`lookup`."""
        place = self.place(address=address, lon=lon, lat=lat)
        self._check_inside(place)
        return self.report(place, on=on)

    def report(self, place: Place, *, on: date | None = None) -> Answer:
        """Return the report of a place that :meth:`place` found, as :meth:`answer` does."""
        day = on or datetime.now(UTC).date()
        inside = self._is_inside(place.position)
        start = self._walking.place(place.position) if inside else None
        rows, positions = [self._first_row(place)], [place.position]
        sources: list[dict[str, Any]] = []
        for line in self._registry.report:
            for row, position in self._line(line, place, start, inside, day):
                rows.append(row)
                positions.append(position or place.position)
                source = {key: row[key] for key in ("collection", "version", "published")}
                if source["version"] and source not in sources:
                    sources.append(source)
        return Answer(rows, list(positions), METHOD, {"distance_m": "metre", "minutes": "minute"}, sources)

    def place(self, *, address: str | None = None, lon: float | None = None, lat: float | None = None) -> Place:
        """Return the place that an address or a point means.

        Raises :class:`AddressNotFound` with the nearest addresses, :class:`InvalidParameter` for both or neither, and
        for a longitude or latitude that is none.
        """
        if address is not None:
            if lon is not None or lat is not None:
                raise InvalidParameter("address", address, "an address, or a point as lon and lat, not both")
            return self._place_of(address)
        if lon is None or lat is None:
            raise InvalidParameter("lon" if lon is None else "lat", "", "an address, or a point as lon and lat")
        for name, value, most in (("lon", lon, 180), ("lat", lat, 90)):
            if not (math.isfinite(value) and abs(value) <= most):
                raise InvalidParameter(name, f"{value:g}", f"degrees from -{most} to {most}")
        return Place((lon, lat), f"{lat:.6f}, {lon:.6f}", None, None)

    def calendar(self, place: Place, *, on: date, weeks: int = 26, words: CalendarWords | None = None) -> bytes:
        """Return the collection days of a place from a day on as an iCalendar file; the same data, the same bytes.

        Its texts are English, or those of ``words``.
        """
        words = words or CalendarWords(
            "Collection days, {place}".format, str, lambda day, holiday: f"Moved from {_day(day)}: {holiday}."
        )
        self._check_inside(place)
        if not 1 <= weeks <= 104:
            raise InvalidParameter("weeks", str(weeks), "a whole number from 1 to 104")
        events: list[Event] = []
        stamp = datetime(2000, 1, 1, tzinfo=UTC)
        for line in self._registry.report:
            if line.kind is not ReportKind.SCHEDULE or not self._is_inside(place.position):
                continue
            collection = self._collection(line)
            for row in rows_at(collection, place.position)[:1] if collection else ():
                assert collection is not None and collection.features is not None
                stamp = max(stamp, collection.manifest.created)
                item = collection.features.item_id(row)
                for one in self._days(line, _values(collection, row, (line.weekday or "",)), on, weeks):
                    moved = words.moved(one.regular, one.holiday) if one.holiday else ""
                    summary = f"{words.title(line.title)}: {place.label}"
                    events.append(Event(f"{line.id}/{item}/{one.regular}", one.day, summary, moved))
        domain = f"{self._registry.city.name.lower()}".split(",")[0]
        host = "".join(mark if mark.isascii() and mark.isalnum() else "-" for mark in domain).strip("-")
        return to_ics(events, name=words.name(place=place.label), domain=f"{host}.gisservice.invalid", stamp=stamp)

    # Which place

    def _place_of(self, address: str) -> Place:
        gazetteer = Gazetteer.open(self._catalog)
        found = matches(gazetteer, address, limit=5)
        sure = [
            match for match in found if match.kind != "nearest number" and match.position and match.cost <= _COST_MAX
        ]
        if not sure or sure[0].kind == "street":
            raise AddressNotFound(address, _labels(found) or _suggested(gazetteer, address))
        best = sure[0]
        rivals = [match for match in sure[1:] if match.cost - best.cost < 1e-6 and not _together(match, best)]
        if rivals:
            raise AddressNotFound(address, _labels([best, *rivals]))
        assert best.position is not None
        return Place(best.position, best.label, best.parcel, best)

    def _first_row(self, place: Place) -> dict[str, Any]:
        """Return the line that says which place this is."""
        source = self._addresses()
        if place.match is not None:
            label, score = place.match.label, place.match.score
            sentence = f"The address is {label}." if score == 1 else f"Taken for {label}."
            return _row("address", "Address", APPLIES, sentence, source, {"score": score}, item=place.match.item)
        near = reverse_answer(Gazetteer.open(self._catalog), *place.position).rows if source is not None else []
        if not near:
            return _row("address", "Address", NO_DATA, "No address lies within 200 metres.", source, {})
        sentence, item, distance = (
            f"The nearest address is {near[0]['address']}.",
            near[0]["item"],
            near[0]["distance_m"],
        )
        return _row("address", "Address", APPLIES, sentence, source, {}, item=item, distance_m=distance)

    def _addresses(self) -> Collection | None:
        try:
            return Gazetteer.open(self._catalog).addresses
        except CollectionNotFound:
            return None

    def _is_inside(self, position: tuple[float, float]) -> bool:
        boundary = self._registry.city.boundary
        if boundary is None:
            return True
        try:
            return bool(rows_at(self._catalog.collection(boundary), position))
        except CollectionNotFound:
            return True

    def _check_inside(self, place: Place) -> None:
        """Refuse a point outside the city, naming the city's box; an address is in it whatever its boundary says."""
        if place.match is not None or self._is_inside(place.position):
            return
        features = self._catalog.collection(self._registry.city.boundary or "").features
        assert features is not None
        (west, south), (east, north) = (features.boxes[:, :2].min(axis=0), features.boxes[:, 2:].max(axis=0))
        raise InvalidParameter(
            "lon, lat",
            f"{place.position[0]:g}, {place.position[1]:g}",
            f"a point inside the boundary of {self._registry.city.name}, which lies between {west:.4f} and {east:.4f} "
            f"east, {south:.4f} and {north:.4f} north (negative is west)",
        )

    # Line by line

    def _collection(self, line: ReportLine) -> Collection | None:
        try:
            collection = self._catalog.collection(line.layer)
            return collection if collection.features is not None else None
        except (CollectionNotFound, CatalogError):
            return None

    def _line(
        self, line: ReportLine, place: Place, start: Start | None, inside: bool, on: date
    ) -> list[tuple[dict[str, Any], tuple[float, float] | None]]:
        collection = self._collection(line)
        if not inside:
            return [(_row(line.id, line.title, OUTSIDE, "The place is outside the city.", collection, {}), None)]
        if collection is None:
            sentence = f"The layer {line.layer!r} is not published or cannot be read."
            return [(_row(line.id, line.title, NO_DATA, sentence, None, {}), None)]
        if line.kind is ReportKind.NEAREST:
            return [self._nearest(line, collection, place, start)]
        rows = rows_at(collection, place.position)
        if not rows:
            return [(_nothing(line, collection), None)]
        describe = self._scheduled if line.kind is ReportKind.SCHEDULE else _described
        return [(describe(line, collection, row, on), None) for row in _chosen(collection, rows, place.parcel)]

    def _nearest(
        self, line: ReportLine, collection: Collection, place: Place, start: Start | None
    ) -> tuple[dict[str, Any], tuple[float, float] | None]:
        walked = self._walking.nearest(collection, start, line.only) if start is not None else None
        if walked is not None:
            row, minutes, distance_m = walked
            way: dict[str, Any] = {"way": f"on foot ({_minutes(minutes)})"}
        else:
            found = nearest_rows(collection, place.position, 1, _NEAREST_MAX_M, line.only)
            if not found:
                sentence = line.absent or f"There is none within {_NEAREST_MAX_M / 1000:g} km."
                return _row(line.id, line.title, DOES_NOT_APPLY, sentence, collection, {}), None
            (row, distance_m), minutes, way = found[0], None, {"way": "in a straight line"}
        way |= {"distance_ft": f"{distance_m / SURVEY_FOOT_M:,.0f}", "distance_m": f"{distance_m:,.0f}"}
        told = _told(line, collection, row, way)
        told |= {"distance_m": round(distance_m, 2), "minutes": None if minutes is None else round(minutes, 2)}
        assert collection.features is not None
        west, south, east, north = collection.features.boxes[row].tolist()
        return told, (west, south) if (west, south) == (east, north) else None

    def _scheduled(self, line: ReportLine, collection: Collection, row: int, on: date) -> dict[str, Any]:
        values = _values(collection, row, (line.weekday or "",))
        days = self._days(line, values, on, 8)
        if not days:
            sentence = f"The record of {line.title.lower()} says no day of the week."
            return _row(line.id, line.title, NO_DATA, sentence, collection, values)
        moved = f" (moved from {_day(days[0].regular)}: {days[0].holiday})" if days[0].holiday else ""
        told = _told(
            line, collection, row, {"weekday": f"{DAYS[days[0].regular.weekday()]}s", "next": _day(days[0].day) + moved}
        )
        told["dates"] = [
            {"date": one.day.isoformat(), "regular": one.regular.isoformat(), "holiday": one.holiday} for one in days
        ]
        return told

    def _days(self, line: ReportLine, values: dict[str, Any], on: date, count: int) -> list[Any]:
        weekday = weekday_number(values[line.weekday or ""])
        if weekday is None:
            return []
        return collecting(weekday, self._registry.holidays, line.shift, start=on, count=count)


def lookup(
    dossier: Dossier,
    *,
    address: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    on: date | None = None,
) -> geopandas.GeoDataFrame:
    """Return all that the city's layers say about an address or a point (CRS84), one row a line of the report.

    Columns: ``line`` (its id), ``title``, ``status`` (``applies``, ``does not apply``, ``no data`` or ``outside the
    city``), ``sentence`` (plain English), ``values`` (of the columns it was made from), ``distance_m`` and
    ``minutes`` (of the nearest), ``dates`` (the next eight of a schedule, from ``on``, today in UTC by default), and
    ``collection``, ``item``, ``version`` and ``published`` of the record. Points in CRS84: of the place, or of the
    nearest where that is a point. Raises :class:`AddressNotFound` with the nearest addresses, and
    :class:`InvalidParameter` for a point outside the city.

    >>> registry = gisservice.load_registry(Path("data/layers.toml"))                       # doctest: +SKIP
    >>> report = lookup(Dossier(catalog, registry), address="301 King St")                  # doctest: +SKIP
    >>> report.sentence[2]                                                                  # doctest: +SKIP
    'The zone is KR: King Street urban retail.'
    """
    return dossier.answer(address=address, lon=lon, lat=lat, on=on).frame()


def calendar(
    dossier: Dossier,
    *,
    address: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    on: date | None = None,
    weeks: int = 26,
) -> bytes:
    """Return the refuse and recycling days of an address or a point as an iCalendar file (RFC 5545).

    ``weeks`` (1 to 104) from ``on`` (today in UTC by default). Days that a holiday moves stand on their new day and
    say why. The same data and day give the same bytes. Raises as :func:`lookup` does.
    """
    place = dossier.place(address=address, lon=lon, lat=lat)
    return dossier.calendar(place, on=on or datetime.now(UTC).date(), weeks=weeks)


def _row(
    line: str,
    title: str,
    status: str,
    sentence: str,
    collection: Collection | None,
    values: dict[str, Any],
    *,
    item: str | None = None,
    distance_m: float | None = None,
) -> dict[str, Any]:
    source = collection.attrs if collection is not None else {}
    return {
        "line": line,
        "title": title,
        "status": status,
        "sentence": sentence,
        "values": values,
        "distance_m": distance_m,
        "minutes": None,
        "dates": None,
        "collection": source.get("collection"),
        "item": item,
        "version": source.get("version"),
        "published": source.get("published"),
    }


def _nothing(line: ReportLine, collection: Collection) -> dict[str, Any]:
    """Return the line of a place that the layer does not cover."""
    if line.everywhere:
        sentence = f"{collection.layer.title} should cover every place of the city and does not cover this one."
        return _row(line.id, line.title, NO_DATA, sentence, collection, {})
    sentence = line.absent or f"{collection.layer.title}: nothing at this place."
    return _row(line.id, line.title, DOES_NOT_APPLY, sentence, collection, {})


def _chosen(collection: Collection, rows: list[int], parcel: str | None) -> list[int]:
    """Return the records to tell of those that hold a place: of a stack that shares its ground the one asked for."""
    features = collection.features
    assert features is not None
    if parcel is not None and collection.layer.parcel is not None:
        own = [row for row in rows if parcel in _values(collection, row, collection.layer.parcel.ids).values()]
        if own:
            return own[:1]
    first: dict[int, int] = {}
    for row, geometry in zip(rows, features.record_geometry[np.array(rows)].tolist(), strict=True):
        first.setdefault(geometry, row)
    return sorted(first.values())[:_RECORDS_MAX]


def _described(line: ReportLine, collection: Collection, row: int, _: date) -> dict[str, Any]:
    told = _told(line, collection, row, {})
    assert collection.features is not None
    same = int((collection.features.record_geometry == collection.features.record_geometry[row]).sum()) - 1
    if same:
        told["sentence"] += f" {same:,} other records share this ground."
    return told


def _told(line: ReportLine, collection: Collection, row: int, found: dict[str, str]) -> dict[str, Any]:
    """Fill in the sentence of a line from a record."""
    values = _values(collection, row, line.columns)
    assert collection.features is not None
    item = collection.features.item_id(row)
    if line.columns and all(value is None for value in values.values()):
        sentence = f"The record {item} of {collection.layer.title} says nothing of this."
        return _row(line.id, line.title, NO_DATA, sentence, collection, values, item=item)
    declared = {column.name: column for column in collection.manifest.columns}
    words = dict(found)
    for name, value in values.items():
        words[name] = _word(value, declared.get(name))
        words[f"{name}_meaning"] = (
            dict(declared[name].codes).get(str(value), words[name]) if name in declared else words[name]
        )
    return _row(line.id, line.title, APPLIES, line.sentence.format_map(words), collection, values, item=item)


def _values(collection: Collection, row: int, columns: tuple[str, ...]) -> dict[str, Any]:
    """Return some values of a record; a column that the version does not have is None."""
    assert collection.features is not None
    attributes = collection.features.attributes
    known = set(attributes.column_names)
    found = {name: attributes[name][row].as_py() if name in known else None for name in columns}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in found.items()}


def _word(value: Any, column: Column | None) -> str:
    if value is None:
        return "(not recorded)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        measured = column is not None and column.unit is not None
        return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if measured else str(value)
    if column is not None and column.type is ColumnType.DATE:
        return _day(date.fromisoformat(value), weekday=False)
    return str(value)


def _day(day: date, *, weekday: bool = True) -> str:
    """Return a day in words as the pages write it, for example ``Friday, December 4, 2026``."""
    plain = f"{MONTHS[day.month - 1]} {day.day}, {day.year}"
    return f"{DAYS[day.weekday()]}, {plain}" if weekday else plain


def _minutes(minutes: float) -> str:
    whole = max(1, round(minutes))
    return f"{whole} minute" + ("s" if whole > 1 else "")


def _together(one: Match, other: Match) -> bool:
    """Tell whether two places are one for a report: units of a building, within about 30 metres."""
    if one.position is None or other.position is None:
        return False
    return max(abs(a - b) for a, b in zip(one.position, other.position, strict=True)) < 3e-4


def _labels(found: list[Match]) -> list[str]:
    return list(dict.fromkeys(match.label for match in found))[:5]


def _suggested(gazetteer: Gazetteer, address: str) -> list[str]:
    return [one["text"] for one in suggestions(gazetteer, address, limit=5)]
