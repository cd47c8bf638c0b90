"""Build and save the named models, and what Keras says of each; run as a script, in a process of its own.

python tests/keras_cases/build.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras

from keras_cases.layers import LAYERS
from keras_cases.networks import NETWORKS, ONLY_ARCHIVE
from zoo.build import description, write_json


def main(folder: Path) -> None:
    """Write NAME.keras, NAME.h5 and NAME.json for every case."""
    for name, build in {**LAYERS, **NETWORKS}.items():
        keras.utils.clear_session(free_memory=False)
        model = build(keras)
        model.save(folder / f"{name}.keras")
        if name not in ONLY_ARCHIVE:
            model.save(folder / f"{name}.h5")
        write_json(description(model), folder / f"{name}.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
