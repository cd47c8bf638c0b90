"""Operators that pad, slice, gather and split."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.operators.constants import gather_constant
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext
from cnnlint.frontends.onnx.operators.outside import add_operator
from cnnlint.frontends.onnx.operators.values import Constant, taken
from cnnlint.frontends.onnx.records import NodeRecord
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.ops import PadMode
from cnnlint.frontends.raising.view import axis_within
from cnnlint.graph.layers import Embedding, Split
from cnnlint.graph.tensor import Dim


def _pad(ctx: NodeContext) -> None:
    """Handle Pad: data, pads, constant value, axes."""
    view = ctx.view(0)
    pads, _ = ctx.setting(1, "pads")
    axes, known = ctx.setting(3, "axes")
    shape = view.shape
    if shape is None or pads is None or not known:
        add_operator(ctx)
        return
    places = axes or tuple(range(len(shape)))
    half = len(pads) // 2
    if len(pads) != 2 * len(places):
        raise ContradictionError(f"it has {len(pads)} pads for {len(places)} axes")
    amounts = [(0, 0)] * len(shape)
    for place, before, after in zip(places, pads[:half], pads[half:], strict=True):
        amounts[axis_within(place, shape)] = (before, after)
    mode = _mode(ctx.attribute_text("mode", "constant"))
    fill = ctx.constant(2)
    value = (fill.scalar if fill is not None else ctx.attribute_float("value", 0.0)) or 0.0
    ctx.set_output(ops.pad(ctx, view, tuple(amounts), mode=mode, value=value))


def _mode(name: str) -> PadMode:
    modes: dict[str, PadMode] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    return modes.get(name, "constant")


def _slice(ctx: NodeContext) -> None:
    """Handle Slice: data, starts, ends, axes, steps."""
    value = ctx.value(0)
    shape = value.shape
    given = [ctx.setting(index, name) for index, name in enumerate(("starts", "ends", "axes", "steps"), start=1)]
    starts, ends, axes, steps = (numbers for numbers, _ in given)
    if shape is None or starts is None or ends is None or not all(known for _, known in given):
        add_operator(ctx)
        return
    places = axes or tuple(range(len(starts)))
    strides = steps or (1,) * len(starts)
    if not len(places) == len(starts) == len(ends) == len(strides) or 0 in strides:
        raise ContradictionError("its starts, ends, axes and steps do not match, or a step is 0")
    dims, begins, apart = list(shape), [0] * len(shape), [1] * len(shape)
    for axis, start, end, step in zip(places, starts, ends, strides, strict=True):
        place = axis_within(axis, shape)
        extent = dims[place]
        dims[place] = _sliced(extent, start, end, step)
        begins[place] = start + extent if start < 0 and isinstance(extent, int) else start
        apart[place] = step
    if isinstance(value, Constant):
        part = value
        for axis, start, end, step in zip(places, starts, ends, strides, strict=True):
            part = _part_of_constant(part, axis_within(axis, shape), start, end, step)
        ctx.set_output(replace(part, shape=tuple(dims), stored=False))
        return
    view = ctx.view(0)
    if view.in_graph_order(tuple(dims)) == view.tensor.shape:
        ctx.set_output(view)
    elif all(step == 1 for step in strides) and min(begins) >= 0:
        ctx.set_output(ops.crop(ctx, view, tuple(dims), starts=tuple(begins)))
    else:
        ctx.set_output(ops.crop(ctx, view, tuple(dims), steps=tuple(apart)))


def _part_of_constant(value: Constant, axis: int, start: int, end: int, step: int) -> Constant:
    """Slice a constant along one axis; its elements become unknown if an extent is."""
    shape = value.shape or ()
    extent = shape[axis]
    if not isinstance(extent, int):
        return replace(value, values=None)
    places = range(*slice(start, _end(end) if step < 0 else end, step).indices(extent))
    values = taken(value, axis, places) if value.values is not None else None
    return replace(value, shape=(*shape[:axis], len(places), *shape[axis + 1 :]), values=values)


def _end(end: int) -> int | None:
    return None if abs(end) >= 2**31 - 1 else end


def _sliced(dim: Dim, start: int, end: int, step: int) -> Dim:
    if isinstance(dim, int):
        return len(range(*slice(start, _end(end) if step < 0 else end, step).indices(dim)))
    whole = start == 0 and end >= 2**31 - 1 and step == 1
    return dim if whole else None


def _gather(ctx: NodeContext) -> None:
    """Handle Gather: data, indices; on a constant table it is an embedding."""
    value = ctx.value(0)
    indices = ctx.value(1)
    axis = ctx.attribute_int("axis", 0)
    if isinstance(value, Constant):
        if isinstance(indices, Constant):
            ctx.set_output(gather_constant(value, indices, axis))
            return
        shape = value.shape
        weights = ctx.weights(value, "embeddings")
        if shape is not None and len(shape) == 2 and axis == 0 and weights:
            entries, features = shape
            if isinstance(entries, int) and isinstance(features, int):
                layer = Embedding(
                    inputs=(ctx.tensor(1),), entries=entries, features=features, weights=weights, **ctx.identity
                )
                ctx.add_layer(layer, dtype=value.dtype)
                return
        add_operator(ctx)
        return
    shape, places = value.shape, indices.shape
    if shape is None or places is None:
        add_operator(ctx)
        return
    axis = axis_within(axis, shape)
    add_operator(ctx, ((*shape[:axis], *places, *shape[axis + 1 :]),))


def _split(ctx: NodeContext) -> None:
    """Handle Split: input, sizes."""
    view = ctx.view(0)
    shape = view.shape
    if shape is None:
        add_operator(ctx)
        return
    axis = axis_within(ctx.attribute_int("axis", 0), shape)
    count = len(ctx.node.outputs)
    given = ctx.constant(1)
    sizes: tuple[Dim, ...] | None = given.dims if given is not None else ctx.attribute_ints("split")
    extent = shape[axis]
    if sizes is None and isinstance(extent, int) and not ctx.has_input(1):
        chunk = -(-extent // count)
        sizes = (*((chunk,) * (count - 1)), extent - chunk * (count - 1))
    sizes = sizes or (None,) * count
    if len(sizes) != count:
        raise ContradictionError(f"it has {len(sizes)} sizes for {count} parts")
    layer = Split(inputs=(view.tensor,), axis=view.axis(axis), sizes=sizes, **ctx.identity)
    ctx.add_layer(layer, like=view)


def _split_to_sequence(ctx: NodeContext) -> None:
    """Handle SplitToSequence (input, sizes) as a Split if only known parts are read, as PyTorch exports chunks."""
    view = ctx.view(0)
    shape, given = view.shape, ctx.constant(1)
    parts = {reader.outputs[0]: _part(ctx, reader) for reader in ctx.readers(ctx.node.outputs[0])}
    axis = axis_within(ctx.attribute_int("axis", 0), shape)
    sizes = None if not shape or given is None else _sizes(given, shape[axis])
    alone = ctx.is_result(ctx.node.outputs[0]) or not parts
    if sizes is None or alone or not all(part in range(len(sizes)) for part in parts.values()):
        add_operator(ctx)
        return
    names = {part: name for name, part in parts.items()}
    layer = Split(inputs=(view.tensor,), axis=view.axis(axis), sizes=sizes, **ctx.identity)
    tensors = ctx.builder.add(layer, [names.get(index, f"{ctx.label}:{index}") for index in range(len(sizes))])
    ctx.set_output(view)  # the sequence is read only for its parts
    for name, part in parts.items():
        ctx.set_value(name, view.of(tensors[part or 0]))


def _part(ctx: NodeContext, reader: NodeRecord) -> int | None:
    """Return which part of a sequence a SequenceAt takes; None if unknown, or for another operator."""
    place = ctx.get(reader.inputs[1]) if reader.op_type == "SequenceAt" and len(reader.inputs) > 1 else None
    return place.integers[0] if isinstance(place, Constant) and place.integers else None


def _sizes(given: Constant, extent: Dim) -> tuple[int, ...] | None:
    """Return the sizes of the parts: `given` lists them, or is a scalar for all but the last."""
    if given.shape != () or not given.integers:
        return given.integers
    if not isinstance(extent, int) or given.integers[0] < 1:
        return None
    if limits.steps(0, extent, given.integers[0]) > limits.MAX_PARTS:
        return None
    return tuple(min(given.integers[0], extent - start) for start in range(0, extent, given.integers[0]))


def _sequence_at(ctx: NodeContext) -> None:
    """Handle SequenceAt, whose output is already known if the sequence became a Split."""
    if ctx.get(ctx.node.outputs[0]) is None:
        add_operator(ctx)


HANDLERS: dict[str, Handler] = {
    "Gather": _gather,
    "Pad": _pad,
    "SequenceAt": _sequence_at,
    "Slice": _slice,
    "Split": _split,
    "SplitToSequence": _split_to_sequence,
}
