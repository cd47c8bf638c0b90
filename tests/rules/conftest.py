"""Rules run over networks written as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from msgspec.structs import replace

from cnnlint.engine.rule import Rule
from cnnlint.engine.walker import Walk, walk
from cnnlint.graph.graph import Graph, Training
from cnnlint.testing import to_graph

Lint = Callable[..., Walk]


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
        graph = to_graph(model) if isinstance(model, str) else model
        training = graph.training if loss is None else (loss,)
        seen = replace(graph, source=replace(graph.source, format=source), training=training)
        return walk(seen, [rule], near_misses=True)

    return run
