"""KR003: arrays of the weights file that are not those of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    KerasFile,
    KerasRule,
    NearMiss,
    Severity,
    shown_shape,
)


class WrongWeights(KerasRule, code="KR003", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The arrays that the file holds for a layer are not those that its configuration makes.

    ## Why
    An archive holds the configuration and the weights apart. `keras.saving.load_model` builds the layers by the first
    and fills them from the second, in order, and refuses the whole model where number or shape differ. That happens
    where one of the two was taken from another model: a configuration that was edited to have more classes, weights
    that were copied into an archive.

    ## Instead
    Build the model in code. Load what fits by `model.load_weights(path, skip_mismatch=True)`, train the rest, and save.

    ## When not
    Layers whose arrays follow from more than their settings and the shape that they were built for are not judged, nor
    quantized ones. A convolution or dense layer with fewer weights than its configuration needs is not read at all.

    ## References
    - Keras, "Model saving APIs", `load_model` and `load_weights`.
    """

    def check(self, file: KerasFile, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each layer whose arrays are others than its configuration makes."""
        for layer, wanted, held in file.wrong_weights():
            shown = ", ".join(map(shown_shape, held)) or "none"
            yield self.finding(
                *context.layers_at([layer.path]),
                message=f"The layer {layer.path} has the arrays {shown} in the file, and by its configuration"
                f" {', '.join(map(shown_shape, wanted))}: load_model refuses the file.",
                evidence={"held": len(held), "wanted": len(wanted)} if held else {"wanted": len(wanted)},
                advice=Advice(text="Build the model in code, load the weights that fit, and save it"),
            )

    examples = (
        Bad(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "BatchNormalization", "module": "keras.layers", "config": {
                    "name": "bn", "axis": -1}, "build_config": {"input_shape": [null, 8, 8, 3]}}
            ]},
            "weights": {"layers/batch_normalization/vars/0": [3], "layers/batch_normalization/vars/1": [3],
                "layers/batch_normalization/vars/2": [3]}}
            """,
            at=("bn",),
        ),
        Good(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "BatchNormalization", "module": "keras.layers", "config": {
                    "name": "bn", "axis": -1}, "build_config": {"input_shape": [null, 8, 8, 3]}}
            ]},
            "weights": {"layers/batch_normalization/vars/0": [3], "layers/batch_normalization/vars/1": [3],
                "layers/batch_normalization/vars/2": [3], "layers/batch_normalization/vars/3": [3]}}
            """
        ),
    )
