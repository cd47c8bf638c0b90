"""What the ONNX standard says of its operators, read from a table that comes with cnnlint; onnx is not imported.

`python docs/make_schemas.py` writes the table from onnx. Only the lines of operators that are asked for are decoded.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

SINGLE, OPTIONAL, VARIADIC, MIXED = 0, 1, 2, 3
"""What a formal may be: one tensor, one that may be left out, any number of one type, any number of any types."""

OPERATORS_PAGE = "https://onnx.ai/onnx/operators"
"""Where the standard describes its operators."""


class Formal(Struct, frozen=True):
    """A formal input or output of an operator.

    Attributes:
        variable: The type variable that it shares with others; "" if its type is fixed.
        types: What its type may be: element types of a tensor, "sequence", "optional" or "map".
        option: SINGLE, OPTIONAL, VARIADIC or MIXED.
        name: As the standard calls it.
    """

    variable: str
    types: frozenset[str]
    option: int
    name: str


class Schema(Struct, frozen=True):
    """An operator as it is since one version of its operator set.

    Attributes:
        domain: "" is the default.
        since: The version.
        deprecated: Whether that version removed it.
        arity: The least and the most inputs, the least and the most outputs.
        attributes: Code of the type, and whether it must be given, by name.
    """

    domain: str
    name: str
    since: int
    deprecated: bool
    arity: tuple[int, int, int, int]
    inputs: tuple[Formal, ...]
    outputs: tuple[Formal, ...]
    attributes: dict[str, tuple[int, bool]]

    @property
    def page(self) -> str:
        """The address of the operator's page in the standard."""
        domain = f"_{self.domain.replace('.', '')}_" if self.domain else "__"
        return f"{OPERATORS_PAGE}/onnx_{domain}{self.name}.html"


_Formal = tuple[str, int, int, str]
_Row = tuple[
    int, int, tuple[int, int, int, int], tuple[_Formal, ...], tuple[_Formal, ...], dict[str, tuple[int, int]]
]  # fmt: skip


class _Head(Struct):
    """The first line of the table.

    Attributes:
        onnx: The version that wrote it.
        opsets: The newest version of each operator set.
        ir: The newest IR version.
        types: Sets of types that formals name by number.
    """

    onnx: str
    opsets: dict[str, int]
    ir: int
    types: tuple[frozenset[str], ...]


@cache
def _table() -> tuple[bytes, _Head]:
    data = Path(__file__).with_name("schemas.txt").read_bytes()
    return data, msgspec.json.decode(data[: data.index(b"\n")], type=_Head)


def newest(domain: str) -> int | None:
    """Return the newest version of an operator set that the table knows; None if it knows none."""
    return _table()[1].opsets.get(domain)


def newest_ir_version() -> int:
    """Return the newest IR version that the table knows."""
    return _table()[1].ir


def history(domain: str, name: str) -> tuple[Schema, ...]:
    """Return all versions of an operator, oldest first; () if the table has none of this name."""
    return _decoded(domain, name)


@cache
def _decoded(domain: str, name: str) -> tuple[Schema, ...]:
    data, head = _table()
    key = f"\n{domain}\t{name}\t".encode("utf-8", "replace")
    at = data.find(key)
    if at < 0 or "\n" in name:
        return ()
    line = data[at + len(key) : data.index(b"\n", at + 1)]
    return tuple(
        Schema(
            domain,
            name,
            since,
            bool(deprecated),
            arity,
            tuple(_formal(each, head.types) for each in inputs),
            tuple(_formal(each, head.types) for each in outputs),
            {key: (kind, bool(required)) for key, (kind, required) in attributes.items()},
        )
        for since, deprecated, arity, inputs, outputs, attributes in msgspec.json.decode(line, type=list[_Row])
    )


def _formal(written: tuple[str, int, int, str], families: tuple[frozenset[str], ...]) -> Formal:
    variable, types, option, name = written
    return Formal(variable, families[types], option, name)


def operator_schema(domain: str, name: str, version: int) -> Schema | None:
    """Return an operator as it is in a version of its operator set; None if that has none of this name."""
    return next((each for each in reversed(history(domain, name)) if each.since <= version), None)
