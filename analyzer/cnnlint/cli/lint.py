"""`cnnlint lint`, which is also what `cnnlint MODEL` does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from cnnlint.cli.discovery import models
from cnnlint.cli.flags import flags_of
from cnnlint.cli.help_sections import Sectioned
from cnnlint.cli.options import color_option, config_options, inputs_option, limit_options, verbose_option
from cnnlint.cli.outputs import Output, OutputType
from cnnlint.cli.streams import ColorChoice, complain, complain_of, view_of_stdout, write
from cnnlint.errors import ConfigError, ModelError, closest
from cnnlint.report import FORMATS, render_each

Command = TypeVar("Command", bound=Callable[..., Any])

BUDGETS = {
    "max-params": ("params", "5M", "Distinct weight elements."),
    "max-macs": ("macs", "1G", "Multiply-accumulates per sample."),
    "max-weight-bytes": ("weight_bytes", "20MB", "Bytes of all distinct weights."),
    "max-file-bytes": ("file_bytes", "20MB", "Bytes of the file and all that belongs to it."),
    "max-peak-activation-bytes": ("peak_activation_bytes", "10MB", "Most bytes of activations alive at once."),
    "max-layers": ("layers", "100", "Layers."),
    "max-layer-share": ("layer_share", "50%", "Share of the parameters that one layer may hold."),
}
"""The budget behind each flag, an example of its amount, and its help."""


def budget_options(command: Command) -> Command:
    """Add a `--max-...` for each budget."""
    for flag, (quantity, example, help_text) in reversed(BUDGETS.items()):
        command = click.option(f"--{flag}", f"budget_{quantity}", metavar=example, help=help_text)(command)
    return command


def selection_options(command: Command) -> Command:
    """Add what chooses rules and says how much their findings matter."""
    codes = partial(click.option, multiple=True, metavar="CODES")
    for option in (
        codes("--select", help="Run these rules only: codes, names, families (FC) or ALL, with commas between."),
        codes("--extend-select", help="Run these rules besides."),
        codes("--ignore", help="Leave these rules out."),
        click.option("--pedantic", is_flag=True, default=None, help="Run rules that are a matter of opinion too."),
        click.option(
            "--fail-on",
            type=click.Choice(("info", "warning", "error", "never")),
            help="The severity from which findings give exit code 1.  [default: error]",
        ),
        click.option("--exit-zero", is_flag=True, help="Give exit code 0 whatever is found."),
        click.option("--no-model-ignores", is_flag=True, help="Do not honour what a model says should be ignored."),
    )[::-1]:
        command = option(command)
    return command


@click.command("lint", cls=Sectioned)
@click.argument("paths", nargs=-1, required=True, metavar="MODEL...", type=click.Path())
@click.option("--format", "form", type=click.Choice(tuple(FORMATS)), default="text", show_default=True)
@click.option(
    "--output", "outputs", multiple=True, type=OutputType(), help="Write a report to a file too; may be repeated."
)
@click.option(
    "--static/--run",
    "static",
    default=None,
    help="Read the graph only; or run Keras and remote models too, which are converted or downloaded for it.",
)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep results there, and do not open a model again that has not changed.",
)
@inputs_option
@limit_options
@selection_options
@budget_options
@config_options
@click.option("--show-settings", is_flag=True, help="Show every setting and where it comes from, and stop.")
@click.option("--skip-weights-only", is_flag=True, help="Pass over files that hold weights but no network.")
@color_option
@click.option("-q", "--quiet", is_flag=True, help="Print findings and broken budgets only.")
@verbose_option("Print every finding in full, the time taken, and the traceback of a fault of cnnlint.")
def command(
    *,
    paths: tuple[str, ...],
    form: str,
    outputs: tuple[Output, ...],
    config: Path | None,
    isolated: bool,
    show_settings: bool,
    skip_weights_only: bool,
    exit_zero: bool,
    color: ColorChoice,
    quiet: bool,
    verbose: bool,
    **said: Any,
) -> int:
    """Lint models: files, folders (searched for .onnx, .keras, .h5, .hdf5 and SavedModels) and patterns."""
    if config is not None and isolated:
        raise ConfigError("--config and --isolated contradict each other", remedy="give one of them")
    flags = flags_of(said)
    if show_settings:
        from cnnlint.cli.settings import show

        return show(paths, flags, config=config, isolated=isolated)
    from cnnlint.cli.run import run

    found, missing = models(paths)
    for error in missing:
        complain(f"{error}{_meant_command(error)}")
    view = view_of_stdout(color, verbose=verbose, quiet=quiet)
    report = run(
        found,
        flags,
        config=config,
        isolated=isolated,
        skip_weights_only=skip_weights_only,
        timed=verbose,
        traced=verbose,
    )
    results = [output.write(report, view) for output in outputs]
    if report.models or form == "json":
        results.append(render_each(report, form, view))
        write(results[-1].text)
    for fault in (fault for result in results for fault in result.faults):
        complain_of(fault, verbose=verbose)
    if missing or report.exit_code == 2 or any(result.faults for result in results):
        return 2
    return 0 if exit_zero else report.exit_code


def _meant_command(error: ModelError) -> str:
    """Return a hint for what looks like a mistyped command, as `sumary` in `cnnlint sumary model.onnx`."""
    from cnnlint.cli.commands import Commands

    word = error.path or ""
    meant = closest(word, Commands.MODULES) if word.isalpha() else None
    return f" (did you mean the command {meant}?)" if meant else ""
