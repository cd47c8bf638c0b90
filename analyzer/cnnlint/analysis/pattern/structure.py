"""A network taken apart into what stands in series and what stands side by side, as papers draw it.

Layers become numbered steps. In a part of the network with one entry and one exit, the steps that every way passes
stand in series; what lies between two of them falls into pieces that do not touch: the branches, each such a part
again. A piece that has neither is a tangle. Every level of nesting is one sweep over its steps.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, Add, Concat, Multiply
from cnnlint.graph.tensor import Shape

START = -1
"""What stands before the inputs."""

DEEPEST = 20
"""Joins inside one another; a network that has more is shown as a tangle below that."""

FINAL = frozenset({"softmax", "log_softmax", "sigmoid"})
"""Activations that make an output a probability."""

NORMS = frozenset({"BN", "GN", "LN", "IN"})

PROJECTING = frozenset({"CONV", "POOL", "AVGPOOL", "CROP"}) | NORMS
"""What may lie on a shortcut: a projection to the shape of the branch that it goes around."""


class Step(Struct, frozen=True):
    """A layer.

    Attributes:
        name: The field's term: "CONV".
        weighted: Whether a block starts with its kind.
        layer: The name of the layer in the graph; of the tensor for an input.
    """

    name: str
    weighted: bool = False
    layer: str = ""


class Join(Struct, frozen=True):
    """Branches that start from one place and end in one layer.

    Attributes:
        name: "RES", "ADD", "CAT", "GATE", "SE", "OUTPUTS", or the operation's own name.
        branches: At least one; () is the identity. A residual's shortcut is not among them.
        shortcut: What lies on a residual's shortcut: () for the identity, None where there is no shortcut.
        stage: The shape of a residual's result: blocks of one shape form a stage.
        layer: The name of the layer that joins; "" where the branches meet in a join further out.
    """

    name: str
    branches: tuple[Sequence, ...]
    shortcut: Sequence | None = None
    stage: Shape | None = None
    layer: str = ""


class Repeat(Struct, frozen=True):
    """The same steps several times, one after the other."""

    body: Sequence
    times: int


class Tangle(Struct, frozen=True):
    """A part whose branches cross.

    Attributes:
        counts: How often each step stands in it, in the order of first use.
    """

    counts: tuple[tuple[str, int], ...]


Element = Step | Join | Repeat | Tangle
Sequence = tuple[Element, ...]


def decompose(graph: Graph) -> Sequence:
    """Return the pattern of `graph` with nothing folded."""
    flow = _Flow(graph)
    return flow.part(list(range(len(flow.steps))), START, flow.ends, None) if flow.ends else ()


def left_out(graph: Graph) -> frozenset[str]:
    """Return the names of the layers that only carry values, and of activations that make an output a probability."""
    carriers = {layer.name for layer in graph.layers if len(layer.inputs) == 1 and not layer.term}
    found = set[str]()
    for tensor in graph.outputs:
        layer = graph.producer(tensor)
        while layer is not None and layer.name in carriers and not graph.consumers(layer.output):
            layer = graph.producer(layer.input)
        if not isinstance(layer, Activation) or layer.function not in FINAL:
            continue
        if all(consumer.name in carriers for consumer in graph.consumers(layer.output)):
            found.add(layer.name)
    return frozenset(carriers | found)


class _Flow:
    """The steps on the ways from inputs to outputs, without the layers that are left out.

    Attributes:
        steps: In topological order, inputs first.
        layers: The layer of each step; None for an input.
        before: For each step the numbers of the steps that feed it, each once, in the order of its inputs.
        ends: The steps that give the network's outputs.
    """

    def __init__(self, graph: Graph) -> None:
        self.steps, self.layers, self.before = list[Step](), list[Layer | None](), list[list[int]]()
        omitted, wanted = left_out(graph), {tensor.name for tensor in graph.outputs}
        for layer in reversed(graph.layers):
            for tensor in layer.outputs:
                if tensor.name in wanted:
                    wanted.update([read.name for read in layer.inputs])
                    break
        maker, joined = dict[str, int](), dict[tuple[int, ...], int]()
        for tensor in graph.inputs:
            if tensor.name in wanted:
                maker[tensor.name] = self._add(Step("INPUT", layer=tensor.name), None, [START])
        for layer in graph.layers:
            if wanted.isdisjoint([tensor.name for tensor in layer.outputs]):
                continue  # made for nobody
            feeding = _distinct([maker[tensor.name] for tensor in layer.inputs if tensor.name in maker])
            if not feeding:
                continue  # made from constants alone
            number = feeding[0]
            if layer.name not in omitted:
                if isinstance(layer, Concat) and len(feeding) > 1:
                    whole = tuple(feeding)
                    # PyTorch's DenseNet joins all earlier maps anew for each layer; Keras's the last join and one map
                    if (shorter := joined.get(whole[:-1])) is not None:
                        feeding = [shorter, whole[-1]]
                    joined.setdefault(whole, len(self.steps))
                step = Step(layer.term or layer.kind.upper(), weighted=layer.starts_block, layer=layer.name)
                number = self._add(step, layer, feeding)
            for tensor in layer.outputs:
                maker[tensor.name] = number
        self.ends = _distinct([maker[tensor.name] for tensor in graph.outputs if tensor.name in maker])

    def _add(self, step: Step, layer: Layer | None, feeding: list[int]) -> int:
        self.steps.append(step)
        self.layers.append(layer)
        self.before.append(feeding)
        return len(self.steps) - 1

    def part(self, steps: list[int], entry: int, exits: list[int], joined_by: int | None, depth: int = 0) -> Sequence:
        """Return `steps`, which lie between `entry` and the step `joined_by` (None: the outputs) that `exits` feed."""
        if depth > DEEPEST:
            return (self._tangle(steps),)
        result = list[Element]()
        previous, between = entry, list[int]()
        passed = self._passed_by_all(steps, exits)
        for step in steps:
            if step not in passed:
                between.append(step)
                continue
            if between:
                result += self._side_by_side(between, previous, self.before[step], step, depth, joins=True)
            else:
                result.append(self.steps[step])
            previous, between = step, []
        if between:
            result += self._side_by_side(between, previous, exits, joined_by, depth, joins=False)
        return tuple(result)

    def _passed_by_all(self, steps: list[int], exits: list[int]) -> set[int]:
        passed = set[int]()
        earliest = min(exits)  # where an edge starts that ends further on
        for step in reversed(steps):
            if earliest >= step:
                passed.add(step)
            earliest = min(earliest, *self.before[step])
        return passed

    def _side_by_side(
        self, steps: list[int], entry: int, feeding: list[int], joined_by: int | None, depth: int, *, joins: bool
    ) -> Sequence:
        """Return the branches between `entry` and the step `joined_by`, which `feeding` feed.

        `joins` says whether the join is this part's own, or that of a part further out.
        """
        pieces = self._pieces(steps)
        members, exits = dict[int, list[int]](), dict[int, list[int]]()
        for step in steps:
            members.setdefault(pieces[step], []).append(step)
        for step in feeding:
            exits.setdefault(pieces.get(step, entry), []).append(step)
        if len(exits) == 1:
            tangle = self._tangle(steps)
            return (tangle, self.steps[joined_by]) if joins and joined_by is not None else (tangle,)
        branches = [
            self.part(members[piece], entry, ends, joined_by, depth + 1) if piece in members else ()
            for piece, ends in exits.items()
        ]
        if joined_by is None or (layer := self.layers[joined_by]) is None:
            return (Join("OUTPUTS", tuple(branches)),)
        return (_join(layer, self.steps[joined_by].name, branches, layer.name if joins else ""),)

    def _pieces(self, steps: list[int]) -> dict[int, int]:
        """Return for each of `steps` the piece that it belongs to, named by one of its steps."""
        parent = {step: step for step in steps}

        def root(step: int) -> int:
            while parent[step] != step:
                parent[step] = parent[parent[step]]
                step = parent[step]
            return step

        for step in steps:
            for feeding in self.before[step]:
                if feeding in parent:
                    parent[root(step)] = root(feeding)
        return {step: root(step) for step in steps}

    def _tangle(self, steps: list[int]) -> Tangle:
        return Tangle(tuple(Counter(self.steps[step].name for step in steps).items()))


def _distinct(numbers: list[int]) -> list[int]:
    return numbers if len(numbers) < 2 else list(dict.fromkeys(numbers))


def _join(layer: Layer, term: str, branches: list[Sequence], name: str) -> Join:
    """Return what the field calls `branches` that `layer` joins; `name` is the layer's where the join is their own."""
    if isinstance(layer, Concat):
        return Join("CAT", tuple(_flat(branches, ("CAT",))), layer=name)
    if isinstance(layer, Add):
        return _sum(_flat(branches, ("RES", "ADD")), layer.output.sample_shape, name)
    if not isinstance(layer, Multiply):
        return Join(term, tuple(branches), layer=name)
    if len(branches) == 2 and () in branches:
        gate = branches[0] or branches[1]
        return Join("SE", (), layer=name) if _squeezes_and_excites(gate) else Join("GATE", (gate,), layer=name)
    return Join("GATE", tuple(branches), layer=name)


def _sum(branches: list[Sequence], stage: Shape | None, name: str) -> Join:
    if len(branches) == 2:
        main, shortcut = sorted(branches, key=_is_shortcut)
        if _is_shortcut(shortcut) and not _is_shortcut(main):
            return Join("RES", (main,), shortcut=shortcut, stage=stage, layer=name)
        if () in branches:
            return Join("RES", (branches[0] or branches[1],), shortcut=(), stage=stage, layer=name)
    return Join("ADD", tuple(branches), layer=name)


def _names(branch: Sequence) -> list[str]:
    return [element.name if isinstance(element, Step) else "" for element in branch]


def _is_shortcut(branch: Sequence) -> bool:
    names = _names(branch)
    return names.count("CONV") <= 1 and PROJECTING.issuperset(names)


def _squeezes_and_excites(gate: Sequence) -> bool:
    """Return whether `gate` is that of Hu et al., "Squeeze-and-Excitation Networks"."""
    match [name for name in _names(gate) if name not in NORMS]:
        case ["GAP", "CONV" | "FC", _, "CONV" | "FC", "SIGMOID" | "HSIGMOID"]:
            return True
        case _:
            return False


def _flat(branches: list[Sequence], names: tuple[str, ...]) -> list[Sequence]:
    """Return `branches` with those that are nothing but a join of the same kind taken apart: a + (b + c)."""
    result = list[Sequence]()
    for branch in branches:
        inner = branch[0] if len(branch) == 1 else None
        if isinstance(inner, Join) and inner.name in names:
            result += [*([] if inner.shortcut is None else [inner.shortcut]), *inner.branches]
        else:
            result.append(branch)
    return result
