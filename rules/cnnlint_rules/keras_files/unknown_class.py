"""KR001: classes that Keras does not have, or cannot find without the user's code."""

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


class UnknownClass(KerasRule, code="KR001", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The configuration names a class that Keras does not have, or one of your own that is not registered.

    ## Why
    `keras.saving.load_model` makes every object of the file from its class. Where Keras has none of this name, the
    model cannot be loaded: the name is misspelled, or the configuration was written by hand or for another version of
    Keras. A class of your own is found where it is registered and its module was imported; one that is not can be
    loaded only by who knows the class and passes it as `custom_objects`.

    ## Instead
    Register classes of your own, and save again:

        @keras.saving.register_keras_serializable(package="vision")
        class Attention(keras.layers.Layer): ...

    ## When not
    A class of your own that is not registered is information, since `custom_objects` loads it. Archives that a newer
    Keras wrote than cnnlint knows, and files of Keras 2, are not judged.

    ## References
    - Keras, "Save, serialize, and export models", "Custom objects".
    """

    def check(self, file: KerasFile, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each class that is not known, once for all layers that are of it or hold it."""
        if not file.is_judged:
            yield self.skip(reason=f"it was written by Keras {file.archive.keras_version or 'of unknown version'}")
            return
        seen = dict[tuple[str, str, str], list[str]]()
        for each in file.objects:
            seen.setdefault((each.module, each.class_name, each.registered), []).append(each.layer)
        for (module, name, registered), layers in seen.items():
            names = tuple(dict.fromkeys(filter(None, layers)))
            where = f" of {', '.join(names[:3])}{', …' if len(names) > 3 else ''}" if names else ""
            is_own = module.partition(".")[0] not in {"", "keras", "builtins"}
            if is_own and ">" not in registered and not module.startswith(("tensorflow", "tf_keras")):
                yield self.finding(
                    *context.layers_at(names),
                    message=f"The class {name} of {module}{where} is not registered: load_model finds it in"
                    " custom_objects only.",
                    evidence={},
                    advice=Advice(
                        text="Decorate the class with keras.saving.register_keras_serializable, and save again"
                    ),
                    severity=Severity.INFO,
                    subject=f"{module} {name}",
                )
            elif not is_own and EXPORTED.get(module, module.startswith("keras.")) and _is_unknown(module, name):
                yield self.finding(
                    *context.layers_at(names),
                    message=f"Keras has no class {name} in {module}, which the configuration{where} names: load_model"
                    " refuses the file.",
                    evidence={},
                    advice=Advice(text="Correct the name, or save the model anew with the Keras that loads it"),
                    subject=f"{module} {name}",
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many classes are not known, and what of the first."""
        return self.several(places, "classes are not known to Keras", "Register classes of your own, and save again")

    examples = (
        Bad(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "Swishh", "module": "keras.layers", "config": {"name": "act"}}
            ]}}
            """,
            at=("act",),
        ),
        Good(
            """
            {"class_name": "Sequential", "module": "keras", "config": {"name": "net", "layers": [
                {"class_name": "InputLayer", "module": "keras.layers", "config": {
                    "name": "image", "batch_shape": [null, 8, 8, 3], "dtype": "float32"}},
                {"class_name": "ReLU", "module": "keras.layers", "config": {"name": "act"}}
            ]}}
            """
        ),
    )


EXPORTED = {"keras": True, "builtins": False, "": False}
"""Whether a module is one that Keras exports classes from."""


def _is_unknown(module: str, name: str) -> bool:
    inside = ".src" in module or module.endswith(".src")
    return not inside and name not in MODELS and known_class(module, name) is None


MODELS = frozenset({"Functional", "function"})
"""Names by which Keras also writes what it exports by another, or nowhere."""
