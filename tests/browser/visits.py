"""Visits of pages in a browser, which watch what a page does."""

from __future__ import annotations

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}

REPORT_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


def at_rest(page, zoom: int) -> None:
    """Wait until the map has come to a zoom, as its address says, and has drawn all of it."""
    page.wait_for_function(
        """(zoom) => location.hash.startsWith(`#${zoom}/`)
          && document.getElementById("map_city").ariaBusy === "false" """,
        arg=zoom,
    )


class Visits:
    """Pages opened by one test, with everything that must not happen on them.

    Without service worker, which a test of it allows: what a worker asks for cannot be watched or held back here.
    """

    def __init__(self, browser, address: str) -> None:
        self.browser, self.address = browser, address
        self.pages: list = []
        self.faults: list[str] = []
        self.expected = ""
        """Part of the text of errors that the test brings about itself."""
        self.bytes = 0

    def open(self, path: str, device: dict = DESKTOP):
        context = self.browser.new_context(**{"service_workers": "block", **device})
        context.set_default_timeout(120_000)  # milliseconds; a busy machine is no fault of a page
        context.add_init_script(REPORT_VIOLATIONS)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        page.on("request", lambda request: self._watch(request.url))
        page.on("dialog", self._refuse)
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", self._count)
        self.pages.append(page)
        page.goto(self.address + path)
        if page.locator("#map_city").count() and device.get("java_script_enabled", True):
            page.wait_for_selector('#map_city[aria-busy="false"]')
        return page

    def close(self) -> None:
        for page in self.pages:
            self.faults += page.evaluate("window.violations ?? []")
            page.context.close()
        faults = [fault for fault in self.faults if not self.expected or self.expected not in fault]
        assert faults == [], faults

    def _watch(self, url: str) -> None:
        if not url.startswith(self.address + "/"):
            self.faults.append(f"request to another host: {url}")

    def _refuse(self, dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _count(self, event: dict) -> None:
        self.bytes += event["encodedDataLength"]
