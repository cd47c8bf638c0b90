from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cnnlint.engine.walker import walk
from cnnlint.graph.graph import Graph, Source
from cnnlint.graph.layers import AvgPool, MaxPool
from cnnlint.graph.tensor import Tensor
from cnnlint_rules.pooling.stride_misfit import StrideMisfit


def pooled(layer):
    """Return a graph of `layer` alone."""
    outputs = (Tensor("y", layer.output_shapes()[0]),)
    layer = replace(layer, outputs=outputs)
    return Graph((layer,), layer.inputs, outputs, Source("", "onnx"))


@settings(deadline=None)
@given(
    st.tuples(st.integers(3, 40), st.integers(3, 40)),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([MaxPool, AvgPool]),
)
def test_what_is_never_seen_is_what_no_window_covers(extents, size, stride, before, after, kind):
    if size < stride or size > min(extents) or max(before, after) >= size:
        return
    layer = kind(
        name="pool",
        inputs=(Tensor("x", (1, 4, *extents)),),
        pool_size=(size, size),
        strides=(stride, stride),
        padding=((before, after), (before, after)),
        dilation=(1, 1),
    )
    seen = np.zeros((extents[0] + before + after, extents[1] + before + after), bool)
    for row in range(0, seen.shape[0] - size + 1, stride):
        for column in range(0, seen.shape[1] - size + 1, stride):
            seen[row : row + size, column : column + size] = True
    seen = seen[before : before + extents[0], before : before + extents[1]]
    found = walk(pooled(layer), [StrideMisfit()]).findings
    if seen.all():
        assert not found
        return
    assert found[0].evidence["unseen_rows"] == (~seen.any(axis=1)).sum()
    assert found[0].evidence["unseen_columns"] == (~seen.any(axis=0)).sum()
    assert found[0].evidence["share"] == pytest.approx((~seen).mean())


def test_a_row_of_hundreds_is_information_and_one_of_seven_a_warning(lint):
    large = "INPUT 3x224x224 -> CONV 16 2x2 valid -> RELU -> POOL 2 -> GAP"
    small = "INPUT 3x7x7 -> CONV 16 3x3 same -> RELU -> POOL 2 -> GAP"
    assert [finding.severity for finding in lint(StrideMisfit(), large).findings] == ["info"]
    (found,) = lint(StrideMisfit(), small).findings
    assert found.severity == "warning"
    assert found.evidence["share"] == pytest.approx(13 / 49)


def test_padding_that_is_not_seen_is_no_loss(lint):
    # ResNet's stem in Keras: 112 rows padded to 114, of which windows of 3 see 113
    text = "INPUT 3x112x112 -> CONV 16 3x3 same -> RELU -> PAD 1 -> POOL 3 stride 2 -> GAP"
    assert not lint(StrideMisfit(), text).findings
    padded_less = text.replace("PAD 1 -> POOL 3 stride 2", "PAD 1 -> POOL 2 stride 2")
    assert not lint(StrideMisfit(), padded_less).findings
    unpadded = text.replace("PAD 1 -> ", "")
    assert lint(StrideMisfit(), unpadded).findings[0].evidence["unseen_rows"] == 1


def test_subsampling_on_purpose_is_no_border(lint):
    walk = lint(StrideMisfit(), "INPUT 3x14x14 -> CONV 16 3x3 same -> POOL 1 stride 2 -> GAP")
    assert not walk.findings
    assert "on purpose" in walk.near_misses["PL001"][0].reason
