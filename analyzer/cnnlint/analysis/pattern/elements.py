"""What a pattern is made of: steps, joins of branches, repeats, and what no one can name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct

from cnnlint.graph.tensor import Shape

MOST_EQUAL = 3
"""Equal branches in a row that are written out."""

IDENTITY = "ID"
"""A branch that goes past all others and changes nothing."""


class Step(Struct, frozen=True):
    """A layer.

    Attributes:
        name: The field's term: "CONV".
        weighted: Whether it is of a kind that holds a kernel: a block starts there.
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
    """The same steps several times, one behind the other."""

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


def text(sequence: Sequence) -> str:
    """Return `sequence` as one line."""
    return " -> ".join(element_text(element) for element in sequence)


def element_text(element: Element) -> str:
    """Return one element as text."""
    match element:
        case Step():
            return element.name
        case Join():
            if not element.branches:
                return element.name
            return f"{element.name}[{' | '.join(_branch_texts(element.branches))}]"
        case Repeat():
            return repeat_text([element_text(part) for part in element.body], element.times, element.body)
        case Tangle():
            return f"BRANCHES[{', '.join(f'{count} {name}' for name, count in element.counts)}]"


def _branch_texts(branches: tuple[Sequence, ...]) -> Iterator[str]:
    """Yield the branches as text, many equal ones in a row as their number and one of them."""
    for line, equal in groupby(text(branch) or IDENTITY for branch in branches):
        count = sum(1 for _ in equal)
        if count > MOST_EQUAL:
            yield f"{count} × {line}"
        else:
            yield from [line] * count


def repeat_text(parts: list[str], times: int, body: Sequence) -> str:
    """Return a repeat as text; the brackets of a join that stands alone are enough."""
    if len(body) == 1 and isinstance(body[0], Join) and body[0].branches:
        return f"{parts[0]}*{times}"
    return f"[{' -> '.join(parts)}]*{times}"


def is_sequential(sequence: Sequence) -> bool:
    """Return whether every layer has one layer before it and one behind it."""
    return all(
        isinstance(element, Step) or (isinstance(element, Repeat) and is_sequential(element.body))
        for element in sequence
    )
