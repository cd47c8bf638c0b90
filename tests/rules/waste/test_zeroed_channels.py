"""WA009: channels that no input changes, held against onnxruntime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from cnnlint.testing import findings, to_model
from cnnlint_rules.waste.zeroed_channels import ZeroedChannels

NET = """<ir_version: 8, opset_import: ["": 17]> net (float[1, 2, 8, 8] x) => (float[1, 3, 8, 8] y)
    <float[3, 2, 1, 1] kernel = {{0.7, 0.2, -0.4, 1, 2, 3}}, float[3, 1, 1] mask = {{1, 0, 1}},
     float[3] gamma = {{{gamma}}}, float[3] beta = {{0.5, -0.5, 0.5}}, float[3] mean = {{0, 0, 0}},
     float[3] variance = {{1, 1, 1}}> {{
        a = Conv (x, kernel)
        {body}
    }}"""
NORM = "BatchNormalization (a, gamma, beta, mean, variance)"


@pytest.mark.parametrize(
    ("body", "gamma", "channels"),
    [
        ("y = Mul (mask, a)", "1, 1, 1", 1),
        (f"y = {NORM}", "0, 1, 0", 2),
        (f"n = {NORM} y = Sigmoid (n)", "0, 0, 1", 2),
        (f"n = {NORM} y = Relu (n)", "0, 0, 1", 1),  # of the second channel the ReLU leaves nothing: WT002
        (f"y = {NORM}", "1, 2, 3", 0),
    ],
)
def test_channels_that_are_found_are_the_same_for_every_input(body, gamma, channels):
    model = to_model(NET.format(body=body, gamma=gamma))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.random.default_rng(1).normal(size=(1, 2, 8, 8)).astype(np.float32)
    made = session.run(None, {"x": x})[0][0]
    constant = [
        (values.min() == values.max() and values.min() != 0) or ("Mul" in body and not values.any()) for values in made
    ]
    found = findings(ZeroedChannels, model)
    assert sum(each.evidence["channels"] for each in found) == channels == sum(constant)
    if found:
        assert found[0].evidence["macs"] == channels * 64 * 2


def test_a_branch_that_begins_at_zero_is_left_alone():
    assert not findings(ZeroedChannels, NET.format(body=f"y = {NORM}", gamma="0, 0, 0"))
