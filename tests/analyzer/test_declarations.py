"""A quantity that can be budgeted, and a setting, are each declared once; all else follows."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import cnnlint
import networks
from cnnlint.cli.lint import command
from cnnlint.cli.options import Sectioned
from cnnlint.engine.config.schema import SETTINGS, Configuration, Flags, config_schema
from cnnlint.results import LintReport, Severity

ENTRY = """
    narrowest: Annotated[
        Amount | None,
        Meta(description="Filters of the narrowest convolution."),
        Quantity(
            label="narrowest filters",
            example="7",
            measure=lambda context: min(layer.filters for layer in context.graph.layers if layer.kind == "Conv"),
            unknown=lambda _: "",
            costs=lambda _: {},
        ),
    ] = None
"""
"""One field of `Budget`."""

WITH_ENTRY = """
import json, sys
from importlib.util import find_spec, module_from_spec

spec = find_spec("cnnlint.engine.budget")
before, place, after = spec.loader.get_source(spec.name).partition("    message: Annotated[str, Meta(")
module = module_from_spec(spec)
sys.modules[spec.name] = module
exec(compile(before + sys.argv[1].strip("\\n") + "\\n" + place + after, spec.origin, "exec"), vars(module))

import cnnlint
from click.testing import CliRunner
from cnnlint.cli.commands import commands
from cnnlint.engine.config.schema import config_schema
from cnnlint.report import FORMATS
from cnnlint.report.json import json_schema

def said(*arguments):
    return CliRunner().invoke(commands, arguments).output

flags = ("--static", "--isolated", "net.onnx", "--max-narrowest", "3")
print(json.dumps({
    "help": said("lint", "--help"),
    "reports": {form: said(*flags, "--format", form) for form in FORMATS},
    "configured": said("--static", "net.onnx"),
    "refused": said("--static", "--isolated", "net.onnx", "--max-narrowest", "3 MB"),
    "python": [(held.quantity, held.measured) for held in
               cnnlint.lint("net.onnx", static=True, budget=cnnlint.Budget(narrowest=9)).models[0].budgets],
    "config": config_schema([])["$defs"]["BudgetTable"]["properties"]["narrowest"]["description"],
    "schema": json_schema("lint")["$defs"]["BudgetResult"]["properties"]["quantity"]["examples"],
    "page": said("explain", "BG001", "--format", "markdown"),
    "growth": said("diff", "net.onnx", "net.onnx", "--max-growth", "narrowest=1", "--isolated"),
}))
"""


@pytest.fixture(scope="module")
def one_more(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What cnnlint says after one more quantity has been declared, and nothing else has been changed."""
    folder = tmp_path_factory.mktemp("quantity")
    networks.write(folder / "net.onnx")
    (folder / "cnnlint.toml").write_text("[[budgets]]\nnarrowest = 2\nmessage = 'from the file'\n")
    run = (sys.executable, "-c", WITH_ENTRY, textwrap.dedent(ENTRY).replace("\n", "\n    "))
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_quantity_that_is_declared_has_its_flag_and_is_held_to_it(one_more):
    assert "--max-narrowest 7" in one_more["help"]
    assert "Filters of the narrowest convolution." in one_more["help"]
    assert "The network has 4 narrowest filters, 1 over the budget of 3" in " ".join(
        one_more["reports"]["text"].split()
    )
    assert "--max-narrowest 3 MB: '3 MB' is not a number" in one_more["refused"]


def test_a_quantity_that_is_declared_is_a_key_of_the_configuration_and_an_argument_in_python(one_more):
    assert "OVER  narrowest filters  4 of 2" in one_more["configured"]
    assert "from the file" in one_more["configured"]
    assert one_more["python"] == [["narrowest", 4], ["narrowest", 4]], "of the file, and of the call"
    assert one_more["config"] == "Filters of the narrowest convolution."


@pytest.mark.parametrize("form", ["text", "markdown", "html", "junit"])
def test_a_quantity_that_is_declared_has_its_label_in_every_report_on_budgets(form, one_more):
    assert "narrowest filters" in one_more["reports"][form]


def test_a_quantity_that_is_declared_stands_in_json_schemas_and_on_the_page_of_the_rule(one_more):
    assert '"quantity":"narrowest"' in one_more["reports"]["json"]
    assert "narrowest" in one_more["schema"]
    assert "| `narrowest` | number or text | not set | Filters of the narrowest convolution. |" in one_more["page"]
    assert "narrowest filters" in one_more["growth"]


SAMPLES: dict[str, tuple[Any, Any]] = {
    "select": (["FC"], ("FC",)),
    "extend_select": (["FC"], ("FC",)),
    "ignore": ("FC", ("FC",)),
    "severity": ({"FC": "error"}, {"FC": Severity.ERROR}),
    "fail_on": ("never", "never"),
    "min_severity": ("error", "error"),
    "pedantic": (True, True),
    "preview": (True, True),
    "static": (False, False),
    "run_timeout": (7.0, 7.0),
    "jobs": (3, 3),
    "run_memory": ("8GB", "8GB"),
    "model_ignores": (False, False),
    "for_": (["onnxruntime==1.17"], ("onnxruntime==1.17",)),
    "inputs": ({"x": (1, 2)}, {"x": "1x2"}),
    "rule_files": (["a.py"], ("a.py",)),
    "rules": ({"FC001": {"min-share": 0.5}}, {"FC001": {"min-share": 0.5}}),
    "baseline": ("known.json", "known.json"),
    "cache_dir": ("kept", Path("kept")),
    "allow_config_code": ("here", (Path("here"),)),
    "ignore_config_code": (True, True),
    "python": ("venv/bin/python", "venv/bin/python"),
}
"""For each setting what a caller from Python writes, and what it comes to."""

FLAGS: dict[str, tuple[Any, Any]] = {
    "exclude": (["legacy"], ("legacy",)),
    "force_exclude": (True, True),
    "respect_gitignore": (True, True),
}
"""The same for what only a command line or a file decides, since a caller from Python names its models."""


class Told:
    """Stands for a linter, and keeps what it was told."""

    def __init__(self, flags: Flags, **_: object) -> None:
        type(self).flags = flags

    def lint(self, model: object) -> object:
        return model

    def settled(self, _: object) -> tuple[()]:
        return ()

    def close(self) -> None:
        return


def test_every_setting_but_those_of_files_is_an_argument_of_lint_and_no_other_is():
    parameters = set(inspect.signature(cnnlint.lint).parameters)
    declared = {name for name, setting in SETTINGS.items() if setting.option.in_python}
    assert parameters - declared == {"model", "config", "isolated", "budget", "near_misses"}
    assert declared - parameters == set()
    assert set(SAMPLES) == declared


@pytest.mark.parametrize("name", SAMPLES)
def test_an_argument_of_lint_reaches_the_setting_of_its_name(name, monkeypatch):
    monkeypatch.setattr("cnnlint.api.linting.Linter", Told)
    given, meant = SAMPLES[name]
    cnnlint.lint("net.onnx", **{name: given})
    assert getattr(Told.flags, name) == meant
    assert [other for other in SETTINGS if getattr(Told.flags, other) != getattr(Flags(), other)] == [name]


def test_every_argument_of_lint_is_described():
    described = inspect.getdoc(cnnlint.lint) or ""
    assert [name for name in inspect.signature(cnnlint.lint).parameters if f"\n    {name}: " not in described] == []


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.option.flag])
def test_a_flag_of_the_command_line_reaches_the_setting_of_its_name(name, monkeypatch, tmp_path):
    told = list[Flags]()
    monkeypatch.setattr("cnnlint.cli.lint.run", lambda _, flags, **__: told.append(flags) or LintReport())
    given, meant = (SAMPLES | FLAGS)[name]
    switched_on, _, switched_off = SETTINGS[name].option.flag.partition("/")
    if isinstance(given, dict):
        given = "x=1x2"
    value = [] if isinstance(given, bool) else [given[0] if isinstance(given, list) else str(given)]
    model = networks.write(tmp_path / "net.onnx")
    done = CliRunner().invoke(command, [switched_off if given is False else switched_on, *value, model])
    assert done.exit_code == 0, done.output
    assert getattr(told[0], name) == meant
    assert [other for other in SETTINGS if getattr(told[0], other) != getattr(Flags(), other)] == [name]


def test_every_option_of_lint_stands_in_a_section_of_the_help():
    context = click.Context(command)
    sections = {name for names in Sectioned.SECTIONS.values() for name in names}
    sections |= {name for name, setting in SETTINGS.items() if setting.option.section in Sectioned.SECTIONS}
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert [param.name for param in options if param.name not in sections] == []
    assert command.get_help(context).partition("\nHelp:\n")[2].count("\n") == 0


def test_every_setting_of_files_is_described_in_the_schema_with_its_default():
    properties = config_schema([])["$defs"]["Configuration"]["properties"]
    assert set(properties) == {SETTINGS[name].key for name in Configuration.__struct_fields__}
    assert [key for key, about in properties.items() if not about["description"].endswith(".")] == []
    assert (properties["fail-on"]["default"], properties["cache"]["default"]) == ("error", False)
    assert "null" not in json.dumps(properties)
