"""Models run in a process of their own: what it is given, what it answers, and that nothing it does reaches further."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import onnx.parser
import pytest

import cnnlint
from acceptance.command import cnnlint as command
from cnnlint.errors import ConfigError, InternalError, ModelError, UnfinishedRunError
from cnnlint.linting.checking import CheckRequest, CheckResult
from cnnlint.worker import memory, protocol, start, steps
from cnnlint.worker.limits import RunLimits
from cnnlint.worker.process import Worker
from cnnlint.worker.protocol import Done, Failed, Job, StepStarted
from cnnlint.worker.workers import Workers

pytestmark = pytest.mark.worker

MODELS = Path(__file__).parents[3] / "fixtures" / "models"
SEED = MODELS / "seed_cnn.onnx"

ENDLESS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3] x) => (float[1,3] y)
{
    most = Constant<value = int64 {4611686018427387904}>()
    go = Constant<value = bool {1}>()
    y = Loop<body = b (int64 i, bool before, float[1,3] a) => (bool after, float[1,3] c) {
        after = Identity(before)
        c = Identity(a)
    }>(most, go, x)
}
"""


class Echo(msgspec.Struct):
    """What the handlers of these tests are given, and what they answer."""

    text: str = ""
    number: float = 0
    whole: int = 0


def echo(request: Echo) -> Echo:
    """Answer with what comes."""
    return request


def shout(request: Echo) -> Echo:
    """Print between the messages, on both streams and past Python."""
    print(request.text)
    print(request.text, file=sys.stderr)
    os.write(1, b"from a library\n")
    return request


def fail(request: Echo) -> Echo:
    """Raise an error for the user, or a fault of ours."""
    if request.text:
        raise ModelError(request.text, path="m.onnx", remedy="do something else")
    raise ZeroDivisionError


def die(request: Echo) -> Echo:
    """End the process, by a signal or an exit code."""
    if request.whole < 0:
        os.kill(os.getpid(), -request.whole)
    os._exit(request.whole)


def sleep(request: Echo) -> Echo:
    """Take a while over what was announced."""
    steps.begin("sleeping")
    time.sleep(request.number)
    return request


def grow(request: Echo) -> Echo:
    """Take as much memory as is asked for."""
    return Echo(whole=len(bytearray(request.whole)))


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch):
    """Give workers whose handlers are those of this file."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    made = Workers(RunLimits(memory=2 << 30))
    yield made
    made.close()


def ask(workers: Workers, handler: object, request: Echo) -> Echo:
    return workers.call("onnxruntime", f"test_worker:{handler.__name__}", request, Echo)


def test_a_job_is_answered_with_all_that_numbers_can_be(workers: Workers) -> None:
    assert ask(workers, echo, Echo("é ", float("inf"), 10**400)) == Echo("é ", float("inf"), 10**400)
    assert str(ask(workers, echo, Echo(number=float("nan"))).number) == "nan"


def test_what_a_job_prints_is_no_answer(workers: Workers, capfd: pytest.CaptureFixture[str]) -> None:
    assert ask(workers, shout, Echo("a line")) == Echo("a line")
    assert ask(workers, echo, Echo("next")) == Echo("next")
    assert capfd.readouterr() == ("", "")


def test_errors_come_as_they_were_raised_and_faults_with_their_traceback(workers: Workers) -> None:
    with pytest.raises(ModelError, match=r"^m\.onnx: no \(do something else\)$"):
        ask(workers, fail, Echo("no"))
    with pytest.raises(InternalError, match="ZeroDivisionError") as caught:
        ask(workers, fail, Echo())
    assert "in fail" in caught.value.trace
    assert ask(workers, echo, Echo("alive")).text == "alive"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_worker_that_dies_says_of_what_and_is_replaced(workers: Workers) -> None:
    deaths = {
        -signal.SIGSEGV: r"crashed \(SIGSEGV\)",
        -signal.SIGKILL: "killed .* lack of memory",
        7: "exit code 7",
    }
    for code, words in deaths.items():
        with pytest.raises(UnfinishedRunError, match=words):
            ask(workers, die, Echo(whole=code))
        assert ask(workers, echo, Echo("again")).text == "again"


def test_a_step_that_takes_too_long_is_ended_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    workers = Workers(RunLimits(timeout=5))
    assert ask(workers, echo, Echo("started")).text
    began = time.monotonic()
    with pytest.raises(UnfinishedRunError, match=r"sleeping took longer than 5 s \(--run-timeout"):
        ask(workers, sleep, Echo(number=600))
    assert time.monotonic() - began < 60
    workers.close()


def test_a_timeout_of_zero_is_none() -> None:
    workers = Workers(RunLimits(timeout=0))
    assert workers.call("onnxruntime", "cnnlint.linting.checking:check", request_for(SEED), CheckResult).finished
    workers.close()


def test_memory_beyond_the_limit_is_refused_and_the_limit_named(workers: Workers) -> None:
    assert ask(workers, grow, Echo(whole=1 << 20)).whole == 1 << 20
    with pytest.raises(UnfinishedRunError, match=r"more memory .* \(2\.15 GB\) \(--run-memory"):
        ask(workers, grow, Echo(whole=8 << 30))


def test_where_the_system_sets_no_limit_memory_is_watched() -> None:
    worker = Worker("onnxruntime", RunLimits())
    worker._polled, worker._memory = True, 1  # which the process, that limits itself here, is not told
    worker.submit(Job("cnnlint.linting.checking:check", msgspec.to_builtins(request_for(SEED))))
    with pytest.raises(UnfinishedRunError, match="took more memory than 1 B"):
        worker.result(CheckResult)
    worker.end()
    assert memory.resident_bytes(os.getpid()) > 10_000_000


def request_for(path: Path) -> CheckRequest:
    from cnnlint.linting.checking import RuleReference

    rules = (rule() for rule in cnnlint.load_rules() if rule.code in {"RT001", "RT003"})
    return CheckRequest(
        program=str(path), path=path.name, inputs={}, rules=tuple(RuleReference.to(rule) for rule in rules)
    )


def test_a_worker_ends_when_nobody_listens_any_more() -> None:
    script = (
        "from cnnlint.worker.limits import RunLimits; from cnnlint.worker.process import Worker; import os\n"
        "worker = Worker('onnxruntime', RunLimits())\n"
        "print(worker._process.pid, flush=True); os._exit(0)"
    )
    pid = int(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout)
    until = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_an_interrupted_lint_says_nothing_of_its_worker(tmp_path: Path) -> None:
    path = tmp_path / "endless.onnx"
    path.write_bytes(onnx.parser.parse_model(ENDLESS).SerializeToString())
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnlint", str(path), "--isolated"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + said


def test_what_lies_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('taken in')")
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken in')")
    result = subprocess.run(
        [sys.executable, "-m", "cnnlint", str(SEED), "--isolated", "--format", "json", "--select", "RT"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "taken in" not in result.stdout + result.stderr
    assert "left out" not in result.stdout


def _lint_in_daemon(answers: multiprocessing.Queue) -> None:
    answers.put(cnnlint.lint(str(SEED), isolated=True, select=["RT"]).exit_code)


def test_a_daemonic_process_may_lint() -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_lint_in_daemon, args=(answers,), daemon=True)
    process.start()
    assert answers.get(timeout=120) == 0
    process.join()


def test_an_endless_model_costs_its_own_checks_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "endless.onnx"
    path.write_bytes(onnx.parser.parse_model(ENDLESS).SerializeToString())
    report = cnnlint.lint([str(path), str(SEED)], isolated=True, run_timeout=3, cache_dir=tmp_path / "cache")
    endless, seed = report.models
    (finding,) = (finding for finding in endless.findings if finding.code == "RT006")
    assert "running it under onnxruntime took longer than 3 s" in finding.message
    assert "run_timeout=SECONDS allows more" in finding.message
    assert all("--" not in place.message for place in finding.places)
    assert "export" not in finding.message
    assert endless.parameters == 0
    assert seed.is_finished
    assert report.exit_code == 2
    assert len(list((tmp_path / "cache").glob("*.json"))) == 1  # what did not end is not remembered


@pytest.mark.parametrize("seconds", ["inf", "1e30"])
def test_a_limit_beyond_what_the_system_can_wait_for_is_none(seconds: str) -> None:
    done = command(SEED, "--isolated", "--select", "RT", "--run-timeout", seconds)
    assert done.returncode == 0, done.stderr


def test_no_ignore_hides_a_run_that_did_not_end(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(ENDLESS)
    model.metadata_props.add(key="cnnlint.ignore.RT006", value="*: it always takes long")
    path = tmp_path / "endless.onnx"
    path.write_bytes(model.SerializeToString())
    config = tmp_path / "cnnlint.toml"
    config.write_text('run-timeout = 2\nignore = ["RT006"]\n[per-model-ignores]\n"*" = ["RT006: no"]\n')
    report = cnnlint.lint(str(path), config=config)
    assert "RT006" in {finding.code for finding in report.models[0].findings}
    assert report.exit_code == 2


@pytest.mark.parametrize("written", ["plenty", "1 kB", -5])
def test_a_memory_that_is_none_is_an_error(written: str) -> None:
    with pytest.raises(ConfigError, match=f"run_memory={str(written)!r}: "):
        cnnlint.lint(str(SEED), isolated=True, run_memory=written)


def test_larger_models_are_given_more_time() -> None:
    heard: list[StepStarted] = []
    steps.listen(heard.append)
    try:
        steps.sized(weight_bytes=0, macs=0)
        steps.begin("a")
        steps.sized(weight_bytes=553_000_000, macs=31_000_000_000)
        steps.begin("b")
        steps.sized(weight_bytes=0, macs=None)
        steps.begin("c")
    finally:
        steps._said.set(None)
        steps._size.set(0.0)
    small, vgg, unknown = heard
    assert small.seconds == steps.SHORTEST
    assert vgg.seconds > 5 * small.seconds
    assert unknown.seconds == steps.UNKNOWN * steps.SHORTEST


def test_messages_pass_through_a_stream_and_a_broken_one_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    sent = [Job("m:f", {"a": 1}), StepStarted("s", 2.0), Done([1, None]), Failed("ModelError", "c")]
    with path.open("wb") as stream:
        for message in sent:
            protocol.write(stream, message)
        stream.write((protocol.LARGEST + 1).to_bytes(protocol.PREFIX, "big"))
    with path.open("rb") as stream:
        read = [protocol.read(stream) for _ in range(5)]
    assert [msgspec.convert(each, Job | StepStarted | Done | Failed) for each in read[:4]] == sent
    assert read[4] is None


def test_a_job_whose_result_nobody_asked_for_is_never_another_models(tmp_path):
    from repro.files import lay

    models = [lay("rt_rec_in_if.onnx", tmp_path), lay("good.onnx", tmp_path)]
    circle, good = cnnlint.lint([str(model) for model in models], isolated=True).models
    assert "its functions are recursive" in circle.error
    assert good.error is None
    assert {finding.code for finding in good.findings} == {"FC001", "FC002"}


@pytest.mark.parametrize(("kind", "seed"), [("tensorflow", "0"), ("onnxruntime", None)])
def test_conversions_alone_have_one_order_of_hashes(kind, seed, monkeypatch):
    asked = {}
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, env, **__: asked.update(env))
    start.start(kind, 1 << 30).said.close()
    assert asked.get("PYTHONHASHSEED") == seed
