"""Budgets: what a network may cost, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Annotated

from msgspec import Meta, Struct, field

from cnnlint.analysis.context import Context
from cnnlint.analysis.cost import tensor_bytes
from cnnlint.engine.rule import ModelRule
from cnnlint.graph.quantity import Unit, parse_amount
from cnnlint.results import BudgetResult

Amount = int | float | str


class Quantity(Struct, frozen=True):
    """Something about a network that can be limited.

    Attributes:
        name: What it is called, a plural.
        words: What follows the amount in a sentence.
        unit: How its amounts are written.
        measure: The amount; None if unknown.
        unknown: Why it is unknown, as a clause.
        costs: The amount that each layer (or kind of layer) takes, by name.
    """

    name: str
    words: str
    unit: Unit
    measure: Callable[[Context], int | float | None]
    unknown: Callable[[Context], str]
    costs: Callable[[Context], dict[str, int | float]]


class Limit(Struct, frozen=True):
    """The most that is allowed of one quantity.

    Attributes:
        quantity: A key of QUANTITIES.
        most: In the quantity's own unit.
        message: What the configuration says about it.
    """

    quantity: str
    most: int | float
    message: str = ""


class Budget(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Limits that hold together; amounts are numbers or written as "5 M", "20 MB", "20 MiB", "50 %"."""

    params: Annotated[Amount | None, Meta(description="Distinct weight elements.")] = None
    macs: Annotated[Amount | None, Meta(description="Multiply-accumulates per sample.")] = None
    weight_bytes: Annotated[Amount | None, Meta(description="Bytes of all distinct weights.")] = None
    file_bytes: Annotated[Amount | None, Meta(description="Bytes of the file and all that belongs to it.")] = None
    peak_activation_bytes: Annotated[
        Amount | None, Meta(description="Most bytes of activations alive at once, per sample.")
    ] = None
    layers: Annotated[Amount | None, Meta(description="Layers.")] = None
    layer_share: Annotated[Amount | None, Meta(description="Share of the parameters that one layer may hold.")] = None
    message: Annotated[str, Meta(description="Shown with the result: why, or what to do when it is broken.")] = ""

    def limits(self) -> tuple[Limit, ...]:
        """Return the limits that are set.

        Raises:
            ConfigError: An amount cannot be read.
        """
        written = {name: getattr(self, name) for name in QUANTITIES}
        return tuple(
            Limit(name, parse_amount(amount, QUANTITIES[name].unit), self.message)
            for name, amount in written.items()
            if amount is not None
        )


class BudgetRule(ModelRule):
    """A rule that holds budgets against the network.

    The engine adds those of the configuration that are meant for the model, and the results that it shows for
    kept budgets too are of the same limits.
    """

    budgets: Annotated[tuple[Budget, ...], Meta(description="Limits for every model.")] = field(
        default_factory=tuple[Budget, ...]
    )

    def limits(self) -> tuple[Limit, ...]:
        """Return all limits, in the order in which they are written."""
        return tuple(limit for budget in self.budgets for limit in budget.limits())


def measure(context: Context, limits: Iterable[Limit]) -> tuple[BudgetResult, ...]:
    """Hold `limits` against the network; what is unknown is over budget, with the reason."""
    return tuple(_hold(context, limit) for limit in limits)


def costliest(context: Context, quantity: str, count: int = 3) -> tuple[tuple[str, int | float], ...]:
    """Return the `count` layers (kinds of layer, for "layers") that take most of `quantity`, the dearest first."""
    costs = QUANTITIES[quantity].costs(context)
    ranked = sorted(costs.items(), key=lambda entry: entry[1], reverse=True)
    return tuple((name, cost) for name, cost in ranked[:count] if cost > 0)


def _hold(context: Context, limit: Limit) -> BudgetResult:
    quantity = QUANTITIES[limit.quantity]
    measured = quantity.measure(context)
    margin = None if measured is None else limit.most - measured
    return BudgetResult(
        quantity=limit.quantity,
        measured=measured,
        limit=limit.most,
        margin=margin,
        passed=margin is not None and margin >= 0,
        reason=quantity.unknown(context) if measured is None else "",
        message=limit.message,
    )


def _parameters_by_layer(context: Context) -> dict[str, int | float]:
    return _weights_by_layer(context, lambda size, _: size)


def _weight_bytes_by_layer(context: Context) -> dict[str, int | float]:
    return _weights_by_layer(context, lambda _, nbytes: nbytes or 0)


def _weights_by_layer(context: Context, cost: Callable[[int, int | None], int]) -> dict[str, int | float]:
    """Return the costs of each layer's weights, a shared one counted for the layer that uses it first."""
    seen = set[str]()
    costs = dict[str, int | float]()
    for layer in context.graph.layers:
        own = {weight.key: weight for weight in layer.weights if weight.key not in seen}
        seen.update(own)
        costs[layer.name] = sum(cost(weight.size or 0, weight.nbytes) for weight in own.values())
    return costs


def _macs_by_layer(context: Context) -> dict[str, int | float]:
    return {layer.name: context.layer_macs(layer) or 0 for layer in context.graph.layers}


def _activations_by_layer(context: Context) -> dict[str, int | float]:
    batch = context.batch
    return {
        layer.name: sum(tensor_bytes(tensor, batch) or 0 for tensor in layer.outputs) for layer in context.graph.layers
    }


def _kinds(context: Context) -> dict[str, int | float]:
    return dict(Counter(layer.kind for layer in context.graph.layers))


def _shares(context: Context) -> dict[str, int | float]:
    total = context.parameters
    return {name: cost / total for name, cost in _parameters_by_layer(context).items()} if total else {}


def _largest_share(context: Context) -> float | None:
    if context.parameters is None:
        return None
    return max(_shares(context).values(), default=0.0)


def _no_macs(context: Context) -> str:
    return context.unknown_macs


def _no_activations(context: Context) -> str:
    graph = context.graph
    inside = next((layer for layer in graph.layers if layer.multiplies is None), None)
    if inside is not None:  # its outputs may be known, what it keeps inside is not
        return f"{inside.name} {inside.unknown_because}"
    tensors = (*graph.inputs, *(tensor for layer in graph.layers for tensor in layer.outputs))
    unknown = next((tensor for tensor in tensors if tensor_bytes(tensor, context.batch) is None), None)
    return f"the size of {unknown.name} is not known in numbers" if unknown else "64 bits do not hold the sum"


def _no_parameters(context: Context) -> str:
    return context.graph.unread


def _no_weight_bytes(context: Context) -> str:
    if context.graph.unread:
        return context.graph.unread
    weight = next(weight for weight in context.graph.weights if weight.nbytes is None)
    return f"{weight.key} is of type {weight.dtype or 'unknown'}, which has no fixed size"


def _no_file(_: Context) -> str:
    return "the size of the file is not known"


def _never(_: Context) -> str:
    return ""


QUANTITIES: dict[str, Quantity] = {
    "params": Quantity(
        "parameters", "parameters", "count", lambda context: context.parameters, _no_parameters, _parameters_by_layer
    ),
    "macs": Quantity("MACs", "MACs per sample", "count", lambda context: context.macs, _no_macs, _macs_by_layer),
    "weight_bytes": Quantity(
        "weight bytes",
        "of weights",
        "bytes",
        lambda context: context.weight_bytes,
        _no_weight_bytes,
        _weight_bytes_by_layer,
    ),
    "file_bytes": Quantity(
        "file bytes",
        "on disk",
        "bytes",
        lambda context: context.graph.source.file_bytes,
        _no_file,
        _weight_bytes_by_layer,
    ),
    "peak_activation_bytes": Quantity(
        "peak activation bytes",
        "of activations alive at once, per sample",
        "bytes",
        lambda context: context.peak_activation_bytes,
        _no_activations,
        _activations_by_layer,
    ),
    "layers": Quantity("layers", "layers", "count", lambda context: len(context.graph.layers), _never, _kinds),
    "layer_share": Quantity(
        "shares", "of its parameters in one layer", "share", _largest_share, _no_parameters, _shares
    ),
}
"""What can be limited, by its name in results; the configuration spells it with hyphens."""
