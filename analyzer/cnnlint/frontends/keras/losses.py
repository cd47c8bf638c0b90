"""The losses that a Keras file says the network was trained with."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.records import Config
from cnnlint.frontends.keras.weight_groups import snake_case
from cnnlint.graph.graph import Training

SHORT = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "kld": "kl_divergence",
}  # fmt: skip
"""Keras' short names of losses."""

TAKES_LOGITS = frozenset(
    ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_focal_crossentropy",
     "categorical_focal_crossentropy"]
)  # fmt: skip
"""Losses that have the option `from_logits`, which is off unless it is given."""


def read_losses(training: Config | None) -> tuple[Training, ...]:
    """Return the loss of each output, in the order in which the file has them; () for a model not compiled."""
    if not training:
        return ()
    loss = training.get("loss")
    if loss is None and (inner := settings.mapping(training.get("config"))) is not None:
        # What the user's own `get_compile_config` wrote.
        loss = inner.get("loss")
    if loss is None:
        return ()
    by_output = settings.mapping(loss)
    if by_output is not None and "class_name" not in by_output:
        return tuple(replace(_read(item), output=name) for name, item in by_output.items())
    listed = settings.items(loss)
    return (_read(loss),) if listed is None else tuple(_read(item) for item in listed)


def _read(loss: object) -> Training:
    if loss is None:
        return Training("")
    config = settings.mapping((settings.mapping(loss) or {}).get("config")) or {}
    name = "" if settings.is_custom(loss) else snake_case(settings.function_name(loss) or "")
    if name.endswith("loss_function_wrapper"):
        name = str(config.get("name") or "")
    name = SHORT.get(name, name)
    logits = config.get("from_logits")
    if logits is None and name in TAKES_LOGITS:
        logits = False
    return Training(name, logits if isinstance(logits, bool) else None)
