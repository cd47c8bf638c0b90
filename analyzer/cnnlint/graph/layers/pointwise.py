"""Layers that compute each position from the same position: activations, normalizations, sums, products, dropout."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from math import inf

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer, always, trait
from cnnlint.graph.tensor import Dim, Shape
from cnnlint.graph.window import POINT, Span


class _Pointwise(Layer, frozen=True, kw_only=True, eq=False):
    """A layer that computes each position from the same position, with no multiply-accumulates that count.

    The means and variances of a normalization do not count for the receptive field, nor do gates: they tell how strong
    a map is and not where things are, and would make every receptive field the whole image.
    """

    multiplies = False
    infers_shape = True
    is_batch_invariant = always(True)

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points."""
        return (POINT,) * axes

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape."""
        return (self.input.shape,)


SATURATING = frozenset({"sigmoid", "tanh", "hard_sigmoid", "softsign"})
"""Functions that saturate on both sides."""

BOUNDS = {
    "relu": (0.0, inf), "relu6": (0.0, 6.0), "softplus": (0.0, inf), "exponential": (0.0, inf),
    "sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "log_softmax": (-inf, 0.0),
}  # fmt: skip
"""The least and the largest value of functions that have one."""


def bounds_of(function: str) -> tuple[float, float]:
    """Return the least and the largest value of a function; infinite where there is none or it is not known."""
    return BOUNDS.get(function, (-inf, inf))


_TERMS = {"hard_sigmoid": "HSIGMOID", "hard_swish": "HSWISH", "exponential": "EXP"}


@cache
def spelled(function: str) -> str:
    """Return a function's name in patterns: LEAKYRELU."""
    return function.upper().replace("_", "")


class Activation(_Pointwise, frozen=True, kw_only=True, eq=False):
    """A function applied to each element, or a softmax along one axis.

    Attributes:
        function: Its name as Keras spells it: relu, relu6, leaky_relu, prelu, elu, selu, celu, gelu, sigmoid,
            hard_sigmoid, tanh, hard_tanh, swish, hard_swish, mish, softplus, softsign, softmax, log_softmax,
            exponential, threshold, ...; "linear" for the identity.
        axis: Axis along which a softmax sums to one; None for an elementwise function.
        alpha: The slope below zero, for functions that have one.
    """

    function: str
    axis: int | None = None
    alpha: float | None = None

    @property
    def classes(self) -> Dim:
        """The number of values that a softmax makes shares of; None for another function, or if it is not known."""
        shape = self.output.shape
        return None if shape is None or self.axis is None else shape[self.axis]

    @trait
    def term(self) -> str:
        """The function: RELU; "" for the identity."""
        return "" if self.function == "linear" else _TERMS.get(self.function) or spelled(self.function)

    @trait
    def label(self) -> str:
        """The function: "relu"."""
        return self.function

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether it is not a softmax along the batch."""
        return self.axis is None or self.axis > 0

    @trait
    def is_identity_at_inference(self) -> bool:
        """Whether it is the identity."""
        return self.function == "linear"

    @trait
    def is_rank_agnostic(self) -> bool:
        """Whether it is elementwise and has no learned slopes, which have a shape."""
        return self.axis is None and self.function != "prelu"

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points, unless it is a softmax along the map's axes."""
        if axes == 0 or self.axis is None:
            return (POINT,) * axes
        rank = self.input.rank
        return (POINT,) * axes if rank is not None and self.axis % rank < rank - axes else None

    @property
    def is_softmax(self) -> bool:
        """Whether the output is a distribution along `axis`, or its logarithm."""
        return self.function in ("softmax", "log_softmax")

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value; infinite where there is none or it is not known."""
        return bounds_of(self.function)

    @property
    def is_saturating(self) -> bool:
        """Whether it saturates on both sides."""
        return self.function in SATURATING


class BatchNorm(_Pointwise, frozen=True, kw_only=True, eq=False):
    """A batch normalization, or the scale and shift that an exporter reduced one to.

    Attributes:
        epsilon: Added to the variance; None for a folded one.
        axis: The axis whose entries are normalized separately: 1 unless the model normalizes something else.
        training: Whether it uses batch statistics instead of moving ones.
        folded: Whether it is reduced to a multiplication and an addition per channel.
        momentum: What the moving statistics keep of themselves at each batch of training; None if the file does not
            say. PyTorch calls 1 - momentum so.
    """

    epsilon: float | None = 1e-3
    axis: int = 1
    training: bool = False
    folded: bool = False
    momentum: float | None = None

    term = always("BN")

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether it does not use batch statistics."""
        return not self.training

    is_affine_per_channel = is_batch_invariant

    @trait
    def is_rank_agnostic(self) -> bool:
        """Whether it is not folded: the constants of a scale and shift have a shape."""
        return not self.folded and not self.training

    @property
    def channel_axis(self) -> int:
        """`axis`, counted from the front."""
        return self.axis % self.input.rank if self.input.rank else self.axis

    def settings(self) -> dict[str, object]:
        """Return its settings but for the momentum, which does nothing at inference."""
        return {name: value for name, value in super().settings().items() if name != "momentum"}

    def signature(self) -> Hashable:
        """Return only the axis: a conversion may fold two of its vectors, and its epsilon, into the others."""
        return self.kind, self.axis

    def parameter_formula(self) -> Formula | None:
        """Return vectors × channels."""
        sizes = {weight.size for weight in self.weights}
        size = sizes.pop() if len(sizes) == 1 else None
        if size is None:
            return super().parameter_formula()
        roles = ", ".join(weight.role.replace("_", " ") for weight in self.weights)
        return Formula(((len(self.weights), size),), f"({roles}) × channels")


class LayerNorm(_Pointwise, frozen=True, kw_only=True, eq=False):
    """A normalization over the given axes of each sample.

    Attributes:
        axes: Axes that are normalized together.
        epsilon: Added to the variance.
        centered: False for RMS normalization, which does not subtract the mean.
    """

    axes: tuple[int, ...]
    epsilon: float = 1e-3
    centered: bool = True

    term = always("LN")

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether the batch is not among the axes."""
        rank = self.input.rank
        return rank is not None and all(axis % rank > 0 for axis in self.axes)


class GroupNorm(_Pointwise, frozen=True, kw_only=True, eq=False):
    """A normalization over groups of channels of each sample."""

    groups: int
    epsilon: float = 1e-3

    term = always("GN")

    def contradiction(self) -> str:
        """Return whether the channels can be split into the groups."""
        if self.groups < 1:
            return f"its number of groups is {self.groups}"
        channels = self.input.channels
        if isinstance(channels, int) and channels % self.groups:
            return f"{channels} channels cannot be split into {self.groups} groups"
        return ""


class InstanceNorm(_Pointwise, frozen=True, kw_only=True, eq=False):
    """A normalization of each channel of each sample."""

    epsilon: float = 1e-5

    term = always("IN")


class LocalResponseNorm(_Pointwise, frozen=True, kw_only=True, eq=False):
    """AlexNet's normalization across neighboring channels.

    Attributes:
        size: Number of channels in a sum.
    """

    size: int

    term = always("LRN")


class Dropout(_Pointwise, frozen=True, kw_only=True, eq=False):
    """Sets values to zero at random while training; the identity otherwise.

    Attributes:
        rate: The share that is dropped; None if unknown.
        spatial: Whether whole channels are dropped.
        per_sample: Whether whole samples are dropped: the stochastic depth of a residual branch.
        training: Whether the file has it drop values at inference too.
    """

    rate: float | None
    spatial: bool = False
    per_sample: bool = False
    training: bool = False

    term = always("")

    @trait
    def is_identity_at_inference(self) -> bool:
        """Whether it is not in training mode."""
        return not self.training

    is_batch_invariant = is_rank_agnostic = is_identity_at_inference


class Rescale(_Pointwise, frozen=True, kw_only=True, eq=False):
    """A multiplication and an addition of constants at the network's input: Rescaling or Normalization in Keras."""

    term = always("")


class Elementwise(_Pointwise, frozen=True, kw_only=True, eq=False):
    """An elementwise operation without a kind of its own; broadcasts.

    Attributes:
        function: ONNX's name in lower case: "sub", "div", "pow", "maximum", "mean", "sqrt", "where", ...
            "rsub", "rdiv", "rpow" have the constant on the left.
        constant_shape: The shape of a constant operand, for broadcasting.
        constant: The constant operand, if it is a single known number.
    """

    function: str
    constant_shape: Shape | None = None
    constant: float | None = None

    @trait
    def term(self) -> str:
        """The operation."""
        return spelled(self.function)

    @trait
    def label(self) -> str:
        """The operation: "sub"."""
        return self.function

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the shape that the operands broadcast to."""
        shapes = [tensor.shape for tensor in self.inputs if tensor.shape is not None]
        if len(shapes) != len(self.inputs):
            return (None,)
        if self.constant_shape is not None:
            shapes.append(self.constant_shape)
        return (broadcast(*shapes),)


class Add(Elementwise, frozen=True, kw_only=True, eq=False):
    """A sum of two or more activations, usually a residual connection."""

    function: str = "add"

    term = always("ADD")

    @trait
    def label(self) -> str:
        """Add."""
        return self.kind


class Multiply(Elementwise, frozen=True, kw_only=True, eq=False):
    """A product of activations, usually a gate."""

    function: str = "mul"


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that `shapes` broadcast to by NumPy's rules; None for an unknown axis."""
    rank = max((len(shape) for shape in shapes), default=0)
    result = list[Dim]()
    for axis in range(-rank, 0):
        dims = [shape[axis] for shape in shapes if len(shape) >= -axis]
        wide = [dim for dim in dims if dim != 1]
        numbers = [dim for dim in wide if isinstance(dim, int)]
        if not wide:
            result.append(1)
        elif numbers:
            result.append(numbers[0])
        else:
            result.append(wide[0] if all(dim == wide[0] for dim in wide) else None)
    return tuple(result)
