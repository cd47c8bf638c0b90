"""Mutators of ONNX models: each takes a tree and a source of chance, and changes one thing that a model is made of."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from random import Random

from fuzz import values
from fuzz.wire import (
    BINARY,
    FOUR,
    SIZED,
    VARINT,
    Field,
    Model,
    content_of,
    encode,
    message_field,
    number_field,
    text_field,
)  # fmt: skip

Operators = Mapping[str, Mapping[str, str]]
"""The attributes of each operator, and the type of each: "INT", "INTS", "FLOAT", ..."""

ATTRIBUTE_TYPES = {"FLOAT": (1, 2), "INT": (2, 3), "STRING": (3, 4), "TENSOR": (4, 5), "GRAPH": (5, 6),
                   "FLOATS": (6, 7), "INTS": (7, 8), "STRINGS": (8, 9)}  # fmt: skip
"""Of a type of attribute, its number and the field that holds it."""


class Mutation:
    """One model being mutated, and what its mutators may draw from.

    Args:
        random: Chance.
        model: The model, changed in place.
        donor: Another model, to take parts of.
        operators: All operators there are.
    """

    def __init__(self, random: Random, model: Model, donor: Model, operators: Operators) -> None:
        self.random = random
        self.model = model
        self.donor = donor
        self.operators = operators

    def pick(self, message: str, model: Model | None = None) -> tuple[Field, Field] | None:
        """Draw a message of that name with the one that it stands in; None if there is none."""
        found = [pair for pair in (model or self.model).walk() if pair[1].message == message]
        return self.random.choice(found) if found else None

    def leaf(self, wanted: Callable[[Field], bool]) -> tuple[Field, Field] | None:
        """Draw a field without fields that is `wanted`; None if there is none."""
        found = [pair for pair in self.model.walk() if not pair[1].message and wanted(pair[1])]
        return self.random.choice(found) if found else None

    def graph(self) -> Field | None:
        """Draw a graph or a function: mostly the model's own graph."""
        root = self.model.root
        if self.random.random() < 0.7 and (main := root.first(7)) is not None:
            return main
        found = [each for _, each in self.model.walk() if each.message in {"GraphProto", "FunctionProto"}]
        return self.random.choice(found) if found else None

    @cached_property
    def names(self) -> list[str]:
        """The names of all tensors that nodes read and write, and of weights and inputs, before the first change."""
        found = list[str]()
        for _, each in self.model.walk():
            if each.message == "NodeProto":
                found += [text(item) for item in each.fields if item.number in {1, 2}]
            elif each.message in {"TensorProto", "ValueInfoProto"}:
                found.append(each.text(8 if each.message == "TensorProto" else 1))
        return [name for name in found if name] or ["x"]

    def name(self) -> str:
        """Draw a name: mostly one of a tensor of this model."""
        return self.random.choice(self.names) if self.random.random() < 0.85 else values.word(self.random)


def text(field: Field) -> str:
    """Return the text of a field; "" if it holds none."""
    return field.value.decode("utf-8", "replace") if isinstance(field.value, bytes) else ""


def nodes_of(graph: Field) -> list[Field]:
    """Return the nodes of a graph or function."""
    return graph.all(7 if graph.message == "FunctionProto" else 1)


def change_number(at: Mutation) -> None:
    """Give a number another value: an extent, an attribute, a type, a version."""
    found = at.leaf(lambda field: field.wire == VARINT)
    if found is not None:
        field = found[1]
        near = field.value if isinstance(field.value, int) else 0
        field.value = values.integer(at.random, near) & (2**64 - 1)


def change_numbers(at: Mutation) -> None:
    """Change a list of numbers: an element, its length."""
    found = at.leaf(lambda field: isinstance(field.value, list))
    if found is None:
        return
    numbers = found[1].value
    assert isinstance(numbers, list)
    way = at.random.randrange(4)
    drawn = values.integer(at.random) & (2**64 - 1)
    if way == 0 and numbers:
        numbers[at.random.randrange(len(numbers))] = drawn
    elif way == 1:
        numbers.insert(at.random.randint(0, len(numbers)), drawn)
    elif way == 2 and numbers:
        del numbers[at.random.randrange(len(numbers)) :]
    else:
        numbers += [drawn] * at.random.choice((1, 3, 8, 30, 1000, 20_000))


def change_shape(at: Mutation) -> None:
    """Change the extents of a tensor or of an input: their values and how many there are."""
    if at.random.random() < 0.5:
        found = at.pick("TensorShapeProto")
        if found is None:
            return
        shape = found[1].fields
        dim = (
            number_field(1, values.integer(at.random), "Dimension")
            if at.random.random() < 0.7
            else text_field(2, at.name(), "Dimension")
        )
        wrapped = message_field(1, "TensorShapeProto", dim)
        way = at.random.randrange(4)
        if way == 0 and shape:
            shape[at.random.randrange(len(shape))] = wrapped
        elif way == 1 and shape:
            del shape[at.random.randrange(len(shape))]
        elif way == 2:
            shape.insert(at.random.randint(0, len(shape)), wrapped)
        else:
            shape += [wrapped.copy() for _ in range(at.random.choice((1, 3, 20, 64, 2000)))]
        return
    found = at.pick("TensorProto")
    if found is None:
        return
    tensor = found[1].fields
    extents = [field for field in tensor if field.number == 1]
    way = at.random.randrange(3)
    drawn = number_field(1, values.integer(at.random), "TensorProto")
    if way == 0 and extents:
        tensor.remove(at.random.choice(extents))
    elif way == 1 and extents:
        tensor[tensor.index(at.random.choice(extents))] = drawn
    else:
        tensor[:0] = [drawn.copy() for _ in range(at.random.choice((1, 1, 2, 20)))]


def change_values(at: Mutation) -> None:
    """Change the values of a small tensor, such as a shape that a Reshape reads."""
    found = [each for _, each in at.model.walk() if each.message == "TensorProto"]
    small = [each for each in found if (raw := each.first(9)) is not None and isinstance(raw.value, bytes)]
    small = [each for each in small if len(each.first(9).value) <= 128]  # type: ignore[union-attr,arg-type]
    if not small:
        change_numbers(at)
        return
    tensor = at.random.choice(small)
    raw = tensor.first(9)
    kind = tensor.first(2)
    assert raw is not None
    assert isinstance(raw.value, bytes)
    content = bytearray(raw.value)
    whole = kind is not None and kind.value == 7
    width = 8 if whole else 4
    at_ = at.random.randrange(len(content) // width + 1) * width
    drawn = (
        struct.pack("<q", values.integer(at.random)) if whole else struct.pack("<f", min(3e38, values.real(at.random)))
    )
    content[at_ : at_ + (width if at.random.random() < 0.9 else 0)] = drawn
    raw.value = bytes(content)
    extents = [field for field in tensor.fields if field.number == 1]
    if len(extents) == 1 and at.random.random() < 0.8:
        extents[0].value = len(content) // width


def change_text(at: Mutation) -> None:
    """Give a name, a type or a key other words."""
    found = at.leaf(lambda field: field.wire == SIZED and isinstance(field.value, bytes) and len(field.value) < 300)
    if found is None:
        return
    field = found[1]
    if (field.inside, field.number) in BINARY or at.random.random() < 0.1:
        assert isinstance(field.value, bytes)
        field.value = values.damaged(at.random, field.value)
    else:
        field.value = (at.name() if at.random.random() < 0.5 else values.word(at.random)).encode("utf-8", "replace")


def change_edge(at: Mutation) -> None:
    """Let a node read or write another tensor, one more or one less."""
    found = at.pick("NodeProto")
    if found is None:
        return
    node = found[1].fields
    number = 1 if at.random.random() < 0.75 else 2
    ends = [field for field in node if field.number == number]
    drawn = text_field(number, at.name() if at.random.random() < 0.9 else "", "NodeProto")
    way = at.random.randrange(4)
    if way == 0 and ends:
        node[node.index(at.random.choice(ends))] = drawn
    elif way == 1 and ends:
        node.remove(at.random.choice(ends))
    elif way == 2 and len(ends) > 1:
        one, two = at.random.sample(ends, 2)
        one.value, two.value = two.value, one.value
    else:
        node += [drawn.copy() for _ in range(at.random.choice((1, 1, 1, 2, 50)))]


def change_operator(at: Mutation) -> None:
    """Make another operator of a node."""
    found = at.pick("NodeProto")
    if found is not None:
        node = found[1]
        kind = node.first(4)
        drawn = text_field(4, at.random.choice(sorted(at.operators)), "NodeProto")
        if kind is not None:
            kind.value = drawn.value
        else:
            node.fields.append(drawn)


def attribute(at: Mutation, name: str, kind: str) -> Field:
    """Return an attribute with drawn content."""
    number, holder = ATTRIBUTE_TYPES.get(kind, (2, 3))
    parts = [text_field(1, name, "AttributeProto"), number_field(20, number, "AttributeProto")]
    count = at.random.choice((0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 6, 8, 1000))
    if kind == "FLOAT":
        parts.append(Field(holder, FOUR, struct.pack("<f", _single(values.real(at.random))), "", "AttributeProto"))
    elif kind == "FLOATS":
        parts += [
            Field(holder, FOUR, struct.pack("<f", _single(values.real(at.random))), "", "AttributeProto")
            for _ in range(count)
        ]
    elif kind == "INTS":
        parts += [number_field(holder, values.integer(at.random), "AttributeProto") for _ in range(count)]
    elif kind == "STRING":
        word = at.random.choice(
            ("SAME_UPPER", "VALID", "linear", "nearest", "reflect", "valid", values.word(at.random))
        )
        parts.append(text_field(holder, word, "AttributeProto"))
    elif kind == "STRINGS":
        parts += [text_field(holder, values.word(at.random), "AttributeProto") for _ in range(count)]
    elif kind in {"TENSOR", "GRAPH"}:
        message = "TensorProto" if kind == "TENSOR" else "GraphProto"
        found = at.pick(message) or at.pick(message, at.donor)
        content = [] if found is None else [each.copy() for each in found[1].fields]
        parts.append(message_field(holder, "AttributeProto", *content))
    else:
        parts.append(number_field(holder, values.integer(at.random), "AttributeProto"))
    return message_field(5, "NodeProto", *parts)


def change_attribute(at: Mutation) -> None:
    """Give a node an attribute of its operator with drawn content, take one away, or say one twice."""
    found = at.pick("NodeProto")
    if found is None:
        return
    node = found[1]
    known = at.operators.get(node.text(4), {}) or {"axis": "INT", "perm": "INTS"}
    name = at.random.choice(sorted(known))
    kind = known[name] if at.random.random() < 0.93 else at.random.choice(sorted(ATTRIBUTE_TYPES))
    given = [field for field in node.all(5) if field.text(1) == name]
    if given and at.random.random() < 0.9:
        node.fields.remove(given[0])
    if at.random.random() < 0.9:
        node.fields.append(attribute(at, name, kind))


def add_node(at: Mutation) -> None:
    """Put a node of a drawn operator into a graph, onto one of its edges or beside them."""
    graph = at.graph()
    if graph is None:
        return
    nodes = nodes_of(graph)
    kind = at.random.choice(sorted(at.operators))
    new = f"fuzzed_{at.random.randrange(1000)}"
    parts = [text_field(1, at.name(), "NodeProto") for _ in range(at.random.choice((1, 1, 2, 2, 3, 4, 5)))]
    parts += [text_field(2, new, "NodeProto"), text_field(4, kind, "NodeProto")]
    known = at.operators[kind]
    parts += [attribute(at, name, known[name]) for name in sorted(known) if at.random.random() < 0.5]
    inside = "FunctionProto" if graph.message == "FunctionProto" else "GraphProto"
    node = message_field(7 if inside == "FunctionProto" else 1, inside, *parts)
    place = graph.fields.index(at.random.choice(nodes)) if nodes else 0
    graph.fields.insert(place, node)
    readers = [field for each in nodes for field in each.all(1)]
    if readers and at.random.random() < 0.8:
        at.random.choice(readers).value = new.encode()


def splice(at: Mutation) -> None:
    """Put a message of another model in the place of one of the same kind, or beside it."""
    pair = at.random.choice(list(at.donor.walk()) or [(at.donor.root, at.donor.root)])[1]
    if not pair.message or pair is at.donor.root:
        return
    hosts = [each for each in at.model.walk() if each[1].message == pair.message]
    if not hosts:
        return
    parent, host = at.random.choice(hosts)
    place = parent.fields.index(host)
    new = pair.copy()
    new.number, new.inside = host.number, host.inside
    parent.fields[place : place + (at.random.random() < 0.7)] = [new]


def remove(at: Mutation) -> None:
    """Take a field away."""
    pairs = list(at.model.walk())
    if pairs:
        parent, field = at.random.choice(pairs)
        parent.fields.remove(field)


def repeat(at: Mutation) -> None:
    """Say a field again, once or many times: protobuf merges messages and takes the last of numbers."""
    pairs = list(at.model.walk())
    if pairs:
        parent, field = at.random.choice(pairs)
        size = len(field.fields) or 1
        times = at.random.choice((1, 1, 2, 5, 100, 3000)) if size < 50 else 1
        place = parent.fields.index(field) if at.random.random() < 0.5 else len(parent.fields)
        parent.fields[place:place] = [field.copy() for _ in range(times)]


def reorder(at: Mutation) -> None:
    """Shuffle the fields of a message, or swap two."""
    pairs = [each for _, each in at.model.walk() if len(each.fields) > 1]
    if pairs:
        fields = at.random.choice(pairs).fields
        if at.random.random() < 0.3:
            at.random.shuffle(fields)
        else:
            one, two = at.random.sample(range(len(fields)), 2)
            fields[one], fields[two] = fields[two], fields[one]


def damage_framing(at: Mutation) -> None:
    """Write a field as no library does: padded numbers, a length that lies, another wire type or number."""
    pairs = list(at.model.walk())
    if not pairs:
        return
    field = at.random.choice(pairs)[1]
    way = at.random.randrange(4)
    if way == 0:
        field.padding = at.random.choice((1, 2, 5, 8, 9, 10))
    elif way == 1:
        field.lie = at.random.choice((-1, 1, -3, 5, 1000, 2**31, 2**40, 2**63))
    elif way == 2:
        field.wire = at.random.randrange(8)
    else:
        field.number = at.random.choice((0, 1, 2, 3, 5, 7, 8, 9, 13, 14, 20, 25, 100, 2**29 - 1))


def damage_bytes(at: Mutation) -> None:
    """Damage the bytes of one message, which becomes bytes."""
    pairs = [each for _, each in at.model.walk() if each.message]
    if pairs:
        field = at.random.choice(pairs)
        field.value, field.message = values.damaged(at.random, content_of(field)), ""


def nest(at: Mutation) -> None:
    """Nest a graph in itself: as the branch of an If within itself, some levels deep; or a type in a type."""
    if at.random.random() < 0.3:
        found = at.pick("TypeProto")
        if found is not None:
            content = content_of(found[1])
            for _ in range(at.random.choice((1, 2, 50, 3000))):
                content = encode(Field(4, SIZED, encode(Field(1, SIZED, content))))
            found[1].value, found[1].message = content, ""
        return
    graph = at.model.root.first(7)
    if graph is None:
        return
    base = b"".join(map(encode, graph.fields[:60]))  # as bytes: a tree that deep is beyond our own recursion
    for _ in range(at.random.choice((1, 2, 3, 30, 120, 600))):
        branch = Field(6, SIZED, base)
        named = text_field(1, at.random.choice(("then_branch", "else_branch", "body")), "AttributeProto")
        holder = message_field(5, "NodeProto", named, branch, number_field(20, 5, "AttributeProto"))
        kind = at.random.choice(("If", "Loop", "Scan", "Relu"))
        node = message_field(
            1, "GraphProto", text_field(1, at.name(), "NodeProto"), text_field(2, "nested", "NodeProto"),
            text_field(4, kind, "NodeProto"), holder,
        )  # fmt: skip
        base = encode(node)
    graph.fields.append(Field(1, SIZED, content_of(node), "", "GraphProto"))


def add_function(at: Mutation) -> None:
    """Make a function of some nodes and call it: once, from within itself, or by doubling."""
    graph = at.model.root.first(7)
    if graph is None:
        return
    nodes = nodes_of(graph)
    taken = at.random.sample(nodes, min(len(nodes), at.random.choice((1, 2, 3))))
    depth = at.random.choice((1, 1, 2, 4, 12, 40, 400))
    for level in range(depth):
        body = [each.copy() for each in taken] if level == 0 else [_call(level - 1) for _ in range(2)]
        if at.random.random() < 0.1:
            body.append(_call(level))
        for each in body:
            each.number, each.inside = 7, "FunctionProto"
        parts = [
            text_field(1, f"f{level}", "FunctionProto"), text_field(4, "x", "FunctionProto"),
            text_field(5, "y", "FunctionProto"), *body, text_field(10, "fuzzed", "FunctionProto"),
            message_field(9, "FunctionProto", number_field(2, 17, "OperatorSetIdProto")),
        ]  # fmt: skip
        at.model.root.fields.append(message_field(25, "ModelProto", *parts))
    opset = message_field(
        8, "ModelProto", text_field(1, "fuzzed", "OperatorSetIdProto"), number_field(2, 1, "OperatorSetIdProto")
    )
    at.model.root.fields.append(opset)
    call = _call(depth - 1)
    call.number, call.inside = 1, "GraphProto"
    for each in call.all(1):
        each.value = at.name().encode("utf-8", "replace")
    graph.fields.insert(at.random.randint(0, len(graph.fields)), call)


def externalize(at: Mutation) -> None:
    """Let the values of a weight lie in another file, inside or outside of the folder."""
    found = at.pick("TensorProto")
    if found is None:
        return
    tensor = found[1]
    place = at.random.choice(
        ("data.bin", "./data.bin", "../outside.bin", "link.bin", "/etc/hostname", "", ".", "/", "a/../data.bin",
         "missing.bin", "data.bin\x00", "DATA.BIN", "//etc/hostname", values.word(at.random))
    )  # fmt: skip
    entries = {"location": place}
    for key in ("offset", "length", "checksum"):
        if at.random.random() < 0.5:
            entries[key] = at.random.choice(("0", "16", "-1", "x", "", " 4", "1_0", str(values.integer(at.random))))
    keep = [field for field in tensor.fields if field.number not in {4, 5, 7, 9, 10, 13, 14}]
    keep.append(number_field(14, at.random.choice((1, 1, 1, 0, 2, 2**32 + 1)), "TensorProto"))
    keep += [
        message_field(
            13,
            "TensorProto",
            text_field(1, key, "StringStringEntryProto"),
            text_field(2, said, "StringStringEntryProto"),
        )
        for key, said in entries.items()
    ]
    tensor.value = keep


def ignore_rules(at: Mutation) -> None:
    """Let the model's metadata say what is to be ignored."""
    code = at.random.choice(("FC001", "ALL", "FC", "RT006", "nonsense", values.word(at.random)))
    said = at.random.choice(
        ("*: old", "fc1: reason (until 2027-01)", "[: x", "x" * 5000, "", "*", values.word(at.random))
    )
    at.model.root.fields.append(
        message_field(
            14,
            "ModelProto",
            text_field(1, f"cnnlint.ignore.{code}", "StringStringEntryProto"),
            text_field(2, said, "StringStringEntryProto"),
        )
    )


def _call(level: int) -> Field:
    return message_field(
        7, "FunctionProto", text_field(1, "x", "NodeProto"), text_field(2, "y", "NodeProto"),
        text_field(4, f"f{level}", "NodeProto"), text_field(7, "fuzzed", "NodeProto"),
    )  # fmt: skip


def _single(value: float) -> float:
    return value if math.isnan(value) or abs(value) < 3.4e38 else float("inf")


MUTATORS: Sequence[tuple[int, Callable[[Mutation], None]]] = (
    (12, change_number), (6, change_numbers), (8, change_shape), (8, change_values), (5, change_text),
    (12, change_edge),
    (10, change_operator), (14, change_attribute), (10, add_node), (5, splice), (5, remove), (3, repeat),
    (2, reorder),
    (3, damage_framing), (2, damage_bytes), (1, nest), (2, add_function), (2, externalize), (1, ignore_rules),
)  # fmt: skip
"""Each mutator and how often it is drawn."""


def mutate(random: Random, model: Model, donor: Model, operators: Operators) -> bytes:
    """Return a mutant of `model`, which stays as it is."""
    at = Mutation(random, model.copy(), donor, operators)
    weights, mutators = zip(*MUTATORS, strict=True)
    for mutator in random.choices(mutators, weights, k=random.choice((1, 1, 2, 2, 3, 4, 6, 10))):
        mutator(at)
    content = at.model.encode()
    return values.damaged(random, content) if random.random() < 0.02 else content
