"""What mutants are made of: the fixtures, onnx's own test models, and models that crashed cnnlint before.

The corpus is gathered once, by a process of its own (`python -m fuzz.corpus FOLDER`), so that workers need neither
onnx nor Keras in memory to mutate, and is kept in the system's temporary folder, by the version of onnx.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 60_000
"""Bytes of the largest ONNX model taken from elsewhere: mutants of small ones are read many times as fast."""

LAYERS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "Conv1D": ((16, 3), {"filters": 4, "kernel_size": 3, "padding": "causal"}),
    "Conv2D": ((8, 8, 4), {"filters": 4, "kernel_size": 3, "groups": 2, "dilation_rate": 2}),
    "Conv3D": ((4, 4, 4, 2), {"filters": 2, "kernel_size": 2, "strides": 2}),
    "Conv2DTranspose": ((4, 4, 2), {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}),
    "DepthwiseConv2D": ((8, 8, 3), {"kernel_size": 3, "depth_multiplier": 2}),
    "SeparableConv2D": ((8, 8, 3), {"filters": 4, "kernel_size": 3, "activation": "swish"}),
    "MaxPooling2D": ((9, 9, 3), {"pool_size": (2, 3), "strides": 2}),
    "AveragePooling1D": ((9, 3), {"pool_size": 2}),
    "GlobalMaxPooling2D": ((4, 4, 3), {"keepdims": True}),
    "BatchNormalization": ((4, 4, 3), {"axis": -1}),
    "LayerNormalization": ((4, 6), {"axis": [1, 2]}),
    "GroupNormalization": ((4, 4, 4), {"groups": 2}),
    "LSTM": ((5, 3), {"units": 2, "return_sequences": True}),
    "GRU": ((5, 3), {"units": 2, "go_backwards": True}),
    "Embedding": ((5,), {"input_dim": 10, "output_dim": 3}),
    "ZeroPadding2D": ((4, 4, 2), {"padding": ((1, 2), (0, 3))}),
    "Cropping2D": ((8, 8, 2), {"cropping": ((1, 2), (0, 3))}),
    "UpSampling2D": ((4, 4, 2), {"size": (2, 3), "interpolation": "bilinear"}),
    "Reshape": ((4, 6), {"target_shape": (3, -1)}),
    "Permute": ((4, 6, 2), {"dims": (3, 1, 2)}),
    "RepeatVector": ((4,), {"n": 3}),
    "EinsumDense": ((4, 6), {"equation": "abc,cd->abd", "output_shape": (4, 5), "bias_axes": "d"}),
    "PReLU": ((4, 4, 2), {"shared_axes": [1, 2]}),
    "Normalization": ((3,), {"mean": 1.0, "variance": 2.0}),
    "Dot": ((4, 3), {"axes": 2}),
    "Concatenate": ((4, 3), {"axis": 1}),
    "MultiHeadAttention": ((4, 6), {"num_heads": 2, "key_dim": 3}),
    "Bidirectional": ((5, 3), {}),
    "TimeDistributed": ((5, 3), {}),
}
"""A Keras layer of each kind: the shape of its input, and its settings."""


def gathered() -> Path:
    """Return the folder with the corpus, made if need be."""
    from importlib.metadata import version

    own = blake2b(Path(__file__).read_bytes(), digest_size=6).hexdigest()
    folder = Path(tempfile.gettempdir(), f"cnnlint-fuzz-{version('onnx')}-{own}")
    if not (folder / "operators.json").is_file():
        print("gathering the corpus ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "fuzz.corpus", str(folder)], check=True, cwd=ROOT)
    return folder


def models(folder: Path) -> list[bytes]:
    """Return the ONNX models of the corpus, with those of the repository: the same order everywhere."""
    own = [*(ROOT / "fixtures").glob("*/*.onnx"), *(ROOT / "tests" / "repro").rglob("*.onnx")]
    return _contents([*own, *(folder / "onnx").glob("*.onnx")])


def archives(folder: Path) -> list[bytes]:
    """Return the Keras files of the corpus, with those of the repository."""
    own = [path for suffix in ("keras", "h5") for path in (ROOT / "fixtures").glob(f"*/*.{suffix}")]
    own += [path for suffix in ("keras", "h5") for path in (ROOT / "tests").rglob(f"*.{suffix}")]
    return _contents([*own, *(folder / "archive").glob("*.*")])


def operators(folder: Path) -> dict[str, dict[str, str]]:
    """Return the attributes of all operators, and the type of each."""
    return json.loads((folder / "operators.json").read_text(encoding="utf-8"))


def _contents(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in sorted(paths, key=lambda path: (path.name, str(path)))]


def _onnx() -> Iterator[tuple[str, bytes]]:
    """Yield onnx's own models: its exports of PyTorch modules, and one for each node of its backend tests."""
    import warnings

    import onnx.backend.test

    data = Path(onnx.backend.test.__file__).parent / "data"
    for path in sorted(data.rglob("*.onnx")):
        if path.stat().st_size <= LARGEST:
            yield path.parent.name, path.read_bytes()
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        content = case.model.SerializeToString()
        # there are two hundred casts, from each type to each
        if len(content) <= LARGEST and not case.name.startswith(("test_cast_", "test_castlike_")):
            yield case.name, content


def _operators() -> dict[str, dict[str, str]]:
    from onnx import defs

    schemas = sorted(defs.get_all_schemas_with_history(), key=lambda schema: schema.since_version)
    found = dict[str, dict[str, str]]()
    for schema in schemas:
        if schema.domain in {"", "ai.onnx"}:
            known = found.setdefault(schema.name, {})
            known |= {name: said.type.name for name, said in schema.attributes.items()}
    # of onnxruntime, as quantized and optimized models have them
    found["FusedConv"] = {**found["Conv"], "activation": "STRING"}
    found["QLinearAdd"] = {}
    found["QLinearGlobalAveragePool"] = {"channels_last": "INT"}
    return found


def _archives() -> Iterator[tuple[str, bytes]]:
    """Yield an archive for each layer of Keras; none where Keras is not installed."""
    if find_spec("tensorflow") is None:
        return
    import keras

    with tempfile.TemporaryDirectory() as folder:
        for kind, (shape, settings) in LAYERS.items():
            keras.utils.clear_session()
            x = keras.Input(shape)
            match kind:
                case "Dot" | "Concatenate":
                    y = getattr(keras.layers, kind)(**settings)([x, keras.layers.Dense(3)(x)])
                case "MultiHeadAttention":
                    y = keras.layers.MultiHeadAttention(**settings)(x, x)
                case "Bidirectional":
                    y = keras.layers.Bidirectional(keras.layers.LSTM(2))(x)
                case "TimeDistributed":
                    y = keras.layers.TimeDistributed(keras.Sequential([keras.layers.Dense(2)]))(x)
                case _:
                    y = getattr(keras.layers, kind)(**settings)(x)
            path = Path(folder, f"{kind}.keras")
            keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y)) if y.shape[-1] else y).save(path)
            yield path.name, path.read_bytes()


def gather(folder: Path) -> None:
    """Write the corpus to `folder`; the list of operators last, which says that it is whole."""
    for kind, found in (("onnx", _onnx()), ("archive", _archives())):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        seen = set[bytes]()
        for name, content in found:
            digest = blake2b(content, digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                (folder / kind / (name if kind == "archive" else f"{name}.onnx")).write_bytes(content)
    (folder / "operators.json").write_text(json.dumps(_operators(), sort_keys=True), encoding="utf-8")


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
