"""DP001: versions, operators or types that a release of a runtime does not support, by its documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    Good,
    NearMiss,
    Severity,
    TargetRule,
    history,
)

if TYPE_CHECKING:
    from cnnlint import Obstacle, Target  # with them come the tables, which only a named target needs

SHOWN = 5
"""Operators that are named; of more, how many there are."""


class UnsupportedByTarget(
    TargetRule, code="DP001", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"
):
    """The release of the runtime that the file is meant for does not support it, by the runtime's documentation.

    ## Why
    A file names the version of the format (IR version) and of the operator sets that it is written in. A runtime that
    was built before these refuses the whole file when it is loaded, whatever operators are in it: "Unsupported model IR
    version: 11, max supported IR version: 10", "Opset 23 is under development". Exporters write what they know best and
    not what the device has, so a file that runs where it was made is refused where it was meant to run: onnxruntime
    1.17 takes opset 20 at most, and PyTorch's and tf2onnx's own defaults move with their releases.

    ## Instead
    Export for the opset that the release has: `torch.onnx.export(model, ..., opset_version=20)`,
    `python -m tf2onnx.convert --opset 20`. In the file, `onnx.version_converter.convert_version(model, 20)` rewrites
    operators that changed. Where the finding says that no operator has changed since, the number of the opset import
    can be lowered as it stands. An IR version may be older than the one that came with the opset: set
    `model.ir_version`, which older exporters' tools do too. Or update the runtime: the finding names the oldest release
    that its documentation lists for the file.

    ## When not
    It runs where a target is named (`cnnlint --for onnxruntime==1.17`, or `for` in the configuration), and says what
    documentation says; an opset older than those that are documented is a warning, since many of its operators still
    run. It does not judge which kernels a release has for an operator's types, nor operators of domains
    of your own or of com.microsoft: a default lint loads the file with the onnxruntime that is installed, which knows.

    ## References
    - ONNX Runtime, "Compatibility", "ONNX opset support", https://onnxruntime.ai/docs/reference/compatibility.html.
    - ONNX, "ONNX Versioning", "Released versions", https://onnx.ai/onnx/repo-docs/Versioning.html.
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each target that does not support the file, with all that stands in the way."""
        for target in self.releases():
            found = target.obstacles(file.record)
            if found:
                yield self._unsupported(file, target, found)
            else:
                others = target.runtime.undocumented(file.record)
                besides = f"; nothing is documented of {', '.join(others)}" if others else ""
                yield self.skip(reason=f"{target.title} supports its IR version and opsets{besides}")

    def _unsupported(self, file: FileContext, target: Target, found: tuple[Obstacle, ...]) -> Diagnostic:
        newer = tuple(each for each in found if not each.is_outdated)
        opsets = [each for each in newer if each.kind == "opset"]
        operators = {each.name: _operators(file, each) for each in opsets}
        clauses = [_clause(each, operators.get(each.name, "")) for each in found]
        smallest = target.runtime.smallest_release(file.record)
        if smallest is not None:
            fate = f"The oldest release that is documented to support the file is {smallest.release}"
        else:
            last = target.runtime.releases[-1].release
            fate = f"No release up to {last} is documented to support the file"
        evidence = {_key(each): each.found for each in found}
        return self.finding(
            message=f"{target.title} {'; it '.join(clauses)}. {fate}.",
            evidence=evidence | {f"{_key(each)}_limit": each.supported for each in found},
            advice=_advice(found, target, newer=smallest is not None),
            severity=None if newer else Severity.WARNING,
            subject=target.title,
        )

    examples = (
        Bad(
            """
            <ir_version: 9, opset_import: ["" : 20]>
            gelu (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Gelu (x) }
            """,
            at=(),
            targets=("onnxruntime==1.16",),
        ),
        Bad(
            """
            <ir_version: 11, opset_import: ["" : 20]>
            newer_format (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Gelu (x) }
            """,
            at=(),
            targets=("onnxruntime==1.17.3",),
        ),
        Good(
            """
            <ir_version: 9, opset_import: ["" : 20]>
            gelu (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Gelu (x) }
            """,
            targets=("onnxruntime==1.17",),
        ),
        Good(
            """
            <ir_version: 9, opset_import: ["" : 20]>
            gelu (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Gelu (x) }
            """
        ),
    )


def _key(obstacle: Obstacle) -> str:
    return "ir_version" if obstacle.kind == "ir" else f"{obstacle.kind} of {obstacle.name}"


def _clause(obstacle: Obstacle, operators: str) -> str:
    """Return what of a file a release does not support, as the end of a sentence that begins with the release."""
    if obstacle.kind == "ir":
        return f"supports IR version {obstacle.supported} at most, and the file has {obstacle.found}"
    if obstacle.kind == "type":
        places = f"{obstacle.places[0]}{', …' if len(obstacle.places) > 1 else ''}"
        return f"does not know the type {obstacle.name} ({places}), which came with IR version {obstacle.found}"
    bound = "at least" if obstacle.is_outdated else "at most"
    return (
        f"supports opset {obstacle.supported} of {obstacle.name} {bound}, and the file has {obstacle.found}{operators}"
    )


def _operators(file: FileContext, obstacle: Obstacle) -> str:
    """Return which operators of a domain are newer than the release, or other than there, as a clause."""
    domain = "" if obstacle.name == "ai.onnx" else obstacle.name
    came, changed = dict[str, str](), dict[str, str]()
    called = [call for call in file.calls if call.nodes[0].domain == domain and call.schema is not None]
    for call in called:
        name = call.nodes[0].op_type
        versions = history(domain, name)
        if versions[0].since > obstacle.supported:
            came[name] = f"{name} came with {versions[0].since}"
        elif call.schema is not None and call.schema.since > obstacle.supported:
            changed[name] = f"{name} changed in {call.schema.since}"
    named = [*came.values(), *changed.values()]
    if named:
        return f" ({', '.join(named[:SHOWN])}{f', and {len(named) - SHOWN} more' if len(named) > SHOWN else ''})"
    return " (none of its operators has changed since)" if called else ""


def _advice(found: tuple[Obstacle, ...], target: Target, *, newer: bool) -> Advice:
    """Return what brings a file to what the release supports; `newer` is whether a newer release does."""
    steps = [f"export for opset {each.supported} of {each.name}" for each in found if each.kind == "opset"]
    types = [f"do without {each.name}" for each in found if each.kind == "type"]
    steps += types or [f"set model.ir_version = {each.supported}" for each in found if each.kind == "ir"]
    text = " and ".join(dict.fromkeys(steps))
    otherwise = f", or run a newer {target.runtime.name}" if newer else ""
    return Advice(text=f"{text[:1].upper()}{text[1:]}{otherwise}")
