"""`cnnlint server`: the language server, which editors start."""

from __future__ import annotations

from importlib import import_module

import click

from cnnlint.errors import MissingExtraError, installing


@click.command("server")
def command() -> int:
    """Serve an editor over standard input and output by the Language Server Protocol.

    The networks that [[definitions]] of the workspace's configuration name are linted at each save, which runs their
    code: only in a workspace that the editor calls trusted, or after asking.
    """
    try:
        import_module("pygls")
    except ImportError as error:
        remedy = installing("cnnlint[server]")
        raise MissingExtraError("the language server needs pygls, which is not installed", remedy=remedy) from error
    from cnnlint.editing.server import server

    server().start_io()
    return 0
