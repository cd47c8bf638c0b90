"""FC002: heads are found, their numbers are right, and the rewritten model is the same function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import zoo
from cnnlint.engine.walker import walk
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.linting.checking import look
from cnnlint.rewrite.editor import Editor
from cnnlint.runtime.probe import Probe
from cnnlint.runtime.program import Program
from cnnlint_rules.dense_head.fc_as_conv import FcAsConv

MODELS = Path(__file__).parents[3] / "fixtures" / "models"
RNG = np.random.default_rng(11)
RULE = FcAsConv(pooled_heads=True)


def array(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32) * 0.2, name)


def net(nodes: list[onnx.NodeProto], weights: list[TensorProto], *, opset: int = 17, size: int = 12) -> onnx.ModelProto:
    """Return a net that begins with a 3 × 3 convolution to 6 channels called `map`, on which `nodes` stand."""
    stem = [helper.make_node("Conv", ["x", "stem", "stem_bias"], ["c"]), helper.make_node("Relu", ["c"], ["map"])]
    graph = helper.make_graph(
        [*stem, *nodes],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 7])],
        [array("stem", 6, 3, 3, 3), array("stem_bias", 6), *weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(op_type: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs.split(), [output], name=f"n_{output}", **attributes)


def shape(name: str, *extents: int) -> TensorProto:
    return numpy_helper.from_array(np.array(extents, np.int64), name)


SQUARE = (
    node("MaxPool", "map", "p", kernel_shape=[2, 2], strides=[2, 2]),
    node("Flatten", "p", "f"),
)
"""6 × 5 × 5, flattened channels first."""

HEADS = {
    "gemm with transposed weights, as PyTorch writes it": (
        [*SQUARE, node("Gemm", "f w b", "h", transB=1), node("Relu", "h", "r"), node("Gemm", "r v d", "y", transB=1)],
        [array("w", 9, 150), array("b", 9), array("v", 7, 9), array("d", 7)],
    ),
    "gemm with scaled factors and plain weights": (
        [*SQUARE, node("Gemm", "f w b", "y", alpha=0.5, beta=2.0)],
        [array("w", 150, 7), array("b", 7)],
    ),
    "matmul and add": (
        [*SQUARE, node("MatMul", "f w", "m"), node("Add", "m b", "y")],
        [array("w", 150, 7), array("b", 7)],
    ),
    "matmul alone": ([*SQUARE, node("MatMul", "f w", "y")], [array("w", 150, 7)]),
    "a bias with an axis for the batch": (
        [*SQUARE, node("MatMul", "f w", "m"), node("Add", "m b", "y")],
        [array("w", 150, 7), array("b", 1, 7)],
    ),
    "flattened channels last, as Keras writes it": (
        [
            SQUARE[0], node("Transpose", "p", "t", perm=[0, 2, 3, 1]), node("Reshape", "t s", "f"),
            node("MatMul", "f w", "m"), node("Add", "m b", "h"), node("Relu", "h", "r"),
            node("MatMul", "r v", "k"), node("Add", "k d", "l"), node("Softmax", "l", "y", axis=-1),
        ],
        [array("w", 150, 9), array("b", 9), array("v", 9, 7), array("d", 7), shape("s", -1, 150)],
    ),
    "a map that is not square": (
        [
            node("MaxPool", "map", "p", kernel_shape=[2, 5], strides=[2, 5]), node("Transpose", "p", "t",
            perm=[0, 2, 3, 1]), node("Reshape", "t s", "f"), node("MatMul", "f w", "y"),
        ],
        [array("w", 60, 7), shape("s", -1, 60)],
    ),
    "global average pooling and one dense layer": (
        [node("GlobalAveragePool", "map", "p"), node("Flatten", "p", "f"), node("Gemm", "f w b", "y")],
        [array("w", 6, 7), array("b", 7)],
    ),
    "a mean over the map": (
        [node("ReduceMean", "map", "f", axes=[2, 3], keepdims=0), node("Gemm", "f w b", "y")],
        [array("w", 6, 7), array("b", 7)],
    ),
    "a mean over a map with channels last": (
        [
            node("Transpose", "map", "t", perm=[0, 2, 3, 1]), node("ReduceMean", "t", "f", axes=[1, 2], keepdims=0),
            node("Gemm", "f w b", "y"),
        ],
        [array("w", 6, 7), array("b", 7)],
    ),
    "global average pooling and two dense layers": (
        [
            node("GlobalAveragePool", "map", "p"), node("Squeeze", "p a", "f"), node("Gemm", "f w b", "h"),
            node("LeakyRelu", "h", "r"), node("Gemm", "r v d", "y"),
        ],
        [array("w", 6, 9), array("b", 9), array("v", 9, 7), array("d", 7), shape("a", 2, 3)],
    ),
    "global maximum pooling": (
        [node("GlobalMaxPool", "map", "p"), node("Flatten", "p", "f"), node("Gemm", "f w b", "y")],
        [array("w", 6, 7), array("b", 7)],
    ),
}  # fmt: skip


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = load_onnx_bytes(model.SerializeToString())
    (hit,) = walk(graph, [RULE]).hits
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    editor = Editor(copy)
    RULE.rewrite(hit.where, editor)
    return editor.finish()


@pytest.mark.parametrize("head", HEADS)
def test_the_rewritten_model_is_the_same_function(head: str) -> None:
    model = net(*HEADS[head])
    after = rewritten(model)
    onnx.checker.check_model(after, full_check=True)
    assert not {"Gemm", "MatMul"} & {each.op_type for each in after.graph.node}
    x = np.random.default_rng(5).standard_normal((3, 3, 12, 12), dtype=np.float32)
    left, right = (ort.InferenceSession(each.SerializeToString()).run(None, {"x": x})[0] for each in (model, after))
    assert left.shape == right.shape
    np.testing.assert_allclose(right, left, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_the_rewritten_model_is_found_no_more(head: str) -> None:
    graph = load_onnx_bytes(rewritten(net(*HEADS[head])).SerializeToString())
    assert not walk(graph, [RULE]).hits


def test_the_rewritten_head_averages_over_the_crops_of_a_larger_image() -> None:
    """Its scores on a 14 × 14 image are the mean of the original's on the four 12 × 12 crops at stride 2."""
    model = net(*HEADS["gemm with scaled factors and plain weights"])
    after = rewritten(model)
    for extent in after.graph.input[0].type.tensor_type.shape.dim[2:]:
        extent.dim_value = 14
    x = np.random.default_rng(5).standard_normal((1, 3, 14, 14), dtype=np.float32)
    crops = np.concatenate([x[:, :, i : i + 12, j : j + 12] for i in (0, 2) for j in (0, 2)])
    expected = ort.InferenceSession(model.SerializeToString()).run(None, {"x": crops})[0].mean(axis=0)
    actual = ort.InferenceSession(after.SerializeToString()).run(None, {"x": x})[0][0]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def proven(path: Path) -> list:
    graph = load(str(path))
    probe = Probe(Program.from_file(path), graph)
    rules = [RULE]
    return list(look(probe, rules).join(walk(graph, rules), rules).findings)


@pytest.mark.parametrize(
    ("name", "layers"),
    [("seed_cnn", ("dense",)), ("vgg_style", ("fc1", "fc2", "predictions")), ("resnet_style", ("predictions",))],
)
def test_it_is_verified_on_the_users_own_model(name: str, layers: tuple[str, ...]) -> None:
    (finding,) = proven(MODELS / f"{name}.onnx")
    assert finding.layers == layers
    assert finding.evidence["parameters"] == finding.evidence["parameters_as_convolution"]
    assert finding.verification is not None
    assert finding.verification.equivalent
    assert finding.verification.max_rel_error < 1e-5
    assert any("BiasAdd" in tensor for tensor in finding.verification.tensors), (
        "the values before the softmax are compared"
    )


def test_the_numbers_of_alexnet_are_those_of_the_paper() -> None:
    """Krizhevsky et al. 2012 give 4096, 4096 and 1000 units; a 6 × 6 × 256 map is what the first one sees."""
    (finding,) = proven(zoo.light_path("bvlc_alexnet"))
    assert "6×6 of 256 to 4,096 channels, 1×1 to 4,096, 1×1 to 1,000" in finding.message
    assert finding.evidence["parameters"] == 4096 * (9216 + 1) + 4096 * (4096 + 1) + 1000 * (4096 + 1)
    assert finding.verification is not None
    assert finding.verification.equivalent


@pytest.mark.slow
def test_vgg16_gives_a_six_by_six_map_on_384(capfd: pytest.CaptureFixture[str]) -> None:
    """The example of CS231n; the three dense layers hold 123,642,856 of the parameters."""
    (finding,) = proven(zoo.onnx_path("VGG16"))
    assert finding.evidence["parameters_as_convolution"] == 123_642_856
    assert "on a 384×384 image they give 6×6 scores for 49.6 G MACs" in finding.message
    assert "where 36 crops take 557 G" in finding.message
    assert finding.verification is not None
    assert finding.verification.equivalent
    assert 0 < finding.verification.max_rel_error < 1e-5
    assert capfd.readouterr().err == ""


def test_a_gate_inside_the_network_is_no_head() -> None:
    nodes = [
        node("GlobalAveragePool", "map", "g"), node("Flatten", "g", "f"), node("Gemm", "f w b", "h"),
        node("Sigmoid", "h", "s"), node("Unsqueeze", "s a", "u"), node("Mul", "map u", "m"),
        node("Conv", "m k", "o"), node("GlobalAveragePool", "o", "q"), node("Flatten", "q", "y"),
    ]  # fmt: skip
    weights = [array("w", 6, 6), array("b", 6), shape("a", 2, 3), array("k", 7, 6, 1, 1)]
    graph = load_onnx_bytes(net(nodes, weights).SerializeToString())
    walked = walk(graph, [RULE], near_misses=True)
    assert not walked.hits
    assert walked.near_misses["FC002"]


@pytest.mark.parametrize("name", ["seed_cnn", "resnet_style"])
def test_a_pooled_head_takes_any_image_and_is_a_convolution_by_the_way(name: str) -> None:
    walked = walk(load(str(MODELS / f"{name}.onnx")), [FcAsConv()], near_misses=True)
    assert not walked.hits
    (miss,) = walked.near_misses["FC002"]
    assert "is a 1×1 convolution of" in miss.reason


def test_a_pooling_over_the_whole_map_is_a_global_one() -> None:
    nodes = [
        node("AveragePool", "map", "p", kernel_shape=[10, 10]), node("Flatten", "p", "f"), node("Gemm", "f w b", "y"),
    ]  # fmt: skip
    graph = load_onnx_bytes(net(nodes, [array("w", 6, 7), array("b", 7)]).SerializeToString())
    assert not walk(graph, [FcAsConv()]).hits


def test_a_perceptron_has_no_map_to_slide_over() -> None:
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"])],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 7])],
        [array("w", 6, 7)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert not walk(load_onnx_bytes(model.SerializeToString()), [RULE]).hits
