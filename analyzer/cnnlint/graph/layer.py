"""What every layer is: a name, tensors in and out, weights, and its own arithmetic."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from cnnlint.graph.formula import Formula
from cnnlint.graph.tensor import Shape, Tensor, Weight


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

    Attributes:
        name: Unique in the graph, and one that the user recognises.
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

    multiplies: ClassVar[bool] = False
    """Whether layers of this kind do multiply-accumulates that count."""

    counts_sample: ClassVar[bool] = False
    """Whether `mac_formula` is of a whole sample, and not of one entry of the first axis."""

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
    def parameters(self) -> int:
        """The number of weight elements that it holds, whether shared with other layers or not."""
        return sum(weight.size for weight in self.weights)

    def weight(self, role: str) -> Weight | None:
        """Return the weight that plays `role`, if there is one."""
        return next((weight for weight in self.weights if weight.role == role), None)

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the shape of each output from those of the inputs: of the first input unless overridden."""
        return (self.input.shape,)

    def contradiction(self) -> str:
        """Return what about the layer cannot be, as a clause: "its stride is 0"; "" if nothing is wrong."""
        return ""

    def parameter_formula(self) -> Formula | None:
        """Return how the parameters are counted; None for a layer that has none."""
        if not self.weights:
            return None
        return Formula(
            terms=tuple(weight.shape or (1,) for weight in self.weights),
            words=" + ".join(weight.role for weight in self.weights),
        )

    def mac_formula(self) -> Formula | None:
        """Return the multiply-accumulates for one entry of the batch axis, bias excluded; None if unknown."""
        return Formula(())

    def output_formulas(self) -> tuple[str, ...]:
        """Return the output-size formula of each spatial axis, for layers that slide a window."""
        return ()
