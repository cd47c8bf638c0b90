from __future__ import annotations

import pytest
from onnx import parser

from cnnlint.analysis.feature_map import is_feature_map, spatial_axes
from cnnlint.frontends import load_onnx_bytes
from cnnlint.graph.graph import Graph

CONV = """
    kernel_shape = Constant <value_ints = [16, 3, 3, 3]> ()
    kernel = ConstantOfShape (kernel_shape)
    [conv] map = Conv <pads = [1, 1, 1, 1]> (x, kernel)
"""


def made(body: str, inputs: str = "float[1,3,8,8] x", output: str = "float[] y") -> Graph:
    text = f'<ir_version: 8, opset_import: ["": 17]> net ({inputs}) => ({output}) {{ {body} }}'
    return load_onnx_bytes(parser.parse_model(text).SerializeToString())


def ones(name: str, *shape: int) -> str:
    return f"{name}_s = Constant <value_ints = {list(shape)}> ()  {name} = ConstantOfShape ({name}_s)\n"


def ints(name: str, *values: int) -> str:
    return f"{name} = Constant <value_ints = {list(values)}> ()\n"


# what happens to the 1 × 16 × 8 × 8 map, the output's shape, and the axes of it that are rows, columns or both
VIEWS = {
    "nothing": ("y = Relu (map)", "1,16,8,8", {2, 3}),
    "channels last": ("y = Transpose <perm = [0, 2, 3, 1]> (map)", "1,16,8,8", {2, 3}),
    "rows and columns joined": (ints("s", 1, 16, 64) + "y = Reshape (map, s)", "1,16,64", {2}),
    "rows cut into windows": (ints("s", 1, 16, 2, 4, 8) + "y = Reshape (map, s)", "1,16,2,4,8", {2, 3, 4}),
    "channels and rows joined": (ints("s", 1, 128, 8) + "y = Reshape (map, s)", "1,128,8", {2}),
    "positions among the samples": (
        "t = Transpose <perm = [0, 2, 3, 1]> (map)" + ints("s", 64, 16) + "y = Reshape (t, s)", "64,16", {0},
    ),
    "a residual": ("r = Relu (map)  y = Add (r, map)", "1,16,8,8", {2, 3}),
    "a gate": (
        "p = GlobalAveragePool (map)  g = Sigmoid (p)  y = Mul (map, g)", "1,16,8,8", {2, 3},
    ),
    "attention over positions": (
        ints("s", 1, 16, 64) + "f = Reshape (map, s)  t = Transpose <perm = [0, 2, 1]> (f)"
        "  a = MatMul (t, f)  w = Softmax <axis = -1> (a)  y = MatMul (w, t)",
        "1,64,16",
        set[int](),
    ),
    "a dense layer along the rows": (
        "t = Transpose <perm = [0, 1, 3, 2]> (map)" + ones("w", 8, 5) + "y = MatMul (t, w)", "1,16,5,8", {3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VIEWS)
def test_positions_are_followed_through_what_reorders_axes(case):
    body, shape, axes = VIEWS[case]
    # the shape is as the graph has it, where a transpose at the border is a view
    graph = made(CONV + body)
    assert graph.outputs[0].shape == tuple(int(extent) for extent in shape.split(","))
    assert spatial_axes(graph, graph.outputs[0]) == axes


def test_an_image_is_no_feature_map():
    graph = made("y = Flatten (x)", output="float[1,192] y")
    assert not is_feature_map(graph, graph.inputs[0])
