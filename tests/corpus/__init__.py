"""Sound networks, and what cnnlint says of each: `clean.toml`."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import cnnlint

CLEAN: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name("clean.toml").read_text(encoding="utf-8"))


def expected(network: str) -> Counter[tuple[str, str]]:
    """Return how many findings there are of each code and severity."""
    entry = CLEAN.get(network, {})
    graver = [(level, code) for level in ("error", "warning") for code in entry.get(level, {})]
    return Counter((code, level) for level, code in (*graver, *(("info", code) for code in entry.get("info", ()))))


def check(network: str, path: Path) -> None:
    """Check that a static lint of the network's file says what was judged and nothing else."""
    (report,) = cnnlint.lint(str(path), static=True, isolated=True).models
    assert report.error is None
    told = Counter((finding.code, finding.severity.value) for finding in report.findings)
    assert told == expected(network), "; ".join(finding.message for finding in report.findings)
