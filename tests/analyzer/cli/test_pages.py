import json

import jsonschema
import pytest
from click.testing import CliRunner

from acceptance.command import MODELS, cnnlint
from cnnlint.cli.commands import commands
from cnnlint.engine.config.load import meets
from cnnlint.engine.registry import load_rules
from cnnlint.errors import __version__
from cnnlint.report.json import schema_of
from cnnlint.report.rule_page import RulesReport, page


def run(*args):
    return CliRunner().invoke(commands, [str(arg) for arg in args])


def test_rules_lists_every_rule_with_its_severity():
    shown = run("rules", "--isolated").output
    for rule in load_rules():
        assert any(
            rule.code in line and rule.name in line and rule.severity.value in line for line in shown.splitlines()
        )


def test_rules_as_json_tells_options_and_defaults():
    entries = {entry["code"]: entry for entry in json.loads(run("rules", "--format", "json").output)["rules"]}
    assert set(entries) == {rule.code for rule in load_rules()}
    (option,) = [option for option in entries["FC001"]["options"] if option["name"] == "min-share"]
    assert (option["type"], option["default"]) == ("number", 0.2)
    assert "share" in option["description"]


def test_rules_as_json_are_of_the_published_schema_and_hold_all_that_a_rule_says_of_itself():
    document = json.loads(run("rules", "--format", "json", "--isolated").output)
    jsonschema.validate(document, schema_of("rules", RulesReport))
    entries = {entry["code"]: entry for entry in document["rules"]}
    assert [code for code, entry in entries.items() if not meets(__version__, f">={entry['since']}")] == []
    assert not any(entry["preview"] for entry in entries.values())
    assert entries["FC001"]["page"] == run("explain", "FC001", "--format", "markdown").output
    assert entries["HD001"]["replaces"] == ["FC004", "output-activation"]
    assert entries["RT001"]["runs"]
    assert entries["FC002"]["fixable"]
    assert entries["FC001"]["origin"].startswith("cnnlint 0.1")


HEADS = [rule.code for rule in load_rules().rules if rule.code.startswith("HD")]


@pytest.mark.parametrize(
    ("selectors", "codes"),
    [(("HD",), HEADS), (("HD001", "loss-head-mismatch", "hd002"), ["HD001", "HD002", "HD003"]), (("hd",), HEADS)],
)
def test_rules_lists_a_family_or_what_is_named(selectors, codes):
    document = json.loads(run("rules", *selectors, "--format", "json", "--isolated").output)
    assert [entry["code"] for entry in document["rules"]] == codes
    shown = run("rules", *selectors, "--isolated").output
    assert "HD001" in shown
    assert "FC001" not in shown
    assert f"{len(codes)} rules;" in shown
    assert run("rules", *selectors, "--format", "markdown", "--isolated").output.count("\n") == 2 + len(codes)


def test_explain_shows_all_pages_of_a_family_and_all_that_it_makes_of_a_model():
    pages = [page(load_rules().require(code), code=False) for code in HEADS]
    assert run("explain", "HD", "--format", "markdown").output == "\n".join(pages)
    shown = run("explain", "HD").output
    assert [name in shown for name in ("softmax-single-unit (HD001)", "loss-head-mismatch (HD003)")] == [True, True]
    told = run("explain", "FC", "--on", MODELS / "vgg_style.onnx").output
    assert [f"{code} " in told for code in ("FC001", "FC002", "FC003", "FC005")] == [True] * 4
    assert "found at fc1" in told


@pytest.mark.parametrize("command", ["rules", "explain"])
def test_a_code_of_old_is_answered_with_its_successors(command):
    done = cnnlint(command, "FC004")
    assert done.returncode == 2
    assert done.stderr.startswith("cnnlint: error: FC004 was split into AC002 redundant-activation, AC003 hidden-")


@pytest.mark.parametrize("name", ["FC001", "fc001", "flatten-dense-dominates"])
def test_explain_takes_codes_and_names(name):
    assert run("explain", name, "--format", "markdown").output == page(load_rules().require("FC001"), code=False)


def test_explain_shows_the_sections_examples_and_options_of_a_page():
    shown = run("explain", "FC001").output
    for part in ("flatten-dense-dominates (FC001)", "Why", "Instead", "References", "INPUT 3x32x32", "min-share"):
        assert part in shown


def test_an_unknown_rule_is_answered_with_the_closest():
    done = cnnlint("explain", "FC01")
    assert done.returncode == 2
    assert done.stderr.startswith("cnnlint: error: there is no rule FC01 (did you mean ")


def test_explain_on_a_model_says_where_the_rule_speaks_and_where_it_is_silent_and_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run("explain", "FC001", "--on", MODELS / "vgg_style.onnx").output
    assert "found at fc1" in found
    (tmp_path / "cnnlint.toml").write_text("[rules.FC001]\nmin-share = 0.99\n", encoding="utf-8")
    silent = run("explain", "FC001", "--on", MODELS / "vgg_style.onnx").output
    assert "silent at fc1" in silent
    assert "less than min-share = 99%" in silent
    assert "found" not in silent
    nothing = run("explain", "FC001", "--on", MODELS / "seed_cnn.onnx").output
    assert "the network has no layers that the rule looks at" in nothing


def test_explain_on_a_missing_model_is_an_error():
    assert run("explain", "FC001", "--on", "gone.onnx").exit_code == 2


def test_every_page_has_its_sections_and_no_option_without_a_description():
    for rule in load_rules():
        text = page(rule)
        assert text.startswith(f"# {rule.name} ({rule.code})\n")
        for section in ("## Why", "## Instead", "## References"):
            assert section in text, f"{rule.code} lacks {section}"
        assert "|  |" not in text, f"{rule.code} has an option that is not described"
