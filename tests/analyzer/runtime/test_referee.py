"""onnx's checker says of a model without its weights what it says of the file, and one fault is told once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.checker import ValidationError, check_model
from onnx.shape_inference import InferenceError

import cnnlint
import onnx_mutations
from cnnlint.frontends.onnx.strip import without_values
from cnnlint.frontends.sources import Memory
from cnnlint.results import Severity
from cnnlint.runtime.program import Program
from cnnlint.runtime.referee import Referee

MODELS = Path(__file__).parents[3] / "fixtures" / "models"
MUTATIONS = dict(onnx_mutations.mutations())

WITHOUT_WEIGHTS = {"initializer_of_no_data", "external_without_location"}
"""A file whose weights were taken out, or lie elsewhere, is checked as if they were there."""

TOLD_BY_ITSELF = "external_with_values"
"""ON014 tells it; here it is a tensor whose values lie elsewhere."""

NEWER = "future_ir_version"
"""A newer onnx may know it: a warning."""


def rejected(content: bytes) -> str:
    try:
        check_model(content, full_check=True)
    except (ValidationError, InferenceError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def mutated(name: str, base: str = "seed_cnn") -> ModelProto | None:
    model = onnx.load(MODELS / f"{base}.onnx")
    return None if MUTATIONS[name](model) is False else model


outside = pytest.mark.skipif(
    onnx.__version__.startswith("1.18."), reason="its checker, here asked in the tests' own process, crashes on some"
)


@outside
@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.parametrize("base", ["seed_cnn", "branches", "resnet_style"])
def test_the_verdict_on_a_file_without_its_weights_is_that_on_the_file(name: str, base: str) -> None:
    model = mutated(name, base)
    if model is None:
        return
    content = model.SerializeToString()
    expected = "" if name in (*WITHOUT_WEIGHTS, TOLD_BY_ITSELF) else rejected(content)
    assert bool(rejected(without_values(Memory(content)))) == bool(expected)


def heavy(*, constant: bool = False) -> ModelProto:
    kernel = numpy_helper.from_array(np.zeros((64, 3, 32, 32), np.float32), "kernel")
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["y"])]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], ["kernel"], value=kernel))
    graph = helper.make_graph(
        nodes,
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 40, 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64, 9, 9])],
        [] if constant else [kernel],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("constant", [False, True])
def test_weights_are_left_out_wherever_they_lie(constant: bool) -> None:
    model = heavy(constant=constant)
    content = model.SerializeToString()
    shrunk = without_values(Memory(content))
    assert len(content) > 700_000
    assert len(shrunk) < 400
    assert not rejected(shrunk)
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 8
    content = model.SerializeToString()
    assert rejected(content)
    assert rejected(without_values(Memory(content)))


def test_weights_in_another_file_are_not_looked_for(tmp_path: Path) -> None:
    onnx.save(heavy(), tmp_path / "heavy.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    content = (tmp_path / "heavy.onnx").read_bytes()
    assert not rejected(without_values(Memory(content)))


@pytest.mark.worker
def test_the_checker_is_asked_in_a_process_of_its_own_and_names_the_node() -> None:
    model = heavy()
    model.graph.node[0].name = "first"
    model.graph.node[0].attribute.append(helper.make_attribute("strides", [0, 0, 0]))
    verdict = Referee(Program.from_proto(model)).verdict()
    assert verdict is not None
    assert "strides" in verdict.rejected
    assert "\n" not in verdict.rejected
    assert verdict.node == "first"
    assert verdict.opsets[""] >= 17


@outside
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_file_that_the_checker_rejects_has_an_error_and_each_fault_one(name: str, tmp_path: Path) -> None:
    model = mutated(name)
    if model is None:
        return
    path = tmp_path / "mutated.onnx"
    path.write_bytes(model.SerializeToString())
    says = rejected(model.SerializeToString())
    report = cnnlint.lint(path)
    (told,) = report.models
    errors = [each.code for each in told.findings if each.severity is Severity.ERROR]
    if name == NEWER or name in WITHOUT_WEIGHTS:
        return
    assert not says or errors or told.error, says
    causes = [code for code in errors if code.startswith(("ON", "RT001", "RT002"))]
    assert "ON012" not in causes or len(causes) == 1
    assert "RT001" not in causes or not [code for code in causes if code.startswith("ON")]


def test_what_explains_is_no_explanation_if_it_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "mutated.onnx"
    model = mutated("unknown_operator")
    assert model is not None
    path.write_bytes(model.SerializeToString())
    codes = {
        grade: {each.code for each in cnnlint.lint(path, severity={"ON001": grade}).models[0].findings}
        for grade in ("error", "info")
    }
    assert codes["info"] - codes["error"] == {"RT001"}
    ignored = cnnlint.lint(path, ignore=["ON001"]).models[0].findings
    assert "RT001" in {each.code for each in ignored}
