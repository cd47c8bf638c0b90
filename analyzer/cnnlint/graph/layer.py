"""The base of all layers: a name, input and output tensors, weights, and the traits of its kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct

from cnnlint.graph.formula import Formula
from cnnlint.graph.tensor import Dim, Shape, Tensor, Weight, weight_elements
from cnnlint.graph.window import Span

T = TypeVar("T")


class trait(Generic[T]):  # noqa: N801 - used as `property` is
    """A read-only attribute of every layer that a kind may override, by a method or by `always`."""

    def __init__(self, of: Callable[[Any], T]) -> None:
        self.of = of

    def __get__(self, layer: object, _: type) -> T:
        return self.of(layer)


def always(value: T) -> trait[T]:
    """Return a trait that has the same value for every layer of the kind."""
    return trait(lambda _: value)


class Part(Struct, frozen=True):
    """An ONNX node or a Keras layer that a layer of the graph comes from.

    Attributes:
        name: Its name in the source: a node's name, a Keras layer's path.
        op: The source's own term: "Gemm", "Conv2D".
        shape: Of its output, channels first; None if unknown.
        output: The name of its first output in an ONNX file; "" in Keras.
        scope: The PyTorch module that it comes from, "layer1.0.conv1", if the file has it.
    """

    name: str
    op: str
    shape: Shape | None = None
    output: str = ""
    scope: str = ""


class Layer(Struct, frozen=True, kw_only=True, eq=False):
    """A layer of the network.

    A kind of layer is a class derived from this one, and defines everything about itself: its arithmetic, its receptive
    field, its effect on samples and values, its name. No other code tests for kinds. What a kind does not define is
    unknown: shapes, costs and receptive field are then None, and no harmless default is assumed.

    Attributes:
        name: Unique in the graph, and recognizable to the user.
        inputs: The tensors it reads, except weights.
        outputs: The tensors it produces.
        weights: Its weights, the kernel first.
        origin: The nodes or layers that it comes from, in the source's order.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...] = ()
    weights: tuple[Weight, ...] = ()
    origin: tuple[Part, ...] = ()

    multiplies: ClassVar[bool | None] = None
    """Whether it does multiply-accumulates that count; None if unknown."""

    infers_shape: ClassVar[bool] = False
    """Whether `output_shapes` is computed from the inputs' shapes, rather than taken from the file."""

    starts_block: ClassVar[bool] = False
    """Whether a block of a network's pattern may begin with it, as with a convolution."""

    @property
    def kind(self) -> str:
        """The kind's name: "Conv", "Dense", ..."""
        return type(self).__name__

    @property
    def input(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def output(self) -> Tensor:
        """The first output."""
        return self.outputs[0]

    @property
    def parameters(self) -> int | None:
        """The number of its weight elements, shared or not; None if unknown."""
        return weight_elements(self.weights)

    def weight(self, role: str) -> Weight | None:
        """Return the weight with this role, if there is one."""
        return next((weight for weight in self.weights if weight.role == role), None)

    @trait
    def term(self) -> str:
        """Its name in a network's pattern: "CONV"; "" for a kind that patterns leave out."""
        return self.kind.upper()

    @trait
    def label(self) -> str:
        """The kind with the settings that matter: "Conv 3×3 /2", "relu"."""
        return self.kind

    @trait
    def unknown_reason(self) -> str:
        """Why its cost is unknown, as a clause; used if `multiplies` is None."""
        return f"is a {self.kind}, whose inside is not known"

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether samples are known to be independent, if the first axis of every tensor is the batch."""
        return False

    @trait
    def is_identity_at_inference(self) -> bool:
        """Whether it is known to pass its input on unchanged at inference: dropout, the identity."""
        return False

    @trait
    def is_view(self) -> bool:
        """Whether it is known to only change the shape or order of its input."""
        return self.is_identity_at_inference

    @trait
    def is_affine_per_channel(self) -> bool:
        """Whether it is known to be only a scale and a shift per channel at inference."""
        return self.is_identity_at_inference

    @trait
    def is_rank_agnostic(self) -> bool:
        """Whether it is known to work the same on a vector as on a map of one position."""
        return False

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:  # noqa: ARG002 - for those that know
        """Return the input span of an output element along each of the last `axes` axes; None if unknown.

        The output's last axes correspond to the input's. With 0 axes, all input elements have the same receptive field.
        """
        return None

    def settings(self) -> dict[str, object]:
        """Return its settings by field, without weights."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in RECORD}

    def signature(self) -> Hashable:
        """Return a value that is equal for layers that do the same, regardless of name, neighbors and weights.

        It survives a conversion, which may arrange kernels and padding differently, add a bias when it folds a norm,
        and round floating settings.
        """
        kept = ((name, value) for name, value in self.settings().items() if name != "use_bias")
        return self.kind, *((name, value) for name, value in kept if not isinstance(value, float))

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the shape of each output, computed from those of the inputs; None if unknown."""
        return (None,)

    def contradiction(self) -> str:
        """Return what is impossible about the layer, as a clause: "its stride is 0"; "" if nothing is."""
        return ""

    def parameter_formula(self) -> Formula | None:
        """Return the formula of the parameters; None if there are none, or they are unknown."""
        shapes = [weight.shape for weight in self.weights if weight.shape is not None]
        if not shapes or len(shapes) < len(self.weights):
            return None
        return Formula(
            terms=tuple(shape or (1,) for shape in shapes),
            words=" + ".join(weight.role for weight in self.weights),
        )

    def mac_formula(self) -> Formula | None:
        """Return the multiply-accumulates per entry (see `mac_entries`), without bias; None if unknown."""
        return Formula(()) if self.multiplies is False else None

    @property
    def mac_entries(self) -> Dim:
        """The number of entries in a run: the extent of the output's first axis, unless overridden."""
        shape = self.output.shape if self.outputs else None
        return 1 if shape == () else shape[0] if shape else None

    def mixed_axes(self) -> tuple[int, ...]:
        """Return the axes of the first input that it sums, slides or steps along, so they cannot be the batch."""
        return ()

    def output_formulas(self) -> tuple[str, ...]:
        """Return the output-size formula of each spatial axis, for layers that slide a window."""
        return ()


RECORD = frozenset(Layer.__struct_fields__)
"""Fields that every layer has, and that are not settings."""
