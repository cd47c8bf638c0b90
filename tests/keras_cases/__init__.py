"""Small Keras models that test the static reader: saved once by Keras itself, with what Keras says of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import zoo

FILES = ("layers.py", "networks.py", "build.py", "__init__.py")


@cache
def folder() -> Path:
    """Return the folder of the saved models, built in a subprocess if it is missing."""
    here = Path(__file__).parent
    sources = [here / name for name in FILES] + [Path(zoo.__file__).with_name("build.py")]
    return zoo.filled_folder("cases", here / "build.py", sources)


def truth(name: str) -> dict[str, Any]:
    """Return what Keras says of a case: see `zoo.describe`."""
    return json.loads((folder() / f"{name}.json").read_text())
