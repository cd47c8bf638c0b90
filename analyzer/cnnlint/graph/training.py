"""How a network was set up for training, as far as its file says: losses, metrics, optimizer, initializers."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Loss(Struct, frozen=True):
    """A loss that the network was compiled with.

    Attributes:
        name: In snake case, as Keras calls the function; "" for a custom one.
        from_logits: Whether it takes values before the softmax; None for a loss that has no such option.
        output: The name of the output's layer, if the file lists losses by name; "" by position.
    """

    name: str
    from_logits: bool | None = None
    output: str = ""


class Metric(Struct, frozen=True):
    """A metric that the network was compiled with.

    Attributes:
        name: In snake case; "accuracy" stands for the one that Keras chooses by the shapes, "exact_accuracy" for the
            class `Accuracy`, which counts outputs that equal their labels; "" for a custom one.
        threshold: From which value on an output means yes; None if it is the default or there is none.
        from_logits: Whether it takes values before the sigmoid.
        output: The name of the output's layer, if the file lists metrics by name; "" by position or for all.
        place: The position of its output, if the file lists metrics by position; None by name or for all.
    """

    name: str
    threshold: float | None = None
    from_logits: bool = False
    output: str = ""
    place: int | None = None


class Optimizer(Struct, frozen=True):
    """An optimizer.

    Attributes:
        name: In snake case, as Keras calls the class: "sgd", "adam", "rmsprop"; "" for a custom one.
        learning_rate: None if it follows a schedule or is not known.
        momentum: Of SGD and RMSprop; None for other optimizers.
        schedule: The class of the learning rate's schedule: "CosineDecay"; "" for a constant.
    """

    name: str
    learning_rate: float | None = None
    momentum: float | None = None
    schedule: str = ""


class Initializer(Struct, frozen=True):
    """How a weight was initialized.

    Attributes:
        name: In snake case, as Keras calls the class: "glorot_uniform", "zeros", "constant"; "" for a custom one.
        value: The number that all elements have; None if they are random or differ.
    """

    name: str
    value: float | None = None


class Training(Struct, frozen=True):
    """All of it.

    Attributes:
        losses: The loss of each output, or the only one for all; () if the network was not compiled.
        metrics: In the file's order, weighted ones last.
        optimizer: None if the network was not compiled.
        initializers: Of weights, by their keys; empty if the file does not say.
    """

    losses: tuple[Loss, ...] = ()
    metrics: tuple[Metric, ...] = ()
    optimizer: Optimizer | None = None
    initializers: Mapping[str, Initializer] = field(default_factory=dict[str, Initializer])


UNTOLD = Training()
"""What a file says that says nothing of training, as an ONNX file does."""
