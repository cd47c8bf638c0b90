"""Another version of ONNX's own operator set, by onnx's version converter; weights stay in their files."""

from __future__ import annotations

import re

from cnnlint.rewrite.editor import RewriteError
from cnnlint.runtime.program import Program


def in_opset(program: Program, version: int) -> Program:
    """Return a model with the operators of opset `version`.

    The converter knows no metadata of nodes, and works out shapes anew: both are those of the file again.

    Raises:
        RewriteError: The converter cannot do it.
    """
    from onnx import helper, version_converter

    given = program.proto()
    if given.functions:
        raise RewriteError("it has functions of its own, which onnx's version converter does not convert")
    if given.graph.sparse_initializer:
        raise RewriteError("it has sparse weights, which onnx's version converter loses")
    try:
        made = version_converter.convert_version(given, version)
    except Exception as error:  # of onnx's C++: an assertion, or an operator that it has no rule for
        cause = re.sub(r"^.*Assertion `.*?` failed: (Warning: )?", "", str(error), flags=re.DOTALL).strip()
        raise RewriteError(f"onnx's version converter cannot: {cause}") from error
    for name in ("input", "output", "value_info"):
        values = getattr(made.graph, name)
        del values[:]
        values.extend(getattr(given.graph, name))
    nodes = {node.output[0]: node for node in given.graph.node if node.output}
    for node in made.graph.node:
        before = nodes.get(node.output[0]) if node.output else None
        if before is not None:
            node.name, node.doc_string = before.name, before.doc_string
            del node.metadata_props[:]
            node.metadata_props.extend(before.metadata_props)
    made.ir_version = max(
        given.ir_version, helper.find_min_ir_version_for(list(made.opset_import), ignore_unknown=True)
    )
    made.metadata_props.extend(given.metadata_props[len(made.metadata_props) :])
    return Program(made.SerializeToString(), program.folder, program.path)
