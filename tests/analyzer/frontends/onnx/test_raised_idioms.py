"""What exporters write for one layer is raised to that layer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from cnnlint.analysis.context import Context
from cnnlint.errors import ModelError
from cnnlint.frontends import load_onnx_bytes
from cnnlint.graph.graph import Graph
from cnnlint.graph.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Elementwise,
    Flatten,
    GlobalPool,
    GroupNorm,
    Multiply,
    Opaque,
    Recurrent,
    Resize,
    Split,
)

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def raised(text: str, *, head: str = HEAD, **weights: tuple[int, ...]) -> Graph:
    """Raise ONNX text, with an initializer of ones for each named shape."""
    model = parser.parse_model(head + text)
    for name, shape in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    return load_onnx_bytes(model.SerializeToString())


def kinds(graph: Graph) -> list[str]:
    return [layer.function if isinstance(layer, Activation) else layer.kind for layer in graph.layers]


def test_matmul_and_add_are_a_dense_layer() -> None:
    graph = raised("agraph (float[N,8] x) => (float[N,4] y) { h = MatMul(x, w) y = Add(h, b) }", w=(8, 4), b=(4,))
    (dense,) = graph.layers
    assert isinstance(dense, Dense)
    assert (dense.units, dense.use_bias, dense.parameters) == (4, True, 36)


def test_a_batched_dense_between_reshapes_works_on_the_last_axis() -> None:
    graph = raised(
        """agraph (float[N,7,7,8] x) => (float[N,7,7,4] y) {
            rows = Constant<value_ints = [-1, 8]>() back = Constant<value_ints = [-1, 7, 7, 4]>()
            flat = Reshape(x, rows) h = MatMul(flat, w) s = Add(h, b) y = Reshape(s, back) }""",
        w=(8, 4),
        b=(4,),
    )
    (dense,) = graph.layers
    assert isinstance(dense, Dense)
    assert dense.use_bias
    assert dense.output.shape == ("N", 7, 7, 4)
    assert Context(graph).macs == 7 * 7 * 8 * 4


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ("s = Sigmoid(x) y = Mul(x, s)", "swish"),
        ("s = Sigmoid(x) y = Mul(s, x)", "swish"),
        ("one = Constant<value_float = 1.0>() b = Mul(one, x) s = Sigmoid(b) y = Mul(x, s)", "swish"),
        ("y = HardSwish(x)", "hard_swish"),
        (
            "a = Constant<value_float = 3.0>() l = Constant<value_float = 0.0>() h = Constant<value_float = 6.0>()"
            "t = Add(x, a) c = Clip(t, l, h) m = Mul(x, c) y = Div(m, h)",
            "hard_swish",
        ),
        ("p = Softplus(x) t = Tanh(p) y = Mul(x, t)", "mish"),
        (
            "r = Constant<value_float = 1.4142135>() one = Constant<value_float = 1.0>()"
            " half = Constant<value_float = 0.5>()"
            " d = Div(x, r) e = Erf(d) p = Add(e, one) m = Mul(x, p) y = Mul(m, half)",
            "gelu",
        ),
        (
            "r = Constant<value_float = 1.4142135>() one = Constant<value_float = 1.0>()"
            " half = Constant<value_float = 0.5>()"
            " h = Mul(x, half) d = Div(x, r) e = Erf(d) p = Add(e, one) y = Mul(h, p)",
            "gelu",
        ),
        (
            "r = Constant<value_float = 0.70710678>() one = Constant<value_float = 1.0>()"
            " half = Constant<value_float = 0.5>()"
            " h = Mul(x, half) n = Neg(x) d = Mul(n, r) e = Erf(d) p = Sub(one, e) y = Mul(h, p)",
            "gelu",
        ),
        ("l = Constant<value_float = 0.0>() h = Constant<value_float = 6.0>() y = Clip(x, l, h)", "relu6"),
    ],
)
def test_spelled_out_activations_are_one_layer(body: str, function: str) -> None:
    assert kinds(raised(f"agraph (float[N,4,8,8] x) => (float[N,4,8,8] y) {{ {body} }}")) == [function]


def test_a_gate_of_another_tensor_is_no_swish() -> None:
    graph = raised("agraph (float[N,4] x, float[N,4] z) => (float[N,4] y) { s = Sigmoid(z) y = Mul(x, s) }")
    assert kinds(graph) == ["sigmoid", "Multiply"]


def test_a_scale_and_shift_per_channel_is_a_folded_norm() -> None:
    graph = raised(
        "agraph (float[N,3,8,8] x) => (float[N,4,8,8] y) { h = Conv(x, w) s = Mul(h, g) y = Add(s, b) }",
        w=(4, 3, 1, 1),
        g=(1, 4, 1, 1),
        b=(4, 1, 1),
    )
    conv, norm = graph.layers
    assert isinstance(conv, Conv)
    assert isinstance(norm, BatchNorm)
    assert norm.folded
    assert graph.parameters == 12 + 8


@pytest.mark.parametrize(("axes", "kind"), [((1,), "LayerNorm"), ((2, 3), "InstanceNorm")])
def test_a_spelled_out_normalization_is_one_layer(axes: tuple[int, ...], kind: str) -> None:
    graph = raised(
        f"""agraph (float[N,4,8,8] x) => (float[N,4,8,8] y) {{
            e = Constant<value_float = 0.001>() two = Constant<value_float = 2.0>()
            m = ReduceMean<axes = {list(axes)}>(x) d = Sub(x, m) q = Pow(d, two) v = ReduceMean<axes = {list(axes)}>(q)
            ve = Add(v, e) s = Sqrt(ve) n = Div(d, s) p = Mul(n, g) y = Add(p, b) }}""",
        g=(4, 1, 1),
        b=(4, 1, 1),
    )
    (norm,) = graph.layers
    assert norm.kind == kind
    assert norm.parameters == 8
    assert norm.epsilon == pytest.approx(1e-3)


def test_caffe_style_norms_are_one_layer() -> None:
    graph = raised(
        """agraph (float[1,3,8,8] x) => (float[1,4,8,8] y) {
            h = Conv(x, w) n = BatchNormalization(h, g, b, m, v)
            g2 = Unsqueeze<axes = [1, 2]>(s) b2 = Unsqueeze<axes = [1, 2]>(t) p = Mul(n, g2) y = Add(p, b2) }""",
        head='<ir_version: 3, opset_import: ["" : 9]>',
        w=(4, 3, 1, 1),
        **dict.fromkeys("gbmvst", (4,)),
    )
    assert kinds(graph) == ["Conv", "BatchNorm"]
    assert graph.parameters == 12 + 6 * 4


def test_channels_last_images_are_turned_at_the_border() -> None:
    graph = raised(
        """agraph (float[N,8,10,3] x) => (float[N,320] y) {
            t = Transpose<perm = [0, 3, 1, 2]>(x) h = Conv(t, w) r = Relu(h)
            u = Transpose<perm = [0, 2, 3, 1]>(r) s = Constant<value_ints = [-1, 320]>() y = Reshape(u, s) }""",
        w=(4, 3, 1, 1),
    )
    conv, _, flatten = graph.layers
    assert graph.inputs[0].shape == ("N", 3, 8, 10)
    assert graph.source.layout == "channels_last"
    assert conv.output.shape == ("N", 4, 8, 10)
    assert isinstance(flatten, Flatten)
    assert flatten.order == "channels_last"


def test_a_grey_image_moved_by_reshape_is_turned_at_the_border() -> None:
    graph = raised(
        """agraph (float[N,28,28,1] x) => (float[N,4,28,28] y) {
            s = Constant<value_ints = [-1, 1, 28, 28]>() t = Reshape(x, s) y = Conv(t, w) }""",
        w=(4, 1, 1, 1),
    )
    assert kinds(graph) == ["Conv"]
    assert graph.inputs[0].shape == ("N", 1, 28, 28)


@pytest.mark.parametrize(
    "body",
    [
        "p = GlobalAveragePool(x) y = Flatten(p)",
        "p = GlobalAveragePool(x) a = Constant<value_ints = [2, 3]>() y = Squeeze(p, a)",
        "y = ReduceMean<axes = [2, 3], keepdims = 0>(x)",
        "p = ReduceMean<axes = [-1, -2], keepdims = 1>(x) s = Constant<value_ints = [0, -1]>() y = Reshape(p, s)",
        "p = AveragePool<kernel_shape = [7, 7]>(x) y = Flatten(p)",
    ],
)
def test_every_way_to_pool_globally_is_one_layer(body: str) -> None:
    graph = raised(f"agraph (float[N,4,7,7] x) => (float[N,4] y) {{ {body} }}")
    (pool,) = graph.layers
    assert isinstance(pool, GlobalPool)
    assert (pool.mode, pool.output.shape) == ("avg", ("N", 4))


def test_a_group_norm_of_pytorch_has_the_parameters_of_its_module() -> None:
    """Its exporters give InstanceNormalization one value per group, since it must have some: 2 × 4 here."""
    graph = raised(
        """agraph (float[N,8,6,6] x) => (float[N,8,6,6] y) {
            apart = Constant<value_ints = [0, 4, -1]>() back = Constant<value_ints = [-1, 8, 6, 6]>()
            g = Reshape(x, apart) i = InstanceNormalization<epsilon = 0.00001>(g, ones, zeros) j = Reshape(i, back)
            m = Mul(j, gamma) y = Add(m, beta) }""",
        ones=(4,),
        zeros=(4,),
        gamma=(8, 1, 1),
        beta=(8, 1, 1),
    )
    (norm,) = graph.layers
    assert isinstance(norm, GroupNorm)
    assert (norm.groups, norm.parameters, norm.output.shape) == (4, 16, ("N", 8, 6, 6))


@pytest.mark.parametrize(
    "repeat",
    [
        "r = Constant<value_ints = [1, 1, 1, 3, 1]>() t = Tile(u, r)",
        "r = Constant<value_ints = [1, 1, 1, 3, 1]>() t = Expand(u, r)",
    ],
)
def test_repeated_rows_are_an_upsampling(repeat: str) -> None:
    graph = raised(
        f"""agraph (float[N,4,5,6] x) => (float[N,4,15,6] y) {{
            a = Constant<value_ints = [3]>() u = Unsqueeze(x, a) {repeat}
            s = Constant<value_ints = [-1, 4, 15, 6]>() y = Reshape(t, s) }}"""
    )
    (resize,) = graph.layers
    assert isinstance(resize, Resize)
    assert (resize.interpolation, resize.output.shape) == ("nearest", ("N", 4, 15, 6))


def test_a_tile_that_repeats_the_whole_map_is_none() -> None:
    graph = raised(
        """agraph (float[N,4,5,6] x) => (float[N,4,15,6] y) {
            a = Constant<value_ints = [2]>() u = Unsqueeze(x, a)
            r = Constant<value_ints = [1, 1, 3, 1, 1]>() t = Tile(u, r)
            s = Constant<value_ints = [-1, 4, 15, 6]>() y = Reshape(t, s) }"""
    )
    assert "Resize" not in kinds(graph)


def test_a_resize_rounds_its_extents_as_float32_does() -> None:
    """5 × 1.8 is 8.99999976 for the float32 nearest to 1.8, and 9 where the product is a float32 too."""
    graph = raised(
        """agraph (float[N,4,5,5] x) => (float[N,4,9,9] y) {
            s = Constant<value_floats = [1.0, 1.0, 1.8, 1.8]>() y = Resize(x, , s) }"""
    )
    assert graph.outputs[0].shape == ("N", 4, 9, 9)


def test_windows_over_a_signal_with_an_added_axis_are_one_dimensional() -> None:
    graph = raised(
        """agraph (float[N,4,20] x) => (float[N,6,9] y) {
            a = Constant<value_ints = [2]>() u = Unsqueeze(x, a)
            c = Conv<kernel_shape = [1, 3]>(u, w) p = MaxPool<kernel_shape = [1, 2], strides = [1, 2]>(c)
            q = Squeeze(p, a) b = Add(q, bias) y = Relu(b) }""",
        w=(6, 4, 1, 3),
        bias=(6, 1),
    )
    assert kinds(graph) == ["Conv", "MaxPool", "Elementwise", "relu"]
    conv = graph.layers[0]
    assert isinstance(conv, Conv)
    assert (conv.kernel_size, conv.output.shape, conv.parameters) == ((3,), ("N", 6, 18), 72)
    assert Context(graph).macs == 18 * 6 * 4 * 3


@pytest.mark.parametrize(("joined", "kind"), [("Add(q, s)", "Add"), ("Concat<axis = 1>(q, s)", "Concat")])
def test_windows_that_share_the_added_axis_are_one_dimensional(joined: str, kind: str) -> None:
    """So tf2onnx writes a projection and the body of a residual block."""
    graph = raised(
        f"""agraph (float[N,4,20] x) => (float[N,c,20] y) {{
            a = Constant<value_ints = [2]>() u = Unsqueeze(x, a)
            c = Conv<kernel_shape = [1, 1]>(u, w) q = Squeeze(c, a)
            d = Conv<kernel_shape = [1, 3], pads = [0, 1, 0, 1]>(u, v) s = Squeeze(d, a) y = {joined} }}""",
        w=(6, 4, 1, 1),
        v=(6, 4, 1, 3),
    )
    assert kinds(graph) == ["Conv", "Conv", kind]
    assert [layer.output.shape for layer in graph.layers[:2]] == [("N", 6, 20)] * 2


def test_an_added_axis_that_one_reader_needs_stays_for_all() -> None:
    graph = raised(
        """agraph (float[N,4,20] x) => (float[N,6,20] y, float[N,6,3,20] z) {
            a = Constant<value_ints = [2]>() u = Unsqueeze(x, a) c = Conv<kernel_shape = [1, 1]>(u, w) y = Squeeze(c, a)
            z = Conv<kernel_shape = [1, 1], pads = [1, 0, 1, 0]>(u, w) }""",
        w=(6, 4, 1, 1),
    )
    assert kinds(graph) == ["Reshape", "Conv", "Reshape", "Conv"]


def test_a_map_of_one_row_that_a_kernel_reaches_beyond_stays_a_map() -> None:
    graph = raised(
        """agraph (float[N,4,20] x) => (float[N,6,20] y) {
            a = Constant<value_ints = [2]>() u = Unsqueeze(x, a)
            c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(u, w) y = Squeeze(c, a) }""",
        w=(6, 4, 3, 3),
    )
    assert kinds(graph) == ["Reshape", "Conv", "Reshape"]


def test_shape_arithmetic_is_folded_away() -> None:
    graph = raised(
        """agraph (float[N,4,7,7] x) => (float[N,196] y) {
            s = Shape(x) i = Constant<value_int = 0>() n = Gather(s, i) a = Constant<value_ints = [0]>()
            m = Unsqueeze(n, a) r = Constant<value_ints = [-1]>() t = Concat<axis = 0>(m, r) y = Reshape(x, t) }"""
    )
    (flatten,) = graph.layers
    assert isinstance(flatten, Flatten)
    assert flatten.output.shape == ("N", 196)


def test_padding_before_a_convolution_is_its_own() -> None:
    graph = raised(
        """agraph (float[N,3,8,8] x) => (float[N,4,8,8] y) {
            p = Constant<value_ints = [0, 0, 1, 1, 0, 0, 1, 1]>() q = Pad(x, p) y = Conv(q, w) }""",
        w=(4, 3, 3, 3),
    )
    (conv,) = graph.layers
    assert isinstance(conv, Conv)
    assert conv.padding == ((1, 1), (1, 1))
    assert [part.op for part in conv.origin] == ["Pad", "Conv"]


def test_padding_that_two_convolutions_read_is_that_of_both() -> None:
    graph = raised(
        """agraph (float[N,3,8,8] x) => (float[N,4,8,8] y, float[N,4,4,4] z) {
            p = Constant<value_ints = [0, 0, 1, 1, 0, 0, 1, 1]>() q = Pad(x, p)
            y = Conv(q, w) z = Conv<strides = [2, 2]>(q, w) }""",
        w=(4, 3, 3, 3),
    )
    assert kinds(graph) == ["Conv", "Conv"]
    assert [layer.padding for layer in graph.of_kind(Conv)] == [((1, 1), (1, 1))] * 2
    assert [tensor.name for layer in graph.layers for tensor in layer.inputs] == ["x", "x"]
    assert [layer.output.shape for layer in graph.layers] == [("N", 4, 8, 8), ("N", 4, 4, 4)]


@pytest.mark.parametrize("other", ["z = Relu(q)", "z = Identity(q)"])
def test_padding_that_something_else_reads_stays_a_layer(other: str) -> None:
    graph = raised(
        f"""agraph (float[N,3,8,8] x) => (float[N,4,8,8] y, float[N,3,10,10] z) {{
            p = Constant<value_ints = [0, 0, 1, 1, 0, 0, 1, 1]>() q = Pad(x, p) y = Conv(q, w) {other} }}""",
        w=(4, 3, 3, 3),
    )
    assert "Pad" in kinds(graph)
    assert [layer.padding for layer in graph.of_kind(Conv)] == [((0, 0), (0, 0))]


def test_a_gate_in_the_other_order_of_axes_does_not_turn_the_map() -> None:
    graph = raised(
        """agraph (float[N,8,8,3] x, float[N,4] g) => (float[N,6,6,4] y) {
            t = Transpose<perm = [0, 3, 1, 2]>(x) c = Conv(t, w) u = Transpose<perm = [0, 2, 3, 1]>(c)
            s = Constant<value_ints = [-1, 1, 1, 4]>() r = Reshape(g, s) y = Mul(u, r) }""",
        w=(4, 3, 3, 3),
    )
    assert "Transpose" not in kinds(graph)
    (product,) = graph.of_kind(Multiply)
    assert [tensor.shape for tensor in product.inputs] == [("N", 4, 6, 6), ("N", 4, 1, 1)]
    assert product.output.shape == ("N", 4, 6, 6)


def test_a_shared_weight_counts_once() -> None:
    graph = raised(
        "agraph (float[N,4] x) => (float[N,4] y) { h = MatMul(x, w) r = Relu(h) y = MatMul(r, w) }", w=(4, 4)
    )
    assert graph.parameters == 16
    assert Context(graph).macs == 32


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("v = Identity(w) y = MatMul(x, v)", (8, 4)),
        ("v = Transpose<perm = [1, 0]>(w) y = MatMul(x, v)", (4, 8)),
        ("s = Constant<value_ints = [8, 4]>() v = Reshape(w, s) y = MatMul(x, v)", (32,)),
        ("v = Cast<to = 1>(w) y = MatMul(x, v)", (8, 4)),
        ("a = Constant<value_ints = [1]>() v = Squeeze(w, a) y = MatMul(x, v)", (8, 1, 4)),
    ],
)
def test_a_weight_counts_through_what_only_changes_its_form(body: str, shape: tuple[int, ...]) -> None:
    graph = raised(f"agraph (float[N,8] x) => (float[N,4] y) {{ {body} }}", w=shape)
    assert kinds(graph) == ["Dense"]
    assert graph.parameters == 32


def test_what_a_norm_in_training_mode_computes_its_moving_statistics_from_is_no_parameter() -> None:
    # As TorchScript exports the standardized kernel of NFNet: a copy of the kernel, turned, is stored for statistics
    # that the norm has no use for.
    graph = raised(
        """agraph (float[N,3,8,8] x) => (float[N,4,6,6] y) {
            shape = Constant<value_ints = [4, 3, 3, 3]>()
            mean = ReduceMean<axes = [0, 1], keepdims = 0>(turned)
            centered = Sub(turned, mean) squared = Mul(centered, centered)
            variance = ReduceMean<axes = [0, 1], keepdims = 0>(squared)
            standard, new_mean, new_variance = BatchNormalization<training_mode = 1>(rows, gain, shift, mean, variance)
            kernel = Reshape(standard, shape) y = Conv(x, kernel) }""",
        rows=(1, 4, 27),
        turned=(1, 27, 4),
        gain=(4,),
        shift=(4,),
    )
    assert graph.parameters == 4 * 27 + 4 + 4


def test_moving_statistics_that_the_file_holds_count_in_training_mode_too() -> None:
    graph = raised(
        """agraph (float[N,4,8,8] x) => (float[N,4,8,8] y) {
            y, new_mean, new_variance = BatchNormalization<training_mode = 1>(x, gamma, beta, mean, variance) }""",
        gamma=(4,),
        beta=(4,),
        mean=(4,),
        variance=(4,),
    )
    assert graph.parameters == 4 * 4


@pytest.mark.parametrize(
    ("node", "module"),
    [
        ("/conv1/Conv", "conv1"),
        ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"),
        ("/stages/stages.0/stages.0.1/conv/Conv", "stages.0.1.conv"),  # a Sequential in a Sequential
        ("/stage2.0/branches.0/branches.0.0/conv1/Conv", "stage2.0.branches.0.0.conv1"),  # in a ModuleList
        ("/down.1/down.1.0/down.1.0.0/Conv", "down.1.0.0"),
        ("/conv/conv/conv.0/Conv", "conv.conv.0"),
    ],
)
def test_a_layer_of_torchscript_is_called_what_pytorch_calls_its_module(node: str, module: str) -> None:
    text = "agraph (float[N,3,8,8] x) => (float[N,4,6,6] y) { y = Conv(x, w) }"
    assert [layer.name for layer in of_pytorch(text, (node,), w=(4, 3, 3, 3)).layers] == [module]


def test_a_module_gives_its_name_to_the_layer_that_holds_its_weights() -> None:
    text = """agraph (float[N,8,1,1] x) => (float[N,4] y) {
        rows = Flatten(x) y = Gemm(rows, w) }"""
    layers = of_pytorch(text, ("/head/Flatten", "/head/Gemm"), w=(8, 4)).layers
    assert [(layer.name, layer.kind) for layer in layers] == [("head/flatten", "Flatten"), ("head", "Dense")]


def test_a_padded_convolution_is_called_after_its_own_module() -> None:
    text = """agraph (float[N,3,8,8] x) => (float[N,4,8,8] y) <int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}> {
        wide = Pad(x, pads) y = Conv(wide, w) }"""
    layers = of_pytorch(text, ("/stem/Pad", "/stem/conv/Conv"), w=(4, 3, 3, 3)).layers
    assert [layer.name for layer in layers] == ["stem.conv"]


def of_pytorch(text: str, nodes: tuple[str, ...], **weights: tuple[int, ...]) -> Graph:
    """Raise ONNX text as PyTorch's exporter would have written it, with these names of its nodes."""
    model = parser.parse_model(HEAD + text)
    model.producer_name = "pytorch"
    for node, name in zip(model.graph.node, nodes, strict=True):
        node.name = name
    for name, shape in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    return load_onnx_bytes(model.SerializeToString())


def test_weights_inside_control_flow_count_and_its_macs_are_unknown() -> None:
    graph = raised(
        """agraph (float[N,8] x, bool c) => (float[N,4] y) {
            y = If(c) <then_branch = a () => (float[N,4] p) { p = MatMul(x, w) },
                       else_branch = b () => (float[N,4] q) { q = MatMul(x, v) }> }""",
        w=(8, 4),
        v=(8, 4),
    )
    (branch,) = graph.layers
    assert isinstance(branch, Opaque)
    assert graph.parameters == 64
    assert Context(graph).macs is None


def test_model_local_functions_are_inlined() -> None:
    model = parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
        agraph (float[N,8] x) => (float[N,4] y) { y = local.fc(x, w, b) }
        <opset_import: ["" : 17], domain: "local"> fc (a, k, c) => (r) { m = MatMul(a, k) s = Add(m, c) r = Relu(s) }"""
    )
    for name, shape in {"w": (8, 4), "b": (4,)}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    graph = load_onnx_bytes(model.SerializeToString())
    assert kinds(graph) == ["Dense", "relu"]
    assert graph.parameters == 36


def test_a_transposed_convolution_costs_each_input_times_each_tap() -> None:
    graph = raised(
        "agraph (float[1,6,5,5] x) => (float[1,4,11,11] y) { y = ConvTranspose<strides = [2, 2]>(x, w) }",
        w=(6, 4, 3, 3),
    )
    assert Context(graph).macs == 5 * 5 * 6 * 4 * 3 * 3
    assert graph.layers[0].output.shape == (1, 4, 11, 11)


def test_an_unused_initializer_is_no_parameter_and_is_kept_apart() -> None:
    graph = raised("agraph (float[N,4] x) => (float[N,4] y) { y = Relu(x) }", dead=(100,))
    assert graph.parameters == 0
    assert [(weight.name, weight.nbytes) for weight in graph.unused] == [("dead", 400)]


def test_an_operator_of_a_foreign_domain_is_opaque_with_its_weights() -> None:
    graph = raised(
        "agraph (float[N,4] x) => (float[N,4] y) { y = com.acme.Magic(x, w) }",
        head='<ir_version: 8, opset_import: ["" : 17, "com.acme" : 1]>',
        w=(4, 4),
    )
    (layer,) = graph.layers
    assert isinstance(layer, Opaque)
    assert "com.acme" in layer.reason
    assert graph.parameters == 16
    assert Context(graph).macs is None


def test_a_tensor_of_a_claimed_trillion_elements_is_only_a_number() -> None:
    model = parser.parse_model(HEAD + "agraph (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")
    node = helper.make_node("ConstantOfShape", ["big"], ["filled"])
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**20, 2**20]), "big"))
    model.graph.node.append(node)
    model.graph.output.append(helper.make_tensor_value_info("filled", TensorProto.FLOAT, None))
    graph = load_onnx_bytes(model.SerializeToString())
    assert graph.outputs[1].shape == (2**20, 2**20)


def test_a_cycle_is_named() -> None:
    with pytest.raises(ModelError, match=r"cyclic.*first.*second"):
        load_onnx_bytes(_model(("Relu", "first", "b", "a"), ("Relu", "second", "a", "b")))


def test_an_input_that_nothing_produces_is_named() -> None:
    with pytest.raises(ModelError, match=r"'lost'.*'ghost', which nothing produces"):
        load_onnx_bytes(_model(("Relu", "lost", "ghost", "a")))


def test_nodes_in_any_acyclic_order_are_put_in_order() -> None:
    graph = load_onnx_bytes(_model(("Relu", "later", "b", "a"), ("Tanh", "sooner", "x", "b")))
    assert [layer.name for layer in graph.layers] == ["sooner", "later"]


def test_a_domain_that_the_file_does_not_import_is_named() -> None:
    with pytest.raises(ModelError, match=r"Magic.*com\.acme.*imports no version"):
        raised("agraph (float[N,4] x) => (float[N,4] y) { y = com.acme.Magic(x) }")


def _model(*nodes: tuple[str, str, str, str]) -> bytes:
    made = [helper.make_node(op, [source], [target], name=name) for op, name, source, target in nodes]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    result = helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4])
    return helper.make_model(helper.make_graph(made, "g", [value], [result]), ir_version=8).SerializeToString()


def test_opsets_are_read_from_seven_on() -> None:
    for opset in range(7, onnx.defs.onnx_opset_version() + 1):
        graph = raised(
            "agraph (float[1,3,8,8] x) => (float[1,4] y) {"
            " h = Conv(x, w) r = Relu(h) p = GlobalAveragePool(r) y = Flatten(p) }",
            head=f'<ir_version: 8, opset_import: ["" : {opset}]>',
            w=(4, 3, 3, 3),
        )
        assert kinds(graph) == ["Conv", "relu", "GlobalPool"]


def test_a_cell_put_together_from_slices_of_a_weight_has_it_once() -> None:
    """PyTorch orders the gates of an LSTM in another way than ONNX, which is a Concat of slices."""
    graph = raised(
        """agraph (float[5,N,3] x) => (float[5,1,N,4] y) {
            s0 = Constant<value_ints = [0]>() s1 = Constant<value_ints = [8]>() s2 = Constant<value_ints = [16]>()
            a = Constant<value_ints = [0]>()
            w0 = Slice(w, s0, s1, a) w1 = Slice(w, s1, s2, a) ww = Concat<axis = 0>(w1, w0) kernel = Unsqueeze(ww, a)
            r0 = Slice(r, s0, s1, a) r1 = Slice(r, s1, s2, a) rr = Concat<axis = 0>(r1, r0) state = Unsqueeze(rr, a)
            y = LSTM<hidden_size = 4>(x, kernel, state) }""",
        w=(16, 3),
        r=(16, 4),
    )
    (cell,) = graph.layers
    assert isinstance(cell, Recurrent)
    assert cell.parameters == graph.parameters == 4 * 4 * (3 + 4)


def test_a_sequence_is_raised_with_its_batch_first() -> None:
    graph = raised(
        """agraph (float[5,N,3] x) => (float[5,N,8] y) {
            o = LSTM<hidden_size = 4, direction = "bidirectional">(x, w, r)
            t = Transpose<perm = [0, 2, 1, 3]>(o) s = Constant<value_ints = [0, 0, 8]>() y = Reshape(t, s) }""",
        w=(2, 16, 3),
        r=(2, 16, 4),
    )
    assert [(layer.kind, layer.output.shape) for layer in graph.layers] == [
        ("Recurrent", ("N", 5, 2, 4)),
        ("Reshape", ("N", 5, 8)),
    ]
    assert graph.inputs[0].shape == ("N", 5, 3)
    assert Context(graph).macs == 2 * 5 * 4 * 4 * (3 + 4)


@pytest.mark.parametrize(("producer", "parameters"), [("pytorch", 0), ("", 8)])
def test_ones_and_zeros_that_pytorch_gives_an_instance_norm_are_no_parameters(producer: str, parameters: int) -> None:
    head = f'<ir_version: 8, opset_import: ["" : 17], producer_name: "{producer}">'
    text = "agraph (float[N,4,6,6] x) => (float[N,4,6,6] y) { y = InstanceNormalization(x, val_1, val_2) }"
    assert raised(text, head=head, val_1=(4,), val_2=(4,)).parameters == parameters


def test_a_mean_over_a_signal_with_an_added_axis_is_a_global_pooling() -> None:
    """So PyTorch's dynamo exporter writes AdaptiveAvgPool1d(1)."""
    graph = raised(
        """agraph (float[N,4,50] x) => (float[N,4] y) {
            a = Constant<value_ints = [-2]>() b = Constant<value_ints = [-1, -2]>() u = Unsqueeze(x, a)
            m = ReduceMean<axes = [-1, -2], keepdims = 1>(u) q = Squeeze(m, a)
            s = Constant<value_ints = [0, 4]>() y = Reshape(q, s) }"""
    )
    (pool,) = graph.layers
    assert isinstance(pool, GlobalPool)
    assert pool.output.shape == ("N", 4)


CHUNK = """agraph (float[N,6,4,4] x) => (float[N,2,4,4] y) {{
    size = Constant<value_int = {size}>() first = Constant<value_int = 0>() second = Constant<value_int = 1>()
    parts = SplitToSequence<axis = 1>(x, size) a = SequenceAt(parts, first) b = SequenceAt(parts, {other})
    y = {joined} }}"""


def test_a_chunk_of_pytorch_is_a_split() -> None:
    graph = raised(CHUNK.format(size=3, other="second", joined="Add(b, a)"))
    split, add = graph.layers
    assert isinstance(split, Split)
    assert (split.axis, [tensor.shape for tensor in split.outputs]) == (1, [("N", 3, 4, 4)] * 2)
    assert [tensor.name for tensor in add.inputs] == ["b", "a"]


@pytest.mark.parametrize(("size", "other"), [(0, "second"), (6, "second"), (3, "n")])
def test_a_sequence_whose_parts_are_not_known_is_kept(size: int, other: str) -> None:
    text = CHUNK.format(size=size, other=other, joined="Identity(a)").replace("x)", "x, int64 n)", 1)
    graph = raised(text)
    assert "Split" not in kinds(graph)
    assert "Operator" in kinds(graph)


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (((0, 2), (2, 6)), "Split"),
        (((0, 2), (3, 6)), "Crop"),
        (((0, 2), (1, 6)), "Crop"),
        (((0, 2), (2, 5)), "Crop"),
        (((-4, 6), (0, 2)), "Split"),
    ],
)
def test_slices_that_cover_a_tensor_are_a_split(parts: tuple[tuple[int, int], ...], kind: str) -> None:
    """So PyTorch's TorchScript exporter writes a chunk."""
    text = "".join(
        f"s{i} = Constant<value_ints = [{start}]>() e{i} = Constant<value_ints = [{end}]>()"
        f" p{i} = Slice(x, s{i}, e{i}, axis) r{i} = {activation}(p{i})"
        for i, ((start, end), activation) in enumerate(zip(parts, ("Relu", "Tanh"), strict=True))
    )
    graph = raised(
        f"""agraph (float[N,6,4,4] x) => (float[N,c,4,4] y) {{
            axis = Constant<value_ints = [1]>() {text} y = Concat<axis = 1>(r0, r1) }}"""
    )
    assert kinds(graph)[0] == kind
    assert graph.layers[-1].output.shape == ("N", sum(end - max(start, start % 6) for start, end in parts), 4, 4)


@pytest.mark.parametrize(
    ("quantized", "zero", "products"), [(1, 0, [0.25]), (8, 0, [2.0]), (8, 4, []), (-8, 0, [-2.0]), (6, 4, [0.5])]
)
def test_a_quantized_number_is_the_one_that_it_stands_for(quantized: int, zero: int, products: list[float]) -> None:
    """A product with (8 − 4) × 0.25 is none."""
    graph = raised(
        f"""agraph (float[N,4] x) => (float[N,4] y)
            <int8 q = {{{quantized}}}, float s = {{0.25}}, int8 z = {{{zero}}}>
            {{ d = DequantizeLinear(q, s, z) h = Relu(x) y = Mul(h, d) }}"""
    )
    assert [layer.constant for layer in graph.layers if isinstance(layer, Elementwise)] == products


def test_twice_the_slope_of_a_prelu_is_none() -> None:
    graph = raised(
        "agraph (float[N,4,6,6] x) => (float[N,4,6,6] y) { n = Neg(x) r = Relu(n) m = Mul(r, w) y = Add(m, m) }",
        w=(4, 1, 1),
    )
    assert kinds(graph) == ["Elementwise", "relu", "Elementwise", "Add"]


def test_an_expand_to_more_axes_between_reshapes_is_no_upsampling() -> None:
    graph = raised(
        """agraph (float[2,4,5,6] x) => (float[3,2,20,6] y) {
            a = Constant<value_ints = [3]>() u = Unsqueeze(x, a)
            s = Constant<value_ints = [3, 1, 1, 1, 1, 1]>() e = Expand(u, s)
            t = Constant<value_ints = [3, 2, 20, 6]>() y = Reshape(e, t) }"""
    )
    assert "Resize" not in kinds(graph)


def test_a_turned_map_whose_last_extent_is_unknown_is_reshaped_without_a_crash() -> None:
    graph = raised(
        """agraph (float[N,4,5,C] x, int64 n) => (float[N,4,5] y) {
            t = Transpose<perm = [0, 3, 1, 2]>(x) c = Relu(t) b = Transpose<perm = [0, 2, 3, 1]>(c)
            s = Constant<value_ints = [0, 4, 5]>() y = Reshape(b, s) }"""
    )
    assert graph.layers[-1].output.shape == ("N", 4, 5)
