"""A conversion to ONNX with its proof: Keras and onnxruntime on the same inputs, and what the converter left behind."""

from __future__ import annotations

from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from cnnlint import __version__, frontends
from cnnlint.compare.compare import compare
from cnnlint.compare.onnx_side import OnnxSide
from cnnlint.compare.records import ComparisonReport
from cnnlint.errors import ConversionError, RuntimeCheckError
from cnnlint.graph.layers import BatchNorm, Conv, ConvTranspose, Dense, Opaque
from cnnlint.models import raise_model
from cnnlint.results import SCHEMA, ModelReport
from cnnlint.runtime.program import Program

if TYPE_CHECKING:
    import onnx

    from cnnlint.compare.side import Side
    from cnnlint.graph.graph import Graph


class ConversionReport(Struct, frozen=True, kw_only=True):
    """A conversion.

    Attributes:
        source: Path of what was converted.
        output: Path of the ONNX model.
        written: Whether it was written.
        way: "weightless" where kernels bypassed tf2onnx, "ordinary" where it handled all, "signature" for a SavedModel.
        seconds: What converting took, without loading, proving and linting.
        opset: Of the result.
        nodes: Of the result.
        transposes: Transpose nodes among them.
        norms_folded: Norms that became part of the layer before them; None where it was not counted.
        norms_left: Names of BatchNorms that could have been folded into the layer before them.
        leftover: Nodes that belong to no layer of the network, Transposes aside, by operator.
        opaque: Layers that cnnlint cannot look into, with the reason.
        parity: How the result compares with the source.
        lint: What the linter says of the result; None if it was not written.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    source: str
    output: str
    written: bool = False
    way: Literal["weightless", "ordinary", "signature"]
    seconds: float
    opset: int | None
    nodes: int
    transposes: int
    norms_folded: int | None
    norms_left: tuple[str, ...]
    leftover: dict[str, int]
    opaque: tuple[str, ...]
    parity: ComparisonReport
    lint: ModelReport | None = None


def convert(path: str, output: str, *, opset: int | None = None) -> tuple[onnx.ModelProto, ConversionReport]:
    """Convert the Keras model or SavedModel at `path` and compare the result with it.

    Args:
        path: A `.keras` or `.h5` file, or the folder of a SavedModel.
        output: Where the result is to go, for the report; nothing is written.
        opset: Version of the default operator set; tf2onnx's own choice if None.

    Raises:
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        ModelError: `path` cannot be read.
        ConversionError: It is an ONNX model already, cannot be converted, or the result does not run.
        RuntimeCheckError: Keras or TensorFlow cannot run it.
    """
    from cnnlint.convert.toolchain import toolchain

    toolchain()  # says what is missing before anything is read
    source = raise_model(path)
    if source.source.format == "onnx":
        raise ConversionError("this is an ONNX model already", path=path)
    before, proto, facts = (
        _saved_model(path, opset) if source.source.format == "savedmodel" else _keras(path, source, opset)
    )
    program = Program.from_proto(proto)
    graph = frontends.load_onnx_bytes(program.content, output)
    after = OnnxSide(output, program, graph)
    try:
        parity = compare(before, after, layers=False)
    except RuntimeCheckError as error:
        if error.path != output:
            raise
        raise ConversionError(f"what tf2onnx made of it does not run: {error.cause}", path=path) from error
    if not parity.equal:
        parity = compare(before, after)
    kinds = Counter(node.op_type for node in proto.graph.node)
    made = {part.output for layer in graph.layers for part in layer.origin}
    idle = Counter(node.op_type for node in proto.graph.node if not made.intersection(node.output))
    del idle["Transpose"]
    report = ConversionReport(
        source=path,
        output=output,
        opset=graph.source.opset,
        nodes=kinds.total(),
        transposes=kinds["Transpose"],
        norms_left=tuple(_foldable(graph)),
        leftover=dict(sorted(idle.items())),
        opaque=tuple(f"{layer.name} ({layer.reason})" for layer in graph.of_kind(Opaque)),
        parity=parity,
        **facts,
    )
    return proto, report


def _keras(path: str, graph: Graph, opset: int | None) -> tuple[Side, onnx.ModelProto, dict[str, Any]]:
    from cnnlint.compare.keras_side import KerasSide
    from cnnlint.convert import convert_keras
    from cnnlint.convert.loading import load_keras
    from cnnlint.convert.toolchain import toolchain

    model: Any = load_keras(path, toolchain())
    started = perf_counter()
    try:
        made = convert_keras(model, opset=opset)
    except ConversionError as error:
        raise ConversionError(error.cause, path=path, remedy=error.remedy) from error
    facts = {"way": made.way, "seconds": perf_counter() - started, "norms_folded": made.norms_folded}
    return KerasSide(path, model, graph), made.model, facts


def _saved_model(path: str, opset: int | None) -> tuple[Side, onnx.ModelProto, dict[str, Any]]:
    from cnnlint.compare.saved_model_side import SavedModelSide
    from cnnlint.convert import savedmodel_to_onnx
    from cnnlint.frontends.savedmodel import folder_of

    started = perf_counter()
    proto = savedmodel_to_onnx(folder_of(path), opset=opset)
    facts = {"way": "signature", "seconds": perf_counter() - started, "norms_folded": None}
    program = Program.from_proto(proto)
    return SavedModelSide(path, program, frontends.load_onnx_bytes(program.content, path)), proto, facts


def _foldable(graph: Graph) -> list[str]:
    """Return the norms right behind a kernel that could take them up."""
    norms = (norm for norm in graph.of_kind(BatchNorm) if not norm.training)
    found = list[str]()
    for norm in norms:
        layer = graph.producer(norm.input)
        if isinstance(layer, Conv | ConvTranspose | Dense) and graph.sole_successor(layer) is norm:
            found.append(norm.name)
    return found
