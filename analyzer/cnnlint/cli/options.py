"""Options that several commands share.

Options for settings and budgets are generated from their declarations. A command with many options lists them in
sections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin

import click

from cnnlint.cli.mistyped import Number, OneOf, Whole
from cnnlint.cli.streams import VERBOSE
from cnnlint.engine.budget import QUANTITIES, Budget
from cnnlint.engine.config.schema import SETTINGS, BudgetTable, Declaration, Flags
from cnnlint.engine.config.settings import resolve
from cnnlint.errors import ConfigError, boundary
from cnnlint.worker.limits import RunLimits

Command = TypeVar("Command", bound=Callable[..., Any])

SILENT = Flags()

BUDGET = "budget_"
"""Prefix of the parameter names of budget options."""


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Add the options of the settings `names`, or of all that have one."""
    chosen = [SETTINGS[name] for name in names or SETTINGS if SETTINGS[name].option.flag]

    def add(command: Command) -> Command:
        for setting in reversed(chosen):
            command = _option(setting)(command)
        return command

    return add


def _option(setting: Declaration) -> Callable[[Command], Command]:
    kind, option = setting.type, setting.option
    several = get_origin(kind) in {tuple, dict}
    given: dict[str, Any] = {"multiple": several}
    if kind is bool:
        given = {"is_flag": True, "default": getattr(SILENT, setting.name)}
    elif get_origin(kind) is Literal:
        given["type"] = OneOf(get_args(kind))
    elif kind is float:
        given["type"] = Number(min=0)
    elif kind is int:
        given["type"] = Whole(min=1)
    elif kind is Path:
        given["type"] = click.Path(path_type=Path, file_okay=False)
    elif kind == tuple[Path, ...]:
        given["type"] = click.Path(path_type=Path)
    help_text = f"{setting.help.rstrip('.')}; may be repeated." if several else setting.help
    if option.shown_default:
        help_text += f"  [default: {option.shown_default}]"
    flags = (option.short, option.flag) if option.short else (option.flag,)
    return click.option(*flags, setting.name, metavar=option.metavar or None, help=help_text, **given)


def budget_options(command: Command) -> Command:
    """Add a `--max-...` for each quantity that can be budgeted."""
    for name, quantity in reversed(QUANTITIES.items()):
        flag = f"--max-{name.replace('_', '-')}"
        command = click.option(flag, f"{BUDGET}{name}", metavar=quantity.example, help=quantity.help)(command)
    return command


def flags_of(said: Mapping[str, Any]) -> Flags:
    """Return the flags that the given options set.

    Raises:
        ConfigError: An input is not NAME=SHAPE, or a budget's amount cannot be read.
    """
    given = {name: _value(SETTINGS[name], value) for name, value in said.items() if name in SETTINGS}
    given = {name: value for name, value in given.items() if value not in (None, (), {})}
    return Flags(**given, budgets=_budgets(said))


def _value(setting: Declaration, value: Any) -> Any:
    if get_origin(setting.type) is dict:
        return input_shapes(value)
    if setting.type == tuple[str, ...]:
        return tuple(code.strip() for entry in value for code in entry.split(",") if code.strip())
    return value


def input_shapes(written: Iterable[str]) -> dict[str, str]:
    """Return the shape written for each input, by name.

    Raises:
        ConfigError: An entry is not NAME=SHAPE.
    """
    shapes = dict[str, str]()
    for entry in written:
        # a name may hold an equals sign or a colon; a shape holds neither
        name, separator, shape = entry.rpartition("=")
        if not separator or not name or not shape:
            raise ConfigError(f"--input {entry} does not name an input", remedy="write --input NAME=1x3x224x224")
        shapes[name] = shape
    return shapes


def input_dims(written: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each input in numbers, by name.

    Raises:
        ConfigError: An entry is not NAME=SHAPE, or an extent is no number.
    """
    return resolve(None, Flags(inputs=input_shapes(written))).inputs


def run_limits(timeout: float | None, memory: str | None) -> RunLimits:
    """Return what running a model may take.

    Raises:
        ConfigError: The memory is no size.
    """
    return resolve(None, Flags(run_timeout=timeout, run_memory=memory)).limits


def _budgets(said: Mapping[str, Any]) -> tuple[BudgetTable, ...]:
    written = {name.removeprefix(BUDGET): amount for name, amount in said.items() if name.startswith(BUDGET)}
    amounts = {quantity: amount for quantity, amount in written.items() if amount is not None}
    for quantity, amount in amounts.items():
        try:
            Budget(**{quantity: amount}).limits()
        except ConfigError as error:
            flag = f"--max-{quantity.replace('_', '-')}"
            raise ConfigError(f"{flag} {amount}: {error.cause}", remedy=error.remedy) from error
    return (BudgetTable(**amounts),) if amounts else ()


def color_option(command: Command) -> Command:
    """Add `--color`."""
    return click.option(
        "--color",
        type=OneOf(("auto", "always", "never")),
        default="auto",
        show_default=True,
        help="Use color; auto honors NO_COLOR and FORCE_COLOR, and otherwise colors only terminal output.",
    )(command)


def config_options(command: Command) -> Command:
    """Add `--config`, `--isolated`, and whose code may run."""
    return file_options(setting_options("allow_config_code", "ignore_config_code")(command))


def file_options(command: Command) -> Command:
    """Add `--config` and `--isolated`."""
    config = click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="Use this configuration file and no other."
    )
    isolated = click.option("--isolated", is_flag=True, help="Use no configuration file.")
    return config(isolated(command))


def _keep_verbose(context: click.Context, _parameter: click.Parameter, wanted: bool) -> bool:
    context.meta[VERBOSE] = wanted
    return wanted


def verbose_option(help_text: str = "Show the traceback of an error inside cnnlint.") -> Callable[[Command], Command]:
    """Add `-v`; a command that prints no more with it may ignore the parameter."""

    def add(command: Command) -> Command:
        return click.option("-v", "--verbose", is_flag=True, callback=_keep_verbose, help=help_text)(command)

    return add


def about(*parameters: str) -> Callable[[Command], Command]:
    """Have errors of a command name the models that are given in `parameters`."""

    def add(command: Command) -> Command:
        @wraps(command)
        def bounded(**given: Any) -> Any:
            from cnnlint.linting.models import path_of

            with boundary(" and ".join(path_of(given[name]) for name in parameters)):
                return command(**given)

        return cast("Command", bounded)

    return add


class Sectioned(click.Command):
    """A command whose help groups its options by topic."""

    SECTIONS: ClassVar[dict[str, tuple[str, ...]]] = {
        "Reports": ("form", "outputs", "statistics", "color", "quiet", "verbose"),
        "Models": ("changed", "skip_weights_only", "show_files"),
        "Definitions": ("definitions", "watch", "add_ignore"),
        "Limits": (),
        "Rules": (),
        "Exit code": ("exit_zero",),
        "Baseline": ("write_baseline", "ratchet", "against"),
        "Budgets (5M, 20 MB, 50%; over budget is an error)": tuple(f"{BUDGET}{name}" for name in QUANTITIES),
        "Configuration": ("config", "isolated", "show_settings"),
    }
    """The sections of the help, each with its parameters that are not settings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give `--ratchet` the value that it stands for: click would take the word after it, which is a model."""
        return super().parse_args(ctx, ["--ratchet=shrink" if arg == "--ratchet" else arg for arg in args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every option in its section."""
        sections = {name: setting.option.section for name, setting in SETTINGS.items()}
        # last: a setting without a flag of its own may share its name with an option
        sections |= {name: section for section, names in self.SECTIONS.items() for name in names}
        records = dict[str, list[tuple[str, str]]]()
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None:
                records.setdefault(sections.get(param.name or "", "Help"), []).append(record)
        for section in (*self.SECTIONS, "Help"):
            if section in records:
                with formatter.section(section):
                    formatter.write_dl(records[section], col_max=34)
