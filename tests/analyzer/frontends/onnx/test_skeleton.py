"""The skeleton says what onnx says of the same file, weights included, and touches none of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper

import zoo
from cnnlint.frontends.onnx import datatypes
from cnnlint.frontends.onnx.external import LocalFolder
from cnnlint.frontends.onnx.records import SMALL
from cnnlint.frontends.onnx.skeleton import read, read_bytes, read_source
from cnnlint.frontends.sources import LocalFile, local_file
from cnnlint.graph.tensor import BITS
from skeletons import agreement

SHIPPED = Path(onnx.__file__).parent / "backend" / "test" / "data"
FOLDERS = sorted(folder.name for folder in SHIPPED.iterdir() if next(folder.rglob("*.onnx"), None))


@pytest.mark.parametrize("folder", FOLDERS)
def test_agrees_with_onnx_on_the_models_that_onnx_ships(folder):
    for path in sorted((SHIPPED / folder).rglob("*.onnx")):
        agreement.assert_same_model(read(str(path)), onnx.load(path), str(path.parent))


def test_agrees_with_onnx_on_the_model_of_every_operator_test():
    models = zoo.operator_cases()
    assert len(models) > 1000
    for model in models:
        agreement.assert_same_model(read_bytes(model.SerializeToString()), model)


def model_of(*, nodes=(), initializers=(), **parts) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "g", [], [], list(initializers), **parts)
    return helper.make_model(graph)


NUMPY_TYPES = st.sampled_from(
    ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
     "complex64", "complex128"]
)  # fmt: skip
ARRAYS = NUMPY_TYPES.flatmap(
    lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9))
)


def typed(array: np.ndarray, name: str) -> onnx.TensorProto:
    """A tensor whose values stand in the typed field and not in raw_data."""
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor(name, code, array.shape, array.reshape(-1))


@given(array=ARRAYS)
@settings(deadline=None, max_examples=settings.default.max_examples * 3 // 2)
def test_reads_any_array_from_raw_data_and_from_typed_fields(array):
    raw, fields = numpy_helper.from_array(array, "raw"), typed(array, "fields")
    model = model_of(initializers=[raw, fields])
    record = read_bytes(model.SerializeToString())
    agreement.assert_same_model(record, model)
    if array.dtype.kind != "c" and array.size <= SMALL:
        for tensor in record.graph.initializers.values():
            assert tensor.values is not None
            np.testing.assert_array_equal(np.array(tensor.values, dtype=array.dtype), array.reshape(-1))


NARROW = [
    TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2,
    TensorProto.FLOAT8E5M2FNUZ, TensorProto.UINT4, TensorProto.INT4, TensorProto.FLOAT4E2M1,
    *(code for name, code in TensorProto.DataType.items() if name in {
        "FLOAT8E8M0", "UINT2", "INT2", "FLOAT6E2M3", "FLOAT6E3M2"}),
]  # fmt: skip


@pytest.mark.parametrize("code", NARROW, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 64, 65, 301])
def test_reads_the_types_that_numpy_lacks(code, raw, count):
    bits = np.random.default_rng(count).integers(0, 256, 2 * count, dtype=np.uint8)
    array = bits[:count].astype(np.int8).clip(-8, 7).astype(helper.tensor_dtype_to_np_dtype(code))
    if raw:
        tensor = numpy_helper.from_array(array, "w")
    else:
        tensor = helper.make_tensor("w", code, [count], array.astype(np.float32))
    model = model_of(initializers=[tensor])
    record = read_bytes(model.SerializeToString())
    agreement.assert_same_model(record, model)
    if raw:
        assert record.graph.initializers["w"].storage.nbytes == len(tensor.raw_data)


def test_names_every_type_that_onnx_knows():
    for name, code in TensorProto.DataType.items():
        if name != "UNDEFINED":
            value = helper.make_tensor_value_info("x", code, [1])
            model = model_of(value_info=[value])
            assert read_bytes(model.SerializeToString()).graph.value_infos["x"].dtype == agreement.dtype_name(code)


def test_reads_typed_values_that_are_not_packed():
    packed = TensorProto(dims=[3], data_type=TensorProto.FLOAT, name="w", float_data=[1.5, -2.0, 3.25])
    assert packed.SerializeToString().count(b"\x22\x0c") == 1
    scattered = TensorProto(dims=[3], data_type=TensorProto.FLOAT, name="w").SerializeToString()
    scattered += b"".join(b"\x25" + np.float32(value).tobytes() for value in packed.float_data)
    integers = TensorProto(dims=[3], data_type=TensorProto.INT64, name="i").SerializeToString()
    integers += b"\x38\x07\x38" + b"\xff" * 9 + b"\x01" + b"\x3a\x01\x09"
    graph = b"".join(b"\x2a" + bytes([len(tensor)]) + tensor for tensor in (scattered, integers))
    data = b"\x08\x08\x3a" + bytes([len(graph)]) + graph + b"\x42\x02\x10\x11"
    record = read_bytes(data)
    agreement.assert_same_model(record, onnx.ModelProto.FromString(data))
    assert record.graph.initializers["w"].values == (1.5, -2.0, 3.25)
    assert record.graph.initializers["i"].values == (7, -1, 9)


FINITE = st.floats(width=32, allow_nan=False)
NAMES = st.text(max_size=12).filter(lambda text: "\0" not in text)
ATTRIBUTES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    FINITE,
    st.binary(max_size=40),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40),
    st.lists(FINITE, min_size=1, max_size=40),
    st.lists(st.binary(max_size=8), min_size=1, max_size=5),
    ARRAYS.map(lambda array: numpy_helper.from_array(array, "t")),
    ARRAYS.map(lambda array: typed(array, "t")),
)


@st.composite
def nodes(draw, depth=0):
    node = helper.make_node(
        draw(NAMES.filter(bool)),
        draw(st.lists(NAMES, max_size=4)),
        draw(st.lists(NAMES, max_size=3)),
        name=draw(NAMES),
        domain=draw(st.sampled_from(["", "ai.onnx", "ai.onnx.ml", "com.example"])),
    )
    for key, value in draw(st.dictionaries(st.text("abcdef", min_size=1), ATTRIBUTES, max_size=4)).items():
        node.attribute.append(helper.make_attribute(key, value))
    if draw(st.booleans()):
        node.doc_string = draw(st.text(max_size=2000))
    if depth < 2 and draw(st.booleans()):
        inner = draw(st.lists(nodes(depth + 1), max_size=2))
        weights = [numpy_helper.from_array(draw(ARRAYS), "inner")]
        body = helper.make_graph(inner, draw(NAMES), [], [], weights)
        node.attribute.append(helper.make_attribute("body", body))
        node.attribute.append(helper.make_attribute("bodies", [body, body]))
    return node


DIMS = st.one_of(st.none(), st.integers(0, 2**40), st.text("abxyz", min_size=1, max_size=5))
VALUES = st.builds(
    helper.make_tensor_value_info,
    NAMES,
    st.sampled_from([TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING, TensorProto.BFLOAT16]),
    st.none() | st.lists(DIMS, max_size=5),
)


@given(
    nodes=st.lists(nodes(), max_size=5),
    values=st.lists(VALUES, max_size=4),
    metadata=st.dictionaries(NAMES, NAMES, max_size=3),
    opsets=st.dictionaries(st.sampled_from(["", "ai.onnx.ml", "x"]), st.integers(1, 99), min_size=1),
)
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_agrees_with_onnx_on_generated_models(nodes, values, metadata, opsets):
    graph = helper.make_graph(nodes, "g", values, values, value_info=values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*entry) for entry in opsets.items()])
    helper.set_model_props(model, metadata)
    agreement.assert_same_model(read_bytes(model.SerializeToString()), model)


@pytest.mark.parametrize(
    "value",
    [3, 0.5, b"text", [1, 2], [0.5, 2.0], [b"a", b"b"], numpy_helper.from_array(np.ones(3, np.float32), "t")],
    ids=lambda value: type(value).__name__,
)
def test_an_attribute_that_does_not_declare_its_type_has_that_of_its_field(value):
    node = helper.make_node("Custom", [], ["y"], value=value)
    declared = onnx.NodeProto.FromString(node.SerializeToString())
    node.attribute[0].ClearField("type")
    record = read_bytes(model_of(nodes=[node]).SerializeToString()).graph.nodes[0]
    agreement.assert_same_nodes((record,), [declared], "")


def test_a_node_with_thousands_of_inputs_and_a_long_doc_string_is_read():
    names = [f"branch_{i}/output" for i in range(2000)]
    node = helper.make_node("Concat", names, ["y"], axis=1, doc_string="stack trace " * 1000)
    model = model_of(nodes=[node])
    agreement.assert_same_model(read_bytes(model.SerializeToString()), model)


def test_every_type_has_a_known_size_but_text():
    assert {name for name in datatypes.NAMES.values() if name not in BITS} == {"string"}


def test_keeps_references_defaults_and_opsets_of_functions():
    inner = helper.make_node("LeakyRelu", ["x"], ["y"])
    inner.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    function = helper.make_function(
        "my.domain", "Act", ["x"], ["y"], [inner], [helper.make_opsetid("", 18)], ["slope"],
        [helper.make_attribute("scale", 2.5)],
    )  # fmt: skip
    model = model_of(nodes=[helper.make_node("Act", ["a"], ["b"], domain="my.domain", slope=0.1)])
    model.functions.append(function)
    record = read_bytes(model.SerializeToString())
    agreement.assert_same_model(record, model)
    (act,) = record.functions.values()
    assert act.nodes[0].references == {"alpha": "slope"}
    assert act.attribute_defaults == {"scale": 2.5}


@pytest.mark.parametrize("rank", [1, 2])
def test_unfolds_sparse_initializers_and_attributes(rank):
    flat = np.array([2, 5, 11])
    indices = flat if rank == 1 else np.stack(np.unravel_index(flat, (3, 4)), axis=1)
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([1.0, -2.0, 3.0], np.float32), "w"),
        numpy_helper.from_array(indices.astype(np.int64), "w_indices"),
        [3, 4],
    )
    node = helper.make_node("Constant", [], ["c"], sparse_value=sparse)
    model = model_of(nodes=[node], sparse_initializer=[sparse])
    agreement.assert_same_model(read_bytes(model.SerializeToString()), model)


def test_leaves_out_training_information():
    model = model_of()
    training = model.training_info.add()
    training.algorithm.node.append(helper.make_node("Gradient", [], ["g"]))
    assert read_bytes(model.SerializeToString()).graph.nodes == ()


def test_a_dynamic_extent_written_as_minus_one_is_unknown():
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [-1, 3, "height", None])
    record = read_bytes(model_of(value_info=[value]).SerializeToString())
    assert record.graph.value_infos["x"].shape == (None, 3, "height", None)


def test_a_weight_that_was_stripped_has_no_storage():
    weight = TensorProto(dims=[64, 3, 7, 7], data_type=TensorProto.FLOAT, name="w")
    record = read_bytes(model_of(initializers=[weight]).SerializeToString()).graph.initializers["w"]
    assert (record.shape, record.storage) == ((64, 3, 7, 7), None)


def test_raw_data_is_mapped_and_located_in_the_file(tmp_path):
    array = np.arange(5000, dtype=np.float32)
    model = model_of(initializers=[numpy_helper.from_array(array, "w")])
    path = str(tmp_path / "m.onnx")
    onnx.save(model, path)
    record = read(path)
    storage = record.graph.initializers["w"].storage
    values = storage.read()
    assert not values.flags.owndata
    assert not values.flags.writeable
    file, offset, length = storage.source.path, storage.offset, storage.length
    assert Path(file).read_bytes()[offset : offset + length] == array.tobytes()
    assert record.file_bytes == Path(path).stat().st_size


def test_repeated_attributes_keep_the_values_of_their_own_node():
    ones = [
        helper.make_node("Constant", [], [f"c{i}"], value=numpy_helper.from_array(np.float32(i % 3))) for i in range(9)
    ]
    model = model_of(nodes=ones)
    agreement.assert_same_model(read_bytes(model.SerializeToString()), model)


class CountingFile(LocalFile):
    """A file that counts the bytes that are asked of it."""

    asked = 0

    def read(self, offset: int, length: int) -> bytes:
        self.asked += length
        return super().read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        raise AssertionError("values were mapped")


def sparse_file(path: Path, payload: int) -> None:
    """Write a model whose one weight has `payload` bytes that no disk block holds."""
    tensor = TensorProto(dims=[payload // 4], data_type=TensorProto.FLOAT, name="w").SerializeToString()
    tensor += b"\x4a" + varint(payload)
    rest = model_of(nodes=[helper.make_node("Relu", ["w"], ["y"])]).graph.SerializeToString()
    graph = b"\x2a" + varint(len(tensor) + payload) + tensor
    with path.open("wb") as file:
        file.write(b"\x08\x08\x3a" + varint(len(graph) + payload + len(rest)) + graph)
        file.seek(payload, 1)
        file.write(rest + b"\x42\x02\x10\x11")


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def test_no_byte_of_a_payload_of_two_gigabytes_is_touched(tmp_path):
    path = tmp_path / "large.onnx"
    sparse_file(path, 2**31)
    source = CountingFile(str(path), path.stat().st_size)
    record = read_source(source, LocalFolder(str(path)), str(path))
    assert record.graph.nodes[0].op_type == "Relu"
    assert record.graph.initializers["w"].shape == (2**29,)
    assert source.asked < 2000


def test_the_bytes_read_do_not_depend_on_the_size_of_the_weights(tmp_path):
    asked = set()
    for exponent in (24, 25, 27):  # sizes whose varints are of one length
        path = tmp_path / f"{exponent}.onnx"
        sparse_file(path, 2**exponent + 2**22)
        source = CountingFile(str(path), path.stat().st_size)
        read_source(source, None, str(path))
        asked.add(source.asked)
    assert len(asked) == 1


@pytest.mark.parametrize("holder", ["initializer", "constant", "constants", "subgraph", "function"])
def test_no_payload_is_touched_wherever_a_tensor_stands(holder, tmp_path):
    tensor = numpy_helper.from_array(np.ones(100_000, np.float32), "w")
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    body = helper.make_graph([constant], "body", [], [], [tensor])
    model = {
        "initializer": lambda: model_of(initializers=[tensor, typed(np.ones(100_000, np.float32), "t")]),
        "constant": lambda: model_of(nodes=[constant]),
        "constants": lambda: model_of(nodes=[helper.make_node("Custom", [], ["w"], several=[tensor, tensor])]),
        "subgraph": lambda: model_of(nodes=[helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)]),
        "function": model_of,
    }[holder]()
    if holder == "function":
        opset = [helper.make_opsetid("", 18)]
        model.functions.append(helper.make_function("d", "F", [], ["w"], [constant], opset))
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    source = CountingFile(str(path), path.stat().st_size)
    read_source(source, None, str(path))
    assert source.asked < 5000
    agreement.assert_same_model(read(str(path)), model)


def test_imports_neither_onnx_nor_numpy_nor_protobuf():
    path = SHIPPED / "light" / "light_squeezenet.onnx"
    script = (
        "import sys; from cnnlint.frontends.onnx.skeleton import read; read(sys.argv[1]);"
        "print(*sorted({'numpy', 'onnx', 'google', 'onnxruntime', 'h5py', 'dataclasses'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_file_read_in_blocks_is_the_file(tmp_path):
    content = np.random.default_rng(0).bytes(300_000)
    path = tmp_path / "f"
    path.write_bytes(content)
    file = local_file(str(path))
    rng = np.random.default_rng(1)
    for offset, length in zip(rng.integers(0, 300_100, 500), rng.integers(0, 70_000, 500) // 50, strict=True):
        assert file.read(int(offset), int(length)) == content[offset : offset + length]
        assert file.read(int(offset) + 3, 90_000) == content[offset + 3 : offset + 90_003]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_agrees_with_onnx_on_what_tf2onnx_writes(name):
    path = zoo.onnx_path(name)
    agreement.assert_same_model(read(str(path)), onnx.load(path), str(path.parent))
