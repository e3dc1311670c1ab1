"""`make report-picture`: photographs the top of the demo's group report, in headless Chromium, as `docs/report.png`.

`make demo` writes the report.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / ".build" / "demo" / "report.html"
PICTURE = ROOT / "docs" / "report.png"
# The height ends below the advice on the first cause.
WIDTH, HEIGHT = 1000, 765


def main() -> None:
    """Write the picture. Exits with a message if the report or a browser is missing."""
    if not REPORT.exists():
        sys.exit("There is no report yet: run `make demo` first.")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("There is no chromium, chromium-browser or google-chrome.")
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses root, and the page is our own.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(REPORT.as_uri())
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
