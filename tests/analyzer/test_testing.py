"""The harness of rules fails where a rule, its page or its examples are wrong, and says how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import onnx
import pytest
from msgspec import Meta

from cnnlint.analysis.context import Context
from cnnlint.engine.rule import Bad, Diagnostic, Example, Good, LayerRule, ModelRule
from cnnlint.errors import ConfigError, ModelError
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Conv
from cnnlint.graph.training import Loss, Training
from cnnlint.results import NearMiss
from cnnlint.rewrite.editor import Editor
from cnnlint.testing import check_examples, check_page, findings, to_graph, to_model

NET = "INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> CONV 8 3x3 -> GAP"

ONNX_TEXT = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1, 3, 8, 8] x) => (float[1, 2, 8, 8] y)
    <float[2, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6}> { [only] y = Conv (x, kernel) }
"""


class ManyFilters(LayerRule[Conv], code="ZZ001"):
    """A convolution has many filters.

    ## Why
    It is a test.

    ## Instead
    Take fewer.

    ## References
    - None.
    """

    most: Annotated[int, Meta(description="Filters that are not many.", ge=1)] = 4

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        if layer.filters > self.most:
            yield self.finding(layer, message=f"It has {layer.filters} filters.", evidence={"filters": layer.filters})
        else:
            yield self.skip(layer, reason="few filters")

    examples = (Bad(NET, at=("conv2",)), Bad(NET, at=("conv1", "conv2"), most=2), Good(NET, most=8), Good(ONNX_TEXT))


def with_examples(*examples: Example) -> type[ManyFilters]:
    """Return the rule with other examples."""

    class Other(ManyFilters, code="ZZ002"):
        __doc__ = ManyFilters.__doc__

    Other.examples = examples
    return Other


def test_true_examples_and_a_whole_page_pass() -> None:
    check_examples(ManyFilters)
    check_page(ManyFilters)
    assert [finding.layers for finding in findings(ManyFilters, NET)] == [("conv2",)]


def test_options_are_given_to_a_class_or_an_instance() -> None:
    assert len(findings(ManyFilters, NET, most=2)) == len(findings(ManyFilters(most=2), NET)) == 2
    assert findings(ManyFilters(most=2), NET, most=8) == ()
    with pytest.raises(ConfigError, match="no such option"):
        findings(ManyFilters, NET, least=2)
    with pytest.raises(ConfigError):
        findings(ManyFilters, NET, most=0)


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ((Good(NET, most=8),), "no Bad example"),
        ((Bad(NET, at=("conv2",)),), "no Good example"),
        ((Bad(NET, at=("conv1",)), Good(NET, most=8)), "found at \\('conv2',\\) and not at \\('conv1',\\)"),
        ((Bad(NET, at=("conv2", "conv1"), most=2), Good(NET, most=8)), "found at \\('conv1', 'conv2'\\)"),
        ((Bad(NET, at=()), Good(NET, most=8)), "found at \\('conv2',\\) and not at \\(\\)"),
        ((Bad(NET, at=("conv2",), most=8), Good(NET, most=8)), "found nothing"),
        ((Bad(NET, at=("conv2",)), Good(NET)), "found It has 8 filters."),
    ],
)
def test_false_examples_fail(examples: tuple[Example, ...], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_examples(with_examples(*examples))


class Wordless(ModelRule, code="ZZ003"):
    """No full stop"""

    bare: int = 1

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        yield self.finding(message="It is wrong.", evidence={"share": 1})

    examples = (Bad(NET, at=()), Good(NET))


def test_a_finding_without_a_number_fails() -> None:
    with pytest.raises(AssertionError, match="no number"):
        check_examples(Wordless)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("No full stop", "first sentence"),
        ("It is wrong.\n\n## Why\nSo.\n\n## Instead\nSo.", "no section ## References"),
        ("It is wrong.\n\n## Why\n\n## Instead\nSo.\n\n## References\nSo.", "no section ## Why"),
    ],
)
def test_an_incomplete_page_fails(page: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wordless, "__doc__", page)
    with pytest.raises(AssertionError, match=said):
        check_page(Wordless)


def test_an_option_without_a_description_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wordless, "__doc__", ManyFilters.__doc__)
    with pytest.raises(AssertionError, match="does not describe its option bare"):
        check_page(Wordless)


def test_a_name_that_is_not_in_kebab_case_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ManyFilters, "name", "many_filters")
    with pytest.raises(AssertionError, match="called 'many_filters'"):
        check_page(ManyFilters)


class Crashing(ModelRule, code="ZZ004"):
    """It crashes."""

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        raise ZeroDivisionError("by 0")
        yield

    examples = (Bad(NET, at=()), Good(NET))


def test_a_rule_that_crashes_fails() -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError: by 0"):
        findings(Crashing, NET)


class Rewriting(ManyFilters, code="ZZ005"):
    __doc__ = ManyFilters.__doc__

    examples = (Bad(NET, at=("conv2",)), Good(NET, most=8))


def silence(self: Rewriting, layer: Conv, editor: Editor) -> None:
    """Set the bias to zero, which is another function."""
    for tensor in editor.model.graph.initializer:
        if tensor.name == f"{layer.name}.bias":
            tensor.CopyFrom(onnx.numpy_helper.from_array(0 * onnx.numpy_helper.to_array(tensor), tensor.name))


def rename(self: Rewriting, layer: Conv, editor: Editor) -> None:
    """Keep the function and the fault."""
    for node in editor.model.graph.node:
        node.doc_string = layer.name


@pytest.mark.parametrize(
    ("rewrite", "said"), [(silence, "the rewrite differs by"), (rename, "still has It has 8 filters")]
)
def test_a_rewrite_that_changes_the_function_or_not_the_fault_fails(
    rewrite: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rewriting, "rewrite", rewrite)
    with pytest.raises(AssertionError, match=said):
        check_examples(Rewriting)


TWICE = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) {
        [first] a = Relu (x) [second] b = Relu (a) [last] y = Tanh (b)
    }
"""
ONCE = TWICE.replace("[second] b = Relu (a) ", "").replace("Tanh (b)", "Tanh (a)")


class RepeatedRelu(ModelRule, code="ZZ006"):
    """A ReLU follows a ReLU."""

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        relus = [layer for layer in context.graph.layers if layer.label == "relu"]
        if len(relus) > 1:
            yield self.finding(*relus, message=f"{len(relus)} ReLUs in a row.", evidence={"relus": len(relus)})

    def rewrite(self, layers: tuple[Layer, ...], editor: Editor) -> None:
        editor.bypass(editor.core(layers[1], "Relu"))

    examples = (Bad(TWICE, at=("first", "second"), fixed=ONCE), Good(ONCE))


def test_a_rule_about_the_network_rewrites_the_layers_that_it_names() -> None:
    check_examples(RepeatedRelu)


@pytest.mark.parametrize("wrong", [TWICE, ONCE.replace("Tanh", "Sigmoid"), ONCE.replace("8, 8", "8, 9")])
def test_a_rewrite_that_makes_another_network_than_the_example_says_fails(wrong: str) -> None:
    class Other(RepeatedRelu, code="ZZ007"):
        __doc__ = RepeatedRelu.__doc__

    Other.examples = (Bad(TWICE, at=("first", "second"), fixed=wrong), Good(ONCE))
    with pytest.raises(AssertionError, match="the rewrite made"):
        check_examples(Other)


def test_text_is_notation_or_onnx() -> None:
    assert [layer.name for layer in to_graph(ONNX_TEXT).layers] == ["only"]
    assert [layer.name for layer in to_graph(to_model(NET)).layers] == ["conv1", "relu1", "conv2", "gap1"]
    with pytest.raises(ModelError, match="neither notation"):
        to_model("CONV 16 3x3")


def test_a_graph_says_what_the_file_would_say_of_its_training() -> None:
    training = Training((Loss("categorical_crossentropy", from_logits=True),))
    assert to_graph(NET, training=training).training == training
