"""The cache of results: a model that has not changed is not opened, and one that has is linted anew."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest

import cnnlint
from cnnlint.engine.config.settings import Flags
from cnnlint.frontends.notation import to_onnx
from cnnlint.linting import models
from cnnlint.linting.cache import LAYOUT
from cnnlint.linting.linter import Linter
from cnnlint.results import ModelReport
from networks import FLAT, SMALL, write
from remote_models.networks import save_external, save_keras


class OpenedError(Exception):
    """A model was opened that should have been known."""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(write(tmp_path / "net.onnx", FLAT))


def lint(model: Path, **options: object) -> ModelReport:
    report = cnnlint.lint(model, static=True, isolated=True, cache_dir="kept", **options)  # type: ignore[arg-type]
    return report.models[0]


def is_known(monkeypatch: pytest.MonkeyPatch, model: Path, **options: object) -> bool:
    """Return whether a further run does without opening the model."""

    def refuse(*_: object) -> None:
        raise OpenedError

    with monkeypatch.context() as patch:
        patch.setattr("cnnlint.linting.linter.open_model", refuse)
        return lint(model, **options).error is None


def test_a_second_run_opens_no_model_and_says_the_same(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lint(model)
    opened: list[object] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest, **more))
    second = lint(model)

    assert first.findings
    assert second == first
    assert not [path for path in opened if str(path).endswith(".onnx")]
    assert is_known(monkeypatch, model)


def test_without_a_cache_nothing_is_written_and_every_run_reads(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cnnlint.lint(model, static=True, isolated=True)

    assert os.listdir(model.parent) == ["net.onnx"]
    assert not is_known(monkeypatch, model)


def test_a_changed_model_is_linted_anew(model: Path) -> None:
    before = lint(model)
    write(model, SMALL)

    assert lint(model).parameters != before.parameters


def test_a_model_of_the_same_size_and_time_is_told_by_its_inode(model: Path) -> None:
    before = lint(model)
    other = to_onnx(FLAT)
    other.graph.node[1].op_type = "Tanh"
    status = model.stat()
    replacement = model.with_name("other")
    content = other.SerializeToString()
    replacement.write_bytes(content)
    os.utime(replacement, ns=(status.st_atime_ns, status.st_mtime_ns))
    replacement.replace(model)

    assert len(content) == status.st_size
    assert {finding.code for finding in lint(model).findings} != {finding.code for finding in before.findings}


@pytest.mark.parametrize(
    "options",
    [
        {"select": ["AC"]},
        {"ignore": ["FC001"]},
        {"pedantic": True},
        {"preview": True},
        {"fail_on": "info"},
        {"severity": {"FC001": "error"}},
        {"rules": {"FC001": {"min-share": 0.1}}},
        {"inputs": {"input": (2, 3, 8, 8)}},
        {"near_misses": True},
    ],
)
def test_other_settings_are_another_result(
    model: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    lint(model)

    assert not is_known(monkeypatch, model, **options)


def test_a_budget_that_is_broken_is_broken_in_the_cache_too(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnlint import Budget

    first = lint(model, budget=Budget(params=10))

    assert is_known(monkeypatch, model, budget=Budget(params=10))
    assert lint(model, budget=Budget(params=10)) == first
    assert not is_known(monkeypatch, model, budget=Budget(params=11))


def test_another_version_of_cnnlint_starts_afresh(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lint(model)
    monkeypatch.setattr("cnnlint.linting.cache.__version__", "999")

    assert not is_known(monkeypatch, model)


def test_another_layout_of_entries_starts_afresh(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lint(model)
    monkeypatch.setattr("cnnlint.linting.cache.LAYOUT", LAYOUT + 1)

    assert not is_known(monkeypatch, model)


def test_a_changed_file_of_rules_starts_afresh(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnlint.linting import cache

    lint(model)
    rule = next(path for path in map(Path, _files_of_rules()) if path.name == "flatten_dense_dominates.py")
    real = cache.state

    def changed(path: str) -> cache.FileState | None:
        found = real(path)
        return (path, found[1], found[2] + 1, found[3]) if found and Path(path) == rule else found

    monkeypatch.setattr(cache, "state", changed)
    assert not is_known(monkeypatch, model)


def _files_of_rules() -> list[str]:
    import cnnlint_rules

    return [str(path) for path in Path(str(cnnlint_rules.__file__)).parent.rglob("*.py")]


def test_external_data_that_has_changed_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, data = tmp_path / "net.onnx", tmp_path / "weights" / "data.bin"
    save_external(model)
    lint(model)
    assert is_known(monkeypatch, model)

    data.write_bytes(data.read_bytes()[:-1])
    assert "truncated" in (lint(model).error or "")


def test_a_keras_archive_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_keras(tmp_path / "net.keras")
    lint(tmp_path / "net.keras")

    assert is_known(monkeypatch, tmp_path / "net.keras")


def test_a_model_that_cannot_be_read_is_not_kept(model: Path) -> None:
    model.write_bytes(b"nothing")
    assert lint(model).error is not None
    assert not Path("kept").exists()


def test_a_damaged_entry_is_none(model: Path) -> None:
    first = lint(model)
    for entry in Path("kept").glob("*.json"):
        entry.write_bytes(entry.read_bytes()[:-20])

    assert lint(model) == first


def test_one_entry_is_kept_of_a_model(model: Path) -> None:
    for codes in (["FC"], ["AC"], ["BN"]):
        lint(model, select=codes)

    assert len(list(Path("kept").glob("*.json"))) == 1
    assert not list(Path("kept").glob("part-*"))
    assert Path("kept", ".gitignore").read_text() == "*\n"


def test_an_ignore_that_runs_out_is_looked_at_anew_on_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write(tmp_path / "net.onnx", FLAT, metadata={"cnnlint.ignore.FC001": "fc1: historical (until 2030-06)"})
    flags = Flags(static=True, cache_dir=tmp_path / "kept")

    def suppressed(today: date) -> int:
        return Linter(flags, isolated=True, models=[model], today=today).lint(model).suppressed

    assert (suppressed(date(2030, 1, 1)), suppressed(date(2031, 1, 1))) == (1, 0)


def test_the_configuration_turns_it_on_beside_itself(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.parent / "models"
    folder.mkdir()
    shutil.move(model, folder / "net.onnx")
    (model.parent / "cnnlint.toml").write_text("cache = true\nstatic = true\n")
    first = cnnlint.lint(folder / "net.onnx")
    monkeypatch.setattr(models.frontends, "load", lambda *_, **__: pytest.fail("the model was opened"))

    assert cnnlint.lint(folder / "net.onnx") == first
    assert len(list((model.parent / ".cnnlint_cache").glob("*.json"))) == 1


def test_a_folder_that_cannot_be_written_is_named(model: Path) -> None:
    Path("kept").write_text("a file")

    with pytest.raises(cnnlint.ConfigError, match=r"the cache kept cannot be written"):
        lint(model)


def test_models_in_memory_are_not_kept() -> None:
    report = cnnlint.lint(to_onnx(FLAT), static=True, isolated=True, cache_dir="never")

    assert report.models[0].error is None
    assert not Path("never").exists()
