"""The table of schemas is what the installed onnx says, and is read as onnx reads its own."""

from __future__ import annotations

import runpy
from pathlib import Path

import onnx
import onnx.defs
import pytest

from cnnlint.frontends.onnx.schemas import history, newest, operator_schema

ROOT = Path(__file__).parents[4]
TABLE = ROOT / "analyzer" / "cnnlint" / "frontends" / "onnx" / "schemas.txt"


def test_the_table_is_what_the_onnx_that_wrote_it_says() -> None:
    text = TABLE.read_text(encoding="utf-8")
    if f'"onnx":"{onnx.__version__}"' not in text[:100]:
        pytest.skip("the table was written from another onnx: python docs/make_schemas.py")
    made = runpy.run_path(str(ROOT / "docs" / "make_schemas.py"))["table"]()
    assert text == made
    assert len(text) < 300_000


def test_every_operator_is_found_in_every_opset_as_onnx_finds_it() -> None:
    for name in sorted({each.name for each in onnx.defs.get_all_schemas_with_history() if each.domain == ""}):
        for opset in range(1, min(newest("") or 0, onnx.defs.onnx_opset_version()) + 1):
            try:
                known = onnx.defs.get_schema(name, opset, "")
            except onnx.defs.SchemaError:
                assert operator_schema("", name, opset) is None, (name, opset)
                continue
            found = operator_schema("", name, opset)
            assert found is not None, (name, opset)
            assert found.since == known.since_version
            assert found.deprecated == known.deprecated
            assert found.attributes.keys() == known.attributes.keys()


def test_what_the_table_does_not_know_is_unknown() -> None:
    assert newest("com.microsoft") is None
    assert history("", "Convolve") == ()
    assert history("", "Conv\n") == ()
    assert operator_schema("", "Gelu", 19) is None
