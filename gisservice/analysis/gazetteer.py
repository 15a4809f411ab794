"""The addresses, streets and parcels of a city as compact arrays: what :mod:`gisservice.analysis.geocoding` searches.

Built once for each version of the layers that declare ``address``, ``street`` or ``parcel`` in the registry, from the
memory-mapped columns and without a frame. Per address it holds 16 bytes; all texts of streets together are a few
hundred kilobytes for a city of 50,000 addresses.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import product
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gisservice.analysis.streetwords import DIRECTION_IN_FULL, TYPE_IN_FULL, canonical, clean, parts, spelled
from gisservice.catalog import Catalog, Collection, Features
from gisservice.errors import CollectionNotFound
from gisservice.model import AddressColumns, StreetColumns

Ints = npt.NDArray[Any]

_NUMBER = re.compile(r"([0-9]{1,9})(.*)")


@dataclass(frozen=True, slots=True)
class Street:
    """One street: its direction, name and type, each canonical and possibly empty, and how the office writes it."""

    direction: str
    name: str
    type: str
    label: str

    @property
    def text(self) -> str:
        """The canonical name, for example ``N SAINT ASAPH ST``."""
        return " ".join(part for part in (self.direction, self.name, self.type) if part)


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing a street. What it leaves out of the street's name is true."""

    street: int
    without_direction: bool
    without_type: bool


class Gazetteer:
    """Streets and addresses, each street's addresses together in order of their numbers."""

    def __init__(
        self, addresses: Collection | None, centrelines: Collection | None, parcels: Collection | None
    ) -> None:
        self.addresses, self.centrelines, self.parcels = addresses, centrelines, parcels
        self.sources = [found.attrs for found in (addresses, centrelines, parcels) if found is not None]
        self.streets: list[Street] = []
        self._street_ids: dict[tuple[str, str, str], int] = {}
        table = _table(addresses)
        self._columns = addresses.layer.address if addresses is not None else None
        of_street = self._streets_of(table, self._columns) if self._columns else np.empty(0, dtype=np.int64)
        self._segments = self._segment_streets()
        self._lay_out(table, of_street)
        self._make_forms()

    @classmethod
    def open(cls, catalog: Catalog) -> Gazetteer:
        """Return the gazetteer of what is published now; the same one until a version changes.

        Raises :class:`CollectionNotFound` when no published layer declares the columns of an address or a street.
        """
        kept = _OPEN.get(catalog)
        if kept is not None and kept._is_current(catalog):
            return kept
        found = _declared(catalog)
        if found[0] is None and found[1] is None:
            raise CollectionNotFound(
                "No published layer says which of its columns are an address; expected [layers.<id>.address] or "
                "[layers.<id>.street] in the registry, and the layer published since."
            )
        if kept is None or (kept.addresses, kept.centrelines, kept.parcels) != found:
            kept = _OPEN[catalog] = cls(*found)
        return kept

    def _is_current(self, catalog: Catalog) -> bool:
        """Tell whether all three layers are there and none has a newer version; else all collections are looked at."""
        held = (self.addresses, self.centrelines, self.parcels)
        return all(one is not None and catalog.collection(one.id) is one for one in held)

    # Addresses

    def on_street(self, street: int) -> slice:
        """Return where the addresses of a street lie in :attr:`numbers`, :attr:`suffixes`, :attr:`units`, …"""
        return slice(int(self.starts[street]), int(self.starts[street + 1]))

    def head(self, place: int) -> str:
        """Return house number and suffix of an address, for example ``12 1/2``."""
        suffix = self.suffix_texts[self.suffixes[place]]
        return f"{self.numbers[place]} {suffix}" if suffix else str(self.numbers[place])

    def position(self, place: int) -> tuple[float, float]:
        """Return longitude and latitude of an address."""
        assert self.addresses is not None and self.addresses.features is not None
        west, south, east, north = self.addresses.features.boxes[self.rows[place]].tolist()
        return (west + east) / 2, (south + north) / 2

    def value(self, row: int, column: str | None) -> str | None:
        """Return a text of the record in a row of the layer of addresses."""
        if column is None or self.addresses is None or self.addresses.features is None:
            return None
        found = self.addresses.features.attributes[column][row].as_py()
        return None if found is None else str(found)

    def label(self, place: int) -> str:
        """Return the whole address as the office writes it, or put together from its parts."""
        assert self._columns is not None
        written = self.value(int(self.rows[place]), self._columns.label)
        unit = self.unit_texts[self.units[place]]
        street = self.streets[int(np.searchsorted(self.starts, place, side="right")) - 1]
        return written or f"{self.head(place)} {street.label}" + (f" UNIT {unit}" if unit else "")

    def places_of(self, rows: Sequence[int]) -> list[int]:
        """Return the places of records by their rows in the layer of addresses; -1 for one without an address."""
        order = self._by_row
        found = np.searchsorted(self.rows[order], rows)
        return [
            int(order[at]) if at < len(order) and self.rows[order[at]] == row else -1
            for at, row in zip(found.tolist(), rows, strict=True)
        ]

    @cached_property
    def _by_row(self) -> Ints:
        return np.argsort(self.rows)

    def parcel_rows(self, number: str) -> list[int]:
        """Return the rows of the parcels that have this number, blanks and case aside, in stored order."""
        low, high = np.searchsorted(self._parcel_numbers[0], [_hashed(number), _hashed(number) + np.uint64(1)])
        rows = sorted(set(self._parcel_numbers[1][low:high].tolist()))
        return [row for row in rows if self._has_number(row, number)]

    def _has_number(self, row: int, number: str) -> bool:
        assert self.parcels is not None and self.parcels.features is not None and self.parcels.layer.parcel is not None
        attributes = self.parcels.features.attributes
        return any(
            _plain(str(attributes[name][row].as_py())) == _plain(number) for name in self.parcels.layer.parcel.ids
        )

    @cached_property
    def _parcel_numbers(self) -> tuple[Ints, Ints]:
        """Return the hashes of all parcel numbers, ascending, and the row of each."""
        hashes, rows = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
        table = _table(self.parcels)
        for name in self.parcels.layer.parcel.ids if self.parcels is not None and self.parcels.layer.parcel else ():
            codes, texts = _coded(table, name)
            hashed = np.array([_hashed(text) for text in texts], dtype=np.uint64)
            filled = np.flatnonzero(np.array([bool(_plain(text)) for text in texts])[codes])
            hashes.append(hashed[codes[filled]])
            rows.append(filled)
        joined = np.concatenate(hashes)
        order = np.argsort(joined, kind="stable")
        return joined[order], np.concatenate(rows)[order].astype(np.uint32)

    # Streets

    def street_place(self, street: int) -> tuple[float, float] | None:
        """Return a point of a street: its middle address, else the middle of its centreline's middle segment."""
        span = self.on_street(street)
        if span.start < span.stop:
            return self.position((span.start + span.stop) // 2)
        segments = np.flatnonzero(self._segments == street)
        if not len(segments) or self.centrelines is None or self.centrelines.features is None:
            return None
        line = self.centrelines.features.shapes(segments[len(segments) // 2 : len(segments) // 2 + 1])[0]
        middle = line.interpolate(0.5, normalized=True)
        return middle.x, middle.y

    @cached_property
    def junctions(self) -> dict[int, dict[tuple[int, int], tuple[float, float]]]:
        """For each street the ends of its segments: on a grid of 1e-6 degrees (0.1 m), and exactly."""
        found: dict[int, dict[tuple[int, int], tuple[float, float]]] = {}
        if self.centrelines is None or self.centrelines.features is None:
            return found
        plain = self.centrelines.features.geometries
        firsts, lasts = plain.rings[:-1], plain.rings[1:] - 1
        for row, geometry in enumerate(self.centrelines.features.record_geometry.tolist()):
            street = int(self._segments[row])
            if street < 0:
                continue
            nodes = found.setdefault(street, {})
            for piece in _span(plain, geometry):
                for x, y in (plain.coordinates[firsts[piece]].tolist(), plain.coordinates[lasts[piece]].tolist()):
                    nodes[round(x * 1e6), round(y * 1e6)] = (x, y)
        return found

    def _streets_of(self, table: pa.Table, columns: AddressColumns | StreetColumns) -> Ints:
        """Return the street of each record, -1 for one without a street name, and remember streets not yet seen."""
        codes, texts = zip(
            *(_coded(table, name) for name in (columns.direction, columns.street, columns.type)), strict=True
        )
        distinct, uses = np.unique(np.column_stack(codes), axis=0, return_inverse=True)
        ids = [self._street(*(texts[n][code] for n, code in enumerate(row))) for row in distinct.tolist()]
        return np.array(ids, dtype=np.int64)[uses.reshape(-1)]

    def _street(self, direction: str, name: str, kind: str) -> int:
        label = " ".join(part.strip() for part in (direction, name, kind) if part.strip())
        if not clean(name):
            return -1
        found_direction, words, found_kind = parts(clean(label).replace("-", " ").split())
        key = (found_direction, " ".join(words), found_kind)
        if key not in self._street_ids:
            self._street_ids[key] = len(self.streets)
            self.streets.append(Street(*key, label))
        return self._street_ids[key]

    def _segment_streets(self) -> Ints:
        if self.centrelines is None or self.centrelines.layer.street is None:
            return np.empty(0, dtype=np.int64)
        return self._streets_of(_table(self.centrelines), self.centrelines.layer.street)

    def _lay_out(self, table: pa.Table, of_street: Ints) -> None:
        columns = self._columns
        count = len(of_street)
        numbers, rests = _numbers(table, columns.number if columns else None)
        suffixes = _texts(table, columns.suffix if columns else None)
        joined = [" ".join(part for part in pair if part) for pair in zip(rests, suffixes, strict=True)]
        suffix_codes, self.suffix_texts = _vocabulary(joined)
        unit_codes, self.unit_texts = _vocabulary(_texts(table, columns.unit if columns else None))
        zip_codes, self.zip_texts = _vocabulary(_texts(table, columns.zip if columns else None))
        kept = np.flatnonzero((of_street >= 0) & (numbers >= 0)) if count else np.empty(0, dtype=np.int64)
        order = kept[np.lexsort([unit_codes[kept], suffix_codes[kept], numbers[kept], of_street[kept]])]
        self.rows: npt.NDArray[np.uint32] = order.astype(np.uint32)
        self.numbers: npt.NDArray[np.int32] = numbers[order].astype(np.int32)
        self.suffixes: npt.NDArray[np.uint16] = suffix_codes[order].astype(np.uint16)
        self.units: npt.NDArray[np.uint32] = unit_codes[order].astype(np.uint32)
        self.zips: npt.NDArray[np.uint16] = zip_codes[order].astype(np.uint16)
        self.starts: Ints = np.searchsorted(of_street[order], np.arange(len(self.streets) + 1))

    def _make_forms(self) -> None:
        """Write each street in all its ways; ``forms`` are in order of their length."""
        found: dict[str, list[Form]] = {}
        for number, street in enumerate(self.streets):
            for text, form in _forms(number, street):
                found.setdefault(text, []).append(form)
        self.forms: list[str] = sorted(found, key=lambda text: (len(text), text))
        self.form_streets: list[list[Form]] = [found[text] for text in self.forms]
        self.by_form: dict[str, list[Form]] = found
        lengths = [len(text) for text in self.forms]
        self.form_lengths: Ints = np.searchsorted(lengths, np.arange(max(lengths, default=0) + 2))

    def forms_beginning(self, typed: str) -> list[str]:
        """Return the forms that begin with what was typed, in alphabetical order."""
        first = bisect_left(self._sorted_forms, typed)
        last = bisect_left(self._sorted_forms, typed + "\uffff")
        return self._sorted_forms[first:last]

    @cached_property
    def _sorted_forms(self) -> list[str]:
        return sorted(self.forms)

    def forms_of_length(self, low: int, high: int) -> tuple[int, int]:
        """Return from which to which place of :attr:`forms` the texts of so many letters lie."""
        top = len(self.form_lengths) - 1
        return int(self.form_lengths[min(max(low, 0), top)]), int(self.form_lengths[min(max(high + 1, 0), top)])


_OPEN: WeakKeyDictionary[Catalog, Gazetteer] = WeakKeyDictionary()


def _declared(catalog: Catalog) -> tuple[Collection | None, Collection | None, Collection | None]:
    """Return the first collections whose layers declare addresses, streets and parcels."""
    found: list[Collection | None] = [None, None, None]
    for name in catalog.ids():
        collection = catalog.collection(name)
        layer = collection.layer
        for place, declared in enumerate((layer.address, layer.street, layer.parcel)):
            if declared is not None and found[place] is None:
                found[place] = collection
    return found[0], found[1], found[2]


def _plain(number: str) -> str:
    """Return a parcel number without blanks and in capitals: people leave blanks out and put them in."""
    return "".join(number.upper().split())


def _hashed(number: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(_plain(number).encode(), digest_size=8).digest(), "little") >> 1)


def _table(collection: Collection | None) -> pa.Table:
    features: Features | None = collection.features if collection is not None else None
    return features.attributes if features is not None else pa.table({})


def _forms(number: int, street: Street) -> Iterable[tuple[str, Form]]:
    """Yield every way of writing a street with what it leaves out; the canonical one first."""
    words = street.name.split()
    own = street.label.upper().split()
    written_type = own[-1] if street.type and own else ""
    names = dict.fromkeys([street.name, " ".join(spelled(words))])
    directions = dict.fromkeys([street.direction, DIRECTION_IN_FULL.get(street.direction, street.direction), ""])
    types = dict.fromkeys([street.type, TYPE_IN_FULL.get(street.type, street.type), clean(written_type), ""])
    seen: set[str] = set()
    for direction, name, kind in product(directions, names, types):
        text = " ".join(part for part in (direction, name, kind) if part)
        without = Form(number, bool(street.direction) and not direction, bool(street.type) and not kind)
        for one in (text, " ".join(canonical(text.split()))):
            if one not in seen:
                seen.add(one)
                yield one, without


def _span(plain: Any, geometry: int) -> range:
    first, last = plain.parts[plain.starts[geometry]], plain.parts[plain.starts[geometry + 1]]
    return range(int(first), int(last))


def _coded(table: pa.Table, column: str | None) -> tuple[Ints, list[str]]:
    """Return a column as codes and the texts they stand for; a null is an empty text."""
    if column is None:
        return np.zeros(table.num_rows, dtype=np.int64), [""]
    values = table[column].combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], pa.string())
    encoded = values if pa.types.is_dictionary(values.type) else values.cast(pa.string()).dictionary_encode()
    texts = ["" if text is None else str(text) for text in encoded.dictionary.to_pylist()]
    return _indices(encoded.indices, len(texts)), [*texts, ""]


def _indices(indices: pa.Array, null: int) -> Ints:
    """Return the indices of a dictionary from their buffers: Arrow's own ways to numpy load pandas."""
    there, values = indices.buffers()
    span = slice(indices.offset, indices.offset + len(indices))
    codes = np.frombuffer(values, dtype=np.dtype(str(indices.type)))[span].astype(np.int64)
    if there is not None and indices.null_count:
        known = np.unpackbits(np.frombuffer(there, dtype=np.uint8), bitorder="little")[span]
        codes[known == 0] = null
    return codes


def _texts(table: pa.Table, column: str | None) -> list[str]:
    codes, texts = _coded(table, column)
    cleaned = [clean(text) for text in texts]
    return [cleaned[code] for code in codes.tolist()]


def _numbers(table: pa.Table, column: str | None) -> tuple[Ints, list[str]]:
    """Return house numbers, -1 where there is none, and what stands behind the number in the same column."""
    codes, texts = _coded(table, column)
    found = [_NUMBER.fullmatch(clean(text).removesuffix(".0")) for text in texts]
    numbers = np.array([int(match[1]) if match else -1 for match in found], dtype=np.int64)
    rests = [match[2].strip(" -") if match else "" for match in found]
    return numbers[codes], [rests[code] for code in codes.tolist()]


def _vocabulary(texts: Sequence[str]) -> tuple[Ints, list[str]]:
    """Return texts as codes of a sorted vocabulary; the empty text is code 0."""
    words = sorted({"", *texts})
    codes = {word: code for code, word in enumerate(words)}
    return np.fromiter((codes[text] for text in texts), dtype=np.int64, count=len(texts)), words
