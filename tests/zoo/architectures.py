"""Every net of keras.applications, and a small member of each family with other arguments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import keras

NETS = (
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "DenseNet121", "DenseNet169", "DenseNet201",
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5",
    "EfficientNetB6", "EfficientNetB7",
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L",
    "EfficientNetV2M", "EfficientNetV2S",
    "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small",
    "NASNetLarge", "NASNetMobile",
    "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2",
    "VGG16", "VGG19", "Xception",
)  # fmt: skip
"""The nets of keras.applications, built as their constructors have them, without weights from the network."""

GIANTS = (
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2L",
    "EfficientNetV2M", "NASNetLarge", "VGG19",
)  # fmt: skip
"""Nets whose files are not kept: each takes from 300 MB to 3 GB with its conversion."""


SETTLED = (
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
    "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S",
)  # fmt: skip
"""Nets whose norms hold the statistics of a pass over noise.

With statistics drawn at random, the activations of nets this deep grow a million times over, and their gates make of
1e-6 at the input half of the output: rounding alone would make Keras and onnxruntime differ.
"""


class Recipe(NamedTuple):
    """How to call a constructor.

    Attributes:
        module: Of `keras.src.applications`, where the constructors are that take depths and widths.
        constructor: The name of the function.
        arguments: Its arguments, besides `weights`.
    """

    module: str
    constructor: str
    arguments: dict[str, Any]


IMAGE = (64, 64, 3)

SMALL: dict[str, Recipe] = {
    "small_convnext": Recipe(
        "convnext", "ConvNeXt",
        {"depths": (1, 1, 2, 1), "projection_dims": (8, 16, 24, 32), "drop_path_rate": 0.1, "input_shape": IMAGE},
    ),
    "small_densenet": Recipe("densenet", "DenseNet", {"blocks": (2, 2, 3, 2), "input_shape": IMAGE, "classes": 12}),
    "small_efficientnet": Recipe(
        "efficientnet", "EfficientNet",
        {"width_coefficient": 0.25, "depth_coefficient": 0.4, "default_size": 64, "input_shape": IMAGE},
    ),
    "small_efficientnet_v2": Recipe(
        "efficientnet_v2", "EfficientNetV2",
        {
            "width_coefficient": 0.25, "depth_coefficient": 0.4, "default_size": 64, "input_shape": IMAGE,
            "name": "efficientnetv2-b0",
        },
    ),
    "small_mobilenet": Recipe("mobilenet", "MobileNet", {"alpha": 0.25, "input_shape": IMAGE, "dropout": 0.2}),
    "small_mobilenet_v2": Recipe(
        "mobilenet_v2", "MobileNetV2",
        {"alpha": 0.35, "input_shape": IMAGE, "include_top": False, "pooling": "max"},
    ),
    "small_mobilenet_v3": Recipe("mobilenet_v3", "MobileNetV3Small", {"input_shape": IMAGE, "classes": 5}),
    "small_mobilenet_v3_minimalistic": Recipe(
        "mobilenet_v3", "MobileNetV3Large",
        {"input_shape": IMAGE, "minimalistic": True, "include_preprocessing": False, "classes": 5},
    ),
    "small_nasnet": Recipe(
        "nasnet", "NASNet",
        {
            "input_shape": IMAGE, "penultimate_filters": 384, "num_blocks": 1, "stem_block_filters": 8,
            "skip_reduction": False, "classes": 5, "default_size": 64,
        },
    ),
    "small_vgg": Recipe("vgg16", "VGG16", {"input_shape": (32, 32, 3), "include_top": False, "pooling": "avg"}),
}  # fmt: skip


def make(name: str) -> keras.Model:
    """Build the net `name`, of `NETS` or `SMALL`, as its constructor initializes it."""
    if name in SMALL:
        recipe = SMALL[name]
        module = import_module(f"keras.src.applications.{recipe.module}")
        return getattr(module, recipe.constructor)(weights=None, **recipe.arguments)
    return getattr(import_module("keras.applications"), name)(weights=None)
