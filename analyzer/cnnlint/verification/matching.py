"""Match the layers of two networks by name, by their inputs, and by their order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from msgspec import Struct

from cnnlint.analysis.identity import is_generated
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Tensor

Token = Callable[[Layer], Hashable]


def match_layers(before: Graph, after: Graph) -> dict[str, str]:
    """Return the name in `after` of the counterpart of each layer of `before` that has one; in linear time.

    First come layers with weights, the same name and the same settings. Then equal layers with matching inputs, and
    equal layers in the same order between matched ones. A name alone comes later, since numbered names shift when a
    layer is inserted. The rest is matched by number of weights and by kind. If one network's weights are unknown, their
    number is ignored.
    """
    sized = before.parameters is not None and after.parameters is not None
    signature, weight = (partial(of, sized=sized) for of in (_signature, _weight))
    matching = _Matching(before, after, signature)
    matching.by_name(lambda left, right: bool(left.weights) and _is_own(left) and signature(left) == signature(right))
    matching.by_flow()
    matching.by_order(signature)
    matching.by_flow()
    matching.by_name(lambda left, right: left.kind == right.kind and _is_own(left))
    for token in (weight, _kind):
        matching.by_order(token)
        matching.by_flow()
    matching.by_name(lambda _left, _right: True)
    return matching.pairs


def _is_own(layer: Layer) -> bool:
    """Return whether the user chose the name, so it means the same layer in another model."""
    return not is_generated(layer.name)


def _signature(layer: Layer, *, sized: bool) -> Hashable:
    return layer.signature(), _kernel(layer, sized=sized)


def _weight(layer: Layer, *, sized: bool) -> Hashable:
    return layer.kind, _kernel(layer, sized=sized)


def _kind(layer: Layer) -> Hashable:
    return layer.kind


def _kernel(layer: Layer, *, sized: bool) -> int | None:
    return layer.weights[0].size if layer.weights and sized else None


class _Matching:
    """The pairs found so far; each step matches layers that are still unmatched."""

    def __init__(self, before: Graph, after: Graph, signature: Token) -> None:
        self.before, self.after, self._signature = before, after, signature
        self.pairs = dict[str, str]()
        self.taken = set[str]()
        self._layers = {layer.name: layer for layer in after.layers}
        self._inputs = dict(_matched_inputs(before, after))

    def add(self, left: Layer, right: Layer) -> None:
        self.pairs[left.name] = right.name
        self.taken.add(right.name)

    def by_name(self, agree: Callable[[Layer, Layer], bool]) -> None:
        """Pair layers of the same name for which `agree` holds."""
        for left in self.before.layers:
            right = self._layers.get(left.name)
            if (
                right is not None
                and left.name not in self.pairs
                and right.name not in self.taken
                and agree(left, right)
            ):
                self.add(left, right)

    def by_flow(self) -> None:
        """Pair equal layers that have the same inputs.

        An unmatched layer that only scales channels, or passes values on, is skipped: conversions fold norms and
        drop dropout.
        """
        images = dict(self._inputs)
        for left in self.before.layers:
            wanted = [images.get(tensor.name) for tensor in left.inputs]
            if left.name not in self.pairs and wanted and None not in wanted:
                right = self._successor(left, wanted)
                if right is not None:
                    self.add(left, right)
            if left.name in self.pairs:
                right = self._layers[self.pairs[left.name]]
                images |= {a.name: b for a, b in zip(left.outputs, right.outputs, strict=False)}
            elif left.inputs and left.is_affine_per_channel and (image := images.get(left.input.name)) is not None:
                images[left.output.name] = image

    def _successor(self, left: Layer, wanted: list[Tensor | None]) -> Layer | None:
        if wanted[0] is None:
            return None
        names = sorted(tensor.name for tensor in wanted if tensor is not None)
        own = self._signature(left)
        found = [
            right
            for right, source in self._consumers(wanted[0])
            if self._signature(right) == own
            and (len(names) == 1 or names == sorted(self._unscaled(tensor, source) for tensor in right.inputs))
        ]
        return next((right for right in found if right.name == left.name), found[0] if found else None)

    def _consumers(self, tensor: Tensor) -> Iterator[tuple[Layer, Tensor]]:
        """Yield unmatched layers that read `tensor`, directly or after layers that are skipped."""
        waiting = [tensor]
        while waiting:
            source = waiting.pop()
            for layer in self.after.consumers(source):
                if layer.name not in self.taken:
                    yield layer, tensor
                    if layer.is_affine_per_channel:
                        waiting.append(layer.output)

    def _unscaled(self, tensor: Tensor, wanted: Tensor) -> str:
        """Return the tensor that `tensor` is a scaled form of, following unmatched layers back."""
        while tensor.name != wanted.name:
            layer = self.after.producer(tensor)
            if layer is None or layer.name in self.taken or not layer.inputs or not layer.is_affine_per_channel:
                break
            tensor = layer.input
        return tensor.name

    def by_order(self, token: Token) -> None:
        """Pair layers with equal tokens in the same order, between pairs that are already in order."""
        left, right = self.before.layers, self.after.layers
        places = self.after.position
        known = [(self.before.position[a], places[b]) for a, b in self.pairs.items()]
        borders = [(-1, -1), *_rising(sorted(known)), (len(left), len(right))]
        for (a, b), (c, d) in pairwise(borders):
            first = [layer for layer in left[a + 1 : c] if layer.name not in self.pairs]
            second = [layer for layer in right[b + 1 : d] if layer.name not in self.taken]
            for i, j in align([token(layer) for layer in first], [token(layer) for layer in second]):
                self.add(first[i], second[j])


def _matched_inputs(before: Graph, after: Graph) -> Iterator[tuple[str, Tensor]]:
    named = {tensor.name: tensor for tensor in after.inputs}
    if all(tensor.name in named for tensor in before.inputs):
        yield from ((tensor.name, named[tensor.name]) for tensor in before.inputs)
    elif len(before.inputs) == len(after.inputs):
        yield from ((left.name, right) for left, right in zip(before.inputs, after.inputs, strict=True))


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence of `pairs`, sorted on the left, that also rises on the right."""
    ends, index, back = list[int](), list[int](), list[int]()
    for place, (_, right) in enumerate(pairs):
        length = bisect_left(ends, right)
        back.append(index[length - 1] if length else -1)
        if length == len(ends):
            ends.append(right)
            index.append(place)
        else:
            ends[length], index[length] = right, place
    chosen = list[tuple[int, int]]()
    place = index[-1] if index else -1
    while place >= 0:
        chosen.append(pairs[place])
        place = back[place]
    return chosen[::-1]


class LayerPair(Struct, frozen=True, eq=False):
    """A layer of the first model and its counterpart in the second.

    Attributes:
        left: The layer of the first model.
        right: That of the second.
        left_end: The layer of the first model whose output is compared: `left`, or a norm after it that the second
            model has folded.
        right_end: The same for the second model.
        norms: The layers of the first model after `left`, up to and including `left_end`.
        looked_through: Names of these layers in both models.
        is_alike: Whether none of them scales anything, so both layers have the same weights.
    """

    left: Layer
    right: Layer
    left_end: Layer
    right_end: Layer
    norms: tuple[Layer, ...] = ()
    looked_through: tuple[str, ...] = ()
    is_alike: bool = True

    @property
    def is_view(self) -> bool:
        """Whether values only change shape here; the order after flattening depends on the layout."""
        return self.left.is_view and self.right.is_view

    @property
    def may_be_equal(self) -> bool:
        """Whether the layers have the same kind, or outputs with the same extents in some order, as far as known."""
        shapes = self.left_end.output.sample_extents, self.right_end.output.sample_extents
        known = [sorted(extent for extent in shape or () if extent is not None and extent > 1) for shape in shapes]
        return (
            self.left.kind == self.right.kind
            or known[0] == known[1]
            or any(None in (shape or (None,)) for shape in shapes)
        )

    @property
    def note(self) -> str:
        """The norms that are compared together with the layer; "" if there are none."""
        return f"with {', '.join(self.looked_through)}" if self.looked_through else ""


def pair_layers(before: Graph, after: Graph) -> list[LayerPair]:
    """Return the layers that both networks have, in the order of the first."""
    matched = match_layers(before, after)
    layers = {layer.name: layer for layer in after.layers}
    taken = set(matched.values())
    pairs = list[LayerPair]()
    for left in before.layers:
        if left.name not in matched or not left.outputs:
            continue
        right = layers[matched[left.name]]
        if not right.outputs:
            continue
        norms, others = [*_folded(before, left, matched)], [*_folded(after, right, taken)]
        between = (*norms, *others)
        pairs.append(
            LayerPair(
                left,
                right,
                norms[-1] if norms else left,
                others[-1] if others else right,
                tuple(norms),
                tuple(layer.name for layer in between),
                all(layer.is_identity_at_inference for layer in between),
            )
        )
    return pairs


def pair_tensors(before: Graph, after: Graph) -> list[LayerPair]:
    """Return the layers of two ONNX models that make tensors of the same name, in the order of the first.

    So are layers of a model and of its rewritten form matched, which keeps the names of what it computes as before.
    """
    made = {layer.origin[-1].output: layer for layer in after.layers if layer.origin and layer.outputs}
    pairs = list[LayerPair]()
    for left in before.layers:
        name = left.origin[-1].output if left.origin and left.outputs else ""
        right = made.get(name) if name else None
        if right is None:
            continue
        root, norms = left, list[Layer]()
        while root.is_affine_per_channel and not right.is_affine_per_channel and root.inputs:
            source = before.producer(root.input)
            if source is None or before.sole_successor(source) is not root:
                break
            norms.insert(0, root)
            root = source
        if root.kind != right.kind:
            root, norms = left, []
        between = tuple(norms)
        pairs.append(
            LayerPair(
                root,
                right,
                left,
                right,
                between,
                tuple(layer.name for layer in between),
                all(layer.is_identity_at_inference for layer in between),
            )
        )
    return list({pair.left.name: pair for pair in pairs}.values())


def _folded(graph: Graph, layer: Layer, matched: dict[str, str] | set[str]) -> Iterator[Layer]:
    """Yield the layers after `layer` that only scale channels and that the other network lacks."""
    successor = graph.sole_successor(layer)
    while successor is not None and successor.name not in matched and successor.is_affine_per_channel:
        yield successor
        successor = graph.sole_successor(successor)


EDITS = 256
"""Most differences to search for the best alignment; beyond it, the path that got furthest is taken."""

Pair = tuple[int, int]


def align(before: Sequence[Hashable], after: Sequence[Hashable]) -> Iterator[Pair]:
    """Yield index pairs of equal items, rising on both sides: as many as possible within EDITS differences.

    Myers, An O(ND) Difference Algorithm and Its Variations, 1986; restarted if a stretch has more than EDITS
    differences, so the total cost is O(N × EDITS).
    """
    numbers = dict[Hashable, int]()
    left = [numbers.setdefault(item, len(numbers)) for item in before]
    right = [numbers.setdefault(item, len(numbers)) for item in after]
    start, ends = 0, (len(left), len(right))
    while start < min(ends) and left[start] == right[start]:
        yield start, start
        start += 1
    tail = 0
    while tail < min(ends) - start and left[-1 - tail] == right[-1 - tail]:
        tail += 1
    here, there = (start, start), (ends[0] - tail, ends[1] - tail)
    while here[0] < there[0] and here[1] < there[1]:
        pairs, here = _stretch(left, right, here, there)
        yield from pairs
    for index in range(tail, 0, -1):
        yield ends[0] - index, ends[1] - index


def _stretch(left: list[int], right: list[int], here: Pair, there: Pair) -> tuple[list[Pair], Pair]:
    """Return the equal pairs of the best path from `here` to `there`, or to where EDITS differences lead."""
    width, height = there[0] - here[0], there[1] - here[1]
    reached = {1: 0}  # diagonal -> how far along `left`; a diagonal is the lead of `left` over `right`
    trace = list[dict[int, int]]()
    for edits in range(EDITS + 1):
        trace.append(dict(reached))
        furthest = -1, 0, 0
        for diagonal in range(-edits, edits + 1, 2):
            origin = _origin(reached, diagonal, edits)
            x = reached[origin] + (origin < diagonal)
            y = x - diagonal
            while x < width and y < height and left[here[0] + x] == right[here[1] + y]:
                x, y = x + 1, y + 1
            reached[diagonal] = x
            if x <= width and y <= height:
                furthest = max(furthest, (x + y, x, diagonal))
        total, x, diagonal = furthest
        if total == width + height or (edits >= EDITS - 1 and total > 0):
            return _backtrack(trace, diagonal, x, here), (here[0] + x, here[1] + x - diagonal)
    return [], there


def _origin(reached: dict[int, int], diagonal: int, edits: int) -> int:
    """Return the neighboring diagonal from which one more edit gets furthest along `diagonal`."""
    if diagonal == -edits or (diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1]):
        return diagonal + 1
    return diagonal - 1


def _backtrack(trace: list[dict[int, int]], diagonal: int, x: int, here: Pair) -> list[Pair]:
    pairs = list[Pair]()
    for edits in range(len(trace) - 1, -1, -1):
        origin = _origin(trace[edits], diagonal, edits)
        start = trace[edits][origin] + (origin < diagonal)
        pairs += [(here[0] + index, here[1] + index - diagonal) for index in range(x - 1, start - 1, -1)]
        diagonal, x = origin, trace[edits][origin]
    return pairs[::-1]
