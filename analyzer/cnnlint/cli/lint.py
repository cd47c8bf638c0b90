"""`cnnlint lint`, which `cnnlint MODEL` is short for: reports on standard output and in files, or the settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from msgspec import Struct
from msgspec.structs import replace

from cnnlint.cli.discovery import discover
from cnnlint.cli.mistyped import OneOf, called, unknown_word
from cnnlint.cli.options import (
    Sectioned,
    budget_options,
    color_option,
    file_options,
    flags_of,
    setting_options,
    verbose_option,
)
from cnnlint.cli.progress import progress
from cnnlint.cli.run import run
from cnnlint.cli.streams import ColorChoice, complain, complain_of, view_of_stdout, write
from cnnlint.engine.config.load import Document, find_document, read_document
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.schema import Flags
from cnnlint.engine.config.settings import definitions_of, listing
from cnnlint.engine.telling import relative
from cnnlint.errors import ConfigError, ModelError, closest
from cnnlint.frontends import is_address
from cnnlint.linting.linter import Baselines, Linter
from cnnlint.linting.models import path_of
from cnnlint.linting.parallel import lint_all
from cnnlint.report import DRAWN, FORMATS, Rendered, render_each, rendered
from cnnlint.report.printable import printable
from cnnlint.report.view import View, several
from cnnlint.results import LintReport

if TYPE_CHECKING:
    from cnnlint.definitions.target import Definition
    from cnnlint.engine.drawing import Drawing
    from cnnlint.linting.baseline import Baseline


OTHER_WORDS = {
    "check": "lint",
    "run": "lint",
    "list": "rules",
    "rule": "explain",
    "info": "summary",
    "version": "--version",
}
"""Commands of other tools, and what they are called here."""


class Output(Struct, frozen=True):
    """A report file to write.

    Attributes:
        form: One of the formats.
        path: The file; an existing one is replaced, but the summary of a step of GitHub Actions is added to.
    """

    form: str
    path: Path

    def write(self, report: LintReport, view: View) -> Rendered[LintReport]:
        """Write `report`, without colors, and return what was written.

        Raises:
            ConfigError: The file cannot be written.
        """
        plain = replace(view, color=False, terminal=False, width=100)
        result = render_each(report, self.form, plain)
        # further runs of the step, and other tools, write into the same summary
        mode = "a" if str(self.path) == os.environ.get("GITHUB_STEP_SUMMARY") else "w"
        try:
            with self.path.open(mode, encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(result.text)
        except OSError as error:
            cause = error.strerror or str(error)
            raise ConfigError(f"the report cannot be written: {cause}", path=str(self.path)) from error
        return result


class OutputType(click.ParamType):  # pyright: ignore[reportMissingTypeArgument] - before click 8.4 it takes none
    """FORMAT=PATH on the command line."""

    name = "FORMAT=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Output:  # noqa: ARG002 - click's
        """Split the format from the path.

        Raises:
            ConfigError: It is no known format, or there is no path.
        """
        if isinstance(value, Output):
            return value
        form, separator, path = str(value).partition("=")
        if not separator or not path:
            raise ConfigError(f"{called(param)}{value} names no file", remedy="write FORMAT=PATH: json=report.json")
        if form not in FORMATS:
            raise unknown_word(param, form, FORMATS)
        return Output(form, Path(path))


@click.command("lint", cls=Sectioned)
@click.argument("paths", nargs=-1, metavar="MODEL...", type=click.Path())
@click.option("--format", "form", type=OneOf(tuple(FORMATS)), default="text", show_default=True)
@click.option(
    "--output", "outputs", multiple=True, type=OutputType(), help="Also write a report to a file; may be repeated."
)
@click.option("--statistics", is_flag=True, help="Print a line for each rule that found something, and how often.")
@file_options
@click.option("--show-settings", is_flag=True, help="Show every setting and where it comes from, then exit.")
@click.option(
    "--write-baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write all that is found into a baseline, in place of holding models to one.",
)
@click.option(
    "--ratchet",
    type=OneOf(("shrink", "check")),
    metavar="[=check]",
    help="Remove from the baseline what is not found any more; with =check, fail the run instead.",
)
@click.option(
    "--against",
    metavar="git:REVISION",
    help="Report only what the models of a git revision do not have, as in git:origin/main; budgets hold all the same.",
)
@click.option("--show-files", is_flag=True, help="List the models that would be linted, then exit.")
@setting_options()
@budget_options
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
@click.option(
    "--changed",
    is_flag=True,
    help="MODEL... are changed files of any kind: lint the models that they concern, or with --definitions the "
    "networks whose code they concern, and sum up a passing run in one line, as the pre-commit hooks do.",
)
@click.option(
    "--definitions",
    is_flag=True,
    help="Lint the [[definitions]] of the configuration that the working directory has, whose code is run, too.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Lint networks that code defines again at each save of their modules, and print what changed.",
)
@click.option(
    "--add-ignore",
    metavar="REASON",
    help="Write an ignore of each finding into the code, on the line that made its layer, in place of reporting it.",
)
@click.option("--skip-weights-only", is_flag=True, help="Skip files that hold weights but no network.")
@color_option
@click.option(
    "-q", "--quiet", is_flag=True, help="Print only errors, findings that fail the run, and exceeded budgets."
)
@verbose_option("Print every finding in full, the time taken, and the traceback of an error inside cnnlint.")
def command(
    *,
    paths: tuple[str, ...],
    form: str,
    outputs: tuple[Output, ...],
    config: Path | None,
    isolated: bool,
    statistics: bool,
    show_settings: bool,
    show_files: bool,
    write_baseline: Path | None,
    ratchet: Literal["shrink", "check"] | None,
    against: str | None,
    changed: bool,
    definitions: bool,
    watch: bool,
    add_ignore: str | None,
    skip_weights_only: bool,
    exit_zero: bool,
    color: ColorChoice,
    quiet: bool,
    verbose: bool,
    **said: Any,
) -> int:
    """Lint models: files, folders (searched for .onnx, .keras, .h5, .hdf5 and SavedModels) and patterns.

    train.py:make_model, or package.module:make_model, is the network that this code makes: the code is run.
    """
    if not paths and not definitions:
        raise ConfigError("MODEL... is missing", remedy="write `cnnlint lint MODEL...`, or --definitions")
    if config is not None and isolated:
        raise ConfigError("--config and --isolated contradict each other", remedy="give one of them")
    if statistics and form != "text":
        raise ConfigError("--statistics is a text for people", remedy="leave out --format")
    if write_baseline is not None and ratchet is not None:
        raise ConfigError("--write-baseline and --ratchet contradict each other", remedy="give one of them")
    flags = flags_of(said)
    if against is not None and (write_baseline is not None or ratchet is not None or flags.baseline is not None):
        raise ConfigError("--against takes the place of a baseline", remedy="give one of them")
    if add_ignore is not None:
        given = {"--watch": watch, "--write-baseline": write_baseline, "--ratchet": ratchet}
        add_ignore = _reason(add_ignore, given | {"--no-model-ignores": flags.model_ignores is False})
    if show_settings:
        return _show(paths or (".",), flags, config=config, isolated=isolated)
    if watch:
        view = view_of_stdout(color, verbose=verbose, quiet=quiet)
        return _watch(paths, flags, view, config=config, isolated=isolated, definitions=definitions)
    documents = Documents(config, isolated=isolated)
    defined = _defined(documents) if definitions else ()
    if changed:
        paths, defined = _concerned(paths, defined, documents, flags)
        if not paths and not defined:
            complain(f"no {'definition' if definitions else 'model'} is concerned", "note")
            return 0
    found = discover(paths, documents, flags, definitions=defined)
    for error in found.errors:
        complain(f"{error}{_meant_command(error) if error.path == paths[0] else ''}")
    if found.skipped and not quiet:
        complain(found.skipped, "note")
    if show_files:
        write("".join(f"{printable(path_of(model))}\n" for model in found.models))
        return 2 if found.errors else 0
    view = view_of_stdout(color, verbose=verbose, quiet=quiet)
    old = None
    if against is not None:
        old = _found_in(against, paths, found.models, documents, flags)
        view = replace(view, known=f"already in {printable(against)}")
    baselines = Baselines(write_baseline, only=old)
    drawings: dict[str, Drawing] | None = (
        {} if add_ignore is not None or DRAWN & {form, *(output.form for output in outputs)} else None
    )
    report = run(
        found.models,
        flags,
        documents=documents,
        baselines=baselines,
        skip_weights_only=skip_weights_only,
        timed=verbose,
        traced=verbose,
        drawings=drawings,
        definitions=found.definitions,
    )
    if add_ignore is not None:
        is_done = _write_ignores(report, (drawings or {}).values(), add_ignore, quiet=quiet)
        return 2 if found.errors or report.exit_code == 2 or not is_done else 0
    view = replace(view, drawings=drawings or {})
    results = [output.write(report, view) for output in outputs]
    if report.models or form == "json":
        brief = changed and form == "text" and report.exit_code == 0 and not found.errors
        results.append(_text(report, view, form, statistics=statistics, brief=brief))
        write(results[-1].text)
    for fault in (fault for result in results for fault in result.faults):
        complain_of(fault, verbose=verbose)
    outgrown = _settle(baselines, ratchet if report.models else None, quiet=quiet)
    _own_up(report)
    if found.errors or report.exit_code == 2 or any(result.faults for result in results):
        return 2
    return 0 if exit_zero else 1 if outgrown else report.exit_code


def _concerned(
    paths: Sequence[str], defined: Sequence[Definition], documents: Documents, flags: Flags
) -> tuple[tuple[str, ...], tuple[Definition, ...]]:
    """Return what changed files concern: of definitions, if there are any, or else of models."""
    from cnnlint.cli.changed import concerned, concerned_definitions

    if defined:
        return (), concerned_definitions(paths, defined, documents, flags)
    return concerned(paths, documents, flags), ()


def _defined(documents: Documents) -> tuple[Definition, ...]:
    """Return what the configuration of the working directory defines by code.

    Raises:
        ConfigError: That is nothing.
    """
    found = definitions_of(documents.chosen())
    if not found:
        raise ConfigError("--definitions: the configuration of the working directory has no [[definitions]]")
    return found


def _watch(
    paths: Sequence[str], flags: Flags, view: View, *, config: Path | None, isolated: bool, definitions: bool
) -> int:
    from cnnlint.cli.watch import watch

    def find() -> tuple[Documents, list[Definition]]:
        documents = Documents(config, isolated=isolated)
        code = [replace(each, model=None) for each in _defined(documents)] if definitions else ()
        found = discover(paths, documents, flags, definitions=code)
        for error in found.errors:
            raise error
        return documents, [*found.definitions.values()]

    return watch(find, flags, view)


def _reason(written: str, others: Mapping[str, object]) -> str:
    """Return the reason of ignores that are to be written; `others` are options that contradict that, if given.

    Raises:
        ConfigError: One is given, or a comment cannot hold the reason.
    """
    from cnnlint.editing.inserting import check

    if clash := next((name for name, given in others.items() if given), ""):
        raise ConfigError(f"--add-ignore and {clash} contradict each other", remedy="give one of them")
    return check(written)


def _write_ignores(report: LintReport, drawings: Iterable[Drawing], reason: str, *, quiet: bool) -> bool:
    """Write ignores into the code, say where, and return whether all that have a line could be written."""
    from cnnlint.editing.inserting import write as write_ignores

    written = write_ignores(report, drawings, reason)
    write("".join(f"{printable(f'{place}: {text}')}\n" for place, text in written.lines.items()))
    for place, why in written.refused.items():
        complain(f"{place}: the ignore is not written: {why}", "error")
    if not quiet:
        count, files = several(len(written.lines), "line"), several(written.files, "file")
        complain(f"ignores written on {count} of {files}" if written.lines else "no ignore is to be written", "note")
    if written.elsewhere and not quiet:
        stand = "1 finding stands" if written.elsewhere == 1 else f"{written.elsewhere:,} findings stand"
        complain(f"{stand} on no line of code; per-model-ignores of the configuration can hide it", "note")
    return not written.refused


def _found_in(
    revision: str, paths: Sequence[str], models: Sequence[str], documents: Documents, flags: Flags
) -> Baseline:
    """Return as a baseline what a lint finds in a git revision of `models`.

    Where a model has no counterpart at its path, those that the revision had elsewhere below `paths` and that are gone
    may be what it was moved from.

    Raises:
        ModelError: There is no such revision, or a model lies outside of the repository.
    """
    from cnnlint.frontends import git
    from cnnlint.linting.baseline import VERSION, Baseline, Content

    matched = git.ADDRESS.fullmatch(revision)
    if matched is None or matched["path"]:
        named = "REVISION, as in git:origin/main" if ":" in revision else revision
        raise ConfigError(f"--against {revision} is no revision", remedy=f"write git:{named}")
    whole = git.parse(revision)
    git.check(whole)
    places = {git.address_of(revision, model) for model in models if not is_address(model)}
    there = [place for place in sorted(places) if git.exists(git.parse(place))]
    if len(there) < len(places):
        tops = [git.address_of(revision, path) for path in paths if os.path.isdir(path)]
        before = discover([top for top in tops if git.exists(git.parse(top))], documents, flags).models
        there += [model for model in before if not os.path.lexists(git.parse(model).place)]
    found = Baseline(Path(whole.root) / "cnnlint-baseline.json", anew=True, content=Content(VERSION, {}, ()))
    linter = Linter(flags, documents=documents, baselines=Baselines(only=found))
    with closing(linter), progress(there) as next_turn:
        reports = lint_all(linter, there, lambda model: next_turn(path_of(model)))
    for report in reports:
        if report.error is not None:
            complain(f"{linter.errors[report.path]}; what is found in the model counts as new", "warning")
    return Baseline(found.path, content=found.content())


def _settle(baselines: Baselines, ratchet: Literal["shrink", "check"] | None, *, quiet: bool) -> bool:
    """Write what is to be written of baselines, say what of them is stale, and return whether that fails the run.

    Raises:
        ConfigError: There is none to shrink or to check.
    """
    if ratchet is not None and not any(True for _ in baselines):
        raise ConfigError("--ratchet: no model has a baseline", remedy="give --baseline FILE, or set it")
    outgrown = False
    for baseline in baselines:
        stale = baseline.stale()
        said = ""
        if baseline.anew and baseline.has_looked:
            said = f"{several(baseline.write(), 'known place')} written"
        elif stale and ratchet == "shrink":
            said = f"{several(len(stale), 'known place')} no longer found and removed, {baseline.write():,} left"
        elif ratchet == "shrink" and (moved := baseline.moved()):
            said = f"{several(moved, 'known place')} moved, {baseline.write():,} in all"
        elif stale:
            named = ", ".join(f"{entry.model} {entry.rule} {entry.layer}".rstrip() for entry in stale[:3])
            more = f" and {len(stale) - 3:,} more" if len(stale) > 3 else ""
            said = (
                f"{several(len(stale), 'known place')} no longer found: {named}{more} (--ratchet removes what is gone)"
            )
        failing = bool(stale) and ratchet == "check"
        outgrown |= failing
        if said and (failing or not quiet):
            complain(f"{relative(str(baseline.path))}: {said}", "error" if failing else "note")
    return outgrown


def _own_up(report: LintReport) -> None:
    """Say that findings fail the run which are too mild to be shown, since no report says so."""
    failing, shown = (
        sum(sum(map(model.is_failing, model.findings)) for model in each.models) for each in (report, report.shown())
    )
    if unshown := failing - shown:
        verbs = "fails the run and is" if unshown == 1 else "fail the run and are"
        complain(f"{several(unshown, 'finding')} {verbs} hidden by --min-severity", "note")


def _text(report: LintReport, view: View, form: str, *, statistics: bool, brief: bool) -> Rendered[LintReport]:
    if brief:
        from cnnlint.report.parts import summary_line

        return rendered(report, lambda part: f"{summary_line(part.shown(), view)}\n")
    if statistics:
        from cnnlint.report.statistics import render

        return rendered(report, lambda part: render(part.shown(), view))
    return render_each(report, form, view)


def _meant_command(error: ModelError) -> str:
    """Return a hint for what looks like a mistyped command, as `sumary` in `cnnlint sumary model.onnx`."""
    from cnnlint.cli.commands import Commands

    word = error.path or ""
    if error.remedy is not None or not word.replace("-", "").isalpha():
        return ""
    if word == "help":
        return " (`cnnlint --help` lists the commands, `cnnlint COMMAND --help` the options of one)"
    found = closest(word, [*Commands.MODULES, *OTHER_WORDS])
    meant = OTHER_WORDS.get(found or "", found)
    kind = "the option" if meant and meant.startswith("-") else "the command"
    return f" (did you mean {kind} {meant}?)" if meant else ""


def _show(paths: Sequence[str], flags: Flags, *, config: Path | None, isolated: bool) -> int:
    """Print the settings that hold for the first of `paths`, as TOML, each followed by its origin."""
    document = _document(Path(paths[0]), config, isolated=isolated)
    settings = listing(document, flags)
    lines = [(f"{setting.key} = {_toml(setting.value)}", setting.origin) for setting in settings]
    limits = [limit for budget in flags.budgets for limit in budget.limits()]
    lines += [(f"--max-{limit.quantity.replace('_', '-')} {limit.most:,}", "command line") for limit in limits]
    across = min(60, max(len(text) for text, _ in lines))
    head = f"# {document.path}" if document else "# no configuration file"
    lines = [(printable(text), printable(origin)) for text, origin in lines]
    write("".join(f"{line}\n" for line in [head, *(f"{text:<{across}}  # {origin}" for text, origin in lines)]))
    return 0


def _document(model: Path, config: Path | None, *, isolated: bool) -> Document | None:
    if isolated:
        return None
    if config is not None:
        return read_document(config)
    folder = model.absolute() if os.path.isdir(model) else model.absolute().parent
    return find_document(folder) or find_document(Path.cwd())


def _toml(value: object) -> str:
    import msgspec

    return "(not set)" if value is None else msgspec.json.encode(value).decode()
