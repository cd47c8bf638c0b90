"""Attention, with projections and heads or plain."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.lowering.call import Call, weights_of
from cnnlint.frontends.keras.lowering.operators import add_opaques
from cnnlint.frontends.keras.records import WeightRecord
from cnnlint.frontends.raising.view import View
from cnnlint.graph.dims import product
from cnnlint.graph.layers import Attention, Operator
from cnnlint.graph.tensor import Dim, Tensor, Weight

PROJECTIONS = ("query", "key", "value", "output")


def _multi_head(call: Call) -> list[View]:
    query, *others = (call.draft.tensor(view) for view in call.views)
    value = others[0] if others else query
    if query.shape is None or value.shape is None:
        return add_opaques(call, "attention over tensors of unknown rank")
    key_dim = call.whole("key_dim", 1)
    wanted = call.config.get("output_shape")
    outgoing = wanted if isinstance(wanted, int) else (settings.items(wanted) or [query.shape[-1]])[-1]
    incoming = query.shape[-1]
    layer = Attention(
        inputs=_distinct(query, *others),
        heads=call.whole("num_heads", 1),
        key_dim=key_dim,
        value_dim=call.whole("value_dim", key_dim),
        projects=True,
        tokens=(_tokens(query), _tokens(value)),
        features=(incoming, outgoing) if isinstance(incoming, int) and isinstance(outgoing, int) else None,
        shape=(*query.shape[:-1], outgoing),
        weights=_projection_weights(call),
        **call.identity(),
    )
    return _with_scores(call, layer, query, value, call.whole("num_heads", 1))


def _plain(call: Call) -> list[View]:
    query, value, *rest = (call.draft.tensor(view) for view in call.views)
    key = rest[0] if rest else value
    if query.shape is None or value.shape is None or key.shape is None:
        return add_opaques(call, "attention over tensors of unknown rank")
    key_dim, value_dim = key.shape[-1], value.shape[-1]
    if not isinstance(key_dim, int) or not isinstance(value_dim, int):
        return add_opaques(call, "attention over features of unknown extent")
    layer = Attention(
        inputs=_distinct(query, value, *rest),
        heads=1,
        key_dim=key_dim,
        value_dim=value_dim,
        projects=False,
        tokens=(_tokens(query), _tokens(value)),
        shape=(*query.shape[:-1], value_dim),
        weights=call.weights("scale", "concat_score_weight"),
        **call.identity(),
    )
    return _with_scores(call, layer, query, value, None)


def _with_scores(call: Call, layer: Attention, query: Tensor, value: Tensor, heads: int | None) -> list[View]:
    made = [call.add(layer)]
    if call.kwargs.get("return_attention_scores") is True:
        batch = (query.shape or (None,))[0]
        tokens = (_tokens(query), _tokens(value))
        shape = (batch, *tokens) if heads is None else (batch, heads, *tokens)
        scores = Operator(inputs=layer.inputs, op="attention scores", shapes=(shape,), **call.identity("scores"))
        made.append(call.add(scores))
    return made


def _distinct(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors each once: self-attention reads one."""
    return tuple({tensor.name: tensor for tensor in tensors}.values())


def _tokens(tensor: Tensor) -> Dim:
    return product((tensor.shape or ())[1:-1])


def _projection_weights(call: Call) -> tuple[Weight, ...]:
    """Return the weights of the four projections in the order of the computation."""

    def place(weight: WeightRecord) -> int:
        scope = weight.name.rpartition("/")[0]
        return next((index for index, name in enumerate(PROJECTIONS) if name in scope.replace("attention_", "")), 9)

    records = tuple(sorted(call.layer.weights, key=place))
    roles = list[str]()
    for record in records:
        number, index = record.name.rpartition("/")[2], place(record)
        kind = {"0": "kernel", "1": "bias"}.get(number, number)
        roles.append(f"{PROJECTIONS[index]}_{kind}" if index < len(PROJECTIONS) else kind)
    return weights_of(records, tuple(roles), trainable=call.layer.trainable)


def _grouped(call: Call) -> list[View]:
    view = call.view
    made = Call(
        call.layer, call.args, call.kwargs, call.draft, declared=((view.shape, call.dtype),), layout=call.layout
    )
    return add_opaques(made, "attention whose heads share keys in groups")


LAYERS: dict[str, Callable[[Call], list[View]]] = {
    "MultiHeadAttention": _multi_head, "Attention": _plain, "AdditiveAttention": _plain,
    "GroupedQueryAttention": _grouped, "GroupQueryAttention": _grouped,
}  # fmt: skip
"""Layers of one output or several."""
