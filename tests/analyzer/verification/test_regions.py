"""A layer is compared with its exact sum, and joined with the layers after it if only together they are right."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnnlint.frontends import load_onnx_bytes
from cnnlint.graph.layers import Conv, Dense
from cnnlint.runtime.program import Program
from cnnlint.runtime.runner import OnnxRunner
from cnnlint.verification.regions import Sum
from cnnlint.verification.rounding import growth, perturbed, unit, weighted_sum
from cnnlint.verification.verify import compare


def network(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: list[object], *, rank: int = 4
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def runner(model: onnx.ModelProto) -> OnnxRunner:
    content = model.SerializeToString()
    return OnnxRunner("net.onnx", Program(content), load_onnx_bytes(content))


@pytest.mark.parametrize(
    ("groups", "strides", "pads", "dilations"),
    [
        (1, [1, 1], [1, 1, 1, 1], [1, 1]),
        (1, [2, 1], [0, 1, 2, 0], [1, 1]),
        (2, [1, 2], [1, 0, 0, 1], [2, 1]),
        (8, [2, 2], [2, 2, 2, 2], [1, 2]),
    ],
)
def test_a_convolution_keeps_to_its_exact_sum_and_another_kernel_does_not(
    groups: int, strides: list[int], pads: list[int], dilations: list[int]
) -> None:
    rng = np.random.default_rng(groups)
    kernel, bias = rng.normal(size=(16, 8 // groups, 3, 3)), rng.normal(size=16)
    settings = {"group": groups, "strides": strides, "pads": pads, "dilations": dilations}
    model = network(
        [helper.make_node("Conv", ["x", "k", "b"], ["y"], **settings)], {"k": kernel, "b": bias}, [2, 8, 13, 11]
    )
    other = network(
        [helper.make_node("Conv", ["x", "k", "b"], ["y"], **settings)],
        {"k": kernel.transpose(0, 1, 3, 2), "b": bias},
        [2, 8, 13, 11],
    )
    given = rng.normal(size=(2, 8, 13, 11)).astype(np.float32)
    sound, turned = runner(model), runner(other)
    (layer,) = sound.graph.of_kind(Conv)
    made, wrong = (each.run({"x": given}, ()).outputs[0] for each in (sound, turned))
    held = Sum(weighted_sum(layer, (), keras=False), (given,))
    share = held.share(made, made)
    assert share is not None
    assert 0 < share < 0.5
    worst = held.share(made, wrong)
    assert worst is not None
    assert worst > 1000


def added(products: np.ndarray) -> float:
    """Return the sum of products as a loop in float32 gives it."""
    return float(np.cumsum(products.astype(np.float32), dtype=np.float32)[-1])


@pytest.mark.parametrize("terms", [9, 576, 4608, 25088])
@pytest.mark.parametrize("values", [1, 3, 0], ids=["equal", "of three values", "random"])
def test_a_sum_in_single_precision_lies_within_the_bound(terms: int, values: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drawn = rng.choice(rng.normal(size=values), terms) if values else rng.normal(size=terms)
        products = drawn.astype(np.float32).astype(np.float64)
        bound = growth(products, "float32") * np.abs(products).sum()
        assert abs(added(products) - products.sum()) <= bound


def test_equal_products_are_held_to_the_worst_case_and_others_are_not() -> None:
    random = np.random.default_rng(3).normal(size=4608)
    assert growth(random, "float32") < 0.07 * 4608 * unit("float32")
    assert growth(np.full(4608, 0.3), "float32") == pytest.approx(4608 * unit("float32"), rel=0.01)
    equal = np.full(4608, np.float32(0.3), np.float64)
    assert abs(added(equal) - equal.sum()) > growth(random, "float32") * equal.sum()


def test_a_perturbation_moves_half_of_the_numbers_to_a_neighbor() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        given = np.random.default_rng(1).uniform(0.5, 2, (2, 16, 64, 64)).astype(dtype)
        moved = perturbed({"x": given}, 0)["x"]
        steps = np.abs(moved.astype(np.float64) - given) / np.spacing(given).astype(np.float64)
        assert moved.dtype == dtype
        assert 0.3 < (steps > 0).mean() < 0.7
        assert steps.max() < 6


def test_a_dense_layer_on_tokens_keeps_to_its_exact_sum() -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(24, 24))  # square, so that the file does not say which way it lies
    model = network([helper.make_node("MatMul", ["x", "k"], ["y"])], {"k": kernel}, [2, 7, 24], rank=3)
    given = rng.normal(size=(2, 7, 24)).astype(np.float32)
    side = runner(model)
    (layer,) = side.graph.of_kind(Dense)
    (made,) = side.run({"x": given}, ()).outputs
    share = Sum(weighted_sum(layer, (), keras=False), (given,)).share(made, made * np.float32(1 + 1e-4))
    assert share is not None
    assert share > 1


def scaled(factor: float) -> onnx.ModelProto:
    """Return two convolutions with a relu between them, a factor moved from the second into the first."""
    rng = np.random.default_rng(9)
    first, second = rng.normal(size=(6, 3, 3, 3)), rng.normal(size=(4, 6, 3, 3))
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c1"], name="first"),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu"),
        helper.make_node("Conv", ["r1", "k2"], ["y"], name="second"),
    ]
    return network(nodes, {"k1": first * factor, "k2": second / factor}, ["N", 3, 12, 12])


def test_a_scale_that_went_into_the_next_layer_is_no_difference() -> None:
    report = compare(runner(scaled(1)), runner(scaled(3)))
    assert report.equal, report.verification


def test_a_scale_that_went_nowhere_is_one() -> None:
    wrong = scaled(3)
    kernel = next(weight for weight in wrong.graph.initializer if weight.name == "k2")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(3.01), "k2"))
    report = compare(runner(scaled(1)), runner(wrong))
    assert not report.equal
    assert "first" in [origin.before for origin in report.origins]


def test_a_fault_that_what_follows_hides_on_these_inputs_is_found() -> None:
    """The gate is saturated, so that no output shows what is wrong before it."""
    rng = np.random.default_rng(4)
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"], name="gate"),
        helper.make_node("HardSigmoid", ["c"], ["g"], name="open"),
        helper.make_node("Mul", ["x", "g"], ["y"], name="gated"),
    ]
    weights = {"k": rng.normal(size=(3, 3, 1, 1)) * 0.01, "b": np.full(3, 50.0)}
    sound = network(nodes, weights, ["N", 3, 12, 12])
    wrong = network(nodes, {**weights, "b": np.full(3, 60.0)}, ["N", 3, 12, 12])
    report = compare(runner(sound), runner(wrong))
    assert not report.equal
    assert [origin.before for origin in report.origins] == ["gate"]


class OutsideRunner(OnnxRunner):
    """Outputs made by something else than the layers that are shown, as TensorFlow makes those of a SavedModel."""

    sees_inside = False


def test_what_goes_into_a_softmax_counts_only_where_it_is_what_the_output_is_made_of() -> None:
    kernel = np.random.default_rng(3).normal(size=(24, 10))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Softmax", ["s"], ["y"])]
    model = network(nodes, {"w": kernel}, [2, 24], rank=2)
    content = model.SerializeToString()
    outside = OutsideRunner("saved", Program(content), load_onnx_bytes(content))
    notes = [[row.note for row in compare(one, runner(model)).outputs] for one in (runner(model), outside)]
    assert notes == [["", "before the last activation"], [""]]


def test_a_layer_made_of_weights_alone_is_compared_as_any_other() -> None:
    # as LeViT gathers its biases of attention from a table
    rng = np.random.default_rng(5)
    kernel, table = rng.normal(size=(4, 3, 1, 1)), rng.normal(size=(6, 4))
    rows = numpy_helper.from_array(np.array([[[[0]], [[2]], [[5]], [[1]]]]), "rows")
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node("GatherND", ["t", "rows"], ["g"], name="biases"),
        helper.make_node("Add", ["c", "g"], ["y"]),
    ]

    def holding(values: np.ndarray) -> OnnxRunner:
        model = network(nodes, {"k": kernel, "t": values}, [1, 3, 4, 4])
        model.graph.initializer.append(rows)
        return runner(model)

    same = compare(holding(table), holding(table))
    assert same.equal
    assert "biases" in [row.before for row in same.layers]
    other = compare(holding(table), holding(table * 1.5))
    assert not other.equal
    assert [origin.before for origin in other.origins] == ["biases"]
