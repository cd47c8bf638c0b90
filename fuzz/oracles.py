"""What must hold whatever the input is: the oracles, each of which says what it saw in a sentence."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fuzz.sandbox import Meter, Sandbox

SECONDS, MEGABYTES = 2.0, 300
"""What a file below 1 MB may take (docs/robustness.md)."""

NEEDLESS = {"onnxruntime", "keras", "tensorflow", "tf2onnx", "fsspec", "aiohttp"}
"""Packages that reading a model never takes."""

COMMAND = re.compile(r"^\s*(::[a-zA-Z]|##\[|##vso\[|\x1b\[0Ksection_)", re.MULTILINE)
"""The beginning of a line that a CI service obeys."""

TOTALS = ("parameters", "macs", "weight_bytes", "peak_activation_bytes")


@dataclass(frozen=True)
class Fault:
    """What an oracle saw.

    Attributes:
        kind: The oracle.
        place: Where in the code, or which part of the promise: faults of one kind and place are one fault.
        detail: The whole of it.
    """

    kind: str
    place: str
    detail: str = ""

    @property
    def signature(self) -> str:
        """What tells faults apart."""
        return f"{self.kind} {self.place}"


@cache
def sandbox() -> Sandbox:
    """Return the sandbox of this process."""
    warm()
    return Sandbox()


def warm() -> None:
    """Import what reading weights and inferring shapes may import, so that no input is charged with it."""
    for name in ("h5py", "onnx.shape_inference", "cnnlint.api.linting", "cnnlint.cli.commands", "cnnlint.report.text"):
        import_module(name)


@cache
def _linter() -> Any:
    from cnnlint.engine.config.settings import Flags
    from cnnlint.linting.linter import Linter

    return Linter(Flags(static=True, pedantic=True, select=("ALL",)), isolated=True, near_misses=True)


def check(path: Path, *, depth: int = 3) -> list[Fault]:
    """Hold a model file against the oracles.

    Args:
        path: The file, in a folder of its own.
        depth: 0 for lint and summary only; 1 for all report formats too; 2 for the text of a summary too; 3 for the
            command line too; 4 for commands that run an ONNX file too.
    """
    return list(_checked(str(path), depth))


def _checked(path: str, depth: int) -> Iterator[Fault]:
    from cnnlint.api.linting import summarize

    meter = Meter()
    known = set(sys.modules)  # whoever asks may have imported anything
    report = summary = None
    with sandbox().watch(os.path.dirname(path)) as strays:
        try:
            with meter.measure():
                report = _linter().lint(path)
        except Exception as error:
            yield of_exception("lint", error)
        yield from _over("lint", meter, path)
        meter = Meter()
        try:
            with meter.measure():
                summary = summarize(path).models[0]
        except Exception as error:
            yield of_exception("summary", error)
        yield from _over("summary", meter, path)
    yield from (Fault("opens", re.sub(r"\d+", "N", stray.split("/")[0]), stray) for stray in strays)
    yield from (Fault("imports", name) for name in sorted(NEEDLESS & (set(sys.modules) - known)))
    if report is not None:
        yield from _of_error(report.error, path)
        for finding in report.findings:
            if finding.code == "CF004":
                where = re.search(r"(\w+Error).*?(\w+\.py:\d+)", finding.message)
                yield Fault(
                    "rule crashes", " ".join(where.groups()) if where else finding.message[:90], finding.message
                )
    if report is not None and summary is not None:
        yield from _of_error(summary.error, path)
        if (report.error is None) != (summary.error is None):
            yield Fault("disagree", "error", f"lint: {report.error}; summary: {summary.error}")
        elif report.error is None:
            for name in TOTALS:
                if getattr(report, name) != getattr(summary, name):
                    told = f"lint {getattr(report, name)}, summary {getattr(summary, name)}"
                    yield Fault("totals", name, told)
    if depth >= 1 and report is not None:
        yield from _formats(report)
    if depth >= 2 and summary is not None:
        yield from _texts(summary)
    if depth >= 3:
        yield from command_line(path, report, runs=depth >= 4 and path.endswith(".onnx"))


def of_exception(kind: str, error: BaseException) -> Fault:
    """Return the fault that an exception is: it belongs to the innermost line of cnnlint."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "cnnlint" in frame.filename] or list(frames)
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    return Fault("internal", f"{type(error).__name__} {place}", f"{kind}: {str(error)[:300]}")


def _over(command: str, meter: Meter, path: str) -> Iterator[Fault]:
    size = os.path.getsize(path)
    if size >= 10**6:
        return
    if meter.seconds > SECONDS:
        yield Fault("time", command, f"{meter.seconds:.1f} s for {size:,} bytes")
    if meter.megabytes > MEGABYTES:
        yield Fault("memory", command, f"{meter.megabytes:.0f} MB for {size:,} bytes")


def _of_error(error: str | None, *paths: str) -> Iterator[Fault]:
    if error is None:
        return
    if any(words in error for words in ("report this", "cnnlint failed", "not enough memory")):
        where = re.search(r"(\w*(?:Error|Exception|Exit|Interrupt|Iteration))\b.* at (\w+\.py:\d+)", error)
        yield Fault("internal", " ".join(where.groups()) if where else error[-90:], error[:500])
    if "\n" in error.strip():
        yield Fault("lines", "error", repr(error[:300]))
    if not any(os.path.basename(path) in error for path in paths) and "no such rule file" not in error:
        yield Fault("path", "error", error[:300])


def _formats(report: Any) -> Iterator[Fault]:
    from cnnlint.report import FORMATS, render
    from cnnlint.report.view import View
    from cnnlint.results import LintReport

    whole = LintReport(cnnlint="0", models=(report,))
    for form in FORMATS:
        try:
            rendered = render(whole, form, View())
            rendered.encode("utf-8", "replace")
        except Exception as error:
            yield of_exception(f"format {form}", error)
            continue
        try:
            VALID.get(form, _plain)(rendered)
        except Exception as error:
            yield Fault("format", form, f"{type(error).__name__}: {str(error)[:300]}")


def _plain(rendered: str) -> None:
    found = COMMAND.search(rendered)
    if found:
        raise ValueError(f"a line begins with {found[0]!r}")


def _json(rendered: str) -> None:
    import msgspec

    from cnnlint.results import LintReport

    msgspec.json.decode(rendered, type=LintReport)
    _valid("lint", json.loads(rendered, parse_constant=_no_constant))


SCHEMAS = {
    "lint": "docs/schema/lint.schema.json",
    "summary": "docs/schema/summary.schema.json",
    "sarif": "tests/analyzer/report/schemas/sarif-2.1.0-rtm.5.json",
}


@cache
def _validator(name: str) -> Any:
    import jsonschema

    schema = json.loads((Path(__file__).parents[1] / SCHEMAS[name]).read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def _valid(name: str, report: Any) -> None:
    """Raise what a report says that its published schema does not allow."""
    for error in _validator(name).iter_errors(report):
        raise ValueError(f"{error.json_path}: {error.message[:200]}")


def _jsonl(rendered: str) -> None:
    for line in rendered.split("\n")[:-1]:
        json.loads(line, parse_constant=_no_constant)
    if re.search("[\u200b-\u200f\u2028-\u202e\u2060\ufeff]", rendered):
        raise ValueError("a character that separates lines or is not seen stands there as it is")


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _sarif(rendered: str) -> None:
    log = json.loads(rendered, parse_constant=_no_constant)
    _valid("sarif", log)
    assert log["version"] == "2.1.0"
    assert "$schema" in log
    for run in log["runs"]:
        rules = run["tool"]["driver"]["rules"]
        assert all(rule["id"] and rule["help"]["text"] for rule in rules)
        hashes = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
        assert len(hashes) == len(set(hashes)), "alerts that share a fingerprint"
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["message"]["text"]
            assert result["level"] in {"error", "warning", "note"}
            assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1


def _gitlab(rendered: str) -> None:
    issues = json.loads(rendered, parse_constant=_no_constant)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues), "issues that share a fingerprint"
    assert all(issue["description"] and issue["location"]["lines"]["begin"] == 1 for issue in issues)


def _junit(rendered: str) -> None:
    root = ElementTree.fromstring(rendered)
    cases = list(root.iter("testcase"))
    assert int(root.get("tests", -1)) == len(cases)
    assert int(root.get("failures", -1)) == len(list(root.iter("failure")))


def _github(rendered: str) -> None:
    for line in rendered.splitlines():
        if not re.match(r"::(error|warning|notice)( [^:]*)?::|[0-9]+ ", line):
            raise ValueError(f"{line[:60]!r} is no annotation")


class _Page(HTMLParser):
    """The scripts of a page, and the policy that says which of them may run."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = ""
        self.scripts: list[tuple[str | None, str]] = []
        self._kind: str | None = None
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script, self._kind = tag == "script", dict(attrs).get("type")
        if tag == "meta" and dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs).get("content") or ""

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append((self._kind, data))


def _html(rendered: str) -> None:
    page = _Page()
    page.feed(rendered)
    for kind, script in page.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        if kind == "application/json":
            json.loads(script)
        elif f"'sha256-{digest}'" not in page.policy:
            raise ValueError("a name became an element")


VALID: dict[str, Callable[[str], None]] = {
    "json": _json, "jsonl": _jsonl, "sarif": _sarif, "gitlab": _gitlab, "junit": _junit, "github": _github,
    "html": _html,
}  # fmt: skip
"""What holds a report of each format for valid; the others are text."""


def _texts(summary: Any) -> Iterator[Fault]:
    from cnnlint.report.json import render as as_json
    from cnnlint.report.summary_text import render as as_text
    from cnnlint.report.view import View
    from cnnlint.results import SummaryReport

    whole = SummaryReport(cnnlint="0", models=(summary,))
    told = list[list[str]]()
    for explain in (False, True):
        try:
            rendered = as_text(whole, View(), explain=explain)
        except Exception as error:
            yield of_exception("summary text", error)
            continue
        try:
            _plain(rendered)
        except ValueError as error:
            yield Fault("format", "summary", str(error))
        told.append(re.findall(r"^(?:parameters|MACs|weights|peak)\b.*$", rendered, re.MULTILINE))
    if len(told) == 2 and told[0] != told[1][: len(told[0])]:
        yield Fault("totals", "summary --explain", f"{told[0]} {told[1]}")
    try:
        _valid("summary", json.loads(as_json(whole, View()), parse_constant=_no_constant))
    except ValueError as error:
        yield Fault("format", "summary json", str(error))
    except Exception as error:
        yield of_exception("summary json", error)


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process; return its exit code and what it wrote."""
    from cnnlint.cli.commands import commands

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = commands.main(list(arguments), prog_name="cnnlint", standalone_mode=False)
    return code, out.getvalue(), err.getvalue()


def command_line(path: str, report: Any, *, runs: bool = False) -> Iterator[Fault]:
    """Hold commands on a model against what they promise: exit codes, and a line that names the file.

    With `runs` those too that run it, in processes of their own that are held to five seconds and 2 GB.
    """
    limits = ("--run-timeout", "5", "--run-memory", "2GB")
    running = (
        ("lint", "--isolated", *limits, path),
        ("fix", "--isolated", *limits, path, "-o", f"{path}.fixed.onnx"),
        ("compare", *limits, path, path),
    )
    for arguments in (
        *(running if runs else ()),
        ("lint", "--static", "--isolated", "-v", path),
        ("summary", path),
        ("diff", path, path),
        ("explain", "FC001", "--on", path, "--isolated"),
    ):
        try:
            code, out, err = run(*arguments)
        except Exception as error:
            yield of_exception(arguments[0], error)
            continue
        yield from _of_run(arguments[0], code, out, err, path, unread=report is not None and report.error is not None)


def _of_run(command: str, code: int, out: str, err: str, *paths: str, unread: bool | None) -> Iterator[Fault]:
    if code not in {0, 1, 2}:
        yield Fault("exit code", command, str(code))
    lines = [line for line in err.splitlines() if line.startswith("cnnlint: error:")]
    rest = [
        line
        for line in err.splitlines()
        if not line.startswith(("cnnlint: error:", "cnnlint: note:", "cnnlint: warning:"))
    ]
    if rest:
        yield Fault("lines", command, repr(rest[:3]))
    if (code == 2) != bool(lines) and not (code == 2 and "RT006" in out):
        yield Fault("exit code", f"{command} {code}", repr(lines[:2]))
    if unread is True and (code != 2 or len(lines) < 1 or len(lines) > 2):
        yield Fault("lines", f"{command} unread", f"{code} {lines[:3]}")
    for line in lines:
        yield from _of_error(line, *paths)
    if COMMAND.search(out) or COMMAND.search(err):
        yield Fault("format", f"{command} text", "a line is a workflow command")


def check_configuration(path: Path, model: Path) -> list[Fault]:
    """Hold a configuration against what it promises: it is obeyed, or named with what is wrong in it."""
    found = list[Fault]()
    meter = Meter()
    with sandbox().watch(str(path.parent)) as strays:
        for arguments in (("lint", "--static", "--config", str(path), str(model)),
                          ("lint", "--static", "--config", str(path), "--show-settings", str(model))):  # fmt: skip
            try:
                with meter.measure():
                    code, out, err = run(*arguments)
            except Exception as error:
                found.append(of_exception("config", error))
                continue
            # a shape for an input that the model has not is an error of the model
            found += _of_run("config", code, out, err, path.name, model.name, unread=None)
        found += _over("config", meter, str(path))
    found += [Fault("opens", re.sub(r"\d+", "N", stray.split("/")[0]), stray) for stray in strays]
    return found
