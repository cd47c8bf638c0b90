"""Costs of networks whose numbers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper, parser

from cnnlint.analysis.context import Context
from cnnlint.analysis.cost import peak_activation_bytes
from cnnlint.frontends import load_onnx_bytes
from cnnlint.graph.graph import Graph
from networks import graph_of


def raised(text: str, **weights: tuple[int, ...]) -> Graph:
    model: onnx.ModelProto = parser.parse_model('<ir_version: 8, opset_import: ["" : 17]>' + text)
    for name, shape in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    return load_onnx_bytes(model.SerializeToString())


def test_the_peak_is_where_input_and_output_of_the_widest_layer_are_alive() -> None:
    # 3×8×8 in, 4×8×8 behind the convolution and the relu; the input stays alive throughout
    graph = graph_of("INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> GAP")
    assert peak_activation_bytes(graph) == 4 * (3 * 64 + 4 * 64 + 4 * 64)


def test_a_residual_keeps_its_shortcut_alive() -> None:
    plain = graph_of("INPUT 4x8x8 -> CONV 4 3x3 -> CONV 4 3x3 -> CONV 4 3x3 -> GAP")
    residual = graph_of("INPUT 4x8x8 -> CONV 4 3x3 -> RES[CONV 4 3x3 -> CONV 4 3x3] -> GAP")
    difference = (peak_activation_bytes(residual) or 0) - (peak_activation_bytes(plain) or 0)
    assert difference == 4 * 4 * 64


def test_windows_batched_into_the_first_axis_count_for_their_sample() -> None:
    graph = raised(
        """agraph (float[N,64,8] x) => (float[M,4,8,8] y) {
            s = Constant<value_ints = [-1, 16, 8]>() w = Reshape(x, s) t = Transpose<perm = [0, 2, 1]>(w)
            p = MatMul(w, t) q = MatMul(p, w) r = Constant<value_ints = [-1, 4, 8, 8]>() y = Reshape(q, r) }"""
    )
    # each sample has 4 windows of 16 tokens: 16·16·8 for the scores and as many for the mix
    assert Context(graph).macs == 4 * (16 * 16 * 8 + 16 * 8 * 16)


def test_macs_of_a_fixed_batch_are_those_of_one_sample() -> None:
    single, eight = (
        raised(f"agraph (float[{batch},3,8,8] x, float[4,3,3,3] w) => (float[{batch},4,6,6] y) {{ y = Conv(x, w) }}")
        for batch in (1, 8)
    )
    assert Context(single).macs == Context(eight).macs == 6 * 6 * 4 * 27


def test_a_recurrent_layer_costs_each_gate_at_each_step() -> None:
    graph = raised(
        """agraph (float[N,18,8] x) => (float[18,2,N,16] y) {
            t = Transpose<perm = [1, 0, 2]>(x)
            y = LSTM<hidden_size = 16, direction = "bidirectional">(t, w, r) }""",
        w=(2, 64, 8),
        r=(2, 64, 16),
    )
    # two directions, 18 steps, four gates of 16 units on 8 features and 16 units
    assert Context(graph).macs == 2 * 18 * 4 * 16 * (8 + 16)
    assert peak_activation_bytes(graph) is not None
