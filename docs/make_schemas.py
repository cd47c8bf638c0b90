"""Writes the table of ONNX's operator schemas that the rules on validity read, from the installed onnx.

    python docs/make_schemas.py

A line for each operator, so that a lint decodes those alone that the model at hand uses: its domain, its name, and as
JSON its versions. `cnnlint.frontends.onnx.schemas` says what stands in them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import onnx.defs

TABLE = Path(__file__).parents[1] / "analyzer" / "cnnlint" / "frontends" / "onnx" / "schemas.txt"

DTYPES = {"float": "float32", "double": "float64", "float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz",
          "float8e5m2": "float8_e5m2", "float8e5m2fnuz": "float8_e5m2fnuz", "float4e2m1": "float4_e2m1fn",
          "float8e8m0": "float8_e8m0fnu", "float6e2m3": "float6_e2m3fn", "float6e3m2": "float6_e3m2fn"}  # fmt: skip
"""Element types that records name otherwise than schemas do."""


def table() -> str:
    """Return the table."""
    families = dict[tuple[str, ...], int]()
    operators = dict[tuple[str, str], list[list[Any]]]()
    for schema in sorted(onnx.defs.get_all_schemas_with_history(), key=lambda each: each.since_version):
        sets = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
        entry = [
            schema.since_version,
            int(schema.deprecated),
            [schema.min_input, min(schema.max_input, 1 << 16), schema.min_output, min(schema.max_output, 1 << 16)],
            [_formal(each, sets, families) for each in schema.inputs],
            [_formal(each, sets, families) for each in schema.outputs],
            {name: [each.type.value, int(each.required)] for name, each in sorted(schema.attributes.items())},
        ]
        operators.setdefault((schema.domain, schema.name), []).append(entry)
    head = {
        "onnx": onnx.__version__,
        "opsets": _newest(),
        "ir": int(onnx.IR_VERSION),
        "types": [list(family) for family in families],
    }
    lines = [json.dumps(head, separators=(",", ":"))]
    lines += [
        f"{domain}\t{name}\t{json.dumps(versions, separators=(',', ':'))}"
        for (domain, name), versions in sorted(operators.items())
    ]
    return "\n".join(lines) + "\n"


def _formal(formal: Any, sets: dict[str, Any], families: dict[tuple[str, ...], int]) -> list[Any]:
    """Return the variable that stands for a formal's type, the number of its set of types, and what it may be.

    0 is a single tensor, 1 one that may be left out, 2 any number of one type, 3 any number of any types.
    """
    types = tuple(sorted({_dtype(each) for each in sets.get(formal.type_str, [formal.type_str])}))
    option = formal.option.value
    return [
        formal.type_str if formal.type_str in sets else "",
        families.setdefault(types, len(families)),
        option if option < 2 or formal.is_homogeneous else 3,
        formal.name,
    ]


def _dtype(written: str) -> str:
    """Return a type as records name it: the element type of a tensor, the kind of all others."""
    kind, _, rest = written.partition("(")
    element = rest.rstrip(")")
    return DTYPES.get(element, element) if kind in {"tensor", "sparse_tensor"} else {"seq": "sequence"}.get(kind, kind)


def _newest() -> dict[str, int]:
    newest = dict[str, int]()
    for schema in onnx.defs.get_all_schemas_with_history():
        newest[schema.domain] = max(newest.get(schema.domain, 0), schema.since_version)
    return newest


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8", newline="\n")
