"""What a Keras file says of training: the arguments of `compile` as Keras 2 and 3 spell them, and initializers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from msgspec.structs import replace

from cnnlint.frontends.keras.settings import Config, function_name, is_custom, items, mapping, snake_case
from cnnlint.graph.training import Initializer, Loss, Metric, Optimizer, Training

SHORT = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence", "logcosh": "log_cosh", "acc": "accuracy", "ce": "crossentropy",
}  # fmt: skip
"""Keras's short and former names of losses and metrics."""

TAKES_LOGITS = frozenset(
    ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_focal_crossentropy",
     "categorical_focal_crossentropy"]
)  # fmt: skip
"""Losses with the option `from_logits`, which is off by default."""

WRAPPERS = ("loss_function_wrapper", "mean_metric_wrapper", "sum_over_batch_size_metric_wrapper")
"""Classes around a function, as Keras 2 saves them."""


def read_training(compiled: Config | None, initializers: dict[str, Initializer]) -> Training:
    """Return what the arguments of `compile` say, None for a model that is not compiled, beside its initializers."""
    if not compiled:
        return Training(initializers=initializers)
    if compiled.get("loss") is None and (inner := mapping(compiled.get("config"))) is not None:
        compiled = {**compiled, **inner}  # written by a custom `get_compile_config`
    return Training(
        losses=_losses(compiled.get("loss")),
        metrics=(*_metrics(compiled.get("metrics")), *_metrics(compiled.get("weighted_metrics"))),
        optimizer=_optimizer(compiled.get("optimizer", compiled.get("optimizer_config"))),
        initializers=initializers,
    )


def _losses(loss: object) -> tuple[Loss, ...]:
    if loss is None:
        return ()
    by_output = mapping(loss)
    if by_output is not None and "class_name" not in by_output:
        return tuple(replace(_loss(item), output=name) for name, item in by_output.items())
    listed = items(loss)
    return (_loss(loss),) if listed is None else tuple(_loss(item) for item in listed)


def _loss(loss: object) -> Loss:
    if loss is None:
        return Loss("")
    name, config = _named(loss)
    logits = config.get("from_logits")
    if logits is None and name in TAKES_LOGITS:
        logits = False
    return Loss(name, logits if isinstance(logits, bool) else None)


def _metrics(given: object) -> Iterator[Metric]:
    """Yield metrics: one, a list for all outputs, a list of lists by position, or lists by output's name."""
    by_output = mapping(given)
    if by_output is not None and "class_name" not in by_output:
        for name, listed in by_output.items():
            found = items(listed)
            given_here = [listed] if found is None else found
            yield from (replace(_metric(item), output=name) for item in given_here if item is not None)
        return
    listed = items(given)
    for place, item in enumerate([given] if listed is None else listed):
        inner = items(item)
        if inner is not None:
            yield from (replace(_metric(each), place=place) for each in inner if each is not None)
        elif item is not None:
            yield _metric(item)


def _metric(metric: object) -> Metric:
    name, config = _named(metric)
    if name == "accuracy" and (mapping(metric) or {}).get("class_name") == "Accuracy":
        name = "exact_accuracy"
    threshold = config.get("threshold", config.get("thresholds"))
    return Metric(
        name,
        threshold=float(threshold) if isinstance(threshold, int | float) else None,
        from_logits=config.get("from_logits") is True,
    )


def _named(given: object) -> tuple[str, Config]:
    """Return the name of a loss or metric in snake case, "" for a custom one, and its configuration."""
    config = mapping((mapping(given) or {}).get("config")) or {}
    name = "" if is_custom(given) else snake_case(function_name(given) or "")
    if name.endswith(WRAPPERS):
        wrapped = config.get("fn")
        name = snake_case(function_name(wrapped) or "") if wrapped is not None else str(config.get("name") or "")
        name = "" if is_custom(wrapped) else name
    return SHORT.get(name, name), config


def _optimizer(given: object) -> Optimizer | None:
    if given is None:
        return None
    if isinstance(given, str):
        return Optimizer(given.lower())
    config = mapping((mapping(given) or {}).get("config")) or {}
    inner = config.get("inner_optimizer", config.get("optimizer"))
    if mapping(inner) is not None:  # scaled losses, averaged weights
        return _optimizer(inner)
    rate = config.get("learning_rate", config.get("lr"))
    momentum = config.get("momentum")
    schedule = mapping(rate)
    return Optimizer(
        "" if is_custom(given) else snake_case(function_name(given) or "").replace("_", ""),
        learning_rate=_single(rate),
        momentum=_single(momentum),
        schedule="" if schedule is None else str(schedule.get("class_name") or "schedule"),
    )


def _single(value: object) -> float | None:
    """Return a number without the digits that single precision added: 0.01 for 0.009999999776482582."""
    return float(f"{value:.7g}") if isinstance(value, int | float) and not isinstance(value, bool) else None


CONSTANTS = {"zeros": 0.0, "zero": 0.0, "ones": 1.0, "one": 1.0}
"""Initializers that give all elements one number, in Keras 1 to 3."""

KEYS = {"depthwise_kernel": "depthwise_initializer", "pointwise_kernel": "pointwise_initializer",
        "recurrent_kernel": "recurrent_initializer"}  # fmt: skip
"""Role of a weight -> the name of its initializer in the layer's configuration, if it is not `ROLE_initializer`."""


def initializer_of(role: str, config: Config) -> Initializer | None:
    """Return how the configuration of a layer has its weight of this role initialized; None if it does not say."""
    given = config.get(KEYS.get(role) or f"{role}_initializer")
    if given is None:
        return None
    name = "" if is_custom(given) else _spelled(function_name(given) or "")
    value: object = CONSTANTS.get(name)
    if name == "constant":
        value = (mapping((mapping(given) or {}).get("config")) or {}).get("value", 0.0)
    return Initializer(name, float(value) if isinstance(value, int | float) else None)


_spelled = cache(snake_case)
