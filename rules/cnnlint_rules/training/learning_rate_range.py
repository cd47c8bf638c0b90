"""TR001: a learning rate with which nothing is learned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    ModelRule,
    NearMiss,
    Optimizer,
    Severity,
    Training,
)

ADAPTIVE = frozenset({"adam", "adamw", "adamax", "nadam", "rmsprop", "amsgrad"})
"""Optimizers whose step is about as large as the learning rate, whatever the gradient."""

HIGHEST = {"lion": 0.003, "adagrad": 0.5, "adadelta": 10.0, "adafactor": 0.5, "muon": 0.5, "lamb": 0.1, "ftrl": 1.0}
"""The highest learning rates that are met of further optimizers."""

LEAST = 1e-7
"""The least that single precision adds to a weight of 1."""

PAPER = 0.01
"""A hundredth of what Zeiler has for Adadelta, whose steps have the unit of the weights."""


class LearningRateRange(
    ModelRule, code="TR001", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """The learning rate is zero, negative, or far outside what its optimizer learns with.

    ## Why
    A rate of 0 changes no weight, a negative one climbs the loss. Adam and its kin divide the gradient by its size, so
    that every weight moves by about the learning rate at each step: weights of a convolution of 64 channels begin at
    about 0.06, and a rate of 0.1 throws them away in one step. SGD's step is the gradient times the rate, and with
    momentum m its steps add up to 1 / (1 - m) times that: ResNet's 0.1 with 0.9 comes to 1. Below 10⁻⁷, single
    precision adds nothing to a weight of 1.

    | Optimizer | Warning |
    | --- | --- |
    | any | error: 0 and below; information: below 10⁻⁷ |
    | Adam, AdamW, Nadam, Adamax, RMSprop | above `max-adaptive` |
    | SGD | rate / (1 - momentum) above `max-sgd`; error: momentum of 1 |
    | Lion | above 0.003: it takes a third to a tenth of Adam's |
    | Adadelta | below 0.01: Keras's default is 0.001, the paper's 1.0 |

    ## Instead
    0.001 for Adam and RMSprop, 0.01 to 0.1 with momentum 0.9 for SGD, lowered in steps or by a cosine.

    ## When not
    A schedule is left alone: it may begin and end where it likes. What a file holds is the rate when it was saved; one
    that a callback has lowered to next to nothing by then is fine, and so it is information unless it is 0. Tools from
    the literature draw the line for all optimizers at 0.01 (UMLAUT, Theia, DL Contract), which is below what ResNet,
    VGG and their successors were trained with; here each optimizer has its own.

    ## References
    - Schoop, Huang and Hartmann, "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model
      Behavior", CHI 2021.
    - Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, section 2.1, on the size of a step.
    - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 3.4.
    - Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.
    - Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, section 5, on Lion's rate.
    """

    max_adaptive: Annotated[
        float, Meta(description="The highest learning rate of Adam, RMSprop and the like.", gt=0)
    ] = 0.01

    max_sgd: Annotated[float, Meta(description="The highest learning rate of SGD, divided by 1 - momentum.", gt=0)] = (
        10.0
    )

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a constant learning rate that its optimizer does not learn with."""
        optimizer = context.graph.training.optimizer
        if optimizer is None:
            return
        rate = optimizer.learning_rate
        if rate is None:
            reason = f"it follows {optimizer.schedule}" if optimizer.schedule else "the file does not say it"
            yield self.skip(reason=f"the learning rate is left alone: {reason}")
            return
        told, severity, cure = self._judged(optimizer, rate)
        if not told:
            return
        momentum = optimizer.momentum or 0.0
        yield self.finding(
            message=f"The optimizer {optimizer.name or 'of this model'} has a learning rate of {rate:.4g}: {told}.",
            evidence={"learning_rate": rate, "momentum": momentum},
            advice=cure,
            severity=severity,
        )

    def _judged(self, optimizer: Optimizer, rate: float) -> tuple[str, Severity | None, Advice]:
        """Return what a rate does, "" if nothing is wrong, how bad that is, and what to do."""
        name, momentum = optimizer.name, optimizer.momentum or 0.0
        usual = Advice(
            text="Begin with 0.001",
            keras=f"keras.optimizers.{NAMES.get(name, 'Adam')}(learning_rate=0.001)",
            pytorch="torch.optim.Adam(model.parameters(), lr=1e-3)",
        )
        sgd = Advice(
            text="Begin with 0.1 or less",
            keras="keras.optimizers.SGD(learning_rate=0.1, momentum=0.9)",
            pytorch="torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)",
        )
        if not rate > 0:
            told = "no weight ever changes" if rate == 0 else "each step climbs the loss"
            return told, Severity.ERROR, sgd if name == "sgd" else usual
        if name == "sgd" and momentum >= 1:
            return f"with a momentum of {momentum:g} the steps add up without end", Severity.ERROR, sgd
        if name == "sgd" and rate / (1 - momentum) > self.max_sgd * (1 + 1e-6):
            told = f"with a momentum of {momentum:g} its steps add up to {rate / (1 - momentum):.3g} times the gradient"
            return told, None, sgd
        if name in ADAPTIVE and rate > self.max_adaptive:
            told = f"every weight moves by about that at each step, and {self.max_adaptive:g} is much already"
            return told, None, usual
        if rate > HIGHEST.get(name, rate):
            return f"{HIGHEST[name]:g} is much already for it", None, usual
        if name == "adadelta" and LEAST <= rate < PAPER:
            cure = Advice(
                text="Use 1.0, as the paper has it", keras="keras.optimizers.Adadelta(learning_rate=1.0)",
                pytorch="torch.optim.Adadelta(model.parameters(), lr=1.0)",
            )  # fmt: skip
            return f"it learns {1 / rate:,.0f} times more slowly than with the paper's 1.0", None, cure
        if rate < LEAST:
            return f"a step changes weights by less than single precision holds ({LEAST:g})", Severity.INFO, usual
        return "", None, usual

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=(),
            training=Training(optimizer=Optimizer("adam", learning_rate=0.1)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=(),
            training=Training(optimizer=Optimizer("adam", learning_rate=-0.001)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=(),
            training=Training(optimizer=Optimizer("adadelta", learning_rate=0.001)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training(optimizer=Optimizer("sgd", learning_rate=0.1, momentum=0.9)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training(optimizer=Optimizer("adam", schedule="CosineDecay")),
        ),
    )


NAMES = {"adam": "Adam", "adamw": "AdamW", "nadam": "Nadam", "adamax": "Adamax", "rmsprop": "RMSprop", "lion": "Lion"}
"""Names of Keras's classes."""
