"""What cnnlint says of a network in whichever file it is: what no conversion and no exporter changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from cnnlint.results import Finding

NOTATION = ("EX", "KR", "ON", "WA002", "WA005", "WA008", "WA02")
"""Rules about nodes and files: what an exporter wrote beside the layers, and what it did not fold."""

FOLDED = ("BN", "EF005", "EF006")
"""Rules that see what a converter folds or makes one of: norms, and equal activations and poolings of one tensor."""

TRAINING = ("HD002", "HD003")
"""Rules that read the loss, which an ONNX file does not name."""


def said_of_both(
    findings: Iterable[Finding], names: Mapping[str, str] | None = None
) -> set[tuple[str, frozenset[str]]]:
    """Return each finding that both files of a network have, as its code and the layers of all its places.

    Args:
        findings: What was said of one file.
        names: Other names for some layers, as of those that a converter made one of.
    """
    names = names or {}
    return {(found.code, frozenset(names.get(name, name) for name in found.layers)) for found in _shared(findings)}


def numbers_of_both(findings: Iterable[Finding]) -> list[tuple[str, list[tuple[str, float]]]]:
    """Return each finding that both files of a network have, as its code and its numbers to three digits."""
    return sorted(
        (found.code, sorted((key, float(f"{value:.3g}")) for key, value in found.evidence.items()))
        for found in _shared(findings)
    )


def stem(name: str) -> str:
    """Return the name of a layer without what tells a part of it, or another call."""
    return re.sub(r"_\d+$", "", name.partition("/")[0])


def _shared(findings: Iterable[Finding]) -> Iterator[Finding]:
    return (found for found in findings if not found.code.startswith((*NOTATION, *FOLDED, *TRAINING)))
