"""What onnx itself says of a model, in the terms of the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

if TYPE_CHECKING:
    from cnnlint.frontends.onnx import records

OTHER_KINDS = {"sequence_type": "sequence", "map_type": "map", "optional_type": "optional", "opaque_type": "opaque"}


WIDENED = {
    "STRING": "string",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT4E2M1": "float4_e2m1fn",
    "UINT4": "uint4",
    "INT4": "int4",
}
"""The names of ml_dtypes, which onnx takes from it since 1.19."""


COMPLEX = {TensorProto.COMPLEX64: np.complex64, TensorProto.COMPLEX128: np.complex128}


def dtype_name(code: int) -> str:
    if code == TensorProto.UNDEFINED:
        return ""
    if onnx.__version__.startswith("1.18."):  # it calls types that numpy lacks by that of the values it makes of them
        return WIDENED.get(TensorProto.DataType.Name(code)) or onnx.helper.tensor_dtype_to_np_dtype(code).name
    return "string" if code == TensorProto.STRING else onnx.helper.tensor_dtype_to_np_dtype(code).name


def _array(proto: onnx.TensorProto, base_dir: str) -> np.ndarray:
    numbers = proto.float_data or proto.double_data
    if onnx.__version__.startswith("1.18.") and proto.data_type in COMPLEX and numbers:  # it fails on typed fields
        real = np.array(numbers, np.float32 if proto.data_type == TensorProto.COMPLEX64 else np.float64)
        return real.view(COMPLEX[proto.data_type]).reshape(tuple(proto.dims))
    return numpy_helper.to_array(proto, base_dir)


def assert_same_values(record: records.TensorRecord, proto: onnx.TensorProto, base_dir: str) -> None:
    assert record.storage is not None
    expected = _array(proto, base_dir)
    actual = record.storage.read()
    assert actual.shape == expected.shape
    if expected.dtype == object:
        assert actual.tolist() == expected.tolist()
        return
    if onnx.__version__.startswith("1.18.") and expected.dtype.fields:  # of typed fields it gives the bits
        bits = f"u{actual.dtype.itemsize}"
        used = 0xF if "4" in actual.dtype.name.split("_")[0] else (1 << 8 * actual.dtype.itemsize) - 1
        assert np.array_equal(actual.view(bits) & used, expected.astype(bits) & used)
        return
    if onnx.__version__.startswith("1.18.") and actual.dtype != expected.dtype:  # it widens types that numpy lacks
        assert np.array_equal(actual.astype(expected.dtype), expected, equal_nan=expected.dtype.kind == "f")
    else:
        assert actual.dtype == expected.dtype
        assert actual.tobytes() == expected.tobytes()
    if record.values is not None:
        plain = expected.astype(np.float32) if expected.dtype == ml_dtypes.bfloat16 else expected
        np.testing.assert_array_equal(np.array(record.values), plain.reshape(-1).astype(np.array(record.values).dtype))
        assert len(record.values) == expected.size


def assert_same_tensor(record: records.TensorRecord, proto: onnx.TensorProto, base_dir: str = "") -> None:
    assert record.name == proto.name
    assert record.shape == tuple(proto.dims)
    assert record.dtype == dtype_name(proto.data_type)
    if proto.data_type != TensorProto.UNDEFINED:
        assert_same_values(record, proto, base_dir)


def assert_same_sparse(record: records.TensorRecord, proto: onnx.SparseTensorProto, base_dir: str = "") -> None:
    assert record.name == proto.values.name
    assert record.shape == tuple(proto.dims)
    dense = np.zeros(tuple(proto.dims), dtype=numpy_helper.to_array(proto.values).dtype)
    indices = numpy_helper.to_array(proto.indices, base_dir)
    values = numpy_helper.to_array(proto.values, base_dir)
    for index, value in zip(indices, values, strict=True):
        if indices.ndim == 2:
            dense[tuple(index)] = value
        else:
            dense.reshape(-1)[index] = value
    assert record.storage is not None
    np.testing.assert_array_equal(record.storage.read(), dense)


def assert_same_type(record: records.ValueRecord, proto: onnx.TypeProto) -> None:
    kind = proto.WhichOneof("value")
    if kind in {"tensor_type", "sparse_tensor_type"}:
        declared = getattr(proto, kind)
        assert record.dtype == dtype_name(declared.elem_type)
        if not declared.HasField("shape"):
            assert record.shape is None
            return
        dims = []
        for dim in declared.shape.dim:
            field = dim.WhichOneof("value")
            value = getattr(dim, field) if field else None
            dims.append(None if value in {"", None} or (isinstance(value, int) and value < 0) else value)
        assert record.shape == tuple(dims)
    else:
        assert (record.shape, record.dtype) == (None, OTHER_KINDS.get(kind, ""))


def assert_same_value(record: records.ValueRecord, proto: onnx.ValueInfoProto) -> None:
    assert record.name == proto.name
    assert_same_type(record, proto.type)


def same_float(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)


def assert_same_attribute(value: records.AttributeValue, proto: onnx.AttributeProto, base_dir: str) -> None:
    match proto.type:
        case AttributeProto.FLOAT:
            assert type(value) is float
            assert same_float(value, proto.f)
        case AttributeProto.INT:
            assert (type(value), value) == (int, proto.i)
        case AttributeProto.STRING:
            assert value == proto.s
        case AttributeProto.FLOATS:
            assert len(value) == len(proto.floats)
            assert all(map(same_float, value, proto.floats))
        case AttributeProto.INTS:
            assert value == tuple(proto.ints)
        case AttributeProto.STRINGS:
            assert value == tuple(proto.strings)
        case AttributeProto.TENSOR:
            assert_same_tensor(value, proto.t, base_dir)
        case AttributeProto.GRAPH:
            assert_same_graph(value, proto.g, base_dir)
        case AttributeProto.SPARSE_TENSOR:
            assert_same_sparse(value, proto.sparse_tensor, base_dir)
        case AttributeProto.TYPE_PROTO:
            assert_same_type(value, proto.tp)
        case AttributeProto.TENSORS:
            assert len(value) == len(proto.tensors)
            for one, other in zip(value, proto.tensors, strict=True):
                assert_same_tensor(one, other, base_dir)
        case AttributeProto.GRAPHS:
            assert len(value) == len(proto.graphs)
            for one, other in zip(value, proto.graphs, strict=True):
                assert_same_graph(one, other, base_dir)
        case AttributeProto.SPARSE_TENSORS:
            for one, other in zip(value, proto.sparse_tensors, strict=True):
                assert_same_sparse(one, other, base_dir)
        case AttributeProto.TYPE_PROTOS:
            for one, other in zip(value, proto.type_protos, strict=True):
                assert_same_type(one, other)
        case _:
            raise AssertionError(proto.type)


def domain_name(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def assert_same_nodes(nodes: tuple[records.NodeRecord, ...], protos: list[onnx.NodeProto], base_dir: str) -> None:
    assert len(nodes) == len(protos)
    for record, proto in zip(nodes, protos, strict=True):
        assert (record.op_type, record.domain) == (proto.op_type, domain_name(proto.domain))
        assert (record.name, record.overload) == (proto.name, proto.overload)
        assert record.inputs == tuple(proto.input)
        assert record.outputs == tuple(proto.output)
        assert record.references == {a.name: a.ref_attr_name for a in proto.attribute if a.ref_attr_name}
        assert record.attributes.keys() == {a.name for a in proto.attribute if not a.ref_attr_name}
        for attribute in proto.attribute:
            if not attribute.ref_attr_name:
                assert_same_attribute(record.attributes[attribute.name], attribute, base_dir)


def assert_same_graph(record: records.GraphRecord, proto: onnx.GraphProto, base_dir: str = "") -> None:
    assert record.name == proto.name
    assert_same_nodes(record.nodes, list(proto.node), base_dir)
    dense = {t.name: t for t in proto.initializer}
    sparse = {t.values.name: t for t in proto.sparse_initializer}
    assert record.initializers.keys() == dense.keys() | sparse.keys()
    for name, tensor in dense.items():
        assert_same_tensor(record.initializers[name], tensor, base_dir)
    for name, tensor in sparse.items():
        assert_same_sparse(record.initializers[name], tensor, base_dir)
    for values, protos in ((record.inputs, proto.input), (record.outputs, proto.output)):
        assert len(values) == len(protos)
        for one, other in zip(values, protos, strict=True):
            assert_same_value(one, other)
    infos = {info.name: info for info in proto.value_info}
    assert record.value_infos.keys() == infos.keys()
    for name, info in infos.items():
        assert_same_value(record.value_infos[name], info)


def opsets_of(imports: list[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {domain_name(entry.domain): entry.version for entry in imports}


def assert_same_model(record: records.ModelRecord, proto: onnx.ModelProto, base_dir: str = "") -> None:
    assert (record.producer, record.producer_version) == (proto.producer_name, proto.producer_version)
    assert record.opsets == opsets_of(proto.opset_import)
    assert record.metadata == {entry.key: entry.value for entry in proto.metadata_props}
    assert_same_graph(record.graph, proto.graph, base_dir)
    assert record.functions.keys() == {(domain_name(f.domain), f.name, f.overload) for f in proto.functions}
    for function in proto.functions:
        mine = record.functions[domain_name(function.domain), function.name, function.overload]
        assert (mine.inputs, mine.outputs) == (tuple(function.input), tuple(function.output))
        assert mine.opsets == opsets_of(function.opset_import)
        assert_same_nodes(mine.nodes, list(function.node), base_dir)
        assert mine.attribute_defaults.keys() == {a.name for a in function.attribute_proto}
        for attribute in function.attribute_proto:
            assert_same_attribute(mine.attribute_defaults[attribute.name], attribute, base_dir)
