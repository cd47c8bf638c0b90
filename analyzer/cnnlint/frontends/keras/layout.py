"""Which axis holds the channels, where a layer of Keras does not say: what the layers that read it say."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.frontends.keras.flat_model import MERGE, FlatModel, Ref
from cnnlint.frontends.keras.layers import functions, normalization, pointwise
from cnnlint.frontends.keras.records import LayerRecord
from cnnlint.frontends.raising.layout import Verdict, find_layout
from cnnlint.frontends.raising.view import Permutation, to_channels_first
from cnnlint.graph.tensor import Shape

AGNOSTIC = frozenset(
    [
        *pointwise.ACTIVATIONS, *pointwise.MERGING, *normalization.NORMS, *normalization.TRAINING_ONLY,
        *functions.UNARY, *functions.BINARY, *functions.ACTIVATIONS, "Rescaling", "Normalization", "Concatenate",
    ]
)  # fmt: skip
"""Layers that work whatever the order of axes is."""

NO_MAPS = frozenset({"Flatten"})
"""Layers with a `data_format` that says nothing of what they are given."""

SEQUENCES_OF_MAPS = frozenset({MERGE, "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
"""Layers whose first axis after the batch is time, wherever the channels are."""

SLIDING = (
    "Conv", "DepthwiseConv", "SeparableConv", "ZeroPadding", "Cropping", "UpSampling", "MaxPool", "AveragePool",
)  # fmt: skip
"""What the names of layers begin with that take maps, and did not write their `data_format` once."""


class Layouts:
    """The layouts of a model's tensors.

    Args:
        model: Its calls.
    """

    def __init__(self, model: FlatModel) -> None:
        self._calls = model.steps
        self._readers = dict[int, list[int]]()
        for index, call in enumerate(model.steps):
            for ref in call.inputs:
                self._readers.setdefault(ref.step, []).append(index)
        formats = {call.layer.config.get("data_format") for call in model.steps}
        self._default_last = formats != {"channels_first"} and "channels_first" not in formats - {None}

    def of(self, ref: Ref, rank: int) -> Permutation | None:
        """Return how a tensor of `rank` axes becomes channels-first; None if it is, or has no channels."""
        if rank < 3:
            return None
        found = find_layout(ref.step, (None,) * rank, self._said)
        if found is not None:
            return found.permutation
        return to_channels_first(rank) if rank > 3 and self._default_last else None

    def _said(self, step: int, shape: Shape) -> Iterator[Verdict | tuple[int, Shape]]:
        """Yield what the readers of a call's output say of its layout."""
        for reader in self._readers.get(step, ()):
            layer = self._calls[reader].layer
            if layer.class_name in SEQUENCES_OF_MAPS:
                yield Verdict(None)
            elif (last := _channels_last(layer)) is not None:
                yield Verdict(to_channels_first(len(shape)) if last else None)
            elif layer.class_name in AGNOSTIC:
                yield reader, shape


def _channels_last(layer: LayerRecord) -> bool | None:
    """Return whether a layer takes channels-last maps; None if it takes no maps, or does not care."""
    if layer.class_name in NO_MAPS or layer.is_custom:
        return None
    stated = layer.config.get("data_format")
    if stated in ("channels_first", "channels_last"):
        return stated == "channels_last"
    return True if layer.class_name.startswith(SLIDING) or "Pooling" in layer.class_name else None
