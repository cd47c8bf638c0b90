"""WA007: kernels that no input has a part in, held against onnxruntime's constant folding."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest

from cnnlint.testing import findings, lint, to_graph, to_model
from cnnlint_rules.waste.computed_weights import ComputedWeights

NET = """<ir_version: 8, opset_import: ["" : 17]> net (float[N, 2, 8, 8] x, float[1] s) => (y)
    <float[3, 2, 1, 1] trained = {{1, 2, 3, 4, 5, 6}}, float[2, 3] other = {{1, 4, 2, 5, 3, 6}}, float[1] gain = {{2}},
     float16[3, 2, 1, 1] half = {{1, 2, 3, 4, 5, 6}}, int64[4] shape = {{3, 2, 1, 1}}> {{
        {body}
        y = Conv (x, kernel)
    }}"""

COMPUTED = {
    "standardized": "m = ReduceMean <axes = [1, 2, 3]> (trained) kernel = Sub (trained, m)",
    "scaled and reshaped": "f = Mul (trained, gain) kernel = Reshape (f, shape)",
    "by a batch normalization": """t = Transpose <perm = [1, 0]> (other) n = Reshape (t, shape)
        one = Constant <value_floats = [1.0, 1.0]> ()
        kernel = BatchNormalization (n, one, one, one, one)""",
}
STORED = {
    "of half precision": "kernel = Cast <to = 1> (half)",
    "transposed": "t = Transpose <perm = [1, 0]> (other) kernel = Reshape (t, shape)",
    "named again": "kernel = Identity (trained)",
    "of the input": "kernel = Mul (trained, s)",
}


def folds(body: str, path: str) -> bool:
    """Return whether onnxruntime leaves nothing but the convolution."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = path
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(to_model(NET.format(body=body)).SerializeToString(), options)
    return [node.op_type for node in onnx.load(path).graph.node] == ["Conv"]


@pytest.mark.parametrize("name", COMPUTED)
def test_what_onnxruntime_folds_into_a_kernel_is_found(name, tmp_path):
    assert folds(COMPUTED[name], str(tmp_path / "folded.onnx"))
    (hit,) = lint(ComputedWeights(), to_graph(NET.format(body=COMPUTED[name]))).hits
    assert hit.finding.layers == ("y",)
    assert hit.where[-1].op_type == "Conv"
    assert hit.finding.evidence["nodes"] == len(hit.where) - 1


@pytest.mark.parametrize("name", STORED)
def test_kernels_that_are_stored_or_made_of_an_input_are_left_alone(name):
    assert not findings(ComputedWeights, NET.format(body=STORED[name]))


def test_what_is_stored_beyond_the_kernel_is_counted():
    body = """m = ReduceMean <axes = [0], keepdims = 0> (other) r = ReduceMean <axes = [0, 1], keepdims = 0> (m)
        kernel = Sub (trained, r)"""
    (found,) = findings(ComputedWeights, NET.format(body=body))
    assert (found.evidence["elements"], found.evidence["extra"]) == (12, 6)
    assert found.savings is not None
    assert found.savings.bytes == 24
