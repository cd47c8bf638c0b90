"""Normalizations, and Dropout."""

from __future__ import annotations

from cnnlint.frontends.onnx.operators.context import Handler, NodeContext
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import axis_within
from cnnlint.graph.layers import Dropout, LocalResponseNorm
from cnnlint.graph.tensor import Weight


def _batch_norm(ctx: NodeContext) -> None:
    """Raise BatchNormalization: X, scale, B, mean, var."""
    trainable = {"gamma": None, "beta": None, "moving_mean": False, "moving_variance": False}
    weights = list[Weight]()
    for index, (role, is_trainable) in enumerate(trainable.items(), start=1):
        for weight in ctx.weights(ctx.constant(index), role):
            weights.append(Weight(weight.key, weight.shape, weight.dtype, role, is_trainable, weight.storage))
    older = ctx.opset < 14 and ctx.opset >= 7 and len([name for name in ctx.node.outputs if name]) > 1
    view = ctx.view(0)
    made = ops.batch_norm(
        ctx,
        view,
        1,
        epsilon=ctx.attribute_float("epsilon", 1e-5),
        training=bool(ctx.attribute_int("training_mode", 0)) or older,
        weights=tuple(weights),
    )
    ctx.set_output(made)
    ctx.add_side_outputs(1, (view.tensor,), ((view.shape[1] if view.shape else None,),) * 4)


def _instance_norm(ctx: NodeContext) -> None:
    """Raise InstanceNormalization: input, scale, B."""
    weights = _scale_and_shift(ctx)
    if ctx.model.producer.startswith("pytorch"):
        # The operator must have a scale and a shift: for a norm without any, PyTorch writes ones and zeros, which
        # are called after no parameter of a module.
        weights = tuple(weight for weight in weights if weight.key.endswith(("weight", "bias")))
    epsilon = ctx.attribute_float("epsilon", 1e-5)
    ctx.set_output(ops.group_norm(ctx, ctx.view(0), None, axis=1, epsilon=epsilon, weights=weights))


def _group_norm(ctx: NodeContext) -> None:
    """Raise GroupNormalization: X, scale, bias."""
    groups, epsilon = ctx.attribute_int("num_groups", 1), ctx.attribute_float("epsilon", 1e-5)
    ctx.set_output(ops.group_norm(ctx, ctx.view(0), groups, axis=1, epsilon=epsilon, weights=_scale_and_shift(ctx)))


def _layer_norm(ctx: NodeContext) -> None:
    """Raise LayerNormalization, RMSNormalization and their com.microsoft kin: X, scale, B."""
    view = ctx.view(0)
    rank = view.rank or 0
    begin = axis_within(ctx.attribute_int("axis", -1), view.shape) if rank else 0
    made = ops.layer_norm(
        ctx,
        view,
        range(begin, rank),
        epsilon=ctx.attribute_float("epsilon", 1e-5),
        centered="RMS" not in ctx.node.op_type and not ctx.node.op_type.startswith("Simplified"),
        weights=_scale_and_shift(ctx),
    )
    ctx.set_output(made)
    axes = {view.axis(axis) for axis in range(begin, rank)}
    statistics = tuple(1 if axis in axes else dim for axis, dim in enumerate(view.tensor.shape or ()))
    ctx.add_side_outputs(1, (view.tensor,), (statistics or None,) * 3)


def _scale_and_shift(ctx: NodeContext) -> tuple[Weight, ...]:
    return (*ctx.weights(ctx.constant(1), "gamma"), *ctx.weights(ctx.constant(2), "beta"))


def _lrn(ctx: NodeContext) -> None:
    size = ctx.attribute_int("size", 1)
    ctx.add_layer(LocalResponseNorm(inputs=(ctx.tensor(0),), size=size, **ctx.identity))


def _dropout(ctx: NodeContext) -> None:
    """Raise Dropout: the identity, unless it is in training mode or the file keeps its rate."""
    view = ctx.view(0)
    ratio = ctx.constant(1)
    rate = ratio.scalar if ratio is not None else ctx.attribute_float("ratio", 0.5)
    training = ctx.constant(2)
    drops = training is not None and bool(training.scalar)
    if ctx.opset >= 12 and not ctx.has_input(1) and "ratio" not in ctx.node.attributes:
        rate = 0.5
    layer = Dropout(inputs=(view.tensor,), rate=rate, training=drops, **ctx.identity)
    ctx.set_output(ctx.add(layer, like=view))
    if len(ctx.node.outputs) > 1 and ctx.node.outputs[1]:
        ctx.set_output(view, 1)


HANDLERS: dict[str, Handler] = {
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "GroupNorm": _group_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "SimplifiedLayerNormalization": _layer_norm,
}
