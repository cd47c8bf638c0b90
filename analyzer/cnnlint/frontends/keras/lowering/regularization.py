"""Layers that work in training only: dropout, noise, augmentation."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.operators import add_same
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Dropout

AUGMENTATIONS = (
    "AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "Equalization", "MixUp",
    "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization",
)  # fmt: skip


def _dropout(call: Call) -> View:
    view = call.view
    rate = call.config.get("rate")
    layer = Dropout(
        inputs=(view.tensor,),
        rate=float(rate) if isinstance(rate, int | float) else None,
        spatial=call.layer.class_name.startswith("Spatial"),
        training=call.in_training_mode,
        **call.identity(),
    )
    return call.add(layer, like=view)


LAYERS: dict[str, Callable[[Call], View]] = {
    "Dropout": _dropout, "AlphaDropout": _dropout, "GaussianDropout": _dropout, "SpatialDropout1D": _dropout,
    "SpatialDropout2D": _dropout, "SpatialDropout3D": _dropout, "GaussianNoise": add_same,
    **dict.fromkeys(AUGMENTATIONS, add_same),
}  # fmt: skip
