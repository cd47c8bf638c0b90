"""Operators that add or cut away parts of a tensor."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.lowering.constants import gather_constant
from cnnlint.frontends.onnx.lowering.folding import taken
from cnnlint.frontends.onnx.lowering.operators import emit_operator
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant
from cnnlint.frontends.onnx.records import NodeRecord
from cnnlint.frontends.raising.view import axis_within
from cnnlint.graph.layers import (
    Crop,
    Embedding,
    Pad,
    Split,
)
from cnnlint.graph.tensor import Dim


def lower_pad(state: Lowering) -> None:
    """Lower Pad: data, pads, constant value, axes."""
    view = state.view(0)
    pads, _ = state.setting(1, "pads")
    axes, known = state.setting(3, "axes")
    shape = view.shape
    if shape is None or pads is None or not known:
        emit_operator(state)
        return
    places = axes or tuple(range(len(shape)))
    half = len(pads) // 2
    if len(pads) != 2 * len(places):
        raise ContradictionError(f"it has {len(pads)} pads for {len(places)} axes")
    amounts = [(0, 0)] * len(shape)
    for place, before, after in zip(places, pads[:half], pads[half:], strict=True):
        amounts[view.axis(place)] = (before, after)
    mode = state.attribute_text("mode", "constant")
    fill = state.constant(2)
    layer = Pad(
        name=state.label,
        inputs=(view.tensor,),
        amounts=tuple(amounts),
        mode=mode if mode in ("reflect", "edge", "wrap") else "constant",
        value=(fill.scalar if fill is not None else state.attribute_float("value", 0.0)) or 0.0,
        origin=state.origin,
    )
    state.emit(layer, like=view)


def lower_slice(state: Lowering) -> None:
    """Lower Slice: data, starts, ends, axes, steps."""
    value = state.value(0)
    shape = value.shape
    given = [state.setting(index, name) for index, name in enumerate(("starts", "ends", "axes", "steps"), start=1)]
    starts, ends, axes, steps = (numbers for numbers, _ in given)
    if shape is None or starts is None or ends is None or not all(known for _, known in given):
        emit_operator(state)
        return
    places = axes or tuple(range(len(starts)))
    strides = steps or (1,) * len(starts)
    if not len(places) == len(starts) == len(ends) == len(strides) or 0 in strides:
        raise ContradictionError("its starts, ends, axes and steps do not belong together, or a step is 0")
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
        state.give(replace(part, shape=tuple(dims), stored=False))
        return
    view = state.view(0)
    target = view.in_graph_order(tuple(dims))
    if target == view.tensor.shape:
        state.give(view)
        return
    known = all(step == 1 for step in strides) and min(begins) >= 0
    layer = Crop(
        name=state.label,
        inputs=(view.tensor,),
        target=target,
        starts=_whole(view.in_graph_order(tuple(begins))) if known else None,
        steps=None if known else _whole(view.in_graph_order(tuple(apart))),
        origin=state.origin,
    )
    state.emit(layer, like=view)


def _part_of_constant(value: Constant, axis: int, start: int, end: int, step: int) -> Constant:
    """Return a constant cut along one axis; its elements are unknown where its extents are."""
    shape = value.shape or ()
    extent = shape[axis]
    if not isinstance(extent, int):
        return replace(value, values=None)
    places = range(*slice(start, _end(end) if step < 0 else end, step).indices(extent))
    values = taken(value, axis, places) if value.values is not None else None
    return replace(value, shape=(*shape[:axis], len(places), *shape[axis + 1 :]), values=values)


def _whole(extents: tuple[Dim, ...]) -> tuple[int, ...]:
    return tuple(extent for extent in extents if isinstance(extent, int))


def _end(end: int) -> int | None:
    return None if abs(end) >= 2**31 - 1 else end


def _sliced(dim: Dim, start: int, end: int, step: int) -> Dim:
    if isinstance(dim, int):
        return len(range(*slice(start, _end(end) if step < 0 else end, step).indices(dim)))
    whole = start == 0 and end >= 2**31 - 1 and step == 1
    return dim if whole else None


def lower_gather(state: Lowering) -> None:
    """Lower Gather: data, indices; of a constant table it is an embedding."""
    value = state.value(0)
    indices = state.value(1)
    axis = state.attribute_int("axis", 0)
    if isinstance(value, Constant):
        if isinstance(indices, Constant):
            state.give(gather_constant(value, indices, axis))
            return
        shape = value.shape
        weights = state.weights(value, "embeddings")
        if shape is not None and len(shape) == 2 and axis == 0 and weights:
            entries, features = shape
            if isinstance(entries, int) and isinstance(features, int):
                layer = Embedding(
                    name=state.label,
                    inputs=(state.tensor(1),),
                    entries=entries,
                    features=features,
                    weights=weights,
                    origin=state.origin,
                )
                state.emit(layer, dtype=value.dtype)
                return
        emit_operator(state)
        return
    shape, places = value.shape, indices.shape
    if shape is None or places is None:
        emit_operator(state)
        return
    axis = axis_within(axis, shape)
    emit_operator(state, ((*shape[:axis], *places, *shape[axis + 1 :]),))


def lower_split(state: Lowering) -> None:
    """Lower Split: input, sizes."""
    view = state.view(0)
    shape = view.shape
    if shape is None:
        emit_operator(state)
        return
    axis = axis_within(state.attribute_int("axis", 0), shape)
    count = len(state.node.outputs)
    given = state.constant(1)
    sizes: tuple[Dim, ...] | None = given.dims if given is not None else state.attribute_ints("split")
    extent = shape[axis]
    if sizes is None and isinstance(extent, int) and not state.has_input(1):
        chunk = -(-extent // count)
        sizes = (*((chunk,) * (count - 1)), extent - chunk * (count - 1))
    sizes = sizes or (None,) * count
    if len(sizes) != count:
        raise ContradictionError(f"it has {len(sizes)} sizes for {count} parts")
    layer = Split(name=state.label, inputs=(view.tensor,), axis=view.axis(axis), sizes=sizes, origin=state.origin)
    state.emit(layer, like=view)


def lower_split_to_sequence(state: Lowering) -> None:
    """Lower SplitToSequence (input, sizes) where known parts of it are all that is read: PyTorch writes chunks so."""
    view = state.view(0)
    shape, given = view.shape, state.constant(1)
    parts = {reader.outputs[0]: _part(state, reader) for reader in state.readers(state.node.outputs[0])}
    axis = axis_within(state.attribute_int("axis", 0), shape)
    sizes = None if not shape or given is None else _sizes(given, shape[axis])
    alone = state.is_result(state.node.outputs[0]) or not parts
    if sizes is None or alone or not all(part in range(len(sizes)) for part in parts.values()):
        emit_operator(state)
        return
    names = {part: name for name, part in parts.items()}
    layer = Split(name=state.label, inputs=(view.tensor,), axis=view.axis(axis), sizes=sizes, origin=state.origin)
    tensors = state.draft.add(layer, [names.get(index, f"{state.label}:{index}") for index in range(len(sizes))])
    state.give(view)  # nobody reads the sequence but for its parts
    for name, part in parts.items():
        state.bind(name, view.of(tensors[part or 0]))


def _part(state: Lowering, reader: NodeRecord) -> int | None:
    """Return which part of a sequence a SequenceAt takes; None if that is not known, or `reader` is none."""
    place = state.get(reader.inputs[1]) if reader.op_type == "SequenceAt" and len(reader.inputs) > 1 else None
    return place.integers[0] if isinstance(place, Constant) and place.integers else None


def _sizes(given: Constant, extent: Dim) -> tuple[int, ...] | None:
    """Return the sizes of the parts: `given` are all of them, or as a scalar that of each but the last."""
    if given.shape != () or not given.integers:
        return given.integers
    if not isinstance(extent, int) or given.integers[0] < 1:
        return None
    if limits.steps(0, extent, given.integers[0]) > limits.MAX_PARTS:
        return None
    return tuple(min(given.integers[0], extent - start) for start in range(0, extent, given.integers[0]))


def lower_sequence_at(state: Lowering) -> None:
    """Lower SequenceAt, whose output is known already where the sequence was raised to a Split."""
    if state.get(state.node.outputs[0]) is None:
        emit_operator(state)


HANDLERS: dict[str, Handler] = {
    "Gather": lower_gather,
    "Pad": lower_pad,
    "SequenceAt": lower_sequence_at,
    "Slice": lower_slice,
    "Split": lower_split,
    "SplitToSequence": lower_split_to_sequence,
}
