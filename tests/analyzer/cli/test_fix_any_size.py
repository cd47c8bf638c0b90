"""`cnnlint fix --any-size` gives at each window of a larger image what the original gives there, or refuses."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from acceptance.command import MODELS
from cnnlint.cli.commands import commands
from cnnlint.operations.fix_report import FixReport
from cnnlint.report.json import schema_of
from cnnlint.rewrite import open_axes
from networks import write

VALID = "INPUT 3x20x20 -> CONV 4 3x3 valid -> RELU -> POOL 2 -> FLATTEN -> FC 16 -> RELU -> FC 5"
"""Without padding a crop sees what the window of a larger image sees, so that the two are equal."""

THIN_VGG = (
    f"INPUT 3x224x224 -> {' -> '.join(['CONV 4 3x3 -> RELU -> POOL 2'] * 5)}"
    " -> FLATTEN -> FC 16 -> RELU -> DROPOUT -> FC 1000 -> SOFTMAX"
)


def fix(*args: object) -> Result:
    return CliRunner().invoke(commands, ["fix", *map(str, args), "--any-size", "--isolated"])


def ran(path: object, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def dims(values: object) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in values[0].type.tensor_type.shape.dim]  # type: ignore[index]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def older(path: str, opset: int) -> str:
    model = onnx.load(path)
    model.opset_import[0].version = opset
    model.ir_version = 6
    onnx.save(model, path)
    return path


def test_a_vgg_of_stride_32_gives_one_position_at_224_and_six_by_six_at_384(tmp_path: Path) -> None:
    """As CS231n says of VGG16; see "Converting FC layers to CONV layers"."""
    path = write(tmp_path / "net.onnx", THIN_VGG)
    result = fix(path, "-o", tmp_path / "open.onnx")
    assert result.exit_code == 0, result.output
    made = onnx.load(tmp_path / "open.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert dims(made.graph.input) == ["N", 3, "height", "width"]
    assert dims(made.graph.output) == ["N", 1000, "softmax1_height", "softmax1_width"]
    image = noise(1, 3, 384, 384)
    assert ran(tmp_path / "open.onnx", image).shape == (1, 1000, 6, 6)
    present = image[:, :, :224, :224]
    at_present = ran(tmp_path / "open.onnx", present)
    assert at_present.shape == (1, 1000, 1, 1)
    assert np.allclose(at_present[:, :, 0, 0], ran(path, present), atol=1e-7)
    assert "smallest image: 224×224; one position more for every 32 pixels" in result.output
    assert "of 36 positions 0 equal the original on a crop" in " ".join(result.output.split())


@pytest.mark.parametrize("tail", ["", " -> SIGMOID", " -> SOFTMAX"])
@pytest.mark.parametrize("opset", [11, 21])
def test_each_position_is_what_the_original_gives_on_its_window(tmp_path: Path, tail: str, opset: int) -> None:
    path = older(write(tmp_path / "net.onnx", VALID + tail), opset)
    result = fix(path, "-o", tmp_path / "open.onnx")
    assert result.exit_code == 0, result.output
    image = noise(2, 3, 28, 34)
    made = ran(tmp_path / "open.onnx", image)
    assert made.shape == (2, 5, 5, 8)
    for i, j in product(range(5), range(8)):
        crop = np.ascontiguousarray(image[:, :, 2 * i : 2 * i + 20, 2 * j : 2 * j + 20])
        assert np.allclose(made[:, :, i, j], ran(path, crop), atol=1e-5)
    assert "of 36 positions 36 equal the original" in " ".join(result.output.split())


def test_with_keep_rank_the_scores_are_averaged_ahead_of_the_softmax(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", f"{VALID} -> SOFTMAX")
    result = fix(path, "--keep-rank", "-o", tmp_path / "open.onnx")
    assert result.exit_code == 0, result.output
    assert dims(onnx.load(tmp_path / "open.onnx").graph.output) == ["N", 5]
    image = noise(2, 3, 24, 22)
    logits = onnx.load(path)
    del logits.graph.node[-1]
    logits.graph.output[0].name = logits.graph.node[-1].output[0]
    onnx.save(logits, tmp_path / "logits.onnx")
    crops = [image[:, :, i : i + 20, j : j + 20] for i in (0, 2, 4) for j in (0, 2)]
    mean = np.mean([ran(tmp_path / "logits.onnx", np.ascontiguousarray(crop)) for crop in crops], axis=0)
    expected = np.exp(mean) / np.exp(mean).sum(axis=1, keepdims=True)
    assert np.allclose(ran(tmp_path / "open.onnx", image), expected, atol=1e-5)


def test_classes_stay_last_where_a_conversion_from_keras_has_them(tmp_path: Path) -> None:
    path = MODELS / "vgg_style.onnx"
    result = fix(path, "-o", tmp_path / "open.onnx")
    assert result.exit_code == 0, result.output
    made = onnx.load(tmp_path / "open.onnx")
    assert dims(made.graph.input) == ["batch", "height", "width", 3]
    assert dims(made.graph.output) == ["batch", "predictions_height", "predictions_width", 10]
    scores = ran(tmp_path / "open.onnx", noise(2, 64, 40, 3))
    assert scores.shape == (2, 5, 2, 10)
    assert np.allclose(scores.sum(axis=-1), 1, atol=1e-5)
    image = noise(2, 32, 32, 3)
    assert np.allclose(ran(tmp_path / "open.onnx", image)[:, 0, 0], ran(path, image), atol=1e-6)


def test_a_softmax_along_the_last_axis_has_the_classes_last(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", f"{VALID} -> SOFTMAX")
    model = onnx.load(path)
    model.graph.node[-1].attribute[0].i = -1
    onnx.save(model, path)
    assert fix(path, "-o", tmp_path / "open.onnx").exit_code == 0
    image = noise(1, 3, 24, 20)
    made = ran(tmp_path / "open.onnx", image)
    assert made.shape == (1, 3, 1, 5)
    assert np.allclose(made[:, 1, 0], ran(path, np.ascontiguousarray(image[:, :, 2:22])), atol=1e-5)


def test_a_gray_image_that_an_exporter_reshapes_is_transposed_instead(tmp_path: Path) -> None:
    """tf2onnx moves a single channel by a Reshape to fixed extents."""
    path = write(tmp_path / "net.onnx", VALID.replace("3x20x20", "1x20x20"))
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1, 20, 20], np.int64), "first"))
    first = model.graph.node[0].input[0]
    model.graph.node.insert(0, helper.make_node("Reshape", ["gray", "first"], ["turned"]))
    model.graph.node[1].input[0] = "turned"
    assert first == model.graph.input[0].name
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("gray", TensorProto.FLOAT, ["N", 20, 20, 1]))
    onnx.save(model, path)
    result = fix(path, "-o", tmp_path / "open.onnx")
    assert result.exit_code == 0, result.output
    image = noise(2, 24, 20, 1)
    made = ran(tmp_path / "open.onnx", image)
    at = (slice(None), slice(None), 1, 0) if made.shape[1] == 5 else (slice(None), 1, 0)
    assert np.allclose(made[at], ran(path, np.ascontiguousarray(image[:, 2:22])), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "output"),
    [("seed_cnn", 133), ("mobile_style", 10), ("resnet_style", 10)],
)
def test_after_a_global_pooling_only_the_axes_open(tmp_path: Path, name: str, output: int) -> None:
    path = MODELS / f"{name}.onnx"
    result = fix(path, "-o", tmp_path / "open.onnx")
    assert result.exit_code == 0, result.output
    before, after = (onnx.load(file).graph for file in (path, tmp_path / "open.onnx"))
    assert [node.op_type for node in after.node] == [node.op_type for node in before.node]
    assert after.output == before.output
    extent = 2 * before.input[0].type.tensor_type.shape.dim[1].dim_value
    assert ran(tmp_path / "open.onnx", noise(1, extent, extent, 3)).shape == (1, output)
    assert "its layers are those of the original" in " ".join(result.output.split())


def test_maps_that_were_outputs_before_get_symbols_too(tmp_path: Path) -> None:
    assert fix(MODELS / "branches.onnx", "-o", tmp_path / "open.onnx").exit_code == 0
    outputs = {value.name: value for value in onnx.load(tmp_path / "open.onnx").graph.output}
    assert dims([outputs["mask"]]) == ["batch", "mask_height", "mask_width", 1]
    assert dims([outputs["same"]]) == ["batch", 1]


@pytest.mark.parametrize(
    "notation",
    [
        VALID,
        "INPUT 3x23x23 -> CONV 4 3x3 stride 2 valid -> RELU -> CONV 4 3x3 -> POOL 2 -> FLATTEN -> FC 5",
        "INPUT 3x20x20 -> CONV 4 5x5 valid -> RELU -> POOL 2 -> CONV 4 3x3 valid -> GAP -> FC 5",
    ],
)
def test_the_smallest_image_is_the_smallest_that_onnxruntime_runs(tmp_path: Path, notation: str) -> None:
    path = write(tmp_path / "net.onnx", notation)
    report = json.loads(fix(path, "-o", tmp_path / "open.onnx", "--format", "json").stdout)
    height, width = report["any_size"]["sizes"]["smallest"]
    assert 0 not in ran(tmp_path / "open.onnx", noise(1, 3, height, width)).shape

    def runs(*size: int) -> bool:
        try:
            values = ran(tmp_path / "open.onnx", noise(1, 3, *size))
        except Exception:  # onnxruntime has its own kinds for what it refuses
            return False
        return values.size > 0 and bool(np.isfinite(values).all())

    assert not runs(height - 1, width)
    assert not runs(height, width - 1)
    if report["any_size"]["heads"]:
        step = report["any_size"]["sizes"]["step"][0]
        shapes = [ran(tmp_path / "open.onnx", noise(1, 3, height + more, width)).shape for more in (step - 1, step)]
        assert [shape[2] for shape in shapes] == [1, 2]


def test_it_says_which_sizes_frozen_padding_allows(tmp_path: Path) -> None:
    report = json.loads(fix(MODELS / "mobile_style.onnx", "--check", "--format", "json").stdout)
    sizes = report["any_size"]["sizes"]
    assert sizes["frozen"] == ["stem_conv", "block2_depthwise"]
    assert (sizes["period"], sizes["remainders"], sizes["smallest"]) == (4, [0], [4, 4])
    assert all(extent % 4 == 0 for at in report["any_size"]["checked"] for extent in at["image"])
    shown = " ".join(fix(MODELS / "mobile_style.onnx", "--check").output.split())
    assert "use extents that are multiples of 4: the file holds for stem_conv, block2_depthwise" in shown


@pytest.mark.parametrize(
    ("notation", "cause"),
    [
        ("INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> AVGPOOL 16 -> FLATTEN -> FC 5", "window of 16×16 is the whole map"),
        (
            "INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> FLATTEN -> BN -> FC 5",
            "flatten1: it flattens its map to a vector of 1,024 values",
        ),
        ("INPUT 12 -> FC 5", "no input is an image"),
    ],
)
def test_a_layer_that_holds_the_present_size_is_named(tmp_path: Path, notation: str, cause: str) -> None:
    result = fix(write(tmp_path / "net.onnx", notation), "-o", tmp_path / "open.onnx")
    assert result.exit_code == 2
    assert cause in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.onnx"]


HELD = {
    "a weight": (
        [helper.make_node("Add", ["image", "held"], ["x"])],
        [numpy_helper.from_array(np.ones((1, 1, 16, 16), np.float32), "held")],
        "a weight of 1×1×16×16",
    ),
    "a resize": (
        [helper.make_node("Resize", ["image", "", "", "held"], ["x"], mode="nearest")],
        [numpy_helper.from_array(np.array([1, 3, 8, 8], np.int64), "held")],
        "it resizes to 8×8",
    ),
    "a reshape": (
        [helper.make_node("Reshape", ["image", "held"], ["x"])],
        [numpy_helper.from_array(np.array([1, 3, 8, 32], np.int64), "held")],
        "it reshapes to 3×8×32",
    ),
    "a crop": (
        [helper.make_node("Slice", ["image", "held", "end", "axes"], ["x"])],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in
         (("held", [2, 2]), ("end", [10, 10]), ("axes", [2, 3]))],
        "it gives 3×8×8 whatever the image",
    ),
    "attention": (
        [
            helper.make_node("Reshape", ["image", "held"], ["tokens"]),
            helper.make_node("Transpose", ["tokens"], ["turned"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["tokens", "turned"], ["mixed"]),
            helper.make_node("MatMul", ["mixed", "tokens"], ["y"]),
            helper.make_node("Unsqueeze", ["y", "axes"], ["x"]),
        ],
        [numpy_helper.from_array(np.array([1, 3, -1], np.int64), "held"),
         numpy_helper.from_array(np.array([3], np.int64), "axes")],
        "it multiplies positions with one another",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HELD)
def test_what_a_layer_holds_is_said(tmp_path: Path, case: str) -> None:
    nodes, weights, cause = HELD[case]
    kernel = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "kernel")
    rest = [helper.make_node("Conv", ["x", "kernel"], ["c"]), helper.make_node("GlobalAveragePool", ["c"], ["o"])]
    graph = helper.make_graph(
        [*nodes, *rest],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
        [*weights, kernel],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "n.onnx")
    result = fix(tmp_path / "n.onnx", "--check")
    assert result.exit_code == 2
    assert cause in result.stderr


def test_what_shows_at_larger_sizes_alone_is_found_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before opset 13 a softmax of axis 1 runs over all that comes after: the same at one position, and only there."""

    def careless(node: onnx.NodeProto, axis: int, rank: int, editor: open_axes.Editor) -> None:
        del rank
        editor.set_attribute(node, "axis", axis)

    monkeypatch.setattr(open_axes, "_softmax", careless)
    path = older(write(tmp_path / "net.onnx", f"{VALID} -> SOFTMAX"), 11)
    result = fix(path, "-o", tmp_path / "open.onnx")
    assert result.exit_code == 2
    assert "was not written" in result.stderr
    assert "differs: softmax1" in result.output
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.onnx"]


def test_exit_codes_and_the_report_are_those_of_fix(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", VALID)
    checked = fix(path, "--check", "--format", "json")
    assert checked.exit_code == 1
    report = json.loads(checked.stdout)
    jsonschema.validate(report, schema_of("fix", FixReport))
    assert report["any_size"]["heads"][0]["dense"] == ["fc1", "fc2"]
    assert report["any_size"]["closing"] == {"input": "1x3x20x20"}
    assert all(at["equal"] and at["max_rel_error"] <= at["tolerance"] for at in report["any_size"]["checked"])
    assert "kind Dense → Conv" in fix(path, "--diff").output
    assert fix(path, "--in-place").exit_code == 0
    again = fix(path, "--check")
    assert (again.exit_code, "nothing to rewrite" in again.output) == (0, True)


def test_costs_and_budgets_of_the_open_model_need_its_size(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", VALID)
    result = fix(path, "-o", tmp_path / "open.onnx")
    assert "costs and budgets need a size from now on: --input input=1x3x20x20" in result.output
    args = ["lint", str(tmp_path / "open.onnx"), "--isolated", "--static", "--max-macs", "10M"]
    told = CliRunner().invoke(commands, args)
    assert "--input" in told.output + told.stderr


@pytest.mark.parametrize(
    ("args", "cause"),
    [(("--select", "FC002", "--check"), "cannot be combined with --select"), ((), "no output file is given")],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, args: tuple[str, ...], cause: str) -> None:
    result = fix(write(tmp_path / "net.onnx", VALID), *args)
    assert result.exit_code == 2
    assert cause in result.stderr


def test_keep_rank_is_about_any_size(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", VALID)
    result = CliRunner().invoke(commands, ["fix", path, "--keep-rank", "--check", "--isolated"])
    assert result.exit_code == 2
    assert "--keep-rank is about --any-size" in result.stderr
