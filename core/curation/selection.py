"""Chooses some of many vectors, one after the other: facility location and k-centre, with quality and quotas."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from core.curation.vectors import Vectors

# What is reckoned with where there are many. Measured on 20,000 vectors: 20, 200 and 1,000 chosen so cover as much as
# those chosen with every vector and every cosine, or 0.0002 less; 1,000 by 4,096 clients alone lost 0.021 of 0.648.
CLIENTS, CLIENTS_EACH = 16_384, 20  # so many clients at least, and for each vector to be chosen
COSINES = 20_000_000  # the highest, that are kept
_SAMPLE = 512  # vectors by which the least of those is told
_AT_ONCE = 16_000_000  # cosines that are reckoned at once

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Limit:
    """At most so many of each group may be chosen; `groups` holds the number of each vector's group."""

    groups: NDArray[np.int64]
    most: int


@dataclass(frozen=True, eq=False)
class Chosen:
    """One that was chosen. `gain`: what it adds to what is maximised; for k-centre, its distance to those before.

    `nearer` and `by` say which clients are nearer for it, and by how much, as cosines; both empty for k-centre.
    """

    place: int
    gain: float
    nearer: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    by: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


def clients_of(count: int, size: int, seed: int) -> NDArray[np.int64]:
    """The places of the vectors that stand for all when `size` are chosen: all of them, or some drawn by a seed.

    What is maximised is a mean over clients, which a sample estimates within ±√(ln(2/δ)/2m) for any one choice
    (Hoeffding; A. Badanidiyuru, B. Mirzasoleiman, A. Karbasi and A. Krause, “Streaming submodular maximization”,
    KDD 2014, section 6).
    """
    most = max(CLIENTS, CLIENTS_EACH * size)
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
    cosines: int = COSINES,
) -> Iterator[Chosen]:
    """Chooses up to `size` vectors so that (1 − weight) × coverage + weight × their mean value is large.

    Coverage is the mean over `clients` (all, by default) of the cosine with the nearest that is chosen, 0 at least. It
    is submodular, so that taking whatever adds most reaches at least 1 − 1/e of the best there is (G. L. Nemhauser,
    L. A. Wolsey and M. L. Fisher, Mathematical Programming 14 (1978) 265-294), and 1/(1 + limits) of it under limits
    (M. L. Fisher and others, Mathematical Programming Study 8 (1978) 73-87). What a vector adds never grows, so only
    what added most before is looked at anew (M. Minoux, “Accelerated greedy algorithms”, 1978): the choice is the
    same. Where there are more than `cosines`, a client counts as covered as far as the least of the highest so many
    (after E. Lindgren, S. Wu and A. Dimakis, “Leveraging sparsity for efficient submodular data summarization”,
    arXiv 1703.02690). Ends early once `cancelled`, or when the limits allow no more.
    """
    around = vectors if clients is None else vectors[clients]
    least = _least(vectors, around, cosines)
    near = [some for block in _near(vectors, around, least, cancelled) for some in block]
    covered = np.full(len(around), least, np.float32)
    worth = weight * values / max(1, size)

    def gain(place: int) -> float:
        clients, cosines = near[place]
        nearer = float(np.maximum(cosines - covered[clients], 0).sum())
        return (1 - weight) * nearer / len(around) + float(worth[place])

    heap = [(-gain(place), place, 0) for place in range(len(near))]
    heapify(heap)
    left, chosen = _Left(limits, len(vectors)), 0
    while heap and chosen < size and not cancelled():
        lost, place, looked_at = heappop(heap)
        if left.closed[place]:
            continue
        if looked_at < chosen:
            heappush(heap, (-gain(place), place, chosen))
            continue
        clients_of_it, cosines_of_it = near[place]
        by = np.maximum(cosines_of_it - covered[clients_of_it], 0)
        covered[clients_of_it] += by
        left.take(place)
        chosen += 1
        yield Chosen(place, -lost, clients_of_it, by)


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
    Computer Science 38 (1985) 293-306). A distance counts 1 − weight + weight × value of it, and for the
    first, from which there is none, how near it is to the middle. Ends early once `cancelled`, or when the limits
    allow no more.
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
        yield Chosen(best, gain)


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


def _least(vectors: Vectors, around: Vectors, cosines: int) -> float:
    """The cosine that about so many of all are above; 0 where there are no more."""
    if (share := cosines / max(1, len(vectors) * len(around))) >= 1:
        return 0.0
    some = np.random.default_rng(0).choice(len(vectors), min(_SAMPLE, len(vectors)), replace=False)
    return max(0.0, float(np.quantile(vectors[some] @ around.T, 1 - share)))


def _near(
    vectors: Vectors, around: Vectors, least: float, cancelled: Callable[[], bool]
) -> Iterator[list[tuple[NDArray[np.int32], NDArray[np.float32]]]]:
    """For each vector the clients whose cosine with it is above the least, and the cosines; in blocks."""
    rows = max(1, _AT_ONCE // max(1, len(around)))
    for start in range(0, len(vectors), rows):
        if cancelled():
            return
        cosines = vectors[start : start + rows] @ around.T
        places, clients = np.nonzero(cosines > least)
        ends = np.searchsorted(places, np.arange(1, len(cosines)))
        found = np.split(clients.astype(np.int32), ends), np.split(cosines[places, clients], ends)
        yield list(zip(*found, strict=True))
