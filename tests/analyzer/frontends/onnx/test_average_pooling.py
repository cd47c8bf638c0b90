"""Whether padding counts as zeros in a mean is what onnxruntime and Keras make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from acceptance.nets import model, node
from cnnlint.conversion.toolchain import toolchain
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.graph.layers import AvgPool

CORNER_OF_ZEROS = pytest.approx(4 / 9)
"""The mean over 3 × 3 at a corner of a map of ones whose padding counts."""


def raised(proto: onnx.ModelProto) -> AvgPool:
    (pool,) = load_onnx_bytes(proto.SerializeToString()).of_kind(AvgPool)
    return pool


@pytest.mark.parametrize("attribute", [{}, {"count_include_pad": 0}, {"count_include_pad": 1}])
def test_padding_counts_where_onnxruntime_counts_it(attribute: dict[str, int]) -> None:
    pool = node("AveragePool", "x", "y", "pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], **attribute)
    proto = model([pool], [])
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (mean,) = session.run(None, {"x": np.ones((1, 3, 8, 8), np.float32)})
    assert raised(proto).count_include_pad == (mean[0, 0, 0, 0] == CORNER_OF_ZEROS)
    assert raised(proto).count_include_pad or mean[0, 0, 0, 0] == pytest.approx(1)


@pytest.mark.tf
def test_padding_does_not_count_in_keras(tmp_path: Path) -> None:
    layers = toolchain().keras.layers
    net = toolchain().keras.Sequential([layers.Input((8, 8, 3)), layers.AveragePooling2D(3, 1, padding="same")])
    mean = np.asarray(net(np.ones((1, 8, 8, 3), np.float32)))
    net.save(tmp_path / "net.keras")
    (pool,) = load(str(tmp_path / "net.keras")).of_kind(AvgPool)
    assert pool.count_include_pad == (mean[0, 0, 0, 0] == CORNER_OF_ZEROS)
    assert mean[0, 0, 0, 0] == pytest.approx(1)
