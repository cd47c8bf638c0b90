"""ONNX nodes and seeded weights, collected while a network is built step by step."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import numpy as np
import onnx
from msgspec import Struct
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from cnnlint.errors import CnnlintError
from cnnlint.frontends.notation.arguments import Arguments
from cnnlint.graph.tensor import Dim, Shape

OPSET = 21
"""The first with GroupNormalization as it is meant now."""

IR_VERSION = 10
"""The one that came with opset 21."""

MOST_WEIGHT_BYTES = (1 << 31) - (1 << 20)
"""A protobuf cannot be larger than 2 GiB."""

MOST_STEPS = 200_000
"""More than any network has; a slip of the pen in a repeat ends here and not in the machine's memory."""


class Value(Struct, frozen=True):
    """What a step is given and gives.

    Attributes:
        name: Of the tensor.
        shape: Of a sample: channels, then spatial extents.
    """

    name: str
    shape: Shape

    @property
    def rank(self) -> int:
        """The number of spatial axes; 0 for a vector."""
        return len(self.shape) - 1

    @property
    def spatial(self) -> Shape:
        """The extents behind the channels."""
        return self.shape[1:]

    def __str__(self) -> str:
        return "x".join("?" if dim is None else str(dim) for dim in self.shape)


class Emitter:
    """A model under construction.

    Args:
        seed: Of the weights' values.
        given: Name of the network's input.
    """

    def __init__(self, seed: int, given: str) -> None:
        self.nodes = list[onnx.NodeProto]()
        self.initializers = list[onnx.TensorProto]()
        self._random = np.random.default_rng(seed)
        self._counts = Counter[str]()
        self._names = {given}
        self._bytes = 0

    def name(self, prefix: str, arguments: Arguments) -> str:
        """Return the name of a step: its own, or its kind's prefix and number; every step is counted."""
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
        """Add a node and return its first output, which is called as the node is."""
        node = helper.make_node(op, inputs, outputs or [name], name=name, **attributes)
        self.nodes.append(node)
        return name

    def kernel(self, name: str, shape: tuple[int, ...], fan_in: int, arguments: Arguments) -> str:
        """Add a kernel of normal values with He's deviation √(2 / fan in) and return its name."""
        self._allow(shape, arguments)
        values = self._random.standard_normal(shape, dtype=np.float32)
        values *= np.float32((2 / max(fan_in, 1)) ** 0.5)
        return self._add(name, values)

    def vector(
        self, name: str, shape: tuple[int, ...], arguments: Arguments, *, low: float = -0.1, high: float = 0.1
    ) -> str:
        """Add values drawn evenly from `low` to `high`, as biases and the like are, and return their name."""
        self._allow(shape, arguments)
        return self._add(name, self._random.uniform(low, high, shape).astype(np.float32))

    def constant(self, name: str, values: Any, dtype: type[np.generic]) -> str:
        """Add given values and return their name."""
        return self._add(name, np.asarray(values, dtype=dtype))

    def _allow(self, shape: tuple[int, ...], arguments: Arguments) -> None:
        self._bytes += 4 * prod(shape)
        if self._bytes > MOST_WEIGHT_BYTES:
            raise arguments.error(f"the weights come to {self._bytes:,} bytes, more than one ONNX file holds")

    def _add(self, name: str, values: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(values, name))
        return name


def known(dim: Dim, what: str, arguments: Arguments) -> int:
    """Return `dim` as a number.

    Raises:
        NotationError: It is a symbol or unknown, and weights depend on it.
    """
    if not isinstance(dim, int):
        raise arguments.error(f"{arguments.step.kind} has weights for every {what}, whose number is not known here")
    return dim


def mapped(value: Value, arguments: Arguments) -> None:
    """Check that `value` is a map.

    Raises:
        NotationError: It is a vector.
    """
    if not value.rank:
        raise shape_error(value, "works on maps", arguments)


def shape_error(value: Value, cause: str, arguments: Arguments) -> CnnlintError:
    """Return an error about a step that does not fit the shape that it is given."""
    return arguments.error(f"{arguments.step.kind} {cause}; it is given {value}")
