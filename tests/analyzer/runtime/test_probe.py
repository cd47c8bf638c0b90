"""Checks share one session and one run, and a second run only where it can tell something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import parser

from cnnlint.analysis.context import Context
from cnnlint.engine.registry import load_rules
from cnnlint.errors import UnfinishedRunError
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.graph.queries import mixing_layers
from cnnlint.runtime.probe import Probe
from cnnlint.runtime.program import Program
from cnnlint.runtime.session import Session

MODELS = Path(__file__).parents[3] / "fixtures" / "models"


def probe_of(text: str, **inputs: tuple[int, ...]) -> Probe:
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 15]> {text}')
    return Probe(Program.from_proto(model), load_onnx_bytes(model.SerializeToString()), inputs=inputs)


RELU = "g (float[N,3,8,8] x) => (float[N,3,8,8] y) { y = Relu(x) }"


def test_the_run_is_the_models_own_on_seeded_inputs() -> None:
    path = MODELS / "vgg_style.onnx"
    run = Probe(Program.from_file(path), load(str(path))).run()
    expected = ort.InferenceSession(str(path)).run(None, run.feeds)
    output = onnx.load(path).graph.output[0].name
    np.testing.assert_allclose(run.values[output], expected[0], rtol=1e-4, atol=1e-6)
    assert "standard normal, seed 20150410" in run.conditions


def test_values_before_a_softmax_come_with_every_run() -> None:
    probe = probe_of("g (float[N,4] x) => (float[N,4] y) { l = Neg(x) p = Softmax(l) y = Identity(p) }")
    run = probe.run()
    np.testing.assert_array_equal(run.values["l"], -run.feeds["x"])


def test_checks_share_one_session_and_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[str]()
    original = Session.run
    monkeypatch.setattr(Session, "run", lambda self, feeds: calls.append("run") or original(self, feeds))
    probe = probe_of(RELU)
    assert probe.run() is probe.run()
    assert probe.session is probe.session
    assert calls == ["run"]


def test_a_tensor_watched_later_is_in_the_next_run() -> None:
    probe = probe_of("g (float[N,3] x) => (float[N,3] y) { a = Abs(x) y = Sqrt(a) }")
    assert "a" not in probe.run().values
    probe.watch(["a", "a", "nobody makes this"])
    run = probe.run()
    np.testing.assert_array_equal(run.values["a"], np.abs(run.feeds["x"]))


def test_the_second_run_is_the_first_sample_alone() -> None:
    probe = probe_of(RELU)
    first, again = probe.run(), probe.again()
    assert again is not None
    assert first.feeds["x"].shape[0] == 2
    np.testing.assert_array_equal(again.feeds["x"], first.feeds["x"][:1])
    assert again.extents.batch == 1


def test_in_a_fixed_batch_the_first_sample_meets_others() -> None:
    probe = probe_of("g (float[3,2,4,4] x) => (float[3,2,4,4] y) { y = Relu(x) }")
    first, again = probe.run(), probe.again()
    assert again is not None
    np.testing.assert_array_equal(again.feeds["x"][0], first.feeds["x"][0])
    assert (again.feeds["x"][1:] != first.feeds["x"][1:]).all()


def test_there_is_no_second_run_of_a_single_sample() -> None:
    assert probe_of("g (float[1,2,4,4] x) => (float[1,2,4,4] y) { y = Relu(x) }").again() is None


def test_the_users_shapes_are_taken() -> None:
    assert probe_of("g (float[N,3,H,W] x) => (float[N,3,H,W] y) { y = Relu(x) }", x=(5, 3, 10, 12)).run().feeds[
        "x"
    ].shape == (5, 3, 10, 12)


def test_an_open_extent_is_tried_with_the_next_value() -> None:
    """The Reshape takes 64 × 64 only."""
    probe = probe_of("g (float[1,1,H,W] x) => (float[1,K] y) <int64[2] s = {1, 4096}> { y = Reshape(x, s) }")
    assert probe.run().feeds["x"].shape == (1, 1, 64, 64)
    assert [failure.extents.shapes["x"][2] for failure in probe.failures] == [224, 256]


def test_a_costly_network_of_sound_layers_is_abridged_the_second_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlint.runtime.probe.COSTLY", 1)
    path = str(MODELS / "vgg_style.onnx")
    probe = Probe(Program.from_file(path), load(path))
    assert probe.is_abridged
    assert probe.again() is None


def test_a_second_run_of_sound_layers_is_not_even_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "again", lambda _: pytest.fail("a second run"))
    probe = probe_of(RELU)
    (remark,) = load_rules().by_code["RT004"]().check(probe, Context(probe.graph))  # type: ignore[attr-defined]
    assert "spared" in remark.reason


@pytest.mark.parametrize(
    "body",
    [
        "y = BatchNormalization<training_mode = 1>(x, s, s, s, s)",
        "y = Softmax<axis = 0>(x)",
        "a = ReduceMean<axes = [0], keepdims = 1>(x) y = Sub(x, a)",
        "t = Transpose<perm = [1, 0, 2, 3]>(x) y = Softmax<axis = 1>(t)",
    ],
)
def test_whatever_can_mix_samples_is_never_spared(body: str) -> None:
    text = f"g (float[N,2,4,4] x) => (float[A,B,4,4] y) <float[2] s = {{1, 1}}> {{ {body} }}"
    assert mixing_layers(probe_of(text).graph)


@pytest.mark.parametrize(
    "text",
    [
        "g (float[N,2,4,4] x) => (float[N,2,4,4] y)"
        " { q, s, z = DynamicQuantizeLinear(x) y = DequantizeLinear(q, s, z) }",
        "g (float[N,2,4,4] x) => (float[N,2,4,4] y) { y = own.ranged(x) }"
        ' <domain: "own", opset_import: ["" : 17]> ranged (a) => (b)'
        " { q, s, z = DynamicQuantizeLinear(a) b = DequantizeLinear(q, s, z) }",
    ],
)
def test_what_is_quantized_by_the_range_of_a_batch_is_never_spared(text: str) -> None:
    assert not probe_of(text).is_batch_invariant


def test_weights_that_a_file_only_claims_are_not_made_beyond_the_machines_memory() -> None:
    huge = "g (float[1,65536] x) => (float[1,B] y) <int64[2] s = {65536, 16777216}> "
    probe = probe_of(huge + "{ w = ConstantOfShape(s) y = MatMul(x, w) }")
    with pytest.raises(UnfinishedRunError, match=r"4\.40 TB of weights that are not in the file"):
        probe.run()


def test_a_run_larger_than_the_machines_memory_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlint.worker.memory.most_bytes", lambda: 1000)
    with pytest.raises(UnfinishedRunError, match="of activations, more than the memory limit"):
        probe_of(RELU).run()
