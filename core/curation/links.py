"""Which things belong together: groups by links of some strength, and the strongest links that hold them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 1_000_000  # links that wait before those that are not needed are forgotten

Places = NDArray[np.int64]
Strengths = NDArray[np.float64]


@dataclass(frozen=True)
class Linked:
    """Things that links hold together, by their places, and the least link without which they would fall apart."""

    places: tuple[int, ...]
    least: float


class Links:
    """Gathers links between things in constant memory: only a forest of the strongest is kept.

    It joins what all links would join, and the least link on the way between two things is as strong as on the best
    way through all of them (a maximum spanning forest; J. B. Kruskal, Proc. AMS 7 (1956) 48-50).
    """

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))
        self._waiting: list[tuple[Places, Places, Strengths]] = []
        self._count = 0

    def add(self, first: Places, second: Places, strengths: Strengths) -> None:
        """Adds links between the things at these places."""
        self._waiting.append((first, second, strengths))
        self._count += len(first)
        if self._count > MOST:
            self.strongest()

    def strongest(self) -> tuple[Places, Places, Strengths]:
        """The forest, strongest links first."""
        if not self._waiting:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        first, second, strengths = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        order = np.lexsort((second, first, -strengths))
        self._parents = list(range(len(self._parents)))
        pairs = zip(first[order].tolist(), second[order].tolist(), strict=True)
        kept = order[np.fromiter((self._join(a, b) for a, b in pairs), bool, len(order))]
        forest = first[kept], second[kept], strengths[kept]
        self._waiting, self._count = [forest], 0
        return forest

    def groups(self) -> list[Linked]:
        """What belongs together, by the first place of each; what nothing is linked to is left out."""
        first, _, strengths = self.strongest()
        members: dict[int, list[int]] = {}
        for place in range(len(self._parents)):
            members.setdefault(self._root(place), []).append(place)
        least = {
            self._root(place): strength for place, strength in zip(first.tolist(), strengths.tolist(), strict=True)
        }
        groups = [Linked(tuple(places), least[root]) for root, places in members.items() if len(places) > 1]
        return sorted(groups, key=lambda group: group.places)

    def _join(self, one: int, other: int) -> bool:
        a, b = self._root(one), self._root(other)
        if a != b:
            self._parents[max(a, b)] = min(a, b)
        return a != b

    def _root(self, place: int) -> int:
        parents = self._parents
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place
