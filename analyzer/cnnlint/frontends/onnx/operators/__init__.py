"""ONNX operators, one by one, as layers of the vocabulary; a module for each family, each with its `HANDLERS`."""

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
"""Where operators are looked up; each stands in one family."""

KNOWN_DOMAINS = frozenset({"", "com.microsoft"})
"""Domains that operators of the vocabulary come from."""


@cache
def handlers() -> dict[str, Handler]:
    """Return what raises each operator."""
    return {name: handler for family in FAMILIES for name, handler in family.HANDLERS.items()}


def handler_of(node: NodeRecord) -> Handler:
    """Return what raises a node; one that nobody knows is opaque."""
    if node.op_type in CONTROL_FLOW:
        return _opaque("control flow: what runs is decided by values")
    if node.domain in KNOWN_DOMAINS and (found := handlers().get(node.op_type)) is not None:
        return found
    if node.domain == "ai.onnx.ml" or (node.domain == "" and node.op_type in PLAIN):
        return add_operator
    return _opaque(f"an operator of domain {node.domain}" if node.domain else "an operator whose cost is not known")


def _opaque(reason: str) -> Handler:
    return lambda ctx: add_opaque(ctx, reason)
