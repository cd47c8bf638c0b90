from __future__ import annotations

import pytest

from cnnlint_rules.normalization.deep_without_norm import DeepWithoutNorm

DEEP = "INPUT 3x32x32 -> [CONV 16 3x3 same -> RELU]*11 -> GAP -> FC 10 -> SOFTMAX"


def test_a_deep_plain_classifier_is_a_finding_with_its_depth(lint):
    (found,) = lint(DeepWithoutNorm(), DEEP, source="keras").findings
    assert found.severity == "warning"
    assert found.evidence == {"depth": 12, "convolutions": 11, "min_depth": 12}


def test_one_layer_less_is_fine(lint):
    assert not lint(DeepWithoutNorm(), DEEP.replace("*11", "*10"), source="keras").findings


@pytest.mark.parametrize("change", ["BN -> RELU", "LN -> RELU", "GN 4 -> RELU", "SELU"])
def test_any_normalization_will_do(lint, change):
    assert not lint(DeepWithoutNorm(), DEEP.replace("RELU", change), source="keras").findings


def test_an_onnx_file_without_dropout_has_the_benefit_of_the_doubt(lint):
    walk = lint(DeepWithoutNorm(), DEEP, source="onnx")
    assert not walk.findings
    assert "folded away" in walk.near_misses["BN004"][0].reason
    (found,) = lint(DeepWithoutNorm(), DEEP.replace("GAP", "GAP -> DROPOUT 0.5"), source="onnx").findings
    assert found.severity == "info"


def test_networks_that_give_back_an_image_do_without(lint):
    text = "INPUT 3x32x32 -> [CONV 16 3x3 same -> RELU]*14 -> CONV 3 3x3 same"
    walk = lint(DeepWithoutNorm(), text, source="keras")
    assert not walk.findings
    assert "outputs a map" in walk.near_misses["BN004"][0].reason
