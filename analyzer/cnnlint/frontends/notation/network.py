"""Build the ONNX model of a parsed network."""

from __future__ import annotations

from difflib import get_close_matches

import onnx
from onnx import TensorProto, helper

from cnnlint.frontends.notation import steps
from cnnlint.frontends.notation.emitter import IR_VERSION, LARGEST, OPSET, Emitter, StepArgs, Value, known
from cnnlint.frontends.notation.steps import Emit
from cnnlint.frontends.notation.syntax import (
    JOINS,
    Item,
    JoinSyntax,
    NetworkSyntax,
    NotationError,
    RepeatSyntax,
    StepSyntax,
    parse,
)
from cnnlint.graph.tensor import Dim, Shape

STEPS: dict[str, tuple[str, Emit]] = {
    "CONV": ("conv", steps.conv),
    "DWCONV": ("dwconv", steps.depthwise),
    "DECONV": ("deconv", steps.deconv),
    "POOL": ("pool", steps.pool),
    "AVGPOOL": ("avgpool", steps.average_pool),
    "GAP": ("gap", steps.global_average),
    "GMP": ("gmp", steps.global_maximum),
    "PAD": ("pad", steps.pad),
    "UPSAMPLE": ("upsample", steps.upsample),
    "RESIZE": ("resize", steps.resize),
    "FC": ("fc", steps.dense),
    "FLATTEN": ("flatten", steps.flatten),
    "BN": ("bn", steps.batch_norm),
    "LN": ("ln", steps.layer_norm),
    "GN": ("gn", steps.group_norm),
    "IN": ("in", steps.instance_norm),
    "LRN": ("lrn", steps.local_response_norm),
    "DROPOUT": ("dropout", steps.dropout),
    "RESCALE": ("rescale", steps.rescale),
    "RELU": ("relu", steps.operator("Relu")),
    "RELU6": ("relu6_", steps.relu6),
    "LEAKYRELU": ("leakyrelu", steps.sloped("LeakyRelu", 0.01)),
    "PRELU": ("prelu", steps.prelu),
    "ELU": ("elu", steps.sloped("Elu", 1.0)),
    "SELU": ("selu", steps.operator("Selu")),
    "GELU": ("gelu", steps.operator("Gelu")),
    "SIGMOID": ("sigmoid", steps.operator("Sigmoid")),
    "HSIGMOID": ("hsigmoid", steps.operator("HardSigmoid", alpha=1 / 6, beta=0.5)),
    "TANH": ("tanh", steps.operator("Tanh")),
    "SWISH": ("swish", steps.swish),
    "HSWISH": ("hswish", steps.operator("HardSwish")),
    "MISH": ("mish", steps.operator("Mish")),
    "SOFTPLUS": ("softplus", steps.operator("Softplus")),
    "SOFTSIGN": ("softsign", steps.operator("Softsign")),
    "SOFTMAX": ("softmax", steps.softmax("Softmax")),
    "LOGSOFTMAX": ("logsoftmax", steps.softmax("LogSoftmax")),
}
"""Kind -> prefix of its layers' names, and the function that emits it."""


def build(network: NetworkSyntax, *, seed: int) -> onnx.ModelProto:
    """Return `network` as an ONNX model, whose nodes have the names of its steps.

    Raises:
        NotationError: A step is unknown, has arguments that it does not take, or does not fit its input.
    """
    batch, given = _input(network)
    builder = _Builder(network.text, Emitter(seed, given.name))
    result = builder.sequence(given, network.body)
    if result == given:
        raise NotationError("the network has no layers", text=network.text, at=len(network.text.rstrip()))
    tensors = [
        helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [batch, *value.shape]) for value in (given, result)
    ]
    graph = helper.make_graph(builder.emit.nodes, "network", tensors[:1], tensors[1:], builder.emit.initializers)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="cnnlint notation")


def _input(network: NetworkSyntax) -> tuple[Dim, Value]:
    step = network.input
    arguments = StepArgs(network.text, step)
    if not step.words:
        raise arguments.error("INPUT needs its shape: channels, then extents", remedy="INPUT 3x32x32")
    word = step.words[0]
    rest = StepArgs(network.text, StepSyntax(step.kind, step.at, step.words[1:]))
    batch = rest.option("batch", 1)
    rest.finish()
    dims = list[Dim]()
    for part in word.text.replace("×", "x").split("x"):
        number = part.isdecimal() and len(part) < 11
        if not part or (number and not 0 < int(part) <= LARGEST) or (not number and not part[0].isalpha()):
            raise arguments.error(f"{word.text!r} is not a shape", at=word, remedy="INPUT 3x32x32, or 3xHxW")
        dims.append(int(part) if number else part)
    shape: Shape = tuple(dims)
    return (batch[0] if batch else "N"), Value(step.name.text if step.name else "input", shape)


class _Builder:
    def __init__(self, text: str, emit: Emitter) -> None:
        self.text = text
        self.emit = emit

    def sequence(self, value: Value, items: tuple[Item, ...], filters: int | None = None) -> Value:
        for item in items:
            match item:
                case StepSyntax():
                    value = self.step(value, item, filters)
                case RepeatSyntax():
                    for _ in range(item.times):
                        value = self.sequence(value, item.body, filters)
                case JoinSyntax():
                    value = self.join(value, item)
        return value

    def step(self, value: Value, step: StepSyntax, filters: int | None) -> Value:
        arguments = StepArgs(self.text, step, filters)
        if step.kind == "SE":
            return self.squeeze_excite(value, arguments)
        if step.kind not in STEPS:
            near = get_close_matches(step.kind, [*STEPS, *JOINS, "SE"], n=1, cutoff=0.5)
            remedy = f"did you mean {near[0]}?" if near else f"steps are {', '.join(STEPS)}, SE"
            raise arguments.error(f"{step.kind} is not a step", remedy=remedy)
        prefix, emit_step = STEPS[step.kind]
        if step.kind == "FC" and value.rank:
            value = self.step(value, StepSyntax("FLATTEN", step.at), None)
        return emit_step(self.emit, self.emit.name(prefix, arguments), value, arguments)

    def join(self, value: Value, join: JoinSyntax) -> Value:
        arguments = StepArgs(self.text, StepSyntax(join.kind, join.at, (), join.name))
        results = list[Value]()
        for branch in join.branches:
            # a convolution on a shortcut has as many filters as the branch has channels
            wanted = results[0].shape[0] if results and join.kind in ("RES", "ADD") else None
            results.append(self.sequence(value, branch, wanted if isinstance(wanted, int) else None))
        if len(results) == 1:
            if join.kind == "CAT":
                raise arguments.error("CAT joins two branches or more", remedy="CAT[ ... | ... ]")
            results.append(value)
        names = [result.name for result in results]
        if join.kind == "CAT":
            return self.concatenate(results, arguments)
        shape = _broadcast(results)
        if shape is None:
            shapes = " and ".join(str(result) for result in results)
            raise arguments.error(f"the branches of {join.kind} give {shapes}", remedy="they must agree")
        if join.kind == "GATE":
            output = names[0]
            for other in names[1:]:
                output = self.emit.node("Mul", [output, other], self.emit.name("mul", arguments))
            return Value(output, shape)
        op = "Add" if len(names) == 2 else "Sum"
        return Value(self.emit.node(op, names, self.emit.name("add", arguments)), shape)

    def concatenate(self, results: list[Value], arguments: StepArgs) -> Value:
        extents = {result.spatial for result in results}
        if len(extents) > 1:
            shapes = " and ".join(str(result) for result in results)
            raise arguments.error(f"the branches of CAT give {shapes}", remedy="they must agree in all but channels")
        channels = sum(known(result.shape[0], "channel", arguments) for result in results)
        name = self.emit.name("concat", arguments)
        output = self.emit.node("Concat", [result.name for result in results], name, axis=1)
        return Value(output, (channels, *results[0].spatial))

    def squeeze_excite(self, value: Value, arguments: StepArgs) -> Value:
        """Emit SE r, Hu et al., "Squeeze-and-Excitation Networks": every channel scaled by a gate of 0 to 1."""
        channels = known(value.shape[0], "channel", arguments)
        ratio = (arguments.positional("ratio") or (16,))[0]
        arguments.finish()
        one = "x".join(["1"] * max(value.rank, 1))
        text = (
            f"INPUT 1 -> GATE[GAP keep -> CONV {max(channels // ratio, 1)} {one} -> RELU"
            f" -> CONV {channels} {one} -> SIGMOID]"
        )
        (gate,) = parse(text).body
        if not isinstance(gate, JoinSyntax) or not value.rank:
            raise arguments.error(f"SE works on maps, but its input is {value}")
        return self.join(value, JoinSyntax(gate.kind, arguments.step.at, gate.branches, arguments.step.name))


def _broadcast(results: list[Value]) -> Shape | None:
    rank = max(len(result.shape) for result in results)
    if any(len(result.shape) != rank for result in results):
        return None
    shape = list[Dim]()
    for dims in zip(*(result.shape for result in results), strict=True):
        extents = {dim for dim in dims if dim != 1}
        if len({dim for dim in extents if dim is not None}) > 1:
            return None
        shape.append(next((dim for dim in dims if dim not in (1, None)), None if None in extents else 1))
    return tuple(shape)
