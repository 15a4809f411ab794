"""Where pages find their files, and that set-up puts there what they name."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from pathlib import Path

import pytest

from gisservice.errors import SettingsError
from gisservice.maps.assets import Assets

TEMPLATES = Path(__file__).resolve().parents[2] / "gisservice" / "maps" / "templates"


@pytest.fixture
def static(tmp_path: Path) -> Path:
    for name in ("vendor", "css", "js"):
        (tmp_path / name).mkdir()
    (tmp_path / "vendor/manifest.json").write_text('{"leaflet.js": {"file": "leaflet.abc.js", "sri": "sha384-x"}}')
    (tmp_path / "css/site.css").write_text("body {}")
    (tmp_path / "js/map.js").write_text("export {};")
    return tmp_path


def test_libraries_come_with_their_digest_and_our_files_with_their_edition(static: Path) -> None:
    assets = Assets.load(static)
    assert (assets["leaflet.js"].path, assets["leaflet.js"].integrity) == ("vendor/leaflet.abc.js", "sha384-x")
    digest = hashlib.sha256(b"body {}").hexdigest()[:12]
    assert (assets["css/site.css"].path, assets["css/site.css"].integrity) == (f"css/site.css?v={digest}", "")


def test_a_changed_file_has_another_address(static: Path) -> None:
    before = Assets.load(static)["js/map.js"].path
    (static / "js/map.js").write_text("export { };")
    assert Assets.load(static)["js/map.js"].path != before


def test_missing_libraries_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"run 'python static/install.py' once"):
        Assets.load(tmp_path)


def test_what_the_templates_name_is_installed(root: Path) -> None:
    if not (root / "static/vendor/manifest.json").is_file():
        pytest.skip("the browser libraries are not installed (make install)")
    assets = Assets.load(root / "static")
    text = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    named = set(re.findall(r"site\.static\('([^']+)'\)", text)) | set(re.findall(r"site\.assets\['([^']+)'\]", text))
    assert named and named <= set(assets.files)
    for name, entry in json.loads((root / "static/vendor/manifest.json").read_text()).items():
        content = (root / "static/vendor" / entry["file"]).read_bytes()
        assert entry["sri"] == "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode(), name
        assert hashlib.sha384(content).hexdigest()[:12] in entry["file"]
        assert b"sourceMappingURL" not in content


def load_installer(root: Path):
    spec = importlib.util.spec_from_file_location("install", root / "static/install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_set_up_copies_the_files_it_lists_under_names_with_their_digest(root: Path, tmp_path: Path) -> None:
    installer = load_installer(root)
    for source in (*installer.FILES.values(), *installer.LICENCES):
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_bytes(f"// {source}\n//# sourceMappingURL=x.map\n".encode())
    target = tmp_path / "vendor"
    target.mkdir()
    manifest = installer.copy_files(tmp_path, target)
    assert set(manifest) == set(installer.FILES)
    for name, entry in manifest.items():
        assert (target / entry["file"]).read_bytes() == f"// {installer.FILES[name]}\n".encode()
    assert len(list(target.glob("*.LICENSE.txt"))) == len(installer.LICENCES)


def test_only_a_closing_mention_of_a_source_map_is_dropped(root: Path) -> None:
    strip = load_installer(root).without_source_map
    assert strip(b"code;\n//# sourceMappingURL=a.map") == b"code;\n"
    assert strip(b"code;\n") == b"code;\n"
    assert strip(b'a="\n//# sourceMappingURL=";\nmore;\n') == b'a="\n//# sourceMappingURL=";\nmore;\n'


def test_the_lock_file_names_no_host(root: Path) -> None:
    lock = json.loads((root / "static/package-lock.json").read_text())
    assert all("resolved" not in entry for entry in lock["packages"].values())
    assert all("integrity" in entry for path, entry in lock["packages"].items() if path)
