from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cnnlint.engine.walker import walk
from cnnlint.graph.graph import Graph, Source
from cnnlint.graph.layers import Conv
from cnnlint.graph.tensor import Tensor
from cnnlint_rules.pooling.window_exceeds_map import WindowExceedsMap


@st.composite
def windows(draw: st.DrawFn) -> tuple[int, int, int, int, int, int]:
    """Return extent, kernel, stride, dilation and padding of a window that reaches further than its map."""
    kernel, stride, dilation = draw(st.integers(2, 9)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    reach = dilation * (kernel - 1) + 1
    extent = draw(st.integers(1, reach - 1))
    before = draw(st.integers(0, reach))
    return extent, kernel, stride, dilation, before, draw(st.integers(max(reach - extent - before, 0), reach))


def over(extent: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> Graph:
    """Return a convolution of five filters over two channels of that extent."""
    layer = Conv(
        name="conv",
        inputs=(Tensor("x", (1, 2, extent)),),
        filters=5,
        kernel_size=(kernel,),
        strides=(stride,),
        padding=((before, after),),
        dilation=(dilation,),
    )
    layer = replace(layer, outputs=(Tensor("y", layer.output_shapes()[0]),))
    return Graph((layer,), layer.inputs, layer.outputs, Source("", "onnx"))


@settings(deadline=None)
@given(windows())
def test_dead_taps_are_those_that_meet_padding_at_every_position(window):
    extent, kernel, stride, dilation, before, after = window
    reach = dilation * (kernel - 1) + 1
    positions = range(-before, extent + after - reach + 1, stride)
    live = {tap for tap in range(kernel) for at in positions if 0 <= at + tap * dilation < extent}
    (found,) = walk(over(*window), [WindowExceedsMap()]).findings
    assert found.evidence["dead_taps"] == kernel - len(live)
    met = sum(0 <= at + tap * dilation < extent for tap in range(kernel) for at in positions)
    assert found.evidence["padding_share"] == pytest.approx(1 - met / (kernel * len(positions)))
    assert found.evidence["dead_weights"] == (kernel - len(live)) * 2 * 5
    assert found.severity == ("warning" if len(live) < kernel else "info")


def test_taps_are_counted_and_not_visited():
    taps = 2**61 + 1
    (found,) = walk(over(1, taps, 1, 1, taps // 2, taps // 2), [WindowExceedsMap()]).findings
    assert found.evidence["dead_taps"] == taps - 1
    (found,) = walk(over(1, taps, 1, 1, taps - 1, taps - 1), [WindowExceedsMap()]).findings
    assert found.evidence["dead_taps"] == 0
    assert found.evidence["padding_share"] == pytest.approx(1 - 1 / taps)


def test_a_3x3_kernel_on_a_1x1_map_has_eight_dead_taps(lint):
    text = "INPUT 16x4x4 -> POOL 4 -> CONV 32 3x3 same -> RELU -> FLATTEN -> FC 10"
    (found,) = lint(WindowExceedsMap(), text).findings
    assert found.layers == ("conv1",)
    assert found.evidence["dead_weights"] == 8 * 16 * 32
    assert "4,096 of its 4,608 weights are dead" in found.message


@pytest.mark.parametrize(
    "text",
    [
        "INPUT 16x4x4 -> CONV 32 4x4 valid -> RELU -> CONV 32 1x1 -> FLATTEN -> FC 10",
        "INPUT 16x4x4 -> POOL 4 -> FLATTEN -> FC 10",
        "INPUT 16x4x4 -> GAP -> FC 10",
        "INPUT 16x3x3 -> CONV 32 3x3 same -> GAP",
    ],
)
def test_a_window_as_large_as_its_map_is_fine(lint, text):
    assert not lint(WindowExceedsMap(), text).findings


def test_a_window_that_does_not_fit_is_an_error():
    layer = Conv(
        name="conv",
        inputs=(Tensor("x", (1, 2, 2, 2)),),
        filters=5,
        kernel_size=(3, 3),
        strides=(1, 1),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        outputs=(Tensor("y", (1, 5, 0, 0)),),
    )
    (found,) = walk(Graph((layer,), layer.inputs, layer.outputs, Source("", "onnx")), [WindowExceedsMap()]).findings
    assert (found.severity, found.layers) == ("error", ("conv",))


def test_the_tail_of_a_network_for_large_images_is_exhausted_on_small_ones(lint):
    stage = "CONV 16 3x3 same stride 2 -> RELU -> CONV 16 3x3 same -> RELU"
    found = lint(WindowExceedsMap(), f"INPUT 3x32x32 -> [{stage}]*6 -> GAP -> FC 10").findings
    # maps of 32, 16, 8, 4, 2 and 1: conv9 steps over 2 × 2 once, with four of its nine taps
    dead = {finding.layers[0]: finding.evidence["dead_taps"] for finding in found if finding.severity == "warning"}
    assert dead == {"conv9": 5, "conv10": 8, "conv11": 8, "conv12": 8}
    assert not lint(WindowExceedsMap(), f"INPUT 3x224x224 -> [{stage}]*6 -> GAP -> FC 10").findings
