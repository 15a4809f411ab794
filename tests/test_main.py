"""The command line as an operator uses it: words in, tables or JSON lines out, exit code told."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import geopandas
import pytest
import shapely
from click.testing import CliRunner, Result

import gisservice.__main__ as command_line
from gisservice.__main__ import main
from gisservice.catalog import Catalog
from gisservice.ingest import sample
from gisservice.ingest.sample import earlier

REGISTRY = """
[city]
name = "Testville"

[layers.lots]
title = "Lots"
description = "Building lots."
sources = [{path = "lots.geojson"}]
licence = "CC0-1.0"
attribution = "Testville"
storage_crs = "EPSG:2283"
geometry = "polygon"
id_column = "lot"
zoom = [12, 14]
cadence = "weekly"
steward = "gis@example.org"

[layers.lots.columns]
lot = {type = "string", meaning = "Lot number"}
owner = {type = "string", meaning = "Owner", visibility = "never"}
"""


def lots(count: int, shift: float = 0.0) -> geopandas.GeoDataFrame:
    """A row of squares near Alexandria's city hall."""
    boxes = [shapely.box(-77.05 + i * 1e-3 + shift, 38.80, -77.0495 + i * 1e-3 + shift, 38.8005) for i in range(count)]
    columns = {"lot": [f"L-{i}" for i in range(count)], "owner": [f"Nobody {i}" for i in range(count)]}
    return geopandas.GeoDataFrame(columns, geometry=boxes, crs="OGC:CRS84")


class Operator:
    """Runs the command line inside one folder with its own registry and home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "published"
        self.registry = folder / "layers.toml"
        self.registry.write_text(REGISTRY)
        self.give(lots(5))

    def give(self, frame: geopandas.GeoDataFrame) -> None:
        """Put a new delivery where the registry's source is."""
        (self.folder / "lots.geojson").write_text(frame.to_json(drop_id=True))

    def run(self, *words: str | Path) -> Result:
        given = ["--registry", str(self.registry), "--home", str(self.home), *map(str, words)]
        return CliRunner().invoke(main, given, catch_exceptions=False)

    def events(self, *words: str | Path) -> list[dict[str, object]]:
        result = self.run(*words, "--json")
        return [json.loads(line) for line in result.stdout.splitlines()]

    def current(self) -> str:
        return Catalog(self.home).collection("lots").version


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_ingest_all_publishes_and_the_summary_adds_up(operator: Operator) -> None:
    (published,) = [e for e in operator.events("ingest", "--all") if e["event"] == "published"]
    assert published["read"] == published["published"] == 5 and published["collection"] == "lots"
    assert published["version"] == operator.current()
    result = operator.run("ingest", "--id", "lots")
    assert result.exit_code == 0 and "5 read = 5 published + 0 refused" in result.stdout


def test_progress_comes_as_json_lines(operator: Operator) -> None:
    steps = [e["step"] for e in operator.events("ingest", "--id", "lots") if e["event"] == "progress"]
    order = ["read", "reproject", "validate", "standardize", "publish"]
    assert [step for step in dict.fromkeys(steps) if step in order] == order


def test_the_same_delivery_is_the_same_version_and_another_is_a_new_one(operator: Operator) -> None:
    operator.run("ingest", "--all")
    first = operator.current()
    operator.run("ingest", "--all")
    assert operator.current() == first
    operator.give(lots(6))
    operator.run("ingest", "--all")
    assert operator.current() != first
    rows = [e for e in operator.events("versions", "lots") if e["event"] == "version"]
    assert [(row["version"], row["current"]) for row in rows] == [(operator.current(), True), (first, False)]


def test_diff_names_what_was_added_removed_and_changed(operator: Operator) -> None:
    operator.run("ingest", "--all")
    first = operator.current()
    changed = lots(6).iloc[1:]
    changed.loc[2, "geometry"] = shapely.box(-77.04, 38.81, -77.039, 38.811)
    operator.give(changed)
    operator.run("ingest", "--all")
    events = operator.events("diff", "lots", first, operator.current())
    assert {e["id"] for e in events if e["event"] == "added"} == {"L-5"}
    assert {e["id"] for e in events if e["event"] == "removed"} == {"L-0"}
    assert [(e["id"], list(e["fields"])) for e in events if e["event"] == "changed"] == [("L-2", ["geometry"])]
    result = operator.run("diff", "lots", first, operator.current())
    assert "1 added, 1 removed, 1 changed." in result.stdout and "Nobody" not in result.stdout


def test_rollback_makes_the_old_version_current_again(operator: Operator) -> None:
    operator.run("ingest", "--all")
    first = operator.current()
    operator.give(lots(7))
    operator.run("ingest", "--all")
    assert operator.run("rollback", "lots", first).exit_code == 0
    assert operator.current() == first and Catalog(operator.home).collection("lots").manifest.count == 5


def test_backup_and_restore_bring_back_the_same_bytes(operator: Operator) -> None:
    operator.run("ingest", "--all")
    version, file = operator.current(), operator.folder / "backup.tar"
    assert operator.run("backup", file).exit_code == 0
    shutil.rmtree(operator.home)
    assert operator.run("restore", file).exit_code == 0
    assert operator.current() == version
    assert operator.run("check").exit_code == 0


def test_check_names_a_damaged_file(operator: Operator) -> None:
    operator.run("ingest", "--all")
    file = Catalog(operator.home).collection("lots").path / "tiles.pmtiles"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    result = operator.run("check")
    assert result.exit_code == 1 and "tiles.pmtiles" in result.stdout


def test_doctor_examines_the_installation(operator: Operator) -> None:
    found = {e["subject"]: e["state"] for e in operator.events("doctor") if e["event"] == "examined"}
    assert found["agreement of the three PROJ"] == "ok" and found["PROJ network"] == "ok"


def test_a_file_without_a_declaration_is_published_with_defaults(operator: Operator) -> None:
    file = operator.folder / "plain.gpkg"
    lots(3).drop(columns="owner").to_file(file, engine="pyogrio")
    assert operator.run("ingest", file, "--id", "plain").exit_code == 0
    assert Catalog(operator.home).collection("plain").manifest.count == 3


def broken(folder: Path, kind: str) -> Path:
    """A source with one thing wrong with it."""
    shapefile = folder / "lots.shp"
    lots(3).to_crs("EPSG:2283").to_file(shapefile, engine="pyogrio")
    parts = {suffix: shapefile.with_suffix(f".{suffix}") for suffix in ("shp", "shx", "dbf", "prj")}
    left_out = {"no-prj": {"prj"}, "no-dbf": {"dbf"}}.get(kind, set())
    file = folder / f"{kind}.shp.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for suffix, part in parts.items():
            if suffix not in left_out:
                archive.write(part, part.name)
    if kind == "truncated":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    if kind == "empty":
        file = folder / "empty.geojson"
        file.write_bytes(b"")
    if kind == "text-in-x":
        file = folder / "text.csv"
        file.write_text("lon,lat,lot\nwest,38.8,A\neast,38.8,B\n")
    if kind == "html":
        file = folder / "page.geojson"
        file.write_text("<!doctype html><title>503</title>")
    if kind == "absent":
        file = folder / "absent.gpkg"
    return file


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no-prj", ("coordinate reference system", "--crs EPSG:")),
        ("no-dbf", (".dbf",)),
        ("truncated", ("truncated.shp.zip",)),
        ("empty", ("empty.geojson", "empty")),
        ("text-in-x", ("lon", "west")),
        ("html", ("page.geojson",)),
        ("absent", ("absent.gpkg",)),
    ],
)
def test_a_bad_source_is_told_and_leaves_what_is_published_alone(
    operator: Operator, tmp_path: Path, kind: str, words: tuple[str, ...]
) -> None:
    operator.run("ingest", "--all")
    version = operator.current()
    result = operator.run("ingest", broken(tmp_path, kind), "--id", "lots")
    assert result.exit_code == 1
    for word in words:
        assert word in result.stderr, result.stderr
    assert "Traceback" not in result.output
    assert operator.current() == version and not Catalog(operator.home).verify("lots")


def test_an_unknown_layer_names_the_registry(operator: Operator) -> None:
    result = operator.run("ingest", "--id", "lotz")
    assert result.exit_code == 1 and "'lotz'" in result.stderr and "layers.toml" in result.stderr


def test_a_registry_with_a_typo_names_file_line_and_key(operator: Operator) -> None:
    operator.registry.write_text(REGISTRY.replace("licence", "lisence"))
    result = operator.run("ingest", "--all")
    line = REGISTRY[: REGISTRY.index("licence")].count("\n") + 1
    assert result.exit_code == 1
    assert f"line {line}" in result.stderr and "lisence" in result.stderr and "licence" in result.stderr


def test_one_layer_that_fails_does_not_stop_the_others_but_the_exit_code_says_so(operator: Operator) -> None:
    second = REGISTRY[REGISTRY.index("[layers.lots]") :].replace("layers.lots", "layers.gone")
    operator.registry.write_text(REGISTRY + second.replace("lots.geojson", "gone.geojson"))
    events = operator.events("ingest", "--all")
    assert [e["collection"] for e in events if e["event"] == "published"] == ["lots"]
    assert [e["collection"] for e in events if e["event"] == "error"] == ["gone"]
    assert operator.run("ingest", "--all").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("versions", "nothing"),
        ("rollback", "lots", "v-0000000000000000"),
        ("diff", "lots", "v-0000000000000000", "v-1111111111111111"),
        ("restore", "no-such-file.tar"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(operator: Operator, words: tuple[str, ...]) -> None:
    operator.run("ingest", "--all")
    result = operator.run(*words)
    assert result.exit_code == 1 and result.stderr.startswith("Error: ") and "Traceback" not in result.output
    (event,) = operator.events(*words)
    assert event["event"] == "error" and event["message"]


@pytest.mark.parametrize(
    "words", [("ingest",), ("ingest", "x.geojson"), ("ingest", "x.geojson", "--all"), ("publish",)]
)
def test_a_wrong_command_line_exits_with_2(operator: Operator, words: tuple[str, ...]) -> None:
    assert operator.run(*words).exit_code == 2


def test_the_demo_publishes_the_survey_before_and_then_todays_also_when_it_was_cut_short(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generated here as two small files; nothing is served."""
    folder = operator.folder / "sample"

    def generate(folder: Path, progress: object) -> None:
        (folder / earlier.FOLDER).mkdir(parents=True)
        for count, path in (
            (4, folder / earlier.FOLDER / earlier.NAMES["zoning.shp.zip"]),
            (5, folder / "zoning.shp.zip"),
        ):
            lots(count).to_file(folder / "lots.shp")
            with zipfile.ZipFile(path, "w") as archive:
                for part in folder.glob("lots.*"):
                    archive.write(part, part.name)

    monkeypatch.setattr(sample, "generate", generate)
    monkeypatch.setattr(command_line, "_become_server", lambda *_: None)
    operator.registry.write_text(REGISTRY.replace("lots.geojson", "sample/zoning.shp.zip"))
    assert operator.run("demo").exit_code == 0
    catalog = Catalog(operator.home)
    assert [version.count for version in catalog.versions("lots")] == [5, 4]
    assert operator.events("demo") == []
    shutil.rmtree(operator.home)  # as if it had been ended after the first of the two
    operator.run("ingest", folder / earlier.FOLDER / earlier.NAMES["zoning.shp.zip"], "--id", "lots")
    assert [event["published"] for event in operator.events("demo") if event["event"] == "published"] == [5]
    assert [version.count for version in Catalog(operator.home).versions("lots")] == [5, 4]
