"""Recurrent cells and attention."""

from __future__ import annotations

from typing import Literal

from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.lowering.operators import emit_opaque
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.raising.view import Permutation, View
from cnnlint.graph.layers import Attention, Recurrent
from cnnlint.graph.tensor import Shape

CELLS: dict[str, Literal["lstm", "gru", "rnn"]] = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}


def lower_recurrent(state: Lowering) -> None:
    """Lower LSTM, GRU and RNN: X, W, R, B, ...; the steps come first in the file, or with `layout` the batch."""
    steps_first = not state.attribute_int("layout", 0)
    view = state.view(0)
    if view.rank == 3 and steps_first:
        view = view.transposed((1, 0, 2))
    source = state.draft.tensor(view)
    kernel = state.constant(1)
    units = state.attribute_int("hidden_size", 0)
    directions = 2 if state.attribute_text("direction", "forward") == "bidirectional" else 1
    batch, steps = source.shape[:2] if source.shape is not None and len(source.shape) == 3 else (None, None)
    features = kernel.shape[-1] if kernel is not None and kernel.shape else None
    last: Shape = (batch, directions, units)
    shapes: tuple[Shape, ...] = ((batch, steps, directions, units), last, last)
    layer = Recurrent(
        name=state.label,
        inputs=(source,),
        cell=CELLS[state.node.op_type],
        units=units,
        directions=directions,
        steps=steps,
        input_features=features if isinstance(features, int) else None,
        shapes=shapes[: len(state.node.outputs)],
        weights=(
            *state.weights(kernel, "kernel"),
            *state.weights(state.constant(2), "recurrent_kernel"),
            *state.weights(state.constant(3), "bias"),
        ),
        origin=state.origin,
    )
    orders: tuple[Permutation, ...] = ((1, 2, 0, 3), (1, 0, 2), (1, 0, 2))
    for index, (tensor, order) in enumerate(zip(state.emit(layer), orders, strict=False)):
        state.give(View(tensor, order if steps_first else None), index)


def lower_attention(state: Lowering) -> None:
    """Lower the Attention operator of opset 23: Q, K, V as (batch, heads, tokens, features) or packed."""
    tensors = tuple(state.tensor(index) for index in range(3))
    query, key, value = (tensor.shape for tensor in tensors)
    if query is None or key is None or value is None or state.node.domain:
        emit_opaque(state, "an attention whose shapes are unknown")
        return
    if not len(query) == len(key) == len(value) or len(query) not in (3, 4):
        raise ContradictionError(f"query, key and value have {len(query)}, {len(key)} and {len(value)} axes")
    if len(query) == 4:
        heads, key_dim, value_dim = query[1], query[3], value[3]
        queries, keys = query[2], key[2]
        shape: Shape = (query[0], heads, queries, value_dim)
    else:
        heads = state.attribute_int("q_num_heads", 1)
        pairs = state.attribute_int("kv_num_heads", heads)
        if heads < 1 or pairs < 1:
            raise ContradictionError(f"its number of heads is {min(heads, pairs)}")
        key_dim = query[2] // heads if isinstance(query[2], int) else None
        value_dim = value[2] // pairs if isinstance(value[2], int) else None
        queries, keys = query[1], key[1]
        shape = (query[0], queries, None if value_dim is None else heads * value_dim)
    if not (isinstance(heads, int) and isinstance(key_dim, int) and isinstance(value_dim, int)):
        emit_opaque(state, "an attention whose heads are unknown")
        return
    layer = Attention(
        name=state.label,
        inputs=tensors,
        heads=heads,
        key_dim=key_dim,
        value_dim=value_dim,
        projects=False,
        tokens=(queries, keys),
        shape=shape,
        origin=state.origin,
    )
    outputs = state.draft.add(layer, [state.node.outputs[0]])
    state.give(View(outputs[0]))
    declared = [state.declared(name) for name in state.node.outputs[1:]]
    state.give_aside(1, tensors, tuple(None if record is None else record.shape for record in declared))


HANDLERS: dict[str, Handler] = {**dict.fromkeys(CELLS, lower_recurrent), "Attention": lower_attention}
