"""One call of a Keras layer: its arguments and configuration, and methods to add layers for it to the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.definition import collect
from cnnlint.frontends.keras.records import LayerRecord, WeightRecord
from cnnlint.frontends.keras.settings import Config
from cnnlint.frontends.keras.training import initializer_of
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.ops import OpContext, ordered
from cnnlint.frontends.raising.view import Permutation, TensorView, inverse, to_channels_first, to_channels_last
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.layers import Opaque, Operator
from cnnlint.graph.tensor import Shape, Weight, is_floating
from cnnlint.graph.training import Initializer

UNTRAINED = frozenset(
    ["moving_mean", "moving_variance", "moving_stddev", "mean", "variance", "count", "renorm_mean", "renorm_stddev",
     "vector_u", "sn_u", "kernel_scale", "kernel_zero", "g_idx", "embeddings_scale",
     "inputs_scale", "inputs_amax_history", "kernel_amax_history", "outputs_grad_scale", "outputs_grad_amax_history"]
)  # fmt: skip
"""Roles of non-trainable weights."""


class KerasCall(OpContext):
    """A layer with the views that it is called with.

    Attributes:
        layer: The layer.
        config: Its configuration.
        args: Its arguments: constants and views in lists and dicts.
        kwargs: The keyword arguments.
        builder: The graph under construction.
        declared: Shape and type of each output in the file, in the source's layout.
        suffix: Suffix of the name, if the call becomes several layers.
        initializers: Of weights by key, to which those of this layer's are added.
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
        initializers: dict[str, Initializer] | None = None,
    ) -> None:
        self.layer = layer
        self.config: Config = layer.config
        self.args = args
        self.kwargs = kwargs
        self.builder = builder
        self.declared = declared
        self.suffix = suffix
        self.initializers: dict[str, Initializer] = {} if initializers is None else initializers
        self._layout = layout

    def of(
        self,
        layer: LayerRecord | None = None,
        *,
        view: TensorView | None = None,
        declared: tuple[tuple[Shape | None, str], ...] | None = None,
        suffix: str | None = None,
    ) -> KerasCall:
        """Return a copy of this call with another layer, tensor, outputs or name suffix."""
        return KerasCall(
            layer or self.layer,
            self.args if view is None else [view],
            self.kwargs if view is None else {},
            self.builder,
            declared=self.declared if declared is None else declared,
            layout=self._layout,
            suffix=self.suffix if suffix is None else suffix,
            initializers=self.initializers,
        )

    # arguments

    @property
    def views(self) -> list[TensorView]:
        """All tensors among its arguments."""
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
        """Whether the layer's own layout is channels-first."""
        return self.config.get("data_format") == "channels_first"

    @property
    def map(self) -> TensorView:
        """The first tensor as a channels-first map, for a layer with a `data_format`."""
        view = self.view
        if self.channels_first or view.rank is None:
            return view
        return view.transposed(to_channels_first(view.rank))

    def integer(self, name: str, default: int) -> int:
        """Return an integer of the configuration."""
        value = self.config.get(name)
        return value if isinstance(value, int) and value is not True else default

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a positive integer, which the configuration must have if there is no default.

        Raises:
            ValueError: It is something else.
        """
        value = self.config.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"its {name} is {value!r}")
        return value

    def number(self, name: str, default: float) -> float:
        """Return a number of the configuration, which may be an array of one element."""
        value = self.config.get(name)
        if (array := settings.mapping(value)) is not None:
            value = (settings.mapping(array.get("config")) or array).get("value")
        return float(value) if isinstance(value, int | float) else default

    def integers(self, name: str, count: int, default: int = 1, *, least: int = 1) -> tuple[int, ...]:
        """Return one integer per axis, such as the strides.

        Raises:
            ValueError: There are too few or too many, or one is less than `least`.
        """
        found = settings.integers(self.config.get(name, default), count)
        if min(found) < least:
            raise ValueError(f"its {name} is {found}")
        return found

    @property
    def in_training_mode(self) -> bool:
        """Whether the model always calls it in training mode."""
        return self.kwargs.get("training") is True

    # layers of the graph

    @property
    def dtype(self) -> str:
        """The type of its output."""
        inputs = self.views
        default = inputs[0].tensor.dtype if inputs else "float32"
        return settings.compute_dtype(self.config.get("dtype"), default)

    @property
    def identity(self) -> dict[str, Any]:
        """The name and the origin of the layer to add."""
        path = self.layer.path
        name = f"{path}/{self.suffix}" if self.suffix else path
        return {"name": name, "origin": (Part(name=path, op=self.layer.class_name),)}

    def layout(self, shape: Shape | None) -> Permutation | None:
        """Return the permutation that makes an output of `shape` channels-first, by the layers that read it."""
        return None if shape is None else self._layout(len(shape))

    def add(self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None) -> TensorView:
        """Add a layer, and return its first output in the layout of `like` if the ranks are equal."""
        tensor = self.builder.add(layer, dtype=dtype or self.dtype)[0]
        return like.of(tensor) if like is not None and like.rank == tensor.rank else TensorView(tensor)

    def in_layer_order(self, made: TensorView) -> TensorView:
        """Return a channels-first map in the layer's own `data_format`."""
        rank = made.rank
        return made if self.channels_first or rank is None or rank < 3 else made.transposed(to_channels_last(rank))

    # weights

    def weights(self, *roles: str) -> tuple[Weight, ...]:
        """Return the layer's weights; `roles` are their roles in Keras's order, for files that only number them."""
        found = weights_of(self.layer.weights, roles, trainable=self.layer.trainable)
        for weight in found:
            if (initializer := initializer_of(weight.role, self.config)) is not None:
                self.initializers[weight.key] = initializer
        return found

    def kernel(self, *roles: str, axes: tuple[int, ...] = (-1,)) -> tuple[Weight, ...]:
        """Return the layer's weights, the first a kernel whose `axes` run over output channels."""
        return with_channels(self.weights(*roles), axes)


Raised = TensorView | list[TensorView]
"""The outputs of a call: one, or a list."""

Handler = Callable[[KerasCall], Raised]
"""Adds the layers for a call of a Keras layer, or of a function of `keras.ops`.

Raises:
    ValueError, TypeError, KeyError: The layer's configuration lacks what the layer must have.
"""


def weights_of(records: tuple[WeightRecord, ...], roles: tuple[str, ...], *, trainable: bool) -> tuple[Weight, ...]:
    """Return weights with these roles; any further ones keep their names in the file."""
    return tuple(
        _weight(record, roles[index] if index < len(roles) else None, trainable=trainable)
        for index, record in enumerate(records)
    )


def with_channels(weights: tuple[Weight, ...], axes: tuple[int, ...]) -> tuple[Weight, ...]:
    """Return `weights`, the first a kernel whose `axes` run over output channels."""
    if not weights or not (shape := weights[0].shape) or len(shape) < len(axes):
        return weights
    return (replace(weights[0], channel_axes=tuple(axis % len(shape) for axis in axes)), *weights[1:])


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


# layers outside the vocabulary


def add_operator(
    call: KerasCall, shape: Shape | None, *, like: TensorView | None = None, dtype: str | None = None
) -> TensorView:
    """Add a standard operator without multiplications whose output has `shape` in the graph's layout."""
    inputs = tuple(view.tensor for view in call.views)
    layer = Operator(inputs=inputs, op=call.layer.class_name, shapes=(shape,), weights=call.weights(), **call.identity)
    return call.add(layer, like=like, dtype=dtype)


def add_same(call: KerasCall) -> TensorView:
    """Add an operator that keeps the shape: noise and augmentation, which do nothing at inference."""
    return add_operator(call, call.view.tensor.shape, like=call.view)


def add_declared(call: KerasCall) -> list[TensorView]:
    """Add a standard operator whose outputs have the shapes in the file."""
    return _add(call, None)


def add_opaque(call: KerasCall, reason: str, *, lacks_shapes: bool = False) -> list[TensorView]:
    """Add a layer with unknown contents, with the parameters and shapes in the file.

    Returns:
        All outputs that other layers use.
    """
    return _add(call, reason, lacks_shapes=lacks_shapes)


def _add(call: KerasCall, reason: str | None, *, lacks_shapes: bool = False) -> list[TensorView]:
    declared = call.declared or ((None, ""),)
    orders = [call.layout(shape) for shape, _ in declared]
    fields: dict[str, Any] = {
        "inputs": tuple(view.tensor for view in call.views),
        "op": call.layer.class_name,
        "shapes": tuple(ordered(shape, order) for (shape, _), order in zip(declared, orders, strict=True)),
        "weights": call.weights(),
        **call.identity,
    }
    layer = Operator(**fields) if reason is None else Opaque(reason=reason, lacks_shapes=lacks_shapes, **fields)
    tensors = call.builder.add(layer, dtype=declared[0][1] or call.dtype)
    return [
        TensorView(tensor, None if order is None else inverse(order))
        for tensor, order in zip(tensors, orders, strict=True)
    ]
