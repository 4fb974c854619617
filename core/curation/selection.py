"""Chooses some of many vectors, one after the other: facility location and k-centre, with quality and quotas."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.curation.vectors import BLOCK, Vectors

CLIENTS = 4_096  # vectors that are to be near to what is chosen; of more, as many are drawn
TOGETHER = 64  # candidates that are looked at anew at once

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Limit:
    """At most so many of each group may be chosen; `groups` holds the number of each vector's group."""

    groups: NDArray[np.int64]
    most: int


@dataclass(frozen=True, eq=False)
class Chosen:
    """One that was chosen. `gain`: what it adds to what is maximised; for k-centre, its distance to those before.

    `added` is how much nearer each client is for it, as cosines; empty for k-centre.
    """

    place: int
    gain: float
    added: NDArray[np.float32]


def clients_of(count: int, seed: int, most: int = CLIENTS) -> NDArray[np.int64]:
    """The places of those vectors that stand for all: all of them, or so many drawn by a seed.

    What is maximised is a mean over clients, which a sample estimates within ±√(ln(2/δ)/2m) for any one choice
    (Hoeffding; A. Badanidiyuru, B. Mirzasoleiman, A. Karbasi and A. Krause, “Streaming submodular maximization”,
    KDD 2014, section 6).
    """
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def facility_location(
    vectors: Vectors,
    size: int,
    values: Numbers,
    weight: float,
    limits: Sequence[Limit] = (),
    clients: NDArray[np.int64] | None = None,
    cancelled: Callable[[], bool] = bool,
) -> Iterator[Chosen]:
    """Chooses up to `size` vectors so that (1 − weight) × coverage + weight × their mean value is large.

    Coverage is the mean over `clients` (all, by default) of the cosine with the nearest that is chosen, 0 at least. It
    is submodular, so that taking whatever adds most reaches at least 1 − 1/e of the best there is (G. L. Nemhauser,
    L. A. Wolsey and M. L. Fisher, Mathematical Programming 14 (1978) 265-294), and 1/(1 + limits) of it under limits
    (M. L. Fisher and others, Mathematical Programming Study 8 (1978) 73-87). What a vector adds never grows, so only
    those that added most before are looked at anew (M. Minoux, “Accelerated greedy algorithms”, 1978): the choice is
    the same. Ends early once `cancelled`, or when the limits allow no more.
    """
    around = vectors if clients is None else vectors[clients]
    covered = np.zeros(len(around), np.float32)
    worth = weight * values / max(1, size)

    def gains(places: NDArray[np.int64]) -> Numbers:
        nearer = np.maximum(vectors[places] @ around.T - covered, 0)
        return (1 - weight) * nearer.sum(axis=1, dtype=np.float64) / len(around) + worth[places]

    bounds = np.concatenate([gains(some) for some in _blocks(len(vectors))]) if len(vectors) else np.zeros(0)
    looked_at = np.zeros(len(vectors), np.int64)  # before which choice
    left = _Left(limits, len(vectors))
    for turn in range(size):
        while not cancelled():
            bounds[left.closed] = -np.inf
            best = int(bounds.argmax()) if len(bounds) else -1
            if best < 0 or np.isneginf(bounds[best]):
                return
            if looked_at[best] == turn:
                break
            highest = np.argpartition(-bounds, min(TOGETHER, len(bounds) - 1))[:TOGETHER]
            stale = np.sort(highest[(looked_at[highest] != turn) & ~left.closed[highest]])
            bounds[stale] = gains(stale)
            looked_at[stale] = turn
        else:
            return
        gain = float(bounds[best])
        added = np.maximum(around @ vectors[best] - covered, 0)
        covered += added
        left.take(best)
        yield Chosen(best, gain, added)


def k_centre(
    vectors: Vectors,
    size: int,
    values: Numbers,
    weight: float,
    limits: Sequence[Limit] = (),
    cancelled: Callable[[], bool] = bool,
) -> Iterator[Chosen]:
    """Chooses up to `size` vectors, each time the one that is farthest from all chosen, so that none is far from them.

    Without a weight the largest distance left is at most twice the least there could be (T. F. Gonzalez, Theoretical
    Computer Science 38 (1985) 293-306). A distance counts 1 − weight + weight × value of it. The first is the one in
    the middle. Ends early once `cancelled`, or when the limits allow no more.
    """
    counts = 1 - weight + weight * values
    left = _Left(limits, len(vectors))
    distances = np.full(len(vectors), np.inf)
    for turn in range(min(size, len(vectors))):
        if cancelled() or left.closed.all():
            return
        far = counts * (distances if turn else 2 + vectors @ vectors.mean(axis=0))
        far[left.closed] = -np.inf
        best = int(far.argmax())
        gain = float(distances[best]) if turn else 0.0
        squares = 2 - 2 * (vectors @ vectors[best]).astype(np.float64)
        distances = np.minimum(distances, np.sqrt(np.maximum(squares, 0)))
        left.take(best)
        yield Chosen(best, gain, np.zeros(0, np.float32))


class _Left:
    """Which may still be chosen."""

    def __init__(self, limits: Sequence[Limit], count: int) -> None:
        self.closed = np.zeros(count, bool)
        self._limits = limits
        self._taken = [np.zeros(int(limit.groups.max(initial=-1)) + 1, np.int64) for limit in limits]

    def take(self, place: int) -> None:
        """Notes that one was chosen, and closes the groups that are full."""
        self.closed[place] = True
        for limit, taken in zip(self._limits, self._taken, strict=True):
            group = limit.groups[place]
            taken[group] += 1
            if taken[group] >= limit.most:
                self.closed |= limit.groups == group


def _blocks(count: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, BLOCK):
        yield np.arange(start, min(start + BLOCK, count))
