"""The command line: one module per command, imported when the command is used."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from typing import NoReturn

OTHERWISE = ("--static", "--show-settings", "--help", "-h", "--cache-dir", "--run-memory", "--config")
"""Options with which a lint runs no model, perhaps none, or not within the usual limits."""

SETTINGS = (b"static", b"cache", b"run-memory")
"""Words of a configuration that may mean the same."""


def main() -> NoReturn:
    """Run `cnnlint` with the arguments of the process, and exit."""
    is_ahead = will_run(sys.argv[1:])
    try:
        if is_ahead:
            from cnnlint.worker.start import start_ahead

            start_ahead()
        from cnnlint.cli.commands import commands

        commands.main(prog_name="cnnlint")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        if is_ahead:
            from cnnlint.worker.start import drop

            drop()
    raise SystemExit(0)


def will_run(arguments: list[str]) -> bool:
    """Return whether the command is a lint that will, as far as a glance tells, run an ONNX file under onnxruntime.

    Nothing hangs on the answer but time: the process that runs models is started before anything else is imported.
    """
    models = [argument for argument in arguments if argument.endswith(".onnx") and os.path.isfile(argument)]
    if not models or (arguments[0] != "lint" and not arguments[0].startswith("-") and arguments[0] != models[0]):
        return False
    if any(argument.partition("=")[0] in OTHERWISE for argument in arguments):
        return False
    return "--isolated" in arguments or not any(map(_may_forbid, {os.getcwd(), os.path.dirname(models[0]) or "."}))


def _may_forbid(folder: str) -> bool:
    """Return whether a configuration in `folder` or above it may say that models are not run, or how."""
    folder = os.path.abspath(folder)
    while True:
        for name in ("cnnlint.toml", "pyproject.toml"):
            with suppress(OSError), open(os.path.join(folder, name), "rb") as file:
                text = file.read(1 << 20)
                if (name == "cnnlint.toml" or b"cnnlint" in text) and any(word in text for word in SETTINGS):
                    return True
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return False
