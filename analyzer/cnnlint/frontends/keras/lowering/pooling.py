"""Pooling over windows, over whole maps, and to a wanted size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.convolution import padding_of
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import AvgPool, GlobalPool, MaxPool, Operator
from cnnlint.graph.window import resolve_pads

Mode = Literal["avg", "max"]


def _pool(call: Call, rank: int, mode: Mode) -> View:
    source = call.map()
    size = call.integers("pool_size", rank, 2)
    strides = size if call.config.get("strides") is None else call.integers("strides", rank)
    ones = (1,) * rank
    padding = padding_of(call, size, ones)
    fields: dict[str, Any] = {
        "inputs": (source,),
        "pool_size": size,
        "strides": strides,
        "padding": resolve_pads(padding, source.spatial, size, strides, ones) or padding,
        "dilation": ones,
        **call.identity(),
    }
    return call.add_map(MaxPool(**fields) if mode == "max" else AvgPool(**fields))


def _global(call: Call, mode: Mode) -> View:
    keepdims = bool(call.config.get("keepdims"))
    return call.add_map(GlobalPool(inputs=(call.map(),), mode=mode, keepdims=keepdims, **call.identity()))


def _adaptive(call: Call, rank: int, mode: Mode) -> View:
    """Raise to windows of one size where the map divides evenly, else to an operator."""
    source = call.map()
    wanted = call.integers("output_size", rank)
    spatial = source.spatial or (None,) * rank
    sizes = [
        extent // want if isinstance(extent, int) and extent % want == 0 else 0
        for extent, want in zip(spatial, wanted, strict=True)
    ]
    if not all(sizes):
        shape = None if source.shape is None else (*source.shape[:2], *wanted)
        return call.add_map(Operator(inputs=(source,), op=call.layer.class_name, shapes=(shape,), **call.identity()))
    fields: dict[str, Any] = {
        "inputs": (source,),
        "pool_size": tuple(sizes),
        "strides": tuple(sizes),
        "padding": ((0, 0),) * rank,
        "dilation": (1,) * rank,
        **call.identity(),
    }
    return call.add_map(MaxPool(**fields) if mode == "max" else AvgPool(**fields))


def _layers() -> dict[str, Callable[[Call], View]]:
    layers = dict[str, Callable[[Call], View]]()
    modes: tuple[tuple[Mode, tuple[str, ...]], ...] = (("avg", ("Average", "Avg")), ("max", ("Max",)))
    for mode, words in modes:
        for word in words:
            for rank in (1, 2, 3):
                for pooling in (f"Pooling{rank}D", f"Pool{rank}D"):
                    layers[f"{word}{pooling}"] = partial(_pool, rank=rank, mode=mode)
                    layers[f"Global{word}{pooling}"] = partial(_global, mode=mode)
                    layers[f"Adaptive{word}{pooling}"] = partial(_adaptive, rank=rank, mode=mode)
    return layers


LAYERS = _layers()
