"""The rules' numbers on published networks; what they say of which network is held in tests/corpus."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import zoo
from cnnlint.engine.registry import load_rules
from cnnlint.engine.rule import RuntimeRule
from cnnlint.engine.walker import walk
from cnnlint.frontends import load
from cnnlint.results import Finding
from distinct_layers import representatives
from said_of_both import said_of_both

FAMILIES = ("FC", "BN", "CV", "PL", "AC", "AR", "HD")

BOTH = (*zoo.LARGE, *zoo.MORE)


@cache
def findings(path: Path) -> tuple[Finding, ...]:
    """Return what every static rule says of the model at `path`, opinions too."""
    rules = [rule() for rule in load_rules() if rule.code.startswith(FAMILIES)]
    return walk(load(str(path)), [rule for rule in rules if not isinstance(rule, RuntimeRule)]).findings


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_network_and_its_conversion_get_the_same_findings_but_for_what_a_conversion_folds(name):
    keras = load(str(zoo.keras_path(name)))
    parts = {layer.name: layer.name.removesuffix("/pointwise") for layer in keras.layers}
    merged = {name: parts[first] for name, first in representatives(keras).items()}
    said = [said_of_both(findings(zoo.keras_path(name)), merged), said_of_both(findings(zoo.onnx_path(name)), parts)]
    assert said[0] == said[1]


@pytest.mark.slow
def test_resnet50_of_keras_has_26560_biases_that_do_nothing():
    found = [finding for finding in findings(zoo.keras_path("ResNet50")) if finding.code == "BN002"]
    blocks = [(3, 64), (4, 128), (6, 256), (3, 512)]
    biases = 64 + sum(count * (width + width + 4 * width) + 4 * width for count, width in blocks)
    assert sum(finding.savings.parameters for finding in found if finding.savings) == biases == 26_560


@pytest.mark.slow
def test_vgg16_gets_the_published_numbers():
    (found,) = [finding for finding in findings(zoo.keras_path("VGG16")) if finding.code == "FC001"]
    assert (found.layers, found.evidence["parameters"]) == (("fc1",), 102_764_544)
    assert "138,357,544" in found.message
