"""Take the README's picture: the sample city's overview map, as a running service draws it.

.venv/bin/python docs/picture.py http://127.0.0.1:8000/maps/city docs/city.png
"""

from __future__ import annotations

import shutil
import sys

from playwright.sync_api import sync_playwright


def main(url: str, file: str) -> None:
    """Open ``url`` in Chromium, wait until its tiles are drawn, and save what it shows."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url, wait_until="networkidle")
        page.wait_for_timeout(2_000)  # tiles fade in
        page.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
