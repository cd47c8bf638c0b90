"""One call of a Keras layer on its way into the graph: what it is called with, and how its results are added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.definition import collect
from cnnlint.frontends.keras.records import LayerRecord, WeightRecord
from cnnlint.frontends.keras.settings import Config
from cnnlint.frontends.raising.draft import Draft
from cnnlint.frontends.raising.view import Permutation, View, to_channels_first, to_channels_last
from cnnlint.graph.dtype import is_floating
from cnnlint.graph.layer import Layer, Part
from cnnlint.graph.tensor import Shape, Tensor, Weight

UNTRAINED = frozenset(
    ["moving_mean", "moving_variance", "moving_stddev", "mean", "variance", "count", "renorm_mean", "renorm_stddev",
     "vector_u", "sn_u", "kernel_scale", "kernel_zero", "g_idx", "embeddings_scale",
     "inputs_scale", "inputs_amax_history", "kernel_amax_history", "outputs_grad_scale", "outputs_grad_amax_history"]
)  # fmt: skip
"""Roles of weights that no optimizer changes."""

Layout = Callable[[int], "Permutation | None"]
"""Returns how a tensor of a rank, made by this call, becomes channels-first; None if it stays as it is."""


class Call:
    """A layer with the views that it is called on.

    Attributes:
        layer: The layer.
        config: Its configuration.
        args: Constants and `View`s in lists and dicts.
        kwargs: The same by name.
        draft: The graph under construction.
        declared: Shape and type of each output as the file notes them, in the source's order of axes.
        layout: How an output whose order of axes is free becomes channels-first.
    """

    def __init__(
        self,
        layer: LayerRecord,
        args: list[Any],
        kwargs: dict[str, Any],
        draft: Draft,
        *,
        declared: tuple[tuple[Shape | None, str], ...] = (),
        layout: Layout = lambda _: None,
    ) -> None:
        self.layer = layer
        self.config: Config = layer.config
        self.args = args
        self.kwargs = kwargs
        self.draft = draft
        self.declared = declared
        self.layout = layout

    def on(self, view: View, layer: LayerRecord | None = None) -> Call:
        """Return the call of this layer, or of one that it wraps, on another tensor."""
        return Call(layer or self.layer, [view], {}, self.draft, layout=self.layout)

    # what it is called with

    @property
    def views(self) -> list[View]:
        """All tensors that it is called with."""
        return collect([self.args, self.kwargs], View)

    @property
    def view(self) -> View:
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

    def map(self, view: View | None = None) -> Tensor:
        """Return a feature map as the graph has it, for a layer that knows its channels by `data_format`."""
        view = view or self.view
        if self.channels_first or view.rank is None:
            return self.draft.tensor(view)
        return self.draft.tensor(view.transposed(to_channels_first(view.rank)))

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

    def identity(self, suffix: str = "") -> dict[str, Any]:
        """Return the name and the origin of a layer that it becomes."""
        name = f"{self.layer.path}/{suffix}" if suffix else self.layer.path
        return {"name": name, "origin": (Part(name=self.layer.path, op=self.layer.class_name),)}

    def add(self, layer: Layer, *, like: View | None = None, dtype: str | None = None) -> View:
        """Add a layer and return its output, in the order of axes of `like` where that has the same rank."""
        tensor = self.draft.add(layer, dtype=dtype or self.dtype)[0]
        return like.of(tensor) if like is not None and like.rank == tensor.rank else View(tensor)

    def add_map(self, layer: Layer, *, dtype: str | None = None) -> View:
        """Add a layer that makes a feature map and return it in the order of axes of `data_format`."""
        tensor = self.draft.add(layer, dtype=dtype or self.dtype)[0]
        if self.channels_first or tensor.rank is None or tensor.rank < 3:
            return View(tensor)
        return View(tensor, to_channels_last(tensor.rank))

    def add_oriented(self, build: Callable[[Shape | None], Layer], shape: Shape | None, dtype: str = "") -> View:
        """Add a layer whose output has `shape` in the source's order; `build` gets it in the graph's."""
        permutation = None if shape is None else self.layout(len(shape))
        graph_shape = shape if permutation is None or shape is None else tuple(shape[axis] for axis in permutation)
        layer = build(graph_shape)
        tensor = self.draft.add(layer, dtype=dtype or self.dtype)[0]
        if permutation is None:
            return View(tensor)
        return View(tensor, tuple(permutation.index(axis) for axis in range(len(permutation))))

    # weights

    def weights(self, *roles: str) -> tuple[Weight, ...]:
        """Return the layer's weights; `roles` are theirs in Keras' order, for files that only number them."""
        return weights_of(self.layer.weights, roles, trainable=self.layer.trainable)


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
