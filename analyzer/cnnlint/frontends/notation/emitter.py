"""The arguments of a step, consumed one by one, and the ONNX model that steps write nodes and weights to."""

from __future__ import annotations

import re
from collections import Counter
from math import prod
from typing import Any

import numpy as np
import onnx
from msgspec import Struct
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from cnnlint.errors import CnnlintError
from cnnlint.frontends.notation.syntax import NotationError, StepSyntax, Word
from cnnlint.graph.tensor import Dim, Shape

LARGEST = 1 << 31
"""Largest extent, count or size; larger ones must be typos."""

_BY = re.compile(r"[x×]", re.IGNORECASE)


def sizes(text: str) -> tuple[int, ...] | None:
    """Return the numbers of "3x3" or "3"; None if `text` is something else."""
    parts = _BY.split(text)
    if not all(part.isdecimal() and len(part) < 11 and int(part) <= LARGEST for part in parts):
        return None
    return tuple(int(part) for part in parts)


class StepArgs:
    """The arguments of a step; any that the step does not take are errors.

    Args:
        text: The whole network, for messages.
        step: The step.
        filters: Default filters of CONV on a shortcut: the channels of the other branch.
    """

    def __init__(self, text: str, step: StepSyntax, filters: int | None = None) -> None:
        self.text = text
        self.step = step
        self.filters = filters
        self._left = list(step.words)
        self._known = list[str]()

    def error(self, cause: str, *, at: Word | None = None, remedy: str | None = None) -> CnnlintError:
        """Return an error about this step, or about one of its words."""
        return NotationError(cause, text=self.text, at=at.at if at else self.step.at, remedy=remedy)

    def flag(self, word: str) -> bool:
        """Take `word` if it is there."""
        self._known.append(word)
        found = next((given for given in self._left if given.text.lower() == word), None)
        if found is not None:
            self._left.remove(found)
        return found is not None

    def choice(self, *words: str) -> str | None:
        """Take the one of `words` that is present."""
        found = [word for word in words if self.flag(word)]
        if len(found) > 1:
            raise self.error(f"{self.step.kind} cannot be both {found[0]} and {found[1]}")
        return found[0] if found else None

    def option(self, word: str, rank: int | None = None, *, least: int = 1) -> tuple[int, ...] | None:
        """Take `word` and the size after it: one number per axis, or one for all."""
        self._known.append(f"{word} N")
        value = self._after(word, f"{word} 2")
        return None if value is None else self._size(value, word, rank, least)

    def _after(self, word: str, remedy: str) -> Word | None:
        """Take `word` and return the one after it, which must be there; None if `word` is not."""
        for index, given in enumerate(self._left):
            if given.text.lower() == word:
                if index + 1 == len(self._left):
                    raise self.error(f"{word} needs a number", at=given, remedy=remedy)
                value = self._left[index + 1]
                del self._left[index : index + 2]
                return value
        return None

    def share(self, word: str) -> float | None:
        """Take `word` and the decimal number from 0 to 1 after it; None if it is not there."""
        self._known.append(f"{word} N")
        value = self._after(word, f"{word} 0.9")
        if value is None:
            return None
        if not re.fullmatch(r"[01]|0?\.\d{1,9}", value.text):
            raise self.error(f"{word} cannot be {value.text!r}", at=value, remedy="a number from 0 to 1, as 0.9 is")
        return float(value.text)

    def number(self, word: str, default: int | None = None) -> int:
        """Take `word` and the number after it, at least 1."""
        found = self.option(word, 1)
        if found is None:
            if default is None:
                raise self.error(f"{self.step.kind} needs {word}", remedy=f"{word} 2")
            return default
        return found[0]

    def positional(self, what: str, rank: int | None = 1, *, least: int = 1) -> tuple[int, ...] | None:
        """Take the next positional number or size; None if there is none."""
        self._known.append(f"<{what}>")
        if self._left and self._left[0].text[0].isdigit():
            return self._size(self._left.pop(0), what, rank, least)
        return None

    def required(self, what: str, example: str, rank: int | None = 1) -> tuple[int, ...]:
        """Take the next number or size, which is required."""
        found = self.positional(what, rank)
        if found is None:
            raise self.error(f"{self.step.kind} needs its {what}", remedy=example)
        return found

    def filters_and_kernel(self, channels: int, rank: int) -> tuple[int, tuple[int, ...]]:
        """Take "16 3x3", or just "3x3", which keeps the channels (on a shortcut, those of the other branch)."""
        example = f"{self.step.kind} 16 {'x'.join(['3'] * rank)}"
        alone = len(self._left) < 2 or not self._left[1].text[0].isdigit()
        if alone and self._left and _BY.search(self._left[0].text):
            return self.filters or channels, self.required("kernel size", example, rank)
        return self.required("filters", example)[0], self.required("kernel size", example, rank)

    def decimal(self, what: str, default: float) -> float:
        """Take the next decimal number."""
        self._known.append(f"<{what}>")
        if not self._left or not self._left[0].text[0].isdigit():
            return default
        word = self._left.pop(0)
        try:
            return float(word.text)
        except ValueError:
            raise self.error(
                f"{word.text!r} is not a valid {what}", at=word, remedy=f"{self.step.kind} {default}"
            ) from None

    def finish(self) -> None:
        """Raise an error if a word is left that the step does not know."""
        if self._left:
            known = ", ".join(self._known)
            remedy = (
                f"it takes {known}" if known else f"write -> between two steps; {self.step.kind} takes no arguments"
            )
            raise self.error(f"{self.step.kind} does not take {self._left[0].text!r}", at=self._left[0], remedy=remedy)

    def _size(self, word: Word, what: str, rank: int | None, least: int) -> tuple[int, ...]:
        found = sizes(word.text)
        if found is None or min(found) < least:
            raise self.error(f"{what} cannot be {word.text!r}", at=word, remedy=f"a number from {least} up")
        if rank is None or len(found) == rank:
            return found
        if len(found) > 1:
            raise self.error(f"{what} {word.text} has {len(found)} axes instead of {rank}", at=word)
        return found * rank


OPSET = 21
"""The first with the present definition of GroupNormalization."""

IR_VERSION = 10
"""The version released with opset 21."""

MOST_WEIGHT_BYTES = (1 << 31) - (1 << 20)
"""A protobuf cannot be larger than 2 GiB."""

MOST_STEPS = 200_000
"""Most steps: a typo in a repeat must not fill the memory."""


class Value(Struct, frozen=True):
    """The input or output of a step.

    Attributes:
        name: Name of the tensor.
        shape: Shape of a sample: channels, then spatial extents.
    """

    name: str
    shape: Shape

    @property
    def rank(self) -> int:
        """The number of spatial axes; 0 for a vector."""
        return len(self.shape) - 1

    @property
    def spatial(self) -> Shape:
        """The extents after the channels."""
        return self.shape[1:]

    def __str__(self) -> str:
        return "x".join("?" if dim is None else str(dim) for dim in self.shape)


class Emitter:
    """A model under construction.

    Args:
        seed: Seed of the weights.
        given: Name of the network's input.
    """

    def __init__(self, seed: int, given: str) -> None:
        self.nodes = list[onnx.NodeProto]()
        self.initializers = list[onnx.TensorProto]()
        self._random = np.random.default_rng(seed)
        self._counts = Counter[str]()
        self._names = {given}
        self._bytes = 0

    def name(self, prefix: str, arguments: StepArgs) -> str:
        """Return a unique name of a step: its own, or its kind's prefix and a number."""
        self._counts[prefix] += 1
        if self._counts.total() > MOST_STEPS:
            raise arguments.error(f"the network has more than {MOST_STEPS:,} layers")
        chosen = arguments.step.name
        name = wanted = chosen.text if chosen else f"{prefix}{self._counts[prefix]}"
        copies = 1
        while name in self._names:
            copies += 1
            name = f"{wanted}_{copies}"
        self._names.add(name)
        return name

    def node(
        self, op: str, inputs: list[str], name: str, *, outputs: list[str] | None = None, **attributes: Any
    ) -> str:
        """Add a node and return its first output, which has the node's name."""
        node = helper.make_node(op, inputs, outputs or [name], name=name, **attributes)
        self.nodes.append(node)
        return name

    def kernel(self, name: str, shape: tuple[int, ...], fan_in: int, arguments: StepArgs) -> str:
        """Add a kernel of normal values with He's deviation √(2 / fan in) and return its name."""
        self._allow(shape, arguments)
        values = self._random.standard_normal(shape, dtype=np.float32)
        values *= np.float32((2 / max(fan_in, 1)) ** 0.5)
        return self._add(name, values)

    def vector(
        self, name: str, shape: tuple[int, ...], arguments: StepArgs, *, low: float = -0.1, high: float = 0.1
    ) -> str:
        """Add uniformly distributed values, for biases and the like, and return their name."""
        self._allow(shape, arguments)
        return self._add(name, self._random.uniform(low, high, shape).astype(np.float32))

    def constant(self, name: str, values: Any, dtype: type[np.generic]) -> str:
        """Add given values and return their name."""
        return self._add(name, np.asarray(values, dtype=dtype))

    def _allow(self, shape: tuple[int, ...], arguments: StepArgs) -> None:
        self._bytes += 4 * prod(shape)
        if self._bytes > MOST_WEIGHT_BYTES:
            raise arguments.error(f"the weights come to {self._bytes:,} bytes, more than one ONNX file holds")

    def _add(self, name: str, values: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(values, name))
        return name


def known(dim: Dim, what: str, arguments: StepArgs) -> int:
    """Return `dim` as a number.

    Raises:
        NotationError: It is a symbol or unknown, and weights depend on it.
    """
    if not isinstance(dim, int):
        raise arguments.error(f"{arguments.step.kind} has weights for each {what}, whose number is unknown here")
    return dim


def mapped(value: Value, arguments: StepArgs) -> None:
    """Check that `value` is a map.

    Raises:
        NotationError: It is a vector.
    """
    if not value.rank:
        raise shape_error(value, "works on maps", arguments)


def shape_error(value: Value, cause: str, arguments: StepArgs) -> CnnlintError:
    """Return an error about a step that does not fit its input."""
    return arguments.error(f"{arguments.step.kind} {cause}, but its input is {value}")
