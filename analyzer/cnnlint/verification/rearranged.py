"""Weights that a rewrite only rearranges: views of the file while it is tried, and initializers when it is written."""

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
"""Elements from which passes beat NumPy's own copy."""

STEP, RUN = 8, 16
"""Entries of the second axis that a pass takes: at least `STEP`, and so many that it writes `RUN` elements in a row.

Measured on kernels of 25,088 × 4,096 and 4,096 × 4,096: fewer waste cache lines, more leave the cache.
"""


def materialize(rewritten: onnx.ModelProto, program: Program) -> onnx.ModelProto:
    """Return `rewritten` with all its weights inside, and the kernels that a rewrite rearranges as initializers.

    Args:
        rewritten: What a rewrite made of the model of `program`; its large weights still lie in that one's file.
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
    sources = dict[str, str]()  # what a new kernel is made of
    for node in graph.node:
        if node.output[0] in views and node.output[0] not in present:
            sources[node.output[0]] = sources.get(node.input[0], node.input[0])
    for index in reversed(range(len(graph.node))):
        name = graph.node[index].output[0]
        if name in sources:
            graph.initializer.append(numpy_helper.from_array(contiguous(views[name]), name))
            del graph.node[index]
    _ = Editor(model).finish()  # kernels that only their rearranged form is left of
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
    """Let a kernel that took the place of another have its name, by which the user knows the layer."""
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
    """Return what the Reshapes and Transposes of initializers in `model` make, by name, as views where possible.

    Args:
        model: The model; what it adds to the original are small constants.
        weights: The original graph, whose initializers lie in its file.
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
    """Return the values of `view`, a transposed array as a rule, in a contiguous array: `out`, or a new one.

    NumPy copies a large transposed kernel element by element across the whole of both arrays. Taking a few entries
    of the result's second axis at a time, first as they lie and then turned, is 3 to 4 times faster on the first dense
    kernel of VGG16: its rows are a power of two bytes apart, so that a column of it shares a few cache lines, and
    a column of the compact copy does not.
    """
    import numpy as np

    result = np.empty(view.shape, dtype=view.dtype) if out is None else out
    if view.size < LARGE or view.ndim < 2 or view.flags.c_contiguous:
        np.copyto(result, view)
        return result
    step = max(STEP, RUN * view.shape[0] * view.shape[1] // view.size)
    as_it_lies = sorted(range(view.ndim), key=lambda axis: -abs(view.strides[axis]))
    back = [as_it_lies.index(axis) for axis in range(view.ndim)]

    def copy(starts: range) -> None:
        for start in starts:
            some = np.ascontiguousarray(view[:, start : start + step].transpose(as_it_lies))
            result[:, start : start + step] = some.transpose(back)

    shares = [range(first * step, view.shape[1], threads * step) for first in range(threads)]
    if threads < 2:
        copy(shares[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(copy, shares))
    return result
