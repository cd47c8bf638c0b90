"""Other tools, each in an environment of its own, and what they do with an ONNX file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.process import Contender

SHARED = ("onnx", "onnxruntime", "numpy")
"""What every peer gets in the version that cnnlint is measured with."""


class Peer(NamedTuple):
    """A package on the registry.

    Attributes:
        package: Its name.
        beside: Packages that it needs but does not ask for.
    """

    package: str
    beside: tuple[str, ...] = ()


PEERS = (
    Peer("onnx-doctor"),
    Peer("onnx-tool"),
    Peer("onnxslim"),
    Peer("onnxsim"),
    Peer("ssc4onnx", ("onnx-graphsurgeon", "rich")),
    Peer("polygraphy", ("onnx-graphsurgeon",)),
)


class Installed(NamedTuple):
    """Where the peers are, by package, with their versions; and why others are absent."""

    folders: Mapping[str, Path]
    versions: Mapping[str, str]
    absent: Mapping[str, str]


def install(folder: Path, progress: Callable[[str], None], peers: Sequence[Peer] = PEERS) -> Installed:
    """Install every peer that pip finds by its name into an environment below `folder`."""
    constraints = folder / "constraints.txt"
    folder.mkdir(parents=True, exist_ok=True)
    constraints.write_text("".join(f"{name}=={_version(sys.executable, name)}\n" for name in SHARED))
    folders, versions, absent = dict[str, Path](), dict[str, str](), dict[str, str]()
    for peer in peers:
        place = folder / peer.package
        python = place / "bin" / "python"
        if not (place / "complete").exists():
            progress(f"installing {peer.package}")
            if problem := _install(place, peer, constraints):
                absent[peer.package] = problem
                continue
            (place / "complete").touch()
        folders[peer.package], versions[peer.package] = place / "bin", _version(str(python), peer.package)
    return Installed(folders, versions, absent)


def _install(place: Path, peer: Peer, constraints: Path) -> str:
    """Make an environment with `peer` in it; return why that failed, or ""."""
    wanted = (peer.package, *peer.beside, *SHARED)
    pip = (str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:")
    for command in ((sys.executable, "-m", "venv", str(place)), (*pip, "--constraint", str(constraints), *wanted)):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return (errors or ["it cannot be installed"])[-1].removeprefix("ERROR: ")
    return ""


def _version(python: str, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run((python, "-c", code), capture_output=True, text=True, check=True).stdout.strip()


def contenders(installed: Installed, model: str, image: Mapping[str, Any], scratch: Path) -> list[Contender]:
    """Return what the installed peers do with `model`, quick ones first.

    Args:
        installed: The peers.
        model: Path of an ONNX file.
        image: Name and shape of its input, the batch None.
        scratch: A folder that they may write to.
    """
    shape = "x".join(str(extent or 1) for extent in image["shape"])
    fed = f"{image['name']}:f32:{shape}"
    jobs = {
        "onnx-doctor check": ("onnx-doctor", "onnx-doctor", "check", model),
        "polygraphy inspect model": ("polygraphy", "polygraphy", "inspect", "model", model),
        "onnxslim --inspect": ("onnxslim", "onnxslim", "--inspect", model),
        "onnx-tool profile": ("onnx-tool", "python", "-m", "onnx_tool", "-i", model, "-d", fed),
        "onnx check-model": ("onnxslim", "check-model", model),
        "ssc4onnx": ("ssc4onnx", "ssc4onnx", "-if", model),
        "onnxsim": ("onnxsim", "onnxsim", model, str(scratch / "simplified.onnx")),
        "polygraphy check lint": ("polygraphy", "polygraphy", "check", "lint", model),
    }
    return [
        Contender(name, (str(installed.folders[package] / program), *arguments))
        for name, (package, program, *arguments) in jobs.items()
        if package in installed.folders
    ]
