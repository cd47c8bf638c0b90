"""Findings on lines of the user's code, in each format."""

import json

import pytest
from msgspec.structs import replace

from analyzer.report.reports import finding
from cnnlint.report import render_each
from cnnlint.report.view import View
from cnnlint.results import Frame, LintReport, ModelReport

HELPER = Frame(file="nets/blocks.py", line=12, function="block", text="    x = layers.Conv2D(n, 3)(x)", begin=8, end=27)
CALL = Frame(file="train.py", line=40, function="make_model", text="    x = block(x, 16)", begin=8, end=20)
OTHER = Frame(file="train.py", line=44, function="make_model", text="    x = layers.Dense(9)(x)", begin=8, end=23)


def on(found, *chains):
    """Put each place of a finding on the innermost line of a chain of calls."""
    places = [
        replace(place, source=chain[0].where, frames=chain) for place, chain in zip(found.places, chains, strict=True)
    ]
    return replace(found, places=tuple(places))


BLOCKS = on(finding("BN001", ("conv1",), name="unfolded-norm", places=(("conv1",), ("conv2",))), *[(HELPER, CALL)] * 2)
"""One finding about two places that one helper made."""
EACH = tuple(on(finding("CV001", (name,), name="large-kernel"), (HELPER, CALL)) for name in ("conv1", "conv2", "conv3"))
"""Three findings, one for each place, on the same line."""
APART = on(finding("WA001", ("a",), name="noop", places=(("a",), ("b",), ("c",))), (HELPER, CALL), (OTHER,), (OTHER,))
"""One finding about places on two lines."""


def written(form, *found, models=("train.py:make_model",)):
    reports = tuple(ModelReport(path=path, format="keras", findings=found) for path in models)
    return render_each(LintReport(models=reports), form, View()).text


def results(*found, **models):
    return json.loads(written("sarif", *found, **models))["runs"][0]["results"]


def test_text_shows_the_line_underlines_the_call_and_names_the_callers():
    text = written("text", BLOCKS)
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if "-->" in line)
    assert lines[at].startswith("  --> nets/blocks.py:12 › conv1")
    assert lines[at + 2] == "12 | x = layers.Conv2D(n, 3)(x)"
    assert lines[at + 3] == "   |     ^^^^^^^^^^^^^^^^^^^"
    assert "   = called at: train.py:40 in make_model: block(x, 16)" in lines


def test_text_and_concise_tell_what_one_line_makes_once():
    assert written("text", *EACH).count("CV001]") == 1
    (line, _) = written("concise", *EACH).splitlines()
    assert line.startswith("nets/blocks.py:12: CV001 warning large-kernel: conv1 (+2): ")


def test_text_names_the_lines_of_further_places():
    assert "   = lines: train.py:44 (2 places)" in written("text", APART).splitlines()


@pytest.mark.parametrize("found", [(BLOCKS,), EACH], ids=["told together", "told one by one"])
def test_sarif_has_one_result_for_a_rule_and_a_line_with_the_count_of_places(found):
    (result,) = results(*found)
    (location,) = result["locations"]
    physical = location["physicalLocation"]
    assert physical["artifactLocation"]["uri"].endswith("nets/blocks.py")
    assert physical["region"] == {"startLine": 12, "startColumn": 9, "endColumn": 28}
    assert result["properties"]["places"] == sum(len(each.places) for each in found)
    assert [
        frame["location"]["physicalLocation"]["region"]["startLine"] for frame in result["stacks"][0]["frames"]
    ] == [12, 40]


def test_sarif_has_a_result_for_each_line_of_one_finding():
    assert [
        (each["properties"]["places"], each["locations"][0]["physicalLocation"]["region"]["startLine"])
        for each in results(APART)
    ] == [(1, 12), (2, 44)]


def test_the_line_of_a_helper_that_two_models_share_is_told_once():
    (result,) = results(BLOCKS, models=("small", "large"))
    assert result["properties"]["places"] == 4


def test_the_fingerprint_stays_when_the_line_moves_and_not_when_the_function_changes():
    def mark(**changed):
        (result,) = results(on(BLOCKS, *[(replace(HELPER, **changed), CALL)] * 2))
        return result["partialFingerprints"]["primaryLocationLineHash"]

    assert mark() == mark(line=99, text="moved") != mark(function="stem")
    assert mark() != mark(file="nets/other.py")


def test_services_put_it_on_the_line():
    annotation = written("github", *EACH).splitlines()[0]
    assert annotation.startswith("::warning file=")
    assert "nets/blocks.py,line=12,title=CV001 large-kernel::" in annotation
    (issue,) = json.loads(written("gitlab", *EACH))
    assert issue["location"]["path"].endswith("nets/blocks.py")
    assert issue["location"]["lines"] == {"begin": 12}
    assert "nets/blocks.py:12: " in written("junit", *EACH)
    assert "`nets/blocks.py:12`" in written("markdown", *EACH)
    assert "nets/blocks.py:12 in block" in written("html", *EACH)


def test_json_has_every_place_with_its_line_and_its_callers():
    (model,) = json.loads(written("json", *EACH))["models"]
    places = [place for each in model["findings"] for place in each["places"]]
    assert [place["source"] for place in places] == ["nets/blocks.py:12"] * 3
    assert [frame["line"] for frame in places[0]["frames"]] == [12, 40]


def test_what_is_about_a_definition_as_a_whole_is_at_its_file():
    found = finding("BG001", (), name="over-budget", places=((),))
    assert "file=" in (line := written("github", found).splitlines()[0])
    assert "train.py,line=1" in line
