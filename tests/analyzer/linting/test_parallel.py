"""Many models by several processes: the reports of one, whatever becomes of a worker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import onnx
import pytest

import cnnlint
import networks
from acceptance.command import MODELS
from acceptance.command import cnnlint as command
from cnnlint import cli
from cnnlint.engine.config.arguments import Arguments
from cnnlint.linting import parallel
from cnnlint.linting.linter import Linter
from cnnlint.worker.limits import processors
from repositories import commit_all

pytestmark = pytest.mark.worker

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

RULE = '''
import os, signal, time
from cnnlint import Confidence, ModelRule, RuntimeRule, Severity

class Deadly(ModelRule, code="ZZ001", severity=Severity.INFO, confidence=Confidence.EXACT, since="1"):
    """A model ends its process.

    ## Why
    A library crashes.

    ## Instead
    Use another.

    ## References
    - signal(7)
    """

    def check(self, context):
        name = os.path.basename(context.graph.source.path)
        if name.startswith("slow"):
            open(f"{os.getpid()}.pid", "w").close()
            time.sleep(600)
        if name.startswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("ended"):
            os._exit(7)
        yield from ()

class DeadlyRun(RuntimeRule, code="ZZ002", severity=Severity.INFO, confidence=Confidence.EXACT, since="1"):
    """A model ends its process.

    ## Why
    A library crashes.

    ## Instead
    Use another.

    ## References
    - signal(7)
    """

    def check(self, probe, context):
        probe.run()
        if os.path.basename(probe.graph.source.path).startswith("crashes"):
            os.kill(os.getpid(), signal.SIGSEGV)
        yield from ()
'''

SLICED = "INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> FLATTEN -> FC 10 -> SOFTMAX"


def folder_of(folder: Path, *names: str) -> Path:
    """Write small models of these names and rules that end the process for some of them."""
    for index, name in enumerate(names):
        networks.write(folder / f"{name}.onnx", (networks.SMALL, networks.FLAT, SLICED)[index % 3])
    (folder / "rules.py").write_text(RULE)
    (folder / "cnnlint.toml").write_text('rule-files = ["rules.py"]\nextend-select = ["ZZ"]\n')
    return folder


def models_of(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {Path(model["path"]).stem: model for model in json.loads(done.stdout)["models"]}


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("text", "--static"),
        ("json", "--no-preview"),
        *(
            pytest.param(form, mode, marks=pytest.mark.exhaustive)
            for form, mode in (("text", "--no-preview"), ("json", "--static"), ("sarif", "--no-preview"))
        ),
    ],
)
def test_output_is_the_same_for_any_number_of_processes(form, mode, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    given = (MODELS, tmp_path, mode, "--isolated", "--pedantic", "--format", form)
    alone, two = (command("lint", *given, "-j", jobs) for jobs in (1, 2))
    assert (two.returncode, two.stdout, two.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert alone.returncode == 2
    assert "smelly" in alone.stdout


def test_an_html_report_has_the_networks_of_all_workers(tmp_path):
    for jobs in (1, 2):
        command("lint", MODELS, "--static", "--isolated", "-j", jobs, "--output", f"html={tmp_path}/{jobs}.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_reports_stand_in_the_order_of_the_arguments(tmp_path):
    names = [networks.write(tmp_path / f"{name}.onnx") for name in "qwertyuiop"]
    report = cnnlint.lint(names, isolated=True, static=True, jobs=3)
    assert [model.path for model in report] == names


def test_live_models_are_linted_here_and_stand_in_their_place(tmp_path):
    first, last = (networks.write(tmp_path / f"{name}.onnx") for name in ("first", "last"))
    report = cnnlint.lint([first, onnx.load(first), last], isolated=True, static=True, jobs=2)
    assert [model.path for model in report] == [first, f"<onnx.ModelProto {onnx.load(first).graph.name}>", last]
    assert len({model.parameters for model in report}) == 1


@POSIX
@pytest.mark.parametrize("mode", ["--static", pytest.param("--no-preview", marks=pytest.mark.exhaustive)])
def test_a_worker_that_dies_loses_one_model_and_is_replaced(mode, tmp_path):
    folder = folder_of(tmp_path, "a", "b", "ended", "f", "killed", "x", "y", "z")
    done = command("lint", ".", mode, "-j", 2, "--format", "json", cwd=folder)
    models = models_of(done)
    assert done.returncode == 2
    assert [name for name, model in models.items() if model["error"]] == ["ended", "killed"]
    assert models["ended"]["error"] == "ended.onnx: the process ended with exit code 7 while linting it"
    assert re.match(
        r"killed\.onnx: the process was killed while linting it, most likely .* memory", models["killed"]["error"]
    )
    assert done.stderr.count("error:") == 2
    assert all(model["parameters"] for name, model in models.items() if name not in {"ended", "killed"})


@POSIX
def test_a_worker_that_somebody_kills_loses_one_model(tmp_path):
    folder = folder_of(tmp_path, "a", "b", "slow", "x", "y")
    running = _started(folder, "--static", "--format", "json")
    (worker,) = _busy(folder, 1)
    os.kill(worker, signal.SIGKILL)
    said, _ = running.communicate(timeout=60)
    models = {Path(model["path"]).stem: model for model in json.loads(said)["models"]}
    assert [name for name, model in models.items() if model["error"]] == ["slow"]
    assert running.returncode == 2


@POSIX
def test_a_run_that_crashes_its_worker_is_reported_as_with_one_process(tmp_path):
    folder = folder_of(tmp_path, "a", "b", "crashes", "x")
    alone, two = (command("lint", ".", "-j", jobs, "--format", "json", cwd=folder) for jobs in (1, 2))
    assert two.stdout == alone.stdout
    (finding,) = [each for each in models_of(two)["crashes"]["findings"] if each["code"] == "RT006"]
    assert "crashed (SIGSEGV) while running it under onnxruntime" in finding["message"]
    assert two.returncode == 2


def test_a_model_that_needs_more_memory_than_there_is_is_reported_as_with_one_process(tmp_path):
    networks.write(tmp_path / "large.onnx", "INPUT 3x20000x20000 -> CONV 64 1x1 -> RELU -> GAP -> FC 2")
    networks.write(tmp_path / "small.onnx")
    given = ("lint", ".", "--isolated", "--run-memory", "2GB", "--format", "json")
    alone, two = (command(*given, "-j", jobs, cwd=tmp_path) for jobs in (1, 2))
    assert two.stdout == alone.stdout
    assert "more than the memory limit (2 GB)" in two.stdout


@POSIX
def test_an_interruption_ends_all_processes_and_says_nothing(tmp_path):
    running = _started(folder_of(tmp_path, "a", "slow1", "slow2", "z"), "--static")
    children = _busy(tmp_path, 2)
    os.killpg(running.pid, signal.SIGINT)
    assert "".join(running.communicate(timeout=30)).strip() == ""
    assert running.returncode == 130
    until = time.monotonic() + 30
    while any(map(_is_alive, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(_is_alive, children))


def test_a_baseline_knows_the_same_from_several_processes(tmp_path):
    for name in ("a", "b", "c", "gone"):
        networks.write(tmp_path / f"{name}.onnx", networks.FLAT)
    given = ("lint", ".", "--static", "--isolated", "--pedantic")
    written = [command(*given, "-j", jobs, "--write-baseline", f"{jobs}.json", cwd=tmp_path) for jobs in (1, 2)]
    assert written[0].stderr.replace("1.json", "2.json") == written[1].stderr
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    # two models have the structure of the one that is gone: the first of them takes its entries
    (tmp_path / "gone.onnx").rename(tmp_path / "moved1.onnx")
    networks.write(tmp_path / "moved2.onnx", networks.FLAT)
    known = ("--baseline", "1.json", "--format", "json")
    alone, two = (command(*given, *known, "-j", jobs, cwd=tmp_path) for jobs in (1, 2))
    assert (alone.stdout, alone.stderr) == (two.stdout, two.stderr)
    models = models_of(two)
    assert models["moved1"]["baselined"]
    assert not models["moved2"]["baselined"]


def test_a_revision_knows_the_same_from_several_processes(tmp_path):
    for name in "abc":
        networks.write(tmp_path / f"{name}.onnx", networks.FLAT)
    commit_all(tmp_path)
    networks.write(tmp_path / "d.onnx", networks.FLAT)
    given = ("lint", ".", "--static", "--isolated", "--pedantic", "--against", "git:HEAD", "--format", "json")
    alone, two = (command(*given, "-j", jobs, cwd=tmp_path) for jobs in (1, 2))
    assert (alone.stdout, alone.stderr) == (two.stdout, two.stderr)
    assert [bool(model["baselined"]) for model in models_of(two).values()] == [True, True, True, False]


def test_models_that_a_cache_knows_are_given_to_no_worker(tmp_path, monkeypatch):
    names = [networks.write(tmp_path / f"{name}.onnx") for name in "abcd"]
    first = cnnlint.lint(names, isolated=True, static=True, cache_dir=tmp_path / "kept", jobs=2)
    monkeypatch.setattr("cnnlint.worker.crew.Crew", None)
    assert cnnlint.lint(names, isolated=True, static=True, cache_dir=tmp_path / "kept", jobs=2) == first


def test_a_wrong_configuration_is_told_as_by_one_process(tmp_path):
    folder = folder_of(tmp_path, "a", "b")
    alone, two = (
        command("lint", ".", "--static", "-j", jobs, "--cache-dir", "a.onnx/kept", cwd=folder) for jobs in (1, 2)
    )
    assert (two.returncode, two.stdout, two.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert two.stderr


@pytest.mark.parametrize(
    ("models", "said", "wanted"), [(2, None, 1), (47, None, 1), (48, None, 2), (500, None, 4), (500, 1, 1), (2, 3, 3)]
)
def test_few_models_are_linted_here_unless_said_otherwise(models, said, wanted, monkeypatch, tmp_path):
    monkeypatch.setattr("cnnlint.linting.parallel.processors", lambda: 4)
    linter = Linter(Arguments(jobs=said), isolated=True)
    assert parallel._wanted(linter, [str(tmp_path / "a.onnx")] * models) == wanted


def test_no_process_is_started_ahead_where_several_will_lint():
    assert cli.MANY == 2 * parallel.EACH


def test_the_threads_of_onnxruntime_are_shared_by_the_workers(monkeypatch):
    alone = processors()
    monkeypatch.setattr("cnnlint.worker.limits.companions", 2)
    assert processors() == max(1, alone // 2)


def test_no_process_is_not_a_number_of_processes(tmp_path):
    done = command("lint", networks.write(tmp_path / "a.onnx"), "-j", 0)
    assert done.returncode == 2
    assert "--jobs 0 is too small (write 1 or more)" in done.stderr


def _started(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start `cnnlint lint . -j 2` as a job of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "cnnlint", "lint", ".", "-j", "2", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _busy(folder: Path, count: int) -> list[int]:
    """Return the processes of the workers that have a model that takes forever, once they are `count`."""
    until = time.monotonic() + 40
    while len(found := list(folder.glob("*.pid"))) < count and time.monotonic() < until:
        time.sleep(0.05)
    return [int(path.stem) for path in found]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or ") Z " not in state.read_text()
