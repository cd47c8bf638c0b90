"""What rules say of windows is what onnxruntime shows when single elements are changed."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnnlint.frontends.notation import to_onnx
from cnnlint.testing import to_graph
from cnnlint_rules.convolution.checkerboard_deconv import CheckerboardDeconv
from cnnlint_rules.convolution.even_kernel_same_padding import EvenKernelSamePadding
from cnnlint_rules.convolution.gridding import Gridding
from cnnlint_rules.convolution.oversized_padding import OversizedPadding
from cnnlint_rules.convolution.stride_skips_pixels import StrideSkipsPixels


def run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def image(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ones(model):
    """Make all kernels one and all biases zero, so that an output is not zero where it depends on a lit element."""
    for each in model.graph.initializer:
        values = numpy_helper.to_array(each)
        made = np.ones_like(values) if values.ndim > 1 else np.zeros_like(values)
        each.CopyFrom(numpy_helper.from_array(made, each.name))
    return model


def deconvolution(taps, stride):
    weight = numpy_helper.from_array(np.ones((1, 1, taps, taps), np.float32), "w")
    node = helper.make_node(
        "ConvTranspose", ["x", "w"], ["y"], name="deconv", strides=[stride] * 2, kernel_shape=[taps] * 2
    )
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 12, 12])
    size = (12 - 1) * stride + taps
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, size, size])
    graph = helper.make_graph([node], "net", [given], [made], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("taps", "stride"), [(3, 2), (5, 2), (4, 3), (5, 3), (2, 2), (4, 2), (6, 3)])
def test_products_of_an_output_are_those_that_a_run_of_ones_counts(lint, taps, stride):
    model = deconvolution(taps, stride)
    counts = np.rint(run(model, np.ones((1, 1, 12, 12), np.float32))[0, 0, taps:-taps, taps:-taps])
    findings = lint(CheckerboardDeconv(), to_graph(model)).findings
    if counts.min() == counts.max():
        assert not findings
    else:
        (found,) = findings
        assert (found.evidence["least_products"], found.evidence["most_products"]) == (counts.min(), counts.max())


@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (1, 3), (2, 3)])
def test_elements_that_are_said_to_be_skipped_change_nothing(lint, kernel, stride):
    text = f"INPUT 1x12x12 -> CONV 4 {kernel}x{kernel} stride {stride} valid"
    (found,) = lint(StrideSkipsPixels(), f"{text} -> RELU -> GAP -> FC 3").findings
    model, x = to_onnx(text), np.zeros((1, 1, 12, 12), np.float32)
    nothing, silent = run(model, x), 0
    for row in range(12):
        for column in range(12):
            lit = x.copy()
            lit[0, 0, row, column] = 1
            silent += np.array_equal(run(model, lit), nothing)
    assert found.evidence["unread_share"] == pytest.approx(silent / 144)


def test_what_another_branch_reads_is_not_lost(lint):
    text = (
        "INPUT 8x16x16 -> RES[CONV 8 3x3 stride 2 -> RELU -> CONV 8 3x3 | CONV 8 1x1 stride 2] -> RELU -> GAP -> FC 3"
    )
    walk = lint(StrideSkipsPixels(), text)
    assert not walk.findings
    assert "another branch" in walk.near_misses["CV005"][0].reason


@pytest.mark.parametrize(("kernel", "pad"), [(3, 3), (3, 4), (1, 1), (1, 2), (5, 6)])
def test_blank_outputs_are_the_same_for_every_image(lint, kernel, pad):
    text = f"INPUT 2x9x9 -> CONV 4 {kernel}x{kernel} pad {pad}"
    (found,) = lint(OversizedPadding(), text).findings
    first, second = (run(to_onnx(text), x) for x in (image(1, 2, 9, 9), np.zeros((1, 2, 9, 9), np.float32)))
    blank = [row for row in range(first.shape[2]) if np.array_equal(first[:, :, row], second[:, :, row])]
    assert found.evidence["blank_outputs"] == len(blank)
    assert found.severity == ("warning" if blank else "info")


@pytest.mark.parametrize(
    "text", ["CONV 8 3x3 pad 1", "CONV 8 5x5 pad 2", "CONV 8 3x3 dilation 3 pad 3", "POOL 3 stride 2 pad 1"]
)
def test_padding_of_half_the_kernel_is_fine(lint, text):
    assert not lint(OversizedPadding(), f"INPUT 3x32x32 -> {text} -> RELU -> GAP -> FC 3").findings


@pytest.mark.parametrize("rates", [(2, 2), (2, 2, 2), (2, 4), (3, 3), (3, 6)])
def test_a_grid_is_what_single_pixels_show(lint, rates):
    text = "INPUT 1x41x41 -> " + " -> ".join(f"CONV 1 3x3 dilation {rate} nobias" for rate in rates)
    (found,) = lint(Gridding(), text).findings
    reach = sum(rates)
    seen = 0
    model = ones(to_onnx(text))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for row in range(20 - reach, 21 + reach):
        lit = np.zeros((1, 1, 41, 41), np.float32)
        lit[0, 0, row, 20] = 1
        seen += session.run(None, {"input": lit})[0][0, 0, 20, 20] != 0
    factor = int(np.gcd.reduce(rates))
    assert seen == 2 * reach // factor + 1
    assert found.evidence["grid"] == factor**2


@pytest.mark.parametrize("rates", [(1, 2, 5), (1, 2, 4, 8), (2, 3), (2,)])
def test_rates_without_a_common_factor_leave_no_grid(lint, rates):
    text = "INPUT 1x41x41 -> " + " -> ".join(f"CONV 4 3x3 dilation {rate} -> RELU" for rate in rates)
    assert not lint(Gridding(), f"{text} -> CONV 2 1x1").findings


def test_shifts_add_up_in_pixels(lint):
    text = "INPUT 3x64x64 -> CONV 8 2x2 same -> RELU -> POOL 2 -> CONV 8 4x4 same -> RELU -> GAP -> FC 3"
    shifts = [found.evidence["shift_in_pixels"] for found in lint(EvenKernelSamePadding(), text).findings]
    assert shifts == [0.5, 1.0]


@pytest.mark.parametrize(
    "text",
    ["CONV 96 4x4 stride 4", "CONV 96 2x2 stride 2", "CONV 8 4x4 stride 2", "CONV 8 2x2 valid", "POOL 2 stride 1 same"],
)
def test_even_windows_that_need_no_center_are_fine(lint, text):
    assert not lint(EvenKernelSamePadding(), f"INPUT 3x64x64 -> {text} -> RELU -> GAP -> FC 3").findings
