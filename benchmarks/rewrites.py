"""`python -m benchmarks rewrites`: tools that rewrite models side by side, on one corpus in one run."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import exp, isfinite, log
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers import Peer, install
from benchmarks.process import Contender, FailedRunError, environment, run

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "rewrites.md"
BEGIN, END = "<!-- measured -->", "<!-- end -->"

PEERS = (Peer("onnxsim"), Peer("onnxslim"), Peer("onnxoptimizer"), Peer("onnxscript"))
GIVEN, OURS = "original", "cnnlint"

LIGHT = ("shufflenet", "squeezenet")
KERAS = ("MobileNetV2",)
CONVERTED = ("small_convnext", "small_efficientnet_v2", "small_nasnet")
TORCH = ("attention.script_unfolded", "convnext.dynamo", "detector.dynamo_unoptimized", "mobile.script_unfolded",
         "text_lines.script_unfolded", "u_net.dynamo_unoptimized")  # fmt: skip
EXPORTS = ("efficientvit_b0.script", "ghostnet_100.script", "mobileone_s0.script", "repvgg_a0.dynamo")

RATIOS = {
    "nodes": "nodes",
    "bytes": "bytes",
    "parameters": "parameters",
    "macs": "MACs",
    "latency_off": "latency, optimizations off",
    "latency_on": "latency, optimizations on",
}


class Outcome(NamedTuple):
    """What a tool made of a model.

    Attributes:
        facts: As `judging` says; "broken" is why the result cannot be used.
        seconds: Of the whole process, less `verifying`.
        peak: Of its memory, in mebibytes.
        failure: Why there is no result.
    """

    facts: dict[str, Any]
    seconds: float = 0.0
    verifying: float = 0.0
    peak: float = 0.0
    failure: str = ""

    @property
    def broken(self) -> str:
        """Why the model is of no use; "" if it is."""
        return self.failure or self.facts.get("broken", "")


Results = dict[str, dict[str, Outcome]]


def main(arguments: Sequence[str]) -> int:
    """Rewrite every model with every tool, judge the results, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rewrites", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="models whose name begins so; writes no page")
    parser.add_argument("--tools", nargs="+", metavar="TOOL", help="these tools only; writes no page")
    parser.add_argument("--exports", metavar="FOLDER", help="exports of timm, as tests/real/export.py writes them")
    parser.add_argument("--folder", default=str(Path(tempfile.gettempdir()) / "cnnlint-benchmarks"))
    options = parser.parse_args(arguments)
    scratch = Path(options.folder)
    absent = dict[str, str]()
    corpus = {
        name: path
        for name, path in _corpus(options.exports, absent)
        if not options.only or name.startswith(tuple(options.only))
    }
    installed = install(scratch / "peers", _say, PEERS)
    absent |= {f"{name} (tool)": why for name, why in installed.absent.items()}
    pythons = {name: str(folder / "python") for name, folder in installed.folders.items()} | {OURS: sys.executable}
    tools = [name for name in (*(peer.package for peer in PEERS), OURS) if name in pythons]
    tools = [name for name in tools if not options.tools or name in options.tools]
    results: Results = {}
    for name, path in corpus.items():
        results[name] = {GIVEN: Outcome(_judged(path, path))}
        for tool in tools:
            _say(f"{name}: {tool}")
            results[name][tool] = _outcome(pythons[tool], tool, path, scratch / "rewritten" / tool / f"{name}.onnx")
        counts = {tool: _count(outcome) for tool, outcome in results[name].items()}
        print(f"{name:32} " + "  ".join(f"{tool} {count}" for tool, count in counts.items()), flush=True)
    if not options.only and not options.tools:
        versions = {**installed.versions, OURS: _version()}
        kept = {name: {tool: outcome._asdict() for tool, outcome in row.items()} for name, row in results.items()}
        whole = {"versions": versions, "absent": absent, "models": kept}
        PAGE.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        text = "\n".join(page(results, versions, absent))
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print("\n".join(_totals(results, tools)))
    return 0


def _corpus(exports: str | None, absent: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield the models by name; what cannot be had here is told in `absent`."""
    sys.path.insert(0, str(ROOT / "tests"))
    import torch_cases
    import zoo

    for path in sorted((ROOT / "fixtures" / "models").glob("*.onnx")):
        yield f"fixture/{path.stem}", path
    for name in LIGHT:
        yield f"light/{name}", zoo.light_path(name)
    for name in KERAS:
        try:
            yield f"tf2onnx/{name}", zoo.onnx_path(name)
        except RuntimeError as error:
            absent[f"tf2onnx/{name}"] = str(error).splitlines()[0]
    for name in CONVERTED:
        try:
            with zoo.proved(name) as both:
                yield f"keras/{name}", both.onnx
        except RuntimeError as error:
            absent[f"keras/{name}"] = str(error).splitlines()[0]
    if torch_cases.INSTALLED:
        yield from ((f"torch/{name}", torch_cases.folder() / f"{name}.onnx") for name in TORCH)
    else:
        absent["torch"] = "torch or onnxscript is not installed"
    for name in EXPORTS:
        path = Path(exports or "") / f"{name}.onnx"
        if exports and path.exists():
            yield f"timm/{name}", path
        else:
            absent[f"timm/{name}"] = "no such file" if exports else "no --exports are given"


def _outcome(python: str, tool: str, path: Path, output: Path) -> Outcome:
    output.parent.mkdir(parents=True, exist_ok=True)
    for old in output.parent.glob(f"{output.name}*"):
        old.unlink()
    given = output.with_suffix(".given.onnx")
    shutil.copyfile(path, given)  # some tools write beside what they read
    script = str(Path(__file__).with_name("rewriters.py"))
    try:
        sample = run(Contender(tool, (python, script, tool, str(given), str(output))), str(output.parent))
    except FailedRunError as error:
        return Outcome({}, failure=str(error))
    verifying = float(Path(f"{output}.seconds").read_text())
    return Outcome(_judged(path, output), sample.wall - verifying, verifying, sample.peak)


def _judged(path: Path, rewritten: Path) -> dict[str, Any]:
    """Return what `judging` says; it runs in a process of its own, which a bad model may end."""
    command = (sys.executable, "-W", "ignore", "-m", "benchmarks.judging", str(path), str(rewritten))
    done = subprocess.run(command, cwd=ROOT, env=environment(os.environ), capture_output=True, text=True, check=False)
    if done.returncode:
        return {"broken": (done.stderr.splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
    return json.loads(done.stdout.splitlines()[-1])


def _count(outcome: Outcome) -> str:
    return "broken" if outcome.broken else str(outcome.facts["nodes"])


def page(results: Results, versions: Mapping[str, str], absent: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the measured part of the page."""
    tools = list(next(iter(results.values())))
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
    yield ""
    yield from _totals(results, tools[1:])
    yield ""
    yield "Nodes, model by model; **bold** is the fewest, and a dash is a model that is broken or was not made:"
    yield ""
    yield f"| Model | {' | '.join(tools)} |"
    yield "|---|" + "---:|" * len(tools)
    for name, row in results.items():
        fewest = min(outcome.facts["nodes"] for outcome in row.values() if not outcome.broken)
        cells = (
            "–"
            if each.broken
            else f"**{each.facts['nodes']:,}**"
            if each.facts["nodes"] == fewest and tool != GIVEN
            else f"{each.facts['nodes']:,}"
            for tool, each in row.items()
        )
        yield f"| {name} | {' | '.join(cells)} |"
    faults = [(name, tool, each.broken) for name, row in results.items() for tool, each in row.items() if each.broken]
    if faults:
        yield ""
        yield "Broken, or not made:"
        yield ""
        yield from (f"- {tool} on {name}: {why}" for name, tool, why in sorted(faults, key=lambda each: each[1]))
    if absent:
        yield ""
        yield "Not measured:"
        yield ""
        yield from (f"- {name}: {why}" for name, why in absent.items())


def _totals(results: Results, tools: Sequence[str]) -> Iterator[str]:
    """Yield the table of one line for each tool: means over all models that none of the tools broke."""
    rows = [row for row in results.values() if not any(each.broken for each in row.values())]
    yield "| | " + " | ".join(tools) + " |"
    yield "|---|" + "---:|" * len(tools)
    for key, label in RATIOS.items():
        means = (_mean(_ratio(row[tool].facts.get(key), row[GIVEN].facts.get(key)) for row in rows) for tool in tools)
        yield f"| {label}, of the original | " + " | ".join(f"{mean:.3f}" for mean in means) + " |"
    fewest = dict.fromkeys(tools, 0)
    for row in results.values():
        sound = {tool: row[tool].facts["nodes"] for tool in tools if not row[tool].broken}
        for tool, nodes in sound.items():
            fewest[tool] += nodes <= min(sound.values())
    yield f"| fewest nodes, of {len(results)} models | " + " | ".join(str(fewest[tool]) for tool in tools) + " |"
    columns = (("seconds", "seconds to rewrite"), ("verifying", "seconds to verify"), ("peak", "peak memory, MB"))
    for key, label in columns:
        means = (_mean(getattr(row[tool], key) or None for row in rows) for tool in tools)
        yield f"| {label} | " + " | ".join(f"{mean:.2f}" if mean < 10 else f"{mean:.0f}" for mean in means) + " |"
    worst = (_largest(row[tool] for row in results.values()) for tool in tools)
    yield "| largest error / noise floor | " + " | ".join(worst) + " |"
    faults = (sum(bool(row[tool].broken) for row in results.values()) for tool in tools)
    yield "| broken or not made | " + " | ".join(map(str, faults)) + " |"


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value and base else None


def _mean(values: Iterable[float | None]) -> float:
    """Return the geometric mean."""
    logs = [log(value) for value in values if value]
    return exp(sum(logs) / len(logs)) if logs else 0.0


def _largest(outcomes: Iterable[Outcome]) -> str:
    found = [each.facts["error"] / max(each.facts["floor"], 2**-24) for each in outcomes if "error" in each.facts]
    return f"{max(found):,.1f}" if found and isfinite(max(found)) else "∞" if found else "–"


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version(OURS)


def _say(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
