"""What a kind of layer does not say about itself is unknown: it is never taken for free, small or harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.analysis.nets import Net
from cnnlint.analysis.context import Context
from cnnlint.analysis.inputs import spatial_on
from cnnlint.engine.budget import QUANTITIES
from cnnlint.graph import layers
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Opaque, Operator, Reduce
from cnnlint.graph.queries import mixing_layers

if TYPE_CHECKING:
    from cnnlint.graph.tensor import Shape


class Silent(Layer, frozen=True, kw_only=True, eq=False):
    """A kind that says nothing, but for a shape that a file gives."""

    shape: Shape | None = None

    def output_shapes(self) -> tuple[Shape | None, ...]:
        return (self.shape,)


class Mute(Layer, frozen=True, kw_only=True, eq=False):
    """A kind that says nothing at all."""


def network(kind: type[Layer], **fields: object) -> Graph:
    """Return conv1 -> the layer in question -> conv2, whose maps have one shape."""
    net = Net()
    x = net.conv(net.input(3, 16, 16), 8)
    x = net.add_layer(kind, x, name="asked", **fields)
    return net.graph(net.conv(x, 8))


SILENT = network(Silent, shape=("N", 8, 16, 16))
OPAQUE = network(Opaque, op="Custom", reason="operator of domain com.acme", shapes=(("N", 8, 16, 16),))


@pytest.mark.parametrize("graph", [SILENT, OPAQUE], ids=["silent", "opaque"])
def test_costs_of_a_network_with_it_are_unknown(graph: Graph) -> None:
    context = Context(graph)
    asked = graph.layers[1]
    assert context.layer_macs(asked) is None
    assert context.macs is None
    assert context.peak_activation_bytes is None
    assert asked.mac_formula() is None


@pytest.mark.parametrize("name", ["macs", "peak_activation_bytes"])
def test_a_budget_of_an_unknown_cost_says_whose_it_is(name: str) -> None:
    assert QUANTITIES[name].measure(Context(SILENT)) is None
    assert "asked is a Silent, whose inside is not known" in QUANTITIES[name].unknown(Context(SILENT))


def test_its_output_shape_is_unknown() -> None:
    assert Mute(name="asked", inputs=SILENT.inputs).output_shapes() == (None,)


GRID_SAMPLE = network(Operator, op="GridSample", shapes=(("N", 8, 16, 16),))
MEAN_OF_ROWS = network(Reduce, function="mean", axes=(2,))


@pytest.mark.parametrize(
    "graph", [SILENT, OPAQUE, GRID_SAMPLE, MEAN_OF_ROWS], ids=["silent", "opaque", "grid sample", "mean of rows"]
)
def test_the_receptive_field_is_unknown_from_it_on(graph: Graph) -> None:
    fields = Context(graph).receptive_fields
    assert fields == {"conv1": (3, 3), "asked": None, "conv2": None}


def test_depth_is_unknown_from_it_on() -> None:
    assert Context(SILENT).depths == {"conv1": 1, "asked": None, "conv2": None}


def test_it_may_mix_samples_and_change_values() -> None:
    asked = SILENT.layers[1]
    assert mixing_layers(SILENT) == (asked,)
    for claim in ("is_identity_at_inference", "is_view", "is_affine_per_channel", "is_rank_agnostic"):
        assert getattr(asked, claim) is False, claim


def test_the_extents_of_a_larger_image_are_unknown_from_it_on() -> None:
    assert spatial_on(SILENT, SILENT.layers[0].output, (32, 32)) == (32, 32)
    assert spatial_on(SILENT, SILENT.layers[1].output, (32, 32)) is None


KINDS = [getattr(layers, name) for name in layers.__all__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_but_the_opaque_one_says_whether_it_multiplies(kind: type[Layer]) -> None:
    assert (kind.multiplies is None) == (kind is Opaque)
    if kind.multiplies:
        assert "mac_formula" in vars(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_kind_takes_its_output_shape_from_nowhere(kind: type[Layer]) -> None:
    assert kind.output_shapes is not Layer.output_shapes
