from __future__ import annotations

import pytest
from msgspec.structs import replace

import zoo
from cnnlint.analysis.heads import heads, hidden_dense
from cnnlint.frontends import load, load_onnx_bytes
from cnnlint.frontends.notation import to_onnx
from cnnlint.graph.graph import Graph
from cnnlint.graph.training import Loss, Training

BODY = "INPUT 3x16x16 -> CONV 16 3x3 -> RELU -> GAP"


def network(text: str) -> Graph:
    return load_onnx_bytes(to_onnx(text).SerializeToString())


@pytest.mark.parametrize(
    ("text", "functions", "scorer", "units"),
    [
        (f"{BODY} -> FC 10 -> SOFTMAX", ["softmax"], "fc1", 10),
        (f"{BODY} -> FC 10", [], "fc1", 10),
        (f"{BODY} -> FC 10 -> RELU -> SOFTMAX", ["softmax", "relu"], "fc1", 10),
        (f"{BODY} -> FC 10 -> DROPOUT 0.5 -> SOFTMAX", ["softmax"], "fc1", 10),
        ("INPUT 3x16x16 -> CONV 10 3x3 -> RELU -> GAP -> SOFTMAX", ["softmax"], "conv1", 10),
        ("INPUT 3x16x16 -> CONV 10 16x16 valid -> FLATTEN -> SIGMOID", ["sigmoid"], "conv1", 10),
        ("INPUT 3x16x16 -> CONV 10 1x1 -> SOFTMAX", ["softmax"], "conv1", 10),
        (f"{BODY} -> CAT[FC 4 | FC 6] -> SOFTMAX", ["softmax"], None, 10),
    ],
)
def test_a_head_is_its_functions_and_the_layer_that_scores(text, functions, scorer, units):
    (head,) = heads(network(text))
    assert [activation.function for activation in head.activations] == functions
    assert (head.scorer.name if head.scorer else None) == scorer
    assert head.units == units


def test_a_row_of_scores_is_told_from_a_map():
    assert heads(network(f"{BODY} -> FC 10"))[0].is_vector
    assert heads(network("INPUT 3x16x16 -> CONV 10 16x16 valid"))[0].is_vector
    assert heads(network("INPUT 3x16x16 -> CONV 10 3x3 -> GAP"))[0].is_vector
    assert not heads(network("INPUT 3x16x16 -> CONV 10 3x3"))[0].is_vector
    assert not heads(network("INPUT 3x16x16 -> CONV 1 3x3 -> FLATTEN"))[0].is_vector


def test_a_loss_belongs_to_the_output_at_its_place_and_to_none_if_the_numbers_differ():
    graph = network(f"{BODY} -> FC 10")
    one, two = Loss("mean_squared_error"), Loss("binary_crossentropy")
    assert heads(replace(graph, training=Training((one,))))[0].loss == one
    assert heads(replace(graph, training=Training((one, two))))[0].loss is None
    both = replace(graph, outputs=(*graph.outputs, graph.layers[0].output))
    assert [head.loss for head in heads(replace(both, training=Training((one, two))))] == [one, two]
    assert [head.loss for head in heads(replace(both, training=Training((one,))))] == [one, one]


def test_the_hidden_dense_layers_of_vgg19_are_fc6_and_fc7():
    graph = load(str(zoo.light_path("vgg19")))
    (head,) = heads(graph)
    hidden = hidden_dense(graph, head)
    assert [(layer.in_features, layer.units) for layer in hidden] == [(512 * 7 * 7, 4096), (4096, 4096)]
    assert head.units == 1000


def test_dense_layers_before_a_convolution_or_a_sum_are_not_of_the_head():
    graph = network(f"{BODY} -> FC 16 -> RES[FC 16 -> RELU] -> FC 8 -> RELU -> FC 10")
    assert [layer.name for layer in hidden_dense(graph, heads(graph)[0])] == ["fc3"]


def test_losses_that_name_their_output_go_to_it_whatever_their_order():
    graph = network(f"{BODY} -> FC 10")
    (conv, *_, dense) = graph.layers
    named = (
        Loss("binary_crossentropy", output=dense.origin[0].name),
        Loss("huber", output=conv.origin[0].name),
    )
    both = replace(graph, outputs=(conv.output, dense.output), training=Training(named))
    assert [head.loss.name for head in heads(both) if head.loss] == ["huber", "binary_crossentropy"]
    elsewhere = replace(both, training=Training((Loss("huber", output="elsewhere"), *named[:1])))
    assert [head.loss for head in heads(elsewhere)] == [None, named[0]]
