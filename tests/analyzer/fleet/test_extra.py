"""Without its extra, `cnnlint fleet` says what to install, and its help needs none of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from acceptance.command import cnnlint


@pytest.mark.parametrize("words", [("models", "--out", "results"), ("report", "results"), ("query", "SELECT 1")])
@pytest.mark.parametrize("package", ["distributed", "pyarrow", "duckdb"])
def test_what_is_missing_is_named_with_how_to_install_it(
    words: tuple[str, ...], package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra fleet is not installed")
    monkeypatch.setitem(sys.modules, package, None)
    done = cnnlint("fleet", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert f"({package})" in done.stderr
    assert "pip install 'cnnlint[fleet]'" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [(), ("report",), ("query",)])
def test_the_help_needs_no_package(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("distributed", "pyarrow", "duckdb", "fsspec"):
        monkeypatch.setitem(sys.modules, package, None)
    done = cnnlint("fleet", *words, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(" ".join(["Usage: cnnlint fleet", *words]))
