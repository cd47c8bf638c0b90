"""Small Keras models that test the static reader: saved once by Keras itself, with what Keras says of them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

import zoo

FILES = ("layers.py", "networks.py", "build.py", "__init__.py")


@cache
def folder() -> Path:
    """Return the folder of the saved models, built in a subprocess if it is missing."""
    here = Path(__file__).parent
    sources = [here / name for name in FILES] + [Path(zoo.__file__).with_name("build.py")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = zoo.folder() / f"cases-{digest}"
    with FileLock(zoo.folder() / "cases.lock"):
        if not target.exists():
            part = target.with_suffix(".part")
            part.mkdir(exist_ok=True)
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
            command = [sys.executable, "-W", "ignore", str(here / "build.py"), str(part)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"building the cases failed:\n{done.stderr[-4000:]}")
            part.rename(target)
    return target


def truth(name: str) -> dict[str, Any]:
    """Return what Keras says of a case: see `zoo.describe`."""
    return json.loads((folder() / f"{name}.json").read_text())
