"""A network's pattern is the one that its paper draws, holds every layer once, and is folded without loss."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from analyzer.analysis.nets import Net
from cnnlint.analysis.pattern import (
    Element,
    Join,
    Repeat,
    Sequence,
    Step,
    Tangle,
    compress,
    decompose,
    pattern,
    text,
)
from cnnlint.analysis.pattern.structure import left_out
from cnnlint.frontends import load
from cnnlint.graph.layers import Resize, Transpose
from cnnlint.testing import to_graph

FIXTURES = Path(__file__).parents[3] / "fixtures" / "models"

VGG16 = "INPUT -> [[CONV -> RELU]*2 -> POOL]*2 -> [[CONV -> RELU]*3 -> POOL]*3 -> [FC -> RELU]*2 -> FC"

BOTTLENECK = "[RES[[CONV -> BN -> RELU]*2 -> CONV -> BN] -> RELU]"

RESNET50 = (
    "INPUT -> CONV -> BN -> RELU -> POOL -> " + "".join(f"{BOTTLENECK}*{n} -> " for n in (3, 4, 6, 3)) + "GAP -> FC"
)


def of(notation: str) -> str:
    return pattern(to_graph(notation))


def light(name: str) -> str:
    spec = find_spec("onnx")
    assert spec is not None
    assert spec.origin is not None
    return pattern(load(str(Path(spec.origin).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx")))


def test_vgg16_reads_as_the_textbook_has_it() -> None:
    stages = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
    body = " -> ".join(f"[CONV {filters} 3x3 -> RELU]*{n} -> POOL 2" for filters, n in stages)
    head = "FLATTEN -> [FC 64 -> RELU -> DROPOUT 0.5]*2 -> FC 10 -> SOFTMAX"
    assert of(f"INPUT 3x32x32 -> {body} -> {head}") == VGG16


def test_three_stages_and_a_global_pooling_are_folded() -> None:
    text = "INPUT 3x64x64 -> RESCALE -> [CONV 8 2x2 valid -> RELU -> POOL 2]*3 -> GAP -> FC 133 -> SOFTMAX"
    assert of(text) == "INPUT -> [CONV -> RELU -> POOL]*3 -> GAP -> FC"


@pytest.mark.slow
@pytest.mark.tf
@pytest.mark.parametrize("name", ["VGG16", "ResNet50"])
def test_application_and_its_conversion_read_as_the_paper(name: str) -> None:
    expected = {"VGG16": VGG16, "ResNet50": RESNET50}[name]
    assert pattern(load(str(zoo.onnx_path(name)))) == expected


def test_residual_stages_of_the_onnx_zoo_show_their_block_counts() -> None:
    assert light("resnet50") == RESNET50


def blocks_in_a_row(sequence: Sequence) -> list[int]:
    """Return how many residual blocks follow one another, for each row of them."""
    rows, row = list[int](), 0
    for element in (*sequence, Step("end")):
        if isinstance(element, Join) and element.name == "RES":
            row += 1
        elif row:
            rows.append(row)
            row = 0
    return rows


@pytest.mark.slow
@pytest.mark.tf
def test_mobilenet_v2_shows_the_repeats_of_its_table_2() -> None:
    graph = load(str(zoo.onnx_path("MobileNetV2")))
    # the first block of each row changes the shape and has no shortcut
    assert blocks_in_a_row(decompose(graph)) == [n - 1 for n in (1, 2, 3, 4, 3, 3, 1) if n > 1]
    found = pattern(graph)
    block = "CONV -> RELU6 -> DWCONV -> BN -> RELU6 -> CONV"
    assert f"{block} -> RES[{block}]*3 -> [{block} -> RES[{block}]*2]*2" in found
    assert found.endswith("GAP -> FC")


def test_densenet121_shows_its_block_counts() -> None:
    found = light("densenet121")
    layer = "CAT[ID | [BN -> RELU -> CONV]*2]"
    transition = "BN -> RELU -> CONV -> AVGPOOL"
    blocks = f" -> {transition} -> ".join(f"{layer}*{n}" for n in (6, 12, 24, 16))
    # the zoo's net ends in a 1x1 convolution in place of a dense layer
    assert found == f"INPUT -> CONV -> BN -> RELU -> POOL -> {blocks} -> BN -> RELU -> GAP -> CONV"


def test_inception_v1_shows_its_nine_modules() -> None:
    module = "CAT[CONV -> RELU | [CONV -> RELU]*2 | [CONV -> RELU]*2 | POOL -> CONV -> RELU]"
    modules = " -> POOL -> ".join(f"{module}*{n}" for n in (2, 5, 2))
    stem = "CONV -> RELU -> POOL -> LRN -> [CONV -> RELU]*2 -> LRN -> POOL"
    assert light("inception_v1") == f"INPUT -> {stem} -> {modules} -> AVGPOOL -> FC"


def test_squeezenet_and_alexnet_read_as_their_papers() -> None:
    fire = "CONV -> RELU -> CAT[CONV -> RELU | CONV -> RELU]"
    assert light("squeezenet") == (
        f"INPUT -> CONV -> RELU -> POOL -> [[{fire}]*2 -> POOL]*2 -> [{fire}]*4 -> CONV -> RELU -> GAP"
    )
    assert light("bvlc_alexnet") == (
        "INPUT -> [CONV -> RELU -> LRN -> POOL]*2 -> [CONV -> RELU]*3 -> POOL -> [FC -> RELU]*2 -> FC"
    )


@pytest.mark.slow
@pytest.mark.tf
def test_efficientnet_gates_are_squeeze_and_excitation() -> None:
    graph = load(str(zoo.onnx_path("EfficientNetB0")))
    assert blocks_in_a_row(decompose(graph)) == [n - 1 for n in (1, 2, 2, 3, 3, 4, 1) if n > 1]
    found = pattern(graph)
    assert "GATE" not in found
    assert "RES[CONV -> SWISH -> DWCONV -> BN -> SWISH -> SE -> CONV]*3" in found


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.onnx")), ids=lambda path: path.stem)
def test_a_keras_model_and_its_conversion_read_the_same(path: Path) -> None:
    assert pattern(load(str(path))) == pattern(load(str(path.with_suffix(".keras"))))


def test_a_shortcut_s_projection_is_left_out_but_kept_in_the_structure() -> None:
    graph = to_graph("INPUT 8x8x8 -> RES[CONV 16 3x3 -> BN -> RELU -> CONV 16 3x3 | CONV 1x1 -> BN] -> GAP")
    assert pattern(graph) == "INPUT -> RES[CONV -> BN -> RELU -> CONV] -> GAP"
    (block,) = [element for element in decompose(graph) if isinstance(element, Join)]
    assert block.shortcut is not None
    assert text(block.shortcut) == "CONV -> BN"
    assert block.layer == "add1"


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("RES[BN -> RELU -> CONV 3x3]*3", "INPUT -> RES[BN -> RELU -> CONV]*3"),
        ("ADD[CONV 3x3 -> RELU | CONV 5x5 -> RELU]", "INPUT -> ADD[CONV -> RELU | CONV -> RELU]"),
        ("ADD[ID | CONV 3x3 | CONV 5x5]", "INPUT -> ADD[ID | CONV | CONV]"),
        ("CAT[ID | POOL 3 stride 1 same]", "INPUT -> CAT[ID | POOL]"),
        ("CAT[CONV 4 1x1 | CONV 4 3x3 | CONV 4 5x5 | CONV 4 7x7]", "INPUT -> CAT[4 × CONV]"),
        ("GATE[CONV 8 1x1 -> SIGMOID]", "INPUT -> GATE[CONV -> SIGMOID]"),
        ("SE 4 -> RELU", "INPUT -> SE -> RELU"),
        ("RES[RES[CONV 3x3 -> RELU] -> CONV 3x3]", "INPUT -> RES[RES[CONV -> RELU] -> CONV]"),
        ("CONV 8 1x1 -> CONV 8 1x1 -> RELU", "INPUT -> CONV -> CONV -> RELU"),
        ("DWCONV 3x3 -> UPSAMPLE 2 -> HSWISH", "INPUT -> DWCONV -> UPSAMPLE -> HSWISH"),
        ("GAP -> FC 1 -> SIGMOID", "INPUT -> GAP -> FC"),
        ("GAP -> FC 4 -> SOFTMAX -> SOFTMAX", "INPUT -> GAP -> FC -> SOFTMAX"),
        ("PAD 1 -> FLATTEN -> DROPOUT 0.5 -> FC 4 -> TANH", "INPUT -> FC -> TANH"),
    ],
)  # fmt: skip
def test_joins_are_named_as_the_field_does(network: str, expected: str) -> None:
    assert of(f"INPUT 8x8x8 -> {network}") == expected


def test_two_stages_of_equal_blocks_are_not_run_together() -> None:
    block = "RES[CONV {c} 3x3{s} -> BN -> RELU -> CONV {c} 3x3 -> BN{p}] -> RELU"
    stages = [
        block.format(c=c, s=" stride 2", p=" | CONV 1x1 stride 2 -> BN")
        + (f" -> [{block.format(c=c, s='', p='')}]*{n}")
        for c, n in ((16, 2), (32, 1))
    ]
    unit = "[RES[CONV -> BN -> RELU -> CONV -> BN] -> RELU]"
    assert of(f"INPUT 8x16x16 -> {' -> '.join(stages)}") == f"INPUT -> {unit}*3 -> {unit}*2"


def test_several_inputs_stand_in_the_branches_and_several_outputs_at_the_end() -> None:
    net = Net()
    image, numbers = net.input(3, 16, 16), net.input(7)
    joined = net.cat(net.gap(net.conv(image, 8)), net.act(net.dense(numbers, 8)))
    graph = net.graph(net.dense(joined, 3), net.act(net.dense(joined, 1), "sigmoid"))
    assert pattern(graph) == "CAT[INPUT -> CONV -> GAP | INPUT -> FC -> RELU] -> OUTPUTS[FC | FC]"


def test_branches_that_cross_are_counted() -> None:
    net = Net()
    older = net.conv(net.input(3, 16, 16), 8)
    newer = net.conv(older, 8)
    for _ in range(4):
        older, newer = newer, net.add(net.conv(older, 8), net.act(newer))
    graph = net.graph(net.gap(net.add(older, newer)))
    assert pattern(graph) == "INPUT -> CONV -> BRANCHES[5 CONV, 4 RELU, 4 ADD] -> ADD -> GAP"


@pytest.mark.parametrize("anew", [False, True])
def test_densenet_reads_the_same_whether_it_joins_all_maps_anew_or_the_last_join(anew: bool) -> None:
    net = Net()
    x = net.pool(net.conv(net.input(3, 32, 32), 16))
    maps = [x]
    for _ in range(5):
        before = net.cat(*maps) if anew and len(maps) > 1 else x
        maps.append(net.conv(net.act(net.bn(before)), 8))
        x = x if anew else net.cat(x, maps[-1])
    graph = net.graph(net.gap(net.cat(*maps) if anew else x))
    assert pattern(graph) == "INPUT -> CONV -> POOL -> CAT[ID | BN -> RELU -> CONV]*5 -> GAP"


def test_layers_that_no_output_needs_are_not_shown() -> None:
    net = Net()
    x = net.conv(net.input(3, 16, 16), 8)
    net.act(net.conv(x, 8))
    assert pattern(net.graph(net.act(x))) == "INPUT -> CONV -> RELU"


def test_a_softmax_that_others_read_too_is_shown() -> None:
    net = Net()
    probabilities = net.act(net.dense(net.input(8), 4), "softmax")
    graph = net.graph(probabilities, net.dense(probabilities, 2))
    assert pattern(graph) == "INPUT -> FC -> SOFTMAX -> OUTPUTS[ID | FC]"


def test_channel_shuffle_and_down_sampling_have_their_names() -> None:
    net = Net()
    x = net.add_layer(Transpose, net.input(2, 4, 8, 8), permutation=(0, 2, 1, 3, 4))
    x = net.add_layer(Resize, net.act(x, "hard_sigmoid"), target=("N", 4, 2, 4, 4), interpolation="nearest")
    assert pattern(net.graph(net.act(x, "leaky_relu"))) == "INPUT -> SHUFFLE -> HSIGMOID -> RESIZE -> LEAKYRELU"


def test_a_chain_of_fifty_thousand_layers_is_one_repeat() -> None:
    net = Net()
    x = net.input(3, 8, 8)
    for _ in range(25_000):
        x = net.act(net.bn(x))
    assert pattern(net.graph(x)) == "INPUT -> [BN -> RELU]*25000"


def test_two_thousand_branches_are_one_join() -> None:
    net = Net()
    x = net.input(3, 8, 8)
    graph = net.graph(net.gap(net.cat(*(net.act(net.conv(x, 1)) for _ in range(2000)))))
    assert pattern(graph) == "INPUT -> CAT[2000 × CONV -> RELU] -> GAP"


def test_joins_inside_one_another_deeper_than_python_recurses_are_shown() -> None:
    net = Net()
    x = net.input(3, 8, 8)
    skips = []
    for _ in range(1500):
        x = net.act(x)
        skips.append(x)
    for skip in reversed(skips):
        x = net.add(net.bn(x), skip)
    found = pattern(net.graph(x))
    assert found.startswith("INPUT -> RELU -> RES[RELU -> RES[RELU")
    assert "BRANCHES[" in found


STEPS = st.sampled_from(
    [Step("CONV", weighted=True), Step("RELU"), Step("BN"), Step("POOL"), Step("FC", weighted=True)]
)

BLOCKS = st.builds(
    lambda body, stage: Join("RES", (tuple(body),), shortcut=(), stage=(stage, 8, 8)),
    st.lists(STEPS, min_size=1, max_size=3),
    st.integers(1, 3),
)

SEQUENCES = st.lists(STEPS | BLOCKS, max_size=30) | st.builds(
    lambda unit, times, tail: unit * times + tail,
    st.lists(STEPS | BLOCKS, min_size=1, max_size=6),
    st.integers(1, 9),
    st.lists(STEPS | BLOCKS, max_size=6),
)


def unfolded(sequence: Sequence) -> list[Element]:
    """Return `sequence` with every repeat written out."""
    result = list[Element]()
    for element in sequence:
        match element:
            case Repeat():
                result += unfolded(element.body) * element.times
            case Join():
                branches = tuple(tuple(unfolded(branch)) for branch in element.branches)
                result.append(Join(element.name, branches, element.shortcut))
            case _:
                result.append(element)
    return result


@given(SEQUENCES)
@settings(max_examples=settings.default.max_examples * 3, deadline=None)
def test_folding_loses_nothing_and_never_lengthens(sequence: list[Element]) -> None:
    folded = compress(tuple(sequence))
    assert text(tuple(unfolded(folded))) == text(tuple(sequence))
    assert len(text(folded)) <= len(text(tuple(sequence)))


ITEMS = st.recursive(
    st.sampled_from(["CONV 4 3x3", "RELU", "BN", "DWCONV 3x3", "POOL 3 stride 1 same"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda steps: f"RES[{' -> '.join(steps)} -> CONV 4 1x1]"),
        st.lists(st.lists(inner, min_size=1, max_size=2).map(" -> ".join), min_size=2, max_size=4).map(
            lambda branches: f"CAT[{' | '.join(branches)}] -> CONV 4 1x1"
        ),
    ),
    max_leaves=12,
)


def counted(sequence: Sequence) -> Counter[str]:
    """Return how often each layer stands in `sequence`, by name."""
    result = Counter[str]()
    for element in sequence:
        match element:
            case Step():
                result[element.layer] += 1
            case Join():
                result[element.layer] += bool(element.layer)
                for branch in (*element.branches, element.shortcut or ()):
                    result += counted(branch)
            case Repeat() | Tangle():
                raise AssertionError(element)
    return result


@given(st.lists(ITEMS, min_size=1, max_size=4))
@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
def test_every_layer_of_a_series_parallel_network_stands_in_its_place_once(items: list[str]) -> None:
    graph = to_graph(f"INPUT 4x8x8 -> {' -> '.join(items)} -> RELU")
    found = counted(decompose(graph))
    assert set(found.values()) == {1}
    shown = {layer.name for layer in graph.layers} - left_out(graph)
    # nested concats are drawn as one: CAT[CAT[a | b] | c] is CAT[a | b | c]
    assert {name for name in shown - set(found) if not name.startswith("concat")} == set()
    assert set(found) <= shown | {"input"}
