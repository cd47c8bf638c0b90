"""The work of a lint grows with the layers and no faster: operations of the interpreter are counted, not seconds."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

import cnnlint
from cnnlint.frontends.keras.archive import read_archive
from cnnlint.frontends.keras.flat_model import flatten_model
from cnnlint.frontends.onnx.file import FileContext
from cnnlint.frontends.onnx.records import ModelRecord
from cnnlint.frontends.onnx.skeleton import read_bytes
from cnnlint.frontends.sources import Memory
from cnnlint.graph.layers import Conv

FEW = 60
"""Blocks in the smallest network; the others have two and four times as many."""

Network = tuple[list[onnx.NodeProto], list[onnx.TensorProto], list[str]]


def conv(name: str, tensor: str, channels: int = 4) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    kernel = numpy_helper.from_array(np.ones((channels, channels, 3, 3), np.float32), f"{name}.kernel")
    node = helper.make_node("Conv", [tensor, kernel.name], [name], name=name, pads=[1, 1, 1, 1])
    return node, [kernel]


def chain(blocks: int) -> Network:
    nodes, weights, tensor = [], [], "image"
    for index in range(blocks):
        node, kernels = conv(f"conv{index}", tensor)
        tensor = f"relu{index}"
        nodes += [node, helper.make_node("Relu", [node.output[0]], [tensor])]
        weights += kernels
    return nodes, weights, [tensor]


def branches(blocks: int) -> Network:
    nodes, weights = [], []
    for index in range(blocks):
        node, kernels = conv(f"conv{index}", "image")
        nodes += [node, helper.make_node("Relu", [node.output[0]], [f"relu{index}"])]
        weights += kernels
    nodes.append(helper.make_node("Concat", [f"relu{index}" for index in range(blocks)], ["all"], axis=1))
    return nodes, weights, ["all"]


def residual(blocks: int) -> Network:
    nodes, weights, tensor = [], [], "image"
    for index in range(blocks):
        node, kernels = conv(f"conv{index}", tensor)
        relu = helper.make_node("Relu", [node.output[0]], [f"relu{index}"])
        nodes += [node, relu, helper.make_node("Add", [relu.output[0], tensor], [f"sum{index}"])]
        weights += kernels
        tensor = f"sum{index}"
    return nodes, weights, [tensor]


def doubled(blocks: int) -> Network:
    """Return sums of a tensor and itself, one after the other: as many ways through them as 2 to their number."""
    names = ["image", *(f"sum{index}" for index in range(blocks))]
    nodes = [helper.make_node("Add", [before, before], [after], after) for before, after in pairwise(names)]
    return nodes, [], names[-1:]


def activations(blocks: int) -> Network:
    node, weights = conv("conv", "image")
    tensors = ["conv", *(f"act{index}" for index in range(3 * blocks))]
    kinds = ("Relu", "Sigmoid", "Tanh")
    nodes = [
        helper.make_node(kinds[index % 3], [tensor], [made]) for index, (tensor, made) in enumerate(pairwise(tensors))
    ]
    return [node, *nodes], weights, tensors[-1:]


def outputs(blocks: int) -> Network:
    nodes, weights, _ = chain(blocks)
    return nodes, weights, [f"relu{index}" for index in range(blocks)]


def normalized(blocks: int) -> Network:
    """Every block is a finding: its normalization could be folded into the convolution."""
    nodes, weights, tensor = [], [], "image"
    for index in range(blocks):
        node, kernels = conv(f"conv{index}", tensor)
        facts = [numpy_helper.from_array(np.ones(4, np.float32), f"norm{index}.{role}") for role in "abcd"]
        norm = helper.make_node("BatchNormalization", [node.output[0], *(w.name for w in facts)], [f"norm{index}"])
        tensor = f"relu{index}"
        nodes += [node, norm, helper.make_node("Relu", [f"norm{index}"], [tensor])]
        weights += [*kernels, *facts]
    return nodes, weights, [tensor]


def spelled_out(blocks: int) -> Network:
    """Instance normalizations in nine nodes each."""
    nodes, weights, tensor = [], [], "image"
    for index in range(blocks):
        node, kernels = conv(f"conv{index}", tensor)
        for role, value in (("gamma", np.ones((1, 4, 1, 1))), ("beta", np.ones((1, 4, 1, 1))), ("eps", np.array(1e-5))):
            weights.append(numpy_helper.from_array(value.astype(np.float32), f"{role}{index}"))
        steps = (
            ("ReduceMean", ["conv"], "mean"), ("Sub", ["conv", "mean"], "centered"),
            ("Mul", ["centered", "centered"], "square"), ("ReduceMean", ["square"], "variance"),
            ("Add", ["variance", "eps"], "safe"), ("Sqrt", ["safe"], "root"), ("Div", ["centered", "root"], "unit"),
            ("Mul", ["unit", "gamma"], "scaled"), ("Add", ["scaled", "beta"], "out"),
        )  # fmt: skip
        nodes.append(node)
        for operator, names, made in steps:
            along = {"axes": [2, 3]} if operator == "ReduceMean" else {}
            nodes.append(helper.make_node(operator, [f"{n}{index}" for n in names], [f"{made}{index}"], **along))
        weights += kernels
        tensor = f"out{index}"
    return nodes, weights, [tensor]


def transposed(blocks: int) -> Network:
    """Channels last between the convolutions, as some converters leave it."""
    nodes, weights, tensor = [], [], "image"
    for index in range(blocks):
        node, kernels = conv(f"conv{index}", tensor)
        there = helper.make_node("Transpose", [node.output[0]], [f"there{index}"], perm=[0, 2, 3, 1])
        back = helper.make_node("Transpose", [f"there{index}"], [f"back{index}"], perm=[0, 3, 1, 2])
        nodes += [node, there, back]
        weights += kernels
        tensor = f"back{index}"
    return nodes, weights, [tensor]


def one_name(blocks: int) -> Network:
    """Every node has the same name."""
    nodes, weights, ends = chain(blocks)
    for node in nodes:
        node.name = "node"
    return nodes, weights, ends


def save(network: Network, path: Path) -> str:
    nodes, weights, ends = network
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 4, 16, 16])
    graph = helper.make_graph(
        nodes,
        "network",
        [image],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None) for end in ends],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return str(path)


def operations(work: Callable[[], object]) -> int:
    """Return how many instructions of the interpreter `work` takes, in all functions that it calls."""
    count = 0

    def trace(frame, event, _argument):
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    gc.collect()
    gc.disable()  # a collection runs finalizers, whose instructions are not of this work
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def growth(counts: list[int]) -> float:
    """Return how much more each of the last blocks takes than each of the first; 1 where cost is linear."""
    few, some, many = counts
    return (many - some) / 2 / (some - few)


NETWORKS = (chain, activations, branches, doubled, residual, outputs, normalized, spelled_out, transposed, one_name)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_a_lint_and_its_report_grow_with_the_layers(network, tmp_path):
    paths = [save(network(blocks), tmp_path / f"{blocks}.onnx") for blocks in (FEW, 2 * FEW, 4 * FEW)]

    def work(path: str) -> str:
        report = cnnlint.lint(path, static=True, pedantic=True, isolated=True)
        assert report.models[0].error is None
        return str(report)

    work(paths[0])  # modules are imported and caches filled
    assert growth([operations(lambda path=path: work(path)) for path in paths]) < 1.1


@pytest.mark.slow
@pytest.mark.parametrize("network", [chain, branches, residual, normalized])
def test_a_summary_grows_with_the_layers(network, tmp_path):
    paths = [save(network(blocks), tmp_path / f"{blocks}.onnx") for blocks in (20, 40, 80)]

    def work(path: str) -> str:
        return str(cnnlint.summarize(path))

    work(paths[0])
    assert growth([operations(lambda path=path: work(path)) for path in paths]) < 1.1


def test_reading_a_graph_asks_for_each_byte_a_bounded_number_of_times(tmp_path, monkeypatch):
    asked = 0
    plain = Memory.read

    def counted(self, offset, length):
        nonlocal asked
        asked += 1
        return plain(self, offset, length)

    monkeypatch.setattr(Memory, "read", counted)
    counts = []
    for blocks in (FEW, 2 * FEW, 4 * FEW):
        asked = 0
        cnnlint.load(onnx.load(save(chain(blocks), tmp_path / "model.onnx")))
        counts.append(asked)
    assert counts[0] > 0
    assert growth(counts) < 1.05


def legacy(path: Path, blocks: int, wrap: Callable[[int, dict[str, Any]], dict[str, Any]]) -> str:
    """Write an `.h5` whose outermost model holds one model, and that model a convolution for each block."""
    names = [f"conv{index}" for index in range(blocks)]
    common = {"filters": 1, "kernel_size": [1, 1], "use_bias": False, "dtype": "float32"}
    convs = [{"class_name": "Conv2D", "config": {"name": name, **common}} for name in names]
    image = {
        "class_name": "InputLayer",
        "config": {"name": "image", "batch_input_shape": [None, 8, 8, 1], "dtype": "float32"},
    }
    inner = {"name": "inner", "layers": [wrap(index, conv) for index, conv in enumerate(convs)]}
    outer = {"name": "outer", "layers": [image, {"class_name": "Sequential", "config": inner}]}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": outer})
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"image", b"inner"]
        arrays = [f"{name}/kernel:0" for name in names]
        group = weights.create_group("inner")
        # An attribute holds 64 kB, so that Keras cuts longer lists.
        for chunk in range(-(-blocks // 100)):
            group.attrs[f"weight_names{chunk}"] = [name.encode() for name in arrays[chunk * 100 :][:100]]
        for name in arrays:
            group[name] = np.ones((1, 1, 1, 1), np.float32)
    return str(path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda index, conv: conv,
        lambda index, conv: {"class_name": "Sequential", "config": {"name": f"block{index}", "layers": [conv]}},
    ],
    ids=["layers", "models"],
)
def test_what_layers_of_a_nested_model_take_from_a_legacy_file_grows_with_their_number(wrap, tmp_path):
    paths = [legacy(tmp_path / f"{blocks}.h5", blocks, wrap) for blocks in (FEW, 2 * FEW, 4 * FEW)]
    assert [conv.parameters for conv in cnnlint.load(paths[0]).of_kind(Conv)] == [1] * FEW
    archives = [read_archive(path) for path in paths]
    assert growth([operations(lambda archive=archive: flatten_model(archive)) for archive in archives]) < 1.1


def test_what_rules_about_the_file_are_told_grows_with_its_branches():
    def record(count: int) -> ModelRecord:
        made = helper.make_tensor_value_info("a", TensorProto.FLOAT, [2])
        branch = helper.make_graph([helper.make_node("Relu", ["x"], ["a"])], "branch", [], [made])
        body = [
            helper.make_node("If", ["flag"], [f"y{index}"], then_branch=branch, else_branch=branch)
            for index in range(count)
        ]
        given = [helper.make_tensor_value_info("flag", TensorProto.BOOL, [])]
        graph = helper.make_graph(body, "net", given, [helper.make_tensor_value_info("y0", TensorProto.FLOAT, [2])])
        return read_bytes(helper.make_model(graph, ir_version=8).SerializeToString())

    records = [record(count) for count in (FEW, 2 * FEW, 4 * FEW)]
    assert growth([operations(lambda record=record: FileContext(record).repeated) for record in records]) < 1.1


def with_wrong_types(count: int) -> ModelProto:
    nodes = [helper.make_node("Not", ["x"], [f"y{index}"]) for index in range(count)]
    outputs = [helper.make_tensor_value_info("y0", TensorProto.BOOL, [2])]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])]
    return helper.make_model(helper.make_graph(nodes, "net", given, outputs), ir_version=8)


def with_domains_that_a_function_does_not_import(count: int) -> ModelProto:
    nodes = [helper.make_node("Op", ["a"], ["b"], domain=f"domain {index}") for index in range(count)]
    function = helper.make_function("local", "Big", ["a"], ["b"], nodes, [helper.make_opsetid("", 17)])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    return helper.make_model(one_node(), functions=[function], opset_imports=imports, ir_version=8)


def one_node() -> GraphProto:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    return helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", value[:1], value[1:])


@pytest.mark.parametrize("faulty", [with_wrong_types, with_domains_that_a_function_does_not_import])
def test_rules_about_the_file_grow_with_the_faults(faulty, tmp_path):
    paths = [tmp_path / f"{count}.onnx" for count in (4 * FEW, 8 * FEW, 16 * FEW)]
    for path, count in zip(paths, (4 * FEW, 8 * FEW, 16 * FEW), strict=True):
        onnx.save(faulty(count), path)

    def work(path: Path) -> None:
        (report,) = cnnlint.lint(str(path), static=True, isolated=True, select=["ON"]).models
        assert report.error is None
        assert report.findings

    work(paths[0])
    assert growth([operations(lambda path=path: work(path)) for path in paths]) < 1.1


def test_the_count_tells_quadratic_work_from_linear_work():
    def quadratic(size: int) -> Callable[[], object]:
        return lambda: [sum(1 for _ in range(index)) for index in range(size)]

    def linear(size: int) -> Callable[[], object]:
        return lambda: [index for index in range(size) if index % 2]

    operations(linear(1))  # since Python 3.12 instructions of the first call of a function are not seen
    operations(quadratic(1))
    sizes = (100, 200, 400)
    assert growth([operations(quadratic(size)) for size in sizes]) > 1.8
    assert growth([operations(linear(size)) for size in sizes]) == pytest.approx(1, abs=0.05)
