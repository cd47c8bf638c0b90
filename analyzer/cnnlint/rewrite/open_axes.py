"""Open the image axes of an ONNX model: dense heads become convolutions, and their scores a map."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from cnnlint.analysis.heads import DenseHead, dense_head
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, BatchNorm, Dense, Dropout, Elementwise
from cnnlint.rewrite.dense_to_conv import dense_to_conv, flattened_map
from cnnlint.rewrite.editor import Editor, RewriteError, attribute

if TYPE_CHECKING:
    import onnx
    from onnx import NodeProto

    from cnnlint.frontends.onnx.records import ModelRecord
    from cnnlint.graph.tensor import Tensor

SYMBOLS = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What the spatial axes of an image are called, by their number."""

Layout = Literal["channels_first", "channels_last"]


class OpenedHead(Struct, frozen=True):
    """A dense head that became convolutions.

    Attributes:
        dense: Its dense layers, the first one first.
        map: The tensor of the original file that the first one scores.
        map_layout: The order of that tensor's axes.
        extents: The map's spatial extents at present: the first kernel.
        units: Classes.
        scores: What both files call what the last dense layer makes.
        layout: The order of the axes of scores and outputs.
        outputs: The outputs of the model that are made of the scores.
    """

    dense: tuple[str, ...]
    map: str
    map_layout: Layout
    extents: tuple[int, ...]
    units: int
    scores: str
    layout: Layout
    outputs: tuple[str, ...]

    @property
    def kernels(self) -> tuple[tuple[int, ...], ...]:
        """The kernel size of each convolution."""
        return (self.extents, *((1,) * len(self.extents) for _ in self.dense[1:]))


class OpenImage(Struct, frozen=True):
    """An input that is an image.

    Attributes:
        name: The input.
        extents: Its spatial extents at present.
        axes: Their axes in the file.
    """

    name: str
    extents: tuple[int, ...]
    axes: tuple[int, ...]


def images(graph: Graph, record: ModelRecord) -> tuple[OpenImage, ...]:
    """Return the inputs of the network that are images, all of one size; () if their extents are open and not given.

    Raises:
        RewriteError: There is none, or their sizes differ or are known in part.
    """
    orders = graph.input_orders or (None,) * len(graph.inputs)
    found = list[OpenImage]()
    for tensor, order in zip(graph.inputs, orders, strict=True):
        if not tensor.spatial:
            continue
        places = order or tuple(range(tensor.rank or 0))
        extents = tuple(dim for dim in tensor.spatial if isinstance(dim, int))
        if not extents:
            continue
        if len(extents) < len(tensor.spatial):
            raise RewriteError(f"one of the extents of input {tensor.name} is open already; give both with --input")
        found.append(OpenImage(tensor.name, extents, places[2:]))
    if not any(tensor.spatial for tensor in graph.inputs):
        raise RewriteError("no input is an image")
    if not found:
        return ()
    if len(found[0].extents) not in SYMBOLS:
        raise RewriteError(f"input {found[0].name} has {len(found[0].extents)} spatial axes")
    if any(image.extents != found[0].extents for image in found):
        raise RewriteError(f"the images {', '.join(image.name for image in found)} have different extents")
    if any(image.name not in {value.name for value in record.graph.inputs} for image in found):
        raise RewriteError("its inputs are not those of the file")
    return tuple(found)


def open_heads(graph: Graph, editor: Editor, *, keep_rank: bool) -> tuple[OpenedHead, ...]:
    """Replace the dense heads on flattened maps by convolutions, whose scores stay a map or are averaged over it.

    Raises:
        RewriteError: The nodes of the model, or what comes after the head, do not have the expected form.
    """
    opened = list[OpenedHead]()
    transpose_single_channels(graph, editor)
    for head in _heads(graph):
        assert head.flatten is not None  # noqa: S101 - `_heads` has looked
        after = tuple(_after(graph, head.dense[-1].output))
        core = editor.core(head.dense[-1], "MatMul", "Gemm")
        sums = [node for node in editor.nodes(head.dense[-1]) if node.op_type == "Add" and core.output[0] in node.input]
        scores = (sums or [core])[-1].output[0]
        place, last = flattened_map(head, head.flatten, editor)
        layout = _layout(graph, after, editor)
        dense_to_conv(head, editor, "averaged" if keep_rank else layout)
        if not keep_rank:
            _to_maps(after, scores, layout, len(head.extents) + 2, editor)
        reached = {scores, *(name for layer in after for name in _outcomes(layer))}
        opened.append(
            OpenedHead(
                dense=tuple(dense.name for dense in head.dense),
                map=place,
                map_layout="channels_last" if last else "channels_first",
                extents=head.extents,
                units=head.dense[-1].units,
                scores=scores,
                layout=layout,
                outputs=tuple(tensor.name for tensor in graph.outputs if tensor.name in reached),
            )
        )
    return tuple(opened)


def _heads(graph: Graph) -> Iterator[DenseHead]:
    """Yield the rows of dense layers that begin at a flattened map."""
    for first in graph.of_kind(Dense):
        rest = list[Layer]()
        layer = graph.sole_successor(first)
        while isinstance(layer, Dense | Activation | BatchNorm | Dropout):
            rest.append(layer)
            layer = graph.sole_successor(layer)
        head = dense_head(graph, first, rest)
        if isinstance(head, DenseHead) and head.flatten is not None and head.pool is None:
            yield head


def transpose_single_channels(graph: Graph, editor: Editor) -> None:
    """Have maps of one channel that a Reshape of fixed extents turns be transposed, as exporters do with more."""
    orders = graph.input_orders or (None,) * len(graph.inputs)
    shapes = {tensor.name: tensor.shape for layer in graph.layers for tensor in layer.outputs}
    for tensor, order in zip(graph.inputs, orders, strict=True):
        shape = tensor.shape or ()
        places = [order.index(axis) for axis in range(len(shape))] if order else range(len(shape))
        shapes[tensor.name] = tuple(shape[place] for place in places)
    for node in editor.nodes_in_order:
        shape = shapes.get(node.input[0]) if node.op_type == "Reshape" and not node.domain else None
        if shape is None or len(shape) < 4:
            continue
        target, rank = editor.constant_integers(node.input[1]), len(shape)
        for axes in ([0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]):
            turned, single = [shape[axis] for axis in axes[1:]], 1 if axes[1] == 2 else rank - 1
            if target is not None and target[1:] == turned and shape[single] == 1:
                editor.remove([node])
                editor.insert(node, "Transpose", [node.input[0]], node.output[0], called=node.name, perm=axes)
                break


def _after(graph: Graph, scores: Tensor) -> Iterator[Layer]:
    """Yield the layers that `scores` lead to.

    Raises:
        RewriteError: One of them works only on vectors.
    """
    reached, names = {scores.name}, dict[str, Layer]()
    for layer in graph.layers:
        if not any(tensor.name in reached for tensor in layer.inputs):
            continue
        alone = len(layer.inputs) == 1
        scalar = (
            isinstance(layer, Elementwise)
            and prod(dim for dim in layer.constant_shape or () if isinstance(dim, int)) == 1
        )
        softmax = isinstance(layer, Activation) and layer.is_softmax
        if not alone or not (layer.is_rank_agnostic or scalar or softmax or layer.is_identity_at_inference):
            raise RewriteError(f"layer {layer.name} ({layer.label}), which reads the scores, works only on vectors")
        names[layer.name] = layer
        reached.update(tensor.name for tensor in layer.outputs)
    yield from names.values()


def _outcomes(layer: Layer) -> Iterator[str]:
    yield from (tensor.name for tensor in layer.outputs)
    yield from (part.output for part in layer.origin if part.output)


def _layout(graph: Graph, after: tuple[Layer, ...], editor: Editor) -> Layout:
    """Return where the class axis is to be: where the softmax has it, or else where the source has channels."""
    for layer in after:
        if isinstance(layer, Activation) and layer.is_softmax:
            node = editor.core(layer, "Softmax", "LogSoftmax")
            if _softmax_axis(node, editor) < 0:
                return "channels_last"
    return graph.source.layout


def _softmax_axis(node: NodeProto, editor: Editor) -> int:
    return attribute(node, "axis", -1 if editor.opset >= 13 else 1)


def _to_maps(after: tuple[Layer, ...], scores: str, layout: Layout, rank: int, editor: Editor) -> None:
    """Have the layers after the last dense layer work on maps of `rank` axes."""
    axis = 1 if layout == "channels_first" else rank - 1
    maps = {scores}
    for layer in after:
        for node in editor.nodes(layer):
            others = [name for name in node.input if name not in maps]
            if len(others) == len(node.input):
                continue
            if node.op_type in ("Softmax", "LogSoftmax"):
                _softmax(node, axis, rank, editor)
            elif node.op_type in ("Flatten", "Reshape", "Squeeze", "Unsqueeze"):
                if layer.input.rank != layer.output.rank:
                    raise RewriteError(f"node {node.name} ({node.op_type}) works only on vectors")
                source = node.input[0]
                if editor.is_output(node.output[0]):
                    editor.remove([node])
                    editor.insert(node, "Identity", [source], node.output[0], called=node.name)
                else:
                    editor.bypass(node)
            elif node.op_type == "BatchNormalization" and layout == "channels_last":
                raise RewriteError(f"node {node.name} normalizes the scores, whose classes come last")
            elif node.op_type not in ("BatchNormalization", "Dropout") and not all(map(editor.is_scalar, others)):
                raise RewriteError(f"node {node.name} ({node.op_type}) works only on vectors")
            maps.update(node.output)
    editor.undeclare(maps)


def _softmax(node: NodeProto, axis: int, rank: int, editor: Editor) -> None:
    """Have a softmax run over the classes of a map; before opset 13 it takes all axes from its own on together."""
    if editor.opset >= 13 or axis == rank - 1:
        editor.set_attribute(node, "axis", -1 if axis == rank - 1 else axis)
        return
    source, output = node.input[0], node.output[0]
    last, first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
    editor.remove([node])
    turned = editor.insert(node, "Transpose", [source], perm=last)
    made = editor.insert(node, node.op_type, [turned], called=node.name, axis=rank - 1)
    editor.insert(node, "Transpose", [made], output, perm=first)


def declare(model: onnx.ModelProto, found: tuple[OpenImage, ...], heads: tuple[OpenedHead, ...]) -> None:
    """Declare the image axes of inputs as symbols, and the scores of `heads` as maps; drop all other shapes."""
    symbols = SYMBOLS[len(found[0].extents)]
    for value in model.graph.input:
        for image in found:
            if image.name == value.name:
                for axis, symbol in zip(image.axes, symbols, strict=True):
                    _set(value.type.tensor_type.shape.dim[axis], symbol)
    of_heads = {name: head for head in heads for name in head.outputs}
    for value in model.graph.output:
        dims = value.type.tensor_type.shape.dim
        if (head := of_heads.get(value.name)) is not None:
            own = _symbols(value.name, symbols)
            del dims[1:]
            for name in (head.units, *own) if head.layout == "channels_first" else (*own, head.units):
                _set(dims.add(), name)
        elif len(dims) > 2:
            for dim in dims[1:]:
                dim.Clear()
    del model.graph.value_info[:]


def declare_outputs(model: onnx.ModelProto, before: onnx.ModelProto, opened: Graph, closed: Graph) -> None:
    """Declare the outputs that were maps before: with symbols where the network says that they are open."""
    if not len(model.graph.output) == len(opened.outputs) == len(closed.outputs):
        return
    ends = zip(model.graph.output, before.graph.output, opened.outputs, closed.outputs, strict=True)
    for value, declared, tensor, present in ends:
        dims, old, shape = value.type.tensor_type.shape.dim, declared.type.tensor_type.shape.dim, tensor.shape
        if len(old) < 3 or shape is None or present.shape is None or not len(shape) == len(present.shape) == len(old):
            continue
        plain = tuple(range(len(old)))
        for axes in (plain, (0, *plain[2:], 1)):
            extents = [present.shape[axis] for axis in axes[1:]]
            if all(dim.dim_value in (0, extent) for dim, extent in zip(old[1:], extents, strict=True)):
                own = iter(_symbols(value.name, SYMBOLS.get(len(old) - 2, ())))
                for place, axis in enumerate(axes[1:], start=1):
                    extent = shape[axis]
                    _set(dims[place], extent if isinstance(extent, int) else next(own, ""))
                break


def _symbols(output: str, symbols: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{output}_{symbol}" for symbol in symbols)


def _set(dim: onnx.TensorShapeProto.Dimension, value: int | str) -> None:
    dim.Clear()
    if isinstance(value, int):
        dim.dim_value = value
    else:
        dim.dim_param = value
