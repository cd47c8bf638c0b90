"""Linting a model behind a URL: as a local one is, but for what takes its values."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from msgspec.structs import replace

import cnnlint
from acceptance.command import cnnlint as cnnlint_command
from cnnlint.frontends.notation import to_onnx
from cnnlint.frontends.remote import remote_file
from cnnlint.frontends.remote.place import RemotePlace
from cnnlint.results import Finding, ModelReport
from cnnlint.worker import steps
from remote_models.file_server import FileServer, serving
from remote_models.networks import chain, save_external, save_keras

pytest.importorskip("fsspec", reason="the extra remote is not installed")

HEAVY_HEAD = "INPUT 3x64x64 -> CONV 32 3x3 -> RELU -> FLATTEN -> FC 64 -> RELU -> FC 10"


def said(report: ModelReport) -> list[Finding]:
    """Return the findings without their fingerprints, which are of the model's path too."""
    return [replace(finding, fingerprint="") for finding in report.findings]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    onnx.save(chain(), folder / "chain.onnx")
    onnx.save(to_onnx(HEAVY_HEAD), folder / "heavy.onnx")
    save_external(folder / "external" / "chain.onnx")
    save_keras(folder / "chain.keras")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[FileServer]:
    with serving(folder) as server:
        yield server


def lint(model: str | Path, **options: bool | None) -> ModelReport:
    report = cnnlint.lint(str(model), isolated=True, **options)  # pyright: ignore[reportArgumentType]
    return report.models[0]


@pytest.mark.parametrize("name", ["heavy.onnx", "chain.onnx", "external/chain.onnx", "chain.keras"])
def test_findings_and_numbers_are_those_of_the_local_file(server: FileServer, folder: Path, name: str) -> None:
    remote, local = lint(f"{server.url}/{name}"), lint(folder / name, static=True)

    assert remote.error is None
    assert said(remote) == said(local)
    assert (remote.parameters, remote.macs, remote.weight_bytes) == (local.parameters, local.macs, local.weight_bytes)


def test_a_heavy_head_is_found_without_its_weights(server: FileServer, folder: Path) -> None:
    report = lint(f"{server.url}/heavy.onnx")

    assert "FC001" in {finding.code for finding in report.findings}
    assert server.sent < (folder / "heavy.onnx").stat().st_size / 50


def test_nothing_is_run_unless_it_is_asked_for_and_the_report_says_so(server: FileServer) -> None:
    report = lint(f"{server.url}/chain.onnx")

    assert (
        "run time checks and rules on the values of weights were left out: the model is not on this machine, and"
        " static=False downloads it" in report.notes
    )


@pytest.mark.parametrize("name", ["heavy.onnx", "external/chain.onnx"])
def test_a_model_that_is_to_be_run_is_downloaded_and_the_copy_removed(
    server: FileServer, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    remote, local = lint(f"{server.url}/{name}", static=False), lint(folder / name, static=False)

    assert remote.error is None
    assert said(remote) == said(local)
    assert not any("were left out" in note for note in remote.notes)
    assert server.sent >= (folder / name).stat().st_size
    assert not os.listdir(tmp_path)


def test_whoever_watches_sees_how_much_of_a_model_is_downloaded(server: FileServer) -> None:
    seen = list[str]()
    with steps.watched(seen.append):
        lint(f"{server.url}/chain.onnx")
        assert "reading it over the network" in seen
        lint(f"{server.url}/heavy.onnx", static=False)

    assert any(re.fullmatch(r"downloading it, [\d.]+ MB of [\d.]+ MB", doing) for doing in seen)


def test_a_download_takes_no_ranges(server: FileServer, folder: Path) -> None:
    server.ranges = False

    assert lint(f"{server.url}/heavy.onnx").error is not None
    assert said(lint(f"{server.url}/heavy.onnx", static=False)) == said(lint(folder / "heavy.onnx", static=False))


def test_a_download_that_breaks_off_is_no_damaged_model(server: FileServer) -> None:
    server.cut = 7
    server.ranges = False

    error = lint(f"{server.url}/heavy.onnx", static=False).error or ""
    assert error.startswith(f"{server.url}/heavy.onnx: the server closed the connection in the middle of its answer")


def test_a_download_without_end_stops_at_what_was_announced(server: FileServer, folder: Path) -> None:
    server.extra = 1 << 30

    error = lint(f"{server.url}/heavy.onnx", static=False).error or ""
    assert error.startswith(f"{server.url}/heavy.onnx: the server sends more than the {size(folder):,} bytes")
    assert server.sent < size(folder) + (1 << 25)


def test_a_download_without_an_announced_size_stops_at_the_limit(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_file, "MAX_UNANNOUNCED", 1 << 20)
    monkeypatch.setattr(RemotePlace, "size", lambda _: None)
    server.extra = 1 << 30

    error = lint(f"{server.url}/heavy.onnx", static=False).error or ""
    assert "the server sends more than 1,048,576 bytes" in error
    assert server.sent < 1 << 26


def test_a_compressed_download_is_not_unpacked(server: FileServer) -> None:
    server.encoding = "gzip"

    error = lint(f"{server.url}/heavy.onnx", static=False).error or ""
    assert error.startswith(f"{server.url}/heavy.onnx: the server compresses its answer (gzip)")


def size(folder: Path) -> int:
    return (folder / "heavy.onnx").stat().st_size


def test_an_error_of_a_downloaded_model_names_its_url(server: FileServer, folder: Path) -> None:
    (folder / "broken.onnx").write_bytes((folder / "heavy.onnx").read_bytes()[:-1000])
    report = lint(f"{server.url}/broken.onnx", static=False)

    assert (report.error or "").startswith(f"{server.url}/broken.onnx: ")


def test_the_command_line_takes_a_url_and_prints_no_secret_of_it(server: FileServer) -> None:
    host = server.url.removeprefix("http://")
    url = f"http://someone:hunter2@{host}/heavy.onnx?X-Amz-Signature=0123abcd"
    result = cnnlint_command("lint", "--isolated", "--format", "json", url)

    assert result.returncode == 0
    assert json.loads(result.stdout)["models"][0]["path"] == f"http://{host}/heavy.onnx"
    assert not any(secret in result.stdout + result.stderr for secret in ("someone", "hunter2", "0123abcd"))


def test_a_url_that_fails_gives_exit_code_2_and_the_others_are_linted(server: FileServer) -> None:
    result = cnnlint_command("--isolated", "--format", "json", f"{server.url}/absent.onnx", f"{server.url}/heavy.onnx")

    assert result.returncode == 2
    assert [model["error"] is None for model in json.loads(result.stdout)["models"]] == [False, True]


def test_a_summary_of_a_url_is_that_of_the_local_file(server: FileServer, folder: Path) -> None:
    remote = cnnlint.summarize(f"{server.url}/chain.keras").models[0]
    local = cnnlint.summarize(folder / "chain.keras").models[0]

    assert remote.path == f"{server.url}/chain.keras"
    assert (remote.layers, remote.parameters, remote.macs) == (local.layers, local.parameters, local.macs)
