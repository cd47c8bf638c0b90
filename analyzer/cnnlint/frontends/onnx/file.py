"""An ONNX file as rules about the file see it: its record, and what follows from that and from the standard.

All follows from one walk along the nodes, in the order of the file. Thousands of nodes call their operators in a few
dozen ways (operator, number of inputs and outputs, attributes and their types): a way is judged once, and so are the
types that nodes of a way are given. One table holds the names that can be read, each with its element type, "" where
that is not known; a graph inside a node adds its own and takes them away at its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct, field

from cnnlint.frontends.onnx.datatypes import NAMES
from cnnlint.frontends.onnx.operators.values import Value
from cnnlint.frontends.onnx.records import (
    NO_TRACE,
    FunctionRecord,
    GraphRecord,
    ModelRecord,
    NodeRecord,
    TensorRecord,
    ValueRecord,
    all_nodes,
    subgraphs,
)
from cnnlint.frontends.onnx.schemas import MIXED, VARIADIC, Formal, Schema, newest, operator_schema
from cnnlint.frontends.onnx.wire import WireError, entry
from cnnlint.frontends.onnx.wiring import Wiring
from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import Shape

_Fault = tuple[int, str, int | None, str]
_Given = tuple[str | None, ...]
_Said = tuple[tuple[_Fault, ...], tuple[str, ...]]


class Call(Struct, frozen=True, eq=False):
    """A way in which nodes call an operator.

    Attributes:
        schema: The operator in the version that the file uses; None if that has no such operator, or is not known.
        version: Of the operator set; 0 if the table of schemas does not know that set or version.
        nodes: Those that call it so, in the order of the file.
        where: The function that they stand in, as a clause; "" for the graph and the graphs inside it.
        holds_graphs: Whether graphs are among the attributes.
        said: By types of the inputs: which inputs are not taken, and the types of the outputs.
    """

    schema: Schema | None
    version: int
    nodes: list[NodeRecord]
    where: str
    holds_graphs: bool
    said: dict[_Given, _Said] = field(default_factory=dict["_Given", "_Said"])


class TypeMismatch(Struct, frozen=True):
    """A type that an operator does not take.

    Attributes:
        node: The one that reads it.
        schema: Its operator.
        index: The input.
        dtype: The type of that.
        other: The input that has another type though both must have one; None if no input may be of this type.
        wanted: The type of that other input; "" for none.
    """

    node: NodeRecord
    schema: Schema
    index: int
    dtype: str
    other: int | None = None
    wanted: str = ""


class Declared(Struct, frozen=True):
    """What a file declares of a tensor, and what its nodes make of it.

    Attributes:
        value: The declaration.
        shape: The shape that is made; None if the declaration does not contradict that.
        dtype: The element type that is made; "" if the declaration does not contradict that.
    """

    value: ValueRecord
    shape: Shape | None = None
    dtype: str = ""


class FileContext:
    """An ONNX file and the facts about it, worked out when first asked for.

    Attributes:
        record: All that the file says but the values of weights.
        broken: Nodes whose attributes, weights and inputs contradict one another, each with how, as a clause.
    """

    def __init__(
        self,
        record: ModelRecord,
        shapes: Mapping[str, Shape] | None = None,
        broken: Iterable[tuple[NodeRecord, str]] = (),
        values: Mapping[str, Value] | None = None,
    ) -> None:
        self.record = record
        self.broken = tuple(broken)
        self._shapes = shapes or {}
        self._values = values or {}

    @property
    def calls(self) -> tuple[Call, ...]:
        """The ways in which nodes call operators of sets whose versions the table of schemas knows."""
        return tuple(call for call in self._walk.calls if call.version)

    @cached_property
    def traces(self) -> Mapping[str, tuple[int, int]]:
        """Where the lines of Python stand that nodes come from, by the nodes' outputs; most files have none."""
        return {name: node.trace for node in self.record.graph.nodes if node.trace[1] for name in node.outputs if name}

    def trace(self, output: str) -> str:
        """Return the lines of Python that the node with this output comes from, as PyTorch writes them; "" if none."""
        begin, end = self.traces.get(output, NO_TRACE)
        source = self.record.source
        if source is None or not end:
            return ""
        try:
            return entry(source.read(begin, end - begin))[1]
        except (WireError, IndexError):
            return ""

    @property
    def unchecked(self) -> Mapping[str, int]:
        """How many nodes there are of each domain, or version of one, that the table of schemas does not know."""
        return self._walk.unchecked

    @property
    def faulty(self) -> Sequence[NodeRecord]:
        """Nodes whose attributes are malformed in the file."""
        return self._walk.faulty

    @property
    def graphs(self) -> Sequence[tuple[str, GraphRecord]]:
        """The graph and all graphs inside nodes, each with where it stands, as a clause."""
        return self._walk.graphs

    @property
    def mismatches(self) -> Sequence[TypeMismatch]:
        """Inputs of types that the nodes' operators do not take."""
        return self._walk.mismatches

    @property
    def early(self) -> Sequence[tuple[NodeRecord, str, str]]:
        """Nodes that read what a later node of their graph makes, that name, and where the graph is, as a clause."""
        return self._walk.early

    @property
    def undefined(self) -> Sequence[tuple[str, str]]:
        """Who reads what nothing makes, in a function or in a graph inside a node, each with that name."""
        return self._walk.undefined

    @property
    def operators(self) -> frozenset[tuple[str, str, str]]:
        """Domain, name and overload of every operator and function that a node calls, in functions too."""
        callers = (call.nodes[0] for call in self._walk.calls)
        return frozenset((node.domain, node.op_type, node.overload) for node in callers)

    @property
    def function_calls(self) -> Iterator[tuple[NodeRecord, FunctionRecord]]:
        """Nodes that call functions of the file, each with its function."""
        functions = self.record.functions
        if functions:
            for body in (self.record.graph.nodes, *(function.nodes for function in functions.values())):
                for node in all_nodes(body):
                    called = functions.get((node.domain, node.op_type, node.overload))
                    if called is not None:
                        yield node, called

    @property
    def repeated(self) -> Sequence[tuple[str, str]]:
        """Names that are given twice, or that hide one of a graph around theirs, each with what for."""
        return self._walk.repeated

    @cached_property
    def contradicted(self) -> tuple[Declared, ...]:
        """Declarations of tensors that contradict what the nodes make of them, in the order of the file."""
        made = {each.value.name: each for each in self._walk.contradicted}
        graph = self.record.graph
        for value in (*graph.value_infos.values(), *graph.outputs) if self._shapes else ():
            shape = self._shapes.get(value.name)
            if shape is not None:
                known = made.get(value.name)
                made[value.name] = Declared(value, shape, "" if known is None else known.dtype)
        return tuple(made.values())

    @cached_property
    def wiring(self) -> Wiring:
        """Who makes and who reads each tensor of the graph, its shape, type and constant value."""
        return Wiring(self.record.graph, self._walk.types, self._values)

    @cached_property
    def _walk(self) -> _Walk:
        return _Walk(self.record)

    def digest(self, location: str) -> str:
        """Return the SHA-1 of a data file whose checksum the model names, in hexadecimal; all of the file is read.

        Returns:
            "" for a model in memory, which has no files.
        """
        from hashlib import sha1  # it loads cryptography, and hardly any model names a checksum

        source = self.record.checksums[location][1]
        if source is None:
            return ""
        digest = sha1(usedforsecurity=False)
        for start in range(0, source.size, CHUNK):
            digest.update(source.view(start, min(CHUNK, source.size - start)))
        return digest.hexdigest()

    @staticmethod
    def named(nodes: Sequence[NodeRecord]) -> str:
        """Return the subject of a sentence about nodes: "Node conv1 (Conv)", "3 nodes (conv1, conv2, conv3)"."""
        names = [node.name or next(filter(None, node.outputs), "without a name") for node in nodes]
        if len(names) == 1:
            return f"Node {names[0]} ({nodes[0].op_type})"
        return f"{len(names):,} nodes ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"


CHUNK = 1 << 24
"""Bytes of a file that are read at once."""


def onnx_file(graph: Graph) -> FileContext | None:
    """Return the ONNX file that a graph was read from; None for other formats, and for what a conversion made."""
    return graph.file if graph.source.format == "onnx" and isinstance(graph.file, FileContext) else None


class _Walk:
    """The walk along all nodes of a file."""

    def __init__(self, model: ModelRecord) -> None:
        self._model = model
        self._known: dict[str, str] = {}
        self._ways = dict[object, Call]()
        self.unchecked = Counter[str]()
        self.faulty = list[NodeRecord]()
        self.graphs = [("", model.graph)]
        self.mismatches = list[TypeMismatch]()
        self.contradicted = list[Declared]()
        self.early = list[tuple[NodeRecord, str, str]]()
        self.undefined = list[tuple[str, str]]()
        self.repeated = list[tuple[str, str]]()
        graph = model.graph
        self._note_repeated((value.name for value in graph.inputs), "the name of two inputs")
        self.repeated += [(name, "the name of two initializers") for name in graph.repeated[0]]
        self._known = {"": "", **_given(graph)}
        self._follow(graph.nodes, set(self._known), model.opsets, "", "", _declared(graph))
        self.types = self._known
        for function in model.functions.values():
            where = f" in function {function.name}"
            self._note_repeated(function.inputs, f"the name of two inputs{where}")
            self._note_repeated(function.outputs, f"the name of two outputs{where}")
            self._known = dict.fromkeys(("", *function.inputs), "")
            self._follow(function.nodes, set(self._known), function.opsets, where, where, {})
        self.calls = tuple(dict.fromkeys(self._ways.values()))
        for call in self.calls:
            self._note(call)

    def _note(self, call: Call) -> None:
        node = call.nodes[0]
        self.faulty += [each for each in call.nodes if each.faults] if node.faults else []
        if not call.version and (node.domain, node.op_type, node.overload) not in self._model.functions:
            self.unchecked[node.domain or "ai.onnx"] += len(call.nodes)

    def _note_repeated(self, names: Iterable[str], what: str) -> None:
        self.repeated += [(name, what) for name, count in Counter(names).items() if count > 1]

    def _follow(  # noqa: PLR0917 - it is called at three places below one another
        self,
        nodes: Sequence[NodeRecord],
        own: set[str],
        opsets: Mapping[str, int],
        function: str,
        where: str,
        declared: Mapping[str, ValueRecord],
    ) -> set[str]:
        """Follow the nodes of one graph.

        Args:
            nodes: In the order of the file.
            own: Names that the graph has of its own, to which those that its nodes make are added.
            opsets: Version by domain.
            function: The function that they stand in, as a clause.
            where: That, or the node that holds the graph, as a clause; "" for the outermost graph.
            declared: What the file says of the graph's tensors.

        Returns:
            Names that hide one of a graph around it.
        """
        known, ways, hiding = self._known, self._ways, set[str]()
        later: set[str] | None = None
        for node in nodes:
            inputs, outputs, attributes = node.inputs, node.outputs, node.attributes
            # nodes whose attributes are the same bytes share them; there are records of all while this lasts
            quick = (node.op_type, node.domain, id(attributes), len(inputs), len(outputs), node.overload, function)
            call = ways.get(quick)
            if call is None or "" in inputs or "" in outputs or node.faults or node.references:
                call = self._way(node, quick, opsets, function)
            call.nodes.append(node)
            given = tuple([known.get(name) for name in inputs])
            said = call.said.get(given)
            if said is None:
                if None in given:
                    if later is None:
                        later = {name for each in nodes for name in each.outputs}
                    lacking = [name for name in dict.fromkeys(inputs) if name not in known]
                    self.early += [(node, name, where) for name in lacking if name in later]
                    if where:
                        self.undefined += [(node.label, name) for name in lacking if name not in later]
                said = _said(call.schema, given, len(outputs))
                if None not in given:
                    call.said[given] = said
            faults, made = said
            if faults and call.schema is not None:
                self.mismatches += [TypeMismatch(node, call.schema, *fault) for fault in faults]
            if call.holds_graphs:
                for body in subgraphs(node):
                    self._inside(body, node, opsets, function)
            if node.op_type in BY_ATTRIBUTE and not node.domain:
                made = (_by_attribute(node),)
            for index, name in enumerate(outputs):
                dtype = made[index] if index < len(made) else ""
                if declared and (value := declared.get(name)) is not None:
                    if dtype and value.dtype != dtype:
                        self.contradicted.append(Declared(value, None, dtype))
                    dtype = dtype or value.dtype
                if name in known and name:
                    self._note_hiding(name, own, hiding, where)
                known[name] = dtype
                own.add(name)
            known[""] = ""
        return hiding

    def _note_hiding(self, name: str, own: set[str], hiding: set[str], where: str) -> None:
        if name in own:
            self.repeated.append((name, f"made by two nodes{where}"))
        else:
            self.repeated.append((name, f"made{where} though the graph around it has one of this name"))
            hiding.add(name)

    def _inside(self, body: GraphRecord, holder: NodeRecord, opsets: Mapping[str, int], function: str) -> None:
        where = f" in the {holder.op_type} {holder.label}"
        self.graphs.append((where, body))
        given = _given(body)
        hiding = {name for name in given if name in self._known}
        formal = dict.fromkeys(value.name for value in body.inputs if value.name in hiding)
        self.repeated += [(name, f"an input{where} though the graph around it has one of this name") for name in formal]
        self.repeated += [(name, f"the name of two initializers{where}") for name in body.repeated[0]]
        self._known.update(given)
        own = set(given)
        hiding |= self._follow(body.nodes, own, opsets, function, where, _declared(body))
        self.undefined += [(holder.label, value.name) for value in body.outputs if value.name not in self._known]
        for name in own - hiding - {""}:
            del self._known[name]

    def _way(self, node: NodeRecord, quick: object, opsets: Mapping[str, int], function: str) -> Call:
        kinds = tuple([_kind(value) for value in node.attributes.values()])
        key = (
            node.op_type,
            node.domain,
            node.overload,
            tuple(map(bool, node.inputs)),
            tuple(map(bool, node.outputs)),
            tuple(node.attributes),
            kinds,
            tuple(node.references),
            node.faults,
            function,
        )
        call = self._ways.get(key)
        if call is None:
            call = self._ways[key] = self._call(node, opsets, function, holds_graphs=GraphRecord in kinds)
        if len(self._ways) < _REMEMBERED:
            self._ways[quick] = call
        return call

    def _call(self, node: NodeRecord, opsets: Mapping[str, int], function: str, *, holds_graphs: bool) -> Call:
        model = self._model
        version = opsets.get(node.domain, None if model.opsets else 1)
        known = newest(node.domain)
        called = (node.domain, node.op_type, node.overload) in model.functions
        if called or version is None or known is None or not 0 < version <= known:
            return Call(None, 0, [], function, holds_graphs)
        return Call(operator_schema(node.domain, node.op_type, version), version, [], function, holds_graphs)


_REMEMBERED = 10_000
"""Ways that are found again without a look at the attributes."""


def _kind(value: object) -> type | None:
    if not isinstance(value, tuple):
        return type(value)
    return type(value[0]) if value else None  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _given(graph: GraphRecord) -> dict[str, str]:
    """Return the names that a graph has before its nodes are run, with their types."""
    given = {value.name: value.dtype for value in graph.inputs}
    given.update((name, record.dtype) for name, record in graph.initializers.items())
    return given


def _declared(graph: GraphRecord) -> dict[str, ValueRecord]:
    return {value.name: value for value in (*graph.value_infos.values(), *graph.outputs) if value.dtype}


def _said(called: Schema | None, given: _Given, outputs: int) -> _Said:
    """Return which inputs an operator does not take, and the types of its outputs, "" where they do not follow."""
    if called is None or called.deprecated:
        return (), ()
    faults = list[_Fault]()
    bound = dict[str, tuple[int, str]]()
    for index, dtype in enumerate(given):
        formal = _formal(called.inputs, index)
        if not dtype or formal is None:
            continue
        if dtype not in formal.types:
            faults.append((index, dtype, None, ""))
        elif formal.variable and formal.option != MIXED and dtype not in KINDS:
            other, wanted = bound.setdefault(formal.variable, (index, dtype))
            if wanted != dtype:
                faults.append((index, dtype, other, wanted))
    made = list[str]()
    for index in range(outputs):
        formal = _formal(called.outputs, index)
        if formal is None or faults or formal.option == MIXED:
            made.append("")
        elif len(formal.types) == 1:
            made.append(next(iter(formal.types)))
        else:
            made.append(bound.get(formal.variable, (0, ""))[1])
    return tuple(faults), tuple(made)


KINDS = frozenset({"sequence", "optional", "map", "opaque"})
"""Types that are no tensors; what they hold is not read."""


def _formal(formals: tuple[Formal, ...], index: int) -> Formal | None:
    """Return the formal that stands for the input or output at `index`; None if there is none."""
    if index < len(formals):
        return formals[index]
    return formals[-1] if formals and formals[-1].option >= VARIADIC else None


BY_ATTRIBUTE = frozenset({"Cast", "Constant"})
"""Operators of one output whose type an attribute says."""

CONSTANTS = {
    "value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64",
    "value_string": "string", "value_strings": "string",
}  # fmt: skip
"""Attributes of Constant that say its type by their name."""


def _by_attribute(node: NodeRecord) -> str:
    """Return the type of the output of a Cast or Constant; "" if it does not say."""
    if node.op_type == "Cast":
        code = node.attributes.get("to")
        return NAMES.get(code, "") if isinstance(code, int) else ""
    value = node.attributes.get("value")
    if isinstance(value, TensorRecord):
        return value.dtype
    return next((CONSTANTS[name] for name in node.attributes if name in CONSTANTS), "")
