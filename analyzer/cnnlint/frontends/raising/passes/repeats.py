"""Each row repeated in its place is an upsampling by the nearest neighbour.

TensorFlow's `repeat`, and PyTorch's `repeat_interleave`, add an axis of extent 1 behind the repeated one, tile it, and
join the two; Keras's UpSampling2D does so for one spatial axis after the other.
"""

from __future__ import annotations

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.view import without
from cnnlint.graph.dims import product
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Operator, Reshape, Resize


def fuse_repeats(builder: GraphBuilder) -> None:
    """Fuse Reshape, Tile and Reshape into a Resize, and with the Resize of another axis right before it."""
    made = set[str]()
    for layer in builder.of_kind(Operator):
        region = _repetition(builder, layer)
        if region is None:
            continue
        source = region[0].input
        ahead = builder.producer(source)
        if isinstance(ahead, Resize) and ahead.name in made and builder.sole_consumer(source) is region[0]:
            region.insert(0, ahead)
        target = region[-1].output.shape
        resize = Resize(name=region[0].name, inputs=region[0].inputs, target=target, interpolation="nearest")
        made.add(builder.fuse(region, resize).name)


def _repetition(builder: GraphBuilder, layer: Operator) -> list[Layer] | None:
    """Return the three layers around `layer`, a Tile, that repeat the entries along one spatial axis."""
    if layer.op not in ("Tile", "Expand") or len(layer.inputs) != 1:
        return None
    before, after = builder.producer(layer.input), builder.sole_consumer(layer.output)
    if not isinstance(before, Reshape) or not isinstance(after, Reshape) or builder.sole_consumer(layer.input) is None:
        return None
    shapes = (before.input.shape, layer.input.shape, layer.output.shape, after.output.shape)
    if any(shape is None for shape in shapes):
        return None
    source, apart, tiled, joined = (shape or () for shape in shapes)
    if len(apart) != len(tiled):
        return None
    axis = next((axis for axis, (one, other) in enumerate(zip(apart, tiled, strict=True)) if one != other), 0)
    if axis < 3 or apart[axis] != 1 or without(apart, axis) != source or without(tiled, axis) != source:
        return None
    repeated = (*source[: axis - 1], product((source[axis - 1], tiled[axis])), *source[axis:])
    return [before, layer, after] if joined == repeated else None
