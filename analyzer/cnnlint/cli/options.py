"""Options that several commands share, and what they come to.

A command with many options lists them in sections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import click
from msgspec.structs import replace

from cnnlint.cli.streams import VERBOSE
from cnnlint.engine.budget import Budget
from cnnlint.engine.config.settings import Flags, resolve
from cnnlint.errors import ConfigError, boundary
from cnnlint.worker.limits import RunLimits

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


def flags_of(said: Mapping[str, Any]) -> Flags:
    """Return the flags that the options `said` come to; an option that was not given says nothing.

    Raises:
        ConfigError: An input is not NAME=SHAPE, or a budget's amount cannot be read.
    """
    return Flags(
        select=_codes(said["select"]) or None,
        extend_select=_codes(said["extend_select"]),
        ignore=_codes(said["ignore"]),
        fail_on=said["fail_on"],
        pedantic=said["pedantic"],
        static=said["static"],
        run_timeout=said["run_timeout"],
        run_memory=said["run_memory"],
        cache_dir=said["cache_dir"],
        model_ignores=False if said["no_model_ignores"] else None,
        inputs=input_shapes(said["inputs"]),
        budget=_budget(said),
        allow_config_code=said["allow_config_code"],
        ignore_config_code=said["ignore_config_code"],
    )


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


def _budget(said: Mapping[str, Any]) -> Budget:
    budget = Budget()
    for name, amount in said.items():
        if not name.startswith("budget_") or amount is None:
            continue
        quantity = name.removeprefix("budget_")
        try:
            Budget(**{quantity: amount}).limits()
        except ConfigError as error:
            flag = f"--max-{quantity.replace('_', '-')}"
            raise ConfigError(f"{flag} {amount}: {error.cause}", remedy=error.remedy) from error
        budget = replace(budget, **{quantity: amount})
    return budget


def _codes(written: Iterable[str]) -> tuple[str, ...]:
    return tuple(code.strip() for entry in written for code in entry.split(",") if code.strip())


class Sectioned(click.Command):
    """A command whose help lists its options by what they are about."""

    SECTIONS: ClassVar[dict[str, tuple[str, ...]]] = {
        "Reports": ("form", "outputs", "color", "quiet", "verbose"),
        "Models": ("static", "inputs", "cache_dir", "skip_weights_only"),
        "Limits": ("run_timeout", "run_memory"),
        "Rules": ("select", "extend_select", "ignore", "pedantic", "no_model_ignores"),
        "Exit code": ("fail_on", "exit_zero"),
        "Budgets (5M, 20 MB, 50 %; over budget is an error)": ("budget_",),
        "Configuration": ("config", "isolated", "allow_config_code", "ignore_config_code", "show_settings"),
        "Help": ("help",),
    }
    """The names, or beginnings of names, of the parameters in each section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every option in its section."""
        rest = {
            param.name or "": record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        }
        for section, names in self.SECTIONS.items():
            chosen = [
                key for name in names for key in rest if key == name or (name.endswith("_") and key.startswith(name))
            ]
            if chosen:
                with formatter.section(section):
                    formatter.write_dl([rest.pop(key) for key in chosen], col_max=34)
        if rest:
            with formatter.section("Other options"):
                formatter.write_dl(list(rest.values()))
