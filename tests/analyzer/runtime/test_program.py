"""What onnxruntime is given: the bytes of a model, read by protobuf where they are to be changed."""

from __future__ import annotations

import pytest

from cnnlint.errors import ModelError
from cnnlint.runtime.program import Program


def test_what_protobuf_cannot_read_is_one_line_that_names_the_file() -> None:
    with pytest.raises(ModelError, match=r"net\.onnx: protobuf cannot read it"):
        Program(b"\x0a\xff", path="net.onnx").proto()
