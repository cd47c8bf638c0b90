"""The command line: one module per command, imported when the command is used."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False  # as in `typing`, which is slow to import
if TYPE_CHECKING:
    from typing import NoReturn

OTHERWISE = ("--static", "--show-settings", "--help", "-h", "--cache-dir", "--run-memory", "--config")
"""Options with which a lint may run no model, or not within the usual limits."""

MANY = 48
"""Models that are too many for one process; see `cnnlint.linting.parallel`, which is slow to import."""

SETTINGS = (b"static", b"cache", b"run-memory")
"""Words in a configuration that may have the same effect."""


def program() -> NoReturn:
    """Run `cnnlint` as the program of this process, and end it without freeing what it holds.

    To free that object by object takes Python a tenth of the time of a static lint; mypy ends in the same way.
    """
    try:
        main()
    except SystemExit as done:
        if isinstance(done.code, int):
            import atexit

            # workers end, temporary folders go
            atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            # a stream that cannot be flushed is left to what Python does at its end
            with suppress(OSError, ValueError):
                for stream in (sys.stdout, sys.stderr):
                    if stream is not None:  # pyright: ignore[reportUnnecessaryComparison] - it is closed
                        stream.flush()
                os._exit(done.code)
        raise


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
    """Return whether the command is most likely a lint that runs an ONNX file under onnxruntime.

    Only speed depends on the answer: the process that runs models is then started before anything else is imported.
    """
    models = [argument for argument in arguments if argument.endswith(".onnx") and os.path.isfile(argument)]
    if not models or (arguments[0] != "lint" and not arguments[0].startswith("-") and arguments[0] != models[0]):
        return False
    if len(models) >= MANY:  # most likely several processes lint them, each of which has its own onnxruntime
        return False
    if any(argument.partition("=")[0] in OTHERWISE for argument in arguments):
        return False
    return "--isolated" in arguments or not any(map(_may_forbid, {os.getcwd(), os.path.dirname(models[0]) or "."}))


def _may_forbid(folder: str) -> bool:
    """Return whether a configuration in `folder` or above may turn runs off or change their limits."""
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
