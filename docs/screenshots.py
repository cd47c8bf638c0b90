"""Take screenshots of the HTML report for the site's gallery: `python docs/screenshots.py`.

Needs playwright and a chromium on the path. They go to docs/screenshots/, which is not committed; `mkdocs build` shows
those that are there.
"""

from __future__ import annotations

import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
MODEL = "cnnlint fixtures/models/resnet_style.onnx fixtures/models/smelly.onnx --static --format html"
WIDTHS = {"wide": 1440, "narrow": 390}


def main() -> int:
    """Take them; return 1 if there is nothing to take them with."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.stderr.write("screenshots take playwright: pip install playwright\n")
        return 1
    program = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
    if program is None:
        sys.stderr.write("screenshots take a chromium on the path\n")
        return 1
    page = runpy.run_path(str(DOCS / "generate.py"))["ran"](MODEL, {}).stdout
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, width in WIDTHS.items():
            for scheme in ("light", "dark"):
                take(browser, file, DOCS / "screenshots" / f"report-{name}-{scheme}.png", width, scheme)
        browser.close()
    return 0


def take(browser: Any, file: Path, to: Path, width: int, scheme: str) -> None:
    """Write the picture of a page, from its top to where its first network ends."""
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page = context.new_page()
    page.goto(file.as_uri())
    to.parent.mkdir(exist_ok=True)
    page.screenshot(path=to, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": 2200})
    context.close()


if __name__ == "__main__":
    sys.exit(main())
