"""What exporters leave behind (EX), as edits of the ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from drafts import Draft, Place
from rules.planting import Planted, plants

ONE_NODE = ("RELU", "ELU", "LEAKYRELU")
"""Activations that are one node."""

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def node_of(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """Return the node of a step."""
    return next(node for node in model.graph.node if node.name == name)


def constant(model: onnx.ModelProto, name: str, values: Sequence[int] | float | bool, dtype: type) -> str:
    """Add an initializer and return its name."""
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
    return name


def splice(model: onnx.ModelProto, tensor: str, *nodes: onnx.NodeProto) -> None:
    """Put nodes between a tensor and all that read it; the first reads it, and the last makes what they read then."""
    for reader in model.graph.node:
        for index, name in enumerate(reader.input):
            if name == tensor:
                reader.input[index] = nodes[-1].output[0]
    at = next(index for index, node in enumerate(model.graph.node) if tensor in node.output)
    rest = list(model.graph.node)[at + 1 :]
    del model.graph.node[at + 1 :]
    model.graph.node.extend([*nodes, *rest])


def on_a_map(net: Draft, chance: Random, *kinds: str) -> Place | None:
    """Return where an activation of one node stands on a map outside of branches."""
    places = [place for place in net.main(*(kinds or ONE_NODE)) if len(place.made) == 3]
    return chance.choice(places) if places else None


@plants("EX001")
def an_array_that_nothing_reads(net: Draft, chance: Random) -> Planted:
    size = chance.choice((1000, 100_000))
    net.edits.append(lambda model: void(constant(model, "forgotten", [1] * size, np.float32)))
    return Planted(keras=False)


def void(_: object) -> None:
    """Return nothing."""


@plants("EX002")
def dropout_that_goes_on_dropping(net: Draft, chance: Random) -> Planted | None:
    if not (places := net.places("DROPOUT")):
        return None
    name = chance.choice(places).item.name

    def train(model: onnx.ModelProto) -> None:
        node_of(model, name).input.append(constant(model, "training", True, np.bool_))

    net.edits.append(train)
    return Planted(name, keras=False)


@plants("EX003")
def an_activation_between_transposes(net: Draft, chance: Random) -> Planted | None:
    if (place := on_a_map(net, chance)) is None:
        return None
    name = place.item.name

    def surround(model: onnx.ModelProto) -> None:
        node = node_of(model, name)
        splice(model, name, helper.make_node("Transpose", [f"{name}.last"], [f"{name}.first"], perm=TO_FIRST))
        before = helper.make_node("Transpose", [node.input[0]], [f"{name}.given"], perm=TO_LAST)
        node.input[0], node.output[0] = f"{name}.given", f"{name}.last"
        model.graph.node.insert(list(model.graph.node).index(node), before)

    net.edits.append(surround)
    return Planted(name, keras=False)


@plants("EX004")
def a_shape_worked_out_at_each_run(net: Draft, chance: Random) -> Planted | None:
    name = net.main("GAP")[0].item.name

    def reshape(model: onnx.ModelProto) -> None:
        one, rest = constant(model, "one", [1], np.int64), constant(model, "rest", [-1], np.int64)
        nodes = [
            helper.make_node("Shape", [name], ["shape"]),
            helper.make_node("Gather", ["shape", one], ["channels"]),
            helper.make_node("Concat", [rest, "channels"], ["target"], axis=0),
            helper.make_node("Reshape", [name, "target"], ["reshaped"]),
        ]
        splice(model, name, *nodes)

    net.edits.append(reshape)
    return Planted(keras=False)


@plants("EX005")
def weights_among_the_inputs(net: Draft, chance: Random) -> Planted:
    names = [f"{place.item.name}.kernel" for place in net.places("CONV", "FC")]
    chosen = set(chance.sample(names, chance.randint(1, len(names))))

    def expose(model: onnx.ModelProto) -> None:
        model.graph.input.extend(
            helper.make_tensor_value_info(each.name, each.data_type, each.dims)
            for each in model.graph.initializer
            if each.name in chosen
        )

    net.edits.append(expose)
    return Planted(keras=False)


@plants("EX006")
def weights_of_double_precision(net: Draft, chance: Random) -> Planted | None:
    name = chance.choice(net.places("FC")).item.name

    def widen(model: onnx.ModelProto) -> None:
        node = node_of(model, name)
        for weight in model.graph.initializer:
            if weight.name in node.input:
                weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float64), weight.name))
        before = helper.make_node("Cast", [node.input[0]], [f"{name}.given"], to=TensorProto.DOUBLE)
        after = helper.make_node("Cast", [f"{name}.wide"], list(node.output), to=TensorProto.FLOAT)
        node.input[0], node.output[0] = f"{name}.given", f"{name}.wide"
        at = list(model.graph.node).index(node)
        model.graph.node.insert(at + 1, after)
        model.graph.node.insert(at, before)

    net.edits.append(widen)
    return Planted(keras=False)


@plants("EX007", kinds=("plain", "normalized", "branches"))
def indices_of_a_pooling_that_nothing_reads(net: Draft, chance: Random) -> Planted | None:
    if not (places := net.main("POOL")):
        return None
    name = chance.choice(places).item.name
    net.edits.append(lambda model: node_of(model, name).output.append(f"{name}.indices"))
    return Planted(name, keras=False)


@plants("EX008")
def a_batch_of_one(net: Draft, chance: Random) -> Planted:
    def fix(model: onnx.ModelProto) -> None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1

    net.edits.append(fix)
    return Planted(keras=False)


@plants("EX009")
def a_batch_for_channels(net: Draft, chance: Random) -> Planted:
    def mistake(model: onnx.ModelProto) -> None:
        dims = model.graph.input[0].type.tensor_type.shape.dim
        dims[0].dim_value = 1
        dims[1].dim_param = "batch"

    net.edits.append(mistake)
    return Planted(net.main("CONV")[0].item.name, keras=False)
