"""Random small convolutional networks that Keras can build, for hypothesis.

A network is drawn as plain data, so that a failing one prints and shrinks; `build` makes a Keras model of it. What a
layer may not be at its place (a kernel larger than the map, strides beside dilation) is set right while building.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    import keras

    Block = tuple[str, dict[str, Any]]

ON_MAPS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "linear",
)  # fmt: skip
IN_HEADS = (*ON_MAPS, "silu", "mish", "gelu", "hard_sigmoid", "hard_silu")
"""Those that end in a product are not on maps, where tf2onnx may multiply one factor by the scale of the next norm."""

PADDINGS = st.sampled_from(("same", "valid"))
SIDES = st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.integers(1, 5).map(lambda side: (side, side))
STRIDES = st.sampled_from((1, 1, 2, 3))
ACTIVATION = st.sampled_from(ON_MAPS)


def _drawn(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Block]:
    return st.tuples(st.just(kind), st.fixed_dictionaries(fields))


CONVOLUTION = _drawn(
    "conv", filters=st.integers(1, 8), kernel_size=SIDES, strides=STRIDES, padding=PADDINGS, dilation=st.integers(1, 3),
    groups=st.sampled_from((1, 1, 2, 4)), use_bias=st.booleans(), activation=ACTIVATION,
)  # fmt: skip
DEPTHWISE = _drawn(
    "depthwise", kernel_size=SIDES, strides=STRIDES, padding=PADDINGS, dilation=st.integers(1, 2),
    multiplier=st.integers(1, 2), use_bias=st.booleans(),
)  # fmt: skip
SEPARABLE = _drawn(
    "separable", filters=st.integers(1, 8), kernel_size=st.integers(1, 4), strides=STRIDES, padding=PADDINGS,
    use_bias=st.booleans(), activation=ACTIVATION,
)  # fmt: skip
TRANSPOSED = _drawn(
    "transposed", filters=st.integers(1, 6), kernel_size=st.integers(1, 4), strides=st.integers(1, 2), padding=PADDINGS,
    use_bias=st.booleans(),
)  # fmt: skip
POOL = _drawn("pool", average=st.booleans(), size=SIDES, strides=st.sampled_from((None, 1, 2, 3)), padding=PADDINGS)
NORM = _drawn("norm", scale=st.booleans(), center=st.booleans())
FUNCTION = _drawn("activation", function=ACTIVATION)
ZEROS = _drawn(
    "zeros", rows=st.tuples(*[st.integers(0, 2)] * 2), columns=st.tuples(*[st.integers(0, 2)] * 2),
    filters=st.integers(1, 6), kernel_size=st.integers(1, 3), strides=STRIDES,
)  # fmt: skip
"""Zeros and a convolution without padding of its own: tf2onnx loses that of a dilated one behind zeros."""
DENSE = st.tuples(st.integers(1, 8), st.booleans(), st.sampled_from(IN_HEADS)).filter(
    lambda drawn: drawn[0] > 1 or not drawn[2].startswith("hard_")
)
"""To the one bias of a single unit TensorFlow adds the 3 of a hard sigmoid, relu6(x + 3) / 6: no file shows it then."""
DROPOUT = _drawn("dropout", rate=st.sampled_from((0.1, 0.5)))
GATE = _drawn("gate", reduced=st.integers(1, 4), dense=st.booleans())

PLAIN = st.one_of(CONVOLUTION, DEPTHWISE, SEPARABLE, NORM, FUNCTION, POOL, DROPOUT, GATE)
"""What may stand in a branch; there, everything keeps the extent of the map."""

BRANCH = st.lists(PLAIN, min_size=1, max_size=3)
RESIDUAL = _drawn("residual", body=BRANCH)
BRANCHES = _drawn("branches", branches=st.lists(BRANCH, min_size=2, max_size=3), keep=st.booleans())

NETWORK = st.fixed_dictionaries(
    {
        # an image, or a signal of so many steps
        "extents": st.tuples(st.integers(5, 16), st.integers(5, 16)) | st.tuples(st.integers(8, 60)),
        "channels": st.sampled_from((1, 2, 3, 4)),
        # A file without a convolution would not say which of its axes are the channels.
        "stem": CONVOLUTION,
        "blocks": st.lists(st.one_of(CONVOLUTION, PLAIN, RESIDUAL, BRANCHES, TRANSPOSED, ZEROS), max_size=5),
        "pool": st.sampled_from(("average", "max", "flatten", "none")),
        "dense": st.lists(DENSE, max_size=2),
        "softmax": st.booleans(),
    }
)
"""A network: its input, its blocks in order, and its head."""


class _Layers:
    """The layers of Keras; what is called after a number of dimensions in two has its name without them here."""

    def __init__(self, layers: Any, *, rank: int) -> None:
        self.rank = rank
        self._layers = layers

    def __getattr__(self, name: str) -> Any:
        dimensional = f"{name}{self.rank}D"
        return getattr(self._layers, dimensional if hasattr(self._layers, dimensional) else name)

    def filters(self, drawn: int) -> int:
        """Return as many filters as drawn, but two for signals: with one, no file tells channels and steps apart."""
        return max(drawn, 2) if self.rank == 1 else drawn


def build(network: dict[str, Any]) -> keras.Model:
    """Make the Keras model that a draw of `NETWORK` describes."""
    import keras

    layers = _Layers(keras.layers, rank=len(network["extents"]))
    image = value = keras.Input((*network["extents"], network["channels"]), name="image")
    for kind, fields in [network["stem"], *network["blocks"]]:
        value = _block(layers, value, kind, fields, keep=False)
    match network["pool"]:
        case "average":
            value = layers.GlobalAveragePooling()(value)
        case "max":
            value = layers.GlobalMaxPooling()(value)
        case "flatten":
            value = layers.Flatten()(value)
        case _:
            return keras.Model(image, value)
    for units, use_bias, activation in network["dense"]:
        value = layers.Dense(units, use_bias=use_bias, activation=activation)(value)
    if network["softmax"]:
        value = layers.Dense(3, activation="softmax")(value)
    return keras.Model(image, value)


def _block(layers: Any, value: Any, kind: str, fields: dict[str, Any], *, keep: bool) -> Any:
    """Add one block; `keep` says that its map must have the extent of `value`."""
    match kind:
        case "residual":
            body = _chain(layers, value, fields["body"])
            if body.shape[-1] != value.shape[-1]:
                value = layers.Conv(body.shape[-1], 1, use_bias=False)(value)
            return layers.Add()([value, body])
        case "branches":
            branches = [_chain(layers, value, branch) for branch in fields["branches"]]
            return layers.Concatenate()([value, *branches] if fields["keep"] else branches)
        case "gate":
            return _gated(layers, value, **fields)
        case "zeros":
            zeros = (fields["rows"], fields["columns"]) if layers.rank == 2 else fields["rows"]
            padded = layers.ZeroPadding(zeros)(value)
            side = min(fields["kernel_size"], *padded.shape[1:-1])
            return layers.Conv(layers.filters(fields["filters"]), side, strides=fields["strides"])(padded)
        case _:
            return _layer(layers, value.shape, kind, fields, keep=keep)(value)


def _chain(layers: Any, value: Any, blocks: list[Block]) -> Any:
    for kind, fields in blocks:
        value = _block(layers, value, kind, fields, keep=True)
    return value


def _gated(layers: Any, value: Any, *, reduced: int, dense: bool) -> Any:
    channels, reduced = value.shape[-1], layers.filters(reduced)
    squeezed = layers.GlobalAveragePooling(keepdims=not dense)(value)
    if dense:
        squeezed = layers.Dense(reduced, activation="relu")(squeezed)
        squeezed = layers.Reshape((*(1,) * layers.rank, channels))(
            layers.Dense(channels, activation="sigmoid")(squeezed)
        )
    else:
        squeezed = layers.Conv(reduced, 1, activation="relu")(squeezed)
        squeezed = layers.Conv(channels, 1, activation="sigmoid")(squeezed)
    return layers.Multiply()([value, squeezed])


def _layer(layers: Any, shape: tuple[int, ...], kind: str, fields: dict[str, Any], *, keep: bool) -> Any:
    channels = shape[-1]
    match kind:
        case "conv":
            groups = gcd(fields["groups"], channels)
            return layers.Conv(
                groups * -(-layers.filters(fields["filters"]) // groups),
                groups=groups,
                use_bias=fields["use_bias"],
                activation=fields["activation"],
                **_window(shape, fields, keep=keep),
            )
        case "depthwise":
            return layers.DepthwiseConv(
                depth_multiplier=fields["multiplier"],
                use_bias=fields["use_bias"],
                **_window(shape, fields, keep=keep),
            )
        case "separable":
            return layers.SeparableConv(
                layers.filters(fields["filters"]),
                use_bias=fields["use_bias"],
                activation=fields["activation"],
                **_window(shape, fields, keep=keep),
            )
        case "transposed" if layers.rank == 1:
            # tf2onnx works out the extents of the axis that TensorFlow adds at run time.
            filters = layers.filters(fields["filters"])
            return layers.Conv(filters, fields["kernel_size"], padding="same", use_bias=fields["use_bias"])
        case "transposed":
            return layers.Conv2DTranspose(
                fields["filters"],
                fields["kernel_size"],
                strides=fields["strides"],
                padding=fields["padding"],
                use_bias=fields["use_bias"],
            )
        case "pool":
            window = _window(shape, {**fields, "kernel_size": fields["size"]}, keep=keep)
            make = layers.AveragePooling if fields["average"] else layers.MaxPooling
            return make(window["kernel_size"], strides=window["strides"], padding=window["padding"])
        case "norm":
            return layers.BatchNormalization(scale=fields["scale"], center=fields["center"])
        case "activation":
            return layers.Activation(fields["function"])
        case "dropout":
            return layers.Dropout(fields["rate"])
        case _:
            raise ValueError(kind)


def _window(shape: tuple[int, ...], fields: dict[str, Any], *, keep: bool) -> dict[str, Any]:
    """Return the arguments of a window that fits a map of `shape`, and that TensorFlow can slide."""
    kernel, strides, padding = fields["kernel_size"], fields["strides"], fields["padding"]
    rank = len(shape) - 2
    sides = kernel[:rank] if isinstance(kernel, tuple) else (kernel,) * rank
    strides = 1 if keep else strides
    dilation = fields.get("dilation", 1) if strides == 1 else 1
    spans = [dilation * (side - 1) + 1 for side in sides]
    if keep or any(span > extent for span, extent in zip(spans, shape[1:-1], strict=True)):
        padding = "same"
    window = {"kernel_size": sides, "strides": strides, "padding": padding}
    return {**window, "dilation_rate": dilation} if "dilation" in fields else window
