"""Random networks: the static reader, Keras, the conversion, its graph and onnxruntime all agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from cnnlint.analysis.context import Context
from cnnlint.conversion import convert_keras
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends import load
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import Opaque
from distinct_layers import distinct_layers
from intermediates import mismatches
from keras_cases.agreement import disagreements
from parity import TOLERANCE, run_onnx, seeded_inputs
from random_networks import NETWORK, build

pytestmark = pytest.mark.tf

HEALTH = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
"""Keras takes a tenth of a second for a network and tf2onnx half of one."""

Check = Callable[[dict[str, Any]], None]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return what holds a drawn network to everything that the two sides must agree on."""
    tools = toolchain()
    with quiet():
        from zoo.build import description, perturb

    def check(network: dict[str, Any]) -> None:
        tools.keras.utils.clear_session(free_memory=False)
        tools.keras.utils.set_random_seed(0)
        with quiet():
            model = build(network)
            perturb(model, np.random.default_rng(0))
            archive, converted = tmp_path / "net.keras", tmp_path / "net.onnx"
            model.save(archive)
            proto = convert_keras(model).model
            converted.write_bytes(proto.SerializeToString())
            inputs = seeded_inputs(model)
            expected = np.asarray(model(inputs[0], training=False))
        keras, onnx = load(str(archive)), load(str(converted))
        assert disagreements(keras, description(model)) == []
        assert not [layer for graph in (keras, onnx) for layer in graph.of_kind(Opaque)]
        assert distinct_layers(keras) == distinct_layers(onnx, scattered_norms=True)
        assert Context(keras).macs == Context(onnx).macs is not None
        assert mismatches(converted, onnx) == []
        (computed,) = run_onnx(proto, inputs)
        # Where all is cut off to zero, the inputs give the scale.
        scale = max(float(np.abs(expected).max()), 1e-2)
        assert float(np.abs(computed - expected).max()) <= max(TOLERANCE, rounding(keras)) * scale

    return check


def rounding(graph: Graph) -> float:
    """Return how far the float32 mean of the largest map may be off: half a step for each of its sums."""
    largest = max(
        math.prod(extent for extent in layer.output.spatial or () if isinstance(extent, int)) for layer in graph.layers
    )
    return largest * float(np.finfo(np.float32).eps) / 2


@given(network=NETWORK)
@settings(
    max_examples=settings.default.max_examples * 2 // 5, deadline=None, derandomize=True, suppress_health_check=HEALTH
)
def test_a_random_network_and_its_conversion_agree(check: Check, network: dict[str, Any]) -> None:
    check(network)


@pytest.mark.slow
@given(network=NETWORK)
@settings(max_examples=250, deadline=None, suppress_health_check=HEALTH)
def test_many_random_networks_and_their_conversions_agree(check: Check, network: dict[str, Any]) -> None:
    check(network)
