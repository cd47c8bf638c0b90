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


def test_quiet_leaves_out_the_count_and_what_does_not_fail_the_run():
    quiet = View(quiet=True)
    assert render(report(model(findings=(FLATTENED,))), "concise", quiet) == ""
    (line,) = render(report(model(findings=(FLATTENED,), fail_on="warning")), "concise", quiet).splitlines()
    assert "FC001" in line


def test_the_places_of_a_finding_are_counted_after_the_first():
    many = finding("BN002", ("conv1", "conv2", "conv3"), places=(("conv1",), ("conv2",), ("conv3",)))
    assert "› conv1 (+2): warning[BN002]" in render(report(model(findings=(many,))), "concise", View())
