"""`cnnlint open`: the lint of models as a page in the browser."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from cnnlint.cli.discovery import discover
from cnnlint.cli.options import Sectioned, budget_options, file_options, flags_of, setting_options, verbose_option
from cnnlint.cli.run import run
from cnnlint.cli.streams import complain, complain_of, write
from cnnlint.engine.config.nearest import Documents
from cnnlint.errors import ConfigError
from cnnlint.linting.linter import Baselines
from cnnlint.report import render_each
from cnnlint.report.view import View

if TYPE_CHECKING:
    from cnnlint.engine.drawing import Drawing


@click.command("open", cls=Sectioned)
@click.argument("paths", nargs=-1, required=True, metavar="MODEL...", type=click.Path())
@file_options
@setting_options()
@budget_options
@verbose_option()
def command(*, paths: tuple[str, ...], config: Path | None, isolated: bool, verbose: bool, **said: Any) -> int:
    """Lint models, and open the report, with the networks drawn, in the browser.

    The page is written to a temporary file, whose path is printed. Findings do not make the exit code 1.
    """
    if config is not None and isolated:
        raise ConfigError("--config and --isolated contradict each other", remedy="give one of them")
    flags = flags_of(said)
    documents = Documents(config, isolated=isolated)
    found = discover(paths, documents, flags)
    for error in found.errors:
        complain(str(error))
    if not found.models:
        return 2
    drawings: dict[str, Drawing] = {}
    report = run(found.models, flags, documents=documents, baselines=Baselines(), traced=verbose, drawings=drawings)
    result = render_each(report, "html", replace(View(), drawings=drawings))
    for fault in result.faults:
        complain_of(fault, verbose=verbose)
    page = _written(result.text)
    write(f"{page}\n")
    if not webbrowser.open(page.as_uri()):
        complain("no browser could be started: open the file above", "note")
    return 2 if found.errors or report.exit_code == 2 or result.faults else 0


def _written(text: str) -> Path:
    """Write the page into a temporary folder that only its owner may read, and return its path.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        page = Path(tempfile.mkdtemp(prefix="cnnlint-"), "report.html")
        page.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise ConfigError(f"the report cannot be written: {os.strerror(error.errno or 0)}") from error
    return page
