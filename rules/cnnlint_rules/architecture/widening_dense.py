"""AR008: hidden dense layers that become wider."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    ModelRule,
    NearMiss,
    Severity,
    hidden_dense,
)


class WideningDense(ModelRule, code="AR008", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A hidden dense layer has more units than one ahead of it.

    ## Why
    The head of a classifier narrows what the convolutions found down to a few scores. A layer of 64 units with one of
    256 after it has made 64 numbers of the features, and the 256 are functions of those: the wide layer costs 64 × 256
    weights and cannot bring back what the narrow one lost. NeuraLint reports it.

    ## Instead
    Hidden layers of one width, or each at most as wide as the one ahead; half as wide is usual.

    ## When not
    The output layer has as many units as there are classes and is not compared. Decoders and autoencoders widen on
    purpose, as do the blocks of a transformer: networks whose output is as large as their input, and layers on tokens,
    are left alone. It is an opinion and runs with `--pedantic` only.

    ## References
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the hidden dense layers that are wider than one ahead."""
        graph, told = context.graph, set[str]()
        given = {prod(shape) for tensor in graph.inputs if (shape := _numbers(tensor.sample_shape))}
        for head in context.heads:
            hidden = hidden_dense(graph, head)
            if len(hidden) < 2:
                continue
            made = _numbers(head.output.sample_shape)
            if made and prod(made) in given:
                yield self.skip(*hidden, reason="the output is as large as the input: an autoencoder")
                continue
            least = hidden[0]
            for layer in hidden[1:]:
                if layer.units > least.units and layer.name not in told:
                    told.add(layer.name)
                    yield self.finding(
                        layer,
                        least,
                        message=f"{layer.name} has {layer.units:,} units, {least.name} ahead of it {least.units:,}.",
                        evidence={"units": layer.units, "units_ahead": least.units},
                        advice=Advice(
                            text=f"Give {layer.name} at most {least.units:,} units, or {least.name} at least"
                            f" {layer.units:,}",
                            keras=f'keras.layers.Dense({least.units}, activation="relu")',
                            pytorch=f"nn.Linear({layer.in_features}, {least.units})",
                        ),
                    )
                least = min(least, layer, key=lambda dense: dense.units)

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 64 -> RELU -> FC 256 -> RELU -> FC 10",
            at=("fc2", "fc1"),
        ),
        Good("INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 256 -> RELU -> FC 64 -> RELU -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 64 -> RELU -> FC 1000"),
        Good("INPUT 784 -> FC 128 -> RELU -> FC 32 -> RELU -> FC 128 -> RELU -> FC 784 -> SIGMOID"),
    )


def _numbers(shape: tuple[object, ...] | None) -> tuple[int, ...]:
    """Return the extents if all are numbers; () otherwise."""
    numbers = tuple(dim for dim in shape or () if isinstance(dim, int))
    return numbers if len(numbers) == len(shape or ()) else ()
