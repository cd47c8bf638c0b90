"""What breaks while a fleet is linted: the results are those of a run that nothing disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnlint.fleet.run import BATCH
from fleets import bucket, command, fleet, named, process, store, table, told, until

pytest.importorskip("distributed", reason="the extra fleet is not installed")

pytestmark = pytest.mark.slow

COUNT = 60

SLOW = """
import os, time
from cnnlint import Confidence, ModelRule, Severity

class Slow(ModelRule, code="XX001", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    \"\"\"Takes its time, so that there is some to break things in.

    ## Why
    A lint of a small model takes some milliseconds.
    \"\"\"

    def check(self, ctx):
        if begun := os.environ.get("BEGUN"):
            with open(begun, "a") as file:
                file.write("x")
        time.sleep(0.15)
        yield from ()
"""
"""A rule that gives time to break things in, and that notes in the file $BEGUN how many models it has seen."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("fleet") / "models", COUNT)


@pytest.fixture(scope="module")
def undisturbed(models: Path) -> Path:
    folder = models.parent
    (folder / "slow.py").write_text(SLOW)
    (folder / "slow.toml").write_text('rule-files = ["slow.py"]\n')
    fleet("models/**/*.onnx", "--out", "undisturbed", "--isolated", cwd=folder)
    return folder / "undisturbed"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def dask(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dask", *arguments]


def scheduler(port: int) -> list[str]:
    return dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")


def worker(port: int) -> list[str]:
    quiet = ("--no-dashboard", "--no-nanny", "--nthreads", "1", "--memory-limit", "0")
    return dask("worker", f"tcp://127.0.0.1:{port}", "--host", "127.0.0.1", *quiet)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def children(pid: int) -> list[int]:
    """Return the processes that a worker has started: those in which models are linted."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in done.stdout.split()]


@pytest.fixture
def cleared(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_killed_worker_loses_nothing_and_nothing_is_counted_twice(
    models: Path, undisturbed: Path, cleared: Path, port: int
) -> None:
    here = models.parent
    out = cleared / "results"
    run = command("models/**/*.onnx", "--out", out, "--config", "slow.toml", "--scheduler", f"tcp://127.0.0.1:{port}")
    with process(scheduler(port), here):
        until(lambda: listens(port))
        with process(worker(port), here) as first, process(worker(port), here), process(run, here) as linting:
            until(lambda: children(first.pid))
            first.send_signal(signal.SIGKILL)
            said, _ = linting.communicate(timeout=120)
    assert linting.returncode == 0, said
    assert f"{COUNT} models ({COUNT} linted)" in said
    assert _without_rules(told(out)) == _without_rules(told(undisturbed))


def test_a_killed_scheduler_ends_the_run_which_then_goes_on(
    models: Path, undisturbed: Path, cleared: Path, port: int
) -> None:
    here = models.parent
    out = cleared / "results"
    run = command("models/**/*.onnx", "--out", out, "--config", "slow.toml", "--scheduler", f"tcp://127.0.0.1:{port}")
    with process(scheduler(port), here) as head:
        until(lambda: listens(port))
        begun = cleared / "begun"
        with process(worker(port), here, BEGUN=str(begun)), process(run, here) as linting:
            # where the third batch has begun, a second has passed since the first came back, and five are left
            until(lambda: begun.exists() and begun.stat().st_size > 2 * BATCH)
            head.send_signal(signal.SIGKILL)
            said, _ = linting.communicate(timeout=120)
    assert linting.returncode == 2, said
    assert "goes on where this run ended" in said
    kept = len(table(out, "models"))
    assert 0 < kept < COUNT

    said = fleet("models/**/*.onnx", "--out", out, "--config", "slow.toml", cwd=here)
    assert "the interrupted run" in said.stderr
    assert len({row["run"] for row in table(out, "models")}) == 1
    assert _without_rules(told(out)) == _without_rules(told(undisturbed))


def test_a_run_that_is_killed_itself_goes_on(models: Path, undisturbed: Path, cleared: Path) -> None:
    here = models.parent
    out = cleared / "results"
    with process(command("models/**/*.onnx", "--out", out, "--config", "slow.toml", "--workers", 1), here) as run:
        until(lambda: children(run.pid))
        run.send_signal(signal.SIGKILL)
    # a part of which the last file is missing: the run was ended between two files
    (name,) = [file.stem for file in (out / "_runs").glob("*.json")]
    torn = out / "findings" / f"run={name}"
    torn.mkdir(parents=True)
    first = next((undisturbed / "findings").glob("run=*/*.parquet"))
    shutil.copy(first, torn / "part-000007.parquet")

    fleet("models/**/*.onnx", "--out", out, "--config", "slow.toml", cwd=here)
    assert _without_rules(told(out)) == _without_rules(told(undisturbed))


def test_a_server_that_fails_one_in_ten_and_stalls_changes_nothing(models: Path, cleared: Path) -> None:
    with bucket(models) as (server, variables):
        fleet("s3://models/**/*.onnx", "--out", "undisturbed", "--isolated", cwd=cleared, **variables)
        server.requests.clear()
        server.every, server.stalls, server.seconds = 10, 33, 8.0
        limit = {"CNNLINT_REMOTE_TIMEOUT": "2", "AWS_MAX_ATTEMPTS": "1"}
        fleet("s3://models/**/*.onnx", "--out", "results", "--isolated", cwd=cleared, **variables, **limit)
        assert len(server.requests) > 1.05 * COUNT
    assert told(cleared / "results") == told(cleared / "undisturbed")


def test_what_vanishes_between_listing_and_reading_is_told_and_fails_nothing(models: Path, cleared: Path) -> None:
    with bucket(models) as (server, variables):
        server.gone = {"team001/net00013.onnx", "team004/net00042.onnx"}
        done = fleet("s3://models/**/*.onnx", "--out", "results", "--isolated", cwd=cleared, **variables)
    assert f"{COUNT - 2} models ({COUNT - 2} linted)" in done.stdout
    assert set(named(cleared / "results", "vanished")) == {"net00013.onnx", "net00042.onnx"}
    assert len(table(cleared / "results", "models")) == COUNT - 2


def test_a_lost_linting_process_is_replaced(models: Path, undisturbed: Path, cleared: Path) -> None:
    here = models.parent
    out = cleared / "results"
    run = command("models/**/*.onnx", "--out", out, "--config", "slow.toml", "--workers", 1)
    with process(run, here) as linting:
        until(lambda: children(linting.pid))
        os.kill(children(linting.pid)[0], signal.SIGKILL)
        said, _ = linting.communicate(timeout=120)
    assert linting.returncode == 0, said
    assert _without_rules(told(out)) == _without_rules(told(undisturbed))


def _without_rules(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave out the hash of the rules: some runs have one more, which takes time."""
    return {name: sorted(_without_ruleset(row) for row in found) for name, found in rows.items()}


def _without_ruleset(row: str) -> str:
    before, mark, after = row.partition("'ruleset': '")
    return before + after.partition("'")[2] if mark else row


BEGUN_AT_ONCE = """
import sys, threading
import msgspec
from cnnlint.engine.config.schema import Flags
from cnnlint.fleet.linting import FleetPlan, Lot, lint_batch

sys.setswitchinterval(1e-6)
message = msgspec.msgpack.encode(Lot(FleetPlan(flags=Flags(static=True)), ()))
together = threading.Barrier(8)

def begin():
    together.wait()
    lint_batch(message)

threads = [threading.Thread(target=begin) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_of_a_worker_that_begin_at_once_do_not_crash_it() -> None:
    for _ in range(8):  # without a lock, one in three crashes
        assert subprocess.run((sys.executable, "-c", BEGUN_AT_ONCE), check=False).returncode == 0
