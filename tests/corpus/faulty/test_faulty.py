"""Each fault of the corpus is found by its rule, and its repaired twin is silent on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import cnnlint
from cnnlint.engine.walker import walk
from corpus.faulty import page
from corpus.faulty.measuring import CORPUS, JUDGED, RULES, Network, Told, tell_all, unjudged, warnings
from drafts.archive import archive


@cache
def told() -> dict[str, Told]:
    return {each.network.name: each for each in tell_all()}


@pytest.mark.parametrize("network", CORPUS.network, ids=lambda network: network.name)
def test_a_fault_is_told_of_the_network_and_not_of_its_repaired_twin(network: Network) -> None:
    each = told()[network.name]
    if not network.codes and not network.unseen:
        pytest.skip(f"no rule for it yet: {', '.join(network.rules)}")
    assert bool(each.found) != bool(network.missed or network.unseen), [finding.message for finding in each.faulty]
    assert not each.still, [finding.message for finding in each.repaired if finding.code in each.still]


KERAS = [network for network in CORPUS.network if network.form == "keras"]


@pytest.mark.tf
@pytest.mark.parametrize(
    "network",
    [pytest.param(KERAS[0], id=KERAS[0].name)]
    + [pytest.param(network, marks=pytest.mark.exhaustive, id=network.name) for network in KERAS[1:]],
)
def test_keras_loads_the_network_and_what_it_saves_is_told_the_same(network: Network, tmp_path: Path) -> None:
    import keras

    model = keras.models.load_model(archive(network.draft(), tmp_path / "net.keras", inline=True))
    model.save(tmp_path / "saved.keras")
    graph = cnnlint.load(tmp_path / "saved.keras")
    assert sum(weight.size or 0 for layer in graph.layers for weight in layer.weights) == model.count_params()
    written = told()[network.name].faulty
    saved = walk(graph, [rule() for rule in RULES.values()]).findings
    assert [(each.code, each.layers) for each in saved] == [(each.code, each.layers) for each in written]


def test_each_warning_is_named_by_the_source_or_was_judged() -> None:
    assert not unjudged(told().values())


def test_each_judgment_is_of_a_warning_that_is_given() -> None:
    given = {(code, each.network.name) for each in told().values() for code in warnings(each.faulty + each.repaired)}
    assert set(JUDGED) <= given
    assert {code for code, _ in JUDGED} <= set(RULES)


def test_the_corpus_has_sixty_networks_each_with_its_address_and_a_twin_that_differs() -> None:
    assert len(CORPUS.network) >= 60
    assert len({network.name for network in CORPUS.network}) == len(CORPUS.network)
    for network in CORPUS.network:
        assert network.url.startswith("https://")
        assert network.says.endswith(".")
        assert network.repaired
        assert network.twin != network


def test_the_page_of_measurements_is_fresh() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(tuple(told().values())), (
        "run python -m tests.corpus.faulty --write"
    )
