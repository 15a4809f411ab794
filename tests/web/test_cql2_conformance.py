"""CQL2 (OGC 21-065r2), annex A: one test for each abstract test, named by its identifier, in text and in JSON.

Each is asked over HTTP, of layers with every kind of geometry and type of column. Where the annex asks for a dataset
of its own, predicates of ours are decided beside in Python; random ones are in tests/query, beside PostGIS.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator

import pytest
from cql2_world import CASES, ESCAPED, LANGUAGES, World, build_world, spelled

CLASSES = (
    "cql2-text",
    "cql2-json",
    "basic-cql2",
    "advanced-comparison-operators",
    "case-insensitive-comparison",
    "accent-insensitive-comparison",
    "basic-spatial-functions",
    "basic-spatial-functions-plus",
    "spatial-functions",
    "temporal-functions",
    "property-property",
    "arithmetic",
)
"""Each has its tests below. Not declared: ``array-functions``, as no column is a list, and ``functions`` of our own."""

VALUES = {
    "String": "'foo'",
    "Boolean": "true",
    "Number": "3.14",
    "Integer": "1",
    "Timestamp": "TIMESTAMP('2022-04-14T14:48:46Z')",
    "Date": "DATE('2022-04-14')",
}
OPERATORS = ("=", "<>", ">", "<", ">=", "<=")
CLASSES_WITH_LOGIC = tuple(
    name for name in CLASSES if name not in ("cql2-text", "cql2-json", "basic-spatial-functions-plus")
)

WORLD = "-180 -90,180 -90,180 90,-180 90,-180 -90"
PLUS = "((-180 -90, -90 -90, -90 90, -180 90, -180 -90), (-120 -50, -100 -50, -100 -40, -120 -40, -120 -50))"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return request.param


def queryables(world: World, *types: str) -> Iterator[tuple[str, str]]:
    for layer in world.layers:
        for name in world.queryables(layer, *types):
            yield layer, name


def quoted(name: str) -> str:
    """A name that no reader takes for a word of the language."""
    return f'"{name}"'


def check_test_data(world: World, language: str, name: str) -> None:
    for layer, text, decide in CASES[name]:
        expected = world.true(layer, decide)
        assert expected, text
        assert world.found(layer, text, language) == expected, text


def check_runs(world: World, language: str, texts: Iterable[tuple[str, str]]) -> None:
    for layer, text in texts:
        world.found(layer, text, language)


# Declared is what is tested here, and no more


def test_exactly_the_tested_classes_are_declared(world: World) -> None:
    declared = world.client.get("/api/conformance").get_json()["conformsTo"]
    prefix = "http://www.opengis.net/spec/cql2/1.0/conf/"
    assert {uri.removeprefix(prefix) for uri in declared if "/cql2/" in uri} == set(CLASSES)


# Basic CQL2


def test_conf_basic_cql2_basic_test(world: World) -> None:
    for layer in world.layers:
        assert world.queryables(layer, *VALUES)
        assert world.queryables(layer) == world.queryables(layer, *VALUES, "Geometry")


def check_comparison(world: World, language: str, template: str) -> None:
    """All six operators between a queryable and a value: what they find, taken apart as they are."""
    asked = 0
    for kind, value in VALUES.items():
        for layer, name in queryables(world, kind):
            found = {
                sign: world.found(layer, template.format(left=quoted(name), sign=sign, value=value), language)
                for sign in OPERATORS
            }
            asked += 1
            for one, other in (("=", "<>"), (">", "<="), ("<", ">=")):
                assert not found[one] & found[other]
                assert found[one] | found[other] == world.found(layer, f"{quoted(name)} IS NOT NULL", language)
    assert asked > 10


def test_conf_basic_cql2_comparison(world: World, language: str) -> None:
    check_comparison(world, language, "{left} {sign} {value}")


def test_conf_basic_cql2_is_null(world: World, language: str) -> None:
    for layer, name in queryables(world):
        nothing = world.found(layer, f"{quoted(name)} IS NULL", language)
        something = world.found(layer, f"{quoted(name)} is not null", language)
        assert not nothing & something
        assert nothing | something == world.found(layer, "true", language)


def test_conf_basic_cql2_boolean(world: World, language: str) -> None:
    for layer in world.layers:
        assert world.found(layer, "true", language)
        assert world.found(layer, "false", language) == set()


def test_conf_basic_cql2_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "basic-cql2")


@pytest.mark.parametrize("name", CLASSES_WITH_LOGIC)
def test_conf_of_each_class_logical(world: World, language: str, name: str) -> None:
    """Random combinations of four predicates of the class, as sets: no more and no fewer than their parts allow.

    A predicate that is null for an item is not true, nor is its negation; so both are asked.
    """
    chance = random.Random(name)
    cases = CASES[name]
    for layer in dict.fromkeys(layer for layer, _, _ in cases):
        texts = [text for place, text, _ in cases if place == layer]
        for _ in range(10):
            four = chance.choices(texts, k=4)
            p1, p2, p3, p4 = (f"({text})" for text in four)
            combined = f"((NOT {p1} AND {p2}) OR ({p3} and NOT {p4}) or not ({p1} AND {p4}))"
            true = [world.found(layer, text, language) for text in four]
            false = [world.found(layer, f"NOT ({text})", language) for text in four]
            expected = (false[0] & true[1]) | (true[2] & false[3]) | false[0] | false[3]
            assert world.found(layer, combined, language) == expected, combined


# Advanced comparison operators


def test_conf_advanced_comparison_operators_like(world: World, language: str) -> None:
    for layer, name in queryables(world, "String"):
        patterns = ("%", "_%", "", "%%", r"\\%\\_")
        found = {text: world.found(layer, f"{quoted(name)} LIKE '{text}'", language) for text in patterns}
        assert not found["_%"] & found[""]
        assert found["%"] == found["%%"] == found["_%"] | found[""]


def test_conf_advanced_comparison_operators_between(world: World, language: str) -> None:
    for layer, name in queryables(world, "Number", "Integer"):
        found = world.found(layer, f"{quoted(name)} BETWEEN 0 AND 100", language)
        assert found == world.found(layer, f"{quoted(name)} >= 0 AND {quoted(name)} <= 100", language)
        assert world.found(layer, f"{quoted(name)} between 100.0 and 1.0", language) == set()


def test_conf_advanced_comparison_operators_in(world: World, language: str) -> None:
    times = "TIMESTAMP('2022-04-14T14:52:56Z'), TIMESTAMP('2022-04-14T15:52:56Z')"
    lists = {
        "Number": "1, 2, 3",
        "Integer": "1, 2, 3",
        "String": "'foo', 'bar'",
        "Boolean": "true",
        "Timestamp": times,
        "Date": "DATE('2022-04-14'), DATE('2022-04-15')",
    }
    for kind, values in lists.items():
        for layer, name in queryables(world, kind):
            found = world.found(layer, f"{quoted(name)} IN ({values})", language)
            parts = values.split(", ")
            either = " OR ".join(f"{quoted(name)} = {value}" for value in parts)
            assert found == world.found(layer, either, language)


def test_conf_advanced_comparison_operators_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "advanced-comparison-operators")


# Comparisons that look past case, and past accents


def test_conf_case_insensitive_comparison_casei(world: World, language: str) -> None:
    for layer, name in queryables(world, "String"):
        same = world.found(layer, f"CASEI({quoted(name)}) = casei('foo')", language)
        assert not same & world.found(layer, f"CASEI({quoted(name)}) <> casei('FOO')", language)


def test_conf_case_insensitive_comparison_casei_like(world: World, language: str) -> None:
    for layer, name in queryables(world, "String"):
        small = world.found(layer, f"CASEI({quoted(name)}) LIKE casei('foo%')", language)
        assert small == world.found(layer, f"CASEI({quoted(name)}) LIKE casei('FOO%')", language)


def test_conf_case_insensitive_comparison_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "case-insensitive-comparison")


def test_conf_accent_insensitive_comparison_accenti(world: World, language: str) -> None:
    for layer, name in queryables(world, "String"):
        same = world.found(layer, f"ACCENTI({quoted(name)}) = accenti('äöüéáí')", language)
        assert not same & world.found(layer, f"ACCENTI({quoted(name)}) <> accenti('aoueai')", language)


@pytest.mark.parametrize(
    ("function", "comparison", "accented", "plain"),
    [
        pytest.param("ACCENTI({})", "LIKE", "Ä%", "A%", id="accenti-like"),
        pytest.param("ACCENTI(CASEI({}))", "=", "ÄÉ", "ae", id="accenti-casei"),
        pytest.param("ACCENTI(CASEI({}))", "LIKE", "Ä%", "a%", id="accenti-casei-like"),
    ],
)
def test_conf_accent_insensitive_comparison(
    world: World, language: str, function: str, comparison: str, accented: str, plain: str
) -> None:
    for layer, name in queryables(world, "String"):
        one, other = (
            world.found(layer, f"{function.format(quoted(name))} {comparison} {function.format(repr(text))}", language)
            for text in (accented, plain)
        )
        assert one == other


def test_conf_accent_insensitive_comparison_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "accent-insensitive-comparison")


# Spatial functions


def refused(world: World, layer: str, text: str, language: str) -> None:
    """A position that is none on earth."""
    answer = world.ask(layer, text, language)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json"), text


def test_conf_basic_spatial_functions_s_intersects(world: World, language: str) -> None:
    for layer, name in queryables(world, "Geometry"):
        everything = world.found(layer, f"S_INTERSECTS({name},BBOX(-180,-90,180,90))", language)
        assert everything == world.found(layer, "true", language)
        world.found(layer, f"S_INTERSECTS({name},POINT(7.02 49.92))", language)
        refused(world, layer, f"S_INTERSECTS({name},POINT(90 180))", language)
        west, east = (f"S_INTERSECTS({name},BBOX({box}))" for box in ("-180,-90,-90,90", "90,-90,180,90"))
        both = world.found(layer, f"{west} AND {east}", language)
        assert both == world.found(layer, west, language) & world.found(layer, east, language)


def test_conf_basic_spatial_functions_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "basic-spatial-functions")


def test_conf_basic_spatial_functions_plus_s_intersects(world: World, language: str) -> None:
    shapes = (
        "LINESTRING(-180 -45, 0 -45)",
        "MULTILINESTRING((-180 -45, 0 -45), (0 45, 180 45))",
        f"POLYGON{PLUS}",
        f"MULTIPOLYGON({PLUS},((0 0, 10 0, 10 10, 0 10, 0 0)))",
        "GEOMETRYCOLLECTION(POINT(7.02 49.92), POLYGON((0 0, 10 0, 10 10, 0 10, 0 0)))",
    )
    for layer, name in queryables(world, "Geometry"):
        refused(world, layer, f"S_INTERSECTS({name},MULTIPOINT(7.02 49.92, 90 180))", language)
        check_runs(world, language, [(layer, f"S_INTERSECTS({name},{shape})") for shape in shapes])


def test_conf_basic_spatial_functions_plus_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "basic-spatial-functions-plus")


def spatial(world: World, layer: str, call: str, shapes: Iterable[str], language: str) -> list[set[str]]:
    return [world.found(layer, f"{call},{shape})", language) for shape in shapes]


WHOLE = ("BBOX(-180,-90,180,90)", f"POLYGON(({WORLD}))")
LINE, POINT = "LINESTRING(7 50,10 51)", "POINT(7.02 49.92)"


def test_conf_spatial_functions_s_intersects(world: World, language: str) -> None:
    for layer, name in queryables(world, "Geometry"):
        box, polygon, _, _ = spatial(world, layer, f"S_INTERSECTS({name}", (*WHOLE, LINE, POINT), language)
        assert box == polygon == world.found(layer, "true", language)
        refused(world, layer, f"S_INTERSECTS({name},POINT(90 180))", language)


def test_conf_spatial_functions_s_disjoint(world: World, language: str) -> None:
    for layer, name in queryables(world, "Geometry"):
        box, polygon, *apart = spatial(world, layer, f"S_DISJOINT({name}", (*WHOLE, LINE, POINT), language)
        assert box == polygon == set()
        for one, other in zip(
            apart, spatial(world, layer, f"S_INTERSECTS({name}", (LINE, POINT), language), strict=True
        ):
            assert not one & other
            assert one | other == world.found(layer, "true", language)
        refused(world, layer, f"S_DISJOINT({name},POINT(90 180))", language)


def test_conf_spatial_functions_s_equals(world: World, language: str) -> None:
    for layer, name in queryables(world, "Geometry"):
        polygon, line, _ = spatial(world, layer, f"S_EQUALS({name}", (WHOLE[1], LINE, POINT), language)
        assert polygon == line == set()


@pytest.mark.parametrize("function", ["S_TOUCHES", "S_CROSSES"])
def test_conf_spatial_functions_s_touches_and_s_crosses(world: World, language: str, function: str) -> None:
    for layer, name in queryables(world, "Geometry"):
        if function == "S_CROSSES" and layer == "zones":
            continue  # asked of points and lines
        box, polygon, _ = spatial(world, layer, f"{function}({name}", (*WHOLE, LINE), language)
        assert box == polygon


def test_conf_spatial_functions_s_within(world: World, language: str) -> None:
    for layer, name in queryables(world, "Geometry"):
        shapes = (*WHOLE, LINE, "MULTIPOINT(7 50,10 51)")
        box, polygon, _, _ = spatial(world, layer, f"S_WITHIN({name}", shapes, language)
        assert box == polygon


def test_conf_spatial_functions_s_contains(world: World, language: str) -> None:
    shapes = (*WHOLE, LINE, "MULTIPOINT(7 50,10 51)")
    for layer, name in queryables(world, "Geometry"):
        found = spatial(world, layer, f"S_CONTAINS({name}", shapes, language)
        assert found[0] == found[1]
        for one, other in zip(found, spatial(world, layer, f"S_WITHIN({name}", shapes, language), strict=True):
            assert not one & other


def test_conf_spatial_functions_s_overlaps(world: World, language: str) -> None:
    shapes = {
        **dict.fromkeys(("events", "permits"), "MULTIPOINT(7 50,10 51)"),
        "streets": LINE,
        "zones": WHOLE[1],
    }
    check_runs(world, language, [(layer, f"S_OVERLAPS(geometry,{shape})") for layer, shape in shapes.items()])


def test_conf_spatial_functions_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "spatial-functions")


# Temporal functions


TEMPORAL = ("AFTER", "BEFORE", "DISJOINT", "EQUALS", "INTERSECTS")
OF_INTERVALS = (
    *TEMPORAL, "CONTAINS", "DURING", "FINISHEDBY", "FINISHES", "MEETS", "METBY", "OVERLAPPEDBY", "OVERLAPS",
    "STARTEDBY", "STARTS",
)  # fmt: skip
INTERVALS = {
    "Timestamp": "INTERVAL('2021-01-01T00:00:00Z','2021-12-31T23:59:59Z')",
    "Date": "INTERVAL('2021-01-01','2021-12-31')",
}
INSTANTS = {"Timestamp": "TIMESTAMP('2022-04-24T07:59:57Z')", "Date": "DATE('2022-04-24')"}


def test_conf_temporal_functions_temporal_functions_1(world: World, language: str) -> None:
    for kind, instant in INSTANTS.items():
        for layer, name in queryables(world, kind):
            for value in (instant, INTERVALS[kind]):
                found = {verb: world.found(layer, f"T_{verb}({quoted(name)},{value})", language) for verb in TEMPORAL}
                some = world.found(layer, f"{quoted(name)} IS NOT NULL", language)
                assert found["DISJOINT"] == found["AFTER"] | found["BEFORE"] == some - found["INTERSECTS"]
                assert found["EQUALS"] <= found["INTERSECTS"]


def test_conf_temporal_functions_temporal_functions_2(world: World, language: str) -> None:
    asked = 0
    for kind, interval in INTERVALS.items():
        for layer in world.layers:
            for one, other in itertools.permutations(world.queryables(layer, kind), 2):
                mine = f"INTERVAL({quoted(one)},{quoted(other)})"
                found = {verb: world.found(layer, f"T_{verb}({mine},{interval})", language) for verb in OF_INTERVALS}
                assert not found["INTERSECTS"] & found["DISJOINT"]
                asked += 1
    assert asked >= 4


def test_conf_temporal_functions_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "temporal-functions")


# Property-property comparisons


def test_conf_property_property_comparison_value_property(world: World, language: str) -> None:
    check_comparison(world, language, "{value} {sign} {left}")


def test_conf_property_property_comparison_property_property(world: World, language: str) -> None:
    for layer, name in queryables(world, *VALUES):
        found = {sign: world.found(layer, f"{quoted(name)} {sign} {quoted(name)}", language) for sign in OPERATORS}
        assert found["<>"] == found["<"] == found[">"] == set()
        assert found["="] == found[">="] == found["<="] == world.found(layer, f"{quoted(name)} IS NOT NULL", language)


def test_conf_property_property_comparison_value_value(world: World, language: str) -> None:
    for value in VALUES.values():
        found = {sign: world.found("permits", f"{value} {sign} {value}", language) for sign in OPERATORS}
        assert found["<>"] == found["<"] == found[">"] == set()
        assert found["="] == found[">="] == found["<="] == world.found("permits", "true", language)


def test_conf_property_property_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "property-property")


# Arithmetic


def test_conf_arithmetic_arithmetic(world: World, language: str) -> None:
    """What an expression gives, beside what algebra says it gives."""
    for layer, name in queryables(world, "Number", "Integer"):
        column = quoted(name)
        same = (f"{column} * 2 >= 10", f"{column} + {column} >= 5 * 2", f"{column} >= 3 + 8 / 4", f"{column} - 5 >= 0")
        found = [world.found(layer, text, language) for text in same]
        assert all(one == found[0] for one in found)
        odd = (f"{column} % 2 = 1 AND {column} >= 0", f"{column} - 2 * ({column} div 2) = 1 AND {column} >= 0")
        if (layer, name) in set(queryables(world, "Integer")):
            assert world.found(layer, odd[0], language) == world.found(layer, odd[1], language)
        square = world.found(layer, f"{column} ^ 2 <= 16", language)
        assert square == world.found(layer, f"{column} BETWEEN -4 AND 4", language)


def test_conf_arithmetic_test_data(world: World, language: str) -> None:
    check_test_data(world, language, "arithmetic")


# CQL2 text, CQL2 JSON


def test_conf_cql2_text_validate_and_cql2_json_validate(world: World) -> None:
    """All tests above run in both languages; here every predicate finds the same items in both."""
    for cases in CASES.values():
        for layer, text, _ in cases:
            assert world.found(layer, text, "cql2-text") == world.found(layer, text, "cql2-json")
            assert spelled(text, "cql2-json") != text


def test_conf_cql2_text_escaping(world: World) -> None:
    """Each control character by itself, and where CQL2 has one, by its escape."""
    escapes = {
        "\x07": r"\a", "\b": r"\b", "\t": r"\t", "\n": r"\n", "\v": r"\v", "\f": r"\f", "\r": r"\r", "\\": r"\\",
    }  # fmt: skip
    for number, text in enumerate(ESCAPED):
        plain = text.replace("\\", "\\\\").replace("'", "''")
        other = "".join(escapes.get(character, character) for character in text).replace("'", r"\'")
        for written in (plain, other):
            assert world.found("events", f"text = '{written}'", "cql2-text") == {str(number)}, written
