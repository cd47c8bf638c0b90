import base64
import hashlib
import json
import re
import webbrowser
from pathlib import Path

import onnx
import pytest

from acceptance.command import MODELS, SEED, VGG, cnnlint
from cnnlint.analysis.context import Context
from cnnlint.api.linting import load
from cnnlint.engine.drawing import draw
from cnnlint.engine.repeats import Stretch
from cnnlint.errors import __version__
from cnnlint.graph.quantity import brief, count, size
from cnnlint.report import html
from zoo import keras_path

HOSTILE = "</script><script>alert(1)</script>"


def networks(page: str) -> list[dict]:
    found = re.findall(r'<script type="application/json" id="network-\d+">(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def renamed(path: Path, name: str) -> Path:
    """Write the seed network with its first convolution called `name`."""
    proto = onnx.load(SEED)
    next(node for node in proto.graph.node if node.op_type == "Conv").name = name
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize("command", [("lint", "--static"), ("summary",)])
def test_numbers_of_layers_are_those_of_the_summary_in_json(command):
    page = cnnlint(*command, "--format", "html", VGG).stdout
    (drawn,) = networks(page)
    (summary,) = json.loads(cnnlint("summary", "--format", "json", VGG).stdout)["models"]
    rows = [row for row in summary["layers"] if row["merged_into"] is None]
    assert [layer["name"] for layer in drawn["layers"]] == [row["name"] for row in rows]
    for layer, row in zip(drawn["layers"], rows, strict=True):
        assert layer["parameters"] == [row["parameters"], count(row["parameters"])]
        assert layer["macs"] == [row["macs"], brief(row["macs"])]
        assert layer["memory"] == [row["activation_bytes"], size(row["activation_bytes"])]
        assert layer.get("formula") == row["formula"]
        assert layer.get("macFormula") == row["mac_formula"]
    assert max(layer["alive"][0] for layer in drawn["layers"]) == summary["peak_activation_bytes"]
    assert drawn["totals"]["macs"] == summary["macs"]


def test_each_layer_is_drawn_after_those_that_feed_it():
    graph = load(MODELS / "branches.onnx")
    nodes = draw(Context(graph)).nodes
    names = [node.row.name for node in nodes]
    for layer in graph.layers:
        fed = {before.name for before in graph.predecessors(layer)}
        fed |= {tensor.name for tensor in layer.inputs if tensor in graph.inputs}
        assert {names[at] for at in nodes[names.index(layer.name)].after} == fed


def test_findings_are_marks_on_the_layers_that_they_name():
    smelly = MODELS / "smelly.onnx"
    (drawn,) = networks(cnnlint("lint", "--static", "--format", "html", smelly).stdout)
    (model,) = json.loads(cnnlint("lint", "--static", "--format", "json", smelly).stdout)["models"]
    assert [mark["code"] for mark in drawn["findings"]] == [finding["code"] for finding in model["findings"]]
    for layer in drawn["layers"]:
        named = [number for number, finding in enumerate(model["findings"]) if layer["name"] in finding["layers"]]
        assert layer.get("findings", []) == named


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("ResNet50", [2, 3, 5, 2]),  # the blocks after the first of each stage: He et al. 2016, table 1
        ("DenseNet121", [6, 12, 24, 16]),  # Huang et al. 2017, table 1
    ],
)
def test_blocks_repeat_as_often_as_the_paper_has_them_in_a_stage(name, stages):
    found = draw(Context(load(keras_path(name)))).repeats
    assert [repeat.times for repeat in found] == stages


@pytest.mark.slow
def test_the_cells_of_a_searched_network_are_folded_where_they_stand():
    found = draw(Context(load(keras_path("NASNetMobile")))).repeats
    # Zoph et al. 2018, figure 4: reduction cells between stages of N = 4 normal cells, of which Keras makes the first
    # with another adjustment of its input; two reduction cells make the stem
    assert [(stretch.times, stretch.places) for stretch in found] == [(1, 4), *((1, 3), (3, 1)) * 3]


def test_stretches_that_repeat_are_found_in_the_seed_network():
    assert draw(Context(load(SEED))).repeats == (Stretch(1, 3, 3),)


def test_a_name_that_ends_a_script_stays_text(tmp_path):
    page = cnnlint("lint", "--static", "--format", "html", renamed(tmp_path / "m.onnx", HOSTILE)).stdout
    assert "<script>alert" not in page
    (drawn,) = networks(page)
    assert any("</script><script>alert(1)" in layer["name"] for layer in drawn["layers"])


def test_the_policy_allows_no_request_and_only_the_scripts_of_the_file():
    page = cnnlint("lint", "--static", "--format", "html", SEED).stdout
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 3
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "connect-src" not in policy


def test_pages_of_the_rules_are_inside_the_file():
    page = cnnlint("lint", "--static", "--format", "html", VGG).stdout
    links = set(re.findall(r'href="#(rule-\w+)"', page))
    assert links
    assert links <= set(re.findall(r'id="(rule-\w+)"', page))
    assert "<h3>Why</h3>" in page


def test_findings_that_are_not_shown_still_decide_the_verdict():
    flags = ("--static", "--isolated", "--fail-on", "info", "--min-severity", "error", "--format", "html", VGG)
    done = cnnlint("lint", *flags)
    assert done.returncode == 1
    assert "<h1>Failed</h1>" in done.stdout


def test_a_result_in_the_cache_is_drawn_all_the_same(tmp_path):
    flags = ("lint", "--static", "--cache-dir", tmp_path / "kept", SEED, "--format")
    cnnlint(*flags, "json")
    assert len(networks(cnnlint(*flags, "html").stdout)) == 1


def test_open_writes_a_page_and_hands_it_to_the_browser(monkeypatch):
    opened = list[str]()
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    done = cnnlint("open", "--static", VGG)
    path = Path(done.stdout.strip())
    assert done.returncode == 0
    assert opened == [path.as_uri()]
    assert f"cnnlint {__version__}" in path.read_text(encoding="utf-8")
    assert path.parent.stat().st_mode & 0o077 == 0
    path.unlink()
    path.parent.rmdir()


def test_open_says_where_the_page_is_when_no_browser_starts(monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    done = cnnlint("open", "--static", SEED)
    assert Path(done.stdout.strip()).is_file()
    assert "no browser could be started" in done.stderr


def test_what_the_page_carries_is_small_and_has_its_licenses():
    folder = Path(html.__file__).parent
    carried = [path for path in folder.rglob("*") if path.suffix in {".js", ".css", ".html", ".txt"}]
    assert sum(path.stat().st_size for path in carried) < 200_000
    licenses = (folder / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")
    assert licenses.count("Permission is hereby granted") == 2
    for path in carried:
        assert "</script" not in path.read_text(encoding="utf-8").replace("$scripts", "") or path.suffix == ".html"
