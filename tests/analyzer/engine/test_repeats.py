"""What a drawing folds is equal: held to a comparison of each block with each other, edge by edge."""

import random

from cnnlint.engine.drawing import Node
from cnnlint.engine.repeats import READABLE, SEED, Stretch, repeats
from cnnlint.results import LayerSummary

KINDS = ("Conv", "BatchNorm", "Activation", "Add", "AvgPool")


def node(kind: str, after=()) -> Node:
    row = LayerSummary(
        name="", kind=kind, output_shape=None, parameters=0, macs=0, activation_bytes=0, receptive_field=None
    )
    return Node(row=row, label=kind, after=tuple(after))


def found_in(nodes) -> tuple[Stretch, ...]:
    looks = [(each.row.kind, each.label) for each in nodes]
    return repeats(looks, [each.after for each in nodes], [False] * len(nodes))


def are_equal(nodes, one: int, other: int, length: int) -> bool:
    """Compare two stretches: kinds, and each edge, which comes from the same place inside, or from outside in both."""
    for at in range(length):
        here, there = nodes[one + at], nodes[other + at]
        if (here.label, len(here.after)) != (there.label, len(there.after)):
            return False
        for a, b in zip(here.after, there.after, strict=True):
            if (a >= one or b >= other) and a - one != b - other:
                return False
    return True


def folded(nodes, found: tuple[Stretch, ...]) -> int:
    """Return how many boxes are left; all that is folded is checked."""
    reached = 0
    for stretch in found:
        assert stretch.start >= reached
        reached = stretch.end
        for block in range(1, stretch.times):
            assert are_equal(nodes, stretch.start, stretch.start + block * stretch.period, stretch.period)
        same = [
            at for at in range(len(nodes) - stretch.period + 1) if are_equal(nodes, stretch.start, at, stretch.period)
        ]
        assert stretch.times > 1 or len(same) > 1
        assert len(same) >= stretch.places
    assert reached <= len(nodes)
    return len(nodes) - sum(stretch.period * stretch.times - 1 for stretch in found)


def cell(chance: random.Random, length: int):
    """Return a cell of two inputs: for each layer its kind and what feeds it, -1 and -2 for the inputs."""
    return [
        (chance.choice(KINDS), sorted({chance.randint(max(-2, at - 9), at - 1) for _ in range(chance.randint(1, 2))}))
        for at in range(length)
    ]


def stacked(chance: random.Random, cells, order) -> list[Node]:
    """Return cells that are each fed by the two before, with a few layers of their own between some."""
    nodes = [node("Input"), node("Conv", [0])]
    ends = [0, 1]
    for index in order:
        if chance.random() < 0.3:
            nodes += [node(f"Only{len(nodes)}", [len(nodes) - 1])]
            ends.append(len(nodes) - 1)
        start = len(nodes)
        for kind, after in cells[index]:
            nodes.append(node(kind, [start + at if at >= 0 else ends[at] for at in after]))
        ends.append(len(nodes) - 1)
    return nodes


def test_nothing_is_folded_that_is_not_equal():
    chance = random.Random(7)
    boxes = layers = 0
    for _ in range(60):
        cells = [cell(chance, chance.randint(4, 40)) for _ in range(3)]
        nodes = stacked(chance, cells, [chance.randrange(3) for _ in range(12)])
        boxes += folded(nodes, found_in(nodes))
        layers += len(nodes)
    assert boxes < layers / 2


def test_nothing_is_folded_in_layers_at_random_that_is_not_equal():
    chance = random.Random(8)
    for _ in range(40):
        kinds = KINDS[: chance.randint(1, 3)]
        nodes = [node("Input")]
        for at in range(1, 250):
            after = {chance.randint(max(0, at - 4), at - 1) for _ in range(chance.randint(1, 2))}
            nodes.append(node(chance.choice(kinds), sorted(after)))
        folded(nodes, found_in(nodes))


def test_cells_in_several_places_of_a_large_network_are_folded_in_each():
    chance = random.Random(9)
    one, other = cell(chance, 40), cell(chance, 50)
    nodes = stacked(random.Random(1), [one, other], [0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1])
    found = found_in(nodes)
    assert len(nodes) > READABLE > folded(nodes, found)
    assert {stretch.places for stretch in found if stretch.period >= SEED} >= {3}


def test_the_first_of_cells_in_a_row_may_be_fed_from_elsewhere():
    body = [("Conv", [-2]), *cell(random.Random(3), 20)[1:]]
    nodes = [node("Input"), *[node(f"Stem{at}", [at]) for at in range(30)]]
    ends = [4, 30]
    for _ in range(3):
        start = len(nodes)
        nodes += [node(kind, [start + at if at >= 0 else ends[at] for at in after]) for kind, after in body]
        ends.append(len(nodes) - 1)
    found = found_in(nodes)
    assert [(stretch.start, stretch.period, stretch.times) for stretch in found] == [(31, 20, 3)]
    folded(nodes, found)
