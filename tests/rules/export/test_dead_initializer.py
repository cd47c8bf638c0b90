"""EX001: arrays that no layer uses."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cnnlint.frontends.notation import to_onnx
from cnnlint.testing import findings, to_graph
from cnnlint_rules.export.dead_initializer import DeadInitializer

NET = "INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> GAP -> FC 10"


def with_leftovers(*arrays: tuple[str, int]) -> onnx.ModelProto:
    """Return a network with float32 arrays of the given numbers of elements that nothing reads."""
    model = to_onnx(NET)
    for name, elements in arrays:
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(elements, np.float32), name))
    return model


def test_one_finding_adds_up_the_bytes_and_names_the_largest_three():
    (found,) = findings(DeadInitializer, with_leftovers(("a", 10), ("b", 4000), ("c", 20), ("d", 30)))
    assert found.evidence == {"arrays": 4, "bytes": 4 * 4060}
    assert "b (16,000 bytes), d (120 bytes), c (80 bytes) and 1 more" in found.message
    assert found.savings is not None
    assert found.savings.bytes == 16_240
    assert found.severity == "warning"
    assert found.layers == ()


def test_a_network_that_uses_all_its_arrays_is_clean():
    assert findings(DeadInitializer, to_onnx(NET)) == ()


def test_leftovers_are_no_parameters_of_the_network():
    assert to_graph(with_leftovers(("a", 10_000))).parameters == to_graph(to_onnx(NET)).parameters


@pytest.mark.parametrize(("elements", "severity"), [(1, "info"), (100, "warning")])
def test_leftovers_of_less_than_a_hundredth_of_the_weights_are_only_worth_knowing(elements, severity):
    (found,) = findings(DeadInitializer, with_leftovers(("a", elements)))
    assert found.severity == severity


def test_leftovers_below_the_least_bytes_are_let_be():
    model = with_leftovers(("a", 100))
    assert findings(DeadInitializer, model, min_bytes=401) == ()
    assert len(findings(DeadInitializer, model, min_bytes=400)) == 1
