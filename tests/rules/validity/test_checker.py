"""What onnx's checker rejects is told, and what it passes is not called an error: each keeps the other honest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto
from onnx.checker import ValidationError, check_model
from onnx.shape_inference import InferenceError

import onnx_mutations
from cnnlint.engine.registry import load_rules
from cnnlint.engine.walker import walk
from cnnlint.errors import ModelError
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.frontends.onnx.skeleton import read_bytes
from cnnlint.graph.graph import Graph
from cnnlint.results import Confidence, Finding, Severity
from cnnlint.runtime.referee import is_left_to_rules
from zoo import operator_cases

FIXTURES = Path(__file__).parents[3] / "fixtures"
SHIPPED = Path(onnx.__file__).parent / "backend" / "test" / "data"

RULES = tuple(rule() for rule in load_rules().rules if rule.code.startswith("ON") and not rule.needs_run)

MUTATIONS = dict(onnx_mutations.mutations())

UNTOLD = {
    "reference_outside_a_function": "the checker passes it, and shape inference misses the value where it needs one",
    "future_ir_version": "a warning: the checker rejects what is newer than itself, and a newer one may not",
    "initializer_of_no_data": "a file whose weights were taken out is read on purpose",
    "external_without_location": "refused in a file; a model in memory has no folder that weights could lie in",
}
"""What the checker rejects and no rule calls an error, with the reason; docs/validity.md says the same."""


KNOW_MORE = frozenset({"ON005", "ON013"})
"""Rules that know more than the checker: shapes that follow from values, and numbers that no runtime takes."""


def _told(graph: Graph) -> tuple[Finding, ...]:
    return walk(graph, RULES).findings


def _is_rejected(model: ModelProto) -> str:
    try:
        check_model(model, full_check=True)
    except (ValidationError, InferenceError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


UNCHECKED = ("LayerNormalization",)
"""Operators whose attributes the checker does not look at, though their schemas list them (onnx 1.23)."""


def _disagreement(base: ModelProto, name: str) -> str:
    """Return how cnnlint and the checker differ on a mutation of `base`; "" if they agree or it cannot be made."""
    model = ModelProto()
    model.CopyFrom(base)
    if MUTATIONS[name](model) is False:
        return ""
    rejected = _is_rejected(model)
    try:
        findings = _told(load_onnx_bytes(model.SerializeToString()))
    except ModelError as error:
        # what cannot be run by anything may be refused though the checker does not see it
        return "" if rejected or name in onnx_mutations.BEYOND_THE_CHECKER else f"{name}: refused: {error}"
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if name == "future_opset":  # the checker applies the schemas that it has; of such a version no rule speaks
        return "" if not errors else f"{name} on {base.graph.name}: {errors[0].code} {errors[0].message}"
    if name == "unknown_attribute" and any(node.op_type in UNCHECKED for node in base.graph.node):
        return ""
    if rejected and not errors and name not in UNTOLD and is_left_to_rules(read_bytes(model.SerializeToString())):
        return f"{name} on {base.graph.name}: untold: {rejected.splitlines()[0]}"
    if not rejected and name not in onnx_mutations.BEYOND_THE_CHECKER:
        wrong = [error for error in errors if error.code not in KNOW_MORE]
        return f"{name} on {base.graph.name}: {wrong[0].code} {wrong[0].message}" if wrong else ""
    return ""


outside = pytest.mark.skipif(
    onnx.__version__.startswith("1.18."), reason="its checker, here asked in the tests' own process, crashes on some"
)


@outside
@pytest.mark.parametrize("name", MUTATIONS)
def test_what_the_checker_rejects_in_a_network_is_told_and_nothing_else_is_an_error(name: str) -> None:
    base = onnx.load(FIXTURES / "models" / "seed_cnn.onnx")
    assert not _is_rejected(base)
    assert not _disagreement(base, name)


@outside
@pytest.mark.parametrize("name", UNTOLD)
def test_what_is_left_to_the_checker_is_truly_rejected_by_it(name: str) -> None:
    base = onnx.load(FIXTURES / "models" / "seed_cnn.onnx")
    MUTATIONS[name](base)
    assert _is_rejected(base)


@outside
@pytest.mark.usefixtures("onnx_answers_here")
def test_what_the_checker_rejects_in_operator_tests_is_told(thorough: bool) -> None:
    cases = operator_cases()[:: 20 if thorough else 300]
    standard = [case for case in cases if any(each.domain == "" for each in case.opset_import)]
    bases = [case for case in standard if not _is_rejected(case)]
    assert len(bases) > 4
    assert [said for base in bases for name in MUTATIONS if (said := _disagreement(base, name))] == []


@outside
@pytest.mark.usefixtures("onnx_answers_here")
def test_the_checker_adds_nothing_where_it_is_not_asked(thorough: bool) -> None:
    files = [onnx.load(path) for path in sorted(FIXTURES.rglob("*.onnx"))]
    models = [each for each in (*operator_cases(), *files) if any(node.input for node in each.graph.node)]
    left = [each for each in models if is_left_to_rules(read_bytes(each.SerializeToString()))]
    bases = [base for base in left[:: 4 if thorough else 40] if not _is_rejected(base)]
    assert len(bases) > 4
    assert [said for base in bases for name in MUTATIONS if (said := _disagreement(base, name))] == []


def _judged(graph: Graph) -> tuple[Finding, ...]:
    return tuple(finding for finding in _told(graph) if finding.confidence is not Confidence.OPINION)


def _valid(thorough: bool) -> Iterator[tuple[str, Graph]]:
    for model in operator_cases()[:: 1 if thorough else 40]:
        yield model.graph.name, load_onnx_bytes(model.SerializeToString())
    paths = [*sorted(SHIPPED.rglob("*.onnx")), *sorted(FIXTURES.rglob("*.onnx"))]
    for path in paths[:: 1 if thorough else 8]:
        yield str(path), load(str(path))


@pytest.mark.usefixtures("onnx_answers_here")
def test_nothing_is_said_of_valid_models(thorough: bool) -> None:
    said = [(name, finding.code, finding.message) for name, graph in _valid(thorough) for finding in _judged(graph)]
    assert said == []
