"""A strict reader of Mapbox Vector Tile 2.1, written from the specification and sharing nothing with the encoder.

It refuses what the specification forbids and what breaks clients: see ``Refused``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import shapely


class Refused(AssertionError):
    """The tile is not as the specification wants it."""


@dataclass
class Feature:
    id: int | None
    kind: int
    geometry: Any
    """shapely, in tile coordinates (y down)"""
    properties: dict[str, Any]
    types: dict[str, str]
    commands: list[int]


@dataclass
class Layer:
    name: str
    extent: int
    features: list[Feature] = field(default_factory=list)


def demand(truth: bool, message: str) -> None:
    if not truth:
        raise Refused(message)


def fields(data: bytes):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = data[at : at + 8], at + 8
        elif wire == 5:
            value, at = data[at : at + 4], at + 4
        elif wire == 2:
            length, at = varint(data, at)
            demand(at + length <= len(data), "a field is longer than its message")
            value, at = data[at : at + length], at + length
        else:
            raise Refused(f"wire type {wire}")
        yield number, wire, value


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        demand(at < len(data) and shift < 70, "broken varint")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def packed(data: bytes) -> list[int]:
    out, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        out.append(value)
    return out


def zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def read(tile: bytes) -> dict[str, Layer]:
    """Read a whole uncompressed tile."""
    layers: dict[str, Layer] = {}
    for number, wire, value in fields(tile):
        demand((number, wire) == (3, 2), f"unexpected field {number} in a tile")
        layer = read_layer(value)
        demand(layer.name not in layers, "two layers of one name")
        layers[layer.name] = layer
    demand(bool(layers), "a tile without layers")
    return layers


def read_layer(data: bytes) -> Layer:
    parts = list(fields(data))
    demand(parts[0] == (15, 0, 2), "version 2 must come first")
    single = {number: value for number, _, value in parts if number in (1, 5)}
    demand(1 in single and 5 in single, "name and extent must be written")
    keys = [value.decode() for number, _, value in parts if number == 3]
    demand(len(set(keys)) == len(keys), "a key twice in the table")
    encoded = [value for number, _, value in parts if number == 4]
    demand(len(set(encoded)) == len(encoded), "a value twice in the table")
    values = [read_value(value) for value in encoded]
    layer = Layer(single[1].decode(), single[5])
    used_keys, used_values = set(), set()
    for number, _, value in parts:
        if number == 2:
            feature, tags = read_feature(value, keys, values)
            layer.features.append(feature)
            used_keys |= set(tags[::2])
            used_values |= set(tags[1::2])
        demand(number in (1, 2, 3, 4, 5, 15), f"unexpected field {number} in a layer")
    demand(bool(layer.features), "a layer without features")
    demand(used_keys == set(range(len(keys))), "a key that no feature uses")
    demand(used_values == set(range(len(values))), "a value that no feature uses")
    return layer


def read_value(data: bytes) -> tuple[str, Any]:
    found = list(fields(data))
    demand(len(found) == 1, "a value must have exactly one field")
    number, wire, raw = found[0]
    if number == 1:
        return "string", raw.decode()
    if number == 2:
        return "float", struct.unpack("<f", raw)[0]
    if number == 3:
        return "double", struct.unpack("<d", raw)[0]
    if number == 4:
        return "int", raw - (1 << 64) if raw >> 63 else raw
    if number == 5:
        return "uint", raw
    if number == 6:
        return "sint", zigzag(raw)
    demand(number == 7 and wire == 0 and raw in (0, 1), "unknown value field")
    return "bool", bool(raw)


def read_feature(data: bytes, keys: list[str], values: list[tuple[str, Any]]) -> tuple[Feature, list[int]]:
    found: dict[int, Any] = {}
    for number, _, value in fields(data):
        demand(number in (1, 2, 3, 4) and number not in found, f"field {number} in a feature")
        found[number] = value
    demand(3 in found and 4 in found and bool(found[4]), "type and geometry must be written")
    identity = found.get(1)
    demand(identity is None or identity <= 2**53 - 1, "an id that browsers round")
    tags = packed(found.get(2, b""))
    demand(2 not in found or bool(tags), "empty tags")
    demand(len(tags) % 2 == 0, "an odd number of tags")
    demand(all(k < len(keys) for k in tags[::2]) and all(v < len(values) for v in tags[1::2]), "tag out of range")
    demand(len(set(tags[::2])) == len(tags) // 2, "a key twice in a feature")
    properties = {keys[k]: values[v][1] for k, v in zip(tags[::2], tags[1::2], strict=True)}
    types = {keys[k]: values[v][0] for k, v in zip(tags[::2], tags[1::2], strict=True)}
    commands = packed(found[4])
    read_geometry = {1: read_points, 2: read_lines, 3: read_polygon}[found[3]]
    return Feature(identity, found[3], read_geometry(commands), properties, types, commands), tags


class Cursor:
    def __init__(self, commands: list[int]) -> None:
        self.commands, self.at, self.x, self.y = commands, 0, 0, 0

    def __bool__(self) -> bool:
        return self.at < len(self.commands)

    def command(self) -> tuple[int, int]:
        value = self.commands[self.at]
        self.at += 1
        demand(value >> 3 > 0, "a command with count 0")
        return value & 7, value >> 3

    def point(self) -> tuple[int, int]:
        demand(self.at + 2 <= len(self.commands), "a command without its parameters")
        dx, dy = (zigzag(value) for value in self.commands[self.at : self.at + 2])
        demand(abs(dx) < 2**31 and abs(dy) < 2**31, "a parameter out of range")
        self.at += 2
        self.x, self.y = self.x + dx, self.y + dy
        return self.x, self.y


def read_points(commands: list[int]) -> Any:
    cursor = Cursor(commands)
    command, count = cursor.command()
    demand(command == 1, "points begin with MoveTo")
    points = [cursor.point() for _ in range(count)]
    demand(not cursor, "points have one command")
    demand(len(set(points)) == len(points), "a point twice")
    return shapely.MultiPoint(points)


def path(cursor: Cursor) -> list[tuple[int, int]]:
    demand(cursor.command() == (1, 1), "a path begins with MoveTo of one point")
    points = [cursor.point()]
    command, count = cursor.command()
    demand(command == 2, "MoveTo must be followed by LineTo")
    points += [cursor.point() for _ in range(count)]
    demand(all(a != b for a, b in pairwise(points)), "LineTo (0, 0)")
    return points


def read_lines(commands: list[int]) -> Any:
    cursor, lines = Cursor(commands), []
    while cursor:
        lines.append(path(cursor))
    return shapely.MultiLineString(lines)


def area2(ring: list[tuple[int, int]]) -> int:
    """Twice the surveyor's area, by whole numbers."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))


def read_polygon(commands: list[int]) -> Any:
    cursor, parts = Cursor(commands), []
    while cursor:
        ring = path(cursor)
        demand(cursor.command() == (7, 1), "a ring ends with one ClosePath")
        demand(ring[0] != ring[-1], "the first vertex is repeated before ClosePath")
        demand(len(ring) >= 3, "a ring of fewer than three vertices")
        area = area2(ring)
        demand(area != 0, "a ring without area")
        if area > 0:
            parts.append((ring, []))
        else:
            demand(bool(parts), "the first ring is a hole")
            parts[-1][1].append(ring)
    return shapely.MultiPolygon([shapely.Polygon(shell, holes) for shell, holes in parts])


def ids(tile: bytes) -> set[int]:
    """The ids of all features of a tile, without looking at anything else."""
    found = set()
    for _, _, layer in fields(tile):
        for number, _, feature in fields(layer):
            if number == 2:
                first = next(fields(feature))
                found |= {first[2]} if first[0] == 1 else set()
    return found


def invalid(layer: Layer) -> int:
    """How many polygons of a layer are not valid by OGC's rules."""
    polygons = np.array([feature.geometry for feature in layer.features if feature.kind == 3])
    return int((~shapely.is_valid(polygons)).sum()) if len(polygons) else 0
