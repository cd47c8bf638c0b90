"""WA004: layers that no output depends on."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    Good,
    Layer,
    ModelRule,
    NearMiss,
    NodeRecord,
    Savings,
    Severity,
    Wiring,
    brief,
    onnx_file,
)

SHOWN = 3

TRIVIAL = frozenset({"Constant", "Identity", "Shape"})
"""Operators that cost nothing and are left where a branch was cut off."""


class DeadBranch(ModelRule, code="WA004", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """Layers compute what no output of the network depends on.

    ## Why
    Their weights are stored and loaded, and runtimes that do not prune compute them at each inference; onnxruntime
    does prune, but must read and parse them all the same. Counts of parameters and multiply-accumulates are too high by
    them. They are what is left where an output was removed from a file (an auxiliary classifier, features that another
    head read) and the nodes that made it were not, or a layer that somebody forgot to connect.

    ## Instead
    If the branch was meant to be used, connect it. Otherwise remove it: `cnnlint fix` keeps what the outputs need, and
    so does `onnx.utils.Extractor(model).extract_model(inputs, outputs)`.

    ## When not
    Never. Arrays that no layer reads are dead-initializer's matter; a Keras model leaves out what its outputs do not
    need by itself. Leftover shapes and constants alone are information.

    ## References
    - ONNX, "Intermediate Representation Specification", "Graphs".
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the layers that could be removed, with their parameters and multiply-accumulates."""
        graph, file = context.graph, onnx_file(context.graph)
        nodes = [] if file is None else _dead(file.wiring)
        layers = context.layers_at(node.label for node in nodes) if file is not None else tuple(_unread(context))
        if not nodes and not layers:
            return
        dead = {layer.name for layer in layers}
        alive = {weight.key for layer in graph.layers if layer.name not in dead for weight in layer.weights}
        held = {weight.key: weight for layer in layers for weight in layer.weights if weight.key not in alive}
        parameters = sum(weight.size or 0 for weight in held.values())
        macs = sum(context.layer_macs(layer) or 0 for layer in layers)
        names = [node.label for node in nodes] or [layer.name for layer in layers]
        listed = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        what = ("node" if nodes else "layer") + ("s" if len(names) > 1 else "")
        cost = [f"{parameters:,} parameters"] * bool(parameters) + [f"{brief(macs)} multiply-accumulates"] * bool(macs)
        yield self.finding(
            *layers,
            message=f"No output depends on {len(names):,} {what} ({listed}){', which cost ' if cost else ''}"
            f"{' and '.join(cost)}.",
            evidence={"nodes": len(names), "parameters": parameters, "macs": macs},
            advice=Advice(text="Remove them, or connect them if they were meant to be used"),
            savings=Savings(parameters=parameters, macs=macs),
            severity=Severity.INFO if nodes and all(node.op_type in TRIVIAL for node in nodes) else None,
            nodes=nodes,
        )

    def rewrite(self, _: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Leave them out, as every rewritten model does."""

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            cut (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y) <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}>
            {
                a = Relu (x)
                b = Conv (a, kernel)
                c = Sigmoid (b)
                y = Tanh (a)
            }
            """,
            at=("b", "c"),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            cut (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y) { a = Relu (x) y = Tanh (a) }
            """,
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


def _dead(wiring: Wiring) -> list[NodeRecord]:
    """Return the nodes that no output depends on, in the order of the file."""
    if all(any(map(wiring.is_read, node.outputs)) for node in wiring.nodes):
        return []  # the last node of a dead branch is read by none
    needed, left = set[str](), list(wiring.outputs)
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            maker = wiring.maker(name)
            if maker is not None:
                left += wiring.reads(maker)
    return [node for node in wiring.nodes if any(node.outputs) and not needed.intersection(node.outputs)]


def _unread(context: Context) -> Iterator[Layer]:
    """Yield the layers of a graph that no output depends on, in order."""
    graph = context.graph
    needed = {tensor.name for tensor in graph.outputs}
    unread = list[Layer]()
    for layer in reversed(graph.layers):
        if needed.isdisjoint(tensor.name for tensor in layer.outputs):
            unread.append(layer)
        else:
            needed.update(tensor.name for tensor in layer.inputs)
    yield from reversed(unread)
