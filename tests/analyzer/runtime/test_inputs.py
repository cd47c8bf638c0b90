"""Inputs are seeded, in the declared types, and open extents get stated values."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlint.errors import RuntimeCheckError
from cnnlint.frontends.onnx.records import ValueRecord
from cnnlint.runtime.inputs import choose_extents, distribution, sample


def shapes_of(*inputs: ValueRecord, **given: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return choose_extents(inputs, given).shapes


@pytest.mark.parametrize(
    ("declared", "chosen"),
    [
        (("N", 3, 224, 224), (2, 3, 224, 224)),
        ((None, 3, None, None), (2, 3, 224, 224)),
        (("N", "H", "W", 3), (2, 224, 224, 3)),
        ((1, 3, 32, 32), (1, 3, 32, 32)),
        (("N", 64), (2, 64)),
        (("N", "T", 64), (2, 16, 64)),
    ],
)
def test_open_extents_get_the_documented_values(declared: tuple[object, ...], chosen: tuple[int, ...]) -> None:
    assert shapes_of(ValueRecord("x", declared, "float32")) == {"x": chosen}  # type: ignore[arg-type]


def test_one_symbol_is_one_extent_everywhere() -> None:
    left, right = ValueRecord("a", ("N", 3, "S", "S"), "float32"), ValueRecord("b", ("N", "S"), "float32")
    assert shapes_of(left, right, a=(4, 3, 96, 96)) == {"a": (4, 3, 96, 96), "b": (4, 96)}


def test_what_was_guessed_is_stated() -> None:
    extents = choose_extents([ValueRecord("x", ("N", 3, "H", None), "float32")], {})
    assert extents.guessed == ("x.H=224", "x.axis 3=224")
    assert extents.batch == 2
    assert extents.dynamic


def test_a_shape_that_contradicts_the_file_is_refused() -> None:
    with pytest.raises(RuntimeCheckError, match="declared as N×3×32×32, not 1×4×32×32"):
        shapes_of(ValueRecord("x", ("N", 3, 32, 32), "float32"), x=(1, 4, 32, 32))


def test_an_input_of_unknown_rank_needs_the_user() -> None:
    with pytest.raises(RuntimeCheckError) as caught:
        shapes_of(ValueRecord("x", None, "float32"))
    assert "--input x=" in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"])
def test_samples_have_the_type_and_repeat_with_the_seed(dtype: str) -> None:
    one, two, other = (sample((64, 5), dtype, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.dtype.name == dtype
    np.testing.assert_array_equal(one, two)
    assert (one != other).any() or distribution(dtype) == "all 1"


def test_distributions_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    normal = sample((100_000,), "float32", rng)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert distribution("float32") == "standard normal"
    assert set(np.unique(sample((1000,), "int64", rng))) == {1}
    bytes_ = sample((100_000,), "uint8", rng)
    assert (bytes_.min(), bytes_.max()) == (0, 255)


@pytest.mark.parametrize("dtype", ["sequence", "string", "complex64", ""])
def test_types_that_cannot_be_made_up_are_refused(dtype: str) -> None:
    with pytest.raises(RuntimeCheckError, match="cannot be generated"):
        distribution(dtype)
