"""Convert a TensorFlow SavedModel to ONNX through the signature that serving uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlint.conversion.constants import Constants
from cnnlint.conversion.keras_model import guard_optimizers, refuse_opset
from cnnlint.conversion.leftover import leftover_operators
from cnnlint.conversion.loading import first_line
from cnnlint.conversion.naming import drop_numbers, name_constants, name_interface
from cnnlint.conversion.norms import fold_norms
from cnnlint.conversion.operators import HANDLERS
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.conversion.trace import held_captures
from cnnlint.conversion.transposed import mend_padding
from cnnlint.errors import ConversionError, ModelError

if TYPE_CHECKING:
    import onnx

SIGNATURE = "serving_default"

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
"""Operations that no network needs and that do more than compute."""


def savedmodel_to_onnx(folder: str | os.PathLike[str], *, opset: int | None = None) -> onnx.ModelProto:
    """Convert the SavedModel in `folder` to ONNX: its `serving_default` signature, or the only one it has.

    Inputs and outputs are called as the signature calls them.

    Raises:
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        ModelError: `folder` is no SavedModel.
        ConversionError: It has no usable signature, or tf2onnx has no translation for an operation of it.
    """
    path = os.fspath(folder)
    if not (Path(path) / "saved_model.pb").exists():
        raise ModelError("the folder holds no saved_model.pb", path=path)
    tools = toolchain()
    refuse_opset(opset, path)
    with quiet(), tools.tensorflow.device("/cpu:0"):
        try:
            _refuse_side_effects(path)
            loaded = tools.tensorflow.saved_model.load(path)
            signature = _signature(loaded.signatures, path)
            with guard_optimizers(guarded=True):
                # The object that was loaded owns the variables, so it has to outlive the conversion.
                proto, _ = tools.tf2onnx.from_function(_Traced(signature), (), opset=opset, custom_op_handlers=HANDLERS)
        except ConversionError:
            raise
        except Exception as error:
            raise ConversionError(f"tf2onnx cannot convert it: {first_line(error)}", path=path) from error
    leftover = leftover_operators(proto)
    if leftover:
        raise ConversionError(f"tf2onnx has no ONNX operator for {', '.join(leftover)}", path=path)
    mend_padding(proto.graph)
    constants = Constants(proto.graph, held_captures(signature, tools), {})
    constants.fold()
    fold_norms(constants)
    drop_numbers(proto.graph)
    name_constants(constants)
    constants.write()
    # tf2onnx keeps the signature's names of inputs, and its order of outputs: by their names.
    name_interface(proto.graph, {}, sorted(signature.structured_outputs))
    proto.graph.name = Path(path).resolve().name
    proto.graph.doc_string = ""
    return proto


class _Traced:
    """What tf2onnx asks of a `tf.function`, for a signature that is traced already."""

    def __init__(self, concrete: Any) -> None:
        self._concrete = concrete

    def get_concrete_function(self) -> Any:
        return self._concrete


def _signature(signatures: Mapping[str, Any], path: str) -> Any:
    if SIGNATURE in signatures:
        return signatures[SIGNATURE]
    names = sorted(signatures)
    if len(names) == 1:
        return signatures[names[0]]
    listed = f"its signatures are {', '.join(names)}" if names else "it has no signature"
    raise ConversionError(
        f"{listed}, and none is called {SIGNATURE}", path=path, remedy="save it with model.export(folder)"
    )


def _refuse_side_effects(path: str) -> None:
    """Loading runs the initialisers of a SavedModel, so nothing in it may reach files or Python."""
    schema: Any = import_module("tensorflow.core.protobuf.saved_model_pb2")
    content = schema.SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes())
    for meta in content.meta_graphs:
        bodies = [meta.graph_def.node, *(function.node_def for function in meta.graph_def.library.function)]
        for node in (node for body in bodies for node in body):
            if node.op in SIDE_EFFECTS:
                raise ConversionError(f"its operation {node.name} ({node.op}) reaches out of the graph", path=path)
