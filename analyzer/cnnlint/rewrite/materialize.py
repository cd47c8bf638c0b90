"""A rewritten model that stands alone: its weights inside, and what is made of weights alone made beforehand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cnnlint.errors import ModelError
from cnnlint.rewrite.editor import Editor
from cnnlint.rewrite.permutation import contiguous
from cnnlint.rewrite.weights import rearranged_weights

if TYPE_CHECKING:
    import onnx

    from cnnlint.runtime.program import Program


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
