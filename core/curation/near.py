"""Finds texts that share most of their words, whatever else differs, and misses none."""

import math
import re
from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.project.folding import fold
from core.questions.checks import normalise

SHINGLE = 3  # words in a row; a character is a word where words are not parted
NEAR = 0.8  # Jaccard similarity from which on texts are near duplicates

CHUNK = 500  # texts that are looked up at once
# A text that is like so many is compared only with what it is not joined to yet: thousands of texts that are all alike
# would else be compared each with each.
ENOUGH = 100
RAREST = 3  # of their rarest shingles that two near texts have in common, where they have so many

# Signs that are written in several ways, each as one of them.
_SAME = str.maketrans(
    {"‐": "-", "‒": "-", "–": "-", "−": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "⁄": "/", "∕": "/"}
)
_SIGNS = "-+±‐‒–−"
_OPERATOR = re.compile(
    rf"((?<=[\d)%]) ?[{_SIGNS}*×·⋅/÷⁄∕](?= ?\(*[{_SIGNS}]?\.?\d)"  # 12 - 4
    rf"|(?<![\w)])[{_SIGNS}](?=\.?\d)"  # -5
    r"|(?<=\d) ?[%‰])"  # 10 %
)

_WORD = 1 << 21  # numbers of words; the few beyond share those of others
_OVERLAP = 1e-9  # 4/5 is no sum of powers of two

Block = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
Numbers = NDArray[np.int64]


def near_blocks(
    texts: Sequence[str],
    least: float = NEAR,
    sides: Sequence[Hashable] | None = None,
    cancelled: Callable[[], bool] = bool,
) -> Iterator[tuple[int, Block]]:
    """Yields how many texts were looked at, and pairs of them that are near: (first, second, Jaccard similarity).

    Each pair comes once, its first place before its second, and none is missed; but a text that is near to ENOUGH
    others is compared only with those that no pairs join it to. With `sides`, texts of one side are not compared, and
    every pair on two sides comes. Texts of no words are near to nothing. Ends early once `cancelled`.
    """
    rows, most = _dense(shingles(texts))
    index = _Index(rows, most, least)
    codes = {side: code for code, side in enumerate(dict.fromkeys(sides or ()))}
    side = None if sides is None else np.array([codes[one] for one in sides], np.int64)
    joined, mark = _Joined(len(rows)), np.zeros(most, bool)
    for start in range(0, len(rows), CHUNK):
        if cancelled():
            return
        found: list[Block] = [_NONE]
        for place in range(start, min(start + CHUNK, len(rows))):
            others = index.before(place)
            if side is not None:
                others = others[side[others] != side[place]]
            elif len(others) > ENOUGH:
                found.append(_verified(place, others[:ENOUGH], rows, mark, least))
                joined.join(place, found[-1][0])
                others = others[ENOUGH:]
                others = others[joined.names[others] != joined.names[place]]
            found.append(_verified(place, others, rows, mark, least))
            joined.join(place, found[-1][0])
        first, second, similar = (np.concatenate(parts) for parts in zip(*found, strict=True))
        yield min(start + CHUNK, len(rows)), (first, second, similar)


def parted(texts: Sequence[str], sides: Sequence[Hashable], least: float = NEAR) -> Iterator[tuple[int, int]]:
    """Every pair of near texts that are on two sides."""
    for _, (first, second, _) in near_blocks(texts, least, sides):
        yield from zip(first.tolist(), second.tolist(), strict=True)


class _Index:
    """Which texts have the rarest members of each in common.

    Two sets of a similarity share so much that they share some of their rarest members, so that only those are looked
    up and nothing is missed (R. Bayardo, Y. Ma and R. Srikant, “Scaling up all pairs similarity search”, WWW 2007; with
    more members than one: J. Wang, G. Li and J. Feng, “Can we beat the prefix filtering?”, SIGMOD 2012).
    """

    def __init__(self, rows: list[NDArray[np.int32]], most: int, least: float) -> None:
        self._least, self._sizes = least, np.array([len(row) for row in rows], np.int64)
        counts = np.bincount(np.concatenate([*rows, np.zeros(0, np.int32)]), minlength=most)
        rarest = [self._rarest(row, counts) for row in rows]
        self._ends = np.cumsum([0, *map(len, rarest)])
        numbers = np.concatenate([*rarest, np.zeros(0, np.int32)])
        order = np.argsort(numbers, kind="stable")  # of equal numbers those of earlier texts first
        self._holders = np.repeat(np.arange(len(rows)), np.diff(self._ends))[order]
        self._upto = np.empty(len(order), np.int64)
        self._upto[order] = np.arange(len(order))
        self._since = np.searchsorted(numbers[order], numbers)
        self._held = np.zeros(len(rows), np.int8)

    def before(self, place: int) -> Numbers:
        """The earlier texts that may be near to the one at this place."""
        mine = slice(self._ends[place], self._ends[place + 1])
        since, upto = self._since[mine], self._upto[mine]
        some = np.flatnonzero(since < upto)
        for one in some.tolist():
            self._held[self._holders[since[one] : upto[one]]] += 1
        others = np.flatnonzero(self._held[:place]) if len(some) else _NONE[0]
        held, most = self._held[others], np.maximum(self._sizes[place], self._sizes[others])
        self._held[others] = 0
        return others[held >= np.minimum(RAREST, np.ceil(self._least * most - _OVERLAP))]

    def _rarest(self, row: NDArray[np.int32], counts: Numbers) -> NDArray[np.int32]:
        shared = math.ceil(self._least * len(row) - _OVERLAP)
        return row[np.argsort(counts[row], kind="stable")][: len(row) - shared + RAREST]


class _Joined:
    """Which texts the pairs so far join: those have one name."""

    def __init__(self, count: int) -> None:
        self.names = np.arange(count)

    def join(self, place: int, others: Numbers) -> None:
        """Joins a text with others. One alone takes their name, so that only where groups meet all are looked at."""
        for name in np.unique(self.names[others]).tolist():
            if self.names[place] == place:
                self.names[place] = name
            elif self.names[place] != name:
                self.names[self.names == name] = self.names[place]


def shingles(texts: Sequence[str]) -> list[Numbers]:
    """For each text the numbers of its shingles, sorted; equal shingles have equal numbers in all of them.

    A text of fewer words than a shingle has is one shingle.
    """
    vocabulary: dict[str, int] = {}
    return [_numbered([_number(vocabulary, word) for word in _words(text)]) for text in texts]


def _words(text: str) -> list[str]:
    """The words of a text, and the operators, signs and % by its numbers: 12 − 4 is not 12 / 4, nor −5 the same as 5.

    Other punctuation does not count.
    """
    parts = _OPERATOR.split(fold(text))
    return [
        word
        for place, part in enumerate(parts)
        for word in ([part.strip().translate(_SAME)] if place % 2 else normalise(part))
    ]


def _number(vocabulary: dict[str, int], word: str) -> int:
    return vocabulary.setdefault(word, 1 + len(vocabulary) % (_WORD - 1))


def _numbered(words: list[int]) -> Numbers:
    if not words:
        return np.zeros(0, np.int64)
    row = np.array(words + [0] * (SHINGLE - len(words)), np.int64)
    return np.unique((row[:-2] * _WORD + row[1:-1]) * _WORD + row[2:])


def _dense(rows: list[Numbers]) -> tuple[list[NDArray[np.int32]], int]:
    """The same with numbers from 0 on without gaps, and how many there are."""
    if not any(map(len, rows)):
        return [row.astype(np.int32) for row in rows], 0
    numbers, places = np.unique(np.concatenate(rows), return_inverse=True)
    ends = np.cumsum([len(row) for row in rows])
    return np.split(places.astype(np.int32), ends[:-1]), len(numbers)


def _verified(
    place: int, others: Numbers, rows: list[NDArray[np.int32]], mark: NDArray[np.bool_], least: float
) -> Block:
    """Those of the others that are near to the text at this place."""
    if not len(others):
        return _NONE
    row = rows[place]
    found = [rows[other] for other in others.tolist()]
    sizes = np.array([len(one) for one in found])
    mark[row] = True
    shared = np.add.reduceat(mark[np.concatenate(found)], np.cumsum(sizes) - sizes, dtype=int)
    mark[row] = False
    similar = shared / (len(row) + sizes - shared)
    near = similar >= least - _OVERLAP
    first = others[near]
    return first, np.full(len(first), place, np.int64), similar[near]


_NONE: Block = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
