"""ON003: attributes that the operator does not have, lacks, or has with another type or value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Call,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    FileRule,
    Finding,
    Good,
    NearMiss,
    NodeRecord,
    Severity,
    attribute_kind,
    history,
)

TYPES = {
    1: "FLOAT", 2: "INT", 3: "STRING", 4: "TENSOR", 5: "GRAPH", 6: "FLOATS", 7: "INTS", 8: "STRINGS", 9: "TENSORS",
    10: "GRAPHS", 11: "SPARSE_TENSOR", 12: "SPARSE_TENSORS", 13: "TYPE_PROTO", 14: "TYPE_PROTOS",
}  # fmt: skip
"""Names of the types of attributes."""


AUTO_PAD = {"auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")}
DIRECTION = {"direction": ("forward", "reverse", "bidirectional")}
REDUCTION = {"reduction": ("none", "add", "mul", "max", "min")}
LOSS = {"reduction": ("none", "sum", "mean")}

VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "ConvTranspose", "QLinearConv"), AUTO_PAD),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), AUTO_PAD),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), DIRECTION),
    **dict.fromkeys(("ScatterElements", "ScatterND"), REDUCTION),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), LOSS),
    "BitShift": {"direction": ("LEFT", "RIGHT")},
    "DepthToSpace": {"mode": ("DCR", "CRD")},
    "Gelu": {"approximate": ("none", "tanh")},
    "GridSample": {
        "mode": ("linear", "nearest", "cubic", "bilinear", "bicubic"),
        "padding_mode": ("zeros", "border", "reflection"),
    },
    "Pad": {"mode": ("constant", "reflect", "edge", "wrap")},
    "Resize": {
        "coordinate_transformation_mode": (
            "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
            "tf_half_pixel_for_nn", "tf_crop_and_resize",
        ),
        "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
        "mode": ("nearest", "linear", "cubic"),
        "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"),
    },
    "RoiAlign": {"coordinate_transformation_mode": ("half_pixel", "output_half_pixel"), "mode": ("avg", "max")},
    "Upsample": {"mode": ("nearest", "linear", "bilinear")},
}  # fmt: skip
"""Attributes of which the standard lists the values, in words alone; in any opset."""


class InvalidAttribute(FileRule, code="ON003", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A node has an attribute that its operator does not have, or of another type or value, or lacks a required one.

    ## Why
    Attributes are checked against the operator's definition in the opset that the file names. One that is unknown there
    is never ignored: ONNX's checker rejects the file. It is most often an attribute of another version (`axes` of
    Squeeze is an input from opset 13 on, `min` and `max` of Clip from 11 on), a misspelled name, or a number written as
    FLOAT where the operator takes an INT. Some attributes are one of a few words (`auto_pad`, the `mode` of a Resize):
    another word passes ONNX's checker and fails in every runtime.

    ## Instead
    Export for the opset that the file names, or convert the file with `onnx.version_converter.convert_version`. In the
    file, delete what is unknown, or make it anew with `onnx.helper.make_attribute`, which picks the type by the value:
    `1` is an INT and `1.0` a FLOAT.

    ## When not
    Names that begin with two underscores are left to whoever put them there, as ONNX's checker does. Operators outside
    the standard are not checked. An attribute of a node outside of functions that refers to one of a function is a
    warning: ONNX's checker passes it, and runtimes take the default.

    ## References
    - ONNX, "Operator schemas", https://onnx.ai/onnx/operators/: "Attributes" of each operator.
    - ONNX, "Intermediate Representation Specification", "Attributes".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each attribute that is wrong, once for all nodes that have it so."""
        malformed = {id(node) for node in file.faulty}
        for node in file.faulty:
            for name, fault in node.faults:
                yield self.finding(
                    *self.at(context, [node]),
                    message=f"The attribute {name} of {_lower(file.named([node]))} {fault}.",
                    evidence={"attributes": len(node.attributes)},
                    advice=Advice(text="Make the attribute anew with onnx.helper.make_attribute"),
                    subject=f"{node.name} {name}",
                )
        for call in file.calls:
            yield from self._values(file, context, call)
            if call.nodes[0].references and not call.where:
                name, other = next(iter(call.nodes[0].references.items()))
                yield self.finding(
                    *self.at(context, call.nodes),
                    message=f"{file.named(call.nodes)} takes the attribute {name!r} from an attribute {other!r} of a"
                    " function around it, and stands in none.",
                    evidence={},
                    advice=Advice(text="Give the attribute a value"),
                    severity=Severity.WARNING,
                    subject=name,
                )
            nodes = [node for node in call.nodes if id(node) not in malformed] if malformed else call.nodes
            for name, wrong in _wrong(call) if nodes else ():
                assert call.schema is not None  # noqa: S101 - it is what says so
                yield self.finding(
                    *self.at(context, nodes),
                    message=f"{file.named(nodes)}{call.where} {wrong} in opset {call.version} ({call.schema.page}).",
                    evidence={"opset": call.version, "nodes": len(nodes)},
                    advice=Advice(text="Export for the opset that the file names, or convert the file to that opset"),
                    subject=f"{call.schema.name} {name}",
                )

    def _values(self, file: FileContext, context: Context, call: Call) -> Iterator[Diagnostic]:
        """Yield each value that is none of those that the standard lists, once for all nodes that have it."""
        schema, held = call.schema, call.nodes[0].attributes
        if schema is None or schema.domain:
            return
        for name, allowed in VALUES.get(schema.name, {}).items():
            if name not in held or name not in schema.attributes:
                continue
            wrong = dict[str, list[NodeRecord]]()
            for node in call.nodes:
                value = node.attributes[name]
                if isinstance(value, bytes) and (word := value.decode("utf-8", "replace")) not in allowed:
                    wrong.setdefault(word, []).append(node)
            for word, nodes in wrong.items():
                have = "has" if len(nodes) == 1 else "have"
                yield self.finding(
                    *self.at(context, nodes),
                    message=f"{file.named(nodes)}{call.where} {have} {name} = {word!r}, and {schema.name} takes"
                    f" {', '.join(allowed)} ({schema.page}).",
                    evidence={},
                    advice=Advice(text="Correct the word"),
                    subject=f"{schema.name} {name} {word}",
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many attributes are wrong, and the first of them."""
        return self.several(
            places,
            "attributes are not those of their operators",
            "Export for the opset that the file names, or convert the file to that opset",
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            old_clip (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Clip <min = 0.0, max = 6.0> (x) }
            """,
            at=("y", "y"),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            fraction (float[1, 3, 8, 8] x) => (float[1, 192] y) { y = Flatten <axis = 1.0> (x) }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            word (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y)
            { y = MaxPool <kernel_shape = [3, 3], auto_pad = "same"> (x) }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            nothing (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { none = Constant () y = Add (x, none) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 4, opset_import: ["" : 10]>
            old_opset (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Clip <min = 0.0, max = 6.0> (x) }
            """
        ),
    )


def _lower(text: str) -> str:
    return f"n{text[1:]}" if text.startswith("Node") else text


def _wrong(call: Call) -> Iterator[tuple[str, str]]:
    """Yield each attribute that is wrong with what is, as the middle of a sentence."""
    schema, node = call.schema, call.nodes[0]
    if schema is None or schema.deprecated:
        return
    have, lack = ("has", "lacks") if len(call.nodes) == 1 else ("have", "lack")
    for name, value in node.attributes.items():
        known = schema.attributes.get(name)
        if known is None:
            if not name.startswith("__"):
                others = [each.since for each in history(node.domain, schema.name) if name in each.attributes]
                when = f", which it had in opset {max(others)}" if others else ""
                yield name, f"{have} the attribute {name!r}{when}, and {schema.name} has none of this name"
        elif known[0] not in (kinds := attribute_kind(value)):
            held = TYPES.get(kinds[0], "another type")
            yield name, f"{have} the attribute {name!r} as {held}, and {schema.name} takes it as {TYPES[known[0]]}"
    for name in node.references:
        if name not in schema.attributes and not name.startswith("__"):
            yield name, f"{have} the attribute {name!r}, and {schema.name} has none of this name"
    for name, (_, required) in schema.attributes.items():
        if required and name not in node.attributes and name not in node.references:
            yield name, f"{lack} the attribute {name!r}, which {schema.name} must have"
    if schema.name == "Constant" and not any(required for _, required in schema.attributes.values()):
        values = [name for name in schema.attributes if name in node.attributes or name in node.references]
        if len(values) != 1:
            held = " and ".join(map(repr, values)) or "no value"
            yield "value", f"{have} {held}, and a Constant must have exactly one"
