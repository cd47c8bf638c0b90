"""Code that pages show builds the network that the notation beside it describes: as Keras and PyTorch count it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from msgspec.structs import replace

import cnnlint
from cnnlint.analysis.context import Context
from cnnlint.engine.registry import load_rules
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.notation import is_notation, to_onnx
from cnnlint.graph.training import UNTOLD
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
        keras.utils.clear_session(free_memory=False)
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


TRAINED = [
    (example.model, example.training)
    for rule in load_rules()
    for example in rule.examples
    if is_notation(example.model) and example.training is not UNTOLD
]
"""Examples of rules on how a network is trained."""


@pytest.mark.tf
def test_keras_compiles_what_the_code_says_of_training(thorough, tmp_path):
    import keras

    for text, training in TRAINED[:: 1 if thorough else 4]:
        code = keras_code(replace(graph_of(text), training=training))
        names = {"keras": keras, "layers": keras.layers}
        exec(code, names)
        model = names.get("model") or eval(code, names)
        model.save(tmp_path / "model.keras")
        saved = cnnlint.load(tmp_path / "model.keras")
        if training.losses:
            assert [loss.name for loss in saved.training.losses] == [loss.name for loss in training.losses]
            assert [bool(loss.from_logits) for loss in saved.training.losses] == [
                bool(loss.from_logits) for loss in training.losses
            ]
        assert saved.training.metrics == training.metrics
        if (wanted := training.optimizer) is not None:
            made = saved.training.optimizer
            assert made is not None
            told = (made.name, made.learning_rate, made.momentum or None, made.schedule)
            assert told == (wanted.name, wanted.learning_rate, wanted.momentum or None, wanted.schedule)
        begun = {
            f"{layer.origin[0].name}.{weight.role}": saved.training.initializers.get(weight.key)
            for layer in saved.layers
            for weight in layer.weights
        }
        wanted = list(training.initializers.values())
        assert [each for each in wanted if each not in begun.values()] == []
        keras.utils.clear_session(free_memory=False)


def test_pytorch_makes_the_loss_and_the_optimizer_that_the_code_says(thorough):
    pytest.importorskip("torch")
    lines, expected = ["import torch", "from torch import nn"], list[str]()
    for text, training in TRAINED[:: 1 if thorough else 4]:
        lines.append(str(pytorch_code(replace(graph_of(text), training=training))))
        told = training.optimizer
        if told is not None and told.learning_rate is not None and told.learning_rate >= 0:
            lines.append('print(type(optimizer).__name__.lower(), optimizer.param_groups[0]["lr"])')
            expected.append(f"{told.name} {told.learning_rate}")
    # in a process of its own: PyTorch's optimizers load what does not go with TensorFlow in one
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected


def test_a_page_shows_how_the_networks_are_compiled():
    text = page(load_rules().get("HD003"))
    assert "model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))" in text
    assert "momentum=1)" in page(load_rules().get("BN008"))
    assert 'kernel_initializer="zeros"' in page(load_rules().get("IN001"))
