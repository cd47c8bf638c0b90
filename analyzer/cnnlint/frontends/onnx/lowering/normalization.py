"""Normalisations."""

from __future__ import annotations

from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.raising.view import axis_within
from cnnlint.graph.layers import BatchNorm, Dropout, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm
from cnnlint.graph.tensor import Weight


def lower_batch_norm(state: Lowering) -> None:
    """Lower BatchNormalization: X, scale, B, mean, var."""
    trainable = {"gamma": None, "beta": None, "moving_mean": False, "moving_variance": False}
    weights = list[Weight]()
    for index, (role, is_trainable) in enumerate(trainable.items(), start=1):
        for weight in state.weights(state.constant(index), role):
            weights.append(Weight(weight.key, weight.shape, weight.dtype, role, is_trainable, weight.storage))
    older = state.opset < 14 and state.opset >= 7 and len([name for name in state.node.outputs if name]) > 1
    view = state.view(0)
    layer = BatchNorm(
        name=state.label,
        inputs=(view.tensor,),
        axis=view.axis(1),
        epsilon=state.attribute_float("epsilon", 1e-5),
        training=bool(state.attribute_int("training_mode", 0)) or older,
        weights=tuple(weights),
        origin=state.origin,
    )
    outputs = state.draft.add(layer, [state.node.outputs[0]])
    state.give(view.of(outputs[0]))
    state.give_aside(1, layer.inputs, ((view.shape[1] if view.shape else None,),) * 4)


def lower_instance_norm(state: Lowering) -> None:
    """Lower InstanceNormalization: input, scale, B."""
    epsilon = state.attribute_float("epsilon", 1e-5)
    weights = (*state.weights(state.constant(1), "gamma"), *state.weights(state.constant(2), "beta"))
    if state.model.producer.startswith("pytorch"):
        # The operator must have a scale and a shift: for a norm without any, PyTorch writes ones and zeros, which
        # are called after no parameter of a module.
        weights = tuple(weight for weight in weights if weight.key.endswith(("weight", "bias")))
    state.emit(
        InstanceNorm(name=state.label, inputs=(state.tensor(0),), epsilon=epsilon, weights=weights, origin=state.origin)
    )


def lower_group_norm(state: Lowering) -> None:
    """Lower GroupNormalization: X, scale, bias."""
    layer = GroupNorm(
        name=state.label,
        inputs=(state.tensor(0),),
        groups=state.attribute_int("num_groups", 1),
        epsilon=state.attribute_float("epsilon", 1e-5),
        weights=(*state.weights(state.constant(1), "gamma"), *state.weights(state.constant(2), "beta")),
        origin=state.origin,
    )
    state.emit(layer)


def lower_layer_norm(state: Lowering) -> None:
    """Lower LayerNormalization, RMSNormalization and their com.microsoft kin: X, scale, B."""
    view = state.view(0)
    rank = view.rank or 0
    first = state.attribute_int("axis", -1)
    centered = "RMS" not in state.node.op_type and not state.node.op_type.startswith("Simplified")
    begin = axis_within(first, view.shape) if rank else 0
    axes = tuple(sorted(view.axis(axis) for axis in range(begin, rank)))
    layer = LayerNorm(
        name=state.label,
        inputs=(view.tensor,),
        axes=axes,
        epsilon=state.attribute_float("epsilon", 1e-5),
        centered=centered,
        weights=(*state.weights(state.constant(1), "gamma"), *state.weights(state.constant(2), "beta")),
        origin=state.origin,
    )
    outputs = state.draft.add(layer, [state.node.outputs[0]])
    state.give(view.of(outputs[0]))
    statistics = tuple(1 if axis in axes else dim for axis, dim in enumerate(view.tensor.shape or ()))
    state.give_aside(1, layer.inputs, (statistics or None,) * 3)


def lower_lrn(state: Lowering) -> None:
    """Lower LRN."""
    size = state.attribute_int("size", 1)
    state.emit(LocalResponseNorm(name=state.label, inputs=(state.tensor(0),), size=size, origin=state.origin))


def lower_dropout(state: Lowering) -> None:
    """Lower Dropout: the identity, unless it is in training mode or the file keeps its rate."""
    view = state.view(0)
    ratio = state.constant(1)
    rate = ratio.scalar if ratio is not None else state.attribute_float("ratio", 0.5)
    training = state.constant(2)
    drops = training is not None and bool(training.scalar)
    if state.opset >= 12 and not state.has_input(1) and "ratio" not in state.node.attributes:
        rate = 0.5
    layer = Dropout(name=state.label, inputs=(view.tensor,), rate=rate, training=drops, origin=state.origin)
    outputs = state.draft.add(layer, [state.node.outputs[0]])
    state.give(view.of(outputs[0]))
    if len(state.node.outputs) > 1 and state.node.outputs[1]:
        state.give(view, 1)


HANDLERS: dict[str, Handler] = {
    "BatchNormalization": lower_batch_norm,
    "Dropout": lower_dropout,
    "GroupNorm": lower_group_norm,
    "GroupNormalization": lower_group_norm,
    "InstanceNormalization": lower_instance_norm,
    "LRN": lower_lrn,
    "LayerNormalization": lower_layer_norm,
    "RMSNormalization": lower_layer_norm,
    "SimplifiedLayerNormalization": lower_layer_norm,
}
