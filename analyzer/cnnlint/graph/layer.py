"""What every layer is: a name, tensors in and out, weights, and what its kind says about itself."""

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
    """An ONNX node or a Keras layer that a layer of the graph was raised from.

    Attributes:
        name: What the source calls it: a node's name, a Keras layer's path.
        op: The source's own term: "Gemm", "Conv2D".
        shape: Of its output, channels first; None if unknown.
        output: The name of its first output in an ONNX file; "" in Keras.
        scope: The module that it comes from, "layer1.0.conv1", where the file says so.
    """

    name: str
    op: str
    shape: Shape | None = None
    output: str = ""
    scope: str = ""


class Layer(Struct, frozen=True, kw_only=True, eq=False):
    """A step of the network.

    A kind is a class derived from this one, and says everything about itself: its arithmetic, how far it sees, what it
    does to samples and values, what it is called. Nothing else asks which kind it is. What a kind does not say is not
    known: its output shapes, costs and receptive field are None then, and it is not taken for harmless.

    Attributes:
        name: Unique in the graph, and one that the user recognizes.
        inputs: The tensors it consumes, weights excepted.
        outputs: The tensors it produces.
        weights: What it holds, the kernel first.
        origin: What it was raised from, in the source's order.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...] = ()
    weights: tuple[Weight, ...] = ()
    origin: tuple[Part, ...] = ()

    multiplies: ClassVar[bool | None] = None
    """Whether it does multiply-accumulates that count; None where nobody knows what goes on inside."""

    infers_shape: ClassVar[bool] = False
    """Whether `output_shapes` follows from the inputs' shapes, and is not what the file says of these very extents."""

    starts_block: ClassVar[bool] = False
    """Whether a block of a network's pattern begins with it, as one does with a convolution."""

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
        """The number of weight elements that it holds, shared with other layers or not; None if unknown."""
        return weight_elements(self.weights)

    def weight(self, role: str) -> Weight | None:
        """Return the weight that plays `role`, if there is one."""
        return next((weight for weight in self.weights if weight.role == role), None)

    @trait
    def term(self) -> str:
        """What the field calls it in a network's pattern: "CONV"; "" for what only prepares or carries values."""
        return self.kind.upper()

    @trait
    def label(self) -> str:
        """The kind with the settings that matter: "Conv 3×3 /2", "relu"."""
        return self.kind

    @trait
    def unknown_reason(self) -> str:
        """Why nobody knows what goes on inside, as a clause; read where `multiplies` is None."""
        return f"is a {self.kind}, whose inside is not known"

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether each sample is known to be treated by itself, the first axis of every tensor being the batch."""
        return False

    @trait
    def is_identity_at_inference(self) -> bool:
        """Whether it is known to hand on the values that it is given, in their shape: dropout, the identity."""
        return False

    @trait
    def is_view(self) -> bool:
        """Whether it is known to hand on the values that it is given, in whatever shape."""
        return self.is_identity_at_inference

    @trait
    def is_affine_per_channel(self) -> bool:
        """Whether it is known to be, at inference, no more than a scale and a shift of each channel."""
        return self.is_identity_at_inference

    @trait
    def is_rank_agnostic(self) -> bool:
        """Whether it is known to do the same to a vector as to a map of one position, without any change."""
        return False

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:  # noqa: ARG002 - for those that know
        """Return how far an element of the output sees along each of the last `axes` axes; None if unknown.

        The output's last axes run along the input's. With 0 axes all elements of the input see the same image.
        """
        return None

    def settings(self) -> dict[str, object]:
        """Return what it is set to, by field: what sets it apart from others of its kind, its weights aside."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in RECORD}

    def signature(self) -> Hashable:
        """Return what it does, its name, its neighbors and its weights aside.

        It is the same on both sides of a conversion, which stores kernels and counts padding in ways of its own, gives
        a layer the bias of a norm that it folds, and rounds floating settings.
        """
        kept = ((name, value) for name, value in self.settings().items() if name != "use_bias")
        return self.kind, *((name, value) for name, value in kept if not isinstance(value, float))

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the shape of each output from those of the inputs; None where it is unknown."""
        return (None,)

    def contradiction(self) -> str:
        """Return what about the layer cannot be, as a clause: "its stride is 0"; "" if nothing is wrong."""
        return ""

    def parameter_formula(self) -> Formula | None:
        """Return how the parameters are counted; None for a layer that has none, or whose weights are unknown."""
        shapes = [weight.shape for weight in self.weights if weight.shape is not None]
        if not shapes or len(shapes) < len(self.weights):
            return None
        return Formula(
            terms=tuple(shape or (1,) for shape in shapes),
            words=" + ".join(weight.role for weight in self.weights),
        )

    def mac_formula(self) -> Formula | None:
        """Return the multiply-accumulates for one of its `mac_entries`, bias excluded; None if unknown."""
        return Formula(()) if self.multiplies is False else None

    @property
    def mac_entries(self) -> Dim:
        """How many times `mac_formula` a run comes to: the extent of the output's first axis, unless overridden."""
        shape = self.output.shape if self.outputs else None
        return 1 if shape == () else shape[0] if shape else None

    def mixed_axes(self) -> tuple[int, ...]:
        """Return the axes of the first input that it sums, slides or steps along: none of them is a batch."""
        return ()

    def output_formulas(self) -> tuple[str, ...]:
        """Return the output-size formula of each spatial axis, for layers that slide a window."""
        return ()


RECORD = frozenset(Layer.__struct_fields__)
"""Fields that every layer has, and that say nothing of what it does."""
