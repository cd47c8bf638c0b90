"""EX002, EX006, EX007, EX008 and EX009: what an export was told to be."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from cnnlint.testing import findings, lint, to_model
from cnnlint_rules.export.batch_on_wrong_axis import BatchOnWrongAxis
from cnnlint_rules.export.double_precision import DoublePrecision
from cnnlint_rules.export.dropout_in_training_mode import DropoutInTrainingMode
from cnnlint_rules.export.fixed_batch import FixedBatch
from cnnlint_rules.export.unused_output import UnusedOutput

DROPOUT = """<ir_version: 8, opset_import: ["" : 15]> net (float[1, 8, 16, 16] x) => (float[1, 8, 16, 16] y)
    <float rate = {{0.25}}, bool training = {{{mode}}}> {{ y = Dropout <seed = 3> (x, rate, training) }}"""


@pytest.mark.parametrize("mode", [0, 1])
def test_a_dropout_is_found_where_onnxruntime_drops(mode):
    text = DROPOUT.format(mode=mode)
    session = onnxruntime.InferenceSession(to_model(text).SerializeToString())
    drops = (session.run(None, {"x": np.ones((1, 8, 16, 16), np.float32)})[0] == 0).mean()
    found = findings(DropoutInTrainingMode, text)
    assert bool(found) is bool(drops) is bool(mode)
    if found:
        assert found[0].evidence["rate"] == pytest.approx(drops, abs=0.05)


def test_a_dropout_whose_mode_is_an_input_is_left_alone():
    text = DROPOUT.format(mode=1).replace("16] x)", "16] x, bool mode)").replace("rate, training)", "rate, mode)")
    assert not findings(DropoutInTrainingMode, text)


NET = """<ir_version: 8, opset_import: ["" : 15]> net ({kind}[1, 2, 8, 8] x) => ({kind}[1, 2, 8, 8] y)
    <{kind}[2, 2, 1, 1] kernel = {{1, 2, 3, 4}}> {{ y = Conv (x, kernel) }}"""


def test_doubles_are_found_in_the_file_that_onnxruntime_does_not_load():
    (found,) = findings(DoublePrecision, NET.format(kind="double"))
    assert found.evidence == {"weights": 1, "inputs": 1, "layers": 1, "bytes": 16}
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        onnxruntime.InferenceSession(to_model(NET.format(kind="double")).SerializeToString())
    assert not findings(DoublePrecision, NET.format(kind="float"))


def test_indices_of_a_pooling_that_are_read_are_no_waste():
    pool = "MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)"
    text = '<ir_version: 8, opset_import: ["" : 15]> net (float[1, 2, 8, 8] x) => (float[1, 2, 4, 4] y, z)'
    assert len(findings(UnusedOutput, f"{text} {{ y, w = {pool} z = Neg (x) }}")) == 1
    assert not findings(UnusedOutput, f"{text} {{ y, w = {pool} z = Cast <to = 1> (w) }}")
    assert not findings(UnusedOutput, f"{text} {{ y = {pool} z = Neg (x) }}")


@pytest.mark.parametrize(
    ("inputs", "batch"),
    [("float[1, 3, 8, 8] x", 1), ("float[4, 3, 8, 8] x, float[4, 2] z", 4), ("float[N, 3, 8, 8] x", None),
     ("float[1, 3, 8, 8] x, float[M, 2] z", None), ("float[8, 3] x, float[1, 3] z", None)],
)  # fmt: skip
def test_a_batch_is_fixed_where_all_inputs_agree_on_it(inputs, batch):
    text = f'<ir_version: 8, opset_import: ["" : 15]> net ({inputs}) => (y) {{ y = Relu (x) }}'
    assert [found.evidence["batch"] for found in findings(FixedBatch, text)] == ([] if batch is None else [batch])


CONV = """<ir_version: 8, opset_import: ["" : 15]> net (float[{shape}] x) => (y)
    <float[2, 2, 1, 1] kernel = {{1, 2, 3, 4}}> {{ y = Conv (x, kernel) }}"""


@pytest.mark.parametrize(
    ("shape", "wrong"),
    [("1, batch, 8, 8", True), ("1, N, 8, 8", True), ("1, c, 8, 8", True), ("1, 2, batch_size, 8", True),
     ("batch, 2, 8, 8", False), ("N, 2, H, W", False), ("1, 2, height, width", False), ("batch, c, 8, 8", False)],
)  # fmt: skip
def test_a_symbol_of_the_batch_belongs_on_the_first_axis(shape, wrong):
    assert bool(findings(BatchOnWrongAxis, CONV.format(shape=shape))) is wrong


def test_sequences_with_their_time_steps_first_are_left_alone():
    text = """<ir_version: 8, opset_import: ["" : 15]> net (float[5, batch, 3] x) => (y) { y = Relu (x) }"""
    assert not lint(BatchOnWrongAxis(), text).hits
