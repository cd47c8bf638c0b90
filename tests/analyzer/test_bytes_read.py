"""What a static lint reads of a file: the graph, and none of the weights."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import cnnlint
import zoo
from cnnlint.frontends import sources
from cnnlint.frontends.onnx import storage
from cnnlint.graph.tensor import Weight
from cnnlint.runtime.session import Session

MODELS = Path(__file__).parents[2] / "fixtures" / "models"

CHANNELS, LAYERS = 1024, 24
KERNEL = (CHANNELS, CHANNELS, 3, 3)
KERNEL_BYTES = 4 * CHANNELS * CHANNELS * 9
"""Of one layer; all of them are 906 MB."""


@pytest.fixture
def read(monkeypatch):
    """Count the bytes that are read from ONNX files, and refuse that any are mapped."""
    counts = {"bytes": 0, "reads": 0}
    plain = os.read

    def counted(descriptor, length):
        data = plain(descriptor, length)
        counts["bytes"] += len(data)
        counts["reads"] += 1
        return data

    def refused(self, offset, length):
        raise AssertionError(f"{length:,} bytes at {offset:,} of {self.path} are mapped")

    monkeypatch.setattr(sources.os, "read", counted)
    monkeypatch.setattr(sources.LocalFile, "view", refused)
    return counts


@pytest.fixture
def touched(monkeypatch):
    """Return the names of weights whose values were asked for."""
    names: list[str] = []

    def values(self):
        names.append(self.key)
        raise AssertionError(f"the values of {self.key} are asked for")

    def stored(self):
        names.append(self.name)
        raise AssertionError(f"the values of {self.name} are read")

    monkeypatch.setattr(Weight, "values", values)
    monkeypatch.setattr(storage.RawStorage, "read", stored)
    monkeypatch.setattr(storage.TypedStorage, "read", stored)
    return names


def network(*, external: bool) -> onnx.ModelProto:
    """Return a chain of convolutions; kernels are without values, or refer to a file beside the model."""
    nodes, weights, tensor = [], [], "image"
    for index in range(LAYERS):
        kernel = TensorProto(name=f"kernel{index}", dims=KERNEL, data_type=TensorProto.FLOAT)
        if external:
            kernel.data_location = TensorProto.EXTERNAL
            place = (("location", "weights.bin"), ("offset", index * KERNEL_BYTES), ("length", KERNEL_BYTES))
            for key, value in place:
                kernel.external_data.add(key=key, value=str(value))
        weights.append(kernel)
        nodes.append(helper.make_node("Conv", [tensor, f"kernel{index}"], [f"maps{index}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"maps{index}"], [f"out{index}"]))
        tensor = f"out{index}"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", CHANNELS, 14, 14])
    maps = helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["N", CHANNELS, 14, 14])
    graph = helper.make_graph(nodes, "chain", [image], [maps], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def write_with_holes(model: onnx.ModelProto, path: Path) -> None:
    """Write the model with KERNEL_BYTES of raw_data, all zero and never written, in each of its initializers."""
    heads = [weight.SerializeToString() + b"\x4a" + varint(KERNEL_BYTES) for weight in model.graph.initializer]
    bodies = [b"\x2a" + varint(len(head) + KERNEL_BYTES) + head for head in heads]
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    del rest.graph.initializer[:]
    last = rest.graph.SerializeToString()
    rest.ClearField("graph")
    inside = sum(len(body) + KERNEL_BYTES for body in bodies) + len(last)
    with path.open("wb") as file:
        file.write(rest.SerializeToString() + b"\x3a" + varint(inside))
        for body in bodies:
            file.write(body)
            file.seek(KERNEL_BYTES, os.SEEK_CUR)
        file.write(last)


def lint(path: Path | str) -> cnnlint.ModelReport:
    (report,) = cnnlint.lint(str(path), static=True, isolated=True).models
    assert report.error is None
    return report


def test_a_lint_of_a_gigabyte_reads_a_few_kilobytes(tmp_path, read):
    path = tmp_path / "heavy.onnx"
    write_with_holes(network(external=False), path)
    assert path.stat().st_size > LAYERS * KERNEL_BYTES > 900e6
    report = lint(path)
    assert report.parameters == LAYERS * CHANNELS * CHANNELS * 9
    assert 0 < read["bytes"] < 64 * 1024 * 8
    assert read["bytes"] < 8 * 1024 * (LAYERS + 1)


def test_external_data_is_not_opened(tmp_path, read, monkeypatch):
    model = network(external=True)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with (tmp_path / "weights.bin").open("wb") as file:
        file.truncate(LAYERS * KERNEL_BYTES)
    opened: list[str] = []
    plain = os.open

    def noted(name, *arguments, **more):
        opened.append(os.path.basename(os.fspath(name)))
        return plain(name, *arguments, **more)

    monkeypatch.setattr(sources.os, "open", noted)
    assert lint(path).parameters == LAYERS * CHANNELS * CHANNELS * 9
    assert "model.onnx" in opened
    assert "weights.bin" not in opened
    assert read["bytes"] <= path.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize(("net", "most"), [("VGG16", 256), ("ResNet50", 1024), ("MobileNetV2", 1024)])
def test_a_lint_of_a_converted_net_reads_a_small_part_of_it(net, most, read):
    path = zoo.onnx_path(net)
    lint(path)
    assert 0 < read["bytes"] < min(most * 1024, path.stat().st_size)


@pytest.mark.parametrize("model", sorted(path.name for path in MODELS.glob("*.*")))
def test_the_default_rules_touch_no_values(model, touched):
    lint(MODELS / model)
    assert touched == []


@pytest.mark.parametrize("net", zoo.light_names())
def test_the_default_rules_touch_no_values_of_light_models(net, touched):
    lint(zoo.light_path(net))
    assert touched == []


def test_a_static_lint_makes_no_session(monkeypatch):
    def refused(self, program, outputs=()):
        raise AssertionError("a session is made")

    monkeypatch.setattr(Session, "__init__", refused)
    lint(MODELS / "smelly.onnx")
