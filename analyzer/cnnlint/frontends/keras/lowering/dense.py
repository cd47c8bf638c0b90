"""Dense, EinsumDense and Embedding."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.lowering.activation import activate
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.operators import add_opaque
from cnnlint.frontends.raising.view import View
from cnnlint.graph.dims import product
from cnnlint.graph.layers import Dense, Embedding, Reshape
from cnnlint.graph.tensor import Shape

QUANTISED = {
    "float8": (
        "inputs_scale", "inputs_amax_history", "kernel_scale", "kernel_amax_history", "outputs_grad_scale",
        "outputs_grad_amax_history",
    ),
}  # fmt: skip
"""What follows the kernel and the bias in the file, by the start of the policy's name."""


def roles(call: Call) -> tuple[str, ...]:
    """Return the roles of a dense layer's weights in the file's order."""
    biased = call.config.get("use_bias", True) is not False and call.config.get("bias_axes", "") is not None
    bias = ("bias",) if biased else ()
    mode = (settings.policy_name(call.config.get("dtype")) or "").partition("_")[0]
    if mode in ("gptq", "awq"):
        return (*bias, "quantized_kernel", "kernel_scale", "kernel_zero", "g_idx")
    return ("kernel", *bias, *QUANTISED.get(mode, ("kernel_scale", "kernel_zero", "g_idx")))


def _dense(call: Call) -> View:
    view = call.view
    layer = Dense(
        inputs=(view.tensor,),
        units=call.whole("units"),
        axis=view.axis(-1),
        use_bias=call.config.get("use_bias", True) is not False,
        weights=call.weights(*roles(call)),
        **call.identity(),
    )
    return activate(call, call.add(layer, like=view), call.config.get("activation"))


def _einsum_dense(call: Call) -> View:
    """Raise to a Dense where trailing axes of the input are summed over, with a Reshape where they are several."""
    view = View(call.draft.tensor(call.view))
    shape = view.shape
    operands, _, result = str(call.config["equation"]).replace(" ", "").partition("->")
    data, _, kernel = operands.partition(",")
    summed = [label for label in data if label in kernel and label not in result]
    kept = data[: len(data) - len(summed)]
    made = [label for label in kernel if label not in summed]
    weights = call.weights(*roles(call))
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
        view = call.add(Reshape(inputs=(view.tensor,), target=joined, **call.identity("join")))
    layer = Dense(
        inputs=(view.tensor,),
        units=units,
        axis=len(kept),
        use_bias=any(weight.role == "bias" for weight in weights),
        weights=weights,
        **call.identity("product" if len(made) != 1 else ""),
    )
    view = call.add(layer)
    if len(made) != 1:
        target: Shape = (*(view.shape or ())[:-1], *(extents[label] for label in made))
        view = call.add(Reshape(inputs=(view.tensor,), target=target, **call.identity()))
    return activate(call, view, call.config.get("activation"))


def _embedding(call: Call) -> View:
    layer = Embedding(
        inputs=(call.draft.tensor(call.view),),
        entries=call.whole("input_dim"),
        features=call.whole("output_dim"),
        weights=call.weights("embeddings", "embeddings_scale"),
        **call.identity(),
    )
    return call.add(layer)


LAYERS: dict[str, Callable[[Call], View]] = {
    "Dense": _dense, "EinsumDense": _einsum_dense, "Embedding": _embedding,
}  # fmt: skip
