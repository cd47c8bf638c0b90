"""`cnnlint fix` writes a rewritten model only with its verification, and leaves the model alone."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from click.testing import CliRunner, Result

from acceptance.command import MODELS
from cnnlint.cli.commands import commands
from cnnlint.graph.patterns import Match
from cnnlint.operations import fix as fixing
from cnnlint.operations.fix_report import FixReport
from cnnlint.report.json import schema_of
from cnnlint.rewrite.editor import Editor
from cnnlint_rules.normalization.bn_foldable import BnFoldable
from networks import write

VGG = MODELS / "vgg_style.onnx"
NORMED = "INPUT 3x16x16 -> CONV 8 3x3 nobias -> BN -> RELU"
FLAT = "INPUT 3x16x16 -> CONV 4 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 16 -> RELU -> FC 10"


def fix(*args: object) -> Result:
    return CliRunner().invoke(commands, ["fix", *map(str, args), "--isolated"])


def ran(path: Path, image: str) -> np.ndarray:
    given = np.random.default_rng(11).normal(size=(2, 32, 32, 3)).astype(np.float32)
    return onnxruntime.InferenceSession(path).run(None, {image: given})[0]


def test_the_written_model_stands_alone_and_computes_the_same(tmp_path: Path) -> None:
    output = tmp_path / "fixed.onnx"
    before = VGG.read_bytes()
    result = fix(VGG, "-o", output, "--select", "FC002")
    assert result.exit_code == 0, result.output
    assert VGG.read_bytes() == before
    onnx.checker.check_model(str(output), full_check=True)
    model = onnx.load(output, load_external_data=False)
    assert all(weight.data_location == onnx.TensorProto.DEFAULT for weight in model.graph.initializer)
    assert not {"MatMul", "Gemm"}.intersection(node.op_type for node in model.graph.node)
    made = {name for node in model.graph.node for name in node.output}
    kernels = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    assert not made.intersection(kernels)  # no kernel is rearranged at run time any more
    image = model.graph.input[0].name
    assert np.abs(ran(output, image) - ran(VGG, image)).max() <= 1e-6


def test_the_rewritten_model_has_nothing_left_to_rewrite(tmp_path: Path) -> None:
    fix(VGG, "-o", tmp_path / "fixed.onnx", "--select", "FC002")
    again = fix(tmp_path / "fixed.onnx", "-o", tmp_path / "again.onnx", "--select", "FC002")
    assert again.exit_code == 0
    assert "nothing to rewrite" in again.output
    assert not (tmp_path / "again.onnx").exists()


def test_images_of_another_size_are_tried_where_the_first_do_not_run(tmp_path: Path) -> None:
    # as text readers leave the height open that they need
    text = """<ir_version: 8, opset_import: ["" : 15]>
        net (float[N, 3, H, W] x) => (float[N, M] y) <int64[2] pair = {0, 12288}> {
            same = Identity (x)
            y = Reshape (same, pair)
        }"""
    model = tmp_path / "net.onnx"
    onnx.save(onnx.parser.parse_model(text), model)
    assert fix(model, "-o", tmp_path / "fixed.onnx").exit_code == 0
    assert [node.op_type for node in onnx.load(tmp_path / "fixed.onnx").graph.node] == ["Reshape"]


def test_sizes_that_were_chosen_and_do_not_run_are_asked_for(tmp_path: Path) -> None:
    # only images of 20 × 20 fit the reshape
    text = """<ir_version: 8, opset_import: ["" : 15]>
        net (float[N, 3, H, W] x) => (float[N, 1200] y) <int64[2] target = {-1, 1200}, int64[2] pair = {0, 1200}> {
            same = Identity (x)
            flat = Reshape (same, pair)
            y = Reshape (flat, target)
        }"""
    model = tmp_path / "net.onnx"
    onnx.save(onnx.parser.parse_model(text), model)
    refused = fix(model, "-o", tmp_path / "fixed.onnx")
    assert refused.exit_code == 2
    assert refused.stderr.rstrip().endswith("(say which extents it takes: --input x=1x3x224x224)")
    assert fix(model, "-o", tmp_path / "fixed.onnx", "--input", "x=1x3x20x20").exit_code == 0


def test_diff_shows_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "flat.onnx", FLAT)
    result = fix(path, "--diff", "--select", "fc-as-conv")
    assert result.exit_code == 1
    assert "fc1  Conv 8×8" in result.output
    assert "kind Dense → Conv" in result.output
    assert "verified: " in result.output
    assert [entry.name for entry in tmp_path.iterdir()] == ["flat.onnx"]


def test_dense_layers_stay_dense_unless_their_rule_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "flat.onnx", FLAT)
    for args in ((), ("--select", "FC"), ("--select", "ALL")):
        assert fix(path, "--check", *args).exit_code == 0


def test_external_weights_stay_external(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", NORMED)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "out").mkdir()
    output = tmp_path / "out" / "net.onnx"
    assert fix(path, "-o", output).exit_code == 0
    (tmp_path / "weights.bin").unlink()
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["net.onnx", "net.onnx.data"]
    assert onnxruntime.InferenceSession(output).get_outputs()


def test_a_model_is_replaced_in_its_place_once_it_is_verified(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "net.onnx", NORMED))
    before = path.read_bytes()
    assert fix(path, "--check").exit_code == 1
    assert path.read_bytes() == before
    assert fix(path, "--in-place").exit_code == 0
    assert [node.op_type for node in onnx.load(path).graph.node].count("BatchNormalization") == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.onnx"]
    assert fix(path, "--check").exit_code == 0


def test_several_models_go_to_a_folder(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, NORMED) for name in ("a.onnx", "b.onnx")]
    write(tmp_path / "clean.onnx", "INPUT 3x8x8 -> CONV 8 3x3 -> RELU -> GAP -> FC 10")
    result = fix(*paths, tmp_path / "clean.onnx", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["a.onnx", "b.onnx"]
    reports = json.loads(fix(*paths, "--check", "--format", "json").stdout)
    assert [report["path"] for report in reports] == paths
    assert fix(*paths, "none.onnx", "--check").exit_code == 2


def test_names_metadata_and_notes_of_the_file_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", NORMED, metadata={"cnnlint.ignore.FC": "it is small"})
    model = onnx.load(path)
    model.doc_string, model.graph.doc_string = "of the model", "of the graph"
    kept = model.graph.node[0].name
    model.graph.node[0].doc_string = "of the node"
    onnx.save(model, path)
    assert fix(path, "-o", tmp_path / "out.onnx").exit_code == 0
    made = onnx.load(tmp_path / "out.onnx")
    assert (made.doc_string, made.graph.doc_string) == ("of the model", "of the graph")
    assert (made.graph.node[0].name, made.graph.node[0].doc_string) == (kept, "of the node")
    assert made.metadata_props == model.metadata_props
    assert made.graph.input == model.graph.input
    assert made.graph.output == model.graph.output


@pytest.mark.parametrize(
    ("elsewhere", "cause"),
    [(False, "conv2 differs by more than rounding explains with it"), (True, "an output differs by")],
)
def test_a_rewrite_that_changes_the_function_is_found_and_left_out(
    elsewhere: bool, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = BnFoldable.rewrite

    def unsound(self: BnFoldable, match: Match, editor: Editor) -> None:
        core = editor.core(match[self.layer], "Conv")
        sound(self, match, editor)
        if match[self.norm].name == "bn2":
            dense = next(node for node in editor.nodes_in_order if node.op_type == "Gemm")
            wrong = editor.constant("wrong", np.ones(4 if elsewhere else 8), "float32")
            editor.set_input(dense if elsewhere else core, 2, wrong)

    monkeypatch.setattr(BnFoldable, "rewrite", unsound)
    path = write(
        tmp_path / "net.onnx",
        f"{NORMED} -> CONV 8 3x3 nobias -> BN -> RELU -> CONV 8 3x3 nobias -> BN -> RELU -> GAP -> FC 4",
    )
    report = json.loads(fix(path, "-o", tmp_path / "out.onnx", "--format", "json").stdout)
    assert report["written"]
    assert [entry["layers"][0] for entry in report["applied"]] == ["bn1", "bn3"]
    assert [entry["layers"] for entry in report["dropped"]] == [["bn2", "conv2"]]
    norms = [node for node in onnx.load(tmp_path / "out.onnx").graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) == 1
    shown = fix(path, "--check").output
    assert f"left out: BN005 bn-foldable at bn2 + conv2: {cause}" in shown


def test_nothing_is_written_where_nothing_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "MOST_DROPPED", 0)
    sound = BnFoldable.rewrite

    def unsound(self: BnFoldable, match: Match, editor: Editor) -> None:
        core = editor.core(match[self.layer], "Conv")
        sound(self, match, editor)
        editor.set_input(core, 2, editor.constant("wrong", np.ones(8), "float32"))

    monkeypatch.setattr(BnFoldable, "rewrite", unsound)
    path = Path(write(tmp_path / "net.onnx", NORMED))
    before = path.read_bytes()
    result = fix(path, "--in-place")
    assert result.exit_code == 2
    assert "was not written" in result.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.onnx"]


def test_the_json_holds_proof_and_difference(tmp_path: Path) -> None:
    report = json.loads(fix(write(tmp_path / "net.onnx", NORMED), "--diff", "--format", "json").stdout)
    jsonschema.validate(report, schema_of("fix", FixReport))
    assert [applied["code"] for applied in report["applied"]] == ["BN005"]
    assert report["parity"]["verification"]["equivalent"]
    assert report["parity"]["equal"]
    assert report["diff"]["measures"]
    assert report["before"]["nodes"] - report["after"]["nodes"] == 1


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        ((VGG,), "no output file is given"),
        ((VGG, "--diff", "-o", "x.onnx"), "cannot be combined with -o"),
        ((VGG, "--in-place", "--check"), "cannot be combined with -o or --in-place"),
        ((VGG, "--in-place", "-o", "x.onnx"), "cannot be combined with --in-place"),
        ((VGG, VGG.parent / "none.onnx", VGG.with_name("resnet_style.onnx"), "-o", VGG), "cannot be made"),
        ((VGG, "-o", VGG), "the model itself"),
        ((MODELS / "vgg_style.keras", "--diff"), "only local ONNX models"),
        ((VGG, "--diff", "--select", "FC001"), "can rewrite"),
        (("none.onnx", "--diff"), "none.onnx"),
    ],
)
def test_what_cannot_be_meant_is_refused(args: tuple[object, ...], cause: str) -> None:
    result = fix(*args)
    assert result.exit_code == 2
    assert cause in result.stderr


OLD = """
<ir_version: 6, opset_import: ["" : 11], doc_string: "of the model", metadata_props: ["trained": "in May"]>
net (float[N, 4, 12, 12] x) => (float[N, M, P, Q] y)
<float[4] slope = {0.1, 0.2, 0.3, 0.4}>
{
    a = Unsqueeze <axes = [1]> (x)
    b = ReduceSum <axes = [1], keepdims = 0> (a)
    c = Dropout <ratio = 0.5> (b)
    d = PRelu (c, slope)
    y = Clip (d)
}
"""


def test_a_model_is_brought_to_another_opset(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(OLD)
    model.graph.initializer[0].dims[:] = [4, 1, 1]
    reduced = model.graph.node[1]
    reduced.name, reduced.doc_string = "add up", "of the node"
    reduced.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="net.py")
    onnx.save(model, tmp_path / "old.onnx")
    report = json.loads(
        fix(tmp_path / "old.onnx", "--opset", 18, "-o", tmp_path / "new.onnx", "--format", "json").stdout
    )
    assert report["written"]
    assert report["opset"] == [11, 18]
    made = onnx.load(tmp_path / "new.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert [entry.version for entry in made.opset_import] == [18]
    assert made.ir_version >= 8
    assert (made.graph.input, made.graph.output) == (model.graph.input, model.graph.output)
    assert (made.doc_string, made.metadata_props) == (model.doc_string, model.metadata_props)
    (kept,) = (node for node in made.graph.node if node.op_type == "ReduceSum")
    assert (kept.name, kept.doc_string, kept.metadata_props) == (
        reduced.name,
        reduced.doc_string,
        reduced.metadata_props,
    )
    given = {"x": np.random.default_rng(0).normal(size=(2, 4, 12, 12)).astype(np.float32)}
    before, after = (
        onnxruntime.InferenceSession(tmp_path / name).run(None, given)[0] for name in ("old.onnx", "new.onnx")
    )
    assert np.array_equal(before, after)
    assert "opset 11 → 18, by onnx's version converter" in fix(tmp_path / "old.onnx", "--opset", 18, "--check").output
    assert "nothing to rewrite" in fix(tmp_path / "new.onnx", "--opset", 18, "--check").output


def test_an_opset_that_the_converter_cannot_reach_is_an_error_in_its_words(tmp_path: Path) -> None:
    for version, cause in ((5, "No Adapter From Version $14 for Relu"), (99, "invalid version")):
        result = fix(MODELS / "seed_cnn.onnx", "--opset", version, "--check")
        assert result.exit_code == 2
        assert f"onnx's version converter cannot: {cause}" in result.output
    functional = onnx.parser.parse_model(
        """
        <ir_version: 8, opset_import: ["" : 15, "own" : 1]>
        net (float[N, 4] x) => (float[N, 4] y) { y = own.twice (x) }
        <domain: "own", opset_import: ["" : 15]> twice (a) => (b) { b = Add (a, a) }
        """
    )
    onnx.save(functional, tmp_path / "own.onnx")
    result = fix(tmp_path / "own.onnx", "--opset", 18, "--check")
    assert result.exit_code == 2
    assert "it has functions of its own" in result.output


def test_nodes_of_branches_are_converted_too(tmp_path: Path) -> None:
    inner = onnx.parser.parse_model(
        """
        <ir_version: 7, opset_import: ["" : 12]>
        net (bool c, float[1, 4] x) => (float[4] y) {
            y = If (c) <
                then_branch = one () => (float[4] p) { p = Squeeze <axes = [0]> (x) },
                else_branch = two () => (float[4] q) { n = Neg (x)  q = Squeeze <axes = [0]> (n) }
            >
        }
        """
    )
    onnx.save(inner, tmp_path / "branch.onnx")
    result = fix(tmp_path / "branch.onnx", "--opset", 13, "-o", tmp_path / "new.onnx")
    assert result.exit_code == 0
    onnx.checker.check_model(onnx.load(tmp_path / "new.onnx"), full_check=True)
