"""The command: `python -m benchmarks`, `python -m benchmarks rewrites` and `python -m benchmarks fleet`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import fleet, page, peers, rewrites, watched
from benchmarks.comparisons import Comparison, all_of, beside_peers
from benchmarks.process import environment, interleaved

ROOT = Path(__file__).resolve().parent.parent
VERSIONED = ("cnnlint", "onnx", "onnxruntime", "numpy", "keras", "tensorflow")


def main() -> int:
    """Build, measure, print, and write the page."""
    if sys.argv[1:2] == ["rewrites"]:
        return rewrites.main(sys.argv[2:])
    if sys.argv[1:2] == ["fleet"]:
        return fleet.main(sys.argv[2:])
    options = _options()
    scratch = Path(options.folder)
    models = _models(scratch)
    comparisons = all_of(models)
    installed = None
    if not options.no_peers:
        installed = peers.install(scratch / "peers", _say)
        for net, path in models["onnx"].items():
            contenders = peers.contenders(installed, path, models["inputs"][net], scratch)
            comparisons.append(beside_peers(net, path, contenders))
    chosen = [comparison for comparison in comparisons if _is_chosen(comparison, options.only)]
    results = list[page.Result]()
    for comparison in chosen:
        try:
            figures = interleaved(comparison.contenders, runs=options.runs, folder=str(scratch), progress=_say)
        finally:
            watched.end(Path(models["code"]))
        results.append(page.Result(comparison, figures))
        _show(results[-1])
    about = {"runs": str(options.runs), **_machine()}
    if installed is not None:
        about["Other tools"] = ", ".join(f"{name} {version}" for name, version in installed.versions.items())
    absent = dict(installed.absent) if installed is not None else {}
    if options.write:
        written = ROOT / "docs" / "benchmarks.md"
        fleets = fleet.section_of(written.read_text("utf-8"))
        written.write_text(fleet.with_section(page.markdown(results, about, absent), fleets), encoding="utf-8")
        (ROOT / "docs" / "benchmarks.json").write_text(page.encoded(results, about, absent), encoding="utf-8")
    missed = [verdict for result in results for verdict in result.verdicts() if not verdict.holds]
    print(f"{sum(len(result.verdicts()) for result in results)} bounds, {len(missed)} missed")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure cnnlint beside its peers.")
    parser.add_argument("--runs", type=int, default=5, help="recorded runs of each process, at least (default: 5)")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="only comparisons whose key begins so; writes no page")
    parser.add_argument("--no-peers", action="store_true", help="leave other tools out")
    parser.add_argument(
        "--folder",
        default=str(Path(tempfile.gettempdir()) / "cnnlint-benchmarks"),
        help="where models and peers are kept (default: %(default)s)",
    )
    options = parser.parse_args()
    options.write = not options.only and not options.no_peers
    if options.runs < 1:
        parser.error("--runs is at least 1")
    return options


def _is_chosen(comparison: Comparison, only: list[str] | None) -> bool:
    return not only or any(comparison.key.startswith(key) for key in only)


def _models(folder: Path) -> dict[str, Any]:
    _say("building models")
    command = (sys.executable, "-m", "benchmarks.build", str(folder / "models"))
    done = subprocess.run(command, cwd=ROOT, env=environment(os.environ), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _machine() -> dict[str, str]:
    code = f"import importlib.metadata as m; print(', '.join(f'{{p}} {{m.version(p)}}' for p in {VERSIONED}))"
    versions = subprocess.run((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True, check=True).stdout
    return {
        "Machine": f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "Packages": versions.strip(),
    }


def _show(result: page.Result) -> None:
    _say("")
    print("\n".join(page.section(result)))
    for verdict in result.verdicts():
        value = "unknown" if verdict.value is None else f"{verdict.value:.2f}"
        print(
            f"{verdict.words}: {value}, bound {verdict.most:g} {verdict.unit}, {'met' if verdict.holds else 'MISSED'}"
        )
    print(flush=True)


def _say(what: str) -> None:
    """Show what runs on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
