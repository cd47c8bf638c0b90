"""A Keras model as a flat list of steps, with nested models inlined."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, cast

from msgspec import Struct, field
from msgspec.structs import replace

from cnnlint.errors import ModelError
from cnnlint.frontends.keras.definition import (
    CallRecord,
    Enclosing,
    LayerDefinition,
    ModelDefinition,
    TensorName,
    collect,
    define,
    lists_layers,
    replace_tensors,
)
from cnnlint.frontends.keras.records import ArchiveRecord, LayerRecord, described, name_of
from cnnlint.frontends.keras.weight_groups import UnreadGroups, groups_of
from cnnlint.limits import MAX_CALLS, MAX_OUTPUTS, Allowance

MERGE, SPLIT = "TimeDistributed.merge", "TimeDistributed.split"
"""Class names of the two steps around the layer that TimeDistributed wraps."""


class Ref(Struct, frozen=True):
    """Output `index` of step `step`."""

    step: int
    index: int = 0


class LayerCall(Struct, frozen=True, gc=False):
    """One call of one layer.

    Attributes:
        layer: The layer; an InputLayer for an input of the network.
        args: Its arguments: constants and `Ref`s, in lists and dicts.
        kwargs: The keyword arguments.
    """

    layer: LayerRecord
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def inputs(self) -> list[Ref]:
        """The tensors among its arguments."""
        return collect([list(self.args), self.kwargs], Ref)


Declared = tuple["tuple[int | None, ...] | None", str]
"""Shape, in Keras' order of axes, and element type."""


class FlatModel(Struct, frozen=True, gc=False):
    """The steps of a model.

    Attributes:
        steps: In topological order.
        outputs: The outputs of the model.
        declared: Shape and type of tensors for which the file has them.
    """

    steps: list[LayerCall]
    outputs: list[Ref]
    declared: dict[Ref, Declared]


def flatten_model(archive: ArchiveRecord) -> FlatModel:
    """Inline the nested models of an archive; a model whose layers the file does not list is one step.

    Raises:
        ModelError: Its configuration contradicts itself: a cycle, a tensor that nothing produces.
    """
    inliner = _Inliner(archive.path)
    if lists_layers(archive.config):
        outputs = inliner.run(define(archive.config, Enclosing(archive.path, groups_of(archive))), None)
    else:
        outputs = inliner.run_unlisted(archive)
    return FlatModel(inliner.steps, outputs, inliner.declared)


class _Inliner:
    def __init__(self, path: str) -> None:
        self.path = path
        self.steps = list[LayerCall]()
        self.declared = dict[Ref, Declared]()
        self.calls = Allowance(MAX_CALLS, "calls of layers and models")

    def run(self, model: ModelDefinition, inputs: list[Ref] | None) -> list[Ref]:
        """Add the steps of one call of a model and return its outputs; `inputs` is None for the outermost model."""
        if not self.calls.take(1):
            raise ModelError(self.calls.exceeded, path=self.path)
        if model.outputs is None:
            return self._run_sequential(model, inputs)
        return _FunctionalCall(self, model, inputs).run(model.outputs)

    def run_layer(self, definition: LayerDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Ref]:
        """Add the step of a layer's call, or the steps of a model's, and return the outputs."""
        if definition.model is not None:
            return self.run(definition.model, collect([list(args), kwargs.get("inputs")], Ref))
        if definition.wrapped is not None:
            return self._run_distributed(definition, definition.wrapped, args, kwargs)
        return [self.add(LayerCall(definition.layer, args, kwargs))]

    def _run_distributed(
        self, definition: LayerDefinition, wrapped: LayerDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[Ref]:
        """Add the steps of TimeDistributed, which merges the time steps into the batch, and splits them again."""
        sequences = collect([list(args), kwargs.get("inputs")], Ref)
        merged = [
            self.add(LayerCall(replace(definition.layer, class_name=MERGE), (sequence,))) for sequence in sequences
        ]
        made = self.run_layer(wrapped, (merged[0] if len(merged) == 1 else merged,), {})
        return [self.add(LayerCall(replace(definition.layer, class_name=SPLIT), (ref, sequences[0]))) for ref in made]

    def run_unlisted(self, archive: ArchiveRecord) -> list[Ref]:
        """Add a subclassed model as one step."""
        name = name_of(archive.config)
        weights = UnreadGroups().take(archive.config) if archive.unread else archive.weights
        layer = described(archive.config, path=name, weights=weights)
        return [self.add(LayerCall(layer, (self._add_input("input", layer.input_shape),)))]

    def add(self, step: LayerCall) -> Ref:
        """Add a step and return its first output.

        Raises:
            ModelError: There are too many steps, as when nested models each call another one twice.
        """
        if not self.calls.take(1):
            raise ModelError(self.calls.exceeded, path=self.path)
        self.steps.append(step)
        return Ref(len(self.steps) - 1)

    def _run_sequential(self, model: ModelDefinition, inputs: list[Ref] | None) -> list[Ref]:
        layers = list(model.layers)
        current = inputs
        if layers and layers[0].is_input:
            first = layers.pop(0)
            current = [self.add(LayerCall(first.layer))] if current is None else current
        if current is None:
            name = f"{layers[0].layer.name}_input" if layers else "input"
            current = [self._add_input(name, model.input_shape)]
        for definition in layers:
            current = self.run_layer(definition, (current[0] if len(current) == 1 else current,), {})
            shape = definition.layer.input_shape
            argument = self.steps[current[0].step].inputs if definition.model is None else []
            if shape is not None and len(argument) == 1:
                self.declared.setdefault(argument[0], (shape, ""))
        return current

    def _add_input(self, name: str, shape: tuple[int | None, ...] | None) -> Ref:
        config = {"name": name, "batch_shape": None if shape is None else list(shape)}
        return self.add(LayerCall(described({"class_name": "InputLayer", "config": config}, path=name)))


class _FunctionalCall:
    """One call of a Functional model, with the outputs of each call of each layer."""

    def __init__(self, inliner: _Inliner, model: ModelDefinition, inputs: list[Ref] | None) -> None:
        self._inliner = inliner
        self._layers = {definition.layer.name: definition for definition in model.layers}
        self._made = dict[tuple[str, int], list[Ref]]()
        for index, name in enumerate(model.inputs):
            self._definition(name)
            if inputs is None:
                self._made[name.layer, 0] = [inliner.add(LayerCall(self._layers[name.layer].layer))]
            elif index < len(inputs):
                self._made[name.layer, 0] = [inputs[index]]

    def run(self, outputs: tuple[TensorName, ...]) -> list[Ref]:
        """Add all calls, each as soon as its inputs are available, and return the outputs."""
        waiting = [
            (definition, index, call)
            for definition in self._layers.values()
            for index, call in enumerate(definition.calls)
        ]
        for name, definition in self._layers.items():
            if definition.is_input and (name, 0) not in self._made:
                self._made[name, 0] = [self._inliner.add(LayerCall(definition.layer))]
            elif not definition.calls and not definition.is_input:
                # A layer without inputs, such as one that holds a constant.
                self._made[name, 0] = self._inliner.run_layer(definition, (), {})
        self._call_all(waiting)
        found = list[Ref]()
        for name in outputs:
            definition = self._definition(name)
            found.append(self._output(name, name.node - definition.first_output_node))
        return found

    def _call_all(self, calls: list[tuple[LayerDefinition, int, CallRecord]]) -> None:
        """Add calls in the file's order, or once their inputs are available."""
        places = [self._places(call) for _, _, call in calls]
        lacks = [{place for place in needed.values() if place not in self._made} for needed in places]
        waiting = dict[tuple[str, int], list[int]]()
        for position, missing in enumerate(lacks):
            for place in missing:
                waiting.setdefault(place, []).append(position)
        ready = [position for position, missing in enumerate(lacks) if not missing]  # sorted, and so a heap
        left = set(range(len(calls)))
        while ready:
            position = heappop(ready)
            left.remove(position)
            definition, index, call = calls[position]
            self._make(definition, index, call, places[position])
            made = definition.layer.name, index
            for other in waiting.pop(made, ()):
                lacks[other].remove(made)
                if not lacks[other]:
                    heappush(ready, other)
        if left:
            names = ", ".join(sorted({calls[position][0].layer.name for position in left})[:3])
            raise ModelError(
                f"its layers form a cycle or need a tensor that nothing produces: {names}",
                path=self._inliner.path,
            )

    def _places(self, call: CallRecord) -> dict[TensorName, tuple[str, int]]:
        needed = collect([list(call.args), call.kwargs], TensorName)
        return {name: (name.layer, name.node - self._definition(name).first_input_node) for name in needed}

    def _make(
        self, definition: LayerDefinition, index: int, call: CallRecord, places: dict[TensorName, tuple[str, int]]
    ) -> None:
        def resolve(name: TensorName) -> Ref:
            ref = self._output(name, places[name][1])
            if name.shape is not None:
                self._inliner.declared.setdefault(ref, (name.shape, name.dtype))
            return ref

        args = tuple(replace_tensors(argument, resolve) for argument in call.args)
        kwargs = cast("dict[str, Any]", replace_tensors(call.kwargs, resolve))
        self._made[definition.layer.name, index] = self._inliner.run_layer(definition, args, kwargs)

    def _definition(self, name: TensorName) -> LayerDefinition:
        if name.layer not in self._layers:
            raise ModelError(
                f"it uses the output of a layer {name.layer!r} that it does not have", path=self._inliner.path
            )
        return self._layers[name.layer]

    def _output(self, name: TensorName, node: int) -> Ref:
        refs = self._made.get((name.layer, node))
        if not refs:
            raise ModelError(f"it uses a call of layer {name.layer!r} that does not exist", path=self._inliner.path)
        if not 0 <= name.index < MAX_OUTPUTS:
            raise ModelError(f"it uses output {name.index} of layer {name.layer!r}", path=self._inliner.path)
        # A layer may have more outputs than are known so far; a model has as many as it lists.
        return refs[name.index] if name.index < len(refs) else Ref(refs[0].step, name.index)
