"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from cnnlint.errors import boundary

Command = TypeVar("Command", bound=Callable[..., Any])


def color_option(command: Command) -> Command:
    """Add `--color`."""
    return click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        show_default=True,
        help="Colours; auto honours NO_COLOR, FORCE_COLOR and whether this is a terminal.",
    )(command)


def config_options(command: Command) -> Command:
    """Add `--config`, `--isolated`, and whose code may run."""
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Take this configuration file and no other.",
    )
    isolated = click.option("--isolated", is_flag=True, help="Take no configuration file.")
    allow = click.option(
        "--allow-config-code",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Run the rule-files of this configuration (or of the one in this folder), which was found beside a model "
        "and not from the working directory; may be repeated.",
    )
    ignore = click.option(
        "--ignore-config-code", is_flag=True, help="Do without such rule-files, where that is exit code 2 otherwise."
    )
    return config(isolated(allow(ignore(command))))


VERBOSE = "cnnlint.verbose"
"""Where the context of a command line keeps whether `-v` was given, for those who report what went wrong."""


def _keep_verbose(context: click.Context, _parameter: click.Parameter, wanted: bool) -> bool:
    context.meta[VERBOSE] = wanted
    return wanted


def verbose_option(help_text: str = "Show the traceback of a fault of cnnlint.") -> Callable[[Command], Command]:
    """Add `-v`; a command that shows nothing more itself need not look at it."""

    def add(command: Command) -> Command:
        return click.option("-v", "--verbose", is_flag=True, callback=_keep_verbose, help=help_text)(command)

    return add


def about(*parameters: str) -> Callable[[Command], Command]:
    """Let what goes wrong in a command name the models that stand in `parameters`."""

    def add(command: Command) -> Command:
        @wraps(command)
        def bounded(**given: Any) -> Any:
            from cnnlint.models import path_of

            with boundary(" and ".join(path_of(given[name]) for name in parameters)):
                return command(**given)

        return cast("Command", bounded)

    return add


def inputs_option(command: Command) -> Command:
    """Add `--input`."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=1x3x224x224",
        help="The shape of an input whose dims are not fixed; may be repeated.",
    )(command)


def limit_options(command: Command) -> Command:
    """Add `--run-timeout` and `--run-memory`."""
    timeout = click.option(
        "--run-timeout",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Time for one load or run of a model; 0 for any.  [default: 60 and more, by the size of the model]",
    )
    memory = click.option(
        "--run-memory",
        metavar="8GB",
        help="Memory that running a model may take.  [default: 80 % of what is free]",
    )
    return timeout(memory(command))
