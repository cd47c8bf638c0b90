"""EX005: weights among the inputs, held against the warning of onnxruntime."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest

from cnnlint.frontends.notation import to_onnx
from cnnlint.testing import findings
from cnnlint_rules.export.initializer_as_input import InitializerAsInput


def with_weights_as_inputs(version: int) -> onnx.ModelProto:
    model = to_onnx("INPUT 3x8x8 -> CONV 4 3x3 nobias -> BN -> RELU -> GAP -> FC 10")
    model.ir_version = version
    for tensor in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def nodes_after_optimization(model: onnx.ModelProto, path: str) -> int:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = path
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return sum(node.op_type == "BatchNormalization" for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("version", [3, 4, 8])
def test_it_is_found_where_onnxruntime_stops_folding(version, tmp_path):
    model = with_weights_as_inputs(version)
    keeps_norm = nodes_after_optimization(model, str(tmp_path / "optimized.onnx")) == 1
    found = findings(InitializerAsInput, model)
    assert bool(found) is keeps_norm is (version > 3)
    if found:
        assert found[0].evidence == {"initializers": len(model.graph.initializer), "of": len(model.graph.initializer)}
