"""What the rules say of published networks: true, useful, and nothing else.

Each entry was read against the paper of its network; the comment says why it is right.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import zoo
from cnnlint.engine.registry import load_rules
from cnnlint.engine.rule import RuntimeRule
from cnnlint.engine.walker import walk
from cnnlint.frontends import load
from cnnlint.results import Finding

FAMILIES = ("FC", "BN", "CV", "PL", "AC", "AR")
ELSEWHERE = ("FC002",)
"""Every dense layer is a convolution: nothing about a network in particular."""

LIGHT: dict[str, dict[tuple[str, str], int]] = {
    # Krizhevsky et al. 2012 on 224 pixels: at 227 the pools would tile their 55 and 27 rows, here 54 and 26 are left.
    "bvlc_alexnet": {
        ("FC001", "warning"): 1,  # fc6: 37.8 M of 61 M
        ("PL001", "info"): 1,
        ("PL001", "warning"): 1,
        ("CV003", "info"): 1,  # conv3, 3 × 3 on all 256 channels
    },
    # The stem's norm and the one inside each of the 58 dense layers follow a convolution; the others come first.
    "densenet121": {("BN005", "info"): 59},
    # No batch normalization in 22 layers (that came with v2), and pooling without the ceiling that Caffe has.
    "inception_v1": {("BN004", "info"): 1, ("PL001", "info"): 1},
    "inception_v2": {("BN005", "info"): 69},
    "resnet50": {("BN005", "info"): 53},
    # Only the stem has a bias.
    "shufflenet": {("BN005", "info"): 49, ("BN002", "info"): 1},
    "squeezenet": {("BN004", "info"): 1},
    # Simonyan and Zisserman 2015: fc6 with 102.8 M of 143.7 M, 19 layers, stages of four.
    "vgg19": {("FC001", "warning"): 1, ("BN004", "info"): 1, ("AR001", "info"): 1},
    # 512, 1024 and 512 filters of 3 × 3 behind one another, and fc6 with 87 % of the parameters.
    "zfnet512": {("FC001", "warning"): 1, ("CV003", "info"): 1},
}

KERAS: dict[str, dict[tuple[str, str], int]] = {
    # 13 convolutions and 3 dense layers, none normalized; conv3_2, 3_3, 4_2 and 4_3 cost 12 % each.
    "VGG16": {("FC001", "warning"): 1, ("BN004", "warning"): 1, ("CV003", "info"): 1},
    # Keras keeps the biases of the Caffe model in all 53 convolutions.
    "ResNet50": {("BN002", "info"): 53},
    "MobileNetV2": {},
    "EfficientNetB0": {},
    "DenseNet121": {},
    "InceptionV3": {},
    "NASNetMobile": {},
    "Xception": {},
    "EfficientNetV2B0": {},
    "ConvNeXtTiny": {},
    "MobileNetV3Small": {},
    "ResNet50V2": {},
}

ONNX: dict[str, dict[tuple[str, str], int]] = {
    # Whether it was normalized once, an inference file does not say: no BN004.
    "VGG16": {("FC001", "warning"): 1, ("CV003", "info"): 1},
    # tf2onnx leaves a norm behind a convolution with a bias as it is, and behind a depthwise one.
    "ResNet50": {("BN005", "info"): 53},
    "MobileNetV2": {("BN005", "info"): 17},
    "EfficientNetB0": {("BN005", "info"): 16},
    "DenseNet121": {},
    "InceptionV3": {},
    "NASNetMobile": {},
    "Xception": {},
    "EfficientNetV2B0": {("BN005", "info"): 16},
    "ConvNeXtTiny": {},
    "MobileNetV3Small": {("BN005", "info"): 11},
    "ResNet50V2": {},
}


@cache
def findings(path: Path) -> tuple[Finding, ...]:
    """Return what every static rule says of the model at `path`, opinions too."""
    rules = [rule() for rule in load_rules() if rule.code.startswith(FAMILIES) and rule.code not in ELSEWHERE]
    return walk(load(str(path)), [rule for rule in rules if not isinstance(rule, RuntimeRule)]).findings


def counted(found: tuple[Finding, ...]) -> dict[tuple[str, str], int]:
    return dict(Counter((finding.code, finding.severity.value) for finding in found))


def test_all_light_networks_are_here():
    assert set(LIGHT) == set(zoo.light_names())


@pytest.mark.parametrize("name", LIGHT)
def test_light_networks(name):
    assert counted(findings(zoo.light_path(name))) == LIGHT[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS)
def test_keras_networks(name):
    assert counted(findings(zoo.keras_path(name))) == KERAS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ONNX)
def test_their_conversions(name):
    assert counted(findings(zoo.onnx_path(name))) == ONNX[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS)
def test_a_network_and_its_conversion_get_the_same_findings_but_for_what_a_conversion_folds(name):
    def about(path: Path) -> list[tuple[str, tuple[str, ...], dict[str, int | float]]]:
        found = [finding for finding in findings(path) if not finding.code.startswith("BN")]
        return [(finding.code, finding.layers, finding.evidence) for finding in found]

    assert about(zoo.keras_path(name)) == about(zoo.onnx_path(name))


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
