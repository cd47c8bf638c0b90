"""An editor changes what it is told to, keeps the names that others see, and leaves nothing dead behind."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from cnnlint.frontends import load_onnx_bytes
from cnnlint.rewrite.editor import Editor, RewriteError

TEXT = """<ir_version: 3, opset_import: ["": 8]>
g (float[N,3] x, float[3,2] w, float[2] b) => (float[N,2] y)
<float[3,2] w = {1, 2, 3, 4, 5, 6}, float[2] b = {1, 2}>
{ [dense] h = Gemm(x, w, b)  [act] y = Relu(h)  [side] unused = Neg(h) }"""


@pytest.fixture
def model() -> onnx.ModelProto:
    return parser.parse_model(TEXT)


def test_what_no_output_needs_is_dropped_with_its_weights_and_their_inputs(model: onnx.ModelProto) -> None:
    editor = Editor(model)
    (node,) = [node for node in model.graph.node if node.name == "dense"]
    editor.remove([node])
    editor.insert(node, "Identity", ["x"], "h")
    done = editor.finish()
    assert [node.op_type for node in done.graph.node] == ["Identity", "Relu"]
    assert not done.graph.initializer
    assert [value.name for value in done.graph.input] == ["x"]


def test_layers_lead_to_their_nodes(model: onnx.ModelProto) -> None:
    graph = load_onnx_bytes(model.SerializeToString())
    editor = Editor(model)
    dense = next(layer for layer in graph.layers if layer.kind == "Dense")
    assert editor.core(dense, "Gemm", "MatMul").name == "dense"
    with pytest.raises(RewriteError, match="0 nodes of Conv"):
        editor.core(dense, "Conv")


def test_a_layer_of_another_model_is_refused(model: onnx.ModelProto) -> None:
    graph = load_onnx_bytes(model.SerializeToString())
    other = parser.parse_model(TEXT.replace("h", "k"))
    with pytest.raises(RewriteError, match="comes from no node"):
        Editor(other).nodes(next(layer for layer in graph.layers if layer.kind == "Dense"))


def test_fresh_names_are_new(model: onnx.ModelProto) -> None:
    editor = Editor(model)
    names = [editor.fresh("h") for _ in range(3)]
    assert len(set(names)) == 3
    assert not {"h", "x", "y", "w"} & set(names)


def test_constants_are_known_by_shape_and_value(model: onnx.ModelProto) -> None:
    editor = Editor(model)
    assert editor.shape("w") == (3, 2)
    assert editor.shape("h") is None
    assert not editor.is_scalar("w")
    assert editor.is_scalar(editor.scalar(2.0, "float32"))
    assert editor.constant_integers(editor.integers("axes", (2, -1))) == [2, -1]
    assert editor.constant_integers("h") is None


def test_what_is_declared_of_tensors_that_stay_stays() -> None:
    model = parser.parse_model("""<ir_version: 8, opset_import: ["": 17, "mine": 1]>
        g (float[1,3] x) => (float[1,3] y) <float[1,3] a, float[1,3] b, float[1,3] c>
        { a = mine.Own(x)  b = Identity(a)  c = Relu(b)  y = mine.Own(c) }""")
    editor = Editor(model)
    editor.bypass(editor.producer("b") or model.graph.node[1])
    assert [value.name for value in editor.finish().graph.value_info] == ["a"]


def test_an_edit_that_fails_halfway_leaves_the_model_as_it_was() -> None:
    model = parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
        g (float[3] x, bool c) => (float[3] y)
        { a = Identity(x)  b = Relu(a)
          y = If(c) <then_branch = t () => (float[3] u) { u = Neg(a) }, else_branch = e () => (float[3] b) { }>
        }""")
    before = model.SerializeToString()
    editor = Editor(model)

    def edit() -> None:
        with editor.whole():
            editor.bypass(editor.producer("a") or model.graph.node[0])
            editor.insert(editor.nodes_in_order[0], "Neg", ["x"])
            editor.read_instead("b", "x")

    with pytest.raises(RewriteError, match="a subgraph gives b"):
        edit()
    assert not editor.computed
    assert editor.finish().SerializeToString() == before
