"""What is said of options and values that are mistyped: one line as of any error, with what was meant or may stand."""

import click
import pytest

from acceptance.command import cnnlint
from cnnlint.cli.commands import Commands

MISTYPED = {
    ("--formt", "json", "x.onnx"): "there is no option --formt (did you mean --format?)",
    ("-x", "x.onnx"): "there is no option -x (`cnnlint lint --help` lists the options)",
    ("fix", "x.onnx", "--formt", "json"): "there is no option --formt (did you mean --format?)",
    ("x.onnx", "--version"): "there is no option --version (write `cnnlint --version`)",
    ("x.onnx", "-V"): "there is no option -V (write `cnnlint -V`)",
    ("summary", "--verison"): "there is no option --verison (did you mean `cnnlint --version`?)",
    ("x.onnx", "--format", "jsno"): "--format jsno is not known (did you mean json?)",
    ("x.onnx", "--color", "sometimes"): "--color sometimes is not known (write auto, always or never)",
    ("x.onnx", "--output", "jsno=report"): "--output jsno is not known (did you mean json?)",
    ("x.onnx", "--output", "json"): "--output json names no file (write FORMAT=PATH: json=report.json)",
    ("x.onnx", "-j", "two"): "--jobs two is not a whole number (write 1 or more)",
    ("x.onnx", "-j", "0"): "--jobs 0 is too small (write 1 or more)",
    ("x.onnx", "--run-timeout", "long"): "--run-timeout long is not a number (write 0 or more)",
    ("x.onnx", "--run-timeout", "-1"): "--run-timeout -1 is too small (write 0 or more)",
    ("x.onnx", "--run-timeout", "nan"): "--run-timeout nan is not a number (write 0 or more)",
    ("x.onnx", "--quiet=3"): "--quiet takes no value (`cnnlint lint --help` lists the options)",
    ("x.onnx", "--format"): "--format needs a value (`cnnlint lint --help` lists the options)",
    ("explain", "FC001", "--on"): "--on needs a value (`cnnlint explain --help` lists the options)",
    ("explain", "FC001", "FC002"): "FC002 is too much (write `cnnlint explain RULE`)",
    ("diff", "x.onnx"): "B is missing (write `cnnlint diff A B`)",
    ("convert",): "MODEL is missing (write `cnnlint convert MODEL --output FILE`)",
    ("convert", "x.keras"): "--output FILE is missing (write `cnnlint convert MODEL --output FILE`)",
    ("lint",): "MODEL... is missing (write `cnnlint lint MODEL...`, or --definitions)",
    ("completion", "bsh"): "bsh is not known (did you mean bash?)",
    ("fleet", "query"): "SQL is missing (write `cnnlint fleet query SQL`)",
}


@pytest.mark.parametrize("arguments", MISTYPED, ids=" ".join)
def test_what_click_cannot_read_is_said_as_any_error(arguments):
    done = cnnlint(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"cnnlint: error: {MISTYPED[arguments]}\n"


@pytest.mark.parametrize("command", Commands.MODULES)
def test_no_command_leaves_it_to_click_what_a_value_may_be(command):
    """A `click.Choice` of its own would say "Invalid value for '--format'", where all others suggest."""
    found = Commands("cnnlint").get_command(None, command)
    own = [type(param.type).__module__ for param in found.params if type(param.type).__name__ in CHECKED]
    assert not own


CHECKED = {"Choice", "IntRange", "FloatRange", "IntParamType", "FloatParamType"}


@pytest.mark.parametrize("command", Commands.MODULES)
def test_the_help_of_a_command_lists_each_of_its_options(command):
    found = Commands("cnnlint").get_command(None, command)
    context = click.Context(found, info_name=command)
    text = found.get_help(context)
    options = [param for param in found.get_params(context) if isinstance(param, click.Option) and not param.hidden]
    assert [name for param in options for name in param.opts if name not in text] == []
