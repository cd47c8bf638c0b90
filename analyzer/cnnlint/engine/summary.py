"""The summary of a graph: a row for each input and layer, and what the network comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cnnlint import limits
from cnnlint.analysis.context import Context
from cnnlint.analysis.cost import layer_macs, live_activation_bytes, sample_mac_formula, tensor_bytes
from cnnlint.analysis.heads import as_convolutions, dense_head, hidden_dense
from cnnlint.analysis.pattern import pattern
from cnnlint.analysis.resolutions import Stage, stages
from cnnlint.analysis.samples import Batch
from cnnlint.frontends.onnx.file import onnx_file
from cnnlint.frontends.onnx.targets import runtime, runtimes
from cnnlint.graph.formula import Formula
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.layers import Dense
from cnnlint.graph.tensor import Tensor, weight_elements
from cnnlint.results import LayerSummary, ModelSummary, StageSummary, SupportedBy

KERAS_FORMATS = frozenset({"keras", "h5"})
"""Formats whose layers have names that the user gave, so that one merged into another deserves a row."""


def summarize(graph: Graph, context: Context | None = None) -> ModelSummary:
    """Return the rows in topological order, inputs first, and the totals; what is unknown is None.

    Args:
        graph: The network.
        context: What is known about it already, so that it is not worked out again.
    """
    context = context or Context(graph)
    found = stages(graph)
    return ModelSummary(
        path=graph.source.path,
        format=graph.source.format,
        pattern=pattern(graph),
        head=_head(context),
        parameters=context.parameters,
        trainable_parameters=_trainable(graph),
        macs=context.macs,
        weight_bytes=context.weight_bytes,
        peak_activation_bytes=context.peak_activation_bytes,
        file_bytes=graph.source.file_bytes,
        supported_by=tuple(_supported_by(graph)),
        layers=tuple(layer_rows(context, {name: stage.name for stage in found for name in stage.layers})),
        notes=tuple(_notes(context)),
        per=context.per,
        stages=tuple(_stages(context, found)),
    )


def _stages(context: Context, found: tuple[Stage, ...]) -> Iterator[StageSummary]:
    layers = {layer.name: layer for layer in context.graph.layers}
    counted = set[str]()
    for stage in found:
        members = [layers[name] for name in stage.layers]
        weights = {weight.key: weight for layer in members for weight in layer.weights if weight.key not in counted}
        counted.update(weights)
        macs = [layer_macs(layer, context.batch) for layer in members]
        yield StageSummary(
            name=stage.name,
            layers=len(members),
            parameters=None if context.graph.unread else weight_elements(weights.values()),
            macs=None if None in macs else limits.int64(sum(number or 0 for number in macs)),
        )


def _supported_by(graph: Graph) -> Iterator[SupportedBy]:
    file = onnx_file(graph)
    if file is None:
        return
    for known in map(runtime, runtimes()):
        release = known.smallest_release(file.record)
        yield SupportedBy(known.name, None if release is None else release.release, known.undocumented(file.record))


def _notes(context: Context) -> Iterator[str]:
    if context.unknown_weights:
        yield context.unknown_weights
    yield from context.notes_on_numbers()


def _head(context: Context) -> str | None:
    """Return what the dense layers of the first head that has some are as convolutions, as a sentence."""
    graph = context.graph
    for head in context.heads:
        dense = (*hidden_dense(graph, head), head.scorer)
        if not isinstance(first := dense[0], Dense):
            continue
        between = list[Layer]()
        layer = first
        while layer is not head.scorer and (after := graph.sole_successor(layer)) is not None:
            between.append(after)
            layer = after
        row = dense_head(graph, first, between)
        found = None if isinstance(row, str) else as_convolutions(graph, row)
        if found is not None:
            return f"{found.words[:1].upper()}{found.words[1:]}."
    return None


def _trainable(graph: Graph) -> int | None:
    if graph.unread or any(weight.trainable is None for weight in graph.weights):
        return None
    return weight_elements(weight for weight in graph.weights if weight.trainable)


def layer_rows(context: Context, stage_of: Mapping[str, str] | None = None) -> Iterator[LayerSummary]:
    """Yield the rows of a summary, inputs first; their stages are left out where nothing is said of them.

    Args:
        context: Of the network.
        stage_of: The stage of each layer by its name.
    """
    graph = context.graph
    stage_of = stage_of or {}
    alive = live_activation_bytes(graph, context.batch) or (None,) * (len(graph.layers) + 1)
    named = {tensor.name for tensor in graph.inputs} | {layer.name for layer in graph.layers}
    holders = dict[str, str]()  # weight -> the layer that is counted for it
    for tensor in graph.inputs:
        yield _input(tensor, context.batch, alive[0])
    for layer, during in zip(graph.layers, alive[1:], strict=True):
        before, after = _merged(layer, named) if graph.source.format in KERAS_FORMATS else ([], [])
        yield from before
        yield _row(layer, context, _shared_with(layer, holders), during, stage_of.get(layer.name))
        yield from after
        for weight in layer.weights:
            holders.setdefault(weight.key, layer.name)


def _input(tensor: Tensor, batch: Batch, alive: int | None) -> LayerSummary:
    return LayerSummary(
        name=tensor.name,
        kind="Input",
        output_shape=tensor.sample_extents,
        parameters=0,
        macs=0,
        receptive_field=(1,) * len(tensor.spatial) if tensor.spatial else None,
        activation_bytes=tensor_bytes(tensor, batch),
        alive_bytes=alive,
    )


def _row(layer: Layer, context: Context, shared_with: str | None, alive: int | None, stage: str | None) -> LayerSummary:
    formula = _parameter_formula(layer)
    macs = _mac_formula(layer, context.batch)
    return LayerSummary(
        name=layer.name,
        kind=layer.kind,
        output_shape=layer.output.sample_extents if layer.outputs else None,
        parameters=layer.parameters,
        macs=layer_macs(layer, context.batch),
        receptive_field=context.receptive_fields.get(layer.name),
        formula=None if formula is None else str(formula),
        formula_words=None if formula is None else formula.words,
        mac_formula=None if macs is None else str(macs),
        output_formulas=layer.output_formulas(),
        activation_bytes=_bytes(layer, context.batch),
        shared_with=shared_with,
        alive_bytes=alive,
        stage=stage,
    )


def _bytes(layer: Layer, batch: Batch) -> int | None:
    total = 0
    for tensor in layer.outputs:
        if (nbytes := tensor_bytes(tensor, batch)) is None:
            return None
        total += nbytes
    return total


def _parameter_formula(layer: Layer) -> Formula | None:
    """Return a formula that comes to what the layer holds: its own, or else the sizes of its weights."""
    if not layer.weights:
        return None
    formula = layer.parameter_formula()
    return formula if formula is not None and formula.value == layer.parameters else Layer.parameter_formula(layer)


def _mac_formula(layer: Layer, batch: Batch) -> Formula | None:
    return sample_mac_formula(layer, batch) if layer.multiplies else None


def _shared_with(layer: Layer, holders: dict[str, str]) -> str | None:
    """Return the layer that is counted for all of this layer's weights; None if one is its own."""
    if not layer.weights:
        return None
    found = [holders.get(weight.key) for weight in layer.weights]
    return None if None in found else found[0]


def _merged(layer: Layer, named: set[str]) -> tuple[list[LayerSummary], list[LayerSummary]]:
    """Return rows of the source's layers that are part of `layer`, those before and those behind it.

    A source's layer that `layer` is itself a part of (a SeparableConv2D of its depthwise half) has none.
    """
    before, after = list[LayerSummary](), list[LayerSummary]()
    own = [index for index, part in enumerate(layer.origin) if part.name == layer.name]
    place = own[0] if own else len(layer.origin)
    for index, part in enumerate(layer.origin):
        if part.shape is not None and part.name not in named and not layer.name.startswith(f"{part.name}/"):
            named.add(part.name)
            (before if index < place else after).append(_part(part, layer))
    return before, after


def _part(part: Part, layer: Layer) -> LayerSummary:
    return LayerSummary(
        name=part.name,
        kind=part.op,
        output_shape=Tensor(part.name, part.shape).sample_extents,
        parameters=0,
        macs=0,
        receptive_field=None,
        merged_into=layer.name,
    )
