"""The conversion of each ONNX operator to layers of the graph; each module has a family in its `HANDLERS`."""

from __future__ import annotations

from functools import cache

from cnnlint.frontends.onnx.operators import (
    constants,
    pointwise,
    products,
    quantized,
    shaping,
    slicing,
    windows,
)
from cnnlint.frontends.onnx.operators.context import Handler
from cnnlint.frontends.onnx.operators.outside import CONTROL_FLOW, PLAIN, add_opaque, add_operator
from cnnlint.frontends.onnx.records import NodeRecord

FAMILIES = (constants, pointwise, products, quantized, shaping, slicing, windows)
"""Modules with handlers; each operator is in one of them."""

KNOWN_DOMAINS = frozenset({"", "com.microsoft"})
"""Domains with handlers."""


@cache
def handlers() -> dict[str, Handler]:
    """Return the handlers by operator."""
    return {name: handler for family in FAMILIES for name, handler in family.HANDLERS.items()}


def handler_of(node: NodeRecord) -> Handler:
    """Return the handler of a node; an unknown operator becomes opaque."""
    if node.op_type in CONTROL_FLOW:
        return _opaque("control flow: what runs depends on values")
    if node.domain in KNOWN_DOMAINS and (found := handlers().get(node.op_type)) is not None:
        return found
    if node.domain == "ai.onnx.ml" or (node.domain == "" and node.op_type in PLAIN):
        return add_operator
    return _opaque(f"an operator of domain {node.domain}" if node.domain else "an operator whose cost is not known")


def _opaque(reason: str) -> Handler:
    return lambda ctx: add_opaque(ctx, reason)
