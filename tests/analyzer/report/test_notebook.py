"""Reports as notebooks show them: what is drawn without a script, and the page that a frame unpacks."""

import base64
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import types
from html.parser import HTMLParser
from pathlib import Path

import pytest

import cnnlint
from acceptance.command import MODELS, SEED, VGG
from analyzer.report.test_html import HOSTILE, renamed
from cnnlint.analysis.context import Context
from cnnlint.api.linting import load
from cnnlint.engine.drawing import Node, draw
from cnnlint.report.html.sketch import MOST, SketchStep, lay_out, steps_of
from cnnlint.results import LayerSummary
from networks import to_onnx
from zoo import keras_path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

FILES = sorted(MODELS.glob("*.onnx")) + sorted(MODELS.glob("*.keras"))


@pytest.fixture
def notebook(monkeypatch):
    """Be in a notebook, as far as cnnlint can tell."""
    monkeypatch.setitem(sys.modules, "IPython", _shell(object()))


def _shell(running: object) -> types.ModuleType:
    module = types.ModuleType("IPython")
    module.get_ipython = lambda: running
    return module


class Element(HTMLParser):
    """Collects the text of an output, what is in its table of columns, its tags, and the page in its frame."""

    def __init__(self, shown: str) -> None:
        super().__init__()
        self.tags, self.texts, self.frame = list[str](), list[str](), ""
        self.feed(shown)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "iframe":
            self.frame = dict(attrs)["srcdoc"]
            assert dict(attrs)["sandbox"] == "allow-scripts"

    def handle_data(self, data):
        self.texts.append(data)

    def page(self) -> str:
        (packed,) = re.findall(r'atob\("([^"]+)"\)', self.frame)
        return gzip.decompress(base64.b64decode(packed)).decode()


@pytest.mark.parametrize("make", [lambda path: cnnlint.lint(path, static=True, isolated=True), cnnlint.summarize])
def test_the_static_part_needs_no_script_and_the_frame_holds_the_whole_page(notebook, make):
    element = Element(make(VGG)._repr_html_())
    assert "script" not in element.tags
    assert "svg" in element.tags
    page = element.page()
    assert page.startswith("<!doctype html>")
    assert 'id="network-0"' in page
    assert "25,914 parameters" in " ".join(element.texts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_numbers_drawn_come_to_those_of_the_network(notebook, path):
    report = cnnlint.lint(path, static=True, isolated=True)
    texts = Element(report._repr_html_()).texts
    drawn = texts[texts.index("MACs") + 1 :]
    held = [int(text.replace(",", "")) for text in drawn if re.fullmatch(r"\d{1,3}(,\d{3})*", text)]
    drawing = draw(Context(load(path)))
    widths = {row.output_shape for row in drawing.summary.layers}
    held = [number for number in held if (number,) not in widths]
    shared = sum(row.parameters for row in drawing.summary.layers if row.shared_with is None)
    assert shared == report[0].parameters
    for step in steps_of(drawing):
        rows = [drawing.nodes[at].row for at in step.nodes]
        total = sum(row.parameters for row in rows if row.shared_with is None)
        assert not total or total in held or (total,) in widths


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_layer_is_in_one_step(path):
    drawing = draw(Context(load(path)))
    nodes = [at for step in steps_of(drawing) for at in step.nodes]
    assert sorted(nodes) == list(range(len(drawing.nodes)))


def test_a_pointwise_layer_with_another_reader_has_a_step_of_its_own():
    drawing = draw(Context(load(MODELS / "resnet_style.onnx")))
    for step in steps_of(drawing):
        for before, at in zip(step.nodes, step.nodes[1:], strict=False):
            readers = [node for node in drawing.nodes if before in node.after]
            assert step.folded or readers == [drawing.nodes[at]]


def test_no_lane_is_taken_while_something_runs_in_it():
    chance = random.Random(20150410)
    for _ in range(60):
        row = LayerSummary(name="x", kind="Conv", output_shape=None, parameters=0, macs=0, receptive_field=None)
        nodes = [
            Node(row=row, label="", after=tuple(sorted(chance.sample(range(at), k=min(at, chance.randint(1, 3))))))
            for at in range(chance.randint(2, 40))
        ]
        lanes = lay_out([SketchStep((at,), "") for at in range(len(nodes))], nodes)
        for at, node in enumerate(nodes):
            assert all(at in lanes.edges[before] for before in node.after)
        for start, readers in enumerate(lanes.edges):
            for between in range(start + 1, readers[-1] if readers else 0):
                assert lanes.of[between] != lanes.of[start]


def test_a_residual_trunk_stays_in_one_lane():
    drawing = draw(Context(load(MODELS / "resnet_style.onnx")))
    steps = list(steps_of(drawing))
    lanes = lay_out(steps, drawing.nodes)
    adds = [index for index, step in enumerate(steps) if drawing.nodes[step.nodes[0]].row.kind == "Add"]
    assert adds
    assert {lanes.of[index] for index in adds} == {0}
    assert lanes.width == 2


def test_names_are_text_in_the_picture_and_in_the_page(notebook, tmp_path):
    element = Element(cnnlint.summarize(renamed(tmp_path / "hostile.onnx", HOSTILE))._repr_html_())
    assert "script" not in element.tags
    assert HOSTILE[:25] in "".join(element.texts)  # a layer is not called by what comes after the last slash
    assert HOSTILE[:25] not in element.page()


def test_findings_are_marked_on_their_step(notebook):
    report = cnnlint.lint(MODELS / "smelly.onnx", static=True, isolated=True)
    texts = Element(report._repr_html_()).texts
    told = " ".join(texts[texts.index("MACs") :])
    places = [place for finding in report.findings for place in finding.places or (finding,)]
    worst = max(report.findings, key=lambda finding: finding.severity.rank)
    assert worst.code in told
    assert len(places) >= len(report.findings)


@pytest.mark.parametrize("is_imported", [False, True])
def test_a_script_does_not_wait_for_drawings(monkeypatch, is_imported):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    if is_imported:  # as other libraries do
        monkeypatch.setitem(sys.modules, "IPython", _shell(None))
    monkeypatch.setattr("cnnlint.engine.drawing.draw", lambda *_: pytest.fail("drawn"))
    assert "<svg" not in cnnlint.lint(SEED, static=True, isolated=True)._repr_html_()


def test_models_that_nothing_tells_apart_are_not_drawn_as_one_another(notebook):
    first, second = (to_onnx(f"INPUT 3x8x8 -> CONV {filters} 3x3 -> GAP -> FC 10") for filters in (4, 8))
    assert "<svg" not in cnnlint.lint([first, second], static=True, isolated=True)._repr_html_()
    assert "<svg" in cnnlint.lint(first, static=True, isolated=True)._repr_html_()


def test_drawings_are_no_part_of_what_a_report_says(notebook):
    drawn = cnnlint.lint(SEED, static=True, isolated=True)
    assert "<svg" in drawn._repr_html_()
    assert drawn == cnnlint.Report(models=drawn.models)
    assert drawn.to_json() == cnnlint.Report(models=drawn.models).to_json()


def test_what_values_show_as_is_one_line():
    report = cnnlint.lint(SEED, static=True, isolated=True)
    summary = cnnlint.summarize(SEED)
    made = [report, report[0], summary, summary.models[0], cnnlint.load(SEED), cnnlint.diff(SEED, VGG)]
    for value in made:
        assert re.fullmatch(r"<cnnlint\.\w+: [^\n]{1,300}>", repr(value))
    assert "parameters 19189" in repr(cnnlint.load(SEED))


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda path: cnnlint.lint(path, static=True, isolated=True), cnnlint.summarize])
def test_a_resnet50_is_light(notebook, make):
    shown = make(keras_path("ResNet50"))._repr_html_()
    static = shown.index('<details class="full">')
    assert static < 60_000
    assert len(shown) - static < 100_000


@pytest.mark.slow
def test_of_a_network_with_many_steps_the_first_and_the_last_are_drawn(notebook):
    drawing = draw(Context(load(keras_path("NASNetMobile"))))
    steps = list(steps_of(drawing))
    assert len(steps) <= MOST
    assert sorted(at for step in steps for at in step.nodes) == list(range(len(drawing.nodes)))
    assert len(cnnlint.summarize(keras_path("NASNetMobile"))._repr_html_()) < 200_000


CELLS = ("import cnnlint", "cnnlint.lint({path!r}, static=True, isolated=True)", "cnnlint.summarize({path!r})")


def nbconvert(folder: Path, *arguments: str) -> None:
    """Run nbconvert in a process of its own: what it leaves open would fail another test."""
    module = pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    environment = {
        **os.environ,
        "JUPYTER_PATH": str(Path(module.__file__).parents[4] / "share/jupyter"),  # if installed for another environment
        "HOME": str(folder),
    }
    command = [sys.executable, "-m", "nbconvert", *arguments, "--output-dir", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a notebook whose cells were run by a kernel; skip where there is none."""
    folder = tmp_path_factory.mktemp("notebook")
    cells = [
        {"cell_type": "code", "source": cell.format(path=str(VGG)), "id": f"c{at}"}
        | {"metadata": {}, "outputs": [], "execution_count": None}
        for at, cell in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    (folder / "given.ipynb").write_text(json.dumps(book), encoding="utf-8")
    nbconvert(folder, str(folder / "given.ipynb"), "--to", "notebook", "--execute", "--output", "executed.ipynb")
    return folder / "executed.ipynb"


def test_a_cell_has_one_output_and_one_line_for_those_that_show_no_html(executed):
    book = json.loads(executed.read_text(encoding="utf-8"))
    for cell in book["cells"][1:]:
        (output,) = cell["outputs"]
        assert output["output_type"] == "execute_result"
        assert set(output["data"]) == {"text/html", "text/plain"}
        assert len(output["data"]["text/plain"]) == 1
        assert "<svg" in "".join(output["data"]["text/html"])


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_exported_notebook_is_legible_and_opens_the_full_view(executed, theme):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    nbconvert(executed.parent, str(executed), "--to", "html", "--theme", theme, "--output", f"{theme}.html")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = chromium.new_context(color_scheme="no-preference", viewport={"width": 1280, "height": 900}).new_page()
        wrong = list[str]()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto((executed.parent / f"{theme}.html").as_uri())
        assert tab.evaluate(CONTRAST) >= 4.5
        for index in range(2):
            frame = tab.frame_locator("iframe").nth(index)
            tab.locator("details.full > summary").nth(index).click()
            frame.locator(".network").first.scroll_into_view_if_needed()
            frame.locator(".node").first.wait_for()
            background = frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
            assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 19, 24)"}[theme]
        assert wrong == []
        chromium.close()


CONTRAST = """() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const said = document.querySelectorAll(".cnnlint p, .cnnlint summary, .cnnlint text:not(.faint)");
  const ratios = [...said].map((each) => {
    const style = getComputedStyle(each);
    const ink = light(each.tagName === "text" ? style.fill : style.color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
  return Math.min(...ratios);
}"""
"""The least contrast of what an output says with the paper of the notebook, as WCAG 2 has it."""
