"""Every rule finds its fault wherever it is planted, and says nothing of the network that it was planted in."""

from __future__ import annotations

from pathlib import Path
from random import Random

import onnx
import pytest

import cnnlint
from cnnlint.engine.registry import load_rules
from cnnlint.engine.walker import walk
from cnnlint.graph.graph import Graph
from cnnlint.results import Finding
from cnnlint.testing import with_options
from drafts import Draft
from drafts.archive import archive, names
from rules.planting import Planted, Planter, load_planters
from rules.planting.clean import KINDS, network

PLANTERS = load_planters()
PLANTED = frozenset(planter.code for planter in PLANTERS)

RULES = {rule.code: rule for rule in load_rules()}

WITHOUT = {
    "AR001": "describes the network and finds no fault",
    "BG": "compares with what the user set",
    "DP": "compares with what the user named",
    "CF": "is about what cnnlint was told",
    "KR": "is about files that Keras refuses, which no draft is",
    "ON": "is about files that are not valid, which tests/rules/validity damages",
    "RT": "is about runs",
    **dict.fromkeys(
        ("EX020", "EX021", "EX022", "WA020", "WA021", "WA022", "WA023", "WA024"),
        "tells what only `cnnlint fix` minds; its rewrites are held to random networks",
    ),
}
"""Rules and families that no fault is planted for, and why."""

FORMS = ("onnx", "inline", "keras")
"""An ONNX model, and Keras archives with activations as arguments of the kernels and as layers of their own."""

QUICK = ("AC003-a_hidden_softmax", "HD002-no_function_ahead_of_a_loss_on_probabilities")


def graph_of(net: Draft, form: str, folder: Path) -> Graph:
    """Return the graph of a network in one of `FORMS`."""
    if form == "onnx":
        model = net.onnx()
        onnx.checker.check_model(model)
        return cnnlint.load(model)
    return cnnlint.load(archive(net, folder / "net.keras", inline=form == "inline"))


def found(planter: Planter, graph: Graph) -> tuple[Finding, ...]:
    """Return what the planter's rule says of a graph."""
    return walk(graph, [with_options(RULES[planter.code], **planter.options)]).findings


def named(findings: tuple[Finding, ...]) -> set[str]:
    """Return the layers that findings name."""
    return {layer for finding in findings for layer in finding.layers}


def is_found(findings: tuple[Finding, ...], planted: Planted, known_as: dict[str, str]) -> bool:
    """Return whether a finding names the layer of the fault."""
    return bool(findings) and (not planted.at or known_as.get(planted.at, planted.at) in named(findings))


@pytest.mark.parametrize("planter", PLANTERS, ids=lambda planter: planter.name)
def test_a_planted_fault_is_found_and_a_sound_network_is_silent(
    planter: Planter, tmp_path: Path, thorough: bool
) -> None:
    for seed in range(6 if thorough else 2):
        sound, faulty, planted = planter.draw(seed)
        forms = [form for form in FORMS if (planted.onnx if form == "onnx" else planted.keras)]
        # a form for each network while working, all of them for all networks in CI
        for form in forms if thorough else [forms[seed % len(forms)]]:
            told = found(planter, graph_of(sound, form, tmp_path))
            assert not told, f"{planter.code} says of the sound network {seed} ({form}), {sound}: {told[0].message}"
            told = found(planter, graph_of(faulty, form, tmp_path))
            assert is_found(told, planted, names(faulty, inline=form == "inline")), (
                f"{planter.code} does not find what was planted at {planted.at or 'the network'} of the network {seed}"
                f" ({form}), {faulty}; it says {[finding.message for finding in told]}"
            )


@pytest.mark.parametrize("kind", KINDS)
def test_sound_networks_get_no_warning(kind: str, tmp_path: Path, thorough: bool) -> None:
    for seed in range(15 if thorough else 3):
        net = network(Random(seed), kind)
        path = archive(net, tmp_path / "net.keras", inline=seed % 2 == 1)
        for model in (net.onnx(), path):
            (report,) = cnnlint.lint(model, static=True, isolated=True).models
            assert report.error is None
            told = [f"{finding.code} {finding.message}" for finding in report.findings if finding.severity != "info"]
            assert not told, f"network {seed}, {net}: {told}"


def test_every_rule_has_a_planter_or_a_reason_why_not() -> None:
    left = {code for code in RULES if code not in WITHOUT and code[:2] not in WITHOUT}
    assert sorted(left) == sorted(PLANTED)


@pytest.mark.tf
@pytest.mark.parametrize(
    "planter",
    [
        pytest.param(planter, marks=() if planter.name in QUICK else pytest.mark.exhaustive, id=planter.name)
        for planter in PLANTERS
    ],
)
def test_a_fault_is_found_in_the_file_that_keras_saves(planter: Planter, tmp_path: Path) -> None:
    import keras

    sound, faulty, planted = planter.draw(1)
    if not planted.keras:
        return
    for net in (sound, faulty):
        model = keras.models.load_model(archive(net, tmp_path / "net.keras", inline=True))
        model.save(tmp_path / "saved.keras")
        graph = cnnlint.load(tmp_path / "saved.keras")
        assert sum(weight.size or 0 for layer in graph.layers for weight in layer.weights) == model.count_params()
        told = found(planter, graph)
        assert is_found(told, planted, names(net, inline=True)) == (net is faulty), str(net)
