"""WA021: padding by a node of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    FileContext,
    FileRule,
    Finding,
    Good,
    NearMiss,
    NodeRecord,
    Severity,
    Wiring,
    absorb_pad,
)

NOT_NEGATIVE = frozenset({"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"})
"""Operators that make nothing below zero, whose largest values zeros around them do not change."""


class ExplicitPad(FileRule, code="WA021", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A node pads a map with what the convolution or pooling after it could pad with itself.

    ## Why
    The padded map is a copy of the map, one pass over memory, and as large; padding within the convolution costs
    nothing. Keras networks have ZeroPadding2D layers since TensorFlow pads on the right side where PyTorch pads on both
    (ResNet, MobileNet, DenseNet), and exporters keep them as nodes. onnxruntime joins a Pad and a convolution when it
    loads the file, so it is told with `--pedantic` only; `cnnlint fix` joins them in any case.

    ## Instead
    Give the convolution the padding: `padding=` in PyTorch, the attribute `pads` in ONNX.

    ## When not
    Where something without padding reads the padded map too, where it is padded with other values than zeros
    (reflection), and ahead of a max-pooling of values that may be negative, to which zeros are values and its own
    padding is none.

    ## References
    - ONNX, "Operator Schemas": Conv, MaxPool and AveragePool, `pads` and `count_include_pad`.
    """

    rewrites_unasked = True

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each such node with what it adds."""
        wiring = file.wiring
        for node in wiring.nodes:
            amounts = _amounts(node, wiring)
            readers = wiring.readers(node.outputs[0]) if amounts else ()
            if not readers or node.outputs[0] in wiring.outputs:
                continue
            layers = self.at(context, [node, *readers])
            if why := next(filter(None, (_misfit(node, reader, amounts, wiring) for reader in readers)), ""):
                yield self.skip(*layers, reason=why)
                continue
            shown = ", ".join(f"{before}+{after}" for before, after in amounts)
            listed = " and ".join(f"{reader.label} ({reader.op_type})" for reader in readers)
            yield self.finding(
                *layers,
                message=f"{file.named([node])} pads the axes of the map by {shown} for {listed}, which could do so"
                f" {'itself' if len(readers) == 1 else 'themselves'}.",
                evidence={"pads": 1},
                advice=Advice(text=f"Give the padding to {listed}", pytorch="nn.Conv2d(16, 32, 3, padding=1)"),
                subject="" if layers else node.label,
                nodes=[node, *readers],
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many there are."""
        return self.finding(
            message=f"{len(places):,} nodes pad maps, which the convolutions and poolings after them could do.",
            evidence={"pads": len(places)},
            advice=Advice(text="Give them the padding", pytorch="nn.Conv2d(16, 32, 3, padding=1)"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Add the amounts to those of the convolution or pooling."""
        amounts = _amounts(nodes[0], editor.known_file.wiring)
        pad, *windows = (editor.node(record) for record in nodes)
        absorb_pad(pad, windows, tuple(amounts), editor)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 4, 4] y)
            <float[2, 2, 2, 2] kernel = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8},
             int64[8] pads = {0, 0, 0, 0, 0, 0, 1, 1}> {
                a = Relu (x)
                b = Pad (a, pads)
                c = Conv <strides = [2, 2]> (b, kernel)
                y = Sigmoid (c)
            }
            """,
            at=("c",),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 4, 4] y)
            <float[2, 2, 2, 2] kernel = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}> {
                a = Relu (x)
                c = Conv <strides = [2, 2], pads = [0, 0, 1, 1]> (a, kernel)
                y = Sigmoid (c)
            }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 4, 4] y) <int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}> {
                a = Relu (x)
                b = Pad (a, pads)
                c = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (b)
                y = Sigmoid (c)
            }
            """,
            at=("b", "c"),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 4, 4] y) <int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}> {
                a = Tanh (x)
                b = Pad (a, pads)
                c = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (b)
                y = Sigmoid (c)
            }
            """
        ),
    )


def _amounts(node: NodeRecord, wiring: Wiring) -> list[tuple[int, int]]:
    """Return how many zeros a Pad adds along each axis of the map; [] if it does anything else."""
    if node.op_type != "Pad" or node.domain or node.attributes.get("mode", "constant") not in ("constant", b"constant"):
        return []
    if len(node.inputs) > 3 and node.inputs[3]:
        return []
    given = node.attributes.get("pads")
    if len(node.inputs) > 1:
        constant = wiring.constant(node.inputs[1])
        given = None if constant is None else constant.integers
    filling = node.attributes.get("value", 0.0)
    if len(node.inputs) > 2 and node.inputs[2]:
        constant = wiring.constant(node.inputs[2])
        filling = None if constant is None else constant.scalar
    if filling != 0 or not isinstance(given, tuple) or len(given) % 2 or len(given) < 6:
        return []
    pads = [int(each) for each in given if isinstance(each, int)]
    rank = len(given) // 2
    pairs = list(zip(pads[:rank], pads[rank:], strict=len(pads) == len(given)))
    is_map = len(pads) == len(given) and not any(map(any, pairs[:2])) and any(map(any, pairs[2:]))
    return pairs[2:] if is_map and min(pads) >= 0 else []


def _misfit(node: NodeRecord, reader: NodeRecord, amounts: Sequence[tuple[int, int]], wiring: Wiring) -> str:
    """Return why `reader` cannot pad by so much itself, as a clause; "" if it can."""
    if reader.domain or reader.op_type not in ("AveragePool", "Conv", "MaxPool") or reader.inputs[0] != node.outputs[0]:
        return f"{reader.op_type} has no padding of zeros"
    if reader.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID", b"NOTSET", b"VALID"):
        return "its padding depends on the size of the map"
    if reader.op_type == "Conv":
        return ""
    pads, window = reader.attributes.get("pads", ()), reader.attributes.get("kernel_shape", ())
    held = pads if isinstance(pads, tuple) else ()
    if reader.attributes.get("ceil_mode", 0) or any(held):
        return "it pads by itself already, or rounds up"
    if reader.op_type == "AveragePool":
        return ""
    maker = wiring.maker(node.inputs[0])
    if maker is None or maker.domain or maker.op_type not in NOT_NEGATIVE:
        return "zeros may be the largest values that it finds"
    sides = window if isinstance(window, tuple) else ()
    small = all(isinstance(side, int) and max(pair) < side for side, pair in zip(sides, amounts, strict=False))
    dilated = any(step != 1 for step in _numbers(reader.attributes.get("dilations")))
    return "" if small and sides and not dilated else "some of its windows would hold nothing"


def _numbers(given: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", given) if isinstance(given, tuple) else ()
