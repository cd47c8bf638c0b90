"""Convert a Keras model to ONNX: trace it, let tf2onnx translate the trace, attach the weights."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, cast

from msgspec import Struct

from cnnlint.conversion.constants import Constants
from cnnlint.conversion.loading import first_line, load_keras
from cnnlint.conversion.naming import drop_numbers, kernel_layers, name_constants, name_interface, name_layers
from cnnlint.conversion.norms import fold_norms
from cnnlint.conversion.operators import HANDLERS, fix_padding, leftover_operators, numbers_are_no_biases
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.conversion.trace import trace
from cnnlint.errors import ConversionError

if TYPE_CHECKING:
    import onnx

    from cnnlint.conversion.toolchain import Toolchain

Way = Literal["weightless", "ordinary"]


class Conversion(Struct, frozen=True):
    """A finished conversion.

    Attributes:
        model: The ONNX model; its weights are initializers.
        way: "weightless" where the kernels bypassed tf2onnx, "ordinary" where it handled all.
        norms_folded: Per-channel products and sums (BatchNorms) that were folded into the layer before them.
    """

    model: onnx.ModelProto
    way: Way
    norms_folded: int


def keras_to_onnx(model_or_path: object, *, opset: int | None = None) -> onnx.ModelProto:
    """Convert a live `keras.Model`, or the one in a `.keras` or `.h5` file, to ONNX: see `convert_keras`."""
    return convert_keras(model_or_path, opset=opset).model


def convert_keras(
    model_or_path: object, *, opset: int | None = None, way: Way | None = None, fold: bool = True
) -> Conversion:
    """Convert a live `keras.Model`, or the one in a `.keras` or `.h5` file, to ONNX in inference mode.

    Inputs and outputs keep their names and their layout; the batch stays dynamic.

    Args:
        model_or_path: The model, or the path of its file.
        opset: Version of the default operator set; tf2onnx's own choice if None.
        way: Use only this way; None tries weightless first, then ordinary, which recurrent cells need because tf2onnx
            reads their kernels. The ordinary way is slower, because tf2onnx copies the weights several times.
        fold: Fold per-channel arithmetic into the layer before it; False keeps the output of tf2onnx.

    Raises:
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        ModelError: There is no such file.
        ConversionError: The file needs custom code, or tf2onnx cannot translate one of its layers.
    """
    tools = toolchain()
    path = os.fspath(cast("str | PathLike[str]", model_or_path)) if isinstance(model_or_path, str | PathLike) else None
    refuse_opset(opset, path)
    model = cast("Any", model_or_path) if path is None else load_keras(path, tools)
    attempts: tuple[tuple[Way, bool], ...] = ((way or "weightless", False), (way or "ordinary", True))
    reasons: list[Exception] = []
    for attempt, guarded in attempts:
        try:
            return _convert(model, tools, opset, attempt, fold=fold, guarded=guarded)
        except Exception as error:
            reasons.append(error)
    # The ordinary way names the operators that failed; the weightless way may fail for reasons of its own.
    reason = reasons[-1]
    if isinstance(reason, ConversionError):
        raise ConversionError(reason.cause, path=path, remedy=reason.remedy) from reason
    raise ConversionError(f"tf2onnx cannot convert it: {first_line(reason)}", path=path) from reason


def refuse_opset(opset: int | None, path: str | None) -> None:
    """Raise ConversionError for an operator set that the installed onnx or tf2onnx does not know."""
    schemas: Any = import_module("tf2onnx.schemas")
    newest: int = schemas.get_max_supported_opset_version()
    if opset is not None and not 7 <= opset <= newest:
        raise ConversionError(f"opset {opset} is not supported, only 7 to {newest}", path=path)


def _convert(model: Any, tools: Toolchain, opset: int | None, way: Way, *, fold: bool, guarded: bool) -> Conversion:
    with quiet(), tools.tensorflow.device("/cpu:0"), guard_optimizers(guarded=guarded):
        traced = trace(model, tools, weightless=way == "weightless")
        proto, _ = tools.tf2onnx.from_function(
            traced.function, traced.signature, opset=opset, custom_op_handlers=HANDLERS
        )
    leftover = leftover_operators(proto)
    if leftover:
        raise ConversionError(f"tf2onnx has no ONNX operator for {', '.join(leftover)}")
    fix_padding(proto.graph)
    constants = Constants(proto.graph, traced.external, traced.labels)
    constants.fold()
    folded = fold_norms(constants) if fold else 0
    name_layers(constants, kernel_layers(model))
    drop_numbers(proto.graph)
    name_constants(constants)
    constants.write()
    name_interface(proto.graph, traced.names, traced.outputs)
    proto.graph.name = model.name
    proto.graph.doc_string = ""
    return Conversion(proto, way, folded)


@contextmanager
def guard_optimizers(*, guarded: bool) -> Generator[None]:
    """Mend tf2onnx's optimizers, or let it go on where one fails; to do so, it copies the graph before each of them."""
    name = "TF2ONNX_CATCH_ERRORS"
    before = os.environ.pop(name, None)
    if not guarded:
        # Any value will do: tf2onnx 1.17 continues after errors only if the variable is not set.
        os.environ[name] = "FALSE"
    try:
        with numbers_are_no_biases():
            yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before
