"""Run Keras models in Keras and SavedModels in TensorFlow, and observe the values of their layers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from cnnlint.conversion.loading import first_line
from cnnlint.conversion.saved_model import load_signature
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.errors import ConversionError, RuntimeCheckError
from cnnlint.frontends import savedmodel_folder
from cnnlint.graph.layers import Activation
from cnnlint.runtime.runner import OnnxRunner, Port, Values
from cnnlint.worker import steps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer
    from cnnlint.runtime.program import Program

    Array = NDArray[Any]


class KerasRunner:
    """A loaded Keras model, with the graph of its file.

    Args:
        path: As the user wrote it.
        model: The `keras.Model`.
        graph: Its network.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        ConversionError: The model has no declared inputs.
    """

    sees_inside = True

    def __init__(self, path: str, model: Any, graph: Graph) -> None:
        self._keras = toolchain().keras
        self.path = path
        self.graph = graph
        self._model = model
        tensors: list[Any] = list(getattr(model, "inputs", None) or ())
        if not tensors:
            raise ConversionError(f"the model {model.name} has no declared inputs", path=path)
        alike = len(tensors) == len(graph.inputs)
        self.inputs = tuple(
            Port(tensor.name, tuple(tensor.shape), graph.inputs[i].shape if alike else None, tensor.dtype)
            for i, tensor in enumerate(tensors)
        )
        made: list[Any] = list(model.outputs)
        names: list[str] = list(getattr(model, "output_names", None) or [model.layers[-1].name])
        alike, named = len(made) == len(graph.outputs), len(made) == len(names)
        self.outputs = tuple(
            Port(
                names[i] if named else f"output_{i}",
                tuple(tensor.shape),
                graph.outputs[i].shape if alike else None,
                tensor.dtype,
            )
            for i, tensor in enumerate(made)
        )

    def run(
        self, feeds: Mapping[str, Array], watched: Collection[str], given: Mapping[str, Array] | None = None
    ) -> Values:
        """Call the model in inference mode."""
        import numpy as np

        tree = self._keras.tree
        steps.begin("running it under Keras", at_least=steps.CONVERSION)
        wanted = dict(_places(self.graph, {*watched, *(given or ())}))
        seen: dict[Place, list[Array]] = {place: [] for place in wanted.values()}
        replaced = {wanted[layer]: value for layer, value in (given or {}).items() if layer in wanted}
        structure = self._model.input if hasattr(self._model, "input") else self._model.inputs
        arguments = tree.pack_sequence_as(structure, [feeds[port.name] for port in self.inputs])
        with quiet(), ExitStack() as watching:
            for path, layer in layers_by_path(self._model):
                watching.enter_context(_watched(path, layer, seen, replaced))
            try:
                outputs = tree.flatten(self._model(arguments, training=False))
            except Exception as error:
                raise RuntimeCheckError(f"Keras cannot run it: {first_line(error)}", path=self.path) from error
        layers = {layer: seen[place] for layer, place in wanted.items() if layer in watched}
        return Values([np.asarray(value) for value in outputs], layers)

    def optimized(self, feeds: Mapping[str, Array], watched: Collection[str]) -> Values | None:
        """Return None: Keras has no optimizations to turn on."""
        del feeds, watched


def layers_by_path(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every layer of a Keras model with its path, including layers of nested models."""
    for layer in model.layers:
        yield f"{prefix}{layer.name}", layer
        if hasattr(layer, "layers"):
            yield from layers_by_path(layer, f"{prefix}{layer.name}/")


Place = tuple[str, bool]
"""The path of a Keras layer, and whether the value before its activation is meant."""


def _places(graph: Graph, watched: Collection[str]) -> Iterator[tuple[str, Place]]:
    """Yield for each watched layer the path of its Keras layer, and whether to take the value before the activation.

    A Conv2D with an activation is two layers of the graph; the intermediate value of a SeparableConv2D is not visible.
    """
    for layer in graph.layers:
        if layer.name not in watched or not layer.origin:
            continue
        inner = [successor for successor in graph.successors(layer) if _path(successor) == _path(layer)]
        if not inner:
            yield layer.name, (_path(layer), False)
        elif isinstance(inner[0], Activation) and not any(
            _path(last) == _path(layer) for last in graph.successors(inner[0])
        ):
            yield layer.name, (_path(layer), True)


def _path(layer: Layer) -> str:
    return layer.origin[-1].name if layer.origin else ""


@contextmanager
def _watched(
    path: str, layer: Any, seen: Mapping[Place, list[Array]], replaced: Mapping[Place, Array]
) -> Generator[None]:
    """Record in `seen` the output of `layer` and the input of its activation while the block runs.

    A value in `replaced` is passed on instead.
    """
    import numpy as np

    fields = cast("dict[str, Any]", vars(layer))  # plain assignment would register it with Keras
    with ExitStack() as undo:
        if (path, False) in seen:
            call: Callable[..., Any] = layer.call

            def watched_call(*args: Any, **kwargs: Any) -> Any:
                made = call(*args, **kwargs)
                if hasattr(made, "shape"):
                    seen[path, False].append(np.asarray(made))
                return _instead(made, replaced.get((path, False)))

            fields["call"] = watched_call
            undo.callback(fields.pop, "call")
        activation: Callable[..., Any] | None = fields.get("activation")
        if (path, True) in seen and activation is not None:

            def watched_activation(value: Any, *args: Any, **kwargs: Any) -> Any:
                seen[path, True].append(np.asarray(value))
                return activation(_instead(value, replaced.get((path, True))), *args, **kwargs)

            fields["activation"] = watched_activation
            undo.callback(fields.__setitem__, "activation", activation)
        yield


def _instead(made: Any, given: Array | None) -> Any:
    """Return `given` as a Keras tensor of the type of `made`, which it replaces; `made` itself if it is None."""
    keras: Any = toolchain().keras
    return made if given is None else keras.ops.convert_to_tensor(given, dtype=made.dtype)


class SavedModelRunner(OnnxRunner):
    """A SavedModel and its conversion, whose inputs and outputs have the names of the signature."""

    sees_inside = False

    def __init__(self, path: str, program: Program, graph: Graph) -> None:
        super().__init__(path, program, graph)
        tensorflow: Any = toolchain().tensorflow
        with quiet(), tensorflow.device("/cpu:0"):
            self._signature = load_signature(savedmodel_folder(path))

    def run(
        self,
        feeds: Mapping[str, Array],
        watched: Collection[str],
        given: Mapping[str, Array] | None = None,
    ) -> Values:
        """Call the signature, and run the conversion for values of layers, or for everything if values are `given`."""
        import numpy as np

        if given:
            return super().run(feeds, watched, given)
        tensorflow: Any = toolchain().tensorflow
        steps.begin("running it under TensorFlow", at_least=steps.CONVERSION)
        try:
            with quiet(), tensorflow.device("/cpu:0"):
                outputs = self._signature.call(feeds)
        except Exception as error:
            raise RuntimeCheckError(f"TensorFlow cannot run it: {first_line(error)}", path=self.path) from error
        layers = super().run(feeds, watched).layers if watched else {}
        return Values([np.asarray(outputs[port.name]) for port in self.outputs], layers)

    def optimized(self, feeds: Mapping[str, Array], watched: Collection[str]) -> Values | None:
        """Return None: onnxruntime would run the conversion, which may be wrong."""
        del feeds, watched
