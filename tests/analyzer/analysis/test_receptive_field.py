"""Receptive fields are the published ones, and those that onnxruntime shows when single pixels are lit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper, numpy_helper, parser

from analyzer.analysis.nets import Net
from cnnlint.analysis.receptive_field import receptive_fields
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.graph.layers import (
    Attention,
    Crop,
    Dense,
    DepthToSpace,
    Flatten,
    MatMul,
    Reduce,
    Reshape,
    Resize,
    Transpose,
)
from cnnlint.testing import to_graph

if TYPE_CHECKING:
    from pathlib import Path

    from cnnlint.graph.graph import Graph

MOBILENET = " -> ".join(
    f"DWCONV 3x3 stride {stride} -> CONV {filters} 1x1"
    for filters, stride in [(8, 1), (8, 2), (8, 1), (8, 2), (8, 1), (8, 2), *[(8, 1)] * 5, (8, 2), (8, 1)]
)


def last(graph: Graph) -> tuple[int, ...] | None:
    return receptive_fields(graph)[graph.layers[-1].name]


@pytest.mark.parametrize(
    ("network", "extent"),
    [
        # RECEPTIVE_FIELD_TABLE.md of github.com/google-research/receptive_field, the paper's own results
        ("CONV 8 11x11 stride 4 valid", 11),
        ("CONV 8 11x11 stride 4 valid -> POOL 3 stride 2", 19),
        ("CONV 8 11x11 stride 4 valid -> POOL 3 stride 2 -> CONV 8 5x5", 51),
        ("CONV 8 11x11 stride 4 valid -> POOL 3 stride 2 -> CONV 8 5x5 -> POOL 3 stride 2 -> [CONV 8 3x3]*3", 163),
        (
            "CONV 8 11x11 stride 4 valid -> POOL 3 stride 2 -> CONV 8 5x5 -> POOL 3 stride 2 -> [CONV 8 3x3]*3"
            " -> POOL 3 stride 2",
            195,
        ),
        ("[CONV 8 3x3 -> POOL 2]*2 -> [[CONV 8 3x3]*2 -> POOL 2]*3", 150),  # vgg_a
        ("[[CONV 8 3x3]*2 -> POOL 2]*2", 16),
        ("[[CONV 8 3x3]*2 -> POOL 2]*2 -> [[CONV 8 3x3]*3 -> POOL 2]*3", 212),  # vgg_16
        (f"CONV 8 3x3 stride 2 -> {MOBILENET}", 315),  # mobilenet_v1
    ],
)
def test_plain_networks_see_what_araujo_et_al_publish(network: str, extent: int) -> None:
    assert last(to_graph(f"INPUT 3xHxW -> {network}")) == (extent, extent)


def bottlenecks(*blocks: int) -> str:
    stages = list[str]()
    for stage, count in enumerate(blocks):
        first = f"RES[CONV 8 1x1{' stride 2' if stage else ''} -> CONV 8 3x3 -> CONV 16 1x1"
        first += f" | CONV 16 1x1{' stride 2' if stage else ''}]"
        stages += [first, *["RES[CONV 8 1x1 -> CONV 8 3x3 -> CONV 16 1x1]"] * (count - 1)]
    return " -> ".join(stages)


@pytest.mark.parametrize(
    ("blocks", "extent"), [((3, 4, 6, 3), 483), ((3, 4, 23, 3), 1027), ((3, 8, 36, 3), 1507), ((3, 24, 36, 3), 1763)]
)
def test_residual_networks_see_what_araujo_et_al_publish(blocks: tuple[int, ...], extent: int) -> None:
    network = f"INPUT 3x224x224 -> CONV 8 7x7 stride 2 -> POOL 3 stride 2 same -> {bottlenecks(*blocks)}"
    assert last(to_graph(network)) == (extent, extent)


@pytest.mark.tf
@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of Keras, when it saves
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "extent"),
    [
        ("VGG16", "block5_pool", 212),
        ("MobileNet", "conv_pw_13_relu", 315),
        ("ResNet50", "conv5_block3_out", 483),
        ("InceptionV3", "mixed10", 1311),
        ("InceptionResNetV2", "conv_7b_ac", 3039),
    ],
)
def test_applications_of_keras_see_what_araujo_et_al_publish(
    name: str, layer: str, extent: int, tmp_path: Path
) -> None:
    import keras

    path = tmp_path / "net.keras"
    getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(None, None, 3)).save(path)
    assert receptive_fields(load(str(path)))[layer] == (extent, extent)


# Random networks along one axis, each pixel lit in a sample of its own; all weights are one, so that an output element
# that sees a lit pixel is not zero.

LENGTH = 120

ODD = st.sampled_from((1, 3, 5))

WINDOW = st.tuples(st.sampled_from(("conv", "max", "avg")), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
SMOOTH = WINDOW.map(lambda drawn: (*drawn[:3], 1))
BRANCHES = st.tuples(st.sampled_from(("add", "cat")), ODD, ODD, st.integers(1, 3))
FINER = st.one_of(
    st.tuples(st.just("deconv"), st.integers(3, 5), st.integers(2, 3)),
    st.tuples(st.just("nearest"), st.integers(2, 3)),
    st.tuples(st.just("linear"), st.just(2)),
)
Step = tuple[str | int, ...]


class Chain:
    """ONNX nodes one after another on a map of a single column."""

    def __init__(self) -> None:
        self.nodes = list[NodeProto]()
        self.weights = list[TensorProto]()
        self.top, self.channels = "x", 1

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs or [self.top], [name], name=name, **attributes))
        return name

    def ones(self, *shape: int) -> str:
        self.weights.append(numpy_helper.from_array(np.ones(shape, np.float32), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def floats(self, *values: float) -> str:
        self.weights.append(numpy_helper.from_array(np.array(values, np.float32), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def conv(self, taps: int, gap: int = 1, stride: int = 1, pad: int = 0) -> str:
        kernel = self.ones(1, self.channels, taps, 1)
        settings = {"strides": [stride, 1], "dilations": [gap, 1], "pads": [pad, 0, pad, 0]}
        return self.add("Conv", self.top, kernel, **settings)

    def step(self, kind: str, *numbers: int) -> None:
        match kind:
            case "conv":
                taps, gap, stride = numbers
                self.top, self.channels = self.conv(taps, gap, stride), 1
            case "max" | "avg":
                taps, _, stride = numbers
                op = "MaxPool" if kind == "max" else "AveragePool"
                self.top = self.add(op, kernel_shape=[taps, 1], strides=[stride, 1])
            case "add" | "cat":
                first, second, gap = numbers
                sides = [self.conv(taps, gap, pad=gap * (taps // 2)) for taps in (first, second)]
                self.top = self.add("Add", *sides) if kind == "add" else self.add("Concat", *sides, axis=1)
                self.channels = 1 if kind == "add" else 2
            case "deconv":
                taps, stride = numbers
                kernel = self.ones(self.channels, 1, taps, 1)
                self.top, self.channels = self.add("ConvTranspose", self.top, kernel, strides=[stride, 1]), 1
            case _:
                scales = self.floats(1, 1, *numbers, 1)
                mode = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
                self.top = self.add("Resize", self.top, "", scales, mode=kind, **(mode if kind == "nearest" else {}))

    def model(self) -> bytes:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, LENGTH, 1])
        y = helper.make_tensor_value_info(self.top, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "g", [x], [y], self.weights)
        made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 15)])
        return made.SerializeToString()


def seen(model: bytes) -> int:
    """Return the most pixels, from the first to the last, that an output element answers to."""
    lit = np.eye(LENGTH, dtype=np.float32).reshape(LENGTH, 1, LENGTH, 1)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    (output,) = ort.InferenceSession(model, options).run(None, {"x": lit})
    answers = (output != 0).any(axis=1).reshape(LENGTH, -1)  # pixel × output position
    places = [np.flatnonzero(answers[:, position]) for position in range(answers.shape[1])]
    return max((int(found[-1] - found[0]) + 1 for found in places if found.size), default=0)


def both(steps: list[Step]) -> tuple[int, int]:
    """Return the field that is reported for the chain of `steps`, and the one that is measured."""
    chain, length = Chain(), LENGTH
    chain.step("conv", 1, 1, 1)
    for kind, *numbers in steps:
        chain.step(str(kind), *map(int, numbers))
        if kind in ("conv", "max", "avg"):
            taps, gap, stride = (*numbers,) if kind == "conv" else (numbers[0], 1, numbers[2])
            length = (length - int(gap) * (int(taps) - 1) - 1) // int(stride) + 1
        elif kind in ("deconv", "nearest", "linear"):
            length *= int(numbers[-1])
        assume(8 <= length < 1500)
    model = chain.model()
    graph = load_onnx_bytes(model)
    field = last(graph)
    assert field is not None
    assert field[1] == 1
    assume(field[0] < LENGTH // 2)
    return field[0], seen(model)


@given(st.lists(WINDOW | BRANCHES, min_size=1, max_size=5))
def test_windows_and_branches_see_the_pixels_that_change_them(steps: list[Step]) -> None:
    reported, measured = both(steps)
    assert reported == measured


@given(st.lists(WINDOW, max_size=2), FINER, st.lists(SMOOTH | BRANCHES | FINER, max_size=3))
def test_behind_an_upsampling_the_most_pixels_that_change_a_neighbor_count(
    before: list[Step], finer: Step, after: list[Step]
) -> None:
    reported, measured = both([*before, finer, *after])
    assert reported == measured


SPARSE = st.tuples(st.just("deconv"), st.integers(1, 2), st.just(3))
"""Outputs that see no input lie between those that do: what stands after may skip the ones that see something."""


@example([("linear", 2), ("conv", 2, 2, 3), ("linear", 2)])
@example([("linear", 2), ("linear", 2), ("max", 2, 3, 2), ("linear", 2), ("conv", 2, 3, 2)])
@example([("deconv", 5, 3), ("nearest", 3), ("add", 3, 5, 2), ("add", 5, 5, 1), ("add", 5, 1, 3)])
@example([("deconv", 1, 3), ("conv", 1, 1, 1), ("cat", 1, 3, 1), ("conv", 3, 1, 3)])
@example([("deconv", 1, 3), ("nearest", 2), ("conv", 1, 1, 3), ("deconv", 1, 3)])
@given(st.lists(st.one_of(WINDOW, BRANCHES, FINER, SPARSE), min_size=1, max_size=5))
def test_no_network_sees_more_than_is_reported(steps: list[Step]) -> None:
    reported, measured = both(steps)
    assert measured <= reported


@pytest.mark.parametrize(
    ("text", "extents"),
    [
        # the field of conv3 alone is 5 × 3 pixels
        ("y = MaxPool<kernel_shape=[3,1], strides=[2,1]>(x)", (3, 1)),
        ("y = MaxPool<kernel_shape=[2,3], strides=[2,1]>(x)", (2, 3)),
        ("y = AveragePool<kernel_shape=[1,4], strides=[3,2]>(x)", (1, 4)),
        ("y = SpaceToDepth<blocksize=2>(x)", (2, 2)),
        ("m = MaxPool<kernel_shape=[3,3]>(x) y = ReduceMean<axes=[1], keepdims=1>(m)", (3, 3)),
        ("m = MaxPool<kernel_shape=[3,2]>(x) y = GlobalAveragePool(m)", (16, 16)),
        ("m = MaxPool<kernel_shape=[3,2]>(x) y = GlobalMaxPool(m)", (16, 16)),
    ],
)
def test_axes_are_kept_apart_and_pixels_of_all_channels_count(text: str, extents: tuple[int, int]) -> None:
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 15]> g (float[N,1,16,16] x) => (float[N,c,h,w] y) {{ {text} }}'
    ).SerializeToString()
    lit = np.eye(256, dtype=np.float32).reshape(256, 1, 16, 16)
    (output,) = ort.InferenceSession(model).run(None, {"x": lit})
    answers = (output > 0).any(axis=1).reshape(16, 16, -1)
    rows, columns = answers.any(axis=1), answers.any(axis=0)
    spans = [
        max(np.ptp(np.flatnonzero(side[:, place])) + 1 for place in range(side.shape[1])) for side in (rows, columns)
    ]
    assert tuple(spans) == extents
    assert last(load_onnx_bytes(model)) == extents


def net_of(kind: type, *, shape: tuple[int, ...] = (4, 12, 12), **fields: object) -> tuple[int, ...] | None:
    """Return what a layer behind a 3 × 3 convolution sees, and a 3 × 3 convolution behind it where there can be one."""
    net = Net()
    x = net.add_layer(kind, net.conv(net.input(*shape), 4), **fields)
    return last(net.graph(x))


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (Flatten, {}, (14, 14)),
        (Reshape, {"target": ("N", 576)}, (14, 14)),
        (Reshape, {"target": ("N", 2, 2, 12, 12)}, (3, 3)),  # groups of channels
        (Reshape, {"target": ("N", 12, 12, 4)}, None),
        (Reshape, {"target": ("N", 4, 144)}, None),
        (Reshape, {"target": None}, None),
        (Transpose, {"permutation": (0, 1, 3, 2)}, None),
        (Transpose, {"permutation": (0, 2, 3, 1)}, None),
        (Transpose, {"permutation": (1, 0, 2, 3)}, (3, 3)),
        (Reduce, {"function": "mean", "axes": (1,)}, (3, 3)),
        (Reduce, {"function": "mean", "axes": (1,), "keepdims": False}, None),
        (Reduce, {"function": "mean", "axes": (3,)}, None),
        (Reduce, {"function": "mean", "axes": (-2,)}, None),
        (Dense, {"units": 5}, (3, 3)),
        (Dense, {"units": 5, "axis": -1}, None),
        (Crop, {"target": ("N", 4, 6, 6), "starts": (0, 0, 2, 2)}, (3, 3)),
        (Crop, {"target": ("N", 4, 6, 6)}, None),
        (DepthToSpace, {"block_size": 2}, (3, 3)),
        (Resize, {"target": ("N", 4, 24, 24), "interpolation": "area"}, None),
        (Resize, {"target": ("N", 4, None, 24), "interpolation": "nearest"}, None),
        (Resize, {"target": ("N", 4, 24, 12), "interpolation": "linear"}, (4, 3)),
        (Resize, {"target": ("N", 4, 24, 12), "interpolation": "cubic"}, (6, 3)),
    ],
)
def test_a_layer_that_moves_values_says_what_it_sees_or_nothing(
    kind: type, fields: dict[str, object], expected: tuple[int, int] | None
) -> None:
    assert net_of(kind, **fields) == expected


def test_strided_slices_are_seen_as_far_apart_as_they_are() -> None:
    text = """<ir_version: 8, opset_import: ["": 15]> g (float[N,1,16,16] x) => (float[N,c,h,w] y) <
        int64[2] s = {0, 1}, int64[2] e = {16, 16}, int64[2] a = {2, 3}, int64[2] t = {2, 3}
    > { f = Slice(x, s, e, a, t) y = MaxPool<kernel_shape=[3,3]>(f) }"""
    assert last(load_onnx_bytes(parser.parse_model(text).SerializeToString())) == (5, 7)


def test_gates_are_left_out_even_where_they_are_unknown() -> None:
    net = Net()
    x = net.conv(net.input(3, 16, 16), 8)
    squeezed = net.add_layer(Attention, net.gap(x, keepdims=True), heads=1, key_dim=8, value_dim=8, projects=False,
                             tokens=(1, 1))  # fmt: skip
    gated = net.mul(x, net.act(squeezed, "sigmoid"))
    assert last(net.graph(gated)) == (3, 3)
    assert last(net.graph(net.conv(gated, 8))) == (5, 5)


def test_a_map_that_multiplies_a_map_is_no_gate() -> None:
    net = Net()
    x = net.input(3, 16, 16)
    assert last(net.graph(net.mul(net.conv(x, 8), net.conv(x, 8, 7)))) == (7, 7)


def test_an_unknown_branch_makes_the_sum_unknown() -> None:
    net = Net()
    x = net.conv(net.input(3, 12, 12), 8)
    unknown = net.add_layer(MatMul, x, x)
    assert last(net.graph(net.add(x, unknown))) is None


def test_what_sees_the_whole_map_sees_no_more_of_it_behind_further_windows() -> None:
    net = Net()
    code = net.dense(net.flatten(net.conv(net.input(1, 8, 8), 2, stride=2)), 16)
    x = net.add_layer(Reshape, code, target=("N", 1, 4, 4))
    assert last(net.graph(net.conv(x, 2))) == (9, 9)


def test_the_larger_of_a_pooled_branch_and_a_deep_one_counts() -> None:
    net = Net()
    x = net.conv(net.input(3, 16, 16), 8)
    pooled = net.gap(x, keepdims=True)
    wide = net.add(x, pooled)
    assert last(net.graph(wide)) == (18, 18)
    for _ in range(9):
        wide = net.conv(wide, 8)
    assert last(net.graph(wide)) == (21, 21)


@pytest.mark.parametrize("coarse_first", [True, False])
def test_the_branch_that_becomes_the_larger_counts_where_both_are_alike(coarse_first: bool) -> None:
    net = Net()
    x = net.input(1, 12, 12)
    branches = [net.add_layer(Resize, net.pool(x, 3), target=x.shape, interpolation="nearest"), net.conv(x, 1)]
    joined = net.add(*(branches if coarse_first else branches[::-1]))
    assert last(net.graph(joined)) == (3, 3)
    # the next pixel is in another block for some, whose three pixels then count too
    assert last(net.graph(net.conv(joined, 1, 2))) == (6, 6)


def test_vectors_have_no_receptive_field() -> None:
    net = Net()
    assert last(net.graph(net.dense(net.input(8), 4))) is None
