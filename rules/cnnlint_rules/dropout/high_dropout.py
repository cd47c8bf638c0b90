"""DO003: a dropout that leaves little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from cnnlint import Advice, Bad, Confidence, Context, Diagnostic, Dropout, Finding, Good, LayerRule, NearMiss, Severity


class HighDropout(
    LayerRule[Dropout], code="DO003", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A dropout's rate is so high that little is left to learn from.

    ## Why
    The rate is the share that is dropped. At 0.5 the number of thinned networks is largest, which is why Srivastava et
    al. chose it; at 0.9 a layer of 512 units passes on 51 of them, ten times as large, and what the next layer sees
    varies from step to step by three times its size. A rate of 1 passes on nothing. Often the number was meant the
    other way round: TensorFlow 1 asked for the share to keep, Keras and PyTorch ask for the share to drop.

    ## Instead
    0.5 at most ahead of the last layers, 0.1 to 0.3 elsewhere. More data, augmentation and weight decay regularize
    without taking the features away.

    ## When not
    GoogLeNet's side heads drop 0.7, and so do some classifiers on few classes: above `max-rate` it is information,
    above `warn-rate` a warning, and from 1 on an error. Dropping whole samples (stochastic depth) is not looked at.

    ## References
    - Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks
      from Overfitting", JMLR 15, 2014, section 7.3.
    - Schoop, Huang and Hartmann, "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model
      Behavior", CHI 2021, which warns above 0.5.
    - Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5.
    """

    max_rate: Annotated[float, Meta(description="The highest rate of which nothing is said, 0 to 1.", ge=0, le=1)] = 0.5

    warn_rate: Annotated[float, Meta(description="The highest rate that is information, 0 to 1.", ge=0, le=1)] = 0.8

    def check(self, layer: Dropout, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how much a dropout of a high rate leaves."""
        rate = layer.rate
        if rate is None or round(rate, 6) <= self.max_rate:
            return
        if layer.per_sample:
            yield self.skip(layer, reason="it drops whole samples: stochastic depth")
            return
        elements = layer.output.sample_elements
        left = "" if elements is None else f" of {elements:,} values"
        severity = Severity.INFO if rate <= self.warn_rate else Severity.WARNING
        told = f"leaves {1 - rate:.3g}{left} in training"
        if rate >= 1:
            severity, told = Severity.ERROR, f"drops all{left}: nothing ahead of it ever learns"
        yield self.finding(
            layer,
            message=f"{layer.name} has a rate of {rate:.3g} and {told}.",
            evidence={"rate": round(rate, 6)},
            advice=Advice(
                text="Drop half at most; the rate is the share that goes, not the one that stays",
                keras="layers.Dropout(0.5)",
                pytorch="nn.Dropout(p=0.5)",
            ),
            severity=severity,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many dropouts have high rates, and the highest."""
        most = max(place.evidence["rate"] for place in places)
        return self.finding(
            message=f"{len(places):,} dropouts have rates of up to {most:g}.",
            evidence={"dropouts": len(places), "rate": most},
            advice=Advice(text="Drop half at most; the rate is the share that goes, not the one that stays"),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> DROPOUT 0.9 -> FC 10 -> SOFTMAX", at=("dropout1",)),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> DROPOUT 0.7 -> FC 10 -> SOFTMAX", at=("dropout1",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> DROPOUT 0.5 -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> DROPOUT 0.7 -> FC 10 -> SOFTMAX", max_rate=0.7),
    )
