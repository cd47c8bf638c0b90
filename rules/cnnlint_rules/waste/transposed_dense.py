"""WA024: dense layers on the channels of a map, between transposes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from cnnlint import (
    ELEMENTWISE,
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
    permutation_of,
)

LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
"""Orders of axes that bring the channels of a map to the end, and back."""

WIDE = 16
"""Fewest channels on the wider side of each layer; with fewer, a convolution is slower than the transposes."""

MOST = 200
"""Most nodes between transposes that are looked at."""


class TransposedDense(FileRule, code="WA024", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A map is transposed for dense layers on its channels, and transposed back, where 1 × 1 convolutions would do.

    ## Why
    A dense layer on the last axis of a channels-last map is a 1 × 1 convolution of the map. As one it needs neither
    the transposes nor the reshapes around it, and its bias costs no node. They come from PyTorch's `Linear` between
    `permute` calls, and from Keras's Dense on maps, in files that are channels first. In onnxruntime 1.32 on one core
    two layers of 16 channels at 56 × 56 with a ReLU between take 0.12 ms as convolutions and 0.17 ms between
    transposes, two of 64 and 256 at 14 × 14 take 0.17 and 0.20 ms. It is told with `--pedantic` only, and
    `cnnlint fix` rewrites it in any case.

    ## Instead
    `Conv2d(..., kernel_size=1)` in PyTorch, `Conv2D(..., 1)` in Keras.

    ## When not
    Where something between the transposes needs the channels last, such as a layer normalization or attention: the
    transposes would only move. Where a layer takes and makes fewer than 16 channels, as the mixing of 4 attention
    heads does: the convolution is slower there (1.0 against 0.7 ms on 196 × 196).

    ## References
    - Lin, Chen and Yan, "Network In Network", 2014, section 3.1.
    """

    rewrites_unasked = True

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each group of dense layers with what is around them."""
        wiring = file.wiring
        for node in wiring.nodes:
            region = _region(node, wiring)
            products = [other for other in region if other.op_type in {"MatMul", "Gemm"}]
            if not products or any(max(wiring.numbers(other.inputs[1]) or (0,)) < WIDE for other in products):
                continue
            count = sum(1 for other in region if other.op_type in {"Transpose", "Reshape"})
            plural = "s" if len(products) > 1 else ""
            layers = self.at(context, products)
            yield self.finding(
                *layers,
                message=f"{file.named(products)} would be 1 × 1 convolution{plural} without the {count} transposes and"
                " reshapes around.",
                evidence={"products": len(products), "moves": count},
                advice=Advice(text="Make 1 × 1 convolutions of these dense layers, and leave the map as it is"),
                subject="" if layers else node.label,
                nodes=region,
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up the layers and what is around them."""
        products, moves = (sum(int(place.evidence[key]) for place in places) for key in ("products", "moves"))
        return self.finding(
            message=f"{products:,} dense layers would be 1 × 1 convolutions without the {moves:,} transposes and"
            " reshapes around.",
            evidence={"products": products, "moves": moves},
            advice=Advice(text="Make 1 × 1 convolutions of them, and leave the maps as they are"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Put convolutions in place of the products, and remove what turns and reshapes the map."""
        found = [(editor.node(record), record) for record in nodes]
        wiring, spent = editor.known_file.wiring, set[str]()
        for node, record in found:
            if record.op_type not in {"MatMul", "Gemm"}:
                continue
            units = _units(record, wiring) or 0
            total = _sum_of(record, units, wiring)
            bias = list(record.inputs[2:])
            if total is not None:
                bias = [name for name in total.inputs if name != record.outputs[0]]
                spent.add(total.outputs[0])
            kernel = node.input[1]
            if not record.attributes.get("transB"):
                kernel = editor.insert(node, "Transpose", [kernel], perm=[1, 0])
            kernel = editor.insert(node, "Reshape", [kernel, editor.integers("kernel_shape", (units, -1, 1, 1))])
            if bias:
                bias = [editor.insert(node, "Reshape", [*bias, editor.integers("bias_shape", (units,))])]
            last = record if total is None else total
            editor.remove([node] if total is None else [node, editor.node(total)])
            editor.insert(node, "Conv", [record.inputs[0], kernel, *bias], last.outputs[0], called=node.name)
        for node, record in found:
            if record.op_type not in ELEMENTWISE or record.outputs[0] in spent:
                continue
            for place, name in enumerate(record.inputs):
                shape = wiring.numbers(name) if wiring.is_fixed(name) else None
                if shape is None or prod(shape) == 1:
                    continue  # it is part of the map, or the same for all of it
                wide = editor.integers("wide", (*(1,) * (4 - len(shape)), *shape))
                held = editor.insert(node, "Reshape", [name, wide])
                editor.set_input(node, place, editor.insert(node, "Transpose", [held], perm=FIRST))
        for node, record in found:
            if record.op_type in {"Transpose", "Reshape"}:
                editor.bypass(node)
        editor.undeclare(name for record in nodes for name in record.outputs)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            block (float[N, 1, 8, 8] x) => (float[N, 1, 4, 4] y)
            <float[1, 16] wide = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, float[1] bias = {5},
             float[16, 1] narrow = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}> {
                a = Transpose <perm = [0, 2, 3, 1]> (x)
                b = MatMul (a, wide)
                c = Relu (b)
                d = MatMul (c, narrow)
                e = Add (d, bias)
                f = Transpose <perm = [0, 3, 1, 2]> (e)
                y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (f)
            }
            """,
            at=("b", "d"),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            block (float[N, 1, 8, 8] x) => (float[N, 1, 4, 4] y)
            <float[16, 1, 1, 1] wide = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, float[1] bias = {5},
             float[1, 16, 1, 1] narrow = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}> {
                b = Conv (x, wide)
                c = Relu (b)
                e = Conv (c, narrow, bias)
                y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (e)
            }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            block (float[1, 8, 8, 8] x) => (float[1, 2, 4, 4] y)
            <float[16, 2] kernel = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
              17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32},
             float[2] bias = {1, 2}, float[2] scale = {3, 4}, int64[2] rows = {-1, 16}, int64[4] map = {1, 8, 8, 2}> {
                a = Concat <axis = 1> (x, x)
                b = Transpose <perm = [0, 2, 3, 1]> (a)
                c = Reshape (b, rows)
                d = Gemm (c, kernel, bias)
                e = Sigmoid (d)
                f = Mul (e, scale)
                g = Reshape (f, map)
                h = Transpose <perm = [0, 3, 1, 2]> (g)
                y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (h)
            }
            """,
            at=("d",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            normalized (float[N, 1, 8, 8] x) => (float[N, 16, 8, 8] y)
            <float[1] scale = {2}, float[1, 16] kernel = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}> {
                a = Transpose <perm = [0, 2, 3, 1]> (x)
                b = LayerNormalization (a, scale)
                c = MatMul (b, kernel)
                y = Transpose <perm = [0, 3, 1, 2]> (c)
            }
            """
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            heads (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y) <float[2, 2] kernel = {1, 2, 3, 4}> {
                a = Transpose <perm = [0, 2, 3, 1]> (x)
                b = MatMul (a, kernel)
                y = Transpose <perm = [0, 3, 1, 2]> (b)
            }
            """
        ),
    )


def _region(start: NodeRecord, wiring: Wiring) -> tuple[NodeRecord, ...]:
    """Return `start`, what works on each position of the map that it makes, and the transposes that undo it.

    Empty if something else reads what lies between. Rows of a map stay rows of the same position through reshapes that
    keep the last axis, so what takes rows alone may stand between these.
    """
    if permutation_of(start, wiring) != LAST or wiring.is_fixed(start.inputs[0]):
        return ()
    found, left, ended = {start.outputs[0]: start}, [start.outputs[0]], False
    while left:
        name = left.pop()
        if name in wiring.outputs or len(found) > MOST:
            return ()
        for reader in wiring.readers(name):
            if reader.outputs[0] in found:
                continue
            if permutation_of(reader, wiring) == FIRST:
                if not _lead(name, wiring) or _lead(name, wiring) != _lead(start.outputs[0], wiring):
                    return ()
                ended = True
            elif _takes_rows(reader, name, wiring):
                left.append(reader.outputs[0])
            else:
                return ()
            found[reader.outputs[0]] = reader
    inside = all(
        other in found or wiring.is_fixed(other)
        for node in found.values()
        for other in node.inputs
        if other and node is not start
    )
    return tuple(found.values()) if ended and inside else ()


def _lead(name: str, wiring: Wiring) -> tuple[object, ...]:
    """Return the extents of a tensor ahead of its channels; empty if they are not all known."""
    shape = wiring.shape(name) or ()
    return () if None in shape else shape[:-1]


def _takes_rows(node: NodeRecord, name: str, wiring: Wiring) -> bool:
    """Return whether a node computes each row of channels of its output from the row of `name` at its place."""
    before, after = wiring.shape(name), wiring.shape(node.outputs[0])
    if node.domain or len(node.outputs) > 1 or not before or not after or not isinstance(before[-1], int):
        return False
    if node.op_type == "Reshape":
        return node.inputs[0] == name and before[-1] == after[-1]
    if node.op_type in {"MatMul", "Gemm"}:
        return node.inputs[0] == name and _units(node, wiring) is not None
    fixed = [wiring.numbers(other) for other in node.inputs if other and wiring.is_fixed(other)]
    if any(shape is None or len(shape) > min(4, len(before)) or prod(shape[:-1]) != 1 for shape in fixed):
        return False
    others = {other for other in node.inputs if not wiring.is_fixed(other)} - {name, ""}
    alike = all(_lead(other, wiring) == _lead(name, wiring) != () for other in others)
    return node.op_type in ELEMENTWISE and alike


def _units(node: NodeRecord, wiring: Wiring) -> int | None:
    """Return how many units a dense layer of constant weights has; None if the node is no such layer."""
    kernel, given = node.inputs[1], node.attributes
    shape = wiring.numbers(kernel) if wiring.is_fixed(kernel) else None
    if shape is None or len(shape) != 2 or len(wiring.readers(kernel)) != 1:
        return None  # a kernel that others read too would be stored twice
    if not wiring.dtype(kernel).startswith("float") or given.get("transA"):
        return None
    if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
        return None
    units = shape[0] if given.get("transB") else shape[1]
    biases = [wiring.numbers(name) for name in node.inputs[2:] if wiring.is_fixed(name)]
    return units if len(biases) == len(node.inputs[2:]) and all(_is_bias(bias, units) for bias in biases) else None


def _is_bias(shape: tuple[int, ...] | None, units: int) -> bool:
    return shape is not None and shape[-1:] == (units,) and prod(shape) == units


def _sum_of(node: NodeRecord, units: int, wiring: Wiring) -> NodeRecord | None:
    """Return the Add of the bias of a MatMul; None if there is none."""
    total = wiring.sole_reader(node.outputs[0]) if node.op_type == "MatMul" else None
    if total is None or total.op_type != "Add" or total.domain or len(total.inputs) != 2:
        return None
    others = [name for name in total.inputs if name != node.outputs[0]]
    is_bias = len(others) == 1 and wiring.is_fixed(others[0]) and _is_bias(wiring.numbers(others[0]), units)
    return total if is_bias else None
