"""`cnnlint lint --watch`: definitions are linted again at each save, and what changed is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnlint.cli.streams import complain, complain_of, write
from cnnlint.editing.changes import changes
from cnnlint.editing.session import EditingSession, Look
from cnnlint.engine.telling import relative
from cnnlint.errors import CnnlintError, ConfigError, MissingExtraError, installing
from cnnlint.report import render
from cnnlint.report.printable import printable, without_commands
from cnnlint.results import LintReport

if TYPE_CHECKING:
    from cnnlint.definitions.target import Definition
    from cnnlint.engine.config.nearest import Documents
    from cnnlint.engine.config.schema import Flags
    from cnnlint.report.view import View

STEP = 100
"""Milliseconds that a save is waited for at once, and in which several files count as saved together."""


def watch(find: Callable[[], tuple[Documents, Sequence[Definition]]], flags: Flags, view: View) -> int:
    """Lint all definitions, and at each save those whose modules it changed, until the process is interrupted.

    Raises:
        MissingExtraError: The library that watches files is not installed.
        ConfigError: The configuration is wrong, or nothing is defined.
    """
    try:
        watchfiles: Any = import_module("watchfiles")
    except ImportError as error:
        remedy = installing("cnnlint[watch]")
        raise MissingExtraError("--watch needs watchfiles, which is not installed", remedy=remedy) from error
    session = EditingSession(find, flags)
    if not session.definitions:
        remedy = "name code, as in train.py:make_model, or give --definitions"
        raise ConfigError("--watch is for networks that code defines, and none is named", remedy=remedy)
    seen, begun = dict[str, Look](), False
    saves = watchfiles.watch(
        *session.folders,
        watch_filter=watchfiles.PythonFilter(extra_extensions=(".toml",)),
        debounce=STEP,
        step=STEP // 4,
        rust_timeout=STEP,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    with closing(session):
        for saved in saves:  # an empty set first, when saves begin to be noticed
            files = sorted({path for _, path in saved})
            if begun and not files:
                continue
            try:
                for definition in session.concerned(files) if begun else session.definitions:
                    look = session.look(definition)
                    _tell(files, seen.get(definition.name), look, view)
                    if look.error is None:
                        seen[definition.name] = look
            except CnnlintError as error:  # a configuration that is being written
                if not begun:
                    raise
                complain_of(error, verbose=view.verbose)
            begun = True
    return 0


def _tell(files: Sequence[str], before: Look | None, after: Look, view: View) -> None:
    name = printable(after.definition.name)
    if files:
        saved = ", ".join(printable(relative(file)) for file in files[:3]) + (" and more" if len(files) > 3 else "")
        complain(f"{saved} saved, {name} linted in {after.seconds:.1f} s", "note")
    if after.error is not None:
        complain_of(after.error, verbose=view.verbose)
    elif before is None:
        write(render(LintReport(models=(after.report,)), "text", view))
    else:
        lines = [printable(line) for line in changes(before.report, after.report)] or ["nothing changed"]
        write(without_commands("".join(f"{name}: {line}\n" for line in lines)))
