"""The inputs of a run: each a pure function of its kind, the seed and its number."""

from __future__ import annotations

import shutil
from itertools import accumulate
from pathlib import Path
from random import Random

from fuzz import archives, configurations, corpus, onnx_models, oracles, wire

KINDS = ("onnx", "archive", "config")

LARGEST = 900_000
"""Bytes of the largest input: the promise is about files below 1 MB."""


class Source:
    """Draws inputs of one kind.

    Args:
        kind: One of KINDS.
        seed: Of the run.
        folder: The corpus.
    """

    def __init__(self, kind: str, seed: int, folder: Path) -> None:
        self.kind = kind
        self.seed = seed
        if kind == "onnx":
            self._models = [wire.parse(content) for content in corpus.models(folder)]
            # small models are mutated, read and minimized fast: half of the inputs are of the smallest eighth
            self._weights = list(accumulate(1 / (500 + len(model.encode())) for model in self._models))
            self._operators = corpus.operators(folder)
        elif kind == "archive":
            self._archives = [content for content in corpus.archives(folder) if len(content) < LARGEST]
            self._sound = [content for content in self._archives if content[:2] == b"PK"]

    def draw(self, number: int) -> bytes:
        """Return input `number`."""
        random = self._random(number)
        if self.kind == "config":
            return configurations.draw(random)
        if self.kind == "archive":
            weights = [1 / (20_000 + len(content)) for content in self._archives]
            content = random.choices(self._archives, weights)[0]
            return archives.mutate(random, content, random.choice(self._sound))[:LARGEST]
        model, donor = random.choices(self._models, cum_weights=self._weights, k=2)
        return onnx_models.mutate(random, model, donor, self._operators)[:LARGEST]

    def check(self, number: int, folder: Path) -> list[oracles.Fault]:
        """Draw an input, and hold it against the oracles.

        Some are held against more of them: what is dear is looked at less often.
        """
        rare = Random(f"depth:{self.seed}:{number}").random()
        depth = 4 if rare < 0.002 else 3 if rare < 0.02 else 2 if rare < 0.06 else 1 if rare < 0.25 else 0
        return check(self.kind, self.draw(number), folder, depth=depth)

    def _random(self, number: int) -> Random:
        return Random(f"{self.kind}:{self.seed}:{number}")


def suffix(kind: str, content: bytes) -> str:
    """Return how the file of an input ends."""
    if kind == "archive":
        return ".h5" if content[:8] == b"\x89HDF\r\n\x1a\n" else ".keras"
    return ".onnx" if kind == "onnx" else ".toml"


def check(kind: str, content: bytes, folder: Path, *, depth: int = 3) -> list[oracles.Fault]:
    """Hold one input against the oracles, in `folder`, which is made ready for it."""
    prepare(folder)
    path = folder / "in" / f"input{suffix(kind, content)}"
    path.write_bytes(content)
    try:
        if kind == "config":
            return oracles.check_configuration(path, folder / "in" / "model.onnx")
        return oracles.check(path, depth=depth)
    finally:
        path.unlink()


def prepare(folder: Path) -> None:
    """Lay out what inputs may refer to: data beside them, data outside, and a link that leads out."""
    inside = folder / "in"
    if inside.is_dir():
        return
    inside.mkdir(parents=True)
    (inside / "data.bin").write_bytes(bytes(4096))
    (folder / "outside.bin").write_bytes(bytes(4096))
    (inside / "link.bin").symlink_to(folder / "outside.bin")
    shutil.copy(corpus.ROOT / "fixtures" / "models" / "torch_twin.onnx", inside / "model.onnx")
