"""RT001 to RT005 find what onnxruntime shows, where it begins, and nothing in sound networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper, parser

import cnnlint
import zoo
from cnnlint.engine.rule import RuntimeRule
from cnnlint.engine.walker import walk
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.results import Finding, Severity
from cnnlint.runtime import probe as module
from cnnlint.runtime.checks import sample_error, tolerance
from cnnlint.runtime.probe import Probe
from cnnlint.runtime.program import Program
from cnnlint_rules.runtime.batch_dependence import BatchDependence
from cnnlint_rules.runtime.does_not_run import DoesNotRun
from cnnlint_rules.runtime.non_finite_output import NonFiniteOutput
from cnnlint_rules.runtime.output_shape_mismatch import OutputShapeMismatch
from cnnlint_rules.runtime.softmax_sum import SoftmaxSum

MODELS = Path(__file__).parents[3] / "fixtures" / "models"
RULES: tuple[type[RuntimeRule], ...] = (DoesNotRun, OutputShapeMismatch, NonFiniteOutput, BatchDependence, SoftmaxSum)


def found(model: onnx.ModelProto | str, *, opset: int = 15, **inputs: tuple[int, ...]) -> dict[str, Finding]:
    if isinstance(model, str):
        model = parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}, "com.acme": 1]> {model}')
    graph = load_onnx_bytes(model.SerializeToString())
    probe = Probe(Program.from_proto(model), graph, inputs=inputs)
    findings = walk(graph, [rule() for rule in RULES], probe=probe).findings
    assert len({finding.code for finding in findings}) == len(findings)
    return {finding.code: finding for finding in findings}


def fixture(name: str) -> onnx.ModelProto:
    return onnx.load(MODELS / f"{name}.onnx")


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_fixtures_run_and_are_sound(path: Path) -> None:
    assert not found(onnx.load(path))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in {"inception_v1", "shufflenet"} else pytest.mark.exhaustive)
        for name in zoo.light_names()
    ],
)
def test_the_light_zoo_runs_and_is_sound(name: str) -> None:
    path = zoo.light_path(name)
    graph = load(str(path))
    assert not walk(graph, [rule() for rule in RULES], probe=Probe(Program.from_file(path), graph)).findings


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.LARGE)
def test_keras_applications_run_and_are_sound(name: str) -> None:
    path = zoo.onnx_path(name)
    graph = load(str(path))
    assert not walk(graph, [rule() for rule in RULES], probe=Probe(Program.from_file(path), graph)).findings


def test_a_model_that_does_not_load_is_one_finding_with_its_cause() -> None:
    findings = found("g (float[N,3] x) => (int64[N,3] y) { y = Relu(x) }")
    assert set(findings) == {"RT001"}
    assert findings["RT001"].severity is Severity.ERROR
    assert "does not match expected type" in findings["RT001"].message


def test_an_operator_that_onnxruntime_lacks_is_a_warning() -> None:
    findings = found("g (float[N,3] x) => (float[N,3] y) { y = com.acme.Fast(x) }")
    assert findings["RT001"].severity is Severity.WARNING
    assert "com.acme:Fast" in findings["RT001"].message


def test_extents_that_do_not_fit_are_told_with_the_node() -> None:
    model = fixture("vgg_style")
    kernel = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [256, 64])
    kernel.CopyFrom(numpy_helper.from_array(np.zeros((255, 64), np.float32), kernel.name))
    findings = found(model)
    assert set(findings) == {"RT001"}
    assert "fc1" in findings["RT001"].message


def test_a_batch_that_is_only_declared_open_is_a_warning() -> None:
    findings = found("g (float[N,4] x) => (float[N,2,2] y) <int64[3] s = {1, 2, 2}> { y = Reshape(x, s) }")
    assert findings["RT001"].severity is Severity.WARNING
    assert "a batch of 1 and not one of 2" in findings["RT001"].message


def test_guessed_extents_that_do_not_fit_ask_for_the_users() -> None:
    text = "g (float[1,1,H,W] x) => (float[1,K] y) <int64[2] s = {1, 30}> { y = Reshape(x, s) }"
    finding = found(text)["RT001"]
    assert finding.severity is Severity.INFO
    assert "--input x=1x1xHxW" in finding.suggestion
    assert "RT001" not in found(text, x=(1, 1, 5, 6))


def test_only_the_inputs_whose_extents_were_guessed_are_asked_for() -> None:
    text = """g (float[N,S] x, float[N,4] z) => (float[N,30] y)
    <int64[2] s = {-1, 30}> { r = Reshape(x, s) n = ReduceMean <keepdims = 0, axes = [1]> (z) y = Identity(r) }"""
    finding = found(text, opset=13)["RT001"]
    assert "x.S=16" in finding.suggestion
    assert finding.suggestion.endswith(": --input x=2xS")


def test_inputs_that_cannot_be_made_up_are_no_finding() -> None:
    assert not found("g (string[N] x) => (string[N] y) { y = Identity(x) }")


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ("float[N,3,4,5]", "comes out as 2×3×4×4"),
        ("float[N,3,4]", "comes out as 2×3×4×4"),
        ("float[7,3,4,4]", "is declared as 7×3×4×4"),
        ("float[N,N,4,4]", "where N is 2"),
    ],
)
def test_a_declared_shape_that_does_not_hold_is_told_with_both(declared: str, says: str) -> None:
    findings = found(f"g (float[N,3,4,4] x) => ({declared} y) {{ y = Relu(x) }}")
    assert set(findings) == {"RT002"}
    assert says in findings["RT002"].message


@pytest.mark.parametrize("declared", ["float[N,3,4,4]", "float[M,C,H,H]", "float[2,3,4,4]", "float[D,3,D,E]"])
def test_a_declared_shape_that_holds_is_no_finding(declared: str) -> None:
    assert not found(f"g (float[N,3,4,4] x) => ({declared} y) {{ y = Relu(x) }}")


def test_a_nan_in_a_weight_is_traced_to_its_layer() -> None:
    model = fixture("vgg_style")
    bias = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [64])
    values = numpy_helper.to_array(bias).copy()
    values[3] = np.nan
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    finding = found(model)["RT003"]
    assert finding.layers == ("fc1",)
    assert finding.evidence["non_finite"] == finding.evidence["values"] == 20


def test_an_infinity_is_not_finite_either() -> None:
    finding = found("g (float[N,3] x) => (float[N,3] y) <float zero = {0}> { a = Abs(x) y = Div(a, zero) }")["RT003"]
    assert "6 of 6 values" in finding.message


def test_whole_numbers_are_always_finite() -> None:
    assert not found("g (float[N,3] x) => (int64[N,1] y) { y = ArgMax<axis = 1>(x) }")


TRAINING = """g (float[N,2,4,4] x) => (float[N,2,4,4] y)
<float[2] s = {1, 1}, float[2] b = {0, 0}, float[2] m = {0, 0}, float[2] v = {1, 1}>
{ a = Relu(x) n, mean, variance = BatchNormalization<training_mode = 1>(a, s, b, m, v) y = Neg(n) }"""


def test_a_norm_in_training_mode_is_located() -> None:
    finding = found(TRAINING)["RT004"]
    assert finding.layers == ("n",)
    assert finding.evidence["relative_error"] > 0.01


def test_it_shows_in_a_fixed_batch_too() -> None:
    assert "with some samples as with others" in found(TRAINING.replace("[N,", "[4,"))["RT004"].message


SATURATED = """g (float[N,64,8,8] x) => (float[N,1,8,8] y)
<float[1,64,1,1] w = {{{weights}}}, float[1] b = {{-17}}{norm}>
{{ {body} scores = Conv(n, w, b) y = Sigmoid(scores) }}"""


def test_a_rounding_step_of_a_saturated_sigmoid_is_no_dependence() -> None:
    """Probabilities of 1e-7: one step of rounding in the scores is a hundredth of the largest one.

    As in PaddleOCR's text detectors, which say "no text" with certainty on noise.
    """
    values = np.random.default_rng(0).normal(0, 0.3, 64).round(3)
    text = SATURATED.format(weights=", ".join(map(str, values)), norm="", body="n = Identity(x)")
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 15]> {text}')
    probe = Probe(Program.from_proto(model), load_onnx_bytes(model.SerializeToString()))
    run, again = probe.run(), probe.again()
    assert again is not None
    # what another order of summing makes of it, were this larger than the runtime's own
    steps = again.values["y"] + np.float32(2e-6)
    assert sample_error(run.values["y"], steps, 2, 1) > tolerance(run.values["y"])
    assert sample_error(run.values["y"], steps, 2, 1, scale=1.0) < tolerance(run.values["y"])
    assert not found(model)


def test_a_norm_in_training_mode_shows_behind_a_saturated_sigmoid() -> None:
    norm = ", float[64] s = {" + ", ".join(["1"] * 64) + "}, float[64] z = {" + ", ".join(["0"] * 64) + "}"
    body = "n, mean, variance = BatchNormalization<training_mode = 1>(x, s, z, z, s)"
    text = SATURATED.format(weights=", ".join(["0.05"] * 64), norm=norm, body=body)
    finding = found(text)["RT004"]
    assert finding.layers == ("n",)


def test_it_shows_behind_an_untrained_softmax() -> None:
    """The probabilities differ by less than rounding; the values before the softmax do not."""
    text = """g (float[N,2,4,4] x) => (float[N,2,4,4] y)
    <float[2] s = {1e-6, 1e-6}, float[2] b = {0, 0}, float[2] m = {0, 0}, float[2] v = {1, 1}>
    { n, mean, variance = BatchNormalization<training_mode = 1>(x, s, b, m, v) y = Softmax<axis = 1>(n) }"""
    assert set(found(text)) == {"RT004"}


@pytest.mark.parametrize(
    "body",
    [
        "y = Softmax<axis = 0>(x)",
        "a = ReduceMean<axes = [0], keepdims = 1>(x) y = Sub(x, a)",
        "a = ReduceSum<keepdims = 1>(x) y = Div(x, a)",
    ],
)
def test_whatever_mixes_samples_is_found(body: str) -> None:
    assert "RT004" in found(f"g (float[N,2,4,4] x) => (float[N,2,4,4] y) {{ {body} }}")


def test_a_single_sample_has_no_company() -> None:
    assert "RT004" not in found(TRAINING.replace("[N,", "[1,"))


def test_a_softmax_over_the_whole_map_is_no_distribution_over_classes() -> None:
    findings = found("g (float[N,3,4,4] x) => (float[N,3,4,4] y) { y = Softmax<axis = 1>(x) }", opset=11)
    assert set(findings) == {"RT005"}
    assert 0 < findings["RT005"].evidence["sum"] < 0.5


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_a_softmax_over_classes_sums_to_one(operator: str) -> None:
    assert not found(f"g (float[N,3,4,4] x) => (float[N,3,4,4] y) {{ y = {operator}<axis = 1>(x) }}")
    assert not found(f"g (float[N,9] x) => (float[N,9] y) {{ y = {operator}<axis = 1>(x) }}", opset=11)


def test_every_check_of_a_sound_model_shares_one_session_and_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[object]()

    class Counted(module.Session):
        def __init__(self, *arguments: object) -> None:
            made.append("session")
            super().__init__(*arguments)  # type: ignore[arg-type]

        def run(self, feeds: object) -> dict[str, np.ndarray]:
            made.append("run")
            return super().run(feeds)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "Session", Counted)
    assert not found(fixture("vgg_style"))
    assert sorted(made) == ["run", "session"]


def test_float16_networks_are_held_to_what_float16_can() -> None:
    half = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Conv", ["x", "k"], ["c"]),
                helper.make_node("GlobalAveragePool", ["c"], ["p"]),
                helper.make_node("Flatten", ["p"], ["f"]),
                helper.make_node("Softmax", ["f"], ["y"]),
            ],
            "half",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT16, ["N", 3, 16, 16])],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, ["N", 100])],
            [numpy_helper.from_array(np.random.default_rng(0).standard_normal((100, 3, 3, 3)).astype("f2"), "k")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    assert not found(half)


@pytest.mark.parametrize(("name", "codes"), [("logreg_iris.onnx", []), ("mul_1.onnx", ["ON010"]), ("sigmoid.onnx", [])])
def test_the_examples_that_onnxruntime_ships_are_linted(name: str, codes: list[str]) -> None:
    # The first gives a list of maps. The second is of IR version 3 and has an initializer that is no input.
    path = Path(onnxruntime.__file__).parent / "datasets" / name
    (report,) = cnnlint.lint(path, isolated=True).models
    assert report.error is None
    assert [finding.code for finding in report.findings] == codes
