from __future__ import annotations

import pytest

import zoo
from cnnlint.analysis.receptive_field import kernel_depths
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.frontends.notation import to_onnx


@pytest.mark.parametrize(
    ("name", "depth"),
    [("bvlc_alexnet", 8), ("vgg19", 19), ("resnet50", 50), ("densenet121", 121), ("inception_v1", 22)],
)
def test_depths_are_those_that_the_papers_count(name, depth):
    assert max(kernel_depths(load(str(zoo.light_path(name)))).values()) == depth


def test_the_longest_of_several_ways_counts():
    text = "INPUT 8x8x8 -> CAT[CONV 8 3x3 same -> RELU -> CONV 8 3x3 same | CONV 8 1x1] -> GAP -> FC 10"
    depths = kernel_depths(load_onnx_bytes(to_onnx(text).SerializeToString()))
    assert (depths["conv2"], depths["conv3"], depths["fc1"]) == (2, 1, 3)
