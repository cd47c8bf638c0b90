"""A fault in one model is one line that names it, and costs no other model its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.acceptance.command import MODELS

import cnnlint
from cnnlint.cli.commands import commands
from cnnlint.errors import InternalError
from cnnlint.frontends.onnx import skeleton
from cnnlint.report import FORMATS, concise, render_each, text
from cnnlint.report.view import View
from cnnlint.results import ModelReport, SummaryReport
from cnnlint.worker.workers import Workers

GOOD = str(MODELS / "vgg_style.onnx")
BAD = str(MODELS / "seed_cnn.onnx")


@pytest.fixture(params=[OverflowError("int too large"), MemoryError(), RecursionError("too deep"), SystemExit(0)])
def unreadable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> BaseException:
    """Plant a fault in the reading of BAD."""
    genuine = skeleton.read

    def read(path: str) -> object:
        if Path(path).name == Path(BAD).name:
            raise request.param
        return genuine(path)

    monkeypatch.setattr(skeleton, "read", read)
    return request.param


def run(*args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, list[str]]:
    code = commands.main([*args], prog_name="cnnlint", standalone_mode=False)
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


@pytest.mark.parametrize("order", [(GOOD, BAD), (BAD, GOOD)])
@pytest.mark.parametrize(
    "command", [("lint", "--isolated", "--static"), ("summary",), ("explain", "FC001", "--isolated", "--on")]
)
def test_a_fault_is_one_line_and_the_other_model_is_reported(
    command: tuple[str, ...], order: tuple[str, str], unreadable: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = (order[0], "--on", order[1]) if command[0] == "explain" else order
    code, out, lines = run(*command, *paths, capsys=capsys)
    assert code == 2
    assert Path(GOOD).name in out
    (line,) = lines
    assert line.startswith(f"cnnlint: error: {BAD}: ")
    assert type(unreadable).__name__ in line


@pytest.mark.parametrize(
    "command",
    [
        ("diff", "--isolated", GOOD, BAD),
        ("diff", "--isolated", BAD, GOOD),
        ("compare", GOOD, BAD),
        ("fix", "--isolated", "--diff", BAD),
    ],
)
def test_commands_on_one_or_two_models_name_the_one_at_fault(
    command: tuple[str, ...], unreadable: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, lines = run(*command, capsys=capsys)
    assert code == 2
    (line,) = lines
    assert line.startswith(f"cnnlint: error: {BAD}: ")
    assert type(unreadable).__name__ in line


def test_convert_names_the_model_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*_: object, **__: object) -> object:
        raise OverflowError

    monkeypatch.setattr(Workers, "call", call)
    model = str(MODELS / "seed_cnn.keras")
    code, _, lines = run("convert", model, "-o", str(tmp_path / "out.onnx"), capsys=capsys)
    assert code == 2
    assert f"cnnlint: error: {model}: cnnlint failed on this model: OverflowError" in "\n".join(lines)


@pytest.mark.parametrize(
    "command",
    [("lint", "--isolated", "--static", BAD), ("summary", BAD), ("diff", BAD, GOOD), ("explain", "FC001", "--on", BAD)],
)
def test_verbose_shows_the_traceback(
    command: tuple[str, ...], unreadable: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, lines = run(*command, "-v", capsys=capsys)
    shown = "\n".join(lines)
    assert "Traceback (most recent call last)" in shown
    assert "raise request.param\n" in shown
    assert type(unreadable).__name__ in lines[0]


def test_python_gives_the_other_models_and_load_one_kind_of_error(unreadable: BaseException) -> None:
    lint = cnnlint.lint([BAD, GOOD], isolated=True, static=True)
    summary = cnnlint.summarize([GOOD, BAD])
    assert [model.error is None for model in lint.models] == [False, True]
    assert [model.error is None for model in summary.models] == [True, False]
    assert lint.exit_code == 2
    with pytest.raises(InternalError, match=type(unreadable).__name__) as caught:
        cnnlint.load(BAD)
    assert caught.value.path == BAD
    assert "Traceback" in caught.value.trace


def test_an_interruption_is_no_fault(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def read(_: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(skeleton, "read", read)
    code, out, _ = run("lint", "--isolated", "--static", GOOD, capsys=capsys)
    assert code == 130
    assert out == ""
    with pytest.raises(KeyboardInterrupt):
        cnnlint.lint(GOOD, isolated=True, static=True)


def test_what_fails_outside_of_any_model_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rules_here(*_: object, **__: object) -> object:
        raise EOFError("no more")

    monkeypatch.setattr("cnnlint.cli.rules.rules_here", rules_here)
    code, _, lines = run("rules", capsys=capsys)
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("cnnlint: error: cnnlint failed: EOFError: no more at ")


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_that_cannot_be_rendered_loses_no_other_in_any_format(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = cnnlint.lint([BAD, GOOD], isolated=True, static=True)
    genuine = ModelReport.__getattribute__

    def planted(self: ModelReport, name: str) -> object:
        if name in {"findings", "parameters"} and self.error is None and genuine(self, "path") == BAD:
            raise OverflowError("int too large to convert to float")
        return genuine(self, name)

    monkeypatch.setattr(ModelReport, "__getattribute__", planted)
    if form == "json":  # encoded without a look at attributes
        from cnnlint.report import json as module

        encode = module.encode

        def refuse(value: object, view: View) -> str:
            assert isinstance(value, cnnlint.LintReport)
            if any(model.path == BAD and model.error is None for model in value.models):
                raise OverflowError("int too large to convert to float")
            return encode(value, view)

        monkeypatch.setattr(module, "encode", refuse)
    result = render_each(report, form, View())
    assert [fault.path for fault in result.faults] == [BAD]
    assert result.report.exit_code == 2
    assert Path(GOOD).name in result.text
    if form not in {"concise", "text"}:  # these leave it to standard error
        assert "OverflowError" in result.text


def test_a_rendering_that_fails_gives_exit_code_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    genuine = text._headline  # pyright: ignore[reportPrivateUsage]

    def headline(model: ModelReport, view: View, *, brief: bool) -> str:
        if model.path == BAD:
            raise ZeroDivisionError
        return genuine(model, view, brief=brief)

    monkeypatch.setattr(text, "_headline", headline)
    code, out, lines = run("lint", "--isolated", "--static", "--exit-zero", BAD, GOOD, capsys=capsys)
    assert code == 2
    assert GOOD in out
    assert len(lines) == 1
    assert lines[0].startswith(f"cnnlint: error: {BAD}: cnnlint failed on this model: ZeroDivisionError")


def test_a_format_that_fails_on_no_model_but_on_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def summary_line(*_: object) -> str:
        raise LookupError

    monkeypatch.setattr(concise, "summary_line", summary_line)
    report = cnnlint.lint(GOOD, isolated=True, static=True)
    result = render_each(cnnlint.LintReport(models=()), "json", View())
    assert result.text
    with pytest.raises(LookupError):
        render_each(report, "concise", View())


HUGE = 10**400


@pytest.mark.parametrize("form", FORMATS)
def test_numbers_of_any_size_are_in_every_format(form: str) -> None:
    # Python's own JSON reader takes 4,300 digits, and no writer should give it more
    immense = 10**4000 if form in {"json", "jsonl", "sarif", "gitlab"} else 10**5000
    (model,) = cnnlint.lint(GOOD, isolated=True, static=True, budget=cnnlint.Budget(macs=1)).models
    budget = replace(model.budgets[0], measured=immense, limit=1, margin=1 - immense)
    grown = replace(model, parameters=HUGE, macs=immense, weight_bytes=2**70, peak_activation_bytes=-HUGE)
    report = cnnlint.LintReport(models=(replace(grown, budgets=(budget,)),))
    result = render_each(report, form, View())
    assert result.faults == ()
    if form == "text":
        assert "1.00 × 10^400 parameters" in result.text
        assert "1.00 × 10^5,000 MACs" in result.text
    if form == "json":
        assert json.loads(result.text)["models"][0]["macs"] == immense


def test_a_summary_holds_numbers_of_any_size() -> None:
    from cnnlint.report.summary_text import render

    (model,) = cnnlint.summarize(GOOD).models
    layers = tuple(
        replace(layer, parameters=HUGE, macs=HUGE, activation_bytes=10**5000, output_shape=(HUGE, 10**5000))
        for layer in model.layers
    )
    report = SummaryReport(models=(replace(model, layers=layers, parameters=1, macs=1),))
    shown = render(report, View(), explain=True)
    assert "1.00 × 10^400" in shown
