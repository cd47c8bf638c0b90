"""Trace a Keras model as a TensorFlow function with its kernels as inputs instead of constants."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnlint.conversion.constants import unique_name
from cnnlint.conversion.naming import weight_paths
from cnnlint.errors import ConversionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.conversion.toolchain import Toolchain

INPUT, WEIGHT = "cnnlint_input_", "cnnlint_weight_"


class Trace(NamedTuple):
    """A traced model, ready for tf2onnx.

    Attributes:
        function: The `tf.function`.
        signature: Its arguments: the list of external weights, then the model's inputs.
        names: The user's name of each input, by its name in the traced function.
        outputs: The user's names of the outputs, in order.
        external: Values of weights that are inputs of the trace and initializers of the finished model, by input name.
        labels: The user's name of each weight, by its name in the traced function.
    """

    function: Any
    signature: list[Any]
    names: dict[str, str]
    outputs: list[str]
    external: dict[str, NDArray[np.generic]]
    labels: dict[str, str]


def trace(model: Any, tools: Toolchain, *, weightless: bool) -> Trace:
    """Trace `model` in inference mode; its kernels become inputs if `weightless`.

    TensorFlow and tf2onnx fold the weights that stay constants: a BatchNorm's four vectors become two. Vectors
    always stay constants: next to an unknown vector tf2onnx leaves a pair of Transposes.

    Raises:
        ConversionError: The model is not built, so it has no inputs yet.
    """
    tf, keras = tools.tensorflow, tools.keras
    inputs: list[Any] = list(getattr(model, "inputs", None) or ())
    if not model.built or not inputs:
        raise ConversionError(
            f"the model {model.name} has no declared inputs",
            remedy="build it as a Sequential with an Input, or as a functional model",
        )
    variables: list[Any] = [*model.trainable_variables, *model.non_trainable_variables]
    trainable = len(model.trainable_variables)
    external = [index for index, variable in enumerate(variables) if weightless and len(variable.shape) > 1]
    inside = {index: variable.numpy() for index, variable in enumerate(variables) if index not in set(external)}
    structure = model.input if hasattr(model, "input") else inputs

    def call(weights: list[Any], *tensors: Any) -> list[Any]:
        with plain_scopes(tf.compat.v1.get_default_graph()):
            given = dict(zip(external, weights, strict=True))
            values = [
                given[index] if index in given else tf.constant(inside[index], name=f"{WEIGHT}{index}")
                for index in range(len(variables))
            ]
            outputs, _ = model.stateless_call(
                values[:trainable],
                values[trainable:],
                keras.tree.pack_sequence_as(structure, list(tensors)),
                training=False,
            )
            return keras.tree.flatten(outputs)

    signature = [
        [_spec(tf, variables[index], f"{WEIGHT}{index}") for index in external],
        *(_spec(tf, tensor, f"{INPUT}{index}") for index, tensor in enumerate(inputs)),
    ]
    function = tf.function(call, autograph=False)
    concrete = _concrete(tf, function, signature)
    paths = weight_paths(model)
    labels: dict[str, str] = {}
    for index, variable in enumerate(variables):
        path: str = paths.get(id(variable)) or variable.path
        # An argument of the trace keeps its name; a constant in it is the first output of an operation.
        labels[f"{WEIGHT}{index}"] = labels[f"{WEIGHT}{index}:0"] = path
    held = {f"{WEIGHT}{index}": variables[index].numpy() for index in external}
    held |= held_captures(concrete, tools)
    return Trace(
        function,
        signature,
        {f"{INPUT}{index}": _input_name(tensor) for index, tensor in enumerate(inputs)},
        _output_names(model, len(concrete.outputs)),
        held,
        labels,
    )


def held_captures(concrete: Any, tools: Toolchain) -> dict[str, NDArray[np.generic]]:
    """Return the constants that a traced function captured, by the name of the ONNX input that each becomes.

    They are values that a layer computed when it was built, such as the reshaped mean of a Normalization.
    """
    return {
        inner.name: outer.numpy()
        for outer, inner in concrete.graph.captures
        if outer.dtype != tools.tensorflow.resource
    }


@contextmanager
def plain_scopes(graph: Any) -> Generator[None]:
    """Give operations their layer's own name while `graph` is traced.

    Keras opens a layer's name scope twice, once to build it and once to call it; TensorFlow would name the
    second one `conv2d_1`, which is another layer's name. So an empty scope is entered again.
    """
    original: Callable[[str, bool], str] = graph.unique_name
    scopes: set[str] = set()
    filled: set[str] = set()

    def unique_name(name: str, mark_as_used: bool = True) -> str:
        parent: str = graph.get_name_scope()
        wanted = f"{parent}/{name}" if parent else name
        if wanted in scopes and wanted not in filled and not _has_operation(graph, wanted):
            return wanted
        unique = original(name, mark_as_used)
        if mark_as_used:
            scopes.add(unique)
            parts = unique.split("/")
            filled.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return unique

    graph.unique_name = unique_name
    try:
        yield
    finally:
        del graph.unique_name


def _has_operation(graph: Any, name: str) -> bool:
    try:
        graph.get_operation_by_name(name)
    except KeyError:
        return False
    return True


def _concrete(tf: Any, function: Any, signature: list[Any]) -> Any:
    # Keras compiles a grouped convolution with XLA, and tf2onnx cannot look into that call; run eagerly, the
    # function's body becomes part of the trace.
    eagerly: bool = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        return function.get_concrete_function(*signature)
    finally:
        tf.config.run_functions_eagerly(eagerly)


def _spec(tf: Any, tensor: Any, name: str) -> Any:
    return tf.TensorSpec(tensor.shape, tensor.dtype, name=name)


def _input_name(tensor: Any) -> str:
    # A saved model keeps the name of an Input's layer; the tensor of an unnamed Input only has a running number.
    name: str = tensor.name
    history: Any = getattr(tensor, "_keras_history", None)
    return history.operation.name if name.startswith("keras_tensor") and history is not None else name


def _output_names(model: Any, count: int) -> list[str]:
    # A functional model names its outputs after their layers; a Sequential does not.
    given: list[str] = list(getattr(model, "output_names", None) or [model.layers[-1].name])
    given = given if len(given) == count else [f"output_{index}" for index in range(count)]
    names: list[str] = []
    for name in given:
        names.append(unique_name(name, set(names)))
    return names
