from __future__ import annotations

import numpy as np
from onnx.reference import ReferenceEvaluator

from cnnlint.frontends.notation import to_onnx
from cnnlint_rules.normalization.norm_in_training_mode import NormInTrainingMode

TEXT = "INPUT 3x8x8 -> CONV 4 3x3 nobias -> BN training -> RELU -> CONV 4 3x3 nobias -> BN -> RELU -> GAP"


def test_norms_in_training_mode_are_one_error_that_names_them(lint):
    (found,) = lint(NormInTrainingMode(), TEXT).findings
    assert (found.severity, found.layers) == ("error", ("bn1",))
    assert found.evidence == {"norms_in_training_mode": 1, "norms": 2}


def test_the_output_of_a_sample_then_depends_on_its_batch():
    model = to_onnx(TEXT)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    rng = np.random.default_rng(0)
    sample, other = rng.normal(size=(1, 3, 8, 8)), rng.normal(loc=3, size=(1, 3, 8, 8))
    run = ReferenceEvaluator(model).run
    name = model.graph.input[0].name
    alone = run(None, {name: sample.astype(np.float32)})[0][0]
    accompanied = run(None, {name: np.concatenate([sample, other]).astype(np.float32)})[0][0]
    assert np.abs(alone - accompanied).max() > 0.01


def test_moving_statistics_are_fine(lint):
    walk = lint(NormInTrainingMode(), TEXT.replace(" training", ""))
    assert not walk.findings
    assert "all 2 normalizations" in walk.near_misses["BN003"][0].reason
