"""Borders are those that Richter et al. publish, by their own recursion: r += (k - 1) * m; m *= s."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from cnnlint.analysis.receptive_field import receptive_fields
from cnnlint.frontends import load
from cnnlint.testing import to_graph
from cnnlint_rules.receptive_field.critical_layer import CriticalLayer
from cnnlint_rules.receptive_field.receptive_field_too_small import ReceptiveFieldTooSmall
from cnnlint_rules.receptive_field.unproductive_layer import UnproductiveLayer

FIXTURES = Path(__file__).parents[3] / "fixtures" / "models"

VGG19 = [[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4]


def vgg19(size: int) -> str:
    stages = [" -> ".join([*(f"CONV {filters} 3x3 same -> RELU" for filters in stage), "POOL 2"]) for stage in VGG19]
    return f"INPUT 3x{size}x{size} -> {' -> '.join(stages)} -> GAP -> FC 10"


def resnet18(size: int) -> str:
    blocks = list[str]()
    for stage, filters in enumerate((64, 128, 256, 512)):
        step = " stride 2" if stage else ""
        shortcut = f" | CONV {filters} 1x1{step}" if stage else ""
        blocks.append(f"RES[CONV {filters} 3x3{step} -> RELU -> CONV {filters} 3x3{shortcut}] -> RELU")
        blocks.append(f"RES[CONV {filters} 3x3 -> RELU -> CONV {filters} 3x3] -> RELU")
    stem = "CONV 64 7x7 stride 2 -> RELU -> POOL 3 stride 2 same"
    return f"INPUT 3x{size}x{size} -> {stem} -> {' -> '.join(blocks)} -> GAP -> FC 10"


def border_of_vgg19(size: int) -> list[str]:
    """Return the convolutions whose input has a field of the image's extent or more."""
    field, jump, number, beyond = 1, 1, 0, list[str]()
    for stage in VGG19:
        for _ in stage:
            number += 1
            if field >= size:
                beyond.append(f"conv{number}")
            field += 2 * jump
        field, jump = field + jump, jump * 2
    return beyond


@pytest.mark.parametrize("size", [32, 64, 160, 224])
def test_vgg19_is_unproductive_from_the_published_border_on(lint, size):
    findings = lint(UnproductiveLayer(), vgg19(size)).findings
    assert [list(found.layers) for found in findings] == ([border_of_vgg19(size)] if border_of_vgg19(size) else [])


def test_vgg19_on_32_pixels_is_productive_for_six_of_its_sixteen_convolutions(lint):
    (found,) = lint(UnproductiveLayer(), vgg19(32)).findings
    assert found.layers == tuple(f"conv{number}" for number in range(7, 17))
    assert found.evidence["parameters"] == 2 * 590_080 + 1_180_160 + 7 * 2_359_808
    assert found.severity == "warning"


def test_resnet18_on_16_pixels_is_unproductive_in_the_second_convolution_of_each_block(lint):
    graph = to_graph(resnet18(16))
    (beyond,), (at_border,) = lint(UnproductiveLayer(), graph).findings, lint(CriticalLayer(), graph).findings
    spatial = [layer.name for layer in graph.layers if layer.kind == "Conv" and layer.kernel_size == (3, 3)]
    assert list(beyond.layers) == spatial[1::2]
    assert list(at_border.layers) == spatial[0::2]


def test_resnet18_on_224_pixels_is_productive_throughout(lint):
    assert not lint(UnproductiveLayer(), resnet18(224)).findings


@pytest.mark.parametrize("blocks", [((3, 1), (5, 2), (1, 1)), ((3, 2), (7, 1)), ((1, 2), (3, 2), (3, 1))])
def test_the_shortest_of_all_paths_counts(blocks):
    paths = list[int]()
    for ways in product((True, False), repeat=len(blocks)):
        field, jump = 1, 1
        for (kernel, stride), through in zip(blocks, ways, strict=True):
            if through:
                field += (kernel - 1) * jump
            jump *= stride
        paths.append(field)
    text = " -> ".join(f"ADD[CONV 8 {k}x{k} stride {s} | CONV 8 1x1 stride {s}]" for k, s in blocks)
    graph = to_graph(f"INPUT 3x64x64 -> {text}")
    last = graph.layers[-1].name
    assert receptive_fields(graph, shortest=True)[last] == (min(paths),) * 2
    assert receptive_fields(graph)[last] == (max(paths),) * 2


def test_a_gate_does_not_make_everything_unproductive(lint):
    text = "INPUT 3x64x64 -> CONV 16 3x3 -> RELU -> SE 4 -> [CONV 16 3x3 -> RELU]*3 -> GAP -> FC 10"
    assert not lint(UnproductiveLayer(), text).findings


def test_what_gives_a_map_is_not_judged(lint):
    text = "INPUT 3x16x16 -> [CONV 16 3x3 -> RELU -> POOL 2]*3 -> [CONV 32 3x3 -> RELU]*2 -> UPSAMPLE 8 -> CONV 2 1x1"
    walk = lint(UnproductiveLayer(), text)
    assert not walk.findings
    assert "maps" in walk.near_misses["RF001"][0].reason


@pytest.mark.parametrize("suffix", ["keras", "h5", "onnx"])
def test_the_seed_network_averages_features_of_15_of_224_pixels(lint, suffix):
    (found,) = lint(ReceptiveFieldTooSmall(), load(str(FIXTURES / f"seed_cnn.{suffix}"))).findings
    assert found.severity == "warning"
    assert (found.evidence["field_0"], found.evidence["image_0"]) == (15, 224)


def test_a_field_of_a_third_is_information_and_one_of_half_is_fine(lint):
    def severities(size: int) -> list[str]:
        text = f"INPUT 3x{size}x{size} -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> GAP -> FC 10"
        return [found.severity.value for found in lint(ReceptiveFieldTooSmall(), text).findings]

    assert severities(96) == ["warning"]  # 22 of 96
    assert severities(64) == ["info"]
    assert severities(44) == []


def test_a_long_spectrogram_is_judged_by_the_axis_of_which_it_sees_most(lint):
    text = "INPUT 1x32x1000 -> [CONV 16 3x3 same -> RELU -> POOL 2]*3 -> GAP -> FC 10"
    assert not lint(ReceptiveFieldTooSmall(), text).findings
