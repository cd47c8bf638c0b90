"""What `cnnlint fix` makes of a file that ONNX's checker rejects is accepted by it, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, helper, parser

import cnnlint
from cnnlint.operations.fix import FixRequest, fix

NET = """
<ir_version: 8, opset_import: ["" : 15]>
net (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) { half = Relu (x) y = Tanh (half) }
"""


def declare(model: ModelProto, *shape: int | str) -> None:
    model.graph.value_info.append(helper.make_tensor_value_info("half", onnx.TensorProto.FLOAT, shape))


def metadata(model: ModelProto, *entries: tuple[str, str]) -> None:
    for key, value in entries:
        model.metadata_props.add(key=key, value=value)


def unsort(model: ModelProto) -> None:
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(model.graph.node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def extents(model: ModelProto, *shape: int | str) -> None:
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape))


REPAIRED: dict[str, tuple[str, Callable[[ModelProto], object]]] = {
    "nodes out of order": ("ON006", unsort),
    "metadata twice": ("ON011", lambda model: metadata(model, ("a", "1"), ("b", "2"), ("a", "1"))),
    "wrong extents of an output": ("ON005", lambda model: extents(model, "N", 3, 8, 4)),
    "wrong rank of an output": ("ON005", lambda model: extents(model, "N", 48)),
    "wrong shape of an inner tensor": ("ON005", lambda model: declare(model, "N", 3)),
    "an inner tensor declared twice": ("ON007", lambda model: [declare(model, "N", 3, 4, 4) for _ in range(2)]),
    "an output without a type": ("ON009", lambda model: model.graph.output[0].ClearField("type")),
    "an output without a shape": (
        "ON009",
        lambda model: model.graph.output[0].type.tensor_type.ClearField("shape"),
    ),
    "no name of the graph": ("ON009", lambda model: model.graph.ClearField("name")),
    "one import twice": ("ON010", lambda model: model.opset_import.add(domain="", version=15)),
    "an import that nothing uses": ("ON017", lambda model: model.opset_import.add(domain="ai.onnx.ml", version=3)),
}


def told(path: Path, code: str) -> list[tuple[str, bool]]:
    found = cnnlint.lint(str(path), static=True, isolated=True, pedantic=True).models[0].findings
    return [(each.code, each.fixable) for each in found if each.code in {code, "ON012"}]


@pytest.mark.parametrize(("code", "fault"), REPAIRED.values(), ids=list(REPAIRED))
def test_what_is_repaired_is_valid_and_computes_the_same(
    code: str, fault: Callable[[ModelProto], object], tmp_path: Path
) -> None:
    model = parser.parse_model(NET)
    fault(model)
    onnx.save(model, tmp_path / "net.onnx")
    assert told(tmp_path / "net.onnx", code) == [(code, True)]
    report = fix(FixRequest(path=str(tmp_path / "net.onnx"), fresh=str(tmp_path / "fixed.onnx"), isolated=True))
    assert {each.code for each in report.applied} == {code}
    assert report.is_verified
    onnx.checker.check_model(str(tmp_path / "fixed.onnx"), full_check=True)
    assert told(tmp_path / "fixed.onnx", code) == []
    made, sound = onnx.load(tmp_path / "fixed.onnx"), parser.parse_model(NET)
    assert list(made.graph.node) == list(sound.graph.node)
    assert list(made.graph.output) == list(sound.graph.output)
    assert list(made.opset_import) == list(sound.opset_import)


LEFT: dict[str, tuple[str, Callable[[ModelProto], object]]] = {
    "two values of one key": ("ON011", lambda model: metadata(model, ("a", "1"), ("a", "2"))),
    "two versions of one opset": ("ON010", lambda model: model.opset_import.add(domain="", version=13)),
    "an input without a shape": ("ON009", lambda model: model.graph.input[0].type.tensor_type.ClearField("shape")),
    "no IR version": ("ON010", lambda model: model.ClearField("ir_version")),
}
"""What only the author can know, or onnxruntime does not run."""


@pytest.mark.parametrize(("code", "fault"), LEFT.values(), ids=list(LEFT))
def test_what_cannot_be_decided_or_verified_is_not_called_fixable(
    code: str, fault: Callable[[ModelProto], object], tmp_path: Path
) -> None:
    model = parser.parse_model(NET)
    fault(model)
    onnx.save(model, tmp_path / "net.onnx")
    assert told(tmp_path / "net.onnx", code) == [(code, False)]
    assert not fix(FixRequest(path=str(tmp_path / "net.onnx"), isolated=True)).applied


def test_repairs_of_several_faults_go_together(tmp_path: Path) -> None:
    model = parser.parse_model(NET)
    for what, (_, fault) in REPAIRED.items():
        if what != "an output without a shape":  # it has no type here
            fault(model)
    onnx.save(model, tmp_path / "net.onnx")
    report = fix(FixRequest(path=str(tmp_path / "net.onnx"), fresh=str(tmp_path / "fixed.onnx"), isolated=True))
    assert report.is_verified
    onnx.checker.check_model(str(tmp_path / "fixed.onnx"), full_check=True)
