"""Layers along a sequence: recurrent cells in one or both directions, and the two steps around TimeDistributed."""

from __future__ import annotations

from functools import partial
from typing import Literal

from msgspec.structs import replace

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.flat_model import MERGE, SPLIT
from cnnlint.frontends.keras.layers.call import Handler, KerasCall, add_opaque, weights_of
from cnnlint.frontends.keras.layers.windows import padding_of
from cnnlint.frontends.keras.records import LayerRecord, WeightRecord, described
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.dims import product
from cnnlint.graph.layers import Recurrent, Reshape
from cnnlint.graph.tensor import Dim, Shape, Tensor, Weight
from cnnlint.graph.window import Window, resolve_pads

Cell = Literal["lstm", "gru", "rnn"]

CELLS: dict[str, Cell] = {
    "LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn", "CuDNNLSTM": "lstm", "CuDNNGRU": "gru",
    "LSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "rnn",
}  # fmt: skip

ROLES = ("kernel", "recurrent_kernel", "bias")


def _recurrent(call: KerasCall) -> list[TensorView]:
    return _add(call, call.layer, directions=1, weights=call.weights(*ROLES))


def _with_cell(call: KerasCall) -> list[TensorView]:
    """Handle `RNN`, which has a cell as an argument."""
    cell = settings.mapping(call.config.get("cell"))
    if cell is None or cell.get("class_name") not in CELLS:
        return add_opaque(call, "a recurrent layer with a custom cell")
    inner = described(cell, path=call.layer.path)
    record = replace(inner, config={**call.config, **inner.config})
    return _add(call, record, directions=1, weights=call.weights(*ROLES))


def _bidirectional(call: KerasCall) -> list[TensorView]:
    wrapped = settings.mapping(call.config.get("layer"))
    if wrapped is None or wrapped.get("class_name") not in CELLS:
        return add_opaque(call, "a bidirectional layer around a custom layer")
    inner = described(wrapped, path=call.layer.path)
    return _add(call, inner, directions=2, weights=_both_ways(call))


def _both_ways(call: KerasCall) -> tuple[Weight, ...]:
    """Return the weights of the forward layer, then those of the backward layer."""

    def of(direction: str) -> list[WeightRecord]:
        return [
            weight
            for weight in call.layer.weights
            if any(part.startswith(direction) for part in weight.name.split("/"))
        ]

    forward, backward = of("forward"), of("backward")
    records = (*forward, *backward) if len(forward) + len(backward) == len(call.layer.weights) else call.layer.weights
    roles = tuple(f"{direction}_{role}" for direction in ("forward", "backward") for role in ROLES[: len(records) // 2])
    return weights_of(tuple(records), roles, trainable=call.layer.trainable)


def _add(call: KerasCall, layer: LayerRecord, *, directions: int, weights: tuple[Weight, ...]) -> list[TensorView]:
    source = call.builder.tensor(call.view)
    units = layer.config.get("units")
    shape: Shape = source.shape if source.shape is not None and len(source.shape) == 3 else (None, None, None)
    batch, steps, features = shape
    if not isinstance(units, int) or units < 1:
        return add_opaque(call, "a recurrent layer without a number of units")
    shapes = _shapes(call, layer, (batch, steps, units), directions)
    recurrent = Recurrent(
        inputs=(source, *(call.builder.tensor(view) for view in call.views[1:])),
        cell=CELLS[layer.class_name],
        units=units,
        directions=directions,
        steps=steps,
        input_features=features if isinstance(features, int) else None,
        shapes=shapes,
        weights=weights,
        **call.identity,
    )
    return [TensorView(tensor) for tensor in call.builder.add(recurrent, dtype=call.dtype)]


def _shapes(call: KerasCall, layer: LayerRecord, sequence: tuple[Dim, Dim, int], directions: int) -> tuple[Shape, ...]:
    batch, steps, units = sequence
    merge = call.config.get("merge_mode", "concat") if directions == 2 else "sum"
    width = 2 * units if merge == "concat" else units
    output: Shape = (batch, steps, width) if layer.config.get("return_sequences") else (batch, width)
    outputs = (output, output) if merge is None else (output,)
    if not layer.config.get("return_state"):
        return outputs
    states = 2 if CELLS[layer.class_name] == "lstm" else 1
    return (*outputs, *(((batch, units),) * (states * directions)))


def _convolutional(call: KerasCall, rank: int) -> list[TensorView]:
    """Add an opaque layer of the right shape: its multiply-accumulates are not counted."""
    shape = call.view.shape
    reason = "a convolutional recurrent cell"
    if shape is None or len(shape) != rank + 3 or call.config.get("return_state"):
        return add_opaque(call, reason)
    first = call.channels_first
    kernel, strides = call.integers("kernel_size", rank), call.integers("strides", rank)
    dilation = call.integers("dilation_rate", rank)
    spatial = shape[3:] if first else shape[2:-1]
    pads = resolve_pads(padding_of(call, kernel, dilation), spatial, kernel, strides, dilation)
    windows = zip(kernel, strides, dilation, pads or ((0, 0),) * rank, strict=True)
    extents = tuple(
        Window(taps, step, gap, *amount).output(dim) if pads else None
        for dim, (taps, step, gap, amount) in zip(spatial, windows, strict=True)
    )
    filters = (call.whole("filters"),)
    steps = shape[1:2] if call.config.get("return_sequences") else ()
    made: Shape = (*shape[:1], *steps, *(filters + extents if first else extents + filters))
    return add_opaque(call.of(declared=((made, call.dtype),)), reason)


def _merge(call: KerasCall) -> TensorView:
    """Merge the time steps into the batch."""
    shape = call.view.shape
    merged: Shape | None = None if shape is None else (product(shape[:2]), *shape[2:])
    return _regrouped(call.of(suffix="merge"), call.builder.tensor(call.view), merged)


def _split(call: KerasCall) -> TensorView:
    """Split the batch of the first tensor into batch and time steps of the second, the sequence."""
    made, sequence = call.views
    inner, outer = made.shape, sequence.shape
    target = None if inner is None or outer is None else (*outer[:2], *inner[1:])
    return _regrouped(call, made.tensor, target)


def _regrouped(call: KerasCall, source: Tensor, target: Shape | None) -> TensorView:
    permutation = call.layout(target)
    layer = Reshape(inputs=(source,), target=ops.ordered(target, permutation), **call.identity)
    return ops.oriented(call, layer, permutation, source.dtype)


LAYERS: dict[str, Handler] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU"), _recurrent),
    "RNN": _with_cell,
    "Bidirectional": _bidirectional,
    **{f"ConvLSTM{rank}D": partial(_convolutional, rank=rank) for rank in (1, 2, 3)},
    MERGE: _merge,
    SPLIT: _split,
}
