"""Small Keras models, one for each way to set up a layer; `keras` is an argument, so that naming them is cheap."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Build = Callable[[Any], Any]

SIDE = {1: (13,), 2: (13, 11), 3: (9, 8, 7)}


def chain(keras: Any, shape: tuple[int | None, ...], *specs: tuple[str, dict[str, Any]], dtype: str = "float32") -> Any:
    """Build a Sequential model of layers given by class name and arguments."""
    layers = [getattr(keras.layers, name)(**options) for name, options in specs]
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def _chain(keras: Any, shape: tuple[int | None, ...], specs: tuple[tuple[str, dict[str, Any]], ...], dtype: str) -> Any:
    return chain(keras, shape, *specs, dtype=dtype)


def one(shape: tuple[int | None, ...], name: str, dtype: str = "float32", **options: Any) -> Build:
    """Return the builder of a model of one layer."""
    return partial(_chain, shape=shape, specs=((name, options),), dtype=dtype)


def _windows() -> dict[str, Build]:
    cases = dict[str, Build]()
    for rank in (1, 2, 3):
        last, first = (*SIDE[rank], 4), (4, *SIDE[rank])
        settings: dict[str, dict[str, Any]] = {
            "valid": {"kernel_size": 3},
            "same": {"kernel_size": 3, "padding": "same"},
            "same-strided": {"kernel_size": 3, "padding": "same", "strides": 2},
            "even-kernel": {"kernel_size": 2, "padding": "same", "strides": 3},
            "valid-strided": {"kernel_size": 2, "strides": 3, "use_bias": False},
            "dilated": {"kernel_size": 2, "dilation_rate": 2, "padding": "same"},
            "dilated-valid": {"kernel_size": 3, "dilation_rate": 2},
            "activated": {"kernel_size": 1, "activation": "relu"},
        }
        for name, setting in settings.items():
            cases[f"Conv{rank}D-{name}"] = one(last, f"Conv{rank}D", filters=6, **setting)
            if rank < 3 and "strided" not in name and name != "even-kernel":
                cases[f"SeparableConv{rank}D-{name}"] = one(last, f"SeparableConv{rank}D", filters=6, **setting)
                cases[f"DepthwiseConv{rank}D-{name}"] = one(last, f"DepthwiseConv{rank}D", **setting)
        cases[f"Conv{rank}D-grouped"] = one(last, f"Conv{rank}D", filters=6, kernel_size=3, groups=2)
        cases[f"Conv{rank}D-channels-first"] = one(
            first, f"Conv{rank}D", filters=6, kernel_size=3, padding="same", strides=2, data_format="channels_first"
        )
        for name, setting in {
            "valid": {"kernel_size": 3},
            "strided": {"kernel_size": 3, "strides": 2},
            "small-kernel": {"kernel_size": 1, "strides": 3},
            "same": {"kernel_size": 4, "strides": 2, "padding": "same"},
            "extra": {"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
            "extra-valid": {"kernel_size": 4, "strides": 3, "output_padding": 2, "activation": "tanh"},
            "dilated": {"kernel_size": 3, "dilation_rate": 2},
        }.items():
            if name == "dilated" and rank == 3:
                continue
            cases[f"Conv{rank}DTranspose-{name}"] = one(last, f"Conv{rank}DTranspose", filters=5, **setting)
        for mode in ("Max", "Average"):
            pool = f"{mode}Pooling{rank}D"
            cases[f"{pool}-default"] = one(last, pool, pool_size=2)
            cases[f"{pool}-same"] = one(last, pool, pool_size=3, padding="same")
            cases[f"{pool}-overlapping"] = one(last, pool, pool_size=3, strides=2)
            cases[f"{pool}-channels-first"] = one(first, pool, pool_size=2, data_format="channels_first")
            cases[f"Global{pool}"] = one(last, f"Global{pool}")
            cases[f"Global{pool}-kept"] = one(last, f"Global{pool}", keepdims=True)
            cases[f"Global{pool}-first"] = one(first, f"Global{pool}", data_format="channels_first")
            cases[f"Adaptive{pool}"] = one(last, f"Adaptive{pool}", output_size=4)
        cases[f"ZeroPadding{rank}D"] = one(last, f"ZeroPadding{rank}D", padding=2)
        cases[f"Cropping{rank}D"] = one(last, f"Cropping{rank}D", cropping=2)
        cases[f"UpSampling{rank}D"] = one(last, f"UpSampling{rank}D", size=2)
        cases[f"SpatialDropout{rank}D"] = one(last, f"SpatialDropout{rank}D", rate=0.3)
    cases["Conv1D-causal"] = one((13, 4), "Conv1D", filters=6, kernel_size=3, padding="causal", dilation_rate=2)
    cases["DepthwiseConv2D-multiplied"] = one((13, 11, 4), "DepthwiseConv2D", kernel_size=3, depth_multiplier=2)
    cases["SeparableConv2D-multiplied"] = one(
        (13, 11, 4), "SeparableConv2D", filters=5, kernel_size=3, depth_multiplier=2, strides=2, use_bias=False
    )
    cases["Conv2D-rectangular"] = one((13, 11, 4), "Conv2D", filters=6, kernel_size=(1, 5), strides=(2, 1))
    cases["Conv2D-unknown-size"] = one((None, None, 4), "Conv2D", filters=6, kernel_size=3, strides=2)
    cases["ZeroPadding2D-asymmetric"] = one((13, 11, 4), "ZeroPadding2D", padding=((1, 0), (2, 3)))
    cases["ZeroPadding1D-asymmetric"] = one((13, 4), "ZeroPadding1D", padding=(1, 2))
    cases["Cropping2D-asymmetric"] = one((13, 11, 4), "Cropping2D", cropping=((1, 0), (2, 3)))
    cases["Cropping1D-asymmetric"] = one((13, 4), "Cropping1D", cropping=(1, 3))
    cases["UpSampling2D-bilinear"] = one((13, 11, 4), "UpSampling2D", size=(2, 3), interpolation="bilinear")
    return cases


def _features() -> dict[str, Build]:
    return {
        "Dense-vector": one((7,), "Dense", units=3),
        "Dense-map": one((5, 6, 7), "Dense", units=3, use_bias=False),
        "Dense-tokens": one((6, 7), "Dense", units=3, activation="gelu"),
        "EinsumDense-tokens": one((6, 7), "EinsumDense", equation="abc,cd->abd", output_shape=(None, 3), bias_axes="d"),
        "EinsumDense-heads": one((6, 8), "EinsumDense", equation="abc,cde->abde", output_shape=(None, 2, 4)),
        "EinsumDense-joined": one((6, 2, 4), "EinsumDense", equation="abcd,cde->abe", output_shape=(None, 5)),
        "BatchNormalization": one((5, 6, 7), "BatchNormalization"),
        "BatchNormalization-bare": one((5, 6, 7), "BatchNormalization", center=False, scale=False),
        "BatchNormalization-first": one((5, 6, 7), "BatchNormalization", axis=1),
        "BatchNormalization-frozen": one((5, 6, 7), "BatchNormalization", trainable=False),
        "BatchNormalization-vector": one((7,), "BatchNormalization", scale=False),
        "LayerNormalization": one((5, 6, 7), "LayerNormalization"),
        "LayerNormalization-axes": one((5, 6, 7), "LayerNormalization", axis=(1, 2, 3), center=False),
        "LayerNormalization-tokens": one((6, 7), "LayerNormalization", epsilon=1e-6),
        "GroupNormalization": one((5, 6, 8), "GroupNormalization", groups=4),
        "GroupNormalization-instance": one((5, 6, 8), "GroupNormalization", groups=-1),
        "RMSNormalization": one((6, 7), "RMSNormalization"),
        "UnitNormalization": one((5, 6, 7), "UnitNormalization"),
        "Rescaling": one((5, 6, 3), "Rescaling", scale=1 / 255, offset=-1),
        "Normalization": one((5, 6, 3), "Normalization", axis=-1),
        "Normalization-given": one((5, 6, 3), "Normalization", mean=[0.4, 0.5, 0.6], variance=[1.0, 2.0, 3.0]),
        "Flatten": one((5, 6, 7), "Flatten"),
        "Flatten-first": one((5, 6, 7), "Flatten", data_format="channels_first"),
        "Reshape-vector": one((4, 6), "Reshape", target_shape=(24,)),
        "Reshape-map": one((12,), "Reshape", target_shape=(2, 2, 3)),
        "Reshape-tokens": one((4, 6, 5), "Reshape", target_shape=(-1, 5)),
        "Reshape-rest": one((4, 6, 5), "Reshape", target_shape=(2, -1)),
        "Permute-tokens": one((6, 7), "Permute", dims=(2, 1)),
        "Permute-map": one((5, 6, 7), "Permute", dims=(2, 1, 3)),
        "RepeatVector": one((6,), "RepeatVector", n=3),
        "Resizing": one((5, 6, 3), "Resizing", height=9, width=4),
        "CenterCrop": one((9, 8, 3), "CenterCrop", height=5, width=4),
        "RandomCrop": one((9, 8, 3), "RandomCrop", height=5, width=4),
        "Embedding": one((6,), "Embedding", input_dim=20, output_dim=5, dtype="int32"),
        "Masking": one((6, 7), "Masking"),
        "Identity": one((6, 7), "Identity"),
        "Discretization": one((7,), "Discretization", bin_boundaries=[0.0, 1.0]),
        **{
            name: one((5, 6, 7), name, **options)
            for name, options in {
                "Dropout": {"rate": 0.5}, "AlphaDropout": {"rate": 0.1}, "GaussianDropout": {"rate": 0.1},
                "GaussianNoise": {"stddev": 0.1}, "ActivityRegularization": {"l2": 0.1},
            }.items()
        },
        **{
            name: one((8, 8, 3), name, **options)
            for name, options in {
                "RandomFlip": {}, "RandomRotation": {"factor": 0.1}, "RandomZoom": {"height_factor": 0.1},
                "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1}, "RandomContrast": {"factor": 0.1},
            }.items()
        },
    }  # fmt: skip


FUNCTIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh",
    "silu", "hard_silu", "mish", "softplus", "softsign", "softmax", "log_softmax", "exponential", "linear",
    "log_sigmoid",
    "threshold", "squareplus", "sparsemax", "tanh_shrink", "soft_shrink", "hard_shrink", "sparse_plus",
    "sparse_sigmoid",
)  # fmt: skip


def _activations() -> dict[str, Build]:
    cases = {f"Activation-{name}": one((5, 6, 8), "Activation", activation=name) for name in FUNCTIONS}
    cases |= {f"Dense-{name}": one((8,), "Dense", units=4, activation=name) for name in ("softmax", "silu", "relu6")}
    return cases | {
        "ReLU": one((5, 6, 8), "ReLU"),
        "ReLU-six": one((5, 6, 8), "ReLU", max_value=6.0),
        "ReLU-capped": one((5, 6, 8), "ReLU", max_value=3.0),
        "ReLU-leaky": one((5, 6, 8), "ReLU", negative_slope=0.1),
        "ReLU-threshold": one((5, 6, 8), "ReLU", threshold=0.5),
        "LeakyReLU": one((5, 6, 8), "LeakyReLU", negative_slope=0.2),
        "PReLU": one((5, 6, 8), "PReLU"),
        "PReLU-shared": one((5, 6, 8), "PReLU", shared_axes=[1, 2]),
        "ELU": one((5, 6, 8), "ELU", alpha=0.5),
        "Softmax": one((5, 6, 8), "Softmax"),
        "Softmax-rows": one((5, 6, 8), "Softmax", axis=1),
        "Softmax-axes": one((5, 6, 8), "Softmax", axis=[1, 2]),
    }


def _sequences() -> dict[str, Build]:
    cases = dict[str, Build]()
    for cell in ("LSTM", "GRU", "SimpleRNN"):
        cases[cell] = one((6, 5), cell, units=4)
        cases[f"{cell}-sequences"] = one((6, 5), cell, units=4, return_sequences=True, use_bias=False)
        for merge in ("concat", "sum"):
            cases[f"Bidirectional-{cell}-{merge}"] = partial(bidirectional, cell=cell, merge=merge)
    cases["GRU-old"] = one((6, 5), "GRU", units=4, reset_after=False)
    cases["LSTM-unknown-length"] = one((None, 5), "LSTM", units=4, return_sequences=True)
    cases["ConvLSTM2D"] = partial(distributed_before_dense, layer="ConvLSTM2D")
    for name, options in {"": {}, "-untied": {"tie_weights": False}, "-capped": {"logit_soft_cap": 30.0}}.items():
        cases[f"ReversibleEmbedding{name}"] = partial(there_and_back, **options)
    return cases


def bidirectional(keras: Any, cell: str, merge: str) -> Any:
    """Build a bidirectional recurrent network."""
    inner = getattr(keras.layers, cell)(4, return_sequences=True)
    return keras.Sequential([keras.Input((6, 5)), keras.layers.Bidirectional(inner, merge_mode=merge)])


def there_and_back(keras: Any, **options: Any) -> Any:
    """Build a language model's embedding, which is also its projection to the vocabulary."""
    tokens, table = keras.Input((6,), dtype="int32"), keras.layers.ReversibleEmbedding(20, 5, **options)
    return keras.Model(tokens, table(keras.layers.LayerNormalization()(table(tokens)), reverse=True))


def distributed_before_dense(keras: Any, layer: str) -> Any:
    """Build a layer over sequences of maps whose output shape the file notes, as another layer follows."""
    made = getattr(keras.layers, layer)(3, 3)
    return keras.Sequential([keras.Input((4, 6, 6, 2)), made, keras.layers.Dense(2)])


LAYERS: dict[str, Build] = {**_windows(), **_features(), **_activations(), **_sequences()}
