"""Convert a TensorFlow SavedModel to ONNX through its serving signature."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnlint.conversion.constants import Constants
from cnnlint.conversion.keras_model import guard_optimizers, refuse_opset
from cnnlint.conversion.loading import first_line
from cnnlint.conversion.naming import drop_numbers, name_constants, name_interface
from cnnlint.conversion.norms import fold_norms
from cnnlint.conversion.operators import HANDLERS, fix_padding, leftover_operators
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.conversion.trace import held_captures
from cnnlint.errors import ConversionError, ModelError

if TYPE_CHECKING:
    import onnx

SIGNATURE = "serving_default"
SERVE = "serve"
"""Tag of the graph for serving."""

SIDE_EFFECTS = frozenset(
    {
        "EagerPyFunc",
        "PrintV2",
        "PyFunc",
        "PyFuncStateless",
        "ReadFile",
        "TFRecordReaderV2",
        "WholeFileReaderV2",
        "WriteFile",
    }
)
"""Operations with side effects, which no network needs."""


def savedmodel_to_onnx(folder: str | os.PathLike[str], *, opset: int | None = None) -> onnx.ModelProto:
    """Convert the SavedModel in `folder` to ONNX: its `serving_default` signature, or the only one it has.

    Inputs and outputs have their names in the signature.

    Raises:
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        ModelError: `folder` is not a SavedModel.
        ConversionError: It has no usable signature, or tf2onnx cannot translate one of its operations.
    """
    path = os.fspath(folder)
    if not (Path(path) / "saved_model.pb").exists():
        raise ModelError("the folder holds no saved_model.pb", path=path)
    tools = toolchain()
    refuse_opset(opset, path)
    with quiet(), tools.tensorflow.device("/cpu:0"):
        try:
            signature = load_signature(path)
            with guard_optimizers(guarded=True):
                proto, _ = tools.tf2onnx.from_function(
                    _Traced(signature.function), (), opset=opset, custom_op_handlers=HANDLERS
                )
        except ConversionError:
            raise
        except Exception as error:
            raise ConversionError(f"tf2onnx cannot convert it: {first_line(error)}", path=path) from error
    leftover = leftover_operators(proto)
    if leftover:
        raise ConversionError(f"tf2onnx has no ONNX operator for {', '.join(leftover)}", path=path)
    fix_padding(proto.graph)
    constants = Constants(proto.graph, held_captures(signature.function, tools), {})
    constants.fold()
    fold_norms(constants)
    drop_numbers(proto.graph)
    name_constants(constants)
    constants.write()
    # tf2onnx keeps the names of a traced function's inputs, and sorts its outputs by name.
    called = {f"{argument}:0": name for name, argument in signature.arguments.items() if argument != name}
    name_interface(proto.graph, called, sorted(signature.function.structured_outputs))
    proto.graph.name = Path(path).resolve().name
    proto.graph.doc_string = ""
    return proto


class Signature(NamedTuple):
    """The serving signature of a loaded SavedModel.

    Attributes:
        function: The traced function.
        arguments: The function's name for each input of the signature.
        owner: The loaded object; it owns the variables, so it must live as long as the function.
    """

    function: Any
    arguments: dict[str, str]
    owner: Any

    def call(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs by name."""
        constant: Any = toolchain().tensorflow.constant
        given = {name: constant(value) for name, value in feeds.items()}
        # A pruned function takes its inputs by position.
        return self.function(*(given[name] for name in self.arguments)) if self.arguments else self.function(**given)


def load_signature(path: str) -> Signature:
    """Load the SavedModel in the folder `path` as TensorFlow 2 does, or, if that fails, only its graph.

    The graph does not include objects that newer versions cannot load, such as the optimizer of an older Keras.

    Raises:
        ConversionError: It has no usable signature, or an operation with side effects.
        Exception: TensorFlow cannot load it either way; the error of the first attempt.
    """
    tensorflow: Any = toolchain().tensorflow
    _refuse_side_effects(path)
    try:
        loaded = tensorflow.saved_model.load(path)
    except Exception as error:
        try:
            return _frozen(path, tensorflow)
        except ConversionError:
            raise
        except Exception:
            raise error from None
    return Signature(_signature(loaded.signatures, path), {}, loaded)


def _frozen(path: str, tensorflow: Any) -> Signature:
    v1: Any = tensorflow.compat.v1
    with tensorflow.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        meta = v1.saved_model.load(session, [SERVE], path)
        signature = _signature(meta.signature_def, path)
        outputs = {name: info.name for name, info in signature.outputs.items()}
        inputs = {name: info.name for name, info in signature.inputs.items()}
        names = [name.partition(":")[0] for name in outputs.values()]
        definition = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), names)
    wrapped = v1.wrap_function(lambda: tensorflow.import_graph_def(definition, name=""), [])
    tensors = {name: wrapped.graph.get_tensor_by_name(name) for name in (*inputs.values(), *outputs.values())}
    function = wrapped.prune(
        [tensors[name] for name in inputs.values()], {name: tensors[tensor] for name, tensor in outputs.items()}
    )
    return Signature(function, {name: tensor.partition(":")[0] for name, tensor in inputs.items()}, wrapped)


class _Traced:
    """The interface of a `tf.function` that tf2onnx needs, for a signature that is already traced."""

    def __init__(self, concrete: Any) -> None:
        self._concrete = concrete

    def get_concrete_function(self) -> Any:
        return self._concrete


def _signature(signatures: Mapping[str, Any], path: str) -> Any:
    names = sorted(name for name in signatures if not name.startswith("__"))  # others are for initialization
    if SIGNATURE in names:
        return signatures[SIGNATURE]
    if len(names) == 1:
        return signatures[names[0]]
    listed = f"its signatures are {', '.join(names)}" if names else "it has no signature"
    raise ConversionError(
        f"{listed}, and none is called {SIGNATURE}", path=path, remedy="save it with model.export(folder)"
    )


def _refuse_side_effects(path: str) -> None:
    """Refuse operations with side effects: loading a SavedModel already runs its initializers."""
    schema: Any = import_module("tensorflow.core.protobuf.saved_model_pb2")
    content = schema.SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes())
    for meta in content.meta_graphs:
        bodies = [meta.graph_def.node, *(function.node_def for function in meta.graph_def.library.function)]
        for node in (node for body in bodies for node in body):
            if node.op in SIDE_EFFECTS:
                raise ConversionError(f"its operation {node.name} ({node.op}) does more than compute", path=path)
