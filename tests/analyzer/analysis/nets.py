"""Graphs made by hand, layer by layer, as a frontend would make them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from cnnlint.graph.graph import Graph, Source
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    MaxPool,
    Multiply,
)
from cnnlint.graph.tensor import Shape, Tensor, Weight


class Net:
    """A graph under construction; each method adds a layer and returns its output."""

    def __init__(self) -> None:
        self.layers = list[Layer]()
        self.inputs = list[Tensor]()
        self.counts = Counter[str]()

    def input(self, *shape: int | str) -> Tensor:
        self.inputs.append(Tensor(f"input{len(self.inputs) + 1}", ("N", *shape)))
        return self.inputs[-1]

    def add_layer(self, kind: type[Layer], *inputs: Tensor, **fields: Any) -> Tensor:
        self.counts[kind.__name__] += 1
        name = fields.pop("name", f"{kind.__name__.lower()}{self.counts[kind.__name__]}")
        bare = kind(name=name, inputs=inputs, **fields)
        outputs = tuple(Tensor(f"{name}:{index}", shape) for index, shape in enumerate(bare.output_shapes()))
        self.layers.append(kind(name=name, inputs=inputs, outputs=outputs, **fields))
        return outputs[0]

    def conv(self, x: Tensor, filters: int, k: int = 3, stride: int = 1, *, groups: int = 1, **fields: Any) -> Tensor:
        channels = x.channels
        assert isinstance(channels, int)
        key = f"conv{self.counts['Conv'] + 1}"
        weights = (
            Weight(f"{key}/kernel", (k, k, channels // groups, filters), "float32", "kernel"),
            Weight(f"{key}/bias", (filters,), "float32", "bias"),
        )
        fields = {"padding": ((k // 2, k // 2),) * 2, "weights": weights, **fields}
        return self.add_layer(
            Conv,
            x,
            filters=filters,
            kernel_size=(k, k),
            strides=(stride,) * 2,
            dilation=(1, 1),
            groups=groups,
            **fields,
        )

    def dense(self, x: Tensor, units: int, **fields: Any) -> Tensor:
        features = x.channels
        assert isinstance(features, int)
        key = f"dense{self.counts['Dense'] + 1}"
        weights = (
            Weight(f"{key}/kernel", (features, units), "float32", "kernel"),
            Weight(f"{key}/bias", (units,), "float32", "bias"),
        )
        return self.add_layer(Dense, x, **{"units": units, "weights": weights, **fields})

    def act(self, x: Tensor, function: str = "relu") -> Tensor:
        return self.add_layer(Activation, x, function=function)

    def pool(self, x: Tensor, size: int = 2, kind: type[MaxPool] | type[AvgPool] = MaxPool) -> Tensor:
        return self.add_layer(
            kind, x, pool_size=(size,) * 2, strides=(size,) * 2, padding=((0, 0),) * 2, dilation=(1, 1)
        )

    def bn(self, x: Tensor) -> Tensor:
        return self.add_layer(BatchNorm, x)

    def gap(self, x: Tensor, *, keepdims: bool = False) -> Tensor:
        return self.add_layer(GlobalPool, x, mode="avg", keepdims=keepdims)

    def flatten(self, x: Tensor) -> Tensor:
        return self.add_layer(Flatten, x)

    def dropout(self, x: Tensor) -> Tensor:
        return self.add_layer(Dropout, x, rate=0.5)

    def add(self, *xs: Tensor) -> Tensor:
        return self.add_layer(Add, *xs)

    def mul(self, *xs: Tensor) -> Tensor:
        return self.add_layer(Multiply, *xs)

    def cat(self, *xs: Tensor) -> Tensor:
        return self.add_layer(Concat, *xs)

    def graph(self, *outputs: Tensor, shape: Shape | None = None) -> Graph:
        return Graph(tuple(self.layers), tuple(self.inputs), outputs, Source("", "keras"))
