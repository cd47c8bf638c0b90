"""Parameters and MACs are those of the papers, of Keras, and of the arithmetic of each layer."""

from __future__ import annotations

import pytest

import zoo
from cnnlint.analysis.context import Context
from cnnlint.frontends import load

PUBLISHED_PARAMETERS = {
    "bvlc_alexnet": 60_965_224,
    "vgg19": 143_667_240,
    "squeezenet": 1_235_496,
    "inception_v1": 6_998_552,
}
"""Caffe's model zoo (AlexNet, GoogLeNet) and the SqueezeNet and VGG papers."""

PUBLISHED_GIGAMACS = {
    # Krizhevsky 2012 with its two groups; Simonyan & Zisserman 2015 table of torchvision; He 2016 table 1
    "bvlc_alexnet": 0.655,
    "vgg19": 19.63,
    "resnet50": 4.09,
    # Huang 2017, as counted by torchvision
    "densenet121": 2.83,
}


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED_PARAMETERS.items())
def test_light_models_have_the_published_parameters(name: str, parameters: int) -> None:
    assert load(str(zoo.light_path(name))).parameters == parameters


@pytest.mark.parametrize(("name", "gigamacs"), PUBLISHED_GIGAMACS.items())
def test_light_models_have_the_published_macs(name: str, gigamacs: float) -> None:
    macs = Context(load(str(zoo.light_path(name)))).macs
    assert macs == pytest.approx(gigamacs * 1e9, rel=5e-3)


@pytest.mark.parametrize("name", zoo.light_names())
def test_every_formula_comes_to_the_parameters_of_its_layer(name: str) -> None:
    for layer in load(str(zoo.light_path(name))).layers:
        formula = layer.parameter_formula()
        assert (0 if formula is None else formula.value) == layer.parameters, layer.name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121"])
def test_a_conversion_lacks_only_what_folding_takes_away(name: str) -> None:
    truth = zoo.truth(name)
    converted = load(str(zoo.onnx_path(name)))
    layers = _flat(truth["layers"])
    norms = sum(layer["parameters"] for layer in layers if layer["class"] == "BatchNormalization")
    assert truth["parameters"] - norms <= converted.parameters <= truth["parameters"]


def _flat(layers: list[dict]) -> list[dict]:
    return [inner for layer in layers for inner in (_flat(layer["layers"]) if layer.get("layers") else [layer])]
