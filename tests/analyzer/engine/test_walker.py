"""How rules are run: by scope, in order, each crash contained."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import networks
from cnnlint.analysis.context import Context
from cnnlint.analysis.identity import is_generated
from cnnlint.engine.rule import LayerRule, ModelRule, PatternRule, RuntimeRule
from cnnlint.engine.walker import walk
from cnnlint.errors import ModelError
from cnnlint.frontends import load
from cnnlint.frontends.notation import to_onnx
from cnnlint.graph.graph import Graph, Source
from cnnlint.graph.layers import Activation, Conv, Dense
from cnnlint.graph.patterns import Op
from cnnlint.graph.tensor import Tensor, Weight
from cnnlint.linting.checking import look
from cnnlint.results import Advice, Severity
from cnnlint.runtime.probe import Probe
from cnnlint.runtime.program import Program

DEEP = "INPUT 3x8x8 -> [CONV 4 3x3 -> RELU]*3 -> GAP -> FC 10"


MODELS = Path(__file__).parents[3] / "fixtures" / "models"


class Convs(LayerRule[Conv], code="ZZ001"):
    """Every convolution."""

    def check(self, layer, context):
        yield self.finding(layer, message=f"{layer.filters}", evidence={"filters": layer.filters})


class Activated(PatternRule, code="ZZ002"):
    """Every convolution with its activation."""

    conv, activation = Op(Conv), Op(Activation)
    pattern = conv >> activation

    def check(self, match, context):
        yield self.finding(match[self.activation], match[self.conv], message="pair", evidence={})


class Whole(ModelRule, code="ZZ003"):
    """The network as a whole."""

    def check(self, context):
        yield self.finding(message=str(context.parameters), evidence={}, advice=Advice(text="Think", keras="keras()"))
        yield self.skip(reason="for once")


class Crashing(ModelRule, code="ZZ004"):
    """Says one thing and then fails."""

    def check(self, context):
        yield self.finding(message="before", evidence={})
        raise ValueError("a plugin's bug")


class Unreadable(ModelRule, code="ZZ005"):
    """Meets missing weights."""

    def check(self, context):
        raise ModelError("the values of w are not in the file", path="net.onnx")
        yield


class Running(RuntimeRule, code="ZZ006"):
    """Says what it was given."""

    def check(self, probe, context):
        yield self.finding(message=repr(probe), evidence={})


class Denses(PatternRule, code="ZZ007"):
    """A pattern of one element."""

    pattern = Op(Dense)

    def check(self, match, context):
        yield self.finding(match.layers[0], message="dense", evidence={})


def conv(name, source, target, *, channels=4):
    weight = Weight(f"{name}.w", (channels, 4, 3, 3), "float32", "kernel")
    shape = (1, 4, 8, 8)
    return Conv(
        name=name, inputs=(Tensor(source, shape),), outputs=(Tensor(target, shape),), weights=(weight,),
        filters=channels, kernel_size=(3, 3), strides=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), use_bias=False,
    )  # fmt: skip


def chain(*layers, producer=""):
    ends = layers[0].inputs, layers[-1].outputs
    return Graph(layers=layers, inputs=ends[0], outputs=ends[1], source=Source("net.onnx", "onnx", producer))


def convs(*names):
    return chain(*(conv(name, f"t{index}", f"t{index + 1}") for index, name in enumerate(names)))


def test_each_scope_sees_what_it_asks_for():
    graph = networks.graph_of(DEEP)
    walked = walk(graph, [Convs(), Activated(), Whole(), Denses()])
    assert [finding.code for finding in walked.findings] == ["ZZ001"] * 3 + ["ZZ002"] * 3 + ["ZZ003", "ZZ007"]
    names = [layer.name for layer in graph.of_kind(Conv)]
    assert [finding.layers[0] for finding in walked.findings[:3]] == names
    assert [finding.layers[1] for finding in walked.findings[3:6]] == names
    assert walked.findings[6].message == str(112 + 2 * 148 + 50)


def test_a_hit_keeps_the_rule_and_what_it_was_looking_at():
    graph = networks.graph_of(DEEP)
    walked = walk(graph, [Convs(), Activated(), Whole()])
    layer, match, whole = walked.hits[0], walked.hits[3], walked.hits[-1]
    assert layer.where is next(graph.of_kind(Conv))
    assert match.where[Activated.conv].name == match.finding.layers[1]
    assert whole.where == ()
    assert [type(hit.rule) for hit in (layer, match, whole)] == [Convs, Activated, Whole]


def test_a_rule_that_crashes_is_reported_and_the_others_still_run():
    walked = walk(networks.graph_of(DEEP), [Crashing(), Unreadable(), Whole()])
    said = [(finding.code, finding.message) for finding in walked.findings]
    assert said[0] == ("ZZ004", "before")
    assert said[1] == ("CF004", "ZZ004 crashing could not finish: ValueError: a plugin's bug")
    assert said[2] == ("CF004", "ZZ005 unreadable could not finish: the values of w are not in the file")
    assert said[3][0] == "ZZ003"
    assert walked.findings[1].severity is Severity.ERROR
    assert identity(walked.findings[1]) != identity(walked.findings[2])
    assert walked.finished == {"ZZ003"}


def test_run_time_rules_run_only_with_a_probe():
    graph = networks.graph_of(DEEP)
    assert walk(graph, [Running()]).findings == ()
    assert walk(graph, [Running()]).finished == frozenset()
    assert [finding.message for finding in walk(graph, [Running()], probe="probe").findings] == ["'probe'"]


def test_near_misses_are_kept_on_request_only():
    graph = networks.graph_of(DEEP)
    assert walk(graph, [Whole()]).near_misses == {}
    (miss,) = walk(graph, [Whole()], near_misses=True).near_misses["ZZ003"]
    assert miss.reason == "for once"


@pytest.mark.parametrize(
    ("producer", "suggestion"), [("tf2onnx 1.17", "Think:\nkeras()"), ("pytorch 2.9", "Think"), ("", "Think")]
)
def test_advice_is_worded_for_the_framework_that_the_model_comes_from(producer, suggestion):
    graph = chain(conv("a", "x", "y"), producer=producer)
    assert walk(graph, [Whole()]).findings[0].suggestion == suggestion


def test_a_context_is_reused():
    context = Context(networks.graph_of(DEEP))
    assert walk(context, [Whole()]).findings == walk(context.graph, [Whole()]).findings


@pytest.mark.parametrize(
    ("name", "generated"),
    [
        ("Conv__1814", True), ("node_Conv_12", True), ("Conv_12", True), ("onnx::Conv_137", True), ("137", True),
        ("model/block1/Conv__18", True), ("conv2d", True), ("conv2d_17", True), ("batch_normalization_3", True),
        ("encoder/dense_2", True),
        ("/layer1/layer1.0/conv1/Conv", False), ("block1_conv1", False), ("fc1", False), ("conv1", False),
        ("head", False), ("predictions", False), ("stem_2", False),
    ],
)  # fmt: skip
def test_generated_names_are_told_from_chosen_ones(name, generated):
    assert is_generated(name) is generated


def identity(finding):
    (place,) = finding.places
    return place.identity


def test_the_identity_of_a_place_survives_other_numbers_and_other_generated_names():
    before = walk(convs("Conv__12", "Conv__34", "stem"), [Convs()]).findings
    after = walk(convs("Conv__98", "Conv__99", "stem"), [Convs()]).findings
    assert [identity(finding) for finding in before] == [identity(finding) for finding in after]
    assert len({identity(finding) for finding in before}) == 3


def test_a_chosen_name_identifies_its_layer_whatever_stands_around_it():
    alone = identity(walk(convs("stem"), [Convs()]).findings[0])
    assert identity(walk(convs("Conv__1", "Conv__2", "stem"), [Convs()]).findings[-1]) == alone
    assert identity(walk(convs("other"), [Convs()]).findings[0]) != alone


def test_findings_without_layers_are_told_apart_by_their_subject():
    class Two(ModelRule, code="ZZ008"):
        """Two things about one network."""

        def check(self, context):
            yield self.finding(message="a", evidence={}, subject="macs")
            yield self.finding(message="b", evidence={}, subject="params")

    first, second = walk(convs("a"), [Two()]).findings
    assert identity(first) != identity(second)


def test_time_per_layer_does_not_grow_with_the_number_of_layers():
    def seconds(count):
        graph = convs(*(f"Conv__{index}" for index in range(count)))
        best = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            walk(graph, [Convs(), Activated()])
            best = min(best, time.perf_counter() - started)
        return best / count

    # Quadratic work would make the ratio about 20; a noisy machine makes it about 2.
    assert seconds(20_000) < 6 * seconds(1_000)


class Unfitting(LayerRule[Conv], code="ZZ009"):
    """Has a rewrite that never fits."""

    def check(self, layer, context):
        yield self.finding(layer, message="m", evidence={})

    def rewrite(self, layer, editor):
        raise KeyError("no such node")


class Wrong(LayerRule[Conv], code="ZZ010"):
    """Has a rewrite that changes the function: a ReLU becomes a tanh."""

    def check(self, layer, context):
        yield self.finding(layer, message="m", evidence={})

    def rewrite(self, layer, editor):
        node = next(node for node in editor.model.graph.node if node.op_type == "Relu")
        node.op_type = "Tanh"


def test_a_rewrite_is_verified_refuted_or_said_not_to_fit():
    model = to_onnx(networks.SMALL)
    graph = networks.graph_of(networks.SMALL)
    probe = Probe(Program.from_proto(model), graph)
    rules = [Convs(), Unfitting(), Wrong()]
    looked = look(probe, rules)
    plain, unfitting, wrong = looked.join(walk(graph, rules), rules).findings
    assert plain.verification is None
    assert unfitting.verification is None
    assert not wrong.verification.equivalent
    assert wrong.verification.max_abs_error > 1e-3
    (note,) = looked.notes
    assert note.startswith(f"the rewrite of ZZ009 at {unfitting.layers[0]} is not verified: KeyError")


class ReadsValues(LayerRule[Conv], code="ZZ011", reads_values=True):
    """Reads the kernel."""

    def check(self, layer, context):
        largest = float(abs(layer.weights[0].values()).max())
        yield self.finding(layer, message=f"the largest weight is {largest}", evidence={"largest": largest})


class ReadsValuesSecretly(ReadsValues, code="ZZ012"):
    """Reads the kernel and does not say so."""


def test_values_are_read_only_by_rules_that_declare_it():
    graph = load(str(MODELS / "seed_cnn.onnx"))
    declared = walk(graph, [ReadsValues()])
    assert [finding.code for finding in declared.findings] == ["ZZ011"] * 3
    (crash,) = walk(graph, [ReadsValuesSecretly()]).findings
    assert crash.code == "CF004"
    assert "does not declare reads_values=True" in crash.message
    assert graph.weights[0].values().shape == (16, 3, 2, 2)
