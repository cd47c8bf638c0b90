import json
import re
import tomllib
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from markdown_it import MarkdownIt

from analyzer.report.reports import BUDGETS, FLATTENED, finding, model, report
from cnnlint.report import FORMATS, render
from cnnlint.report.view import View
from cnnlint.results import Severity

ERROR = finding("HD001", ("out",), name="softmax-single-unit", severity=Severity.ERROR, fingerprint="00e2")
INFO = finding("PL001", (), name="stride-misfit", severity=Severity.INFO, fingerprint="00f3")
FULL = report(
    model("models/vgg 16.onnx", findings=(ERROR, FLATTENED, INFO), budgets=BUDGETS, notes=("Static.",)),
    model("models/clean.onnx", findings=(), sites={}),
    model("bad.onnx", format=None, error="bad.onnx: the file is empty", macs=None, parameters=None),
)

TRICKY = model(
    "a model #1%.onnx",
    findings=(finding(layers=("::error::\x1b[0m\u202e\ud800",), message="<b>&</b>\n\u2028", suggestion=""),),
)


def shown(form, subject=FULL, **view):
    return render(subject, form, View(**view))


SARIF = json.loads(Path(__file__).with_name("schemas").joinpath("sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))


def results(subject=FULL):
    return json.loads(shown("sarif", subject))["runs"][0]["results"]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_renders_an_empty_and_a_full_report(form):
    assert shown(form).endswith("\n")
    assert isinstance(shown(form, report()), str)


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"text", "concise"}))
def test_formats_for_programs_have_no_colors(form):
    assert "\x1b" not in shown(form, color=True)


def test_jsonl_has_a_line_for_each_finding_and_each_error():
    lines = [json.loads(line) for line in shown("jsonl").splitlines()]
    assert [line.get("code") for line in lines] == ["HD001", "FC001", "PL001", None]
    assert lines[0]["path"] == "models/vgg 16.onnx"
    assert lines[3] == {"path": "bad.onnx", "error": "bad.onnx: the file is empty"}


def test_sarif_levels_rules_and_places():
    (run,) = json.loads(shown("sarif"))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "models/vgg%2016.onnx"
        assert place["region"]["startLine"] == 1
    assert run["results"][0]["message"]["text"].startswith("out: ")
    for rule in rules:
        assert {"shortDescription", "fullDescription", "help", "properties"} <= set(rule)
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert rule["help"]["text"]
        assert "security-severity" not in rule["properties"]


@pytest.mark.parametrize("subject", [FULL, report(), report(TRICKY)], ids=["full", "empty", "tricky"])
def test_sarif_is_what_its_schema_allows(subject):
    assert [
        error.message for error in jsonschema.Draft4Validator(SARIF).iter_errors(json.loads(shown("sarif", subject)))
    ] == []


@pytest.mark.parametrize("key", ["message", "level", "locations", "ruleIndex"])
def test_the_schema_of_sarif_tells_what_is_none(key):
    log = json.loads(shown("sarif"))
    log["runs"][0]["results"][0][key] = "no such thing"
    assert not jsonschema.Draft4Validator(SARIF).is_valid(log)


def test_sarif_says_that_a_model_could_not_be_read():
    (invocation,) = json.loads(shown("sarif"))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    (notice,) = invocation["toolExecutionNotifications"]
    assert "the file is empty" in notice["message"]["text"]


def hashes(subject):
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results(subject)]


def test_findings_of_a_rule_in_one_file_are_alerts_of_their_own():
    many = tuple(finding("BN002", (f"conv{index}",), fingerprint=f"{index:04x}") for index in range(20))
    twins = (finding("BN002", ("same",), fingerprint="ffff"),) * 3
    assert len(set(hashes(report(model(findings=many + twins))))) == 23


def test_an_alert_survives_a_change_of_its_numbers_and_of_its_neighbors():
    before = report(model(findings=(ERROR, FLATTENED)))
    changed = finding(message="fc1 holds 1 of 2 parameters.", evidence={"share": 0.5}, fingerprint="00d1")
    assert hashes(before)[1] == hashes(report(model(findings=(changed,))))[0]
    assert hashes(before)[1] != hashes(report(model("other.onnx", findings=(changed,))))[0]


def test_an_absolute_path_below_the_working_directory_becomes_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (result,) = results(report(model(str(tmp_path / "models" / "net.onnx"), findings=(FLATTENED,))))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "models/net.onnx"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A working directory below the root of a repository."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "team" / "models").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "team")
    return tmp_path


def test_services_name_models_from_the_root_of_the_repository(checkout):
    found = {"findings": (FLATTENED,)}
    for path in ("models/a.onnx", str(checkout / "team" / "models" / "a.onnx"), "./models/../models/a.onnx"):
        subject = report(model(path, **found))
        (result,) = results(subject)
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "team/models/a.onnx"
        assert json.loads(shown("gitlab", subject))[0]["location"]["path"] == "team/models/a.onnx"
        assert "file=team/models/a.onnx," in shown("github", subject)
    (result,) = results(report(model("../other/b.onnx", **found)))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "other/b.onnx"


def test_what_lies_outside_the_repository_keeps_its_name(checkout):
    outside = str(checkout.parent / "c.onnx")
    for path in (outside, "https://example.org/d.onnx", "<onnx model>"):
        assert json.loads(shown("gitlab", report(model(path, findings=(FLATTENED,)))))[0]["location"]["path"] == path


def test_models_of_one_name_in_two_folders_of_a_repository_are_alerts_of_their_own(checkout, monkeypatch):
    subject = report(model("net.onnx", findings=(FLATTENED,)))
    here = hashes(subject)
    monkeypatch.chdir(checkout)
    assert hashes(subject) != here


def test_sarif_says_where_to_read_about_cnnlint():
    (run,) = json.loads(shown("sarif"))["runs"]
    declared = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    assert run["tool"]["driver"]["informationUri"] == declared["project"]["urls"]["Repository"]


def test_a_rule_that_is_not_installed_is_described_by_its_finding():
    (rule,) = json.loads(shown("sarif", report(model(findings=(finding("ZZ999", name="of-my-own"),)))))["runs"][0][
        "tool"
    ]["driver"]["rules"]
    assert (rule["id"], rule["shortDescription"]["text"]) == ("ZZ999", "of-my-own")


def test_gitlab_issues_have_unique_fingerprints_and_relative_paths():
    twins = report(model(findings=(FLATTENED, FLATTENED)), model("copy.onnx", findings=(FLATTENED,)))
    issues = json.loads(shown("gitlab", twins))
    assert len({issue["fingerprint"] for issue in issues}) == 3
    issues = json.loads(shown("gitlab"))
    assert [issue["severity"] for issue in issues] == ["critical", "minor", "info", "blocker"]
    assert all(not issue["location"]["path"].startswith(("/", "./")) for issue in issues)
    assert all(issue["location"]["lines"]["begin"] == 1 for issue in issues)


def test_github_commands_are_escaped_and_the_gravest_come_first():
    tricky = finding("AC001", ("a",), message="100 % of a", suggestion="Do:\nb", severity=Severity.WARNING)
    lines = shown("github", report(model("a,b:c.onnx", findings=(INFO, tricky, ERROR)))).splitlines()
    assert [line.partition(" ")[0] for line in lines[:3]] == ["::error", "::warning", "::notice"]
    assert "file=a%2Cb%3Ac.onnx," in lines[1]
    assert lines[1].endswith("::a: 100 %25 of a%0ADo:%0Ab")
    assert len(lines) == 4


def test_junit_fails_what_fails_the_run_and_counts_it():
    root = ElementTree.fromstring(shown("junit"))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("9", "1", "1")
    suites = {suite.get("name"): suite for suite in root}
    cases = {case.get("name"): case for case in suites["models/vgg 16.onnx"]}
    assert cases["HD001 softmax-single-unit: out"].find("failure") is not None
    assert cases["FC001 flatten-dense-dominates: fc1"].find("failure") is None
    assert suites["bad.onnx"][0].find("error").text == "bad.onnx: the file is empty"
    assert [case.get("name") for case in suites["models/clean.onnx"]] == ["readable"]


def test_junit_fails_a_budget_only_when_the_run_fails_by_it():
    over = finding("BG001", (), name="over-budget", severity=Severity.ERROR)
    broken = ElementTree.fromstring(shown("junit", report(model(findings=(over,), budgets=BUDGETS[:2]))))
    assert [case.get("name") for case in broken.iter("testcase") if len(case)] == ["budget: parameters"]
    assert broken.get("failures") == "1"
    harmless = shown("junit", report(model(findings=(over,), budgets=BUDGETS[:2], fail_on="never")))
    assert ElementTree.fromstring(harmless).get("failures") == "0"


def test_junit_survives_names_that_xml_cannot_hold():
    odd = finding(layers=("a\x00b\x1b<&>\ud800",), message="x")
    root = ElementTree.fromstring(shown("junit", report(model(findings=(odd,), sites={}))))
    assert any("a\ufffdb\ufffd<&>" in (case.get("name") or "") for case in root.iter("testcase"))


def test_markdown_puts_budgets_first_and_broken_ones_before_kept_ones():
    text = shown("markdown")
    assert text.index("### Budgets") < text.index("### `models/vgg 16.onnx`")
    budgets = text[text.index("### Budgets") : text.index("### What fails")]
    rows = [line for line in budgets.splitlines() if line.startswith(("| ❌ | `models", "| ✅ | `models"))]
    assert [row[2] for row in rows] == ["❌", "❌", "✅"]
    assert "custom\\_1 is opaque" in rows[1]


def test_markdown_gives_a_clean_model_of_several_a_line_and_a_note_of_several_once():
    models = model("a.onnx", notes=("Dry.",)), model("b.onnx", notes=("Dry.",)), model("c.onnx", findings=(INFO,))
    text = shown("markdown", report(*models))
    assert "### `c.onnx`" in text
    assert "### Without findings\n\n- `a.onnx`: 138,357,544 parameters, " in text
    assert text.count("Dry") == 1
    assert "> Dry. (a.onnx, b.onnx)" in text
    assert "### `a.onnx`" in shown("markdown", report(models[0]))


def test_services_get_the_layer_first_unless_the_message_names_it():
    named = finding(layers=("fc_1",), message="fc_1 holds all of it.")
    unnamed = finding(layers=("fc",), message="An fc layer holds all of it.")
    issues = json.loads(shown("gitlab", report(model(findings=(named, unnamed)))))
    assert [each["description"] for each in issues] == [named.message, f"fc: {unnamed.message}"]


def test_markdown_cells_hold_no_markup_of_layers_or_messages():
    tricky = finding(layers=("a|b`c",), message="<img src=x> | **bold** [link](http://x)")
    text = shown("markdown", report(model(findings=(tricky,), sites={})))
    (row,) = [line for line in text.splitlines() if "FC001" in line]
    assert "<img" not in row
    assert "``a\\|b`c``" in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_markdown_gives_code_with_its_indentation_and_its_signs():
    code = "for rate in (1, 2, 5):\n    x = keras.layers.Conv2D(8, (3, 3), **given[0])(x)  # a|b\n\n    y = x < 2"
    text = shown("markdown", report(model(findings=(finding(suggestion=f"Use these rates:\n{code}"),))))
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    (drawn,) = re.findall("<pre>(.*?)</pre>", page, re.DOTALL)
    assert unescape(drawn.replace("<br>", "\n")) == code


def test_markdown_mentions_nobody_for_a_name_in_a_model():
    text = shown("markdown", report(model(findings=(finding(layers=("@octocat",), message="@octocat/all is odd."),))))
    outside_code = re.sub("`[^`]*`", "", text)
    assert "octocat" in outside_code
    assert not re.search(r"@\w", outside_code)


HOSTILE = "conv\x1b[2J\x9b31m\n1 model: no findings\r\u202e"


@pytest.mark.parametrize("form", ["text", "concise", "github", "markdown", "html"])
def test_a_layer_name_can_neither_steer_a_terminal_nor_forge_a_line(form):
    hostile = finding(layers=(HOSTILE,), message=f"About {HOSTILE}.", suggestion=f"Mend {HOSTILE}")
    subject = report(model(HOSTILE, findings=(hostile,), sites={}, notes=(HOSTILE,)))
    text = shown(form, subject)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert [line for line in text.splitlines() if line.startswith("1 model: no findings")] == []
    assert "\\x1b" in text


@pytest.mark.parametrize("form", ["json", "jsonl", "sarif", "gitlab"])
def test_a_path_that_is_no_unicode_is_spelled_out(form):
    text = shown(form, report(model("net\udcff.onnx", findings=(FLATTENED,)), model("b\udcff", error="b\udcff: bad")))
    text.encode("utf-8")
    assert "net" in text


def test_what_html_says_without_its_script_is_well_formed_and_makes_no_request():
    tricky = finding(layers=("a<script>alert(1)</script>",), message="<b>&</b>", suggestion="Do\n<x>")
    page = shown("html", report(model("<net>.onnx", findings=(tricky, ERROR), budgets=BUDGETS), FULL.models[2]))
    main = page[page.index("<main>") : page.index("</main>") + len("</main>")]
    root = ElementTree.fromstring(main.replace(" open>", ">"))
    text = "".join(root.itertext())
    for part in ("a<script>alert(1)</script>", "<b>&</b>", "<net>.onnx", "the file is empty", "138,357,544"):
        assert part in text
    for banned in ("<script", "<link", "<img", "url(", 'src="'):
        assert banned not in main
