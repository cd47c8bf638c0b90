"""What the rules on validity say of numbers, tensors and names that ONNX's checker does not look at."""

from __future__ import annotations

from contextlib import nullcontext
from hashlib import sha1
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

import cnnlint
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.testing import lint

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'


def told(model: ModelProto | str, *codes: str) -> list[str]:
    proto = parser.parse_model(model) if isinstance(model, str) else model
    report = cnnlint.lint(proto, static=True, isolated=True, select=codes or ["ON"], pedantic=True)
    return [finding.message for finding in report.models[0].findings]


def quantized(scale: str, zero: str, *, axis: int = 1, count: str = "") -> str:
    return f"""{HEAD} net (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y)
        <float{count} scale = {{{scale}}}, uint8{count} zero = {{{zero}}}>
        {{
            q = QuantizeLinear <axis = {axis}> (x, scale, zero)
            y = DequantizeLinear <axis = {axis}> (q, scale, zero)
        }}"""


def test_scales_of_quantization_are_positive_and_fit_their_axis() -> None:
    assert not told(quantized("0.5", "128"))
    assert not told(quantized("0.5, 0.25, 1", "1, 2, 3", count="[3]"))
    assert "its scale is -0.5" in told(quantized("-0.5", "128"))[0]
    assert "its scale is 0," in told(quantized("0.5, 0, 1", "1, 2, 3", count="[3]"))[0]
    assert "2 scales along an axis of 3" in told(quantized("0.5, 1", "1, 2", count="[2]"))[0]
    assert "along the axis 7" in told(quantized("0.5, 1, 1", "1, 2, 3", count="[3]", axis=7))[0]


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("MatMul (x, two)", "3 columns, 2 rows"),
        ("Gemm <transB = 1> (x, wide)", "3 columns, 4 rows"),
        ("Add (x, two)", "broadcast"),
    ],
)
def test_operands_that_do_not_fit_one_another_are_told(node: str, said: str) -> None:
    model = f"""{HEAD} net (float[2, 3] x, float[2, 2] two, float[3, 4] wide) => (float[N, M] y) {{ y = {node} }}"""
    (message,) = told(model, "ON013")
    assert said in message


@pytest.mark.parametrize("node", ["MatMul (x, wide)", "Gemm (x, wide)", "Add (x, one)", "Gemm <transA = 1> (two, x)"])
def test_operands_that_fit_are_not_told(node: str) -> None:
    model = f"""{HEAD} net (float[2, 3] x, float[2, 2] two, float[3, 4] wide, float[1, 3] one)
        => (float[N, M] y) {{ y = {node} }}"""
    assert not told(model, "ON013")


def test_a_kernel_that_is_not_known_in_advance_contradicts_nothing() -> None:
    model = f"""{HEAD} net (float[1, 3, 8, 8] x, float[A, B, C, D] kernel) => (float[N, M, H, W] y)
        {{ y = Conv (x, kernel) }}"""
    assert not told(model, "ON013")


def external(folder: Path, checksum: str) -> str:
    weights = numpy_helper.from_array(np.arange(64, dtype=np.float32).reshape(8, 8), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        "outside",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    model = onnx.load(folder / "m.onnx", load_external_data=False)
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "checksum", checksum or sha1((folder / "w.bin").read_bytes()).hexdigest()
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return str(folder / "m.onnx")


@pytest.mark.parametrize(("checksum", "said"), [("", None), ("0" * 40, "belongs to another model"), ("abc", "40")])
def test_a_data_file_is_held_to_the_checksum_that_the_model_names(
    tmp_path: Path, checksum: str, said: str | None
) -> None:
    path = external(tmp_path, checksum)
    assert not cnnlint.lint(path, static=True, isolated=True, select=["ON018"]).models[0].findings
    messages = [each.message for each in cnnlint.lint(path, isolated=True, select=["ON018"]).models[0].findings]
    assert len(messages) == (said is not None)
    assert said is None or said in messages[0]


def test_sparse_tensors_of_two_axes_of_indices_are_read() -> None:
    def model(*places: list[int]) -> ModelProto:
        values = helper.make_tensor("thin", 1, [len(places)], [1.0] * len(places))
        indices = helper.make_tensor("where", 7, [len(places), 2], [index for place in places for index in place])
        proto = parser.parse_model(f"{HEAD} net (float[2, 3] x) => (float[2, 3] y) {{ y = Add (x, thin) }}")
        proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 3]))
        return proto

    assert not told(model([0, 2], [1, 0]), "ON014")
    assert "ascending" in told(model([1, 0], [0, 2]), "ON014")[0]
    assert "1, 3 of 2×3" in told(model([0, 2], [1, 3]), "ON014")[0]


def test_places_of_one_remedy_are_one_finding() -> None:
    nodes = " ".join(f"y{index} = Clip <min = 0.0, max = {index}.0> (x)" for index in range(5))
    model = parser.parse_model(f"{HEAD} net (float[2, 3] x) => (float[2, 3] y0) {{ {nodes} }}")
    (finding,) = cnnlint.lint(model, static=True, isolated=True, select=["ON003"]).models[0].findings
    assert len(finding.places) == 2
    assert finding.message.startswith("2 attributes are not those of their operators: 5 nodes")


def test_nothing_is_said_of_shapes_that_the_user_gives(tmp_path: Path) -> None:
    text = f"{HEAD} net (float[N, C] x, float[2, 3] z) => (float[N, C] y) {{ y = Add (x, z) }}"
    (tmp_path / "m.onnx").write_bytes(parser.parse_model(text).SerializeToString())
    graph = load(str(tmp_path / "m.onnx"), inputs={"x": (2, 4)})
    rule = next(each for each in cnnlint.load_rules().rules if each.code == "ON013")
    assert not lint(rule(), graph).findings
    fixed = parser.parse_model(text.replace("N, C", "2, 4"))
    assert lint(rule(), load_onnx_bytes(fixed.SerializeToString())).findings


RELU_AND_ABS = "{ [a] h = Relu (x) [a] y = Abs (h) }"
BRANCHES = """{{ y = If (c) <
    then_branch = t () => (float[1, 2] t) {{ [{}] th = Relu (x) [{}] t = Abs (th) }},
    else_branch = e () => (float[1, 2] e) {{ [a] eh = Relu (x) [b] e = Abs (eh) }}
> }}"""
FUNCTION = f"""
<domain: "own", opset_import: ["" : 21]>
both (x) => (y) {RELU_AND_ABS}"""


@pytest.mark.parametrize(
    ("nodes", "function", "severity"),
    [
        (RELU_AND_ABS, "", "error"),
        ("{ [a] y = Relu (x) [a] unread = Abs (x) }", "", "error"),
        ("{ [a] two = Constant <value_floats = [1.0, 2.0]> () [a] y = Add (x, two) }", "", "warning"),
        (BRANCHES.format("a", "a"), "", "error"),
        (BRANCHES.format("a", "b"), "", None),
        ("{ y = own.both (x) }", FUNCTION, "error"),
        ("{ y = Relu (x) }", FUNCTION, "warning"),
        ("{ h = Relu (x) y = Abs (h) }", "", None),
    ],
)
def test_two_nodes_of_one_name_are_an_error_where_onnxruntime_loads_no_such_file(
    nodes: str, function: str, severity: str | None
) -> None:
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21, "own" : 1]>
        net (float[1, 2] x, bool c) => (float[1, 2] y) {nodes}{function}""")
    found = cnnlint.lint(model, static=True, isolated=True, select=["ON007"]).models[0].findings
    assert [each.severity for each in found] == ([severity] if severity else [])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    refused = pytest.raises(Exception, match="two nodes with same node name")
    with refused if severity == "error" else nullcontext():
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def test_what_onnxruntime_says_of_two_nodes_of_one_name_is_told_once() -> None:
    model = parser.parse_model(f"{HEAD} net (float[1, 2] x) => (float[1, 2] y) {RELU_AND_ABS}")
    found = cnnlint.lint(model, isolated=True, select=["ON", "RT"]).models[0].findings
    assert [each.code for each in found] == ["ON007"]
