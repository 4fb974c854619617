"""The order of examples, and which are read together."""

from collections import Counter
from random import Random

import pytest

from core.tuning.batches import Order, passes, size, units
from core.tuning.tokens import Group, Text


def test_every_epoch_has_every_example_once_in_an_order_of_its_own() -> None:
    order = Order(examples=10, batch=4, epochs=3, seed=1)
    assert (order.steps_each, order.steps) == (3, 9)
    epochs = [[place for step in range(first, first + 3) for place in order.of(step)] for first in (1, 4, 7)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [len(order.of(step)) for step in (1, 2, 3)] == [4, 4, 2]
    assert order.of(5) == Order(10, 4, 3, 1).of(5) != Order(10, 4, 3, 2).of(5)


@pytest.mark.parametrize(("step", "epoch"), [(1, 0.4), (2, 0.8), (3, 1.0), (4, 1.4), (9, 3.0)])
def test_a_step_says_how_many_epochs_have_passed(step: int, epoch: float) -> None:
    assert Order(10, 4, 3, 0).epoch(step) == pytest.approx(epoch)


def test_one_example_and_part_of_an_epoch_are_steps_too() -> None:
    assert Order(1, 8, 3, 0).steps == 3
    assert Order(1, 8, 3, 0).of(3) == [0]
    assert Order(100, 8, 0.5, 0).steps == 6
    assert Order(3, 8, 0.1, 0).steps == 1


def texts(*lengths: int) -> list[Group]:
    return [(Text((0,) * (length + 1), 1),) for length in lengths]


def test_passes_are_filled_and_hold_everything_once() -> None:
    chance = Random(0)
    groups = texts(*(chance.randint(1, 200) for _ in range(300)))
    made = passes(groups, 256)
    assert Counter(place for places in made for place in places) == Counter(range(300))
    assert all(sum(size(groups[place]) for place in places) <= 256 for places in made)
    assert len(made) < 1.5 * sum(map(size, groups)) / 256
    for places in made:  # those of like length, which attention pads little
        lengths = [size(groups[place]) for place in places]
        assert lengths == sorted(lengths, reverse=True)


def test_without_packing_each_is_read_alone() -> None:
    assert sorted(passes(texts(5, 6, 7), 256, packing=False)) == [[0], [1], [2]]


def test_a_pair_longer_than_the_context_is_read_alone() -> None:
    pair = (Text((0,) * 201, 1), Text((0,) * 201, 1))
    assert passes(units([pair, *texts(9, 9)], together=True), 256) == [[0], [1, 2]]
    assert len(units([pair], together=False)) == 2
