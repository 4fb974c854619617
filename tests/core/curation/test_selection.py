"""The choice of some of many, against plain greedy and against the best of all choices."""

import math
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.curation.selection import CLIENTS, Limit, clients_of, facility_location, k_centre
from core.curation.vectors import Vectors, around_mean

Numbers = NDArray[np.float64]


def made(count: int, seed: int, width: int = 6) -> tuple[Vectors, Numbers]:
    """Vectors of length one around some middles, and qualities."""
    chance = np.random.default_rng(seed)
    middles = chance.standard_normal((4, width))
    vectors = middles[chance.integers(0, 4, count)] + 0.7 * chance.standard_normal((count, width))
    return around_mean(vectors.astype(np.float32)), chance.random(count)


def objective(vectors: Vectors, values: Numbers, weight: float, size: int, places: tuple[int, ...]) -> float:
    """(1 − weight) × coverage + weight × mean value, in plain words."""
    near = np.maximum(vectors.astype(np.float64) @ vectors[list(places)].T.astype(np.float64), 0).max(axis=1)
    return (1 - weight) * float(near.mean()) + weight * float(values[list(places)].sum()) / size


def plain_greedy(vectors: Vectors, values: Numbers, weight: float, size: int, limits: tuple[Limit, ...]) -> list[int]:
    """Looks at every candidate anew each time."""
    chosen: list[int] = []
    for _ in range(size):
        left = [
            place
            for place in range(len(vectors))
            if place not in chosen
            and all(
                sum(limit.groups[other] == limit.groups[place] for other in chosen) < limit.most for limit in limits
            )
        ]
        if not left:
            break
        chosen.append(max(left, key=lambda place: objective(vectors, values, weight, size, (*chosen, place))))
    return chosen


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9])
def test_lazy_greedy_chooses_what_plain_greedy_does(weight: float) -> None:
    for seed in range(4):
        vectors, values = made(120, seed)
        groups = np.random.default_rng(seed).integers(0, 5, 120)
        for limits in ((), (Limit(groups, 4), Limit(np.arange(120) % 3, 7))):
            lazy = [one.place for one in facility_location(vectors, 18, values, weight, limits)]
            assert lazy == plain_greedy(vectors, values, weight, 18, limits)


def test_what_is_said_to_be_gained_is_gained() -> None:
    vectors, values = made(90, 7)
    chosen = list(facility_location(vectors, 10, values, 0.4))
    places = tuple(one.place for one in chosen)
    assert sum(one.gain for one in chosen) == pytest.approx(objective(vectors, values, 0.4, 10, places), abs=1e-6)
    assert [one.gain for one in chosen] == sorted((one.gain for one in chosen), reverse=True)
    nearer = np.zeros(90)
    for one in chosen:
        nearer[one.nearer] += one.by
    near = np.maximum(vectors @ vectors[list(places)].T, 0).max(axis=1)
    assert np.allclose(nearer, near, atol=1e-5)


def test_greedy_reaches_what_is_promised_of_it() -> None:
    """1 − 1/e of the best of all choices of four of sixteen; in truth far more."""
    for seed in range(5):
        vectors, values = made(16, seed, width=3)
        for weight in (0.0, 0.5):
            best = max(objective(vectors, values, weight, 4, some) for some in combinations(range(16), 4))
            places = tuple(one.place for one in facility_location(vectors, 4, values, weight))
            assert objective(vectors, values, weight, 4, places) >= (1 - 1 / math.e) * best


def test_k_centre_leaves_nothing_twice_as_far_as_it_must_be() -> None:
    def radius(vectors: Vectors, some: tuple[int, ...]) -> float:
        return float(np.linalg.norm(vectors[:, None] - vectors[None, list(some)], axis=2).min(axis=1).max())

    for seed in range(5):
        vectors, values = made(16, seed, width=3)
        best = min(radius(vectors, some) for some in combinations(range(16), 4))
        chosen = list(k_centre(vectors, 4, values, 0.0))
        places = tuple(one.place for one in chosen)
        assert radius(vectors, places) <= 2 * best + 1e-6
        for turn in range(1, 4):  # each is farthest from those before
            far = np.linalg.norm(vectors[:, None] - vectors[None, list(places[:turn])], axis=2).min(axis=1)
            assert places[turn] == far.argmax()
            assert chosen[turn].gain == pytest.approx(far.max(), abs=1e-5)


def test_quality_alone_and_coverage_alone() -> None:
    vectors, values = made(60, 3)
    best = set(np.argsort(-values)[:8].tolist())
    assert {one.place for one in facility_location(vectors, 8, values, 1.0)} == best
    ones = np.ones(60)
    assert [one.place for one in facility_location(vectors, 8, ones, 0.3)] == [
        one.place for one in facility_location(vectors, 8, values, 0.0)
    ]


@pytest.mark.parametrize("method", [facility_location, k_centre])
def test_limits_hold_and_end_the_choice_where_nothing_is_left(method) -> None:
    vectors, values = made(60, 4)
    groups = np.arange(60) % 4
    chosen = [one.place for one in method(vectors, 30, values, 0.5, (Limit(groups, 5),))]
    assert np.bincount(groups[chosen]).tolist() == [5, 5, 5, 5]
    assert len(set(chosen)) == 20
    assert len(list(method(vectors, 100, values, 0.5))) == 60
    assert list(method(vectors, 5, values, 0.5, cancelled=lambda: True)) == []


def test_equal_vectors_and_none_at_all() -> None:
    same = np.tile(np.array([[1.0, 0.0]], np.float32), (6, 1))
    for method in (facility_location, k_centre):
        assert [one.place for one in method(same, 3, np.zeros(6), 0.0)] == [0, 1, 2]
        assert list(method(np.zeros((0, 2), np.float32), 3, np.zeros(0), 0.0)) == []


def test_what_is_left_out_of_many_costs_little_coverage() -> None:
    """The highest hundredth of all cosines, and fewer clients than vectors: within a point of what all of them give."""
    vectors, values = made(3_000, 5, width=16)
    whole, highest, fewer = (
        tuple(one.place for one in facility_location(vectors, 150, values, 0.0, clients=clients, cosines=cosines))
        for clients, cosines in ((None, 9_000_000), (None, 90_000), (np.arange(0, 3_000, 2), 90_000))
    )
    best, *others = (objective(vectors, values, 0.0, 150, some) for some in (whole, highest, fewer))
    at_random = objective(vectors, values, 0.0, 150, tuple(range(150)))
    print(f"coverage {best:.4f}, of the highest cosines {others[0]:.4f}, of half the clients {others[1]:.4f}")
    assert whole != highest
    assert min(others) > best - 0.01
    assert min(others) > at_random + 0.5 * (best - at_random)


def test_few_clients_are_all_and_many_are_drawn() -> None:
    assert clients_of(CLIENTS, 1, 0).tolist() == list(range(CLIENTS))
    drawn = clients_of(20_000, 10, 1)
    assert len(set(drawn.tolist())) == CLIENTS
    assert drawn.tolist() == clients_of(20_000, 10, 1).tolist()
    assert drawn.tolist() != clients_of(20_000, 10, 2).tolist()
    assert len(clients_of(100_000, 1_000, 0)) == 20_000
