"""Weights that a rewrite only rearranges: views of the file during verification, initializers when written."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from cnnlint.errors import ModelError
from cnnlint.rewrite.editor import Editor

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray
    from onnx import NodeProto

    from cnnlint.frontends.onnx.records import GraphRecord
    from cnnlint.runtime.program import Program

LARGE = 1 << 20
"""Elements from which copying in passes beats NumPy's own copy."""

STEP, RUN = 8, 16
"""Entries of the second axis per pass: at least `STEP`, and enough to write `RUN` elements in a row.

Measured on kernels of 25,088 × 4,096 and 4,096 × 4,096: fewer waste cache lines, more overflow the cache.
"""


def materialize(rewritten: onnx.ModelProto, program: Program) -> onnx.ModelProto:
    """Return `rewritten` with all weights inside, and with rearranged kernels as initializers.

    Args:
        rewritten: The rewritten model of `program`; its large weights are still in the original's file.
        program: The original.

    Raises:
        ModelError: A weight cannot be read.
    """
    import onnx
    from onnx import numpy_helper
    from onnx.external_data_helper import load_external_data_for_tensor

    model = onnx.ModelProto()
    model.CopyFrom(rewritten)
    graph = model.graph
    views = rearranged_weights(model, program.record.graph)
    present = {name for node in program.record.graph.nodes for name in node.outputs}
    sources = dict[str, str]()  # new kernel -> the weight that it rearranges
    for node in graph.node:
        if node.output[0] in views and node.output[0] not in present:
            sources[node.output[0]] = sources.get(node.input[0], node.input[0])
    for index in reversed(range(len(graph.node))):
        name = graph.node[index].output[0]
        if name in sources:
            graph.initializer.append(numpy_helper.from_array(contiguous(views[name]), name))
            del graph.node[index]
    _ = Editor(model).finish()  # drops kernels of which only the rearranged form is used
    _rename(graph, sources)
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            try:
                load_external_data_for_tensor(tensor, os.path.abspath(program.folder))
            except (OSError, ValueError, onnx.checker.ValidationError) as error:
                raise ModelError(f"the values of {tensor.name} cannot be read", path=program.path) from error
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    return model


def _rename(graph: onnx.GraphProto, sources: dict[str, str]) -> None:
    """Give a kernel that replaces another its name, by which the user knows the layer."""
    taken = {weight.name for weight in graph.initializer} | {name for node in graph.node for name in node.output}
    for weight in graph.initializer:
        source = sources.get(weight.name)
        if source is None or source in taken:
            continue
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name == weight.name:
                    node.input[index] = source
        taken.add(source)
        weight.name = source


def rearranged_weights(model: onnx.ModelProto, weights: GraphRecord) -> dict[str, NDArray[Any]]:
    """Return the outputs of Reshapes and Transposes of initializers in `model`, by name, as views where possible.

    Args:
        model: The model; it adds only small constants to the original.
        weights: The original graph, with its initializers in the file.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, NDArray[Any]] = {}
    for node in model.graph.node:
        if node.domain or node.op_type not in {"Reshape", "Transpose"}:
            continue
        source = found.get(node.input[0])
        if source is None:
            source = _values(node.input[0], constants, weights)
        made = None if source is None else _rearranged(node, source, constants)
        if made is not None:
            found[node.output[0]] = made
    return found


def _values(name: str, constants: dict[str, onnx.TensorProto], weights: GraphRecord) -> NDArray[Any] | None:
    record = weights.initializers.get(name)
    if name not in constants or record is None or record.storage is None:
        return None
    values = record.storage.read()
    return values if values.dtype.kind == "f" else None


def _rearranged(node: NodeProto, source: NDArray[Any], constants: dict[str, onnx.TensorProto]) -> NDArray[Any] | None:
    from onnx import helper, numpy_helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Transpose":
        return source.transpose(attributes.get("perm") or range(source.ndim)[::-1])
    target = constants.get(node.input[1]) if len(node.input) > 1 else None
    if target is None:
        return None
    extents = [int(extent) for extent in numpy_helper.to_array(target)]
    if not attributes.get("allowzero"):
        extents = [source.shape[axis] if extent == 0 else extent for axis, extent in enumerate(extents)]
    return (source if source.flags.c_contiguous else contiguous(source)).reshape(extents)


def contiguous(view: NDArray[Any], *, threads: int = 1, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Copy `view`, usually a transposed array, to a contiguous array: `out`, or a new one.

    NumPy copies a large transposed kernel element by element across both arrays. Copying a few entries of the
    result's second axis at a time, first in memory order and then transposed, is 3 to 4 times faster on the first
    dense kernel of VGG16: its rows are a power of two bytes apart, so a column maps to a few cache lines, which a
    column of the compact copy does not.
    """
    import numpy as np

    result = np.empty(view.shape, dtype=view.dtype) if out is None else out
    if view.size < LARGE or view.ndim < 2 or view.flags.c_contiguous:
        np.copyto(result, view)
        return result
    step = max(STEP, RUN * view.shape[0] * view.shape[1] // view.size)
    memory_order = sorted(range(view.ndim), key=lambda axis: -abs(view.strides[axis]))
    back = [memory_order.index(axis) for axis in range(view.ndim)]

    def copy(starts: range) -> None:
        for start in starts:
            some = np.ascontiguousarray(view[:, start : start + step].transpose(memory_order))
            result[:, start : start + step] = some.transpose(back)

    shares = [range(first * step, view.shape[1], threads * step) for first in range(threads)]
    if threads < 2:
        copy(shares[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(copy, shares))
    return result
