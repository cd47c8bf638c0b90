"""Small networks as ONNX files, written in the notation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from cnnlint import frontends
from cnnlint.frontends.notation import to_onnx
from cnnlint.graph.graph import Graph

SMALL = "INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> GAP -> FC 10"
"""112 + 50 parameters: 4 × 3 × 3 × 3 + 4 and 10 × 4 + 10."""

FLAT = "INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> FLATTEN -> FC 10"


def graph_of(notation: str) -> Graph:
    return frontends.load_onnx_bytes(to_onnx(notation).SerializeToString(), "net.onnx")


def write(path: Path, notation: str = SMALL, *, metadata: Mapping[str, str] | None = None) -> str:
    """Save the network at `path`, with `metadata` in its metadata_props, and return the path."""
    model = to_onnx(notation)
    onnx.helper.set_model_props(model, dict(metadata or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return str(path)
