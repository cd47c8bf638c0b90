"""Fold a scale and a shift per channel into the convolution or dense layer that they come after."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.rewrite.editor import Editor, RewriteError, attribute

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

    from cnnlint.graph.layer import Layer

KERNELS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def fold_after(layer: Layer, affine: Layer, editor: Editor) -> None:
    """Give what `affine` does to each channel to the kernel and the bias of `layer`, and remove it.

    γ(Wx + b − μ)/√(σ² + ε) + β is W′x + b′; what is multiplied and added is worked out in float64 and rounded once.

    Raises:
        RewriteError: The nodes of the model do not have the expected form, or the result is not finite.
    """
    import numpy as np

    nodes = editor.nodes(affine)
    core, sums = kernel_nodes(layer, editor, alike=nodes)
    last = (sums or [core])[-1]
    channels = _channels(core, editor)
    scale, shift = np.ones(channels.count), np.zeros(channels.count)
    if sums:
        shift += _vector(_other(sums[0], core.output[0]), channels, editor)
    given = last.output[0]
    for node in nodes:
        if given not in node.input or not editor.is_sole(given):
            raise RewriteError("what lies between the two is read elsewhere too")
        factor, term = _affine(node, given, channels, editor)
        scale, shift = scale * factor, shift * factor + term
        given = node.output[0]
    if sums and not editor.is_sole(core.output[0]):
        raise RewriteError("what lies between the two is read elsewhere too")
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        raise RewriteError(f"the scale or the shift of {affine.name} is not finite")
    editor.remove([*sums, *nodes])
    _scale(core, scale, shift, given, editor)


def fold_scale(affine: Layer, layer: Layer, editor: Editor) -> None:
    """Give the factor or the term of `affine` to `layer`, which comes right ahead of it or right after it.

    W(sx + t) + b is (Ws)x + (Wt + b), which holds for t only where no padding stands beside it.

    Raises:
        RewriteError: The nodes of the model do not have the expected form, or the result is not finite.
    """
    nodes = editor.nodes(affine)
    core, sums = kernel_nodes(layer, editor)
    if len(affine.origin) != len(nodes):
        raise RewriteError(f"layer {affine.name} is no node of the file")
    if (sums or [core])[-1].output[0] in nodes[0].input:
        fold_after(layer, affine, editor)
    elif nodes[-1].output[0] == core.input[0]:
        _fold_ahead(nodes, core, editor)
    else:
        raise RewriteError("another layer stands between them")


def _fold_ahead(nodes: Sequence[NodeProto], core: NodeProto, editor: Editor) -> None:
    """Give what the nodes that follow one another ahead of `core` do to each channel to its kernel and its bias."""
    import numpy as np

    shape, groups, dtype = _shape(core.input[1], editor), attribute(core, "group", 1), editor.dtype(core.input[1])
    turned = core.op_type == "ConvTranspose"
    columns = core.op_type == "MatMul" or (core.op_type == "Gemm" and not attribute(core, "transB", 0))
    if attribute(core, "transA", 0) or (columns and len(shape) != 2):
        raise RewriteError(f"node {core.name} is no plain product")
    count = shape[0] if columns or turned else shape[1] * groups
    varying = [name for name in nodes[0].input if editor.constant_shape(name) is None]
    channels = _Channels(count, -1, 0) if core.op_type == "MatMul" else _Channels(count, 1, len(shape))
    scale, shift, given = np.ones(count), np.zeros(count), varying[0] if len(varying) == 1 else ""
    for node in nodes:
        if not given or given not in node.input or not editor.is_sole(node.output[0]):
            raise RewriteError("what lies between the two is read elsewhere too")
        factor, term = _affine(node, given, channels, editor)
        scale, shift = scale * factor, shift * factor + term
        given = node.output[0]
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        raise RewriteError("the scale or the shift is not finite")
    if np.any(shift != 0):
        _fold_term(core, shift, editor)
    if columns or turned:
        factors = scale.reshape(-1, *(1 for _ in shape[1:]))
    else:
        factors = np.repeat(scale.reshape(groups, -1), shape[0] // groups if groups > 1 else 1, axis=0)
        factors = factors.reshape(*factors.shape, *(1 for _ in shape[2:]))
    if not np.all(scale == 1):
        editor.set_input(core, 1, editor.insert(core, "Mul", [core.input[1], editor.constant("scale", factors, dtype)]))
    editor.set_input(core, 0, varying[0])
    editor.remove(nodes)


def _fold_term(core: NodeProto, shift: NDArray[Any], editor: Editor) -> None:
    """Add to the bias what the kernel makes of `shift` for each channel that it reads."""
    import numpy as np

    shape, dtype = _shape(core.input[1], editor), editor.dtype(core.input[1])
    groups = attribute(core, "group", 1)
    if core.op_type not in ("Conv", "Gemm"):
        raise RewriteError("the layer has no place for a term")
    if core.op_type == "Conv":
        if attribute(core, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or any(attribute(core, "pads", [0])):
            raise RewriteError("the padding of the layer would have to have the value that is added")
        taps = prod(shape[2:])
        terms = np.repeat(np.repeat(shift.reshape(groups, -1), shape[0] // groups, axis=0), taps, axis=1)
        flat = editor.insert(core, "Reshape", [core.input[1], editor.integers("rows", (shape[0], shape[1] * taps))])
        moved = editor.insert(core, "Mul", [flat, editor.constant("terms", terms, dtype)])
        moved = editor.insert(core, "MatMul", [moved, editor.constant("ones", np.ones(shape[1] * taps), dtype)])
    elif attribute(core, "alpha", 1.0) != 1.0 or attribute(core, "beta", 1.0) != 1.0:
        raise RewriteError(f"node {core.name} is no plain product")
    else:
        pair = [core.input[1], editor.constant("terms", shift, dtype)]
        moved = editor.insert(core, "MatMul", pair if attribute(core, "transB", 0) else pair[::-1])
    held = core.input[2] if len(core.input) > 2 else ""
    if held and editor.constant_shape(held) is None:
        raise RewriteError(f"the bias of {core.name} is computed at run time")
    editor.set_input(core, 2, editor.insert(core, "Add", [held, moved]) if held else moved)


def affine_of(
    node: NodeProto, given: str, channels: int, rank: int, editor: Editor
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what `node` multiplies each channel of the map `given` by, and what it adds then.

    Raises:
        RewriteError: It does something else.
    """
    return _affine(node, given, _Channels(channels, 1, rank), editor)


def cancel_bias(layer: Layer, norm: Layer, editor: Editor) -> None:
    """Drop the bias of `layer` and subtract it from the moving mean of `norm`: x + b − μ is x − (μ − b).

    Raises:
        RewriteError: The nodes of the model do not have the expected form.
    """
    core, sums = kernel_nodes(layer, editor)
    node = editor.only(norm, "BatchNormalization")
    channels = _channels(core, editor)
    mean = _vector(node.input[3], channels.alone, editor)
    if sums:
        held = _vector(_other(sums[0], core.output[0]), channels, editor)
        editor.bypass(sums[0], core.output[0])
    elif core.op_type == "Gemm":
        held = _row(core.input[2], channels.count, editor) * attribute(core, "beta", 1.0)
        editor.set_input(core, 2, "")
    else:
        held = _vector(core.input[2], channels.alone, editor)
        editor.set_input(core, 2, "")
    editor.set_input(node, 3, editor.constant(node.input[3], mean - held, editor.dtype(node.input[3])))


def kernel_nodes(layer: Layer, editor: Editor, *, alike: Sequence[NodeProto] = ()) -> tuple[NodeProto, list[NodeProto]]:
    """Return the node with the kernel, and the Add of the bias if that is a node of its own.

    Args:
        layer: A convolution or a dense layer.
        editor: The model.
        alike: What comes after it, and after all others that share its kernel.

    Raises:
        RewriteError: The layer is of other nodes, or its kernel is not its own.
    """
    nodes = editor.nodes(layer)
    core = editor.core(layer, *KERNELS)
    others = [node for node in nodes if node is not core]
    if len(layer.origin) != len(nodes) or len(others) > 1 or any(node.op_type != "Add" for node in others):
        raise RewriteError(f"it is {len(layer.origin)} nodes of the file")
    if others and core.output[0] not in others[0].input:
        raise RewriteError("it adds its bias elsewhere")
    if editor.constant_shape(core.input[1]) is None:
        raise RewriteError("its kernel is computed at run time")
    readers = [node for node in editor.consumers(core.input[1]) if node.op_type not in ("Shape", "Size")]
    if len(readers) > 1 and not (
        alike and all(_is_followed(node, [*others, *alike], core, editor) for node in readers)
    ):
        raise RewriteError("its kernel is shared with other layers")
    return core, others


def _is_followed(node: NodeProto, steps: Sequence[NodeProto], core: NodeProto, editor: Editor) -> bool:
    """Return whether `node` is like `core`, and is followed by nodes like `steps`, which follow that."""
    mine, theirs = node.output[0], core.output[0]
    if node.op_type != core.op_type or node.input[1] != core.input[1]:
        return False
    for step in steps:
        found = editor.consumers(mine)[0] if editor.is_sole(mine) else None
        if found is None or found.op_type != step.op_type or list(found.attribute) != list(step.attribute):
            return False
        if [name for name in found.input if name != mine] != [name for name in step.input if name != theirs]:
            return False
        mine, theirs = found.output[0], step.output[0]
    return True


class _Channels(Struct, frozen=True):
    """The channels of a tensor.

    Attributes:
        count: How many.
        axis: Their axis; -1 for the last of a tensor of any rank.
        rank: Axes of the tensor; 0 if unknown.
    """

    count: int
    axis: int
    rank: int

    @property
    def alone(self) -> _Channels:
        """A vector of them."""
        return _Channels(self.count, 0, 1)


def _channels(core: NodeProto, editor: Editor) -> _Channels:
    """Return the channels that a node makes."""
    shape = _shape(core.input[1], editor)
    if core.op_type == "Conv":
        return _Channels(shape[0], 1, len(shape))
    if core.op_type == "ConvTranspose":
        return _Channels(shape[1] * attribute(core, "group", 1), 1, len(shape))
    if core.op_type == "Gemm":
        return _Channels(shape[0 if attribute(core, "transB", 0) else 1], 1, 2)
    if len(shape) != 2:
        raise RewriteError(f"node {core.name} multiplies by several matrices")
    return _Channels(shape[1], -1, 0)


def _shape(kernel: str, editor: Editor) -> tuple[int, ...]:
    shape = editor.constant_shape(kernel)
    if shape is None or len(shape) < 2:
        raise RewriteError("its kernel is no matrix")
    return shape


def _other(node: NodeProto, given: str) -> str:
    return next((name for name in node.input if name != given), given)


def _affine(node: NodeProto, given: str, channels: _Channels, editor: Editor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what `node` multiplies `given` by for each channel, and what it adds then."""
    import numpy as np

    ones, zeros = np.ones(channels.count), np.zeros(channels.count)
    if node.op_type == "BatchNormalization" and not node.domain:
        if attribute(node, "training_mode", 0) or [name for name in node.output[1:] if name]:
            raise RewriteError(f"node {node.name} uses the statistics of the batch")
        if channels.axis != 1:
            raise RewriteError(f"node {node.name} normalizes along another axis")
        gamma, beta, mean, variance = (_vector(name, channels.alone, editor) for name in node.input[1:5])
        factor = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        return factor, beta - mean * factor
    if node.op_type in ("Identity", "Dropout"):
        return ones, zeros
    if node.op_type not in ("Mul", "Div", "Add", "Sub") or node.domain or len(node.input) != 2:
        raise RewriteError(f"node {node.name} ({node.op_type}) is no scale and no shift")
    first = node.input[0] == given
    value = _vector(_other(node, given), channels, editor)
    if node.op_type == "Mul":
        return value, zeros
    if node.op_type == "Add":
        return ones, value
    if node.op_type == "Sub":
        return (ones, -value) if first else (-ones, value)
    if not first:
        raise RewriteError(f"node {node.name} divides by the map")
    return 1 / value, zeros


def _vector(name: str, channels: _Channels, editor: Editor) -> NDArray[Any]:
    """Return the values of a constant for each channel in float64.

    Raises:
        RewriteError: It is no constant, or another one for each position.
    """
    import numpy as np

    found = editor.values(name)
    if found is None:
        raise RewriteError("what it multiplies by or adds is computed at run time")
    if found.dtype.kind != "f" and found.dtype.name != "bfloat16":
        raise RewriteError("what it multiplies by or adds is not of floating type")
    if found.size == 1:
        return np.full(channels.count, float(found.reshape(-1)[0]))
    behind = 0 if channels.axis == -1 else channels.rank - 1 - channels.axis
    fits = found.ndim > behind and found.shape[found.ndim - 1 - behind] == channels.count
    if found.size != channels.count or not fits:
        raise RewriteError("what it multiplies by or adds is not a number for each channel")
    return found.astype(np.float64).reshape(-1)


def _scale(core: NodeProto, scale: NDArray[Any], shift: NDArray[Any], output: str, editor: Editor) -> None:
    """Scale the outputs of `core` and shift them, by its kernel and bias, and call its output `output`."""
    import numpy as np

    kernel, dtype = core.input[1], editor.dtype(core.input[1])
    shape = _shape(kernel, editor)
    groups = attribute(core, "group", 1)
    columns = core.op_type == "MatMul" or (core.op_type == "Gemm" and not attribute(core, "transB", 0))
    if not np.all(scale == 1):
        if core.op_type == "ConvTranspose" and groups > 1:
            factors = np.repeat(scale.reshape(groups, -1), shape[0] // groups, axis=0)
            factors = factors.reshape(*factors.shape, *(1 for _ in shape[2:]))
        elif core.op_type == "ConvTranspose":
            factors = scale.reshape(-1, *(1 for _ in shape[2:]))
        else:
            factors = scale if columns else scale.reshape(-1, *(1 for _ in shape[1:]))
        named = editor.constant("scale", factors, dtype)
        editor.set_input(core, 1, editor.insert(core, "Mul", [kernel, named]))
    if core.op_type == "MatMul":
        made = core.output[0]
        if np.any(shift != 0):
            inner = editor.fresh(made)
            editor.set_output(core, made, inner)
            editor.insert_after(core, "Add", [inner, editor.constant("bias", shift, dtype)], output)
        else:
            editor.set_output(core, made, output)
        return
    bias = core.input[2] if len(core.input) > 2 else ""
    total = shift
    if bias:
        alone = _Channels(len(scale), 0, 1)
        held = _row(bias, len(scale), editor) if core.op_type == "Gemm" else _vector(bias, alone, editor)
        total = shift + scale * held * (attribute(core, "beta", 1.0) if core.op_type == "Gemm" else 1.0)
    if bias or np.any(total != 0):
        if core.op_type == "Gemm" and attribute(core, "beta", 1.0) != 1.0:
            editor.set_attribute(core, "beta", None)
        stem = bias if bias and len(editor.consumers(bias)) == 1 else "bias"
        editor.set_input(core, 2, editor.constant(stem, total, dtype))
    editor.set_output(core, core.output[0], output)


def _row(name: str, units: int, editor: Editor) -> NDArray[Any]:
    found = editor.values(name)
    if found is None or prod(found.shape) not in (1, units) or (found.ndim and found.shape[-1] not in (1, units)):
        raise RewriteError(f"{name} is not a vector of {units:,} numbers")
    return _vector(name, _Channels(units, -1, 0), editor)


def share_weight(layer: Layer, other: Layer, editor: Editor) -> None:
    """Have `layer` read the kernel of `other`, which is equal.

    Raises:
        RewriteError: The nodes of the model do not have the expected form.
    """
    node, holder = (editor.core(each, *KERNELS) for each in (layer, other))
    if [node.input[1], holder.input[1]] != [each.weights[0].key for each in (layer, other)]:
        raise RewriteError("the two kernels are not stored alike")
    editor.set_input(node, 1, holder.input[1])


def merge_convolutions(first: Layer, second: Layer, editor: Editor) -> None:
    """Make one convolution of two that follow each other, one of them 1 × 1: its kernel is the product of theirs.

    What the first one adds goes through the second, which holds for a constant only where no padding stands beside it.

    Raises:
        RewriteError: The nodes of the model do not have the expected form, or the one would hold more than the two.
    """
    (one, sums), (two, _) = (kernel_nodes(layer, editor) for layer in (first, second))
    between = _between((sums or [one])[-1], two, editor)
    if between is None:
        raise RewriteError(f"{second.name} does not read {first.name} alone")
    for node in (one, two):
        if node.op_type != "Conv" or attribute(node, "group", 1) != 1:
            raise RewriteError(f"node {node.name} is no convolution of one group")
        if attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise RewriteError(f"the file does not say how much padding node {node.name} has")
    inner, outer = _shape(one.input[1], editor), _shape(two.input[1], editor)
    (middle, given), made, axes = inner[:2], outer[0], len(inner) - 2
    strides = [attribute(node, "strides", [1] * axes) for node in (one, two)]
    padded = [any(attribute(node, "pads", [0])) for node in (one, two)]
    bias = _added(one, sums, middle, axes, editor)
    if prod(outer[2:]) == 1 and not padded[1]:
        kept, taps = one, inner[2:]
    elif prod(inner[2:]) == 1 and not padded[0] and max(strides[0]) == 1 and not (bias and padded[1]):
        kept, taps = two, outer[2:]
    else:
        raise RewriteError("neither of the two is a 1 × 1 convolution that the other could take in")
    if made * given * prod(taps) > prod(inner) + prod(outer):
        raise RewriteError(f"one convolution would hold {made * given * prod(taps):,} weights, more than the two")

    def shaped(name: str, *shape: int) -> str:
        return editor.insert(two, "Reshape", [name, editor.integers("shape", shape)])

    if kept is one:
        kernel = editor.insert(two, "MatMul", [shaped(two.input[1], made, middle), shaped(one.input[1], middle, -1)])
        through = shaped(two.input[1], made, middle)
    else:
        turned = editor.insert(two, "Transpose", [shaped(two.input[1], made, middle, -1)], perm=[0, 2, 1])
        kernel = editor.insert(two, "MatMul", [turned, shaped(one.input[1], middle, given)])
        kernel = editor.insert(two, "Transpose", [kernel], perm=[0, 2, 1])
        through = two.input[1]
        if bias:  # each of its taps sees what the first one adds
            ones = editor.constant("ones", _ones(prod(taps)), editor.dtype(two.input[1]))
            through = shaped(editor.insert(two, "MatMul", [shaped(through, made * middle, -1), ones]), made, middle)
    if bias:
        moved = editor.insert(two, "MatMul", [through, bias])
        held = two.input[2] if len(two.input) > 2 else ""
        editor.set_input(two, 2, editor.insert(two, "Add", [held, moved]) if held else moved)
    editor.set_input(two, 1, shaped(kernel, made, given, *taps))
    editor.set_input(two, 0, one.input[0])
    if kept is one:
        for name in ("kernel_shape", "pads", "dilations", "auto_pad"):
            editor.set_attribute(two, name, attribute(one, name, None))
    editor.set_attribute(two, "strides", [near * far for near, far in zip(*strides, strict=True)])
    editor.remove([one, *sums, *between])


def _added(conv: NodeProto, sums: Sequence[NodeProto], channels: int, axes: int, editor: Editor) -> str:
    """Return the vector that a convolution and an Add after it add to its filters; "" for none."""
    vector = conv.input[2] if len(conv.input) > 2 else ""
    for node in sums:
        name = _other(node, conv.output[0])
        shape = editor.constant_shape(name)
        if shape is None or prod(shape) != channels or shape[-axes - 1 :] != (channels, *(1,) * axes):
            raise RewriteError(f"what {node.name} adds is not a constant for each filter")
        more = editor.insert(conv, "Reshape", [name, editor.integers("filters", (channels,))])
        vector = editor.insert(conv, "Add", [vector, more]) if vector else more
    return vector


def _ones(count: int) -> NDArray[Any]:
    import numpy as np

    return np.ones(count)


def _between(one: NodeProto, two: NodeProto, editor: Editor) -> list[NodeProto] | None:
    """Return the nodes between two that do nothing at inference; None if others are there, or others read them."""
    passed, found = two.input[0], list["NodeProto"]()
    for node in editor.walk_back(passed):
        if node.op_type not in ("Dropout", "Identity") or not editor.is_sole(passed):
            break
        found.append(node)
        passed = node.input[0]
    return found if passed == one.output[0] and editor.is_sole(passed) else None


def merge_dense(first: Layer, second: Layer, editor: Editor) -> None:
    """Make one dense layer of two that follow each other: W₂(W₁x + b₁) + b₂ is (W₂W₁)x + (W₂b₁ + b₂).

    Raises:
        RewriteError: The nodes of the model do not have the expected form.
    """
    (one, one_sums), (two, two_sums) = (kernel_nodes(layer, editor) for layer in (first, second))
    between = _between((one_sums or [one])[-1], two, editor)
    if between is None:
        raise RewriteError(f"{second.name} does not read {first.name} alone")
    for node in (one, two):
        if (
            node.op_type not in ("Gemm", "MatMul")
            or attribute(node, "transA", 0)
            or attribute(node, "alpha", 1.0) != 1.0
        ):
            raise RewriteError(f"node {node.name} is no plain product")
    left, right = (_columns(node, two, editor) for node in (one, two))
    kernel = editor.insert(two, "MatMul", [left, right])
    turned = two.op_type == "Gemm" and attribute(two, "transB", 0)
    bias = _bias(one, one_sums, editor)
    if bias:
        units = _shape(two.input[1], editor)[0 if turned else 1]
        row = editor.insert(two, "Reshape", [bias, editor.integers("row", (1, -1))])
        moved = editor.insert(two, "MatMul", [row, right])
        moved = editor.insert(two, "Reshape", [moved, editor.integers("units", (units,))])
        if two_sums:
            held = _other(two_sums[0], two.output[0])
            place = list(two_sums[0].input).index(held)
            editor.set_input(two_sums[0], place, editor.insert(two, "Add", [held, moved]))
        elif two.op_type == "Gemm":
            held = _bias(two, [], editor)
            editor.set_input(two, 2, editor.insert(two, "Add", [held, moved]) if held else moved)
            editor.set_attribute(two, "beta", None)
        else:
            made = two.output[0]
            inner = editor.fresh(made)
            editor.set_output(two, made, inner)
            editor.insert_after(two, "Add", [inner, moved], made)
    editor.set_input(two, 1, editor.insert(two, "Transpose", [kernel], perm=[1, 0]) if turned else kernel)
    editor.set_input(two, 0, one.input[0])
    editor.remove([one, *one_sums, *between])


def _columns(node: NodeProto, before: NodeProto, editor: Editor) -> str:
    """Return the matrix of a product, with a column for each unit."""
    if len(_shape(node.input[1], editor)) != 2:
        raise RewriteError(f"node {node.name} multiplies by several matrices")
    turned = node.op_type == "Gemm" and attribute(node, "transB", 0)
    return editor.insert(before, "Transpose", [node.input[1]], perm=[1, 0]) if turned else node.input[1]


def _bias(node: NodeProto, sums: Sequence[NodeProto], editor: Editor) -> str:
    """Return the vector that is added to a product; "" for none."""
    if sums:
        name = _other(sums[0], node.output[0])
    elif node.op_type == "Gemm" and len(node.input) > 2:
        name = node.input[2]
        if attribute(node, "beta", 1.0) != 1.0:
            raise RewriteError(f"node {node.name} scales its bias")
    else:
        return ""
    shape = editor.constant_shape(name)
    if shape is None or len(shape) != 1:
        raise RewriteError(f"the bias {name} is not a constant vector")
    return name
