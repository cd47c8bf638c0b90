"""WA006: branches that are one convolution, held against the merged convolution under onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest

from cnnlint.testing import findings, lint
from cnnlint_rules.waste.parallel_linear_branches import ParallelLinearBranches

CHANNELS, SIDE = 3, 8


def text_of(*branches: str, declared: str = "") -> str:
    """Return a network that sums `branches`, each a node's right side that reads a."""
    names = [f"b{index}" for index in range(len(branches))]
    body = " ".join(f"{name} = {branch}" for name, branch in zip(names, branches, strict=True))
    return f"""<ir_version: 8, opset_import: ["" : 15]> net (float[1, 3, 8, 8] x) => (y) {declared}
        {{ a = Relu (x) {body} s = Sum ({", ".join(names)}) y = Relu (s) }}"""


def weights() -> tuple[str, dict[str, np.ndarray]]:
    """Return the kernels as ONNX text, and as arrays."""
    chance = np.random.default_rng(4)
    shapes = {"k3": (3, 3, 3, 3), "k1": (3, 3, 1, 1), "d3": (3, 1, 3, 3), "k5": (3, 3, 5, 5)}
    arrays = {name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    declared = ", ".join(
        f"float[{','.join(map(str, array.shape))}] {name} = {{{', '.join(map(repr, map(float, array.reshape(-1))))}}}"
        for name, array in arrays.items()
    )
    return f"<{declared}>", arrays


K3 = "Conv <pads = [1, 1, 1, 1]> (a, k3)"
K3S2 = "Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (a, k3)"
K1 = "Conv (a, k1)"
K1S2 = "Conv <strides = [2, 2]> (a, k1)"
D3 = "Conv <pads = [1, 1, 1, 1], group = 3> (a, d3)"
K5 = "Conv <pads = [2, 2, 2, 2]> (a, k5)"
SHIFTED = "Conv <pads = [2, 2, 0, 0]> (a, k3)"
WIDE = "Conv <pads = [2, 2, 2, 2], dilations = [2, 2]> (a, k3)"
IDENTITY = "Identity (a)"
ONES = np.ones((CHANNELS, 1, 1, 1), np.float32)


@pytest.mark.parametrize(
    ("branches", "kernel", "attributes"),
    [
        ((K3, K1), lambda w: w["k3"] + middle(w["k1"], 3), "pads = [1, 1, 1, 1]"),
        ((K3, K1, IDENTITY), lambda w: w["k3"] + middle(w["k1"], 3) + unit(3), "pads = [1, 1, 1, 1]"),
        ((K3S2, K1S2), lambda w: w["k3"] + middle(w["k1"], 3), "pads = [1, 1, 1, 1], strides = [2, 2]"),
        ((K5, K3), lambda w: w["k5"] + middle(w["k3"], 5), "pads = [2, 2, 2, 2]"),
        ((K5, SHIFTED), lambda w: w["k5"] + corner(w["k3"], 5), "pads = [2, 2, 2, 2]"),
        ((IDENTITY, D3), lambda w: w["d3"] + middle(ONES, 3), "pads = [1, 1, 1, 1], group = 3"),
    ],
    ids=["1x1", "identity", "stride", "5x5", "shifted", "depthwise"],
)  # fmt: skip
def test_what_is_found_is_one_convolution(branches, kernel, attributes):
    declared, arrays = weights()
    text = text_of(*branches, declared=declared)
    (found,) = findings(ParallelLinearBranches, text)
    assert found.evidence["branches"] == len(branches)
    merged = kernel(arrays)
    values = ", ".join(map(repr, map(float, merged.reshape(-1))))
    one = text_of(
        f"Conv <{attributes}> (a, m)", declared=f"<float[{','.join(map(str, merged.shape))}] m = {{{values}}}>"
    )
    x = np.random.default_rng(5).normal(size=(1, CHANNELS, SIDE, SIDE)).astype(np.float32)
    before, after = (
        onnxruntime.InferenceSession(onnx.parser.parse_model(each).SerializeToString()).run(None, {"x": x})[0]
        for each in (text, one)
    )
    np.testing.assert_allclose(before, after, atol=1e-4)


def middle(kernel: np.ndarray, size: int) -> np.ndarray:
    """Return a kernel with zeros around it."""
    border = (size - kernel.shape[-1]) // 2
    return np.pad(kernel, ((0, 0), (0, 0), (border, border), (border, border)))


def corner(kernel: np.ndarray, size: int) -> np.ndarray:
    """Return a kernel with zeros after it."""
    border = size - kernel.shape[-1]
    return np.pad(kernel, ((0, 0), (0, 0), (0, border), (0, border)))


def unit(size: int) -> np.ndarray:
    """Return the kernel that changes nothing."""
    return middle(np.eye(CHANNELS, dtype=np.float32)[:, :, None, None], size)


@pytest.mark.parametrize(
    "branches",
    [(K3, "Sigmoid (a)"), (K3, SHIFTED), (K3, D3), (K3, WIDE), (IDENTITY, IDENTITY)],
    ids=["non-linear", "windows that differ", "groups that differ", "dilations that differ", "no convolution"],
)  # fmt: skip
def test_what_is_no_single_convolution_of_the_largest_window_is_left_alone(branches):
    declared, _ = weights()
    assert not findings(ParallelLinearBranches, text_of(*branches, declared=declared))


REPVGG = "RES[CONV 48 3x3 nobias -> BN | CONV 48 1x1 nobias -> BN]"


def test_a_keras_file_is_a_training_graph():
    text = f"INPUT 3x32x32 -> CONV 48 3x3 -> RELU -> {REPVGG} -> RELU -> GAP -> FC 10"
    walked = lint(ParallelLinearBranches(), text, source="keras")
    assert not walked.hits
    assert "training graph" in walked.near_misses["WA006"][0].reason


def test_a_branch_that_something_else_reads_stays_apart():
    text = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> RES[CONV 8 3x3 -> RES[RELU -> CONV 8 3x3]] -> RELU -> GAP -> FC 10"
    assert not findings(ParallelLinearBranches, text)


def test_a_block_of_repvgg_saves_what_the_paper_says():
    # Ding et al. 2021, figure 4: of a 3 × 3 and a 1 × 1 branch, each normalized, a 3 × 3 with a bias remains
    block = "CONV 48 3x3 nobias -> BN"
    text = f"INPUT 3x32x32 -> CONV 48 3x3 -> RELU -> RES[{block} | CONV 48 1x1 nobias -> BN] -> RELU -> GAP -> FC 10"
    (found,) = findings(ParallelLinearBranches, text)
    assert found.savings is not None
    assert found.savings.parameters == 48 * 48 + 2 * 4 * 48 - 48
    assert found.savings.macs == 32 * 32 * 48 * 48
    assert found.severity == "warning"
