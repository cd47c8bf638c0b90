"""SARIF 2.1.0, as GitHub's code scanning reads it.

A binary file has no lines: where the code that defines the network is not known, every result stands at line 1, and
without a `primaryLocationLineHash` of our own all findings of a rule in a file would become one alert.

What is ignored is left out and not marked by `suppressions`: GitHub does not read these, so that each would be an open
alert (github/codeql-action, issue 1230), while an alert whose result is gone is closed as fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from cnnlint.engine.rule import CODE, Rule
from cnnlint.report.json import encode
from cnnlint.report.lines import file_of, line_of, on_lines
from cnnlint.report.parts import FindingHashes, in_repository, sentence, shortcomings
from cnnlint.report.rule_page import page, summary
from cnnlint.report.view import View
from cnnlint.results import Confidence, Finding, Frame, LintReport, ModelReport, Severity

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
PROBLEMS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
PRECISIONS = {Confidence.EXACT: "very-high", Confidence.HEURISTIC: "medium", Confidence.OPINION: "low"}
HOME = "https://github.com/cnnlint/cnnlint"
"""Where to read about cnnlint; pyproject.toml says the same."""
RELATED = 100
"""Places of a result that GitHub shows."""
LONGEST_DESCRIPTION = 1024
"""GitHub takes no longer fullDescription."""


def render(report: LintReport, view: View) -> str:
    """Return the log of what is in the report, in which nothing is that somebody ignores."""
    found = list(on_lines(report))
    described = _descriptors(finding for _, finding in found)
    index = {descriptor["id"]: position for position, descriptor in enumerate(described)}
    hashes = FindingHashes()
    lacking = [(model, text) for model in report.models for text in shortcomings(model)]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "cnnlint",
                "semanticVersion": report.cnnlint,
                "informationUri": HOME,
                "rules": described,
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{
            "executionSuccessful": not lacking,
            "toolExecutionNotifications": [
                {"level": "error", "message": {"text": text}, "locations": [_location(model)]}
                for model, text in lacking
            ],
        }],
        "results": [_result(model, finding, hashes, index) for model, finding in found],
    }  # fmt: skip
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return encode(log, view)


def _result(model: ModelReport, finding: Finding, hashes: FindingHashes, index: dict[str, int]) -> dict[str, Any]:
    advice = f"\n{finding.suggestion}" if finding.suggestion else ""
    first = finding.places[0].layers if finding.places else finding.layers
    related = [
        {"id": number, **_location(model, place.layers, place.frames), "message": {"text": place.message}}
        for number, place in enumerate(finding.places[1:RELATED], 1)
    ]
    return {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": LEVELS[finding.severity],
        "message": {"text": sentence(finding) + advice},
        "locations": [_location(model, first, finding.places[0].frames if finding.places else ())],
        **({"stacks": [_stack(model, finding.places[0].frames)]} if line_of(finding) else {}),
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {"primaryLocationLineHash": f"{hashes.of(model, finding)}:1"},
        "properties": {
            "evidence": finding.evidence,
            "confidence": finding.confidence,
            "places": len(finding.places),
            "fixable": finding.fixable,
        },
    }


def _location(model: ModelReport, layers: Sequence[str] = (), frames: Sequence[Frame] = ()) -> dict[str, Any]:
    """Return the line of the user's code, the innermost of `frames`, or the first of the model if there are none."""
    path = in_repository(frames[0].file if frames else file_of(model.path))
    uri = quote(path.encode("utf-8", "surrogateescape"), safe="/:@!$&'()*+,;=~")
    region: dict[str, Any] = {"startLine": frames[0].line if frames else 1}
    if frames and frames[0].end > frames[0].begin:
        region |= {"startColumn": frames[0].begin + 1, "endColumn": frames[0].end + 1}
    logical = [{"fullyQualifiedName": layer, "kind": "layer"} for layer in layers]
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": region},
        **({"logicalLocations": logical} if logical else {}),
    }


def _stack(model: ModelReport, frames: Sequence[Frame]) -> dict[str, Any]:
    """Return the calls on the way to a line, the innermost first."""
    return {
        "message": {"text": "how the line was reached"},
        "frames": [
            {"location": {**_location(model, (), frames[at : at + 1]), "message": {"text": frame.function}}}
            for at, frame in enumerate(frames)
        ],
    }


def _descriptors(found: Iterable[Finding]) -> list[dict[str, Any]]:
    from cnnlint.engine.registry import load_rules

    known = load_rules().by_code
    first = dict[str, Finding]()
    for finding in found:
        first.setdefault(finding.code, finding)
    return [_descriptor(finding, known.get(code)) for code, finding in sorted(first.items())]


def _descriptor(finding: Finding, rule: type[Rule] | None) -> dict[str, Any]:
    # a rule of a local file is not among the installed ones; what its finding says of it must do
    short = summary(rule) if rule else finding.name
    text = page(rule, code=False) if rule else finding.message
    level = rule.severity if rule else finding.severity
    former = rule.replaces if rule else ()
    codes = [old for old in former if CODE.fullmatch(old)]
    names = [old for old in former if old not in codes]
    return {
        "id": finding.code,
        "name": finding.name,
        **({"deprecatedIds": codes} if codes else {}),
        **({"deprecatedNames": names} if names else {}),
        "shortDescription": {"text": short},
        "fullDescription": {"text": short[:LONGEST_DESCRIPTION]},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": LEVELS[level]},
        "properties": {
            "precision": PRECISIONS[finding.confidence],
            "problem.severity": PROBLEMS[level],
            "tags": ["cnn", finding.code.rstrip("0123456789")],
        },
    }
