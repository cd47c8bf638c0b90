"""The fixed scale and shift that prepares an input."""

from __future__ import annotations

from cnnlint.graph.layer import Layer


class Rescale(Layer, frozen=True, kw_only=True, eq=False):
    """A multiplication and an addition by constants ahead of the network: Rescaling or Normalization in Keras."""
