"""Operations that tf2onnx lacks are translated to the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnlint.conversion import keras_to_onnx
from parity import run_onnx

pytestmark = pytest.mark.tf


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("approximate", [True, False])
def test_gelu_gives_what_keras_gives(approximate: bool, opset: int, keras: Any) -> None:
    image = keras.layers.Input((64,), name="x")
    net = keras.Model(image, keras.ops.gelu(image, approximate=approximate))
    x = np.linspace(-6, 6, 128, dtype=np.float32).reshape(2, 64)
    actual = run_onnx(keras_to_onnx(net, opset=opset), [x])[0]
    assert np.abs(actual - np.asarray(net(x))).max() <= 1e-6
