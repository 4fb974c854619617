"""Finds running headers, footers, page numbers and text in the margin: they come back from page to page."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.documents.pdf import RawLine, RawPage

WINDOW = 6  # pages before and after in which a header comes back, on every or on every other page
EDGE = 0.2  # share of the page's height in which headers, and footers, are looked for
ROWS = 4  # at most so many rows of them at each edge
SHIFT = 0.02  # share of the page's height by which they may move from page to page

_NUMBER = re.compile(r"\W*(?:(?:page|seite|sayfa|p\.)\s*)?(\d{1,5}|[ivxlc]{1,7})(?:\s*(?:/|of|von)\s*\d+)?\W*", re.I)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True, slots=True)
class _Edge:
    """A line near the top or bottom edge: its place in the page's lines, its text with digits masked, its middle."""

    place: int
    side: str
    key: str
    number: int | None
    middle: float


def find_furniture(pages: Sequence[RawPage]) -> list[dict[int, str]]:
    """For each page, which of its lines (by their place) are furniture, and of which kind."""
    rows = [{side: list(_edge_rows(page, side)) for side in ("header", "footer")} for page in pages]
    seen: dict[tuple[str, str | int], dict[int, float]] = defaultdict(dict)
    for page, sides in zip(pages, rows, strict=True):
        for edge in (edge for side in sides.values() for row in side for edge in row):
            seen[_key(edge, page)][page.index] = edge.middle
    needed = 1 if len(pages) <= 5 else 2

    def repeated(page: RawPage, edge: _Edge) -> bool:
        same, here = seen[_key(edge, page)], page.index
        around = (same.get(index) for index in range(here - WINDOW, here + WINDOW + 1) if index != here)
        near = SHIFT * page.height
        return sum(middle is not None and abs(middle - edge.middle) <= near for middle in around) >= needed

    found: list[dict[int, str]] = []
    for page, sides in zip(pages, rows, strict=True):
        kinds = _margins(page, pages)
        for side in sides.values():
            for row in side:
                matches = [edge for edge in row if repeated(page, edge)]
                telling = any(edge.number is not None or _letters(edge.key) > 4 for edge in matches)
                if not telling or (len(matches) < len(row) and not _is_clear(row, page)):
                    break
                for edge in row:
                    kinds[edge.place] = "page number" if edge.number is not None else edge.side
        found.append(kinds)
    _add_bands(pages, rows, found)
    return found


def _key(edge: _Edge, page: RawPage) -> tuple[str, str | int]:
    """What is the same on other pages: the text, or how far a page number runs ahead of the pages."""
    return edge.side, edge.key if edge.number is None else edge.number - page.index


def _edge_rows(page: RawPage, side: str) -> Iterator[list[_Edge]]:
    """Rows of lines from the edge inwards."""
    top = side == "header"
    near = [
        (place, line)
        for place, line in enumerate(page.lines)
        if not line.sideways
        and (line.rectangle.y1 < EDGE * page.height if top else line.rectangle.y0 > (1 - EDGE) * page.height)
    ]
    near.sort(key=lambda one: _middle(one[1]), reverse=not top)
    row: list[_Edge] = []
    count = 0
    for place, line in near:
        edge = _Edge(place, side, _mask(line.text), _page_number(line.text), _middle(line))
        if row and abs(edge.middle - row[0].middle) > 0.5 * line.size:
            yield row
            row, count = [], count + 1
            if count == ROWS:
                return
        row.append(edge)
    if row:
        yield row


def _middle(line: RawLine) -> float:
    return (line.rectangle.y0 + line.rectangle.y1) / 2


def _mask(text: str) -> str:
    return re.sub(r"\d+", "#", " ".join(text.lower().split()))


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _page_number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = match[1].lower()
    if digits.isdigit():
        return int(digits)
    values = [_ROMAN[one] for one in digits]
    return sum(-one if one < next_one else one for one, next_one in zip(values, [*values[1:], 0], strict=True))


def _is_clear(row: list[_Edge], page: RawPage) -> bool:
    """Whether the row stands clear of the text that follows it towards the middle of the page."""
    size = max(page.lines[edge.place].size for edge in row)
    inwards = 1 if row[0].side == "header" else -1
    distances = [
        inwards * (_middle(line) - row[0].middle)
        for line in page.lines
        if not line.sideways and inwards * (_middle(line) - row[0].middle) > 0.5 * size
    ]
    return min(distances, default=0.0) > 1.7 * size


def _margins(page: RawPage, pages: Sequence[RawPage]) -> dict[int, str]:
    """Lines that run across the page's direction and come back on pages nearby."""
    kinds: dict[int, str] = {}
    first = pages[0].index
    for place, line in enumerate(page.lines):
        if not line.sideways:
            continue
        key, start = _mask(line.text), page.index - first
        around = [*pages[max(0, start - WINDOW) : start], *pages[start + 1 : start + 1 + WINDOW]]
        if any(other.sideways and _mask(other.text) == key for near in around for other in near.lines):
            kinds[place] = "margin"
    return kinds


def _add_bands(pages: Sequence[RawPage], rows: list[dict[str, list[list[_Edge]]]], found: list[dict[int, str]]) -> None:
    """Where most pages have furniture at the same height, the outermost row there is furniture on the others too."""
    for side in ("header", "footer"):
        heights: dict[int, set[int]] = defaultdict(set)
        for number, (sides, kinds) in enumerate(zip(rows, found, strict=True)):
            for edge in (edge for row in sides[side] for edge in row if edge.place in kinds):
                heights[round(edge.middle / 3)].add(number)
        if not heights:
            continue
        height, holders = max(heights.items(), key=lambda one: len(one[1]))
        if len(holders) < max(4, 0.4 * len(pages)):
            continue
        for page, sides, kinds in zip(pages, rows, found, strict=True):
            row = sides[side][0] if sides[side] else []
            if not row or abs(row[0].middle / 3 - height) > 1.5 or not _is_clear(row, page):
                continue
            for edge in row:
                kinds.setdefault(edge.place, side)
