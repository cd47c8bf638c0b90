"""Places become findings: one each, or one of all, with totals of what is left."""

from __future__ import annotations

import networks
from cnnlint.analysis.context import Context
from cnnlint.engine.rule import LayerRule, ModelRule
from cnnlint.engine.telling import told
from cnnlint.engine.walker import walk
from cnnlint.graph.layers import Conv
from cnnlint.results import Savings, Severity

DEEP = "INPUT 3x32x32 -> CONV 4 3x3 -> RELU -> CONV 4 3x3 -> RELU -> CONV 4 1x1 -> RELU -> GAP -> FC 10"


class Each(LayerRule[Conv], code="ZZ011"):
    """Every convolution by itself."""

    def check(self, layer, context):
        yield self.finding(layer, message=f"{layer.name} has 1 name.", evidence={"names": 1})


class All(Each, code="ZZ012"):
    """All convolutions together, wide kernels graver."""

    def check(self, layer, context):
        yield self.finding(
            layer,
            message=f"{layer.name} holds {layer.parameters}.",
            evidence={"parameters": layer.parameters},
            savings=Savings(parameters=layer.parameters),
            severity=Severity.INFO if layer.is_pointwise else None,
        )

    def together(self, places, context):
        held = sum(place.evidence["parameters"] for place in places)
        return self.finding(message=f"{len(places)} hold {held}.", evidence={"parameters": held})


class Failing(All, code="ZZ013"):
    """Cannot count to two."""

    def together(self, places, context):
        raise ValueError("two")


def tell(rules, *, leave_out=(), path="net.onnx"):
    context = Context(networks.graph_of(DEEP))
    hits = [hit for hit in walk(context, rules).hits if hit.finding.layers[0] not in leave_out]
    return told(hits, context, path)


def test_a_rule_without_a_word_on_it_has_a_finding_for_each_place():
    found = tell([Each()])
    assert [finding.layers for finding in found] == [("conv1",), ("conv2",), ("conv3",)]
    assert [len(finding.places) for finding in found] == [1, 1, 1]
    assert len({finding.fingerprint for finding in found}) == 3


def test_places_told_together_are_one_finding_for_each_severity_with_totals():
    wide, narrow = tell([All()])
    assert (wide.message, wide.layers) == ("2 hold 260.", ("conv1", "conv2"))
    assert [(place.layers, place.evidence) for place in wide.places] == [
        (("conv1",), {"parameters": 112}),
        (("conv2",), {"parameters": 148}),
    ]
    assert wide.savings == Savings(parameters=260)
    assert (narrow.message, narrow.severity) == ("conv3 holds 20.", Severity.INFO)
    assert wide.fingerprint != narrow.fingerprint


def test_what_is_ignored_is_in_no_total():
    wide, _ = tell([All()], leave_out=["conv1"])
    assert (wide.message, wide.savings) == ("conv2 holds 148.", Savings(parameters=148))


def test_a_finding_stays_the_same_when_a_place_of_it_goes_and_is_another_in_another_model():
    prints = [tell([All()], leave_out=gone)[0].fingerprint for gone in ([], ["conv1"])]
    assert prints[0] == prints[1]
    assert tell([All()], path="other.onnx")[0].fingerprint != prints[0]


def test_a_rule_that_fails_to_sum_up_leaves_its_places_and_says_so():
    said = tell([Failing()])
    assert [finding.code for finding in said] == ["ZZ013", "ZZ013", "CF004", "ZZ013"]
    assert said[2].severity is Severity.ERROR


def test_a_finding_on_the_whole_network_has_one_place_without_layers():
    class Whole(ModelRule, code="ZZ014"):
        """The network."""

        def check(self, context):
            yield self.finding(message="1 network.", evidence={"networks": 1})

    context = Context(networks.graph_of(DEEP))
    (finding,) = told(walk(context, [Whole()]).hits, context, "net.onnx")
    assert [place.layers for place in finding.places] == [()]
