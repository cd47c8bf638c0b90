"""Each Keras layer after a convolution and its conversion by tf2onnx: one list of layers."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlint.analysis.context import Context
from cnnlint.conversion import convert_keras
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends import load
from cnnlint.graph.graph import Graph
from distinct_layers import distinct_layers
from keras_cases.layers import LAYERS
from keras_cases.networks import NETWORKS

pytestmark = pytest.mark.tf

ALIKE = (
    "residual", "shared", "encoder", "nested", "frozen", "spectral", "generator", "waveform", "u_net", "group_norms",
    "unnamed_sizes",
)  # fmt: skip
"""Networks that have kernels from the start, and nothing of what is apart below."""

TAKEN_APART = ("waveform", "u_net", "group_norms")
"""Those of them that tf2onnx takes apart, and whose layers have the names of Keras all the same."""

NOT_CONVERTED = ("Discretization", "Activation-celu", "Activation-threshold")
"""Layers that tf2onnx has no operators for."""

APART = {
    "Conv1DTranspose-*": "the axis that TensorFlow adds goes through arithmetic of shapes at run time",
    "Global*-first": "rows taken for channels: a transposed mean in Keras, a mean of other axes in ONNX",
    "Adaptive*": "written as a sum over many poolings",
    "EinsumDense-*": "tokens, which ONNX cannot tell from the positions of a signal",
    "LayerNormalization-tokens": "tokens",
    "RMSNormalization": "tokens",
    "Permute-*": "a Transpose like those of a layout",
    "Reshape-map": "a vector made a map that no kernel reads: it has no layout in ONNX",
    "BatchNormalization-first": "a norm of rows",
    "BatchNormalization-vector": "a norm of the input, which scales it",
    "LayerNormalization-axes": "spelled out in two layouts",
    "UnitNormalization": "spelled out",
    "Rescaling": "a product behind a convolution",
    "Normalization*": "a product and a sum behind a convolution",
    "RepeatVector": "a Tile",
    "*Embedding*": "a table, of which ONNX makes arithmetic on indices",
    "Masking": "arithmetic",
    "Random*": "only training needs them",
    "GaussianNoise": "only training needs it",
    "Activation-hard_tanh": "two limits",
    "Activation-exponential": "a function like any other",
    "Activation-*sigmoid": "arithmetic",
    "Activation-s*plus": "arithmetic",
    "Activation-*_shrink": "arithmetic",
    "Activation-sparsemax": "arithmetic and a sort",
    "ReLU-capped": "a relu and a limit",
    "ReLU-threshold": "arithmetic",
    "ELU": "arithmetic, for a slope that is not 1",
    "Softmax-axes": "spelled out",
    "*LSTM*": "a Loop",
    "*GRU*": "a Loop",
    "*RNN*": "a Loop",
}
"""Layers that the two sides do not show alike, and what ONNX has in their place."""

LIKE_KERAS = (
    "Activation-sigmoid", "Activation-hard_sigmoid", "Activation-softplus", "Conv1DTranspose-valid",
    "Conv1DTranspose-dilated", "EinsumDense-joined",
)  # fmt: skip
"""Exceptions from the patterns above."""


def behind_a_convolution(keras: Any, name: str) -> Any:
    """Build the case behind a 1 × 1 convolution, which tells the axes of a converted file apart."""
    case = LAYERS[name](keras)
    (given,) = case.inputs
    image = value = keras.Input(given.shape[1:], dtype=given.dtype)
    rank = len(given.shape) - 2
    if rank > 0 and "channels-first" not in name and "float" in given.dtype:
        convolution = getattr(keras.layers, f"Conv{rank}D")
        value = convolution(given.shape[-1], 1, activation="tanh", dtype=given.dtype)(image)
    return keras.Model(image, case(value))


def both_sides(model: Any, folder: Path) -> tuple[Graph, Graph]:
    from zoo.build import perturb

    archive, converted = folder / "net.keras", folder / "net.onnx"
    with quiet():
        perturb(model, np.random.default_rng(0))
        model.save(archive)
        converted.write_bytes(convert_keras(model).model.SerializeToString())
    return load(str(archive)), load(str(converted))


@pytest.fixture
def keras() -> Any:
    keras = toolchain().keras
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    return keras


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if name in {"shared", "nested", "waveform", "group_norms"} else pytest.mark.exhaustive
        )
        for name in ALIKE
    ],
)
def test_a_network_and_its_conversion_are_one_graph(name: str, keras: Any, tmp_path: Path) -> None:
    archive, converted = both_sides(NETWORKS[name](keras), tmp_path)
    assert distinct_layers(archive) == distinct_layers(converted)
    assert Context(archive).macs == Context(converted).macs
    if name in TAKEN_APART:
        folded, unnamed = {"norm"}, {"up1"}  # tf2onnx calls its bilinear Resize just that
        assert {layer.name for layer in archive.layers} - folded - unnamed == (
            {layer.name for layer in converted.layers} - folded - {"Resize"}
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in NOT_CONVERTED])
def test_a_layer_and_its_conversion_are_one_graph(name: str, keras: Any, tmp_path: Path) -> None:
    archive, converted = both_sides(behind_a_convolution(keras, name), tmp_path)
    apart = name not in LIKE_KERAS and any(fnmatchcase(name, pattern) for pattern in APART)
    # What is apart must be: the list shall not outlive its reasons.
    assert (distinct_layers(archive) != distinct_layers(converted)) == apart
