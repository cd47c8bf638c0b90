"""Standard output, standard error and output files, with or without color."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING, Literal, TextIO

import click

from cnnlint.errors import CnnlintError, DefinitionError, InternalError, RuleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnnlint.report.view import View

ColorChoice = Literal["auto", "always", "never"]

VERBOSE = "cnnlint.verbose"
"""Key in click's context of whether `-v` was given, for error reporting."""

PLAIN = dict(zip("×−…→›⋮⌊⌋·█▏▎▍▌▋▊▉", "x-~>>:[].#.......", strict=True))
"""What stands for signs of reports where they cannot be shown: as wide, so that columns stay below one another."""

LIKENESS = "cnnlint.likeness"
"""The error handler of codecs that puts it there, and "?" for all else."""

WIDEST = 100
"""Most columns of a report's prose, which is hard to read in longer lines; tables take what a terminal has."""


def _likeness(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(LIKENESS, _likeness)


def complain(message: str, kind: Literal["error", "warning", "note"] = "error") -> None:
    """Write "cnnlint: error: MESSAGE" to standard error."""
    from cnnlint.report.printable import printable, without_commands

    head = f"{kind}:"
    if in_color("auto", sys.stderr):
        head = f"\x1b[1;{'31' if kind == 'error' else '33'}m{head}\x1b[0m"
    click.echo(f"cnnlint: {head} {without_commands(printable(message))}", err=True, color=True)


def complain_of(error: CnnlintError, *, verbose: bool) -> None:
    """Write an error on one line of standard error, and the traceback of the user's own code.

    If `verbose`, also what that code printed, and the traceback of an internal error and of a plugin.
    """
    complain(str(error))
    if isinstance(error, DefinitionError) or (verbose and isinstance(error, InternalError)):
        quote("", error.trace)
    if verbose and isinstance(error, RuleError) and error.__cause__ is not None:
        from traceback import format_exception

        quote("", "".join(format_exception(error.__cause__)))
    if verbose and isinstance(error, DefinitionError) and error.said.strip():
        quote("it printed:", error.said)


def quote(head: str, text: str) -> None:
    """Write what others wrote to standard error, indented below a line that says whose words these are."""
    from cnnlint.report.printable import printable, without_commands

    if head and text.strip():
        complain(head, "note")
    lines = "".join(f"  {printable(line)}\n" for line in text.splitlines())
    click.echo(without_commands(lines), err=True, nl=False)


def in_color(choice: ColorChoice, stream: TextIO | None) -> bool:
    """Return whether to use color: as chosen, else by NO_COLOR and FORCE_COLOR, else on terminals only."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def view_of_stdout(choice: ColorChoice, *, verbose: bool = False, quiet: bool = False) -> View:
    """Return the view for a report on standard output."""
    from cnnlint.report.view import View

    terminal = _stdout() is not None and sys.stdout.isatty()
    sized = terminal or "COLUMNS" in os.environ
    columns = max(40, _columns() if sized else WIDEST)
    return View(
        color=in_color(choice, _stdout()),
        width=min(WIDEST, columns),
        columns=columns,
        verbose=verbose,
        quiet=quiet,
        terminal=terminal,
        unicode=_draws(),
    )


def _draws() -> bool:
    """Return whether standard output can show blocks and lines."""
    encoding = getattr(_stdout(), "encoding", None) or "utf-8"
    try:
        return bool("█▏─│".encode(encoding))
    except (UnicodeEncodeError, LookupError):
        return False


def _stdout() -> TextIO | None:
    """Return standard output; None where whoever started the process has closed it, which its type does not say."""
    return sys.stdout


def write(text: str) -> None:
    """Write a report to standard output, with others in the place of characters that its encoding lacks.

    A reader that stops early (`| head`) is not an error and does not change the exit code.

    Raises:
        CnnlintError: It cannot be written: the disk is full, or it is closed.
    """
    if _stdout() is None:
        raise CnnlintError("is closed", path="standard output")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        click.echo(text.encode(encoding, LIKENESS).decode(encoding), nl=False, color=True)
    except OSError as error:
        lost = unwritable(error)
        if not isinstance(error, BrokenPipeError):
            raise lost from error


def unwritable(error: OSError) -> CnnlintError:
    """Return the error for a standard output that cannot be written, and redirect what is left to nowhere."""
    # flushing Python's buffer at exit would fail again
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CnnlintError(f"cannot be written: {error.strerror}", path="standard output")


def write_report(report: object, form: str, view: View, text: Callable[[], str]) -> None:
    """Write a report to standard output: as JSON if `form` is "json", else what `text` returns."""
    if form == "json":
        from cnnlint.report.json import encode

        write(encode(report, view))
    else:
        write(text())


def _columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size((WIDEST, 24)).columns
