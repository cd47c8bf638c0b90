"""Networks as PyTorch users write them, exported in four ways, with what PyTorch says of them."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import zoo

INSTALLED = find_spec("torch") is not None and find_spec("onnxscript") is not None
"""Whether the exporters are there: `pip install torch onnxscript`."""

NAMES = (
    "convnext", "detector", "shuffle", "mobile", "u_net", "waveform", "volumes", "text_lines", "attention", "subpixel",
)  # fmt: skip

EXPORTERS = {"script": True, "script_unfolded": False, "dynamo": True, "dynamo_unoptimized": False}
"""The ways to export, and whether each folds norms into the convolutions before them."""


@cache
def folder() -> Path:
    """Return the folder of the exported models, built in a subprocess if it is missing."""
    here = Path(__file__).parent
    return zoo.filled_folder("torch", here / "build.py", sorted(here.glob("*.py")))


def truth(name: str) -> dict[str, Any]:
    """Return what PyTorch says of a network: its parameters, statistics of norms, and MACs."""
    return json.loads((folder() / f"{name}.json").read_text())
