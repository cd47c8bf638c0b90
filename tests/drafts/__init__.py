"""Networks as lists of steps, which are edited and become the notation, an ONNX model or a Keras archive.

A draft is written in the notation of docs/notation.md. What the notation has no word for stands beside it: further
arguments of Keras layers by name, and how the network was compiled. A step means the same on both sides but for two
things: `FC` on a map flattens it in ONNX and is a Dense on the last axis in Keras, and `RESHAPE` is for Keras alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from cnnlint.frontends.notation import to_onnx
from cnnlint.frontends.notation.syntax import Item as ItemSyntax
from cnnlint.frontends.notation.syntax import JoinSyntax, RepeatSyntax, StepSyntax, parse
from cnnlint.graph.window import Window, resolve_pads

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]
"""Of a sample: channels, then extents; (features,) for a vector."""

ACTIVATIONS = frozenset(
    {"RELU", "RELU6", "ELU", "SELU", "GELU", "SIGMOID", "HSIGMOID", "TANH", "SWISH", "HSWISH", "MISH", "SOFTPLUS",
     "SOFTSIGN", "PRELU", "LEAKYRELU", "SOFTMAX", "LOGSOFTMAX"}
)  # fmt: skip
KERNELS = frozenset({"CONV", "DWCONV", "DECONV", "FC"})
POOLINGS = frozenset({"POOL", "AVGPOOL"})

WITH_A_NUMBER = frozenset({"stride", "pad", "dilation", "groups", "multiplier"})
SAME_BY_DEFAULT = frozenset({"CONV", "DWCONV", "DECONV"})


@dataclass(eq=False)
class Step:
    """A layer.

    Attributes:
        kind: As in the notation: "CONV".
        numbers: What follows it in a fixed order: ["16", "3x3"].
        options: The words after that, with their number or "": {"stride": "2", "nobias": ""}.
        name: Of the layer, in ONNX and Keras alike.
        keras: Further arguments of the Keras layer; "class" replaces the layer's class.
    """

    kind: str
    numbers: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    name: str = ""
    keras: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [word for option, number in self.options.items() for word in (option, number) if word]
        return " ".join([self.kind, *self.numbers, *words, *([f"@{self.name}"] if self.name else [])])

    @property
    def filters(self) -> int:
        """Filters of a CONV or DECONV, units of an FC."""
        return int(self.numbers[0])

    @filters.setter
    def filters(self, value: int) -> None:
        self.numbers[0] = str(value)

    def size(self, rank: int) -> Shape:
        """Return the size of a kernel or window along each axis; 2 if a pooling gives none."""
        text = self.numbers[-1] if self.numbers else "2"
        sizes = tuple(int(side) for side in re.split("[x×]", text))
        return sizes if len(sizes) == rank else sizes * rank

    def amounts(self, option: str, rank: int, default: Shape) -> Shape:
        """Return the number of an option along each axis."""
        if option not in self.options:
            return default
        sizes = tuple(int(side) for side in re.split("[x×]", self.options[option]))
        return sizes if len(sizes) == rank else sizes * rank

    @property
    def is_same(self) -> bool:
        """Whether a window is padded so that its output is ⌈extent / stride⌉."""
        if "pad" in self.options:
            return False
        return "same" in self.options or (self.kind in SAME_BY_DEFAULT and "valid" not in self.options)


@dataclass(eq=False)
class Join:
    """Branches of one tensor that are joined; an empty branch is the identity.

    Attributes:
        kind: "RES", "ADD", "CAT" or "GATE".
        branches: The steps of each.
        name: Of the layer that joins them.
    """

    kind: str
    branches: list[list[Item]]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}[{' | '.join(_line(branch) or 'ID' for branch in self.branches)}] @{self.name}"


Item = Step | Join


@dataclass(eq=False)
class Compile:
    """How a network was compiled.

    Attributes:
        loss: Name of the loss; "" for a network that is not compiled.
        from_logits: Whether the loss takes logits; None where it is given by name alone.
        optimizer: Class of the optimizer.
        settings: Its arguments, as `learning_rate`.
        metrics: Names.
    """

    loss: str = ""
    from_logits: bool | None = None
    optimizer: str = "Adam"
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Place:
    """Where a step stands.

    Attributes:
        item: The step or join.
        row: The list that it stands in.
        index: Its index there.
        given: Shape of what it reads.
        made: Shape of what it makes.
    """

    item: Item
    row: list[Item]
    index: int
    given: Shape
    made: Shape

    @property
    def before(self) -> Item | None:
        """The step ahead of it in its row."""
        return self.row[self.index - 1] if self.index else None

    @property
    def after(self) -> Item | None:
        """The step after it in its row."""
        return self.row[self.index + 1] if self.index + 1 < len(self.row) else None

    @property
    def rest(self) -> list[Item]:
        """All steps after it in its row."""
        return self.row[self.index + 1 :]

    @property
    def step(self) -> Step:
        """The step, where it is one."""
        assert isinstance(self.item, Step)
        return self.item


@dataclass(eq=False)
class Draft:
    """A network that can be edited.

    Attributes:
        shape: Of the input.
        body: What follows it.
        compiled: How it was compiled.
        weights: By name of a layer and role ("kernel", "bias", "gamma", "beta", "mean", "variance"): what becomes of
            the values, a function of the array as ONNX has it.
        edits: What becomes of the ONNX model, whose nodes and tensors have the names of the steps, one after the other.
    """

    shape: Shape
    body: list[Item]
    compiled: Compile = field(default_factory=Compile)
    weights: dict[tuple[str, str], Any] = field(default_factory=dict)
    edits: list[Callable[[onnx.ModelProto], None]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"INPUT {'x'.join(map(str, self.shape))} -> {_line(self.body)}"

    def places(self, *kinds: str) -> list[Place]:
        """Return where steps and joins of `kinds` stand, all if none is given, in the order of the text."""
        return [place for place in _places(self.shape, self.body, None) if not kinds or place.item.kind in kinds]

    def main(self, *kinds: str) -> list[Place]:
        """Return those of `places` that stand in no branch."""
        return [place for place in self.places(*kinds) if place.row is self.body]

    def steps(self, text: str) -> list[Item]:
        """Return new steps, written in the notation, with names that no other has."""
        made = _items(parse(f"INPUT 1 -> {text}").body)
        _name(made, {place.item.name for place in self.places()})
        return made

    def insert_after(self, place: Place, text: str) -> list[Item]:
        """Insert new steps after the one at `place` and return them."""
        made = self.steps(text)
        place.row[place.index + 1 : place.index + 1] = made
        self.places()  # a CONV that keeps the channels learns how many they are
        return made

    def onnx(self) -> onnx.ModelProto:
        """Return the ONNX model, with seeded random weights."""
        from onnx import numpy_helper

        model = to_onnx(str(self))
        for initializer in model.graph.initializer:
            owner, _, role = initializer.name.rpartition(".")
            if (change := self.weights.get((owner, role))) is not None:
                changed = change(numpy_helper.to_array(initializer))
                initializer.CopyFrom(numpy_helper.from_array(changed, initializer.name))
        for edit in self.edits:
            edit(model)
        return model


def draft(text: str, *, keras: Mapping[str, Mapping[str, Any]] | None = None, **compiled: Any) -> Draft:
    """Return the draft of a network in the notation.

    Args:
        text: The network; repeats are written out.
        keras: Further arguments of Keras layers, by name of the step.
        compiled: The fields of `Compile`.
    """
    syntax = parse(text)
    made = Draft(tuple(int(dim) for dim in re.split("[x×]", syntax.input.words[0].text)), _items(syntax.body))
    _name(made.body, set())
    steps = {place.item.name: place.item for place in made.places()}
    for name, further in (keras or {}).items():
        step = steps[name]
        assert isinstance(step, Step)
        step.keras.update(further)
    made.compiled = Compile(**compiled)
    return made


def _line(items: list[Item]) -> str:
    return " -> ".join(str(item) for item in items)


def _items(syntax: tuple[ItemSyntax, ...]) -> list[Item]:
    made = list[Item]()
    for item in syntax:
        match item:
            case StepSyntax():
                made.append(_step(item))
            case RepeatSyntax():
                for _ in range(item.times):
                    made += _items(item.body)
            case JoinSyntax():
                name = item.name.text if item.name else ""
                made.append(Join(item.kind, [_items(branch) for branch in item.branches], name))
    return made


def _step(syntax: StepSyntax) -> Step:
    step = Step(syntax.kind, name=syntax.name.text if syntax.name else "")
    words = [word.text for word in syntax.words]
    while words:
        word = words.pop(0)
        if word[0].isdigit() and not step.options:
            step.numbers.append(word)
        else:
            step.options[word] = words.pop(0) if word in WITH_A_NUMBER else ""
    if step.kind == "CONV" and len(step.numbers) == 1:
        step.numbers.insert(0, "")  # as many filters as channels, known once shapes are
    return step


PREFIXES = {"RES": "add", "ADD": "add", "CAT": "concat", "GATE": "mul", "RELU6": "relu6_"}


def _name(items: list[Item], taken: set[str]) -> None:
    """Name what has no name by its kind and a number; a name that is taken goes on with a number."""
    for item in items:
        if isinstance(item, Join):
            for branch in item.branches:
                _name(branch, taken)
        prefix, number = PREFIXES.get(item.kind, item.kind.lower()), 1
        name = wanted = item.name or f"{prefix}1"
        while name in taken:
            number += 1
            name = f"{wanted}_{number}" if item.name else f"{prefix}{number}"
        taken.add(name)
        item.name = name


def _places(shape: Shape, row: list[Item], filters: int | None) -> Iterator[Place]:
    for index, item in enumerate(row):
        if isinstance(item, Join):
            made = list[Shape]()
            for branch in item.branches:
                wanted = made[0][0] if made and item.kind in ("RES", "ADD") else None
                inner = list(_places(shape, branch, wanted))
                yield from inner
                made.append(next((place.made for place in reversed(inner) if place.row is branch), shape))
            if len(made) == 1:
                made.append(shape)
            joined = (sum(each[0] for each in made), *made[0][1:]) if item.kind == "CAT" else max(made, key=prod)
            yield Place(item, row, index, shape, joined)
            shape = joined
            continue
        if item.kind == "CONV" and not item.numbers[0]:
            item.numbers[0] = str(filters or shape[0])
        yield Place(item, row, index, shape, made := shape_after(item, shape))
        shape = made


def shape_after(step: Step, shape: Shape) -> Shape:
    """Return the shape of what `step` makes of `shape`."""
    rank = len(shape) - 1
    match step.kind:
        case "CONV" | "DWCONV" | "POOL" | "AVGPOOL":
            size = step.size(rank)
            strides = step.amounts("stride", rank, size if step.kind in POOLINGS else (1,) * rank)
            dilation, pads = step.amounts("dilation", rank, (1,) * rank), step.amounts("pad", rank, (0,) * rank)
            both = resolve_pads("same_upper", shape[1:], size, strides, dilation) if step.is_same else None
            both = both or tuple((pad, pad) for pad in pads)
            windows = zip(shape[1:], size, strides, dilation, both, strict=True)
            extents = [
                Window(taps, stride, gap, before, after, "ceil" in step.options).output(extent)
                for extent, taps, stride, gap, (before, after) in windows
            ]
            channels = shape[0] * int(step.options.get("multiplier", 1))
            return (step.filters if step.kind == "CONV" else channels, *(int(extent or 0) for extent in extents))
        case "DECONV":
            size, strides = step.size(rank), step.amounts("stride", rank, (1,) * rank)
            if step.is_same:
                return (step.filters, *(extent * by for extent, by in zip(shape[1:], strides, strict=True)))
            longest = zip(shape[1:], size, strides, strict=True)
            return (step.filters, *((extent - 1) * by + max(taps, by) for extent, taps, by in longest))
        case "GAP" | "GMP":
            return (shape[0], *(1,) * rank) if "keep" in step.options else (shape[0],)
        case "FLATTEN":
            return (prod(shape),)
        case "FC":
            return (step.filters, *shape[1:])
        case "PAD":
            before, after = int(step.numbers[0]), int(step.numbers[-1])
            return (shape[0], *(extent + before + after for extent in shape[1:]))
        case "UPSAMPLE":
            return (shape[0], *(extent * by for extent, by in zip(shape[1:], step.size(rank), strict=True)))
        case "RESHAPE":
            return tuple(int(side) for side in step.numbers[0].split("x"))
        case _:
            return shape
