"""Topics of known groups, what they are called, how they are covered, and the map, against numpy's and scipy's own."""

from dataclasses import asdict
from json import dumps, loads

import numpy as np
import pytest
from scipy.cluster.vq import vq
from scipy.spatial.distance import cdist

from core.curation.coverage import Part, cover, from_json, nearest_chosen
from core.curation.plane import points, principal
from core.curation.topics import MOST, names, natural, nearest, topics, words
from core.curation.vectors import BLOCK, Vectors, around_mean


def groups(sizes: list[int], seed: int = 0, width: int = 12, noise: float = 0.15) -> tuple[Vectors, np.ndarray]:
    """Vectors around middles that are far from each other, and the group of each."""
    chance = np.random.default_rng(seed)
    middles = np.linalg.qr(chance.standard_normal((width, width)))[0][: len(sizes)]
    labels = chance.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return (middles[labels] + noise * chance.standard_normal((len(labels), width))).astype(np.float32), labels


def test_groups_that_lie_apart_are_found_whole_and_the_largest_is_first() -> None:
    vectors, labels = groups([50, 30, 80, 20, 60])
    found = topics(vectors, 5)
    assert len(set(zip(found.tolist(), labels.tolist(), strict=True))) == 5
    assert np.bincount(found).tolist() == [80, 60, 50, 30, 20]
    assert (topics(vectors, 5) == found).all()


def test_topics_are_as_good_as_lloyds_best_of_many() -> None:
    """The sum of squares is that of no centres nearer than scipy's, started from all the groups' own means."""
    vectors, labels = groups([60, 60, 60, 60, 60, 60], seed=3, noise=0.5)
    found = topics(vectors, 6)

    def spread(numbers: np.ndarray) -> float:
        centres = np.stack([vectors[numbers == one].mean(axis=0) for one in range(6)])
        return float((vq(vectors, centres)[1] ** 2).sum())

    assert spread(found) <= 1.02 * spread(labels)


def test_more_topics_than_there_are_different_vectors_and_none_at_all() -> None:
    same = np.ones((5, 3), np.float32)
    assert topics(same, 4).tolist() == [0] * 5
    assert topics(np.zeros((0, 3), np.float32), 4).tolist() == []
    assert sorted(topics(np.eye(3, dtype=np.float32), 9).tolist()) == [0, 1, 2]
    assert [natural(count) for count in (0, 1, 2, 50, 200, 10**6)] == [1, 1, 1, 5, 10, MOST]


def test_the_nearest_centre_is_scipys() -> None:
    chance = np.random.default_rng(1)
    vectors, centres = (chance.standard_normal((count, 7)).astype(np.float32) for count in (BLOCK + 10, 9))
    labels, squares = nearest(vectors, centres)
    wanted = cdist(vectors, centres)
    assert (labels == wanted.argmin(axis=1)).all()
    assert np.allclose(np.sqrt(squares), wanted.min(axis=1), atol=1e-3)


def test_a_topic_is_called_by_what_only_it_speaks_of() -> None:
    texts = ["Why does the glacier and its ice move?"] * 4 + ["How does the harbour and its ship move?"] * 4
    labels = np.array([0] * 4 + [1] * 4)
    assert names(texts, labels) == ["glacier, ice", "harbour, ship"]
    questions = ["When was the mill built?", "When was the mill sold?", "How many gulls?", "How many boats?"]
    assert names(questions, np.array([0, 0, 1, 1])) == ["mill, built, sold", "boats, gulls"]
    assert names(["1 2 3", "4 5"], np.array([0, 0])) == ["no words"]
    same = names(["one two three"] * 4, np.array([0, 0, 1, 1]))
    assert len(set(same)) == 2


def test_words_of_a_script_without_spaces_are_pairs_of_its_characters() -> None:
    assert words("The 2 glaciers of ışık") == {"the", "glaciers", "ışık"}
    assert words("花园里") == {"花园", "园里"}


def test_seen_from_the_mean_what_points_one_way_is_told_apart() -> None:
    vectors, labels = groups([20, 20], width=6)
    moved = vectors + 30
    alike = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    assert (alike @ alike.T).min() > 0.99
    seen = around_mean(moved)
    assert np.allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    cosines = seen @ seen.T
    together = labels[:, None] == labels
    assert cosines[together].min() > 0 > cosines[~together].max()
    assert around_mean(np.ones((3, 2), np.float32)).tolist() == [[0, 0]] * 3


def test_coverage_in_plain_words() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [-1, 0], [0.6, 0.8]], np.float32)
    near = nearest_chosen(vectors, [0, 4])
    assert near.tolist() == pytest.approx([1, 1, 0.8, 0, 1])
    kinds = (("why", "what"), np.array([0, 0, 1, 1, 1]))
    made = cover(near, [0, 4], np.array([0.5, 0, 0, 0, 1.0]), {"kind": kinds, "topic": (("one",), np.zeros(5, int))})
    assert (made.size, made.least, made.quality) == (2, 0, 0.75)
    assert made.coverage == pytest.approx(3.8 / 5)
    assert made.parts["kind"] == (Part("what", 3, 1, 0.6), Part("why", 2, 1, 1.0))
    assert made.share("kind") == 1
    assert cover(nearest_chosen(vectors, [0]), [0], np.ones(5), {"kind": kinds}).share("kind") == 0.5
    assert from_json(loads(dumps(asdict(made)))) == made
    assert from_json({"parts": 3}) is None
    assert from_json(None) is None
    assert cover(nearest_chosen(vectors, []), [], np.ones(5), {"kind": kinds}).coverage == 0


def test_nearest_is_the_same_in_blocks() -> None:
    vectors, _ = groups([BLOCK, 200], noise=0.4)
    vectors = around_mean(vectors)
    chosen = list(range(0, len(vectors), 97))
    assert np.allclose(
        nearest_chosen(vectors, chosen), np.maximum(vectors @ vectors[chosen].T, 0).max(axis=1), atol=1e-5
    )


def test_the_map_is_numpys_singular_vectors() -> None:
    chance = np.random.default_rng(2)
    vectors = (chance.standard_normal((300, 8)) * [9, 5, 2, 1, 1, 1, 1, 1]).astype(np.float32)
    moved = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(moved.astype(np.float64), full_matrices=False)
    wanted = left[:, :2] * sizes[:2]
    made, shown = principal(vectors)
    assert made.dtype == np.float32
    assert np.abs(made).max() == 1
    wanted /= np.abs(wanted).max()
    assert np.allclose(np.abs(made), np.abs(wanted), atol=1e-4)
    assert np.allclose(np.abs((made * wanted).sum(axis=0)), (wanted**2).sum(axis=0), rtol=1e-4)  # one sign a direction
    assert shown == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum(), abs=1e-5)
    assert (points(vectors) == made).all()


def test_a_map_of_few_or_equal_vectors() -> None:
    assert points(np.zeros((0, 4), np.float32)).shape == (0, 2)
    assert points(np.ones((1, 4), np.float32)).tolist() == [[0, 0]]
    assert points(np.ones((3, 4), np.float32)).tolist() == [[0, 0]] * 3
    assert points(np.array([[1.0], [3.0]], np.float32)).tolist() == [[-1, 0], [1, 0]]
