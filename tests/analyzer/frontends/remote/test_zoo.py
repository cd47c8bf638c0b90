"""Networks of keras.applications over HTTP: what is sent of hundreds of megabytes, and in how many requests."""

from __future__ import annotations

import pytest

import zoo
from cnnlint import frontends
from cnnlint.frontends.onnx.skeleton import read_source
from cnnlint.frontends.remote.ranges import Ranges
from cnnlint.frontends.sources import local_file
from remote_models.file_server import serving

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "kilobytes", "requests", "round_trips"),
    [("VGG16", 250, 25, 16), ("ResNet50", 1200, 85, 44), ("MobileNetV2", 800, 45, 30), ("DenseNet121", 2000, 170, 42)],
)
def test_an_onnx_net_takes_a_request_for_each_gap_between_its_headers_and_not_as_many_round_trips(
    name: str, kilobytes: int, requests: int, round_trips: int
) -> None:
    path = zoo.onnx_path(name)
    with serving(path.parent) as server:
        remote = frontends.load(f"{server.url}/{path.name}")

    local = frontends.load(str(path))
    assert [(layer.name, layer.kind, len(layer.weights)) for layer in remote.layers] == [
        (layer.name, layer.kind, len(layer.weights)) for layer in local.layers
    ]
    assert server.sent <= kilobytes * 1000
    assert len(server.requests) <= requests
    file = local_file(str(path))
    source = Ranges(file.read, file.size, fetch_all=lambda spans: [file.read(*span) for span in spans])
    read_source(source, None, str(path))
    assert source.round_trips <= round_trips


@pytest.mark.parametrize(
    ("name", "kilobytes", "requests"), [("VGG16", 250, 40), ("ResNet50", 1400, 220), ("DenseNet121", 2700, 450)]
)
def test_a_keras_net_has_exactly_the_parameters_that_keras_counts(name: str, kilobytes: int, requests: int) -> None:
    path = zoo.keras_path(name)
    with serving(path.parent) as server:
        remote = frontends.load(f"{server.url}/{path.name}")

    weights = {weight.key: weight.size for layer in remote.layers for weight in layer.weights}
    assert sum(weights.values()) == zoo.truth(name)["parameters"]
    assert server.sent <= kilobytes * 1000
    assert len(server.requests) <= requests
