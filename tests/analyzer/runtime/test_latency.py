"""Times of layers: those that cost more take longer, fused ones stand with what they run as, and sums agree."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import jsonschema
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import zoo
from acceptance.command import MODELS, cnnlint
from cnnlint.api.linting import load, summarize
from cnnlint.graph.graph import Graph
from cnnlint.report.json import json_schema
from cnnlint.results import Latency
from cnnlint.runtime.latency import LatencyRequest, measure

FIXTURES = sorted(MODELS.glob("*.onnx"))
QUICK = ("mobile_style", "branches")
KERNELS = ("Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")


def lopsided(path: Path, *, names: tuple[str, str] = ("light", "heavy"), image: object = 64) -> Path:
    """Write two convolutions, of 8 to 8 and of 8 to 400 channels: the second has 50 times the arithmetic."""
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, np.full(shape, 0.01, "f"))
        for name, shape in (("w1", (8, 8, 3, 3)), ("w2", (400, 8, 3, 3)))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], names[0], pads=[1] * 4),
        helper.make_node("Conv", ["a", "w2"], ["y"], names[1], pads=[1] * 4),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8, image, image])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 400, None, None])
    graph = helper.make_graph(nodes, "lopsided", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def timed(path: Path) -> Latency:
    return measure(LatencyRequest(program=str(path), path=str(path), inputs={}))


def fastest_by_hand(path: Path, feeds: dict[str, Any]) -> float:
    """Return the milliseconds of the fastest of some runs under onnxruntime as it comes."""
    session = ort.InferenceSession(path)
    times = list[float]()
    for _ in range(20):
        begun = perf_counter()
        session.run(None, feeds)
        times.append(1e3 * (perf_counter() - begun))
    return min(times)


def test_a_convolution_of_fifty_times_the_arithmetic_takes_most_of_the_time(tmp_path: Path) -> None:
    path = lopsided(tmp_path / "net.onnx")
    found = timed(path)
    light, heavy = (next(row for row in found.layers if row.layer == name) for name in ("light", "heavy"))
    assert (light.macs, heavy.macs) == (64**2 * 9 * 8 * 8, 64**2 * 9 * 8 * 400)
    assert heavy.milliseconds > 8 * light.milliseconds
    assert heavy.share > 0.5
    assert heavy.gmacs_per_second == pytest.approx(heavy.macs / 1e6 / heavy.milliseconds)


def test_times_of_nodes_come_to_no_more_than_the_run_and_the_run_to_what_a_clock_shows(tmp_path: Path) -> None:
    path = lopsided(tmp_path / "net.onnx")
    found = timed(path)
    assert 0.3 * found.profiled_milliseconds < found.nodes_milliseconds <= found.profiled_milliseconds
    assert sum(row.share for row in found.layers) == pytest.approx(1)
    by_hand = fastest_by_hand(path, {"x": np.ones((1, 8, 64, 64), "f")})
    assert by_hand / 10 < found.fastest < by_hand * 10
    assert found.fastest <= found.milliseconds <= found.slowest
    assert (found.version, found.runs >= 7) == (ort.__version__, True)


def hold_to_the_network(found: Latency, graph: Graph) -> None:
    """Every layer is run in one place, each kernel by a kernel of onnxruntime, and fused layers feed one another."""
    stated = [name for row in found.layers for name in row.layers]
    assert len(stated) == len(set(stated))
    run = {layer.name for layer in graph.layers if layer.name in stated}
    assert [layer.name for layer in graph.layers if layer.multiplies and layer.name not in run] == []
    kinds = {layer.name: layer for layer in graph.layers}
    for row in found.layers:
        assert (row.layer is None) == (row.layers == ())
        assert row.macs or not any(kinds[name].multiplies for name in row.layers)
        if row.macs:
            assert any(op.partition(" ")[0] in KERNELS for op in row.ran_as), row
        assert sum(bool(kinds[name].multiplies) for name in row.layers) <= 1
        made = {tensor.name for name in row.layers for tensor in kinds[name].outputs}
        for name in row.layers[1:]:
            assert made & {tensor.name for tensor in kinds[name].inputs}, f"{name} reads nothing of {row.layers}"


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.exhaustive) for path in FIXTURES],
)
def test_fused_nodes_are_led_back_to_the_layers_that_they_came_from(path: Path) -> None:
    found = timed(path)
    graph = load(path)
    hold_to_the_network(found, graph)
    (summary,) = summarize(path).models
    assert sum(row.macs or 0 for row in found.layers) == summary.macs


def test_a_norm_and_an_activation_stand_with_the_convolution_that_took_them_in() -> None:
    rows = {row.layer: row for row in timed(MODELS / "resnet_style.onnx").layers}
    assert rows["stem_conv"].layers == ("stem_conv", "stem_norm", "stem_relu")
    assert rows["stem_conv"].ran_as == ("Conv + Relu",)


@pytest.mark.parametrize("names", [("", ""), ("same", "same"), ("y", "a_nchwc")])
def test_nodes_without_a_name_of_their_own_are_told_apart(names: tuple[str, str], tmp_path: Path) -> None:
    rows = timed(lopsided(tmp_path / "net.onnx", names=names)).layers
    kernels = [row for row in rows if row.macs]
    assert [row.macs for row in kernels] == [64**2 * 9 * 8 * 8, 64**2 * 9 * 8 * 400]
    assert kernels[1].milliseconds > 5 * kernels[0].milliseconds


def summary_json(*args: object) -> tuple[dict[str, Any], Any]:
    done = cnnlint("summary", "--latency", "--format", "json", *args)
    document = json.loads(done.stdout)
    jsonschema.validate(document, json_schema("summary"))
    return document["models"][0], done


def test_open_extents_are_chosen_and_told_and_its_arithmetic_is_that_of_the_run(tmp_path: Path) -> None:
    model, _ = summary_json(lopsided(tmp_path / "net.onnx", image=None))
    assert model["macs"] is None
    assert "x 1×8×224×224" in model["latency"]["conditions"]
    assert model["latency"]["layers"][0]["macs"] == 224**2 * 9 * 8 * 8
    given, _ = summary_json(tmp_path / "net.onnx", "--input", "x=2x8x32x32")
    assert "x 2×8×32×32" in given["latency"]["conditions"]
    assert given["latency"]["layers"][0]["macs"] == 2 * 32**2 * 9 * 8 * 8


def test_a_model_that_does_not_run_is_shown_without_times_and_the_exit_code_is_2(tmp_path: Path) -> None:
    proto = onnx.load(lopsided(tmp_path / "net.onnx"))
    proto.graph.node[1].domain = "com.example"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(proto, tmp_path / "net.onnx")
    model, done = summary_json(tmp_path / "net.onnx")
    assert (done.returncode, model["latency"]) == (2, None)
    assert any("it was not timed" in note for note in model["notes"])
    assert "com.example" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.worker
def test_a_run_meets_its_limits(tmp_path: Path) -> None:
    path = lopsided(tmp_path / "net.onnx", image=2000)
    for limit, said in (
        (("--run-timeout", "0.001"), "took longer than 0.001 s"),
        (("--run-memory", "2GB"), "more than the memory limit"),
    ):
        model, done = summary_json(path, *limit)
        assert (done.returncode, model["latency"]) == (2, None)
        assert said in done.stderr


def test_the_table_says_of_which_machine_the_times_are_and_stays_within_the_terminal() -> None:
    for columns in (60, 80, 140):
        shown = cnnlint("summary", "--latency", MODELS / "resnet_style.onnx", COLUMNS=str(columns)).stdout
        lines = shown.splitlines()
        assert max(map(len, lines)) <= columns
        assert any(line.startswith("stage1_conv1 ") and "147 k" in line for line in lines)
        assert "  stage1_norm1" in lines
        assert f"onnxruntime {ort.__version__}" in " ".join(shown.split())


def test_the_html_of_a_summary_has_the_times() -> None:
    page = cnnlint("summary", "--latency", "--format", "html", MODELS / "resnet_style.onnx").stdout
    assert "with stem_norm, stem_relu" in page
    assert f"onnxruntime {ort.__version__}" in page


@pytest.mark.slow
@pytest.mark.tf
def test_a_keras_model_is_timed_as_what_it_is_converted_to() -> None:
    (keras,) = summarize(MODELS / "mobile_style.keras", latency=True).models
    (file,) = summarize(MODELS / "mobile_style.onnx", latency=True).models
    assert keras.latency is not None
    assert file.latency is not None
    assert [row.layer for row in keras.latency.layers] == [row.layer for row in file.latency.layers]
    assert [row.macs for row in keras.latency.layers] == [row.macs for row in file.latency.layers]
    rows = {row.layer: row.layers for row in keras.latency.layers}
    assert rows["stem_conv"] == ("stem_conv", "stem_norm", "stem_relu6")
    assert keras.latency.absent == ("dropout",)


@pytest.mark.slow
def test_the_layers_of_resnet50_run_as_53_convolutions_and_a_dense_layer() -> None:
    path = zoo.onnx_path("ResNet50")
    found = timed(path)
    graph = load(path)
    hold_to_the_network(found, graph)
    kernels = [row.ran_as[0].partition(" ")[0] for row in found.layers if row.macs]
    assert (kernels.count("Conv"), len(kernels)) == (53, 54)
    assert 3.8e9 < sum(row.macs or 0 for row in found.layers) < 3.9e9  # He et al. 2016, table 1
