"""`cnnlint fleet`: what its tables hold, what a second run reads, and what a faulty model or server costs."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import onnx
import pytest

import cnnlint
from cnnlint.fleet.tables import TABLES
from fleets import bucket, fleet, named, network, store, table, told
from remote_models.file_server import serving
from remote_models.hub_server import TOKEN, hub

pytest.importorskip("distributed", reason="the extra fleet is not installed")

POISON = """
import os, time
from cnnlint import Confidence, ModelRule, Severity

class Poison(ModelRule, code="XX001", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    \"\"\"Kills, hangs and eats.

    ## Why
    Whoever lints many models meets one that does.
    \"\"\"

    def check(self, ctx):
        name = os.path.basename(ctx.graph.source.path)
        if name == "crash.onnx":
            os.kill(os.getpid(), 11)
        if name == "hang.onnx":
            time.sleep(1000)
        if name == "eat.onnx":
            eaten = [bytearray(1 << 26) for _ in range(1000)]
        yield from ()
"""
"""A rule that makes three models what a faulty file may be: for the process that lints it there is no difference."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run over twenty models and one that is none."""
    folder = tmp_path_factory.mktemp("fleet")
    store(folder / "models", 20)
    (folder / "models" / "broken.onnx").write_bytes(b"no model at all")
    fleet("models/**/*.onnx", "--out", "results", "--isolated", cwd=folder, code=2)
    return folder / "results"


def test_the_tables_say_of_each_model_what_a_lint_of_it_says(results: Path) -> None:
    models = {row["model"]: row for row in table(results, "models")}
    assert len(models) == 21
    findings = table(results, "findings")
    layers = table(results, "layers")
    for path in sorted(models)[-3:]:
        (linted,) = cnnlint.lint(path, static=True, isolated=True)
        summary = cnnlint.summarize(path).models[0]
        row = models[path]
        assert (row["parameters"], row["macs"], row["weight_bytes"], row["peak_activation_bytes"]) == (
            linted.parameters, linted.macs, linted.weight_bytes, linted.peak_activation_bytes,
        )  # fmt: skip
        assert [(each["code"], each["layers"], each["message"]) for each in findings if each["model"] == path] == [
            (finding.code, list(finding.layers), finding.message) for finding in linted.findings
        ]
        assert [(each["layer"], each["parameters"], each["macs"]) for each in layers if each["model"] == path] == [
            (layer.name, layer.parameters, layer.macs) for layer in summary.layers
        ]


def test_what_is_no_model_is_an_error_with_its_cause(results: Path) -> None:
    (error,) = table(results, "errors")
    assert (Path(error["model"]).name, error["kind"], error["attempts"]) == ("broken.onnx", "unreadable", 1)
    assert error["cause"]
    (row,) = [row for row in table(results, "models") if row["status"] == "failed"]
    assert (Path(row["model"]).name, row["failure"], row["parameters"]) == ("broken.onnx", "unreadable", None)


def test_the_files_have_the_columns_that_are_declared(results: Path) -> None:
    import pyarrow.parquet as pq

    for name, columns in TABLES.items():
        for file in results.glob(f"{name}/run=*/*.parquet"):
            assert pq.ParquetFile(file).schema_arrow.names == [column.name for column in columns]


def test_a_second_run_lints_what_has_changed_and_carries_the_rest(tmp_path: Path) -> None:
    models = store(tmp_path / "models", 20)
    (models / "team001" / "net00019.onnx").write_bytes(b"no model")
    fleet(models, "--out", "results", "--isolated", cwd=tmp_path, code=2)
    (models / "team000" / "net00003.onnx").write_bytes(network(77).SerializeToString())
    (models / "team000" / "net00004.onnx").unlink()
    (models / "team001" / "new.onnx").write_bytes(network(78).SerializeToString())
    done = fleet(models, "--out", "results", "--isolated", cwd=tmp_path, code=2)

    # a file that was no model before is none now either, and each model is counted once
    assert "20 models (2 linted, 17 unchanged, 1 failed)" in done.stdout
    first, second = sorted({row["run"] for row in table(tmp_path / "results", "models")})
    rows = table(tmp_path / "results", "models", second)
    linted = {Path(row["model"]).name for row in rows if row["linted_in"] == second}
    assert linted == {"net00003.onnx", "new.onnx"}
    assert {row["linted_in"] for row in rows} == {first, second}
    assert len({row["model"] for row in rows}) == 20
    assert {Path(row["model"]).name for row in table(tmp_path / "results", "findings", second)} == linted


@pytest.mark.slow
def test_other_rules_lint_all_models_anew(tmp_path: Path) -> None:
    models = store(tmp_path / "models", 5)
    fleet(models, "--out", "results", "--isolated", cwd=tmp_path)
    fleet(models, "--out", "results", "--isolated", "--select", "FC", cwd=tmp_path)
    last = max(row["run"] for row in table(tmp_path / "results", "models"))
    assert {row["linted_in"] for row in table(tmp_path / "results", "models", last)} == {last}


@pytest.mark.slow
def test_a_run_over_a_bucket_takes_a_request_for_each_small_model_and_a_second_one_the_listing_alone(
    tmp_path: Path,
) -> None:
    store(tmp_path / "models", 12)
    with bucket(tmp_path / "models") as (server, variables):
        fleet("s3://models/**/*.onnx", "--out", "first", "--isolated", cwd=tmp_path, **variables)
        assert {method for method, _ in server.requests} == {"GET"}
        assert len({path for _, path in server.requests}) == len(server.requests) == 13
        server.requests.clear()
        fleet("s3://models/**/*.onnx", "--out", "first", "--isolated", cwd=tmp_path, **variables)
        assert {path.strip("/") for _, path in server.requests} == {"models"}
        assert len(server.requests) == 1

    fleet("models", "--out", "local", "--isolated", cwd=tmp_path)
    remote, local = table(tmp_path / "first", "findings"), table(tmp_path / "local", "findings")
    assert sorted((Path(row["model"]).name, row["code"]) for row in remote) == sorted(
        (Path(row["model"]).name, row["code"]) for row in local
    )
    assert all(row["requests"] == 1 for row in table(tmp_path / "first", "models") if row["run"] == row["linted_in"])
    held = b"".join(file.read_bytes() for file in (tmp_path / "first").rglob("*") if file.is_file())
    assert b"a-secret-key" not in held
    assert b"an-id" not in held


@pytest.mark.slow
def test_results_at_a_url_are_those_of_a_folder_and_no_bucket_is_made_for_them(tmp_path: Path) -> None:
    store(tmp_path / "models", 3)
    with bucket(tmp_path / "models") as (server, variables):
        for _ in range(2):
            fleet("models", "--out", "s3://models/results", "--isolated", cwd=tmp_path, **variables)
        asked = ("query", "SELECT model, status FROM latest_models", "--in", "s3://models/results", "--format", "csv")
        rows = fleet(*asked, cwd=tmp_path, **variables).stdout.splitlines()
        assert rows[0] == "model,status"
        assert sorted(rows[1:]) == [f"{path},linted" for path in sorted((tmp_path / "models").rglob("*.onnx"))]
        server.requests.clear()
        refused = fleet("models", "--out", "s3://mistyped/results", "--isolated", cwd=tmp_path, code=2, **variables)
        assert "s3://mistyped/results" in refused.stderr
        assert "report this" not in refused.stderr
        assert ("PUT", "/mistyped") not in server.requests


def test_a_place_where_no_results_can_be_kept_is_told(tmp_path: Path) -> None:
    store(tmp_path / "models", 1)
    (tmp_path / "file").write_text("no folder")
    assert "file: results cannot be kept there" in fleet("models", "--out", "file", cwd=tmp_path, code=2).stderr


@pytest.mark.slow
def test_a_hash_is_that_of_all_bytes_and_a_run_is_one_of_models_in_a_bucket(tmp_path: Path) -> None:
    store(tmp_path / "models", 3)
    with bucket(tmp_path / "models") as (_, variables):
        fleet("s3://models/**/*.onnx", "--out", "results", "--hash", "--run", "--isolated", cwd=tmp_path, **variables)
    rows = table(tmp_path / "results", "models")
    assert {Path(row["model"]).name: row["sha256"] for row in rows} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "models").rglob("*.onnx")
    }
    assert {row["status"] for row in rows} == {"linted"}


@pytest.mark.slow
def test_repositories_of_a_hub_are_linted_and_read_again_only_where_a_file_has_changed(tmp_path: Path) -> None:
    models = store(tmp_path / "models", 5)
    onnx.save(network(9), models / "apart.onnx", save_as_external_data=True, location="apart.data", size_threshold=0)
    told = {"HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home")}
    common = ("hf://owner/*", "--out", "results", "--isolated")
    with serving(models) as files, hub(files) as server:
        server.page = 2
        assert "6 models (6 linted)" in fleet(*common, cwd=tmp_path, HF_ENDPOINT=server.url, **told).stdout
        assert f"Bearer {TOKEN}" in server.authorizations - files.authorizations
        read = len(files.requests)
        assert read >= 6
        done = fleet(*common, cwd=tmp_path, HF_ENDPOINT=server.url, **told)
        assert "6 models (0 linted, 6 unchanged)" in done.stdout
        assert {(method, path) for method, path, _, _ in files.requests[read:]} == {("HEAD", "/apart.data")}

        read = len(files.requests)
        changed = models / "team000" / "net00003.onnx"
        changed.write_bytes(network(77).SerializeToString())
        assert "6 models (1 linted, 5 unchanged)" in fleet(*common, cwd=tmp_path, HF_ENDPOINT=server.url, **told).stdout
        assert {path for method, path, _, _ in files.requests[read:] if method == "GET"} == {f"/team000/{changed.name}"}

        files.tags = False  # of what a server does not tell the state of, nobody knows that it is unchanged
        for _ in range(2):
            assert "(1 linted, 5 unchanged)" in fleet(*common, cwd=tmp_path, HF_ENDPOINT=server.url, **told).stdout

        sent = {each.relative_to(models).as_posix(): each.read_bytes() for each in models.rglob("*.onnx")}
        data = (models / "apart.data").read_bytes()
        fleet(*common, "--run", "--hash", cwd=tmp_path, HF_ENDPOINT=server.url, **told)
    rows = table(tmp_path / "results", "models")
    assert {row["model"] for row in rows} == {f"hf://owner/net/{name}" for name in sent}
    assert {row["status"] for row in rows} == {"linted"}
    hashed = {row["model"].removeprefix("hf://owner/net/"): row["sha256"] for row in rows if row["sha256"]}
    parts = [hashlib.sha256(content).hexdigest() for content in (sent["apart.onnx"], data)]
    apart = hashlib.sha256("".join(parts).encode()).hexdigest()
    whole = {name: hashlib.sha256(content).hexdigest() for name, content in sent.items()}
    assert hashed == whole | {"apart.onnx": apart}
    assert TOKEN.encode() not in b"".join(file.read_bytes() for file in (tmp_path / "results").rglob("*.*"))


@pytest.mark.slow
def test_a_crash_a_hang_and_a_want_of_memory_cost_one_model_each(tmp_path: Path) -> None:
    models = store(tmp_path / "models", 10)
    fleet(models, "--out", "undisturbed", "--isolated", cwd=tmp_path)
    for name in ("crash", "hang", "eat"):
        shutil.copy(models / "team000" / "net00000.onnx", models / f"{name}.onnx")
    (tmp_path / "poison.py").write_text(POISON)
    (tmp_path / "cnnlint.toml").write_text('rule-files = ["poison.py"]\nrun-timeout = 15\nrun-memory = "700MB"\n')
    done = fleet(models, "--out", "results", cwd=tmp_path, code=2)

    assert "13 models (10 linted, 3 failed)" in done.stdout
    causes = {Path(row["model"]).name: (row["cause"], row["attempts"]) for row in table(tmp_path / "results", "errors")}
    assert {row["kind"] for row in table(tmp_path / "results", "errors")} == {"unfinished"}
    assert {attempts for _, attempts in causes.values()} == {2}
    assert "SIGSEGV" in causes["crash.onnx"][0]
    assert "longer than 15 s" in causes["hang.onnx"][0]
    assert "memory" in causes["eat.onnx"][0]
    assert told(tmp_path / "results")["findings"] == told(tmp_path / "undisturbed")["findings"]


def test_a_change_of_external_data_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    onnx.save(network(1), folder / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    fleet(folder, "--out", "results", "--isolated", cwd=tmp_path)
    (row,) = table(tmp_path / "results", "models")
    assert [Path(name).name for name, _ in row["external"]] == ["net.data"]
    assert "1 unchanged" in fleet(folder, "--out", "results", "--isolated", cwd=tmp_path).stdout

    os.utime(folder / "net.data", (1, 1))
    assert "1 linted)" in fleet(folder, "--out", "results", "--isolated", cwd=tmp_path).stdout


@pytest.mark.slow
def test_exit_codes_are_those_of_a_lint(tmp_path: Path) -> None:
    store(tmp_path / "models", 2)
    common = ("models", "--out", "results", "--isolated")
    assert fleet(*common, "--fail-on", "never", cwd=tmp_path, code=0)
    assert "2 unchanged" in fleet(*common, "--fail-on", "info", cwd=tmp_path, code=1).stdout
    (tmp_path / "elsewhere").mkdir()
    apart = (tmp_path / "models", "--out", tmp_path / "results", "--isolated", "--exclude", "team999")
    assert "2 unchanged" in fleet(*apart, cwd=tmp_path / "elsewhere").stdout
    assert fleet(*common, "--fail-on", "info", "--exit-zero", cwd=tmp_path, code=0)
    (tmp_path / "empty").mkdir()
    assert "no model is there" in fleet("empty", "--out", "other", cwd=tmp_path, code=2).stderr
    assert "no such file" in fleet("absent/x.onnx", "--out", "other", cwd=tmp_path, code=2).stderr


@pytest.mark.slow
def test_a_budget_is_held_against_each_model(tmp_path: Path) -> None:
    store(tmp_path / "models", 5)
    fleet("models", "--out", "results", "--isolated", "--max-params", "4 k", cwd=tmp_path, code=1)
    rows = table(tmp_path / "results", "models")
    assert {row["budgets"] for row in rows} == {1}
    assert [row["broken_budgets"] for row in rows] == [int(row["parameters"] > 4_000) for row in rows]
    assert {row["broken_budgets"] for row in rows} == {0, 1}
    assert not list(named(tmp_path / "results", "unreadable"))
