"""Faults of heads and losses (HD)."""

from __future__ import annotations

from random import Random

from drafts import Draft, Step
from rules.planting import Planted, plants


def scorer(net: Draft) -> Step:
    """Return the last dense layer."""
    return net.main("FC")[-1].step


@plants("HD001", heads=("binary",))
def a_softmax_over_one_unit(net: Draft, chance: Random) -> Planted:
    last = net.main()[-1].step
    last.kind = chance.choice(("SOFTMAX", "LOGSOFTMAX"))
    return Planted(last.name)


@plants("HD002", heads=("softmax", "one_hot", "binary", "labels"))
def no_function_ahead_of_a_loss_on_probabilities(net: Draft, chance: Random) -> Planted:
    del net.body[-1]
    return Planted(scorer(net).name, onnx=False)


@plants("HD003", heads=("softmax", "one_hot", "binary", "labels"))
def a_loss_on_logits_after_the_function(net: Draft, chance: Random) -> Planted:
    net.compiled.from_logits = True
    return Planted(net.body[-1].name, onnx=False)


@plants("HD003", heads=("logits",))
def one_class_to_choose_from(net: Draft, chance: Random) -> Planted:
    scorer(net).filters = 1
    return Planted(scorer(net).name, onnx=False)


@plants("HD003", heads=("one_hot", "softmax"))
def sigmoids_under_a_categorical_loss(net: Draft, chance: Random) -> Planted:
    net.main()[-1].step.kind = "SIGMOID"
    return Planted(net.body[-1].name, onnx=False)


@plants("HD003", heads=("one_hot",))
def a_regression_on_a_softmax(net: Draft, chance: Random) -> Planted:
    net.compiled.loss = chance.choice(("mean_squared_error", "mean_absolute_error", "huber"))
    return Planted(net.body[-1].name, onnx=False)


@plants("HD004", heads=("softmax", "one_hot", "logits"))
def classes_that_are_decided_alone(net: Draft, chance: Random) -> Planted:
    net.compiled.loss = "binary_crossentropy"
    if net.body[-1].kind == "SOFTMAX":
        net.main()[-1].step.kind = "SIGMOID"
    return Planted(net.body[-1].name, onnx=False)


@plants("HD005", heads=("one_hot", "softmax"))
def binary_accuracy_of_a_softmax(net: Draft, chance: Random) -> Planted:
    net.compiled.metrics = ["binary_accuracy"]
    return Planted(net.body[-1].name, onnx=False)


@plants("HD005", heads=("numbers",))
def the_accuracy_of_numbers(net: Draft, chance: Random) -> Planted:
    net.compiled.metrics = ["mae", "accuracy"]
    return Planted(scorer(net).name, onnx=False)
