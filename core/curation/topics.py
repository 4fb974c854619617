"""Topics: examples that lie together by their vectors, and the words that tell them from the others."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.curation.vectors import BLOCK, Vectors
from core.language import common_words
from core.questions.checks import normalise

MOST = 20  # topics, more of which nobody looks through
FITTED = 20_000  # examples from which topics are learned; the others are put to the nearest
STEPS = 50
TRIALS = 4  # of which the best becomes the next centre
NAMED_BY = 3  # words

_WORD = re.compile(r"[^\W\d_]{3,}")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")

Labels = NDArray[np.int64]


def natural(count: int) -> int:
    """How many topics so many examples are divided into."""
    return min(MOST, max(1, round(math.sqrt(count / 2))))


def topics(vectors: Vectors, count: int, seed: int = 0) -> Labels:
    """The topic of each vector, from 0 for the largest; at most `count` topics. Equal seeds give equal topics.

    k-means (S. P. Lloyd, IEEE Trans. Information Theory 28 (1982) 129-137) from centres that are drawn far from each
    other (D. Arthur and S. Vassilvitskii, “k-means++”, SODA 2007).
    """
    if not len(vectors):
        return np.zeros(0, np.int64)
    random = np.random.default_rng(seed)
    some = vectors if len(vectors) <= FITTED else vectors[np.sort(random.choice(len(vectors), FITTED, replace=False))]
    centres = _drawn(some, min(count, len(some)), random)
    labels = np.full(len(some), -1)
    for _ in range(STEPS):
        before, (labels, distances) = labels, nearest(some, centres)
        if (labels == before).all():
            break
        centres = _means(some, labels, distances, centres)
    labels, _ = nearest(vectors, centres)
    sizes = np.bincount(labels, minlength=len(centres))
    ranks = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
    return ranks[labels]


def names(texts: Sequence[str], labels: Labels) -> list[str]:
    """The name of each topic: the words of which it has most more than the rest has.

    A word weighs the share of the topic's texts that have it, times the logarithm of that share over the share in all
    texts: tf-idf with topics as documents (G. Salton and C. Buckley, 1988), in which what all have in common weighs
    nothing. Words such as “which” and “was” name a topic only where it has no others.
    """
    common = common_words()
    everywhere: Counter[str] = Counter()
    within: list[Counter[str]] = [Counter() for _ in range(int(labels.max(initial=-1)) + 1)]
    step = max(1, len(texts) // FITTED)
    some = range(0, len(texts), step)
    for place in some:
        found = words(texts[place])
        everywhere.update(found)
        within[int(labels[place])].update(found)
    sizes = np.bincount(labels[::step], minlength=len(within))
    made: list[str] = []
    for topic, counts in enumerate(within):
        weights = {
            word: times / sizes[topic] * math.log(times * len(some) / sizes[topic] / everywhere[word])
            for word, times in counts.items()
        }
        best = sorted(weights, key=lambda word: (-weights[word], word))
        telling = [word for word in best if word not in common and weights[word] > 0]
        made.append(_different(telling or best, made, topic))
    return made


def words(text: str) -> set[str]:
    """The words of a text that may name a topic; where words are not parted, two characters in a row."""
    found: set[str] = set()
    for word in _WORD.findall(text.lower()):
        if _UNSPACED.search(word):
            letters = "".join(normalise(word))
            found.update(letters[place : place + 2] for place in range(len(letters) - 1))
        else:
            found.add(word)
    return found


def nearest(vectors: Vectors, centres: Vectors) -> tuple[Labels, NDArray[np.float32]]:
    """The nearest centre of each vector, and the square of its distance, block by block."""
    labels, distances = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
    lengths = np.einsum("ij,ij->i", centres, centres)
    for start in range(0, len(vectors), BLOCK):
        rows = vectors[start : start + BLOCK]
        squares = lengths - 2 * (rows @ centres.T)
        labels[start : start + BLOCK] = best = squares.argmin(axis=1)
        own = np.einsum("ij,ij->i", rows, rows)
        distances[start : start + BLOCK] = np.maximum(squares[np.arange(len(rows)), best] + own, 0)
    return labels, distances


def _drawn(vectors: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """Centres, each the best of some that are drawn by the square of their distance to those there are."""
    places = [int(random.integers(len(vectors)))]
    distances = _squares(vectors, vectors[places[0]][None])[:, 0]
    while len(places) < count and (total := float(distances.sum(dtype=np.float64))) > 1e-9:
        tried = random.choice(len(vectors), TRIALS, p=distances.astype(np.float64) / total)
        after = np.minimum(distances[:, None], _squares(vectors, vectors[tried]))
        best = int(after.sum(axis=0).argmin())
        places.append(int(tried[best]))
        distances = after[:, best]
    return vectors[places].copy()


def _squares(vectors: Vectors, others: Vectors) -> NDArray[np.float32]:
    own, theirs = (np.einsum("ij,ij->i", rows, rows) for rows in (vectors, others))
    return np.maximum(own[:, None] + theirs - 2 * (vectors @ others.T), 0)


def _means(vectors: Vectors, labels: Labels, distances: NDArray[np.float32], centres: Vectors) -> Vectors:
    """The mean of each topic; one that is left without members begins anew at what lies farthest from its centre."""
    members = labels == np.arange(len(centres))[:, None]
    made, sizes = members.astype(np.float32) @ vectors, members.sum(axis=1)
    far = iter(np.argsort(-distances, kind="stable"))
    for topic in range(len(centres)):
        made[topic] = made[topic] / sizes[topic] if sizes[topic] else vectors[next(far)]
    return made


def _different(best: Sequence[str], taken: Sequence[str], topic: int) -> str:
    """A name that no other topic has."""
    for count in range(NAMED_BY, len(best) + 1):
        if (name := ", ".join(best[:count])) not in taken:
            return name
    name = ", ".join(best) or "no words"
    return name if name not in taken else f"{name} ({topic + 1})"
