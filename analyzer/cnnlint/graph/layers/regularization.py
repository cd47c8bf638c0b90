"""Layers that work in training only."""

from __future__ import annotations

from cnnlint.graph.layer import Layer


class Dropout(Layer, frozen=True, kw_only=True, eq=False):
    """Sets values to zero at random while training; the identity otherwise.

    Attributes:
        rate: The share that is dropped; None if the file does not say.
        spatial: Whether whole channels are dropped.
        training: Whether it drops in this very file.
    """

    rate: float | None
    spatial: bool = False
    training: bool = False
