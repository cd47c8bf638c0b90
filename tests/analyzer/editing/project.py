"""A project whose network has a smell three calls deep: its blocks have biases that normalizations cancel."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

KERAS = {
    "train.py": """
        import keras

        from parts.stages import stage

        CLASSES = 10


        def make_model():
            image = keras.Input((32, 32, 3))
            features = stage(stage(image, 8), 16)
            mean = keras.layers.GlobalAveragePooling2D(name="mean")(features)
            return keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax", name="head")(mean), name="net")
    """,
    "parts/__init__.py": "",
    "parts/stages.py": """
        from keras import layers

        from parts.blocks import block


        def stage(x, filters):
            x = block(x, filters)
            return layers.MaxPooling2D(2)(block(x, filters))
    """,
    "parts/blocks.py": """
        from keras import layers


        def block(x, filters):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
            return layers.Activation("relu")(x)
    """,
    "cnnlint.toml": """
        [[definitions]]
        name = "net"
        factory = "train.py:make_model"
    """,
}

SMELL = ("parts/blocks.py", 5, 'layers.Conv2D(filters, 3, padding="same")(x)')
"""The file, the line (from 1) and the text of the line that makes the biases."""

CALLERS = [("parts/stages.py", 7), ("train.py", 10)]
"""The lines over which the first block is reached, outward."""


def write(folder: Path, files: dict[str, str] = KERAS) -> Path:
    """Write a project into a repository of its own, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return folder


def edit(folder: Path, name: str, old: str, new: str) -> str:
    """Replace a text that a file holds once, and return what it then holds."""
    text = (folder / name).read_text(encoding="utf-8")
    assert text.count(old) == 1, (name, old)
    text = text.replace(old, new)
    (folder / name).write_text(text, encoding="utf-8")
    return text
