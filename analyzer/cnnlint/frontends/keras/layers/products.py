"""Matrix products of learned kernels or of activations: Dense and similar layers, dot products, attention."""

from __future__ import annotations

from math import prod

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.layers.call import Handler, KerasCall, Raised, add_opaque, weights_of
from cnnlint.frontends.keras.layers.pointwise import activate
from cnnlint.frontends.keras.records import WeightRecord
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.dims import product
from cnnlint.graph.layers import Attention, Einsum, Embedding, Operator, Reshape
from cnnlint.graph.tensor import Dim, Shape, Tensor, Weight

QUANTIZED = {
    "float8": (
        "inputs_scale", "inputs_amax_history", "kernel_scale", "kernel_amax_history", "outputs_grad_scale",
        "outputs_grad_amax_history",
    ),
}  # fmt: skip
"""Weights after the kernel and the bias in the file, by the start of the policy's name."""

PROJECTIONS = ("query", "key", "value", "output")


def _roles(call: KerasCall) -> tuple[str, ...]:
    """Return the roles of a dense layer's weights in the file's order."""
    biased = call.config.get("use_bias", True) is not False and call.config.get("bias_axes", "") is not None
    bias = ("bias",) if biased else ()
    mode = (settings.policy_name(call.config.get("dtype")) or "").partition("_")[0]
    if mode in ("gptq", "awq"):
        return (*bias, "quantized_kernel", "kernel_scale", "kernel_zero", "g_idx")
    return ("kernel", *bias, *QUANTIZED.get(mode, ("kernel_scale", "kernel_zero", "g_idx")))


def _dense(call: KerasCall) -> TensorView:
    use_bias = call.config.get("use_bias", True) is not False
    made = ops.dense(call, call.view, call.whole("units"), weights=call.kernel(*_roles(call)), use_bias=use_bias)
    return activate(call, made, call.config.get("activation"))


def _einsum_dense(call: KerasCall) -> Raised:
    """Add a Dense if trailing axes of the input are summed over, with a Reshape if there are several."""
    view = TensorView(call.builder.tensor(call.view))
    shape = view.shape
    operands, _, result = str(call.config["equation"]).replace(" ", "").partition("->")
    data, _, kernel = operands.partition(",")
    summed = [label for label in data if label in kernel and label not in result]
    kept = data[: len(data) - len(summed)]
    made = [label for label in kernel if label not in summed]
    weights = call.weights(*_roles(call))
    simple = (
        data.endswith("".join(summed)) and summed and result == kept + "".join(made) and not set(kept) & set(kernel)
    )
    held = weights[0].shape if weights else None
    if shape is None or held is None or not simple or "." in data:
        return add_opaque(call, f"the Einstein sum {call.config['equation']}")
    extents = dict(zip(kernel, held, strict=False))
    units = prod(extents[label] for label in made)
    if len(summed) > 1:
        joined: Shape = (*shape[: len(kept)], product(shape[len(kept) :]))
        view = call.add(Reshape(inputs=(view.tensor,), target=joined, **call.of(suffix="join").identity))
    use_bias = any(weight.role == "bias" for weight in weights)
    named = call.of(suffix="product") if len(made) != 1 else call
    view = ops.dense(named, view, units, weights=weights, use_bias=use_bias, axis=len(kept))
    if len(made) != 1:
        target: Shape = (*(view.shape or ())[:-1], *(extents[label] for label in made))
        view = call.add(Reshape(inputs=(view.tensor,), target=target, **call.identity))
    return activate(call, view, call.config.get("activation"))


def _embedding(call: KerasCall) -> TensorView:
    second = "reverse_embeddings" if call.config.get("tie_weights") is False else "embeddings_scale"
    layer = Embedding(
        inputs=(call.builder.tensor(call.view),),
        entries=call.whole("input_dim"),
        features=call.whole("output_dim"),
        weights=call.weights("embeddings", second),
        **call.identity,
    )
    return call.add(layer)


def _reversible_embedding(call: KerasCall) -> Raised:
    """Add an Embedding, or for `reverse` the Dense back to its entries, which has the same kernel if they are tied."""
    if not call.kwargs.get("reverse", call.args[1] if len(call.args) > 1 else False):
        return _embedding(call)
    weights = call.weights("embeddings", "reverse_embeddings")
    tied = call.config.get("tie_weights", True) is not False
    if len(weights) > (1 if tied else 2):
        return add_opaque(call, "a quantized reverse embedding")
    made = ops.dense(call, call.view, call.whole("input_dim"), weights=weights[-1:], use_bias=False)
    if call.config.get("logit_soft_cap") is None:
        return made
    cap = call.number("logit_soft_cap", 1.0)
    made = ops.elementwise(call.of(suffix="divided"), "div", [made], constants=(), constant=cap)
    made = ops.activation(call.of(suffix="tanh"), made, "tanh")
    return ops.elementwise(call.of(suffix="capped"), "mul", [made], constants=(), constant=cap)


def _dot(call: KerasCall) -> Raised:
    """Add an Einstein sum over one axis of each input; for two vectors it gives one number."""
    left, right = (TensorView(call.builder.tensor(view)) for view in call.views[:2])
    if left.rank is None or right.rank is None:
        return add_opaque(call, "a dot product of tensors of unknown rank")
    axes = settings.items(call.config.get("axes")) or [call.integer("axes", -1)] * 2
    summed_left, summed_right = int(axes[0]) % left.rank, int(axes[1]) % right.rank
    labels = "abcdefghij"
    first = "".join("z" if axis == summed_left else labels[axis] for axis in range(left.rank))
    second = "".join(
        "z" if axis == summed_right else labels[0] if axis == 0 else labels[axis + 4] for axis in range(right.rank)
    )
    result = first.replace("z", "") + second.replace("z", "")[1:]
    vectors = len(result) == 1
    layer = Einsum(
        inputs=(left.tensor, right.tensor),
        equation=f"{first},{second}->{result}",
        **call.of(suffix="product" if vectors else "").identity,
    )
    made = call.add(layer)
    if not vectors:
        return made
    target = (*(made.shape or (None,)), 1)
    return call.add(Reshape(inputs=(made.tensor,), target=target, **call.identity))


# attention, with projections and heads or plain


def _multi_head(call: KerasCall) -> Raised:
    query, *others = (call.builder.tensor(view) for view in call.views)
    value = others[0] if others else query
    if query.shape is None or value.shape is None:
        return add_opaque(call, "attention over tensors of unknown rank")
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
        **call.identity,
    )
    return _with_scores(call, layer, query, value, call.whole("num_heads", 1))


def _plain(call: KerasCall) -> Raised:
    query, value, *rest = (call.builder.tensor(view) for view in call.views)
    key = rest[0] if rest else value
    if query.shape is None or value.shape is None or key.shape is None:
        return add_opaque(call, "attention over tensors of unknown rank")
    key_dim, value_dim = key.shape[-1], value.shape[-1]
    if not isinstance(key_dim, int) or not isinstance(value_dim, int):
        return add_opaque(call, "attention over features of unknown extent", lacks_shapes=True)
    layer = Attention(
        inputs=_distinct(query, value, *rest),
        heads=1,
        key_dim=key_dim,
        value_dim=value_dim,
        projects=False,
        tokens=(_tokens(query), _tokens(value)),
        shape=(*query.shape[:-1], value_dim),
        weights=call.weights("scale", "concat_score_weight"),
        **call.identity,
    )
    return _with_scores(call, layer, query, value, None)


def _with_scores(
    call: KerasCall, layer: Attention, query: Tensor, value: Tensor, heads: int | None
) -> list[TensorView]:
    made = [call.add(layer)]
    if call.kwargs.get("return_attention_scores") is True:
        batch = (query.shape or (None,))[0]
        tokens = (_tokens(query), _tokens(value))
        shape = (batch, *tokens) if heads is None else (batch, heads, *tokens)
        identity = call.of(suffix="scores").identity
        made.append(call.add(Operator(inputs=layer.inputs, op="attention scores", shapes=(shape,), **identity)))
    return made


def _distinct(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors, each once: self-attention reads one."""
    return tuple({tensor.name: tensor for tensor in tensors}.values())


def _tokens(tensor: Tensor) -> Dim:
    return product((tensor.shape or ())[1:-1])


def _projection_weights(call: KerasCall) -> tuple[Weight, ...]:
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


def _grouped(call: KerasCall) -> list[TensorView]:
    made = call.of(declared=((call.view.shape, call.dtype),))
    return add_opaque(made, "grouped-query attention")


LAYERS: dict[str, Handler] = {
    "Dense": _dense, "EinsumDense": _einsum_dense, "Embedding": _embedding, "Dot": _dot,
    "ReversibleEmbedding": _reversible_embedding,
    "MultiHeadAttention": _multi_head, "Attention": _plain, "AdditiveAttention": _plain,
    "GroupedQueryAttention": _grouped, "GroupQueryAttention": _grouped,
}  # fmt: skip
