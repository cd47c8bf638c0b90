"""The statistics of weights, held against numpy on the same values; and what is read of a file, and how often."""

from __future__ import annotations

from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from cnnlint import RuleError, lint, load
from cnnlint.analysis import weight_values
from cnnlint.analysis.context import Context
from cnnlint.analysis.filters import filters
from cnnlint.analysis.weight_values import WeightValues, measured
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.sources import LocalFile, in_steps
from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import Weight, forbid_values

MODELS = Path(__file__).parents[3] / "fixtures" / "models"

TYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


class InMemory:
    """Values of an array, in pieces."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.nbytes = values.nbytes
        self.passes = 0

    def read(self):
        return self.values

    def pieces(self, buffer, step):
        self.passes += 1
        yield from in_steps(self.values.reshape(-1), buffer, step)


def weight_of(values: np.ndarray, dtype: str, axes: tuple[int, ...]) -> Weight:
    return Weight("w", values.shape, dtype, "kernel", None, InMemory(values), axes)


@st.composite
def kernels(draw):
    dtype = draw(st.sampled_from(sorted(TYPES)))
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    first = draw(st.integers(0, len(shape) - 1))
    axes = draw(st.sampled_from([(), (first,), tuple(range(first, min(first + 2, len(shape))))]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.standard_normal(shape) * 10.0 ** draw(st.integers(-6, 4))
    flat = values.reshape(-1)
    for bad in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0]), max_size=3)):
        flat[rng.integers(flat.size)] = bad
    with np.errstate(over="ignore"):
        return values.astype(TYPES[dtype]), dtype, axes


@given(kernels(), st.sampled_from([1 << 7, 1 << 10, 1 << 20]))
@settings(max_examples=3 * settings.default.max_examples)
def test_lowest_and_highest_of_each_channel_are_numpys_whatever_the_type_the_layout_and_the_buffer(kernel, size):
    values, dtype, axes = kernel
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weight_values, "BUFFER", size)
        found = measured(weight_of(values, dtype, axes), memoryview(bytearray(size)))
    plain = values.astype(np.float64)
    if found.by_channel:
        rest = tuple(axis for axis in range(values.ndim) if axis not in axes)
        lowest, highest = plain.min(axis=rest).reshape(-1), plain.max(axis=rest).reshape(-1)
    else:
        lowest, highest = plain.min().reshape(1), plain.max().reshape(1)
    np.testing.assert_array_equal(found.lowest, lowest)
    np.testing.assert_array_equal(found.highest, highest)
    assert (found.nan, found.infinite) == (np.isnan(plain).sum(), np.isinf(plain).sum())
    bad = np.argwhere(~np.isfinite(plain))
    assert found.first == (tuple(bad[0]) if len(bad) else ())
    if found.vector is not None:
        np.testing.assert_array_equal(found.vector, plain.reshape(-1))


def test_channels_are_known_unless_one_is_larger_than_the_buffer():
    values = np.arange(64, dtype=np.float32).reshape(4, 16)
    assert measured(weight_of(values, "float32", (0,)), memoryview(bytearray(1 << 20))).by_channel
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weight_values, "BUFFER", 64)
        assert not measured(weight_of(values, "float32", (0,)), memoryview(bytearray(64))).by_channel


def model_of(*arrays: np.ndarray, op: str = "Conv", **attributes) -> onnx.ModelProto:
    """Return a chain of layers with these kernels."""
    nodes = [
        helper.make_node(op, [f"x{at}", f"w{at}"], [f"x{at + 1}"], name=f"layer{at}", **attributes)
        for at in range(len(arrays))
    ]
    rank = arrays[0].ndim
    channels = arrays[0].shape[1] if op == "Conv" else arrays[0].shape[0]
    shape = ["N", channels, *[8] * (rank - 2)]
    last = ["N", None, *[None] * (rank - 2)]
    kind = helper.np_dtype_to_tensor_dtype(arrays[0].dtype)
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x0", kind, shape)],
        [helper.make_tensor_value_info(f"x{len(arrays)}", kind, last)],
        [numpy_helper.from_array(array, f"w{at}") for at, array in enumerate(arrays)],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def graph_of(model: onnx.ModelProto) -> Graph:
    return load_onnx_bytes(model.SerializeToString())


def only(graph: Graph):
    (found,) = filters(Context(graph))
    return found


def random(*shape: int, dtype=np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_raw_data_and_typed_fields_are_read_alike(dtype):
    kernel = random(5, 3, 2, 2, dtype=dtype)
    raw = model_of(kernel)
    typed = model_of(kernel)
    tensor = typed.graph.initializer[0]
    tensor.CopyFrom(helper.make_tensor("w0", tensor.data_type, kernel.shape, kernel.reshape(-1)))
    assert tensor.raw_data == b""
    for model in (raw, typed):
        found = only(graph_of(model))
        np.testing.assert_array_equal(found.statistics.lowest, kernel.min(axis=(1, 2, 3)))
        np.testing.assert_array_equal(found.statistics.highest, kernel.max(axis=(1, 2, 3)))


def test_external_data_is_read_where_it_lies(tmp_path: Path):
    kernel = random(5, 3, 2, 2)
    onnx.save(model_of(kernel), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    found = only(load(str(tmp_path / "m.onnx")))
    np.testing.assert_array_equal(found.statistics.lowest, kernel.min(axis=(1, 2, 3)))


@pytest.mark.parametrize(
    ("op", "shape", "attributes", "rest"),
    [
        ("Conv", (6, 3, 2, 2), {}, (1, 2, 3)),
        ("ConvTranspose", (3, 6, 2, 2), {}, (0, 2, 3)),
        ("Gemm", (3, 7), {}, (0,)),
        ("Gemm", (7, 3), {"transB": 1}, (1,)),
        ("MatMul", (3, 7), {}, (0,)),
    ],
)
def test_output_channels_are_where_each_operator_has_them(op, shape, attributes, rest):
    kernel = random(*shape)
    model = model_of(kernel, op=op, **attributes)
    if attributes.get("transB"):
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    found = only(graph_of(model))
    np.testing.assert_array_equal(found.statistics.lowest, kernel.min(axis=rest).reshape(-1))


def test_a_kernel_that_the_graph_transposes_first_is_not_taken_for_one_stored_so():
    model = model_of(random(4, 4), op="MatMul")
    model.graph.node[0].input[1] = "turned"
    model.graph.node.insert(0, helper.make_node("Transpose", ["w0"], ["turned"]))
    assert not list(filters(Context(graph_of(model))))


def test_each_weight_is_read_once_for_all_rules_and_a_shared_one_too():
    first, second = random(4, 4, 1, 1), random(4, 4, 1, 1, seed=1)
    model = model_of(first, second, first)
    model.graph.node[2].input[1] = "w0"
    graph = graph_of(model)
    stores = dict[str, InMemory]()
    layers = []
    for layer in graph.layers:
        weight = layer.weights[0]
        store = stores.setdefault(weight.key, InMemory(weight.values()))
        layers.append(
            type(layer)(
                **{name: getattr(layer, name) for name in layer.__struct_fields__ if name != "weights"},
                weights=(Weight(weight.key, weight.shape, weight.dtype, "kernel", None, store, weight.channel_axes),),
            )
        )
    context = Context(Graph(tuple(layers), graph.inputs, graph.outputs, graph.source))
    for _ in range(3):
        assert len(list(filters(context))) == 2
        assert context.weight_values.of(layers[2].weights[0]) is not None
        assert context.weight_values.identical_channels(layers[0].weights[0]) == ()
    assert [store.passes for store in stores.values()] == [1, 1]


def test_equal_filters_are_found_and_those_that_only_have_the_same_extremes_are_not():
    kernel = random(7, 3, 2, 2)
    kernel[5] = kernel[1]
    kernel[6] = kernel[1]
    kernel[3] = np.flip(kernel[2])  # the same extremes
    graph = graph_of(model_of(kernel))
    assert WeightValues(graph).identical_channels(graph.layers[0].weights[0]) == ((1, 5, 6),)


def test_equal_columns_of_a_matrix_are_found():
    kernel = random(300, 40)
    kernel[:, 31] = kernel[:, 2]
    kernel[:, 5] = 0
    kernel[:, 6] = 0
    graph = graph_of(model_of(kernel, op="MatMul"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weight_values, "BUFFER", 1 << 10)
        assert WeightValues(graph).identical_channels(graph.layers[0].weights[0]) == ((2, 31),)


def test_a_rule_that_does_not_say_that_it_reads_values_is_told_nothing_of_them_even_later():
    context = Context(graph_of(model_of(random(4, 3, 1, 1))))
    assert list(filters(context))
    with forbid_values("it may not"), pytest.raises(RuleError, match="it may not"):
        list(filters(context))


def test_integers_and_weights_that_the_file_only_promises_are_left_alone():
    model = model_of(random(4, 3, 1, 1))
    shape = numpy_helper.from_array(np.array([4, 3, 1, 1]), "shape")
    del model.graph.initializer[:]
    model.graph.initializer.append(shape)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["w0"]))
    values = WeightValues(graph_of(model))
    assert not values.unread
    assert values.of(graph_of(model).layers[0].weights[0]) is None


def test_weights_that_lie_in_one_another_are_read_as_often_as_the_limit_allows(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnlint.limits.VALUES_SPARE", 0)
    monkeypatch.setattr("cnnlint.limits.VALUES_A_BYTE", 4)
    size = 1 << 16
    (tmp_path / "m.data").write_bytes(random(size).tobytes())
    model = model_of(*[np.zeros((1, 1, 1, 1), np.float32)] * 60)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.dims[:] = [size >> 2, 1, 2, 2] if tensor.name == "w0" else [1, size >> 2, 2, 2]
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "m.data"), ("offset", "0"), ("length", str(4 * size))):
            tensor.external_data.add(key=key, value=value)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    read = list[int]()
    plain = LocalFile.read_into
    monkeypatch.setattr(
        LocalFile, "read_into", lambda self, offset, buffer: read.append(len(buffer)) or plain(self, offset, buffer)
    )
    graph = load(str(tmp_path / "m.onnx"))
    values = WeightValues(graph)
    assert sum(read) <= 4 * (graph.source.file_bytes or 0)
    assert any("which is cnnlint's limit" in cause for cause in values.unread.values())


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"chunks": (2, 3, 2, 4)},
        {"chunks": True},
        {"chunks": (3, 3, 3, 8), "compression": "gzip", "shuffle": True},
        {"chunks": (1, 2, 3, 3), "compression": "gzip", "compression_opts": 9, "fletcher32": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_values_of_keras_files_are_read_however_they_are_stored_and_without_h5py(stored, dtype, tmp_path, monkeypatch):
    kernel = random(3, 3, 3, 8).astype(dtype)
    kernel[2, 1, 0, 5] = 7.5
    path = tmp_path / "net.h5"
    path.write_bytes((MODELS / "seed_cnn.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        names = list[str]()
        file.visit(lambda name: names.append(name) if name.endswith("kernel") else None)
        del file[names[0]]
        file.create_dataset(names[0], data=kernel, **stored)
    monkeypatch.setattr("h5py.File", None)
    graph = load(str(path))
    found = WeightValues(graph).of(next(weight for weight in graph.weights if weight.shape == kernel.shape))
    assert found is not None
    np.testing.assert_array_equal(found.lowest, kernel.min(axis=(0, 1, 2)))
    np.testing.assert_array_equal(found.highest, kernel.max(axis=(0, 1, 2)))


def test_what_only_h5py_can_read_is_said_and_not_looked_at(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes((MODELS / "seed_cnn.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        names = list[str]()
        file.visit(lambda name: names.append(name) if name.endswith("kernel") else None)
        kernel = file[names[0]][()]
        del file[names[0]]
        file.create_dataset(names[0], data=np.zeros_like(kernel), chunks=True, compression="lzf")
    (report,) = lint(str(path), select=["WT"]).models
    assert any("filter 32000, which only h5py undoes" in note for note in report.notes)


def test_chunks_that_are_damaged_are_said_to_be(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes((MODELS / "seed_cnn.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        names = list[str]()
        file.visit(lambda name: names.append(name) if name.endswith("kernel") else None)
        kernel = file[names[0]][()]
        del file[names[0]]
        place = file.create_dataset(names[0], data=kernel, chunks=kernel.shape, compression="gzip")
        start, length = place.id.get_chunk_info(0).byte_offset, place.id.get_chunk_info(0).size
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    (report,) = lint(str(path), select=["WT"]).models
    assert any("a chunk cannot be read" in note for note in report.notes)
