"""Finds the words of a passage, so that answers and evidence can be constrained to whole words of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from core.documents.passages import sentences
from core.documents.records import PAGE_BREAK, Part
from core.engine.requests import Span

# Scripts written without spaces: each character is a word of its own.
_IDEOGRAPH = "\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_LETTER = rf"[^\W{_IDEOGRAPH}]"
_WORD = re.compile(
    rf"[{_IDEOGRAPH}]"
    rf"|[$€£¥₺]?(?:{_LETTER}|[\u0300-\u036f])+(?:[-‐‑'’.,:/@&_]+{_LETTER}+)*(?:[%°²³]|\+\+|#)?"
)


@dataclass(frozen=True)
class Words:
    """The words of a text, as character offsets: `starts[i]`..`ends[i]`."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]


def words(text: str) -> Words:
    """The words of a text. Punctuation around a word is not part of it; hyphens and decimals inside are."""
    found = [match.span() for match in _WORD.finditer(text)]
    return Words(tuple(start for start, _ in found), tuple(end for _, end in found))


def answer_span(text: str, region: tuple[int, int]) -> Span:
    """Any contiguous words of the text that begin and end within the region."""
    first, last = region
    found = words(text)
    starts = tuple(start for start in found.starts if first <= start < last)
    return Span(text, starts, tuple(end for end in found.ends if first < end <= last))


def evidence_span(text: str, answer: tuple[int, int]) -> Span:
    """Any contiguous words around the answer, on its page, from at most one sentence before it to one after.

    The sentence's own punctuation may close the span.
    """
    first, last = answer
    page_start = text.rfind(PAGE_BREAK, 0, first) + 1
    page_end = text.find(PAGE_BREAK, last)
    page_end = len(text) if page_end < 0 else page_end
    near = [(a, b) for a, b in sentences(text) if b > page_start and a < page_end]
    holding = [i for i, (a, b) in enumerate(near) if a < last and b > first]
    if holding:
        page_start = max(page_start, near[max(0, holding[0] - 1)][0])
        page_end = min(page_end, near[min(len(near) - 1, holding[-1] + 1)][1])
    found = words(text)
    openings = {a for a, _ in near} | set(found.starts)
    closings = {b for _, b in near} | set(found.ends)
    starts = tuple(sorted(i for i in openings if page_start <= i <= first))
    return Span(text, starts, tuple(sorted(j for j in closings if last <= j <= page_end)))


def sentence_around(text: str, answer: tuple[int, int]) -> tuple[int, int]:
    """The sentence or sentences that hold the answer."""
    first, last = answer
    holding = [(a, b) for a, b in sentences(text) if a < last and b > first]
    return (min(first, holding[0][0]), max(last, holding[-1][1])) if holding else answer


def regions(text: str, count: int) -> list[tuple[int, int]]:
    """Cuts a text into `count` stretches of whole sentences, so that each question looks at its own.

    A text of fewer sentences is given whole to each. Stretches never cross a page.
    """
    found = [(a, b) for a, b in sentences(text) if words(text[a:b]).starts]
    if len(found) < count:
        return [(0, len(text))] * count
    edges = [round(i * len(found) / count) for i in range(count + 1)]
    return [(found[a][0], found[b - 1][1]) for a, b in pairwise(edges)]


def locate(parts: Iterable[Part | tuple[int, int, int]], start: int, end: int) -> tuple[int, int, int] | None:
    """Follows offsets of a passage's text back to (page, start, end) of the page's text; None across pages."""
    offset = 0
    for part in parts:
        page, first, last = part if isinstance(part, tuple) else (part.page, part.start, part.end)
        length = last - first
        if offset <= start and end <= offset + length:
            return page, first + start - offset, first + end - offset
        offset += length + len(PAGE_BREAK)
    return None
