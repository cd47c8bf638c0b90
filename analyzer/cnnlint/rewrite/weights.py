"""Weights that a rewrite makes of others: views of the file while it is verified, initializers once it is written."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from math import prod
from typing import TYPE_CHECKING, Any, cast

from cnnlint.errors import ModelError
from cnnlint.rewrite.editor import CONSTANT_BEFORE, RewriteError, rename
from cnnlint.runtime.nodes import used_names

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from cnnlint.frontends.onnx.records import GraphRecord

TOGETHER = 1 << 23
"""Most elements that weights which are worked out together are made of, if there are several."""

LARGE = 1 << 20
"""Elements from which copying in passes beats NumPy's own copy."""

STEP, RUN = 8, 16
"""Entries of the second axis per pass: at least `STEP`, and enough to write `RUN` elements in a row.

Measured on kernels of 25,088 × 4,096 and 4,096 × 4,096: fewer waste cache lines, more overflow the cache.
"""


def settle_weights(
    model: onnx.ModelProto, made: Iterable[str], folder: str, hold: Callable[[str, NDArray[Any]], TensorProto]
) -> None:
    """Work out the nodes of `model` that compute weights from weights, and put initializers in their place.

    A weight that nothing else reads any more hands on its name, by which the user knows the layer. Nodes that hang
    together are worked out in one go, and so are several such groups as long as what they read is little: a session of
    onnxruntime for each node would take longer than all else, and one for all of them the memory of all weights.

    Args:
        model: Changed in place.
        made: Outputs of the nodes to work out, where all that they read is constant.
        folder: Of the external data.
        hold: Makes an initializer of values.

    Raises:
        RewriteError: A node cannot be worked out.
        ModelError: A weight cannot be read.
    """
    graph, made = model.graph, set(made)
    given = {value.name for value in graph.input} if model.ir_version >= CONSTANT_BEFORE else set[str]()
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in given}
    known, worked, kept = set(constants), list["NodeProto"](), list["NodeProto"]()
    for node in graph.node:
        if made.isdisjoint(node.output) or not known.issuperset(used_names(node)):
            kept.append(node)
        else:
            worked.append(node)
            known.update(name for name in node.output if name)
    if not worked:
        return
    used = {name for node in kept for name in used_names(node)} | {value.name for value in graph.output}
    names = _names(worked, used)
    fresh, equal = list["TensorProto"](), dict["Hashable", str]()
    for group in _groups(worked, constants):
        values = _evaluated(group, constants, used, folder, model)
        for name in list(values):
            value = values.pop(name)
            first = equal.setdefault(_identity(value, name), names[name])
            if first == names[name]:
                fresh.append(hold(first, value))
            names[name] = first
    spent = {name for node in worked for name in used_names(node)} - used
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name in spent:
            del graph.initializer[index]
    graph.initializer.extend(fresh)
    for node in kept:
        for name in used_names(node) & names.keys():
            if names[name] != name:
                rename(node, name, names[name])
    kept = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(kept)


def _identity(values: NDArray[Any], name: str) -> Hashable:
    """Return what equal arrays share; a large one stands for itself."""
    import numpy as np

    if values.size > LARGE or values.dtype.kind not in "biuf":
        return name
    return values.shape, values.dtype.str, blake2b(np.ascontiguousarray(values).tobytes()).digest()


def _names(worked: Iterable[NodeProto], used: set[str]) -> dict[str, str]:
    """Return what the weights that nodes read are to be called: like what it is made of, if that is gone."""
    taken, sources, names = set(used), dict[str, str](), dict[str, str]()
    for node in worked:
        for name in filter(None, node.output):
            sources[name] = sources.get(node.input[0], node.input[0]) if node.input else name
            if name in used:
                names[name] = name if sources[name] in taken else sources[name]
                taken.add(names[name])
    return names


def _groups(worked: Sequence[NodeProto], constants: Mapping[str, TensorProto]) -> Iterator[list[NodeProto]]:
    """Yield the nodes in groups that read nothing of one another, as many together as read little."""
    roots = list(range(len(worked)))
    makers = {name: index for index, node in enumerate(worked) for name in node.output if name}

    def root(index: int) -> int:
        while roots[index] != index:
            roots[index] = roots[roots[index]]
            index = roots[index]
        return index

    for index, node in enumerate(worked):
        for name in used_names(node):
            if name in makers:
                roots[root(index)] = root(makers[name])
    joined = dict[int, list["NodeProto"]]()
    for index, node in enumerate(worked):
        joined.setdefault(root(index), []).append(node)
    group, size = list["NodeProto"](), 0
    for nodes in joined.values():
        elements = sum(
            prod(constants[name].dims)
            for name in {each for node in nodes for each in used_names(node)} & constants.keys()
        )
        if group and size + elements > TOGETHER:
            yield group
            group, size = [], 0
        group += nodes
        size += elements
    yield group


def _array(value: Any, folder: str) -> NDArray[Any]:
    """Return the values of an initializer, mapped if they are in a file."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    if isinstance(value, np.ndarray):
        return cast("NDArray[Any]", value)
    try:
        dtype = helper.tensor_dtype_to_np_dtype(value.data_type)
        where = {entry.key: entry.value for entry in value.external_data}
        if value.data_location == onnx.TensorProto.EXTERNAL and dtype.kind in "fiu" and "offset" in where:
            place = os.path.join(folder, where["location"])
            shape = tuple(value.dims)
            return cast("Any", np.memmap(place, dtype, "r", int(where["offset"]), shape))
        return numpy_helper.to_array(value, base_dir=os.path.abspath(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"the values of {value.name} cannot be read") from error


def _evaluated(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, TensorProto],
    used: set[str],
    folder: str,
    model: onnx.ModelProto,
) -> dict[str, NDArray[Any]]:
    """Return those outputs of the nodes that are `used`; a view where they only rearrange.

    Raises:
        RewriteError: onnxruntime does not compute them.
    """
    values, rest = dict[str, Any](), list["NodeProto"]()

    def known(name: str) -> NDArray[Any] | None:
        if name not in values and name in constants:
            values[name] = _array(constants[name], folder)
        return values.get(name)

    for node in nodes:
        made = None
        if not node.domain and node.op_type in ("Reshape", "Transpose"):
            source, *target = (known(name) for name in node.input)
            if source is not None and None not in [None if each is None else 0 for each in target]:
                made = _rearranged(
                    node,
                    source,
                    [int(extent) for each in target if each is not None for extent in each] if target else None,
                )
        if made is None:
            rest.append(node)
        else:
            values[node.output[0]] = made
    if rest:
        made = {name for node in rest for name in node.output}
        feeds = {name: array for node in rest for name in used_names(node) - made if (array := known(name)) is not None}
        values |= _run(rest, feeds, sorted(made & used), model)
    return {name: values[name] for node in nodes for name in node.output if name in used}


def _run(
    nodes: Sequence[NodeProto], feeds: dict[str, NDArray[Any]], outputs: Sequence[str], model: onnx.ModelProto
) -> dict[str, NDArray[Any]]:
    import onnx
    from onnx import helper

    from cnnlint.runtime.program import Program
    from cnnlint.runtime.session import Session, SessionError

    alone = onnx.ModelProto(ir_version=max(model.ir_version, CONSTANT_BEFORE))
    alone.opset_import.extend(model.opset_import)
    alone.functions.extend(model.functions)
    alone.graph.name = "weights"
    alone.graph.node.extend(nodes)
    for name, values in feeds.items():
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        alone.graph.input.append(helper.make_tensor_value_info(name, kind, list(values.shape)))
    alone.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    try:
        return Session(Program.from_proto(alone)).run(feeds)
    except SessionError as error:
        raise RewriteError(f"{outputs[0]} cannot be computed: {error.cause}") from error


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
        made = None if source is None else _rearranged(node, source, _extents(node, constants))
        if made is not None:
            found[node.output[0]] = made
    return found


def _values(name: str, constants: dict[str, onnx.TensorProto], weights: GraphRecord) -> NDArray[Any] | None:
    record = weights.initializers.get(name)
    if name not in constants or record is None or record.storage is None:
        return None
    values = record.storage.read()
    return values if values.dtype.kind == "f" else None


def _extents(node: NodeProto, constants: dict[str, TensorProto]) -> list[int] | None:
    from onnx import numpy_helper

    target = constants.get(node.input[1]) if len(node.input) > 1 else None
    return None if target is None else [int(extent) for extent in numpy_helper.to_array(target)]


def _rearranged(node: NodeProto, source: NDArray[Any], extents: list[int] | None) -> NDArray[Any] | None:
    """Return `source` as a Transpose or a Reshape to `extents` gives it; None where these are not known."""
    from onnx import helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Transpose":
        return source.transpose(attributes.get("perm") or range(source.ndim)[::-1])
    if extents is None:
        return None
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
