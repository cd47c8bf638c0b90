"""What `cnnlint fix` makes of a network computes the same, and nothing is told less of it but what was mended."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

import cnnlint
import torch_cases
import zoo
from acceptance.command import MODELS
from cnnlint.conversion import convert_keras
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.frontends.notation import to_onnx
from cnnlint.operations.fix import FixRequest, fix
from cnnlint.operations.fix_report import FixReport
from cnnlint.results import Severity
from random_networks import NETWORK, build
from rules.planting.clean import network

FIXTURES = sorted(MODELS.glob("*.onnx"))
LIGHT = ("inception_v2", "resnet50", "shufflenet", "squeezenet")
EXPORTS = [f"{name}.{way}" for name in torch_cases.NAMES for way in torch_cases.EXPORTERS]

UNFOLDED = """
<ir_version: 8, opset_import: ["" : 15]>
net (float[N, 4, 12, 12] x) => (float[N, 3] y)
<float[4] scale = {1, 2, 3, 4}, float[4] zeros = {1, -1, 2, 0.5}, float[4] ones = {2, 1, 1, 3},
 int64[8] pads = {0, 0, 0, 0, 0, 0, 1, 1}, int64[1] two = {2}, int64[1] three = {3}, int64[1] zero = {0},
 int64[1] one = {1}, float[4, 4, 1, 1] mix = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2},
 float[4, 1, 2, 2] each = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8},
 float[144, 3] kernel, float[3] bias = {1, 2, 3}, float factor = {0.25}>
{
    open = Unsqueeze (scale, one)
    wide = Unsqueeze (open, two)
    start = Tanh (x)
    a = Mul (start, wide)
    b = Conv (a, mix)
    c = BatchNormalization (b, scale, zeros, zeros, ones)
    d = Relu (c)
    e = Pad (d, pads)
    f = Conv <group = 4, strides = [2, 2]> (e, each)
    g = Mul (f, factor)
    h = Tanh (g)
    i = Identity (h)
    s = Shape (i)
    n = Gather (s, zero)
    rest = Constant <value_ints = [-1]> ()
    t = Concat <axis = 0> (n, rest)
    flat = Reshape (i, t)
    product = MatMul (flat, kernel)
    y = Add (product, bias)
}
"""


def rewritten(path: Path, folder: Path) -> FixReport:
    """Rewrite a model, and hold what is told of the result to what was told of the model."""
    output = folder / "fixed.onnx"
    report = fix(FixRequest(path=str(path), fresh=str(output), isolated=True))
    assert not report.dropped
    if report.applied:
        assert report.is_verified
        onnx.checker.check_model(str(output), full_check=True)
        mended = {each.code for each in report.applied}
        assert warnings_of(path) - warnings_of(output) <= mended
        again = fix(FixRequest(path=str(output), isolated=True))
        assert not again.applied, f"{[each.code for each in again.applied]} are left"
    return report


def warnings_of(path: Path) -> set[str]:
    found = cnnlint.lint(path, isolated=True, static=True).models[0].findings
    return {each.code for each in found if each.severity in (Severity.WARNING, Severity.ERROR)}


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_keep_what_they_compute(seed: int, tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    onnx.save(network(Random(seed)).onnx(), model)
    rewritten(model, tmp_path)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixtures_keep_what_they_compute(path: Path, tmp_path: Path) -> None:
    rewritten(path, tmp_path)


def test_one_rewrite_makes_room_for_the_next(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        UNFOLDED.replace("float[144, 3] kernel,", f"float[144, 3] kernel = {{{values(432)}}},")
    )
    onnx.save(model, tmp_path / "net.onnx")
    report = rewritten(tmp_path / "net.onnx", tmp_path)
    made = [node.op_type for node in onnx.load(tmp_path / "fixed.onnx").graph.node]
    assert made == ["Tanh", "Conv", "Relu", "Conv", "Tanh", "Reshape", "Gemm"]
    assert {"BN005", "EX020", "EX021", "WA002", "WA008", "WA021", "WA022"} <= {each.code for each in report.applied}


def test_a_convolution_whose_bias_is_a_node_of_its_own_takes_scales_shifts_and_convolutions_in(tmp_path: Path) -> None:
    # As Paddle writes them: no convolution of its text detectors has a third input.
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 15]>
        net (float[N, 4, 12, 12] x) => (float[N, 3, 12, 12] y)
        <float[1, 4, 1, 1] scale = {{1, 2, 3, 4}}, float[1, 4, 1, 1] shift = {{1, -1, 2, 0.5}},
         float[6, 4, 1, 1] k = {{{values(24)}}}, float[1, 6, 1, 1] b = {{{values(6)}}},
         float[3, 6, 1, 1] l = {{{values(18)}}}, float[1, 3, 1, 1] c = {{{values(3)}}}>
        {{
            start = Relu (x)
            scaled = Mul (start, scale)
            shifted = Add (scaled, shift)
            first = Conv (shifted, k)
            biased = Add (first, b)
            second = Conv (biased, l)
            sum = Add (second, c)
            y = Relu (sum)
        }}"""
    )
    onnx.save(model, tmp_path / "net.onnx")
    report = rewritten(tmp_path / "net.onnx", tmp_path)
    assert {each.code for each in report.applied} == {"CV002", "WA008"}
    assert [node.op_type for node in onnx.load(tmp_path / "fixed.onnx").graph.node] == ["Relu", "Conv", "Relu"]


def values(count: int) -> str:
    return ", ".join(str((7 * index % 13) / 8 - 0.75) for index in range(count))


def test_branches_become_one_convolution_and_equal_constants_one_array(tmp_path: Path) -> None:
    branches = " -> ".join("RES[CONV 8 3x3 nobias -> BN | CONV 8 1x1 nobias -> BN | BN] -> RELU" for _ in range(2))
    onnx.save(to_onnx(f"INPUT 3x16x16 -> CONV 8 3x3 -> RELU -> {branches} -> GAP -> FC 10"), tmp_path / "net.onnx")
    report = rewritten(tmp_path / "net.onnx", tmp_path)
    made = onnx.load(tmp_path / "fixed.onnx").graph
    assert [node.op_type for node in made.node].count("Conv") == 3
    assert not {"Add", "BatchNormalization"} & {node.op_type for node in made.node}
    assert "WA006" in {each.code for each in report.applied}


def test_a_head_that_is_told_as_dense_is_told_as_a_convolution(tmp_path: Path) -> None:
    onnx.save(
        to_onnx("INPUT 3x24x24 -> CONV 32 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 64 -> RELU -> FC 10"),
        tmp_path / "net.onnx",
    )
    report = fix(
        FixRequest(
            path=str(tmp_path / "net.onnx"), fresh=str(tmp_path / "fixed.onnx"), select=("FC002",), isolated=True
        )
    )
    assert report.is_verified
    assert "FC001" in warnings_of(tmp_path / "net.onnx")
    assert "FC001" in warnings_of(tmp_path / "fixed.onnx")


@pytest.mark.tf
@pytest.mark.slow
@given(drawn=NETWORK)
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
def test_networks_of_keras_keep_what_they_compute(drawn: dict[str, Any], tmp_path: Path) -> None:
    tools = toolchain()
    with quiet():
        from zoo.build import perturb

        tools.keras.utils.clear_session(free_memory=False)
        tools.keras.utils.set_random_seed(0)
        model = build(drawn)
        perturb(model, np.random.default_rng(0))
        onnx.save(convert_keras(model).model, tmp_path / "net.onnx")
    (tmp_path / "fixed.onnx").unlink(missing_ok=True)
    rewritten(tmp_path / "net.onnx", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHT)
def test_light_models_keep_what_they_compute(name: str, tmp_path: Path) -> None:
    assert rewritten(zoo.light_path(name), tmp_path).applied


@pytest.mark.slow
@pytest.mark.skipif(not torch_cases.INSTALLED, reason="torch or onnxscript is not installed")
@pytest.mark.parametrize("name", EXPORTS)
def test_exports_of_pytorch_keep_what_they_compute(name: str, tmp_path: Path) -> None:
    rewritten(torch_cases.folder() / f"{name}.onnx", tmp_path)
