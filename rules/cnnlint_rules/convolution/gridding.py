"""CV007: dilated convolutions that see a grid and never what lies between."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from msgspec import Struct

from cnnlint import (
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Conv,
    Dense,
    Diagnostic,
    Flatten,
    GlobalPool,
    Good,
    Graph,
    MaxPool,
    ModelRule,
    NearMiss,
    Severity,
)


class Gridding(ModelRule, code="CV007", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"):
    """Dilated convolutions in a row share a factor of their rates, so that each output sees a grid of the map only.

    ## Why
    A kernel of 3 taps with rate r reads the elements −r, 0 and r. Stacked with rates 2, 2, 2, or 2, 4, 8, everything
    that an output depends on lies an even number of elements away: on a map it sees one element of four, and its
    neighbor sees one of the other three, with none in common. The network works on four maps that know nothing of each
    other; what is finer than the grid is lost, and outputs next to one another disagree. Wang et al. name this
    gridding, and show it in the scores of segmentation networks.

    ## Instead
    Rates without a common factor, as in a saw: 1, 2, 5, 1, 2, 5. Or a convolution without dilation in the same stage,
    ahead of the dilated ones or after them: DRN adds such layers at its end.

    ## When not
    One dilated convolution alone, parallel ones of different rates (ASPP), and rates that double from 1 on (WaveNet)
    leave no grid and are not reported, nor is what a convolution or a pooling of more than one element mixes again.

    ## References
    - Wang et al., "Understanding Convolution for Semantic Segmentation", WACV 2018, section 3.2.
    - Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017, section 4.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield rows of dilated convolutions with a common factor that nothing mixes."""
        graph = context.graph
        if not any(any(gap > 1 for gap in layer.dilation) for layer in graph.of_kind(Conv)):
            return
        for row in _rows(graph):
            seen = 1
            for factor in row.factors:
                seen *= factor or 1
            rates = ", ".join(str(max(layer.dilation)) for layer in row.layers)
            yield self.finding(
                *row.layers,
                message=f"{len(row.layers)} dilated convolutions in a row have a common factor of rates ({rates}):"
                f" an output sees one of {seen} elements of the map, its neighbor others.",
                evidence={"layers": len(row.layers), "grid": seen},
                advice=Advice(
                    text="Choose rates without a common factor, 1, 2, 5, or add a convolution without dilation",
                    keras="for rate in (1, 2, 5):\n    x = keras.layers.Conv2D(filters, 3, dilation_rate=rate,"
                    ' padding="same", activation="relu")(x)',
                    pytorch="for rate in (1, 2, 5):\n"
                    "    layers += [nn.Conv2d(filters, filters, 3, padding=rate, dilation=rate), nn.ReLU()]",
                ),
            )

    examples = (
        Bad(
            "INPUT 3x64x64 -> CONV 16 3x3 stride 2 -> RELU -> [CONV 32 3x3 dilation 2 -> RELU]*3 -> CONV 5 1x1",
            at=("conv2", "conv3", "conv4"),
        ),
        Good(
            "INPUT 3x64x64 -> CONV 16 3x3 stride 2 -> RELU -> CONV 32 3x3 -> RELU -> CONV 32 3x3 dilation 2 -> RELU"
            " -> CONV 32 3x3 dilation 5 -> RELU -> CONV 5 1x1"
        ),
        Good(
            "INPUT 3x64x64 -> CONV 16 3x3 stride 2 -> RELU -> [CONV 32 3x3 dilation 2 -> RELU]*3 -> CONV 16 3x3 -> RELU"
            " -> CONV 5 1x1"
        ),
        Good(
            "INPUT 3x64x64 -> CONV 16 3x3 stride 2 -> RELU -> CAT[CONV 8 3x3 dilation 2 | CONV 8 3x3 dilation 4]"
            " -> RELU -> CONV 5 1x1"
        ),
    )


class ConvRow(Struct, frozen=True):
    """Convolutions of more than one tap on the longest way from where the map got its size.

    Attributes:
        layers: The convolutions.
        factors: The greatest common factor of their rates, per axis; 0 where none has more than one tap.
    """

    layers: tuple[Conv, ...]
    factors: tuple[int, ...]

    @property
    def leaves_grid(self) -> bool:
        """Whether it has at least two layers and a common factor."""
        return len(self.layers) > 1 and any(factor > 1 for factor in self.factors)


def _rows(graph: Graph) -> Iterator[ConvRow]:
    """Yield the rows that leave a grid which nothing after them mixes."""
    ahead, told = dict[str, ConvRow](), set[str]()
    for layer in graph.layers:
        rows = [ahead[each.name] for each in layer.inputs if each.name in ahead]
        row = max(rows, key=lambda row: len(row.layers), default=None)
        ends = isinstance(layer, GlobalPool | Flatten | Dense)
        if isinstance(layer, Conv):
            row = _extended(row, layer)
        elif isinstance(layer, MaxPool | AvgPool):
            row = None
        if row is None:
            continue
        if ends or any(graph.is_output(made) for made in layer.outputs):
            if row.leaves_grid and row.layers[-1].name not in told:
                told.add(row.layers[-1].name)
                yield row
        elif len(row.layers) <= 64:
            ahead |= {made.name: row for made in layer.outputs}


def _extended(row: ConvRow | None, layer: Conv) -> ConvRow | None:
    """Return the row with `layer` at its end; a stride begins another."""
    if any(stride > 1 for stride in layer.strides):
        return None
    rates = tuple(gap if taps > 1 else 0 for taps, gap in zip(layer.kernel_size, layer.dilation, strict=True))
    if not any(rates):
        return row
    if row is None or len(row.factors) != len(rates):
        return ConvRow((layer,), rates)
    return ConvRow((*row.layers, layer), tuple(gcd(one, other) for one, other in zip(row.factors, rates, strict=True)))
