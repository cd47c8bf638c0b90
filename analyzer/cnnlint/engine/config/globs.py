"""Globs of model paths, read as .gitignore reads them."""

from __future__ import annotations

import os
import re
from functools import cache
from itertools import islice
from pathlib import Path


def matches(glob: str, model: str, root: Path) -> bool:
    """Return whether the path `model` fits `glob`, which is relative to `root`.

    `*` and `?` stop at a slash, `**` does not. A glob without a slash fits the file's name in any folder. A path
    outside `root` can only be met by its name or by an absolute glob. Any other text ("<keras.Model cnn>", a
    URL) is met as it stands.
    """
    if model.startswith("<") or "://" in model:
        return model == glob or pattern(glob).fullmatch(model) is not None
    if "/" not in glob:
        return pattern(glob).fullmatch(os.path.basename(os.path.normpath(model))) is not None
    full = os.path.normpath(os.path.join(os.getcwd(), model)).replace(os.sep, "/")
    anchored = glob if glob.startswith("/") else f"{str(root.absolute()).replace(os.sep, '/').rstrip('/')}/{glob}"
    literal, rest = _split(anchored)
    return full.startswith(literal) and pattern(rest).fullmatch(full[len(literal) :]) is not None


def files(glob: str, root: Path, *, most: int = 1000) -> list[Path]:
    """Return the files under `root` that `glob` fits, `most` of them at the most."""
    if glob.startswith("/"):
        return [Path(glob)] if Path(glob).is_file() else []
    segments = (glob if "/" in glob else f"**/{glob}").split("/")
    mixed = next((at for at, segment in enumerate(segments) if "**" in segment and segment != "**"), None)
    if mixed is None:
        found = iter(root.glob("/".join(segments)))
    else:  # pathlib refuses what .gitignore takes for a wildcard that crosses folders
        everything = root.glob("/".join([*segments[:mixed], "**", "*"]))
        found = (path for path in everything if matches(glob, str(path), root))
    return list(islice((path for path in found if path.is_file() or path.name == "saved_model.pb"), most))


def is_plain(glob: str) -> bool:
    """Return whether `glob` names a single path."""
    return re.search(r"[*?]", glob) is None


def _split(glob: str) -> tuple[str, str]:
    """Return the folder before the first wildcard, and the rest; brackets in folder names stay what they are."""
    wild = re.search(r"[*?]", glob)
    end = len(glob) if wild is None else glob.rfind("/", 0, wild.start()) + 1
    return glob[:end], glob[end:]


@cache
def pattern(glob: str) -> re.Pattern[str]:
    """Return `glob` as a regular expression."""
    translated = ""
    position = 0
    for found in re.finditer(r"\*\*/|\*\*|\*|\?", glob):
        translated += re.escape(glob[position : found.start()])
        translated += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}[found[0]]
        position = found.end()
    return re.compile(translated + re.escape(glob[position:]))
