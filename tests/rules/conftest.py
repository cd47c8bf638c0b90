"""Rules run over networks written as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from msgspec.structs import replace
from onnx import parser

from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.notation import is_notation, to_onnx
from cnnlint.graph.graph import Graph, Training
from cnnlint.rule import Rule
from cnnlint.walker import Walk, walk

Lint = Callable[..., Walk]


def network(text: str) -> Graph:
    """Return the network that `text` (the notation, or ONNX text) describes."""
    if is_notation(text):
        return load_onnx_bytes(to_onnx(text).SerializeToString())
    return load_onnx_bytes(parser.parse_model(text).SerializeToString())


@pytest.fixture(name="network")
def network_fixture() -> Callable[[str], Graph]:
    return network


@pytest.fixture
def lint() -> Lint:
    """Return a function that runs one rule over one network."""

    def run(
        rule: Rule,
        model: str | Graph,
        *,
        loss: Training | None = None,
        source: Literal["onnx", "keras"] = "onnx",
    ) -> Walk:
        graph = network(model) if isinstance(model, str) else model
        graph = replace(graph, source=replace(graph.source, format=source))
        if loss is not None:
            graph = replace(graph, training=(loss,))
        return walk(graph, [rule], near_misses=True)

    return run
