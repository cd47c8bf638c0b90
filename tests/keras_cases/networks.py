"""Small Keras networks: branches, shared layers, models within models, several inputs and outputs, odd settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Build = Callable[[Any], Any]


def residual(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    stem = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(image)
    stem = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn")(stem))
    body = layers.Conv2D(8, 3, padding="same", activation="relu", name="body")(stem)
    joined = layers.Add(name="join")([stem, body])
    wide = layers.Concatenate(name="wide")([joined, stem])
    pooled = layers.GlobalAveragePooling2D(name="pool")(wide)
    return keras.Model(image, layers.Dense(5, activation="softmax", name="head")(pooled), name="residual")


def squeeze_excite(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 6))
    gate = layers.GlobalAveragePooling2D(name="squeeze")(image)
    gate = layers.Reshape((1, 1, 6), name="expand")(gate)
    gate = layers.Conv2D(3, 1, activation="relu", name="reduce")(gate)
    gate = layers.Conv2D(6, 1, activation="sigmoid", name="excite")(gate)
    return keras.Model(image, layers.Multiply(name="scale")([image, gate]))


def shared(keras: Any) -> Any:
    layers = keras.layers
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((6, 6, 3), name="right")
    conv = layers.Conv2D(4, 3, activation="relu", name="twin")
    pool = layers.GlobalMaxPooling2D(name="pool")
    outputs = [pool(conv(left)), pool(conv(right))]
    distance = layers.Subtract(name="distance")(outputs)
    return keras.Model([left, right], [distance, layers.Dense(2, name="class")(outputs[0])], name="siamese")


def encoder(keras: Any, name: str = "encoder") -> Any:
    layers = keras.layers
    stages = [
        keras.Input((8, 8, 3)),
        layers.Conv2D(4, 3, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.GlobalAveragePooling2D(name="pool"),
    ]
    return keras.Sequential(stages, name=name)


def nested(keras: Any) -> Any:
    image = keras.Input((8, 8, 3), name="image")
    inner = encoder(keras)
    middle = keras.Input((8, 8, 3))
    around = keras.Model(middle, inner(middle), name="around")
    first, second = around(image), encoder(keras, "other")(image)
    joined = keras.layers.Concatenate(name="joined")([first, second])
    return keras.Model(image, keras.layers.Dense(3, name="head")(joined), name="outer")


def nested_twice(keras: Any) -> Any:
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    inner = encoder(keras)
    return keras.Model([left, right], keras.layers.Average(name="mean")([inner(left), inner(right)]))


def nested_output(keras: Any) -> Any:
    image = keras.Input((8, 8, 3), name="image")
    middle = keras.Input((8, 8, 3))
    inner = keras.Model(middle, [encoder(keras)(middle), keras.layers.Flatten(name="flat")(middle)], name="two")
    one, two = inner(image)
    return keras.Model(image, [two, one])


def frozen(keras: Any) -> Any:
    inner = encoder(keras)
    inner.trainable = False
    return keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Dense(2, name="head")])


def part_of_another(keras: Any) -> Any:
    """A layer that stands both in a nested model and in the model around it."""
    layers = keras.layers
    conv = layers.Conv2D(4, 3, name="conv")
    middle = keras.Input((8, 8, 3))
    inner = keras.Model(middle, layers.Flatten(name="flat")(conv(middle)), name="inner")
    image = keras.Input((8, 8, 3), name="image")
    other = layers.Flatten(name="outer_flat")(conv(image))
    return keras.Model(image, layers.Add(name="sum")([inner(image), other]))


def in_training_mode(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    normed = layers.BatchNormalization(name="norm")(image, training=True)
    return keras.Model(image, layers.Dropout(0.2, name="drop")(normed, training=True))


def operators(keras: Any) -> Any:
    ops, layers = keras.ops, keras.layers
    image = keras.Input((8, 6, 4), name="image")
    value = ops.relu(image * 2.0 + 1.0)
    value = ops.concatenate([value, 1.0 - value], axis=-1)
    mean = ops.mean(value, axis=(1, 2))
    kept = ops.max(value, axis=(1, 2), keepdims=True)
    rows = ops.sum(value, axis=1)
    cut = value[:, 1:, :, :3]
    tokens = ops.reshape(value, (-1, 48, 8))
    scores = ops.softmax(ops.matmul(tokens, ops.transpose(tokens, (0, 2, 1))), axis=-1)
    scores = ops.expand_dims(scores, 1)
    scores = ops.squeeze(scores, 1)
    heads = [mean, layers.Flatten()(kept), layers.Flatten()(rows), layers.Flatten()(cut), layers.Flatten()(scores)]
    return keras.Model(image, heads)


def attention(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    patches = layers.Conv2D(8, 2, strides=2, name="patches")(image)
    tokens = layers.Reshape((16, 8), name="tokens")(patches)
    normed = layers.LayerNormalization(name="norm")(tokens)
    mixed = layers.MultiHeadAttention(2, 4, name="attention")(normed, normed)
    tokens = layers.Add(name="residual")([tokens, mixed])
    plain = layers.Attention(use_scale=True, name="plain")([tokens, normed])
    additive = layers.AdditiveAttention(name="additive")([plain, tokens])
    crossed = layers.MultiHeadAttention(2, 4, value_dim=3, output_shape=6, use_bias=False, name="cross")(
        additive, patches_of(keras, patches)
    )
    return keras.Model(image, layers.GlobalAveragePooling1D(name="pool")(crossed))


def patches_of(keras: Any, patches: Any) -> Any:
    return keras.layers.Reshape((16, 8), name="more_tokens")(patches)


def distributed(keras: Any) -> Any:
    layers = keras.layers
    frames = keras.Input((5, 12, 12, 3), name="frames")
    maps = layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu"), name="conv")(frames)
    maps = layers.TimeDistributed(layers.MaxPooling2D(), name="shrink")(maps)
    inner = keras.Sequential([keras.Input((5, 5, 4)), layers.Conv2D(2, 3, name="deep"), layers.Flatten(name="flat")])
    vectors = layers.TimeDistributed(inner, name="each")(maps)
    return keras.Model(frames, layers.LSTM(3, name="memory")(vectors))


def states(keras: Any) -> Any:
    layers = keras.layers
    sequence = keras.Input((6, 5))
    output, hidden, cell = layers.LSTM(4, return_state=True, return_sequences=True, name="encoder")(sequence)
    decoded = layers.LSTM(4, name="decoder")(output, initial_state=[hidden, cell])
    both = layers.Bidirectional(layers.GRU(3, return_state=True), name="both")(output)
    return keras.Model(sequence, [decoded, *both])


def spectral(keras: Any) -> Any:
    layers = keras.layers
    conv = layers.SpectralNormalization(layers.Conv2D(4, 3), name="spectral")
    return keras.Sequential([keras.Input((8, 8, 3)), conv, layers.Flatten(name="flat")])


def one_dimensional(keras: Any) -> Any:
    layers = keras.layers
    signal = keras.Input((64, 2), name="signal")
    value = layers.Conv1D(8, 5, padding="same", activation="relu", name="conv1")(
        layers.BatchNormalization(name="norm")(signal)
    )
    value = layers.MaxPooling1D(name="pool1")(value)
    value = layers.SeparableConv1D(6, 3, name="conv2")(value)
    return keras.Model(signal, layers.Dense(2, name="head")(layers.LSTM(5, name="memory")(value)))


def generator(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(4 * 4 * 8, name="project"),
            layers.Reshape((4, 4, 8), name="map"),
            layers.Conv2DTranspose(4, 4, strides=2, padding="same", activation="relu", name="up"),
            layers.UpSampling2D(name="scale"),
            layers.Conv2D(3, 3, padding="same", activation="tanh", name="image"),
        ]
    )


def waveform(keras: Any) -> Any:
    layers = keras.layers
    wave = keras.Input((400, 1), name="wave")
    value = layers.Conv1D(16, 9, strides=4, padding="same", use_bias=False, name="stem")(wave)
    value = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(value))
    value = layers.MaxPooling1D(2, name="pool1")(value)
    value = layers.Conv1D(32, 3, padding="causal", activation="relu", name="causal")(value)
    value = layers.AveragePooling1D(2, name="pool2")(value)
    more = layers.Conv1D(32, 3, padding="same", activation="relu", name="body")(value)
    value = layers.SeparableConv1D(64, 3, activation="relu", name="separable")(layers.Add(name="sum")([value, more]))
    return keras.Model(wave, layers.Dense(10, name="head")(layers.GlobalAveragePooling1D(name="gap")(value)))


def u_net(keras: Any) -> Any:
    layers = keras.layers

    def double(value: Any, filters: int, name: str) -> Any:
        value = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}a")(value)
        return layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}b")(value)

    image = keras.Input((32, 32, 3), name="image")
    first = double(image, 8, "down1")
    second = double(layers.MaxPooling2D(name="pool1")(first), 16, "down2")
    value = double(layers.MaxPooling2D(name="pool2")(second), 32, "bottom")
    value = double(layers.Concatenate(name="join2")([layers.UpSampling2D(name="up2")(value), second]), 16, "up2")
    wide = layers.UpSampling2D(interpolation="bilinear", name="up1")(value)
    value = double(layers.Concatenate(name="join1")([wide, first]), 8, "up1")
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(value))


def group_norms(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    value = layers.Conv2D(16, 3, padding="same", name="conv1")(image)
    value = layers.Activation("silu", name="swish")(layers.GroupNormalization(4, name="groups")(value))
    value = layers.Conv2D(32, 3, padding="same", name="conv2")(value)
    value = layers.PReLU(shared_axes=[1, 2], name="prelu")(layers.GroupNormalization(-1, name="instances")(value))
    value = layers.AveragePooling2D(16, name="whole")(value)
    return keras.Model(image, layers.Dense(10, name="head")(layers.Flatten(name="flat")(value)))


def channels_first(keras: Any) -> Any:
    layers = keras.layers
    form = {"data_format": "channels_first"}
    image = keras.Input((3, 16, 12), name="image")
    value = layers.Conv2D(4, 3, strides=2, padding="same", name="conv", **form)(image)
    value = layers.BatchNormalization(axis=1, name="norm")(value)
    value = layers.DepthwiseConv2D(3, name="depthwise", **form)(value)
    value = layers.ZeroPadding2D(1, name="pad", **form)(value)
    value = layers.AveragePooling2D(2, name="pool", **form)(value)
    return keras.Model(image, layers.Dense(2, name="head")(layers.Flatten(name="flat", **form)(value)))


def mixed_layouts(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((3, 16, 12), name="image")
    moved = layers.Permute((2, 3, 1), name="move")(image)
    return keras.Model(image, layers.Conv2D(4, 3, name="conv")(moved))


def half_precision(keras: Any) -> Any:
    layers = keras.layers
    policy = "mixed_float16"
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, dtype=policy, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(dtype=policy, name="pool"),
            layers.Dense(2, dtype="float32", name="head"),
        ]
    )


def brain_float(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, dtype="bfloat16", name="conv")])


def quantized(keras: Any) -> Any:
    model = keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(8, name="hidden"), keras.layers.Dense(4, name="head")]
    )
    model.quantize("int8")
    return model


def merges(keras: Any) -> Any:
    layers = keras.layers
    one, two = keras.Input((5, 6, 4), name="one"), keras.Input((5, 6, 4), name="two")
    vector = keras.Input((4,), name="vector")
    made = [
        getattr(layers, name)(name=name.lower())([one, two])
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
    ]
    rows = layers.Concatenate(axis=1, name="rows")([one, two])
    dot = layers.Dot(axes=-1, name="dot")([vector, layers.GlobalAveragePooling2D(name="pool")(one)])
    wide = layers.Multiply(name="wide")([one, layers.Reshape((1, 1, 4), name="up")(vector)])
    return keras.Model([one, two, vector], [*made, rows, dot, wide])


def sequences_dotted(keras: Any) -> Any:
    one, two = keras.Input((5, 4), name="one"), keras.Input((6, 4), name="two")
    return keras.Model([one, two], keras.layers.Dot(axes=2, name="dot")([one, two]))


def unnamed_sizes(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((None, None, 3), name="image")
    value = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    value = layers.MaxPooling2D(name="shrink")(value)
    return keras.Model(image, layers.Dense(2, name="head")(layers.GlobalAveragePooling2D(name="pool")(value)))


def dictionary(keras: Any) -> Any:
    layers = keras.layers
    inputs = {"zeta": keras.Input((4,), name="zeta"), "alpha": keras.Input((3,), name="alpha")}
    outputs = {
        "sum": layers.Dense(2, name="sum")(inputs["zeta"]),
        "all": layers.Concatenate(name="all")([inputs["alpha"], inputs["zeta"]]),
    }
    return keras.Model(inputs, outputs)


def compiled(keras: Any) -> Any:
    model = residual(keras)
    model.compile(optimizer="adam", loss=keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


NETWORKS: dict[str, Build] = {
    function.__name__: function
    for function in (
        residual, squeeze_excite, shared, encoder, nested, nested_twice, nested_output, frozen, part_of_another,
        in_training_mode, operators, attention, distributed, states, spectral, one_dimensional, generator,
        waveform, u_net, group_norms, channels_first, mixed_layouts, half_precision, brain_float, quantized, merges,
        sequences_dotted, unnamed_sizes, dictionary, compiled,
    )
}  # fmt: skip

ONLY_ARCHIVE = frozenset({"part_of_another", "quantized", "brain_float", "dictionary"})
"""Networks that Keras itself cannot save as a legacy `.h5` and load again."""
