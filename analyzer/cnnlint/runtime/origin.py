"""Where in the network something that shows at an output begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlint.errors import RuntimeCheckError
from cnnlint.runtime.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from cnnlint.graph.layer import Layer

    Values = Mapping[str, NDArray[Any]]


def non_finite(value: NDArray[Any]) -> int:
    """Return how many elements of `value` are NaN or infinite; 0 for what is not floating."""
    import numpy as np

    if getattr(value, "dtype", None) is None or value.dtype.kind not in "fc":
        return 0
    return int(value.size - np.isfinite(value).sum())


def first_layer(probe: Probe, shows: Callable[[Values, str], bool]) -> Layer | None:
    """Return the first layer of the network at whose output `shows` holds; None if none does, or it cannot be told.

    The model runs once more, with every layer's output kept.

    Args:
        probe: The model; its own runs stay as they are.
        shows: Is given all values of the run, by tensor, and the name of the layer's output among them.
    """
    run = traced(probe)
    if run is None:
        return None
    for layer in probe.graph.layers:
        tensor = outcome(layer)
        if tensor in run and shows(run, tensor):
            return layer
    return None


def traced(probe: Probe, *, again: bool = False) -> Values | None:
    """Return the values of all layers in the first run, or in the second; None if there is no such run."""
    watcher = Probe(probe.program, probe.graph, inputs=probe.given, seed=probe.seed)
    watcher.watch(name for layer in probe.graph.layers if (name := outcome(layer)))
    try:
        run = watcher.again() if again else watcher.run()
    except RuntimeCheckError:
        return None
    return run.values if run is not None else None


def outcome(layer: Layer) -> str:
    """Return the file's name for what `layer` makes; "" if it has none."""
    return layer.origin[-1].output if layer.origin else ""
