"""EX004: arithmetic that the declared inputs decide, held against onnxruntime's own constant folding."""

from __future__ import annotations

from collections import Counter

import onnx
import onnxruntime
import pytest

from cnnlint.testing import findings, to_model
from cnnlint_rules.export.shape_arithmetic import ShapeArithmetic

VIEW = """<ir_version: 8, opset_import: ["" : 15]>
    view (float[{batch}, 3, 4, 4] x) => (float[{batch}, 48] y) <int64[1] zero = {{0}}, int64[1] rest = {{-1}}> {{
        a = Relu (x)
        s = Shape (a)
        g = Gather (s, zero)
        c = Concat <axis = 0> (g, rest)
        y = Reshape (a, c)
    }}"""


def test_what_is_found_is_what_onnxruntime_folds(tmp_path):
    model = to_model(VIEW.format(batch=2))
    (found,) = findings(ShapeArithmetic, model)
    assert found.evidence == {"nodes": 3, "of": 5}
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    folded = onnx.load(options.optimized_model_filepath)
    assert Counter(node.op_type for node in folded.graph.node) == {"Relu": 1, "Reshape": 1}


def test_arithmetic_on_an_open_extent_is_left_alone():
    assert not findings(ShapeArithmetic, VIEW.format(batch="N"))


def test_extents_that_are_numbers_count_though_the_batch_is_open():
    text = VIEW.format(batch="N").replace("zero = {0}", "zero = {2}").replace("Concat <axis = 0> (g, rest)", "Neg (g)")
    text = text.replace("y = Reshape (a, c)", "f = Cast <to = 1> (c) y = Mul (a, f)").replace("float[N, 48] y", "y")
    (found,) = findings(ShapeArithmetic, text)
    assert found.evidence["nodes"] == 3  # Shape itself is open


def test_few_are_hidden_on_request():
    assert not findings(ShapeArithmetic, VIEW.format(batch=2), min_nodes=4)


@pytest.mark.parametrize("kept", ["Constant", "Identity"])
def test_constants_and_their_names_are_no_arithmetic(kept):
    made = {"Constant": "c = Constant <value_ints = [2, 48]> ()", "Identity": "c = Identity (target)"}[kept]
    text = f"""<ir_version: 8, opset_import: ["" : 15]>
        net (float[2, 3, 4, 4] x) => (float[2, 48] y) <int64[2] target = {{2, 48}}> {{ {made} y = Reshape (x, c) }}"""
    assert not findings(ShapeArithmetic, text)
