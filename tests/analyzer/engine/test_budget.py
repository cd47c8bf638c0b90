"""Amounts in human units, and budgets held against networks."""

from __future__ import annotations

from fractions import Fraction

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import networks
from cnnlint import frontends
from cnnlint.analysis.context import Context
from cnnlint.engine.budget import QUANTITIES, Budget, measure, top_contributors
from cnnlint.errors import ConfigError
from cnnlint.frontends.notation import to_onnx
from cnnlint.graph.graph import Graph, Source
from cnnlint.graph.quantity import SHOWN_AS, format_amount, parse_amount

VGG_HEAD = "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> FLATTEN -> FC 20 -> RELU -> FC 10"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("5 M", 5_000_000), ("5M", 5_000_000), ("5m", 5_000_000),
        ("2.5 M", 2_500_000), ("1.5k", 1_500), ("7B", 7 * 10**9),
        ("3 G", 3 * 10**9), ("5_000_000", 5_000_000),
        ("5,000,000", 5_000_000), (5_000_000, 5_000_000), (2e6, 2_000_000),
        ("0", 0), ("0.0015k", 1), ("9007199254740993", 9007199254740993),
    ],
)  # fmt: skip
def test_counts_are_read_exactly(written, number):
    assert parse_amount(written, "count") == number
    assert isinstance(parse_amount(written, "count"), int)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("20 MB", 20_000_000), ("20MiB", 20 * 1024**2), ("1.5 KiB", 1536), ("1 kB", 1000), ("3 GB", 3 * 10**9),
        ("3 GiB", 3 * 2**30), ("100", 100), ("100 B", 100), ("4 M", 4_000_000), ("0.3 KiB", 307),
    ],
)  # fmt: skip
def test_sizes_are_read_exactly_decimal_and_binary(written, number):
    assert parse_amount(written, "bytes") == number


@pytest.mark.parametrize(("written", "share"), [("50 %", 0.5), ("0.25", 0.25), (0.25, 0.25), ("100%", 1), (1, 1)])
def test_shares_are_read_as_percentages_or_fractions(written, share):
    assert parse_amount(written, "share") == share


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("5 MB", "count"), ("5 %", "count"), ("-5", "count"), (-5, "count"), ("five", "count"), ("", "count"),
        ("5 5", "count"), (True, "count"), ("20 Mb/s", "bytes"), ("20 parsecs", "bytes"), ("50 M", "share"),
        ("150 %", "share"), (1.5, "share"), ("1e6", "count"), ("nan", "count"), (float("inf"), "count"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_with_an_example(written, unit):
    with pytest.raises(ConfigError) as raised:
        parse_amount(written, unit)
    assert "write" in str(raised.value)
    assert SHOWN_AS[unit] in str(raised.value)


@given(st.integers(0, 10**15), st.integers(0, 999), st.sampled_from([("k", 10**3), ("M", 10**6), ("G", 10**9)]))
def test_any_decimal_amount_is_the_whole_part_of_the_exact_product(whole, part, unit):
    written = f"{whole}.{part:03d} {unit[0]}"
    assert parse_amount(written, "count") == int(Fraction(f"{whole}.{part:03d}") * unit[1])


@given(st.integers(0, 10**18))
def test_a_shown_count_reads_back_as_itself(number):
    assert parse_amount(format_amount(number, "count"), "count") == number


def results(notation, **amounts):
    context = Context(networks.graph_of(notation))
    return {result.quantity: result for result in measure(context, Budget(**amounts).limits())}


def test_every_quantity_is_measured_with_limit_and_margin():
    # 8·3·3·3 + 8 = 224, 20·8·32·32 + 20 = 163,860, 10·20 + 10 = 210; "same" padding keeps 32 × 32
    parameters = 224 + 163_860 + 210
    macs = 32 * 32 * 8 * 3 * 3 * 3 + 20 * 8 * 32 * 32 + 10 * 20
    held = results(VGG_HEAD, params=200_000, macs="1 M", weight_bytes=f"{4 * parameters}", layer_share="99 %")
    assert (held["params"].measured, held["params"].limit, held["params"].margin) == (
        parameters, 200_000, 200_000 - parameters,
    )  # fmt: skip
    assert held["macs"].measured == macs
    assert held["weight_bytes"].margin == 0
    assert held["weight_bytes"].passed
    assert held["layer_share"].measured == pytest.approx(163_860 / parameters)
    assert not held["layer_share"].passed


def test_layers_and_peak_activations_are_measured():
    held = results(networks.SMALL, layers=1, peak_activation_bytes=1)
    graph = networks.graph_of(networks.SMALL)
    assert held["layers"].measured == len(graph.layers)
    # the map before and the map after the ReLU, 4 × 8 × 8 floats each, beside the input of 3 × 8 × 8
    assert held["peak_activation_bytes"].measured == 4 * (2 * 4 * 8 * 8 + 3 * 8 * 8)


def test_a_file_is_measured_on_disk(tmp_path):
    path = tmp_path / "net.onnx"
    networks.write(path)
    (held,) = measure(Context(frontends.load(str(path))), Budget(file_bytes="1 MB").limits())
    assert held.measured == path.stat().st_size


def opaque_model() -> onnx.ModelProto:
    nodes = [helper.make_node("Mystery", ["x"], ["y"], domain="com.acme", name="mystery")]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_what_is_unknown_is_over_budget_and_says_why():
    context = Context(frontends.load_onnx_bytes(opaque_model().SerializeToString(), "net.onnx"))
    limits = Budget(macs="1 T", peak_activation_bytes="1 TB", params=0).limits()
    held = {result.quantity: result for result in measure(context, limits)}
    macs, peak, params = held["macs"], held["peak_activation_bytes"], held["params"]
    assert (macs.passed, macs.measured, macs.margin) == (False, None, None)
    assert "mystery is opaque" in macs.reason
    assert not peak.passed
    assert "mystery is opaque" in peak.reason
    assert params.passed


def test_a_model_in_memory_has_the_size_that_it_would_have_as_a_file():
    (held,) = measure(Context(networks.graph_of(networks.SMALL)), Budget(file_bytes="1 GB").limits())
    assert held.measured == len(to_onnx(networks.SMALL).SerializeToString())


def test_an_unknown_file_size_is_over_budget():
    graph = networks.graph_of(networks.SMALL)
    unknown = Graph(graph.layers, graph.inputs, graph.outputs, Source("s3://bucket/net.onnx", "onnx"))
    (held,) = measure(Context(unknown), Budget(file_bytes="1 GB").limits())
    assert not held.passed
    assert "size of the file" in held.reason


def test_the_layers_that_cost_most_come_first_and_a_shared_weight_counts_once():
    context = Context(networks.graph_of(VGG_HEAD))
    top = top_contributors(context, "params")
    assert [cost for _, cost in top] == [163_860, 224, 210]
    for name in QUANTITIES:
        costs = [cost for _, cost in top_contributors(context, name, count=100)]
        assert costs == sorted(costs, reverse=True)
    assert sum(cost for _, cost in top_contributors(context, "params", count=100)) == context.parameters
    assert sum(cost for _, cost in top_contributors(context, "macs", count=100)) == context.macs


def test_a_budget_without_amounts_limits_nothing():
    assert Budget(message="none").limits() == ()
