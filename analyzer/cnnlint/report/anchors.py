"""Where services hang findings up: paths relative to the repository, and hashes that outlive a change of numbers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import PurePath

from cnnlint.results import Finding, LintReport, ModelReport


class Anchors:
    """Gives every finding of a report a hash of its model's path, its rule and its layers, and of nothing else.

    Findings that agree in all of these are told apart by their order.
    """

    def __init__(self) -> None:
        self._seen = Counter[str]()

    def hash_of(self, model: ModelReport, finding: Finding) -> str:
        """Return the hash of `finding`; the same twice for the same finding counts as a second one."""
        identity = finding.fingerprint or "\0".join([finding.code, *finding.layers])
        key = f"{relative(model.path)}\0{finding.code}\0{identity}"
        self._seen[key] += 1
        return blake2b(f"{key}\0{self._seen[key]}".encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def relative(path: str) -> str:
    """Return `path` with forward slashes, relative to the working directory if it lies below it."""
    if path.startswith("<") or "://" in path:
        return path
    below = os.path.relpath(path) if os.path.isabs(path) else os.path.normpath(path)
    return PurePath(path if below.startswith("..") else below).as_posix()


def findings(report: LintReport) -> Iterator[tuple[ModelReport, Finding]]:
    """Yield every finding with its model."""
    for model in report.models:
        for finding in model.findings:
            yield model, finding


def shortcomings(model: ModelReport) -> Iterator[str]:
    """Yield why the model could not be linted, or not in full."""
    if model.error is not None:
        yield model.error
    yield from model.incomplete


def sentence(finding: Finding) -> str:
    """Return the message with the layer's name in front, for services that show a message and no layer."""
    return f"{finding.layers[0]}: {finding.message}" if finding.layers else finding.message
