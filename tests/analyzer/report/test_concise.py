from analyzer.report.reports import FLATTENED, finding, model, report
from cnnlint.report import render
from cnnlint.report.view import View


def test_every_finding_takes_one_line():
    findings = tuple(finding("BN002", (f"conv{index}",), message="Bias.") for index in range(10))
    lines = render(report(model(findings=findings)), "concise", View()).splitlines()
    assert len(lines) == 11
    assert lines[9] == "vgg16.onnx › conv9: warning[BN002] flatten-dense-dominates: Bias."


def test_a_finding_about_the_whole_model_names_the_model():
    lines = render(report(model(findings=(finding("BG001", ()),))), "concise", View()).splitlines()
    assert lines[0].startswith("vgg16.onnx: warning[BG001]")


def test_quiet_leaves_out_the_count():
    shown = render(report(model(findings=(FLATTENED,))), "concise", View(quiet=True))
    assert len(shown.splitlines()) == 1
