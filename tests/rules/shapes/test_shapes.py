"""Rules on shapes, against runs and against Keras archives."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest

import cnnlint
from cnnlint.frontends.notation import to_onnx
from cnnlint_rules.shapes.input_not_divisible import InputNotDivisible
from cnnlint_rules.shapes.missing_flatten import MissingFlatten
from cnnlint_rules.shapes.suspicious_data_format import SuspiciousDataFormat
from drafts import draft
from drafts.archive import archive


@pytest.mark.parametrize(
    "body",
    [
        "CONV 8 16x16 stride 16 valid",
        "CONV 8 3x3 stride 3 valid -> RELU -> CONV 8 2x2 stride 2 valid",
        "CONV 8 4x4 stride 4 valid -> RELU -> POOL 2 -> CONV 8 2x2 stride 2 valid",
        "CONV 8 5x5 stride 4 valid -> RELU -> CONV 8 3x3 stride 2 pad 1",
    ],
)
@pytest.mark.parametrize("side", [37, 46, 62])
def test_rows_that_are_said_to_be_lost_change_nothing_and_the_one_before_does(lint, body, side):
    text = f"INPUT 1x{side}x{side} -> {body}"
    findings = lint(InputNotDivisible(min_share=0), text).findings
    session = onnxruntime.InferenceSession(to_onnx(text).SerializeToString())
    x = np.random.default_rng(0).standard_normal((1, 1, side, side)).astype(np.float32)
    before = session.run(None, {"input": x})[0]
    changed = list[bool]()
    for row in range(side):
        other = x.copy()
        other[:, :, row] += 10
        changed.append(not np.array_equal(session.run(None, {"input": other})[0], before))
    lost = side - 1 - max(row for row in range(side) if changed[row])
    assert [found.evidence["lost_0"] for found in findings] == ([lost] if lost else [])


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ("32x3x32", True),
        ("28x28x1", True),
        ("56x1x20", True),  # 1 × 20 × 56 in Keras
        ("3x32x32", False),
        ("8x1x1000", False),
        ("4x64x64", False),
        ("64x8x8", False),
    ],
)
def test_an_image_in_the_wrong_order_is_told_from_a_signal(lint, shape, found):
    text = f"INPUT {shape} -> CONV 16 3x3 same -> RELU -> GAP -> FC 10"
    assert bool(lint(SuspiciousDataFormat(), text).findings) == found


def keras(text, tmp_path, **compiled):
    return cnnlint.load(archive(draft(text, **compiled), tmp_path / "net.keras", inline=True))


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> FC 10 -> SOFTMAX", ("fc1",)),
        ("INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> FC 32 -> RELU -> FC 10 -> SOFTMAX", ("fc1", "fc2")),
        ("INPUT 8x64 -> CONV 8 3 -> RELU -> POOL 2 -> FC 1 -> SIGMOID", ("fc1",)),
        ("INPUT 1x28x28 -> FC 64 -> RELU -> FC 10 -> SOFTMAX", ("fc1", "fc2")),
    ],
)
def test_a_classifier_of_positions_is_found(lint, text, layers, tmp_path):
    (found,) = lint(MissingFlatten(), keras(text, tmp_path)).findings
    assert found.layers == layers
    assert found.severity == "warning"


def test_a_cross_entropy_shows_a_classifier_without_its_softmax(lint, tmp_path):
    text = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> FC 10"
    assert not lint(MissingFlatten(), keras(text, tmp_path)).findings
    graph = keras(text, tmp_path, loss="sparse_categorical_crossentropy", from_logits=True)
    assert lint(MissingFlatten(), graph).findings


@pytest.mark.parametrize(
    "text",
    [
        "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> FC 5 -> SOFTMAX",  # labels each pixel
        "INPUT 8x64 -> CONV 8 3 -> RELU -> FC 5 -> SOFTMAX",  # tags a sequence
        "INPUT 3x32x32 -> CONV 8 3x3 stride 2 -> RELU -> UPSAMPLE 2 -> FC 5 -> SOFTMAX",
        "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> FC 5",
        "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> GAP -> FC 5 -> SOFTMAX",
    ],
)
def test_maps_and_tags_that_are_meant_are_left_alone(lint, text, tmp_path):
    assert not lint(MissingFlatten(), keras(text, tmp_path)).findings


def test_a_dense_layer_on_a_map_that_is_flattened_later_is_information(lint, tmp_path):
    text = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> FC 32 -> RELU -> FLATTEN -> FC 10 -> SOFTMAX"
    (found,) = lint(MissingFlatten(), keras(text, tmp_path)).findings
    assert (found.layers, found.severity.value) == (("fc1",), "info")


def test_a_strided_convolution_of_a_map_of_unknown_rank_loses_nothing_that_is_known():
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
        g (float[1,3,32,32] image, int64[axes] shape) => (float[n,c,h,w] y)
        <float[1,3,2,2] kernel = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}>
        { map = Reshape(image, shape)  y = Conv<strides=[2,2], kernel_shape=[2,2]>(map, kernel) }""")
    (report,) = cnnlint.lint(model, static=True, isolated=True, pedantic=True).models
    assert report.error is None
    assert [finding.message for finding in report.findings if finding.code in ("CF004", "SH003")] == []
