"""WA003: the same layers with the same weights on the same input."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from msgspec import Struct, field

from cnnlint import (
    Activation,
    Add,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Concat,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Editor,
    Finding,
    Flatten,
    GlobalPool,
    Good,
    Layer,
    MaxPool,
    ModelError,
    ModelRule,
    Multiply,
    NearMiss,
    Savings,
    Severity,
    Weight,
    added_up,
    brief,
    onnx_file,
)

KINDS = (
    Activation, Add, AvgPool, BatchNorm, Concat, Conv, ConvTranspose, Dense, Flatten, GlobalPool, MaxPool, Multiply,
)  # fmt: skip
"""Kinds whose settings and weights say all that they compute."""

CHEAP = (Activation, Add, Concat, Flatten, Multiply)

COMMUTING = (Add, Multiply)

FIRST = 1024
"""Elements that are compared first, since weights that differ do so early."""


class Branch(Struct, frozen=True, eq=False):
    """Layers that do what others do, and those others, in the order of the graph."""

    layers: list[Layer] = field(default_factory=list[Layer])
    others: list[Layer] = field(default_factory=list[Layer])


class DuplicateBranch(
    ModelRule,
    code="WA003",
    severity=Severity.WARNING,
    confidence=Confidence.EXACT,
    reads_values=True,
    since="0.1.0",
):
    """A branch computes what another branch computes: the same layers with the same weights on the same input.

    ## Why
    Its outputs are equal to the other's, element by element, so its multiply-accumulates, and the second copy of its
    weights if it has one, are spent for nothing. Where the two are joined, the layer after them sees each channel twice
    and has twice the weights that it needs. It comes from calling a layer twice where two layers were meant, from two
    branches that were loaded from one checkpoint, and from weights that were copied to start the second branch and then
    never trained. onnxruntime merges equal nodes when it loads a file if they read one and the same array; copies
    of an array of more than a few numbers it takes for different.

    ## Instead
    If two branches were meant, give the second one layers, and initial values, of its own. Otherwise read the first one
    twice.

    ## When not
    One layer on several inputs (a siamese network, a detector's head on several scales) is not a duplicate, and the
    rule does not take it for one. Branches that training will drive apart may start equal; a file for inference has no
    use for that. Activations, sums and flattens alone are not reported: that is how blocks are written that each begin
    with a ReLU of one input, as in NASNet. Poolings alone are information.

    ## References
    - Jajal et al., "Interoperability in Deep Learning: A User Survey and Failure Analysis of ONNX Model Converters",
      ISSTA 2024.
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": common subexpression elimination.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each branch that repeats another, with its cost."""
        graph = context.graph
        for branch in _repeated(context):
            first, other = branch.layers[0], branch.others[0]
            macs = sum(context.layer_macs(layer) or 0 for layer in branch.layers)
            used = {weight.key for each in branch.others for weight in each.weights}
            held = {weight.key: weight for each in branch.layers for weight in each.weights if weight.key not in used}
            parameters = sum(weight.size or 0 for weight in held.values())
            if any(graph.is_output(each.output) and graph.is_output(same.output) for each, same in _pairs(branch)):
                yield self.skip(first, other, reason="each is an output of the network")
                continue
            if not parameters and all(isinstance(layer, CHEAP) for layer in branch.layers):
                yield self.skip(first, other, reason="no layer of the branch costs more than a pass over its input")
                continue
            more = f" and {len(branch.layers) - 1:,} after it" if len(branch.layers) > 1 else ""
            copies = f" and holds {parameters:,} parameters once more" if parameters else ""
            values = sum(layer.output.sample_elements or 0 for layer in branch.layers)
            weights = ", with the same weights" if used else ""
            cost = f"{brief(macs)} multiply-accumulates" if macs else f"a pass over {brief(values)} values"
            yield self.finding(
                first,
                other,
                *branch.layers[1:],
                message=f"{first.name}{more} computes what {other.name} computes{weights} of the same input, which"
                f" takes {cost}{copies}.",
                evidence={"layers": len(branch.layers), "macs": macs, "parameters": parameters},
                advice=Advice(text=f"Read {branch.others[-1].name} twice, or give {first.name} weights of its own"),
                savings=Savings(macs=macs, parameters=parameters),
                severity=None if macs or parameters else Severity.INFO,
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up what the branches cost."""
        total = added_up(places)
        first = places[0].message
        cost = f", which takes {brief(total['macs'])} multiply-accumulates" if total["macs"] else ""
        return self.finding(
            message=f"{len(places):,} branches of {total['layers']:,} layers compute what others compute{cost}:"
            f" {first}",
            evidence=total,
            advice=Advice(text="Read the first of each twice, or give the others weights of their own"),
        )

    def rewrite(self, layers: tuple[Layer, ...], editor: Editor) -> None:
        """Have what reads the first layer of the branch read the other one; the layers after it come next."""
        first, other = (editor.nodes(layer)[-1] for layer in layers[:2])
        editor.bypass(first, other.output[0])

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            twice (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y) <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}>
            {
                a = Conv (x, kernel)
                b = Conv (x, kernel)
                c = Sigmoid (b)
                y = Mul (a, c)
            }
            """,
            at=("b", "a"),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            once (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y) <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}>
            {
                a = Conv (x, kernel)
                c = Sigmoid (a)
                y = Mul (a, c)
            }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            siamese (float[1, 2, 8, 8] left, float[1, 2, 8, 8] right) => (float[1, 2, 8, 8] y)
            <float[2, 2, 1, 1] kernel = {1, 2, 3, 4}>
            {
                a = Conv (left, kernel)
                b = Conv (right, kernel)
                y = Sub (a, b)
            }
            """
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            two (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y)
            <float[2, 2, 1, 1] one = {1, 2, 3, 4}, float[2, 2, 1, 1] two = {1, 2, 3, 5}>
            {
                a = Conv (x, one)
                b = Conv (x, two)
                c = Sigmoid (b)
                y = Mul (a, c)
            }
            """
        ),
    )


def _pairs(branch: Branch) -> Iterator[tuple[Layer, Layer]]:
    return zip(branch.layers, branch.others, strict=True)


def _repeated(context: Context) -> list[Branch]:
    """Return the branches that repeat others.

    Each tensor is known by the first one that is equal to it. A layer of settings and inputs that an earlier one
    had is compared with that weight by weight; where it is the same, its outputs are known by the earlier one's. So the
    layers after it find equal inputs, and a branch is followed from its first layer on.
    """
    alike = dict[Hashable, list[Layer]]()
    first = dict[str, str]()
    branches = dict[str, Branch]()
    for layer in context.graph.of_kind(*KINDS):
        if isinstance(layer, BatchNorm) and layer.training:
            continue
        inputs = [first.get(tensor.name, tensor.name) for tensor in layer.inputs]
        inputs = sorted(inputs) if isinstance(layer, COMMUTING) else inputs
        shapes = tuple((weight.role, weight.shape, weight.dtype) for weight in layer.weights)
        key = (layer.kind, tuple(inputs), shapes, tuple(layer.settings().items()), _terms(layer))
        earlier = alike.setdefault(key, [])
        same = next(
            (other for other in earlier if _same_weights(layer, other) and _same_nodes(layer, other, context)), None
        )
        if same is None:
            earlier.append(layer)
            continue
        for mine, theirs in zip(layer.outputs, same.outputs, strict=True):
            first[mine.name] = first.get(theirs.name, theirs.name)
        branch = next((branches[tensor.name] for tensor in layer.inputs if tensor.name in branches), Branch())
        branch.layers.append(layer)
        branch.others.append(same)
        branches.update((tensor.name, branch) for tensor in layer.outputs)
    return list({id(branch): branch for branch in branches.values()}.values())


def _terms(layer: Layer) -> tuple[str, ...]:
    return tuple(part.op for part in layer.origin)


def _same_weights(one: Layer, other: Layer) -> bool:
    return all(_same_values(mine, theirs) for mine, theirs in zip(one.weights, other.weights, strict=True))


def _same_values(one: Weight, other: Weight) -> bool:
    if one.key == other.key:
        return True
    if one.shape is None or one.storage is None or other.storage is None:
        return False
    try:
        mine, theirs = one.values().reshape(-1), other.values().reshape(-1)
    except ModelError:  # the file is cut off, which is told elsewhere
        return False
    return mine[:FIRST].tobytes() == theirs[:FIRST].tobytes() and mine.tobytes() == theirs.tobytes()


def _same_nodes(one: Layer, other: Layer, context: Context) -> bool:
    """Return whether the nodes of an ONNX file that two layers were raised from have the same attributes."""
    file = onnx_file(context.graph)
    if file is None:
        return True
    pairs = zip(one.origin, other.origin, strict=True)
    makers = ((file.wiring.maker(mine.output), file.wiring.maker(theirs.output)) for mine, theirs in pairs)
    return all(mine is None or theirs is None or mine.attributes == theirs.attributes for mine, theirs in makers)
