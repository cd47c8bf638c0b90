"""Keras archives written without Keras: records and arrays as a test wants them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def layer(
    class_name: str, name: str, *, module: str = "keras.layers", calls: Any = None, **config: Any
) -> dict[str, Any]:
    """Return a serialized layer; `calls` are names of layers, one list for each call."""
    record: dict[str, Any] = {
        "module": module,
        "class_name": class_name,
        "config": {"name": name, **config},
        "name": name,
    }
    if calls is not None:
        record["inbound_nodes"] = [
            {"args": [tensor(names[0]) if len(names) == 1 else [tensor(each) for each in names]], "kwargs": {}}
            for names in calls
        ]
    return record


def tensor(name: str) -> dict[str, Any]:
    """Return a serialized tensor: the first output of the first call of a layer."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def functional(
    layers: list[dict[str, Any]], outputs: list[str], inputs: tuple[str, ...] = ("image",)
) -> dict[str, Any]:
    """Return a serialized Functional model."""
    config = {
        "name": "model",
        "layers": layers,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    return {"module": "keras", "class_name": "Functional", "config": config}


def image(*shape: int | None, name: str = "image") -> dict[str, Any]:
    """Return a serialized input."""
    record = layer("InputLayer", name, batch_shape=[None, *shape], dtype="float32")
    return {**record, "inbound_nodes": []}


def hdf5(arrays: dict[str, Any]) -> bytes:
    """Return an HDF5 file of arrays by path."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, array in arrays.items():
            file[path] = np.asarray(array)
    return buffer.getvalue()


def members(config: Any, weights: bytes | None = None) -> dict[str, bytes]:
    """Return the files of an archive by name."""
    files = {"metadata.json": b'{"keras_version": "3.15.1"}', "config.json": json.dumps(config).encode()}
    return files if weights is None else {**files, "model.weights.h5": weights}


def write_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> str:
    """Write a zip archive and return its path."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)
