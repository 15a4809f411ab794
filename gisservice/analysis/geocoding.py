"""From an address as people write it to a place, and back: offline, in this process, and with its reasons.

An address is cleaned, cut into number, street, unit and ZIP code and looked up. What is not found as it stands is
compared with every way of writing every street, and then with the addresses of the streets that come nearest, by the
number of mistakes between the texts: letters left out, put in, exchanged or swapped with their neighbour (optimal
string alignment: Damerau 1964, "A technique for computer detection and correction of spelling errors").

The score of a match is 1 less the cost of each field that differs; every field is listed with what was asked, what was
found and what it cost.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from gisservice.analysis.addresses import Asked, check_text, parse, without_place
from gisservice.analysis.gazetteer import Form, Gazetteer
from gisservice.analysis.streetwords import canonical, clean, parts
from gisservice.analysis.writing import Answer
from gisservice.errors import InvalidParameter

if TYPE_CHECKING:
    import geopandas
    import pandas

MATCHES_MAX = 50
"""Matches of one address."""

METHOD = (
    "Compared with the city's addresses, streets and parcel numbers; score is 1 less the cost of every field that "
    "differs, 0.1 for a mistyped letter."
)

_EDIT = 0.1
"""Cost of one mistyped letter of the street."""

_NUMBER_EDIT = 0.12
"""A house number is checked while typing more than a name is, so a mistake in it is a little less likely."""

_WITHOUT = {"direction": 0.03, "type": 0.02, "suffix": 0.02, "unit": 0.0}
"""Cost of a field that the address has and the question has not."""

_OTHER = {"direction": 0.08, "type": 0.05, "suffix": 0.06, "unit": 0.1, "zip": 0.05}
"""Cost of a field that is another than what was asked."""

_NO_NUMBER = 0.1
"""Cost of a whole street for a question that has a number, and the most that a wrong number costs beside its edits."""

_STREETS_COMPARED = 16
"""Streets whose addresses are compared one by one; the nearest come first."""

_CROSSING = re.compile(r" *(?:&|@| AND | AT |/(?![0-9])) *")


@dataclass(frozen=True, slots=True)
class Match:
    """One place that an address may mean."""

    kind: str
    """``address``, ``nearest number``, ``street``, ``intersection`` or ``parcel``."""
    label: str
    position: tuple[float, float] | None
    cost: float
    fields: list[dict[str, Any]] = field(default_factory=list)
    """``field``, ``asked``, ``found`` and ``cost`` of each part."""
    collection: str | None = None
    item: str | None = None
    """Id of the record in ``collection``."""
    parcel: str | None = None
    """Id of the parcel that the address belongs to, where the layer of addresses says so."""

    @property
    def score(self) -> float:
        """From 1 (as asked) down to 0."""
        return round(max(0.0, 1 - self.cost), 4)


# The doors


def geocode(gazetteer: Gazetteer, address: str, *, limit: int = 5) -> geopandas.GeoDataFrame:
    """Return the places that an address may mean, the likeliest first, as points in CRS84.

    ``address`` is what a person types: a house number with street, unit and ZIP code, with abbreviations, left-out
    directions or types and typing mistakes; two streets ("King St & N Royal St"); a street; a parcel number. Columns:
    ``rank``, ``score`` (0 to 1), ``kind``, ``address``, ``fields`` (what each part cost), ``collection``, ``item``
    and ``parcel``. An address that nothing resembles gives no row. Raises :class:`InvalidParameter` for an empty
    address or a limit outside 1 to 50, :class:`LimitExceeded` for more than 200 characters.

    >>> catalog = gisservice.open_catalog("data/published")                    # doctest: +SKIP
    >>> geocode(Gazetteer.open(catalog), "301 Kng Street").address[0]           # doctest: +SKIP
    '301 King St'
    """
    return answer(gazetteer, address, limit=limit).frame()


def reverse(
    gazetteer: Gazetteer, lon: float, lat: float, *, limit: int = 1, distance_m: float = 200.0
) -> geopandas.GeoDataFrame:
    """Return the addresses nearest to a point (CRS84), within ``distance_m``, the nearest first.

    Columns as of :func:`geocode`, and ``distance_m``, measured in the layer's storage system.

    >>> reverse(Gazetteer.open(catalog), -77.0469, 38.8049, limit=3)  # doctest: +SKIP
    """
    return reverse_answer(gazetteer, lon, lat, limit=limit, distance_m=distance_m).frame()


def geocode_table(gazetteer: Gazetteer, frame: pandas.DataFrame, *, column: str = "address") -> geopandas.GeoDataFrame:
    """Return a table with the best match of the address in each row: its own columns, then those of :func:`geocode`.

    The new columns are ``match``, ``match_score``, ``match_kind``, ``match_item`` and the geometry (CRS84); rows
    without a match have none. Raises :class:`InvalidParameter` for a column that is not there.
    """
    import geopandas
    import shapely

    from gisservice.analysis.answers import state
    from gisservice.crs import CRS84

    if column not in frame.columns:
        raise InvalidParameter("column", column, f"one of {', '.join(map(str, frame.columns))}")
    found = [best(gazetteer, "" if text != text or text is None else str(text)) for text in frame[column].tolist()]
    result = frame.copy()
    for name, part in (("match", "label"), ("match_score", "score"), ("match_kind", "kind"), ("match_item", "item")):
        result[name] = [getattr(match, part) if match else None for match in found]
    points = [shapely.Point(match.position) if match and match.position else None for match in found]
    located = geopandas.GeoDataFrame(result, geometry=points, crs=CRS84)
    return state(located, method=METHOD, units={}, sources=gazetteer.sources)


def geocode_csv(gazetteer: Gazetteer, content: bytes, *, column: str = "address") -> bytes:
    """Return a CSV file (UTF-8, with a header) with the best match of each address in columns behind its own.

    They are ``match``, ``match_score``, ``match_kind``, ``match_item``, ``match_lon`` and ``match_lat``; a row without
    a match has them empty. Texts that a spreadsheet would run as formulas get an apostrophe. Raises
    :class:`InvalidParameter` for a file that is not UTF-8 or not CSV, and for a column that it has not.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise InvalidParameter("content", "a file", "a CSV file in UTF-8 with a header") from exc
    header = rows[0] if rows else []
    if column not in header:
        raise InvalidParameter(
            "column", column, f"one of {', '.join(header) or 'the columns of a header, which is missing'}"
        )
    at, sink = header.index(column), io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow([*header, "match", "match_score", "match_kind", "match_item", "match_lon", "match_lat"])
    for row in rows[1:]:
        match = best(gazetteer, row[at] if at < len(row) else "")
        lon, lat = match.position if match and match.position else ("", "")
        found = [match.label, match.score, match.kind, match.item or "", lon, lat] if match else [""] * 6
        padded = [*row, *[""] * (len(header) - len(row))]
        writer.writerow([_harmless(value) if isinstance(value, str) else value for value in (*padded, *found)])
    return sink.getvalue().encode()


def _harmless(text: str) -> str:
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def answer(gazetteer: Gazetteer, address: str, *, limit: int = 5) -> Answer:
    """Return what :func:`geocode` returns, without a frame."""
    check_limit(limit)
    return _answer(gazetteer, matches(gazetteer, address, limit=limit))


def best(gazetteer: Gazetteer, address: str) -> Match | None:
    """Return the likeliest place that an address means, or None; an empty address means none."""
    if not clean(address):
        return None
    found = matches(gazetteer, address, limit=1)
    return found[0] if found else None


def check_limit(limit: int) -> None:
    """Refuse a number of matches outside 1 to 50."""
    if not 1 <= limit <= MATCHES_MAX:
        raise InvalidParameter("limit", str(limit), f"a whole number from 1 to {MATCHES_MAX}")


def _answer(gazetteer: Gazetteer, found: Iterable[Match], distances: Iterable[float] = ()) -> Answer:
    rows: list[dict[str, Any]] = []
    positions = []
    for rank, match in enumerate(found, start=1):
        positions.append(match.position)
        rows.append(
            {
                "rank": rank,
                "score": match.score,
                "kind": match.kind,
                "address": match.label,
                "fields": match.fields,
                "collection": match.collection,
                "item": match.item,
                "parcel": match.parcel,
            }
        )
    units: dict[str, str] = {"score": "from 0 to 1"}
    for row, distance in zip(rows, distances, strict=False):
        row["distance_m"] = round(distance, 2)
        units["distance_m"] = "metre"
    return Answer(rows, positions, METHOD, units, gazetteer.sources)


# From parts to matches


def matches(gazetteer: Gazetteer, address: str, *, limit: int = 5) -> list[Match]:
    """Return the places that an address may mean, the likeliest first, at most ``limit``."""
    check_text(address)
    if not clean(address):
        raise InvalidParameter("address", address, "an address, a street, a crossing of two streets or a parcel number")
    parcel = _parcels(gazetteer, address)
    if parcel:
        return parcel[:limit]
    crossing = _crossing(gazetteer, address, limit)
    if crossing:
        return crossing
    asked = parse(address)
    if not asked.words:
        return []
    found = _as_written(gazetteer, asked, limit)
    if not found or found[0].cost >= _EDIT / 2:
        found = _resembling(gazetteer, asked, found, limit)
    return found[:limit]


def _as_written(gazetteer: Gazetteer, asked: Asked, limit: int) -> list[Match]:
    """Look a street up as it stands, then without its type and its direction."""
    found: list[Match] = []
    for text, costs in _variants(asked):
        for form in gazetteer.by_form.get(text, ()):
            found += _on_street(gazetteer, asked, form, 0, costs, limit)
        if found:
            break
    return sorted(found, key=_order)


def _variants(asked: Asked) -> list[tuple[str, tuple[str, ...]]]:
    """Return the street as asked, then without the parts that people get wrong, and which parts those are."""
    direction, name, kind = parts(list(asked.words))
    bare = " ".join(name)
    found: list[tuple[str, tuple[str, ...]]] = [(asked.street, ())]
    if kind:
        found.append((f"{direction} {bare}".strip(), ("type",)))
    if direction:
        found.append((f"{bare} {kind}".strip(), ("direction",)))
    if kind and direction:
        found.append((bare, ("direction", "type")))
    return found


def _order(match: Match) -> tuple[float, str]:
    return round(match.cost, 6), match.label


def _resembling(gazetteer: Gazetteer, asked: Asked, known: list[Match], limit: int) -> list[Match]:
    """Compare an address with all streets, and with the addresses of those that resemble it most."""
    candidates = _similar_streets(gazetteer, asked)
    found = list(known)
    for form, text, edits in candidates:
        if len(found) >= limit and _EDIT * edits >= sorted(match.cost for match in found)[limit - 1]:
            break  # streets that follow cost at least so much by their names alone
        found += _compared(gazetteer, asked, form, text, edits, limit)
    unique: dict[tuple[str, str | None], Match] = {}
    for match in sorted(found, key=_order):
        unique.setdefault((match.label, match.item), match)
    return list(unique.values())


def _similar_streets(gazetteer: Gazetteer, asked: Asked) -> list[tuple[Form, str, int]]:
    """Return streets whose name is like the one asked: form, its text and the number of mistakes, fewest first."""
    best_of: dict[int, tuple[float, Form, str, int]] = {}
    for text, costs in _variants(asked):
        allowed = min(3, max(1, len(text) // 3)) - len(costs)
        if allowed < 0 or (costs and len(text) < 4):
            continue
        low, high = gazetteer.forms_of_length(len(text) - allowed, len(text) + allowed)
        forms = gazetteer.forms[low:high]
        if not forms:
            continue
        edits = process.cdist([text], forms, scorer=OSA.distance, score_cutoff=allowed, dtype=np.uint8)[0]
        for place in np.flatnonzero(edits <= allowed).tolist():
            for form in gazetteer.form_streets[low + place]:
                cost = int(edits[place]) + 0.5 * len(costs) + 0.3 * form.without_direction + 0.2 * form.without_type
                if form.street not in best_of or cost < best_of[form.street][0]:
                    best_of[form.street] = (cost, form, forms[place], int(edits[place]))
    ordered = sorted(best_of.values(), key=lambda one: (one[0], one[2]))[:_STREETS_COMPARED]
    return [(form, text, edits) for _, form, text, edits in ordered]


def _compared(gazetteer: Gazetteer, asked: Asked, form: Form, text: str, edits: int, limit: int) -> list[Match]:
    """Compare a whole address with each of a street, number and name together: a mistake may lie between them."""
    exact = _on_street(gazetteer, asked, form, edits, (), limit)
    if not asked.head or (exact and exact[0].kind == "address"):
        return exact
    span = gazetteer.on_street(form.street)
    heads = list(dict.fromkeys(gazetteer.head(place) for place in range(span.start, span.stop)))
    if not heads:
        return exact
    whole = f"{asked.head} {asked.street}"
    texts = [f"{head} {text}" for head in heads]
    found = process.cdist([whole], texts, scorer=OSA.distance, score_cutoff=edits + 3, dtype=np.uint8)[0]
    fewest = int(found.min())
    if fewest > edits + 3:
        return exact
    near = [heads[place] for place in np.flatnonzero(found == fewest).tolist()]
    near.sort(key=lambda head: abs(int(head.split()[0]) - asked.number))
    costed: list[Match] = []
    for head in near[:3]:
        number, _, suffix = head.partition(" ")
        like = Asked(asked.text, head, int(number), suffix, asked.words, asked.unit, asked.zip)
        in_number = min(OSA.distance(asked.head, head), fewest)
        extra = _NUMBER_EDIT * in_number + 1e-5 * min(abs(int(number) - asked.number), 9999)
        number_field = _field("number", asked.head, head, extra)
        for match in _on_street(gazetteer, like, form, fewest - in_number, (), 1):
            kind = "address" if fewest - in_number > 0 and not in_number else "nearest number"
            costed.append(_replaced(match, kind, [number_field, *match.fields[1:]]))
    return [*costed, *exact]


def _replaced(match: Match, kind: str, fields: list[dict[str, Any]]) -> Match:
    cost = sum(one["cost"] for one in fields)
    return Match(kind, match.label, match.position, cost, fields, match.collection, match.item, match.parcel)


def _field(name: str, asked: str, found: str, cost: float) -> dict[str, Any]:
    return {"field": name, "asked": asked or None, "found": found or None, "cost": round(cost, 5)}


def _on_street(
    gazetteer: Gazetteer, asked: Asked, form: Form, edits: int, changed: tuple[str, ...], limit: int
) -> list[Match]:
    """Return the addresses of a street that have the number asked for, or else the street."""
    span = gazetteer.on_street(form.street)
    fields = _street_fields(gazetteer, asked, form, edits, changed)
    if asked.number >= 0 and span.start < span.stop:
        numbers = gazetteer.numbers[span]
        low = span.start + int(numbers.searchsorted(asked.number))
        high = span.start + int(numbers.searchsorted(asked.number, side="right"))
        if low < high:
            return _addresses(gazetteer, asked, low, high, fields, limit)
    position = gazetteer.street_place(form.street)
    if asked.head:
        fields = [_field("number", asked.head, "", _NO_NUMBER + _NUMBER_EDIT), *fields]
    cost = sum(one["cost"] for one in fields)
    return [Match("street", gazetteer.streets[form.street].label, position, cost, fields)]


def _street_fields(
    gazetteer: Gazetteer, asked: Asked, form: Form, edits: int, changed: tuple[str, ...]
) -> list[dict[str, Any]]:
    street = gazetteer.streets[form.street]
    fields = [_field("street", asked.street, street.text, _EDIT * edits)]
    if not (changed or form.without_direction or form.without_type):
        return fields
    direction, _, kind = parts(list(asked.words))
    for name, left_out, mine, its in (
        ("direction", form.without_direction, direction, street.direction),
        ("type", form.without_type, kind, street.type),
    ):
        if name in changed and mine != its:
            fields.append(_field(name, mine, its, _OTHER[name]))
        elif left_out:
            fields.append(_field(name, "", its, _WITHOUT[name]))
    return fields


def _addresses(
    gazetteer: Gazetteer, asked: Asked, low: int, high: int, street: list[dict[str, Any]], limit: int
) -> list[Match]:
    """Return the addresses from one place to another, all of one number, by what their other parts cost."""
    suffixes, units, zips = gazetteer.suffix_texts, gazetteer.unit_texts, gazetteer.zip_texts
    costed = []
    for place in range(low, high):
        suffix, unit = suffixes[gazetteer.suffixes[place]], units[gazetteer.units[place]]
        fields = [_field("number", asked.head, gazetteer.head(place), _differs("suffix", asked.suffix, suffix))]
        fields += street
        if asked.unit or unit:
            fields.append(_field("unit", asked.unit, unit, _differs("unit", asked.unit, unit)))
        code = zips[gazetteer.zips[place]]
        if asked.zip and code != asked.zip:
            fields.append(_field("zip", asked.zip, code, _OTHER["zip"]))
        cost = sum(one["cost"] for one in fields)
        costed.append((cost, bool(unit) and not asked.unit, place, fields))
    costed.sort(key=lambda one: one[:3])
    return [_match(gazetteer, place, cost, fields) for cost, _, place, fields in costed[:limit]]


def _differs(name: str, asked: str, found: str) -> float:
    if asked == found:
        return 0.0
    if asked and found:
        return _OTHER[name] - 0.01
    return _OTHER[name] if asked else _WITHOUT[name]


def _match(gazetteer: Gazetteer, place: int, cost: float, fields: list[dict[str, Any]]) -> Match:
    addresses = gazetteer.addresses
    assert addresses is not None and addresses.features is not None and addresses.layer.address is not None
    row = int(gazetteer.rows[place])
    return Match(
        "address",
        gazetteer.label(place),
        gazetteer.position(place),
        cost,
        fields,
        addresses.id,
        addresses.features.item_id(row),
        gazetteer.value(row, addresses.layer.address.parcel),
    )


# Parcels, crossings


def _parcels(gazetteer: Gazetteer, text: str) -> list[Match]:
    """Return the parcels that have exactly this number; nothing else is a parcel number."""
    parcels = gazetteer.parcels
    if parcels is None or parcels.features is None:
        return []
    found: list[Match] = []
    for row in gazetteer.parcel_rows(text):
        west, south, east, north = parcels.features.boxes[row].tolist()
        shape = parcels.features.shapes(np.array([row]))[0]
        point = shape.representative_point() if not shape.is_empty else None
        position = (point.x, point.y) if point is not None else ((west + east) / 2, (south + north) / 2)
        item = parcels.features.item_id(row)
        found.append(
            Match(
                "parcel",
                text.strip(),
                position,
                0.0,
                [_field("parcel", text.strip(), text.strip(), 0.0)],
                parcels.id,
                item,
                item,
            )
        )
    return found


def _crossing(gazetteer: Gazetteer, address: str, limit: int) -> list[Match]:
    """Return where two streets meet, for an address that names two."""
    pieces = _CROSSING.split(" " + without_place(clean(address))[0] + " ")
    names = [canonical(piece.replace(",", " ").replace("-", " ").split()) for piece in pieces if piece.strip()]
    if len(names) != 2 or any(not name for name in names):
        return []
    sides = [_similar_or_same(gazetteer, Asked("", "", -1, "", tuple(name), "", "")) for name in names]
    found: list[Match] = []
    for first, first_fields in sides[0]:
        for second, second_fields in sides[1]:
            fields = [*first_fields, *second_fields]
            cost = sum(one["cost"] for one in fields)
            label = f"{gazetteer.streets[first].label} & {gazetteer.streets[second].label}"
            ends = gazetteer.junctions.get(first, {})
            found += [
                Match("intersection", label, ends[node], cost, fields)
                for node in sorted(ends.keys() & gazetteer.junctions.get(second, {}).keys())
            ]
    return sorted(found, key=_order)[:limit]


def _similar_or_same(gazetteer: Gazetteer, asked: Asked) -> list[tuple[int, list[dict[str, Any]]]]:
    """Return the streets that a name may mean, and what each costs."""
    exact = [
        (form.street, _street_fields(gazetteer, asked, form, 0, ())) for form in gazetteer.by_form.get(asked.street, ())
    ]
    if exact:
        return exact
    return [
        (form.street, _street_fields(gazetteer, asked, form, edits, ()))
        for form, _, edits in _similar_streets(gazetteer, asked)
    ]


# And back


def reverse_answer(
    gazetteer: Gazetteer, lon: float, lat: float, *, limit: int = 1, distance_m: float = 200.0
) -> Answer:
    """Return what :func:`reverse` returns, without a frame."""
    from gisservice.analysis.surroundings import nearest_rows

    check_limit(limit)
    if gazetteer.addresses is None:
        return _answer(gazetteer, [])
    found = nearest_rows(gazetteer.addresses, (lon, lat), limit, distance_m)
    places = gazetteer.places_of([row for row, _ in found])
    matched = [_match(gazetteer, place, 0.0, []) for place in places if place >= 0]
    distances = [distance for (_, distance), place in zip(found, places, strict=True) if place >= 0]
    return _answer(gazetteer, matched, distances)
