from __future__ import annotations

import pytest

from cnnlint.graph.layers import Dense
from cnnlint.testing import to_graph
from cnnlint_rules.dense_head.fc_as_conv import FcAsConv
from cnnlint_rules.dense_head.flatten_dense_dominates import FlattenDenseDominates


def ones(name: str, *shape: int) -> str:
    return f"{name}_s = Constant <value_ints = {list(shape)}> ()  {name} = ConstantOfShape ({name}_s)\n"


def ints(name: str, *values: int) -> str:
    return f"{name} = Constant <value_ints = {list(values)}> ()\n"


def captcha_reader(*, recurrent: bool) -> str:
    """A CRNN: a map of one row read from left to right, steps first, and one dense layer for all steps of all samples.

    As ddddocr's text reader: https://github.com/sml2h3/ddddocr
    """
    squeezed = ints("rows", 2) + "line = Squeeze (map, rows)\nsteps = Transpose <perm = [2, 0, 1]> (line)\n"
    cell = (
        ones("w", 2, 64, 16)
        + ones("r", 2, 64, 16)
        + (
            'cells, last, state = LSTM <hidden_size = 16, direction = "bidirectional"> (steps, w, r)\n'
            "turned = Transpose <perm = [0, 2, 1, 3]> (cells)\n"
        )
        + ints("s", 24, 1, 32)
        + "read = Reshape (turned, s)\n"
    )
    flat = ints("flat", 24, 32 if recurrent else 16) + f"rows_of = Reshape ({'read' if recurrent else 'steps'}, flat)\n"
    head = ones("k", 32 if recurrent else 16, 100) + "scores = MatMul (rows_of, k)\n" + ints("z", 24, 1, 100)
    return f"""<ir_version: 8, opset_import: ["": 17]>
    crnn (float[1,3,1,24] x) => (float[24,1,100] y) {{
        {ones("kernel", 16, 3, 1, 3)} map = Conv <pads = [0, 1, 0, 1]> (x, kernel)
        {squeezed} {cell if recurrent else ""} {flat} {head} y = Reshape (scores, z)
    }}"""


@pytest.mark.parametrize("recurrent", [True, False], ids=["lstm", "map only"])
def test_a_dense_layer_on_each_step_of_a_sequence_is_no_dense_layer_on_a_map(recurrent, lint):
    graph = to_graph(captcha_reader(recurrent=recurrent))
    assert len(list(graph.of_kind(Dense))) == 1
    assert not lint(FlattenDenseDominates(min_share=0), graph).findings
    assert not lint(FcAsConv(), graph).findings
