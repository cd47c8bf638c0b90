from __future__ import annotations

import pytest

from cnnlint_rules.normalization.norm_axis import NormAxis

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[1, 3, 8, 10] x) => (float[1, 16, {rows}, {columns}] y) {{
    kernel_shape = Constant <value_ints = [16, 3, 3, 3]> ()
    kernel = ConstantOfShape (kernel_shape)
    size = Constant <value_ints = [{size}]> ()
    statistics = ConstantOfShape (size)
    [conv1] convolved = Conv (x, kernel)
    activated = Relu (convolved)
    moved = Transpose <perm = {permutation}> (activated)
    [bn1] normalized = BatchNormalization (moved, statistics, statistics, statistics, statistics)
    y = Transpose <perm = {back}> (normalized)
}}
"""


@pytest.mark.parametrize(
    ("permutation", "back", "size", "axis"),
    [([0, 2, 3, 1], [0, 3, 1, 2], 6, "6 rows"), ([0, 3, 2, 1], [0, 3, 2, 1], 8, "8 columns")],
)
def test_rows_or_columns_with_statistics_of_their_own_are_named(lint, permutation, back, size, axis):
    text = TEXT.format(rows=6, columns=8, size=size, permutation=permutation, back=back)
    (found,) = lint(NormAxis(), text).findings
    assert found.layers == ("bn1", "conv1")
    assert f"has statistics for each of the {axis} of the map of conv1, and mixes its 16 channels" in found.message


def test_channels_behind_a_transpose_that_leaves_them_in_place_are_fine(lint):
    permutation = [0, 1, 3, 2]
    assert not lint(
        NormAxis(), TEXT.format(rows=6, columns=8, size=16, permutation=permutation, back=permutation)
    ).findings


def test_channels_first_is_fine(lint):
    assert not lint(
        NormAxis(), "INPUT 3x8x8 -> CONV 16 3x3 -> BN -> RELU -> POOL 2 -> BN -> GAP -> FC 10 -> BN"
    ).findings
