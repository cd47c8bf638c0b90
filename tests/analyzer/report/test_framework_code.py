"""Code that pages show builds the network that the notation beside it describes: as Keras and PyTorch count it."""

from __future__ import annotations

import pytest

from cnnlint.analysis.context import Context
from cnnlint.engine.registry import load_rules
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.notation import is_notation, to_onnx
from cnnlint.report.framework_code import keras_code, pytorch_code
from cnnlint.report.rule_page import page

BLOCK = "RES[CONV 8 3x3 nobias -> BN -> RELU | CONV 8 1x1]"
BRANCHES = f"INPUT 8x9x9 -> {BLOCK} -> CAT[CONV 8 3x3 stride 2 | POOL 3 stride 2 pad 1]"
OTHERS = [
    f"{BRANCHES} -> GAP keep -> FLATTEN -> FC 10 nobias -> SOFTMAX",
    "INPUT 4x64 -> CONV 8 5 dilation 2 -> GELU -> DROPOUT 0.3 -> AVGPOOL 4 -> GMP -> FC 2 -> SIGMOID",
    "INPUT 2x8x8x8 -> CONV 4 3x3x3 groups 2 -> HSWISH -> POOL 2 ceil -> FLATTEN -> FC 3",
    "INPUT 3x10x10 -> PAD 1 2 -> CONV 8 4x4 stride 2 -> GATE[CONV 8 1x1 -> TANH] -> FLATTEN -> FC 3",
]
EXAMPLES = [example.model for rule in load_rules() for example in rule.examples if is_notation(example.model)]


@pytest.fixture
def networks(thorough: bool) -> list[str]:
    """Return the examples of all rules, or some, and networks of what they lack."""
    return list(dict.fromkeys([*EXAMPLES[:: 1 if thorough else 6], *OTHERS]))


def graph_of(text):
    return load_onnx_bytes(to_onnx(text).SerializeToString())


@pytest.mark.tf
def test_keras_builds_the_network_that_the_code_says(networks):
    import keras

    written = 0
    for text in networks:
        graph = graph_of(text)
        if (code := keras_code(graph)) is None:
            continue
        written += 1
        names = {"keras": keras, "layers": keras.layers}
        if code.startswith("keras.Sequential"):
            model = eval(code, names)
        else:
            exec(code, names)
            model = keras.Model(names["x"], names[graph.outputs[0].name.replace("/", "_")])
        assert model.count_params() == Context(graph).parameters, text
        channels, *spatial = graph.outputs[0].sample_extents
        assert model.output_shape[1:] == (*spatial, channels), text
        keras.backend.clear_session()
    assert written >= len(networks) - 3


def test_pytorch_builds_the_network_that_the_code_says(networks):
    torch = pytest.importorskip("torch")
    written = 0
    for text in networks:
        graph = graph_of(text)
        if (code := pytorch_code(graph)) is None or None in (graph.inputs[0].sample_extents or (None,)):
            continue
        written += 1
        names = {"torch": torch, "nn": torch.nn}
        if code.startswith("nn.Sequential"):
            model = eval(code, names)
        else:
            exec(code, names)
            model = names["Network"]()
        sizes = [
            value.numel() for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")
        ]
        assert sum(sizes) == Context(graph).parameters, text
        with torch.no_grad():
            out = model.eval()(torch.zeros(2, *graph.inputs[0].sample_extents))
        assert tuple(out.shape[1:]) == graph.outputs[0].sample_extents, text
    assert written >= len(networks) - 6


def test_a_network_that_has_no_words_in_a_framework_has_no_code():
    graph = graph_of("INPUT 8x9x9 -> LRN -> CONV 8 3x3")
    assert keras_code(graph) is None
    assert pytorch_code(graph) is None


def test_a_page_shows_what_the_rewrite_makes_in_both_frameworks():
    rule = load_rules().get("FC002")
    text = page(rule)
    assert "In Keras, before and after:" in text
    assert "nn.Conv2d(8, 16, 16)" in text
    assert "layers.Conv2D(16, 16)" in text
    assert "Keras, before" not in page(rule, code=False)
