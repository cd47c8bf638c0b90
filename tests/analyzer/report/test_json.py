import json
import math

import jsonschema
import pytest

from analyzer.report.reports import BUDGETS, FLATTENED, finding, model, report
from cnnlint.report import render
from cnnlint.report.json import json_schema
from cnnlint.report.json import render as render_json
from cnnlint.report.view import View
from cnnlint.results import LayerSummary, ModelSummary, SummaryReport

FULL = report(
    model(findings=(FLATTENED, finding("BG001", ())), budgets=BUDGETS, suppressed=1, notes=("Static.",)),
    model("bad.onnx", format=None, error="the file is empty", macs=None, parameters=None),
)
SUMMARY = SummaryReport(
    cnnlint="0.1.0",
    models=(
        ModelSummary(
            path="seed.onnx",
            format="onnx",
            parameters=208,
            layers=(
                LayerSummary(
                    name="conv", kind="Conv", output_shape=(16, None, 112), parameters=208, macs=None,
                    receptive_field=(2, 2), formula="(16 × 2 × 2 × 3) + 16 = 208",
                ),
            ),
        ),
    ),
)  # fmt: skip


def test_numbers_are_exact_and_unknown_ones_null():
    document = json.loads(render(FULL, "json", View()))
    assert document["schema"] == 2
    assert document["cnnlint"] == "0.1.0"
    first, bad = document["models"]
    assert (first["parameters"], first["macs"], first["weight_bytes"]) == (138_357_544, 15_470_264_320, 553_430_176)
    assert first["findings"][0]["evidence"] == {"share": 0.742746}
    assert first["findings"][0]["savings"]["bytes"] == 402_653_184
    assert first["budgets"][2]["measured"] is None
    assert (bad["error"], bad["macs"], bad["format"]) == ("the file is empty", None, None)


def test_a_finding_has_the_keys_that_are_documented():
    (found, _) = json.loads(render(FULL, "json", View()))["models"][0]["findings"]
    assert {
        "code", "name", "severity", "confidence", "layers", "message", "evidence", "suggestion", "savings",
        "fingerprint",
    } <= set(found)  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_null(value):
    broken = report(model(findings=(finding(evidence={"largest": value}),)))
    shown = render(broken, "json", View())
    document = json.loads(shown, parse_constant=pytest.fail)
    assert document["models"][0]["findings"][0]["evidence"] == {"largest": None}
    jsonschema.validate(document, json_schema("lint"))


def test_every_finding_is_there_however_many():
    many = report(model(findings=tuple(finding("BN002", (f"conv{index}",)) for index in range(53))))
    assert len(json.loads(render(many, "json", View()))["models"][0]["findings"]) == 53


def test_a_terminal_gets_it_indented_and_a_pipe_on_one_line():
    assert len(render(FULL, "json", View()).splitlines()) == 1
    indented = render(FULL, "json", View(terminal=True))
    assert len(indented.splitlines()) > 20
    assert json.loads(indented) == json.loads(render(FULL, "json", View()))


@pytest.mark.parametrize(("document", "shown"), [("lint", FULL), ("summary", SUMMARY)])
def test_what_is_printed_fits_its_schema(document, shown):
    schema = json_schema(document)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(render_json(shown, View())), schema)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("schema"),
        lambda document: document.update(schema=1),
        lambda document: document["models"][0].pop("macs"),
        lambda document: document["models"][0].update(parameters="138 M"),
        lambda document: document["models"][0]["findings"][0].update(severity="fatal"),
        lambda document: document["models"][0]["findings"][0].update(color="red"),
    ],
)
def test_the_schema_refuses_what_is_not_ours(spoil):
    document = json.loads(render(FULL, "json", View()))
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json_schema("lint"))


def test_the_schema_says_what_fields_are():
    properties = json_schema("lint")["$defs"]["ModelReport"]["properties"]
    assert properties["macs"]["description"] == "Multiply-accumulates, for what `per` says; None if unknown."
