"""Finds texts that share most of their words, whatever else differs: MinHash for candidates, then exactly."""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.project.folding import fold
from core.questions.checks import normalise

SHINGLE = 3  # words in a row; a character is a word where words are not parted
NEAR = 0.8  # Jaccard similarity from which on texts are near duplicates

# Two texts of similarity s agree in one of the bands with probability 1 − (1 − s⁶)²¹: 0.998 at 0.8, 0.28 at 0.5, 0.02
# at 0.3 (A. Broder, “On the resemblance and containment of documents” (1997); Leskovec, Rajaraman and Ullman, “Mining
# of Massive Datasets”, ch. 3).
BANDS, ROWS = 21, 6
SEED = 1
CHUNK = 500  # texts that are looked up at once
# A text with so many likes is not compared with later ones, which find those instead: thousands of texts that are all
# alike would else be compared each with each.
ENOUGH = 100

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
    texts: Sequence[str], least: float = NEAR, apart: int = 0, cancelled: Callable[[], bool] = bool
) -> Iterator[tuple[int, Block]]:
    """Yields how many texts were looked at, and pairs of them that are near: (first, second, Jaccard similarity).

    Each pair comes once, its first place before its second. With `apart`, so many texts are compared only with those
    behind them, and those not among themselves. Texts of no words are near to nothing. Ends early once `cancelled`.
    """
    from rensa import RMinHash, RMinHashLSH  # pyright: ignore[reportAttributeAccessIssue]

    rows, most = _dense(shingles(texts))
    lookup, mark = RMinHashLSH(least, BANDS * ROWS, BANDS), np.zeros(most, bool)
    for start in range(0, len(rows), CHUNK):
        if cancelled():
            return
        some = [place for place in range(start, min(start + CHUNK, len(rows))) if len(rows[place])]
        sketches = RMinHash.from_token_sets([_tokens(rows[place]) for place in some], BANDS * ROWS, SEED)
        known = bisect_left(some, apart) if apart else len(some)
        lookup.insert_pairs(list(zip(some[:known], sketches[:known], strict=True)))
        asked = known if apart else 0
        found: list[Block] = []
        for place, others in zip(some[asked:], lookup.query_all(sketches[asked:]), strict=True):
            pairs = _verified(place, sorted(other for other in others if other < place), rows, mark, least)
            found.append(pairs)
            if not apart and len(pairs[0]) >= ENOUGH:
                lookup.remove(place)
        first, second, similar = (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else _NONE
        yield min(start + CHUNK, len(rows)), (first, second, similar)


def parted(texts: Sequence[str], sides: Sequence[str], least: float = NEAR) -> Iterator[tuple[int, int]]:
    """Every pair of near texts that are on two sides; unlike `near_blocks`, it misses none.

    Two sets that share so much share one of their rarest members, so that only those are looked up (R. Bayardo, Y. Ma
    and R. Srikant, “Scaling up all pairs similarity search”, WWW 2007).
    """
    rows, most = _dense(shingles(texts))
    counts = np.bincount(np.concatenate([*rows, np.zeros(0, np.int32)]), minlength=most)
    holders: dict[tuple[str, int], list[int]] = {}
    mark, all_sides = np.zeros(most, bool), set(sides)
    for place, row in enumerate(rows):
        shared = math.ceil(least * len(row) - _OVERLAP)
        rare = row[np.argsort(counts[row], kind="stable")][: len(row) - shared + 1].tolist()
        across = [(side, number) for side in all_sides - {sides[place]} for number in rare]
        others = sorted({other for key in across for other in holders.get(key, ())})
        yield from ((other, place) for other in _verified(place, others, rows, mark, least)[0].tolist())
        for number in rare:
            holders.setdefault((sides[place], number), []).append(place)


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


def _tokens(row: NDArray[np.int32]) -> list[bytes]:
    data = row.tobytes()
    return [data[place : place + 4] for place in range(0, len(data), 4)]


def _verified(
    place: int, others: list[int], rows: list[NDArray[np.int32]], mark: NDArray[np.bool_], least: float
) -> Block:
    """Those of the others that are near to the text at this place."""
    if not others:
        return _NONE
    row = rows[place]
    sizes = np.array([len(rows[other]) for other in others])
    mark[row] = True
    shared = np.add.reduceat(
        mark[np.concatenate([rows[other] for other in others])], np.cumsum(sizes) - sizes, dtype=int
    )
    mark[row] = False
    similar = shared / (len(row) + sizes - shared)
    near = similar >= least - _OVERLAP
    first = np.array(others, np.int64)[near]
    return first, np.full(len(first), place, np.int64), similar[near]


_NONE: Block = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
