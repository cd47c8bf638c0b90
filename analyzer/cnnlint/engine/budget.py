"""Budgets: what a network may cost, and what it costs.

A quantity that can be budgeted is a field of `Budget`, and what is said there is all that is said of it: the key in the
configuration and in JSON, the `--max-...` option, the label in reports, the schemas, and the page of the rule follow.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, get_args

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from cnnlint.analysis.context import Context
from cnnlint.analysis.cost import tensor_bytes
from cnnlint.engine.rule import ModelRule
from cnnlint.graph.quantity import Unit, parse_amount
from cnnlint.results import BudgetResult, Per

# The annotations of `Budget` are values that are read when the module is imported: no `from __future__` here.

Amount = int | float | str

Costs = dict[str, int | float]
"""What each layer (or kind of layer) takes of a quantity, by name."""


class Quantity(Struct, frozen=True, kw_only=True):
    """Something about a network that can be limited.

    Attributes:
        label: What reports call it.
        words: What follows an amount of it in a sentence; its label if "".
        unit: How its amounts are written.
        example: An amount, for the help of the command line.
        per_sample: Whether it is counted for one sample, if the network has samples.
        measure: The amount; None if unknown.
        unknown: Why it is unknown, as a clause.
        costs: What each layer takes of it.
        help: What it is, as a sentence; the field's description.
    """

    label: str
    words: str = ""
    unit: Unit = "count"
    example: str
    per_sample: bool = False
    measure: Callable[[Context], int | float | None]
    unknown: Callable[[Context], str]
    costs: Callable[[Context], Costs]
    help: str = ""

    def labeled(self, per: Per) -> str:
        """Return the label, with what the quantity is counted for: "MACs per sample"."""
        return f"{self.label} per {per}" if self.per_sample else self.label

    def counted(self, per: Per) -> str:
        """Return what follows an amount in a sentence: "MACs per sample"."""
        words = self.words or self.label
        return f"{words} per {per}" if self.per_sample else words


def _parameters_by_layer(context: Context) -> Costs:
    return _weights_by_layer(context, lambda size, _: size)


def _weight_bytes_by_layer(context: Context) -> Costs:
    return _weights_by_layer(context, lambda _, nbytes: nbytes or 0)


def _weights_by_layer(context: Context, cost: Callable[[int, int | None], int]) -> Costs:
    """Return the costs of each layer's weights, a shared one counted for the layer that uses it first."""
    seen = set[str]()
    costs = Costs()
    for layer in context.graph.layers:
        own = {weight.key: weight for weight in layer.weights if weight.key not in seen}
        seen.update(own)
        costs[layer.name] = sum(cost(weight.size or 0, weight.nbytes) for weight in own.values())
    return costs


def _macs_by_layer(context: Context) -> Costs:
    return {layer.name: context.layer_macs(layer) or 0 for layer in context.graph.layers}


def _activations_by_layer(context: Context) -> Costs:
    batch = context.batch
    return {
        layer.name: sum(tensor_bytes(tensor, batch) or 0 for tensor in layer.outputs) for layer in context.graph.layers
    }


def _shares(context: Context) -> Costs:
    total = context.parameters
    return {name: cost / total for name, cost in _parameters_by_layer(context).items()} if total else {}


def _largest_share(context: Context) -> float | None:
    if context.parameters is None:
        return None
    return max(_shares(context).values(), default=0.0)


def _unknown_activations(context: Context) -> str:
    graph = context.graph
    inside = next((layer for layer in graph.layers if layer.multiplies is None), None)
    if inside is not None:  # its outputs may be known, what it keeps inside is not
        return f"{inside.name} {inside.unknown_reason}"
    tensors = (*graph.inputs, *(tensor for layer in graph.layers for tensor in layer.outputs))
    unknown = next((tensor for tensor in tensors if tensor_bytes(tensor, context.batch) is None), None)
    return f"the size of {unknown.name} is not known in numbers" if unknown else "the sum exceeds 64 bits"


def _unknown_weight_bytes(context: Context) -> str:
    if context.graph.unread:
        return context.graph.unread
    weight = next(weight for weight in context.graph.weights if weight.nbytes is None)
    return f"{weight.key} is of type {weight.dtype or 'unknown'}, which has no fixed size"


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

    params: Annotated[
        Amount | None,
        Meta(description="Distinct weight elements."),
        Quantity(
            label="parameters",
            example="5M",
            measure=lambda context: context.parameters,
            unknown=lambda context: context.graph.unread,
            costs=_parameters_by_layer,
        ),
    ] = None
    macs: Annotated[
        Amount | None,
        Meta(description="Multiply-accumulates per sample."),
        Quantity(
            label="MACs",
            per_sample=True,
            example="1G",
            measure=lambda context: context.macs,
            unknown=lambda context: context.unknown_macs,
            costs=_macs_by_layer,
        ),
    ] = None
    weight_bytes: Annotated[
        Amount | None,
        Meta(description="Bytes of all distinct weights."),
        Quantity(
            label="weight bytes",
            words="of weights",
            unit="bytes",
            example="20MB",
            measure=lambda context: context.weight_bytes,
            unknown=_unknown_weight_bytes,
            costs=_weight_bytes_by_layer,
        ),
    ] = None
    file_bytes: Annotated[
        Amount | None,
        Meta(description="Bytes of the file and of its external data."),
        Quantity(
            label="file bytes",
            words="on disk",
            unit="bytes",
            example="20MB",
            measure=lambda context: context.graph.source.file_bytes,
            unknown=lambda _: "the size of the file is not known",
            costs=_weight_bytes_by_layer,
        ),
    ] = None
    peak_activation_bytes: Annotated[
        Amount | None,
        Meta(description="Peak bytes of activations in memory at once, per sample."),
        Quantity(
            label="peak activation bytes",
            words="of peak activations",
            unit="bytes",
            per_sample=True,
            example="10MB",
            measure=lambda context: context.peak_activation_bytes,
            unknown=_unknown_activations,
            costs=_activations_by_layer,
        ),
    ] = None
    layers: Annotated[
        Amount | None,
        Meta(description="Number of layers."),
        Quantity(
            label="layers",
            example="100",
            measure=lambda context: len(context.graph.layers),
            unknown=lambda _: "",
            costs=lambda context: dict(Counter(layer.kind for layer in context.graph.layers)),
        ),
    ] = None
    layer_share: Annotated[
        Amount | None,
        Meta(description="Share of the parameters that one layer may hold."),
        Quantity(
            label="share of one layer",
            words="of its parameters in one layer",
            unit="share",
            example="50%",
            measure=_largest_share,
            unknown=lambda context: context.graph.unread,
            costs=_shares,
        ),
    ] = None
    message: Annotated[str, Meta(description="Shown with the result: why, or what to do when it is exceeded.")] = ""

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


def _declared(annotations: dict[str, Any]) -> Iterator[tuple[str, Quantity]]:
    for name, annotation in annotations.items():
        match get_args(annotation):
            case (_, Meta(description=help_text), Quantity() as quantity):
                yield name, replace(quantity, help=help_text or "")
            case _:  # the message
                pass


QUANTITIES: dict[str, Quantity] = dict(_declared(Budget.__annotations__))
"""What can be limited, by its name in results; the configuration and the command line spell it with hyphens."""


class BudgetRule(ModelRule):
    """A rule that holds budgets against the network.

    The engine adds those of the configuration that are meant for the model, and the results that it shows for
    kept budgets too are of the same limits.
    """

    always_selected = True

    budgets: Annotated[tuple[Budget, ...], Meta(description="Limits for every model.")] = field(
        default_factory=tuple[Budget, ...]
    )

    def limits(self) -> tuple[Limit, ...]:
        """Return all limits, in the order in which they are written."""
        return tuple(limit for budget in self.budgets for limit in budget.limits())


def measure(context: Context, limits: Iterable[Limit]) -> tuple[BudgetResult, ...]:
    """Hold `limits` against the network; what is unknown is over budget, with the reason."""
    return tuple(_hold(context, limit) for limit in limits)


def top_contributors(context: Context, quantity: str, count: int = 3) -> tuple[tuple[str, int | float], ...]:
    """Return the `count` layers (kinds of layer, for "layers") that take most of `quantity`, largest first."""
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
