"""How a network is compiled and initialized, as code in Keras and PyTorch."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.training import Initializer, Loss, Metric, Optimizer, Training

OPTIMIZERS = {
    "sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "nadam": "Nadam", "adamax": "Adamax", "rmsprop": "RMSprop",
    "adadelta": "Adadelta", "adagrad": "Adagrad", "lion": "Lion",
}  # fmt: skip

TORCH_OPTIMIZERS = {**OPTIMIZERS, "nadam": "NAdam"}

TORCH_LOSSES: dict[tuple[str, bool | None], str] = {
    ("sparse_categorical_crossentropy", True): "CrossEntropyLoss",
    ("categorical_crossentropy", True): "CrossEntropyLoss",
    ("binary_crossentropy", True): "BCEWithLogitsLoss", ("binary_crossentropy", False): "BCELoss",
    ("mean_squared_error", None): "MSELoss", ("mean_absolute_error", None): "L1Loss", ("huber", None): "HuberLoss",
}  # fmt: skip
"""Loss and whether it takes logits -> PyTorch's module; what it has none for needs more than a line."""

DEFAULT = {"kernel": "glorot_uniform", "bias": "zeros"}

METRICS = {"exact_accuracy": "keras.metrics.Accuracy", "auc": "keras.metrics.AUC"}


def keras_compile(training: Training) -> str:
    """Return the call of `model.compile`; "" for a network that is not compiled."""
    arguments = list[str]()
    if training.optimizer is not None:
        arguments.append(f"optimizer={_keras_optimizer(training.optimizer)}")
    if training.losses:
        losses = [_keras_loss(loss) for loss in training.losses]
        arguments.append(f"loss={losses[0]}" if len(losses) == 1 else f"loss=[{', '.join(losses)}]")
    if training.metrics:
        arguments.append(f"metrics=[{', '.join(map(_keras_metric, training.metrics))}]")
    return f"model.compile({', '.join(arguments)})" if arguments else ""


def keras_initializers(graph: Graph, layer: Layer) -> str:
    """Return the arguments that say how the layer's weights begin, each after a comma; "" if as Keras begins."""
    told = ((weight.role, graph.training.initializers.get(weight.key)) for weight in layer.weights)
    return "".join(
        f", {role}_initializer={_initializer(each)}" for role, each in told if each and each.name != DEFAULT.get(role)
    )


def torch_training(training: Training) -> list[str]:
    """Return the lines that make the loss and the optimizer, where PyTorch has a class for each."""
    lines = list[str]()
    if len(training.losses) == 1:
        loss = training.losses[0]
        if (module := TORCH_LOSSES.get((loss.name, loss.from_logits))) is not None:
            lines.append(f"loss = nn.{module}()")
    optimizer = training.optimizer
    if optimizer is not None and optimizer.name in TORCH_OPTIMIZERS and (optimizer.learning_rate or -1) >= 0:
        momentum = f", momentum={optimizer.momentum:g}" if optimizer.momentum else ""
        made = f"{TORCH_OPTIMIZERS[optimizer.name]}(model.parameters(), lr={optimizer.learning_rate:g}{momentum})"
        lines.append(f"optimizer = torch.optim.{made}")
    return lines


def _keras_optimizer(optimizer: Optimizer) -> str:
    rate = "None" if optimizer.learning_rate is None else f"{optimizer.learning_rate:g}"
    if optimizer.schedule:
        rate = f"keras.optimizers.schedules.{optimizer.schedule}(0.001, decay_steps=10_000)"
    momentum = f", momentum={optimizer.momentum:g}" if optimizer.momentum else ""
    return f"keras.optimizers.{OPTIMIZERS.get(optimizer.name, 'Optimizer')}({rate}{momentum})"


def _keras_loss(loss: Loss) -> str:
    if loss.from_logits is None:
        return f'"{loss.name}"'
    logits = "from_logits=True" if loss.from_logits else ""
    return f"keras.losses.{_class(loss.name)}({logits})"


def _keras_metric(metric: Metric) -> str:
    if metric.threshold is None and not metric.from_logits and metric.name not in METRICS:
        return f'"{metric.name}"'
    threshold = "" if metric.threshold is None else f"threshold={metric.threshold:g}"
    arguments = ", ".join(part for part in (threshold, "from_logits=True" if metric.from_logits else "") if part)
    return f"{METRICS.get(metric.name, f'keras.metrics.{_class(metric.name)}')}({arguments})"


def _initializer(initializer: Initializer) -> str:
    if initializer.name == "constant" and initializer.value is not None:
        return f"keras.initializers.Constant({initializer.value:g})"
    return f'"{initializer.name}"'


def _class(name: str) -> str:
    """Return the name of Keras's class: "BinaryAccuracy" for binary_accuracy."""
    return "".join(part.capitalize() for part in name.split("_"))
