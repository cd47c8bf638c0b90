"""One call of a Keras layer on its way into the graph: what it is called with, and how what it becomes is added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.definition import collect
from cnnlint.frontends.keras.records import LayerRecord, WeightRecord
from cnnlint.frontends.keras.settings import Config
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.ops import OpContext, ordered
from cnnlint.frontends.raising.view import Permutation, TensorView, inverse, to_channels_first, to_channels_last
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.layers import Opaque, Operator
from cnnlint.graph.tensor import Shape, Weight, is_floating

UNTRAINED = frozenset(
    ["moving_mean", "moving_variance", "moving_stddev", "mean", "variance", "count", "renorm_mean", "renorm_stddev",
     "vector_u", "sn_u", "kernel_scale", "kernel_zero", "g_idx", "embeddings_scale",
     "inputs_scale", "inputs_amax_history", "kernel_amax_history", "outputs_grad_scale", "outputs_grad_amax_history"]
)  # fmt: skip
"""Roles of weights that no optimizer changes."""


class Call(OpContext):
    """A layer with the views that it is called on.

    Attributes:
        layer: The layer.
        config: Its configuration.
        args: Constants and views in lists and dicts.
        kwargs: The same by name.
        builder: The graph under construction.
        declared: Shape and type of each output as the file notes them, in the source's order of axes.
        suffix: Put after the name of what it becomes, where that is several layers.
    """

    def __init__(
        self,
        layer: LayerRecord,
        args: list[Any],
        kwargs: dict[str, Any],
        builder: GraphBuilder,
        *,
        declared: tuple[tuple[Shape | None, str], ...] = (),
        layout: Callable[[int], Permutation | None] = lambda _: None,
        suffix: str = "",
    ) -> None:
        self.layer = layer
        self.config: Config = layer.config
        self.args = args
        self.kwargs = kwargs
        self.builder = builder
        self.declared = declared
        self.suffix = suffix
        self._layout = layout

    def of(
        self,
        layer: LayerRecord | None = None,
        *,
        view: TensorView | None = None,
        declared: tuple[tuple[Shape | None, str], ...] | None = None,
        suffix: str | None = None,
    ) -> Call:
        """Return this call of another layer, on another tensor, of other outputs or under another name."""
        return Call(
            layer or self.layer,
            self.args if view is None else [view],
            self.kwargs if view is None else {},
            self.builder,
            declared=self.declared if declared is None else declared,
            layout=self._layout,
            suffix=self.suffix if suffix is None else suffix,
        )

    # what it is called with

    @property
    def views(self) -> list[TensorView]:
        """All tensors that it is called with."""
        return collect([self.args, self.kwargs], TensorView)

    @property
    def view(self) -> TensorView:
        """The first tensor.

        Raises:
            ValueError: There is none.
        """
        for view in self.views:
            return view
        raise ValueError("it is called without a tensor")

    @property
    def channels_first(self) -> bool:
        """Whether the layer's own order of axes is channels-first."""
        return self.config.get("data_format") == "channels_first"

    @property
    def map(self) -> TensorView:
        """The first tensor as a map with its channels in front, for a layer that knows them by `data_format`."""
        view = self.view
        if self.channels_first or view.rank is None:
            return view
        return view.transposed(to_channels_first(view.rank))

    def integer(self, name: str, default: int) -> int:
        """Return a whole number of the configuration."""
        value = self.config.get(name)
        return value if isinstance(value, int) and value is not True else default

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a positive whole number, which the configuration must have if there is no default.

        Raises:
            ValueError: It is something else.
        """
        value = self.config.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"its {name} is {value!r}")
        return value

    def number(self, name: str, default: float) -> float:
        """Return a number of the configuration, which Keras may have as an array of one."""
        value = self.config.get(name)
        if (array := settings.mapping(value)) is not None:
            value = (settings.mapping(array.get("config")) or array).get("value")
        return float(value) if isinstance(value, int | float) else default

    def integers(self, name: str, count: int, default: int = 1, *, least: int = 1) -> tuple[int, ...]:
        """Return one whole number per axis, such as the strides.

        Raises:
            ValueError: They are too few, too many, or less than `least`.
        """
        found = settings.integers(self.config.get(name, default), count)
        if min(found) < least:
            raise ValueError(f"its {name} is {found}")
        return found

    @property
    def in_training_mode(self) -> bool:
        """Whether the model calls it as in training, come what may."""
        return self.kwargs.get("training") is True

    # what it becomes

    @property
    def dtype(self) -> str:
        """The type of what it makes."""
        inputs = self.views
        default = inputs[0].tensor.dtype if inputs else "float32"
        return settings.compute_dtype(self.config.get("dtype"), default)

    @property
    def identity(self) -> dict[str, Any]:
        """The name and the origin of the layer that it becomes."""
        path = self.layer.path
        name = f"{path}/{self.suffix}" if self.suffix else path
        return {"name": name, "origin": (Part(name=path, op=self.layer.class_name),)}

    def layout(self, shape: Shape | None) -> Permutation | None:
        """Return how an output of `shape` becomes channels-first, by the layers that it goes into."""
        return None if shape is None else self._layout(len(shape))

    def add(self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None) -> TensorView:
        """Add a layer, and return its first output in the order of axes of `like` where that has the same rank."""
        tensor = self.builder.add(layer, dtype=dtype or self.dtype)[0]
        return like.of(tensor) if like is not None and like.rank == tensor.rank else TensorView(tensor)

    def in_layer_order(self, made: TensorView) -> TensorView:
        """Return a map whose channels are in front in the order of axes of the layer's `data_format`."""
        rank = made.rank
        return made if self.channels_first or rank is None or rank < 3 else made.transposed(to_channels_last(rank))

    # weights

    def weights(self, *roles: str) -> tuple[Weight, ...]:
        """Return the layer's weights; `roles` are theirs in Keras' order, for files that only number them."""
        return weights_of(self.layer.weights, roles, trainable=self.layer.trainable)


Raised = TensorView | list[TensorView]
"""What a call makes: its one output, or all of them."""

Handler = Callable[[Call], Raised]
"""Adds what a call of a layer, or of a function of `keras.ops`, becomes.

Raises:
    ValueError, TypeError, KeyError: The layer's configuration lacks what the layer must have.
"""


def weights_of(records: tuple[WeightRecord, ...], roles: tuple[str, ...], *, trainable: bool) -> tuple[Weight, ...]:
    """Return weights that play `roles`; those beyond keep the names that the file has for them."""
    return tuple(
        _weight(record, roles[index] if index < len(roles) else None, trainable=trainable)
        for index, record in enumerate(records)
    )


def _weight(record: WeightRecord, role: str | None, *, trainable: bool) -> Weight:
    if record.shape is None:
        return Weight(record.key, None, record.dtype, "weights")
    scope, _, last = record.name.rpartition("/")
    if not last.isdigit() and not (role is not None and role.endswith(last)):
        role = last
    known = role is not None
    role = role or (f"{scope} {last}" if scope else f"variable {last}")
    learns: bool | None = trainable if known else None
    if not trainable or role in UNTRAINED or not is_floating(record.dtype):
        learns = False
    return Weight(record.key, record.shape, record.dtype, role, learns, record.storage)


# what the vocabulary has no kind for


def add_operator(
    call: Call, shape: Shape | None, *, like: TensorView | None = None, dtype: str | None = None
) -> TensorView:
    """Add a standard operator without products whose output has `shape` in the graph's order."""
    inputs = tuple(view.tensor for view in call.views)
    layer = Operator(inputs=inputs, op=call.layer.class_name, shapes=(shape,), weights=call.weights(), **call.identity)
    return call.add(layer, like=like, dtype=dtype)


def add_same(call: Call) -> TensorView:
    """Add an operator that leaves the shape as it is: noise and augmentation, which do nothing at inference."""
    return add_operator(call, call.view.tensor.shape, like=call.view)


def add_declared(call: Call) -> list[TensorView]:
    """Add a standard operator whose outputs have the shapes that the file notes."""
    return _add(call, None)


def add_opaque(call: Call, reason: str) -> list[TensorView]:
    """Add a layer whose inside is not known, with the parameters and shapes that the file shows for it.

    Returns:
        All outputs that others use.
    """
    return _add(call, reason)


def _add(call: Call, reason: str | None) -> list[TensorView]:
    declared = call.declared or ((None, ""),)
    orders = [call.layout(shape) for shape, _ in declared]
    fields: dict[str, Any] = {
        "inputs": tuple(view.tensor for view in call.views),
        "op": call.layer.class_name,
        "shapes": tuple(ordered(shape, order) for (shape, _), order in zip(declared, orders, strict=True)),
        "weights": call.weights(),
        **call.identity,
    }
    layer = Operator(**fields) if reason is None else Opaque(reason=reason, **fields)
    tensors = call.builder.add(layer, dtype=declared[0][1] or call.dtype)
    return [
        TensorView(tensor, None if order is None else inverse(order))
        for tensor, order in zip(tensors, orders, strict=True)
    ]
