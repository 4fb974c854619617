"""Cuts clean pages into passages at sentence ends, inside the sections of the outline."""

import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from core.documents.reader import GARBAGE
from core.documents.records import PAGE_BREAK, Heading, Page, Part, Passage, Rectangle, Word
from core.documents.text import is_unspaced, word_set
from core.errors import UserError

SMALLEST_SIZE = 100  # characters
FEWEST_LETTERS = 40  # fewer than these are a heading or a number on its own, not prose
LEAST_LETTERS = 0.3  # share of letters below which a passage is a table of figures
SECTION_JOIN = " › "

# The marks that end a sentence, what closes with it, and the number of a footnote.
_END = re.compile(r"""(?:[.!?…؟۔।]+|[。！？｡]+)["'”’»›)\]」』】]*(?:(?<=[^\W\d_][.!?])\d{1,2}(?=\s))?""")
_LEADERS = re.compile(r"(?:\. ?){4,}|…{2,}|(?:_ ?){6,}|(?:· ?){4,}")
_INITIALS = re.compile(r"^(?:[^\W\d_]\.)*[^\W\d_]$")
_ABBREVIATIONS = word_set(
    "abb abs al anm approx apr art aug av bd bkz bzgl bzw ca cap cf ch co col corp dec dept dipl doç dr dt ed eds"
    " ehem engl eq eqs et etc evtl ex feb fig figs fr gen ggf ggfs gov hr hrn inc ing insb jan jr jul jun kap lt"
    " ltd max md min mr mrs ms mt nov nr oct op örn p para pp prof ref refs rep rev s sec sen sep sept sn sog sr"
    " st str tab tel usw univ vb vd vgl vol vols vs yy zb z.b d.h e.g i.e u.a o.ä m.ö m.s"
)
# Abbreviations that are words too: only before a number do they not end a sentence.
_BEFORE_NUMBER = word_set("no nos fig figs sec vol nr pp p art ch eq tab s bd kap sayı cilt")
_STARTERS = word_set(
    "The A An In It This That These Those He She We They However But And If When As For There Der Die Das Es Ein"
    " Eine Wir Sie Im In Bu Bir Ve O"
)
_AFTER_ORDINAL = word_set(
    "januar februar märz april mai juni juli august september oktober november dezember jahrhundert jahrhunderts"
    " ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık yüzyıl"
)


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence starts and ends, without the space around it. A newline ends a sentence, a page does not."""
    found: list[tuple[int, int]] = []
    for line in re.finditer(r"[^\n]+", text):
        start = line.start()
        for end in _END.finditer(text, line.start(), line.end()):
            if _is_end(text, start, end, line.end()):
                _add(found, text, start, end.end())
                start = end.end()
        _add(found, text, start, line.end())
    return found


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        found.append((start, end))


def _is_end(text: str, start: int, end: re.Match[str], line_end: int) -> bool:
    """Whether the marks that were matched end the sentence which began at `start`."""
    marks = end[0]
    after = text[end.end() : end.end() + 40]
    if end.end() >= line_end:
        return True
    if marks[0] in "。！？｡" or (marks[0] in "!?" and end.start() and is_unspaced(text[end.start() - 1])):
        return True
    if not after[0].isspace() or _LEADERS.match(text, end.start()):
        return False
    following = after.lstrip().lstrip("\"'“‘«‹([„¿¡")
    if following[:1].islower():
        return False
    if marks[0] != "." or marks.startswith(".."):
        return True
    return not _is_abbreviation(text, start, end.start(), following)


def _is_abbreviation(text: str, start: int, dot: int, following: str) -> bool:
    """Whether the full stop at `dot` belongs to the word before it."""
    before = text[max(start, dot - 30) : dot].split()
    word = before[-1].lstrip("\"'“‘«([„") if before else ""
    next_word = re.match(r"[^\W\d_]*", following)
    following_word = next_word[0] if next_word else ""
    if word.isdigit():
        alone = text[start:dot].strip() == word  # the number of a list or of a heading
        return (alone and len(word) < 4) or (len(word) < 3 and following_word.lower() in _AFTER_ORDINAL)
    if word.lower() in _BEFORE_NUMBER and following[:1].isdigit():
        return True
    if word.lower() in _ABBREVIATIONS and word.lower() not in ("etc", "usw"):
        return True
    return bool(_INITIALS.match(word)) and following_word not in _STARTERS and word not in ("I",)


def cut_passages(
    pages: Sequence[Page], outline: Sequence[Heading], size: int = 1200, overlap: int = 200
) -> list[Passage]:
    """The passages of the document, each of at most `size` characters.

    A passage begins with the last whole sentences of the one before it in its section, up to `overlap` characters. It
    is cut inside a sentence only when that is longer than `size`. Pages without readable text, tables of contents and
    lone headings give none. Raises UserError for sizes that can't be.
    """
    check_size(size, overlap)
    passages: list[Passage] = []
    by_number = {page.number: page for page in pages}
    for section, stretch in _sections(pages, outline):
        for chain in _chains(stretch, by_number, size):
            passages.extend(_cut_chain(chain, section, by_number, size, overlap))
    return passages


def check_size(size: int, overlap: int) -> None:
    """Raises UserError unless passages of `size` characters can overlap by `overlap`."""
    if size < SMALLEST_SIZE:
        raise UserError(f"A passage of {size} characters is too short to ask about. Choose {SMALLEST_SIZE} or more.")
    if overlap < 0:
        raise UserError("The overlap of passages can't be negative. Choose 0 for none.")
    if overlap >= size:
        raise UserError(
            f"An overlap of {overlap} characters leaves nothing new in a passage of {size}. Choose a smaller overlap."
        )


Unit = tuple[Part, ...]  # a sentence; of two parts when it runs over the end of a page


def _sections(pages: Sequence[Page], outline: Sequence[Heading]) -> Iterator[tuple[str, list[Part]]]:
    """Each section's titles and the stretch of text up to the next heading."""
    readable = [page for page in pages if page.text and GARBAGE not in page.warnings]
    by_number = {page.number: page for page in pages}
    starts: list[tuple[int, int, str]] = []
    titles: list[str] = []
    for heading in outline:
        titles = [*titles[: heading.level], heading.title]
        if heading.page in by_number:
            place = _heading_start(by_number[heading.page], heading)
            starts.append((heading.page, place, SECTION_JOIN.join(titles)))
    starts = [(-1, 0, ""), *sorted(starts, key=lambda start: start[:2])]
    last = (max((page.number for page in pages), default=0) + 1, 0, "")
    for (page, place, section), (next_page, next_place, _) in pairwise([*starts, last]):
        stretch = []
        low = bisect_left(readable, page, key=lambda one: one.number)
        for one in readable[low:]:
            if one.number > next_page:
                break
            begin = place if one.number == page else 0
            end = next_place if one.number == next_page else len(one.text)
            if begin < end:
                stretch.append(Part(one.number, begin, end))
        if stretch:
            yield section, stretch


def _heading_start(page: Page, heading: Heading) -> int:
    """Where on the page the section begins: at its title, where the outline points to if that is there twice or not."""
    words = heading.title.split()
    line_starts: list[int] = []
    for titled in (words, words[1:] if words and not words[0].isalpha() else []):
        if titled and not line_starts:
            pattern = r"\s*".join(map(re.escape, titled))
            line_starts = [
                match.start()
                for match in re.finditer(pattern, page.text, re.IGNORECASE)
                if not page.text[: match.start()].rpartition("\n")[2].strip(" 0123456789.§")
            ]
    tops = {word.start: word.rectangle.y0 for word in page.words}
    if line_starts:
        if heading.top is None or len(line_starts) == 1:
            start = line_starts[0]
        else:
            top = heading.top
            start = min(line_starts, key=lambda place: abs(tops.get(place, math.inf) - top))
        return page.text.rfind("\n", 0, start) + 1
    if heading.top is not None:
        for word in page.words:
            new_line = word.start == 0 or page.text[word.start - 1] == "\n"
            if new_line and word.rectangle.y1 > heading.top + 1:
                return word.start
    return 0


def _chains(stretch: Sequence[Part], pages: dict[int, Page], size: int) -> Iterator[list[Unit]]:
    """Runs of sentences without anything left out between them, none longer than `size`."""
    chain: list[Unit] = []
    for part in stretch:
        text = pages[part.page].text
        if chain and chain[-1][-1].page + 1 != part.page:
            yield chain  # a page in between has no text of its own
            chain = []
        first = True
        for start, end in sentences(text[part.start : part.end]):
            unit = Part(part.page, part.start + start, part.start + end)
            if _LEADERS.search(text, unit.start, unit.end):
                if chain:
                    yield chain
                chain, first = [], False
                continue
            if first and chain and _runs_on(pages[chain[-1][-1].page].text[: chain[-1][-1].end], text[unit.start]):
                previous = chain.pop()
                chain.extend(_short_enough((*previous, unit), pages, size))
            else:
                chain.extend(_short_enough((unit,), pages, size))
            first = False
    if chain:
        yield chain


def _runs_on(before: str, first: str) -> bool:
    return not _END.search(before[-4:]) and (first.islower() or is_unspaced(first))


def _short_enough(unit: Unit, pages: dict[int, Page], size: int) -> Iterator[Unit]:
    """The sentence itself, or pieces of it cut between words when it is longer than `size`."""
    if _length(unit) <= size:
        yield unit
        return
    for part in unit:
        text, start = pages[part.page].text, part.start
        while part.end - start > size:
            cut = text.rfind(" ", start + size // 2, start + size)
            cut = cut if cut > 0 else start + size
            yield (Part(part.page, start, cut),)
            start = cut + 1 if text[cut].isspace() else cut
        yield (Part(part.page, start, part.end),)


def _length(unit: Unit) -> int:
    return sum(part.end - part.start for part in unit) + len(unit) - 1


def _join(units: Sequence[Unit]) -> Unit:
    """One part a page, from the first to the last of the units' parts on it."""
    spans: dict[int, tuple[int, int]] = {}
    for part in (part for unit in units for part in unit):
        start = spans[part.page][0] if part.page in spans else part.start
        spans[part.page] = start, part.end
    return tuple(Part(page, start, end) for page, (start, end) in spans.items())


def _cut_chain(
    chain: Sequence[Unit], section: str, pages: dict[int, Page], size: int, overlap: int
) -> Iterator[Passage]:
    """Passages of about the same length, so that no short rest is left at the end."""
    total = _length(_join(chain))
    target = size if total <= size else total / math.ceil(total / (size - overlap / 2))
    first = done = 0
    while done < len(chain):
        end = done + 1
        while first < done and _length(_join(chain[first:end])) > size:
            first += 1
        while end < len(chain) and _length(_join(chain[first:end])) < target:
            if _length(_join(chain[first : end + 1])) > size:
                break
            end += 1
        parts = _join(chain[first:end])
        text = PAGE_BREAK.join(pages[part.page].text[part.start : part.end] for part in parts)
        if _is_prose(text):
            yield Passage(section, parts, text)
        first = done = end
        while first > 0 and _length(_join(chain[first - 1 : done])) <= overlap:
            first -= 1


def _is_prose(text: str) -> bool:
    marks = [one for one in text if not one.isspace()]
    letters = sum(map(str.isalpha, marks))
    return letters + 2 * sum(map(is_unspaced, marks)) >= FEWEST_LETTERS and letters > LEAST_LETTERS * len(marks)


def rectangles(page: Page, start: int, end: int) -> tuple[Rectangle, ...]:
    """The places of characters `start`..`end` on the page, one rectangle for each line."""
    found: list[Rectangle] = []
    downwards = _runs_down(page)
    first = bisect_left(page.words, start + 1, key=_word_end)
    for word in page.words[first:]:
        if word.start >= end:
            break
        if found and _same_line(found[-1], word.rectangle, downwards):
            found[-1] = _union(found[-1], word.rectangle)
        else:
            found.append(word.rectangle)
    return tuple(found)


def _word_end(word: Word) -> int:
    return word.end


def _runs_down(page: Page) -> bool:
    """Whether the page is shown turned, so that its lines run down or up."""
    long = [word.rectangle for word in page.words[:300] if word.end - word.start > 3]
    return sum(box.y1 - box.y0 > box.x1 - box.x0 for box in long) > len(long) / 2


def _same_line(one: Rectangle, other: Rectangle, downwards: bool) -> bool:
    """Whether the boxes stand side by side."""
    along, across = ((one.x0, one.x1), (other.x0, other.x1)), ((one.y0, one.y1), (other.y0, other.y1))
    if downwards:
        along, across = across, along
    (start, end), (other_start, other_end) = across
    height = min(end - start, other_end - other_start)
    level = min(end, other_end) - max(start, other_start) > 0.5 * height
    (start, end), (other_start, other_end) = along
    return level and max(other_start - end, start - other_end) < 3 * height


def _union(one: Rectangle, other: Rectangle) -> Rectangle:
    return Rectangle(min(one.x0, other.x0), min(one.y0, other.y0), max(one.x1, other.x1), max(one.y1, other.y1))
