"""KR002: settings that a class of Keras does not have, or lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    Good,
    KerasFile,
    KerasRule,
    NearMiss,
    Severity,
    known_class,
)


class UnknownSetting(KerasRule, code="KR002", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A layer of the configuration has a setting that its class does not take, or lacks one that it must have.

    ## Why
    `keras.saving.load_model` gives the settings of a layer to its class as arguments, and an argument that the class
    does not take, or one that is missing, makes it fail for the whole model. Such files come from configurations that
    were edited by hand or by a script, and from a Keras that had the setting while the one that loads it has not.

    ## Instead
    Build the model in code, load the weights (`model.load_weights`) and save it. In the file, correct the spelling.

    ## When not
    Classes that read their configuration in their own way are not judged, nor archives that a newer Keras wrote than
    cnnlint knows.

    ## References
    - Keras, "Layers API": the arguments of each class.
    """

    def check(self, file: KerasFile, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each setting that is unknown or missing."""
        if not file.is_judged:
            yield self.skip(reason=f"it was written by Keras {file.archive.keras_version or 'of unknown version'}")
            return
        for each in file.objects:
            known = known_class(each.module, each.class_name) if each.layer else None
            if known is None or known.required is None:
                continue
            for name in each.settings.keys() - known.required - known.optional:
                yield self._finding(
                    context, each.layer, f"has the setting {name!r}, which {each.class_name} does not take"
                )
            for name in sorted(known.required - each.settings.keys()):
                yield self._finding(
                    context, each.layer, f"lacks the setting {name!r}, which {each.class_name} must have"
                )

    def _finding(self, context: Context, layer: str, wrong: str) -> Diagnostic:
        return self.finding(
            *context.layers_at([layer]),
            message=f"The layer {layer} {wrong}: load_model refuses the file.",
            evidence={},
            advice=Advice(text="Correct the configuration, or build the model in code and save it"),
            subject=wrong,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many settings are wrong, and what of the first."""
        return self.several(places, "settings are wrong", "Build the model in code and save it")

    examples = (
        Bad(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "MaxPooling2D", "module": "keras.layers", "config": {
                    "name": "pool", "pool_size": [2, 2], "strides": [2, 2], "pading": "same"}}
            ]}}
            """,
            at=("pool",),
        ),
        Good(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "MaxPooling2D", "module": "keras.layers", "config": {
                    "name": "pool", "pool_size": [2, 2], "strides": [2, 2], "padding": "same"}}
            ]}}
            """
        ),
    )
