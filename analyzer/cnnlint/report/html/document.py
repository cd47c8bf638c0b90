"""The HTML document around a report: style and scripts inside it, and a policy that lets it ask for nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from string import Template

import msgspec

from cnnlint.report.printable import in_json, in_markup, visible, without_commands

HERE = Path(__file__).parent

LIBRARIES = ("vendor/dagre.min.js", "vendor/uPlot.iife.min.js")
"""Loaded before our own script; `docs/make_vendor.py` fetches them."""

STYLES = ("vendor/uPlot.min.css", "view.css")

IN_A_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What could end a script element, or be read as markup, as JSON may spell it."""


def document(title: str, body: Iterable[str], version: str) -> str:
    """Return the page.

    Its policy lets the browser run the scripts of this file, which it knows by their hashes, and load nothing: what a
    hostile name might slip into the page can neither run nor call home.
    """
    scripts = [*map(asset, LIBRARIES), asset("view.js")]
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    text = without_commands("\n".join(body), in_markup)
    return Template(asset("page.html")).substitute(
        title=without_commands(escape(title), in_markup),
        policy=f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:",
        licenses=asset("vendor/LICENSES.txt"),
        style="\n".join(map(asset, STYLES)),
        body=text,
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        version=escape(version),
    )


def data(identifier: str, value: object) -> str:
    """Return `value` as JSON in an element that the script reads, whatever its texts hold."""
    encoded = msgspec.json.encode(value).decode().translate(IN_A_SCRIPT)
    encoded = without_commands(visible(encoded, in_json), in_json)
    return f'<script type="application/json" id="{identifier}">{encoded}</script>'


def prose(text: str) -> str:
    """Return a sentence as markup: what stands between backticks is code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


@cache
def asset(name: str) -> str:
    """Return the text of a file that stands beside this module."""
    return (HERE / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
