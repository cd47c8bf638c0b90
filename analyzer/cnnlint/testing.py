"""Tests of rules, for those who write them: a rule's examples and its page are its tests.

from cnnlint.testing import check_examples, check_page, findings

def test_my_rule():
    check_page(MyRule)
    check_examples(MyRule)
    assert not findings(MyRule, "INPUT 3x32x32 -> CONV 16 3x3 -> RELU", limit=3)
"""

from __future__ import annotations

import json
import re
from inspect import cleandoc
from typing import TYPE_CHECKING, Literal, cast

import msgspec
from msgspec import inspect as types
from msgspec.structs import replace

from cnnlint.engine.config.binding import make_rule
from cnnlint.engine.rule import Example, FileRule, KerasRule, Rule
from cnnlint.engine.walker import Walk, walk
from cnnlint.errors import CnnlintError, ModelError
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.keras.file import newest_keras
from cnnlint.frontends.keras.raise_graph import raise_archive
from cnnlint.frontends.keras.records import ArchiveRecord, WeightRecord
from cnnlint.frontends.notation import is_notation, to_onnx
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Weight
from cnnlint.graph.training import UNTOLD, Training
from cnnlint.results import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from cnnlint.engine.telling import Hit
    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.runtime.probe import Probe
    from cnnlint.runtime.program import Program

HEADINGS = ("Why", "Instead", "References")
"""Sections that every rule's page has; most say "When not" as well."""

LEFT_OUT = frozenset(Layer.__struct_fields__)
"""What all layers have: names, origin, tensors and weights."""

KEBAB_CASE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def to_model(text: str) -> onnx.ModelProto:
    """Return the network that `text` describes: in the notation of docs/notation.md, as ONNX text, or as protobuf text.

    Protobuf text, which begins with "ir_version:", can say what ONNX text cannot.

    Raises:
        ModelError: It is neither.
    """
    if is_notation(text):
        return to_onnx(text)
    if cleandoc(text).startswith("ir_version:"):
        return _from_protobuf_text(cleandoc(text))
    import onnx.parser

    try:
        return onnx.parser.parse_model(cleandoc(text))
    except onnx.parser.ParseError as error:
        raise ModelError(f"neither notation (which starts with INPUT) nor ONNX text: {error}") from error


def _from_protobuf_text(text: str) -> onnx.ModelProto:
    import onnx
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, onnx.ModelProto())
    except text_format.ParseError as error:
        raise ModelError(f"this is no protobuf text: {error}") from error


def to_graph(model: str | onnx.ModelProto, *, training: Training = UNTOLD) -> Graph:
    """Return the graph of a network given as text or as an ONNX model, with what the file would say of training."""
    proto = to_model(model) if isinstance(model, str) else model
    graph = load_onnx_bytes(proto.SerializeToString())
    return replace(graph, training=training)


def structure(graph: Graph) -> list[str]:
    """Return a network's inputs and layers as lines without names: kind and settings, weights, wiring, shapes.

    Networks of the same lines differ at most in names and in the values of weights.
    """
    numbers = {tensor.name: f"input {index}" for index, tensor in enumerate(graph.inputs)}
    lines = [f"input {index}: {tensor.sample_shape}" for index, tensor in enumerate(graph.inputs)]
    for position, layer in enumerate(graph.layers):
        values = {name: getattr(layer, name) for name in layer.__struct_fields__ if name not in LEFT_OUT}
        settings = {
            name: value for name, value in values.items() if value is not None and not isinstance(value, Weight)
        }
        weights = ", ".join(f"{weight.size:,}" for weight in layer.weights)
        fed = ", ".join(numbers[tensor.name] for tensor in layer.inputs)
        shapes = ", ".join(str(tensor.sample_shape) for tensor in layer.outputs)
        lines.append(f"{position}: {layer.kind} {settings} with {weights or 'no'} weights, of {fed} to {shapes}")
        numbers.update((tensor.name, f"{position}.{index}") for index, tensor in enumerate(layer.outputs))
    return lines


def findings(
    rule: Rule | type[Rule],
    model: str | onnx.ModelProto,
    *,
    training: Training = UNTOLD,
    **options: object,
) -> tuple[Finding, ...]:
    """Return what `rule` finds in `model`, in the order of the graph; rules about run time are given real runs.

    Args:
        rule: A class or an instance.
        model: As text, or as an ONNX model.
        training: What the file would say of training.
        options: Of the rule, in Python's spelling.

    Raises:
        AssertionError: The rule raised an exception.
        ConfigError: The rule has no such option or refuses its value.
    """
    proto = to_model(model) if isinstance(model, str) else model
    graph = to_graph(proto, training=training)
    return _walk(with_options(rule, **options), proto, graph, _probe(proto, graph)).findings


def lint(
    rule: Rule, model: str | Graph, *, training: Training = UNTOLD, source: Literal["onnx", "keras"] = "onnx"
) -> Walk:
    """Return what `rule` finds in the graph of `model` and where it stays silent; nothing is run.

    Args:
        rule: An instance.
        model: As text, or as a graph.
        training: What the file would say of training, if not what the graph says.
        source: The format that the graph is to come from.
    """
    graph = to_graph(model) if isinstance(model, str) else model
    seen = replace(
        graph,
        source=replace(graph.source, format=source),
        training=graph.training if training is UNTOLD else training,
    )
    return walk(seen, [rule], near_misses=True)


def with_options(rule: Rule | type[Rule], **options: object) -> Rule:
    """Return `rule` with `options` in Python's spelling, checked as those of a configuration are.

    Raises:
        ConfigError: The rule has no such option or refuses its value.
    """
    if isinstance(rule, Rule):
        rule, options = type(rule), {**msgspec.structs.asdict(rule), **options}
    plain = {name.replace("_", "-"): msgspec.to_builtins(value) for name, value in options.items()}
    return make_rule(rule, plain, place=rule.code)


def rewritten(rule: Rule | type[Rule], model: str | onnx.ModelProto, **options: object) -> onnx.ModelProto:
    """Return `model` as `rule` rewrites what it finds in it; whether that computes the same is not looked at.

    Raises:
        AssertionError: The rule raised an exception, or refuses a rewrite.
        ConfigError: The rule has no such option or refuses its value.
    """
    made = with_options(rule, **options)
    proto = to_model(model) if isinstance(model, str) else model
    graph = to_graph(proto)
    probe = _probe(proto, graph)
    return _rewritten(
        made, _walk(made, proto, graph, probe).hits, probe.program, graph, f"{made.code} on {proto.graph.name}"
    )


def check_examples(rule: type[Rule]) -> None:
    """Check that each Bad finds exactly what it says and each Good nothing; rewrites are verified and linted again.

    Raises:
        AssertionError: An example does not hold; the message says which and what was found.
    """
    _require(any(example.bad for example in rule.examples), f"{rule.code} has no Bad example")
    _require(any(not example.bad for example in rule.examples), f"{rule.code} has no Good example")
    for example in rule.examples:
        check_example(rule, example)


def check_example(rule: type[Rule], example: Example) -> None:
    """Check one example of `rule`.

    Raises:
        AssertionError: It does not hold.
    """
    made = with_options(rule, **example.options)
    if issubclass(rule, KerasRule):
        _check_told(rule, example, walk(keras_graph(example.model), [made]))
        return
    proto = to_model(example.model)
    graph = to_graph(proto, training=example.training)
    probe = _probe(proto, graph)
    walked = _walk(made, proto, graph, probe)
    _check_told(rule, example, walked)
    if rule.is_fixable() and example.bad:
        where = f"{rule.code} on {cleandoc(example.model)}"
        _check_rewrites(made, walked, probe.program, graph, where, fixed=example.fixed)


def keras_graph(text: str) -> Graph:
    """Return the network of a configuration of Keras, with the shapes of its arrays under "weights" if it says them."""
    config = json.loads(text)
    shapes = cast("dict[str, list[int]] | None", config.pop("weights", None))
    arrays = [WeightRecord(key, key, tuple(shape), "float32") for key, shape in (shapes or {}).items()]
    version = ".".join(map(str, newest_keras()))
    unread = "" if shapes is not None else "an example has none"
    archive = ArchiveRecord("", "keras", version, config, None, tuple(arrays), unread=unread)
    return raise_archive(archive)


def _check_told(rule: type[Rule], example: Example, walked: Walk) -> None:
    where = f"{rule.code} on {cleandoc(example.model)}"
    told = "; ".join(finding.message for finding in walked.findings)
    _require(bool(walked.findings) == example.bad, f"{where}: {f'found {told}' if told else 'found nothing'}")
    at = tuple(name for finding in walked.findings for name in finding.layers)
    _require(at == example.at, f"{where}: found at {at} and not at {example.at}: {told}")
    for finding in walked.findings:
        check_finding(finding, counts=not issubclass(rule, FileRule))


def check_finding(finding: Finding, *, counts: bool = True) -> None:
    """Check that a finding shows its numbers: as evidence, and in a message of one sentence.

    Args:
        finding: What a rule said.
        counts: Whether it must have a number; what is wrong with a file may be a name.

    Raises:
        AssertionError: It does not.
    """
    what = f"{finding.code}: {finding.message!r}"
    _require(bool(finding.evidence) or not counts, f"{what} has no evidence")
    is_shown = re.search(r"\d", finding.message) is not None
    _require(is_shown or not finding.evidence, f"{what} has no number in it")
    _require(finding.message.endswith("."), f"{what} does not end as a sentence does")
    _require("\n" not in finding.message, f"{what} has more than one line")


def check_page(rule: type[Rule]) -> None:
    """Check that `rule` is documented: what is wrong, the sections of its page, each option; and well named.

    Raises:
        AssertionError: Something is missing.
    """
    page = cleandoc(rule.__doc__ or "")
    first = page.partition("\n\n")[0]
    _require(first.endswith("."), f"{rule.code} does not say in its first sentence what is wrong")
    sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", page, re.MULTILINE))
    for heading in HEADINGS:
        _require(bool(sections.get(heading, "").strip()), f"{rule.code} has no section ## {heading}")
    _require(
        KEBAB_CASE.fullmatch(rule.name) is not None,
        f"{rule.code} is called {rule.name!r} and not in kebab-case",
    )
    for option in msgspec.structs.fields(rule):
        extra = cast("dict[str, object] | None", getattr(types.type_info(option.type), "extra_json_schema", None))
        _require(
            bool((extra or {}).get("description")),
            f"{rule.code} does not describe its option {option.encode_name}",
        )
        _require(not option.required, f"{rule.code} has no default for its option {option.encode_name}")


def _probe(proto: onnx.ModelProto, graph: Graph) -> Probe:
    from cnnlint.runtime.probe import Probe
    from cnnlint.runtime.program import Program

    return Probe(Program.from_proto(proto), graph)


def _walk(rule: Rule, proto: onnx.ModelProto, graph: Graph, probe: Probe) -> Walk:
    walked = walk(graph, [rule], probe=probe)
    crashes = [finding.message for finding in walked.findings if finding.code != rule.code]
    _require(not crashes, f"{''.join(crashes[:1])} on {proto.graph.name}")
    return walked


def _check_rewrites(rule: Rule, walked: Walk, program: Program, graph: Graph, where: str, *, fixed: str) -> None:
    from onnx.checker import check_model  # pyright: ignore[reportUnknownVariableType]

    from cnnlint.runtime.program import Program
    from cnnlint.runtime.runner import OnnxRunner
    from cnnlint.verification.verify import compare

    hits = [hit for hit in walked.hits if hit.finding.fixable]
    if not hits:
        _require(not fixed, f"{where}: the rule says that it cannot be rewritten")
        return
    made = _rewritten(rule, hits, program, graph, where)
    check_model(made, full_check=True)
    after = to_graph(made)
    runners = OnnxRunner("before", program, graph), OnnxRunner("after", Program.from_proto(made), after)
    parity = compare(*runners, rewritten=True)
    worst = max((row.max_rel_error or 0.0 for row in parity.outputs), default=0.0)
    _require(parity.equal, f"{where}: the rewrite differs by {worst:.2g}{''.join(parity.interface)}")
    if fixed:
        got, meant = structure(after), structure(to_graph(fixed))
        _require(got == meant, f"{where}: the rewrite made {got} and not {meant}")
    left = _again(rule, made)
    _require(not left, f"{where}: the rewritten network still has {'; '.join(left)}")


def _rewritten(rule: Rule, hits: Sequence[Hit], program: Program, graph: Graph, where: str) -> onnx.ModelProto:
    from onnx import numpy_helper

    from cnnlint.rewrite.editor import Editor
    from cnnlint.rewrite.weights import settle_weights

    editor = Editor(program.proto(), program.folder, cast("FileContext | None", graph.file))
    for hit in hits:
        try:
            with editor.whole():
                rule.rewrite(hit.where, editor)
        except CnnlintError as error:
            at = ", ".join(hit.finding.layers)
            raise AssertionError(f"{where}: is not rewritten at {at}: {error.cause}") from error
    made = editor.finish()
    settle_weights(made, editor.computed, "", lambda name, values: numpy_helper.from_array(values, name))
    return made


def _again(rule: Rule, proto: onnx.ModelProto) -> list[str]:
    graph = to_graph(proto)
    return [finding.message for finding in _walk(rule, proto, graph, _probe(proto, graph)).findings]


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
