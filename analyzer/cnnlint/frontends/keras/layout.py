"""Which axis holds the channels, where a layer does not say: read off the layers behind it."""

from __future__ import annotations

from cnnlint.frontends.keras.lowering import activation, functions, merge, normalization, regularization
from cnnlint.frontends.keras.network import MERGE, Network, Ref
from cnnlint.frontends.keras.records import LayerRecord
from cnnlint.frontends.raising.view import Permutation, to_channels_first

AGNOSTIC = frozenset(
    [
        *activation.LAYERS, *merge.LAYERS, *normalization.LAYERS, *regularization.LAYERS, *functions.UNARY,
        *functions.BINARY, *functions.ACTIVATIONS, "Rescaling", "Normalization", "Concatenate",
    ]
)  # fmt: skip
"""Layers that work whatever the order of axes is."""

NO_MAPS = frozenset({"Flatten"})
"""Layers with a `data_format` that says nothing of what they are given."""

SEQUENCES_OF_MAPS = frozenset({MERGE, "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
"""Layers whose first axis behind the batch is time, wherever the channels are."""

MOST_STEPS = 64
"""How far ahead to look."""


class Layouts:
    """The layouts of a network's tensors.

    Args:
        network: Its steps.
    """

    def __init__(self, network: Network) -> None:
        self._steps = network.steps
        self._readers = dict[int, list[int]]()
        for index, step in enumerate(network.steps):
            for ref in step.inputs:
                self._readers.setdefault(ref.step, []).append(index)
        formats = {step.layer.config.get("data_format") for step in network.steps}
        self._default_last = formats != {"channels_first"} and "channels_first" not in formats - {None}

    def of(self, ref: Ref, rank: int) -> Permutation | None:
        """Return how a tensor of `rank` axes becomes channels-first; None if it is, or has no channels."""
        if rank < 3:
            return None
        seen, ahead = {ref.step}, [ref.step]
        while ahead and len(seen) < MOST_STEPS:
            for reader in self._readers.get(ahead.pop(0), ()):
                layer = self._steps[reader].layer
                if layer.class_name in SEQUENCES_OF_MAPS:
                    return None
                if (found := _channels_last(layer)) is not None:
                    return to_channels_first(rank) if found else None
                if layer.class_name in AGNOSTIC and reader not in seen:
                    seen.add(reader)
                    ahead.append(reader)
        return to_channels_first(rank) if rank > 3 and self._default_last else None


def _channels_last(layer: LayerRecord) -> bool | None:
    """Return whether a layer takes channels-last maps; None if it takes no maps, or does not care."""
    if layer.class_name in NO_MAPS or layer.is_custom:
        return None
    stated = layer.config.get("data_format")
    if stated in ("channels_first", "channels_last"):
        return stated == "channels_last"
    kinds = (
        "Conv",
        "DepthwiseConv",
        "SeparableConv",
        "ZeroPadding",
        "Cropping",
        "UpSampling",
        "MaxPool",
        "AveragePool",
    )
    return True if layer.class_name.startswith(kinds) or "Pooling" in layer.class_name else None
