"""Finds the words of a passage, so that answers and evidence can be constrained to whole words of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from core.documents.passages import sentences
from core.documents.records import PAGE_BREAK, Part
from core.engine.requests import Span

# Scripts written without spaces: each character is a word of its own.
IDEOGRAPHS = "\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Combining marks, which are no letters to a regular expression: Latin, Hebrew, Arabic, and those of India.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0903\u093a-\u094f"
_MARKS += "\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a4d\u0a81-\u0a83\u0abc-\u0acd"
_MARKS += "\u0b01-\u0b03\u0b3c-\u0b4d\u0b82\u0bbe-\u0bcd\u0c00-\u0c04\u0c3e-\u0c4d\u0c81-\u0c83\u0cbc-\u0ccd"
_MARKS += "\u0d00-\u0d03\u0d3b-\u0d4d\u200c\u200d"
_LETTER = rf"(?:[^\W{IDEOGRAPHS}]|[{_MARKS}])"
_WORD = re.compile(
    rf"[{IDEOGRAPHS}]"
    rf"|(?:(?<![\w)])[-−+±](?=[\d.]))?[$€£¥₺]?(?:(?<!\w)\.(?=\w))?{_LETTER}+"
    rf"(?:[-‐‑'’.,:/@&_]+{_LETTER}+)*(?:[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?(?:\s?[%°‰€£₺](?:[CF]\b)?|\+\+|#)?"
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
    page_start, page_end = _page(text, answer)
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


def whole_sentences(text: str) -> Span:
    """Any contiguous sentences of one page; one that runs over the end of a page is cut there."""
    pieces = [piece for a, b in sentences(text) for piece in _by_page(text, a, b)]
    pieces = [(a, b) for a, b in pieces if words(text[a:b]).starts]
    return Span(text, tuple(a for a, _ in pieces), tuple(b for _, b in pieces))


def _by_page(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """A stretch of a text in pieces that each lie on one page, without the space around them."""
    return [match.span() for match in re.compile(rf"[^\s](?:[^{PAGE_BREAK}]*[^\s])?").finditer(text, start, end)]


def sentence_around(text: str, answer: tuple[int, int]) -> tuple[int, int]:
    """The sentence or sentences that hold the answer, as far as they stand on its page."""
    first, last = answer
    page_start, page_end = _page(text, answer)
    holding = [(a, b) for a, b in sentences(text) if a < last and b > first]
    if not holding:
        return answer
    return max(page_start, min(first, holding[0][0])), min(page_end, max(last, holding[-1][1]))


def _page(text: str, answer: tuple[int, int]) -> tuple[int, int]:
    end = text.find(PAGE_BREAK, answer[1])
    return text.rfind(PAGE_BREAK, 0, answer[0]) + 1, len(text) if end < 0 else end


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
