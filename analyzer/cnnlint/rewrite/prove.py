"""Proof by trial: a model and its rewritten form under onnxruntime, compared where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlint.errors import RuntimeCheckError
from cnnlint.results import Proof
from cnnlint.rewrite.region import changed_region
from cnnlint.rewrite.trial_part import TrialPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    from cnnlint.runtime.probe import Probe

    Values = Mapping[str, NDArray[Any]]

TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Error relative to a tensor's largest magnitude that rounding in another order of summation can come to.

A float32 sum of the 25,088 products of VGG16's first dense layer differs by 1e-6; a dropped bias, a wrong order of
axes or an epsilon of 1e-5 instead of 1e-3 by 1e-3 and more.
"""

RUNS = 3
"""Seeded inputs for each proof: one through the model, the others shuffled where the change begins."""


def prove(probe: Probe, rewritten: onnx.ModelProto, *, runs: int = RUNS) -> Proof:
    """Compare the model of `probe` with `rewritten` on seeded inputs, graph optimisation off: see `Trial`.

    Raises:
        RuntimeCheckError: One of the models does not run, or there is nothing finite to compare.
    """
    return Trial(probe, rewritten).proof(runs)


class Trial:
    """A model and its rewritten form, to be compared on seeded inputs.

    Outputs are compared, and the values before each final softmax, whose own values are all much the same in an
    untrained network. Only the parts that differ are run side by side: what goes into them comes from the model's
    seeded run, and for further runs from the same values in seeded random order.

    Attributes:
        needed: Tensors of the original that its run has to return.

    Raises:
        RuntimeCheckError: The rewritten model lacks a tensor that has to be compared.
    """

    def __init__(self, probe: Probe, rewritten: onnx.ModelProto) -> None:
        original = probe.program.proto()
        self._probe = probe
        self._region = region = changed_region(original, rewritten, (tail.logits for tail in probe.tails))
        self._parts = tuple(TrialPart(model, region, probe.program) for model in (original, rewritten))
        self.needed = (*region.border, *region.compared)

    def proof(self, runs: int = RUNS) -> Proof:
        """Run both and compare.

        Raises:
            RuntimeCheckError: One of the models does not run, or there is nothing finite to compare.
        """
        region, probe = self._region, self._probe
        probe.watch(self.needed)
        first = probe.run()
        known = {**first.feeds, **first.values}
        border = {name: known[name] for name in region.border}
        shuffled = [_shuffled(border, probe.seed + run) for run in range(1, runs)]
        before, after = self._parts
        errors, tolerance = list[tuple[float, float]](), 0.0
        if region.compared:
            expected = [{name: known[name] for name in region.compared}, *before.run(shuffled)]
            for left, right in zip(expected, after.run([border, *shuffled]), strict=True):
                for name, value in right.items():
                    errors.append(difference(name, left[name], value))
                    tolerance = max(tolerance, TOLERANCES.get(value.dtype.name, TOLERANCES["float32"]))
        relative = max((error for _, error in errors), default=0.0)
        tolerance = tolerance or TOLERANCES["float32"]
        return Proof(
            equivalent=relative <= tolerance,
            max_abs_error=max((error for error, _ in errors), default=0.0),
            max_rel_error=relative,
            tolerance=tolerance,
            runs=runs,
            tensors=region.compared,
        )


def difference(name: str, expected: NDArray[Any], actual: NDArray[Any]) -> tuple[float, float]:
    """Return the largest absolute error, and the same relative to the largest magnitude expected.

    Raises:
        RuntimeCheckError: An expected value is not finite.
    """
    import numpy as np

    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return float("inf"), float("inf")
    if expected.size == 0:
        return 0.0, 0.0
    left, right = expected.astype(np.float64), actual.astype(np.float64)
    if not np.isfinite(left).all():
        raise RuntimeCheckError(f"{name} is not finite, so that nothing can be said of what becomes of it")
    if not np.isfinite(right).all():
        return float("inf"), float("inf")
    error, scale = float(np.abs(left - right).max()), float(np.abs(left).max())
    return error, error / scale if scale else (0.0 if error == 0 else float("inf"))


def _shuffled(border: Values, seed: int) -> dict[str, NDArray[Any]]:
    """Return the floating values of `border` in random order; whole numbers are sizes and stay as they are."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return {
        name: rng.permuted(value.reshape(-1)).reshape(value.shape) if value.dtype.kind == "f" else value
        for name, value in border.items()
    }
