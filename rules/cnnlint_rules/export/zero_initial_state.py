"""EX022: recurrent layers that are given zeros to start from."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    FileContext,
    FileRule,
    Good,
    NearMiss,
    NodeRecord,
    Severity,
    Wiring,
)

STATES = {"GRU": (5,), "LSTM": (5, 6), "RNN": (5,)}
"""Which inputs of which operators are the states that they start from."""

KEEPS_ZERO = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile",
     "Transpose", "Unsqueeze"}
)  # fmt: skip
"""Operators that make zeros of zeros, all but `Concat` of their first input."""

FAR = 20
"""Most nodes back to what makes the zeros."""


class ZeroInitialState(FileRule, code="EX022", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A recurrent layer is given zeros as its initial state, which it starts from anyway.

    ## Why
    Where a GRU, an LSTM or an RNN has no initial state, it is zero. Exporters compute zeros of the size of the batch
    instead: Shape, Gather, Unsqueeze, Concat and ConstantOfShape or Expand ahead of each stack of layers, and a Slice
    for each layer. It takes microseconds, so it is told with `--pedantic` only; `cnnlint fix` leaves it out in any
    case, and compilers that cannot handle an open batch in ConstantOfShape accept the file then.

    ## Instead
    Leave the input empty. PyTorch's exporter writes the zeros also where `nn.LSTM` is called without states.

    ## When not
    Never.

    ## References
    - ONNX, "Operator Schemas": LSTM, `initial_h` and `initial_c`, "assumed to be 0" if not specified.
    """

    rewrites_unasked = True

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each layer with the number of such inputs."""
        wiring = file.wiring
        for node in wiring.nodes:
            places = _zeros(node, wiring)
            if not places:
                continue
            layers = self.at(context, [node])
            yield self.finding(
                *layers,
                message=f"{file.named([node])} is given zeros for {len(places)} initial"
                f" state{'s' if len(places) > 1 else ''}, and starts from zeros without.",
                evidence={"states": len(places)},
                advice=Advice(text=f"Leave the initial states of {node.label} out"),
                subject="" if layers else node.label,
                nodes=[node],
            )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Leave these inputs empty."""
        for record in nodes:
            node = editor.node(record)
            for place in _zeros(record, editor.known_file.wiring):
                editor.set_input(node, place, "")

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[4, N, 2] x) => (float[4, 1, N, 1] y)
            <float[1, 1, 2] w = {1, 2}, float[1, 1, 1] r = {0.5}, float[1, 2] b = {1, 2},
             int64[1] one = {1}, int64[1] unit = {1}, int64[1] index = {1}> {
                s = Shape (x)
                n = Gather (s, index)
                size = Concat <axis = 0> (one, n, unit)
                zeros = ConstantOfShape (size)
                y = RNN <hidden_size = 1> (x, w, r, b, , zeros)
            }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[4, 3, 2] x, float[1, 3, 1] start) => (float[4, 1, 3, 1] y)
            <float[1, 1, 2] w = {1, 2}, float[1, 1, 1] r = {0.5}, float[1, 2] b = {1, 2}> {
                y = RNN <hidden_size = 1> (x, w, r, b, , start)
            }
            """
        ),
    )


def _zeros(node: NodeRecord, wiring: Wiring) -> list[int]:
    """Return which inputs of a recurrent layer are states of zeros."""
    places = () if node.domain else STATES.get(node.op_type, ())
    given = [place for place in places if place < len(node.inputs) and node.inputs[place]]
    return [place for place in given if _is_zero(node.inputs[place], wiring)]


def _is_zero(name: str, wiring: Wiring) -> bool:
    """Return whether a tensor is known to be zero everywhere."""
    left, steps = [name], 0
    while left:
        steps += 1
        tensor = left.pop()
        constant = wiring.constant(tensor)
        if constant is not None and constant.values and not any(constant.values):
            continue
        maker = wiring.maker(tensor)
        if maker is None or maker.domain or steps > FAR:
            return False
        if maker.op_type == "ConstantOfShape":
            filling = maker.attributes.get("value")
            values = getattr(filling, "values", None)
            if filling is not None and (values is None or any(values)):
                return False
        elif maker.op_type in KEEPS_ZERO:
            left += maker.inputs if maker.op_type == "Concat" else maker.inputs[:1]
        else:
            return False
    return True
