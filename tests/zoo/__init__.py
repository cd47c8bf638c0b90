"""The model zoo of the tests: keras.applications nets built once into a cached folder, and onnx's light models.

Asking for a path builds what is missing in a subprocess, so that the process of the test never imports
TensorFlow and its memory is given back. Builds run one at a time under a lock and are written to a temporary
name first, so that parallel test processes never see half a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from filelock import FileLock

from zoo.architectures import GIANTS

if TYPE_CHECKING:
    import onnx

RECIPE = 1
"""Raise this when what `build.py` writes changes; the cache of old builds is then left behind."""

LARGE = ("VGG16", "ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121")
"""The five nets that every part of the project is tested on."""

MORE = (
    "InceptionV3",
    "NASNetMobile",
    "Xception",
    "EfficientNetV2B0",
    "ConvNeXtTiny",
    "MobileNetV3Small",
    "ResNet50V2",
)


@cache
def folder() -> Path:
    """Return the folder of the built models, created if it is missing.

    It is `$CNNLINT_ZOO`, or a folder of the system's temporary one named by the versions that build the models.
    """
    chosen = os.environ.get("CNNLINT_ZOO")
    packages = ("tensorflow", "keras", "tf2onnx", "onnx", "numpy")
    versions = " ".join([f"recipe={RECIPE}", *(f"{name}={_version(name)}" for name in packages)])
    stamp = hashlib.sha256(versions.encode()).hexdigest()[:12]
    path = Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"cnnlint-zoo-{stamp}"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # what takes no TensorFlow runs without it
        return ""


def keras_path(name: str) -> Path:
    """Return the `.keras` archive of the keras.applications net `name`: seeded weights, untrained."""
    return _built(name, "keras")


def h5_path(name: str) -> Path:
    """Return the same net in the legacy `.h5` format."""
    return _built(name, "h5")


def onnx_path(name: str) -> Path:
    """Return the same net as tf2onnx itself converts it."""
    return _built(name, "onnx")


class Proved(NamedTuple):
    """A net with its conversion by cnnlint.

    Attributes:
        keras: Path of the `.keras` archive.
        onnx: Path of the conversion; there is no such file if it failed.
        truth: What Keras says of the net: see `describe`.
        proof: What was measured on the way: see `zoo.proof.prove`, and "net" and "parameters".
    """

    keras: Path
    onnx: Path
    truth: dict[str, Any]
    proof: dict[str, Any]

    def filled_inputs(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the inputs with rows and columns open, at 224 × 224."""
        names = [layer["name"] for layer in self.truth["layers"] if layer["class"] == "InputLayer"]
        shapes = [value["shape"] for value in self.truth["inputs"]]
        return {name: (1, 224, 224, shape[-1]) for name, shape in zip(names, shapes, strict=True) if None in shape[1:]}


@contextmanager
def proved(name: str) -> Iterator[Proved]:
    """Give the net `name` of `zoo.architectures` with its conversion, converted and run by both sides.

    The files of a giant go when the block ends.
    """
    archive, converted, facts, proof = (
        folder() / f"{name}.{ending}" for ending in ("keras", "proved.onnx", "json", "proof.json")
    )
    with FileLock(folder() / "build.lock"):
        if not (proof.exists() and archive.exists() and (converted.exists() or "failure" in proof.read_text())):
            _run_build("proved", name, str(folder()))
    try:
        yield Proved(archive, converted, json.loads(facts.read_text()), json.loads(proof.read_text()))
    finally:
        if name in GIANTS:
            archive.unlink(missing_ok=True)
            converted.unlink(missing_ok=True)


def truth(name: str) -> dict[str, Any]:
    """Return what Keras says of the net: see `describe`."""
    keras_path(name)
    return json.loads((folder() / f"{name}.json").read_text())


def describe(path: Path | str) -> dict[str, Any]:
    """Return what Keras says of any `.keras` or `.h5` file.

    The answer has "name", "class", "parameters", "trainable_parameters", "inputs" and "outputs" (each a list of
    {"name", "shape", "dtype"}) and "layers": a list of {"name", "class", "output_shapes", "parameters",
    "trainable_parameters", "weights", "config"} in Keras's own order. "output_shapes" has one list of shapes per
    call of the layer, channels where Keras has them, null for the batch; "weights" is a list of {"name", "shape",
    "dtype", "trainable"}; a nested model has "layers" of its own.
    """
    path = Path(path).resolve()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    target = folder() / "described" / f"{path.stem}-{digest}.json"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        with FileLock(folder() / "build.lock"):
            if not target.exists():
                _run_build("describe", str(path), str(target))
    return json.loads(target.read_text())


def filled_folder(name: str, script: Path, sources: Iterable[Path]) -> Path:
    """Return a folder that `script` fills, run in a subprocess unless it did so with the same `sources` before."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = folder() / f"{name}-{digest}"
    with FileLock(folder() / f"{name}.lock"):
        if not target.exists():
            part = target.with_suffix(".part")
            part.mkdir(exist_ok=True)
            _run(script, str(part))
            part.rename(target)
    return target


def light_path(name: str) -> Path:
    """Return `light_<name>.onnx` of the installed onnx package: a known net whose weights take no room."""
    spec = find_spec("onnx")
    path = (
        Path(spec.origin if spec and spec.origin else "").parent
        / "backend"
        / "test"
        / "data"
        / "light"
        / f"light_{name}.onnx"
    )
    assert path.exists(), f"the installed onnx package has no {path.name}"
    return path


def light_names() -> list[str]:
    """Return the names that `light_path` takes, sorted."""
    somewhere = light_path("resnet50").parent
    return sorted(path.stem.removeprefix("light_") for path in somewhere.glob("light_*.onnx"))


def operator_cases() -> list[onnx.ModelProto]:
    """Return the models of the operator tests that onnx comes with.

    onnx makes them, and computes what they answer, whenever it is asked, in twenty seconds: they are kept too.
    """
    import onnx

    path = folder() / f"operators-{version('onnx')}.msgpack"
    with FileLock(folder() / "build.lock"):
        if not path.exists():
            import numpy as np
            from onnx.backend.test.case.node import collect_testcases

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the cases compute their expected outputs, infinities included
                if not hasattr(np, "bool"):  # the cases of onnx 1.18 are written for numpy 2
                    np.bool = np.bool_
                cases = [case.model for case in collect_testcases(None) if case.model is not None]
            part = path.with_suffix(".part")
            part.write_bytes(msgspec.msgpack.encode([model.SerializeToString() for model in cases]))
            part.rename(path)
    contents = msgspec.msgpack.decode(path.read_bytes(), type=list[bytes])
    return [onnx.ModelProto.FromString(content) for content in contents]


def _built(name: str, kind: str) -> Path:
    target = folder() / f"{name}.{kind}"
    if not target.exists():
        with FileLock(folder() / "build.lock"):
            if not target.exists():
                _run_build(kind, name, str(target))
    return target


def _run_build(*arguments: str) -> None:
    _run(Path(__file__).with_name("build.py"), *arguments)


def _run(script: Path, *arguments: str) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-W", "ignore", str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script.name} {' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
