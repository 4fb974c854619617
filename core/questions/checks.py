"""Checks of a question and its answer that need no judge: plain comparisons, each with its reason in words."""

import re
import unicodedata
from collections import Counter, defaultdict
from functools import cache

from core import paths
from core.language import refusals
from core.project.folding import fold
from core.project.records import Check

ROUND_TRIP_F1 = 0.6  # of shared words, from which on a second answer counts as the same
NEAR_DUPLICATE = 0.8  # Jaccard similarity of character trigrams
_QUESTION_MARKS = "?？؟\u037e"  # ASCII, full width, Arabic, Greek
_INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_ARTICLES = frozenset({"a", "an", "the"})
_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")


def normalise(text: str) -> list[str]:
    """The words of a text as SQuAD's evaluation compares them: case, punctuation and articles do not count.

    (Rajpurkar et al., arXiv 1606.05250.) Each character of a script without spaces is a word of its own.
    """
    folded = _UNSPACED.sub(r" \1 ", fold(text))
    kept = "".join(c if unicodedata.category(c)[0] in "LNMSZ" or c.isspace() else " " for c in folded)
    return [word for word in kept.split() if word not in _ARTICLES] or kept.split()


def token_f1(answer: str, reference: str) -> float:
    """The F1 of shared words, as in SQuAD."""
    got, wanted = normalise(answer), normalise(reference)
    shared = sum((Counter(got) & Counter(wanted)).values())
    if not got or not wanted:
        return float(got == wanted)
    return 2 * shared / (len(got) + len(wanted))


def round_trip(answered: str, reference: str) -> Check:
    """Whether the passage, asked again, gives the same answer."""
    score = token_f1(answered, reference)
    return Check("round_trip", score >= ROUND_TRIP_F1, round(score, 3), f"Asked again, the answer was: {answered}")


def choice(answered: str, right: str) -> Check:
    """Whether the passage, asked again, leads to the same letter or the same True or False."""
    same = answered.strip().casefold() == right.casefold()
    return Check("round_trip", same, float(same), f"Asked again, the answer was: {answered}")


def leak(question: str, answer: str) -> Check:
    """Whether the question gives its answer away."""
    asked, told = normalise(question), normalise(answer)
    width = len(told)
    found = any(asked[i : i + width] == told for i in range(len(asked) - width + 1)) if told else False
    return Check("leak", not found, None, "The question contains its answer." if found else "")


def standalone(question: str) -> Check:
    """Whether the question makes sense to someone who does not have the text before them."""
    for pattern in _ties():
        if match := pattern.search(question):
            return Check("standalone", False, None, f"“{match[0]}” needs the text to be understood.")
    return Check("standalone", True)


def length(question: str, answer: str) -> Check:
    """Whether question and answer have a usable length."""
    asked, told = len(question), len(answer)
    for wrong, reason in (
        (asked + len(_UNSPACED.findall(question)) < 8, "The question is very short."),
        (asked > 300, "The question is longer than 300 characters."),
        (not told, "The answer is empty."),
        (told > 600, "The answer is longer than 600 characters."),
    ):
        if wrong:
            return Check("length", False, None, reason)
    return Check("length", True)


def is_question(text: str) -> bool:
    """Whether a line ends as a question does; in Japanese か will do."""
    shown = text.translate(_INVISIBLE).rstrip("\"'”’»」』) ")
    asks = shown.endswith(tuple(_QUESTION_MARKS)) or shown.rstrip("。").endswith("か")
    return asks and len(normalise(text)) >= 2


def has_content(text: str) -> bool:
    """Whether there is a word in it that is not an article."""
    return any(word not in _ARTICLES for word in normalise(text))


def is_refusal(answer: str) -> bool:
    """Whether a model said that the text has no answer."""
    said = normalise(answer)
    return any(said[: len(wanted)] == wanted for wanted in map(normalise, refusals()))


class Duplicates:
    """Finds near-duplicates among the questions of a project by MinHash, verified exactly.

    64 permutations in 16 bands of 4 rows find a pair of similarity 0.8 with probability 0.9998
    (Broder 1997; Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, ch. 3).
    """

    _BANDS, _ROWS, _PRIME = 16, 4, (1 << 31) - 1

    def __init__(self) -> None:
        import numpy

        random = numpy.random.default_rng(0)
        shape = (self._BANDS * self._ROWS, 1)
        self._factors = random.integers(1, self._PRIME, shape, dtype=numpy.int64)
        self._offsets = random.integers(0, self._PRIME, shape, dtype=numpy.int64)
        self._buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        self._questions: dict[int, str] = {}

    def add(self, example_id: int, question: str) -> None:
        """Adds a question that later ones are compared with."""
        self._questions[example_id] = question
        for band in self._bands(question):
            self._buckets[band].append(example_id)

    def check(self, question: str) -> Check:
        """Compares a question with those added so far."""
        found = {other for band in self._bands(question) for other in self._buckets.get(band, ())}
        grams = _trigrams(question)
        best = max(((_jaccard(grams, _trigrams(self._questions[i])), -i) for i in found), default=(0.0, 0))
        same = best[0] >= NEAR_DUPLICATE
        return Check(
            "near_duplicate", not same, round(best[0], 3), f"Like: {self._questions[-best[1]]}" if same else ""
        )

    def _bands(self, question: str) -> list[tuple[int, bytes]]:
        import numpy

        hashes = numpy.array([hash_trigram(gram) for gram in _trigrams(question)], dtype=numpy.int64)
        signature = ((hashes * self._factors + self._offsets) % self._PRIME).min(axis=1)
        rows = signature.reshape(self._BANDS, self._ROWS)
        return [(band, row.tobytes()) for band, row in enumerate(rows)]


def hash_trigram(gram: str) -> int:
    """A stable number below 2³¹ for three characters."""
    value = 0
    for character in gram:
        value = (value * 1_114_112 + ord(character)) % Duplicates._PRIME
    return value


def _trigrams(text: str) -> set[str]:
    padded = f"  {' '.join(normalise(text))} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def _jaccard(a: set[str], b: set[str]) -> float:
    return len(a & b) / len(a | b)


@cache
def _ties() -> tuple[re.Pattern[str], ...]:
    lines = (paths.resources() / "prompts" / "standalone.txt").read_text(encoding="utf-8").splitlines()
    return tuple(re.compile(line, re.IGNORECASE) for line in lines if line.strip() and not line.startswith("#"))
