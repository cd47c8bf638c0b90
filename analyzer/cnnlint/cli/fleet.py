"""`cnnlint fleet`: many models linted on a Dask cluster into tables, a report of these, and questions to them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click
from msgspec.structs import replace

from cnnlint.cli.mistyped import OneOf, Whole
from cnnlint.cli.options import (
    BUDGET,
    Sectioned,
    budget_options,
    file_options,
    flags_of,
    setting_options,
    verbose_option,
)
from cnnlint.cli.streams import complain, write
from cnnlint.engine.budget import QUANTITIES
from cnnlint.engine.config.nearest import Documents
from cnnlint.errors import ConfigError, MissingExtraError, installing
from cnnlint.report.view import several
from cnnlint.results import Severity
from cnnlint.worker.limits import RunLimits

if TYPE_CHECKING:
    from cnnlint.engine.config.schema import Flags
    from cnnlint.engine.config.settings import Settings
    from cnnlint.fleet.linting import FleetPlan
    from cnnlint.fleet.results import FleetRun, Totals
    from cnnlint.fleet.run import Progress

MEMORY = 2_000_000_000
"""Bytes that the process that lints a model may take, if the model is not run: a hundred times what most take."""


class Fleet(Sectioned):
    """The command, whose first word may be that of another one."""

    SECTIONS: ClassVar[dict[str, tuple[str, ...]]] = {
        "Results": ("out", "exit_zero"),
        "Cluster": ("scheduler", "workers", "dashboard", "connections"),
        "Models": ("hashed", "skip_weights_only"),
        "Limits": (),
        "Rules": (),
        "Exit code": (),
        "Budgets (5M, 20 MB, 50%; over budget is an error)": tuple(f"{BUDGET}{name}" for name in QUANTITIES),
        "Configuration": ("config", "isolated"),
    }

    def other(self, word: str) -> click.Command | None:
        """Return the command that a reserved word stands for; None if it is none."""
        return {"report": report, "query": query}.get(word)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> click.Context:
        """Return the context of `report` or `query` if that is the first word, else that of a run."""
        other = self.other(args[0]) if args else None
        if other is not None:
            return other.make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent=parent, **extra)


@click.command(
    "fleet",
    cls=Fleet,
    epilog="`cnnlint fleet report FOLDER` makes a page of the results, and `cnnlint fleet query SQL` asks them.",
)
@click.argument("patterns", nargs=-1, required=True, metavar="GLOB...")
@click.option("--out", required=True, metavar="FOLDER", help="Write tables of results here, a folder or a URL.")
@click.option("--scheduler", metavar="tcp://HOST:8786", help="Use this Dask cluster and not one on this machine.")
@click.option(
    "--workers",
    type=Whole(min=1),
    help="Models linted at a time on this machine.  [default: one for each processor]",
)
@click.option("--dashboard", metavar="HOST:PORT", help="Serve Dask's dashboard there; needs the package bokeh.")
@click.option(
    "--connections",
    type=Whole(min=1),
    default=64,
    show_default=True,
    help="Most requests to one host at a time.",
)
@click.option("--hash", "hashed", is_flag=True, help="Read every byte of every model, and tell its SHA-256.")
@click.option("--skip-weights-only", is_flag=True, help="Take files that hold weights but no network for no errors.")
@file_options
@setting_options(
    "select", "extend_select", "ignore", "fail_on", "pedantic", "preview", "static", "exclude", "run_timeout",
    "run_memory", "model_ignores", "inputs", "for_",
)  # fmt: skip
@budget_options
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@verbose_option()
def command(
    *,
    patterns: tuple[str, ...],
    out: str,
    scheduler: str | None,
    workers: int | None,
    dashboard: str | None,
    connections: int,
    hashed: bool,
    skip_weights_only: bool,
    config: Path | None,
    isolated: bool,
    exit_zero: bool,
    quiet: bool,
    **said: Any,
) -> int:
    """Lint all models that globs name, in folders, object stores and hubs, and write tables of what is found.

    A glob is a path or a URL with `*`, `?` and `**/`, or a folder: s3://bucket/models/**/*.onnx, hf://org/*, models/.
    Models are linted statically unless --run is given. What has not changed since the last run is not read again, and
    an interrupted run goes on where it ended. Exit codes are those of `cnnlint lint`.
    """
    if config is not None and isolated:
        raise ConfigError("--config and --isolated contradict each other", remedy="give one of them")
    if scheduler is not None and (workers is not None or dashboard is not None):
        raise ConfigError(
            "--scheduler is a cluster with workers and a dashboard of its own", remedy="leave out the others"
        )
    _check_installed()
    from cnnlint.fleet.listing import Pattern
    from cnnlint.fleet.results import Results
    from cnnlint.fleet.run import Coordinator, Progress, cluster

    flags = flags_of(said)
    named = [Pattern(pattern) for pattern in patterns]
    plan, settings = _plan(flags, config, isolated=isolated, hashed=hashed, skip_weights_only=skip_weights_only)
    results = Results(out)
    run, is_resumed = results.begin([pattern.shown for pattern in named], plan.ruleset)
    if is_resumed and not quiet:
        complain(f"the interrupted run {run.run} goes on", "note")
    told = Progress()
    with cluster(scheduler, workers, dashboard) as client, _shown(told, quiet=quiet):
        threads = max(sum(client.nthreads().values()), 1)
        plan = replace(plan, connections=max(1, min(16, connections // (2 * threads))))
        coordinator = Coordinator(
            client, plan, settings, results, run, is_resumed=is_resumed, most=connections, progress=told
        )
        errors = coordinator.lint(named)
    for error in errors:
        complain(str(error))
    if not errors:
        run = results.finish(run)
    totals = results.totals(run.run)
    if not quiet:
        write(f"{_summed_up(totals, run)} in {out}\n")
    if errors or totals.failed:
        return 2
    return 0 if exit_zero or not _fails(totals, settings) else 1


def _check_installed() -> None:
    """Make sure that the packages of the extra are there.

    Raises:
        MissingExtraError: One is not.
    """
    for package in ("distributed", "duckdb", "fsspec", "pyarrow"):
        try:
            import_module(package)
        except ImportError as error:
            raise MissingExtraError(
                f"a fleet needs a package that is not installed ({error.name})", remedy=installing("cnnlint[fleet]")
            ) from error


def _plan(
    flags: Flags, config: Path | None, *, isolated: bool, hashed: bool, skip_weights_only: bool
) -> tuple[FleetPlan, Settings]:
    """Return what is to be done with every model: under one configuration, that of this folder if none is given."""
    from cnnlint.fleet.linting import FleetPlan, ruleset
    from cnnlint.linting.linter import Linter

    document = Documents(config, isolated=isolated).of("<a fleet>")
    flags = replace(flags, static=flags.static is not False)
    linter = Linter(flags, documents=Documents.fixed(document))
    settings = linter.plan("").settings
    limits = settings.limits
    plan = FleetPlan(
        flags=flags,
        configuration=None if document is None else document.configuration,
        place="" if document is None else str(document.path.absolute()),
        prefix=() if document is None else document.prefix,
        ruleset=ruleset(linter, hashed=hashed),
        limits=RunLimits(timeout=limits.timeout, memory=limits.memory or (MEMORY if flags.static else None)),
        hashed=hashed,
        skip_weights_only=skip_weights_only,
    )
    return plan, settings


def _fails(totals: Totals, settings: Settings) -> bool:
    if settings.fail_on == "never":
        return False
    least = Severity(settings.fail_on).rank
    found = {Severity.ERROR: totals.errors, Severity.WARNING: totals.warnings, Severity.INFO: totals.infos}
    return any(count and severity.rank >= least for severity, count in found.items())


def _summed_up(totals: Totals, run: FleetRun) -> str:
    parts = [
        f"{totals.linted:,} linted",
        f"{totals.unchanged:,} unchanged" if totals.unchanged else "",
        f"{totals.failed:,} failed" if totals.failed else "",
        f"{totals.skipped:,} with weights alone" if totals.skipped else "",
    ]
    found = f"{several(totals.errors, 'error')}, {several(totals.warnings, 'warning')}, {totals.infos:,} info"
    state = "run" if run.finished else "unfinished run"
    return f"{several(totals.models, 'model')} ({', '.join(filter(None, parts))}): {found}; {state} {run.run}"


@contextmanager
def _shown(told: Progress, *, quiet: bool) -> Generator[None]:
    """Show how far a run is on a terminal, twice a second."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live

    done = threading.Event()
    console = Console(stderr=True)

    def show() -> None:
        with Live(console=console, transient=True, auto_refresh=False) as live:
            while not done.wait(0.5):
                live.update(_line(told), refresh=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _line(told: Progress) -> str:
    """Return "1,200 of 10,000+ models, 118 per second, 3 errors, 1:14 left"."""
    listed = f"{max(told.listed, told.expected):,}{'' if told.is_listed else '+'}"
    unchanged = f", {told.unchanged:,} unchanged" if told.unchanged else ""
    left = ""
    if told.left is not None:
        minutes, seconds = divmod(round(told.left), 60)
        left = f", {minutes:,}:{seconds:02} left"
    errors = f", {several(told.errors, 'error')}" if told.errors else ""
    return f"{told.done:,} of {listed} models{unchanged}, {told.rate:.0f} per second{errors}{left}"


@click.command("report")
@click.argument("folder", metavar="FOLDER")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the page here.  [default: standard output]",
)
@click.option("--run", "run", metavar="RUN", help="Of this run and not of the last one.")
@verbose_option()
def report(*, folder: str, output: Path | None, run: str | None, **_: object) -> int:
    """Make an HTML page of the results in FOLDER, which `cnnlint fleet` has written."""
    _check_installed()
    from cnnlint.fleet.query import Questions
    from cnnlint.fleet.report import render

    page = render(Questions(folder, run))
    if output is None:
        write(page)
        return 0
    try:
        output.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"the page cannot be written: {error.strerror}", path=str(output)) from error
    return 0


@click.command("query")
@click.argument("sql", metavar="SQL")
@click.option("--in", "folder", metavar="FOLDER", default="results", show_default=True, help="The results to ask.")
@click.option("--format", "form", type=OneOf(("text", "csv", "json")), default="text", show_default=True)
@verbose_option()
def query(*, sql: str, folder: str, form: str, **_: object) -> int:
    """Answer a question in SQL, by DuckDB, from the results of `cnnlint fleet`.

    Tables are models, layers, findings and errors, of all runs that have finished; latest_models and so on are of the
    last one.
    """
    _check_installed()
    from cnnlint.fleet.query import FORMS, Questions

    write(FORMS[form](Questions(folder).ask(sql)))
    return 0
