"""Conversions as a worker does them: a file in, an ONNX file out."""

from __future__ import annotations

from time import perf_counter
from typing import Literal

from msgspec import Struct

from cnnlint.errors import ConversionError
from cnnlint.worker import steps


class ConversionJob(Struct, frozen=True, kw_only=True):
    """What to convert.

    Attributes:
        path: A `.keras` or `.h5` file, or a SavedModel.
        format: How to read it.
        output: The ONNX file to write.
        opset: Version of the default operator set; tf2onnx's own choice if None.
    """

    path: str
    format: Literal["keras", "savedmodel"]
    output: str
    opset: int | None = None


class ConversionOutcome(Struct, frozen=True, kw_only=True):
    """The outcome of a conversion.

    Attributes:
        way: "weightless" where kernels bypassed tf2onnx, "ordinary" where it handled all, "signature" for a SavedModel.
        seconds: Time to convert, without loading.
        norms_folded: Norms that became part of the layer before them; None if not counted.
    """

    way: Literal["weightless", "ordinary", "signature"]
    seconds: float
    norms_folded: int | None


def convert(request: ConversionJob) -> ConversionOutcome:
    """Write the ONNX file of a Keras model or SavedModel.

    Raises:
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        ModelError: There is no such file.
        ConversionError: It cannot be converted.
    """
    from cnnlint.conversion.toolchain import toolchain
    from cnnlint.conversion.writing import save

    tools = toolchain()
    if request.format == "savedmodel":
        from cnnlint.conversion.saved_model import savedmodel_to_onnx
        from cnnlint.frontends import savedmodel_folder

        steps.begin("converting it by tf2onnx", at_least=steps.CONVERSION)
        started = perf_counter()
        proto = savedmodel_to_onnx(savedmodel_folder(request.path), opset=request.opset)
        done = ConversionOutcome(way="signature", seconds=perf_counter() - started, norms_folded=None)
    else:
        from cnnlint.conversion.keras_model import convert_keras
        from cnnlint.conversion.loading import load_keras

        steps.begin("loading it into Keras", at_least=steps.CONVERSION)
        model = load_keras(request.path, tools)
        steps.begin("converting it by tf2onnx", at_least=steps.CONVERSION)
        started = perf_counter()
        try:
            made = convert_keras(model, opset=request.opset)
        except ConversionError as error:
            raise ConversionError(error.cause, path=request.path, remedy=error.remedy) from error
        proto = made.model
        done = ConversionOutcome(way=made.way, seconds=perf_counter() - started, norms_folded=made.norms_folded)
    save(proto, request.output)
    return done
