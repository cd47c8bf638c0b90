"""Rewrites of what slides a window over a map: padding ahead of one becomes its own, parallel kernels become one."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.rewrite.editor import Editor, RewriteError, attribute
from cnnlint.rewrite.folding import affine_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

Pads = tuple[tuple[int, int], ...]
"""What is added ahead of each axis and after it."""


def absorb_pad(pad: NodeProto, windows: Sequence[NodeProto], amounts: Pads, editor: Editor) -> None:
    """Have `windows`, convolutions and poolings, pad by `amounts` themselves, as `pad` ahead of them does for them.

    Args:
        pad: The node that pads.
        windows: All nodes that read what it makes.
        amounts: Of the map's axes.
        editor: The model.

    Raises:
        RewriteError: Something else reads the padded map, or a window's padding depends on the size of the map.
    """
    readers = {id(node) for node in editor.consumers(pad.output[0])}
    if editor.is_output(pad.output[0]) or readers != {id(window) for window in windows}:
        raise RewriteError("the padded map is read elsewhere too")
    for window in windows:
        held = own_pads(window, len(amounts))
        pads = [(mine[0] + more[0], mine[1] + more[1]) for mine, more in zip(held, amounts, strict=True)]
        editor.set_attribute(window, "pads", [side for sides in zip(*pads, strict=True) for side in sides])
        editor.set_attribute(window, "auto_pad", None)
        if window.op_type == "AveragePool":
            editor.set_attribute(window, "count_include_pad", 1)
        editor.set_input(window, 0, pad.input[0])
    editor.remove([pad])


def own_pads(window: NodeProto, axes: int) -> Pads:
    """Return the padding of a Conv or a pooling.

    Raises:
        RewriteError: It depends on the size of the map.
    """
    if attribute(window, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise RewriteError(f"the padding of {window.name} depends on the size of the map")
    is_valid = attribute(window, "auto_pad", b"") == b"VALID"
    pads: list[int] = [0] * (2 * axes) if is_valid else list(attribute(window, "pads", ())) or [0] * (2 * axes)
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


class _Branch(Struct, frozen=True, eq=False):
    """A convolution of one tensor, or that tensor scaled and shifted, that ends in a sum.

    Attributes:
        source: The tensor.
        conv: The convolution; None if there is none.
        after: The nodes after it, or of the branch if there is none.
    """

    source: str
    conv: NodeProto | None
    after: tuple[NodeProto, ...]


def merge_branches(sums: Sequence[NodeProto], editor: Editor) -> None:
    """Make one convolution of each two that read one tensor and are summed by one of `sums`, until none are left.

    K₁x + K₂x is (K₁ + K₂)x, where a smaller kernel is a larger one with zeros around it, and x is a 1 × 1 kernel.

    Raises:
        RewriteError: No two of them are.
    """
    left, merged = list(sums), 0
    cause = "its branches are no two convolutions of one tensor"
    while left:
        for node in left:
            try:
                with editor.whole():
                    is_done = _merge(node, editor)
            except RewriteError as error:
                cause = error.cause
                continue
            merged += 1
            if is_done:
                left.remove(node)
            break
        else:
            break
    if not merged:
        raise RewriteError(cause)


def _merge(add: NodeProto, editor: Editor) -> bool:
    """Merge two of the branches that `add` sums; return whether nothing is left to sum."""
    ways = [_branch(name, editor) for name in add.input]
    pair = next(
        (
            (one, other)
            for place, one in enumerate(ways)
            for other in ways[place + 1 :]
            if one.source == other.source and not (one.conv is None and other.conv is None)
        ),
        None,
    )
    if pair is None:
        raise RewriteError("its branches are no two convolutions of one tensor")
    way, other = sorted(pair, key=lambda each: 0 if each.conv is None else -prod(_shape(each.conv, editor)[2:]))
    largest = way.conv
    if largest is None:
        raise RewriteError("there is no convolution among its branches")
    if any(each.conv is not None and len(editor.consumers(each.conv.input[1])) > 1 for each in pair):
        raise RewriteError("its kernel is shared with other layers")
    kernel, bias = _scaled(largest, way.after, largest, editor)
    more, term = _kernel_of(other, largest, editor)
    editor.set_input(largest, 1, editor.insert(largest, "Add", [kernel, more]))
    if bias and term:
        bias = editor.insert(largest, "Add", [bias, term])
    editor.set_input(largest, 2, bias or term)
    gone = [*way.after, *other.after, *([other.conv] if other.conv is not None else [])]
    if len(ways) == 2:
        editor.remove([add, *gone])
        editor.set_output(largest, largest.output[0], add.output[0])
        return True
    rest = [name for name, each in zip(add.input, ways, strict=True) if each not in pair]
    editor.set_inputs(add, [largest.output[0], *rest])
    editor.remove(gone)
    return False


def _branch(tensor: str, editor: Editor) -> _Branch:
    nodes = list["NodeProto"]()
    node = editor.producer(tensor)
    while node is not None and editor.is_sole(tensor) and node.op_type != "Conv" and not node.domain:
        varying = [name for name in node.input if name and editor.constant_shape(name) is None]
        if node.op_type not in ("Add", "BatchNormalization", "Identity", "Mul") or len(varying) != 1:
            break
        nodes.append(node)
        tensor, node = varying[0], editor.producer(varying[0])
    if node is not None and node.op_type == "Conv" and not node.domain and editor.is_sole(tensor):
        return _Branch(node.input[0], node, tuple(nodes[::-1]))
    return _Branch(tensor, None, tuple(nodes[::-1]))


def _scaled(conv: NodeProto, after: Sequence[NodeProto], before: NodeProto, editor: Editor) -> tuple[str, str]:
    """Return kernel and bias, "" for none, of a convolution with the scales and shifts `after` it."""
    import numpy as np

    kernel, bias = conv.input[1], conv.input[2] if len(conv.input) > 2 else ""
    if not after:
        return kernel, bias
    shape, dtype = _shape(conv, editor), editor.dtype(kernel)
    scale, shift = _affine(after, conv.output[0], shape[0], len(shape), editor)
    factors = editor.constant("scale", scale.reshape(-1, *(1 for _ in shape[1:])), dtype)
    if bias:
        held = editor.values(bias)
        if held is None:
            raise RewriteError(f"the bias of {conv.name} is computed at run time")
        shift = shift + scale * held
    return editor.insert(before, "Mul", [kernel, factors]), editor.constant("shift", shift, dtype) if np.any(
        shift
    ) else ""


def _affine(
    nodes: Sequence[NodeProto], given: str, channels: int, rank: int, editor: Editor
) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    scale, shift = np.ones(channels), np.zeros(channels)
    for node in nodes:
        factor, term = affine_of(node, given, channels, rank, editor)
        scale, shift, given = scale * factor, shift * factor + term, node.output[0]
    return scale, shift


def _shape(conv: NodeProto, editor: Editor) -> tuple[int, ...]:
    """Return the shape of the kernel of a convolution.

    Raises:
        RewriteError: It is computed at run time.
    """
    shape = editor.constant_shape(conv.input[1])
    if shape is None:
        raise RewriteError(f"the kernel of {conv.name} is computed at run time")
    return shape


def _kernel_of(way: _Branch, largest: NodeProto, editor: Editor) -> tuple[str, str]:
    """Return the kernel of a branch within the window of `largest`, and its bias, "" for none."""
    import numpy as np

    shape = _shape(largest, editor)
    axes, groups = len(shape) - 2, attribute(largest, "group", 1)
    steps, spread = (list(attribute(largest, name, [])) or [1] * axes for name in ("strides", "dilations"))
    pads, bias = own_pads(largest, axes), ""
    if way.conv is None:
        if {*steps} != {1} or shape[0] != shape[1] * groups:
            raise RewriteError("the identity is no convolution with a stride or of other channels")
        scale, shift = _affine(way.after, way.source, shape[0], len(shape), editor)
        values = np.zeros((shape[0], shape[1], *(1,) * axes))
        values[np.arange(shape[0]), np.arange(shape[0]) % shape[1]] = scale.reshape(-1, *(1,) * axes)
        dtype = editor.dtype(largest.input[1])
        kernel, extents = editor.constant("identity", values, dtype), (1,) * axes
        bias = editor.constant("shift", shift, dtype) if np.any(shift) else ""
        inner: Pads = ((0, 0),) * axes
    else:
        conv = way.conv
        extents = _shape(conv, editor)[2:]
        theirs = [list(attribute(conv, name, [])) or [1] * axes for name in ("strides", "dilations")]
        if theirs[0] != steps or attribute(conv, "group", 1) != groups or (prod(extents) > 1 and theirs[1] != spread):
            raise RewriteError("their strides, groups or dilations differ")
        kernel, bias = _scaled(conv, way.after, largest, editor)
        inner = own_pads(conv, axes)
    around = list[tuple[int, int]]()
    for axis in range(axes):
        offset, rest = divmod(pads[axis][0] - inner[axis][0], spread[axis])
        behind = shape[2 + axis] - offset - extents[axis]
        if rest or offset < 0 or behind < 0:
            raise RewriteError("the kernels do not lie within the largest one")
        around.append((offset, behind))
    if any(map(any, around)):
        amounts = [0, 0, *(before for before, _ in around), 0, 0, *(after for _, after in around)]
        if editor.opset >= 11:
            kernel = editor.insert(largest, "Pad", [kernel, editor.integers("around", amounts)])
        else:
            kernel = editor.insert(largest, "Pad", [kernel], pads=amounts)
    return kernel, bias
