"""The command line: one module per command, imported when the command is used."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run `cnnlint` with the arguments of the process, and exit."""
    try:
        from cnnlint.cli.commands import commands

        commands.main(prog_name="cnnlint")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0)
