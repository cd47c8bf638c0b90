"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

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
    """Add `--config` and `--isolated`."""
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Take this configuration file and no other.",
    )
    isolated = click.option("--isolated", is_flag=True, help="Take no configuration file.")
    return config(isolated(command))


def inputs_option(command: Command) -> Command:
    """Add `--input`."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=1x3x224x224",
        help="The shape of an input whose dims are not fixed; may be repeated.",
    )(command)
