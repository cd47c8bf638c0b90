"""Rewrite dense layers after a feature map as the convolutions that they are equivalent to."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Literal

from cnnlint.analysis.heads import DenseHead
from cnnlint.rewrite.editor import Editor, RewriteError, attribute

if TYPE_CHECKING:
    from onnx import NodeProto

    from cnnlint.graph.layer import Layer
    from cnnlint.graph.layers import Dense, Flatten

VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators between dense layers that only adapt the rank of a vector."""

RANK_AGNOSTIC = frozenset({"BatchNormalization", "Dropout"})
"""Operators that work the same on a vector of channels and on a map."""


Scores = Literal["averaged", "channels_first", "channels_last"]
"""What becomes of the map of scores: its mean over all positions, or the map in one of two orders of axes."""


def dense_to_conv(head: DenseHead, editor: Editor, scores: Scores = "averaged") -> None:
    """Replace the dense layers of `head` by convolutions.

    The first has the map's extents as its kernel and the others 1 × 1. Their scores are averaged over all
    positions (one for an image of the present size, more for a larger one; Simonyan and Zisserman 2015,
    section 3.2) and flattened, so the outputs keep their shapes; or they stay a map.

    Raises:
        RewriteError: The nodes of the model do not have the expected form.
    """
    tensor = _map(head, editor)
    chain = set[str]()
    for index, dense in enumerate(head.dense):
        core = editor.core(dense, "MatMul", "Gemm")
        sums = [node for node in editor.nodes(dense) if node.op_type == "Add" and core.output[0] in node.input]
        if index:
            tensor = _through_views(editor, core.input[0], chain)
        extents = head.extents if index == 0 else (1,) * len(head.extents)
        kernel, bias = _kernel(dense, core, head, extents, editor), _bias(dense, core, sums, editor)
        spent = [core, *sums]
        outer = spent[-1].output[0]
        editor.remove(spent)
        if index < len(head.dense) - 1 or scores == "channels_first":
            editor.insert(core, "Conv", [tensor, kernel, *bias], outer, called=core.name)
        else:
            made = editor.insert(core, "Conv", [tensor, kernel, *bias], called=core.name)
            if scores == "channels_last":
                editor.insert(core, "Transpose", [made], outer, perm=[0, *range(2, len(head.extents) + 2), 1])
            else:
                mean = editor.insert(core, "GlobalAveragePool", [made])
                editor.insert(core, "Flatten", [mean], outer, axis=1)
        chain = {outer}
        chain |= _through(head.between, chain, editor)
        if index < len(head.dense) - 1:
            editor.undeclare(chain)


def _map(head: DenseHead, editor: Editor) -> str:
    """Return the map that the first convolution looks at, channels first."""
    first = editor.core(head.dense[0], "MatMul", "Gemm")
    rank = len(head.extents) + 2
    if head.pool is not None and head.swaps_with_pool:
        node = editor.core(head.pool, "GlobalAveragePool", "AveragePool", "ReduceMean")
        last = node.op_type == "ReduceMean" and 1 in (axis % rank for axis in _axes(node, editor))
        return _channels_first(editor, node.input[0], rank, first) if last else node.input[0]
    if head.flatten is None:
        shape = editor.integers("vector_as_map", (0, -1, *(1,) * len(head.extents)))
        return editor.insert(first, "Reshape", [first.input[0], shape])
    tensor, last = flattened_map(head, head.flatten, editor)
    return _channels_first(editor, tensor, rank, first) if last else tensor


def flattened_map(head: DenseHead, flatten: Flatten, editor: Editor) -> tuple[str, bool]:
    """Return the tensor that `flatten` makes a vector of for the first dense layer, and whether channels come last.

    Raises:
        RewriteError: The order of its axes is not clear.
    """
    tensor, turned = editor.core(head.dense[0], "MatMul", "Gemm").input[0], False
    rank = len(head.extents) + 2
    for node in editor.walk_back(tensor):
        if tensor == flatten.input.name or node.op_type not in VIEWS | {"Dropout", "Transpose"}:
            break
        if node.op_type == "Transpose":
            if turned or tuple(attribute(node, "perm", ())) != (0, *range(2, rank), 1):
                raise RewriteError(f"node {node.name} transposes the map in an unusual way")
            turned = True
        tensor = node.input[0]
    if turned and flatten.order == "channels_first":
        raise RewriteError(f"the order of the axes before {flatten.name} is not clear")
    return tensor, flatten.order == "channels_last" and not turned


def _channels_first(editor: Editor, tensor: str, rank: int, before: NodeProto) -> str:
    node = editor.producer(tensor)
    turns = node is not None and node.op_type == "Transpose"
    if node is not None and turns and tuple(attribute(node, "perm", ())) == (0, *range(2, rank), 1):
        return node.input[0]
    return editor.insert(before, "Transpose", [tensor], perm=[0, rank - 1, *range(1, rank - 1)])


def _kernel(dense: Dense, core: NodeProto, head: DenseHead, extents: Sequence[int], editor: Editor) -> str:
    """Rearrange the weights to filters × channels × extents; a Reshape and at most one Transpose."""
    if (features := dense.in_features) is None:
        raise RewriteError(f"the input features of {dense.name} are not known")
    if attribute(core, "transA", 0):
        raise RewriteError(f"node {core.name} multiplies by a transposed activation")
    channels, spatial = features // prod(extents), len(extents)
    last = head.flatten is not None and head.flatten.order == "channels_last" and dense is head.dense[0]
    inner = (*extents, channels) if last else (channels, *extents)
    rows = [spatial, *range(spatial)] if last else list(range(spatial + 1))
    if attribute(core, "transB", 0):
        shape, permutation = (dense.units, *inner), [0, *(axis + 1 for axis in rows)]
    else:
        shape, permutation = (*inner, dense.units), [spatial + 1, *rows]
    name = editor.insert(core, "Reshape", [core.input[1], editor.integers("kernel_shape", shape)])
    if permutation != sorted(permutation):
        name = editor.insert(core, "Transpose", [name], perm=permutation)
    return _scaled(name, core, "alpha", dense, editor)


def _bias(dense: Dense, core: NodeProto, sums: list[NodeProto], editor: Editor) -> list[str]:
    """Return the bias as a vector of units, in a list that is empty without one."""
    name = core.input[2] if core.op_type == "Gemm" and len(core.input) > 2 else ""
    if (name and sums) or len(sums) > 1:
        raise RewriteError(f"layer {dense.name} adds more than one bias")
    if sums:
        name = next((other for other in sums[0].input if other != core.output[0]), "")
    if not name:
        return []
    held = dense.weight("bias")
    if held is None or held.size != dense.units:
        raise RewriteError(f"the bias of {dense.name} is not a vector of its {dense.units:,} units")
    if editor.shape(name) != (dense.units,):
        name = editor.insert(core, "Reshape", [name, editor.integers("bias_shape", (dense.units,))])
    return [name if sums else _scaled(name, core, "beta", dense, editor)]


def _scaled(name: str, core: NodeProto, factor_name: str, dense: Dense, editor: Editor) -> str:
    factor = attribute(core, factor_name, 1.0) if core.op_type == "Gemm" else 1.0
    if factor == 1.0:
        return name
    return editor.insert(core, "Mul", [name, editor.scalar(factor, dense.weights[0].dtype)])


def _through_views(editor: Editor, tensor: str, chain: set[str]) -> str:
    """Return the tensor of `chain` that `tensor` is a view of."""
    for node in editor.walk_back(tensor):
        if tensor in chain:
            return tensor
        if node.op_type not in VIEWS:
            break
        tensor = node.input[0]
    if tensor in chain:
        return tensor
    raise RewriteError(f"{tensor} does not come from the dense layer before")


def _through(between: Sequence[Layer], chain: set[str], editor: Editor) -> set[str]:
    """Return the outputs of the layers between for the tensors in `chain`, which are now maps."""
    found = set[str]()
    for layer in between:
        for node in editor.nodes(layer):
            values = [name for name in node.input if name in chain | found]
            if not values:
                continue
            others = [name for name in node.input if name not in chain | found]
            if node.op_type in VIEWS - {"Identity"} or not (
                node.op_type in RANK_AGNOSTIC or all(editor.is_scalar(name) for name in others)
            ):
                raise RewriteError(f"node {node.name} ({node.op_type}) works only on vectors")
            found.update(node.output)
    return found


def _axes(node: NodeProto, editor: Editor) -> Sequence[int]:
    axes = attribute(node, "axes", None)
    if axes is None and len(node.input) > 1:
        axes = editor.constant_integers(node.input[1])
    if axes is None:
        raise RewriteError(f"the axes of node {node.name} are not constant")
    return axes
