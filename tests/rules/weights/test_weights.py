"""What is said of filters and statistics, counted by hand; and where rules on values have a reason to stay silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cnnlint import lint, load_rules
from cnnlint.engine.walker import walk
from cnnlint.results import Finding
from cnnlint.testing import findings, to_graph, to_model, with_options
from drafts import draft
from drafts.archive import archive

RULES = {rule.code: rule for rule in load_rules()}

Edit = Callable[[np.ndarray], None]


def edited(text: str, **edits: Edit) -> onnx.ModelProto:
    """Return the network of `text`; `conv1_kernel=...` edits the array conv1.kernel in place."""
    model = to_model(text)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, edit in edits.items():
        tensor = held[name.replace("_", ".", 1)]
        values = numpy_helper.to_array(tensor).copy()
        edit(values)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def sets(value: float, *channels: int) -> Edit:
    """Return an edit that sets whole channels, all if none is given."""

    def edit(values: np.ndarray) -> None:
        values[list(channels) or slice(None)] = value

    return edit


def said(code: str, model: onnx.ModelProto, **options: object) -> tuple[Finding, ...]:
    return findings(RULES[code], model, **options)


def silent(code: str, model: onnx.ModelProto) -> list[str]:
    """Return the reasons for which a rule says nothing."""
    walked = walk(to_graph(model), [with_options(RULES[code])], near_misses=True)
    assert not walked.findings
    return [miss.reason for miss in walked.near_misses.get(code, ())]


STEM = "INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN -> RELU -> CONV 32 3x3 nobias -> BN -> RELU -> GAP -> FC 10"


def test_removing_dead_filters_saves_their_weights_their_norm_and_their_products():
    (found,) = said("WT002", edited(STEM, conv2_kernel=sets(0, 3, 7, 8)))
    assert found.layers == ("conv2",)
    assert found.evidence["dead"] == 3
    assert found.savings is not None
    assert found.savings.parameters == 3 * (16 * 9 + 4)
    assert found.savings.macs == 3 * 16 * 9 * 32 * 32
    assert "3 of 32 filters of conv2 are dead (9.4%): all weights are zero at channels 3, 7 and 8." in found.message


def test_dead_filters_that_hold_a_tenth_of_the_network_are_a_warning():
    few, many = (said("WT002", edited(STEM, conv2_kernel=sets(0, *range(count))))[0] for count in (2, 16))
    assert (few.severity, many.severity) == ("info", "warning")


@pytest.mark.parametrize(("beta", "count"), [(-0.1, 1), (-0.09, 0), (0.0, 0), (0.1, 0)])
def test_a_channel_is_dead_ten_deviations_below_zero(beta: float, count: int):
    model = edited(STEM, bn1_gamma=sets(0.01, 5), bn1_beta=sets(beta, 5))
    assert len(said("WT002", model)) == count
    assert all(found.layers == ("conv1",) for found in said("WT002", model))
    assert len(said("WT002", model, deviations=9.0)) == (1 if beta <= -0.09 else 0)


def test_a_norm_that_enlarges_a_channel_again_keeps_it_alive():
    shrunk = {
        "conv1_kernel": lambda values: np.multiply(
            values, 1e-9, out=values, where=(np.arange(16) == 4)[:, None, None, None]
        )
    }
    assert said("WT002", edited(STEM, **shrunk))
    assert not said("WT002", edited(STEM, **shrunk, bn1_variance=sets(1e-18, 4), bn1_gamma=sets(1e3, 4)))


def test_a_residual_branch_may_begin_as_zero():
    block = "INPUT 8x16x16 -> RES[CONV 8 3x3 nobias -> BN -> RELU -> CONV 8 3x3 nobias -> BN] -> RELU -> GAP -> FC 4"
    model = edited(block, bn2_gamma=sets(0), bn2_beta=sets(0))
    assert not said("WT002", model)
    (found,) = said("WT007", edited(block.replace("CONV 8 3x3 nobias -> BN] ", "CONV 8 3x3] "), conv2_kernel=sets(0)))
    assert found.severity == "info"


def test_depthwise_filters_that_are_alike_read_different_channels():
    text = "INPUT 8x16x16 -> DWCONV 3x3 nobias -> RELU -> CONV 8 1x1 -> RELU -> GAP -> FC 4"
    blur = np.outer([1, 2, 1], [1, 2, 1]) / 16

    def edit(kernel: np.ndarray) -> None:
        kernel[:] = blur

    assert not said("WT003", edited(text, dwconv1_kernel=edit))
    within = "INPUT 8x16x16 -> CONV 8 3x3 groups 2 nobias -> RELU -> GAP -> FC 4"

    def across(kernel: np.ndarray) -> None:
        kernel[5] = kernel[1]  # of the other group

    def same(kernel: np.ndarray) -> None:
        kernel[3] = kernel[1]

    assert not said("WT003", edited(within, conv1_kernel=across))
    assert said("WT003", edited(within, conv1_kernel=same))[0].evidence["repeated"] == 1


def test_filters_with_another_bias_are_no_duplicates():
    text = "INPUT 3x16x16 -> CONV 8 3x3 -> RELU -> GAP -> FC 4"

    def copy(values: np.ndarray) -> None:
        values[[2, 5]] = values[0]

    assert not said("WT003", edited(text, conv1_kernel=copy))
    (found,) = said("WT003", edited(text, conv1_kernel=copy, conv1_bias=copy))
    assert (found.evidence["repeated"], found.savings.parameters) == (2, 2 * (27 + 1))


@pytest.mark.parametrize(
    ("variance", "severity", "words"),
    [
        (0.0, "info", "multiplied by 32 γ"),
        (1e-40, "info", "multiplied by 32 γ"),
        (-1e-6, "warning", "negative"),
        (-1e-3, "error", "NaN or infinite"),
        (-3.0, "error", "NaN or infinite"),
        (1.2e-38, "", ""),
    ],
)
def test_variances_are_judged_with_the_epsilon_that_is_added(variance: float, severity: str, words: str):
    found = said("WT004", edited(STEM, bn1_variance=sets(variance, 2)))
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all(words in each.message for each in found)


def test_statistics_that_were_never_collected_are_a_warning():
    (found,) = said("WT004", edited(STEM, bn2_variance=sets(0)))
    assert (found.severity, found.evidence["flat"]) == ("warning", 32)


@pytest.mark.parametrize(("value", "is_found"), [(65_504.0, False), (65_505.0, True), (-70_000.0, True)])
def test_half_precision_ends_at_65504(value: float, is_found: bool):
    model = edited("INPUT 3x16x16 -> CONV 8 3x3 -> RELU -> GAP -> FC 4", conv1_bias=sets(value, 3))
    assert bool(said("WT005", model)) == is_found


def test_single_filters_that_half_precision_loses_are_no_matter():
    text = "INPUT 3x16x16 -> CONV 8 3x3 -> RELU -> GAP -> FC 4"
    assert not said("WT005", edited(text, conv1_kernel=sets(1e-9, 0, 1, 2)))
    assert said("WT005", edited(text, conv1_kernel=sets(1e-9, 0, 1, 2, 3, 4)))


def test_an_outlier_is_judged_with_the_norm_folded_in():
    large = {
        "conv1_kernel": lambda values: np.multiply(
            values, 100, out=values, where=(np.arange(16) == 4)[:, None, None, None]
        )
    }
    (found,) = said("WT006", edited(STEM, **large))
    assert found.layers == ("conv1",)
    assert "channel 4" in found.message
    assert not said("WT006", edited(STEM, **large, bn1_variance=sets(1e4, 4)))  # σ² of a channel 100 times as large


def test_a_dead_channel_is_no_outliers_victim():
    assert not said("WT006", edited(STEM, conv1_kernel=sets(0, *range(15))))


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_constant_kernel_is_one_finding_and_neither_dead_nor_duplicate_filters(value: float):
    model = edited(STEM, conv2_kernel=sets(value))
    (found,) = said("WT007", model)
    assert (found.severity, found.layers) == ("warning", ("conv2",))
    assert not said("WT002", model)
    assert not said("WT003", model)


def test_a_box_blur_is_meant():
    text = "INPUT 8x16x16 -> DWCONV 3x3 nobias -> CONV 8 1x1 -> RELU -> GAP -> FC 4"
    assert "blur" in silent("WT007", edited(text, dwconv1_kernel=sets(1 / 9)))[0]


@pytest.mark.parametrize("code", ["WT002", "WT003", "WT006"])
def test_filters_of_a_kernel_that_is_not_finite_are_left_to_the_rule_on_that(code: str):
    assert not said(code, edited(STEM, conv1_kernel=sets(np.inf, 2)))
    assert len(said("WT001", edited(STEM, conv1_kernel=sets(np.inf, 2)))) == 1


def test_a_kernel_that_began_so_is_told_once(tmp_path: Path):
    zeros = {"conv2": {"kernel_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}}}}
    text = "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> CONV 32 3x3 -> RELU -> GAP -> FC 10"
    for keras, codes in (({}, {"WT007"}), (zeros, {"IN001"})):
        net = draft(text, keras=keras)
        net.weights["conv2", "kernel"] = np.zeros_like
        (report,) = lint(archive(net, tmp_path / "net.keras"), select=["WT", "IN"], isolated=True).models
        assert {finding.code for finding in report.findings} == codes
