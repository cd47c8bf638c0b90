"""The group of commands, and how it handles errors and interruptions."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import click

from cnnlint.cli.mistyped import error_of_usage
from cnnlint.cli.streams import VERBOSE, complain, complain_of, unwritable
from cnnlint.errors import FAULTS, __version__, error_of, on_command_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Commands(click.Group):
    """Commands by name; any other word is a model to lint."""

    MODULES: ClassVar[dict[str, tuple[str, str]]] = {
        "lint": ("cnnlint.cli.lint", "Lint models (what `cnnlint MODEL` does)."),
        "init": ("cnnlint.cli.init", "Write a configuration to start with: budgets and a baseline of today."),
        "summary": ("cnnlint.cli.summary", "Show layers, shapes, parameters and MACs, and how each is computed."),
        "open": ("cnnlint.cli.opening", "Lint models, and open the report, with the networks drawn, in the browser."),
        "convert": ("cnnlint.cli.convert", "Convert a Keras model to ONNX, and verify that both compute the same."),
        "compare": ("cnnlint.cli.compare", "Run two models on the same inputs, and show where they first differ."),
        "diff": ("cnnlint.cli.diff", "Show which layers, costs and findings differ between two models."),
        "textconv": ("cnnlint.cli.textconv", "Print a model as text for `git diff`, a line for each layer."),
        "fleet": ("cnnlint.cli.fleet", "Lint the models of a store, or of many, on a cluster, into tables."),
        "fix": ("cnnlint.cli.fix", "Apply the rewrites of fixable rules to an ONNX model, and verify them."),
        "explain": ("cnnlint.cli.explain", "Show the page of a rule, or why it is silent on a model."),
        "rules": ("cnnlint.cli.rules", "List all rules."),
        "new-rule": ("cnnlint.cli.new_rule", "Write a rule of your own to start from, and its test."),
        "server": ("cnnlint.cli.server", "Serve an editor: diagnostics on the lines that define networks."),
        "completion": ("cnnlint.cli.completion", "Print the completion script of a shell."),
    }
    """The module of each command, which holds it as `command`, and its line in the help."""

    OWN: ClassVar[frozenset[str]] = frozenset({"--help", "-h", "--version", "-V"})
    """Options of the group itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the help."""
        return list(self.MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command."""
        if cmd_name not in self.MODULES:
            return None
        return import_module(self.MODULES[cmd_name][0]).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.MODULES.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `lint` in front of arguments that name no command."""
        version = bool({"--version", "-V"} & set(args)) and all(arg.startswith("-") for arg in args)
        if args and args[0] not in self.MODULES and args[0] not in self.OWN and not version:
            args = ["lint", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and the models and options of `lint`, whose name may be left out."""
        from click.shell_completion import CompletionItem

        lint = self.get_command(ctx, "lint")
        options = lint.shell_complete(ctx, incomplete) if lint is not None and incomplete.startswith("-") else []
        known = super().shell_complete(ctx, incomplete)
        values = {item.value for item in known}
        files = [] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")]
        return [*known, *(item for item in options if item.value not in values), *files]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; any error is one line on standard error and exit code 2."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # how click itself ends a command
        except FAULTS as error:
            complain_of(error_of(error, None), verbose=bool(ctx.meta.get(VERBOSE)))
            return 2

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - click overloads it by a flag
        """Run the command line; end the process with its exit code unless `standalone_mode` is off."""
        standalone = extra.pop("standalone_mode", True)
        token = on_command_line.set(True)
        try:
            code = self._run(args, prog_name, **extra)
        finally:
            on_command_line.reset(token)
        if standalone:
            sys.exit(code)
        return code

    def _run(self, args: Sequence[str] | None, prog_name: str | None, **extra: Any) -> int:
        try:
            result = super().main(args, prog_name, standalone_mode=False, **extra)
        except click.Abort:
            return 130
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            return 2
        except click.UsageError as error:
            given = sys.argv[1:] if args is None else args
            command = given[0] if given and given[0] in self.MODULES else "lint"
            complain(str(error_of_usage(error, f"cnnlint {command}")))
            return 2
        except click.ClickException as error:
            complain(error.format_message())
            return 2
        except OSError as error:  # of what click itself writes: the version, the help
            complain_of(unwritable(error), verbose=False)
            return 2
        return result if isinstance(result, int) else 0


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo("\n".join(versions(verbose=bool(ctx.params.get("verbose")))))
        ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    subcommand_metavar="MODEL... | COMMAND ...",
    epilog="`cnnlint MODEL...` is short for `cnnlint lint MODEL...`; `cnnlint lint --help` lists its options. "
    "Exit codes: 0 nothing at or above --fail-on, 1 such findings, 2 the job could not be done.",
)
@click.option("-v", "--verbose", is_flag=True, is_eager=True, hidden=True)
@click.option(
    "-V", "--version", is_flag=True, expose_value=False, callback=_show_version,
    help="Show the version; with -v, also those of related packages.",
)  # fmt: skip
def commands(verbose: bool) -> None:
    """The linter for convolutional networks: Keras (.keras, .h5, SavedModel) and ONNX models."""


COMPANIONS = ("onnx", "onnxruntime", "numpy", "h5py", "keras", "tensorflow", "tf2onnx")


def versions(*, verbose: bool) -> Iterator[str]:
    """Yield "cnnlint 0.1.0" and, if `verbose`, a line for Python and each installed companion."""
    yield f"cnnlint {__version__}"
    if not verbose:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield f"  python       {platform.python_version()} ({platform.system()} {platform.machine()})"
    for package in COMPANIONS:
        try:
            yield f"  {package:<12} {version(package)}"
        except PackageNotFoundError:
            yield f"  {package:<12} not installed"
