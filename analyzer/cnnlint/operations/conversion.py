"""A verified conversion to ONNX: the worker's job, what the converter left unfolded or unused, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from cnnlint import frontends
from cnnlint.errors import ConversionError, RuntimeCheckError, __version__
from cnnlint.graph.layers import BatchNorm, Conv, ConvTranspose, Dense, Opaque
from cnnlint.linting.models import open_model
from cnnlint.operations.compare import origin_lines, table, verdict
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View, several
from cnnlint.results import SCHEMA, ModelReport
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.records import ComparisonReport
from cnnlint.verification.verify import compare, size_up

if TYPE_CHECKING:
    from cnnlint.graph.graph import Graph


class ConversionReport(Struct, frozen=True, kw_only=True):
    """A conversion.

    Attributes:
        source: Path of what was converted.
        output: Path of the ONNX model.
        written: Whether it was written.
        way: "weightless" where kernels bypassed tf2onnx, "ordinary" where it handled all, "signature" for a SavedModel.
        seconds: Time to convert, without loading, verifying and linting.
        opset: Of the result.
        nodes: Of the result.
        transposes: How many of the nodes are Transposes.
        norms_folded: Norms that became part of the layer before them; None if not counted.
        norms_left: Names of BatchNorms that could have been folded into the layer before them.
        leftover: Count of nodes that belong to no layer, Transposes aside, by operator.
        opaque: Layers that cnnlint cannot look into, with the reason.
        parity: The result compared with the source; layers are listed only if they differ.
        lint: The lint of the result; None if it was not written.
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

    @property
    def exit_code(self) -> int:
        """2 if the result could not be linted in full, 1 if it differs or a finding fails it, else 0."""
        if self.lint is not None and (self.lint.error is not None or self.lint.incomplete):
            return 2
        return 0 if self.parity.equal and self.lint is not None and not self.lint.fails() else 1


class ConvertRequest(Struct, frozen=True, kw_only=True):
    """A conversion to do and to compare.

    Attributes:
        path: A `.keras` or `.h5` file, or a SavedModel.
        output: Final path of the result, for the report.
        fresh: The ONNX file to write.
        opset: Version of the default operator set; tf2onnx's own choice if None.
    """

    path: str
    output: str
    fresh: str
    opset: int | None = None


def convert(request: ConvertRequest) -> ConversionReport:
    """Convert a Keras model or SavedModel and compare the result with it.

    Raises:
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        ModelError: The model cannot be read.
        ConversionError: It is an ONNX model already, cannot be converted, or the result does not run.
        RuntimeCheckError: Keras or TensorFlow cannot run it.
    """
    from cnnlint.conversion.jobs import ConversionJob
    from cnnlint.conversion.jobs import convert as write_onnx
    from cnnlint.conversion.toolchain import toolchain

    toolchain()  # reports a missing package before anything is read
    path, output = request.path, request.output
    source = open_model(path)
    if source.convertible is None:
        source.graph()  # raises if it is none
        raise ConversionError("this is already an ONNX model", path=path)
    before = source.runner()
    done = write_onnx(ConversionJob(path=path, format=source.convertible, output=request.fresh, opset=request.opset))
    graph = frontends.load(request.fresh)
    program = Program.from_file(request.fresh)
    after = OnnxRunner(output, program, graph)
    size_up(before.graph, graph)
    try:
        parity = compare(before, after)
    except RuntimeCheckError as error:
        if error.path != output:
            raise
        raise ConversionError(f"the ONNX model that tf2onnx wrote does not run: {error.cause}", path=path) from error
    if parity.equal:  # every layer is right, and the verification counts them
        parity = replace(parity, layers=())
    nodes = program.record.graph.nodes
    kinds = Counter(node.op_type for node in nodes)
    made = {part.output for layer in graph.layers for part in layer.origin}
    idle = Counter(node.op_type for node in nodes if not made.intersection(node.outputs))
    del idle["Transpose"]
    return ConversionReport(
        source=path,
        output=output,
        opset=graph.source.opset,
        nodes=kinds.total(),
        transposes=kinds["Transpose"],
        norms_left=tuple(_foldable(graph)),
        leftover=dict(sorted(idle.items())),
        opaque=tuple(f"{layer.name} ({layer.reason})" for layer in graph.of_kind(Opaque)),
        parity=parity,
        way=done.way,
        seconds=done.seconds,
        norms_folded=done.norms_folded,
    )


def _foldable(graph: Graph) -> list[str]:
    """Return the norms that could be folded into the layer right before them."""
    norms = (norm for norm in graph.of_kind(BatchNorm) if not norm.training)
    found = list[str]()
    for norm in norms:
        layer = graph.producer(norm.input)
        if isinstance(layer, Conv | ConvTranspose | Dense) and graph.sole_successor(layer) is norm:
            found.append(norm.name)
    return found


NAMED = 3
"""Most layers that are named in one line."""


def render(report: ConversionReport, view: View) -> str:
    """Return how the model was converted, what the converter left over, and the verification; without the lint."""
    return without_commands("".join(f"{line}\n" for line in _lines(report, view)))


def _lines(report: ConversionReport, view: View) -> Iterator[str]:
    source, output = printable(report.source), printable(report.output)
    state = view.paint("written", "good") if report.written else view.paint("not written", "error")
    yield f"{view.paint(source, 'strong')} → {view.paint(output, 'strong')}  {state}"
    yield f"  {report.way} conversion in {report.seconds:.1f} s, opset {report.opset}, {several(report.nodes, 'node')}"
    yield f"  {'; '.join(_left(report))}"
    for opaque in report.opaque:
        yield f"  opaque to all rules: {printable(opaque)}"
    yield ""
    parity = report.parity
    yield from verdict(parity.verification, view)
    for condition in parity.conditions:
        yield view.paint(f"  inputs: {printable(condition)}", "faint")
    for sentence in parity.interface:
        yield f"  {printable(sentence)}"
    if not view.quiet:
        yield from (f"  {line}" for line in table(parity.outputs, view))
    if not parity.equal:
        yield from origin_lines(parity, view)
    yield ""


def _left(report: ConversionReport) -> Iterator[str]:
    yield several(report.transposes, "Transpose")
    if report.norms_folded is not None:
        yield f"{report.norms_folded} products and sums of norms folded"
    if report.norms_left:
        names = ", ".join(map(printable, report.norms_left[:NAMED]))
        more = f" and {len(report.norms_left) - NAMED} more" if len(report.norms_left) > NAMED else ""
        yield f"{several(len(report.norms_left), 'norm')} not folded: {names}{more}"
    else:
        yield "no norm left to fold"
    if report.leftover:
        kinds = ", ".join(f"{count} {printable(op)}" for op, count in report.leftover.items())
        yield f"operators that belong to no layer: {kinds}"
    else:
        yield "no leftover operators"
