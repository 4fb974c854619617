"""Near duplicates against brute force, and groups of linked things against all ways through the links."""

import random
from itertools import combinations

import numpy as np
import pytest

from core.curation.duplicates import pairs_near
from core.curation.links import Linked, Links
from core.curation.near import ENOUGH, near_blocks, parted, shingles

WORDS = [f"word{number}" for number in range(3_000)]


def copied(count: int, seed: int = 0) -> list[str]:
    """Texts of chance, some of them with copies in which a word or two are other ones."""
    chance, texts = random.Random(seed), []
    while len(texts) < count:
        words = chance.choices(WORDS, k=chance.randint(3, 60))
        texts.append(" ".join(words))
        for _ in range(chance.choice((0, 1, 2))):
            copy = list(words)
            for _ in range(chance.choice((1, 2))):
                copy[chance.randrange(len(copy))] = chance.choice(WORDS)
            texts.append(" ".join(copy))
    chance.shuffle(texts)
    return texts


def found(texts: list[str], sides: list[bool] | None = None) -> dict[tuple[int, int], float]:
    pairs: dict[tuple[int, int], float] = {}
    for _, (first, second, similar) in near_blocks(texts, sides=sides):
        pairs |= dict(zip(zip(first.tolist(), second.tolist(), strict=True), similar.tolist(), strict=True))
    return pairs


def by_force(texts: list[str], least: float = 0.8) -> dict[tuple[int, int], float]:
    """The near pairs of all pairs, with words counted by Python's own sets."""
    sets = [{tuple(words[place : place + 3]) for place in range(len(words) - 2)} for words in map(str.split, texts)]
    similar = {}
    for (one, a), (other, b) in combinations(enumerate(sets), 2):
        if a & b and len(a & b) / len(a | b) >= least - 1e-9:
            similar[one, other] = len(a & b) / len(a | b)
    return similar


def test_no_near_pair_is_missed_and_none_is_made_up() -> None:
    texts = copied(1_500)
    wanted = by_force(texts)
    assert len(wanted) > 200
    assert found(texts) == pytest.approx(wanted)


def test_the_hardest_pairs_are_found_too() -> None:
    """Of 29 words with one in the middle changed, 24 shingles of 27 are common: exactly 0.8."""
    chance, texts = random.Random(1), []
    for _ in range(500):
        words = chance.sample(WORDS, 29)
        texts += [" ".join(words), " ".join([*words[:14], "other", *words[15:]])]
    wanted = by_force(texts)
    assert set(wanted.values()) == {0.8}
    assert found(texts) == pytest.approx(wanted)
    assert len(wanted) == 500


def test_what_is_apart_is_compared_with_the_other_side_alone() -> None:
    texts = copied(800, seed=2)
    across = {pair: similar for pair, similar in found(texts).items() if pair[0] < 300 <= pair[1]}
    assert across
    assert found(texts, [place < 300 for place in range(800)]) == across


@pytest.mark.parametrize("least", [0.5, 0.8, 1.0])
def test_no_pair_on_two_sides_is_missed(least: float) -> None:
    texts = copied(600, seed=3)
    sides = [("train", "validation", "test")[place % 3] for place in range(len(texts))]
    wanted = [pair for pair in by_force(texts, least) if sides[pair[0]] != sides[pair[1]]]
    assert sorted(parted(texts, sides, least)) == sorted(wanted)
    assert len(wanted) > 20 or least == 1.0
    assert list(parted(["", "Why?", "", "why", "Why not?"], ["train", "train", "test", "test", "test"])) == [(1, 3)]
    assert list(parted([], [])) == []


def test_case_punctuation_and_short_or_empty_texts() -> None:
    texts = [
        "",
        "...",
        "Why?",
        "WHY",
        "Why not",
        "why, not?",
        "not why",
        "",
        "春天来了花园里的花都开了",
        "春天来了花园里的花也开了",
    ]
    assert found(texts) == {(2, 3): 1.0, (4, 5): 1.0}
    sizes = [len(row) for row in shingles(texts)]
    assert sizes == [0, 0, 1, 1, 1, 1, 1, 0, 10, 10]  # a character is a word there


@pytest.mark.parametrize(
    "texts",
    [
        ("What is 12 - 4?", "What is 12 / 4?", "What is 12 * 4?", "What is 12 + 4?", "What is 12, 4?"),
        ("12 - 4?", "12 / 4?", "12 4?"),
        ("5", "-5", "5%", "-5 %"),
        ("How much is (1 + 2) - 3?", "How much is (1 + 2) / 3?"),
        ("What is 3 - -4?", "What is 3 - 4?"),
    ],
)
def test_what_reckons_otherwise_is_not_near(texts: tuple[str, ...]) -> None:
    assert found(list(texts)) == {}


@pytest.mark.parametrize(
    "texts",
    [
        ("What is 12 - 4?", "What is 12-4", "What is 12 − 4?", "What is 12 –4 …"),
        ("What is 12 / 4?", "What is 12÷4?"),
        ("Is it 5 %?", "Is it 5%."),
        ("Was it in 2020 - or not?", "Was it in 2020, or not"),
        ("What did COVID-19 do?", "What did COVID 19 do?"),
        ("Who (of the 5-year-olds) said so?", "Who, of the 5 year olds, said so"),
        ("- How far is it to km/h?", "How far is it to km h"),
    ],
)
def test_punctuation_that_reckons_nothing_does_not_count(texts: tuple[str, ...]) -> None:
    assert found(list(texts)) == dict.fromkeys(combinations(range(len(texts)), 2), 1.0)


def test_thousands_that_are_all_alike_are_one_group_and_cost_little() -> None:
    body = " ".join(WORDS[:40])
    texts = [f"{body} end{number}" for number in range(2_000)]
    pairs = 0
    for _, (first, _, _) in near_blocks(texts):
        pairs += len(first)
    assert pairs <= 2_000 * ENOUGH  # of 2 million
    assert len(pairs_near(texts)) == 1_999


def test_what_is_near_to_one_of_a_crowd_alone_joins_it() -> None:
    """It is a little less than near to all others, which end otherwise."""
    words = WORDS[:60]
    crowd = [" ".join([*words, f"end{number}"]) for number in range(ENOUGH + 20)]
    last = " ".join([*words[:20], "other", *words[21:], f"end{ENOUGH + 19}"]).split()
    alone = " ".join([*last[:40], "further", "words", *last[41:]])
    wanted = by_force([*crowd, alone])
    (near,) = [pair for pair in wanted if pair[1] == len(crowd)]
    assert near == (len(crowd) - 1, len(crowd))
    links = pairs_near([*crowd, alone])
    assert near in {(first, second) for first, second, _ in links}
    assert len(links) == len(crowd)


def test_links_join_what_is_equal_or_near() -> None:
    body = " ".join(WORDS[:30])
    texts = [f"{body} one", "Other", f"{body} two", " other  ", f"{body} one", "", ""]
    assert pairs_near(texts) == [(0, 4, 1.0), (1, 3, 1.0), (0, 2, pytest.approx(28 / 30))]
    assert pairs_near([]) == []
    assert pairs_near(["alone"]) == []


def test_a_forest_of_links_joins_and_separates_as_all_of_them() -> None:
    """Against the widest way between any two, by the closure of all links (Floyd and Warshall)."""
    chance = np.random.default_rng(0)
    count = 40
    first, second = chance.integers(0, count, (2, 60))
    strengths = chance.random(60)
    links = Links(count)
    for part in np.array_split(np.arange(60), 7):
        links.add(first[part], second[part], strengths[part])
        links.strongest()  # forgets what is not needed, as many links would
    widest = np.full((count, count), -np.inf)
    for a, b, strength in zip(first, second, strengths, strict=True):
        widest[a, b] = widest[b, a] = max(widest[a, b], strength)
    for middle in range(count):
        widest = np.maximum(widest, np.minimum(widest[:, [middle]], widest[[middle]]))
    groups = links.groups()
    together = {pair for group in groups for pair in combinations(group.places, 2)}
    assert together == {(a, b) for a, b in combinations(range(count), 2) if np.isfinite(widest[a, b])}
    for group in groups:
        assert group.least == min(widest[a, b] for a, b in combinations(group.places, 2))


def test_nothing_linked_is_no_group() -> None:
    links = Links(3)
    assert links.groups() == []
    links.add(np.array([2]), np.array([0]), np.array([0.5]))
    assert links.groups() == [Linked((0, 2), 0.5)]
