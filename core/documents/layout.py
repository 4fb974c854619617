"""From characters with boxes to lines in reading order: rows, columns, table rows and paragraphs.

All coordinates here are of the text's own frame: u runs along the line, v down the page, in points.
"""

import dataclasses
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from core.documents.text import face_brackets, is_rtl, is_unspaced, logical_order, normalise

ROW, WRAP, BREAK = "row", "wrap", "break"


@dataclass(slots=True)
class Char:
    """One character as the PDF draws it. `spaced` says that a space stands between it and the one drawn before."""

    text: str
    u0: float
    v0: float
    u1: float
    v1: float
    base: float  # v of the base line
    index: int  # place in the order of drawing
    spaced: bool


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """Characters `start`..`end` of the line's text and their box."""

    start: int
    end: int
    u0: float
    v0: float
    u1: float
    v1: float


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of text on one base line, and how it follows the one before it in reading order.

    `link` is ROW (further along the same line, as in a table), WRAP (the next line of the same paragraph) or BREAK.
    """

    text: str
    words: tuple[PlacedWord, ...]
    u0: float
    v0: float
    u1: float
    v1: float
    size: float
    link: str


@dataclass(slots=True, eq=False)
class _Segment:
    """Characters close together on one base line, and the height of most of them.

    When all are known, `text` is what they say with its spaces, and `length` its length if there are letters in it; a
    Chinese character counts for two.
    """

    chars: list[Char]
    u0: float
    v0: float
    u1: float
    v1: float
    base: float
    index: int
    size: float
    text: str = ""
    length: int = 0


@dataclass(slots=True, eq=False)
class _Block:
    """Segments under one another that belong together: a paragraph, a cell of a table, a heading."""

    segments: list[_Segment] = field(default_factory=list)
    u0: float = 0.0
    v0: float = 0.0
    u1: float = 0.0
    v1: float = 0.0

    def add(self, segment: _Segment) -> None:
        if not self.segments:
            self.u0, self.v0, self.u1, self.v1 = segment.u0, segment.v0, segment.u1, segment.v1
        self.u0, self.v0 = min(self.u0, segment.u0), min(self.v0, segment.v0)
        self.u1, self.v1 = max(self.u1, segment.u1), max(self.v1, segment.v1)
        self.segments.append(segment)

    @property
    def index(self) -> int:
        return self.segments[0].index


def read_lines(chars: Sequence[Char]) -> list[Line]:
    """The lines that the characters form, in reading order."""
    if not chars:
        return []
    rtl_letters = sum(is_rtl(char.text) for char in chars if char.text >= "\u0590")
    rtl_page = rtl_letters > 0 and rtl_letters > 0.4 * sum(char.text.isalpha() for char in chars)
    blocks = _split_tables(_blocks(_segments(chars)))
    lines: list[Line] = []
    above: _Segment | None = None
    for block in _reading_order(blocks, rtl_page):
        wrapped = _is_wrapped(block, rtl_page)
        for segment in block.segments:
            link = _link(above, segment, block, rtl_page)
            if link == WRAP and not wrapped and not _goes_on(segment):
                link = BREAK
            if line := _line(segment, rtl_page, link):
                lines.append(line)
                above = segment
    return lines


def _segments(chars: Sequence[Char]) -> list[_Segment]:
    """Characters drawn one after the other and close together, then such runs that touch on the same base line."""
    runs: list[_Segment] = []
    run: _Segment | None = None
    for char in chars:
        if run is not None and _continues(run, char):
            run.chars.append(char)
            run.u0, run.u1 = min(run.u0, char.u0), max(run.u1, char.u1)
            if char.v1 - char.v0 > run.size:
                run.v0, run.v1, run.base, run.size = char.v0, char.v1, char.base, char.v1 - char.v0
        else:
            run = _new_segment(char)
            runs.append(run)
    segments = _merge_runs(runs)
    for segment in segments:
        _take_usual_size(segment)
        text = "".join([f" {char.text}" if char.spaced else char.text for char in segment.chars]).lstrip()
        segment.text = text
        if any(map(str.isalpha, text)):
            segment.length = len(text) if text.isascii() else len(text) + sum(map(is_unspaced, text))
    return segments


def _take_usual_size(segment: _Segment) -> None:
    """One large bracket makes no heading: size and base line are those of most characters."""
    heights = sorted(char.v1 - char.v0 for char in segment.chars)
    if heights[0] == heights[-1]:
        return
    segment.size = max(heights[len(heights) // 2], 0.1)
    usual = next(char for char in segment.chars if abs(char.v1 - char.v0 - segment.size) < 0.01 * segment.size)
    segment.v0, segment.v1, segment.base = usual.v0, usual.v1, usual.base


def _new_segment(char: Char) -> _Segment:
    size = max(char.v1 - char.v0, 0.1)
    return _Segment([char], char.u0, char.v0, char.u1, char.v1, char.base, char.index, size)


def _continues(run: _Segment, char: Char) -> bool:
    last = run.chars[-1]
    size = max(run.size, char.v1 - char.v0)
    distance = max(char.u0 - last.u1, last.u0 - char.u1)
    step = abs(char.base - run.base)
    if step < 0.15 * size:
        return distance < size
    smaller = min(run.size, char.v1 - char.v0)
    return step < 0.6 * size and smaller < 0.87 * size and distance < 0.4 * size  # raised or lowered


def _merge_runs(runs: list[_Segment]) -> list[_Segment]:
    """Joins runs that were drawn apart but stand side by side, as a justified or right-to-left line is drawn."""
    runs.sort(key=lambda run: (run.base, run.u0))
    merged: list[_Segment] = []
    for run in runs:
        if beside := _find_beside(run, merged):
            _absorb(beside, run)
        else:
            merged.append(run)
    merged.sort(key=lambda run: run.index)
    return _merge_touching(merged)


def _find_beside(run: _Segment, above: list[_Segment]) -> _Segment | None:
    for other in reversed(above):
        if run.base - other.base > 2 * run.size:
            return None
        if _side_by_side(other, run):
            return other
    return None


def _merge_touching(segments: list[_Segment]) -> list[_Segment]:
    """A second look at neighbours: a run that filled the hole between two others has made them touch."""
    by_base = sorted(segments, key=lambda one: (round(one.base), one.u0))
    kept: list[_Segment] = []
    for segment in by_base:
        if kept and _side_by_side(kept[-1], segment):
            _absorb(kept[-1], segment)
        else:
            kept.append(segment)
    return sorted(kept, key=lambda one: one.index)


def _side_by_side(one: _Segment, other: _Segment) -> bool:
    large, small = max(one.size, other.size), min(one.size, other.size)
    step = abs(one.base - other.base)
    distance = max(one.u0 - other.u1, other.u0 - one.u1)
    if step < 0.15 * large:
        return distance < 0.5 * large and (distance > -0.5 * large or _interleaved(one, other))
    return step < 0.6 * large and small < 0.87 * large and -small < distance < 0.3 * large


def _interleaved(one: _Segment, other: _Segment) -> bool:
    """Whether the two share a line in spite of overlapping spans: right-to-left text is drawn in jumps."""
    return any(is_rtl(char.text) for char in (*one.chars, *other.chars))


def _absorb(one: _Segment, other: _Segment) -> None:
    later_is_left = other.u0 < one.u0
    one.chars = [*other.chars, *one.chars] if later_is_left else [*one.chars, *other.chars]
    if other.size > one.size:
        one.base, one.v0, one.v1, one.size = other.base, other.v0, other.v1, other.size
    one.u0, one.u1, one.index = min(one.u0, other.u0), max(one.u1, other.u1), min(one.index, other.index)


def _blocks(segments: Iterable[_Segment]) -> list[_Block]:
    """Chains segments that were drawn one after the other and stand one under the other."""
    blocks: list[_Block] = []
    for segment in segments:
        if blocks and _goes_under(blocks[-1].segments[-1], segment):
            blocks[-1].add(segment)
        else:
            blocks.append(_new_block(segment))
    return blocks


def _new_block(segment: _Segment) -> _Block:
    block = _Block()
    block.add(segment)
    return block


def _goes_under(upper: _Segment, lower: _Segment) -> bool:
    size = max(upper.size, lower.size)
    step = lower.base - upper.base
    overlap = min(upper.u1, lower.u1) - max(upper.u0, lower.u0)
    return (
        0.4 * size < step < 1.75 * size
        and min(upper.size, lower.size) > 0.75 * size
        and overlap > 0.3 * min(upper.u1 - upper.u0, lower.u1 - lower.u0)
    )


def _split_tables(blocks: list[_Block]) -> list[_Block]:
    """Breaks up blocks that are columns of a table: their lines stand level with short entries beside them."""
    entries: Counter[int] = Counter()
    for block in blocks:
        if not _is_running(block):
            entries.update({level for segment in block.segments for level in _levels(segment)})
    split: list[_Block] = []
    for block in blocks:
        level = sum(entries[round(segment.base / 2)] > 1 for segment in block.segments)
        if len(block.segments) > 1 and level > 0.7 * len(block.segments) and not _is_running(block):
            split.extend(_new_block(segment) for segment in block.segments)
        else:
            split.append(block)
    return split


def _is_running(block: _Block) -> bool:
    """Whether the block's lines are one text: sentences go on from line to line, or the lines are full."""
    rest = block.segments[1:]
    going_on = sum(segment.chars[0].text.islower() for segment in rest)
    if not rest or going_on >= 0.3 * len(rest):
        return bool(rest)
    first_letters = [next(filter(str.isalpha, segment.text), "") for segment in block.segments]
    without_case = [letter for letter in first_letters if letter and letter.lower() == letter.upper()]
    if len(without_case) >= 0.6 * len(first_letters):
        return True  # Hebrew, Chinese: nothing tells, and columns of figures have no letters
    filled = sum(segment.u1 - segment.u0 > 0.9 * (block.u1 - block.u0) for segment in block.segments[:-1])
    return _is_prose([block]) and filled >= 0.6 * len(rest)


def _levels(segment: _Segment) -> tuple[int, ...]:
    near = round(segment.base / 2)
    return near - 1, near, near + 1


def _reading_order(blocks: list[_Block], rtl: bool) -> list[_Block]:
    """Cuts the region along white space again and again: into columns where these hold running text, else into rows."""
    if len(blocks) < 2:
        return blocks
    for part, rest in _outer_strips(blocks):
        if _stands_over_columns(part, rest):
            return _in_turn([part, rest] if part[0].v0 < rest[0].v0 else [rest, part], rtl)
    columns = _cut_columns(blocks)
    if len(columns) > 1:
        return _in_turn(reversed(columns) if rtl else columns, rtl)
    strips = _cut_strips(blocks)
    if len(strips) > 1:
        return _in_turn(strips, rtl)
    cells = _cut(blocks, lambda one: (one.u0, one.u1), 0.0)
    if len(cells) > 1:
        return _in_turn(reversed(cells) if rtl else cells, rtl)
    return sorted(blocks, key=lambda one: one.index)


def _outer_strips(blocks: list[_Block]) -> list[tuple[list[_Block], list[_Block]]]:
    """The topmost and the lowest strip, each with the rest of the region, when white space parts them."""
    strips = _cut(blocks, _down, 0.0)
    if len(strips) < 2:
        return []
    return [
        (strip, [block for other in strips if other is not strip for block in other])
        for strip in (strips[0], strips[-1])
    ]


def _stands_over_columns(strip: list[_Block], rest: list[_Block]) -> bool:
    """Whether the rest has columns, and the strip holds something that lies in none of them: a title, a footnote."""
    columns = _cut_columns(rest)
    if len(columns) < 2:
        return False
    extents = [(min(one.u0 for one in column), max(one.u1 for one in column)) for column in columns]

    def lies_in_one(block: _Block) -> bool:
        shared = (min(block.u1, right) - max(block.u0, left) for left, right in extents)
        return max(shared) > 0.6 * (block.u1 - block.u0)

    return not all(map(lies_in_one, strip))


def _in_turn(parts: Iterable[list[_Block]], rtl: bool) -> list[_Block]:
    return [block for part in parts for block in _reading_order(part, rtl)]


def _cut(blocks: list[_Block], span: Callable[[_Block], tuple[float, float]], gap: float) -> list[list[_Block]]:
    """Groups of blocks between which a gap wider than `gap` lies, along the axis that `span` gives."""
    groups: list[list[_Block]] = []
    end = float("-inf")
    for block in sorted(blocks, key=span):
        low, high = span(block)
        if groups and low <= end + gap:
            groups[-1].append(block)
        else:
            groups.append([block])
        end = max(end, high)
    return groups


def _across(block: _Block) -> tuple[float, float]:
    return block.u0, block.u1


def _down(block: _Block) -> tuple[float, float]:
    shrink = 0.15 * block.segments[0].size  # boxes of lines set tight overlap a little
    return block.v0 + shrink, block.v1 - shrink


def _cut_columns(blocks: list[_Block]) -> list[list[_Block]]:
    """Columns of running text, from left to right; one group when there are none."""
    groups = _cut(blocks, _across, 3.0)
    columns = groups[:1]
    for place in range(1, len(groups)):
        right = [block for group in groups[place:] for block in group]
        if _are_columns(columns[-1], right):
            columns.append(groups[place])
        else:
            columns[-1] = columns[-1] + groups[place]
    return columns


def _are_columns(left: list[_Block], right: list[_Block]) -> bool:
    """Whether the two sides are read one after the other, not across.

    Both hold lines of running text, and either were drawn one after the other or break their sentences at the line
    ends (a cell of a table begins a phrase of its own).
    """
    if not (_is_prose(left) and _is_prose(right)):
        return False
    sides = sorted([(block.index, 0) for block in left] + [(block.index, 1) for block in right])
    changes = sum(one[1] != two[1] for one, two in itertools.pairwise(sides))
    return changes <= 2 or min(_continued(left), _continued(right)) >= 0.3


def _is_prose(blocks: list[_Block]) -> bool:
    lengths = [segment.length for block in blocks for segment in block.segments]
    return len(lengths) >= 3 and median(lengths) >= 14


def _continued(blocks: list[_Block]) -> float:
    """The share of blocks that begin in the middle of a sentence."""
    starts = [block.segments[0].text[:1] for block in blocks]
    return sum(start.islower() for start in starts) / len(starts)


def _cut_strips(blocks: list[_Block]) -> list[list[_Block]]:
    """Strips of the region from top to bottom; those that share a gutter between columns of text stay together."""
    strips = _cut(blocks, _down, 0.0)
    if len(strips) < 3:
        return strips
    joined = [strips[0]]
    for strip in strips[1:]:
        if len(joined[-1]) + len(strip) > 2 and len(_cut_columns(joined[-1] + strip)) > 1:
            joined[-1] = joined[-1] + strip
        else:
            joined.append(strip)
    return joined


def _link(above: _Segment | None, segment: _Segment, block: _Block, rtl: bool) -> str:
    """How the segment follows the one read before it."""
    if above is None:
        return BREAK
    size = max(above.size, segment.size)
    if abs(above.base - segment.base) < 0.3 * size and above is not segment:
        return ROW
    if above not in block.segments or min(above.size, segment.size) < 0.8 * size:
        return BREAK
    return BREAK if _ends_paragraph(above, segment, block, rtl) else WRAP


def _is_wrapped(block: _Block, rtl: bool) -> bool:
    """Whether lines end because the next word had no room; those of code and verse end where they like."""
    pairs = list(itertools.pairwise(block.segments))
    if len(pairs) < 2 or any(_begins_item(above, below) for above, below in pairs):
        return True
    full = sum(not _would_fit(above, below, block, rtl) for above, below in pairs)
    return full >= 0.35 * len(pairs)


def _goes_on(line: _Segment) -> bool:
    """Whether the line begins with a letter that is no capital."""
    first = line.chars[0].text[:1]
    return first.isalpha() and not first.isupper()


def _would_fit(above: _Segment, below: _Segment, block: _Block, rtl: bool) -> bool:
    """Whether the first word of the line below had room at the end of the line above."""
    first = below.chars
    unspaced = is_unspaced(first[0].text)
    end = 1 if unspaced else next((place for place, char in enumerate(first) if place and char.spaced), len(first))
    width = max(char.u1 for char in first[:end]) - min(char.u0 for char in first[:end])
    room = above.u0 - block.u0 if rtl else block.u1 - above.u1
    spare = 1.5 if unspaced else 0.5  # no line begins with a full stop or ends with a bracket
    return room > width + spare * below.size


_BULLET = re.compile(r"[•▪◦‣●○■□❒–—*·➢✓]")
_NUMBERED = re.compile(r"\(?(\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)](\s|$)")


def _begins_item(above: _Segment, below: _Segment) -> bool:
    """Whether an item of a list begins; a number in brackets may also stand in the middle of a sentence."""
    if _BULLET.match(below.text):
        return True
    return _NUMBERED.match(below.text) is not None and above.text[-1] in ".:;,!?)/"


def _ends_paragraph(above: _Segment, below: _Segment, block: _Block, rtl: bool) -> bool:
    """A line that stops although the next word would have fitted ends a paragraph, as does one before an indent."""
    if _begins_item(above, below) or _would_fit(above, below, block, rtl):
        return True
    indent = block.u1 - below.u1 if rtl else below.u0 - block.u0
    above_indent = block.u1 - above.u1 if rtl else above.u0 - block.u0
    return 0.8 * below.size < indent < 4 * below.size and above_indent < 0.3 * below.size


def _line(segment: _Segment, rtl_page: bool, link: str) -> Line | None:
    """The segment's words, clean and in logical order; None when nothing is left of it."""
    rtl = any(is_rtl(char.text) for char in segment.chars if char.text >= "\u0590")
    if rtl_page and not any(any(map(str.isalpha, char.text)) for char in segment.chars):
        rtl = True  # the number of a list stands to the right of its full stop
    words = _rtl_words(segment.chars, rtl_page) if rtl else _ltr_words(segment.chars)
    text = ""
    placed: list[PlacedWord] = []
    unspaced = any(char.text >= "\u3000" for char in segment.chars)
    for chars in words:
        for word in _split_unspaced(chars) if unspaced else (chars,):
            clean = normalise("".join([char.text for char in word]))
            if not clean:
                continue
            if text and word[0] is chars[0] and not _touching(text[-1], clean[0]):
                text += " "
            placed.append(PlacedWord(len(text), len(text) + len(clean), *_box(word)))
            text += clean
    if not placed:
        return None
    if rtl:
        text = face_brackets(text)
    return Line(text, tuple(placed), segment.u0, segment.v0, segment.u1, segment.v1, segment.size, link)


def _box(chars: list[Char]) -> tuple[float, float, float, float]:
    first = chars[0]
    u0, v0, u1, v1 = first.u0, first.v0, first.u1, first.v1
    for char in chars:
        if char.u0 < u0:
            u0 = char.u0
        if char.u1 > u1:
            u1 = char.u1
        if char.v0 < v0:
            v0 = char.v0
        if char.v1 > v1:
            v1 = char.v1
    return u0, v0, u1, v1


def _touching(before: str, after: str) -> bool:
    """Whether the gap between two characters is only the width of a Chinese or Japanese one, and no space."""
    return is_unspaced(before) and is_unspaced(after)


def _ltr_words(chars: list[Char]) -> list[list[Char]]:
    words: list[list[Char]] = [[chars[0]]]
    for before, char in itertools.pairwise(chars):
        gap = char.u0 - before.u1
        size = max(before.v1 - before.v0, char.v1 - char.v0)
        drawn_in_turn = char.index == before.index + 1 and abs(char.base - before.base) < 0.1 * size
        if (char.spaced if drawn_in_turn else gap > 0.18 * size) or gap > 0.6 * size:
            words.append([char])
        else:
            words[-1].append(char)
    return words


def _rtl_words(chars: list[Char], rtl_page: bool) -> list[list[Char]]:
    visual = _visual_order(chars)
    letters = [char for char in visual if any(map(str.isalpha, char.text))]
    rtl_line = rtl_page or sum(is_rtl(char.text) for char in letters) * 2 > len(letters)
    spaced: list[Char | None] = []
    for char in visual:
        if spaced and _apart(spaced[-1], char):
            spaced.append(None)
        spaced.append(char)
    order = logical_order(["" if char is None else char.text for char in spaced], rtl_line)
    words: list[list[Char]] = [[]]
    for place in order:
        char = spaced[place]
        if char is None:
            words.append([])
        else:
            words[-1].append(char)
    return [word for word in words if word]


def _apart(left: Char | None, right: Char) -> bool:
    """Whether a space stands between two neighbours on the line. The order of drawing tells nothing here."""
    return left is not None and right.u0 - left.u1 > 0.15 * max(left.v1 - left.v0, right.v1 - right.v0)


def _visual_order(chars: list[Char]) -> list[Char]:
    """From left to right, each glyph once: what one glyph stands for (lam-alef) becomes one piece of text."""
    glyphs: list[Char] = []
    marks: list[Char] = []
    for char in sorted(chars, key=lambda one: one.index):
        last = glyphs[-1] if glyphs else None
        if unicodedata.combining(char.text):
            marks.append(char)
        elif last is not None and (last.u0, last.u1, last.base) == (char.u0, char.u1, char.base):
            last.text = _ligature(last.text, char.text)
        else:
            glyphs.append(dataclasses.replace(char))
    for mark in marks if glyphs else ():
        centre = mark.u0 + mark.u1
        bearer = min(glyphs, key=lambda one: abs(one.u0 + one.u1 - centre))
        bearer.text += mark.text
    return sorted(glyphs, key=lambda one: one.u0 + one.u1)


def _ligature(first: str, second: str) -> str:
    """The letters of one glyph in logical order: pdfium turns those of a right-to-left run round."""
    if not is_rtl(second):
        return first + second
    if first[-1] == "ل" and second in "اأإآٱ":
        return first + second
    return second + first


def _split_unspaced(chars: list[Char]) -> list[list[Char]]:
    """A word for each character of a script without spaces, so that its place on the page is known."""
    parts: list[list[Char]] = []
    for char in chars:
        alone = is_unspaced(char.text)
        if parts and not alone and not is_unspaced(parts[-1][-1].text):
            parts[-1].append(char)
        else:
            parts.append([char])
    return parts
